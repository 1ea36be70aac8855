"""Posters from The Movie Database, by IMDb id.

GET /3/find/{imdb_id}?external_source=imdb_id names a `poster_path`, which the image host and a size complete:
developer.themoviedb.org/reference/find-by-id and developer.themoviedb.org/docs/image-basics.
"""

import json
import os
from typing import Annotated, Any, Literal

from pydantic import Field

from postergenre.errors import InputError
from postergenre.params import Section

TOKEN = "TMDB_READ_ACCESS_TOKEN"
Address = Annotated[str, Field(pattern="^https?://[^/]+[^/]$")]


class TmdbParams(Section):
    """`scrape.tmdb` in params.yaml, where each key is explained. poster_size: one that TMDB's configuration lists."""

    api: Address
    images: Address
    poster_size: Literal["w92", "w154", "w185", "w342", "w500", "w780", "original"]


class Tmdb:
    """What TMDB is asked, and where its answers lead. The token goes into a header and nowhere else."""

    def __init__(self, params: TmdbParams):
        self._params = params

    def url(self, imdb_id: str) -> str:
        return f"{self._params.api}/3/find/{imdb_id}?external_source=imdb_id"

    def asking(self) -> tuple[dict[str, str], dict[str, Any]]:
        """The headers and meta of a request to the API, which is there to be asked: robots.txt is about pages."""
        headers = {"Authorization": f"Bearer {os.environ[TOKEN]}", "Accept": "application/json"}
        return headers, {"dont_obey_robotstxt": True}

    def poster_link(self, body: bytes) -> str:
        """The URL of the poster that an answer names, "" where TMDB has none.

        Raises:
            ValueError: it is no answer of TMDB's.
        """
        try:
            answer = json.loads(body)
            found = [*answer["movie_results"], *answer["tv_results"]]
            path = next((one["poster_path"] for one in found if one["poster_path"]), "")
        except (ValueError, KeyError, TypeError):
            raise ValueError("the answer is not TMDB's") from None
        return f"{self._params.images}/t/p/{self._params.poster_size}{path}" if path else ""


def check_token() -> None:
    """Refuse to start without a token.

    Raises:
        InputError: there is none, or it is one of the older keys, which would have to stand in URLs.
    """
    token = os.environ.get(TOKEN, "")
    if not token:
        raise InputError(
            f"scrape.source has tmdb, which asks for ${TOKEN}: the API Read Access Token of a TMDB account"
        )
    if len(token) == 32:
        raise InputError(f"${TOKEN} holds an API key; the API Read Access Token, a longer one beside it, is wanted")
