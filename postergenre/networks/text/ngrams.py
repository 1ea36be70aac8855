"""Genres by the words and parts of words on a poster: tf-idf and a logistic regression for each genre.

Predictions need NumPy alone, because scikit-learn takes a second to import. They equal scikit-learn's.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.errors import InputError

# An n-gram of fewer posters says nothing about others.
MIN_POSTERS = 3
# Words, and pairs of words.
WORDS = (1, 2)
# Parts of words, in characters.
PARTS = (3, 5)
# The inverse of the regression's penalty; chosen on validation posters.
INVERSE_PENALTY = 1.0
# As scikit-learn's vectorizer takes words: of two characters or more.
WORD = re.compile(r"(?u)\b\w\w+\b")
KINDS = ("words", "parts")
KEYS = ("idf", "coefficients", "intercept")


@dataclass(frozen=True)
class Ngrams:
    """A trained table of n-grams.

    terms: by kind, `words` and `parts`, each n-gram's row in the two arrays.
    idf: float32 `(n-grams,)`, the inverse document frequency.
    coefficients: float32 `(n-grams, genres)`.
    intercept: float32 `(genres,)`.
    """

    terms: dict[str, dict[str, int]]
    idf: npt.NDArray[np.float32]
    coefficients: npt.NDArray[np.float32]
    intercept: npt.NDArray[np.float32]

    def log_odds(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The log-odds `(n, genres)` of texts; of a text without a known n-gram, the intercept."""
        return np.stack([self.intercept + self._sum(text) for text in texts])

    def _sum(self, text: str) -> npt.NDArray[np.float32]:
        text = _normalise(text)
        total = np.zeros_like(self.intercept)
        for kind, split in (("words", _words), ("parts", _parts)):
            rows, counts = _known(self.terms[kind], Counter(split(text)))
            if len(rows):
                weights = (1 + np.log(counts)) * self.idf[rows]
                total += weights / np.linalg.norm(weights) @ self.coefficients[rows]
        return total

    def write(self, file: Path) -> None:
        """Write the table; equal tables give the same bytes."""
        arrays: dict[str, Any] = {kind: np.frombuffer("\n".join(self.terms[kind]).encode(), np.uint8) for kind in KINDS}
        np.savez(file, allow_pickle=False, **arrays, **{key: getattr(self, key) for key in KEYS})


def read(file: Path) -> Ngrams:
    """Read a table that `write` wrote.

    Raises:
        InputError: the file holds none.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            terms, rows = {}, iter(range(len(arrays["idf"])))
            for kind in KINDS:
                names = arrays[kind].tobytes().decode()
                terms[kind] = dict(zip(names.split("\n") if names else (), rows, strict=False))
            return Ngrams(terms, *(arrays[key] for key in KEYS))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{file} holds no table of n-grams ({error})") from None


def fit(texts: Sequence[str], labels: npt.NDArray[np.uint8]) -> Ngrams:
    """Train on texts and their labels, multi-hot `(n, genres)`.

    Term frequencies are logarithmic, and each kind of n-gram makes a vector of length 1 (Salton and Buckley 1988).
    """
    from scipy.sparse import csr_array, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    options = {"min_df": MIN_POSTERS, "sublinear_tf": True, "strip_accents": "unicode"}
    vectorizers = {
        "words": TfidfVectorizer(ngram_range=WORDS, **options),
        "parts": TfidfVectorizer(ngram_range=PARTS, analyzer="char_wb", **options),
    }
    features, idf, first = [csr_array((len(texts), 0))], [np.zeros(0)], 0
    terms = dict[str, dict[str, int]]()
    for kind, vectorizer in vectorizers.items():
        try:
            features.append(vectorizer.fit_transform(texts))
        except ValueError:  # no n-gram is on so many posters
            terms[kind] = {}
            continue
        names = vectorizer.get_feature_names_out().tolist()
        terms[kind] = {name: first + place for place, name in enumerate(names)}
        idf.append(vectorizer.idf_)
        first += len(names)
    joined = hstack(features).tocsr()
    coefficients, intercept = zip(*(_regress(joined, column) for column in labels.T), strict=True)
    return Ngrams(
        terms,
        np.concatenate(idf).astype(np.float32),
        np.stack(coefficients, axis=1).astype(np.float32),
        np.array(intercept, np.float32),
    )


def _regress(features: Any, labels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float64], float]:
    """Coefficients and intercept for one genre. features: sparse `(n, n-grams)`."""
    from sklearn.linear_model import LogisticRegression

    n_grams, positives, n = features.shape[1], int(labels.sum()), len(labels)
    if not n_grams or positives in (0, n):
        share = (positives + 0.5) / (n + 1)
        return np.zeros(n_grams), float(np.log(share / (1 - share)))
    regression = LogisticRegression(C=INVERSE_PENALTY, solver="liblinear", random_state=0).fit(features, labels)
    return regression.coef_[0], float(regression.intercept_[0])


def _known(terms: dict[str, int], counts: Counter[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows of the known terms, and how often each occurs."""
    known = [(terms[term], count) for term, count in counts.items() if term in terms]
    rows, counted = np.array(known, np.int64).reshape(-1, 2).T
    return rows, counted


def _normalise(text: str) -> str:
    """Lower case without accents, as scikit-learn's `strip_accents="unicode"`."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _words(text: str) -> Iterator[str]:
    words = WORD.findall(text)
    for length in range(WORDS[0], WORDS[1] + 1):
        yield from (" ".join(words[start : start + length]) for start in range(len(words) - length + 1))


def _parts(text: str) -> Iterator[str]:
    """The parts of each word with a space before and after it; of a word that is shorter than a part, the word."""
    for word in text.split():
        padded = f" {word} "
        for length in range(PARTS[0], PARTS[1] + 1):
            yield padded[:length]
            yield from (padded[start : start + length] for start in range(1, len(padded) - length + 1))
            if length >= len(padded):
                break  # the longer ones would be the same
