"""Who of a ledger got its text, or may have, and whom it missed for certain: conditions in SQL.

May have got it: whatever left and has no certain failure; what is still to leave; and whoever has
or may have a part of it, or a receipt that contradicts the failure, laid aside or not. Missed is
who has nothing but certain failures, at every hand-off of the text in the run and in what was sent
again of it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.suppressions.suppression_store import stops
from service.campaigns.core.model import State
from service.campaigns.core.run_store import OPEN
from service.ledger.fragments import SUPPRESS, ended_as
from service.ledger.reasons import Reason
from service.ledger.run_facts import facts_hold
from service.ledger.states import (
    FAILED,
    MAY_ARRIVE,
    PART_MAY_HAVE_ARRIVED,
    MessageState,
    sql_list,
)
from service.storage import sql
from service.storage.postgres import Connection, affected
from service.storage.sql import Condition

_LAID_ASIDE = "receipts_dismissed WHERE why = 'conflict' AND state = 'delivered'"


def _may_have(m: str, run: str) -> str:
    """The condition on a row `m` of the ledger of `run` that its text arrived or still may."""
    return f"""(
        {m}.state IN {sql_list(MAY_ARRIVE)}
        OR ({m}.state = 'queued' AND {run}.state <> 'cancelled')
        OR EXISTS (
            SELECT FROM attempts a WHERE a.run_id = {m}.run_id AND a.no = {m}.no
              AND a.state NOT IN {sql_list(FAILED)})
        OR EXISTS (
            SELECT FROM parts p WHERE p.run_id = {m}.run_id AND p.no = {m}.no
              AND (p.state IN {sql_list(PART_MAY_HAVE_ARRIVED)} OR EXISTS (
                SELECT FROM receipts_unmatched u
                WHERE u.channel_id = p.channel_id AND u.ref = p.ref AND u.why = 'conflict'
                  AND u.state = 'delivered'
                  AND (u.phone_hash IS NULL OR u.phone_hash = p.phone_hash))
                OR (p.channel_id, p.ref, p.phone_hash) IN (
                    SELECT channel_id, ref, phone_hash FROM {_LAID_ASIDE})
                OR (p.channel_id, p.ref) IN (
                    SELECT channel_id, ref FROM {_LAID_ASIDE} AND phone_hash IS NULL))))"""  # noqa: S608  # constants


def _same_text(run: str) -> str:
    """The runs that sent the text of a run: itself, and what was sent again of it."""
    return f"(SELECT id FROM runs WHERE id = {run} OR (follows = {run} AND relation = 'resend'))"  # noqa: S608  # a placeholder


class Members(NamedTuple):
    """Some people of ledgers. rows: their ledgers' rows `m`, for FROM; sql: the condition on `m`
    that it is one of them; values: the parameters of both.
    """

    rows: str
    sql: str
    values: Mapping[str, Any]


def of_run(run_id: UUID) -> Members:
    """Everybody in a run's ledger."""
    return Members("ledger_of(:of_run) m", "true", {"of_run": run_id})


def _ledgers(run: str) -> str:
    """The rows of all that was sent of the text of a run."""
    return f"(SELECT l.* FROM runs o, ledger_of(o.id) l WHERE o.id IN {_same_text(run)}) m"  # noqa: S608  # a placeholder


def _text_in(run: str, person: str) -> str:
    """The text to somebody in a run, by both: a join with the ledger may be planned as a pass over
    the whole run for each person, as statistics know nothing of a run just written.
    """
    return f"""LATERAL (
                SELECT * FROM messages
                WHERE run_id = {run}.id AND phone_hash = {person}.phone_hash OFFSET 0)"""  # noqa: S608  # aliases


