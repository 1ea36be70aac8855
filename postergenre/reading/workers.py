"""Reads posters in several processes. A process that dies costs one poster at most."""

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection

from postergenre.data.images import ImageError
from postergenre.data.tar_shards import Member
from postergenre.data.texts import Line
from postergenre.errors import InputError, one_line

# Reads the bytes of a poster's file.
Read = Callable[[bytes], Sequence[Line]]
# The lines of a poster, or why it was not read.
Result = Sequence[Line] | str

# So often a poster is tried whose process dies. The first time, other programs may have had the machine's memory.
TRIES = 2
DIED = f"the process that read it died, {TRIES} times"


def read(members: Iterable[Member], load: Callable[[], Read], count: int) -> Generator[tuple[Member, Result]]:
    """Read posters in `count` processes; yields each poster with its result as soon as that is there.

    load: makes what reads a poster; each process calls it once. A function of a module, or a `partial` of one.

    Raises:
        InputError: a process could not be started.
    """
    waiting, tries = deque(members), Counter[Member]()
    workers = [_Worker(load) for _ in range(min(count, len(waiting)))]
    try:
        while workers:
            for worker in _ready(workers):
                member, result = worker.member, worker.receive()
                if member and result is None and tries[member] < TRIES:
                    waiting.append(member)
                elif member:
                    yield member, DIED if result is None else result
                if result is None or not waiting:
                    workers.remove(worker)
                    worker.stop()
                if result is None and waiting:
                    workers.append(_Worker(load))
                elif waiting:
                    tries[waiting[0]] += 1
                    worker.give(waiting.popleft())
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process that reads one poster at a time.

    member: the poster that it reads; None until its reader is loaded.
    """

    def __init__(self, load: Callable[[], Read]):
        context = multiprocessing.get_context("spawn")  # a forked process would hold the pipes of the others open
        self.pipe, own_end = context.Pipe()
        self.member: Member | None = None
        self._process = context.Process(target=_work, args=(own_end, load), daemon=True)
        self._process.start()
        own_end.close()

    def give(self, member: Member) -> None:
        """Let it read a poster."""
        self.member = member
        with suppress(OSError):  # it has just died, as `receive` will find
            self.pipe.send(member)

    def receive(self) -> Result | None:
        """The result of its poster, or an empty one where its reader is loaded; None if it died over a poster.

        Raises:
            InputError: it died before its reader was loaded.
        """
        try:
            result: Result = self.pipe.recv()
            return result
        except (EOFError, OSError):
            if self.member is None:
                raise InputError("a process that reads posters could not start; its own message stands above") from None
            return None

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _ready(workers: list[_Worker]) -> list[_Worker]:
    """The workers that have sent something, or have died; waits for the first."""
    pipes = connection.wait([worker.pipe for worker in workers])
    return [worker for worker in workers if worker.pipe in pipes]


def _work(pipe: Connection, load: Callable[[], Read]) -> None:
    """What a worker does, until the process that started it closes the pipe or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # after Ctrl-C, that process stops its workers
    reader = load()
    with suppress(EOFError, OSError):
        pipe.send([])
        while True:
            pipe.send(_read(reader, pipe.recv()))


def _read(reader: Read, member: Member) -> Result:
    try:
        return reader(member.read())
    except ImageError as error:
        return str(error)
    except Exception as error:  # the engine's libraries raise exceptions of any type
        return f"its reader failed ({one_line(error)})"
