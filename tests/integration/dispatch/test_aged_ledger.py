"""No statement of the hot paths reads more than it needs, whatever statistics know (decision 0130).

Each runs in a database with months of data, and the rows that it reads are counted: those of the
ledger's tables, what was thrown away included. Statistics know nothing, or all, or all but what
came last; or the plan was made while the tables were empty, and is kept.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import pytest

from service.accounts.departments import department_store
from service.api.system.backlog_store import read_backlog
from service.api.system.standing_store import read_standing
from service.audience.areas.area import AreaTree
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_together
from service.campaigns.audience import follow_up_store
from service.campaigns.stops import guard_store
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.crypto import Keyring
from service.delivery.inbound import inbound_store
from service.delivery.list_files import archive_store, list_file_store, results_store
from service.delivery.receipts import settle_store
from service.delivery.receipts import store as delivery
from service.delivery.receipts.store import ReceiptChange
from service.delivery.uncertain import reconcile_store, uncertain_store
from service.delivery.uncertain.reconcile_store import DaySpan
from service.delivery.uncertain.uncertain_store import Settled, UncertainFilter
from service.dispatch.direct import direct_store
from service.dispatch.failover import failover_store
from service.dispatch.failover.failover_store import StoppedChannel
from service.dispatch.handoff import lease_store, record_store, slice_store, store, sweep_store
from service.dispatch.handoff.record_store import HandoffResult
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.dispatch.handoff.store import MarkRequest
from service.dispatch.limits import caps_store
from service.dispatch.retries import dead_numbers_store, reroute, reroute_store, retry_store
from service.dispatch.retries.retry_store import Again
from service.ledger.states import OPEN_RUNS
from service.privacy import erasure_store, retention_store
from service.privacy import store as privacy
from service.privacy.retention_store import LedgerStretch
from service.reports import store as reports
from service.reports.coverage import fact_store, people, scope_store
from service.reports.coverage.people import ListedRuns, WantedPeople
from service.reports.coverage.scope_store import CountUnderWay
from service.reports.runs import fact_store as run_facts
from service.reports.runs import list_store, progress_store
from service.reports.runs.list_store import WhichRuns
from service.reports.suggestions import standing_store
from service.storage.postgres import BY_KEY, Connection, Pool, open_pool
from tests.conftest import NOW
from tests.harness.aged import FULL, SMALL, Aged, Sizes, make_aged, reading
from tests.harness.list_form import a_list
from tests.harness.owner import as_owner

FEW = 40
"""How many texts each statement is about."""

Do = Callable[[Aged, Connection], Awaitable[Any]]


class Act(NamedTuple):
    """A statement. rows, slices: how many rows, and rows of whole slices, it may read; by_key:
    whether its process looks everything up by keys; hot: whether no plan whatever reads more; rare:
    whether a person asks for it, who does not mind a plan of the first minute.
    """

    do: Do
    rows: int
    slices: int = 0
    by_key: bool = True
    hot: bool = False
    rare: bool = False


ACTS: dict[str, Act] = {}


def act(
    rows: int = 12 * FEW, slices: int = 0, *, by_key: bool = True, **kind: bool
) -> Callable[[Do], Do]:
    def note(do: Do) -> Do:
        ACTS[do.__name__] = Act(do, rows, slices, by_key, **kind)
        return do

    return note


def queued(aged: Aged) -> range:
    """Texts of the newest run that are still to leave, in the slice that is in hand."""
    return range(3 * aged.sizes.slice + FEW + 1, 3 * aged.sizes.slice + 2 * FEW + 1)


def marked(aged: Aged) -> range:
    return range(3 * aged.sizes.slice + 1, 3 * aged.sizes.slice + FEW + 1)


def sent(aged: Aged) -> range:
    return range(1, FEW + 1)


def keys(aged: Aged, nos: Sequence[int]) -> list[tuple[Any, int]]:
    return [(aged.run, no) for no in nos]


def ref(aged: Aged, no: int) -> bytes:
    return aged.run.bytes + no.to_bytes(4, "big")


async def phones(aged: Aged, conn: Connection) -> list[bytes]:
    """Of somebody in each large run, and of somebody with a direct send."""
    some = [aged.direct[0], aged.run]
    rows = [
        await conn.fetchval("SELECT phone_hash FROM messages WHERE run_id = $1 AND no = 1", run)
        for run in some
    ]
    return [row or b"nobody" for row in rows]


# ---- the hand-off


@act(slices=1, hot=True)
async def claims_a_slice(aged: Aged, conn: Connection) -> None:
    await slice_store.claim_slices(conn, aged.lease, aged.now)


@act(slices=1, hot=True)
async def reads_a_slice(aged: Aged, conn: Connection) -> None:
    first = 4 * aged.sizes.slice + 1
    found = (aged.run, first, first + aged.sizes.slice - 1)
    await slice_store.queued_rows(conn, aged.channel.id, [found], aged.now)


@act(hot=True)
async def marks(aged: Aged, conn: Connection) -> None:
    await store.lock_for_mark(conn, aged.lease, aged.run)
    asked = [MarkRequest(aged.run, 4, no, 1) for no in queued(aged)]
    moved, _ = await store.mark(conn, aged.lease, asked, aged.now)
    assert len(moved) in (0, FEW)


@act(hot=True)
async def holds_what_a_cap_stops(aged: Aged, conn: Connection) -> None:
    await caps_store.capped_texts(conn, aged.run, queued(aged))
    held = [
        caps_store.CappedText(no, "capped", aged.now + timedelta(days=1)) for no in queued(aged)
    ]
    await caps_store.hold(conn, aged.run, held, aged.now)


@act(rows=16 * FEW)
async def records_results(aged: Aged, conn: Connection) -> None:
    results = [
        HandoffResult(aged.run, no, 1, b"h", "submitted", None, None, ((1, ref(aged, no)),))
        for no in marked(aged)
    ]
    await record_store.record_results(conn, aged.channel.id, results, aged.now)


@act(rows=40 * FEW)
async def records_refusals(aged: Aged, conn: Connection) -> None:
    results = [
        HandoffResult(aged.run, no, 1, b"h", "rejected", reason, "1", ())
        for no, reason in zip(
            marked(aged), ("network", "ported", "empty_number", "other") * (FEW // 4), strict=True
        )
    ]
    await record_store.record_results(conn, aged.channel.id, results, aged.now)


@act()
async def gives_back(aged: Aged, conn: Connection) -> None:
    rows = [(no, 1) for no in marked(aged)]
    await record_store.give_back(conn, aged.lease, (aged.run, 4), rows, aged.now)


@act(slices=2, hot=True)
async def finishes_a_slice(aged: Aged, conn: Connection) -> None:
    await slice_store.finish_slices(conn, aged.lease, [ReleasedSlice(aged.run, 4)], aged.now)


@act(slices=1, hot=True)
async def recovers_a_slice(aged: Aged, conn: Connection) -> None:
    await lease_store.recover_slices(conn, [(aged.run, 4)], aged.now)


# ---- coverage


@act(slices=9)
async def count_a_sixteenth_of_a_run(aged: Aged, conn: Connection) -> None:
    scope = await conn.fetchval(
        "INSERT INTO coverage_scopes (kind, run_id) VALUES ('run', $1) RETURNING id", aged.run
    )
    count = CountUnderWay(scope, 1, [aged.run], stretches=16, done=3)
    await fact_store.count_stretch(conn, count)


@act(rows=20 * FEW)
async def lists_people_of_a_scope(aged: Aged, conn: Connection) -> None:
    runs = ListedRuns([aged.run], aged.sizes.large)
    await people.list_people(conn, runs, WantedPeople(), b"", FEW)


@act()
async def add_the_scopes_of_runs_that_may_change(aged: Aged, conn: Connection) -> None:
    await scope_store.add_scopes(conn, aged.now)


@act()
async def begin_the_count_that_is_due(aged: Aged, conn: Connection) -> None:
    await scope_store.add_scopes(conn, aged.now)
    await scope_store.begin_due(conn, aged.now)


# ---- what comes back


@act(rows=20 * FEW)
async def folds_receipts(aged: Aged, conn: Connection) -> None:
    receipts = [
        (aged.channel.id, Receipt(ref(aged, no), "", ReceiptState.DELIVERED, "D", "", None))
        for no in sent(aged)
    ]
    await delivery.insert_receipts(conn, aged.keyring, receipts, aged.now)
    await delivery.take_receipts(conn, aged.channel.id, 1_000, aged.now)
    await delivery.rematch(conn, aged.channel.id, [ref(aged, no) for no in sent(aged)])


def receipts_of(aged: Aged) -> list[dict[str, Any]]:
    return [
        {
            "channel_id": aged.channel.id,
            "ref": ref(aged, no),
            "run_id": aged.run,
            "no": no,
            "attempt": 1,
            "state": "delivered",
            "reason": "",
            "code": "",
        }
        for no in sent(aged)
    ]


@act(rows=20 * FEW)
async def folds_parts(aged: Aged, conn: Connection) -> None:
    rows: Any = receipts_of(aged)
    await delivery.mark_parts(conn, [(row, "delivered") for row in rows])
    await retry_store.note_late(conn, rows)


@act()
async def moves_texts_along(aged: Aged, conn: Connection) -> None:
    changes = [ReceiptChange(aged.run, no, "undelivered", "network", "1", 1) for no in sent(aged)]
    await delivery.apply_changes(conn, changes, aged.now)


@act(rows=40 * FEW)
async def puts_texts_back(aged: Aged, conn: Connection) -> None:
    await reroute.lock(conn, [aged.run])
    changes = [ReceiptChange(aged.run, no, "undelivered", "network", "1", 1) for no in sent(aged)]
    await delivery.apply_changes(conn, changes, aged.now)
    again = [Again(aged.run, no, "network", aged.now) for no in sent(aged)]
    await retry_store.queue_again(conn, again)
    await retry_store.withdraw(conn, keys(aged, sent(aged)), aged.now)


@act(rows=30 * FEW)
async def moves_texts_to_another_channel(aged: Aged, conn: Connection) -> None:
    changes = [ReceiptChange(aged.run, no, "undelivered", "ported", "1", 1) for no in sent(aged)]
    await delivery.apply_changes(conn, changes, aged.now)
    await reroute_store.find_strays(conn, keys(aged, sent(aged)), aged.now)
    await reroute_store.learn_carriers(conn, keys(aged, sent(aged)), aged.now)


@act(rows=60 * FEW)
async def counts_dead_numbers(aged: Aged, conn: Connection) -> None:
    some = keys(aged, sent(aged))
    day = aged.now.date()
    await dead_numbers_store.insert_reports(conn, some, "empty_number", day, aged.now)
    found = await phones(aged, conn)
    await dead_numbers_store.suppress_dead(conn, found, aged.now, aged.now, aged.now)
    await dead_numbers_store.forget_reports(conn, some)


@act(rows=20 * FEW, by_key=False, rare=True)
async def settles_uncertain(aged: Aged, conn: Connection) -> None:
    await lease_store.recover_slices(conn, [], aged.now)
    await conn.execute(
        "WITH lost AS (UPDATE messages SET state = 'uncertain' WHERE run_id = $1 AND no = ANY ($2)"
        " RETURNING *) INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt,"
        " marked_at, since) SELECT channel_id, phone_hash, run_id, no, attempt, marked_at,"
        " marked_at FROM lost",
        aged.run,
        list(marked(aged)),
    )
    some = keys(aged, marked(aged))
    await uncertain_store.lock_uncertain(conn, some)
    by = await conn.fetchval("SELECT uuidv7()")
    with suppress(asyncpg.ForeignKeyViolationError):
        async with conn.transaction():
            found = [Settled(*key, 1, "queued", "decided") for key in some]
            await uncertain_store.settle(conn, by, found, aged.now)
    await uncertain_store.list_uncertain(conn, UncertainFilter(), None, 50)


@act(rows=40 * FEW)
async def meets_uncertain(aged: Aged, conn: Connection) -> None:
    found = await phones(aged, conn)
    await conn.execute(
        "INSERT INTO uncertain SELECT $1, p, $2, row_number() OVER (), 1, $3, $3"
        " FROM unnest($4::bytea[]) AS p",
        aged.channel.id,
        aged.run,
        aged.now,
        found,
    )
    await conn.execute(
        "INSERT INTO receipts_unmatched (id, channel_id, ref, phone_hash, state, reason, code,"
        " received_at, why) SELECT row_number() OVER (), $1, 'r', p, 'delivered', '', '', $2,"
        " 'parked' FROM unnest($3::bytea[]) AS p",
        aged.channel.id,
        aged.now,
        found,
    )
    await delivery.parked_for_uncertain(conn, aged.channel.id, aged.now, aged.now)
    await uncertain_store.parked_with_decided(conn, aged.channel.id, aged.now, aged.now)
    await sweep_store.delete_settled_uncertain(conn)
    await uncertain_store.handoffs_to(conn, None, aged.channel.id, found)


@act(rows=20 * FEW)
async def finds_what_a_text_answers(aged: Aged, conn: Connection) -> None:
    asked = [(aged.channel.id, phone, aged.now, None) for phone in await phones(aged, conn)]
    await inbound_store.last_messages(conn, asked, timedelta(days=3))


# ---- the scheduler


@act(rows=20 * FEW, by_key=False)
async def settles_direct_runs(aged: Aged, conn: Connection) -> None:
    await settle_store.settle_runs(conn, aged.now)


@act(rows=20 * FEW, slices=16)
async def guards_a_run(aged: Aged, conn: Connection) -> None:
    for canary in (False, True):
        await guard_store.figures(conn, aged.run, timedelta(minutes=5), aged.now, canary=canary)
    await guard_store.canary_stand(conn, aged.run)


@act(rows=5 * FEW, slices=5)
async def shifts_a_slice(aged: Aged, conn: Connection) -> None:
    stopped = StoppedChannel(aged.channel.id, aged.now, "test")
    await failover_store.next_slices(conn, aged.channel.id, aged.run, 0, 10)
    ways = {"china_mobile": aged.channel.id}
    await failover_store.move_queued(conn, stopped, aged.run, 5, ways)
    await failover_store.close_emptied(conn, aged.run, 5, aged.now)


@act(slices=3)
async def stops_a_slice(aged: Aged, conn: Connection) -> None:
    await conn.execute("UPDATE runs SET state = 'cancelled' WHERE id = $1", aged.run)
    await sweep_store.stop_slice(conn, aged.run, 5, aged.now)


@act()
async def drops_numbers(aged: Aged, conn: Connection) -> None:
    await retention_store.drop_numbers(conn, LedgerStretch(aged.run, 1, FEW), aged.now)


@act(rows=20 * FEW)
async def stops_what_arrived(aged: Aged, conn: Connection) -> None:
    await follow_up_store.stop_arrived(conn, aged.direct, aged.now)


# ---- the API


@act(by_key=False)
async def lists_a_page_of_texts(aged: Aged, conn: Connection) -> None:
    rows = await reports.list_messages(conn, aged.run, FEW, FEW, None)
    await reports.list_attempts(conn, aged.run, [row["no"] for row in rows])
    await reports.find_messages(conn, aged.run, [row["no"] for row in rows])


@act(by_key=False)
async def reports_a_direct_run(aged: Aged, conn: Connection) -> None:
    await reports.count_messages(conn, aged.direct[0])
    await reports.count_exclusions(conn, aged.direct[0])
    await run_facts.list_missed(conn, aged.direct[0])
    await direct_store.count_states(conn, aged.direct[0])


@act(by_key=False)
async def cancels_a_direct_run(aged: Aged, conn: Connection) -> None:
    await direct_store.cancel_message(conn, aged.direct[0], 1, aged.now)
    await direct_store.cancel_queued(conn, aged.direct[0], aged.now)


@act(rows=60 * FEW, by_key=False)
async def looks_a_phone_up(aged: Aged, conn: Connection) -> None:
    for phone in await phones(aged, conn):
        since = aged.now - timedelta(days=90)
        await reports.list_sent_to(conn, phone, aged.scene.department, since, 50)
        await privacy.list_messages(conn, phone, None)
        await erasure_store.count_kept(conn, phone, aged.scene.department)


@act(rows=40 * FEW, by_key=False)
async def erases_somebody(aged: Aged, conn: Connection) -> None:
    for phone in await phones(aged, conn):
        await erasure_store.cancel_queued(conn, phone, None, aged.now)


@act(rows=60 * FEW, by_key=False)
async def takes_what_a_carrier_gives_back(aged: Aged, conn: Connection) -> None:
    given = a_list(channel_id=aged.channel.id)
    refs = [ref(aged, no) for no in sent(aged)]
    runs = [aged.run, *aged.direct[:2]]
    await results_store.find_texts(conn, given, runs, refs, await phones(aged, conn))


@act(by_key=False)
async def makes_an_archive(aged: Aged, conn: Connection) -> None:
    given = a_list(channel_id=aged.channel.id)
    await archive_store.page_of_lines(conn, given.id, 0, FEW)
    await archive_store.stopped_lines(conn, given.id, aged.now)
    await list_file_store.lapse(conn, given.id, aged.now, lines=[1])


@act(rows=16 * FEW, by_key=False)
async def lists_the_newest_runs(aged: Aged, conn: Connection) -> None:
    for whose in (None, [aged.scene.department]):
        which = WhichRuns(whose, None, None, None, None, FEW)
        page = await list_store.list_runs(conn, which)
        await list_store.list_runs(conn, which._replace(after=page[-1]["id"]))


@act(rows=2 * FULL.direct, by_key=False, rare=True)
async def counts_a_departments_work(aged: Aged, conn: Connection) -> None:
    """The runs may be read one after another, but no ledger of one before."""
    later = aged.now + timedelta(days=2)
    made_later = "UPDATE runs SET created_at = $2, fire_at = $2 WHERE id = $1"
    await conn.execute(made_later, aged.direct[0], later)
    tomorrow = aged.now.date() + timedelta(days=1)
    await department_store.read_counts(conn, aged.scene.department, tomorrow)


@act(by_key=False, rare=True)
async def lists_what_is_being_sent(aged: Aged, conn: Connection) -> None:
    which = WhichRuns([aged.scene.department], sorted(OPEN_RUNS), None, None, None, FEW)
    await list_store.list_runs(conn, which)


@act(slices=1, by_key=False, rare=True)
async def shows_the_figures(aged: Aged, conn: Connection) -> None:
    """For all that there are: /metrics is asked for every few seconds, by more than one."""
    await read_backlog(conn, aged.now)
    await read_standing(conn, aged.now)


@act(by_key=False)
async def counts_whom_texts_of_a_kind_reached(aged: Aged, conn: Connection) -> None:
    """Of a run of one text: what it reads of a large one is all of that, and of no other."""
    nobodys, today = uuid4(), aged.now.date()
    rules = compile_together(
        [parse("gender = f")], areas=RuleAreas(AreaTree(())), department_id=nobodys, today=today
    )
    await standing_store.count_audiences(conn, nobodys, rules, [aged.direct[0]], [[today]])


@act(by_key=False, rare=True)
async def lists_the_campaigns_runs_of_a_month(aged: Aged, conn: Connection) -> None:
    since = aged.now - timedelta(days=30)
    await standing_store.runs_since(conn, aged.scene.department, since)


@act(slices=2, by_key=False, rare=True)
async def counts_what_is_left_of_a_run(aged: Aged, conn: Connection) -> None:
    await progress_store.count_left(conn, aged.run, aged.now)


@contextmanager
def named(name: str, aged: Aged) -> Iterator[None]:
    """What an act says of unknown runs does not matter: there may be no such row to point to."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError:
        if aged.is_loaded:
            raise
    except Exception as error:
        error.add_note(f"in {name}")
        raise


