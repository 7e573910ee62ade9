"""A carrier that takes the login and closes: it is logged in to less and less, by one at a time.

Time is the database's: a turn comes when a test says that it has come.
"""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from service.channels.config.connection_store import get_health
from service.channels.config.store import update_channel
from service.channels.contract.model import Channel
from service.channels.links import logins, logins_store
from service.channels.links.logins import Ending
from service.crypto import Keyring
from service.simulator.carrier.config import Faults
from service.simulator.run import Simulator
from service.storage.postgres import Pool, transaction
from tests.conftest import NOW
from tests.harness.ledger import add_channel
from tests.harness.sick import serve_channel
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import CalmFaults, Serve, Simulate

CLOSED = Ending("closed", "closed by the other side", 0.1)
HOUR = 3_600.0


@pytest.fixture
async def channel(pool: Pool, keyring: Keyring) -> Channel:
    async with pool.acquire() as conn:
        return await add_channel(conn, keyring, 1, NOW, connections=3)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait, before the jitter."""
    seen: list[float] = []

    def without(seconds: float) -> float:
        seen.append(seconds)
        return seconds

    monkeypatch.setattr(logins, "jittered", without)
    return seen


async def turn(pool: Pool, channel: Channel) -> tuple[bool, float]:
    async with transaction(pool) as conn:
        return await logins_store.take_turn(conn, channel.id)


async def fail(pool: Pool, channel: Channel, ending: Ending = CLOSED, *, turn: bool) -> None:
    async with transaction(pool) as conn:
        await logins_store.failed(conn, channel.id, ending, turn=turn)


async def let_it_come(pool: Pool, channel: Channel) -> None:
    """The time of the next turn has come."""
    await pool.execute(
        "UPDATE channel_logins SET next_at = clock_timestamp() WHERE channel_id = $1", channel.id
    )


async def failures(pool: Pool, channel: Channel) -> int:
    return (
        await pool.fetchval("SELECT failures FROM channel_logins WHERE channel_id = $1", channel.id)
        or 0
    )


class TestTurns:
    async def test_a_channel_that_never_failed_waits_for_nobody(
        self, pool: Pool, channel: Channel
    ) -> None:
        assert [await turn(pool, channel) for _ in range(3)] == [(False, 0.0)] * 3

    async def test_each_turn_is_one_connections_and_the_next_comes_later(
        self, pool: Pool, channel: Channel, waits: list[float]
    ) -> None:
        await fail(pool, channel, turn=False)
        for _ in range(7):
            await let_it_come(pool, channel)
            found = await asyncio.gather(*(turn(pool, channel) for _ in range(5)))
            assert sorted(taken for taken, _ in found) == [False] * 4 + [True]
            assert all(wait > 0 for taken, wait in found if not taken)
            await fail(pool, channel, turn=True)
        assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]

    async def test_connections_that_fail_together_count_once(
        self, pool: Pool, channel: Channel, waits: list[float]
    ) -> None:
        for _ in range(5):
            await fail(pool, channel, turn=False)
        assert (await failures(pool, channel), waits) == (1, [0.5])

    async def test_a_refused_login_waits_a_minute(
        self, pool: Pool, channel: Channel, waits: list[float]
    ) -> None:
        await fail(pool, channel, Ending("refused", "no", retryable=False), turn=False)
        assert waits == [60]

    async def test_a_turn_of_somebody_who_died_ends_by_itself(
        self, pool: Pool, channel: Channel
    ) -> None:
        await fail(pool, channel, turn=False)
        await let_it_come(pool, channel)
        assert await turn(pool, channel) == (True, 0.0)
        taken, wait = await turn(pool, channel)
        assert not taken
        assert 0 < wait <= logins_store.TURN_SECONDS

    async def test_once_a_link_has_worked_everybody_may(self, pool: Pool, channel: Channel) -> None:
        await fail(pool, channel, turn=False)
        async with transaction(pool) as conn:
            await logins_store.worked(conn, channel.id)
        assert await turn(pool, channel) == (False, 0.0)

    async def test_so_they_may_when_somebody_has_corrected_the_settings(
        self, pool: Pool, keyring: Keyring, channel: Channel
    ) -> None:
        await fail(pool, channel, Ending("refused", "no", retryable=False), turn=False)
        async with transaction(pool) as conn:
            await update_channel(conn, keyring, channel)
        assert await turn(pool, channel) == (False, 0.0)


async def test_losses_are_counted_until_an_hour_without(pool: Pool, channel: Channel) -> None:
    lease = await serve_channel(pool, channel.id, NOW)

    async def lose(minutes: int, owner: uuid.UUID = lease.owner) -> tuple[Any, ...]:
        at = NOW + timedelta(minutes=minutes)
        async with transaction(pool) as conn:
            await logins_store.note_loss(conn, channel.id, 0, owner, CLOSED, at)
            link = (await get_health(conn, channel.id)).connections[0]
        assert (link.lost_how, link.lost_why) == ("closed", "closed by the other side")
        assert link.lived_ms == 100
        return link.losses, link.losing_since, link.lost_at

    assert await lose(0) == (1, NOW, NOW)
    assert await lose(59) == (2, NOW, NOW + timedelta(minutes=59))
    later = NOW + timedelta(minutes=119)
    assert await lose(119) == (1, later, later)
    assert await lose(125, uuid.uuid4()) == (1, later, later)  # nobody who holds it


def close_at_once(seconds: float = 0.0) -> Faults:
    return CalmFaults.model_copy(update={"close_after_login_seconds": seconds})


def logged_in(carrier: Simulator) -> int:
    (account,) = carrier.smsc.subscribers.values()
    return account.tally.logins


@pytest.mark.attack
async def test_many_links_of_two_processes_share_one_patience(
    pool: Pool,
    keyring: Keyring,
    simulate: Simulate,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often they look, a turn is a login; nothing goes by the time that passes here."""
    monkeypatch.setattr("service.dispatch.handoff.channel_server.FOLLOW_SECONDS", 0.02)
    monkeypatch.setattr(logins, "FIRST_SECONDS", HOUR)
    monkeypatch.setattr(logins, "MOST_SECONDS", HOUR)
    async with simulate(faults=close_at_once()) as carrier:
        async with pool.acquire() as conn:
            port = carrier.ports["cmpp"]
            channel = await add_channel(conn, keyring, port, NOW, connections=3)
        await fail(pool, channel, turn=False)
        for _ in range(2):
            await serve()

        async def has_failed() -> bool:
            return await failures(pool, channel) > before

        for tried in range(1, 6):
            before = await failures(pool, channel)
            await let_it_come(pool, channel)
            await until(has_failed)
            assert logged_in(carrier) == tried

        async def all_are_kept() -> bool:
            async with pool.acquire() as conn:
                links = (await get_health(conn, channel.id)).connections
            return sum(link.losses for link in links) == 5

        await until(all_are_kept)
        assert logged_in(carrier) == 5
        async with pool.acquire() as conn:
            health = await get_health(conn, channel.id)
        assert health.next_login is not None
        last = max(health.connections, key=lambda link: link.losses)
        assert (last.lost_how, last.lost_why) == ("closed", "closed by the other side")
        assert "the login was accepted, the connection ended" in last.note


