"""Direct runs of a text each are taken, marked and finished together, and each stays its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.dispatch.handoff import slice_store, store
from service.dispatch.handoff.slice_store import HeldSlice, ReleasedSlice
from service.dispatch.handoff.store import MarkRequest
from service.ledger.reasons import Reason
from service.storage.postgres import BY_KEY, Connection, Pool, Record, open_pool, transaction
from tests.harness.direct_runs import cancel, direct_run, run_state
from tests.harness.ledger import phone
from tests.harness.owner import as_owner
from tests.harness.stage import Accept, Scripted, SetUp, Stage, working
from tests.harness.waiting import until

FIRST = 1_000


@pytest.fixture
async def on(stage: SetUp) -> Stage:
    """A channel with nothing to hand off."""
    on = await stage(1, window=64)
    await on.pool.execute("UPDATE runs SET state = 'cancelled'")
    return on


async def sends(on: Stage, count: int) -> list[Stage]:
    """As many direct runs, each to somebody else."""
    return [await direct_run(on, 1, first=FIRST + number) for number in range(count)]


async def sent(*runs: Stage) -> bool:
    return {await run_state(run) for run in runs} == {"sent"}


async def claim(
    on: Stage, lease: Any, most: int = 32, held: Sequence[HeldSlice] = ()
) -> list[Record]:
    async with transaction(on.pool) as conn:
        return await slice_store.claim_slices(conn, lease, on.now, held, most=most)


async def mark(on: Stage, lease: Any, runs: list[Stage], stop: Reason | None = None) -> set[Any]:
    """Which of the runs' texts may leave."""
    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, lease, *(run.run for run in runs))
        asked = [MarkRequest(run.run, 1, 1, 1, stop) for run in runs]
        moved, _ = await store.mark(conn, lease, asked, on.now)
    return {row["run_id"] for row in moved if row["state"] == "submitting"}


async def test_a_crowd_of_single_texts_takes_few_transactions(
    on: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = await sends(on, 60)
    acts = {"claim_slices": 0, "finish_slices": 0, "mark": 0}

    def counted(module: Any, name: str) -> None:
        act = getattr(module, name)

        async def count(*args: Any, **more: Any) -> Any:
            acts[name] += 1
            return await act(*args, **more)

        monkeypatch.setattr(module, name, count)

    counted(slice_store, "claim_slices")
    counted(slice_store, "finish_slices")
    counted(store, "mark")
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: sent(*runs), 20)
    assert sorted(number for number, _ in gateway.written) == [phone(FIRST + n) for n in range(60)]
    assert acts["mark"] <= 6, acts
    assert acts["finish_slices"] <= 8, acts
    assert acts["claim_slices"] <= 10, acts


async def test_two_sends_to_one_person_both_leave_one_after_the_other(on: Stage) -> None:
    runs = [await direct_run(on, 1, first=FIRST) for _ in range(3)]
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: sent(*runs), 20)
    assert [number for number, _ in gateway.written] == [phone(FIRST)] * 3
    assert [await run.states() for run in runs] == [{"submitted": 1}] * 3


async def test_a_send_that_is_cancelled_does_not_leave_and_holds_up_no_other(on: Stage) -> None:
    runs = await sends(on, 5)
    lease = await on.must_lease()
    assert len(await claim(on, lease)) == 5
    assert (await cancel(runs[2])).cancelled == 1
    assert await mark(on, lease, runs) == {run.run for run in runs if run is not runs[2]}
    assert await runs[2].states() == {"cancelled": 1}


async def test_who_cancels_any_of_them_waits_for_the_mark_of_all(on: Stage) -> None:
    runs = await sends(on, 3)
    lease = await on.must_lease()
    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, lease, *(run.run for run in runs))
        cancelling = [asyncio.create_task(cancel(run)) for run in runs]
        _, waiting = await asyncio.wait(cancelling, timeout=0.2)
        assert len(waiting) == 3
    assert [answer.cancelled for answer in await asyncio.gather(*cancelling)] == [1, 1, 1]