def to_be_corrected(run_id: UUID, correction_id: UUID | None) -> Members:
    """Whoever got a run or may have, and has not got another correction of it, nor will;
    correction_id: the one that asks.
    """
    run = ":of_run::uuid"
    members = f"""
        EXISTS (SELECT FROM runs t WHERE t.id = m.run_id AND {_may_have("m", "t")})
        AND NOT EXISTS (
            SELECT FROM runs k JOIN runs f ON f.id IN {_same_text("k.id")},
                {_text_in("f", "m")} x
            WHERE k.follows = {run} AND k.relation = 'correction'
              AND k.id IS DISTINCT FROM :correction_id::uuid
              AND {_may_have("x", "f")})
        """  # noqa: S608  # constants and placeholders
    values = {"of_run": run_id, "correction_id": correction_id}
    return Members(_ledgers(run), members, values)


def missed(run_id: UUID) -> Members:
    """Whom a run has certainly missed, and nothing that was sent again of it has or may have
    reached. Nobody whose number does not exist.
    """
    run = ":of_run::uuid"
    members = f"""
        {_failed("m")} AND NOT EXISTS (
            SELECT FROM runs t, {_text_in("t", "m")} x
            WHERE t.id IN {_same_text(run)} AND ({_may_have("x", "t")} OR {_dead("x")}))
        """  # constants and placeholders
    return Members(_ledgers(run), members, {"of_run": run_id})


def _failed(m: str) -> str:
    over = f"{m}.state = 'suppressed' AND {m}.reason = '{Reason.VALIDITY_OVER}'"
    return f"({m}.state IN {sql_list(FAILED)} OR ({over}))"


def _dead(m: str) -> str:
    dead = f"{m}.reason IS NOT DISTINCT FROM '{Reason.EMPTY_NUMBER}'"
    return f"({m}.state IN {sql_list(FAILED)} AND {dead})"


def uncorrected(run: str) -> str:
    """The condition that the text of a row `run` of runs has no correction on its way: one that has
    must not leave again, or somebody would read what was wrong after what is right.
    """
    return f"""NOT EXISTS (
            SELECT FROM runs k WHERE k.relation = 'correction' AND k.state <> 'cancelled'
              AND k.follows IN (
                {run}.id, CASE WHEN {run}.relation = 'resend' THEN {run}.follows END))"""


class Missed(NamedTuple):
    """How many of those whom a run was for it has not reached, by reason. again: whom the text may
    be sent again to; not_again: whom not, of them `in_doubt` those who may have got it.
    """

    again: dict[str, int]
    not_again: dict[str, int]


async def count_missed(conn: Connection, run_id: UUID, now: datetime) -> Missed:
    """Whom a run and what was sent again of it have missed, as suppressions are now.

    Texts that were delivered, most of a settled run, are neither grouped nor judged; of a run whose
    facts hold they are not read either. Each person has one text in a run, so whoever is left got
    it elsewhere, if at all: where it was sent again.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH sent AS MATERIALIZED (
            SELECT r.id, f.missed FROM runs r LEFT JOIN run_facts f ON {facts_hold("f", "r")}
            WHERE r.id IN {_same_text(":run_id")}
        ), person AS (
            SELECT m.phone_hash, array_agg(m.run_id) AS runs,
                   bool_or({_may_have("m", "t")}) AS may, bool_or({_dead("m")}) AS dead,
                   bool_or({_failed("m")}) AS failed,
                   (array_agg(coalesce(m.reason, m.state::text)
                              ORDER BY m.run_id DESC))[1] AS reason
            FROM sent JOIN runs t USING (id), LATERAL (
                SELECT * FROM ledger_of(CASE WHEN sent.missed IS NULL THEN t.id END)
                UNION ALL
                SELECT m.* FROM unnest(sent.missed) AS k(no), LATERAL (
                    SELECT * FROM messages WHERE run_id = t.id AND no = k.no OFFSET 0) m) m
            WHERE m.state <> 'delivered' GROUP BY m.phone_hash
        ), judged AS (
            SELECT p.failed AND NOT p.may AND NOT p.dead AND s.reason IS NULL AS again,
                   CASE WHEN p.may THEN '{Reason.IN_DOUBT}' WHEN p.dead THEN '{Reason.EMPTY_NUMBER}'
                        ELSE coalesce(s.reason, p.reason) END AS reason
            FROM runs r, person p LEFT JOIN LATERAL (
                SELECT min(x.reason) AS reason FROM suppressions x
                WHERE x.phone_hash = p.phone_hash AND NOT p.may AND NOT p.dead
                  AND {stops("x", "r.class", "r.department_id", ":now")}) s ON true
            WHERE r.id = :run_id AND NOT EXISTS (
                SELECT FROM sent o, {_text_in("o", "p")} x
                WHERE o.id <> ALL (p.runs) AND x.state = 'delivered')
        )
        SELECT again, reason, count(*) AS people FROM judged GROUP BY again, reason ORDER BY reason
        """,  # noqa: S608  # constants and placeholders
        run_id=run_id,
        now=now,
    )
    by_reason: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for row in rows:
        by_reason[row["again"]][row["reason"]] = row["people"]
    return Missed(by_reason[True], by_reason[False])


