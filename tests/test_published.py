from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from benchmarks import published


def table(file: Path, films: int) -> pd.DataFrame:
    random = np.random.default_rng(4)
    genres = [["Drama", "Comedy", "Action"][: random.integers(1, 4)] for _ in range(films)]
    made = pd.DataFrame({"Id": [f"tt{n:07d}" for n in range(1, films + 1)], "Genre": [str(names) for names in genres]})
    made.loc[::9, "Genre"] = "['N/A']"
    made.to_csv(file, index=False)
    return made


def test_the_splits_are_those_of_scikit_learn_on_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = table(tmp_path / "train.csv", 200)
    (tmp_path / "data/splits").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    published.main(["splits", "train.csv"])
    plain = pd.read_csv("data/splits/published-80-10-10.csv").set_index("imdb_id")["split"]
    train, rest = train_test_split(films, test_size=0.2, random_state=42)
    val, test = train_test_split(rest, test_size=0.5, random_state=42)
    for name, part in (("train", train), ("val", val), ("test", test)):
        assert set(plain.index[plain == name]) == set(part["Id"])
    counted = pd.read_csv("data/splits/published-70-15-15.csv").set_index("imdb_id")["split"]
    labels = films["Genre"].str.count(",") + 1  # N/A is one, as in the set's own table
    train, rest, _, left = train_test_split(films, labels, test_size=0.3, random_state=42, stratify=labels)
    val, test = train_test_split(rest, test_size=0.5, random_state=42, stratify=left)
    for name, part in (("train", train), ("val", val), ("test", test)):
        assert set(counted.index[counted == name]) == set(part["Id"])


def test_figures_stand_beside_the_published_ones(tmp_path: Path) -> None:
    rows = [
        (answer, metric, value)
        for answer, value in (("model", 0.25), ("{Drama, Comedy}", 0.5))
        for metric in ("hamming", "f1_weighted")
    ]
    pd.DataFrame(rows, columns=["answer", "metric", "value"]).to_csv(tmp_path / "comparison.csv", index=False)
    (tmp_path / "summary.json").write_text('{"posters": {"train": 80, "val": 10, "test": 10}}')
    text = published.figures("80-10-10", tmp_path / "comparison.csv", tmp_path / "summary.json")
    assert "| hamming | 0.084 | 0.250 | 0.500 |" in text
    assert "| f1_weighted | 0.309 | 0.250 | 0.500 |" in text
    assert "Ours are of 100 of the set's 7,254 posters: not comparable." in text
