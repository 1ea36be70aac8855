"""A site on this machine that serves the sample's films as public sites do: title pages, redirects, posters.

    /robots.txt              allows /title/ and /images/, disallows /private/
    /title/tt99000001        301 to /title/tt99000001/
    /title/tt99000001/       a page with og:title, og:image and a schema.org Movie
    /images/M/tt99000001...  the poster, drawn on request; 304 for one that the client has
    /images/logo.png         the picture on the page of a film without a poster

`python -m sample.server` serves it until Ctrl-C.
"""

import argparse
import hashlib
import html
import io
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from PIL import Image, ImageDraw

from postergenre.errors import run
from sample import films, poster, site
from sample.films import HOST, PORT, Film

ROBOTS = "User-agent: *\nAllow: /title/\nAllow: /images/\nDisallow: /private/\n"
# Drawings have no date. A fixed one keeps the site's answers the same.
MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
LOGO = "/images/logo.png"


class Server(ThreadingHTTPServer):
    """The HTTP server of one process.

    titles: the films by IMDb id.
    drawing: a lock: one thread draws at a time, since more would only slow each other down.
    """

    daemon_threads = True

    def __init__(self, listener: socket.socket, titles: Mapping[str, Film]) -> None:
        super().__init__((HOST, 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_address = listener, listener.getsockname()
        self.titles, self.drawing = titles, threading.Lock()

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    # Send headers and body in one piece, and at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/robots.txt":
            self._answer(HTTPStatus.OK, ROBOTS.encode(), "text/plain")
        elif path == LOGO:
            self._answer(HTTPStatus.OK, _logo(), "image/png")
        elif title := re.fullmatch(r"/title/(tt\d+)(/?)", path):
            self._answer_page(title[1], bool(title[2]))
        elif image := re.fullmatch(rf"/images/M/(tt\d+)\._V{films.DRAWING}_[\w.,]*\.jpg", path):
            self._answer_poster(image[1])
        else:
            self._answer_not_found()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a crawl has its own log."""

    def _answer_page(self, imdb_id: str, has_slash: bool) -> None:
        film = self.server.titles.get(imdb_id)
        if film is None:
            self._answer_not_found()
        elif has_slash:
            self._answer(HTTPStatus.OK, _page_html(film, self.server.address).encode(), "text/html; charset=utf-8")
        else:
            self._answer(HTTPStatus.MOVED_PERMANENTLY, b"", "text/html", {"Location": f"/title/{imdb_id}/"})

    def _answer_poster(self, imdb_id: str) -> None:
        film = self.server.titles.get(imdb_id)
        if film is None or film.is_gone or not film.poster:
            return self._answer_not_found()
        tag = f'"{hashlib.sha256(repr((films.DRAWING, film)).encode()).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Last-Modified": MODIFIED, "Cache-Control": "max-age=86400"}
        if self._client_has(tag):
            return self._answer(HTTPStatus.NOT_MODIFIED, b"", "image/jpeg", headers)
        with self.server.drawing:
            body = poster.jpeg(film)
        self._answer(HTTPStatus.OK, body, "image/jpeg", headers)

    def _client_has(self, tag: str) -> bool:
        """Whether the request's headers show that the client has the poster already."""
        if tags := self.headers.get("If-None-Match"):
            return tag in tags
        with suppress(TypeError, ValueError):
            return parsedate_to_datetime(self.headers["If-Modified-Since"]) >= parsedate_to_datetime(MODIFIED)
        return False

    def _answer_not_found(self) -> None:
        self._answer(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _page_html(film: Film, address: str) -> str:
    """The film's page, with its metadata as Open Graph tags and JSON-LD (https://schema.org/Movie)."""
    movie = {"@context": "https://schema.org", "@type": "Movie", "url": f"/title/{film.imdb_id}/", "name": film.title}
    image = address + (urlsplit(film.poster).path if film.poster else LOGO)
    if film.poster:
        movie["image"] = image
    title = html.escape(film.title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta property="og:type" content="video.movie"><meta property="og:title" content="{title}">\n'
        f'<meta property="og:image" content="{html.escape(image)}">\n'
        f'<script type="application/ld+json">{json.dumps(movie | {"genre": film.genres})}</script>\n'
        f"</head><body><h1>{title}</h1></body></html>\n"
    )


@cache
def _logo() -> bytes:
    """The site's logo, a reel of film, as a small PNG."""
    image = Image.new("RGB", (96, 96), (244, 240, 230))
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 88, 88), (40, 44, 56))
    for x, y in ((48, 26), (48, 70), (26, 48), (70, 48), (48, 48)):
        pen.ellipse((x - 9, y - 9, x + 9, y + 9), (244, 240, 230))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _end_with_parent() -> None:
    """End this process when its parent has ended: that closes our stdin."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve the sample by hand, or for `site.serve`, which passes a listening socket."""
    parser = argparse.ArgumentParser(description="Serve the sample's title pages and posters until Ctrl-C.")
    parser.add_argument("--catalogue", type=Path, default=films.CATALOGUE)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--socket", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    titles = films.read(options.catalogue)
    if options.socket is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    listener = site.listen(options.port) if options.socket is None else socket.socket(fileno=options.socket)
    with Server(listener, titles) as server:
        print(f"{server.address}: {len(titles)} films", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    run(main)
