"""Why a text waits, in a sentence: the first thing that keeps it, as the hand-off would meet it.

`explanations` says what became of a text; of one that is queued this says what it waits for, and
until when, if anybody knows.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import County, HourTerms
from service.channels.contract.maintenance import maintenance_end
from service.channels.contract.model import LISTS
from service.clock import CHINA
from service.dispatch.failover.circuit_breaker import BreakerLimits
from service.dispatch.failover.health import ChannelCounts, total
from service.dispatch.failover.health_store import recent_reports
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Wait
from service.reports.waiting_reasons_store import queued_texts
from service.storage.postgres import Connection, Record
from service.words.phrase import Sentence


async def why_they_wait(
    conn: Connection, keys: Sequence[MessageKey], limits: BreakerLimits, now: datetime
) -> dict[MessageKey, Sentence]:
    """Why each of these texts waits that is queued, in words; see `find_waits`."""
    found = await find_waits(conn, keys, limits, now)
    return {key: worded(why, until) for key, (why, until) in found.items()}


async def find_waits(
    conn: Connection, keys: Sequence[MessageKey], limits: BreakerLimits, now: datetime
) -> dict[MessageKey, tuple[Wait, datetime | None]]:
    """What keeps each of these texts that is queued, and until when, if anybody knows.

    limits: from when on a channel counts as slow.
    """
    rows = await queued_texts(conn, keys, now)
    if not rows:
        return {}
    county = await load_county(conn)
    reports = await recent_reports(conn, now - limits.window)

    @cache
    def is_slow(channel_id: int) -> bool:
        counts = total(report.counts for report in reports.get(channel_id, []))
        return takes_slowly(counts, limits)

    return {
        (row["run_id"], row["no"]): _why(row, county, is_slow(row["channel_id"]), now)
        for row in rows
    }


def takes_slowly(counts: ChannelCounts, limits: BreakerLimits) -> bool:
    """Whether a carrier asked for a lower pace, or answered half of the submits too late."""
    half = counts.percentile(0.5)
    return counts.throttled > 0 or (half is not None and half > limits.slow)


def _why(row: Record, county: County, slow: bool, now: datetime) -> tuple[Wait, datetime | None]:
    """What keeps a text, and until when; the first that the hand-off meets."""
    opening = county.next_opening(now, HourTerms.of_run(row))
    rests = maintenance_end(now, row["maintenance"])
    run_state, breaker = row["run_state"], row["breaker"]
    met: tuple[tuple[str, bool, datetime | None], ...] = (
        (Wait.STOPPED, row["stopped"], None),
        (run_state, run_state in {Wait.PAUSED, Wait.EXPANDING, Wait.CANCELLED}, None),
        (Wait.DEPARTMENT, row["department_until"] is not None, row["department_until"]),
        (Wait.CAPPED, row["deferred_until"] is not None, row["deferred_until"]),
        (Wait.RETRY, row["retry_at"] is not None, row["retry_at"]),
        (Wait.CANARY, row["behind_canary"], None),
        (Wait.HOURS, opening > now, opening),
        (Wait.DISABLED, not row["enabled"], None),
        (Wait.MAINTENANCE, rests is not None, rests),
        (row["held_by"], row["held_until"] is not None, row["held_until"]),
        (breaker, breaker is not None, None),
        (Wait.LIST, row["kind"] in LISTS and not row["up"], None),
        (Wait.NO_CONNECTION, not row["up"], None),
        (Wait.CARRIER_SLOW, slow, None),
    )
    return next(((Wait(why), until) for why, holds, until in met if holds), (Wait.TURN, None))


def worded(why: Wait, until: datetime | None) -> Sentence:
    """What keeps a text, in words."""
    words = why.words
    if until is None:
        return words
    at = until.astimezone(CHINA)
    zh = words.zh.format(until=f"{at.month}月{at.day}日 {at:%H:%M}")
    return Sentence(zh, words.en.format(until=f"{at:%Y-%m-%d %H:%M}"))
