"""Architectures: from a section of params.yaml to a Keras model with a name for every layer.

The model takes posters as the store holds them, uint8 in [0, 255]; resizing, scaling and augmentation are part of it.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from postergenre.errors import InputError
from postergenre.networks import backbones
from postergenre.networks.backend import keras
from postergenre.networks.layer_names import AUGMENTATION, BLOCK, DENSE, GENRES, MAP, NORM, POOLED, RESIZE
from postergenre.params import Section

layers = keras.layers
# Keras's .99 would need hundreds of steps to forget the start; a short training has few.
BATCH_NORM_MOMENTUM = 0.9
# Of channels in a group norm.
GROUPS = 8

Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Norm = Literal["none", "batch", "group"]
Activation = Literal["relu", "relu6"]
# Numbers that seed the layers with a random state, one after the other.
Seeds = Iterator[np.uint32]


class Input(Section):
    """What the network sees; posters of another size are resized inside the model.

    height, width: pixels.
    scale: of black and white, `unit` [0, 1] or `symmetric` [-1, 1], or the backbone's `own`.
    """

    height: Annotated[int, Field(ge=8)]
    width: Annotated[int, Field(ge=8)]
    scale: Literal["unit", "symmetric", "own"]


class Augmentation(Section):
    """Random changes while training.

    shift: the most that a poster is moved, each way, as a share of its height and width.
    brightness, contrast: the largest change, each way, as a share.
    horizontal_flip: mirrors titles too, so it is off in the networks that come with the project.
    """

    shift: Annotated[float, Field(ge=0, le=0.5)]
    brightness: Annotated[float, Field(ge=0, le=1)]
    contrast: Annotated[float, Field(ge=0, lt=1)]
    horizontal_flip: bool


class Block(Section):
    """`repeats` units of one kind with `filters` channels, then pooling, then dropout.

    kind: `plain`, a convolution with its norm and activation; `residual`, two convolutions beside a shortcut (He et
        al. 2016, arXiv:1512.03385); or `inverted`, a shortcut between few channels, and between them a depthwise
        convolution of `expansion` times as many (Sandler et al. 2018, arXiv:1801.04381).
    filters: channels.
    repeats: units.
    kernel: side of the convolutions.
    stride: of the first unit.
    pool: side and stride of the max pooling; 1 for none.
    norm: after each convolution.
    dropout: share of values set to 0 in training, at the end of the block.
    squeeze: weigh the channels by a view of the whole map, through a layer of so many times fewer units (Hu et al.
        2018, arXiv:1709.01507).
    drop_path: share of posters, in training, that pass by the shortcut alone (Huang et al. 2016, arXiv:1603.09382).
    """

    kind: Literal["plain", "residual", "inverted"]
    filters: Count
    repeats: Count
    kernel: Annotated[int, Field(ge=1, le=11)]
    stride: Annotated[int, Field(ge=1, le=4)]
    pool: Annotated[int, Field(ge=1, le=4)]
    norm: Norm
    activation: Activation
    dropout: Rate
    expansion: Count | None = None
    squeeze: Count | None = None
    drop_path: Rate | None = None

    @model_validator(mode="after")
    def _has_its_keys(self) -> "Block":
        if (self.kind == "inverted") != (self.expansion is not None):
            raise ValueError("expansion belongs to inverted blocks, all of them and no others")
        if self.drop_path is not None and self.kind == "plain":
            raise ValueError("drop_path belongs to blocks with a shortcut, residual and inverted ones")
        return self


class Dense(Section):
    """A fully connected layer of the head."""

    units: Count
    activation: Activation
    dropout: Rate


class VectorHead(Section):
    """From a vector, through the dense layers, to the genres.

    norm: of the vector.
    dropout: of the vector.
    """

    norm: Literal["none", "batch"]
    dropout: Rate
    dense: list[Dense]

    def widened(self, times: int) -> Self:
        """The same with so many times the units in its dense layers."""
        dense = [layer.model_copy(update={"units": layer.units * times}) for layer in self.dense]
        return self.model_copy(update={"dense": dense})


class Head(VectorHead):
    """From the blocks' maps `(height, width, channels)` to a vector, and from it to the genres.

    pooling: `flatten` keeps every place of the map; `average` is the mean of its places.
    blocks: numbers of the blocks, counted from 1, whose maps are pooled side by side; without, the last one's alone.
        Early blocks see colour, texture and lettering; the last one keeps only what tells objects apart.
    """

    pooling: Literal["flatten", "average"]
    blocks: list[Count] | None = None


class Architecture(Section):
    """`networks.NAME.architecture` in params.yaml: blocks, or the name of a backbone of `keras.applications`."""

    input: Input
    augmentation: Augmentation
    head: Head
    blocks: Annotated[list[Block], Field(min_length=1, default_factory=list)]
    backbone: str | None = None

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in backbones.NAMES:
            raise ValueError(f"{name!r} is no network of keras.applications: {', '.join(backbones.NAMES)}")
        return name

    @model_validator(mode="after")
    def _one_backbone(self) -> "Architecture":
        if bool(self.blocks) == bool(self.backbone):
            raise ValueError("a network has either blocks or a backbone")
        if (self.input.scale == "own") != bool(self.backbone):
            raise ValueError("input.scale own belongs to backbones, all of them and nothing else")
        return self

    @model_validator(mode="after")
    def _head_sees_blocks(self) -> "Architecture":
        chosen = self.head.blocks
        if chosen is not None and (chosen != sorted(set(chosen)) or chosen[-1:] != [len(self.blocks)]):
            raise ValueError(
                f"head.blocks is {chosen}; it should name blocks in their order, each once, and end with the last one, "
                f"{len(self.blocks)}, of a network that has blocks"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> "Architecture":
        height, width, channels = self.input.height, self.input.width, 3
        for number, block in enumerate(self.blocks):
            height, width = -(-height // block.stride), -(-width // block.stride)
            if min(height, width) < block.pool:
                raise ValueError(
                    f"blocks.{number} pools by {block.pool} but an input of {self.input.height} x {self.input.width} "
                    f"has shrunk to {height} x {width} there; take a larger input or pool less"
                )
            height, width = height // block.pool, width // block.pool
            for filters in (block.filters, channels * (block.expansion or GROUPS)):
                if block.norm == "group" and filters % GROUPS:
                    raise ValueError(f"blocks.{number} has {filters} filters; group norm needs a multiple of {GROUPS}")
            channels = block.filters
        return self


def build(
    architecture: Architecture,
    height: int,
    width: int,
    prevalence: npt.ArrayLike,
    seed: int,
    name: str,
    imagenet: bool = False,
) -> keras.Model:
    """The network for posters of `height` x `width`: uint8 `(n, height, width, 3)` to float32 `(n, genres)` in [0, 1].

    prevalence: each genre's share of the training posters, in (0, 1). The last bias starts from it, so that training
        does not spend its first steps on learning how rare genres are (Lin et al. 2017, arXiv:1708.02002, section 4.1).
    seed: decides the initial weights, the augmentation and the dropout.
    imagenet: whether a backbone of `keras.applications` starts from its ImageNet weights.
    """
    seeds = _seed(seed)
    posters = keras.Input((height, width, 3), dtype="uint8", name="poster")
    features = _features(posters, architecture, imagenet, seeds)
    return keras.Model(posters, _genres(features, architecture.head, prevalence, seeds), name=name)


def build_head(head: Head, backbone: keras.Model, prevalence: npt.ArrayLike, seed: int, name: str) -> keras.Model:
    """The head alone: the backbone's features float32 `(n, k)` to float32 `(n, genres)`.

    Of a network of blocks it starts from the weights that `build` gives the head of the whole network with this seed.
    """
    seeds = _seed(seed)
    # Keras takes each initializer's seed from Python's `random`. The backbone's, which come first there, are skipped.
    for _ in range(sum(weight.name.endswith("kernel") for weight in backbone.weights)):
        keras.initializers.GlorotUniform()
    features = keras.Input(backbone.output_shape[1:], name="features")
    return keras.Model(features, _genres(features, head, prevalence, seeds), name=name)


def build_vector_head(head: VectorHead, size: int, prevalence: npt.ArrayLike, seed: int, name: str) -> keras.Model:
    """A head without a backbone: vectors float32 `(n, size)` to float32 `(n, genres)` in [0, 1]."""
    seeds = _seed(seed)
    vectors = keras.Input((size,), name="features")
    return keras.Model(vectors, _genres(vectors, head, prevalence, seeds), name=name)


def from_json(text: str) -> keras.Model:
    """The network that `architecture.json` describes, with fresh weights.

    Raises:
        InputError: the text describes no network that this Keras can build.
    """
    try:
        return keras.models.model_from_json(text)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"architecture.json describes no network that Keras {keras.__version__} builds: {error}"
        ) from None


def for_prediction(model: keras.Model) -> keras.Model:
    """The model without augmentation, which does nothing at prediction and is not in ONNX; the layers are shared."""

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Any:
        if layer.name in AUGMENTATION:
            return inputs[0]
        if layer.name == RESIZE:
            # Without training=False, Keras runs Resizing and all later layers in training mode.
            options["training"] = False
        if isinstance(layer, layers.Normalization):
            # Its constants would become inputs of the ONNX network.
            scale = 1 / np.sqrt(np.ravel(layer.variance))
            rescaling = layers.Rescaling(scale.tolist(), (-np.ravel(layer.mean) * scale).tolist(), name=layer.name)
            return rescaling(*inputs)
        return layer(*inputs, **options)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the state of the model's random layers from seed and epoch."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for number, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, epoch, number]).generate_state(2))


def _seed(seed: int) -> Seeds:
    """Seed Keras's initializers; returns the seeds of the layers with a random state."""
    seeds = iter(np.random.SeedSequence(seed).generate_state(10_000))
    keras.utils.set_random_seed(int(next(seeds)))
    return seeds


