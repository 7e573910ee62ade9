"""Counting whom each plan means, in the background: once a day, and whenever its rule changes."""

import time
from datetime import datetime, timedelta

from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment_words import SegmentError
from service.campaigns.audience.preview import compile_to_count, read_rule
from service.clock import day_in_china
from service.reports import audience_store
from service.reports.audience import PlanAudience
from service.storage.postgres import COUNT_SECONDS, Connection, Pool, Record, transaction

EVERY = timedelta(days=1)
AT_ONCE_SECONDS = 2.0
"""A turn counts no longer than this, but one plan at least."""


async def count_audiences(pool: Pool, now: datetime) -> int:
    """Count plans that were not counted for a day, or by another rule; returns how many."""
    until = time.monotonic() + AT_ONCE_SECONDS
    counted = 0
    while counted == 0 or time.monotonic() < until:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            plan = await audience_store.next_uncounted(conn, now - EVERY)
            if plan is None:
                break
            audience = await _count(conn, plan, now)
            await audience_store.save_audience(conn, plan["id"], plan["rule"], audience, now)
        counted += 1
    return counted


async def _count(conn: Connection, plan: Record, now: datetime) -> PlanAudience | None:
    department_id = plan["department_id"]
    try:
        written = await read_rule(conn, department_id, plan["rule"])
        tree = await read_area_tree(conn)
        condition = await compile_to_count(conn, department_id, written, tree, day_in_china(now))
    except SegmentError:  # an area or a segment that there is not any more; whoever edits is told
        return None
    return await audience_store.count_audience(conn, department_id, condition, plan["class"], now)