async def test_somebody_who_refuses_gets_nothing_and_holds_up_no_other(on: Stage) -> None:
    runs = await sends(on, 5)
    await on.pool.execute(
        "INSERT INTO suppressions (phone_hash, reason, classes, created_at) SELECT phone_hash,"
        " 'opted_out', '{service}', $2 FROM messages WHERE run_id = $1",
        runs[1].run,
        on.now,
    )
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: sent(*runs), 20)
    assert phone(FIRST + 1) not in {number for number, _ in gateway.written}
    assert [await run.states() for run in runs[:3]] == [
        {"submitted": 1},
        {"suppressed": 1},
        {"submitted": 1},
    ]


async def test_each_has_its_own_validity_and_hours(on: Stage) -> None:
    over, closed, free = await sends(on, 3)
    await on.pool.execute(
        "UPDATE runs SET valid_until = $2 WHERE id = $1", over.run, on.now - timedelta(minutes=1)
    )
    await on.pool.execute(
        'UPDATE runs SET send_hours = \'[["02:00", "02:30"]]\' WHERE id = $1', closed.run
    )
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(lambda: sent(over, free), 20)
    assert [number for number, _ in gateway.written] == [phone(FIRST + 2)]
    assert await over.states() == {"suppressed": 1}
    assert (await closed.states(), await closed.marks()) == ({"queued": 1}, 0)
    waits = await on.pool.fetchval("SELECT not_before FROM slices WHERE run_id = $1", closed.run)
    assert waits > on.now


async def test_what_a_dead_holder_had_marked_of_several_is_uncertain(on: Stage) -> None:
    runs = await sends(on, 4)
    lease = await on.must_lease()
    assert len(await claim(on, lease)) == 4
    assert len(await mark(on, lease, runs[:3])) == 3
    await on.take_over()
    assert [await run.states() for run in runs] == [{"uncertain": 1}] * 3 + [{"queued": 1}]
    async with transaction(on.pool) as conn:
        ended = [ReleasedSlice(run.run, 1) for run in runs]
        assert await slice_store.finish_slices(conn, lease, ended, on.now) == 0


async def test_a_big_direct_run_and_those_of_others_are_taken_alone(on: Stage) -> None:
    big = await direct_run(on, 17, first=FIRST + 100)
    runs = await sends(on, 3)
    lease = await on.must_lease()
    assert [row["run_id"] for row in await claim(on, lease)] == [big.run]
    other = await on.pool.fetchval("INSERT INTO departments (name) VALUES ('another') RETURNING id")
    await on.pool.execute("UPDATE runs SET department_id = $2 WHERE id = $1", runs[2].run, other)
    taken = [{row["run_id"] for row in await claim(on, lease)} for _ in range(2)]
    assert sorted(taken, key=len) == [{runs[2].run}, {runs[0].run, runs[1].run}]


async def test_those_in_hand_keep_no_other_class_and_no_other_department_waiting(
    on: Stage,
) -> None:
    runs = await sends(on, 38)
    lease = await on.must_lease()

    async def more(held: Sequence[HeldSlice]) -> list[Any]:
        return [row["run_id"] for row in await claim(on, lease, held=held)]

    flow = HeldSlice(on.run, 1, on.scene.department, taken_together=True)
    held = [flow._replace(run_id=run) for run in await more([])]
    assert len(held) == 32
    assert await more(held) == [], "no more of one class and department"
    urgent, first, second = runs[34:37]
    await on.pool.execute("UPDATE slices SET priority = 0 WHERE run_id = $1", urgent.run)
    assert await more(held) == [urgent.run]
    held.append(flow._replace(run_id=urgent.run, priority=0))
    other = await on.pool.fetchval("INSERT INTO departments (name) VALUES ('another') RETURNING id")
    theirs = [first.run, second.run]
    await on.pool.execute("UPDATE runs SET department_id = $2 WHERE id = ANY ($1)", theirs, other)
    known = flow._replace(department_id=other)  # and so not before the others for being new
    assert await more([*held, known]) == theirs
    held += [known._replace(run_id=run) for run in theirs]
    campaign = flow._replace(run_id=second.run, taken_together=False)
    assert await more([*held[1:], campaign]) == [runs[32].run], "as many as there is room for"


