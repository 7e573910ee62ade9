"""A carrier breaks in the middle of a run, over TCP: the rest goes out over another, each once.

Two channel processes hold a connection of each channel, two schedulers judge and shift; the
carriers are told over their admin port what to do wrong.
"""

import asyncio
import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from service.channels.config.codes import CarrierCode
from service.channels.config.codes_store import put_code
from service.channels.contract.gateway import SubmitResult
from service.channels.contract.model import Channel
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts.receipts import fold_receipts, sweep_parked
from service.dispatch.expansion.expand import expand_run
from service.dispatch.failover.circuit_breaker import BreakerLimits
from service.dispatch.failover.health import IN_A_ROW, BreakerStanding
from service.dispatch.limits.pace import RateLimit, TokenGrant
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import Simulator, running
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, states
from tests.harness.pauses import delay
from tests.harness.runs import fortunate
from tests.harness.sick import SECOND, breaker, events, open_breaker, watching
from tests.harness.stage import Free, Scripted, SetUp, working
from tests.harness.tiers import cases
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import CalmFaults, Serve

WINDOW, CONNECTIONS, TPS = 16, 2, 200
LIMITS = BreakerLimits(
    answers=10,
    span=0.2 * SECOND,
    slow=0.2,
    down=1.5 * SECOND,
    rest=1.0 * SECOND,
    rest_most=8 * SECOND,
    idle=1.0 * SECOND,
    climb=4 * SECOND,
)
NO_LOGIN = {"login_status": 5}


