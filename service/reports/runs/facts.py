"""Facts of settled runs in the background: what reports count, and the rows that were missed."""

import time
from uuid import UUID

from service.clock import Clock
from service.reports.runs import fact_store
from service.reports.runs.figures import count_figures
from service.storage.postgres import COUNT_SECONDS, Pool, transaction

AT_ONCE_SECONDS = 2.0
"""A turn begins no run after this, and does one at least."""


async def keep_run_facts(pool: Pool, clock: Clock) -> int:
    """Count settled runs whose facts are not there or not of today's ledger; returns how many."""
    until = time.monotonic() + AT_ONCE_SECONDS
    made = 0
    while made == 0 or time.monotonic() < until:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            run_id = await fact_store.next_due(conn, clock.now())
        if run_id is None:
            break
        await _make(pool, clock, run_id)
        made += 1
    return made


async def _make(pool: Pool, clock: Clock, run_id: UUID) -> None:
    """Count a run and keep that with the state of the ledger that was counted."""
    async with (
        pool.acquire(seconds=COUNT_SECONDS) as conn,
        conn.transaction(isolation="repeatable_read", readonly=True),
    ):
        state = await fact_store.read_state(conn, run_id)
        if state is None:
            return
        figures = await count_figures(conn, run_id)
        missed = await fact_store.list_missed(conn, run_id)
    async with transaction(pool) as writer:
        await fact_store.save_facts(writer, run_id, state, figures, missed, clock.now())
