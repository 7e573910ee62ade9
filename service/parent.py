"""A child of `tocsin up` ends with it, even if the parent was killed with SIGKILL (Linux)."""

import ctypes
import os
import signal
import sys

VARIABLE = "TOCSIN_PARENT_PID"
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent named in the environment dies, if there is one."""
    parent = os.environ.get(VARIABLE)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGTERM)