@dataclass
class Carrier:
    """A simulated carrier, the channel that leads there, and what it has taken."""

    simulator: Simulator
    channel: Channel
    journal: Path

    async def order(self, method: str, path: str, **body: Any) -> None:
        """Tell it over its admin port."""
        url = f"http://127.0.0.1:{self.simulator.ports['admin']}{path}"
        async with aiohttp.request(method, url, json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def breaks(self, **faults: Any) -> None:
        await self.order("PATCH", "/faults", **faults)
        if faults == NO_LOGIN:
            await self.order("POST", "/disconnect")

    async def heals(self) -> None:
        await self.order("DELETE", "/faults")

    def taken(self) -> int:
        """How many submits it has taken."""
        return self.journal.read_bytes().count(b'"submit"')

    def submits(self) -> list[dict[str, Any]]:
        entries = map(json.loads, self.journal.read_text().splitlines())
        return [entry for entry in entries if entry["event"] == "submit"]


@dataclass
class Town:
    """People, two carriers, and a run to the people.

    uncertain: how many hand-offs may stay uncertain for a person: written, and perhaps never read.
    """

    pool: Pool
    clock: Clock
    scene: Scene
    first: Carrier
    second: Carrier
    people: int
    run: uuid.UUID
    uncertain: int = 0

    async def states(self) -> dict[str, int]:
        async with self.pool.acquire() as conn:
            found = await states(conn, self.run)
        assert sum(found.values()) == self.people
        return found

    def took(self) -> Counter[str]:
        """How many texts both carriers together took for each number."""
        both = (*self.first.submits(), *self.second.submits())
        return Counter(entry["phone"] for entry in both)

    async def under_way(self, share: float) -> None:
        async def far_enough() -> bool:
            return self.first.taken() >= self.people * share

        await until(far_enough, 30)

    async def settled(self) -> bool:
        """Whether everybody has a final state; receipts are folded meanwhile."""
        for carrier in (self.first, self.second):
            async with transaction(self.pool) as conn:
                later = self.clock.now() + timedelta(seconds=10)
                await sweep_parked(conn, carrier.channel.id, later)
            await fold_receipts(self.pool, carrier.channel.id, self.clock.now())
        now = await self.states()
        uncertain_count = now.pop("uncertain", 0)
        return (
            uncertain_count <= self.uncertain
            and not {"queued", "submitting", "submitted"} & now.keys()
        )

    async def nothing_on_its_way(self) -> bool:
        """Whether all that was handed off has its answer, or is uncertain for want of one."""
        return "submitting" not in await self.states()

    async def moved(self) -> bool:
        """Whether the other carrier has taken what is well over a third of all."""
        return self.second.taken() > self.people * 0.4

    async def breaker_is(self, carrier: Carrier, state: str) -> None:
        async def so() -> bool:
            row = await breaker(self.pool, carrier.channel.id)
            return row is not None and row["state"] == state

        await until(so, 30)

    async def another_run(self) -> "Town":
        async with self.pool.acquire() as conn:
            run = await add_run(conn, self.scene, self.clock.now())
        await expand_run(self.pool, run, self.clock.now())
        return Town(self.pool, self.clock, self.scene, self.first, self.second, self.people, run)

    async def at(self, kind: str, carrier: Carrier) -> datetime:
        """When something first happened to a channel."""
        found: datetime = await self.pool.fetchval(
            "SELECT min(at) FROM circuit_breaker_events WHERE channel_id = $1 AND kind = $2",
            carrier.channel.id,
            kind,
        )
        return found


@pytest.fixture
async def town(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., Awaitable[Town]]]:
    """Lays out the town and starts two channel processes; `other`: whether the second channel may
    take what the first one does.
    """
    monkeypatch.setattr("service.dispatch.handoff.channel_server.FOLLOW_SECONDS", 0.1)
    monkeypatch.setattr("service.channels.links.logins.FIRST_SECONDS", 0.05)
    monkeypatch.setattr("service.channels.links.logins.MOST_SECONDS", 0.2)
    monkeypatch.setattr("service.channels.links.logins.REFUSED_SECONDS", 0.2)
    monkeypatch.setattr("service.dispatch.handoff.writer.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("service.dispatch.handoff.sender.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("service.dispatch.failover.health.PROBE_SECONDS", 0.3)
    monkeypatch.setattr("service.dispatch.handoff.mark.BLOCKED_WAIT", timedelta(seconds=0.2))
    monkeypatch.setattr("service.dispatch.failover.failover.LOOK_AGAIN", timedelta(seconds=0.2))
    monkeypatch.setattr("service.dispatch.expansion.expand.SLICE_ROWS", 200)
    async with AsyncExitStack() as stack:

        async def carrier(conn: Connection, name: str, **settings: Any) -> Carrier:
            journal = tmp_path / name
            config = SimulatorConfig(
                accounts=(Account(account="901234", secret=SecretStr("1qaz2wsx")),),
                admin_port=0,
                journal=journal,
                max_delay_seconds=0.3,
                profile="carrier",
                faults=Faults(**CalmFaults.model_dump()),
            )
            simulator = await stack.enter_async_context(running(config, clock=clock))
            usual: dict[str, Any] = {"tps": TPS, "window": WINDOW, "connections": CONNECTIONS}
            channel = await add_channel(
                conn, keyring, simulator.ports["cmpp"], clock.now(), **{**usual, **settings}
            )
            return Carrier(simulator, channel, journal)

        async def set_up(people: int = 600, *, other: bool = True) -> Town:
            async with pool.acquire() as conn:
                scene = await make_scene(conn, clock.now())
                await add_contacts(conn, keyring, scene, fortunate(people), clock.now())
                first = await carrier(conn, "first", rank=1)
                second = await carrier(conn, "second", rank=200, enabled=other)
                run = await add_run(conn, scene, clock.now())
            await shorten_timeouts(pool, keyring)
            await expand_run(pool, run, clock.now())
            for _ in range(2):
                await serve(most=CONNECTIONS)
            return Town(pool, clock, scene, first, second, people, run)

        yield set_up


async def shorten_timeouts(pool: Pool, keyring: Keyring) -> None:
    """Answers that do not come in 0.6 s never do."""
    from service.channels.config.store import list_channels, update_channel

    async with transaction(pool) as conn:
        for channel in await list_channels(conn, keyring):
            config = channel.config.model_copy(update={"response_timeout_seconds": 0.6})
            await update_channel(conn, keyring, replace(channel, config=config))


BREAKS: dict[str, tuple[dict[str, Any], str]] = {
    "swallows": ({"swallow_responses": 1.0}, "faults"),
    "half open": ({"half_open": True}, ""),
    "refuses": ({"barred_accounts": ("901234",)}, "faults"),
    "gone": (NO_LOGIN, "down"),
    "slow": ({"answer_delay_seconds": 0.4}, "slow"),
}


@pytest.mark.parametrize(
    "how",
    cases(BREAKS, "refuses", "gone"),
)
async def test_the_rest_goes_out_over_the_other_channel(
    town: Callable[..., Awaitable[Town]], redis: Any, how: str
) -> None:
    faults, cause = BREAKS[how]
    here = await town()
    async with here.pool.acquire() as conn:  # of itself the simulator refuses only for other sakes
        code = CarrierCode("cmpp", "submit", "208", "rejected", "account", "")
        await put_code(conn, code, here.clock.now())
    # Where slowness is not the matter, a busy machine must not open the other channel for it.
    limits = LIMITS if how == "slow" else replace(LIMITS, slow=10.0)
    async with watching(here.pool, redis, here.clock, limits):
        await here.under_way(0.2)
        await here.first.breaks(**faults)
        here.uncertain = WINDOW * CONNECTIONS if how == "gone" else 0
        await here.breaker_is(here.first, "open")
        row = await breaker(here.pool, here.first.channel.id)
        assert not cause or row["cause"] == cause
        await until(here.moved, 30)
        await here.first.heals()
        await until(here.settled, 60)
        await here.breaker_is(here.first, "closed")
    # Nobody twice, nobody lost: whom a carrier refused for good has that state, and no text.
    final = await here.states()
    took = here.took()
    assert set(took.values()) == {1}
    refused, uncertain_count = final.get("rejected", 0), final.get("uncertain", 0)
    assert final.keys() <= {"delivered", "rejected", "uncertain"}
    assert here.people - refused - uncertain_count <= len(took) <= here.people - refused
    assert refused <= 3 * (IN_A_ROW + WINDOW * CONNECTIONS) if how == "refuses" else refused == 0
    # It is recorded: what happened, and that it was seen once by two schedulers.
    recorded = await events(here.pool, here.first.channel.id)
    kinds = [kind for kind, _ in recorded]
    assert [k for k in kinds if k in {"opened", "probing", "closed"}][:2] == ["opened", "probing"]
    moved = sum(messages for kind, messages in recorded if kind == "shifted")
    assert moved >= here.second.taken()
    assert await events(here.pool, here.second.channel.id) == []


@pytest.mark.slow
async def test_with_no_other_channel_they_wait_and_the_trial_finds_the_way_back(
    town: Callable[..., Awaitable[Town]], redis: Any
) -> None:
    here = await town(400, other=False)
    async with watching(here.pool, redis, here.clock, LIMITS):
        await here.under_way(0.2)
        await here.first.breaks(swallow_responses=1.0)
        await here.breaker_is(here.first, "open")

        async def waits() -> bool:
            kinds = [kind for kind, _ in await events(here.pool, here.first.channel.id)]
            return "waiting" in kinds

        await until(waits, 10)
        broken = here.first.taken()
        await until(here.nothing_on_its_way)
        assert here.first.taken() - broken <= 2 * WINDOW * CONNECTIONS
        assert (await here.states())["queued"] > 0
        await here.first.heals()
        await here.breaker_is(here.first, "closed")
        await until(here.settled, 60)
    assert await here.states() == {"delivered": here.people}
    assert set(here.took().values()) == {1}
    tried, closed = await here.at("probing", here.first), await here.at("closed", here.first)
    assert tried < closed
    shown = await breaker(here.pool, here.first.channel.id)
    assert shown["state"] == "closed"


@pytest.mark.slow
async def test_while_it_is_tried_one_message_at_a_time_leaves(
    town: Callable[..., Awaitable[Town]], redis: Any
) -> None:
    """The carrier stays broken: each trial makes no more than one text a connection uncertain."""
    here = await town(250, other=False)
    async with watching(here.pool, redis, here.clock, LIMITS):
        await here.under_way(0.2)
        await here.first.breaks(swallow_responses=1.0)
        await here.breaker_is(here.first, "open")
        await until(here.nothing_on_its_way)
        before = here.first.taken()
        for _ in range(2):
            await here.breaker_is(here.first, "half_open")
            await here.breaker_is(here.first, "open")
        kinds = [kind for kind, _ in await events(here.pool, here.first.channel.id)]
        assert here.first.taken() - before <= kinds.count("probing") * 2 * CONNECTIONS
        await here.first.heals()
        await until(here.settled, 60)
    assert set(here.took().values()) == {1}
    assert await here.states() == {"delivered": here.people}


@pytest.mark.slow
async def test_the_channel_that_works_again_takes_the_next_run_slowly_at_first(
    town: Callable[..., Awaitable[Town]], redis: Any
) -> None:
    here = await town(250)
    async with watching(here.pool, redis, here.clock, LIMITS):
        await here.under_way(0.2)
        await here.first.breaks(swallow_responses=1.0)
        await here.breaker_is(here.first, "open")
        await here.first.heals()
        await here.breaker_is(here.first, "closed")
        before = here.first.taken()
        again = await here.another_run()
        began = asyncio.get_running_loop().time()
        await until(lambda: here.first.taken() - before > 20, what="it takes the next run")
        took = asyncio.get_running_loop().time() - began
        assert here.first.taken() - before <= TPS * 0.2 * took, "at a fraction of its pace"
        await until(again.settled, 90)
    assert await here.states() == await again.states() == {"delivered": here.people}
    assert set(here.took().values()) == {2}, "a text of each run"
    last = here.second.submits()[-1]["at"]
    assert last < here.first.submits()[-1]["at"], "the other one is not needed any more"


@pytest.mark.slow
async def test_a_channel_that_comes_and_goes_does_not_drag_them_to_and_fro(
    town: Callable[..., Awaitable[Town]], redis: Any
) -> None:
    here = await town(250)
    async with watching(here.pool, redis, here.clock, LIMITS):
        await here.under_way(0.1)

        async def flap() -> None:
            while True:
                await here.first.breaks(swallow_responses=1.0)
                await delay(0.8)
                await here.first.heals()
                await delay(0.4)

        flapping = asyncio.create_task(flap())
        await until(here.settled, 60)
        for _ in range(2):  # one run after the other, so that there always is something to send
            here = await here.another_run()
            await until(here.settled, 60)
        flapping.cancel()
        await asyncio.gather(flapping, return_exceptions=True)
        await here.first.heals()
    assert await here.states() == {"delivered": here.people}
    assert set(here.took().values()) == {3}
    opened = await here.pool.fetch(
        "SELECT at FROM circuit_breaker_events WHERE channel_id = $1 AND kind = 'opened'"
        " ORDER BY id",
        here.first.channel.id,
    )
    gaps = [b["at"] - a["at"] for a, b in itertools.pairwise(opened)]
    rests = [LIMITS.rest * 2**n for n in range(len(gaps))]
    assert all(gap >= min(rest, LIMITS.rest_most) for gap, rest in zip(gaps, rests, strict=True))
    moves = await events(here.pool, here.second.channel.id)
    assert moves == [], "nothing ever went back"


# ---- one connection


class Awaited(Free):
    """Tokens that take a while, from the second time on: answers come meanwhile."""

    def __init__(self) -> None:
        self.asked = 0

    async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:  # noqa: ARG002
        self.asked += 1
        if self.asked > 1:
            await delay(0.1)
        return TokenGrant(min(want, 4), 0.0, time.monotonic())


@pytest.mark.parametrize("outcome", [Outcome.SUSPENDED, Outcome.REJECTED])
async def test_an_answer_may_send_the_rest_back_while_tokens_are_awaited(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    monkeypatch.setattr("service.dispatch.handoff.writer.IN_A_ROW", 1)
    on = await stage(people=12, window=16)
    gateway = Scripted(lambda _: SubmitResult(outcome, code="9", reason="account"))
    gateway.delay = lambda: 0.05
    async with working(on, gateway, pace=Awaited()) as at_work:

        async def answered() -> bool:
            return len(gateway.written) >= 4 and "submitting" not in await on.states()

        await until(answered)
        assert at_work.task is not None
        assert not at_work.task.done(), "the connection goes on"
        await at_work.end()
    now = await on.states()
    assert now["queued"] >= 1
    assert now.keys() <= {"queued", "rejected"}
    assert await on.marks() >= 8, "more was marked than written, and has gone back"


async def test_what_is_marked_on_an_open_channel_goes_back_unwritten(
    stage: SetUp,
) -> None:
    """All slots wait for answers that do not come; what is marked behind them need not."""
    on = await stage(people=12, window=4, destinations=3)

    class OneByOne(Scripted):
        most_recipients = 1

    gateway = OneByOne(lambda _: None)
    async with working(on, gateway) as at_work:

        async def stuck() -> bool:
            return len(gateway.written) == 4 and (await on.states()).get("submitting", 0) == 12

        await until(stuck)
        await open_breaker(on.pool, on.channel.id, on.now)
        at_work.health.take_standings(
            {on.channel.id: BreakerStanding("open", on.now, climbing=False)}
        )

        async def back() -> bool:
            return await on.states() == {"submitting": 4, "queued": 8}

        await until(back)
        assert len(gateway.written) == 4
        await at_work.end()
    assert await on.states() == {"uncertain": 4, "queued": 8}
