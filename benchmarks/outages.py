"""What a tracking server that is dead or slow costs a training, as a Markdown table.

    python -m benchmarks.outages 3

Runs the train stage on what params.yaml names and data/ holds, for so many epochs, in a folder of its own: with the
project's own store, with a server that is dead, and with one that takes 10 seconds for each call. Then the same in
reverse order, so that what else the machine does falls on all.
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
    """Every call takes its time, and is answered as by a server without any run."""

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
        """Who asked did not wait."""


@contextmanager
def slow_server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def seconds(epochs: int, uri: str) -> float:
    """Of one train stage, from its start to its exit.

    Raises:
        SystemExit: the stage failed, or the server's state was not what it should be.
    """
    with tempfile.TemporaryDirectory() as folder:
        params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        params["networks"][params["train"]["network"]]["training"]["epochs"] = epochs
        Path(folder, "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        Path(folder, "data").symlink_to(Path("data").absolute())
        path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": path}
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "stages.train"], cwd=folder, env=environment, check=False)
        took = time.monotonic() - started
        spooled = list(Path(folder).glob("mlflow-spool/*/models/run.json"))
    if done.returncode or len(spooled) != bool(uri):
        sys.exit(f"the training with {uri or 'its own store'} left {len(spooled)} runs in the spool, and {done}")
    return took


def main() -> None:
    epochs = int(sys.argv[1])
    with slow_server() as slow:
        servers = {"the project's own store": "", "dead": DEAD, f"{DELAY:.0f} s for each call": slow}
        order = [*servers, *reversed(servers)]
        measured = [(name, seconds(epochs, servers[name])) for name in order]
    taken = {name: [took for other, took in measured if other == name] for name in servers}
    first = mean(next(iter(taken.values())))
    print("\n| server | seconds | | beside the first |\n|---|--:|--:|--:|")
    for name, (one, two) in taken.items():
        print(f"| {name} | {one:.1f} | {two:.1f} | {mean((one, two)) / first - 1:+.1%} |")


if __name__ == "__main__":
    main()
