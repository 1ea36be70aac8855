"""Vectors that are kept: each text is embedded once by each encoder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from postergenre.errors import InputError
from postergenre.networks.text_encoders import embeddings, onnx_encoder
from postergenre.networks.text_encoders.finding import EncoderFiles
from postergenre.networks.text_encoders.onnx_encoder import OnnxEncoder
from tests.networks import text_models

TEXTS = ["a funny film", "", "love", "a funny film", "the car"]


class CountingEncoder(OnnxEncoder):
    """Notes the texts that it computes, and may fail after some batches."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.computed: list[str] = []
        self.fails = False

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], np.ndarray]]:
        for rows, vectors in super().batches(texts):
            if self.fails:
                raise KeyboardInterrupt
            self.computed += [texts[row] for row in rows]
            yield rows, vectors


@pytest.fixture
def encoder(tmp_path: Path) -> CountingEncoder:
    return make_encoder(tmp_path, "bert")


def make_encoder(folder: Path, family: str) -> CountingEncoder:
    files = EncoderFiles("small", text_models.write(folder / family, family), None, 0)
    (folder / f"{family}-onnx").mkdir()
    onnx_encoder.export(files, folder / f"{family}-onnx", "float32")
    return CountingEncoder(folder / f"{family}-onnx")


def test_a_text_is_embedded_once(encoder: CountingEncoder, tmp_path: Path) -> None:
    expected = encoder(TEXTS)
    np.testing.assert_array_equal(expected[0], expected[3])
    assert sorted(encoder.computed) == ["a funny film", "love", "the car"]
    encoder.computed.clear()
    np.testing.assert_allclose(embeddings.embed(encoder, TEXTS, tmp_path / "kept"), expected, atol=1e-6)
    assert sorted(encoder.computed) == ["a funny film", "love", "the car"]
    again = embeddings.embed(encoder, [*TEXTS, "the engine broke"], tmp_path / "kept")
    assert encoder.computed[3:] == ["the engine broke"]
    np.testing.assert_allclose(again[:-1], expected, atol=1e-6)
    assert embeddings.embed(encoder, [], tmp_path / "kept").shape == (0, 16)


def test_what_was_embedded_before_an_interruption_stays(encoder: CountingEncoder, tmp_path: Path) -> None:
    texts = [" ".join(text_models.WORDS[n : n + m]) for n in range(12) for m in range(1, 4)]
    batches = encoder.batches(texts)
    first = [texts[row] for row in next(batches)[0]]
    embeddings.embed(encoder, first, tmp_path / "kept")
    encoder.computed.clear()
    encoder.fails = True
    with pytest.raises(KeyboardInterrupt):
        embeddings.embed(encoder, texts, tmp_path / "kept")
    encoder.fails = False
    embeddings.embed(encoder, texts, tmp_path / "kept")
    assert not {*first} & {*encoder.computed}


def test_another_encoder_has_vectors_of_its_own(encoder: CountingEncoder, tmp_path: Path) -> None:
    embeddings.embed(encoder, TEXTS, tmp_path / "kept")
    other = make_encoder(tmp_path, "mpnet")
    np.testing.assert_allclose(embeddings.embed(other, TEXTS, tmp_path / "kept"), other(TEXTS), atol=1e-6)


def test_a_broken_file_is_named(encoder: CountingEncoder, tmp_path: Path) -> None:
    embeddings.embed(encoder, TEXTS, tmp_path / "kept")
    (file,) = (tmp_path / "kept").glob("*.sqlite")
    file.write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(InputError, match=r"sqlite cannot be used .*; delete it, and the texts are embedded again"):
        embeddings.embed(encoder, TEXTS, tmp_path / "kept")
