"""The SQL of guarding runs: what is known of the texts that left, and what became of a canary.

Only a few slices are read, by the key of the ledger: the latest that were worked on, and the latest
that were finished longer ago than a silence may last. So a look costs the same however large the
run is.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.campaigns.core.safety import Canary, Safety, SafetyFigures
from service.channels.contract.model import LISTS
from service.ledger.reasons import Reason
from service.ledger.states import FAILED, MessageState, sql_list
from service.storage import sql
from service.storage.postgres import Connection, one

JUDGED = FAILED | {MessageState.DELIVERED}
REFUSED = FAILED - {MessageState.EXPIRED}
HEARD = JUDGED - {MessageState.REJECTED}
"""A receipt told the end."""
UNHEARD = [MessageState.SUBMITTED, MessageState.UNCERTAIN]

LATEST_SLICES = 10
OLDER_SLICES = 5


class Guarded(NamedTuple):
    """A run that is watched."""

    id: UUID
    campaign_id: UUID
    safety: Safety
    canary: str | None


async def guarded_runs(conn: Connection) -> list[Guarded]:
    """Every run of a campaign that is handing off."""
    rows = await conn.fetch(
        """
        SELECT id, campaign_id, safety, canary FROM runs
        WHERE state = 'running' AND campaign_id IS NOT NULL AND mode <> 'test' ORDER BY id
        """
    )
    return [
        Guarded(row["id"], row["campaign_id"], Safety.from_json(row["safety"]), row["canary"])
        for row in rows
    ]


async def figures(
    conn: Connection, run_id: UUID, silence: timedelta, now: datetime, *, canary: bool = False
) -> SafetyFigures:
    """What is known of a run's latest texts since it was last resumed; `canary`: of its canary.

    Of texts on a list nothing is heard before the carrier gives it back.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        WITH run AS (
            SELECT id, watched_from FROM runs WHERE id = :run_id
        ), stretch AS (
            (SELECT no, first_no, last_no, channel_id FROM slices
             WHERE run_id = :run_id AND touched AND (canary OR NOT :canary::boolean)
             ORDER BY no DESC
             LIMIT CASE WHEN :canary::boolean THEN NULL ELSE :latest_slices::int END)
            UNION
            (SELECT no, first_no, last_no, channel_id FROM slices
             WHERE run_id = :run_id AND done_at <= :before AND (canary OR NOT :canary::boolean)
             ORDER BY no DESC
             LIMIT CASE WHEN :canary::boolean THEN NULL ELSE :older_slices::int END)
        ), text AS (
            SELECT m.*, s.channel_id <> ALL (ARRAY(
                SELECT id FROM channels WHERE kind = ANY (:lists))) AS hears
            FROM run, stretch s, LATERAL (
                SELECT state, reason, submitted_at, marked_at FROM messages
                WHERE run_id = :run_id AND no BETWEEN s.first_no AND s.last_no
                  AND channel_id = s.channel_id OFFSET 0) m
            WHERE m.marked_at > coalesce(run.watched_from, '-infinity')
        )
        SELECT
            count(*) FILTER (
                WHERE state IN {sql_list(JUDGED)}) AS judged,
            count(*) FILTER (WHERE state IN {sql_list(FAILED)}) AS failed,
            count(*) FILTER (
                WHERE state IN {sql_list(REFUSED)} AND reason = '{Reason.CONTENT_FILTER}')
                AS filtered,
            count(*) FILTER (WHERE state IN {sql_list(HEARD)}) AS heard,
            count(*) FILTER (
                WHERE state = 'submitted' AND submitted_at <= :before AND hears) AS silent,
            (SELECT coalesce(sum(last_no - first_no + 1), 0)::int FROM slices
             WHERE run_id = :run_id AND done_at IS NOT NULL) AS handed,
            (SELECT count(*) FROM inbound_texts t, run
             WHERE t.run_id = :run_id AND t.kind = 'opt_out'
               AND t.received_at > coalesce(run.watched_from, '-infinity')) AS opted_out
        FROM text
        """,  # noqa: S608  # constants
        run_id=run_id,
        before=now - silence,
        lists=sorted(LISTS),
        canary=canary,
        latest_slices=LATEST_SLICES,
        older_slices=OLDER_SLICES,
    )
    return SafetyFigures(*one(row))


async def canary_stand(conn: Connection, run_id: UUID) -> Canary:
    """How far a run's canary is. A text that failed and is tried again later has left once."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT count(*) FILTER (WHERE m.state = 'submitting' OR m.state = 'queued' AND NOT EXISTS (
                   SELECT FROM attempts a WHERE a.run_id = :run_id AND a.no = m.no)) AS unsent,
               count(*) FILTER (WHERE m.state IN {sql_list(UNHEARD)}) AS unheard,
               max(coalesce(m.submitted_at, m.marked_at)) AS last_at
        FROM slices s, LATERAL (
            SELECT no, state, submitted_at, marked_at FROM messages
            WHERE run_id = :run_id AND no BETWEEN s.first_no AND s.last_no
              AND channel_id = s.channel_id OFFSET 0) m
        WHERE s.run_id = :run_id AND s.canary
        """,  # noqa: S608  # constants
        run_id=run_id,
    )
    return Canary(*one(row))


async def set_canary(conn: Connection, run_id: UUID, to: str) -> None:
    """What became of a run's canary, as long as it is being sent."""
    await sql.execute(
        conn,
        "UPDATE runs SET canary = :to WHERE id = :run_id AND canary = 'sending'",
        run_id=run_id,
        to=to,
    )


async def trust_runs(conn: Connection, runs: list[UUID], now: datetime) -> None:
    """A person lets these runs go on: what was known against them is not held against them."""
    await sql.execute(
        conn,
        """
        UPDATE runs SET watched_from = :now,
            canary = CASE WHEN canary = 'failed' THEN 'passed' ELSE canary END
        WHERE id = ANY(:runs)
        """,
        runs=runs,
        now=now,
    )


async def channels_of(conn: Connection, run_id: UUID) -> list[int]:
    """The channels on which a run has something to hand off."""
    rows = await sql.fetch(
        conn,
        "SELECT DISTINCT channel_id FROM slices WHERE run_id = :run_id AND done_at IS NULL",
        run_id=run_id,
    )
    return [row["channel_id"] for row in rows]
