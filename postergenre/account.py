"""The user of this process: a name, and folders that may be written.

A container's user may have no name on the system, no home, or a home that cannot be written.
"""

import getpass
import os
from pathlib import Path

from postergenre import files

# Where libraries put what they want to find again, below the folder for caches.
CACHES = {
    "XDG_CACHE_HOME": "",
    "KERAS_HOME": "keras",
    "MPLCONFIGDIR": "matplotlib",
}


def name() -> str:
    """The user's name from the environment or the system, else the number."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def prepare() -> None:
    """Give libraries, by environment variables, what the user lacks: a name, a home, folders for caches.

    What is set stays. The Makefile does the same for what it starts. Entry points call this before anything
    imports DVC, Keras, Matplotlib or MLflow. Where the project's folder cannot be written either, libraries use the
    temporary folder.
    """
    os.environ["LOGNAME"] = name()  # DVC fails without a name
    try:
        home = Path.home()
    except RuntimeError:  # MLflow fails without a home; container runtimes give this one
        os.environ["HOME"], home = "/", Path("/")
    root = files.project_root(Path.cwd())
    if not os.access(home, os.W_OK) and os.access(root / "dvc.yaml", os.R_OK) and os.access(root, os.W_OK):
        caches = os.environ.get("XDG_CACHE_HOME") or str(root / ".cache")
        for variable, folder in CACHES.items():
            os.environ[variable] = os.environ.get(variable) or str(Path(caches, folder))
