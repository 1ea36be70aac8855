"""How much memory a training needs, and a warning where there is less."""

import math
import sys
from typing import TYPE_CHECKING

from postergenre import machine
from postergenre.networks import pretrained
from postergenre.networks.config import Network
from postergenre.networks.validation import CHUNK

if TYPE_CHECKING:
    import keras

# Bytes of TensorFlow, Keras and MLflow, before there is a network.
LIBRARIES = 500e6
# So many copies of the weights there are while the network is exported to ONNX, most of them TensorFlow's. The number
# is fitted to what was measured: tests/networks/test_memory.py has those figures.
COPIES = 25
# Bytes of a weight or of a value between two layers.
FLOAT = 4


def needed(model: "keras.Model", network: Network, posters: int) -> float:
    """The bytes that the process needs for training, roughly. Posters do not count: they are mapped into memory.

    They are the sum of
    libraries: 0.5 GB.
    weights: 25 copies of them while the network is exported.
    activations: for a batch of posters, the outputs of all layers from the first that is trained; of a frozen backbone,
        which keeps none, the two largest.
    features: those of each poster, where the backbone is frozen.

    model: as `pretrained.prepare` leaves it.
    posters: how many are in the store.
    """
    outputs: list[int] = [math.prod(layer.output.shape[1:]) for layer in model.layers]
    if network.frozen:
        values: int = CHUNK * sum(sorted(outputs)[-2:]) + posters * pretrained.backbone(model).output_shape[-1]
    else:
        first = next(place for place, layer in enumerate(model.layers) if layer.trainable and layer.weights)
        values = network.training.batch_size * sum(outputs[first:])
    weights: int = model.count_params()
    return LIBRARIES + FLOAT * (COPIES * weights + values)


def warn_if_short(model: "keras.Model", network: Network, posters: int) -> None:
    """Warn where training needs clearly more memory than this process can have, by a fifth.

    That is what is free, and what the process has taken already: libraries and the network count in what it needs.
    """
    need, available = needed(model, network, posters), machine.free_memory() + machine.own_memory()
    if need > 1.2 * available:
        print(
            f"warning: this training needs about {need / 1e9:.1f} GB of memory, and it can have {available / 1e9:.1f} "
            "GB; if the kernel kills it, lower the network's architecture.input or training.batch_size in params.yaml",
            file=sys.stderr,
        )
