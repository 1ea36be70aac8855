"""The optimizer of a recipe: Keras's, with a learning rate of its own for the backbone, and Muon for convolutions."""

import math
from typing import Any

from postergenre.networks.backend import keras
from postergenre.networks.config import Recipe, Trainable
from postergenre.networks.layer_names import GENRES, HEAD

# Muon scales each update to this root mean square, which is that of AdamW's, so that AdamW's rates and decays serve
# here (Liu et al. 2025, arXiv:2502.16982).
RMS = 0.2


class BackboneRate:
    """Lets an optimizer train the backbone with `backbone_share` of the head's learning rate, and so of its decay."""

    backbone_share = 1.0

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)  # type: ignore[misc]
        # `update_step` gets a variable of the backend, which knows its place but not its path.
        self._of_backbone = [not variable.path.startswith(HEAD) for variable in variables]

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        decays = {name: getattr(self, name, None) for name in ("weight_decay", "adam_weight_decay")}
        for share, of_backbone in ((self.backbone_share, True), (1.0, False)):  # the head last: its decays stay
            for name, decay in decays.items():
                if decay:
                    setattr(self, name, decay * share)
            super()._apply_weight_decay(  # type: ignore[misc]
                [variable for variable in variables if variable.path.startswith(HEAD) != of_backbone]
            )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self._of_backbone[self._get_variable_index(variable)]:  # type: ignore[attr-defined]
            learning_rate = learning_rate * self.backbone_share
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class Adam(BackboneRate, keras.optimizers.Adam):
    """Keras's Adam with a backbone's rate."""


class AdamW(BackboneRate, keras.optimizers.AdamW):
    """Keras's AdamW with a backbone's rate."""


class Muon(BackboneRate, keras.optimizers.Muon):
    """Muon for convolutions too (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; arXiv:2502.16982).

    It makes each update orthogonal, so that rare directions of a kernel learn as fast as frequent ones. Keras's Muon
    leaves all but matrices to AdamW; here a kernel `(height, width, channels, filters)` is the matrix
    `(height * width * channels, filters)`. AdamW updates biases, norms, depthwise kernels and the layers named in
    `exclude_layers`, with the same rate and decay.
    """

    def __init__(self, learning_rate: Any, weight_decay: float, exclude_layers: list[str]):
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            adam_weight_decay=weight_decay,
            exclude_layers=[*exclude_layers, "depthwise_kernel"],
            rms_rate=None,  # it would take a kernel's height and width for the sides of the matrix
        )

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) < 2 or any(name in variable.path for name in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x: keras.KerasTensor, steps: int) -> keras.KerasTensor:
        """The orthogonal matrix nearest to a kernel's update `x`, in the kernel's shape, scaled to `RMS`."""
        rows, columns = math.prod(x.shape[:-1]), x.shape[-1]
        update = super().zeropower_via_newtonschulz5(keras.ops.reshape(x, (rows, columns)), steps)
        return keras.ops.reshape(update * (RMS * max(rows, columns) ** 0.5), x.shape)


def build(network: Trainable, steps: int) -> keras.optimizers.Optimizer:
    """The network's optimizer; `steps` is the number of batches in an epoch."""
    recipe = network.training
    rate = _schedule(recipe, steps)
    optimizer: Adam | AdamW | Muon
    if recipe.optimizer == "adam":
        optimizer = Adam(rate)
    elif recipe.optimizer == "muon":
        optimizer = Muon(rate, recipe.weight_decay, exclude_layers=[GENRES])
    else:
        optimizer = AdamW(rate, weight_decay=recipe.weight_decay)
    if recipe.optimizer != "adam":
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if network.backbone:
        optimizer.backbone_share = network.backbone.learning_rate / recipe.learning_rate
    optimizer.use_ema, optimizer.ema_momentum = recipe.ema > 0, recipe.ema
    return optimizer


def _schedule(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    schedules = keras.optimizers.schedules
    rate, warmup, total = recipe.learning_rate, recipe.warmup_epochs * steps, recipe.epochs * steps
    if recipe.schedule == "cosine":
        if not warmup:
            return schedules.CosineDecay(rate, total)
        return schedules.CosineDecay(rate / warmup, max(total - warmup, 1), warmup_target=rate, warmup_steps=warmup)
    # A straight line up to the rate, which it then keeps.
    return schedules.PolynomialDecay(rate / warmup if warmup else rate, max(warmup, 1), end_learning_rate=rate)
