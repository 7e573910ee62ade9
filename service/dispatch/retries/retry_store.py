"""The SQL of attempts: which failed texts go back into the queue, and what ends their waiting.

A text that may leave again waits in the ledger as `queued`; the row of its last hand-off in
`attempts` says until when. The slice that covers it is open again, and free until the first of its
texts is due. Whoever works on the slice meanwhile finds that out when letting go of it.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.campaigns.audience.follow_up_store import uncorrected
from service.dispatch.retries.reroute_store import UNTOLD
from service.ledger.fragments import QUEUED_AGAIN, count_ends, reopen_runs, slices_of
from service.ledger.message_id import MessageKey
from service.ledger.states import (
    FAILED,
    FINAL_AFTER_HANDOFF,
    FREE_SLICE,
    IDLE_SLICE,
    PART_MAY_HAVE_ARRIVED,
    RUNS_THAT_MAY_SEND,
    MessageState,
    sql_list,
    state_move,
)
from service.storage import sql
from service.storage.postgres import Connection, Record

RETRY = state_move(MessageState.QUEUED, only=FAILED)

WITHDRAW = state_move(*FINAL_AFTER_HANDOFF, only=[MessageState.QUEUED])
"""What an earlier hand-off of a queued text has come to after all."""


@dataclass(frozen=True, slots=True)
class Again:
    """A text that failed for a passing reason, and when it may leave again."""

    run_id: uuid.UUID
    no: int
    reason: str
    next_at: datetime


async def run_terms(conn: Connection, runs: Collection[uuid.UUID]) -> list[Record]:
    """What these runs allow: id, the terms of their hours, valid_until; it never changes."""
    return await sql.fetch(
        conn,
        """
        SELECT id, class, send_hours, timezone, audience, beyond_hours, on_quiet_days, valid_until
        FROM runs WHERE id = ANY(:runs)
        """,
        runs=sorted(runs),
    )


async def queue_again(conn: Connection, texts: Sequence[Again]) -> list[MessageKey]:
    """Put failed texts back into their queue, each until its instant; returns those that went.

    A text goes if it failed as is said, was never tried again for a passing reason before, no part
    of it has or may have arrived at any attempt, its run is not corrected, and neither that nor its
    campaign is cancelled. A run that was taken for finished is open again, and paused if its
    campaign is. `reroute.lock` first.
    """
    ordered = sorted(texts, key=lambda text: (text.run_id, text.no))
    rows = await sql.fetch(
        conn,
        f"""
        WITH asked AS MATERIALIZED (  -- row by row, as in the mark
            SELECT a.run_id, a.no, a.reason, a.next_at, m.row
            FROM unnest(:run_ids::uuid[], :nos::int[], :reasons::text[], :next_ats::timestamptz[])
                AS a(run_id, no, reason, next_at), LATERAL (
                SELECT ctid AS row FROM messages
                WHERE run_id = a.run_id AND no = a.no OFFSET 0) m
        ), allowed AS MATERIALIZED (
            SELECT a.* FROM asked a
            CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = a.run_id OFFSET 0) r
            LEFT JOIN campaigns c ON c.id = r.campaign_id
            WHERE r.state IN {sql_list(RUNS_THAT_MAY_SEND)}
              AND c.state IS DISTINCT FROM 'cancelled'
              AND {uncorrected("r")}
              AND NOT EXISTS (
                SELECT FROM attempts x
                WHERE x.run_id = a.run_id AND x.no = a.no AND x.next_at IS NOT NULL OFFSET 0)
              AND NOT EXISTS (
                SELECT FROM parts p
                WHERE p.run_id = a.run_id AND p.no = a.no
                  AND p.state IN {sql_list(PART_MAY_HAVE_ARRIVED)} OFFSET 0)
        ), moved AS (
            UPDATE messages m SET
                {QUEUED_AGAIN}
            FROM allowed a
            WHERE m.ctid = a.row AND m.state IN {RETRY.sources_sql} AND m.reason = a.reason
            RETURNING m.run_id, m.no, m.attempt, m.channel_id, m.part_count, old.state, old.reason,
                      old.code, old.marked_at, old.submitted_at, old.final_at, a.next_at
        ), kept AS (
            INSERT INTO attempts (run_id, no, attempt, channel_id, part_count, state, reason, code,
                                  marked_at, submitted_at, ended_at, next_at)
            SELECT run_id, no, attempt, channel_id, part_count, state, reason, code,
                   marked_at, submitted_at, final_at, next_at FROM moved
        ), untold AS ({UNTOLD}), stretch AS MATERIALIZED ({slices_of("moved")}), due AS (
            SELECT s.run_id, s.no, min(moved.next_at) AS at FROM moved
            JOIN stretch s ON s.run_id = moved.run_id AND s.channel_id = moved.channel_id
              AND moved.no BETWEEN s.first_no AND s.last_no
            GROUP BY s.run_id, s.no
        ), waiting AS (
            UPDATE slices s SET done_at = NULL, not_before = due.at
            FROM due
            WHERE s.run_id = due.run_id AND s.no = due.no AND {IDLE_SLICE.format("s", "due.at")}
        ), opened AS ({reopen_runs("moved")})
        SELECT run_id, no FROM moved
        """,  # noqa: S608  # a constant
        run_ids=[text.run_id for text in ordered],
        nos=[text.no for text in ordered],
        reasons=[text.reason for text in ordered],
        next_ats=[text.next_at for text in ordered],
    )
    return [(row["run_id"], row["no"]) for row in rows]


async def note_late(conn: Connection, rows: Sequence[Record]) -> None:
    """Note on their parts what late receipts say, those of hand-offs that another one followed.

    Here `delivered` goes before whatever was said first: what has arrived must not leave again. An
    `unknown` for a text of one part is not noted, since its hand-off has a state already.
    """
    rows = [row for row in rows if row["state"] != "unknown" or row["part_count"] != 1]
    await sql.execute(
        conn,
        """
        UPDATE parts p SET state = r.state::message_state, reason = r.reason, code = r.code
        FROM (
            SELECT DISTINCT ON (channel_id, ref, run_id, no, attempt) *
            FROM unnest(:channel_ids::smallint[], :refs::bytea[], :run_ids::uuid[], :nos::int[],
                        :attempts::int[], :states::text[],
                        :reasons::text[], :codes::text[])
                AS u(channel_id, ref, run_id, no, attempt, state, reason, code)
            ORDER BY channel_id, ref, run_id, no, attempt, state <> 'delivered') r
        WHERE p.channel_id = r.channel_id AND p.ref = r.ref AND p.run_id = r.run_id
          AND p.no = r.no AND p.attempt = r.attempt
          AND (p.state IS NULL OR p.state = 'unknown' OR r.state = 'delivered')
        """,
        channel_ids=[row["channel_id"] for row in rows],
        refs=[row["ref"] for row in rows],
        run_ids=[row["run_id"] for row in rows],
        nos=[row["no"] for row in rows],
        attempts=[row["attempt"] for row in rows],
        states=[row["state"] for row in rows],
        reasons=[row["reason"] for row in rows],
        codes=[row["code"] for row in rows],
    )


async def withdraw(
    conn: Connection, keys: Collection[MessageKey], now: datetime
) -> set[MessageKey]:
    """Take texts out of the queue of which an earlier hand-off has arrived, or a part of it has or
    may have; returns them.

    A text of which all parts arrived is `delivered`, by that hand-off. Otherwise the text gets the
    state in which that hand-off ended, or `unknown` if that was `uncertain`.
    """
    ordered = sorted(set(keys))
    rows = await sql.fetch(
        conn,
        f"""
        WITH arrived AS MATERIALIZED (
            SELECT DISTINCT ON (m.run_id, m.no) m.run_id, m.no, p.attempt, p.code,
                   greatest(p.parts, p.last) >= coalesce(a.part_count, m.part_count) AS whole
            FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
            CROSS JOIN LATERAL (
                SELECT run_id, no, state, part_count FROM messages
                WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
            CROSS JOIN LATERAL (
                SELECT p.attempt,
                       count(DISTINCT p.part) FILTER (WHERE p.state = 'delivered') AS parts,
                       max(p.code) FILTER (WHERE p.state = 'delivered') AS code,
                       max(p.part) FILTER (
                           WHERE c.receipts = 'last' AND p.state = 'delivered') AS last
                FROM parts p JOIN channels c ON c.id = p.channel_id
                WHERE p.run_id = m.run_id AND p.no = m.no
                  AND p.state IN {sql_list(PART_MAY_HAVE_ARRIVED)}
                GROUP BY p.attempt) p
            LEFT JOIN attempts a
              ON a.run_id = m.run_id AND a.no = m.no AND a.attempt = p.attempt
            WHERE m.state IN {WITHDRAW.sources_sql}
            ORDER BY m.run_id, m.no, whole DESC, p.attempt DESC
        ), moved AS (
            UPDATE messages m SET
                state = CASE WHEN v.whole THEN 'delivered' WHEN a.state = 'uncertain' THEN 'unknown'
                             ELSE a.state END,
                reason = CASE WHEN NOT v.whole THEN a.reason END,
                code = CASE WHEN v.whole THEN v.code ELSE a.code END,
                channel_id = coalesce(a.channel_id, m.channel_id),
                first_channel_id = nullif(m.first_channel_id, a.channel_id),
                first_code = CASE WHEN m.first_channel_id IS DISTINCT FROM a.channel_id
                                  THEN m.first_code END,
                part_count = coalesce(a.part_count, m.part_count),
                marked_at = a.marked_at, submitted_at = a.submitted_at, final_at = :now
            FROM arrived v LEFT JOIN attempts a
              ON a.run_id = v.run_id AND a.no = v.no AND a.attempt = v.attempt
            WHERE m.run_id = v.run_id AND m.no = v.no AND m.state IN {WITHDRAW.sources_sql}
              AND (v.whole OR a.state IS NOT NULL)
            RETURNING m.run_id, m.no, m.attempt, old.channel_id, m.channel_id AS by_channel_id,
                      m.state, old.state AS before
        ), ended AS (SELECT by_channel_id AS channel_id, state, before FROM moved),
        counted AS ({count_ends("ended")}), last AS (  -- no other one follows it now
            DELETE FROM attempts a USING moved
            WHERE a.run_id = moved.run_id AND a.no = moved.no AND a.attempt = moved.attempt
        ), stretch AS MATERIALIZED ({slices_of("moved")}),
        free AS (  -- a slice that waited for this one alone is done
            UPDATE slices s SET not_before = NULL FROM (
                SELECT DISTINCT t.run_id, t.no FROM stretch t JOIN moved
                  ON t.run_id = moved.run_id AND t.channel_id = moved.channel_id
                    AND moved.no BETWEEN t.first_no AND t.last_no) f
            WHERE s.run_id = f.run_id AND s.no = f.no AND {FREE_SLICE.format("s")}
        )
        SELECT run_id, no FROM moved
        """,  # noqa: S608  # constants
        run_ids=[run_id for run_id, _ in ordered],
        nos=[no for _, no in ordered],
        now=now,
    )
    return {(row["run_id"], row["no"]) for row in rows}


async def codes_of(
    conn: Connection, attempts: Collection[tuple[uuid.UUID, int, int]]
) -> dict[tuple[uuid.UUID, int, int], str | None]:
    """What the carrier said of those of these hand-offs that failed, by (run, number, attempt)."""
    rows = await sql.fetch(
        conn,
        """
        SELECT a.run_id, a.no, a.attempt, a.code
        FROM unnest(:run_ids::uuid[], :nos::int[], :attempts::int[]) AS k(run_id, no, attempt)
        JOIN attempts a ON a.run_id = k.run_id AND a.no = k.no AND a.attempt = k.attempt
        WHERE a.state <> 'uncertain'
        """,
        run_ids=[run_id for run_id, _, _ in attempts],
        nos=[no for _, no, _ in attempts],
        attempts=[attempt for _, _, attempt in attempts],
    )
    return {(row["run_id"], row["no"], row["attempt"]): row["code"] for row in rows}
