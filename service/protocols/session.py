"""One TCP link, whatever the protocol: frames in, joined writes out, heartbeat, silence, closing.

Decided here: when a link is dead. It is when something of ours went unanswered for a while and
nothing at all was received meanwhile; a heartbeat was among it, where the protocol has one, so that
a carrier that is slow with submits is not taken for a dead one. Nothing waits for the socket: a
full send buffer keeps no link from being cut. A link also ends over a length that no frame can
have; a frame of the right length whose body cannot be read costs nothing but itself: the other side
would send it again after each login. Reconnecting is not decided here.

And how much of what came may wait to be stored: a carrier keeps within a window of its own, and one
that does not is not read any further, until half of it is stored. TCP then tells it to wait.

A process serves links of several carriers, so what one link may cost is bounded (decision 0240): a
link handles FRAMES_A_TURN frames, then the others have their turn. It is closed where the other
side does not read what is written to it, and where it answers again and again what nobody asked.
"""

import asyncio
import logging
import math
import ssl
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

from service.channels.contract import address_check
from service.channels.contract.gateway import COMMAND
from service.logs import seldom
from service.protocols.frame import BadLength, BrokenFrame, Frames, Malformed
from service.protocols.window import RequestsMade

logger = logging.getLogger(__name__)

LINK_CLOSED = "link closed"
MALFORMED = "malformed data, closing the link"
UNREADABLE = "the body of a frame cannot be read"
PAUSED = "the other side sends more than can be stored, it is not read for now"
RESUMED = "the other side is read again"
UNASKED = "an answer to a request that was never made"
UNASKED_CLOSED = "the other side answers requests that were never made"
UNREAD_CLOSED = "the other side does not read what is sent to it"

MOST_UNSTORED = 1_000
"""How many requests of the other side may wait for their answer; far more than any window."""

FRAMES_A_TURN = 128
"""How many frames of a link are handled before the other links of the process have their turn."""

MOST_UNREAD_OCTETS = 4 * 1024 * 1024
"""How much may be written to a link and not be read at its other end; more than the largest window
of submits has."""

_RESPONSE_OCTET = 0x80
"""What the first octet of a command has that answers another, in each of the protocols."""

CLOSE_SECONDS = 5.0
"""How long a closing link may take to write what is left, before it is cut."""

_MAX_TICK_SECONDS = 1.0
_TICKS_IN_A_TIMEOUT = 8
_PROBES_IN_A_SILENCE = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """The timers of a link; the books call the first two C and T.

    heartbeat_seconds: without anything received until a heartbeat is sent; infinite: there is none.
    response_timeout_seconds: until a request of ours is given up.
    silence_seconds: until the link is, while a request waits and nothing is received at all.
    """

    heartbeat_seconds: float = 30.0
    response_timeout_seconds: float = 60.0
    silence_seconds: float = math.inf

    @property
    def longest_silence(self) -> float:
        """Seconds without a sign of life, while a request waits, until a link is dead."""
        return min(self.silence_seconds, self.response_timeout_seconds)

    @property
    def tick_seconds(self) -> float:
        """How often a session looks at the time."""
        shortest = min(self.heartbeat_seconds, self.longest_silence)
        return min(shortest / _TICKS_IN_A_TIMEOUT, _MAX_TICK_SECONDS)


