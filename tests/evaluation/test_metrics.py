from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit
from sklearn import metrics as sklearn_metrics

from postergenre.data.split_tables import Split
from postergenre.evaluation import baselines, metrics
from postergenre.evaluation.metrics import METRICS, Evaluator, Predictions
from postergenre.networks import thresholds

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

CUTS = np.array([0.3, 0.5, 0.2, 0.7, 0.4, 0.6])
COMMON = 0.4


def posters(n: int = 80) -> tuple[Labels, Floats]:
    """Labels and probabilities with many ties; the fifth genre has no positives, the sixth no negatives."""
    random = np.random.default_rng(4)
    labels = (random.random((n, 6)) < [0.5, 0.3, 0.1, 0.05, 0, 1]).astype(np.uint8)
    labels[:, 3] |= np.arange(n) == 7
    return labels, np.clip(random.random((n, 6)) * 0.7 + 0.3 * labels, 0, 1).round(1)


def figures(labels: Labels, answer: Predictions) -> dict[str, float]:
    ones = np.ones((1, len(labels)), dtype=int)
    return {key: float(values[0]) for key, values in Evaluator(labels, answer).figures(ones).items()}


def calibration_error(labels: Labels, scores: Floats) -> float:
    """The sum over fifteen bins as its paper has it, |B| / n * |acc(B) - conf(B)|; scikit-learn has none."""
    total = 0.0
    for number in range(15):
        held = (scores >= number / 15) & ((scores < (number + 1) / 15) | (number == 14))
        if held.any():
            total += held.mean() * abs(labels[held].mean() - scores[held].mean())
    return total


def reference(labels: Labels, scores: Floats) -> dict[str, float]:
    """What scikit-learn says, on the genres for which it can say something."""
    with_positives = labels.any(axis=0)
    both = with_positives & ~labels.all(axis=0)
    said, at_half = (scores >= CUTS[: labels.shape[1]]).astype(int), (scores >= 0.5).astype(int)
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    found = {
        "map": sklearn_metrics.average_precision_score(labels[:, with_positives], scores[:, with_positives]),
        "map_micro": sklearn_metrics.average_precision_score(labels, scores, average="micro"),
        "roc_auc": sklearn_metrics.roc_auc_score(labels[:, both], scores[:, both]),
        "lrap": sklearn_metrics.label_ranking_average_precision_score(labels, scores),
        "coverage": sklearn_metrics.coverage_error(labels, scores),
        "hamming_at_half": sklearn_metrics.hamming_loss(labels, at_half),
        "binary_accuracy_at_half": sklearn_metrics.accuracy_score(labels.ravel(), at_half.ravel()),
        "subset_accuracy_at_half": sklearn_metrics.accuracy_score(labels, at_half),
        "bce": sklearn_metrics.log_loss(labels.ravel(), clipped.ravel()),
        "brier": sklearn_metrics.brier_score_loss(labels.ravel(), scores.ravel()),
        "ece": calibration_error(labels, scores),
    }
    at_global_threshold = (scores >= COMMON).astype(int)
    found["f1_micro_at_global_threshold"] = sklearn_metrics.f1_score(labels, at_global_threshold, average="micro")
    for suffix, answered in (("", said), ("_at_half", at_half)):
        for average in ("micro", "macro", "weighted", "samples"):
            kept = with_positives if average == "macro" else slice(None)
            found[f"f1_{average}{suffix}"] = sklearn_metrics.f1_score(
                labels[:, kept], answered[:, kept], average=average, zero_division=0
            )
    return found


# The first five genres leave some posters without any.
@pytest.mark.parametrize("count", [5, 6])
def test_every_figure_is_what_scikit_learn_says_with_ties_and_without_positives(count: int) -> None:
    labels, scores = posters()
    labels, scores = labels[:, :count], scores[:, :count]
    found = figures(labels, Predictions(scores, CUTS[:count], COMMON))
    expected = reference(labels, scores)
    assert set(found) == set(METRICS) == set(expected) | {"top1_hit", "top3_hit"}
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=1e-12), key


