"""The SQL of a second channel: which texts may take one, the move there, and what it proves."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from service.campaigns.audience.follow_up_store import uncorrected
from service.ledger.fragments import QUEUED_AGAIN, reopen_runs, slices_of
from service.ledger.message_id import MessageKey, message_id_sql
from service.ledger.reasons import Reason
from service.ledger.states import (
    PART_MAY_HAVE_ARRIVED,
    RUNS_THAT_MAY_SEND,
    MessageState,
    sql_list,
    state_move,
)
from service.storage import sql
from service.storage.locks import share_put_back, share_runs
from service.storage.postgres import Connection, Record

REROUTE = state_move(MessageState.QUEUED, only=[MessageState.UNDELIVERED, MessageState.REJECTED])
"""Failed by a receipt or at the submit, since another network serves the number."""


UNTOLD = f"""
    DELETE FROM webhook_events e USING moved
    WHERE e.run_id = moved.run_id AND e.type = 'message.final'
      AND e.data->>'message_id' = {message_id_sql("moved")}
      AND e.id IN (SELECT event_id FROM webhook_news WHERE xmin = pg_current_xact_id()::xid)
"""  # noqa: S608  # our own columns
"""Part of a statement that puts texts back, `moved`: they failed in this transaction, and their end
is not to be told, for it is none."""


async def lock_runs(conn: Connection, runs: Collection[uuid.UUID]) -> None:
    """Keep the campaigns of these runs from being paused, cancelled or closed, and their slices
    from being finished, to the end of the transaction, and others from adding slices to the runs.

    Campaigns before runs, as everybody does who locks both; a run without a campaign stands for its
    own. In statements of their own, so that the next one's snapshot is younger than the locks.
    """
    ids = sorted(runs)
    await sql.execute(
        conn,
        """
        SELECT FROM campaigns WHERE id IN (SELECT campaign_id FROM runs WHERE id = ANY(:ids))
        ORDER BY id FOR NO KEY UPDATE
        """,
        ids=ids,
    )
    await sql.execute(
        conn,
        """
        SELECT FROM runs WHERE id = ANY(:ids) AND campaign_id IS NULL ORDER BY id FOR NO KEY UPDATE
        """,
        ids=ids,
    )
    await share_runs(conn, ids)
    await share_put_back(conn, ids)


async def find_strays(conn: Connection, keys: Sequence[MessageKey], now: datetime) -> list[Record]:
    """Those of these messages that may take a second channel: run_id, no, channel_id, the carrier
    `known` by an override, the channels `chosen` for the run.

    They failed since the number is of another network, for the first time; no part of them has or
    may have arrived at any attempt; their run is not cancelled nor corrected, and its validity not
    over; and they are not of a carrier's subscriber base, which goes to its own network alone (see
    `route`).
    """
    return await sql.fetch(
        conn,
        f"""
        SELECT m.run_id, m.no, m.channel_id, v.carrier AS known, r.channels AS chosen
        FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
        CROSS JOIN LATERAL (
            SELECT * FROM messages WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
        JOIN runs r ON r.id = m.run_id
        LEFT JOIN campaigns c ON c.id = r.campaign_id
        LEFT JOIN carrier_overrides v ON v.phone_hash = m.phone_hash
        WHERE m.state IN {REROUTE.sources_sql} AND m.reason = :ported
          AND m.first_channel_id IS NULL
          AND r.state IN {sql_list(RUNS_THAT_MAY_SEND)} AND c.state IS DISTINCT FROM 'cancelled'
          AND (r.valid_until IS NULL OR r.valid_until > :now)
          AND {uncorrected("r")}
          AND NOT (r.kind <> 'reply' AND EXISTS (
            SELECT FROM departments d WHERE d.id = r.department_id AND d.kind = 'carrier'))
          AND NOT EXISTS (
            SELECT FROM parts p
            WHERE p.run_id = m.run_id AND p.no = m.no
              AND p.state IN {sql_list(PART_MAY_HAVE_ARRIVED)} OFFSET 0)
        """,  # noqa: S608  # an alias
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
        now=now,
        ported=Reason.PORTED.value,
    )


async def move_strays(conn: Connection, moves: Sequence[tuple[MessageKey, int]]) -> list[int]:
    """Put messages back into the queue of another channel; returns the channels that have work now.

    Each gets a slice of its own, for a slice's rows are those of its range on its channel, and its
    hand-off so far a row in `attempts`. A run that was taken for finished is open again, and paused
    if its campaign is. `lock_runs` first.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH moved AS (
            UPDATE messages m SET
                {QUEUED_AGAIN}, channel_id = w.channel_id, first_channel_id = m.channel_id,
                first_code = m.code
            FROM unnest(:run_ids::uuid[], :nos::int[], :channel_ids::smallint[]) AS w(run_id, no,
                channel_id)
            WHERE m.run_id = w.run_id AND m.no = w.no
              AND m.state IN {REROUTE.sources_sql} AND m.first_channel_id IS NULL
            RETURNING m.run_id, m.no, m.channel_id, m.attempt, m.part_count,
                      old.channel_id AS first, old.state, old.reason, old.code, old.marked_at,
                      old.submitted_at, old.final_at
        ), kept AS (
            INSERT INTO attempts (run_id, no, attempt, channel_id, part_count, state, reason, code,
                                  marked_at, submitted_at, ended_at)
            SELECT run_id, no, attempt, first, part_count, state, reason, code, marked_at,
                   submitted_at, final_at FROM moved
        ), untold AS ({UNTOLD}), opened AS ({reopen_runs("moved")}),
        stretch AS MATERIALIZED ({slices_of("moved")}), cut AS (
            INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority, canary)
            SELECT moved.run_id,
                   s.last + row_number() OVER (PARTITION BY moved.run_id ORDER BY moved.no),
                   moved.channel_id, moved.no, moved.no, s.priority, s.canary
            FROM moved CROSS JOIN LATERAL (
                SELECT max(no) AS last, min(priority) AS priority,  -- a run's are all the same
                       coalesce(bool_or(canary) FILTER (
                           WHERE moved.no BETWEEN first_no AND last_no), false) AS canary
                FROM stretch WHERE run_id = moved.run_id) s
        )
        SELECT DISTINCT channel_id FROM moved
        """,  # noqa: S608  # a constant
        run_ids=[run_id for (run_id, _), _ in moves],
        nos=[no for (_, no), _ in moves],
        channel_ids=[channel_id for _, channel_id in moves],
    )
    return [row["channel_id"] for row in rows]


async def learn_carriers(conn: Connection, keys: Sequence[MessageKey], now: datetime) -> None:
    """Note the carrier of the numbers that a second channel has reached, if the channel proves it:
    one that takes the numbers of a single carrier and no others.

    What a delivery proves is newer than whatever was known before, and takes its place.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO carrier_overrides (phone_hash, carrier, source, channel_id, set_at)
        SELECT DISTINCT ON (m.phone_hash) m.phone_hash, c.carriers[1], 'learned', c.id, :now
        FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
        CROSS JOIN LATERAL (
            SELECT * FROM messages WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
        JOIN channels c ON c.id = m.channel_id
        WHERE m.state = 'delivered' AND m.first_channel_id IS NOT NULL
          AND c.on_net_only AND cardinality(c.carriers) = 1
        ORDER BY m.phone_hash, m.final_at DESC
        ON CONFLICT (phone_hash) DO UPDATE SET
            carrier = excluded.carrier, source = excluded.source,
            channel_id = excluded.channel_id, set_by = NULL, set_at = excluded.set_at
        """,
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
        now=now,
    )
