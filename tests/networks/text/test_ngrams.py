from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from postergenre.errors import InputError
from postergenre.networks.text import ngrams

ODD = ["", "a", "I am  É ẞ x\n\ty", "l'été 2 à", "ÀÉ ﬁn  ①", "the the the laughter"]
WORDS = ("laughter", "Liebe", "murder", "l'été", "night 2", "the", "of", "Ärger")


def make_texts(count: int) -> tuple[list[str], np.ndarray]:
    """Texts of a few words each, and two genres: that of murder, and that of laughter or love."""
    random = np.random.default_rng(3)
    texts = [" ".join(random.choice(WORDS, 4)) for _ in range(count)]
    labels = [["murder" in text, "laughter" in text or "Liebe" in text] for text in texts]
    return texts, np.array(labels, np.uint8)


def test_the_table_predicts_what_scikit_learn_does(tmp_path: Path) -> None:
    texts, labels = make_texts(120)
    ngrams.fit(texts, labels).write(tmp_path / "ngrams.npz")
    shared = {"min_df": 3, "sublinear_tf": True, "strip_accents": "unicode"}
    kinds = [
        TfidfVectorizer(ngram_range=(1, 2), **shared),
        TfidfVectorizer(ngram_range=(3, 5), analyzer="char_wb", **shared),
    ]
    features = hstack([kind.fit_transform(texts) for kind in kinds]).tocsr()
    new = hstack([kind.transform([*ODD, *texts]) for kind in kinds]).tocsr()
    for genre, odds in enumerate(ngrams.read(tmp_path / "ngrams.npz").log_odds([*ODD, *texts]).T):
        regression = LogisticRegression(solver="liblinear", random_state=0).fit(features, labels[:, genre])
        np.testing.assert_allclose(odds, regression.decision_function(new), atol=1e-4)


def test_the_same_texts_give_the_same_bytes(tmp_path: Path) -> None:
    texts, labels = make_texts(40)
    for name in ("one.npz", "other.npz"):
        ngrams.fit(texts, labels).write(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_a_genre_that_all_or_no_texts_have_gets_its_share(tmp_path: Path) -> None:
    texts, labels = make_texts(40)
    labels = np.column_stack([labels, np.zeros(40), np.ones(40)]).astype(np.uint8)
    odds = ngrams.fit(texts, labels).log_odds(["murder", "no such words"])
    assert (odds[:, 2] < -4).all()
    assert (odds[:, 3] > 4).all()
    assert odds[0, 0] > odds[1, 0]


@pytest.mark.parametrize("texts", [[""] * 30, ["x y z"] * 2 + [""] * 28])
def test_texts_without_a_common_word_say_nothing(tmp_path: Path, texts: list[str]) -> None:
    labels = np.array([[1, 0], [0, 1]] * 15, np.uint8)
    ngrams.fit(texts, labels).write(tmp_path / "ngrams.npz")
    odds = ngrams.read(tmp_path / "ngrams.npz").log_odds(["x y z", "murder", ""])
    np.testing.assert_allclose(odds, 0, atol=1e-6)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ngrams.npz"
    file.write_bytes(b"PK no table")
    with pytest.raises(InputError, match=r"ngrams\.npz holds no table of n-grams"):
        ngrams.read(file)
