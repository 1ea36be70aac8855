import errno
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from postergenre import errors, files
from scraper.downloads import open_downloads


@pytest.fixture(autouse=True)
def _sigterm_as_before() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.ENOTDIR])
def test_what_cannot_be_used_ends_a_program_with_one_sentence(code: int) -> None:
    def main() -> None:
        raise OSError(code, "the system's reason", "data/resized")

    with pytest.raises(SystemExit, match=r"^error: data/resized .*: the system's reason; [^\n]*$"):
        errors.run(main)


def test_a_file_where_a_stage_writes_its_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    def main() -> None:
        with files.atomic_folder(tmp_path / "data/resized"):
            raise AssertionError("there is no folder to write into")

    with pytest.raises(
        SystemExit, match=r"^error: \S*data\S* cannot be used: .*; a file lies where a folder should be"
    ):
        errors.run(main)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
def test_downloads_that_cannot_be_kept_are_refused_with_the_variable_that_names_others(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("")
    sentence = r"cannot keep downloads \(.*\); .* \$POSTERGENRE_DOWNLOADS can name another$"
    with pytest.raises(errors.InputError, match=sentence), open_downloads(tmp_path / place):
        raise AssertionError("there is nothing to open")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("Checkout failed:\n  data\n\nIs your cache up to date?", "Checkout failed: data Is your cache up to date?"),
        ("", "ValueError"),
        ("see \x1b[36mhttps://example.org\x1b[39m", "see https://example.org"),
        ("no " * 300 + "Set SPACE=more.", "no " * 300 + "Set SPACE=more."),
    ],
)
def test_another_librarys_message_is_one_whole_line(message: str, line: str) -> None:
    assert errors.one_line(ValueError(message)) == line


def test_of_a_page_that_a_server_sent_both_ends_are_left() -> None:
    line = errors.one_line(ValueError("<html>" + "x" * 10_000 + " do this"))
    assert line.startswith("<html>")
    assert line.endswith(" do this")
    assert len(line) < 1100
