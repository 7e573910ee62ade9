"""A file read by a library of others in a process of its own, with limits of memory and time.

The process gets the file on its standard input and writes frames to its standard output: one octet
of kind, four of length (big-endian), and the content. It knows nothing of this installation: no
settings, no database, no keys. Whatever becomes of it, whoever started it lives on.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, BinaryIO, NamedTuple, NoReturn

_HEAD_OCTETS = 5
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
"""What a process is told of where it runs; nothing of ours is among it."""


class ProcessLimits(NamedTuple):
    """What a process may take. memory_octets: of address space. processor_seconds, wall_seconds: of
    its life.
    """

    memory_octets: int
    processor_seconds: int
    wall_seconds: int


class Frame(NamedTuple):
    """What the process says."""

    kind: bytes
    content: bytes


@contextmanager
def reading_process(
    module: str,
    arguments: Sequence[object],
    chunks: Callable[[], Iterable[bytes]],
    limits: ProcessLimits,
) -> Iterator[Iterator[Frame]]:
    """The frames of `python -m module LIMITS… ARGUMENTS…`, which reads the chunks. It is killed at
    the end, and when its time is over: then the frames just end. It reads all before it writes.
    """
    command = [sys.executable, "-m", module, *map(str, [*limits, *arguments])]
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=known)
    late = threading.Timer(limits.wall_seconds, child.kill)
    late.start()
    try:
        with child:
            try:
                if child.stdin is None or child.stdout is None:
                    raise ValueError("the process was started without pipes")
                _feed(child.stdin, chunks)
                yield _frames(child.stdout)
            finally:
                child.kill()
    finally:
        late.cancel()


def _feed(stdin: IO[bytes], chunks: Callable[[], Iterable[bytes]]) -> None:
    try:
        with stdin as pipe:
            for chunk in chunks():
                pipe.write(chunk)
    except BrokenPipeError:
        pass  # it has ended already; what it has said tells why


def _frames(pipe: IO[bytes]) -> Iterator[Frame]:
    while len(head := pipe.read(_HEAD_OCTETS)) == _HEAD_OCTETS:
        size = int.from_bytes(head[1:])
        content = pipe.read(size)
        if len(content) < size:
            return
        yield Frame(head[:1], content)


def put_frame(out: BinaryIO, kind: bytes, content: bytes) -> None:
    """Write a frame; inside the process."""
    out.write(kind + len(content).to_bytes(4) + content)


def take_limits(arguments: Sequence[str]) -> tuple[ProcessLimits, list[str]]:
    """The limits of the command line, and what else it says; inside the process."""
    count = len(ProcessLimits._fields)
    return ProcessLimits(*map(int, arguments[:count])), list(arguments[count:])


def bound_this_process(limits: ProcessLimits) -> None:
    """Bound this process, where the system can: it writes no file, and leaves no core."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # a library's last words could quote what it reads
    try:
        import resource  # noqa: PLC0415  # not on every system
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_octets, limits.memory_octets))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_seconds, limits.processor_seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what people gave us


def run_bounded(work: Callable[[], None]) -> NoReturn:
    """Work, and end at once; what passes the limits ends in silence. Inside the process."""
    try:
        work()
    except (MemoryError, BrokenPipeError):
        os._exit(1)
    os._exit(0)
