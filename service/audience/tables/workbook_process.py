"""A workbook read in a process of its own, with limits of memory and time.

`python -m service.audience.tables.workbook_process LIMITS… OCTETS` takes a workbook on its standard
input and writes frames (`service/bounded_process.py`); OCTETS: of `WorkbookLimits`, unpacked.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple, NoReturn

from service.audience.tables.workbook import MOST_UNPACKED_OCTETS, read_workbook
from service.bounded_process import (
    Frame,
    ProcessLimits,
    bound_this_process,
    put_frame,
    reading_process,
    run_bounded,
    take_limits,
)
from service.errors import FileRefused
from service.spool import Spool, throwaway_keyring
from service.words.phrase import phrase


class WorkbookLimits(NamedTuple):
    """What a workbook may take.

    memory_octets: address space of the process: some 130 MiB of its own, the file, its largest
        sheet. unpacked_octets: the file without its packing, and again its sheets with their
        merged cells filled. processor_seconds, wall_seconds: of the process.
    """

    memory_octets: int
    unpacked_octets: int
    processor_seconds: int
    wall_seconds: int


OF_IMPORTS = WorkbookLimits(1536 * 1024 * 1024, MOST_UNPACKED_OCTETS, 60, 300)
"""Of contact files, which a worker reads."""
OF_LISTS = WorkbookLimits(768 * 1024 * 1024, 64 * 1024 * 1024, 20, 60)
"""Of lists of numbers, whose request waits."""

_PIECE_CHARACTERS = 65_536
_MODULE = "service.audience.tables.workbook_process"
_KIND = "workbook_sheet"


class UnpackedSheet(NamedTuple):
    """A worksheet whose records lie in a spool as CSV with commas, in UTF-8."""

    name: str
    hidden: bool
    records: Spool


def unpack_workbook(
    chunks: Callable[[], Iterable[bytes]], limits: WorkbookLimits | None = None
) -> list[UnpackedSheet]:
    """The worksheets of a workbook; the caller closes their spools. limits: else those of imports.

    Raises:
        FileRefused: the workbook cannot be read, or not within the limits.
    """
    sheets: list[UnpackedSheet] = []
    limits = limits or OF_IMPORTS
    of_process = ProcessLimits(limits.memory_octets, limits.processor_seconds, limits.wall_seconds)
    try:
        with reading_process(_MODULE, [limits.unpacked_octets], chunks, of_process) as frames:
            _collect(frames, sheets, limits)
    except BaseException:
        for sheet in sheets:
            sheet.records.close()
        raise
    return sheets


def _collect(frames: Iterator[Frame], sheets: list[UnpackedSheet], limits: WorkbookLimits) -> None:
    keyring = throwaway_keyring()
    octets = 0
    for kind, content in frames:
        match kind:
            case b"S":
                told = json.loads(content)
                sheets.append(UnpackedSheet(told["name"], told["hidden"], Spool(keyring, _KIND)))
            case b"D":
                octets += len(content)
                if octets > limits.unpacked_octets:
                    raise FileRefused(
                        phrase(
                            "the sheets are too large once merged cells are filled; save"
                            " them as CSV UTF-8 and send those"
                        ),
                        code="file_too_large",
                    )
                sheets[-1].records.append(content)
            case b"E":
                refused = json.loads(content)
                raise FileRefused(refused["message"], code=refused["code"])
            case _:
                return
    raise FileRefused(
        phrase(
            "the workbook cannot be read within {memory_octets:,} MiB of memory and"
            " {processor_seconds} s; save its sheets as CSV UTF-8 and send those",
            memory_octets=limits.memory_octets // 1024**2,
            processor_seconds=limits.processor_seconds,
        ),
        code="file_too_large",
    )


def write_frames(file: BinaryIO, out: BinaryIO, limits: WorkbookLimits = OF_IMPORTS) -> None:
    """What the process does: a workbook into frames."""

    def put(kind: bytes, content: bytes) -> None:
        put_frame(out, kind, content)

    try:
        for sheet in read_workbook(file, limits.unpacked_octets):
            put(b"S", json.dumps({"name": sheet.name, "hidden": sheet.hidden}).encode())
            for piece in _pieces(sheet.records):
                put(b"D", piece)
        put(b"F", b"")
    except FileRefused as refused:
        put(b"E", json.dumps({"code": refused.code, "message": refused.message}).encode())
    out.flush()


def _pieces(records: Iterable[list[str]]) -> Iterator[bytes]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for record in records:
        writer.writerow(record)
        if buffer.tell() > _PIECE_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def main() -> NoReturn:
    """Read the workbook on the standard input, within the limits of the command line."""
    bounds, (unpacked_octets,) = take_limits(sys.argv[1:])
    bound_this_process(bounds)
    limits = WorkbookLimits(
        bounds.memory_octets, int(unpacked_octets), bounds.processor_seconds, bounds.wall_seconds
    )
    file = io.BytesIO(sys.stdin.buffer.read())
    run_bounded(lambda: write_frames(file, sys.stdout.buffer, limits))


if __name__ == "__main__":
    main()
