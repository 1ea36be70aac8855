import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pytest

from postergenre import files
from postergenre.errors import InputError
from tests import support


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for text in ("one", "two"):
        with files.atomic_folder(target) as folder:
            (folder / f"{text}.txt").write_text(text)
    assert [file.name for file in target.iterdir()] == ["two.txt"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_may_have_the_longest_name_that_there_is(tmp_path: Path) -> None:
    for name in ("a" * 255, "é" * 127):
        with files.atomic_write(tmp_path / name) as new:
            new.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"


def test_what_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old.txt").write_text("old")
    (tmp_path / "file.txt").write_text("old")

    def fail_in_a_folder() -> None:
        with files.atomic_folder(tmp_path / "out") as folder:
            (folder / "new.txt").write_text("new")
            raise RuntimeError

    def fail_in_a_file() -> None:
        with files.atomic_write(tmp_path / "file.txt") as file:
            file.write_text("new")
            raise RuntimeError

    for fail in (fail_in_a_folder, fail_in_a_file):
        with pytest.raises(RuntimeError):
            fail()
    assert (tmp_path / "out/old.txt").read_text() == (tmp_path / "file.txt").read_text() == "old"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file.txt", "old.txt", "out"]


@contextmanager
def killed_and_running(begin: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Two processes that are writing in a folder, of which one was killed. Yields the other.

    begin: how the block of each begins.
    """
    write = f"import time\nfrom pathlib import Path\nfrom postergenre import files\nwith {begin}\n"
    write += "    print(flush=True); time.sleep(600)"
    command = [sys.executable, "-c", write]
    with (
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as killed,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as running,
    ):
        for process in (killed, running):
            assert process.stdout
            process.stdout.readline()
        killed.kill()
        killed.wait()
        yield running


def test_what_a_killed_process_left_goes_with_the_next_run_and_what_others_write_stays(tmp_path: Path) -> None:
    begin = "files.atomic_folder(Path('out')) as folder:\n    (folder / 'half').touch()"
    with killed_and_running(begin, tmp_path) as running:
        (tmp_path / ".out-12345678").mkdir()
        (tmp_path / ".out-12345678/mine.txt").touch()
        assert len(list(tmp_path.glob(".out-*"))) == 3
        try:
            with files.atomic_folder(tmp_path / "out") as folder:
                (folder / "whole").touch()
            assert [file.parent.name for file in tmp_path.glob(".out-*/new/half")] != []
            assert len(list(tmp_path.glob(".out-*"))) == 2
        finally:
            running.kill()
    assert (tmp_path / ".out-12345678/mine.txt").exists()
    with files.atomic_folder(tmp_path / "out"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out-12345678", "out"]


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_write_and_what_others_write_stays(
    tmp_path: Path,
) -> None:
    begin = "files.atomic_write(Path('a.csv')) as new:\n    new.write_text('half')"
    with killed_and_running(begin, tmp_path) as running:
        try:
            with files.atomic_write(tmp_path / "a.csv") as new:
                new.write_text("whole")
            assert len(list(tmp_path.glob(".a.csv-*/new"))) == 1
        finally:
            running.kill()
    with files.atomic_write(tmp_path / "a.csv") as new:
        new.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_that_a_killed_process_had_moved_away_comes_back(tmp_path: Path) -> None:
    killed = tmp_path / ".out-abcdefgh"
    for name in ("old", "new"):
        (killed / name).mkdir(parents=True)
    (killed / "old/only copy").touch()

    def fail() -> None:
        with files.atomic_folder(tmp_path / "out"):
            assert (tmp_path / "out/only copy").exists()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["only copy", "out"]


def test_a_folder_that_another_process_removes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, locks = tempfile.mkdtemp, list[filelock.BaseFileLock]()

    def make_and_lock(*words: Any, **options: Any) -> str:
        folder = str(make(*words, **options))
        if not locks:  # the first is another's to remove
            locks.append(filelock.FileLock(Path(folder, files.LOCK), is_singleton=False))
            locks[0].acquire()
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lock)
    with files.atomic_folder(tmp_path / "out") as folder:
        (folder / "whole").touch()
    locks[0].release()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["out", "whole"]


def test_json_that_is_missing_or_broken_names_its_maker(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.json is missing; `dvc repro` writes it"):
        files.read_json(tmp_path / "a.json", "`dvc repro`")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json is not JSON .*; `dvc repro` writes it anew"):
        files.read_json(tmp_path / "a.json", "`dvc repro`")


@pytest.mark.parametrize(
    ("line", "code", "expected"),
    [
        ("raise errors.InputError('the poster is upside down')", 1, "error: the poster is upside down\n"),
        (
            "raise OSError(errno.ENOSPC, 'No space left on device', 'models')",
            1,
            "error: models could not be written: No",
        ),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", 143, ""),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", 130, ""),
        ("raise OSError(errno.EIO, 'Input/output error', 'models')", 1, "Traceback"),
        ("pass", 0, ""),
    ],
)
def test_a_program_ends_with_a_code_and_a_sentence(tmp_path: Path, line: str, code: int, expected: str) -> None:
    # What runs in the background of a shell inherits that it ignores Ctrl-C.
    listen = "import errno, os, signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listen}\nfrom postergenre import errors\ndef main():\n    {line}\nerrors.run(main)"
    done = support.run(sys.executable, "-c", program, cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith(expected)
    assert bool(done.stderr) == bool(expected)
