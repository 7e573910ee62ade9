"""A text moves to another channel while connections, folds, people and crashes are at work."""

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.campaigns.core.model import WrongState
from service.campaigns.plans import lifecycle
from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, record_store, store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.retries import reroute_store
from service.ledger.states import OPEN
from service.simulator.carrier.config import Account, Profile, SimulatorConfig
from service.simulator.carrier.outcomes import PROFILES
from service.simulator.run import running
from service.storage.postgres import COLLISIONS, Pool, transaction
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone, states
from tests.harness.pauses import delay, random_moment
from tests.harness.three_channels import (
    MOBILE,
    NP,
    TELECOM,
    UNICOM,
    ThreeChannels,
    alter,
    lay_out,
    ref,
)
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import CalmFaults, Serve

SetUp = Callable[..., Awaitable[ThreeChannels]]

Act = Callable[[], Awaitable[Any]]


@pytest.fixture
def stage(pool: Pool, keyring: Keyring, now: datetime) -> SetUp:
    return partial(lay_out, pool, keyring, now)


# ---- one range, two channels


async def test_a_text_that_moved_on_lies_in_no_slice_of_the_first_channel(stage: SetUp) -> None:
    on = await stage()
    first = await on.lease(MOBILE)
    assert await on.claim(first) == (1, [1, 2, 3, 4])
    await on.mark(first, 1, 1, 2)
    await on.refused(MOBILE, 1)
    assert await on.mark(first, 1, 1, 3) == [3], "its old holder may not mark it"
    await on.record(MOBILE, *[await on.result(no, "submitted", ref(MOBILE, no)) for no in (2, 3)])
    await on.pool.execute("UPDATE slices SET epoch = NULL, slot = NULL WHERE no = 1")
    assert await on.claim(first) == (1, [4]), "whoever claims the slice does not get it"
    await on.mark(first, 1, 4)
    await on.submitted(MOBILE, 4, ref(MOBILE, 4))
    assert await on.finish(first, 1), "and it keeps nobody from finishing"
    second = await on.lease(UNICOM)
    assert await on.claim(second) == (2, [1])
    assert await on.mark(second, 2, 1) == [1]


async def test_slices_of_one_row_on_two_channels_are_told_apart(stage: SetUp) -> None:
    on = await stage(people=1)
    first, second = await on.lease(MOBILE), await on.lease(UNICOM)
    await on.claim(first)
    await on.mark(first, 1, 1)
    await on.refused(MOBILE, 1)
    assert await on.claim(second) == (2, [1])
    assert await on.mark(first, 1, 1) == []
    assert await on.mark(second, 2, 1) == [1]


async def test_whoever_recovers_the_first_channels_slice_leaves_the_second_ones_hand_off_alone(
    stage: SetUp,
) -> None:
    on = await stage()
    first, second = await on.lease(MOBILE), await on.lease(UNICOM)
    await on.claim(first)
    await on.mark(first, 1, 1, 2)
    await on.refused(MOBILE, 1)
    claimed = await on.claim(second)
    assert claimed is not None
    await on.mark(second, claimed[0], 1)
    await on.pool.execute(
        "UPDATE connections SET expires_at = clock_timestamp() - interval '1 s' "
        "WHERE channel_id = $1",
        on.id(MOBILE),
    )
    async with transaction(on.pool) as conn:
        assert await lease_store.recover_connection(conn, on.id(MOBILE), 0, on.now)
    assert [await on.where(no) for no in (1, 2)] == [("submitting", UNICOM), ("uncertain", MOBILE)]
    assert not await on.finish(second, claimed[0]), "its own slice is not done"


async def test_a_dead_holder_of_the_second_channel_leaves_an_uncertain_hand_off_there(
    stage: SetUp,
) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.ported(MOBILE, 1)
    second = await on.lease(UNICOM)
    claimed = await on.claim(second)
    assert claimed is not None
    await on.mark(second, claimed[0], 1)
    await on.pool.execute("UPDATE connections SET expires_at = clock_timestamp() - interval '1 s'")
    async with transaction(on.pool) as conn:
        await lease_store.recover_connection(conn, on.id(UNICOM), 0, on.now)
    assert await on.where(1) == ("uncertain", UNICOM)
    uncertain = await on.pool.fetchrow("SELECT channel_id, attempt FROM uncertain")
    assert uncertain is not None
    assert tuple(uncertain) == (on.id(UNICOM), 2)
    again = await on.lease(UNICOM)
    assert await on.claim(again) == (claimed[0], [])
    assert await on.mark(again, claimed[0], 1) == [], "never a blind second text (I3)"


