"""A channel that asks for the last part's report alone: it settles the whole text, once.

What comes unasked is matched all the same, so it is neither listed as unknown nor given to another
uncertain hand-off.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts import store
from service.delivery.receipts.receipts import SETTLE_AFTER, fold_receipts, sweep_parked
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.record_store import HandoffResult
from service.storage.postgres import Pool, transaction
from tests.harness.ledger import TEXT, states
from tests.harness.runs import LONG, handed_off, ready
from tests.harness.stage import Accept, Scripted, SetUp, Stage, done, working
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

PARTS = 3
LATER = SETTLE_AFTER + timedelta(seconds=1)


@dataclass
class Text:
    """One text of three parts, handed off; its references are a, b and c."""

    on: Stage
    lease: Lease
    attempt: int

    async def answered(self, *parts: int, state: str = "submitted", refs: str = "abc") -> None:
        """The carrier's answers to these parts are recorded."""
        row = await self.on.pool.fetchrow(
            "SELECT phone_hash FROM messages WHERE run_id = $1 AND no = 1", self.on.run
        )
        assert row is not None
        known = tuple((part, refs[part - 1].encode()) for part in parts)
        result = HandoffResult(
            self.on.run, 1, self.attempt, row["phone_hash"], state, None, None, known
        )
        await self.on.record(result)

    async def receive(self, *receipts: tuple[str, str], fold: bool = True) -> None:
        """Receipts arrive, each a reference and a state, in one batch."""
        on = self.on
        cipher = await on.pool.fetchval(
            "SELECT phone_cipher FROM messages WHERE run_id = $1 AND no = 1", on.run
        )
        phone = on.keyring.decrypt("phone", cipher)
        made = [
            Receipt(ref.encode(), phone, ReceiptState(state), state[:7].upper(), "", None)
            for ref, state in receipts
        ]
        async with transaction(on.pool) as conn:
            await store.insert_receipts(
                conn, on.keyring, [(on.channel.id, receipt) for receipt in made], on.now
            )
        if fold:
            await self.fold()

    async def fold(self) -> None:
        await fold_receipts(self.on.pool, self.on.channel.id, self.on.now)

    async def sweep(self) -> None:
        async with transaction(self.on.pool) as conn:
            await sweep_parked(conn, self.on.channel.id, self.on.now + LATER)
        await self.fold()

    async def state(self) -> str:
        return await self.on.state(1)

    async def listed(self) -> list[tuple[str, str]]:
        rows = await self.on.pool.fetch("SELECT ref, why FROM receipts_unmatched ORDER BY id")
        return [(row["ref"].decode(), row["why"]) for row in rows]


async def handed(on: Stage, parts: int = PARTS) -> Text:
    lease = await on.must_lease()
    assert await on.claim(lease) == 1
    return Text(on, lease, (await on.mark(lease, [1], parts=parts))[1])


@pytest.mark.parametrize(
    ("receipts", "given", "ends"),
    [
        ("last", [("c", "delivered")], "delivered"),
        ("last", [("c", "undelivered")], "undelivered"),
        ("last", [("c", "expired")], "expired"),
        ("last", [("c", "rejected")], "rejected"),
        ("last", [("c", "unknown")], "unknown"),
        ("last", [("c", "buffered")], "submitted"),
        ("last", [("a", "delivered"), ("b", "delivered")], "submitted"),  # unasked
        ("last", [("a", "undelivered")], "undelivered"),
        ("all", [("c", "delivered")], "submitted"),
        ("all", [("a", "delivered"), ("c", "delivered")], "submitted"),
        ("all", [("a", "delivered"), ("b", "delivered"), ("c", "delivered")], "delivered"),
        ("all", [("c", "undelivered")], "undelivered"),
        ("all", [("a", "undelivered")], "undelivered"),
    ],
)
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
async def test_what_settles_a_long_text(
    stage: SetUp,
    receipts: str,
    given: Sequence[tuple[str, str]],
    ends: str,
    twice: bool,
    together: bool,
) -> None:
    text = await handed(await stage(1, receipts=receipts))
    await text.answered(1, 2, 3)
    batch = [receipt for receipt in given for _ in range(2 if twice else 1)]
    if together:
        await text.receive(*batch)
    else:
        for receipt in batch:
            await text.receive(receipt)
    assert await text.state() == ends
    assert await text.listed() == []


ORDERS = list(itertools.permutations([("a", "delivered"), ("b", "delivered"), ("c", "delivered")]))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(ref for ref, _ in order))
async def test_receipts_that_nobody_asked_for_change_nothing(
    stage: SetUp, order: Sequence[tuple[str, str]]
) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.answered(1, 2, 3)
    for receipt in order:
        await text.receive(receipt)
    assert await text.state() == "delivered"
    assert await text.listed() == []


