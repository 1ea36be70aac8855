"""A site on this machine that shows the sample's films as public sites do: title pages, redirects, posters over HTTP.

    /robots.txt              allows /title/ and /images/, disallows /private/
    /title/tt99000001        301 to /title/tt99000001/
    /title/tt99000001/       a page with og:title, og:image and a schema.org Movie
    /images/M/tt99000001...  the poster, drawn when it is asked for; 304 for one that the client has
    /images/logo.png         what a film without a poster shows instead

`python -m sample.site` serves it until Ctrl-C; the scrape stage has `serving` do so beside a crawl.
"""

import argparse
import hashlib
import html
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from PIL import Image, ImageDraw

from postergenre.errors import InputError, run
from sample import films, poster
from sample.films import HOST, PORT, Film

# Seconds to wait for a port that another run may be about to leave, and between two looks.
PATIENCE, PAUSE = 20.0, 0.2
ROBOTS = "User-agent: *\nAllow: /title/\nAllow: /images/\nDisallow: /private/\n"
# Drawings have no age; a fixed date keeps a site's answers the same.
MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
LOGO = "/images/logo.png"


@contextmanager
def serving(catalogue: Path, port: int = PORT) -> Iterator[str]:
    """Serve the films of `catalogue` by a process for each core for as long as the block lasts; yields the address.

    They end with the block, and with this process however that ends.

    Raises:
        InputError: the port stayed busy for PATIENCE seconds, or the catalogue can not be served.
    """
    with ExitStack() as stack:
        with _listening(port) as listener:
            sites = [stack.enter_context(_process(catalogue, listener)) for _ in range(os.cpu_count() or 1)]
        for site in sites:
            assert site.stdout is not None
            if not site.stdout.readline():
                raise InputError(f"the sample site could not serve {catalogue}; its own message stands above")
        yield f"http://{HOST}:{port}"


@contextmanager
def _process(catalogue: Path, listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """One of those that draw at the same time; which of them gets a connection is the system's choice."""
    command = [sys.executable, "-m", "sample.site", "--catalogue", str(catalogue.absolute())]
    with subprocess.Popen(
        [*command, "--socket", str(listener.fileno())],
        pass_fds=[listener.fileno()],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for the crawler, which still wants answers while it winds up.
        start_new_session=True,
    ) as site:
        try:
            yield site
        finally:
            site.kill()


class Site(ThreadingHTTPServer):
    """The films by id, and one lock: threads that draw at the same time only get in each other's way."""

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
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in one piece, and at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Site

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/robots.txt":
            self._answer(HTTPStatus.OK, ROBOTS.encode(), "text/plain")
        elif path == LOGO:
            self._answer(HTTPStatus.OK, _logo(), "image/png")
        elif found := re.fullmatch(r"/title/(tt\d+)(/?)", path):
            self._page(found[1], bool(found[2]))
        elif found := re.fullmatch(rf"/images/M/(tt\d+)\._V{films.DRAWING}_[\w.,]*\.jpg", path):
            self._poster(found[1])
        else:
            self._not_found()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a crawl has its own log."""

    def _page(self, imdb_id: str, has_slash: bool) -> None:
        film = self.server.titles.get(imdb_id)
        if film is None:
            self._not_found()
        elif has_slash:
            self._answer(HTTPStatus.OK, _page(film, self.server.address).encode(), "text/html; charset=utf-8")
        else:
            self._answer(HTTPStatus.MOVED_PERMANENTLY, b"", "text/html", {"Location": f"/title/{imdb_id}/"})

    def _poster(self, imdb_id: str) -> None:
        film = self.server.titles.get(imdb_id)
        if film is None or film.is_gone or not film.poster:
            return self._not_found()
        tag = f'"{hashlib.sha256(repr((films.DRAWING, film)).encode()).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Last-Modified": MODIFIED, "Cache-Control": "max-age=86400"}
        if self._has(tag):
            return self._answer(HTTPStatus.NOT_MODIFIED, b"", "image/jpeg", headers)
        with self.server.drawing:
            body = poster.jpeg(film)
        self._answer(HTTPStatus.OK, body, "image/jpeg", headers)

    def _has(self, tag: str) -> bool:
        """Whether the client says that it has the poster already."""
        if tags := self.headers.get("If-None-Match"):
            return tag in tags
        with suppress(TypeError, ValueError):
            return parsedate_to_datetime(self.headers["If-Modified-Since"]) >= parsedate_to_datetime(MODIFIED)
        return False

    def _not_found(self) -> None:
        self._answer(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _page(film: Film, address: str) -> str:
    """The film's page, with what sites tell link previews (Open Graph) and search engines (https://schema.org/Movie)."""
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
    """A reel of film, in a few bytes."""
    image = Image.new("RGB", (96, 96), (244, 240, 230))
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 88, 88), (40, 44, 56))
    for x, y in ((48, 26), (48, 70), (26, 48), (70, 48), (48, 48)):
        pen.ellipse((x - 9, y - 9, x + 9, y + 9), (244, 240, 230))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _listening(port: int) -> socket.socket:
    """A socket that listens on the port."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_server((HOST, port), backlog=128)
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"port {port}, from which the sample's posters are served, stayed busy for {PATIENCE:.0f} s"
                    f" ({error.strerror}); end what holds it, or wait until it has ended"
                ) from None
        time.sleep(PAUSE)


def _end_with_parent() -> None:
    """End this process when the one that started it has gone: then nobody holds the other end of our stdin."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve the sample by hand, or for `serving`, which hands over a socket that listens."""
    parser = argparse.ArgumentParser(description="Serve the sample's title pages and posters until Ctrl-C.")
    parser.add_argument("--catalogue", type=Path, default=films.CATALOGUE)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--socket", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    titles = films.read(options.catalogue)
    if options.socket is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    listener = _listening(options.port) if options.socket is None else socket.socket(fileno=options.socket)
    with Site(listener, titles) as site:
        print(f"{site.address}: {len(titles)} films", flush=True)
        site.serve_forever()


if __name__ == "__main__":
    run(main)
