"""The SQL of uncertain hand-offs: listing them, settling them by a person's or a carrier's word.

Locks are taken in one order, the fold's own: the channels' folds, then campaigns and runs, then the
rows of the ledger. So no receipt is folded or adopted while a decision is made, and a decision, an
answer that comes late and a recovery meet at the row itself: the first one moves it.

One module: all of its statements rely on these locks, and are read beside each other for that.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.accounts.people.model import By
from service.campaigns.audience.follow_up_store import uncorrected
from service.channels.contract.registry import own_reference_kinds
from service.ledger.fragments import count_ends, reopen_runs, slices_of
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.ledger.states import (
    FINAL,
    FINAL_AFTER_HANDOFF,
    IDLE_SLICE,
    REOPENED_SLICE,
    MessageState,
    sql_list,
    state_move,
)
from service.storage import sql
from service.storage.postgres import Connection, Record, one

DECIDE = state_move(
    MessageState.QUEUED, MessageState.SUBMITTED, MessageState.CANCELLED, *FINAL_AFTER_HANDOFF
)
"""What an uncertain hand-off turned out to be, by a person, a statement or a policy."""


@dataclass(frozen=True, slots=True)
class UncertainFilter:
    """Uncertain hand-offs by what they have in common; None: whatever it is.

    scope: the only department whose runs count; None: all.
    """

    scope: uuid.UUID | None = None
    run_id: uuid.UUID | None = None
    channel_id: int | None = None
    department_id: uuid.UUID | None = None
    keys: Sequence[MessageKey] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What one uncertain hand-off turns out to be. reason, code: as the ledger keeps them."""

    run_id: uuid.UUID
    no: int
    attempt: int
    state: str
    reason: str
    code: str | None = None


async def list_uncertain(
    conn: Connection, which: UncertainFilter, after: MessageKey | None, limit: int
) -> list[Record]:
    """A page of uncertain hand-offs, by run and number, with the parts that the carrier took."""
    return await sql.fetch(
        conn,
        """
        SELECT u.run_id, u.no, u.channel_id, c.name AS channel, r.department_id, r.class,
               r.valid_until, u.attempt, u.marked_at, u.since, m.phone_cipher, m.part_count,
               ARRAY(SELECT DISTINCT p.part FROM parts p
                     WHERE p.run_id = u.run_id AND p.no = u.no AND p.attempt = u.attempt
                       AND (c.kind <> ALL (:own_reference) OR p.state IS NOT NULL)
                     ORDER BY p.part) AS with_reference
        FROM uncertain u
        JOIN runs r ON r.id = u.run_id
        CROSS JOIN LATERAL (
            SELECT phone_cipher, part_count FROM messages
            WHERE run_id = u.run_id AND no = u.no OFFSET 0) m
        JOIN channels c ON c.id = u.channel_id
        WHERE (:scope::uuid IS NULL OR r.department_id = :scope)
          AND (:run_id::uuid IS NULL OR u.run_id = :run_id)
          AND (:channel_id::smallint IS NULL OR u.channel_id = :channel_id)
          AND (:department_id::uuid IS NULL OR r.department_id = :department_id)
          AND (:after_run::uuid IS NULL OR (u.run_id, u.no) > (:after_run, :after_no::int))
        ORDER BY u.run_id, u.no LIMIT :limit
        """,
        scope=which.scope,
        run_id=which.run_id,
        channel_id=which.channel_id,
        department_id=which.department_id,
        after_run=after[0] if after else None,
        after_no=after[1] if after else None,
        limit=limit,
        own_reference=own_reference_kinds(),
    )


async def find_uncertain(conn: Connection, which: UncertainFilter) -> list[Record]:
    """The run, number and channel of uncertain hand-offs, not locked."""
    return await sql.fetch(
        conn,
        """
        SELECT u.run_id, u.no, u.channel_id FROM uncertain u JOIN runs r ON r.id = u.run_id
        WHERE (:scope::uuid IS NULL OR r.department_id = :scope)
          AND (:run_id::uuid IS NULL OR u.run_id = :run_id)
          AND (:channel_id::smallint IS NULL OR u.channel_id = :channel_id)
          AND (:department_id::uuid IS NULL OR r.department_id = :department_id)
          AND (:run_ids::uuid[] IS NULL OR (u.run_id, u.no) IN (
            SELECT * FROM unnest(:run_ids, :nos::int[])))
        """,
        scope=which.scope,
        run_id=which.run_id,
        channel_id=which.channel_id,
        department_id=which.department_id,
        run_ids=None if which.keys is None else [run_id for run_id, _ in which.keys],
        nos=None if which.keys is None else [no for _, no in which.keys],
    )


