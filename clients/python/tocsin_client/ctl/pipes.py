"""What a command does when nobody reads on, as in `tocsin ctl … | head`: it ends, quietly."""

import os
import select
from typing import TextIO

NOBODY_READS = 141
"""The exit code: that of a program which SIGPIPE has ended, as a shell tells it (128 + 13)."""


def is_unread(out: TextIO) -> bool:
    """Whether the reader of a command's output has gone; then what is left of it goes nowhere.

    A BrokenPipeError may as well be of a database or a carrier, and must not be hidden then.
    """
    descriptor = out.fileno()
    poll = select.poll()
    poll.register(descriptor, 0)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return True
