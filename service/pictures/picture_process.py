"""A picture read in a process of its own, with limits of memory and time.

`python -m service.pictures.picture_process LIMITS… BOXES` takes a picture on its standard input and
writes frames (`service/bounded_process.py`): one picture of each size, then what is known of it, or
why it is refused. BOXES: what of it nobody is to see, as JSON.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import BinaryIO, NoReturn

from service.bounded_process import (
    Frame,
    ProcessLimits,
    bound_this_process,
    put_frame,
    reading_process,
    run_bounded,
    take_limits,
)
from service.errors import FileRefused, Unavailable
from service.pictures.model import REFUSALS, SIDES, Box, MadePictures, PictureRefused
from service.words.phrase import phrase

LIMITS = ProcessLimits(1024 * 1024 * 1024, 10, 20)
"""Address space for 50 MP of any format, and what a slow machine takes for it."""
AT_ONCE = 2
"""So many pictures are read at once for one process; others wait in the order of coming."""
WAIT_SECONDS = 60.0
"""For so long somebody waits for a picture, others before it included."""

_MODULE = "service.pictures.picture_process"
_READERS = ThreadPoolExecutor(AT_ONCE, "picture")


async def read_picture(chunks: Sequence[bytes], boxes: Sequence[Box] = ()) -> MadePictures:
    """Pictures of our own from a file. boxes: as for `decoding.make_pictures`.

    Raises:
        FileRefused: it is none that is taken, or takes more than one may; `code` as in `REFUSALS`.
        Unavailable: too many others are being read.
    """
    import asyncio  # noqa: PLC0415  # the process itself has no use for it: 50 ms of each picture

    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(_READERS, _read, chunks, boxes)
    try:
        return await asyncio.wait_for(reading, WAIT_SECONDS)
    except TimeoutError as error:
        raise Unavailable(
            phrase("too many pictures are being read; try again in a minute"), code="busy"
        ) from error


def _read(chunks: Iterable[bytes], boxes: Sequence[Box]) -> MadePictures:
    said = json.dumps([list(box) for box in boxes])
    with reading_process(_MODULE, [said], lambda: chunks, LIMITS) as frames:
        return _made(frames)


def _made(frames: Iterator[Frame]) -> MadePictures:
    """What the process says; whatever else it says is no picture."""
    jpegs: list[bytes] = []
    for kind, content in frames:
        match kind:
            case b"J":
                jpegs.append(content)
            case b"F" if len(jpegs) == len(SIDES):
                told = json.loads(content)
                taken_on = date.fromisoformat(told["taken_on"]) if told["taken_on"] else None
                of = (told["width"], told["height"], told["difference_hash"])
                return MadePictures(jpegs, *of, taken_on)
            case b"E":
                raise refused(content.decode())
            case _:
                break
    raise refused("picture_too_costly")


def refused(code: str) -> FileRefused:
    """The refusal of a picture."""
    why = REFUSALS[code]
    return FileRefused(why, fields={"file": why}, code=code)


def write_frames(octets: bytes, boxes: Sequence[Box], out: BinaryIO) -> None:
    """What the process does: a picture into frames."""
    from service.pictures.decoding import make_pictures  # noqa: PLC0415  # Pillow, in here alone

    try:
        made = make_pictures(octets, boxes)
    except PictureRefused as refusal:
        put_frame(out, b"E", refusal.code.encode())
    else:
        for jpeg in made.jpegs:
            put_frame(out, b"J", jpeg)
        taken_on = made.taken_on.isoformat() if made.taken_on else None
        told = {**made._asdict(), "jpegs": None, "taken_on": taken_on}
        put_frame(out, b"F", json.dumps(told).encode())
    out.flush()


def main() -> NoReturn:
    """Read the picture on the standard input, within the limits of the command line."""
    limits, (boxes,) = take_limits(sys.argv[1:])
    bound_this_process(limits)

    def work() -> None:
        write_frames(sys.stdin.buffer.read(), json.loads(boxes), sys.stdout.buffer)

    run_bounded(work)


if __name__ == "__main__":
    main()
