from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from postergenre.data import dataset, near_duplicates, split_tables, splits
from postergenre.data.splits import DatasetParams
from postergenre.data.store import Store
from postergenre.errors import InputError
from tests.factories import write_store

PARAMS = DatasetParams(
    val_share=0.15,
    test_share=0.15,
    min_posters=3,
    near_duplicate_bits=4,
    split="films",
    split_file=None,
    limit=None,
    seed=1,
)


def films(n: int = 400) -> tuple[list[str], dict[str, str]]:
    """Films with a frequent, a common and a rare genre, drawn independently."""
    random = np.random.default_rng(5)
    film_ids = [f"tt{k:07d}" for k in range(1, n + 1)]
    shares = {"Drama": 0.5, "Comedy": 0.3, "War": 0.05}
    drawn = {
        film_id: [g for g, share in shares.items() if random.random() < share] or ["Drama"] for film_id in film_ids
    }
    return film_ids, {film_id: "|".join(sorted(names)) for film_id, names in drawn.items()}


def split(film_ids: list[str], genres_of: dict[str, str], params: DatasetParams = PARAMS) -> dict[str, str]:
    selection = splits.select(film_ids, genres_of, None, params)
    names = splits.stratify(selection.labels, np.arange(len(selection.posters)), params)
    return dict(zip(selection.posters["film_id"], names.tolist(), strict=True))


def test_every_genre_keeps_its_share_in_every_split() -> None:
    film_ids, genres_of = films()
    names = split(film_ids, genres_of)
    for genre in ("Drama", "Comedy", "War"):
        having = [names[film_id] for film_id in film_ids if genre in genres_of[film_id]]
        for name, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
            assert having.count(name) == pytest.approx(share * len(having), abs=1.6)


def test_the_split_depends_on_seed_and_ids_not_on_their_order() -> None:
    film_ids, genres_of = films()
    assert split(film_ids, genres_of) == split(film_ids[::-1], genres_of)
    assert split(film_ids, genres_of) != split(film_ids, genres_of, PARAMS.model_copy(update={"seed": 2}))


def test_near_duplicates_never_stand_on_both_sides() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (300, 4), dtype=np.uint8)
    groups = np.repeat(np.arange(100), 3)
    names = splits.stratify(labels, groups, PARAMS)
    assert set(names) == {"train", "val", "test"}
    assert all(len(set(names[groups == group])) == 1 for group in range(100))


def test_hashes_are_near_in_few_bits_directly_or_by_a_chain() -> None:
    hashes = np.array([0b0, 0b1111, 0b11111111, 1 << 40 | 1 << 50 | 1 << 60 | 0b11 << 20], dtype=np.uint64)
    assert near_duplicates.find_groups(hashes, 4).tolist() == [0, 0, 0, 1]
    assert near_duplicates.find_groups(hashes, 3).tolist() == [0, 1, 2, 3]
    assert near_duplicates.find_groups(hashes, 5).tolist() == [0, 0, 0, 0]


def test_many_hashes_are_compared_across_blocks() -> None:
    hashes = np.random.default_rng(1).integers(0, 1 << 63, 1500, dtype=np.uint64)
    hashes[1400] = hashes[3] ^ np.uint64(1)
    groups = near_duplicates.find_groups(hashes, 2)
    assert groups[1400] == groups[3]
    assert len(np.unique(groups)) == 1499


def test_posters_without_a_usable_genre_are_set_aside_and_rare_genres_named() -> None:
    film_ids = [f"tt{k:07d}" for k in range(8)]
    names = ["Drama|War", "Drama|War", "Drama|Short", "", "Short", "Drama", "Comedy", "Comedy|Drama|War"]
    selection = splits.select(film_ids, dict(zip(film_ids, names, strict=True)), None, PARAMS)
    assert selection.genres == ["Drama", "War"]
    assert selection.dropped == {"Comedy": 2, "Short": 2}
    assert selection.set_aside == {
        "tt0000003": "it has no genre",
        "tt0000004": "its genres are all dropped",
        "tt0000006": "its genres are all dropped",
    }
    assert selection.posters["row"].tolist() == [0, 1, 2, 5, 7]


