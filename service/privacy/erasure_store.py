"""The SQL of an erasure: what goes of a person, what stays, and what is counted of it."""

from datetime import datetime
from uuid import UUID

from service.ledger.fragments import CANCEL, ended_as
from service.ledger.reasons import Reason
from service.ledger.states import MessageState
from service.storage import sql
from service.storage.postgres import Connection, affected, one


async def insert_erasure(
    conn: Connection,
    phone_hash: bytes,
    scope: UUID | None,
    by: tuple[UUID, bytes],
    now: datetime,
) -> UUID:
    """Note that a person is erased, by whom and why (encrypted)."""
    erased_by, reason_cipher = by
    made: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO erasures (phone_hash, department_id, erased_by, reason_cipher, erased_at)
        VALUES (:phone_hash, :scope, :erased_by, :reason_cipher, :now) RETURNING id
        """,
        phone_hash=phone_hash,
        scope=scope,
        erased_by=erased_by,
        reason_cipher=reason_cipher,
        now=now,
    )
    return made


async def delete_contacts(
    conn: Connection, phone_hash: bytes, scope: UUID | None
) -> tuple[int, int, int]:
    """Delete the person from contacts and lists; returns contacts, links, and contacts that an
    import holds, which deletes them at its end.
    """
    row = await sql.fetchrow(
        conn,
        """
        WITH theirs AS MATERIALIZED (
            SELECT id FROM contacts
            WHERE phone_hash = :phone_hash
              AND department_id IN (SELECT id FROM departments WHERE :scope::uuid IS NULL
                                    OR id = :scope)
            FOR UPDATE SKIP LOCKED
        ), free AS MATERIALIZED (
            SELECT contact_id FROM links WHERE contact_id IN (SELECT id FROM theirs)
            FOR UPDATE SKIP LOCKED
        ), mine AS MATERIALIZED (
            SELECT id, links FROM theirs, LATERAL (
                SELECT count(*) AS links FROM links WHERE contact_id = theirs.id) n
            WHERE links = (SELECT count(*) FROM free WHERE contact_id = theirs.id)
        ), gone AS (
            DELETE FROM contacts WHERE id IN (SELECT id FROM mine) RETURNING id
        ), facts AS (
            DELETE FROM person_facts WHERE contact_id IN (SELECT id FROM mine)
        )
        SELECT (SELECT count(*) FROM gone) AS contacts,
               (SELECT coalesce(sum(links), 0)::int FROM mine) AS links,
               (SELECT count(*) FROM contacts
                WHERE phone_hash = :phone_hash AND id NOT IN (SELECT id FROM mine)
                  AND department_id IN (
                      SELECT id FROM departments WHERE :scope::uuid IS NULL
                        OR id = :scope)) AS pending
        """,
        phone_hash=phone_hash,
        scope=scope,
    )
    found = one(row)
    return found["contacts"], found["links"], found["pending"]


async def cancel_queued(
    conn: Connection, phone_hash: bytes, scope: UUID | None, now: datetime
) -> int:
    """Cancel what waits to go to this number, and drop its ciphers where nothing ever left.

    Text by text, by the ledger's key: joined with what waits, the ledger was read whole by a plan
    that was made while it was empty.
    """
    waiting = await sql.fetch(
        conn,
        f"""
        SELECT m.run_id, m.no FROM texts_to(:phone_hash, '-infinity') m
        CROSS JOIN LATERAL (
            SELECT FROM runs
            WHERE id = m.run_id AND (:scope::uuid IS NULL OR department_id = :scope) OFFSET 0) r
        WHERE m.state IN {CANCEL.sources_sql}
        """,  # noqa: S608  # constants
        phone_hash=phone_hash,
        scope=scope,
    )
    count = 0
    for row in waiting:
        status = await sql.execute(
            conn,
            f"""
            UPDATE messages m SET {ended_as(MessageState.CANCELLED, f"'{Reason.ERASED}'", ":now")},
                phone_cipher = CASE WHEN m.attempt > 0 THEN m.phone_cipher END,
                name_cipher = CASE WHEN m.attempt > 0 THEN m.name_cipher END,
                variables_cipher = CASE WHEN m.attempt > 0 THEN m.variables_cipher END
            WHERE m.run_id = :run_id AND m.no = :no AND m.state IN {CANCEL.sources_sql}
            """,  # noqa: S608  # constants
            run_id=row["run_id"],
            no=row["no"],
            now=now,
        )
        count += affected(status)
    return count


async def count_kept(
    conn: Connection, phone_hash: bytes, scope: UUID | None
) -> tuple[int, datetime | None]:
    """How many texts to this number are still kept with it, and when the last run began."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT count(*) AS kept, max(r.created_at) AS last FROM texts_to(:phone_hash, '-infinity') m
        CROSS JOIN LATERAL (
            SELECT created_at FROM runs
            WHERE id = m.run_id AND (:scope::uuid IS NULL OR department_id = :scope) OFFSET 0) r
        WHERE m.phone_cipher IS NOT NULL
        """,
        phone_hash=phone_hash,
        scope=scope,
    )
    found = one(row)
    return found["kept"], found["last"]


async def delete_guests(conn: Connection, phone_hash: bytes, scope: UUID | None) -> int:
    """Take the person off the lists of guests."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM guests WHERE phone_hash = :phone_hash
          AND (:scope::uuid IS NULL OR department_id = :scope)
        """,
        phone_hash=phone_hash,
        scope=scope,
    )
    return affected(status)


async def end_visits(conn: Connection, phone_hash: bytes, scope: UUID | None) -> int:
    """Nobody goes to the person any more, and what was noted of visits goes; what came of them
    stays. Returns of how many follow-ups. Whoever writes a result down at this moment goes first.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT f.id FROM followups f
        WHERE f.id IN (SELECT followup_id FROM visits WHERE phone_hash = :phone_hash)
          AND (:scope::uuid IS NULL OR f.department_id = :scope)
        ORDER BY f.id FOR UPDATE
        """,
        phone_hash=phone_hash,
        scope=scope,
    )
    followups = [row["id"] for row in rows]
    await sql.execute(
        conn,
        """
        UPDATE visit_tries t SET note_cipher = NULL FROM visits v
        WHERE v.phone_hash = :phone_hash AND v.followup_id = ANY (:followups)
          AND t.visit_id = v.id AND t.note_cipher IS NOT NULL
        """,
        phone_hash=phone_hash,
        followups=followups,
    )
    await sql.execute(
        conn,
        f"""
        UPDATE visits SET state = '{Reason.ERASED}'
        WHERE phone_hash = :phone_hash AND followup_id = ANY (:followups)
          AND state IN ('waiting', 'open')
        """,  # noqa: S608  # a constant
        phone_hash=phone_hash,
        followups=followups,
    )
    return len(followups)


async def forget_corrections(
    conn: Connection, phone_hash: bytes, scope: UUID | None, now: datetime
) -> None:
    """Forget the new numbers that visits brought, where this is the new or the old one; nobody
    decides on them any more. Erasures must be locked: then nobody writes one of this number.
    """
    await sql.execute(
        conn,
        """
        UPDATE number_corrections c SET phone_hash = NULL, phone_cipher = NULL,
            reason_cipher = NULL, decided_at = coalesce(c.decided_at, :now),
            state = CASE WHEN c.state = 'proposed' THEN 'lapsed' ELSE c.state END
        WHERE c.id IN (
            SELECT id FROM number_corrections WHERE phone_hash = :phone_hash
            UNION ALL
            SELECT n.id FROM visits v JOIN number_corrections n ON n.visit_id = v.id
            WHERE v.phone_hash = :phone_hash)
          AND (:scope::uuid IS NULL OR c.department_id = :scope)
        """,
        phone_hash=phone_hash,
        scope=scope,
        now=now,
    )


async def end_duties(conn: Connection, phone_hash: bytes, scope: UUID | None, now: datetime) -> int:
    """End the person's duties for departments, and keep of those past only that there was somebody;
    returns how many.
    """
    status = await sql.execute(
        conn,
        """
        UPDATE department_people SET until = coalesce(until, :now), name_cipher = NULL,
            phone_cipher = NULL, phone_hash = NULL
        WHERE phone_hash = :phone_hash AND (:scope::uuid IS NULL OR department_id = :scope)
        """,
        phone_hash=phone_hash,
        scope=scope,
        now=now,
    )
    return affected(status)


async def forget_learned(conn: Connection, phone_hash: bytes) -> None:
    """Drop what deliveries taught of the number's carrier."""
    await sql.execute(
        conn, "DELETE FROM carrier_overrides WHERE phone_hash = :phone_hash", phone_hash=phone_hash
    )