def _features(
    posters: keras.KerasTensor, architecture: Architecture, imagenet: bool, seeds: Seeds
) -> keras.KerasTensor:
    """The backbone, up to its pooled vector `(n, k)`."""
    size = architecture.input.height, architecture.input.width
    x = layers.Rescaling(1 / 255, name="scale")(posters)
    if posters.shape[1:3] != size:
        x = layers.Resizing(*size, name=RESIZE)(x)
    x = _augment(x, architecture.augmentation, seeds)
    if architecture.input.scale == "symmetric":
        x = layers.Rescaling(2, -1, name="symmetric")(x)
    if architecture.backbone:
        x = backbones.features(architecture.backbone, x, imagenet)
    maps = []
    for number, block in enumerate(architecture.blocks, 1):
        x = _block(x, block, f"{BLOCK}{number}", seeds)
        maps.append(x)
    return _pool(maps or [x], architecture.head)


def _pool(maps: list[keras.KerasTensor], head: Head) -> keras.KerasTensor:
    kind = {"flatten": layers.Flatten, "average": layers.GlobalAveragePooling2D}[head.pooling]
    if head.blocks is None or len(head.blocks) == 1:
        return kind(name=POOLED)(maps[-1])
    pooled = [kind(name=f"{MAP}{number}")(maps[number - 1]) for number in head.blocks]
    return layers.Concatenate(name=POOLED)(pooled)