@pytest.mark.parametrize(
    ("genres", "fewest", "sentence"),
    [
        (["Comedy", ""], 3, "no genre has 3 posters .*two genres are needed.*: Comedy has 1; there is no other genre"),
        (["", ""], 1, "no genre has 1 posters .*: no poster has a genre"),
        (["Drama"] * 9, 3, "one genre has 3 posters .*two genres are needed.*: Drama has 9; there is no other genre"),
        (
            ["Drama|War"] * 2 + ["Drama"] * 7,
            3,
            "one genre has 3 posters .*two genres are needed.*: Drama has 9, War has 2",
        ),
    ],
)
def test_fewer_genres_than_two_are_refused_with_those_that_there_are(
    genres: list[str], fewest: int, sentence: str
) -> None:
    film_ids = [f"tt{k:07d}" for k in range(len(genres))]
    params = PARAMS.model_copy(update={"min_posters": fewest})
    with pytest.raises(InputError, match=f"^{sentence}$"):
        splits.select(film_ids, dict(zip(film_ids, genres, strict=True)), None, params)


def test_a_limit_takes_the_same_posters_whatever_else_there_is() -> None:
    film_ids, genres_of = films(100)
    limited = PARAMS.model_copy(update={"limit": 30})
    few = splits.select(film_ids, genres_of, None, limited)
    assert len(few.posters) == 30
    assert few.posters.equals(splits.select(film_ids, genres_of, None, limited).posters)
    assert list(few.set_aside.values()).count("it is beyond dataset.limit") == 70


def outside(tmp_path: Path, text: str) -> Path:
    (tmp_path / "data/splits").mkdir(parents=True)
    file = tmp_path / "data/splits/published.csv"
    file.write_text(text)
    return file


@pytest.mark.parametrize("column", ["film_id", "imdb_id"])
def test_an_outside_split_is_honoured_exactly(tmp_path: Path, column: str) -> None:
    file = outside(tmp_path, f"{column},split\ntt0000001,test\ntt0000002,train\ntt0000003,val\ntt0000099,train\n")
    given = dataset.read_split_file(str(file), tmp_path / "data/splits")
    assert given == {"tt0000001": "test", "tt0000002": "train", "tt0000003": "val", "tt0000099": "train"}
    genres_of = dict.fromkeys([f"tt000000{n}" for n in range(1, 6)], "Drama|War")
    selection = splits.select(list(genres_of), genres_of, given, PARAMS)
    assert selection.posters["film_id"].tolist() == ["tt0000001", "tt0000002", "tt0000003"]
    assert selection.set_aside["tt0000004"] == "dataset.split_file does not name it"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("film_id,split\ntt0000001,dev\n", "row 1: the split of tt0000001 is 'dev'; it must be train, val, test"),
        ("id,split\ntt0000001,val\n", "has the columns id, split; a split file has film_id, split"),
        ("film_id,split\ntt0000001,val\ntt0000001,test\n", "names tt0000001 more than once"),
        ("", "cannot be read"),
    ],
)
def test_a_wrong_split_file_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    file = outside(tmp_path, text)
    with pytest.raises(InputError, match=expected):
        dataset.read_split_file(str(file), tmp_path / "data/splits")


def test_a_split_file_of_other_films_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path, ["tt0000001", "tt0000002"])
    films = pd.DataFrame({"film_id": ["tt0000001", "tt0000002"], "genres": "Drama", "status": "ok"})
    with pytest.raises(InputError, match=r"mine\.csv names none of the 2 posters that are here; .* as tt0000001"):
        dataset.make(films, Store(tmp_path), PARAMS.model_copy(update={"split_file": "mine.csv"}), {"1": "train"}, {})


def test_a_split_file_where_dvc_does_not_look_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it must lie in"):
        dataset.read_split_file(str(tmp_path / "else.csv"), tmp_path / "data/splits")


def test_a_split_without_test_posters_is_refused() -> None:
    with pytest.raises(InputError, match="leave none for test"):
        splits.check_filled(np.array(["train", "val"]))


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    pd.DataFrame({"film_id": ["tt0000007"], "row": [3], "Comedy": [0], "Film-Noir": [1]}).to_csv(
        tmp_path / "val.csv", index=False
    )
    read = split_tables.read_split(tmp_path / "val.csv")
    assert (read.film_ids, read.rows.tolist(), read.genres) == (["tt0000007"], [3], ["Comedy", "Film-Noir"])
    assert read.labels.dtype == np.uint8
    assert read.labels.tolist() == [[0, 1]]