async def lock_uncertain(conn: Connection, keys: Collection[MessageKey]) -> list[Record]:
    """Lock those of these rows that are still uncertain; returns them with what a decision turns
    on.

    taken: whether the carrier took a part of this attempt, by its reference or, where that is ours,
    a receipt; arrived: whether one of any attempt has arrived; corrected: whether the run is.
    """
    ordered = sorted(keys)
    return await sql.fetch(
        conn,
        f"""
        SELECT u.run_id, u.no, u.attempt, u.channel_id, u.phone_hash, u.marked_at, u.since,
               r.class, r.valid_until, NOT {uncorrected("r")} AS corrected,
               r.state = 'cancelled' OR coalesce(c.state = 'cancelled', false) AS cancelled,
               coalesce(r.cancel_reason, '{Reason.CAMPAIGN_CANCELLED}') AS cancel_reason,
               EXISTS (SELECT FROM parts p WHERE p.run_id = u.run_id AND p.no = u.no
                         AND p.attempt = u.attempt
                         AND (l.kind <> ALL (:own_reference) OR p.state IS NOT NULL)) AS taken,
               EXISTS (SELECT FROM parts p WHERE p.run_id = u.run_id AND p.no = u.no
                         AND p.state = 'delivered') AS arrived
        FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
        JOIN uncertain u ON u.run_id = k.run_id AND u.no = k.no
        JOIN messages m ON m.run_id = u.run_id AND m.no = u.no AND m.attempt = u.attempt
        JOIN runs r ON r.id = u.run_id
        JOIN channels l ON l.id = u.channel_id
        LEFT JOIN campaigns c ON c.id = r.campaign_id
        WHERE m.state = 'uncertain'
        ORDER BY u.run_id, u.no
        FOR UPDATE OF m
        """,  # noqa: S608  # an alias
        run_ids=[run_id for run_id, _ in ordered],
        nos=[no for _, no in ordered],
        own_reference=own_reference_kinds(),
    )


async def with_receipts(conn: Connection, keys: Collection[MessageKey]) -> set[MessageKey]:
    """Those of these uncertain hand-offs for whose phone, or one of whose parts, a receipt waits on
    their channel: not folded yet, or without a match.
    """
    rows = await sql.fetch(
        conn,
        """
        WITH asked AS (
            SELECT u.* FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
            JOIN uncertain u ON u.run_id = k.run_id AND u.no = k.no
        ), waiting AS (
            SELECT channel_id, ref, phone_hash, received_at FROM receipts_unmatched
            WHERE why IN ('parked', 'ambiguous')
              AND channel_id IN (SELECT channel_id FROM asked)
            UNION ALL
            SELECT channel_id, ref, phone_hash, received_at FROM receipt_inbox
            WHERE state <> 'buffered' AND channel_id IN (SELECT channel_id FROM asked)
        )
        SELECT d.run_id, d.no FROM waiting w
        JOIN asked d ON d.channel_id = w.channel_id AND d.phone_hash = w.phone_hash
        WHERE d.marked_at <= w.received_at
        UNION
        SELECT d.run_id, d.no FROM waiting w
        JOIN parts p ON p.channel_id = w.channel_id AND p.ref = w.ref
        JOIN asked d ON d.run_id = p.run_id AND d.no = p.no AND d.attempt = p.attempt
        WHERE w.phone_hash IS NULL
        """,
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
    )
    return {(row["run_id"], row["no"]) for row in rows}


