"""Decisions on uncertain hand-offs against everybody else who may settle one: nobody is lost,
nobody sent twice.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from service.accounts.people.model import By
from service.delivery.receipts.receipts import fold_receipts
from service.delivery.uncertain import uncertain, uncertain_store
from service.delivery.uncertain.statement import StatementLine
from service.delivery.uncertain.statement_import import Statement, import_statement
from service.delivery.uncertain.uncertain import Decision, DecisionResult, Skip
from service.delivery.uncertain.uncertain_store import UncertainFilter
from service.dispatch.handoff import lease_store
from service.ledger.states import MOVES, MessageState
from service.storage.postgres import COLLISIONS, UNREACHABLE, transaction
from tests.harness.owner import as_owner
from tests.harness.uncertain_run import UncertainRun, start_uncertain_run
from tests.harness.waiting import until

Begin = Callable[..., Awaitable[UncertainRun]]


@pytest.fixture
def begin(pool: Any, keyring: Any, now: Any) -> Begin:
    async def start(people: int = 4, **of_run: Any) -> UncertainRun:
        return await start_uncertain_run(pool, keyring, now, people, **of_run)

    return start


async def again(act: Callable[[], Awaitable[Any]]) -> Any:
    """As the API and the workers do: a transaction that met another one is run again."""
    while True:
        try:
            return await act()
        except COLLISIONS:
            continue


async def waiting(on: UncertainRun, what: str) -> bool:
    """Whether somebody waits for a lock in a statement with these words."""
    count: int = await on.pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()",
        what,
    )
    return count > 0


# ---- one against one, in the order that hurts


async def test_a_decision_waits_for_the_fold_and_finds_its_receipt(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1, refs=[b"r"])
    await on.receive(b"r", 1)
    held = asyncio.Event()
    go_on = asyncio.Event()

    async def fold_slowly() -> None:
        async with transaction(on.pool) as conn:
            await conn.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('fold', $1::int))",
                on.on.channel.id,
            )
            held.set()
            await go_on.wait()
            await conn.execute(
                "UPDATE messages SET state = 'delivered', reason = NULL, final_at = $1 "
                "WHERE no = 1",
                on.later,
            )
            await conn.execute("DELETE FROM uncertain")

    folding = asyncio.create_task(fold_slowly())
    await held.wait()
    deciding = asyncio.create_task(on.decide(1, decision="unknown"))
    await until(lambda: waiting(on, "pg_advisory_xact_lock"))
    assert not deciding.done()
    go_on.set()
    await folding
    verdict = await deciding
    assert (verdict.decided, verdict.skipped) == (0, [(on.key(1), Skip.NOT_IN_DOUBT)])
    assert (await on.row(1))["state"] == "delivered"
    await on.check()


async def test_nobody_folds_while_a_decision_is_made(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await begin()
    await on.make_uncertain(1, refs=[b"r"])
    await on.receive(b"r", 1)
    settle = uncertain_store.settle
    folded: list[int] = []

    async def fold_first(*args: Any) -> int:
        folded.append(await fold_receipts(on.pool, on.on.channel.id, on.later))
        return await settle(*args)

    monkeypatch.setattr(uncertain_store, "settle", fold_first)
    assert (await on.decide(1, decision="unknown")).decided == 1
    assert folded == [0]
    await on.fold()
    assert (await on.row(1))["state"] == "delivered"


async def test_an_answer_that_comes_during_a_decision_waits_and_changes_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await begin()
    await on.make_uncertain(1)
    result = await on.on.result(1, 1, ref=b"late")
    settle = uncertain_store.settle
    answers: list[asyncio.Task[None]] = []

    async def answer_first(*args: Any) -> int:
        answers.append(asyncio.create_task(on.on.record(result)))
        await until(lambda: waiting(on, "WITH result AS"))
        return await settle(*args)

    monkeypatch.setattr(uncertain_store, "settle", answer_first)
    assert (await on.decide(1)).decided == 1
    await answers[0]
    assert (await on.row(1))["state"] == "delivered"
    assert await on.pool.fetchval("SELECT count(*) FROM parts WHERE ref = 'late'") == 1
    await on.check()


async def test_two_deciders_at_once_decide_each_uncertain_hand_off_once(begin: Begin) -> None:
    on = await begin(40)
    nos = range(1, 41)
    await on.make_uncertain(*nos)
    await on.allow_resend()

    async def one(decision: str) -> DecisionResult:
        order = random.Random(decision).sample(nos, 40)
        verdict: DecisionResult = await again(lambda: on.decide(*order, decision=decision))
        return verdict

    words = ["delivered", "unknown", "resend", "delivered"]
    verdicts = await asyncio.gather(*map(one, words))
    assert sum(verdict.decided for verdict in verdicts) == 40
    for verdict in verdicts:
        assert verdict.decided + len(verdict.skipped) == 40
        assert {why for _, why in verdict.skipped} <= {Skip.NOT_IN_DOUBT}
    rows = await on.pool.fetch("SELECT no, count(*) AS n FROM doubts_decided GROUP BY no")
    assert {row["no"]: row["n"] for row in rows} == dict.fromkeys(nos, 1)
    await on.check()


@pytest.mark.parametrize("decision", ["resend", "not_sent"])
async def test_a_recovery_makes_nothing_uncertain_that_was_put_back(
    begin: Begin, decision: str
) -> None:
    """The holder dies with the hand-off marked; it is recovered, decided, and recovered again."""
    on = await begin(2)
    await on.on.mark(on.lease, [1])
    await on.on.expire()
    lease = await on.on.must_lease()
    assert await on.on.state(1) == "uncertain"
    await on.allow_resend()
    await on.decide(1, decision=decision)
    async with transaction(on.pool) as conn:
        await lease_store.recover_slices(conn, [(on.on.run, 1)], on.later)
    assert await on.on.state(1) == "queued"
    assert await on.on.claim(lease) == 1
    assert await on.on.mark(lease, [1]) == {1: 2}
    await on.on.expire()
    await on.on.must_lease()
    assert await on.on.state(1) == "uncertain"
    await on.check()
    on.on.now = on.later
    assert (await on.decide(1, at=on.later + timedelta(minutes=11))).decided == 1
    await on.check()


async def test_a_slice_is_not_closed_over_what_is_being_put_back(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder finds nothing to hand off and lets go, while a decision puts a text back."""
    on = await begin(1)
    await on.make_uncertain(1)
    await on.allow_resend()
    settle = uncertain_store.settle
    closing: list[asyncio.Task[None]] = []

    async def close_first(*args: Any) -> int:
        closing.append(asyncio.create_task(on.finish_slice()))
        await until(lambda: waiting(on, "pg_advisory_xact_lock"))
        return await settle(*args)

    monkeypatch.setattr(uncertain_store, "settle", close_first)
    assert (await on.decide(1, decision="resend")).decided == 1
    await closing[0]
    open_slices = await on.pool.fetchval("SELECT count(*) FROM slices WHERE done_at IS NULL")
    assert open_slices == 1
    assert await on.on.claim(on.lease) == 1
    assert await on.on.mark(on.lease, [1]) == {1: 2}


