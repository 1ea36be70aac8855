"""Where a project keeps what is costly to get and no output of DVC's: posters as they came, and what they say."""

import os
from pathlib import Path


def locate(folder: Path) -> Path:
    """The folder that $POSTERGENRE_DOWNLOADS names, else `folder` in the project.

    `dvc exp run --temp` and `--queue` run in a temporary copy of the project, which is deleted afterwards. $DVC_ROOT,
    which DVC sets, then leads to the project itself.
    """
    return Path(os.environ.get("POSTERGENRE_DOWNLOADS") or Path(os.environ.get("DVC_ROOT", ""), folder))
