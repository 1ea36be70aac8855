"""The parameters of a training: `train`, and `networks.NAME`, in params.yaml."""

import re
from typing import Annotated, Literal, Protocol

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
    """`networks.NAME.training`: how that network is trained. params.yaml explains the keys.

    schedule: of the learning rate after its warmup (cosine: Loshchilov and Hutter 2017, arXiv:1608.03983).
    weight_decay: on kernels only, of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) and Muon.
    loss, label_smoothing, class_weights: see `losses`.
    ema: momentum of the weights' exponential moving average over the steps, which is evaluated and kept; 0 for the
        weights themselves.
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
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}, more than the {self.epochs} epochs of training")
        return self


class HeadFirst(Section):
    """`networks.NAME.backbone.head_first`: how the head alone is trained before; all else is as in `training`."""

    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]


class Backbone(Section):
    """`networks.NAME.backbone`: where the weights of the backbone, all but the head, come from, and how it is trained.

    weights: `imagenet`, those of EfficientNet-Lite0 or of the backbone of `keras.applications`; or `none`.
    trainable: `all`, `head` (the backbone is frozen), or, of a backbone of blocks, `last-N-blocks`.
    learning_rate: of the backbone; the head has `training.learning_rate`.
    heads: so many heads are trained independently on the frozen backbone, and their log-odds are averaged.
    head_first: train the head on the frozen backbone first, then both (Kumar et al. 2022, arXiv:2202.10054).
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


class Trainable(Protocol):
    """What can be trained: it has a recipe, and perhaps a backbone with a learning rate of its own."""

    @property
    def training(self) -> Recipe: ...

    @property
    def backbone(self) -> Backbone | None: ...


class Network(Section):
    """`networks.NAME`: an architecture, how it is trained, and what its backbone starts from."""

    architecture: Architecture
    training: Recipe
    backbone: Backbone | None = None

    @property
    def frozen(self) -> bool:
        """Whether only the head is trained."""
        return self.backbone is not None and self.backbone.trainable == "head"

    @property
    def heads(self) -> int:
        """How many heads are trained independently."""
        return (self.backbone and self.backbone.heads) or 1

    @property
    def merged(self) -> Architecture:
        """The architecture with all heads merged into one."""
        return self.architecture.model_copy(update={"head": self.architecture.head.widened(self.heads)})

    def with_recipe_of(self, first: HeadFirst) -> "Network":
        """The network as its head is trained first."""
        changes = first.model_dump() | {"patience": first.epochs, "ema": 0.0}
        return self.model_copy(update={"training": self.training.model_copy(update=changes)})

    @model_validator(mode="after")
    def _backbone_agrees(self) -> "Network":
        backbone, architecture, blocks = self.backbone, self.architecture, len(self.architecture.blocks)
        if not backbone:
            return self
        if backbone.weights == "none" and (backbone.trainable != "all" or backbone.head_first):
            raise ValueError("a backbone that is frozen, in part or at first, needs weights: imagenet")
        if backbone.weights == "imagenet" and architecture.input.scale == "unit":
            raise ValueError("backbone.weights imagenet needs input.scale symmetric, or own of a backbone by name")
        if backbone.head_first and self.frozen:
            raise ValueError("backbone.head_first belongs to a backbone that is trained; backbone.trainable is head")
        if backbone.head_first and self.training.warmup_epochs > backbone.head_first.epochs:
            raise ValueError(
                f"training.warmup_epochs is {self.training.warmup_epochs}, more than the "
                f"{backbone.head_first.epochs} epochs of backbone.head_first"
            )
        if backbone.heads and not (self.frozen or backbone.head_first):
            raise ValueError("backbone.heads belongs to backbone.trainable head or to backbone.head_first")
        if self.frozen and any(architecture.augmentation.model_dump().values()):
            raise ValueError(
                "the features of a frozen backbone are computed once; set all of architecture.augmentation to 0 or "
                "false"
            )
        if architecture.backbone and backbone.trainable not in ("all", "head"):
            raise ValueError(
                f"backbone.trainable is {backbone.trainable}; of a backbone by name it should be all or head"
            )
        if not architecture.backbone and backbone.trained_blocks(blocks) > blocks:
            raise ValueError(f"backbone.trainable is {backbone.trainable} and the network has {blocks} blocks")
        return self
