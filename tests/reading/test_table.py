"""Reading many posters: what was read stays, whatever dies; a poster that cannot be read costs itself alone."""

import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest

from postergenre import files
from postergenre.data import tar_shards
from postergenre.data.tar_shards import Member
from postergenre.data.texts import Engine, Texts
from postergenre.errors import InputError
from postergenre.reading import table
from postergenre.reading.cache import Cache, open_cache
from tests.reading import readers
from tests.support import ROOT

ENGINE = Engine("rapidocr", "1", {})


def pack(folder: Path, posters: dict[str, bytes]) -> dict[str, str]:
    """Write a tar shard; returns the posters' SHA-256 by film."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "shard-00000.tar", "w") as tar:
        for film_id, data in posters.items():
            member = tarfile.TarInfo(f"{film_id}.jpg")
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    return {film_id: files.sha256_text(data.decode()) for film_id, data in posters.items()}


def members(folder: Path, digests: dict[str, str]) -> dict[str, Member]:
    return {digests[member.film_id]: member for member in tar_shards.members(folder / "shard-00000.tar")}


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with open_cache(tmp_path / "downloads", ENGINE) as made:
        yield made


@pytest.mark.slow
def test_a_poster_that_cannot_be_read_costs_itself_alone(
    tmp_path: Path, cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"a": b"one", "b": readers.DIES, "c": readers.FAILS, "d": readers.DAMAGED, "e": readers.DIES_ONCE, "f": b""}
    digests = pack(tmp_path / "posters", texts)
    posters, load = members(tmp_path / "posters", digests), partial(readers.load, tmp_path / "log")
    failures = table.read_new(posters, cache, load)
    assert failures == {
        digests["b"]: "the process that read it died, 2 times",
        digests["c"]: "its reader failed (no memory for this)",
        digests["d"]: "it is damaged",
    }
    assert cache.get(digests["a"]) == (readers.make_line(b"one"),)
    assert cache.get(digests["e"]) == (readers.make_line(readers.DIES_ONCE),)
    assert cache.get(digests["f"]) == ()
    assert cache.get(digests["b"]) is None
    assert "warning: the poster of b has no text: the process that read it died, 2 times\n" in capsys.readouterr().err
    (tmp_path / "log").write_text("")
    del posters[digests["b"]]
    assert failures.items() > table.read_new(posters, cache, load).items()
    again = set((tmp_path / "log").read_text().splitlines())
    assert again == {"fails", "damaged"}, "what was read is read again, or what failed is not"


@pytest.mark.slow
def test_a_stage_that_was_killed_goes_on_from_there(tmp_path: Path, cache: Cache) -> None:
    words = [*(f"poster {n}" for n in range(12)), readers.KILLS.decode(), *(f"poster {n}" for n in range(12, 24))]
    digests = pack(tmp_path / "posters", {f"film{n}": word.encode() for n, word in enumerate(words)})
    code = f"""
from functools import partial
from pathlib import Path
from postergenre.reading import table
from postergenre.reading.cache import open_cache
from tests.reading import readers, test_table
if __name__ == "__main__":
    folder, digests = Path({str(tmp_path)!r}), {digests!r}
    with open_cache(folder / "downloads", test_table.ENGINE) as cache:
        posters = test_table.members(folder / "posters", digests)
        table.read_new(posters, cache, partial(readers.load, folder / "log"))
"""
    (tmp_path / "stage.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "stage.py"], env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    kept = {digest for digest in digests.values() if digest in cache}
    assert len(kept) >= 10
    (tmp_path / "log").write_text("kills\n")
    assert not table.read_new(members(tmp_path / "posters", digests), cache, partial(readers.load, tmp_path / "log"))
    again = {files.sha256_text(line) for line in (tmp_path / "log").read_text().splitlines()}
    assert again == {*digests.values()} - kept
    assert all(digest in cache for digest in digests.values())


@pytest.mark.slow
def test_a_reader_that_does_not_load_ends_the_stage(tmp_path: Path, cache: Cache) -> None:
    digests = pack(tmp_path / "posters", {"a": b"one"})
    with pytest.raises(InputError, match="a process that reads posters could not start"):
        table.read_new(members(tmp_path / "posters", digests), cache, readers.load_none)


def test_another_engine_reads_anew(tmp_path: Path, cache: Cache) -> None:
    cache.put("a" * 64, [readers.make_line(b"one")])
    for other in (Engine("rapidocr", "2", {}), Engine("rapidocr", "1", {"Global.use_cls": True})):
        with open_cache(tmp_path / "downloads", other) as another:
            assert "a" * 64 not in another
    assert cache.get("a" * 64) == (readers.make_line(b"one"),)


def test_a_folder_that_cannot_keep_texts_is_named(tmp_path: Path) -> None:
    (tmp_path / "texts.sqlite").write_text("no database, but a file of some length")
    with pytest.raises(InputError, match=r"texts\.sqlite does not hold texts"), open_cache(tmp_path, ENGINE):
        pass
    (tmp_path / "texts.sqlite").unlink()
    with sqlite3.connect(tmp_path / "texts.sqlite") as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    with pytest.raises(InputError, match="another version of postergenre"), open_cache(tmp_path, ENGINE):
        pass
    (tmp_path / "texts.sqlite").unlink()
    (tmp_path / "texts.sqlite").mkdir()
    sentence = r"cannot keep texts .* \$POSTERGENRE_DOWNLOADS can name another"
    with pytest.raises(InputError, match=sentence), open_cache(tmp_path, ENGINE):
        pass


def test_without_an_engine_the_table_is_empty(tmp_path: Path) -> None:
    digests = pack(tmp_path / "posters", {"a": b"one"})
    (tmp_path / "text").mkdir()
    sentence = table.write(tmp_path / "posters", digests, tmp_path / "text", "none", tmp_path / "downloads")
    assert sentence == "no poster is read, because read.engine is none"
    assert not (tmp_path / "downloads").exists()
    assert len(Texts.read(tmp_path / "text")) == 0


def test_a_poster_that_the_shards_lack_is_named(tmp_path: Path) -> None:
    digests = pack(tmp_path / "posters", {"a": b"one"}) | {"b": "b" * 64}
    with pytest.raises(InputError, match="lacks the poster of b, which its manifest names; run `dvc repro scrape`"):
        table.write(tmp_path / "posters", digests, tmp_path / "text", "rapidocr", tmp_path / "downloads")