async def test_an_urgent_text_does_not_wait_for_those_that_were_taken_together(on: Stage) -> None:
    runs = await sends(on, 120)
    for number in range(3):
        await on.pool.execute(
            "WITH other AS (INSERT INTO departments (name) VALUES ($1) RETURNING id)"
            " UPDATE runs SET department_id = other.id FROM other WHERE runs.id = ANY ($2)",
            f"department {number}",
            [run.run for run in runs[number::3]],
        )
    gateway = Scripted(lambda _: Accept)
    gateway.delay = lambda: 0.1
    channel = replace(on.channel, window=1)
    slow = Stage(on.pool, on.keyring, on.scene, channel, on.run, on.now)

    async def wrote(count: int) -> bool:
        return len(gateway.written) >= count

    async with working(slow, gateway):
        await until(lambda: wrote(4), 20)
        urgent = await direct_run(on, 1, first=FIRST + 500)
        await on.pool.execute("UPDATE slices SET priority = 0 WHERE run_id = $1", urgent.run)
        before = len(gateway.written)
        await until(lambda: sent(urgent), 20)
        assert len(gateway.written) < before + 12


@pytest.mark.fresh
@pytest.mark.parametrize("analysed", ["", "runs", "slices", "messages", "runs, slices, messages"])
async def test_plans_that_were_made_for_empty_tables_read_little_of_full_ones(
    on: Stage, database_url: str, analysed: str
) -> None:
    """A plan is kept for a while, and somebody may have analysed the tables while they were empty:
    PostgreSQL does so by itself.
    """
    await on.pool.execute("DELETE FROM slices")
    for table in ("runs", "slices", "messages"):
        await as_owner(on.pool, f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    if analysed:
        await on.pool.execute(f"ANALYZE {analysed}")
    lease = await on.must_lease()
    async with open_pool(database_url, size=1, session=BY_KEY) as pool:
        kept = replace(on, pool=pool)
        for _ in range(8):  # the driver's and the server's plan are made by then
            assert await claim(kept, lease) == []
            assert await mark(kept, lease, [on]) == set()
            assert await finish(kept, lease, [on]) == 0
        await sends(on, 1)
        await on.pool.execute(MANY, 2_000)
        claimed = await claim(kept, lease)
        runs = [replace(on, run=row["run_id"]) for row in claimed]
        assert len(runs) == 32
        held = [HeldSlice(row["run_id"], row["priority"], row["department_id"]) for row in claimed]
        async with reading(pool, 400) as conn:
            assert len(await slice_store.claim_slices(conn, lease, on.now, held)) == 32
        async with reading(pool, 400) as conn:
            await store.lock_for_mark(conn, lease, *(run.run for run in runs))
            asked = [MarkRequest(run.run, 1, 1, 1) for run in runs]
            moved, _ = await store.mark(conn, lease, asked, on.now)
            assert len(moved) == 32
        await on.pool.execute("UPDATE messages SET state = 'submitted' WHERE state = 'submitting'")
        assert await finish(kept, lease, runs, most=400) == 32


MANY = """
    WITH run AS (
        INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object('id', uuidv7()))).*
        FROM runs r, generate_series(1, $1) WHERE r.kind = 'direct' RETURNING id
    ), text AS (
        INSERT INTO messages
        SELECT (jsonb_populate_record(m, jsonb_build_object('run_id', run.id, 'phone_hash',
            substr(sha256(run.id::text::bytea), 1, length(m.phone_hash))))).*
        FROM run, messages m JOIN runs r ON r.id = m.run_id WHERE r.kind = 'direct'
    )
    INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority)
    SELECT run.id, 1, s.channel_id, 1, 1, s.priority FROM run, slices s
"""
"""As many direct runs as are asked for, like the one that there is."""


@asynccontextmanager
async def reading(pool: Pool, most: int) -> AsyncIterator[Connection]:
    """A transaction that looks at so many rows of runs, slices and texts at most."""
    sql = (
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int"
        " FROM pg_stat_xact_user_tables WHERE relname IN ('runs', 'slices', 'messages')"
    )
    async with transaction(pool) as conn:
        before = await conn.fetchval(sql)
        yield conn
        read = await conn.fetchval(sql) - before
    assert read < most


async def finish(on: Stage, lease: Any, runs: list[Stage], most: int = 1) -> int:
    """How many are done; most: how many rows may be read for that."""
    async with reading(on.pool, most) as conn:
        ended = [ReleasedSlice(run.run, 1) for run in runs]
        return await slice_store.finish_slices(conn, lease, ended, on.now)
