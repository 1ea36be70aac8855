"""Heat maps and thumbnails over HTTP, by a real server."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Request

from postergenre.prediction import explanations, occlusion, predictor
from postergenre.prediction.known_posters import KnownPosters
from postergenre.serving import explaining
from tests.factories import write_known_posters
from tests.support import encode, find_free_port, make_picture


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with these routes alone, and four films."""
    known = KnownPosters(write_known_posters(tmp_path_factory.mktemp("project")))

    async def body(request: Request) -> bytes:
        return await request.body()

    app = FastAPI()
    app.include_router(explaining.routes(explanations.Heatmaps(predictor.load(models)), known, body))
    port = find_free_port()
    running = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started and thread.is_alive():
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()


def ask(address: str, body: bytes | None = None) -> tuple[int, bytes, str]:
    """The status, body and kind of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=60) as answer:
            return answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers["Content-Type"]


def test_a_picture_has_a_heat_map_of_each_genre(server: str, models: Path) -> None:
    data = encode(make_picture(1))
    status, body, kind = ask(f"{server}/heatmap", data)
    assert (status, kind) == (200, "application/json")
    answer = json.loads(body)
    network = predictor.load(models)
    expected = occlusion.heatmaps(network.network, network.fit_picture(data))
    assert (len(answer["genres"]), answer["rows"], answer["columns"]) == expected.shape
    for genre, heat in zip(answer["genres"], expected, strict=True):
        np.testing.assert_allclose(answer["heat"][genre], heat, atol=1e-3)


def test_what_is_no_picture_has_none(server: str) -> None:
    status, body, _ = ask(f"{server}/heatmap", b"words")
    assert status == 422
    assert json.loads(body) == {"error": "it is not an image"}


def test_a_film_has_a_thumbnail_and_no_path_leads_elsewhere(server: str) -> None:
    status, body, kind = ask(f"{server}/posters/tt1.jpg")
    assert (status, kind, body[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    for film_id in ("tt9", "..%2F..%2Fetc%2Fpasswd", "%00", "<script>"):
        status, body, kind = ask(f"{server}/posters/{film_id}.jpg")
        assert (status, kind) == (404, "application/json")
        assert len(json.loads(body)) == 1
