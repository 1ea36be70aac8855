import multiprocessing
import os
import signal
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from postergenre.data import images, packing
from postergenre.data.packing import ResizeParams
from postergenre.data.store import Store
from postergenre.errors import InputError
from tests.support import encode, make_picture

PARAMS = ResizeParams(height=24, width=16, fit="crop")


def shard(folder: Path, number: int, posters: dict[str, bytes]) -> None:
    with tarfile.open(folder / f"shard-{number:05d}.tar", "w") as tar:
        for name, data in posters.items():
            member = tarfile.TarInfo(f"{name}.jpg")
            member.size = len(data)
            tar.addfile(member, BytesIO(data))


@pytest.fixture
def posters(tmp_path: Path) -> Path:
    folder = tmp_path / "posters"
    folder.mkdir()
    shard(folder, 0, {f"tt000000{n}": encode(make_picture(n)) for n in range(1, 6)})
    shard(
        folder, 1, {"tt0000006": encode(make_picture(6)), "tt0000007": b"<html>", "tt0000008": encode(make_picture(8))}
    )
    return folder


def packed(posters: Path, folder: Path) -> Store:
    folder.mkdir()
    packing.write(posters, folder, PARAMS)
    return Store(folder)


def test_each_poster_stands_in_the_row_of_its_film(posters: Path, tmp_path: Path) -> None:
    packs = packed(posters, tmp_path / "out")
    assert packs.film_ids == [f"tt000000{n}" for n in (1, 2, 3, 4, 5, 6, 8)]
    rows = np.array([6, 0, 5, 0])
    for got, n in zip(packs[rows], (8, 1, 6, 1), strict=True):
        np.testing.assert_array_equal(got, images.fit(images.decode(encode(make_picture(n))), 24, 16, "crop"))


def test_a_refused_poster_is_listed_with_its_reason(posters: Path, tmp_path: Path) -> None:
    packed(posters, tmp_path / "out")
    assert (tmp_path / "out/rejects.csv").read_text() == "film_id,reason\ntt0000007,it is a web page\n"


def test_the_same_posters_give_the_same_bytes_and_another_one_changes_its_own_shard(
    posters: Path, tmp_path: Path
) -> None:
    one, two = packed(posters, tmp_path / "one"), packed(posters, tmp_path / "two")
    assert one.digest == two.digest
    shard(posters, 1, {"tt0000009": encode(make_picture(9))})
    three = packed(posters, tmp_path / "three")
    assert three.digest != one.digest
    first, second = "shard-00000.npy", "shard-00001.npy"
    assert (tmp_path / "one" / first).read_bytes() == (tmp_path / "three" / first).read_bytes()
    assert (tmp_path / "one" / second).read_bytes() != (tmp_path / "three" / second).read_bytes()


def test_a_store_that_is_not_whole_is_refused(posters: Path, tmp_path: Path) -> None:
    packed(posters, tmp_path / "out")
    array = tmp_path / "out/shard-00001.npy"
    whole = array.read_bytes()
    array.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"shard-00001\.npy cannot be read"):
        Store(tmp_path / "out")
    np.save(array, np.zeros((2, 5, 5, 3), np.uint8))
    with pytest.raises(InputError, match=r"holds uint8 \(5, 5, 3\); store\.json requires uint8 \(24, 16, 3\)"):
        Store(tmp_path / "out")
    np.save(array, np.zeros((1, 24, 16, 3), np.uint8))
    with pytest.raises(InputError, match="is not one store"):
        Store(tmp_path / "out")
    (tmp_path / "out/store.json").unlink()
    with pytest.raises(InputError, match=r"store\.json is missing; `dvc repro resize` writes it"):
        Store(tmp_path / "out")


@pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="workers would not see the test's function")
def test_a_worker_that_was_killed_says_so(posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "decode", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(InputError, match="processes that decode posters was killed, most likely for memory"):
        packed(posters, tmp_path / "out")


def test_without_semaphores_one_process_packs_the_same_bytes(
    posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = packed(posters, tmp_path / "many").digest

    def fail() -> None:
        raise OSError(30, "Read-only file system")  # a Linux machine without /dev/shm, which a test cannot unmount

    monkeypatch.setattr(multiprocessing, "Lock", fail)
    monkeypatch.setattr(packing, "ProcessPoolExecutor", None)
    assert packed(posters, tmp_path / "one").digest == expected
    assert "warning: no semaphores, because /dev/shm cannot be written" in capsys.readouterr().err
