"""Posters from The Movie Database, by its own id or by IMDb's.

GET /3/movie/{id} and /3/find/{imdb_id}?external_source=imdb_id name a `poster_path`; with the image host and a size it
makes a URL: developer.themoviedb.org/reference/movie-details, developer.themoviedb.org/reference/find-by-id,
developer.themoviedb.org/docs/image-basics.
"""

import json
import os
from typing import Annotated, Any

from pydantic import Field

from postergenre.data.film_ids import number
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

    def url(self, film_id: str, tmdb_id: int) -> str:
        """The API's URL for a film, "" where TMDB cannot know its id.

        The posters' size stands behind #, which is never sent: a key for each size.

        tmdb_id: its number at TMDB, 0 for none.
        """
        if tmdb_id:
            return f"{self._params.api}/3/movie/{tmdb_id}#{self._size}"
        if film_id.startswith("tt") and number(film_id) > 0:
            return f"{self._params.api}/3/find/{film_id}?external_source=imdb_id#{self._size}"
        return ""

    def picture(self, path: str) -> str:
        """The URL of a poster by its `poster_path`, such as `/rhIRbceo.jpg`."""
        return f"{self._params.images}/t/p/{self._size}{path}"

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
            titles = [answer] if "poster_path" in answer else [*answer["movie_results"], *answer["tv_results"]]
            path = next((title["poster_path"] for title in titles if title["poster_path"]), "")
        except (ValueError, KeyError, TypeError):
            raise ValueError("the answer is not TMDB's") from None
        return self.picture(path) if path else ""


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