async def test_a_link_that_has_worked_is_made_anew_at_once(
    pool: Pool,
    keyring: Keyring,
    simulate: Simulate,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever other connections of the channel have met meanwhile."""
    monkeypatch.setattr(logins, "WORKED_SECONDS", 0.0)
    async with simulate() as carrier:
        async with pool.acquire() as conn:
            channel = await add_channel(conn, keyring, carrier.ports["cmpp"], NOW)
        await serve()

        async def is_up() -> bool:
            async with pool.acquire() as conn:
                return (await get_health(conn, channel.id)).up == 1

        async def is_back() -> bool:
            return logged_in(carrier) == 2 and await is_up()

        await until(is_up)
        monkeypatch.setattr(logins, "MOST_SECONDS", HOUR)
        for _ in range(20):
            await fail(pool, channel, turn=True)
        carrier.smsc.disconnect()
        await until(is_back)
        async with pool.acquire() as conn:
            (link,) = (await get_health(conn, channel.id)).connections
        assert (link.lost_how, link.losses) == ("lost", 1)
        assert await failures(pool, channel) == 0


async def test_a_link_that_works_lets_the_others_in(
    pool: Pool,
    keyring: Keyring,
    simulate: Simulate,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After an outage one logs in; the others need not wait for turns once it serves."""
    monkeypatch.setattr("service.dispatch.handoff.channel_server.FOLLOW_SECONDS", 0.02)
    monkeypatch.setattr("service.dispatch.handoff.channel_server.PROOF_SECONDS", 0.02)
    monkeypatch.setattr(logins, "FIRST_SECONDS", HOUR)
    monkeypatch.setattr(logins, "MOST_SECONDS", HOUR)
    works = False
    monkeypatch.setattr(logins, "has_worked", lambda *_: works)
    async with simulate() as carrier:
        async with pool.acquire() as conn:
            port = carrier.ports["cmpp"]
            channel = await add_channel(conn, keyring, port, NOW, connections=3)
        await fail(pool, channel, turn=False)
        await serve()

        async def up(count: int) -> bool:
            async with pool.acquire() as conn:
                return (await get_health(conn, channel.id)).up == count

        await let_it_come(pool, channel)
        await until(lambda: up(1))
        assert logged_in(carrier) == 1
        works = True
        await until(lambda: up(3))