# ---- kill between


@pytest.mark.parametrize("at", ["insert_decision", "settle"])
@pytest.mark.parametrize("decision", ["unknown", "resend"])
async def test_a_kill_in_the_middle_leaves_all_as_it_was(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, at: str, decision: str
) -> None:
    on = await begin(3)
    await on.make_uncertain(1, 2, 3)
    await on.allow_resend()
    act = getattr(uncertain_store, at)

    async def then_die(conn: Any, *args: Any) -> Any:
        await act(conn, *args)
        pid = await conn.fetchval("SELECT pg_backend_pid()")
        await on.pool.execute("SELECT pg_terminate_backend($1)", pid)
        await conn.execute("SELECT 1")

    with monkeypatch.context() as patch:
        patch.setattr(uncertain_store, at, then_die)
        with pytest.raises(UNREACHABLE):
            await on.decide(1, 2, 3, decision=decision)
    assert await on.on.states() == {"uncertain": 3}
    assert await on.pool.fetchval("SELECT count(*) FROM doubt_decisions") == 0
    assert await on.pool.fetchval("SELECT count(*) FROM doubts_decided") == 0
    assert await on.pool.fetchval("SELECT count(*) FROM uncertain") == 3
    assert (await on.decide(1, 2, 3, decision=decision)).decided == 3
    await on.check()


# ---- everybody at once


async def trace(on: UncertainRun) -> None:
    """Note each move of a message in a table of its own."""
    await as_owner(
        on.pool,
        """
        CREATE TABLE moves (no int, a text, b text, attempt int);
        GRANT SELECT, INSERT, UPDATE, DELETE ON moves TO tocsin_service;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO moves VALUES (NEW.no, OLD.state::text, NEW.state::text, NEW.attempt);
            RETURN NEW; END $$;
        CREATE TRIGGER note AFTER UPDATE ON messages FOR EACH ROW
            WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note();
        """,
    )


