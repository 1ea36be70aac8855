"""Clones have the bytes that dvc.lock's hashes are of, also where git would write CRLF."""

from pathlib import Path

import pytest

from tests import support
from tests.factories import git, make_project

CRLF = "film_id,title,genres,poster\r\ntt0000001,One,Drama,http://example.org/1.jpg\r\n"


@pytest.mark.parametrize("autocrlf", ["true", "input"])
def test_a_clone_has_every_file_byte_by_byte(tmp_path: Path, autocrlf: str) -> None:
    with support.site() as site:
        project = make_project(tmp_path / "project", site)
    names = ("films.csv", "data/theirs.tsv", "data/splits/own.txt")
    for name in names:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(CRLF, newline="")
    git(project, "-c", f"core.autocrlf={autocrlf}", "add", "-f", *names)
    git(project, "commit", "-qm", "catalogues of CRLF")
    git(tmp_path, "clone", "-q", "-c", f"core.autocrlf={autocrlf}", "project", "clone")
    tracked = git(project, "ls-files").splitlines()
    assert {"dvc.yaml", "stages/train.py", *names} <= {*tracked}
    assert [name for name in tracked if (project / name).read_bytes() != (tmp_path / "clone" / name).read_bytes()] == []
    assert git(tmp_path / "clone", "status", "--porcelain") == ""
