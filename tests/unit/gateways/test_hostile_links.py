"""A carrier's broken or hostile end of a link costs the process no more than that link."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.channels.contract.outcome import Outcome
from service.channels.trial.link_explanations import REASONS
from service.protocols import session, window
from service.protocols.cmpp.pdu import ActiveTest, ActiveTestResp
from service.protocols.frame import Frames
from service.protocols.session import (
    FRAMES_A_TURN,
    UNASKED,
    UNASKED_CLOSED,
    UNREAD_CLOSED,
    Session,
)
from service.protocols.window import MOST_STRANGE
from tests.harness.cmpp import CMPP
from tests.harness.flood import FLOOD, LINKS, Flooded, flooded
from tests.harness.pauses import delay
from tests.harness.protocols import each
from tests.harness.scripted import Protocol, answer, submissions
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smgp import SMGP

pytestmark = pytest.mark.attack

NEVER_USED = 900_000


def reason(link: Session) -> str:
    return link.reason


async def gone(link: Session) -> None:
    await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)


def small_buffers(on: Flooded) -> None:
    """Most of what is written to the carrier stays with us, not in the system's buffers."""
    assert on.link._transport is not None
    ours = on.link._transport.get_extra_info("socket")
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


@pytest.fixture
def _stores_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.protocols.session.MOST_UNSTORED", 1_000_000)


