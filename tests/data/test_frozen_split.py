"""Films stay in their split, whatever happens to labels, posters or the catalogue."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from postergenre import params
from postergenre.data import dataset, frozen_split, splits
from postergenre.data.dataset import Dataset
from postergenre.data.splits import DatasetParams
from postergenre.data.store import Store
from postergenre.errors import InputError
from tests.factories import write_store
from tests.support import ROOT

PARAMS = params.load("dataset", DatasetParams, ROOT / "params.yaml").model_copy(
    update={"min_posters": 3, "split": "films"}
)
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
Genres = dict[str, str]


def draw_films(count: int, first: int = 1) -> Genres:
    """Draw the genres of films, by film id: a frequent, a common and a rare one, independently."""
    random = np.random.default_rng(first)
    shares = {"Comedy": 0.3, "Drama": 0.5, "War": 0.06}
    drawn = ([genre for genre, share in shares.items() if random.random() < share] for _ in range(count))
    return {f"tt{first + k:07d}": "|".join(genres or ["Drama"]) for k, genres in enumerate(drawn)}


def run_stage(
    folder: Path, genres_of: Genres, parameters: DatasetParams = PARAMS, copies: dict[str, str] | None = None
) -> tuple[Dataset, str]:
    """Split the films as the dataset stage does; what it made, and what it said of the file."""
    folder.mkdir(exist_ok=True)
    write_store(folder, list(genres_of), copies)
    films = pd.DataFrame({"film_id": list(genres_of), "genres": list(genres_of.values()), "status": "ok"})
    frozen = frozen_split.read(folder / "splits", parameters)
    made = dataset.make(films, Store(folder), parameters, None, frozen.names)
    return made, frozen.add(made.names_of)


def read_file(folder: Path) -> dict[str, str]:
    return splits.read_given(folder / "splits/films.csv")


def test_the_first_run_writes_who_is_where_and_the_second_makes_the_same(tmp_path: Path) -> None:
    films = draw_films(200)
    first, news = run_stage(tmp_path, films)
    file = tmp_path / "splits/films.csv"
    assert news == (
        f"{file}: it was written, with 200 films; films stay in their split from now on. Commit it:\n"
        f"    git add {file}\n    git commit {file}"
    )
    lines = file.read_bytes().decode().split("\n")
    assert lines[:2] == ["# seed 1, val_share 0.15, test_share 0.15", "film_id,split"]
    assert lines[2:-1] == [f"{film_id},{name}" for film_id, name in sorted(first.names_of.items())]
    fresh = splits.stratify(first.selection.labels, first.groups, PARAMS)
    assert first.names.tolist() == fresh.tolist()
    before = file.stat().st_mtime_ns
    second, news = run_stage(tmp_path, films)
    assert (news, file.stat().st_mtime_ns) == ("", before)
    for folder, made in (("one", first), ("two", second)):
        (tmp_path / folder).mkdir()
        dataset.write(tmp_path / folder, made)
    for written in (tmp_path / "one").iterdir():
        assert written.read_bytes() == (tmp_path / "two" / written.name).read_bytes()


def test_no_film_moves_when_a_label_is_corrected_or_films_come_and_go(tmp_path: Path) -> None:
    films = draw_films(200)
    before = run_stage(tmp_path, films)[0].names_of
    corrected = films | {"tt0000007": "War"}
    assert splits.stratify(*_labels_and_groups(corrected), PARAMS).tolist() != list(before.values())
    assert run_stage(tmp_path, corrected)[0].names_of == before
    fewer = {film_id: genres for film_id, genres in corrected.items() if film_id not in ("tt0000003", "tt0000150")}
    after = run_stage(tmp_path, fewer | {"tt0000009": ""})[0].names_of
    assert after.items() <= before.items()
    assert len(after) == 197
    more, news = run_stage(tmp_path, films | draw_films(30, first=1000))
    assert before.items() <= more.names_of.items()
    assert ": 30 films are new in it; " in news
    assert before.items() <= read_file(tmp_path).items()


def _labels_and_groups(genres_of: Genres) -> tuple[np.ndarray, np.ndarray]:
    selection = splits.select(list(genres_of), genres_of, None, PARAMS)
    return selection.labels, np.arange(len(selection.posters))


@pytest.mark.parametrize("step", [1, 40, 200], ids=lambda step: f"{step} at a time")
def test_new_films_are_stratified_around_those_that_stay(step: int) -> None:
    films = draw_films(400)
    ids, labels = list(films), splits.select(list(films), films, None, PARAMS).labels
    frozen: dict[str, str] = {}
    for end in range(200, 401, step):
        names = splits.stratify_around(ids[:end], labels[:end], np.arange(end), frozen, PARAMS)
        frozen = dict(zip(ids[:end], names.tolist(), strict=True))
    for genre in ("Drama", "Comedy", "War"):
        having = [frozen[film_id] for film_id in ids if genre in films[film_id]]
        for name, share in SHARES.items():
            assert having.count(name) == pytest.approx(share * len(having), abs=2.6)
    for name, share in SHARES.items():
        assert list(frozen.values()).count(name) == pytest.approx(share * 400, abs=6)


def test_what_is_lacking_after_a_loss_is_made_up_by_new_films() -> None:
    old, new = draw_films(200), draw_films(200, first=1000)
    frozen = dict.fromkeys(old, "train")
    selection = splits.select([*old, *new], old | new, None, PARAMS)
    names = splits.stratify_around([*old, *new], selection.labels, np.arange(400), frozen, PARAMS)
    assert names[:200].tolist() == ["train"] * 200
    for name, share in SHARES.items():
        assert (names == name).sum() == pytest.approx(share * 400, abs=2)


def test_the_split_of_new_films_depends_on_no_order() -> None:
    films = draw_films(300)
    frozen = dict.fromkeys(list(films)[:100:2], "test") | dict.fromkeys(list(films)[1:100:2], "train")
    made = []
    for ids in (list(films), list(films)[::-1]):
        selection = splits.select(ids, films, None, PARAMS)
        film_ids = selection.posters["film_id"].tolist()
        made.append(splits.stratify_around(film_ids, selection.labels, np.arange(300), frozen, PARAMS).tolist())
    assert made[0] == made[1]


def test_near_duplicates_follow_their_group_and_those_frozen_apart_are_counted(tmp_path: Path) -> None:
    films = draw_films(100)
    before = run_stage(tmp_path, films)[0].names_of
    of = {name: next(film_id for film_id in films if before[film_id] == name) for name in SHARES}
    copies = {f"tt{2000 + k:07d}": film_id for k, film_id in enumerate(of.values())}
    made, _ = run_stage(tmp_path, films | dict.fromkeys(copies, "War"), copies=copies)
    assert [made.names_of[film_id] for film_id in copies] == list(SHARES)
    assert dataset.summary(made)["near_duplicates"] == {"groups": 3, "posters": 6, "groups_across_splits": 0}
    apart = copies | {of["test"]: of["train"], "tt0003000": of["train"]}
    made, _ = run_stage(tmp_path, films | dict.fromkeys([*copies, "tt0003000"], "War"), copies=apart)
    assert before.items() <= made.names_of.items()
    assert made.names_of["tt0003000"] == "train"
    assert dataset.summary(made)["near_duplicates"]["groups_across_splits"] == 1
    assert dataset.describe(made).endswith(
        "those across splits were frozen apart; `postergenre split --new` brings them together"
    )


def test_a_film_that_was_away_comes_back_to_its_split(tmp_path: Path) -> None:
    films = draw_films(150)
    before = run_stage(tmp_path, films)[0].names_of
    other = draw_films(120, first=5000)
    assert run_stage(tmp_path, other)[0].names_of.keys() == other.keys()  # another catalogue in between
    assert run_stage(tmp_path, films | {"tt0000007": "War"})[0].names_of == before


@pytest.mark.parametrize(("key", "value"), [("seed", 2), ("val_share", 0.2), ("test_share", 0.1)])
def test_another_seed_or_share_is_refused_rather_than_ignored(tmp_path: Path, key: str, value: float) -> None:
    films = draw_films(100)
    run_stage(tmp_path, films)
    changed = PARAMS.model_copy(update={key: value})
    file = tmp_path / "splits/films.csv"
    with pytest.raises(InputError) as error:
        run_stage(tmp_path, films, changed)
    assert str(error.value) == (
        f"{file} was made with dataset.{key} {getattr(PARAMS, key)}, and params.yaml has {value}: `postergenre split "
        "--new` makes another split by params.yaml, and another name in dataset.split leaves this one as it is"
    )
    run_stage(tmp_path, films, changed.model_copy(update={"split": "other"}))
    assert (tmp_path / "splits/other.csv").exists()


def test_other_keys_move_no_film(tmp_path: Path) -> None:
    films = draw_films(200)
    before = run_stage(tmp_path, films)[0].names_of
    for change in ({"min_posters": 50}, {"near_duplicate_bits": 0}, {"limit": 120}):
        made = run_stage(tmp_path, films, PARAMS.model_copy(update=change))[0]
        assert made.names_of.items() <= before.items()
    assert len(made.names_of) == 120


def test_a_table_without_a_first_line_is_a_split_to_go_on_with(tmp_path: Path) -> None:
    films = draw_films(100)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/films.csv").write_text("film_id,split\r\ntt0000001,test\r\ntt0000002,val\r\n")
    made, news = run_stage(tmp_path, films, PARAMS.model_copy(update={"seed": 7}))
    assert (made.names_of["tt0000001"], made.names_of["tt0000002"]) == ("test", "val")
    assert "98 films are new" in news
    assert (tmp_path / "splits/films.csv").read_text().startswith("# seed 7, ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# seeds 1\nfilm_id,split\ntt0000001,test\n", "line 1 is '# seeds 1'; it should be as '# seed 1, val_share"),
        (
            "# seed 1, val_share 0.15, test_share 0.15\nfilm_id,split\n<<<<<<< HEAD\n",
            "row 1: the split of <<<<<<< HEAD",
        ),
        ("film_id,split\ntt0000001,val\ntt0000001,test\n", "names tt0000001 more than once"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "films.csv").write_text(text)
    with pytest.raises(InputError, match=expected):
        frozen_split.read(tmp_path, PARAMS)


def test_another_split_is_made_on_purpose_and_says_what_moved(tmp_path: Path) -> None:
    films = draw_films(200)
    before = run_stage(tmp_path, films)[0].names_of
    changed = PARAMS.model_copy(update={"seed": 2})
    fewer = list(films)[:150]
    selection = splits.select(fewer, films, None, changed)
    names = dict(zip(fewer, splits.stratify(selection.labels, np.arange(150), changed).tolist(), strict=True))
    frozen = frozen_split.read_to_replace(tmp_path / "splits", changed)
    moved = sum(before[film_id] != name for film_id, name in names.items())
    said = frozen.replace(names)
    assert f" {moved} of 150 films moved, 0 are new in it, 50 left it. `dvc repro` trains on it. Commit it:" in said
    assert read_file(tmp_path) == names
    again = frozen_split.read(tmp_path / "splits", changed)
    assert "the same split as before; another dataset.seed gives another one" in again.replace(names)
    with pytest.raises(InputError, match=r"dataset\.split_file gives the split data/splits/mine\.csv"):
        frozen_split.read_to_replace(tmp_path, PARAMS.model_copy(update={"split_file": "data/splits/mine.csv"}))


def test_the_samples_split_holds_films_of_the_sample_alone() -> None:
    catalogue = (ROOT / "data/sample/MovieGenre.csv").read_text(encoding="ISO-8859-1")
    sides = frozen_split.read(ROOT / "data/splits", params.load("dataset", DatasetParams, ROOT / "params.yaml")).names
    assert {name: list(sides.values()).count(name) for name in SHARES} == {"train": 1005, "val": 219, "test": 233}
    assert all(f"\n{film_id.removeprefix('tt')}," in catalogue for film_id in sides)
