"""The file that a process touches as long as it lives, for whoever watches it from outside.

Its name is the same for all, and each process has a folder of its own: a container has, and
`tocsin up` gives one to each child. So a file says of one process whether it lives, and another of
its kind cannot speak for it.
"""

import fcntl
import os
from pathlib import Path

from service.errors import Misconfigured
from service.words.phrase import phrase

NAME = "alive"
WORKS = " works\n"
"""Stands in the file behind the process's number, once that has started."""
TOUCH_SECONDS = 2.0
"""How often it is touched."""
OLD_SECONDS = 20.0
"""A file that is older tells of a process that is stopped, stuck or gone. deploy/health.py, which
reads nothing of ours, has the same figure."""


class AliveFile:
    """The file of this process; held locked while it lives."""

    def __init__(self, folder: Path) -> None:
        """Make it.

        Raises:
            Misconfigured: it cannot be written, or another process has it.
        """
        self._path = folder / NAME
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        except OSError as error:
            raise Misconfigured(
                phrase(
                    "the folder of TOCSIN_ALIVE_FOLDER, {folder}, is unusable: {why}; give it a"
                    " folder that this user may write",
                    folder=folder,
                    why=error.strerror,
                )
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise Misconfigured(
                phrase(
                    "another process shows in {folder} that it lives: give each process a"
                    " TOCSIN_ALIVE_FOLDER of its own",
                    folder=folder,
                )
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())
        self._works = False

    def touch(self, *, works: bool) -> None:
        """The process lives now; it `works` once it has started, and healthy is only who does."""
        if works and not self._works:
            self._works = True
            os.write(self._descriptor, WORKS.encode())
        os.utime(self._descriptor)

    def close(self) -> None:
        """Take it away: the process ends."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
