"""`dvc repro`, which explains why a stage was killed, and makes what is never pushed.

DVC prints `failed to run: python -m stages.train, exited with -9`, and the kernel's reason stands in its own log.

With `--pull --allow-missing`, DVC passes over a stage whose outputs are neither here nor in the remote, and then fails
in a later stage that needs them. Outputs with `push: false` are in no remote.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dvc import cli
from dvc.repo import reproduce

from postergenre import machine
from postergenre.dvc_project import project
from postergenre.errors import InputError

# What DVC logs where neither cache nor remote has what a stage reads.
ABSENT = "Checkout failed for following targets"
# What DVC logs of a stage that SIGKILL ended; a shell between them adds 128 to the signal.
KILLED = re.compile(r"failed to run: python -m stages\.(\w+), exited with (-9|137)\b")
FRAME = "resize.height and resize.width in params.yaml"
# Of each stage: the GB that it needs on the sample with the network `pretrained`, as in the first table of
# benchmarks/README.md, and what to change for less.
NEEDS = {
    "scrape": (0.4, "scrape.processes in params.yaml"),
    "resize": (0.3, f"{FRAME}, or the processors (`taskset -c 0 dvc repro`): each decodes in a process of its own"),
    "read": (0.2, "the processors (`taskset -c 0 dvc repro`): each reads in a process of its own, of 0.6 GB"),
    "dataset": (0.3, "dataset.limit in params.yaml"),
    "train": (1.5, f"the network's architecture.input or training.batch_size, or {FRAME}"),
    "evaluate": (0.9, f"{FRAME}, or evaluate.pictures"),
}


def repro(arguments: Sequence[str]) -> int:
    """Run `dvc repro` with arguments; returns its exit code.

    Raises:
        InputError: the project is in no git repository, or a stage was killed.
    """
    code, failures = _run(arguments)
    if "--pull" in arguments and any(ABSENT in text for text in failures) and (stages := _makers_of_unpushed()):
        print(f"{' and '.join(stages)} makes what the remote never has; then the others go on")
        code, failures = _run(["--pull", *stages])
        if not code:
            code, failures = _run(arguments)
    killed = next((match[1] for text in failures if (match := KILLED.search(text))), None)
    if any(project.NO_GIT in text for text in failures):
        raise InputError(f"nothing was run: {project.without_git()}")
    if killed is None:
        return code
    advice = "give it more memory"
    if killed in NEEDS:
        gigabytes, change = NEEDS[killed]
        advice = f"on the sample, with `pretrained`, it needs {gigabytes} GB; {advice}, or lower {change}"
    raise InputError(
        f"the stage {killed} was killed, most likely because memory ran out: {machine.memory() / 1e9:.1f} GB are here "
        f"for all that runs; {advice}"
    )


def _run(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Run `dvc repro`; its exit code, and what it logged."""
    with _failures() as failures:
        return cli.main(["repro", *arguments]), failures


def _makers_of_unpushed() -> list[str]:
    """The stages whose outputs with `push: false` are not here."""
    with project.opened() as repo:
        return [out.stage.addressing for out in repo.index.outs if not out.can_push and not out.exists]


@contextmanager
def _failures() -> Iterator[list[str]]:
    """Yields a list to which the block adds the messages of failures that DVC logs, with their causes.

    `--quiet` raises the level of DVC's logger, which drops failures before any handler sees them. So the loggers that
    tell of failures get a level of their own, and DVC's handlers print what its logger would have let through.
    """
    texts: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())
            error = record.exc_info[1] if record.exc_info else None
            while error:
                texts.append(str(error))
                error = error.__cause__

    def prints(record: logging.LogRecord) -> bool:
        return record.levelno >= dvc.level

    dvc, handler = logging.getLogger("dvc"), Handler(logging.WARNING)
    printing, telling = [*dvc.handlers], (cli.logger, reproduce.logger)
    for other in printing:
        other.addFilter(prints)
    for logger in telling:
        logger.setLevel(1)  # 0 would be the level of DVC's logger
    dvc.addHandler(handler)
    try:
        yield texts
    finally:
        dvc.removeHandler(handler)
        for logger in telling:
            logger.setLevel(logging.NOTSET)
        for other in printing:
            other.removeFilter(prints)
