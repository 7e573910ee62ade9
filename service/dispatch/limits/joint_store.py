"""Nobody gets a joint plan twice: one place a person and fire, in SQL.

The people of a joint plan lie on the lists of several departments, which do not see each other's.
So the mark of a leg takes a place by the keyed hash of the phone, as it takes one under a cap. The
second leg that comes to a person stops its text with the reason `other_leg`, and neither learns who
the other's people are (docs/joint-plans.md). A text that provably never left gives its place back.
"""

from collections.abc import Collection
from datetime import datetime

from service.dispatch.limits.caps_store import NEVER_LEFT
from service.ledger.joint_places import department_of_run, has_place_elsewhere
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.ledger.states import sql_list
from service.storage import sql
from service.storage.postgres import Connection

IN_OTHER_LEG = f""", CASE WHEN {
    has_place_elsewhere("p.joint_fire", "m.phone_hash", "p.department_id")
} THEN '{Reason.OTHER_LEG}' END"""
"""Part of the mark of legs: one more reason why a text is stopped for good."""

SEATED = f"""-- A place in the joint fire for those that may leave; whoever comes second waits
-- for the first one's commit, and gets none. Everybody takes these rows in the order of the hash.
), seated AS (
    INSERT INTO joint_places AS j (fire, phone_hash, run_id)
    SELECT joint_fire, phone_hash, run_id FROM placed
    WHERE joint_fire IS NOT NULL AND stop IS NULL AND NOT capped
    ORDER BY phone_hash, joint_fire
    ON CONFLICT (fire, phone_hash) DO UPDATE SET run_id = excluded.run_id
    WHERE {department_of_run("j.run_id")} = {department_of_run("excluded.run_id")}
    RETURNING run_id, phone_hash

), settled AS MATERIALIZED (
    SELECT v.row, v.no, v.part_count, v.run_id, v.capped,
        CASE WHEN v.stop IS NULL AND v.joint_fire IS NOT NULL AND NOT v.capped
                AND (v.run_id, v.phone_hash) NOT IN (SELECT run_id, phone_hash FROM seated)
            THEN '{Reason.OTHER_LEG}' ELSE v.stop END AS stop
    FROM placed v

"""  # noqa: S608  # constants
"""Part of the mark of legs, after the caps; `PLACED` is what it leaves."""
PLACED = "settled"


async def give_back(conn: Connection, keys: Collection[MessageKey]) -> None:
    """Give back the places of texts of which provably nothing ever left.

    Call after everything else that the transaction locks, as for the caps.
    """
    if not keys:
        return
    await sql.execute(
        conn,
        f"""
        DELETE FROM joint_places j USING (
            SELECT j.fire, j.phone_hash
            FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
            JOIN runs r ON r.id = k.run_id AND r.joint_fire IS NOT NULL
            CROSS JOIN LATERAL (
                SELECT run_id, no, phone_hash, state FROM messages
                WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
            JOIN joint_places j ON j.fire = r.joint_fire AND j.phone_hash = m.phone_hash
                AND j.run_id = m.run_id
            WHERE m.state IN {sql_list(NEVER_LEFT)}
              AND NOT EXISTS (
                SELECT FROM parts p WHERE p.run_id = m.run_id AND p.no = m.no OFFSET 0)
              AND NOT EXISTS (
                SELECT FROM attempts a
                WHERE a.run_id = m.run_id AND a.no = m.no AND a.state <> 'rejected' OFFSET 0)
            ORDER BY j.phone_hash, j.fire FOR UPDATE OF j) o
        WHERE j.fire = o.fire AND j.phone_hash = o.phone_hash
        """,  # noqa: S608  # constants
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
    )


async def delete_old(conn: Connection, before: datetime) -> None:
    """Delete the places of fires whose last run was made before an instant."""
    await sql.execute(
        conn,
        """
        DELETE FROM joint_places WHERE fire = ANY (ARRAY(
            SELECT joint_fire FROM runs WHERE joint_fire IS NOT NULL
            GROUP BY joint_fire HAVING max(created_at) < :before))
        """,
        before=before,
    )