async def settle(
    conn: Connection, decision_id: uuid.UUID, found: Sequence[Settled], now: datetime
) -> int:
    """Give uncertain hand-offs the state they turned out to have; returns how many there were.

    `queued` puts a message back to where it is handed off again, its slice and run open as before,
    and what it was so far into `attempts`;
    `cancelled` is for what never left, after its campaign was cancelled; `submitted` is what the
    carrier took, and waits for its receipt from the mark on. `lock_uncertain` first.
    """
    moved: int = await sql.fetchval(
        conn,
        f"""
        WITH found AS (
            SELECT *
            FROM unnest(:run_ids::uuid[], :nos::int[], :attempts::int[], :states::message_state[],
                        :reasons::text[],
                                 :codes::text[]) AS f(run_id, no, attempt, state, reason, code)
        ), moved AS (
            UPDATE messages m SET
                state = f.state,
                reason = CASE WHEN f.state <> 'queued' THEN f.reason END,
                code = f.code,
                submitted_at = CASE WHEN f.state = 'submitted' THEN m.marked_at END,
                final_at = CASE WHEN f.state IN {sql_list(FINAL)} THEN :now::timestamptz END,
                marked_at = CASE WHEN f.state <> 'queued' THEN m.marked_at END
            FROM found f
            WHERE m.run_id = f.run_id AND m.no = f.no AND m.attempt = f.attempt
              AND m.state IN {DECIDE.sources_sql}
            RETURNING m.run_id, m.no, m.attempt, m.state, m.channel_id, m.part_count,
                      old.state AS before, old.reason, old.marked_at
        ), counted AS ({count_ends("moved")}), kept AS (
            INSERT INTO attempts
                (run_id, no, attempt, channel_id, part_count, state, reason, marked_at, ended_at)
            SELECT run_id, no, attempt, channel_id, part_count, before, reason, marked_at, :now
            FROM moved WHERE state = 'queued'
        ), cleared AS (
            DELETE FROM uncertain u USING moved
            WHERE u.run_id = moved.run_id AND u.no = moved.no
            RETURNING u.*, moved.state
        ), noted AS (
            INSERT INTO doubts_decided (run_id, no, attempt, decision_id, state, channel_id,
                                        phone_hash, marked_at, since, decided_at)
            SELECT run_id, no, attempt, :decision_id, state, channel_id, phone_hash, marked_at,
                since, :now
            FROM cleared
        ), stretch AS MATERIALIZED (
            {slices_of("moved WHERE state = 'queued'")}
        ), opened AS (
            UPDATE slices s SET {REOPENED_SLICE}
            FROM (
                SELECT DISTINCT t.run_id, t.no FROM stretch t JOIN moved
                  ON t.run_id = moved.run_id AND t.channel_id = moved.channel_id
                    AND moved.no BETWEEN t.first_no AND t.last_no
                WHERE moved.state = 'queued') w
            WHERE s.run_id = w.run_id AND s.no = w.no AND {IDLE_SLICE.format("s", ":now")}
            RETURNING s.run_id
        ), again AS ({reopen_runs("opened")})
        SELECT count(*) FROM moved
        """,  # noqa: S608  # constants
        decision_id=decision_id,
        run_ids=[f.run_id for f in found],
        nos=[f.no for f in found],
        attempts=[f.attempt for f in found],
        states=[f.state for f in found],
        reasons=[f.reason for f in found],
        codes=[f.code for f in found],
        now=now,
    )
    return moved


@dataclass(frozen=True, slots=True)
class StatementFile:
    """The statement of a channel's carrier: its file's hash, and what became of its lines."""

    channel_id: int
    sha256: str
    counts: dict[str, int]


async def insert_decision(
    conn: Connection, decision: str, by: By, statement: StatementFile | None = None
) -> uuid.UUID:
    """Record who decided what, when and why; returns the record's id."""
    row = await sql.fetchrow(
        conn,
        """
        INSERT INTO doubt_decisions
            (decision, reason, decided_by, decided_at, channel_id, file_sha256, counts)
        VALUES (:decision, :reason, :user_id, :at, :channel_id, :file_sha256, :counts) RETURNING id
        """,
        decision=decision,
        reason=by.reason,
        user_id=by.user_id,
        at=by.at,
        channel_id=statement.channel_id if statement else None,
        file_sha256=statement.sha256 if statement else None,
        counts=statement.counts if statement else None,
    )
    decision_id: uuid.UUID = one(row)["id"]
    return decision_id


async def list_policies(conn: Connection) -> list[Record]:
    """The classes for which something was ever set, as they stand."""
    return await conn.fetch(
        """
        SELECT DISTINCT ON (class) class, allowed, reason, set_by, set_at
        FROM resend_policies ORDER BY class, id DESC
        """
    )


async def insert_policy(conn: Connection, message_class: str, by: By, *, allowed: bool) -> None:
    """Say whether texts of a class may be sent again from now on."""
    await sql.execute(
        conn,
        """
        INSERT INTO resend_policies (class, allowed, reason, set_by, set_at)
        VALUES (:message_class, :allowed, :reason, :user_id, :at)
        """,
        message_class=message_class,
        allowed=allowed,
        reason=by.reason,
        user_id=by.user_id,
        at=by.at,
    )


