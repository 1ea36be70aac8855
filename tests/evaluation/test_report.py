import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from postergenre import files, params
from postergenre.data import genres, manifest, split_tables
from postergenre.data.texts import Line
from postergenre.errors import InputError
from postergenre.evaluation import (
    comparison,
    html_report,
    model_card,
    plot_tables,
    poster_examples,
    report,
    terminal,
    test_predictions,
)
from postergenre.evaluation.comparison import COLUMNS
from postergenre.evaluation.evaluator import Predictions
from postergenre.evaluation.metrics import METRICS
from postergenre.evaluation.poster_examples import Outcome
from postergenre.evaluation.report import EvaluateParams, EvaluationData, Report
from postergenre.networks import calibration
from postergenre.networks.calibration import Calibration
from tests.factories import write_store

PARAMS = EvaluateParams(bootstrap=100, seed=1, pictures=4)
GENRES = ["Comedy", "Drama", "Film-Noir & <em>"]
TITLE = '<script>alert("1")</script> (1987)'
POSTERS = {"train": 40, "val": 20, "test": 30}


def labels(name: str) -> np.ndarray:
    random = np.random.default_rng(len(name))
    drawn = (random.random((POSTERS[name], 3)) < [0.4, 0.6, 0.2]).astype(np.uint8)
    drawn[:, 1] |= drawn.sum(axis=1) == 0
    return drawn


def project(root: Path) -> Path:
    """What the stages before leave behind, on tiny posters."""
    manifest_rows, start = [], 0
    for folder in ("posters", "resized", "dataset", "models"):
        (root / folder).mkdir(parents=True)
    for name, count in POSTERS.items():
        ids = [f"tt{k:07d}" for k in range(start, start + count)]
        table = pd.DataFrame({"film_id": ids, "row": range(start, start + count)})
        table[GENRES] = labels(name)
        table.to_csv(root / "dataset" / f"{name}.csv", index=False)
        manifest_rows += [(k + 1, film_id, TITLE) for k, film_id in enumerate(ids)]
        start += count
    films = pd.DataFrame(manifest_rows, columns=["row", "film_id", "title"])
    link = "http://127.0.0.1/x.jpg"
    films = films.assign(genres="Drama", status="ok", reason="", asked=link, url=link, http_status=200, attempts=1)
    films = films.assign(sha256="", bytes=1, width=60, height=90, shard="shard-00000.tar")
    films.to_csv(root / "posters/manifest.csv", index=False, columns=manifest.COLUMNS)
    write_store(root / "resized", films["film_id"].tolist())
    files.write_json(root / "dataset/genres.json", genres.vocabulary(GENRES))
    files.write_json(root / "dataset/summary.json", {"near_duplicates": {"groups_across_splits": 0}})
    known = Calibration("temperature", np.full(3, 2.0), np.zeros(3), {"none": 0.6, "temperature": 0.5, "platt": 0.55})
    files.write_json(root / "models/calibration.json", calibration.to_json(known, GENRES))
    write_model(root)
    return root


def write_model(root: Path) -> None:
    history = {"epoch": [1, 2], "loss": [0.7, 0.6], "val_loss": [0.7, 0.65], "val_map": [0.4, 0.5]}
    pd.DataFrame(history).to_csv(root / "models/history.csv", index=False)
    (root / "models/summary.txt").write_text("conv <1>\n")
    run = {
        "model": "b" * 64,
        "weights": 1234,
        "best_epoch": 2,
        "params": {
            "train": {"network": "tiny", "threshold_shrinkage": 20},
            "network": {"backbone": None, "architecture": {"backbone": None}},
        },
        "data": {"store": "a" * 64, "dataset": split_tables.digest(root / "dataset")},
        "backend": {"name": "tensorflow", "keras": "3"},
    }
    files.write_json(root / "models/run.json", run)


def read(root: Path) -> EvaluationData:
    folders = (root / name for name in ("resized", "text", "dataset", "models"))
    return report.read_data(root / "posters/manifest.csv", *folders)


