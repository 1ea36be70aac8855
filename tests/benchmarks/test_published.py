import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from benchmarks import published
from postergenre import params
from postergenre.data import catalogue, dataset, split_tables, splits
from postergenre.data.splits import DatasetParams
from postergenre.data.store import Store
from postergenre.errors import InputError
from postergenre.evaluation import baselines, comparison, test_predictions
from postergenre.evaluation.bootstrap import resample_counts
from postergenre.evaluation.evaluator import Predictions
from tests.factories import write_store
from tests.support import ROOT, run


def table(file: Path, films: int) -> pd.DataFrame:
    random = np.random.default_rng(4)
    genres = [["Drama", "Comedy", "Action"][: random.integers(1, 4)] for _ in range(films)]
    made = pd.DataFrame({"Id": [f"tt{n:07d}" for n in range(1, films + 1)], "Genre": [str(names) for names in genres]})
    made.loc[::9, "Genre"] = "['N/A']"
    made.to_csv(file, index=False)
    return made


def test_the_splits_are_those_of_scikit_learn_on_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = table(tmp_path / "train.csv", 200)
    monkeypatch.chdir(tmp_path)
    published.main(["splits", "train.csv"])
    plain = pd.read_csv("data/splits/published-80-10-10.csv").set_index("film_id")["split"]
    train, rest = train_test_split(films, test_size=0.2, random_state=42)
    val, test = train_test_split(rest, test_size=0.5, random_state=42)
    for name, part in (("train", train), ("val", val), ("test", test)):
        assert set(plain.index[plain == name]) == set(part["Id"])
    counted = pd.read_csv("data/splits/published-70-15-15.csv").set_index("film_id")["split"]
    labels = films["Genre"].str.count(",") + 1  # N/A is one, as in the set's own table
    train, rest, _, left = train_test_split(films, labels, test_size=0.3, random_state=42, stratify=labels)
    val, test = train_test_split(rest, test_size=0.5, random_state=42, stratify=left)
    for name, part in (("train", train), ("val", val), ("test", test)):
        assert set(counted.index[counted == name]) == set(part["Id"])


