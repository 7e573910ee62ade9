"""The daily reconciliation on a real PostgreSQL: every part under one heading, one snapshot."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.delivery.receipts.parked_store import expire_parked
from service.delivery.receipts.settle_store import settle_runs
from service.delivery.uncertain.reconcile import ChannelDay, reconcile, span_of
from service.errors import Invalid, NotFound
from service.storage.postgres import Pool, transaction
from tests.harness.owner import as_owner
from tests.harness.uncertain_run import UncertainRun, start_uncertain_run

Begin = Callable[..., Awaitable[UncertainRun]]
DAY = date(2027, 1, 12)  # the day of the tests' clock, in Chinese time
HOUR = timedelta(hours=1)
CHINA = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def begin(pool: Any, keyring: Any, now: Any) -> Begin:
    async def start(people: int = 4, **of_run: Any) -> UncertainRun:
        return await start_uncertain_run(pool, keyring, now, people, **of_run)

    return start


async def day_of(on: UncertainRun, *, day: date = DAY, at: datetime | None = None) -> ChannelDay:
    async with on.pool.acquire() as conn:
        (found,) = await reconcile(conn, day, on.on.channel.id, at or on.later)
    return found


def named(day: ChannelDay) -> dict[str, int]:
    return {difference.name: difference.count for difference in day.differences}


async def test_a_day_on_which_all_is_well_has_no_differences(begin: Begin) -> None:
    on = await begin(2)
    for no in (1, 2):
        await on.submit(no, b"%d" % no)
        await on.receive(b"%d" % no, no, "delivered" if no == 1 else "undelivered")
    await on.fold()
    found = await day_of(on)
    assert found.submits == {"delivered": 1, "undelivered": 1}
    assert found.ledger == {"messages": 2, "parts": 2, "references": 2}
    assert found.references == {"answered": 2}
    assert found.results == {"delivered": 1, "undelivered": 1}
    assert found.receipts == {}
    assert (found.parts, found.answered, found.differences) == (2, 2, [])


async def test_every_part_stands_under_one_heading_and_each_difference_has_its_name(
    begin: Begin,
) -> None:
    on = await begin(9)
    await on.allow_resend()
    await on.submit(1, b"1")
    await on.receive(b"1", 1)
    await on.submit(2, b"2")  # no receipt
    await on.make_uncertain(3, parts=2, refs=[b"3"])  # one part was taken
    await on.make_uncertain(4, refs=[b"4"])
    await on.decide(4)  # a person's word
    await on.make_uncertain(5, refs=[b"5"])
    await on.decide(5, decision="resend")
    await on.on.mark(on.lease, [5])
    await on.submit(6, b"6")
    await on.pool.execute("UPDATE messages SET part_count = 2 WHERE no = 6")  # one has none
    await on.make_uncertain(7)
    await on.receive(b"nobody's")
    await on.receive(b"1", 1, "undelivered")
    await on.fold()
    await on.receive(b"2", 2)  # in the inbox
    found = await day_of(on)
    assert found.submits == {"delivered": 2, "submitted": 2, "uncertain": 2, "submitting": 1}
    assert found.references == {"answered": 1, "waiting": 3, "decided": 1, "moved_on": 1}
    assert found.results == {"delivered": 1}
    assert found.receipts == {"parked": 1, "conflict": 1, "inbox": 1}
    assert named(found) == {
        "in_doubt": 2,
        "being_handed_off": 1,
        "parts_without_reference": 1,
        "moved_on": 1,
        "inbox": 1,
        "parked": 1,
        "conflict": 1,
    }
    assert found.parts == await on.pool.fetchval("SELECT count(*) FROM parts")
    states = await on.on.states()
    assert sum(found.submits.values()) + states["queued"] == 9


async def test_parts_whose_receipts_are_not_asked_for_are_not_missing(begin: Begin) -> None:
    on = await begin(1)
    await on.pool.execute("UPDATE channels SET receipts = 'last'")
    attempts = await on.on.mark(on.lease, [1], parts=3)
    result = await on.on.result(1, attempts[1])
    await on.on.record(replace(result, refs=((1, b"a"), (2, b"b"), (3, b"c"))))
    await on.receive(b"c", 1)
    await on.fold()
    found = await day_of(on, at=on.on.now + 100 * HOUR)
    assert found.references == {"answered": 1, "not_asked": 2}
    assert named(found) == {}


@pytest.mark.parametrize(
    ("after", "heading"),
    [
        (24 * HOUR - timedelta(seconds=1), "waiting"),
        (24 * HOUR, "missing_24h"),
        (72 * HOUR - timedelta(seconds=1), "missing_24h"),
        (72 * HOUR, "missing_72h"),
    ],
)
async def test_silence_is_named_by_its_length(begin: Begin, after: timedelta, heading: str) -> None:
    on = await begin(1)
    await on.submit(1, b"1")
    found = await day_of(on, at=on.on.now + after)
    assert found.references == {heading: 1}
    assert named(found) == ({} if heading == "waiting" else {heading: 1})


async def test_what_silence_made_unknown_is_still_missing_and_a_late_receipt_is_not(
    begin: Begin,
) -> None:
    on = await begin(1)
    await on.submit(1, b"1")
    await on.finish()
    end = on.on.now + 80 * HOUR
    async with transaction(on.pool) as conn:
        await settle_runs(conn, end)
    assert await on.on.state(1) == "unknown"
    found = await day_of(on, at=end)
    assert (found.references, found.results) == ({"missing_72h": 1}, {})
    await on.receive(b"1", 1, "unknown")
    await on.fold()
    found = await day_of(on, at=end)
    assert (found.references, found.results) == ({"answered": 1}, {"unknown": 1})


async def test_a_statements_word_is_not_taken_for_a_receipt(begin: Begin) -> None:
    on = await begin(1)
    await on.make_uncertain(1, refs=[b"1"])
    await on.pool.execute("UPDATE messages SET state = 'delivered', reason = 'statement'")
    assert (await day_of(on)).references == {"decided": 1}


async def test_receipts_laid_aside_are_counted(begin: Begin) -> None:
    on = await begin(1)
    await on.receive(b"nobody's")
    await on.fold()
    async with transaction(on.pool) as conn:
        await expire_parked(conn, on.later + 80 * HOUR)
    assert (await day_of(on)).receipts == {"unmatched": 1}
    await on.pool.execute(
        "INSERT INTO receipts_dismissed SELECT id, channel_id, ref, phone_hash, state, reason, "
        "code, done_at, received_at, why, 'r', $1, now() FROM receipts_unmatched",
        on.on.scene.operator,
    )
    await on.pool.execute("DELETE FROM receipts_unmatched")
    assert (await day_of(on)).receipts == {"dismissed": 1}


async def test_a_day_is_one_of_chinese_time(begin: Begin) -> None:
    on = await begin(2)
    midnight = datetime(2027, 1, 13, tzinfo=CHINA)
    on.on.now = midnight - timedelta(milliseconds=1)
    await on.submit(1, b"1")
    on.on.now = midnight
    await on.submit(2, b"2")
    at = midnight + HOUR
    for day, count in ((date(2027, 1, 11), 0), (DAY, 1), (date(2027, 1, 13), 1)):
        found = await day_of(on, day=day, at=at)
        assert (found.parts, sum(found.submits.values())) == (count, count), day
    assert span_of(DAY).end == midnight


async def test_a_channel_without_figures_is_there_and_one_that_is_none_is_not(
    begin: Begin,
) -> None:
    on = await begin(1)
    async with on.pool.acquire() as conn:
        (found,) = await reconcile(conn, DAY, None, on.later)
        assert (found.channel_id, found.parts) == (on.on.channel.id, 0)
        with pytest.raises(NotFound):
            await reconcile(conn, DAY, 999, on.later)
        for day in (date.min, date.max):
            with pytest.raises(Invalid):
                await reconcile(conn, day, None, on.later)


async def test_all_figures_are_of_one_instant(begin: Begin) -> None:
    """Folds go on all the time; no report shows a part twice or not at all, nor loses a receipt."""
    people = 40
    on = await begin(people)
    for no in range(1, people + 1):
        await on.submit(no, b"%d" % no)
        await on.receive(b"%d" % no, no)
    reports: list[ChannelDay] = []

    async def fold_slowly() -> None:
        for no in range(people):
            async with transaction(on.pool) as conn:
                await conn.execute(
                    "WITH r AS (DELETE FROM receipt_inbox WHERE ref = $1 RETURNING ref) "
                    "UPDATE messages m SET state = 'delivered', final_at = $2 FROM parts p, r "
                    "WHERE p.ref = r.ref AND m.run_id = p.run_id AND m.no = p.no",
                    b"%d" % (no + 1),
                    on.later,
                )

    folding = asyncio.create_task(fold_slowly())
    while not folding.done():
        reports.append(await day_of(on))
    await folding
    reports.append(await day_of(on))
    assert len({report.answered for report in reports}) > 2
    for report in reports:
        assert report.parts == sum(report.submits.values()) == people
        assert report.answered + report.receipts.get("inbox", 0) == people
        assert report.answered == report.submits.get("delivered", 0)


# ---- size

MESSAGES = 200_000


async def _fill(pool: Pool, on: UncertainRun) -> None:
    """Ten days of 200,000 texts each day's tenth, all taken, half with a receipt."""
    async with transaction(pool) as conn:
        await conn.execute("DELETE FROM messages")
        await conn.execute(
            """
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles,
                                  state, attempt, part_count, marked_at, submitted_at)
            SELECT $1, n, decode(md5(n::text), 'hex'), '', $2, 'china_mobile', '{}',
                   CASE n % 2 WHEN 0 THEN 'delivered' ELSE 'submitted' END::message_state, 1, 1,
                   t, t
            FROM (SELECT n, $3::timestamptz + n * interval '10 days' / $4::int AS t
                  FROM generate_series(1, $4) n) x
            """,
            on.on.run,
            on.on.channel.id,
            on.on.now,
            MESSAGES,
        )
        await conn.execute(
            """
            INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
            SELECT channel_id, decode(lpad(to_hex(no), 16, '0'), 'hex'), phone_hash, run_id, no, 1,
                   1, submitted_at FROM messages ORDER BY no
            """
        )
    await pool.execute("VACUUM ANALYZE messages")
    await pool.execute("VACUUM ANALYZE parts")
    await as_owner(pool, "SELECT brin_summarize_new_values('parts_at')")


@pytest.mark.slow
@pytest.mark.fresh
async def test_a_report_on_200_000_texts_reads_its_day_and_is_quick(
    begin: Begin, pool: Pool
) -> None:
    on = await begin(1)
    await _fill(pool, on)
    day = date(2027, 1, 15)
    began = time.perf_counter()
    found = await day_of(on, day=day, at=on.on.now + timedelta(days=10))
    seconds = time.perf_counter() - began
    assert found.parts == pytest.approx(MESSAGES / 10, abs=2)
    assert found.references["answered"] == pytest.approx(MESSAGES / 20, abs=2)
    assert found.references["missing_72h"] == found.parts - found.answered
    assert seconds < 10, f"{seconds:.2f} s"
    print(f"\n{MESSAGES:,} texts over ten days, one day's report: {seconds:.3f} s")
    span = span_of(day)
    plan = "\n".join(
        row[0]
        for row in await pool.fetch(
            "EXPLAIN SELECT FROM parts WHERE at >= $1 AND at < $2", span.start, span.end
        )
    )
    assert "parts_at" in plan, plan
