"""Routes that show more of a picture and of the training posters: heat maps and thumbnails."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from postergenre.data.images import ImageError
from postergenre.prediction.explanations import Heatmaps
from postergenre.prediction.known_posters import KnownPosters

# The bytes of the one picture that a request brings, within the server's limits.
ReadPicture = Callable[[Request], Awaitable[bytes]]
HOUR = "private, max-age=3600"


def routes(heatmaps: Heatmaps, known: KnownPosters | None, read_picture: ReadPicture) -> APIRouter:
    """`POST /heatmap` and `GET /posters/ID.jpg`.

    known: the posters of the project; None where its data is not here, and then there are no thumbnails.
    """
    router = APIRouter()

    @router.post("/heatmap", response_model=None)
    async def heatmap(request: Request) -> dict[str, Any] | JSONResponse:
        """Where in a picture each genre comes from: rows of numbers from 0 to 1, by genre."""
        try:
            return await run_in_threadpool(heatmaps.of, await read_picture(request))
        except ImageError as error:
            return JSONResponse({"error": str(error)}, 422)

    @router.get("/posters/{film_id}.jpg", response_model=None)
    def poster(film_id: str) -> Response:
        """A small picture of a film's poster."""
        thumbnail = known.thumbnail(film_id) if known else None
        if thumbnail is None:
            return JSONResponse({"error": f"the poster of {film_id} is not here"}, 404)
        return Response(thumbnail, media_type="image/jpeg", headers={"Cache-Control": HOUR})

    return router


def thumbnail_address(known: KnownPosters | None, film_id: str) -> str | None:
    """Where `routes` serves a film's poster; None where it is not here."""
    return f"/posters/{film_id}.jpg" if known and known.has_thumbnail(film_id) else None