def heatmaps(posters: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The evidence for every genre is in the upper half."""
    heat = np.zeros_like(posters[..., 0], np.float32)
    heat[:, : posters.shape[1] // 2] = 1
    return heat


def predictions(data: EvaluationData) -> dict[str, Predictions]:
    """Right more often than not."""
    truth = data.splits["test"].labels
    scores = np.random.default_rng(9).random(truth.shape) * 0.8 + 0.2 * truth
    return {"model": Predictions(scores.astype(np.float32), np.full(3, 0.5), 0.5)}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Report:
    data = read(project(tmp_path_factory.mktemp("report")))
    return report.evaluate(data, predictions(data), PARAMS)


@pytest.fixture(scope="module")
def html(evaluated: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("html") / "report.html"
    html_report.write(file, evaluated, PARAMS.pictures, heatmaps)
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("changed", ["dataset/val.csv", "resized/store.json"])
def test_a_model_of_another_dataset_is_refused_in_one_sentence(tmp_path: Path, changed: str) -> None:
    root = project(tmp_path)
    file = root / changed
    file.write_text(file.read_text().replace("tt0000040", "tt9999999").replace("a" * 64, "b" * 64))
    with pytest.raises(InputError, match=r"was trained on another dataset than .* hold; run `dvc repro`$"):
        read(root)


@pytest.mark.parametrize("wrong", [{"bootstrap": 99}, {"seed": -1}, {"pictures": 61}, {"pictures": -1}])
def test_impossible_params_are_refused(wrong: dict[str, int]) -> None:
    (key,) = wrong
    with pytest.raises(InputError, match=rf"evaluate\.{key} is .*; it should be"):
        params.parse("evaluate", EvaluateParams, PARAMS.model_dump() | wrong)


def test_the_folder_holds_every_metric_of_every_predictor(evaluated: Report, tmp_path: Path) -> None:
    report.write(tmp_path, evaluated)
    metrics = files.read_json(tmp_path / "metrics.json", "the test")
    before = {"bce_uncalibrated", "brier_uncalibrated", "ece_uncalibrated"}
    assert set(metrics) == set(METRICS) | before | {"test_posters", "genres", "genres_evaluated"}
    assert (metrics["test_posters"], metrics["genres"], metrics["genres_evaluated"]) == (30, 3, 3)
    comparison = pd.read_csv(tmp_path / "comparison.csv")
    assert list(comparison.columns) == COLUMNS == ["predictor", "metric", "value", "low", "high"]
    assert comparison["predictor"].unique().tolist() == list(evaluated.predictions)
    assert len(comparison) == len(evaluated.predictions) * len(METRICS)
    assert metrics["map"] == pytest.approx(comparison["value"][0])
    saved = test_predictions.read(tmp_path / "test_predictions.csv.gz")
    assert saved.film_ids == evaluated.test.film_ids
    np.testing.assert_array_equal(saved.labels, labels("test"))
    np.testing.assert_array_equal(saved.probabilities, evaluated.model.probabilities)
    subgroups = pd.read_csv(tmp_path / "subgroups.csv")
    assert subgroups["posters"].tolist() == evaluated.subgroups["posters"].tolist()
    per_genre = pd.read_csv(tmp_path / "per_genre.csv")
    assert per_genre["genre"].tolist() == GENRES
    for name in POSTERS:
        assert per_genre[name].tolist() == labels(name).sum(axis=0).tolist()
    assert {file.name for file in (tmp_path / "plots").iterdir()} == {
        "precision_recall.csv",
        "reliability.csv",
        "genre_counts.csv",
        "cooccurrence.csv",
    }


LINE = Line("A <b>funny</b> film", 0.9, (0.0,) * 8, 0.1)
READ: list[Sequence[Line]] = [(LINE,) if row % 3 else () for row in range(POSTERS["test"])]


def test_a_model_that_reads_stands_beside_its_parts(evaluated: Report, tmp_path: Path) -> None:
    truth, random = evaluated.test.labels, np.random.default_rng(5)
    picture, text = (random.random(truth.shape) * noise + (1 - noise) * truth for noise in (0.9, 0.8))
    parts = {"model": (picture + text) / 2, "picture alone": picture, "text alone": text}
    each = {name: Predictions(scores.astype(np.float32), np.full(3, 0.5), 0.5) for name, scores in parts.items()}
    run = evaluated.data.run | {"params": evaluated.data.run["params"] | {"text": {"encoder": "mpnet"}}}
    made = report.evaluate(replace(evaluated.data, lines=READ, run=run), each, PARAMS)
    assert made.comparison.parts == ["picture alone", "text alone"]
    assert made.comparison.baselines == evaluated.comparison.baselines
    gain = made.comparison.score("map").value - made.comparison.score("map", "picture alone").value
    metrics = made.metrics()
    assert metrics["map_gain_by_text"] == pytest.approx(gain, abs=1e-6)
    assert metrics["map_gain_by_text_low"] < metrics["map_gain_by_text"] < metrics["map_gain_by_text_high"]
    before, after = made.uncalibrated.probabilities, made.model.probabilities
    changed = ~np.isclose(before, after).all(axis=1)
    assert changed.tolist() == [bool(lines) for lines in READ]
    words = made.subgroups[made.subgroups["kind"] == "words"]
    assert dict(zip(words["group"], words["posters"], strict=True)) == {"0 to 2 words": 10, "3 to 7 words": 20}
    by_picture = made.comparison.score("lrap", "picture alone").value
    assert np.average(words["picture"], weights=words["posters"]) == pytest.approx(by_picture)
    assert "picture" not in evaluated.subgroups
    html_report.write(tmp_path / "report.html", made, 4, heatmaps)
    page = (tmp_path / "report.html").read_text()
    assert "A &lt;b&gt;funny&lt;/b&gt; film" in page
    assert "<b>funny" not in page
    assert f"<b>{gain:+.3f}</b> to mAP" in page
    model_card.write(tmp_path / "card.md", made)
    card = (tmp_path / "card.md").read_text()
    assert "the text encoder `mpnet`" in card
    assert "| | model | 95 % interval | picture alone | text alone | best baseline |" in card
    assert f"the words add {gain:+.3f} to mAP" in card
    made.comparison.write(tmp_path / "comparison.csv")
    again = comparison.read(tmp_path / "comparison.csv")
    assert again.parts == made.comparison.parts
    assert "picture" in terminal.results_table(again).splitlines()[0]


def test_the_same_posters_give_the_same_bytes(evaluated: Report, tmp_path: Path) -> None:
    for name in ("one", "two"):
        again = report.evaluate(evaluated.data, predictions(evaluated.data), PARAMS)
        report.write(tmp_path / name, again)
        html_report.write(tmp_path / name / "report.html", again, PARAMS.pictures, heatmaps)
        model_card.write(tmp_path / name / "model_card.md", again)
    written = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*") if file.is_file())
    assert len(written) == 11
    for file in written:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_page_loads_nothing_from_outside(html: str, evaluated: Report) -> None:
    assert "://" not in html
    sources = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', html)
    shown = sum(map(len, poster_examples.film_cards(evaluated, PARAMS.pictures)))
    assert len(sources) == shown + 2 * len(GENRES)
    assert shown > PARAMS.pictures
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"<(script|link|iframe|object)|@import|url\(", html)


def test_the_page_names_every_genre_baseline_and_metric(html: str, evaluated: Report) -> None:
    assert "Film-Noir &amp; &lt;em&gt;" in html
    for name in ("Comedy", "Drama", *evaluated.comparison.baselines, *(metric.label for metric in METRICS.values())):
        assert name in html


def test_the_page_shows_text_from_outside_as_text(html: str) -> None:
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in html
    assert "<script" not in html
    assert "<em>" not in html
    assert "conv &lt;1&gt;" in html


def test_hits_are_right_misses_are_wrong_and_the_farthest_from_the_prior_come_first(evaluated: Report) -> None:
    hits, misses = poster_examples.film_cards(evaluated, 30)
    assert len(hits) + len(misses) == 30
    assert all(film.genres[0].is_true for film in hits)
    assert not any(film.genres[0].is_true for film in misses)
    best, worst = ([card.likelihood_ratio * (1 if card.is_better else -1) for card in each] for each in (hits, misses))
    assert best == sorted(best, reverse=True)
    assert worst == sorted(worst)
    assert poster_examples.film_cards(evaluated, 3) == (hits[:3], misses[:3])
    assert poster_examples.film_cards(evaluated, 0) == ([], [])


def test_a_genre_without_test_posters_is_shown_as_such(evaluated: Report, tmp_path: Path) -> None:
    test = evaluated.test
    bare = split_tables.Split(test.film_ids, test.rows, test.genres, test.labels * np.array([1, 1, 0], dtype=np.uint8))
    data = replace(evaluated.data, splits={**evaluated.data.splits, "test": bare})
    without_drama = report.evaluate(data, predictions(data), PARAMS)
    html_report.write(tmp_path / "report.html", without_drama, 2, heatmaps)
    assert (tmp_path / "report.html").read_text().count("no test poster") == 1
    assert without_drama.metrics()["genres_evaluated"] == 2
    assert set(plot_tables.precision_recall(bare, predictions(data)["model"])["genre"]) == {"Comedy", "Drama"}


def test_metrics_before_calibration_are_those_of_the_probabilities_before_it(evaluated: Report) -> None:
    metrics, test = evaluated.metrics(), evaluated.test
    p = evaluated.model.probabilities
    before = 1 / (1 + np.exp(-np.log(p / (1 - p)) / 2))
    assert metrics["brier"] == pytest.approx(np.mean((p - test.labels) ** 2), abs=1e-6)
    assert metrics["brier_uncalibrated"] == pytest.approx(np.mean((before - test.labels) ** 2), abs=1e-6)


def test_a_calibration_of_other_genres_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path)
    file = root / "models/calibration.json"
    file.write_text(file.read_text().replace("Drama", "Western"))
    with pytest.raises(
        InputError, match=r"calibration\.json is no calibration of these genres .*run `dvc repro train`$"
    ):
        read(root)


def test_posters_are_bright_where_the_evidence_is() -> None:
    white = np.full((12, 8, 3), 255, np.uint8)
    image = poster_examples.highlighted(white, heatmaps(white[None], np.array([0]))[0])
    assert image[0].min() == 255
    assert image[-1].max() == round(255 * poster_examples.MIN_BRIGHTNESS)


def with_probabilities(evaluated: Report, probabilities: np.ndarray) -> Report:
    model = Predictions(probabilities.astype(np.float32), np.array([0.3, 0.5, 0.7]), 0.5)
    return replace(evaluated, predictions={**evaluated.predictions, "model": model})


def test_each_genre_is_shown_with_a_correct_prediction_and_a_false_alarm(evaluated: Report) -> None:
    p, truth = evaluated.model.probabilities, labels("test")
    examples = poster_examples.heatmap_examples(with_probabilities(evaluated, p), heatmaps)
    assert list(examples) == GENRES
    for genre, (right, wrong) in enumerate(examples.values()):
        assert (right.outcome, right.is_correct) == (Outcome.TRUE_POSITIVE, True)
        assert (wrong.outcome, wrong.is_correct) == (Outcome.FALSE_POSITIVE, False)
        assert right.probability == pytest.approx(p[truth[:, genre] == 1, genre].max())
        assert wrong.probability == pytest.approx(p[truth[:, genre] == 0, genre].max())
        assert right.threshold == wrong.threshold == (0.3, 0.5, 0.7)[genre]
        assert GENRES[genre] in right.true_genres
        assert GENRES[genre] not in wrong.true_genres


def test_a_missed_genre_takes_the_place_of_a_correct_prediction_or_a_false_alarm(evaluated: Report) -> None:
    truth = labels("test")
    perfect = truth * 0.9 + 0.05
    # Of one genre some are missed, of one all, and one is always right.
    perfect[truth[:, 0].argmax(), 0], perfect[truth[:, 1] == 1, 1] = 0.2, 0.49
    perfect[truth[:, 1].argmax(), 1] = 0.1
    examples = poster_examples.heatmap_examples(with_probabilities(evaluated, perfect), heatmaps)
    shown = {genre: [(each.outcome, round(each.probability, 2)) for each in examples[genre]] for genre in GENRES}
    assert shown == {
        GENRES[0]: [("Correct", 0.95), ("Missed", 0.2)],
        GENRES[1]: [("Missed", 0.1)],
        GENRES[2]: [("Correct", 0.95)],
    }


def test_a_probability_equal_to_the_threshold_predicts_the_genre_as_everywhere_else(evaluated: Report) -> None:
    truth = labels("test")
    changed = with_probabilities(evaluated, np.where(truth, [0.2, 0.5, 0.6], 0.1))
    examples = poster_examples.heatmap_examples(changed, heatmaps)
    assert [examples[genre][0].outcome for genre in GENRES] == ["Missed", "Correct", "Missed"]


def test_the_page_says_in_words_what_is_shown_of_a_genre_and_what_the_light_leaves_out(
    evaluated: Report, tmp_path: Path
) -> None:
    changed = with_probabilities(evaluated, np.where(labels("test"), [0.2, 0.8, 0.9], [0.1, 0.6, 0.1]))
    html_report.write(tmp_path / "report.html", changed, 1, heatmaps)
    text = " ".join((tmp_path / "report.html").read_text().split())
    assert '<b class="wrong">Missed</b>: probability 0.20, threshold 0.30' in text
    assert '<b class="correct">Correct</b>: probability 0.80, threshold 0.50' in text
    assert '<b class="wrong">False alarm</b>: probability 0.60, threshold 0.50' in text
    assert "Evidence that a head takes from earlier blocks does not show." in text


def test_groups_are_of_genre_counts_and_decades(evaluated: Report) -> None:
    groups = evaluated.subgroups
    assert groups.loc[groups["kind"] == "decade", "group"].tolist() == ["1980s"]
    counts = labels("test").sum(axis=1)
    for row in groups[groups["kind"] == "genres"].to_dict("records"):
        assert row["posters"] == (counts >= 3 if row["group"] == "3 or more" else counts == int(row["group"][0])).sum()
        assert row["low"] <= row["lrap"] <= row["high"]
    for kind, rows in groups.groupby("kind"):
        for column, name in (("lrap", "model"), ("prior", "genre prior")):
            mean = np.average(rows[column], weights=rows["posters"])
            assert mean == pytest.approx(evaluated.comparison.score("lrap", name).value), kind


def test_card_and_page_say_how_many_titles_name_no_year(evaluated: Report, tmp_path: Path) -> None:
    titles = dict(list(evaluated.data.titles.items())[:-12])
    data = replace(evaluated.data, titles=titles)
    undated = report.evaluate(data, predictions(data), PARAMS)
    model_card.write(tmp_path / "model_card.md", undated)
    assert "| 1980s | 18 |" in (tmp_path / "model_card.md").read_text()
    assert "| no year in the title | 12 |" in (tmp_path / "model_card.md").read_text()
    html_report.write(tmp_path / "report.html", undated, 0, heatmaps)
    assert "<th>no year in the title</th><td>12</td>" in (tmp_path / "report.html").read_text()


def test_the_card_names_data_scores_and_genres_no_better_than_chance(evaluated: Report, tmp_path: Path) -> None:
    file = tmp_path / "model_card.md"
    model_card.write(file, evaluated)
    text = file.read_text()
    assert "40 training, 20 validation and 30 test posters" in text
    assert f"| mAP | {evaluated.metrics()['map']:.3f} |" in text
    assert "| 1980s | 30 |" in text
    assert "agree on the whole set of genres for 85 %" in text
    assert "EfficientNet" not in text
    trained = {"weights": "imagenet", "trainable": "head"}
    for named, described in ((None, "EfficientNet-Lite0"), ("ResNet50V2", "ResNet50V2 of Keras Applications")):
        made = {"network": {"backbone": trained, "architecture": {"backbone": named}}}
        run = evaluated.data.run | {"params": evaluated.data.run["params"] | made}
        model_card.write(file, replace(evaluated, data=replace(evaluated.data, run=run)))
        assert f"Backbone: {described}" in file.read_text()
    assert "Near-duplicate posters are always in the same split." in text
    model_card.write(file, replace(evaluated, data=replace(evaluated.data, groups_across_splits=4)))
    assert "4 groups of near-duplicate posters are in more than one split" in file.read_text()
    certain = evaluated.genres.assign(low=[0.9, 0.0, 0.9])
    model_card.write(file, replace(evaluated, genres=certain))
    assert "On these test posters, not clearly better than chance: Drama." in file.read_text()


def test_the_terminal_table_of_an_evaluation_fits(evaluated: Report) -> None:
    table = terminal.results_table(evaluated.comparison)
    assert max(map(len, table.splitlines())) <= 110
    assert not any(line != line.rstrip() for line in table.splitlines())


def test_curves_are_thinned_to_what_can_be_seen_and_end_at_full_recall() -> None:
    random = np.random.default_rng(2)
    truth = (random.random((5000, 1)) < 0.3).astype(np.uint8)
    test = split_tables.Split([""] * 5000, np.arange(5000), ["Drama"], truth)
    curve = plot_tables.precision_recall(test, Predictions(random.random((5000, 1)) + truth, np.array([0.5]), 0.5))
    assert len(curve) == plot_tables.POINTS
    assert curve["recall"].is_monotonic_increasing
    assert curve["recall"].iloc[-1] == 1


def test_cooccurrence_counts_posters_of_all_splits_that_have_both(evaluated: Report) -> None:
    table = plot_tables.cooccurrence(evaluated.data.splits).set_index(["genre", "other"])["posters"]
    both = sum(int((labels(name)[:, 0] & labels(name)[:, 1]).sum()) for name in POSTERS)
    assert table["Comedy", "Drama"] == table["Drama", "Comedy"] == both
    assert table["Drama", "Drama"] == sum(labels(name)[:, 1].sum() for name in POSTERS)