def _genres(x: keras.KerasTensor, head: VectorHead, prevalence: npt.ArrayLike, seeds: Seeds) -> keras.KerasTensor:
    """The head, from the pooled vector to the genres' probabilities."""
    x = _normalise(x, head.norm, NORM)
    if head.dropout:
        x = layers.Dropout(head.dropout, seed=int(next(seeds)), name="head_dropout")(x)
    for number, dense in enumerate(head.dense, 1):
        x = layers.Dense(dense.units, dense.activation, name=f"{DENSE}{number}")(x)
        if dense.dropout:
            x = layers.Dropout(dense.dropout, seed=int(next(seeds)), name=f"{DENSE}{number}_dropout")(x)
    share = np.clip(np.asarray(prevalence, dtype=np.float64), 1e-4, 1 - 1e-4)
    bias = keras.initializers.Constant(np.log(share / (1 - share)).tolist())
    # float32 also under mixed precision: a sigmoid in float16 rounds rare genres to 0.
    return layers.Dense(len(share), "sigmoid", bias_initializer=bias, dtype="float32", name=GENRES)(x)


def _augment(x: keras.KerasTensor, augmentation: Augmentation, seeds: Seeds) -> keras.KerasTensor:
    # On [0, 1] floats; each layer passes posters through unchanged at prediction.
    if augmentation.shift:
        x = layers.RandomTranslation(
            augmentation.shift, augmentation.shift, fill_mode="nearest", seed=int(next(seeds)), name="shift"
        )(x)
    if augmentation.brightness:
        x = layers.RandomBrightness(augmentation.brightness, (0, 1), seed=int(next(seeds)), name="brightness")(x)
    if augmentation.contrast:
        x = layers.RandomContrast(augmentation.contrast, (0, 1), seed=int(next(seeds)), name="contrast")(x)
    if augmentation.horizontal_flip:
        x = layers.RandomFlip("horizontal", seed=int(next(seeds)), name="flip")(x)
    return x