def test_a_resample_counts_as_the_posters_repeated() -> None:
    labels, scores = posters()
    drawn = metrics.resamples(len(labels), 5, seed=2)
    samples = Evaluator(labels, Predictions(scores, CUTS, COMMON)).figures(drawn)
    for number, counts in enumerate(drawn):
        repeated = reference(np.repeat(labels, counts, axis=0), np.repeat(scores, counts, axis=0))
        for key, value in repeated.items():
            assert samples[key][number] == pytest.approx(value, abs=1e-12), key


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, scores = posters()
    judge, drawn = Evaluator(labels, Predictions(scores, CUTS, COMMON)), metrics.resamples(len(labels), 7, seed=2)
    whole = judge.figures(drawn)
    monkeypatch.setattr(metrics, "BLOCK", 2 * len(labels))
    for key, values in judge.figures(drawn).items():
        np.testing.assert_allclose(values, whole[key], rtol=1e-12)


def test_the_constant_drama_comedy_by_hand() -> None:
    #                 Comedy, Drama, Horror
    labels = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.uint8)
    found = figures(labels, Predictions(np.array([1.0, 1.0, 0.0]), np.full(3, 0.5), 0.5))
    assert found == pytest.approx(
        {
            "map": (1 / 3 + 2 / 3 + 1 / 3) / 3,
            "map_micro": 3 / 4 * 3 / 6 + 1 / 4 * 4 / 9,
            "roc_auc": 0.5,
            "f1_micro": 2 * 3 / (6 + 4),
            "f1_macro": (2 / 4 + 4 / 5 + 0) / 3,
            "f1_weighted": (1 * 2 / 4 + 2 * 4 / 5 + 0) / 4,
            "f1_samples": (2 / 3 + 1 + 0) / 3,
            "f1_micro_at_global_threshold": 2 * 3 / (6 + 4),
            "f1_micro_at_half": 2 * 3 / (6 + 4),
            "f1_macro_at_half": (2 / 4 + 4 / 5 + 0) / 3,
            "f1_weighted_at_half": (1 * 2 / 4 + 2 * 4 / 5 + 0) / 4,
            "f1_samples_at_half": (2 / 3 + 1 + 0) / 3,
            "lrap": (1 / 2 + 1 + 1 / 3) / 3,
            "coverage": (2 + 2 + 3) / 3,
            "top1_hit": (1 / 2 + 1 + 0) / 3,
            "top3_hit": 1.0,
            "hamming_at_half": 4 / 9,
            "binary_accuracy_at_half": 5 / 9,
            "subset_accuracy_at_half": 1 / 3,
            "bce": -4 / 9 * np.log(1e-7) - 5 / 9 * np.log(1 - 1e-7),
            "ece": (2 / 3 * abs(3 / 6 - 1)) + 1 / 3 * abs(1 / 3 - 0),
            "brier": 4 / 9,
        }
    )


@pytest.mark.parametrize(("key", "k"), [("top1_hit", 1), ("top3_hit", 3)])
def test_ties_for_the_likeliest_genres_are_drawn_among(key: str, k: int) -> None:
    labels, scores = posters(30)
    labels, scores = labels[:, :5], (scores[:, :5] * 3).round() / 3
    orders = list(permutations(range(5)))
    hits = [
        labels[row, sorted(order, key=lambda genre: -scores[row, genre])[:k]].any()
        for row in range(30)
        for order in orders
    ]
    assert figures(labels, Predictions(scores, CUTS[:5], COMMON))[key] == pytest.approx(np.mean(hits))