async def read_too_much(
    aged: Aged, pools: dict[bool, Pool], state: str, acts: dict[str, Act] = ACTS
) -> list[str]:
    """Run these acts; returns those that read more than they may."""
    found = []
    for name, act in acts.items():
        most = act.rows + act.slices * aged.sizes.slice
        async with pools[act.by_key].acquire() as conn, reading(conn) as read:
            with named(name, aged):
                async with conn.transaction():
                    await act.do(aged, conn)
        if read.rows > most:
            found.append(f"{state}: {name} reads {read.rows:,}, may read {most:,}")
    return found


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[dict[bool, Pool]]:
    """A connection each, so that its plans are those of before; PostgreSQL chooses as it does
    outside of tests, by values at first and for all values later.
    """
    chosen = {"plan_cache_mode": "auto"}
    async with (
        open_pool(url, size=1, session=BY_KEY | chosen) as by_key,
        open_pool(url, size=1, session=chosen) as any_way,
    ):
        yield {True: by_key, False: any_way}


async def planned_while_empty(aged: Aged, url: str, *, known: bool) -> list[str]:
    """A plan is kept until somebody analyses its tables, or for as long as the driver says.

    known: somebody analysed them while they were empty. Then the planner took them for empty, and
    only statements whose shape leaves it no choice read little; they are those by which a
    connection hands off. Others are planned anew before long.
    """
    if known:
        await aged.pool.execute("ANALYZE")
    acts = {name: act for name, act in ACTS.items() if (act.hot if known else not act.rare)}
    async with opened(url) as pools:
        for _ in range(7):  # by then the driver and the server keep their plans
            assert await read_too_much(aged.unknown(), pools, "empty", acts) == []
        await aged.load_months()
        await aged.load_newest()
        return await read_too_much(aged, pools, "planned while empty", acts)