async def test_what_the_second_channel_gives_back_opens_its_own_slice_only(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.ported(MOBILE, 1)
    second = await on.lease(UNICOM)
    claimed = await on.claim(second)
    assert claimed is not None
    await on.mark(second, claimed[0], 1)
    await on.pool.execute("UPDATE slices SET done_at = $1, epoch = NULL", on.now)
    old = Lease(on.id(MOBILE), 0, 1, uuid.uuid4(), "")
    for lease, slice_no in ((old, 1), (second, claimed[0])):
        async with transaction(on.pool) as conn:
            await store.lock_for_mark(conn, lease, on.run)
            await record_store.give_back(conn, lease, (on.run, slice_no), [(1, 2)], on.now)
        if lease is old:
            assert await on.where(1) == ("submitting", UNICOM)
    assert await on.where(1) == ("queued", UNICOM)
    still_done = await on.pool.fetch("SELECT no FROM slices WHERE done_at IS NOT NULL")
    assert [row["no"] for row in still_done] == [1]


# ---- nothing half-done, and everybody at once


async def test_a_failure_half_way_leaves_all_as_it_was(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage()
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1, 2)
    await on.submitted(MOBILE, 1, ref(MOBILE, 1))
    move = reroute_store.move_strays

    async def killed(*args: Any) -> list[int]:
        await move(*args)
        raise ConnectionResetError("killed before the commit")

    monkeypatch.setattr(reroute_store, "move_strays", killed)
    with pytest.raises(ConnectionResetError):
        await on.ported(MOBILE, 1)
    with pytest.raises(ConnectionResetError):
        await on.refused(MOBILE, 2)
    assert [await on.where(no) for no in (1, 2)] == [
        ("submitted", MOBILE),
        ("submitting", MOBILE),
    ]
    assert await on.pool.fetchval("SELECT count(*) FROM slices") == 1
    assert await on.pool.fetchval("SELECT count(*) FROM receipt_inbox") == 1
    assert await on.states() == {"submitted": 1, "submitting": 1, "queued": 2}
    monkeypatch.undo()
    await on.fold(MOBILE)
    await on.refused(MOBILE, 2)
    assert [await on.where(no) for no in (1, 2)] == [("queued", UNICOM)] * 2


async def test_a_cancel_that_came_first_keeps_the_text_from_moving(stage: SetUp) -> None:
    on = await stage()
    await on.sent(MOBILE, 1)
    async with transaction(on.pool) as conn:
        await on.act(lifecycle.cancel, conn)
        moving = asyncio.create_task(on.ported(MOBILE, 1))
        await _waits_for_a_lock(on.pool)
    await moving
    assert await on.where(1) == ("undelivered", MOBILE)
    assert await on.states() == {"undelivered": 1, "cancelled": 3}


async def test_a_cancel_that_comes_second_cancels_the_text_on_its_way(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage()
    await on.sent(MOBILE, 1)
    move = reroute_store.move_strays
    cancelling: list[asyncio.Task[None]] = []

    async def meanwhile(*args: Any) -> list[int]:
        cancelling.append(asyncio.create_task(on.act(lifecycle.cancel)))
        await _waits_for_a_lock(on.pool)
        return await move(*args)

    monkeypatch.setattr(reroute_store, "move_strays", meanwhile)
    await on.ported(MOBILE, 1)
    await cancelling[0]
    assert await on.where(1) == ("cancelled", UNICOM)
    assert await on.states() == {"cancelled": 4}
    assert await on.claim(await on.lease(UNICOM)) is None


async def test_a_run_is_not_closed_while_a_text_of_it_moves(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    move = reroute_store.move_strays

    async def meanwhile(*args: Any) -> list[int]:
        await on.close()
        return await move(*args)

    monkeypatch.setattr(reroute_store, "move_strays", meanwhile)
    await on.ported(MOBILE, 1)
    await on.close()
    assert (await on.run_row())["state"] == "running"
    assert await on.where(1) == ("queued", UNICOM)


async def _waits_for_a_lock(pool: Pool) -> None:
    async def waiting() -> bool:
        count: int = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return count > 0

    await until(waiting)


@dataclass
class Everybody:
    """Connections, folds, closings and pauses, all at once.

    Odd numbers are other people's: every third of them is refused at the submit, the others by
    receipt. Each receipt comes twice. took: how many texts each carrier took, by number.
    """

    on: ThreeChannels
    rng: random.Random
    took: Counter[tuple[str, int]] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def foreign(self, carrier: str, no: int) -> bool:
        return carrier == MOBILE and no % 2 == 1

    async def answer(self, carrier: str, no: int) -> None:
        on, foreign = self.on, self.foreign(carrier, no)
        if foreign and no % 3 == 0:
            await again(lambda: on.refused(carrier, no))
            return
        self.took[carrier, no] += 1
        await again(lambda: on.submitted(carrier, no, ref(carrier, no)))
        for _ in range(2):
            if foreign:
                await on.receive(carrier, no, "undelivered", NP, "ported")
            else:
                await on.receive(carrier, no, "delivered", "DELIVRD")

    async def connection(self, carrier: str, slot: int) -> None:
        on = self.on
        lease = await on.lease(carrier, slot)
        while not self.over.is_set():
            async with (
                on.pool.acquire() as conn
            ):  # a busy machine may take longer than a lease lasts
                await lease_store.renew_connection(conn, lease)
            claimed = await on.claim(lease)
            if claimed is None:
                await delay(0.005)
                continue
            slice_no, rows = claimed
            self.rng.shuffle(rows)
            for at in range(0, len(rows), 5):
                for no in await on.mark(lease, slice_no, *rows[at : at + 5]):
                    await self.answer(carrier, no)
            await on.finish(lease, slice_no)

    async def repeatedly(self, act: Act) -> None:
        while not self.over.is_set():
            await again(act)
            await random_moment(0.02, self.rng)

    async def interrupt(self) -> None:
        with suppress(WrongState):  # everything is handed off, for now at least
            await self.on.act(lifecycle.pause)
            await delay(0.01)
            await self.on.act(lifecycle.resume)
        await delay(0.1)

    async def quiet(self) -> bool:
        waiting = await self.on.pool.fetchval("SELECT count(*) FROM receipt_inbox")
        return not waiting and not OPEN & (await self.on.states()).keys()

    async def work(self) -> None:
        channels = self.on.channels
        folds: list[Act] = [
            partial(self.on.fold, carrier) for carrier in channels for _ in range(2)
        ]
        tasks = [
            *(self.connection(carrier, slot) for carrier in channels for slot in (0, 1)),
            *(self.repeatedly(act) for act in (*folds, self.on.close, self.interrupt)),
        ]
        working = [asyncio.create_task(task) for task in tasks]
        try:
            await until(self.quiet, 60)
        finally:
            self.over.set()
            await asyncio.gather(*working)


async def again(act: Act) -> None:
    """As the recorder and the scheduler do: a transaction that met another one is run again."""
    while True:
        try:
            await act()
        except COLLISIONS:
            continue
        return


@pytest.mark.parametrize("people", [60, pytest.param(120, marks=pytest.mark.slow)])
async def test_everybody_at_once_loses_nobody_and_sends_nobody_twice(
    stage: SetUp, people: int
) -> None:
    on = await stage(people=people, carriers=(MOBILE, UNICOM, TELECOM))
    everybody = Everybody(on, random.Random(11))
    await everybody.work()
    foreign = set(range(1, people + 1, 2))
    assert await on.states() == {"delivered": people}
    assert set(everybody.took.values()) == {1}
    assert {no for carrier, no in everybody.took if carrier == UNICOM} == foreign
    assert TELECOM not in {carrier for carrier, _ in everybody.took}
    learnt = "SELECT count(*) FROM carrier_overrides WHERE carrier = $1"
    assert await on.pool.fetchval(learnt, UNICOM) == len(foreign)
    assert await on.listed() == []
    await on.close()
    assert (await on.run_row())["state"] == "sent"


# ---- over the wire


@pytest.mark.slow
async def test_two_carriers_over_tcp_reach_a_ported_number_once_each(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first carrier reports every number as ported, the second delivers."""
    monkeypatch.setitem(PROFILES, "stale", (0.0,) * 6 + (100.0,) + (0.0,) * 4)  # all ported
    monkeypatch.setitem(PROFILES, "carrier", (100.0,) + (0.0,) * 10)  # all delivered

    def carrier(profile: Profile) -> Any:
        config = SimulatorConfig(
            accounts=(Account(account="901234", secret=SecretStr("1qaz2wsx")),),
            journal=tmp_path / profile,
            profile=profile,
            max_delay_seconds=0.05,
            faults=CalmFaults,
        )
        return running(config, clock=clock)

    people = 60
    async with carrier("stale") as first, carrier("carrier") as second, pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        numbers = [phone(n) for n in range(people)]
        await add_contacts(conn, keyring, scene, numbers, clock.now())
        for one, name in ((first, MOBILE), (second, TELECOM)):
            channel = await add_channel(
                conn, keyring, one.ports["cmpp"], clock.now(), connections=2
            )
            await alter(conn, channel, carriers=[name])
        run = await add_run(conn, scene, clock.now())
        await expand_run(pool, run, clock.now())
        await serve()

        async def all_delivered() -> bool:
            return await states(conn, run) == {"delivered": people}

        await until(all_delivered, 60)
        codes = await conn.fetch("SELECT DISTINCT first_code FROM messages")
        learnt = await conn.fetchval(
            "SELECT count(*) FROM carrier_overrides WHERE carrier = $1 AND source = 'learned'",
            TELECOM,
        )
    assert NP in {row["first_code"] for row in codes}
    assert {row["first_code"] for row in codes} <= {NP, "MB:1049"}
    assert learnt == people
    for profile in ("stale", "carrier"):
        assert _texts(tmp_path / profile) == dict.fromkeys(numbers, 1)


def _texts(journal: Path) -> dict[str, int]:
    """How many texts a carrier took, by number."""
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    return dict(Counter(entry["phone"] for entry in entries if entry["event"] == "submit"))
