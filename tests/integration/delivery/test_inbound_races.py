"""An opt-out against a hand-off at work, two readers, two persons, and a death in between."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.accounts.people import store as accounts
from service.accounts.people.model import NewUser, Role, User
from service.crypto import Keyring
from service.delivery.inbound import inbound, inbound_store, replies_store
from service.delivery.inbound.inbound import InboundOutcome
from service.dispatch.handoff import store as dispatch
from service.errors import Conflict
from service.storage.locks import lock_suppressions
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.handset import Handsets, hand_off, set_up
from tests.harness.stage import mark
from tests.harness.waiting import until

STEPS = [
    "new_arrivals",
    "last_messages",
    "insert_texts",
    "count_copies",
    "settle_arrivals",
    "owe_receipt",
    "suppress_senders",
]
"""The last two belong to the replies that they owe."""


async def waits_for_a_lock(pool: Pool) -> bool:
    """Whether a backend waits for an advisory lock."""
    waiting: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted)"
    )
    return waiting


async def operator(conn: Connection, handsets: Handsets, login: str) -> User:
    new = NewUser(handsets.stage.scene.department, login, login, frozenset({Role.OPERATOR}))
    return await accounts.insert_user(conn, new, bootstrap=True)


@pytest.mark.parametrize("by", ["word", "person", "word to a notice"])
async def test_an_opt_out_waits_for_the_mark_in_flight_and_none_follows_it(
    pool: Pool, keyring: Keyring, now: datetime, by: str
) -> None:
    """I7: what was being marked may leave; once the opt-out is committed, nothing else does."""
    handsets = await set_up(pool, keyring, now)
    stage = handsets.stage
    later = await stage.another_run()
    lease = await stage.must_lease()
    assert await stage.claim(lease) is not None
    no = await handsets.no_of(0)
    if by == "word to a notice":
        await pool.execute("UPDATE departments SET notices_end_by_reply = true")
        await pool.execute("UPDATE runs SET class = 'service'")
        await pool.execute("UPDATE messages SET marked_at = $1 WHERE no = $2", now, no)
    await handsets.write(0, "别再发了" if by == "person" else "R")
    if by == "person":
        await handsets.read()
        async with transaction(pool) as conn:
            somebody = await operator(conn, handsets, "county")
        text = (await handsets.only_text())["id"]
        await pool.execute(
            "UPDATE inbound_texts SET department_id = $1, state = 'taken', taken_by = $2, "
            "taken_at = $3",
            somebody.department_id,
            somebody.id,
            now,
        )

    async def stop() -> None:
        if by != "person":
            await handsets.read()
        else:
            async with transaction(pool) as conn:
                await inbound.finish(conn, somebody, text, InboundOutcome(None, opt_out=True), now)

    async with transaction(pool) as conn:
        await dispatch.lock_for_mark(conn, lease, stage.run)
        stopping = asyncio.create_task(stop())
        await until(lambda: waits_for_a_lock(pool))
        assert not stopping.done()
        marked = await mark(conn, lease, stage.run, [no], 1, now)
        assert list(marked) == [no]  # it left before the opt-out counted
        assert not await handsets.suppressed(0)
    await stopping
    assert await handsets.suppressed(0)
    assert await stage.state(no) == "submitting"

    await pool.execute(
        "UPDATE slices SET slot = $2, epoch = $3 WHERE run_id = $1",
        later.run,
        lease.slot,
        lease.epoch,
    )
    next_no = await handsets.no_of(0, later.run)
    await stage.record(await stage.result(no, marked[no]))
    assert await later.mark(lease, [next_no]) == {}
    assert await later.state(next_no) == "suppressed"


async def test_a_mark_waits_for_the_opt_out_that_is_being_committed_and_sees_it(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    handsets = await set_up(pool, keyring, now)
    stage = handsets.stage
    lease = await stage.must_lease()
    assert await stage.claim(lease) is not None
    no = await handsets.no_of(0)
    await handsets.write(0, "R")
    stopped, go_on = asyncio.Event(), asyncio.Event()

    async def hold(conn: Connection) -> None:
        await lock_suppressions(conn)
        stopped.set()
        await go_on.wait()

    monkeypatch.setattr(inbound, "lock_suppressions", hold)
    reading = asyncio.create_task(handsets.read())
    await stopped.wait()
    marking = asyncio.create_task(stage.mark(lease, [no]))
    await until(lambda: waits_for_a_lock(pool))
    assert not marking.done()
    go_on.set()
    assert await reading == 1
    assert await marking == {}
    assert await stage.state(no) == "suppressed"


async def _write_one_of_each(handsets: Handsets) -> None:
    await hand_off(handsets, 0, 1, 2)
    await handsets.write(0, "退", header=(7, 1, 2))
    await handsets.write(0, "订", header=(7, 2, 2))
    await handsets.write(1, "1")
    await handsets.write(1, "1")
    await handsets.write(2, "我被骗了")
    await handsets.write(3, "半条", header=(8, 1, 2))


async def _nothing_happened(handsets: Handsets) -> bool:
    counts = [
        await handsets.pool.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("inbound_texts", "suppressions", "replies_due")
    ]
    return counts == [0, 0, 0] and await handsets.arrivals() == ["new"] * 6


async def _all_happened_once(handsets: Handsets) -> None:
    texts = {(t["text"], t["kind"], t["copies"]) for t in await handsets.texts()}
    assert texts == {("退订", "opt_out", 1), ("1", "answer", 2), ("我被骗了", "clue", 1)}
    assert await handsets.arrivals() == [
        "joined", "joined", "joined", "duplicate", "joined", "waiting",
    ]  # fmt: skip
    assert sorted(await handsets.due()) == ["clue_received", "opt_out_confirmed"]
    assert await handsets.suppressed(0)


@pytest.mark.parametrize("step", STEPS)
async def test_a_death_at_any_step_leaves_nothing_half_done(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The step is done, then the server ends the connection before the commit."""
    handsets = await set_up(pool, keyring, now)
    await _write_one_of_each(handsets)
    module = replies_store if hasattr(replies_store, step) else inbound_store
    real = getattr(module, step)

    async def then_die(conn: Connection, *args: Any, **options: Any) -> Any:
        result = await real(conn, *args, **options)
        backend = await conn.fetchval("SELECT pg_backend_pid()")
        await pool.fetchval("SELECT pg_terminate_backend($1, 5000)", backend)
        return result

    with monkeypatch.context() as patched:
        patched.setattr(module, step, then_die)
        with pytest.raises(Exception, match="connection|terminat"):
            await handsets.read()
    assert await _nothing_happened(handsets)
    await handsets.read()
    await _all_happened_once(handsets)