async def whatever_statistics_know(aged: Aged, url: str) -> list[str]:
    await aged.load_months()
    await aged.pool.execute("ANALYZE")
    await aged.load_newest()
    found = []
    for state, then in (
        ("analysed before what came last", "ANALYZE"),
        ("analysed", FORGET),
        ("never analysed", "SELECT 1"),
    ):
        async with opened(url) as pools:
            for _ in range(2):
                found += await read_too_much(aged, pools, state)
        await as_owner(aged.pool, then)
    return found


FORGET = """
    DELETE FROM pg_statistic WHERE starelid = ANY (ARRAY['messages', 'parts', 'slices', 'runs',
        'exclusions', 'attempts', 'uncertain', 'deferrals', 'campaigns']::regclass[])
"""

SIZES = [pytest.param(SMALL, id="small"), pytest.param(FULL, id="full", marks=pytest.mark.nightly)]


@pytest.mark.fresh
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("known", [False, True])
async def test_plans_that_were_made_for_an_empty_ledger_read_little(
    pool: Pool, keyring: Keyring, database_url: str, sizes: Sizes, known: bool
) -> None:
    aged = await make_aged(pool, keyring, NOW, sizes)
    found = await planned_while_empty(aged, database_url, known=known)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.fresh
@pytest.mark.parametrize("sizes", SIZES)
async def test_whatever_statistics_know_little_is_read(
    pool: Pool, keyring: Keyring, database_url: str, sizes: Sizes
) -> None:
    aged = await make_aged(pool, keyring, NOW, sizes)
    found = await whatever_statistics_know(aged, database_url)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.fresh
async def test_a_day_is_compared_without_the_ledgers_of_others(
    pool: Pool, keyring: Keyring
) -> None:
    """Each run is asked whether it was open on that day; so many rows are read, and no ledger."""
    aged = await make_aged(pool, keyring, NOW, SMALL)
    await aged.load_months()
    await aged.load_newest()
    await as_owner(pool, "UPDATE runs SET finished_at = created_at")
    await as_owner(pool, "ANALYZE")
    await as_owner(pool, "SELECT brin_summarize_new_values('parts_at')")
    start = aged.now + timedelta(days=1)
    span = DaySpan(start, start + timedelta(days=1))
    async with pool.acquire() as conn, reading(conn) as found:
        assert await reconcile_store.count_day(conn, span, None, start) == []
    assert found.rows <= 2 * SMALL.direct