@each(of=LINKS)
async def test_answers_that_nobody_asked_for_end_the_link_with_a_reason(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    async with flooded(protocol) as on:
        for n in range(MOST_STRANGE + 1):
            on.peer.write(protocol.number(NEVER_USED + n), protocol.answer(7, 0))
        await gone(on.link)
    assert reason(on.link) == UNASKED_CLOSED
    assert UNASKED_CLOSED in REASONS
    assert [record.message for record in caplog.records].count(UNASKED) == 1


@each(of=LINKS)
async def test_a_few_answers_that_nobody_asked_for_end_nothing(protocol: Protocol) -> None:
    async with flooded(protocol) as on:
        for n in range(MOST_STRANGE):
            on.peer.write(protocol.number(NEVER_USED + n), protocol.answer(7, 0))
        on.peer.write(on.protocol.number(1), protocol.at_once)
        await on.peer.read()
        assert on.link.is_open


async def test_an_answer_that_comes_twice_is_one_that_nobody_asked_for() -> None:
    async with flooded(CMPP) as on:
        for _ in range(MOST_STRANGE + 1):
            on.peer.write(1, ActiveTestResp())  # 1 was the login
        await gone(on.link)
        assert reason(on.link) == UNASKED_CLOSED


async def test_answers_after_their_time_are_none_of_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow carrier is slow, and no other."""
    monkeypatch.setattr("service.protocols.session._MAX_TICK_SECONDS", 0.01)
    async with CMPP.opened(response_timeout_seconds=0.3, heartbeat_seconds=0.05) as opened:
        gateway, peer, _ = opened
        submits: list[int] = []
        heartbeats = asyncio.create_task(_answer_heartbeats(peer, submits))
        (one,) = submissions(gateway)
        for future in gateway.submit([one] * (2 * MOST_STRANGE)):
            assert (await answer(future)).outcome is Outcome.UNANSWERED
        assert len(submits) == 2 * MOST_STRANGE
        for sequence in submits:
            peer.write(sequence, CMPP.answer(sequence, 0))
        peer.write(NEVER_USED, ActiveTest())
        await asyncio.wait_for(heartbeats, PATIENCE_SECONDS)
        assert gateway.link.is_open


async def _answer_heartbeats(peer: Any, submits: list[int]) -> None:
    """Until the answer to a heartbeat of the carrier's comes."""
    while True:
        sequence, packet = await peer.read()
        if isinstance(packet, ActiveTest):
            peer.write(sequence, ActiveTestResp())
        elif isinstance(packet, ActiveTestResp):
            return
        else:
            submits.append(sequence)


async def test_what_is_remembered_of_requests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST_REMEMBERED", 100)
    asked = window.RequestsMade()
    for n in range(1_000):
        asked.add(n.to_bytes(4, "big"))
    assert len(asked._new) + len(asked._old) <= 100
    assert all(asked.take(n.to_bytes(4, "big")) for n in range(950, 1_000))


@each(of=LINKS)
async def test_replies_that_are_not_read_end_the_link_by_their_size(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MOST_UNREAD_OCTETS", 100_000)
    async with flooded(protocol) as on:
        small_buffers(on)
        flooding = asyncio.create_task(_keep_asking(on, protocol.at_once, 500, 0.0))
        await gone(on.link)
        flooding.cancel()
        assert reason(on.link) == UNREAD_CLOSED
        assert UNREAD_CLOSED in REASONS


@each(but={"sgip": "it has no heartbeat: what is not read shows by its size"})
async def test_replies_that_are_not_read_end_the_link_in_time(protocol: Protocol) -> None:
    """A carrier that goes on asking, and reads nothing, is no sign of life."""
    async with flooded(protocol, silence_seconds=2.0, heartbeat_seconds=0.5) as on:
        small_buffers(on)
        asking = asyncio.create_task(_keep_asking(on, protocol.at_once, 200, 0.01))
        await gone(on.link)
        asking.cancel()
        assert reason(on.link) == UNREAD_CLOSED


async def _keep_asking(on: Flooded, packet: Any, at_once: int, pause: float) -> None:
    """Write and never read: asyncio stops to read the socket once its buffer is full."""
    on.peer.writer.transport.pause_reading()
    n = 0
    while True:
        for _ in range(at_once):
            n += 1
            on.peer.write(on.protocol.number(n), packet)
        await delay(pause)


@pytest.mark.usefixtures("_stores_all")
@each(of=LINKS)
async def test_a_flood_leaves_the_other_links_their_turns(protocol: Protocol) -> None:
    """Counted in turns of the event loop: no link handles more than its share in one."""
    async with flooded(protocol) as on:
        shares = counted_by_turn(lambda: on.taken)
        on.flood(FLOOD)
        await on.until_taken(FLOOD)
        shares.stop()
        assert max(shares) <= FRAMES_A_TURN
        assert sum(shares) == FLOOD
        on.store.store_all()
        acknowledged = [(await on.peer.read())[0] for _ in range(FLOOD)]
        assert acknowledged == [on.protocol.number(n) for n in range(1, FLOOD + 1)]


@pytest.mark.usefixtures("_stores_all")
async def test_beside_a_flooding_link_another_is_answered_at_once() -> None:
    """Another link's frame waits for one share of the flood, not for all that has come of it."""
    async with flooded(CMPP) as flooding, flooded(SMGP) as other:
        flooding.flood(FLOOD)
        other.peer.write(1, SMGP.report(7))
        await other.until_taken(1)
        assert flooding.taken < FLOOD
        await flooding.until_taken(FLOOD)
        for on in (flooding, other):
            on.store.store_all()


class Shares(list[int]):
    """How much was taken between one turn of the event loop and the next."""

    def __init__(self, taken: Callable[[], int]) -> None:
        self._taken, self._before, self._going = taken, taken(), True
        self._turn()

    def _turn(self) -> None:
        now = self._taken()
        self.append(now - self._before)
        self._before = now
        if self._going:
            asyncio.get_running_loop().call_soon(self._turn)

    def stop(self) -> None:
        self._turn()
        self._going = False


def counted_by_turn(taken: Callable[[], int]) -> Shares:
    return Shares(taken)


def dribbled(length: int, maximum: int) -> Iterator[bytes]:
    yield maximum.to_bytes(4, "big")
    for _ in range(length):
        yield b"\x00"


def test_a_frame_of_which_only_a_half_comes_costs_no_more_than_the_longest() -> None:
    frames = Frames(minimum=12, maximum=8_192)
    for octet in dribbled(8_187, 8_192):
        frames.feed(octet)
        assert list(frames) == []
        assert len(frames._stream) - frames._at < 8_192
