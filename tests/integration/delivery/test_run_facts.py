"""What is kept of settled runs: a report from it is what the ledger says, after whatever change."""

import importlib
import inspect
import pkgutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import service
from service.accounts.people.model import By
from service.campaigns.audience.follow_up_store import count_missed
from service.delivery.receipts.settle_store import settle_runs
from service.delivery.uncertain.uncertain_store import Settled, insert_decision
from service.delivery.uncertain.uncertain_store import settle as settle_uncertain
from service.dispatch.retries import reroute
from service.dispatch.retries.retry_store import Again, queue_again
from service.ledger.run_facts import facts_hold, note_late
from service.ledger.states import FINAL, MessageState, StateMove
from service.privacy.erasure_store import cancel_queued
from service.privacy.retention_store import LedgerStretch, drop_numbers
from service.reports.progress import run_report
from service.reports.runs import fact_store
from service.reports.runs.facts import keep_run_facts
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.clocks import HandClock
from tests.harness.plans import watch_plans
from tests.harness.receipts import DAYS_3, HandedOff, SetUp, another_run

HOUR = timedelta(hours=1)
PEOPLE = 6
NOS = range(1, PEOPLE + 1)
AREAS = [None, "341825100001", "341825100002", "341825101001"]
ROLES = [[], ["finance"], ["finance", "driver"]]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts are kept of the smallest run, as often as anything changes."""
    monkeypatch.setattr(fact_store, "LEAST", 1)
    monkeypatch.setattr(fact_store, "MOST_MISSED", 1)
    monkeypatch.setattr(fact_store, "REST", -HOUR)


@dataclass
class Sent:
    """A run that is handed off, and what was sent again of it; the present goes on by the hour."""

    runs: Sequence[HandedOff]

    @property
    def pool(self) -> Pool:
        return self.runs[0].pool

    @property
    def now(self) -> datetime:
        return self.runs[0].now

    def later(self, by: timedelta = HOUR) -> None:
        for run in self.runs:
            run.now += by

    def ref(self, which: int, no: int) -> bytes:
        return b"%d.%d" % (which, no)

    async def settle(self, after: timedelta) -> None:
        self.later(after)
        await self.pool.execute(
            "UPDATE runs r SET state = 'sent', finished_at = $1 WHERE state = 'running' AND NOT"
            " EXISTS (SELECT FROM messages WHERE run_id = r.id"
            "         AND state IN ('queued', 'submitting'))",
            self.now,
        )
        await self.pool.execute("UPDATE runs SET settle_at = NULL")  # look now
        async with self.pool.acquire() as conn:
            await settle_runs(conn, self.now)

    async def keep(self) -> int:
        return await keep_run_facts(self.pool, HandClock(self.now))

    async def kept(self) -> int:
        """Of how many runs the facts hold."""
        found: int = await self.pool.fetchval(
            f"SELECT count(*) FROM runs r JOIN run_facts f ON {facts_hold('f', 'r')}"
        )
        return found

    async def state(self, which: int, no: int) -> str:
        return await self.runs[which].state(no)

    async def check(self) -> None:
        for one in self.runs:
            async with transaction(self.pool) as conn:
                assert await run_report(conn, one.run) == await by_the_ledger(conn, one.run)
                missed = await count_missed(conn, one.run, self.now)
                trial = conn.transaction()
                await trial.start()
                await conn.execute("DELETE FROM run_facts")
                assert missed == await count_missed(conn, one.run, self.now)
                await trial.rollback()


async def by_the_ledger(conn: Connection, run_id: UUID) -> dict[str, Any]:
    """A report, counted row by row."""
    run = await conn.fetchrow("SELECT * FROM runs WHERE id = $1", run_id)
    assert run is not None
    rows = await conn.fetch("SELECT *, state::text AS s FROM messages WHERE run_id = $1", run_id)
    names = {row["code"]: row["name"] for row in await conn.fetch("SELECT * FROM areas")}
    earlier = await conn.fetch(
        "SELECT part_count FROM attempts WHERE run_id = $1 AND submitted_at IS NOT NULL", run_id
    )
    left_out = await conn.fetch("SELECT reason FROM exclusions WHERE run_id = $1", run_id)
    states = Counter(row["s"] for row in rows)
    groups: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    merged: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        town = row["area_code"][:9] + "000" if row["area_code"] else "none"
        groups["carrier"][row["carrier"]][row["s"]] += 1
        groups["area"][town][row["s"]] += 1
        for role in row["roles"] or ["none"]:
            groups["role"][role][row["s"]] += 1
        for role in row["roles"][1:]:
            merged[role][row["roles"][0]] += 1

    def of(by: str) -> dict[str, dict[str, Any]]:
        return {
            name: {"target": n.total(), "reached": n["delivered"], "states": dict(n)}
            for name, n in groups[by].items()
        }

    said = ("campaign_id", "text_no", "follows", "relation", "state", "baseline", "target")
    return {
        "run_id": str(run_id),
        **{name: run[name] for name in (*said, "started_at", "finished_at")},
        "excluded": dict(Counter(row["reason"] for row in left_out)),
        "states": dict(states),
        "reached": states["delivered"],
        "by_carrier": of("carrier"),
        "by_area": {k: {**v, "area_name": names.get(k)} for k, v in of("area").items()},
        "by_role": of("role"),
        "merged": {role: dict(into) for role, into in merged.items()},
        "by_reason": dict(Counter(row["reason"] for row in rows if row["reason"])),
        "parts": sum(row["part_count"] for row in rows if row["submitted_at"])
        + sum(row["part_count"] for row in earlier),
    }


async def sent(stage: SetUp, answers: Sequence[Sequence[str]]) -> Sent:
    """Two runs to the same people, the second one sent again of the first; each text answered as is
    said, `queued`: never handed off.
    """
    first = await stage(PEOPLE)
    runs = [first, await another_run(first)]
    await first.pool.execute(
        "UPDATE runs SET follows = $1, relation = 'resend' WHERE id = $2", first.run, runs[1].run
    )
    for which, (one, states) in enumerate(zip(runs, answers, strict=True)):
        await one.pool.executemany(
            "UPDATE messages SET area_code = $3, roles = $4 WHERE run_id = $1 AND no = $2",
            [(one.run, no, AREAS[no % 4], ROLES[no % 3]) for no in NOS],
        )
        for no, state in zip(NOS, states, strict=True):
            # Whose phone has an uncertain hand-off gets no other one on the channel.
            if state != "queued" and "uncertain" not in [a[no - 1] for a in answers[:which]]:
                await one.mark(no)
                refs = (b"%d.%d" % (which, no),) if state == "submitted" else ()
                await one.answered(no, *refs, state=state)
    return Sent(runs)


async def take(on: Sent, step: tuple[Any, ...]) -> None:
    """One change; one that the ledger does not allow changes nothing."""
    match step:
        case ("settle", after):
            await on.settle(after)
        case ("keep",):
            await on.keep()
        case ("receipt", which, no, state):
            one = on.runs[which]
            reason = "" if state in ("delivered", "unknown") else "network"
            await one.receive(on.ref(which, no), state, reason=reason)
            await one.fold()
        case ("drop",):
            for one in on.runs:
                async with transaction(on.pool) as conn:
                    await drop_numbers(conn, LedgerStretch(one.run, 1, PEOPLE), on.now)
        case (act, which, no):
            await of_text(on, act, which, no)


async def of_text(on: Sent, act: str, which: int, no: int) -> None:
    one = on.runs[which]
    state = await on.state(which, no)
    if act == "again" and state in ("undelivered", "expired", "rejected"):
        async with transaction(on.pool) as conn:
            await reroute.lock(conn, [one.run])
            reason = await conn.fetchval(
                "SELECT reason FROM messages WHERE run_id = $1 AND no = $2", one.run, no
            )
            await queue_again(conn, [Again(one.run, no, reason, one.now)])
    elif act == "erase":
        async with transaction(on.pool) as conn:
            phone_hash = await conn.fetchval(
                "SELECT phone_hash FROM messages WHERE run_id = $1 AND no = $2", one.run, no
            )
            await cancel_queued(conn, phone_hash, None, on.now)
    elif act in ("delivered", "rejected", "submitted") and state == "uncertain":
        found = [Settled(one.run, no, 1, act, "decided")]
        async with transaction(on.pool) as conn:
            by = await insert_decision(conn, "delivered", By(one.scene.operator, "asked", on.now))
            await settle_uncertain(conn, by, found, on.now)
    on.later()


ANSWERS = st.lists(
    st.sampled_from(["submitted", "submitted", "rejected", "uncertain", "queued"]),
    min_size=PEOPLE,
    max_size=PEOPLE,
)
WHICH, NO = st.integers(0, 1), st.sampled_from(NOS)
STEPS = st.one_of(
    st.tuples(st.just("settle"), st.sampled_from([HOUR, DAYS_3 + HOUR])),
    st.tuples(st.just("keep")),
    st.tuples(
        st.just("receipt"),
        WHICH,
        NO,
        st.sampled_from(["delivered", "undelivered", "expired", "unknown"]),
    ),
    st.tuples(st.sampled_from(["again", "erase", "delivered", "rejected", "submitted"]), WHICH, NO),
    st.tuples(st.just("drop")),
)
ALL = [["submitted"] * PEOPLE] * 2
BEAT = (
    "INSERT INTO processes (id, kind, host, pid, version, known)"
    " VALUES (uuidv7(), 'worker', 'h', 1, '0', $1)"
)
"""The sign of life of a program that knows the migrations up to one."""
SILENT: list[tuple[Any, ...]] = [("settle", DAYS_3 + HOUR), ("keep",)]
"""Settled without any receipt, and counted so."""


@given(answers=st.lists(ANSWERS, min_size=2, max_size=2), steps=st.lists(STEPS, max_size=12))
@example(answers=ALL, steps=[*SILENT, ("receipt", 0, 1, "delivered")])
@example(answers=ALL, steps=[*SILENT, ("receipt", 1, 1, "undelivered"), ("keep",)])
@example(
    answers=ALL,
    steps=[
        ("receipt", 0, 1, "undelivered"),
        *SILENT,
        ("again", 0, 1),
        ("erase", 0, 1),
        ("settle", HOUR),
        ("receipt", 0, 1, "delivered"),
    ],
)
@example(answers=ALL, steps=[("receipt", 0, 1, "undelivered"), *SILENT, ("again", 0, 1)])
@example(answers=[["uncertain"] * PEOPLE] * 2, steps=[("delivered", 0, n) for n in NOS] + SILENT)
@example(answers=ALL, steps=[*SILENT, ("drop",), ("erase", 0, 2)])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_report_is_at_all_times_what_the_ledger_says(
    pool: Pool,
    stage: SetUp,
    answers: Sequence[Sequence[str]],
    steps: Sequence[tuple[Any, ...]],
) -> None:
    await pool.execute("UPDATE channels SET enabled = false")  # those of examples before
    on = await sent(stage, answers)
    for step in [*steps, ("settle", HOUR), ("keep",)]:
        await take(on, step)
        await on.check()


async def read(
    on: Sent, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Connection], Any]
) -> Mapping[str, int]:
    """How many rows of each table were read at most in one part of a plan."""
    with monkeypatch.context() as patch:
        worst = watch_plans(patch, None, {"FROM"})
        async with on.pool.acquire() as conn:
            await ask(conn)
    rows: dict[str, int] = {}
    for key, count in worst.items():
        table = key.split(":")[0]
        rows[table] = max(rows.get(table, 0), count)
    return rows


async def test_a_settled_report_reads_no_row_of_the_ledger_until_a_late_receipt(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await sent(stage, ALL)
    run = on.runs[0].run
    for no in (1, 2, 3, 4):
        await take(on, ("receipt", 0, no, "delivered"))
    await on.settle(DAYS_3 + HOUR)
    assert await on.keep() == 2
    assert await on.keep() == 0
    assert await on.kept() == 2
    ledger = ("messages", "attempts", "exclusions")
    rows = await read(on, monkeypatch, lambda conn: run_report(conn, run))
    assert rows["run_facts"] > 0
    assert [rows.get(table, 0) for table in ledger] == [0, 0, 0]
    rows = await read(on, monkeypatch, lambda conn: count_missed(conn, run, on.now))
    assert 0 < rows["messages"] <= PEOPLE + 2, rows  # its two, and those of what was sent again
    await take(on, ("receipt", 0, 5, "delivered"))
    assert await on.kept() == 1
    rows = await read(on, monkeypatch, lambda conn: run_report(conn, run))
    assert rows["messages"] == PEOPLE
    assert await on.keep() == 1
    assert await on.pool.fetchval("SELECT sum(changes) FROM run_changes") == 1
    await on.check()


async def test_a_receipt_beside_the_count_is_not_lost(stage: SetUp) -> None:
    """Its change is not committed when the ledger is counted: the facts are of the state before."""
    on = await sent(stage, ALL)
    await on.settle(DAYS_3 + HOUR)
    one = on.runs[0]
    async with transaction(on.pool) as slow:
        await slow.execute(
            "INSERT INTO run_changes VALUES ($1, 1)", one.run
        )  # as the fold of a late receipt does
        await slow.execute(
            "UPDATE messages SET state = 'delivered', reason = NULL WHERE run_id = $1 AND no = 1",
            one.run,
        )
        assert await on.keep() == 2
        assert await on.kept() == 2
    assert await on.kept() == 1
    await on.check()


async def test_nothing_is_kept_while_a_program_lives_that_notes_no_changes(stage: SetUp) -> None:
    on = await sent(stage, ALL)
    await on.settle(DAYS_3 + HOUR)
    assert await on.keep() == 2
    await on.pool.execute(BEAT, "0314_later")
    assert await on.kept() == 2
    await on.pool.execute(BEAT, "0310_add_person_facts")
    assert await on.kept() == 0
    assert await on.keep() == 0
    await on.pool.execute(
        "UPDATE processes SET seen_at = seen_at - interval '2 minutes' WHERE known = '0314_later'"
    )
    await on.pool.execute("DELETE FROM processes WHERE known < '0313'")
    assert await on.keep() == 2


async def test_what_was_counted_is_not_kept_if_such_a_program_has_begun_meanwhile(
    stage: SetUp,
) -> None:
    on = await sent(stage, ALL)
    await on.settle(DAYS_3 + HOUR)
    run = on.runs[0].run
    async with transaction(on.pool) as conn:
        state = await fact_store.read_state(conn, run)
        assert state is not None
        await conn.execute(BEAT, "0310_add_person_facts")
        await fact_store.save_facts(conn, run, state, {}, [], on.now)
    assert await on.kept() == 0


async def test_late_receipts_are_noted_of_campaigns_runs_alone(conn: Connection) -> None:
    """Nothing is kept of others, so that nobody would add their notes up."""
    campaigns, other = uuid4(), uuid4()
    await conn.execute("CREATE TEMP TABLE runs (id uuid, campaign_id uuid)")  # hides the table
    await conn.execute("INSERT INTO runs VALUES ($1, $1), ($2, NULL)", campaigns, other)
    await conn.execute(
        "WITH moved AS (SELECT id AS run_id, 'unknown' AS before FROM runs)" + note_late("moved")
    )
    noted = [row["run_id"] for row in await conn.fetch("SELECT run_id FROM run_changes")]
    assert noted == [campaigns]


def test_only_known_statements_change_what_has_ended() -> None:
    """Facts hold while no text of a settled run moves: each move out of a final state either opens
    the run again, or notes the change.
    """
    moves = {}
    for found in pkgutil.walk_packages(service.__path__, "service."):
        if not found.name.endswith("store"):
            continue
        module = importlib.import_module(found.name)
        for name, move in inspect.getmembers(module, lambda value: isinstance(value, StateMove)):
            if move.to <= frozenset(MessageState) and move.sources & FINAL:
                moves[name] = frozenset(move.sources & FINAL)
    assert moves == {
        "FOLD": {MessageState.UNKNOWN},  # noted
        "RETRY": {MessageState.UNDELIVERED, MessageState.EXPIRED, MessageState.REJECTED},  # opens
        "REROUTE": {MessageState.UNDELIVERED, MessageState.REJECTED},  # opens
    }