async def parked_with_decided(
    conn: Connection, channel_id: int, received_before: datetime, decided_after: datetime
) -> list[Record]:
    """Parked receipts for phones whose hand-offs on this channel were decided, a row a pairing.

    Only hand-offs some of whose references never came, and not while another one to that phone is
    on its way there: the receipt may be its. may_be_other: it may also be of one that is still
    uncertain.
    """
    return await sql.fetch(
        conn,
        """
        SELECT x.id, x.ref, x.phone_hash, x.state, x.reason, x.code, d.run_id, d.no, d.attempt,
               m.part_count,
               c.receipts = 'last' AS last_only, k.parts AS known,
               EXISTS (SELECT FROM uncertain u
                       WHERE u.channel_id = x.channel_id AND u.phone_hash = x.phone_hash
                         AND u.marked_at <= x.received_at) AS may_be_other
        FROM receipts_unmatched x
        JOIN channels c ON c.id = x.channel_id
        JOIN doubts_decided d ON d.channel_id = x.channel_id AND d.phone_hash = x.phone_hash
            AND d.marked_at <= x.received_at AND d.decided_at > :decided_after
        CROSS JOIN LATERAL (
            SELECT part_count FROM messages WHERE run_id = d.run_id AND no = d.no OFFSET 0) m
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(DISTINCT p.part), '{}') AS parts FROM parts p
            WHERE p.run_id = d.run_id AND p.no = d.no AND p.attempt = d.attempt) k
        WHERE x.why IN ('parked', 'ambiguous') AND x.channel_id = :channel_id
          AND x.received_at <= :received_before
          AND CASE c.receipts WHEN 'last' THEN m.part_count <> ALL (k.parts)
                              ELSE cardinality(k.parts) < m.part_count END
          AND NOT EXISTS (
            SELECT FROM texts_to(x.phone_hash, '-infinity') o
            WHERE o.state = 'submitting' AND o.channel_id = :channel_id)
        ORDER BY x.id, d.run_id, d.no, d.attempt
        """,
        channel_id=channel_id,
        received_before=received_before,
        decided_after=decided_after,
    )


async def handoffs_to(
    conn: Connection, scope: uuid.UUID | None, channel_id: int, phones: Collection[bytes]
) -> list[Record]:
    """All hand-offs that a carrier's line for one of these phones may speak of.

    Only phones with a hand-off that is or was uncertain on the channel are looked at. `kind` is
    `open` (uncertain, in scope), `decided`, or `other`: what is not uncertain, or not the caller's
    to settle. One that another hand-off followed may have no instant: it may have been at any time;
    one of a restored database was between `marked_at` and `until`.
    """
    return await sql.fetch(
        conn,
        f"""
        WITH known AS (
            SELECT u.phone_hash, u.run_id, u.no, u.attempt, u.marked_at, NULL AS state,
                   (SELECT u.since FROM messages m WHERE m.run_id = u.run_id AND m.no = u.no
                      AND m.reason = '{Reason.RESTORED}') AS until,
                   CASE WHEN :scope::uuid IS NULL OR r.department_id = :scope
                        THEN 'open' ELSE 'other' END AS kind
            FROM uncertain u JOIN runs r ON r.id = u.run_id
            WHERE u.channel_id = :channel_id AND u.phone_hash = ANY(:phones)
            UNION ALL
            SELECT d.phone_hash, d.run_id, d.no, d.attempt, d.marked_at, d.state::text, NULL,
                   'decided'
            FROM doubts_decided d WHERE d.channel_id = :channel_id AND d.phone_hash = ANY(:phones)
        ), span AS (
            SELECT min(marked_at) - interval '2 days' AS first,
                   max(coalesce(until, marked_at)) + interval '2 days' AS last FROM known
        )
        SELECT * FROM known
        UNION ALL
        SELECT o.phone_hash, o.run_id, o.no, h.attempt, h.marked_at, h.state::text, NULL, 'other'
        FROM span
        CROSS JOIN (SELECT DISTINCT phone_hash FROM known) k
        CROSS JOIN LATERAL texts_to(k.phone_hash, '-infinity') o
        CROSS JOIN LATERAL (
            SELECT FROM runs
            WHERE id = o.run_id AND created_at <= span.last
              AND (finished_at IS NULL OR finished_at >= span.first) OFFSET 0) r
        CROSS JOIN LATERAL (
            SELECT o.channel_id, o.attempt, o.marked_at, o.state WHERE o.marked_at IS NOT NULL
            UNION ALL
            SELECT a.channel_id, a.attempt, a.marked_at, a.state FROM attempts a
            WHERE a.run_id = o.run_id AND a.no = o.no) h
        WHERE h.channel_id = :channel_id
          AND NOT EXISTS (SELECT FROM known k WHERE k.run_id = o.run_id AND k.no = o.no
                            AND k.attempt = h.attempt)
        """,  # noqa: S608  # a constant
        channel_id=channel_id,
        phones=list(phones),
        scope=scope,
    )


async def channel_exists(conn: Connection, channel_id: int) -> bool:
    """Whether there is such a channel."""
    found: bool = await sql.fetchval(
        conn, "SELECT EXISTS (SELECT FROM channels WHERE id = :channel_id)", channel_id=channel_id
    )
    return found
