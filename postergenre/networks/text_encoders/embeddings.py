"""Texts' vectors, kept by the texts' SHA-256, so that each text is embedded once."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from postergenre import files
from postergenre.errors import InputError
from postergenre.networks.text_encoders.onnx_encoder import OnnxEncoder

Vector = npt.NDArray[np.float32]

PATIENCE = 60  # seconds for another process that writes
CHUNK = 500  # texts of one question


def embed(encoder: OnnxEncoder, texts: Sequence[str], folder: Path) -> npt.NDArray[np.float32]:
    """The vectors float32 `(texts, width)` of texts, zeros for empty ones.

    folder: keeps the vectors of each encoder in a file of its own. What was computed before is taken from there; what
    is computed is there at once, so an interrupted call goes on where it was.

    Raises:
        InputError: the file in the folder cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{encoder.digest[:16]}.sqlite"
    vectors, rows = np.zeros((len(texts), encoder.width), np.float32), defaultdict[str, list[int]](list)
    for row, text in enumerate(texts):
        if text.strip():
            rows[text].append(row)
    text_of = {files.sha256_text(text): text for text in rows}
    try:
        with closing(sqlite3.connect(file, timeout=PATIENCE)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (text TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID")
            for key, vector in _read(database, list(text_of), encoder.width):
                vectors[rows[text_of.pop(key)]] = vector
            for key, vector in _compute(encoder, text_of, database):
                vectors[rows[text_of[key]]] = vector
    except (sqlite3.DatabaseError, ValueError) as error:
        raise InputError(f"{file} cannot be used ({error}); delete it, and the texts are embedded again") from None
    return vectors


def _read(database: sqlite3.Connection, keys: list[str], width: int) -> Iterator[tuple[str, Vector]]:
    """The vectors that are there, by the texts' digests."""
    for start in range(0, len(keys), CHUNK):
        some = keys[start : start + CHUNK]
        places = ", ".join("?" * len(some))
        for key, data in database.execute(f"SELECT text, vector FROM vectors WHERE text IN ({places})", some):
            vector = np.frombuffer(data, "<f4")
            if len(vector) != width:
                raise ValueError(f"a vector has {len(vector)} numbers, not {width}")
            yield key, vector


def _compute(encoder: OnnxEncoder, texts: dict[str, str], database: sqlite3.Connection) -> Iterator[tuple[str, Vector]]:
    """Embed texts by their digests, and keep each batch as it comes."""
    keys = list(texts)
    with tqdm(total=len(texts), desc=f"texts by {encoder.name}", unit=" texts", disable=None) as progress:
        for rows, computed in encoder.batches(list(texts.values())):
            batch = {keys[row]: vector for row, vector in zip(rows, computed, strict=True)}
            with database:
                pairs = [(key, vector.astype("<f4").tobytes()) for key, vector in batch.items()]
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", pairs)
            progress.update(len(batch))
            yield from batch.items()
