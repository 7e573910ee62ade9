"""What /metrics counts of texts that have ended: each move into such a state, once."""

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Sequence

import pytest

import service
from service.accounts.people.model import By
from service.delivery.receipts.settle_store import settle_runs
from service.delivery.uncertain.uncertain_store import Settled, insert_decision, settle
from service.dispatch.failover.health_store import add_up_ends
from service.dispatch.retries import reroute
from service.dispatch.retries.retry_store import Again, queue_again, withdraw
from service.ledger.states import FINAL_AFTER_HANDOFF, StateMove
from service.storage.postgres import Pool, transaction
from tests.harness.owner import as_owner
from tests.harness.receipts import DAYS_3, SECOND, HandedOff, SetUp

WATCH = """
    CREATE TABLE seen_ends (channel_id smallint, state message_state);
    GRANT ALL ON seen_ends TO PUBLIC;
    CREATE FUNCTION see_end() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO seen_ends VALUES (NEW.channel_id, NEW.state); RETURN NULL; END';
    CREATE TRIGGER see_end AFTER UPDATE OF state ON messages FOR EACH ROW
        WHEN (OLD.state <> NEW.state AND NEW.final_at IS NOT NULL) EXECUTE FUNCTION see_end();
"""
"""What PostgreSQL itself sees of texts that end."""

Counts = dict[tuple[int, str], int]


@pytest.fixture
async def seen(pool: Pool) -> AsyncIterator[None]:
    await as_owner(pool, WATCH)
    yield
    await as_owner(pool, "DROP FUNCTION see_end CASCADE; DROP TABLE seen_ends")


async def counted(on: HandedOff, table: str = "text_ends", of: str = "sum(texts)") -> Counts:
    rows = await on.pool.fetch(
        f"SELECT channel_id, state::text, {of}::int AS n FROM {table} GROUP BY 1, 2"
    )
    return {(row["channel_id"], row["state"]): row["n"] for row in rows}


async def check(on: HandedOff, **expected: int) -> None:
    """What is counted is what PostgreSQL saw, and what the test expects."""
    found = await counted(on)
    assert found == await counted(on, "seen_ends", "count(*)")
    assert found == {(on.channel.id, state): n for state, n in expected.items()}


async def hand_off(on: HandedOff, nos: Sequence[int], parts: int = 1) -> None:
    await on.mark(*nos, parts=parts)
    for no in nos:
        await on.answered(no, *(b"%d.%d" % (no, part) for part in range(parts)))


@pytest.mark.fresh
async def test_receipts_count_each_end_once(stage: SetUp, seen: None) -> None:
    on = await stage(5)
    await hand_off(on, [1, 2, 3])
    await hand_off(on, [4, 5], parts=2)
    for ref, state in (
        (b"1.0", "delivered"), (b"1.0", "delivered"), (b"2.0", "delivered"),
        (b"3.0", "undelivered"), (b"4.0", "delivered"), (b"4.1", "delivered"),
        (b"5.0", "expired"), (b"5.0", "expired"), (b"2.0", "buffered"), (b"9", "delivered"),
    ):  # fmt: skip
        await on.receive(ref, state, reason="" if state in ("delivered", "buffered") else "network")
    await on.fold()
    await check(on, delivered=3, undelivered=1, expired=1)
    await on.receive(b"1.0")
    await on.receive(b"3.0", "undelivered")
    await on.fold()
    await check(on, delivered=3, undelivered=1, expired=1)


@pytest.mark.fresh
async def test_silence_counts_and_so_does_the_receipt_after_it(stage: SetUp, seen: None) -> None:
    on = await stage(2)
    await hand_off(on, [1, 2])
    await on.pool.execute("UPDATE runs SET state = 'sent'")
    async with transaction(on.pool) as conn:
        await settle_runs(conn, on.now + DAYS_3 + SECOND)
    await check(on, unknown=2)
    await on.receive(b"1.0")
    await on.receive(b"2.0", "unknown")
    await on.fold()
    await check(on, unknown=2, delivered=1)


@pytest.mark.fresh
async def test_a_refusal_and_a_decision_count(stage: SetUp, seen: None) -> None:
    on = await stage(4)
    await on.mark(1, 2, 3, 4)
    await on.answered(1, state="rejected")
    for no in (2, 3, 4):
        await on.answered(no, state="uncertain")
    await check(on, rejected=1)
    states = {2: "delivered", 3: "queued", 4: "submitted"}
    found = [Settled(on.run, no, 1, state, "decided") for no, state in states.items()]
    async with transaction(on.pool) as conn:
        by = await insert_decision(conn, "delivered", By(on.scene.operator, "asked", on.now))
        await settle(conn, by, found, on.now)
    await check(on, rejected=1, delivered=1)


@pytest.mark.fresh
async def test_a_text_that_is_tried_again_counts_by_each_end(stage: SetUp, seen: None) -> None:
    on = await stage(1)
    await hand_off(on, [1])
    await on.receive(b"1.0", "undelivered", reason="network")
    await on.fold()
    async with transaction(on.pool) as conn:
        await reroute.lock(conn, [on.run])
        assert await queue_again(conn, [Again(on.run, 1, "network", on.now)])
    await on.pool.execute("UPDATE parts SET state = 'delivered'")
    async with transaction(on.pool) as conn:
        assert await withdraw(conn, [(on.run, 1)], on.now)
    await check(on, undelivered=1, delivered=1)


async def test_adding_up_changes_no_sum_and_leaves_a_row_each(stage: SetUp) -> None:
    on = await stage(3)
    await on.mark(1, 2, 3)
    for no in (1, 2, 3):
        await on.answered(no, b"%d" % no)
        await on.receive(b"%d" % no, "delivered" if no < 3 else "unknown")
        await on.fold()
    before = await counted(on)
    assert sorted(before.values()) == [1, 2]
    assert await on.pool.fetchval("SELECT count(*) FROM text_ends") == 3
    async with transaction(on.pool) as conn:
        await add_up_ends(conn)
    assert await counted(on) == before
    assert await on.pool.fetchval("SELECT count(*) FROM text_ends") == 2


def test_each_store_that_ends_texts_counts_them() -> None:
    ending = {
        module.__name__
        for info in pkgutil.walk_packages(service.__path__, "service.")
        if info.name.endswith("store")
        for module in [importlib.import_module(info.name)]
        for value in vars(module).values()
        if isinstance(value, StateMove) and value.to & FINAL_AFTER_HANDOFF
    }
    assert len(ending) >= 6
    modules = [importlib.import_module(name) for name in ending]
    assert [m.__name__ for m in modules if "{count_ends(" not in inspect.getsource(m)] == []
