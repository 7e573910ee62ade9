"""What systemd is told of a process, over the socket that it gives: it lives, it works, it ends.

The protocol of sd_notify(3): a datagram of lines. Where there is no such socket, nothing is said.
"""

import os
import socket
from collections.abc import MutableMapping

from service.liveness.alive_file import OLD_SECONDS

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


class SystemdSocket:
    """The socket that systemd gave to this process. It is this process's alone, so it is taken out
    of the environment that children get.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        given, *_ = [environment.pop(name, "") for name in VARIABLES]
        # A name that begins with @ is in no folder: the kernel has a zero there.
        self._address = "\0" + given[1:] if given.startswith("@") else given
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if given else None
        if self._socket is not None:
            self._socket.setblocking(False)

    def show_life(self, *, works: bool) -> None:
        """The process lives now; before it `works`, its start may take so much longer as a sign of
        life may be old.
        """
        longer = f"EXTEND_TIMEOUT_USEC={OLD_SECONDS * 1e6:.0f}"
        self._say("READY=1\nWATCHDOG=1" if works else longer)

    def end(self) -> None:
        """The process ends by itself; nothing more is said."""
        self._say("STOPPING=1")
        if (own := self._socket) is not None:
            self._socket = None
            own.close()

    def _say(self, lines: str) -> None:
        if (own := self._socket) is None:
            return
        try:
            own.sendto(lines.encode(), self._address)
        except OSError:
            return  # systemd is busy, or is started anew: it is told again in two seconds