def test_a_genre_without_positives_does_not_count() -> None:
    labels, scores = posters()
    without = [0, 1, 2, 3, 5]
    found = figures(labels, Predictions(scores, CUTS, COMMON))
    kept = figures(labels[:, without], Predictions(scores[:, without], CUTS[without], COMMON))
    assert [found[key] for key in ("map", "roc_auc", "f1_macro")] == [
        kept[key] for key in ("map", "roc_auc", "f1_macro")
    ]
    table = metrics.per_genre(labels, Predictions(scores, CUTS, COMMON), metrics.resamples(80, 100, seed=1))
    assert table["average_precision"].isna().tolist() == [False] * 4 + [True, False]
    assert table["roc_auc"].isna().tolist() == [False] * 4 + [True, True]


def test_the_table_of_genres_is_what_scikit_learn_says() -> None:
    labels, scores = posters()
    table = metrics.per_genre(labels, Predictions(scores, CUTS, COMMON), metrics.resamples(80, 200, seed=1))
    for genre in range(4):
        said = scores[:, genre] >= CUTS[genre]
        precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
            labels[:, genre], said, average="binary", zero_division=0
        )
        expected = {
            "prevalence": labels[:, genre].mean(),
            "average_precision": sklearn_metrics.average_precision_score(labels[:, genre], scores[:, genre]),
            "roc_auc": sklearn_metrics.roc_auc_score(labels[:, genre], scores[:, genre]),
            "threshold": CUTS[genre],
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }
        row = table.iloc[genre].to_dict()
        assert row["low"] < row["average_precision"] < row["high"]
        assert {key: row[key] for key in expected} == pytest.approx(expected)


def test_all_answers_are_judged_on_the_same_resamples() -> None:
    labels, scores = posters()
    drawn = metrics.resamples(len(labels), 100, seed=3)
    assert (drawn.sum(axis=1) == len(labels)).all()
    assert (drawn == metrics.resamples(len(labels), 100, seed=3)).all()
    assert not (drawn == metrics.resamples(len(labels), 100, seed=4)).all()
    answer = Predictions(scores, CUTS, COMMON)
    table = metrics.compare(labels, {"model": answer, "again": answer}, drawn)
    one, other = (table[table["answer"] == name].drop(columns="answer") for name in ("model", "again"))
    assert (one.to_numpy() == other.to_numpy()).all()
    assert ((one["low"] <= one["value"]) & (one["value"] <= one["high"])).all()


def test_the_interval_of_map_holds_the_true_value_where_plain_percentiles_do_not() -> None:
    random = np.random.default_rng(1)
    prevalence, strength = np.geomspace(0.03, 0.5, 15), 0.6

    def draw(n: int) -> tuple[Labels, Floats]:
        labels = (random.random((n, 15)) < prevalence).astype(np.uint8)
        return labels, expit(random.normal(size=labels.shape) + strength * labels)

    cuts = np.full(15, 0.5)
    labels, scores = draw(60_000)
    true = figures(labels, Predictions(scores, cuts, COMMON))["map"]
    mirrored, plain = [], []
    for seed in range(40):
        labels, scores = draw(300)
        answer, drawn = Predictions(scores, cuts, COMMON), metrics.resamples(300, 200, seed)
        samples = Evaluator(labels, answer).figures(drawn)["map"]
        low, high = metrics.interval(figures(labels, answer)["map"], samples)
        mirrored.append(low <= true <= high)
        plain.append(np.percentile(samples, 2.5) <= true <= np.percentile(samples, 97.5))
    assert sum(mirrored) >= 34
    assert sum(plain) <= 20


def test_the_interval_of_a_difference_holds_the_true_one_and_is_narrower_than_two_apart() -> None:
    random = np.random.default_rng(1)
    prevalence = np.geomspace(0.03, 0.5, 15)
    held, better, widths = [], [], []
    for seed in range(40):
        labels = (random.random((300, 15)) < prevalence).astype(np.uint8)
        shared = random.normal(size=labels.shape) + labels
        one, other = (expit(shared + random.normal(size=labels.shape) / 2) for _ in range(2))
        drawn = metrics.resamples(300, 200, seed)
        found = metrics.difference(labels, one, other, drawn)
        held.append(found.low <= 0 <= found.high)  # both are as good as each other
        better.append(found.low > 0)
        table = metrics.compare(labels, {"a": Predictions(one, np.full(15, 0.5), 0.5)}, drawn).set_index("metric")
        widths.append((found.high - found.low) / (table["high"] - table["low"])["map"])
    assert sum(held) >= 34
    assert sum(better) <= 4
    assert np.mean(widths) < 1  # of two that are independent the square root of 2