async def note_counts(conn: Connection, erasure_id: UUID, counts: dict[str, int]) -> None:
    """Keep what an erasure amounted to."""
    await sql.execute(
        conn,
        "UPDATE erasures SET counts = :counts WHERE id = :erasure_id",
        erasure_id=erasure_id,
        counts=counts,
    )


async def delete_left_behind(conn: Connection) -> int:
    """Delete contacts and guests that are older than the erasure of their person, and end such
    duties: somebody held them, or was just writing them down.
    """
    left = 0
    for table in ("contacts", "guests"):
        status = await conn.execute(
            f"""
            DELETE FROM {table} c USING erasures e
            WHERE c.phone_hash = e.phone_hash AND c.created_at <= e.erased_at
              AND c.department_id IN (
                SELECT id FROM departments WHERE e.department_id IS NULL OR id = e.department_id)
            """  # noqa: S608  # two names
        )
        left += affected(status)
    status = await conn.execute(
        """
        UPDATE department_people p SET until = coalesce(p.until, e.erased_at), name_cipher = NULL,
            phone_cipher = NULL, phone_hash = NULL
        FROM erasures e
        WHERE p.phone_hash = e.phone_hash AND p.since <= e.erased_at
          AND (e.department_id IS NULL OR p.department_id = e.department_id)
        """
    )
    return left + affected(status)
