"""Runs in MLflow as the train stage makes them, in this process and in others that can be killed."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postergenre.tracking import runs
from postergenre.tracking.runs import Run


@contextmanager
def training(about: dict[str, Any]) -> Iterator[Run]:
    """A run of a training whose folder goes when it has ended, so that no other one goes on with it."""
    with tempfile.TemporaryDirectory() as folder, runs.training_run(about, Path(folder)) as run:
        yield run


def wait_for_workers() -> None:
    """Wait for the threads that still have a call under way for a run that has ended."""
    for thread in threading.enumerate():
        if thread.name == "tracking":
            thread.join(60)
            assert not thread.is_alive()


PARENT = """
import json, os, signal, sys, time
from pathlib import Path
import mlflow
from postergenre import errors
from postergenre.networks import backend
from postergenre.tracking import runs

def main(name):
    with runs.training_run(json.loads(Path(sys.argv[1]).read_text()), Path(f"checkpoint-{name}")) as run:
%s
        time.sleep(60)

def child(name):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have switched off
    os.dup2(os.open(f"{name}.err", os.O_WRONLY | os.O_CREAT), 2)
    errors.run(lambda: main(name))

backend.start()
backend.keras.backend.backend()  # imported once for all children: it takes seconds
children = {}
for name in sys.argv[2:]:
    children[name] = os.fork()
    if not children[name]:
        child(name)
print(json.dumps(children), flush=True)
ended = {name: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for name, pid in children.items()}
print(json.dumps(ended), flush=True)
"""


@dataclass
class Children:
    """Processes that each train in the present folder.

    pids: by name.
    """

    process: subprocess.Popen[str]
    pids: dict[str, int]

    def wait_for_files(self) -> None:
        """Until each has written the file with its name, or all have ended."""
        while not all(Path(name).exists() for name in self.pids) and self.process.poll() is None:
            time.sleep(0.05)

    def wait_for_first(self) -> None:
        """Until the first of them has ended."""
        pid = next(iter(self.pids.values()))
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                time.sleep(0.05)

    def end(self) -> dict[str, tuple[int, str]]:
        """Exit code and stderr of each."""
        out, _ = self.process.communicate(timeout=120)
        return {name: (code, Path(f"{name}.err").read_text()) for name, code in json.loads(out).items()}


def start_children(about: Path, names: Iterable[str], body: str) -> Children:
    """Start trainings of what a run.json describes.

    body: what each does with its `name` and its `run`; then it sleeps.
    """
    indented = "\n".join(f"        {line}" for line in body.strip().splitlines())
    command = [sys.executable, "-c", PARENT % indented, str(about), *names]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return Children(process, json.loads(process.stdout.readline()))
