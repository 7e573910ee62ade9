"""Who of a ledger got its text, or may have, and whom it missed for certain: conditions in SQL.

May have got it: whatever left and has no certain failure; what is still to leave; and whoever has
a part of it or a receipt that contradicts the failure. Missed is who has nothing but certain
failures, at every hand-off of the text in the run and in what was sent again of it.
"""

from uuid import UUID

from service.audience.segment_sql import Compiled
from service.campaigns.newcomer_store import New

FAILED = "('undelivered', 'expired', 'rejected')"


def _may_have(m: str, run: str) -> str:
    """The condition on a row `m` of the ledger of `run` that its text arrived or still may."""
    return f"""(
        {m}.state IN ('submitting', 'submitted', 'delivered', 'unknown', 'uncertain')
        OR ({m}.state = 'queued' AND {run}.state <> 'cancelled')
        OR EXISTS (
            SELECT FROM attempts a WHERE a.run_id = {m}.run_id AND a.no = {m}.no
              AND a.state NOT IN {FAILED})
        OR EXISTS (
            SELECT FROM parts p WHERE p.run_id = {m}.run_id AND p.no = {m}.no
              AND (p.state = 'delivered' OR EXISTS (
                SELECT FROM receipts_unmatched u
                WHERE u.channel_id = p.channel_id AND u.ref = p.ref AND u.why = 'conflict'
                  AND u.state = 'delivered'
                  AND (u.phone_hash IS NULL OR u.phone_hash = p.phone_hash)))))"""  # noqa: S608  # constants


def _same_text(run: str) -> str:
    """The runs that sent the text of a run: itself, and what was sent again of it."""
    return f"(SELECT id FROM runs WHERE id = {run} OR (follows = {run} AND relation = 'resend'))"  # noqa: S608  # a placeholder


def to_be_corrected(run_id: UUID, correction_id: UUID | None, first_parameter: int) -> New:
    """The condition on a row `m` that it is of somebody who got a run or may have, and who has not
    got another correction of it, nor will; correction_id: the one that asks.
    """
    run, own = f"${first_parameter}::uuid", f"${first_parameter + 1}::uuid"
    sql = f"""
        m.run_id IN {_same_text(run)}
        AND EXISTS (SELECT FROM runs t WHERE t.id = m.run_id AND {_may_have("m", "t")})
        AND NOT EXISTS (
            SELECT FROM runs f JOIN messages x ON x.run_id = f.id
            WHERE f.follows = {run} AND f.relation = 'correction' AND f.id IS DISTINCT FROM {own}
              AND x.phone_hash = m.phone_hash AND {_may_have("x", "f")})
        """  # noqa: S608  # constants and placeholders
    return New(sql, [run_id, correction_id])


def ledger_people(members: New) -> Compiled:
    """People of ledgers as a preview counts them: those rows `m` that `members` says."""
    source = f"""(
            SELECT DISTINCT ON (m.phone_hash) m.phone_hash, m.carrier, m.area_code, m.roles,
                   r.department_id
            FROM messages m JOIN runs r ON r.id = m.run_id WHERE {members.sql}
            ORDER BY m.phone_hash) c
        LEFT JOIN carrier_overrides v ON v.phone_hash = c.phone_hash
        CROSS JOIN LATERAL (SELECT array_to_string(c.roles, ' ') AS roles) k"""  # noqa: S608  # as above
    return Compiled("true", source, list(members.parameters), ())
