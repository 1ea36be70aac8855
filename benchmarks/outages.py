"""How much a dead or slow tracking server delays a training, as a Markdown table.

    python -m benchmarks.outages 3

Runs the train stage with params.yaml and data/ for that many epochs, in a folder of its own: with the project's own
store, with a dead server, and with one that takes 10 seconds for each call. Then the three in reverse order, so that
other work on the machine does not favour one of them.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean

import yaml

DEAD = "http://127.0.0.1:9"  # nobody listens there
DELAY = 10.0  # seconds


class _Slow(BaseHTTPRequestHandler):
    """Waits before each answer, which is that of a server without runs."""

    def do_GET(self) -> None:
        time.sleep(DELAY)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """The client did not wait; that is no error."""


@contextmanager
def slow_server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def seconds(epochs: int, uri: str) -> float:
    """The seconds of one train stage, from start to exit.

    Raises:
        SystemExit: the stage failed, or the number of runs in the spool is not the expected one.
    """
    with tempfile.TemporaryDirectory() as folder:
        params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        params["networks"][params["train"]["network"]]["training"]["epochs"] = epochs
        Path(folder, "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        Path(folder, "data").symlink_to(Path("data").absolute())
        path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": path}
        started = time.monotonic()
        process = subprocess.run([sys.executable, "-m", "stages.train"], cwd=folder, env=environment, check=False)
        elapsed = time.monotonic() - started
        spooled = list(Path(folder).glob("mlflow-spool/*/models/run.json"))
    if process.returncode or len(spooled) != bool(uri):
        server = uri or "the project's own store"
        sys.exit(f"the training with {server} ended with {process.returncode} and {len(spooled)} runs in the spool")
    return elapsed


def main() -> None:
    epochs = int(sys.argv[1])
    with slow_server() as slow:
        servers = {"the project's own store": "", "dead": DEAD, f"{DELAY:.0f} s for each call": slow}
        order = [*servers, *reversed(servers)]
        measured = [(name, seconds(epochs, servers[name])) for name in order]
    by_server = {name: [elapsed for other, elapsed in measured if other == name] for name in servers}
    first = mean(next(iter(by_server.values())))
    print("\n| tracking server | seconds | seconds, again | difference from the first row |\n|---|--:|--:|--:|")
    for name, (one, two) in by_server.items():
        print(f"| {name} | {one:.1f} | {two:.1f} | {mean((one, two)) / first - 1:+.1%} |")


if __name__ == "__main__":
    main()
