"""Turns texts into the numbers of their tokens, as a model's own files say."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre.errors import InputError


class Tokens:
    """The tokens of a model.

    file: its tokenizer.json.
    prompt: what stands before each text.
    lower: whether texts are put in lower case.
    max_tokens: a longer text is cut, the special tokens counted.

    Raises:
        InputError: the package `tokenizers` is missing, or the file is not of its format.
    """

    def __init__(self, file: Path, prompt: str, lower: bool, max_tokens: int):
        try:
            import tokenizers
        except ImportError:
            raise InputError("text encoders need the package tokenizers; pip install 'postergenre[text]'") from None
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(file.read_bytes())
        except FileNotFoundError:
            raise InputError(f"{file} is missing; a model's folder should have it") from None
        except Exception as error:  # tokenizers raises plain exceptions
            raise InputError(f"{file} is not of the format of tokenizers: {error}") from None
        self._prompt, self._lower = prompt, lower
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text's tokens."""
        prepared = [self._prompt + (text.lower() if self._lower else text).strip() for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(prepared)]


def pad(tokens: Sequence[Sequence[int]], number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Texts of several lengths as two arrays int64 `(texts, longest)`: the tokens' ids, and 1 where there is one.

    number: the id that fills the shorter texts up.
    """
    ids = np.full((len(tokens), max(map(len, tokens))), number, np.int64)
    mask = np.zeros_like(ids)
    for row, numbers in enumerate(tokens):
        ids[row, : len(numbers)], mask[row, : len(numbers)] = numbers, 1
    return ids, mask
