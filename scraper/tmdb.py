"""Posters from The Movie Database, by IMDb id.

GET /3/find/{imdb_id}?external_source=imdb_id names a `poster_path`; with the image host and a size it makes a URL:
developer.themoviedb.org/reference/find-by-id and developer.themoviedb.org/docs/image-basics.
"""

import json
import os
from typing import Annotated, Any

from pydantic import Field

from postergenre.errors import InputError
from postergenre.params import Section
from scraper.sizes import Sizes

TOKEN = "TMDB_READ_ACCESS_TOKEN"
Address = Annotated[str, Field(pattern="^https?://[^/]+[^/]$")]


class TmdbParams(Section):
    """`scrape.tmdb` in params.yaml, which explains each key."""

    api: Address
    images: Address


class Tmdb:
    """How to ask TMDB, and how to read its answers. The token goes into a header and nowhere else."""

    def __init__(self, params: TmdbParams, sizes: Sizes):
        self._params, self._size = params, sizes.tmdb_size()

    def url(self, imdb_id: str) -> str:
        """The API's URL for a film, with the posters' size behind #, which is never sent: a key for each size."""
        return f"{self._params.api}/3/find/{imdb_id}?external_source=imdb_id#{self._size}"

    def request_options(self) -> tuple[dict[str, str], dict[str, Any]]:
        """The headers and meta of a request to the API. An API is made for programs; robots.txt is about pages."""
        headers = {"Authorization": f"Bearer {os.environ[TOKEN]}", "Accept": "application/json"}
        return headers, {"dont_obey_robotstxt": True}

    def poster_link(self, body: bytes) -> str:
        """The URL of the poster that an answer names, "" where TMDB has none.

        Raises:
            ValueError: the answer is not TMDB's.
        """
        try:
            answer = json.loads(body)
            titles = [*answer["movie_results"], *answer["tv_results"]]
            path = next((title["poster_path"] for title in titles if title["poster_path"]), "")
        except (ValueError, KeyError, TypeError):
            raise ValueError("the answer is not TMDB's") from None
        return f"{self._params.images}/t/p/{self._size}{path}" if path else ""


def check_token() -> None:
    """Check that the environment has a token.

    Raises:
        InputError: it has none, or an API key, which would have to stand in URLs.
    """
    token = os.environ.get(TOKEN, "")
    if not token:
        raise InputError(f"scrape.source has tmdb, which needs ${TOKEN}: the API Read Access Token of a TMDB account")
    if len(token) == 32:
        raise InputError(f"${TOKEN} holds an API key; it should hold the API Read Access Token, which is longer")
