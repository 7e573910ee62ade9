"""A carrier that ignores its window: no more of what it sends is taken than may wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from service.channels.contract.outcome import Outcome
from service.protocols.cmpp.pdu import SubmitResp
from service.protocols.session import PAUSED, Session
from tests.harness import sgip
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.waiting import counted, turns, until
from tests.unit.gateways import (
    test_cmpp_gateway,
    test_sgip_listener,
    test_smgp_gateway,
    test_smpp_gateway,
)

MOST = 50
FLOOD = 4_000
"""Reports; more than one read of a socket holds, and more than its buffers do."""


@dataclass
class Flooded:
    """One link, the carrier's end of it, and where its deliveries go."""

    link: Session
    peer: Any
    store: Any
    report: Any
    number: Callable[[int], int]

    def flood(self, count: int = FLOOD) -> None:
        for counter in range(1, count + 1):
            self.peer.write(self.number(counter), self.report)

    @property
    def taken(self) -> int:
        return len(self.store.futures)

    @property
    def waiting(self) -> int:
        return sum(not future.done() for future in self.store.futures)

    def store_all(self) -> None:
        """Everything that was taken is stored."""
        for future in self.store.futures:
            if not future.done():
                future.set_result(None)

    async def until_taken(self, count: int) -> None:
        await until(lambda: self.taken >= count, every=0.001)


@asynccontextmanager
async def cmpp(**others: Any) -> AsyncIterator[Flooded]:
    async with test_cmpp_gateway.opened(**others) as (gateway, peer, store):
        yield Flooded(gateway.link, peer, store, test_cmpp_gateway.report(), int)


@asynccontextmanager
async def smgp(**others: Any) -> AsyncIterator[Flooded]:
    async with test_smgp_gateway.opened(**others) as (gateway, peer, store):
        yield Flooded(gateway.link, peer, store, test_smgp_gateway.report(), int)


@asynccontextmanager
async def smpp(**others: Any) -> AsyncIterator[Flooded]:
    async with test_smpp_gateway.opened(**others) as (gateway, peer, store):
        yield Flooded(gateway.link, peer, store, test_smpp_gateway.report(), int)


@asynccontextmanager
async def sgip_dialled_by_us(**others: Any) -> AsyncIterator[Flooded]:
    async with sgip.opened(**others) as (gateway, smg, store):
        yield Flooded(gateway.link, smg, store, test_sgip_listener.REPORT, sgip.number)


@asynccontextmanager
async def sgip_dialled_by_the_carrier() -> AsyncIterator[Flooded]:
    async with test_sgip_listener.logged_in() as (listener, smg, store):
        link = test_sgip_listener.link_of(listener)
        yield Flooded(link, smg, store, test_sgip_listener.REPORT, sgip.number)


Open = Callable[..., AbstractAsyncContextManager[Flooded]]
LINKS: list[Open] = [cmpp, smgp, smpp, sgip_dialled_by_us, sgip_dialled_by_the_carrier]


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
        self.loop = Ahead()  # type: ignore[assignment]

    monkeypatch.setattr(Session, "__init__", set_forward)
    return move


@pytest.mark.attack
@pytest.mark.parametrize("opened", LINKS)
async def test_no_more_is_taken_than_may_wait_and_nothing_is_lost(opened: Open) -> None:
    async with opened() as on:
        on.flood()
        await on.until_taken(MOST)
        await turns(200)
        assert on.taken == MOST  # not one more, however much lies in the socket
        done = 0
        while done < FLOOD:
            await on.until_taken(done + 1)
            assert on.waiting <= MOST
            on.store.futures[done].set_result(None)
            done += 1
        acknowledged = [(await on.peer.read())[0] for _ in range(FLOOD)]
        assert acknowledged == [on.number(counter) for counter in range(1, FLOOD + 1)]
        assert on.taken == FLOOD


@pytest.mark.attack
async def test_a_carrier_that_is_stopped_again_and_again_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with cmpp() as on:
        for turn in range(1, 6):
            on.flood(MOST)
            await on.until_taken(turn * MOST)
            on.store_all()
    assert [record.message for record in caplog.records].count(PAUSED) == 1


@pytest.mark.parametrize("opened", LINKS)
async def test_a_carrier_that_keeps_its_window_is_always_read(opened: Open) -> None:
    async with opened() as on:
        on.flood(MOST - 1)
        await on.until_taken(MOST - 1)
        await turns(200)
        transport = on.link._transport
        assert transport is not None
        assert transport.is_reading()
        on.store_all()


@pytest.mark.parametrize("opened", LINKS)
async def test_what_could_not_be_stored_makes_room_too(opened: Open) -> None:
    async with opened() as on:
        on.flood(2 * MOST)
        await on.until_taken(MOST)
        for future in list(on.store.futures):
            future.set_exception(ConnectionResetError())
        await on.until_taken(2 * MOST)
        on.store_all()


async def test_an_answer_that_lies_behind_the_flood_is_not_uncertain(later: Later) -> None:
    """It is there, only not read: the time in which we did not read counts for no deadline."""
    async with test_cmpp_gateway.opened(response_timeout_seconds=0.3, heartbeat_seconds=0.1) as (
        gateway,
        peer,
        store,
    ):
        on = Flooded(gateway.link, peer, store, test_cmpp_gateway.report(), int)
        (answer,) = gateway.submit(test_cmpp_gateway.submissions(gateway))
        sequence, _ = await peer.read()
        on.flood(2 * MOST)
        peer.write(sequence, SubmitResp(7, 0))
        await on.until_taken(MOST)
        await later(1.0)  # three times the longest wait for an answer
        assert not answer.done()
        assert not gateway.lost.is_set()
        on.store_all()
        await on.until_taken(2 * MOST)
        on.store_all()
        assert (await test_cmpp_gateway.answer(answer)).outcome is Outcome.ACCEPTED


async def test_once_it_is_read_again_an_answer_has_its_whole_time(later: Later) -> None:
    async with test_cmpp_gateway.opened(response_timeout_seconds=1.0) as (gateway, peer, store):
        on = Flooded(gateway.link, peer, store, test_cmpp_gateway.report(), int)
        (answer,) = gateway.submit(test_cmpp_gateway.submissions(gateway))
        sequence, _ = await peer.read()
        on.flood(MOST)
        await on.until_taken(MOST)
        await later(1.5)
        on.store_all()
        await later(0.5)
        peer.write(sequence, SubmitResp(7, 0))
        assert (await test_cmpp_gateway.answer(answer)).outcome is Outcome.ACCEPTED


async def test_once_it_is_read_again_an_answer_that_does_not_come_is_given_up(
    later: Later,
) -> None:
    async with test_cmpp_gateway.opened(response_timeout_seconds=0.3) as (gateway, peer, store):
        on = Flooded(gateway.link, peer, store, test_cmpp_gateway.report(), int)
        (answer,) = gateway.submit(test_cmpp_gateway.submissions(gateway))
        on.flood(MOST)
        await on.until_taken(MOST)
        await later(0.5)
        assert not answer.done()
        on.store_all()
        assert (await test_cmpp_gateway.answer(answer)).outcome is Outcome.UNANSWERED


@pytest.mark.parametrize("opened", LINKS)
async def test_a_link_that_is_not_read_can_still_be_closed(opened: Open) -> None:
    async with opened() as on:
        on.flood()
        await on.until_taken(MOST)
        on.link.close("the channel is no longer served")
        await asyncio.wait_for(on.link.lost.wait(), PATIENCE_SECONDS)
        on.store_all()
        await turns(200)
        assert on.taken == MOST
