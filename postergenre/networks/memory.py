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
# So many copies of the weights there are while the network is exported to ONNX, most of them TensorFlow's.
COPIES = 25
# Bytes of a weight or of a value between two layers.
FLOAT = 4


def needed(model: "keras.Model", network: Network, posters: int) -> float:
    """The bytes that training takes, roughly. Posters do not count, because they are mapped into memory.

    It is the sum of
    libraries: 0.5 GB.
    weights: 25 copies of them while the network is exported.
    maps: all layers' outputs for the posters of a batch; of a frozen backbone, which keeps none, the two largest.
    features: those of each poster, where the backbone is frozen.

    posters: in the store.
    """
    outputs: list[int] = sorted(math.prod(layer.output.shape[1:]) for layer in model.layers)
    if network.frozen:
        values: int = CHUNK * sum(outputs[-2:]) + posters * pretrained.backbone(model).output_shape[-1]
    else:
        values = network.training.batch_size * sum(outputs)
    weights: int = model.count_params()
    return LIBRARIES + FLOAT * (COPIES * weights + values)


def warn_if_short(model: "keras.Model", network: Network, posters: int) -> None:
    """Warn where training needs clearly more memory than is free, by a fifth."""
    need, free = needed(model, network, posters), machine.free_memory()
    if need > 1.2 * free:
        print(
            f"warning: this training needs about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; if "
            "the kernel kills it, lower the network's architecture.input or training.batch_size in params.yaml",
            file=sys.stderr,
        )
