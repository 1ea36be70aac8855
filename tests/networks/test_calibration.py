import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from postergenre.evaluation.bootstrap import original_counts
from postergenre.evaluation.evaluator import Evaluator, Predictions
from postergenre.networks import calibration
from tests.factories import fit_network

SHARES = np.array([0.5, 0.2, 0.1, 0.05])


def posters(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels that were drawn by the probabilities beside them, which are therefore calibrated."""
    random = np.random.default_rng(seed)
    truth = expit(logit(SHARES) + 1.2 * random.normal(size=(count, 4)))
    return (random.random(truth.shape) < truth).astype(np.uint8), truth


def skewed(probabilities: np.ndarray, slope: float | np.ndarray, intercept: float | np.ndarray) -> np.ndarray:
    mapped: np.ndarray = expit(logit(probabilities) * slope + intercept)
    return mapped


def ece(labels: np.ndarray, probabilities: np.ndarray) -> float:
    predictions = Predictions(probabilities, np.full(labels.shape[1], 0.5), 0.5)
    return float(Evaluator(labels, predictions).metrics(original_counts(len(labels)))["ece"][0])


def test_an_overconfident_network_is_calibrated_on_posters_it_was_not_fitted_to() -> None:
    labels, truth = posters(4000)
    sure = skewed(truth, 2.5, 0)
    fitted = calibration.fit(labels[:2000], sure[:2000])
    assert fitted.method == "temperature"
    assert fitted.slope == pytest.approx(0.4, abs=0.02)
    before, after = (ece(labels[2000:], p[2000:]) for p in (sure, fitted.apply(sure)))
    assert before > 0.05
    assert after < 0.015


def test_genres_with_errors_of_their_own_are_calibrated_one_by_one() -> None:
    labels, truth = posters(4000)
    wrong = skewed(truth, np.array([0.5, 2, 1, 1.5]), np.array([1, -1, 0, 0.5]))
    fitted = calibration.fit(labels[:2000], wrong[:2000])
    assert fitted.method == "platt"
    assert ece(labels[2000:], fitted.apply(wrong)[2000:]) < ece(labels[2000:], wrong[2000:]) / 3


def test_a_genre_that_no_poster_has_leans_on_the_temperature_of_all() -> None:
    labels, truth = posters(2000)
    labels[:, 3] = 0
    wrong = skewed(truth, np.array([0.5, 2, 1, 1.5]), np.array([1, -1, 0, 0.5]))
    fitted = calibration.fit(labels, wrong)
    assert fitted.method == "platt"
    # By itself it would become ever less likely, and its ranking flat.
    assert -3 < fitted.intercept[3] < -1
    assert 0.5 < fitted.slope[3] < 2


def test_a_calibrated_network_on_few_posters_is_left_alone_or_nearly_so() -> None:
    labels, truth = posters(300)
    fitted = calibration.fit(labels, truth)
    assert fitted.method in ("none", "temperature")
    assert np.abs(fitted.apply(truth) - truth).max() < 0.03


def test_with_many_posters_a_genre_gets_the_coefficients_of_logistic_regression() -> None:
    labels, truth = posters(40_000)
    wrong = skewed(truth, np.array([0.5, 2, 1, 1.5]), np.array([1, -1, 0, 0.5]))
    fitted = calibration.fit(labels, wrong)
    for genre in range(4):
        reference = LogisticRegression(C=np.inf).fit(logit(wrong[:, [genre]]), labels[:, genre])
        assert fitted.slope[genre] == pytest.approx(reference.coef_[0, 0], abs=0.02)
        assert fitted.intercept[genre] == pytest.approx(reference.intercept_[0], abs=0.03)


@pytest.mark.parametrize("count", [1, 4])
def test_too_few_posters_to_tell_leave_the_probabilities_as_they_are(count: int) -> None:
    labels, truth = posters(count)
    fitted = calibration.fit(labels, truth)
    assert fitted.method == "none"
    assert fitted.apply(truth) == pytest.approx(truth)


def test_probabilities_of_0_and_1_and_genres_without_posters_are_no_obstacle() -> None:
    labels = np.zeros((40, 2), np.uint8)
    labels[:20, 0] = 1
    fitted = calibration.fit(labels, np.repeat([[1.0, 0.0], [0.0, 0.0]], 20, axis=0))
    assert np.all(np.isfinite(fitted.apply(np.array([[0.0, 1.0], [0.5, 0.5]]))))
    assert np.all(fitted.slope > 0)


def test_no_genre_ranks_posters_otherwise_and_calibration_can_be_undone() -> None:
    labels, truth = posters(500)
    fitted = calibration.fit(labels, skewed(truth, 2.5, 0.5))
    after = fitted.apply(truth)
    assert (np.argsort(after, axis=0) == np.argsort(truth, axis=0)).all()
    assert fitted.undo(after) == pytest.approx(truth)


@pytest.mark.slow
def test_a_calibrated_model_predicts_calibrated_probabilities(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = fit_network(tmp_path_factory.mktemp("fit"), epochs=1)
    seen = np.random.default_rng(1).integers(0, 256, (6, 24, 16, 3), dtype=np.uint8)
    before = model.predict_on_batch(seen)
    fitted = calibration.Calibration("platt", np.array([0.5, 1.5, 1.0]), np.array([0.2, -0.3, 0.0]), {})
    calibration.apply_to_model(model, fitted)
    assert model.predict_on_batch(seen) == pytest.approx(fitted.apply(before), abs=1e-6)


def test_what_is_written_reads_back() -> None:
    labels, truth = posters(300)
    genres = ["A", "B", "C", "D"]
    fitted = calibration.fit(labels, skewed(truth, 2.5, 0))
    again = calibration.from_json(calibration.to_json(fitted, genres), genres)
    assert again.method == fitted.method
    assert again.slope == pytest.approx(fitted.slope, abs=1e-6)
    assert set(again.cross_entropy) == {"none", "temperature", "platt"}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"method": "magic", "cross_entropy": {}, "genres": {"A": {"slope": 1, "intercept": 0}}},
        {"method": "none", "cross_entropy": {}, "genres": {"A": {"slope": 0, "intercept": 0}}},
        {"method": "none", "cross_entropy": {}, "genres": {"B": {"slope": 1, "intercept": 0}}},
        {"method": "none", "cross_entropy": {}, "genres": 3},
    ],
)
def test_what_is_no_calibration_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no calibration"):
        calibration.from_json(wrong, ["A"])
