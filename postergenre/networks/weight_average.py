"""The moving average of a network's weights over the steps of its training, with statistics of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from postergenre.networks import architecture
from postergenre.networks.backend import keras
from postergenre.networks.batches import Batches

# Batches from which the norms take the statistics of averaged weights. With the norms' momentum of .9 nothing of the
# statistics before is left after them.
STATISTICS = 50


@contextmanager
def averaged(model: keras.Model, first: Batches) -> Iterator[None]:
    """Within the block the model has the average of its weights, where its optimizer keeps one; see `use_average`."""
    if not model.optimizer.use_ema:
        yield
        return
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    use_average(model, first)
    yield
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)


def use_average(model: keras.Model, first: Batches) -> None:
    """Give the model the average of its weights, and its trained batch norms the statistics of that average.

    The statistics that the norms have belong to the weights of the last step, so they are computed again, from the
    batches of the first epoch (Izmailov et al. 2018, arXiv:1803.05407, section 3.2).

    first: the batches of the first epoch.
    """
    model.optimizer.finalize_variable_values(model.trainable_variables)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    if any(layer.trainable for layer in norms):
        architecture.reseed(model, first.seed, 0)
        for number in range(STATISTICS):
            model(first[number % len(first)][0], training=True)