def not_yet_in(campaign_id: UUID) -> Condition:
    """The condition on a contact `c` that no ledger of a campaign has it."""
    text = f"""NOT EXISTS (
            SELECT FROM runs r, {_text_in("r", "c")} m
            WHERE r.campaign_id = :not_yet_in::uuid AND r.mode <> 'test')"""  # a placeholder
    return Condition(text, {"not_yet_in": campaign_id})


async def is_corrected(conn: Connection, run_id: UUID) -> bool:
    """Whether a run has a correction, or one is on its way."""
    found: bool = await sql.fetchval(
        conn,
        f"""
        SELECT EXISTS (
            SELECT FROM campaigns
            WHERE corrects = :run_id AND state NOT IN {sql_list([State.REJECTED, State.CANCELLED])})
        """,  # noqa: S608  # constants
        run_id=run_id,
    )
    return found


async def stop_arrived(conn: Connection, run_ids: Collection[UUID], now: datetime) -> int:
    """Stop what waits to be sent again to people who turn out to have got the text or a part of
    it; returns how many. run_ids: runs of which receipts say so, or that are being sent again.

    Whoever's row is locked is about to leave, and is left alone. A receipt and a ledger that are
    written at once miss each other; so both sides come here after they have committed.
    """
    status = await sql.execute(
        conn,
        f"""
        WITH waiting AS MATERIALIZED (
            SELECT m.run_id, m.no FROM runs f, ledger_of(f.id) m
            WHERE f.relation = 'resend' AND f.state = ANY(:open) AND m.state = 'queued'
              AND EXISTS (SELECT FROM runs t WHERE t.id = ANY(:run_ids) AND (
                    t.id IN (f.id, f.follows)
                    OR t.relation = 'resend' AND t.follows = f.follows))
              AND EXISTS (
                SELECT FROM runs t, {_text_in("t", "m")} x
                WHERE t.id IN {_same_text("f.follows")} AND t.id <> f.id
                  AND {_may_have("x", "t")})
        ), free AS MATERIALIZED (
            SELECT m.row FROM waiting w, LATERAL (
                SELECT ctid AS row FROM messages
                WHERE run_id = w.run_id AND no = w.no AND state IN {SUPPRESS.sources_sql}
                FOR UPDATE SKIP LOCKED) m
        )
        UPDATE messages m SET {ended_as(MessageState.SUPPRESSED, ":arrived", ":now")}
        FROM free f WHERE m.ctid = f.row AND m.state IN {SUPPRESS.sources_sql}
        """,  # noqa: S608  # constants
        run_ids=list(run_ids),
        open=OPEN,
        arrived=Reason.ARRIVED,
        now=now,
    )
    return affected(status)


async def still_sends(conn: Connection, run_id: UUID) -> bool:
    """Whether the text of a run is still going out: in the run, or sent again of it."""
    found: bool = await sql.fetchval(
        conn,
        f"""
        SELECT EXISTS (
            SELECT FROM runs WHERE id IN {_same_text(":run_id")} AND state = ANY(:open))
        """,  # noqa: S608  # constants
        run_id=run_id,
        open=OPEN,
    )
    return found