def test_a_difference_is_that_of_the_two_figures_and_turns_its_sign() -> None:
    labels, scores = posters()
    drawn = metrics.resamples(len(labels), 200, seed=3)
    worse = np.random.default_rng(5).random(scores.shape)
    up, down = metrics.difference(labels, scores, worse, drawn), metrics.difference(labels, worse, scores, drawn)
    assert up.one == figures(labels, Predictions(scores, CUTS, COMMON))["map"] == down.other
    assert up.value == up.one - up.other
    assert 0 < up.low < up.value < up.high
    assert (down.low, down.value, down.high) == pytest.approx((-up.high, -up.value, -up.low))
    same = metrics.difference(labels, scores, scores, drawn)
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_an_interval_stays_in_the_range_of_its_figure() -> None:
    assert metrics.interval(0.99, np.array([0.9, 0.99, 1.0])) == pytest.approx((0.9805, 1.0))
    assert metrics.interval(0.01, np.array([0.0, 0.01, 0.1])) == pytest.approx((0.0, 0.0195))
    assert metrics.interval(9.0, np.array([8.0, 9.0, 10.0]), np.inf) == pytest.approx((8.05, 9.95))


def split(labels: list[list[int]]) -> Split:
    ids = [f"tt{k:07d}" for k in range(len(labels))]
    return Split(ids, np.arange(len(labels)), ["Comedy", "Drama", "Horror"], np.array(labels, dtype=np.uint8))


def test_baselines_are_named_by_what_they_say_and_learn_from_the_training_posters() -> None:
    train = split([[0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1]])
    val = split([[0, 0, 1], [1, 0, 1], [0, 1, 1]])
    answers = baselines.answers(train, val, shrinkage=2)
    assert {name: answer.probabilities.tolist() for name, answer in answers.items()} == {
        "no genre": [0, 0, 0],
        "genre prior": [0.5, 0.75, 0.25],
        "{Drama}": [0, 1, 0],
        "{Drama, Comedy}": [1, 1, 0],
        "all genres": [1, 1, 1],
    }
    fitted = thresholds.fit(val.labels, np.array([[0.5, 0.75, 0.25]] * 3), 2)
    assert answers["genre prior"].thresholds.tolist() == fitted.tolist()
    assert answers["genre prior"].global_threshold == thresholds.global_threshold(
        val.labels, np.array([[0.5, 0.75, 0.25]] * 3)
    )


def test_a_single_genre_has_no_constant_of_two() -> None:
    one = Split(["tt0000001", "tt0000002"], np.arange(2), ["Drama"], np.array([[1], [0]], dtype=np.uint8))
    answers = baselines.answers(one, one, shrinkage=2)
    assert list(answers) == ["no genre", "genre prior", "{Drama}", "all genres"]
    assert figures(one.labels, answers["{Drama}"])["top3_hit"] == 0.5


def test_the_reliability_diagram_counts_every_pair_in_its_bin() -> None:
    labels, scores = np.array([[1, 0], [1, 0], [0, 1]], np.uint8), np.array([[1.0, 0.02], [0.96, 0.04], [0.5, 0.5]])
    table = metrics.reliability(labels, scores)
    assert table["pairs"].tolist() == [2, 2, 2]
    assert table["bin"].tolist() == pytest.approx([0.5 / 15, 7.5 / 15, 14.5 / 15])
    assert table["probability"].tolist() == pytest.approx([0.03, 0.5, 0.98])
    assert table["share"].tolist() == pytest.approx([0, 0.5, 1])
    assert metrics.expected_calibration_error(labels, scores) == pytest.approx((0.03 + 0 + 0.02) / 3)
