"""A carrier's broken or hostile end of a link costs the process no more than that link."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.channels.contract.outcome import Outcome
from service.channels.trial.link_explanations import REASONS
from service.protocols import session, window
from service.protocols.cmpp.pdu import ActiveTest, ActiveTestResp, SubmitResp
from service.protocols.frame import Frames
from service.protocols.session import (
    FRAMES_A_TURN,
    UNASKED,
    UNASKED_CLOSED,
    UNREAD_CLOSED,
    Session,
)
from service.protocols.sgip.pdu import SubmitResp as SGIPSubmitResp
from service.protocols.sgip.pdu import UserRpt
from service.protocols.smgp.pdu import ActiveTest as SMGPActiveTest
from service.protocols.smgp.pdu import SubmitResp as SMGPSubmitResp
from service.protocols.smpp.pdu import EnquireLink, SubmitSMResp
from service.protocols.window import MOST_STRANGE
from tests.harness.pauses import delay
from tests.harness.session import PATIENCE_SECONDS
from tests.unit.gateways import test_cmpp_gateway, test_flood
from tests.unit.gateways.test_flood import Flooded, Open

pytestmark = pytest.mark.attack

PHONE = test_cmpp_gateway.PHONE[1:]
ANSWERS: dict[Open, Any] = {
    test_flood.cmpp: SubmitResp(7, 0),
    test_flood.smgp: SMGPSubmitResp(bytes(10), 0),
    test_flood.smpp: SubmitSMResp("7"),
    test_flood.sgip_dialled_by_us: SGIPSubmitResp(0),
    test_flood.sgip_dialled_by_the_carrier: SGIPSubmitResp(0),
}
"""An answer to a submit, on each kind of link."""

ANSWERED: dict[Open, Any] = {
    test_flood.cmpp: ActiveTest(),
    test_flood.smgp: SMGPActiveTest(),
    test_flood.smpp: EnquireLink(),
    test_flood.sgip_dialled_by_us: UserRpt("10655123", PHONE, 2),
    test_flood.sgip_dialled_by_the_carrier: UserRpt("10655123", PHONE, 2),
}
"""What is answered at once, on each kind of link."""

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


@pytest.mark.parametrize("opened", ANSWERS)
async def test_answers_that_nobody_asked_for_end_the_link_with_a_reason(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as on:
        for n in range(MOST_STRANGE + 1):
            on.peer.write(on.number(NEVER_USED + n), ANSWERS[opened])
        await gone(on.link)
    assert reason(on.link) == UNASKED_CLOSED
    assert UNASKED_CLOSED in REASONS
    assert [record.message for record in caplog.records].count(UNASKED) == 1


@pytest.mark.parametrize("opened", ANSWERS)
async def test_a_few_answers_that_nobody_asked_for_end_nothing(opened: Open) -> None:
    async with opened() as on:
        for n in range(MOST_STRANGE):
            on.peer.write(on.number(NEVER_USED + n), ANSWERS[opened])
        on.peer.write(on.number(1), ANSWERED[opened])
        await on.peer.read()
        assert on.link.is_open


async def test_an_answer_that_comes_twice_is_one_that_nobody_asked_for() -> None:
    async with test_flood.cmpp() as on:
        for _ in range(MOST_STRANGE + 1):
            on.peer.write(1, ActiveTestResp())  # 1 was the login
        await gone(on.link)
        assert reason(on.link) == UNASKED_CLOSED


async def test_answers_after_their_time_are_none_of_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow carrier is slow, and no other."""
    monkeypatch.setattr("service.protocols.session._MAX_TICK_SECONDS", 0.01)
    async with test_cmpp_gateway.opened(response_timeout_seconds=0.3, heartbeat_seconds=0.05) as (
        gateway,
        peer,
        _,
    ):
        submits: list[int] = []
        heartbeats = asyncio.create_task(_answer_heartbeats(peer, submits))
        (one,) = test_cmpp_gateway.submissions(gateway)
        answers = gateway.submit([one] * (2 * MOST_STRANGE))
        for answer in answers:
            assert (await test_cmpp_gateway.answer(answer)).outcome is Outcome.UNANSWERED
        assert len(submits) == 2 * MOST_STRANGE
        for sequence in submits:
            peer.write(sequence, SubmitResp(7, 0))
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


@pytest.mark.parametrize("opened", ANSWERED)
async def test_replies_that_are_not_read_end_the_link_by_their_size(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MOST_UNREAD_OCTETS", 100_000)
    async with opened() as on:
        small_buffers(on)
        flooding = asyncio.create_task(_keep_asking(on, ANSWERED[opened], 500, 0.0))
        await gone(on.link)
        flooding.cancel()
        assert reason(on.link) == UNREAD_CLOSED
        assert UNREAD_CLOSED in REASONS


@pytest.mark.parametrize("opened", [test_flood.cmpp, test_flood.smgp, test_flood.smpp])
async def test_replies_that_are_not_read_end_the_link_in_time(opened: Open) -> None:
    """A carrier that goes on asking, and reads nothing, is no sign of life."""
    async with opened(silence_seconds=2.0, heartbeat_seconds=0.5) as on:
        small_buffers(on)
        asking = asyncio.create_task(_keep_asking(on, ANSWERED[opened], 200, 0.01))
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
            on.peer.write(on.number(n), packet)
        await delay(pause)


@pytest.mark.usefixtures("_stores_all")
@pytest.mark.parametrize("opened", test_flood.LINKS)
async def test_a_flood_leaves_the_other_links_their_turns(opened: Open) -> None:
    """Counted in turns of the event loop: no link handles more than its share in one."""
    async with opened() as on:
        shares = counted_by_turn(lambda: on.taken)
        on.flood(test_flood.FLOOD)
        await on.until_taken(test_flood.FLOOD)
        shares.stop()
        assert max(shares) <= FRAMES_A_TURN
        assert sum(shares) == test_flood.FLOOD
        on.store_all()
        acknowledged = [(await on.peer.read())[0] for _ in range(test_flood.FLOOD)]
        assert acknowledged == [on.number(n) for n in range(1, test_flood.FLOOD + 1)]


@pytest.mark.usefixtures("_stores_all")
async def test_beside_a_flooding_link_another_is_answered_at_once() -> None:
    """Another link's frame waits for one share of the flood, not for all that has come of it."""
    async with test_flood.cmpp() as flooding, test_flood.smgp() as other:
        flooding.flood(test_flood.FLOOD)
        other.peer.write(1, other.report)
        await other.until_taken(1)
        assert flooding.taken < test_flood.FLOOD
        await flooding.until_taken(test_flood.FLOOD)
        for on in (flooding, other):
            on.store_all()


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
