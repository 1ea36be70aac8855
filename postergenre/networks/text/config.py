"""`text` in params.yaml: how what was read on the posters is used."""

from typing import Annotated

from pydantic import Field

from postergenre.networks.architecture import VectorHead
from postergenre.networks.config import Recipe
from postergenre.params import Section

# The name of no encoder: n-grams alone.
NGRAMS_ALONE = "tfidf"


class TextParams(Section):
    """`text` in params.yaml, where each key is explained.

    head, heads, training: of the heads on the text encoder's vectors.
    """

    encoder: Annotated[str, Field(min_length=1)]
    head: VectorHead
    heads: Annotated[int, Field(ge=1)]
    training: Recipe

    @property
    def backbone(self) -> None:
        """The text encoder is not trained further."""
