"""Importing the library changes nothing in the process: entry points do that, explicitly."""

import json
import sys

from tests import support

CODE = """
import importlib, json, logging, os, pkgutil

import dvc.repo, keras, mlflow, tensorflow  # what these change themselves is not ours
from PIL import Image

def state():
    levels = {name or "root": logging.getLogger(name).level for name in (None, "mlflow", "tensorflow", "dvc")}
    return {
        "environment": dict(os.environ),
        "loggers": levels,
        "Pillow's MAX_IMAGE_PIXELS": Image.MAX_IMAGE_PIXELS,
        "dtype policy": keras.config.dtype_policy().name,
        "image data format": keras.config.image_data_format(),
        "file descriptor 2": os.readlink("/proc/self/fd/2"),
    }

import benchmarks, postergenre, sample, scraper, stages

changes = {}
before = state()
packages = (postergenre, scraper, sample, stages, benchmarks)
found = (pkgutil.walk_packages(package.__path__, f"{package.__name__}.") for package in packages)
names = [module.name for modules in found for module in modules]
for name in names:
    importlib.import_module(name)
    after = state()
    for what, value in after.items():
        if value != before[what]:
            changes.setdefault(what, name)
    before = after
print(json.dumps({"modules": len(names), "changes": changes}))
"""


def test_importing_every_module_changes_nothing_in_the_process() -> None:
    done = support.run(sys.executable, "-c", CODE, cwd=support.ROOT, env={"KERAS_BACKEND": "tensorflow"})
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout.splitlines()[-1])
    assert imported["modules"] > 100
    assert imported["changes"] == {}