async def state(on: UncertainRun, nos: Sequence[int]) -> None:
    """A statement that says of these texts that they arrived."""
    lines = [StatementLine(no, await on.phone(no), on.on.now, "delivered", "D") for no in nos]

    async def batches() -> AsyncIterator[Sequence[StatementLine]]:
        yield lines

    statement = Statement(on.on.channel.id, "5e", timedelta(minutes=30), None)
    by = By(on.on.scene.operator, "s", on.later)
    async with transaction(on.pool) as conn:
        await import_statement(conn, on.on.keyring, statement, batches(), by)


@pytest.mark.parametrize("seed", range(4))
async def test_everybody_at_once_loses_nobody_and_moves_along_the_table(
    begin: Begin, seed: int
) -> None:
    """Deciders, a statement, late answers, receipts with and without a reference, folds, sweeps
    and recoveries, all on the same hand-offs: each ends once, as somebody who spoke has said.
    """
    chance = random.Random(seed)
    people = 60
    on = await begin(people)
    nos = list(range(1, people + 1))
    await on.make_uncertain(*nos)
    await on.allow_resend()
    await trace(on)
    late = {no: await on.on.result(no, 1, ref=b"r%d" % no) for no in nos}

    async def decide(decision: str) -> Any:
        for _ in range(4):
            some = chance.sample(nos, 15)
            await again(partial(on.decide, *some, decision=decision))

    async def answer() -> None:
        for no in chance.sample(nos, 20):
            await again(partial(on.on.record, late[no]))

    async def receive() -> None:
        for no in chance.sample(nos, 30):
            ref = b"r%d" % no if no % 2 else b"x%d" % no
            await on.receive(ref, no, chance.choice(["delivered", "undelivered"]))
            await on.fold()
            await again(on.sweep)

    async def recover() -> None:
        for _ in range(10):
            async with transaction(on.pool) as conn:
                await lease_store.recover_slices(conn, [(on.on.run, 1)], on.later)

    async with asyncio.timeout(90):
        await asyncio.gather(
            decide("delivered"), decide("unknown"), decide("resend"), answer(), receive(),
            recover(), again(lambda: state(on, chance.sample(nos, 20))),
        )  # fmt: skip
    await on.fold()
    await on.check()
    moves = await on.pool.fetch("SELECT no, a, b FROM moves")
    for move in moves:
        assert MessageState(move["b"]) in MOVES[MessageState(move["a"])], dict(move)
    left = Counter(move["no"] for move in moves if move["a"] == "uncertain")
    assert set(left.values()) <= {1}, "one was settled twice"
    decided = await on.pool.fetch("SELECT no, state::text FROM doubts_decided")
    assert len({row["no"] for row in decided}) == len(decided)
    said = {(m["no"], m["b"]) for m in moves if m["a"] == "uncertain"}
    assert {(row["no"], row["state"]) for row in decided} <= said
    # Whatever was put back is sent at most once more, and nothing that was not.
    back = {row["no"] for row in decided if row["state"] == "queued"}
    assert {m["no"] for m in moves if m["b"] == "queued"} == back


async def test_decisions_and_folds_never_wait_for_each_other_in_a_circle(begin: Begin) -> None:
    """The lock order is the folder's: not one deadlock, however often they meet."""
    on = await begin(30)
    nos = list(range(1, 31))
    await on.make_uncertain(*nos)
    await on.allow_resend()
    collisions = 0

    async def decide(no: int) -> None:
        nonlocal collisions
        try:
            await on.decide(no, decision=random.choice(["resend", "unknown"]))
        except COLLISIONS:
            collisions += 1

    async def fold(no: int) -> None:
        await on.receive(b"x%d" % no, no)
        await fold_receipts(on.pool, on.on.channel.id, on.later)

    async with asyncio.timeout(60):
        await asyncio.gather(*map(decide, nos), *map(fold, nos))
    assert collisions == 0
    await on.check()


async def test_a_decision_names_who_and_why_for_each_hand_off(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1, 2)
    async with transaction(on.pool) as conn:
        await uncertain.decide(
            conn, UncertainFilter(run_id=on.on.run), Decision.UNKNOWN,
            By(on.on.scene.approver, "no statement to be had", on.later),
        )  # fmt: skip
    rows = await on.pool.fetch(
        "SELECT i.no, d.reason, d.decided_by FROM doubts_decided i "
        "JOIN doubt_decisions d ON d.id = i.decision_id ORDER BY i.no"
    )
    assert [tuple(row) for row in rows] == [
        (no, "no statement to be had", on.on.scene.approver) for no in (1, 2)
    ]
