"""What processes have used of processor and memory, out of /proc (Linux)."""

import contextlib
import os
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """What a process and its children, living or ended, have used of the processor.

    Only children of the first degree: that is all PostgreSQL has, and nothing else has any.
    """
    used = 0
    for path in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = path.read_text().rsplit(")", 1)[1].split()
            if path.parent.name == str(pid):
                used += sum(map(int, fields[11:15]))
            elif fields[1] == str(pid):
                used += int(fields[11]) + int(fields[12])
    return used / TICKS


def peak_megabytes(pid: int) -> float:
    """The most memory a process has held resident."""
    return _status(pid, "VmHWM")


def resident_megabytes(pid: int) -> float:
    """The memory a process holds resident now."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> float:
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name))
    return int(line.split()[1]) / 1024
