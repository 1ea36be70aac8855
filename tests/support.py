"""What several tests need: small pictures, a catalogue, and a site whose every response the test decides."""

import http.client
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from postergenre import cli

ROOT = Path(__file__).resolve().parents[1]
HEADER = "imdbId,Imdb Link,Title,IMDB Score,Genre,Poster"


def make_picture(seed: int, width: int = 60, height: int = 90) -> Image.Image:
    """A picture of its own for each seed: a coarse pattern, so that its perceptual hash is its own too."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@dataclass
class Response:
    """What the site sends for a path. status 0 resets the connection; stream: sent after the body, piece by piece."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "image/jpeg"
    stream: Callable[[], Iterable[bytes]] | None = None


class Site:
    """A real HTTP server on loopback. The test decides the response to each path.

    responses: by path: a response, a function that makes one, or a list, one for each request, the last for ever.
    requests: the paths of the requests so far, in their order.
    headers: of these requests.
    pause: seconds before each response.
    """

    def __init__(self) -> None:
        self.responses: dict[str, Response | list[Response] | Callable[[], Response]] = {
            "/robots.txt": Response(status=404)
        }
        self.requests: list[str] = []
        self.headers: list[Message] = []
        self.pause = 0.0
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.requests.append(self.path)
                site.headers.append(self.headers)
                time.sleep(site.pause)
                response = site.responses.get(self.path, Response(status=404))
                if isinstance(response, list):
                    self.send(response.pop(0) if len(response) > 1 else response[0])
                else:
                    self.send(response if isinstance(response, Response) else response())

            def send(self, response: Response) -> None:
                if not response.status:
                    # Closed with time 0 to linger, a connection is reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(response.status)
                for name, value in ({"Content-Length": str(len(response.body))} | response.headers).items():
                    if value:
                        self.send_header(name, value)
                self.send_header("Content-Type", response.kind)
                self.end_headers()
                self.wfile.write(response.body)
                with suppress(OSError):  # the client may have closed the connection
                    for piece in response.stream() if response.stream else ():
                        self.wfile.write(piece)

            def log_message(self, *_: object) -> None:
                return None

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that was killed is what a test wanted, not an error of the site's."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def add_posters(self, seeds: Sequence[int]) -> None:
        for seed in seeds:
            self.responses[f"/{seed}.jpg"] = Response(encode(make_picture(seed)))


@contextmanager
def site() -> Iterator[Site]:
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def write_catalogue(file: Path, rows: Sequence[tuple[str, str, str]], encoding: str = "utf-8") -> Path:
    """A catalogue in the published format from (imdbId, Genre, Poster)."""
    lines = [
        f'{number},http://127.0.0.1:9/title/{number},"Film {number}",,{names},{link}' for number, names, link in rows
    ]
    file.write_text("\n".join([HEADER, *lines]) + "\n", encoding=encoding)
    return file


def run(
    *command: str, cwd: Path, timeout: float = 300, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command with this environment's programs first on PATH; its output as text."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    merged = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "true"} | (env or {})
    return subprocess.run(command, cwd=cwd, env=merged, capture_output=True, text=True, timeout=timeout, check=False)


@contextmanager
def cgroup(controller: str, v2: Mapping[str, str], v1: Mapping[str, str]) -> Iterator[list[str]]:
    """Make a control group with limits, where this user may; else the test is skipped.

    v2, v1: the limits, by their files, for both versions.

    Yields: a command that runs in the group the one that follows it.
    """
    for base, limits in ((Path("/sys/fs/cgroup"), v2), (Path("/sys/fs/cgroup", controller), v1)):
        group = base / f"postergenre-test-{os.getpid()}"
        if not (base / "cgroup.procs").exists():
            continue
        try:
            group.mkdir()
            for name, value in limits.items():
                (group / name).write_text(value)
        except OSError as error:
            with suppress(OSError):
                group.rmdir()
            pytest.skip(f"{controller} cannot be limited here: {error}")
        try:
            yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
        finally:
            group.rmdir()
        return
    pytest.skip(f"there are no control groups for {controller} here")


def command(*arguments: str) -> int | str | None:
    """What the `postergenre` command exits with, run in this process."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return ended.value.code


@contextmanager
def mlflow_server(folder: Path, within: Sequence[str] = ()) -> Iterator[str]:
    """A real `mlflow server` that keeps the artifacts itself, so that clients see nothing of its folders.

    within: a command that runs the one it is given, for a server in other surroundings.
    """
    port = find_free_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    storage = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept")]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "mlflow", "server", *address, *storage],
            cwd=folder,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_TRACKING_URI": ""},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it has workers, which are to end with it
        )
    (folder / "server.pid").write_text(str(process.pid))
    try:
        while not is_healthy(port):
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_healthy(port: int) -> bool:
    """Whether an MLflow server answers there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


class Proxy:
    """Stands before a server. What becomes of a call, the test decides by its number since `requests` was emptied.

    pause: seconds before a call is passed on.
    lost: whether the response to call number n is never given.
    requests: the calls, as `POST /path`.
    """

    def __init__(self, server: str):
        self.pause = 0.0
        self.lost: Callable[[int], bool] = lambda number: False
        self.requests: list[str] = []
        self.server = server.removeprefix("http://")
        self._http: ThreadingHTTPServer | None = None
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.up()

    def up(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.requests.append(f"{self.command} {self.path}")
                number = len(proxy.requests)
                time.sleep(proxy.pause)
                connection = http.client.HTTPConnection(proxy.server, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name != "Connection"}
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                body = response.read()
                connection.close()
                if proxy.lost(number):
                    return
                self.send_response(response.status)
                self.send_header("Content-Type", response.headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

            def log_message(self, *_: object) -> None:
                return None

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that did not wait is what a test wanted."""

        self._http = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Nobody listens any more."""
        if self._http:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
