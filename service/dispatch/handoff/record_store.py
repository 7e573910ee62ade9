"""The SQL of what became of marked messages: results, references, and what goes back.

A row moves only from the states in which its attempt may be, so that a holder whose lease is gone
undoes nothing that its successor did.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.dispatch.handoff.lease_store import Lease
from service.dispatch.limits import allowance_store, caps_store, quota_store
from service.dispatch.retries import failure_handling
from service.dispatch.retries.failure_handling import Failure
from service.ledger.fragments import count_ends, reopen_runs
from service.ledger.reasons import Reason
from service.ledger.states import IDLE_SLICE, REOPENED_SLICE, MessageState, state_move
from service.storage import sql
from service.storage.locks import share_put_back
from service.storage.postgres import Connection

RECORD = state_move(
    MessageState.SUBMITTED,
    MessageState.REJECTED,
    MessageState.UNCERTAIN,
    only=[MessageState.SUBMITTING, MessageState.UNCERTAIN],
)
"""What a carrier's answer, or its silence, makes of a text."""

GIVE_BACK = state_move(MessageState.QUEUED, MessageState.CANCELLED)
"""Marked, but provably never written."""


@dataclass(slots=True)
class HandoffResult:
    """What became of one marked message; `refs` holds the carrier's reference of each part."""

    run_id: uuid.UUID
    no: int
    attempt: int
    phone_hash: bytes
    state: str
    reason: str | None
    code: str | None
    refs: tuple[tuple[int, bytes], ...]


async def record_results(
    conn: Connection, channel_id: int, results: Sequence[HandoffResult], now: datetime
) -> list[int]:
    """Write what became of marked messages, and the carrier's references, in one statement.

    A text that the carrier refused without taking any part may take another channel, or leave again
    later. Returns the channels that have new work because of that.
    """
    ordered = sorted(results, key=lambda r: (r.run_id, r.no))
    refused = [
        Failure(r.run_id, r.no, r.state, r.reason)
        for r in ordered
        if r.state == "rejected" and not r.refs
    ]
    plan = await failure_handling.prepare(conn, refused, now)
    # A batch knows few runs and few outcomes, but many rows: each row says which of them by number.
    runs = list(dict.fromkeys(r.run_id for r in ordered))
    outcomes = list(dict.fromkeys((r.state, r.reason, r.code) for r in ordered))
    run_at = {run: index for index, run in enumerate(runs, start=1)}
    outcome_at = {outcome: index for index, outcome in enumerate(outcomes, start=1)}
    refs = [(at, *ref) for at, r in enumerate(ordered, start=1) for ref in r.refs]
    await sql.execute(
        conn,
        f"""
        WITH result AS MATERIALIZED (
            SELECT a.at, (:runs::uuid[])[a.run] AS run_id, a.no, a.attempt,
                   (:states::message_state[])[a.outcome] AS state,
                   (:reasons::text[])[a.outcome] AS reason,
                   (:codes::text[])[a.outcome] AS code
            -- In sub-selects, so that the planner does not look at them: one plan does for all.
            FROM unnest((SELECT :run_at::smallint[]), (SELECT :nos::int[]),
                        (SELECT :attempts::int[]), (SELECT :outcome_at::smallint[]))
                    WITH ORDINALITY AS a(run, no, attempt, outcome, at)
        ), moved AS (
            UPDATE messages m SET
                state = r.state, reason = r.reason, code = r.code,
                submitted_at = CASE WHEN r.state = 'submitted' THEN :now::timestamptz END,
                final_at = CASE WHEN r.state = 'rejected' THEN :now::timestamptz END
            FROM result r
            WHERE m.run_id = r.run_id AND m.no = r.no AND m.attempt = r.attempt
              AND m.state IN {RECORD.sources_sql}
            RETURNING r.at, m.run_id, m.no, m.attempt, m.phone_hash, m.state, m.marked_at,
                      m.channel_id, old.state AS before
        ), counted AS ({count_ends("moved")}), listed AS (
            INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since)
            SELECT :channel_id, phone_hash, run_id, no, attempt, marked_at, :now FROM moved
            WHERE state = 'uncertain'
            ON CONFLICT (run_id, no) DO UPDATE SET  -- one of an earlier hand-off says nothing
                channel_id = excluded.channel_id, attempt = excluded.attempt,
                marked_at = excluded.marked_at, since = excluded.since
                WHERE uncertain.attempt <> excluded.attempt
        ), settled AS (
            DELETE FROM uncertain u USING moved
            WHERE moved.state <> 'uncertain' AND u.run_id = moved.run_id AND u.no = moved.no
        )
        INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
        SELECT :channel_id, p.ref, COALESCE(v.phone_hash, m.phone_hash), r.run_id, r.no, p.part,
               r.attempt, :now
        FROM unnest((SELECT :ref_at::int[]), (SELECT :parts::smallint[]), (SELECT :refs::bytea[]))
            AS p(at, part, ref)
        JOIN result r ON r.at = p.at
        LEFT JOIN moved v ON v.at = p.at
        LEFT JOIN LATERAL (
            SELECT phone_hash FROM messages
            WHERE v.at IS NULL AND run_id = r.run_id AND no = r.no OFFSET 0) m ON true
        WHERE v.at IS NOT NULL OR NOT EXISTS (
            -- written already, if only the commit's answer was lost
            SELECT FROM parts x WHERE x.channel_id = :channel_id AND x.ref = p.ref
              AND x.run_id = r.run_id AND x.no = r.no AND x.attempt = r.attempt)
        """,  # noqa: S608  # constants
        now=now,
        runs=runs,
        states=[state for state, _, _ in outcomes],
        reasons=[reason for _, reason, _ in outcomes],
        codes=[code for _, _, code in outcomes],
        run_at=[run_at[r.run_id] for r in ordered],
        nos=[r.no for r in ordered],
        attempts=[r.attempt for r in ordered],
        outcome_at=[outcome_at[r.state, r.reason, r.code] for r in ordered],
        channel_id=channel_id,
        ref_at=[at for at, _, _ in refs],
        parts=[part for _, part, _ in refs],
        refs=[ref for _, _, ref in refs],
    )
    await caps_store.give_back(conn, [(f.run_id, f.no) for f in refused])
    return await failure_handling.follow(conn, plan, now)


