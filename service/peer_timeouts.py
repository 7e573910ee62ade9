"""Peers that fall silent: a host without power, a moved address, a NAT entry that was forgotten.

Nothing says that such a peer is gone. Each socket therefore has keepalive, each exchange a time
limit on this side, and the log has one line for a loss and one for a return.
"""

import logging
import socket
import time
from dataclasses import dataclass

KEEPALIVE: dict[int, int] = {
    getattr(socket, name): value
    for name, value in {
        "TCP_KEEPIDLE": 5,  # seconds of silence before the first probe
        "TCP_KEEPINTVL": 2,  # seconds between probes
        "TCP_KEEPCNT": 3,  # probes without an answer before the connection is given up
        "TCP_USER_TIMEOUT": 10_000,  # milliseconds that sent octets may stay unacknowledged
    }.items()
    if hasattr(socket, name)  # not every system has each of them
}
"""Options of a TCP socket under which the kernel gives up a peer that is gone after 11 s at most;
without them it tries for about 15 minutes, or never asks at all."""

log = logging.getLogger(__name__)


def keep_alive(sock: socket.socket | None) -> None:
    """Set KEEPALIVE on a socket of ours; one that is not TCP is left as it is."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


@dataclass(slots=True)
class Reachability:
    """Whether a server answers, as the log tells it: a line for a loss, a line for a return."""

    server: str
    _lost_at: float | None = None

    @property
    def lost(self) -> bool:
        """Whether the server did not answer the last time."""
        return self._lost_at is not None

    def note_loss(self, why: object) -> None:
        """It did not answer."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            log.warning("%s does not answer", self.server, extra={"why": repr(why)})

    def note_answer(self) -> None:
        """It answered."""
        if self._lost_at is not None:
            seconds = round(time.monotonic() - self._lost_at, 1)
            self._lost_at = None
            log.warning("%s answers again", self.server, extra={"seconds": seconds})
