"""Posters from a folder: which file is a film's, what is refused, and that changed files are noticed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postergenre.errors import InputError
from scraper.downloads import Downloads, open_downloads
from scraper.folder import Folder, check_template
from tests.support import encode, make_picture


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Downloads]:
    """The downloads of a project, in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with open_downloads(tmp_path / "downloads") as opened:
        yield opened


def put(name: str, seed: int = 1) -> Path:
    """Put a poster into the project."""
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encode(make_picture(seed), "PNG" if name.endswith("png") else "JPEG"))
    return file


def store(downloads: Downloads, template: str, film_id: str = "tt0000001", max_bytes: int = 10**6) -> str:
    """Store a film's poster; what became of it: the file, or status and reason."""
    check_template(template)
    Folder(template, max_bytes).store(film_id, downloads)
    key = template.replace("{id}", film_id).replace("{imdb_id}", film_id)
    if fields := downloads.get_manifest_fields(key):
        return str(fields["url"])
    miss = downloads.get_miss(key)
    return f"{miss.status}, {miss.reason}" if miss else ""


@pytest.mark.parametrize(
    ("file", "template"),
    [
        ("mine/tt0000001.jpg", "folder:mine/{id}.jpg"),
        ("mine/tt0000001.jpg", "folder:mine/{imdb_id}.jpg"),
        ("tt0000001.png", "folder:{id}.png"),
        ("mine/tt0000001.JPG", "folder:mine/{id}.*"),
        ("mine/tt0000001/poster.png", "folder:mine/{id}/poster.*"),
        ("mine/Drama/old/tt0000001.jpg", "folder:mine/**/{id}.jpg"),
        ("mine/Drama/tt0000001.jpeg", "folder:mine/**/{id}.*"),
    ],
)
def test_a_films_file_is_read_as_it_is(downloads: Downloads, file: str, template: str) -> None:
    body = put(file).read_bytes()
    put("mine/Drama/tt00000012.jpg", 2)
    Path("mine/tt0000001.txt").write_text("notes")
    assert store(downloads, template) == f"folder:{file}"
    poster = downloads.get(template.replace("{id}", "tt0000001").replace("{imdb_id}", "tt0000001"))
    assert (poster.body, poster.extension) == (body, "png" if file.endswith("png") else "jpg")


def test_what_is_no_poster_ends_with_its_reason(downloads: Downloads) -> None:
    put("mine/both.jpg"), put("mine/both.png"), put("outside.jpg")
    Path("mine/page.jpg").write_text("<html>")
    Path("mine/dir.jpg").mkdir()
    os.mkfifo("mine/pipe.jpg")
    Path("mine/link.jpg").symlink_to(Path("outside.jpg").resolve())
    Path("mine/lost.jpg").symlink_to("nowhere.jpg")
    results = {name: store(downloads, "folder:mine/{id}.jpg", name) for name in ("none", "page", "dir", "pipe", "lost")}
    assert results == {
        "none": "gone, no such file",
        "page": "not-a-poster, it is a web page",
        "dir": "not-a-poster, it is no file",
        "pipe": "not-a-poster, it is no file",
        "lost": "gone, its link leads nowhere",
    }
    assert store(downloads, "folder:mine/{id}.jpg", "link") == "refused, it leads out of the folder"
    assert store(downloads, "folder:mine/{id}.*", "both") == "failed, 2 files fit and differ: both.jpg, both.png"
    assert store(downloads, "folder:mine/{id}.jpg", "both", max_bytes=9) == "failed, larger than scrape.max_bytes"


def test_a_film_in_the_folders_of_two_genres_has_one_poster(downloads: Downloads) -> None:
    put("mine/Drama/a.jpg"), put("mine/Comedy/a.jpg"), put("mine/.cache/a.jpg", 2), put("mine/Drama/._a.jpg", 2)
    assert store(downloads, "folder:mine/**/{id}.*", "a") == "folder:mine/Comedy/a.jpg"
    put("mine/Horror/a.jpg", 3)
    differ = "failed, 3 files fit and differ: Comedy/a.jpg, Drama/a.jpg, Horror/a.jpg"
    assert store(downloads, "folder:mine/**/{id}.*", "a") == differ


@pytest.mark.parametrize("film_id", ["..", ".", "../outside", "/etc/passwd"])
def test_an_id_is_never_a_path(downloads: Downloads, film_id: str) -> None:
    put("outside.jpg"), put("poster.jpg"), put("mine/poster.jpg"), put("mine/tt1.jpg")
    for template in ("folder:mine/{id}.jpg", "folder:mine/{id}/poster.jpg", "folder:mine/{id}/poster.*"):
        assert store(downloads, template, film_id).startswith(("refused", "gone"))


def test_a_folder_may_be_a_link_itself(downloads: Downloads) -> None:
    put("elsewhere/tt0000001.jpg")
    Path("mine").symlink_to("elsewhere")
    assert store(downloads, "folder:mine/{id}.jpg") == "folder:mine/tt0000001.jpg"


def test_a_changed_file_is_read_again_and_a_deleted_one_is_gone(downloads: Downloads) -> None:
    file, template = put("mine/tt0000001.jpg"), "folder:mine/{id}.jpg"
    store(downloads, template)
    times = file.stat()
    file.write_bytes(encode(make_picture(7)))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    store(downloads, template)
    assert downloads.get("folder:mine/tt0000001.jpg").body == file.read_bytes()
    file.unlink()
    assert store(downloads, template) == "gone, no such file"
    put("mine/tt0000001.jpg")
    assert store(downloads, template) == "folder:mine/tt0000001.jpg"


def test_the_manifest_names_no_path_of_this_machine(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    put("mine/tt0000001.jpg")
    monkeypatch.setenv("DVC_ROOT", str(Path.cwd()))
    Path("copy").mkdir()
    monkeypatch.chdir("copy")  # as in `dvc exp run --temp`
    assert store(downloads, "folder:mine/{id}.jpg") == "folder:mine/tt0000001.jpg"


def test_a_film_without_an_imdb_id_has_no_file_by_it(downloads: Downloads) -> None:
    put("mine/my-film.jpg")
    assert store(downloads, "folder:mine/{imdb_id}.jpg", "my-film") == ""


def test_a_folder_that_is_not_here_is_no_folder_without_posters(downloads: Downloads) -> None:
    with pytest.raises(InputError, match=r"folder:mine/\{id\}\.jpg, but mine is no folder"):
        Folder("folder:mine/{id}.jpg", 1).check()


@pytest.mark.parametrize(
    "template",
    [
        *("folder:mine", "folder:mine/{title}.jpg", "folder:m*/{id}.jpg", "folder:**/x/{id}.jpg", "folder:a/{id}*"),
        *("folder:~/mine/{id}.jpg", r"folder:C:\mine\{id}.jpg"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"should have|may have"):
        check_template(template)