def _block(x: keras.KerasTensor, block: Block, name: str, seeds: Seeds) -> keras.KerasTensor:
    unit = {"residual": _residual, "inverted": _inverted}.get(block.kind, _plain)
    for number in range(1, block.repeats + 1):
        x = unit(x, block, block.stride if number == 1 else 1, f"{name}_unit{number}", seeds)
    if block.pool > 1:
        x = layers.MaxPooling2D(block.pool, name=f"{name}_pool")(x)
    if block.dropout:
        x = layers.Dropout(block.dropout, seed=int(next(seeds)), name=f"{name}_dropout")(x)
    return x


def _convolution(
    x: keras.KerasTensor, block: Block, stride: int, name: str, activate: bool = True, kernel: int | None = None
) -> keras.KerasTensor:
    # A norm has a bias of its own.
    convolution = layers.Conv2D(
        block.filters,
        kernel or block.kernel,
        stride,
        padding="same",
        use_bias=block.norm == "none",
        name=f"{name}_conv",
    )
    x = _normalise(convolution(x), block.norm, f"{name}_norm")
    return layers.Activation(block.activation, name=f"{name}_{block.activation}")(x) if activate else x


def _plain(x: keras.KerasTensor, block: Block, stride: int, name: str, seeds: Seeds) -> keras.KerasTensor:
    return _squeezed(_convolution(x, block, stride, name), block, name)


def _branch(x: keras.KerasTensor, block: Block, name: str, seeds: Seeds) -> keras.KerasTensor:
    """The values that are added to a shortcut."""
    if block.drop_path:
        return layers.Dropout(block.drop_path, (None, 1, 1, 1), seed=int(next(seeds)), name=f"{name}_drop_path")(x)
    return x


def _squeezed(x: keras.KerasTensor, block: Block, name: str) -> keras.KerasTensor:
    if block.squeeze is None:
        return x
    channels = x.shape[-1]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weight = layers.Dense(-(-channels // block.squeeze), "relu", name=f"{name}_squeeze_in")(weight)
    weight = layers.Dense(channels, "sigmoid", name=f"{name}_squeeze_out")(weight)
    return layers.Multiply(name=f"{name}_excite")([x, weight])


def _residual(x: keras.KerasTensor, block: Block, stride: int, name: str, seeds: Seeds) -> keras.KerasTensor:
    shortcut = x
    if stride > 1 or x.shape[-1] != block.filters:
        shortcut = _convolution(x, block, stride, f"{name}_shortcut", activate=False, kernel=1)
    x = _convolution(x, block, stride, f"{name}_first")
    x = _convolution(x, block, 1, f"{name}_second", activate=False)
    x = _squeezed(x, block, name)
    x = layers.Add(name=f"{name}_add")([_branch(x, block, name, seeds), shortcut])
    return layers.Activation(block.activation, name=f"{name}_{block.activation}")(x)


def _inverted(x: keras.KerasTensor, block: Block, stride: int, name: str, seeds: Seeds) -> keras.KerasTensor:
    assert block.expansion is not None
    start, bias = x, block.norm == "none"
    if block.expansion > 1:
        x = layers.Conv2D(block.expansion * x.shape[-1], 1, use_bias=bias, name=f"{name}_expand_conv")(x)
        x = _normalise(x, block.norm, f"{name}_expand_norm")
        x = layers.Activation(block.activation, name=f"{name}_expand_{block.activation}")(x)
    x = layers.DepthwiseConv2D(block.kernel, stride, padding="same", use_bias=bias, name=f"{name}_depthwise_conv")(x)
    x = _normalise(x, block.norm, f"{name}_depthwise_norm")
    x = layers.Activation(block.activation, name=f"{name}_depthwise_{block.activation}")(x)
    x = layers.Conv2D(block.filters, 1, use_bias=bias, name=f"{name}_project_conv")(x)
    x = _squeezed(_normalise(x, block.norm, f"{name}_project_norm"), block, name)
    if x.shape != start.shape:
        return x
    return layers.Add(name=f"{name}_add")([_branch(x, block, name, seeds), start])


def _normalise(x: keras.KerasTensor, norm: Norm, name: str) -> keras.KerasTensor:
    if norm == "batch":
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name)(x)
    if norm == "group":
        return layers.GroupNormalization(GROUPS, name=name)(x)
    return x