def test_a_film_without_an_id_keeps_its_place_in_the_order_and_is_named_in_no_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = table(tmp_path / "train.csv", 200)
    monkeypatch.chdir(tmp_path)
    published.main(["splits", "train.csv"])
    names = published.PUBLISHED
    whole = {name: splits.read_given(published.split_file(name)) for name in names}
    films.loc[[3, 50], "Id"] = ["none", ""]
    films.to_csv("train.csv", index=False)
    published.main(["splits", "train.csv"])
    for name in names:
        left = {film_id: split for film_id, split in whole[name].items() if film_id not in ("tt0000004", "tt0000051")}
        assert splits.read_given(published.split_file(name)) == left


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The output of `figures` for 92 rows of 90 films, ten of them without a genre.

    The first `fetched` films have a poster.
    """
    films = table(tmp_path / "train.csv", 90)
    pd.concat([films, films[3:5]]).to_csv(tmp_path / "train.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "ROWS", 92)
    monkeypatch.setattr(published, "FILMS", 90)
    published.main(["splits", "train.csv"])

    def made(
        name: str = "80-10-10",
        fetched: int = 90,
        given: str | None = "data/splits/published-80-10-10.csv",
        fewest: int = 1,
    ) -> list[str]:
        films = [(film.film_id, "|".join(film.genres), "ok") for film in catalogue.read(Path("train.csv"))]
        films = films[:90][:fetched]
        section = {
            "val_share": 0.2,
            "test_share": 0.2,
            "near_duplicate_bits": 0,
            "split": "films",
            "limit": None,
            "seed": 1,
        }
        parsed = params.parse("dataset", DatasetParams, section | {"split_file": given, "min_posters": fewest})
        Path("resized").mkdir()
        write_store(Path("resized"), [film_id for film_id, *_ in films])
        manifest = pd.DataFrame(films, columns=["film_id", "genres", "status"])
        outside = dataset.read_split_file(given, Path("data/splits"))
        dataset.write(Path("data"), dataset.make(manifest, Store(Path("resized")), parsed, outside, {}))
        evaluate(Path("comparison.csv"))
        return published.results(name, Path("comparison.csv"), Path("data/summary.json")).splitlines()

    return made


def evaluate(file: Path) -> None:
    """Writes the files of an evaluation of a model that never predicts a genre."""
    train, val, test = (split_tables.read_split(Path("data", f"{name}.csv")) for name in split_tables.NAMES)
    predictions = {"model": Predictions(np.zeros(len(test.genres)), np.ones(len(test.genres)), 1.0)}
    predictions |= baselines.fit(train, val, 2)
    comparison.compare(test.labels, predictions, resample_counts(len(test.rows), 10, 1)).write(file)
    test_predictions.write(file.parent / test_predictions.FILE, test, np.zeros(test.labels.shape))


def test_results_for_all_films_stand_beside_the_published_ones(evaluated: Callable[..., list[str]]) -> None:
    lines = evaluated()
    assert lines[0] == "| metric | published | ours | {Drama, Comedy} |"
    test = split_tables.read_split(Path("data/test.csv"))
    constant = np.isin(test.genres, ["Drama", "Comedy"])
    assert (
        f"| Hamming loss, at 0.5 (lower is better) | 0.092 | {test.labels.mean():.3f} | "
        f"{(test.labels != constant).mean():.3f} |"
    ) in lines
    assert [line.split(" | ")[:2] for line in lines[2:8]] == [
        ["| F1, micro, at 0.5", "0.340"],
        ["| F1, micro", "0.340"],
        ["| F1, macro, at 0.5", "0.049"],
        ["| F1, macro", "0.049"],
        ["| F1, samples, at 0.5", "0.350"],
        ["| F1, samples", "0.350"],
    ]
    assert lines[9:] == [
        "",
        "Published, all at a threshold of 0.5: https://github.com/denisababeii/mlops_group_11",
        "2 of the set's 92 rows name a film again; ours are without these rows.",
        "10 of the set's films have no genre and are in none of our splits.",
    ]


def test_the_split_by_label_count_has_the_figures_that_were_published_on_it(
    evaluated: Callable[..., list[str]],
) -> None:
    lines = evaluated("70-15-15", given="data/splits/published-70-15-15.csv")
    assert [line.split(" | ")[:2] for line in lines[2:5]] == [
        ["| Hamming loss, at 0.5 (lower is better)", "0.084"],
        ["| F1, weighted, at 0.5", "0.309"],
        ["| F1, weighted", "0.309"],
    ]
    assert lines[6].endswith("https://github.com/fmwz/MoviePoster-Multi-label-classifier")


def test_results_for_some_posters_are_not_comparable(evaluated: Callable[..., list[str]]) -> None:
    assert evaluated(fetched=80)[-1] == "Not comparable: our results are for 80 of the set's 90 posters."


def test_results_without_the_rare_genres_are_not_comparable(evaluated: Callable[..., list[str]]) -> None:
    lines = evaluated(fewest=40)
    assert lines[-1] == "Not comparable: dataset.min_posters is not 1, so our results leave out Action."


def test_the_constant_baseline_is_that_of_the_evaluation(evaluated: Callable[..., list[str]]) -> None:
    evaluated()
    file = Path("comparison.csv")
    file.write_text(file.read_text().replace("{Drama, Comedy}", "{Comedy, Short}"))
    lines = published.results("80-10-10", file, Path("data/summary.json")).splitlines()
    assert lines[0] == "| metric | published | ours | {Comedy, Short} |"


@pytest.mark.parametrize("given", [None, "data/splits/published-70-15-15.csv"])
def test_a_run_on_another_split_is_refused(evaluated: Callable[..., list[str]], given: str | None) -> None:
    with pytest.raises(InputError, match=rf"split_file {given or 'null'}; these results are for .*published-80-10-10"):
        evaluated(given=given)


@pytest.mark.parametrize(
    ("lines_kept", "reason"),
    [
        (None, "is missing; `dvc repro evaluate` writes it"),
        ("", "is not as the evaluate stage writes it"),
        ("predictor|{Drama", "has the predictor model, baselines, and every metric of each"),
        ("predictor|model", "has the predictor model, baselines, and every metric of each"),
        ("predictor|model,map|{Drama", "has the predictor model, baselines, and every metric of each"),
        ("predictor|model|no genre", r"has no baseline such as {Drama, Comedy}; run `dvc repro evaluate`"),
    ],
)
def test_an_evaluation_without_the_scores_is_refused(
    evaluated: Callable[..., list[str]], lines_kept: str | None, reason: str
) -> None:
    evaluated()
    file = Path("comparison.csv")
    lines = file.read_text().splitlines(keepends=True)
    file.unlink()
    if lines_kept is not None:
        file.write_text("".join(line for line in lines if lines_kept and re.match(lines_kept, line)))
    with pytest.raises(InputError, match=reason):
        published.results("80-10-10", file, Path("data/summary.json"))


def test_an_evaluation_of_other_test_posters_is_refused(evaluated: Callable[..., list[str]]) -> None:
    evaluated()
    other = split_tables.read_split(Path("data/val.csv"))
    test_predictions.write(Path(test_predictions.FILE), other, np.zeros(other.labels.shape))
    with pytest.raises(InputError, match=r"comparison\.csv is for other test posters than data/test\.csv names"):
        published.results("80-10-10", Path("comparison.csv"), Path("data/summary.json"))


def test_the_first_row_of_a_film_with_two_rows_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    films = table(tmp_path / "train.csv", 200)
    monkeypatch.chdir(tmp_path)
    published.main(["splits", "train.csv"])
    whole = splits.read_given(published.split_file("80-10-10"))
    films.loc[199, "Id"] = "tt0000001"
    films.to_csv("train.csv", index=False)
    published.main(["splits", "train.csv"])
    del whole["tt0000200"]
    assert splits.read_given(published.split_file("80-10-10")) == whole
    assert capsys.readouterr().out.endswith("199 films\n1 rows of train.csv name a film again; they are left out\n")


@pytest.mark.parametrize("films", [1, 12])
def test_a_table_too_small_to_be_split_so_is_refused(tmp_path: Path, films: int) -> None:
    table(tmp_path / "train.csv", films)
    with pytest.raises(InputError, match=rf"train\.csv: its {films} films are too few for these splits: "):
        published.write(tmp_path / "train.csv")


def test_a_summary_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(InputError, match="is not as the dataset stage writes it"):
        published.results("80-10-10", tmp_path / "comparison.csv", tmp_path / "summary.json")


def test_without_a_dataset_it_ends_with_one_sentence(tmp_path: Path) -> None:
    ended = run(
        sys.executable, "-m", "benchmarks.published", "figures", "80-10-10", cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert ended.returncode == 1
    assert ended.stderr == "error: data/dataset/summary.json is missing; `dvc repro dataset` writes it\n"
