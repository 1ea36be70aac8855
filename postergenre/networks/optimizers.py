"""Optimizers, with what Keras's lack."""

import math
from typing import Any

from postergenre.networks.architecture import HEAD
from postergenre.networks.backend import keras

# Liu et al. 2025: an update of this size, root mean square, is one of AdamW, so that its rates and decays serve here.
RMS = 0.2


class BackboneRate:
    """Lets an optimizer train the backbone with `backbone_share` of the rate, and so of the decay, that the head has."""

    backbone_share = 1.0

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)  # type: ignore[misc]
        # Each step gets a variable of the backend, which knows its place but not its name.
        self._of_backbone = [not variable.path.startswith(HEAD) for variable in variables]

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        decays = {name: getattr(self, name, None) for name in ("weight_decay", "adam_weight_decay")}
        for share, of_backbone in ((self.backbone_share, True), (1.0, False)):  # the head last, for its values stay
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
    """Keras's."""


class AdamW(BackboneRate, keras.optimizers.AdamW):
    """Keras's."""


class Muon(BackboneRate, keras.optimizers.Muon):
    """Muon for convolutions too (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; arXiv:2502.16982).

    It makes each update orthogonal, so that rare directions of a kernel learn as fast as frequent ones. Keras's own
    leaves all but matrices to AdamW; here a kernel `(height, width, channels, filters)` is the matrix
    `(height * width * channels, filters)`. Biases, norms, depthwise kernels and the layers named in `exclude_layers`
    are left to AdamW, with the same rate and decay.
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
        """The orthogonal matrix nearest to a kernel's update `x`, in the shape of the kernel and of AdamW's size."""
        rows, columns = math.prod(x.shape[:-1]), x.shape[-1]
        update = super().zeropower_via_newtonschulz5(keras.ops.reshape(x, (rows, columns)), steps)
        return keras.ops.reshape(update * (RMS * max(rows, columns) ** 0.5), x.shape)
