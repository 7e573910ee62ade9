"""How a process of ours ends: the one list of exit codes, of which docs/operating.md is the words.

Those of `tocsin ctl` are its own; the client's README lists them. A supervisor starts again
whatever ends, with any of these: only MISFIT and USAGE will not be mended by that.
"""

from enum import IntEnum

from service.errors import Misfit, TocsinError


class ExitCode(IntEnum):
    """64, 70 and 78 are those of sysexits.h; 128 and a signal's number is how shells say it."""

    OK = 0
    """It was asked to stop, or has done what it was to do."""
    BROKE = 1
    """It cannot go on, or could not begin: the last line on standard error says why."""
    USAGE = 64
    """The command line asks for what there is not."""
    LATE = 70
    """Its own work stood still while both servers answered. The log has the stack of every task."""
    MISFIT = 78
    """The database has tables that this version does not know, or lacks some that it needs."""
    INTERRUPTED = 130
    """Ctrl-C."""


def exit_code_of(error: TocsinError) -> ExitCode:
    """How a process ends that cannot go on for this reason."""
    return ExitCode.MISFIT if isinstance(error, Misfit) else ExitCode.BROKE
