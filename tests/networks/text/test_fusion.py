import json

import numpy as np
import pytest
from scipy.special import expit

from postergenre.networks.text import fusion

GENRES = ["Comedy", "Drama", "War"]


def make_sources(n: int = 4000) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and two sources of their own noise whose evidence adds up exactly; a third one knows nothing."""
    random = np.random.default_rng(1)
    prior = np.array([-0.5, 0.2, -2.0])
    good, weak = random.normal(0, 1.5, (n, 3)), random.normal(0, 0.7, (n, 3))
    labels = (random.random((n, 3)) < expit(prior + good + weak)).astype(np.uint8)
    return labels, {"good": prior + good, "weak": prior + weak, "noise": prior + random.normal(0, 1, (n, 3))}


def test_weights_are_those_of_the_evidence() -> None:
    labels, sources = make_sources()
    made = fusion.fit(labels, sources, expit([-0.5, 0.2, -2.0]), 0)
    assert made.weights["good"] == pytest.approx(1, abs=0.1)
    assert made.weights["weak"] == pytest.approx(1, abs=0.15)
    assert made.weights["noise"] == pytest.approx(0, abs=0.05)
    probabilities = made.apply(sources)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.mean(axis=0), labels.mean(axis=0), atol=0.02)


def test_a_source_that_misleads_gets_no_weight_below_0() -> None:
    labels, sources = make_sources()
    against = {"good": sources["good"], "against": 2 * np.array([-0.5, 0.2, -2.0]) - sources["weak"]}
    assert fusion.fit(labels, against, labels.mean(axis=0), 0).weights["against"] == 0


def test_it_is_read_as_it_was_written() -> None:
    labels, sources = make_sources(500)
    made = fusion.fit(labels, sources, labels.mean(axis=0), 2)
    again = fusion.from_json(json.loads(json.dumps(made.to_json(GENRES))), GENRES)
    np.testing.assert_allclose(again.apply(sources), made.apply(sources), atol=1e-5)
    np.testing.assert_allclose(again.thresholds, made.thresholds, atol=1e-6)
    assert (again.method, again.weights) == (made.method, made.weights)
    with pytest.raises(KeyError):
        fusion.from_json(made.to_json(GENRES), ["Western"])