async def give_back(
    conn: Connection,
    lease: Lease,
    work: tuple[uuid.UUID, int],
    rows: Sequence[tuple[int, int]],
    now: datetime,
) -> None:
    """Return marked messages that provably were never written; `rows` are (no, attempt).

    Attempt 0 means that the mark's own answer was lost. Such a row is returned only if this lease
    holds the slice and no other slice covers the row, since then nobody else can have marked it.
    After a cancel the messages are cancelled like the rest of the run. A slice or run that was
    finished meanwhile opens again, and a waiting slice may be taken at once. The parts go back to
    the channel's quota, and the places to the persons' caps.
    """
    run_id, slice_no = work
    await share_put_back(conn, [run_id])
    back = await sql.fetch(
        conn,
        f"""
        WITH ours AS (
            SELECT count(*) > 0 AS held FROM slices s JOIN connections k
              ON k.channel_id = s.channel_id AND k.slot = s.slot AND k.epoch = s.epoch
            WHERE s.run_id = :run_id AND s.no = :slice_no AND s.channel_id = :channel_id
              AND s.slot = :slot
              AND s.epoch = :epoch AND k.owner = :owner
        ), fate AS (  -- a run that was sent stays so when its campaign is cancelled
            SELECT r.cancel_reason, r.state = 'cancelled' OR coalesce(c.state, '') = 'cancelled'
                       AS cancelled
            FROM runs r LEFT JOIN campaigns c ON c.id = r.campaign_id WHERE r.id = :run_id
        ), asked AS MATERIALIZED (  -- row by row, as in the mark
            SELECT a.attempt, m.row FROM unnest(:nos::int[], :attempts::int[]) AS a(no, attempt),
                LATERAL (
                SELECT ctid AS row FROM messages
                WHERE run_id = :run_id AND no = a.no AND channel_id = :channel_id OFFSET 0) m
        ), back AS (
            UPDATE messages m SET
                state = CASE WHEN f.cancelled THEN 'cancelled' ELSE 'queued' END::message_state,
                reason = CASE WHEN f.cancelled
                              THEN coalesce(f.cancel_reason, '{Reason.CAMPAIGN_CANCELLED}') END,
                final_at = CASE WHEN f.cancelled THEN :now::timestamptz END,
                marked_at = NULL
            FROM asked a, fate f, ours
            WHERE m.ctid = a.row
              AND (m.attempt = a.attempt OR (a.attempt = 0 AND ours.held AND NOT EXISTS (
                SELECT FROM slices o WHERE o.run_id = :run_id AND o.no <> :slice_no
                  AND o.channel_id = :channel_id
                  AND m.no BETWEEN o.first_no AND o.last_no)))
              AND m.state IN {GIVE_BACK.sources_sql}
            RETURNING m.run_id, m.no, m.state, old.marked_at, m.part_count
        ), settled AS (
            DELETE FROM uncertain u USING back WHERE u.run_id = back.run_id AND u.no = back.no
        ), opened AS (
            UPDATE slices s SET {REOPENED_SLICE}
            WHERE s.run_id = :run_id AND s.channel_id = :channel_id
              AND {IDLE_SLICE.format("s", ":now")} AND EXISTS (
                SELECT FROM back
                WHERE back.state = 'queued' AND back.no BETWEEN s.first_no AND s.last_no)
            RETURNING s.run_id
        ), running AS ({reopen_runs("opened")})
        SELECT run_id, no, marked_at, part_count FROM back
        """,  # noqa: S608  # constants
        run_id=run_id,
        nos=[no for no, _ in rows],
        attempts=[attempt for _, attempt in rows],
        now=now,
        slice_no=slice_no,
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        owner=lease.owner,
    )
    if back:
        await quota_store.give_back(conn, lease.channel_id, back)
        await allowance_store.give_back(conn, run_id, back)
        await caps_store.give_back(conn, [(row["run_id"], row["no"]) for row in back])
