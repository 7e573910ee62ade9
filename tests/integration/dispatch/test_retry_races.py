"""Everybody at once while texts fail, wait, and leave again; and the same over TCP."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from service.campaigns.core.model import WrongState
from service.campaigns.plans import lifecycle
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts import store as delivery
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, slice_store
from service.dispatch.retries import retry
from service.ledger.reasons import Reason
from service.ledger.states import OPEN
from service.simulator.carrier.outcomes import PROFILES
from service.storage.postgres import COLLISIONS, Pool, transaction
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone, states
from tests.harness.pauses import delay, random_moment
from tests.harness.three_channels import MOBILE, UNICOM, ThreeChannels, lay_out
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

Act = Callable[[], Awaitable[Any]]


@dataclass
class Everybody:
    """Two connections a carrier, folds, closings and pauses at once, while a minute passes in 10
    ms.

    By number: every third text fails at first for a passing reason, half of these at the submit;
    those divisible by 15 have arrived all the same, which their carrier says later; every seventh
    number is of another network. Each receipt comes twice. took: the hand-offs that a carrier took.
    """

    on: ThreeChannels
    rng: random.Random
    took: Counter[int] = field(default_factory=Counter)
    tries: Counter[int] = field(default_factory=Counter)
    marks: int = 0
    claims: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    later: set[asyncio.Task[None]] = field(default_factory=set)

    async def receipt(self, carrier: str, ref: bytes, state: str, code: str, reason: str) -> None:
        receipt = Receipt(ref, "", ReceiptState(state), code, reason, None)
        for _ in range(2):
            async with transaction(self.on.pool) as conn:
                rows = [(self.on.id(carrier), receipt)]
                await delivery.insert_receipts(conn, self.on.keyring, rows, self.on.now)

    async def answer(self, carrier: str, no: int) -> None:
        on, first = self.on, not self.tries[no]
        self.tries[no] += 1
        if no % 7 == 0 and carrier == MOBILE:
            await again(lambda: on.refused(carrier, no))
            return
        if no % 3 == 0 and first and no % 2 == 0 and no % 15 != 0:
            await again(lambda: on.refused(carrier, no, reason="network"))
            return
        self.took[no] += 1
        ref = f"{carrier}{no}/{self.took[no]}".encode()
        await again(lambda: on.submitted(carrier, no, ref))
        if no % 3 == 0 and first:
            await self.receipt(carrier, ref, "undelivered", "MI:0208", "memory_full")
            if no % 15 == 0:
                self.later.add(asyncio.create_task(self.arrived(carrier, ref)))
        else:
            await self.receipt(carrier, ref, "delivered", "DELIVRD", "")

    async def arrived(self, carrier: str, ref: bytes) -> None:
        await random_moment(2, self.rng)
        await self.receipt(carrier, ref, "delivered", "DELIVRD", "")

    async def connection(self, carrier: str, slot: int) -> None:
        on = self.on
        lease = await on.lease(carrier, slot)
        while not self.over.is_set():
            async with on.pool.acquire() as conn:
                await lease_store.renew_connection(conn, lease)
            claimed = await on.claim(lease)
            if claimed is None:
                await delay(0.005)
                continue
            self.claims += 1
            slice_no, rows = claimed
            self.rng.shuffle(rows)
            for at in range(0, len(rows), 5):
                marked = await on.mark(lease, slice_no, *rows[at : at + 5])
                self.marks += len(marked)
                for no in marked:
                    await self.answer(carrier, no)
            await again(lambda: on.finish(lease, slice_no))  # noqa: B023  # awaited at once

    async def repeatedly(self, act: Act) -> None:
        while not self.over.is_set():
            await again(act)
            await random_moment(0.02, self.rng)

    async def tick(self) -> None:
        self.on.now += timedelta(minutes=1)
        await delay(0.01)

    async def interrupt(self) -> None:
        for act in (lifecycle.pause, lifecycle.resume):
            with suppress(WrongState):  # everything is handed off, for now at least
                await again(partial(self.on.act, act))
            await delay(0.01)
        await delay(0.1)

    async def quiet(self) -> bool:
        ended = all(task.done() for task in self.later)
        waiting = await self.on.pool.fetchval("SELECT count(*) FROM receipt_inbox")
        return ended and not waiting and not OPEN & (await self.on.states()).keys()

    async def work(self) -> None:
        channels = self.on.channels
        folds: list[Act] = [
            partial(self.on.fold, carrier) for carrier in channels for _ in range(2)
        ]
        tasks = [
            *(self.connection(carrier, slot) for carrier in channels for slot in (0, 1)),
            *(self.repeatedly(a) for a in (*folds, self.on.close, self.interrupt, self.tick)),
        ]
        working = [asyncio.create_task(task) for task in tasks]
        try:
            await until(self.quiet, 90)
        finally:
            self.over.set()
            await asyncio.gather(*working, *self.later)


async def not_delivered(on: ThreeChannels) -> set[int]:
    """Those whose both receipts were folded in one batch: the failure stands, the arrival is kept
    as a conflict, and nothing is sent again. In two batches the arrival takes the retry back.
    """
    rows = await on.pool.fetch(
        "SELECT no FROM messages WHERE run_id = $1 AND state <> 'delivered'", on.run
    )
    return {row["no"] for row in rows}


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
    pool: Pool, keyring: Keyring, now: Any, people: int
) -> None:
    on = await lay_out(pool, keyring, now, people=people, carriers=(MOBILE, UNICOM))
    await pool.execute("UPDATE runs SET valid_until = $1", now + timedelta(days=30))
    everybody = Everybody(on, random.Random(7))
    await everybody.work()
    assert (await on.states()).keys() <= {"delivered", "undelivered"}
    twice = {no for no, count in everybody.took.items() if count > 1}
    failed = await not_delivered(on)
    assert all(no % 15 == 0 for no in failed)
    assert failed.isdisjoint(twice)
    assert max(everybody.took.values()) <= 2
    failed_by_receipt = {no for no in range(3, people + 1, 3) if no % 2 or no % 15 == 0}
    assert twice <= failed_by_receipt
    assert {no for no in failed_by_receipt if no % 15 and no % 7} <= twice
    assert set(everybody.took) == set(range(1, people + 1))
    assert everybody.marks == sum(everybody.tries.values())
    late = await pool.fetchval("SELECT count(*) FROM receipts_unmatched WHERE why <> 'conflict'")
    assert late == 0
    conflicts = {ref.decode().split("/")[0] for ref, _ in await on.listed()}
    may = {no for no in twice | failed if no % 15 == 0}
    assert conflicts <= {f"{carrier}{no}" for no in may for carrier in on.channels}
    assert all(any(f"{carrier}{no}" in conflicts for carrier in on.channels) for no in failed)
    assert everybody.claims < 400, "nobody takes a slice of which everything waits"
    await on.close()
    assert (await on.run_row())["state"] == "sent"


@pytest.mark.slow
async def test_over_tcp_a_text_is_submitted_twice_only_where_the_first_time_passed(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    tmp_path: Path,
    simulate: Simulate,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fifth of the handsets is full, a tenth of the numbers dead; both stay so."""
    monkeypatch.setitem(PROFILES, "carrier", (70.0, 0, 0, 10.0, 0, 20.0) + (0.0,) * 5)
    delays = {**retry.DELAYS, Reason.MEMORY_FULL: timedelta(seconds=2)}
    monkeypatch.setattr(retry, "DELAYS", MappingProxyType(delays))
    people, let_go = 3_000, 0
    finish = slice_store.finish_slices

    async def counted(*args: Any) -> int:
        nonlocal let_go
        let_go += 1
        return await finish(*args)

    monkeypatch.setattr(slice_store, "finish_slices", counted)
    async with simulate(profile="carrier", seed=3) as carrier, pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        numbers = [phone(n) for n in range(people)]
        await add_contacts(conn, keyring, scene, numbers, clock.now())
        await add_channel(conn, keyring, carrier.ports["cmpp"], clock.now(), connections=2)
        end = clock.now() + timedelta(hours=1)
        run = await add_run(conn, scene, clock.now(), valid_until=end)
        await expand_run(pool, run, clock.now())
        await serve()

        async def ended() -> bool:
            found = await states(conn, run)
            assert sum(found.values()) == people
            return set(found) == {"delivered", "undelivered", "expired"}

        await until(ended, 90)
        rows = await conn.fetch("SELECT phone_cipher, attempt, reason FROM messages")
        retried = await conn.fetchval("SELECT count(*) FROM attempts WHERE next_at IS NOT NULL")
        open_slices = await conn.fetchval("SELECT count(*) FROM slices WHERE done_at IS NULL")
    reasons = {keyring.decrypt("phone", row["phone_cipher"]): row["reason"] for row in rows}
    expected = {p: 2 if reason == "memory_full" else 1 for p, reason in reasons.items()}
    assert texts(tmp_path / "journal") == expected
    assert retried == sum(1 for count in expected.values() if count == 2)
    assert 500 < retried < 700
    assert 200 < sum(reason == "empty_number" for reason in reasons.values()) < 400
    assert open_slices == 0
    assert let_go < 60, "three slices: taken again only when something of them is due"


def texts(journal: Path) -> dict[str, int]:
    """How many texts the carrier took, by number."""
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    return dict(Counter(entry["phone"] for entry in entries if entry["event"] == "submit"))
