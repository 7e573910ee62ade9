"""A carrier that ignores its window: no more of what it sends is taken than may wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.channels.contract.outcome import Outcome
from service.protocols.session import PAUSED, Session
from tests.harness.cmpp import CMPP
from tests.harness.flood import FLOOD, LINKS, Flooded, flooded
from tests.harness.protocols import each
from tests.harness.scripted import Protocol, answer, submissions
from tests.harness.session import soon
from tests.harness.waiting import counted, turns

MOST = 50


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.protocols.session.MOST_UNSTORED", MOST)


Later = Callable[[float], Awaitable[None]]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Moves the clock of the links' event loop on, and lets them look at it twice."""
    ahead = 0.0
    real = asyncio.get_running_loop
    ticks = counted(monkeypatch, Session, "_tick")

    class Ahead:
        """The loop, with its clock set forward."""

        def time(self) -> float:
            return real().time() + ahead

        def __getattr__(self, name: str) -> Any:
            return getattr(real(), name)

    async def move(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        await ticks.more(2)

    init = Session.__init__

    def set_forward(self: Session, *arguments: Any) -> None:
        init(self, *arguments)
        self.loop = Ahead()  # type: ignore[assignment]  # the loop but for its time

    monkeypatch.setattr(Session, "__init__", set_forward)
    return move


@pytest.mark.attack
@each(of=LINKS)
async def test_no_more_is_taken_than_may_wait_and_nothing_is_lost(protocol: Protocol) -> None:
    async with flooded(protocol) as on:
        on.flood()
        await on.until_taken(MOST)
        await turns(200)
        assert on.taken == MOST  # not one more, however much lies in the socket
        done = 0
        while done < FLOOD:
            await on.until_taken(done + 1)
            assert on.taken - done <= MOST
            on.store.futures[done].set_result(None)
            done += 1
        acknowledged = [(await on.peer.read())[0] for _ in range(FLOOD)]
        assert acknowledged == [on.protocol.number(counter) for counter in range(1, FLOOD + 1)]
        assert on.taken == FLOOD


@pytest.mark.attack
async def test_a_carrier_that_is_stopped_again_and_again_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with flooded(CMPP) as on:
        for turn in range(1, 6):
            on.flood(MOST)
            await on.until_taken(turn * MOST)
            on.store.store_all()
    assert [record.message for record in caplog.records].count(PAUSED) == 1


@each(of=LINKS)
async def test_a_carrier_that_keeps_its_window_is_always_read(protocol: Protocol) -> None:
    async with flooded(protocol) as on:
        on.flood(MOST - 1)
        await on.until_taken(MOST - 1)
        await turns(200)
        transport = on.link._transport
        assert transport is not None
        assert transport.is_reading()
        on.store.store_all()


@each(of=LINKS)
async def test_what_could_not_be_stored_makes_room_too(protocol: Protocol) -> None:
    async with flooded(protocol) as on:
        on.flood(2 * MOST)
        await on.until_taken(MOST)
        for future in list(on.store.futures):
            future.set_exception(ConnectionResetError())
        await on.until_taken(2 * MOST)
        on.store.store_all()


async def test_an_answer_that_lies_behind_the_flood_is_not_uncertain(later: Later) -> None:
    """It is there, only not read: the time in which we did not read counts for no deadline."""
    async with CMPP.opened(response_timeout_seconds=0.3, heartbeat_seconds=0.1) as opened:
        gateway, peer, _ = opened
        on = Flooded(CMPP, *opened)
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        on.flood(2 * MOST)
        peer.write(sequence, CMPP.answer(sequence, 0))
        await on.until_taken(MOST)
        await later(1.0)  # three times the longest wait for an answer
        assert not future.done()
        assert not gateway.lost.is_set()
        on.store.store_all()
        await on.until_taken(2 * MOST)
        on.store.store_all()
        assert (await answer(future)).outcome is Outcome.ACCEPTED


async def test_once_it_is_read_again_an_answer_has_its_whole_time(later: Later) -> None:
    async with CMPP.opened(response_timeout_seconds=1.0) as opened:
        gateway, peer, _ = opened
        on = Flooded(CMPP, *opened)
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        on.flood(MOST)
        await on.until_taken(MOST)
        await later(1.5)
        on.store.store_all()
        await later(0.5)
        peer.write(sequence, CMPP.answer(sequence, 0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED


async def test_once_it_is_read_again_an_answer_that_does_not_come_is_given_up(
    later: Later,
) -> None:
    async with CMPP.opened(response_timeout_seconds=0.3) as opened:
        gateway, _, _ = opened
        on = Flooded(CMPP, *opened)
        (future,) = gateway.submit(submissions(gateway))
        on.flood(MOST)
        await on.until_taken(MOST)
        await later(0.5)
        assert not future.done()
        on.store.store_all()
        assert (await answer(future)).outcome is Outcome.UNANSWERED


@each(of=LINKS)
async def test_a_link_that_is_not_read_can_still_be_closed(protocol: Protocol) -> None:
    async with flooded(protocol) as on:
        on.flood()
        await on.until_taken(MOST)
        on.link.close("the channel is no longer served")
        await soon(on.link.lost.wait())
        on.store.store_all()
        await turns(200)
        assert on.taken == MOST
