"""The parameters of a training: `train`, and `networks.NAME`, in params.yaml."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from postergenre.networks.architecture import Architecture
from postergenre.params import Section

Switch = Literal["auto", True, False]


class TrainParams(Section):
    """`train` in params.yaml, where each key is explained."""

    network: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    deterministic: bool
    device: Literal["auto", "cpu", "gpu"]
    mixed_precision: Switch
    xla: Switch
    threshold_shrinkage: Annotated[float, Field(ge=0)]


class Recipe(Section):
    """`networks.NAME.training`: how that network is trained.

    schedule: of the learning rate after `warmup_epochs` of linear growth (cosine: Loshchilov and Hutter 2017,
    arXiv:1608.03983). weight_decay: of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) and Muon, on kernels only.
    patience: epochs without a better validation mAP before training stops.
    label_smoothing, class_weights: see `losses`. frequency_bias: start from each genre's share. ema: judge and keep the
    weights' exponential moving average over the steps, of this momentum; 0 for the weights themselves.
    """

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    optimizer: Literal["adam", "adamw", "muon"]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["constant", "cosine"]
    warmup_epochs: Annotated[int, Field(ge=0)]
    patience: Annotated[int, Field(ge=1)]
    loss: Literal["bce", "focal", "asymmetric"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_weights: bool
    frequency_bias: bool
    ema: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _reaches_its_rate(self) -> "Recipe":
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs is {self.warmup_epochs}, more than the {self.epochs} epochs that there are"
            )
        return self


class HeadFirst(Section):
    """`networks.NAME.backbone.head_first`: how the head is trained alone before; the rest is as in `training`."""

    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]


class Backbone(Section):
    """`networks.NAME.backbone`: where the backbone, all but the head, comes from and how it is trained.

    weights: `imagenet` are those of EfficientNet-Lite0, or the backbone's. trainable: `all`, `head` (the backbone stays as
    it is), or of a backbone of blocks `last-N-blocks`. learning_rate: the backbone's; the head has `training.learning_rate`.
    heads: above a backbone that stays as it is, so many heads learn apart, and their log-odds are averaged. head_first:
    the backbone stays as it is until the heads have learned, which then are trained further with it as one (Kumar et al.
    2022, arXiv:2202.10054).
    """

    weights: Literal["imagenet", "none"]
    trainable: str
    learning_rate: Annotated[float, Field(gt=0)]
    heads: Annotated[int, Field(ge=1)] | None = None
    head_first: HeadFirst | None = None

    @field_validator("trainable")
    @classmethod
    def _known(cls, trainable: str) -> str:
        if not re.fullmatch("all|head|last-[1-9][0-9]*-blocks", trainable):
            raise ValueError(f"{trainable!r} is not all, head or last-N-blocks")
        return trainable

    def trained_blocks(self, blocks: int) -> int:
        """How many of the backbone's `blocks`, the last ones, are trained."""
        named = {"all": blocks, "head": 0}
        return named[self.trainable] if self.trainable in named else int(self.trainable.split("-")[1])


class Network(Section):
    """`networks.NAME`: an architecture, its training, and its backbone where that is not simply trained with the rest."""

    architecture: Architecture
    training: Recipe
    backbone: Backbone | None = None

    @property
    def frozen(self) -> bool:
        """Whether only the head is trained."""
        return self.backbone is not None and self.backbone.trainable == "head"

    @property
    def heads(self) -> int:
        """How many learn apart."""
        return (self.backbone and self.backbone.heads) or 1

    @property
    def wide(self) -> "Network":
        """With all heads in one."""
        head = self.architecture.head.widened(self.heads)
        return self.model_copy(update={"architecture": self.architecture.model_copy(update={"head": head})})

    def for_head(self, first: HeadFirst) -> "Network":
        """As its head is trained first."""
        changes = first.model_dump() | {"patience": first.epochs, "ema": 0.0}
        return self.model_copy(update={"training": self.training.model_copy(update=changes)})

    @model_validator(mode="after")
    def _agrees(self) -> "Network":
        if (
            self.backbone
            and self.backbone.weights == "none"
            and (self.backbone.trainable != "all" or self.backbone.head_first)
        ):
            raise ValueError(
                "a backbone that is not trained as a whole needs weights: imagenet, for it sees nothing else"
            )
        if self.backbone and self.backbone.weights == "imagenet" and self.architecture.input.scale == "unit":
            raise ValueError("backbone.weights imagenet learned from input.scale symmetric, or a backbone's own")
        if self.backbone and self.backbone.head_first and self.frozen:
            raise ValueError("backbone.head_first belongs to a backbone that is trained; backbone.trainable is head")
        if self.backbone and self.backbone.head_first and self.training.warmup_epochs > self.backbone.head_first.epochs:
            raise ValueError(
                f"training.warmup_epochs is {self.training.warmup_epochs}, more than the "
                f"{self.backbone.head_first.epochs} epochs of backbone.head_first"
            )
        if self.backbone and self.backbone.heads and not (self.frozen or self.backbone.head_first):
            raise ValueError("backbone.heads belongs to backbone.trainable head or to backbone.head_first")
        if self.frozen and any(self.architecture.augmentation.model_dump().values()):
            raise ValueError(
                "a frozen backbone sees each poster once: set all of architecture.augmentation to 0 or false"
            )
        if self.backbone and self.architecture.backbone and self.backbone.trainable not in ("all", "head"):
            raise ValueError(f"backbone.trainable is {self.backbone.trainable}; of a backbone it is all or head")
        if (
            self.backbone
            and not self.architecture.backbone
            and self.backbone.trained_blocks(blocks := len(self.architecture.blocks)) > blocks
        ):
            raise ValueError(f"backbone.trainable is {self.backbone.trainable} and the network has {blocks} blocks")
        return self
