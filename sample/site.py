"""The sample's door: `serving` serves the sample's posters during a crawl of its catalogue.

The server itself is in sample/server.py and runs in processes of its own, so that a crawl of another catalogue never
loads the code that draws.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from postergenre import machine
from postergenre.errors import InputError
from sample import films
from sample.films import HOST, PORT

# Seconds to wait for a busy port, which another run may be about to leave, and between two attempts.
PATIENCE, PAUSE = 20.0, 0.2


def is_sample(catalogue: Path) -> bool:
    """Whether a catalogue is the sample's."""
    return catalogue.resolve() == films.CATALOGUE.resolve()


def own_host(catalogue: Path) -> str:
    """The `host:port` from which a crawl of this catalogue is served by `serving`, "" for none."""
    return f"{HOST}:{PORT}" if is_sample(catalogue) else ""


@contextmanager
def serving(catalogue: Path, needed: bool) -> Iterator[str]:
    """Serve the sample's posters during the block, if `catalogue` is the sample's and a crawl of it is needed.

    Yields the site's `host:port`, "" where nothing is served.

    Raises:
        InputError: as `serve`.
    """
    if needed and is_sample(catalogue):
        with serve(catalogue) as url:
            yield urlsplit(url).netloc
    else:
        yield ""


@contextmanager
def serve(catalogue: Path, port: int = PORT) -> Iterator[str]:
    """Serve the films of a sample catalogue during the block, by one process for each core; yields the site's URL.

    The processes end with the block, and when this process ends in whatever way.

    Raises:
        InputError: the port stayed busy for PATIENCE seconds, or the catalogue can not be served.
    """
    with ExitStack() as stack:
        with listen(port) as listener:
            sites = [stack.enter_context(_start_process(catalogue, listener)) for _ in range(machine.processors())]
        for site in sites:
            assert site.stdout is not None
            if not site.stdout.readline():
                raise InputError(f"the sample site could not serve {catalogue}; its own message stands above")
        yield f"http://{HOST}:{port}"


@contextmanager
def _start_process(catalogue: Path, listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """Start one of the processes that share the listener; the operating system gives each connection to one of them."""
    command = [sys.executable, "-m", "sample.server", "--catalogue", str(catalogue.absolute())]
    with subprocess.Popen(
        [*command, "--socket", str(listener.fileno())],
        pass_fds=[listener.fileno()],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C ends the crawler, which still needs answers while it winds up.
        start_new_session=True,
    ) as site:
        try:
            yield site
        finally:
            site.kill()


def listen(port: int) -> socket.socket:
    """A socket that listens on the port.

    Raises:
        InputError: the port stayed busy for PATIENCE seconds.
    """
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