async def test_a_last_receipt_before_its_answer_waits_for_it(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.receive(("c", "delivered"))
    assert await text.listed() == [("c", "parked")]
    await text.answered(1, 2, 3)
    await text.sweep()
    assert await text.state() == "delivered"
    assert await text.listed() == []


async def test_a_last_receipt_that_says_otherwise_is_a_conflict(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.answered(1, 2, 3)
    await text.receive(("c", "delivered"))
    await text.receive(("c", "undelivered"))
    assert await text.state() == "delivered"
    assert await text.listed() == [("c", "conflict")]


async def test_an_unknown_last_part_yields_to_a_later_receipt(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.answered(1, 2, 3)
    await text.receive(("c", "unknown"))
    await text.receive(("c", "delivered"))
    assert await text.state() == "delivered"
    assert await text.listed() == []


async def test_an_unasked_failure_after_the_delivery_is_kept_for_a_person(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.answered(1, 2, 3)
    await text.receive(("c", "delivered"))
    await text.receive(("a", "undelivered"))
    await text.receive(("a", "undelivered"))  # a duplicate says nothing new
    assert await text.state() == "delivered"
    assert await text.listed() == [("a", "conflict")]


async def test_a_second_failed_part_of_a_failed_text_is_no_conflict(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="all"))
    await text.answered(1, 2, 3)
    await text.receive(("a", "undelivered"))
    await text.receive(("b", "undelivered"))
    assert await text.state() == "undelivered"
    assert await text.listed() == []


# ---- uncertain hand-offs


async def test_the_last_receipt_settles_a_text_without_any_answer(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.answered(state="uncertain")
    await text.receive(("c", "delivered"))
    await text.sweep()
    assert await text.state() == "delivered"
    assert await text.on.pool.fetchval("SELECT part FROM parts") == PARTS
    assert await text.on.pool.fetchval("SELECT count(*) FROM uncertain") == 0


async def test_the_last_receipt_settles_a_text_whose_last_answer_was_lost(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.answered(1, 2, state="uncertain")
    await text.receive(("c", "undelivered"))
    await text.sweep()
    assert await text.state() == "undelivered"


async def test_the_last_receipt_settles_a_text_whose_first_answer_was_lost(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="last"))
    await text.answered(2, 3, state="uncertain")
    await text.receive(("c", "delivered"))
    assert await text.state() == "delivered"


async def test_a_second_reference_is_none_of_the_last_parts(stage: SetUp) -> None:
    """The last part has its reference; what else comes is not a report that was asked for."""
    text = await handed(await stage(1, receipts="last"))
    await text.answered(2, 3, state="uncertain")
    await text.receive(("x", "delivered"))
    await text.sweep()
    assert await text.state() == "uncertain"
    assert await text.listed() == [("x", "ambiguous")]


async def test_where_each_part_is_asked_for_all_three_must_come(stage: SetUp) -> None:
    text = await handed(await stage(1, receipts="all"))
    await text.answered(2, state="uncertain")
    for ref, state in (("a", "uncertain"), ("b", "uncertain"), ("c", "delivered")):
        await text.receive((ref, "delivered"))
        await text.sweep()
        assert await text.state() == state
    parts = await text.on.pool.fetch("SELECT part FROM parts ORDER BY part")
    assert [row["part"] for row in parts] == [1, 2, 3]


async def test_an_unasked_receipt_settles_no_other_text_to_that_phone(stage: SetUp) -> None:
    on = await stage(1, receipts="last")
    text = await handed(on)
    await text.answered(1, 2, 3)
    other = await on.another_run()
    assert await other.claim(text.lease) == 1
    attempt = (await other.mark(text.lease, [1]))[1]
    await other.record(await other.result(1, attempt, "uncertain"))
    await text.receive(("a", "delivered"))
    await text.sweep()
    assert await other.state(1) == "uncertain"
    await text.receive(("c", "delivered"))
    assert [await on.state(1), await other.state(1)] == ["delivered", "uncertain"]


# ---- asked for on the wire


@pytest.mark.parametrize(
    ("receipts", "text", "asked"),
    [
        ("all", TEXT * 3, [True, True]),
        ("last", TEXT * 3, [False, True]),
        ("last", TEXT, [True]),
    ],
)
async def test_what_is_asked_for(stage: SetUp, receipts: str, text: str, asked: list[bool]) -> None:
    on = await stage(2, receipts=receipts, text=text)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: done(on))
    by_phone: dict[str, list[bool]] = {}
    for submission in gateway.submissions:
        by_phone.setdefault(submission.recipients[0], []).append(submission.receipt)
    assert list(by_phone.values()) == [asked, asked]


async def test_a_carrier_that_reports_the_last_part_alone_settles_everybody(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate(profile="carrier") as carrier, pool.acquire() as conn:
        channel, run = await ready(
            pool, conn, keyring, clock, carrier.ports["cmpp"], 100, text=LONG
        )
        await conn.execute("UPDATE channels SET receipts = 'last' WHERE id = $1", channel.id)
        await serve()
        await until(lambda: handed_off(conn, run))

        async def mostly_delivered() -> bool:
            return (await states(conn, run)).get("delivered", 0) > 80

        await until(mostly_delivered)
        reported = await conn.fetch("SELECT DISTINCT part FROM parts WHERE state IS NOT NULL")
        assert [row["part"] for row in reported] == [2]
        assert await conn.fetchval("SELECT count(*) FROM receipts_unmatched") == 0