async def test_a_reader_that_is_cancelled_leaves_nothing_half_done(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    handsets = await set_up(pool, keyring, now)
    await _write_one_of_each(handsets)
    reached = asyncio.Event()
    real = replies_store.suppress_senders

    async def stall(*args: Any, **options: Any) -> None:
        await real(*args, **options)
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(replies_store, "suppress_senders", stall)
        reading = asyncio.create_task(handsets.read())
        await reached.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert await _nothing_happened(handsets)
    await handsets.read()
    await _all_happened_once(handsets)


async def test_of_two_readers_one_reads_and_the_other_leaves_it_to_it(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    handsets = await set_up(pool, keyring, now)
    await handsets.write(0, "R")
    reached, go_on = asyncio.Event(), asyncio.Event()
    real = inbound_store.insert_texts

    async def stall(*args: Any) -> None:
        reached.set()
        await go_on.wait()
        await real(*args)

    monkeypatch.setattr(inbound_store, "insert_texts", stall)
    first = asyncio.create_task(handsets.read())
    await reached.wait()
    assert await handsets.read() == 0
    go_on.set()
    assert await first == 1
    assert len(await handsets.texts()) == 1


async def test_many_readers_and_writers_at_once_read_each_text_once(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "BATCH", 7)
    handsets = await set_up(pool, keyring, now)
    await hand_off(handsets, 0, 1, 2, 3)

    async def write(k: int) -> None:
        for n in range(15):
            await handsets.write(n % 4, f"{k} {n}")
            if n % 3 == 0:
                await handsets.read()

    await asyncio.gather(*(write(k) for k in range(4)))
    await handsets.read()
    texts = await handsets.texts()
    assert sorted(t["text"] for t in texts) == sorted(
        f"{k} {n}" for k in range(4) for n in range(15)
    )
    assert {t["copies"] for t in texts} == {1}
    assert {t["run_id"] for t in texts} == {handsets.stage.run}


async def test_of_two_persons_who_take_a_text_at_once_one_gets_it(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    handsets = await set_up(pool, keyring, now)
    await hand_off(handsets, 0)
    await handsets.write(0, "几点开会")
    await handsets.read()
    text = (await handsets.only_text())["id"]
    async with transaction(pool) as conn:
        people = [await operator(conn, handsets, f"o{n}") for n in range(4)]

    async def take(user: User) -> bool:
        async with transaction(pool) as conn:
            try:
                await inbound.take(conn, user, text, now)
            except Conflict:
                return False
            return True

    async def finish(user: User) -> bool:
        async with transaction(pool) as conn:
            try:
                await inbound.finish(conn, user, text, InboundOutcome(None, opt_out=False), now)
            except Conflict:
                return False
            return True

    taken = await asyncio.gather(*map(take, people))
    assert sorted(taken) == [False, False, False, True]
    assert (await handsets.only_text())["taken_by"] == people[taken.index(True)].id
    finished = await asyncio.gather(*map(finish, people))
    assert sorted(finished) == [False, False, False, True]
    assert (await handsets.only_text())["state"] == "done"


async def test_many_texts_are_read_in_batches(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts and copies that fall into different batches still find each other."""
    monkeypatch.setattr(inbound, "BATCH", 3)
    handsets = await set_up(pool, keyring, now)
    for n in range(5):
        await handsets.write(n % 4, f"头{n}", header=(n, 1, 2))
    await handsets.write(0, "独立")
    for n in range(5):
        await handsets.write(n % 4, f"尾{n}", header=(n, 2, 2), at=now + timedelta(seconds=1))
    await handsets.write(0, "独立")
    assert await handsets.read() == 12
    found = sorted(t["text"] for t in await handsets.texts())
    assert found == sorted([*(f"头{n}尾{n}" for n in range(5)), "独立"])