class Session(asyncio.Protocol, ABC):
    """A link, from either side.

    lost: set when the link is gone. reason: why, in plain words. fault: what was wrong with the
    data, if that was why. frame: the one being handled. Writing has no back-pressure: what may be
    written without an answer is bounded by the window of whoever writes. Reading has: see `storing`
    and `stored`.
    """

    sequence_at: ClassVar[slice]
    """Where the protocol's header has the sequence number."""

    def __init__(self, frames: Frames, timing: Timing) -> None:
        self.lost = asyncio.Event()
        self.reason = ""
        self.fault: Malformed | None = None
        self.frame = b""
        self.loop = asyncio.get_running_loop()
        self._frames = frames
        self._timing = timing
        self._transport: asyncio.Transport | None = None
        self._outbox: list[bytes] = []
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._received_at = self._heartbeat_at = self.loop.time()
        self._waiting_since: float | None = None
        self._closing_since: float | None = None
        self._unstored = 0
        self._paused_at: float | None = None
        self._behind = False
        """Whether frames wait for the link's next turn."""
        self._full_since: float | None = None
        """Since when the other side reads more slowly than we write."""
        self._asked = RequestsMade()

    @abstractmethod
    def received(self, frame: bytes) -> None:
        """Take one frame; Malformed: its body cannot be read, and `broken` is called with it."""

    def broken(self, broken: BrokenFrame) -> None:
        """Answer a frame whose body cannot be read, as the protocol has it; the link goes on."""

    @abstractmethod
    def heartbeat(self) -> bytes:
        """A heartbeat request to send now."""

    def on_tick(self, now: float) -> None:
        """Look at the deadlines of the protocol's own requests."""

    def on_unread(self) -> None:
        """For a while nothing was read: move the deadlines of the protocol's own requests."""

    def on_lost(self) -> None:
        """Settle what the link leaves open; called once, when it is gone."""

    @property
    def takes_heartbeats(self) -> bool:
        """Whether a heartbeat may be sent now, as far as the protocol allows it."""
        return math.isfinite(self._timing.heartbeat_seconds)

    @property
    def is_open(self) -> bool:
        """Whether what is written now has a chance to leave."""
        transport = self._transport
        return transport is not None and self._closing_since is None and not transport.is_closing()

    @property
    def deadline(self) -> float:
        """When the answer to a request sent now is overdue."""
        return self.loop.time() + self._timing.response_timeout_seconds

    def send(self, frame: bytes) -> None:
        """Write a frame that needs no answer, joined with all others of this turn of the loop.

        On a link that is closing or gone it goes nowhere.
        """
        if not self.is_open:
            return
        self._outbox.append(frame)
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self.flush)

    def request(self, frame: bytes) -> None:
        """Write a frame that the other side must answer."""
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()
        self._asked.add(frame[self.sequence_at])
        self.send(frame)

    def storing(self) -> None:
        """One more request of the other side is taken, and answered once it is stored."""
        self._unstored += 1
        if self._unstored >= MOST_UNSTORED and self._paused_at is None and self.is_open:
            seldom(logger, logging.WARNING, PAUSED, waiting=self._unstored)
            self._paused_at = self.loop.time()
            cast(asyncio.Transport, self._transport).pause_reading()

    def stored(self) -> None:
        """One of them waits no longer, whether it was stored or not."""
        self._unstored -= 1
        if self._paused_at is not None and self._unstored <= MOST_UNSTORED // 2:
            self._read_again(self._paused_at)

    def flush(self) -> None:
        """Hand everything to the transport now, in one write."""
        self._flush_due = False
        outbox, self._outbox = self._outbox, []
        if not outbox or self._transport is None or not self.is_open:
            return
        self._transport.write(b"".join(outbox))
        if self._transport.get_write_buffer_size() > MOST_UNREAD_OCTETS:
            self.abort(UNREAD_CLOSED)

    def pause_writing(self) -> None:
        """The socket takes no more for now: the other side reads too slowly."""
        self._full_since = self.loop.time()

    def resume_writing(self) -> None:
        """The other side has read nearly all of it."""
        self._full_since = None

    def close(self, reason: str) -> None:
        """Write what is left and close; cut the link if that takes too long."""
        if self._transport is None or not self.is_open:
            return
        self.reason = reason
        self.flush()
        self._closing_since = self.loop.time()
        self._transport.close()

    def abort(self, reason: str) -> None:
        """Cut the link."""
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.abort()

    async def cut(self, reason: str) -> None:
        """Cut the link if it is not gone yet, and wait until it is."""
        if self._transport is not None:
            self.abort(reason)
            await self.lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the link."""
        self._transport = cast(asyncio.Transport, transport)
        self._received_at = self._heartbeat_at = self.loop.time()
        self._tick_later()

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames, handle them, and write all answers at once."""
        self._received_at = self.loop.time()
        self._waiting_since = None
        self._frames.feed(data)
        if self._paused_at is None and not self._behind:
            self._take_frames()

    def _take_frames(self) -> None:
        left = FRAMES_A_TURN
        try:
            for frame in self._frames:
                self._take(frame)
                if not self.is_open:
                    return
                left -= 1
                if self._paused_at is not None:
                    break
                if not left:
                    self._wait_for_a_turn()
                    break
        except BadLength as error:
            seldom(logger, logging.WARNING, MALFORMED, fault=error.message)
            self.fail(error)
            return
        self.flush()

    def _wait_for_a_turn(self) -> None:
        """Let the other links go first; meanwhile nothing more is read."""
        self._behind = True
        cast(asyncio.Transport, self._transport).pause_reading()
        self.loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._behind = False
        if self._paused_at is None and self.is_open:
            self._go_on()

    def _go_on(self) -> None:
        """Handle what came already; then read the socket again."""
        self._take_frames()
        if self._paused_at is None and not self._behind and self.is_open:
            cast(asyncio.Transport, self._transport).resume_reading()

    def _take(self, frame: bytes) -> None:
        self.frame = frame
        if frame[COMMAND.start] & _RESPONSE_OCTET and not self._asked.take(frame[self.sequence_at]):
            seldom(logger, logging.WARNING, UNASKED, command=frame[COMMAND].hex())
            if self._asked.too_many_strange(self.loop.time()):
                self.close(UNASKED_CLOSED)
                return
        try:
            self.received(frame)
        except Malformed as error:
            command = int.from_bytes(frame[COMMAND], "big")
            facts = {"command": f"{command:#x}", "octets": len(frame), "fault": error.message}
            seldom(logger, logging.WARNING, UNREADABLE, **facts)
            sequence = int.from_bytes(frame[self.sequence_at], "big")
            self.broken(BrokenFrame(command, sequence, frame, error.message))

    def fail(self, fault: Malformed) -> None:
        """Close the link: the other side does not speak the protocol."""
        self.fault = fault
        self.close(fault.message)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody that the link is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self.reason = self.reason or (str(error) if error else "closed by the other side")
        self._outbox.clear()
        seldom(logger, logging.INFO, LINK_CLOSED, reason=self.reason)
        self.on_lost()
        self.lost.set()

    def _read_again(self, paused_at: float) -> None:
        """Go on with what came already, then with the socket.

        The time in which nothing was read counts for no deadline: the answers may be there.
        """
        self._paused_at = None
        if not self.is_open:
            return
        now = self.loop.time()
        seldom(logger, logging.INFO, RESUMED, seconds=round(now - paused_at, 1))
        self._received_at = now
        self._waiting_since = None if self._waiting_since is None else now
        self.on_unread()
        if not self._behind:
            self._go_on()

    def _tick_later(self) -> None:
        self._timer = self.loop.call_later(self._timing.tick_seconds, self._tick)

    def _tick(self) -> None:
        now = self.loop.time()
        self._tick_later()
        if self._paused_at is None:
            self.on_tick(now)
        if self._closing_since is not None:
            if now - self._closing_since >= CLOSE_SECONDS:
                self.abort("closing took too long")
        elif self._is_silent(now):
            self.abort("no sign of life from the other side")
        elif self._reads_too_little(now):
            self.abort(UNREAD_CLOSED)
        else:
            self._keep_alive(now)

    def _is_silent(self, now: float) -> bool:
        since = None if self._paused_at is not None else self._waiting_since
        return since is not None and now - since >= self._timing.longest_silence

    def _reads_too_little(self, now: float) -> bool:
        full_since = self._full_since
        return full_since is not None and now - full_since >= self._timing.longest_silence

    def _keep_alive(self, now: float) -> None:
        """Send a heartbeat where nothing was received for long, or something waits for its answer:
        a carrier that is slow with it shows by the heartbeat's that it lives.
        """
        timing, waits = self._timing, self._waiting_since
        probe = timing.silence_seconds / _PROBES_IN_A_SILENCE
        overdue = waits is not None and now - max(waits, self._heartbeat_at) >= probe
        quiet = now - max(self._received_at, self._heartbeat_at) >= timing.heartbeat_seconds
        if self.takes_heartbeats and (quiet or overdue):
            self._heartbeat_at = now
            self.request(self.heartbeat())


S = TypeVar("S", bound=Session)


async def connect(
    session: S,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> S:
    """Open a link for the session, under TLS if there is a context for it.

    Raises:
        OSError: nobody answers there, or the certificate is not trusted (ssl.SSLError is one).
        NotAllowed: a channel at hand may not connect there.
    """
    name = (server_name or host) if tls else None
    *others, last = await address_check.current().addresses(host, port)
    for address in others:
        with suppress(OSError):  # the next address may do
            await session.loop.create_connection(
                lambda: session, address, port, ssl=tls, server_hostname=name
            )
            return session
    await session.loop.create_connection(lambda: session, last, port, ssl=tls, server_hostname=name)
    return session
