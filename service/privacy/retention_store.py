"""The SQL of retention: one batch of what is not kept any more, and the counts of it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.segments.segment_sql import holds_on
from service.storage import sql
from service.storage.postgres import Connection, Record, affected

_ROWS_A_PACK = 500
"""A pack counts for so many rows: it has hundreds of megabytes."""


class LedgerStretch(NamedTuple):
    """A part of one run's ledger."""

    run_id: UUID
    first_no: int
    last_no: int


async def old_stretch(conn: Connection, before: datetime, rows: int) -> LedgerStretch | None:
    """The next rows of a settled run that is older; the run is locked, and one that is locked is
    left to whoever has it.
    """
    run = await sql.fetchrow(
        conn,
        """
        SELECT id, numbers_dropped_to FROM runs
        WHERE numbers_dropped_at IS NULL AND created_at < :before AND settled_at IS NOT NULL
        ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        before=before,
    )
    if run is None:
        return None
    first = run["numbers_dropped_to"] + 1
    return LedgerStretch(run["id"], first, first + rows - 1)


async def drop_numbers(conn: Connection, stretch: LedgerStretch, now: datetime) -> int:
    """Drop the ciphers of a stretch; the keyed hashes stay. Past the end, the run is finished."""
    status = await sql.execute(
        conn,
        """
        UPDATE messages SET phone_cipher = NULL, name_cipher = NULL, variables_cipher = NULL
        WHERE run_id = :run_id AND no BETWEEN :first_no AND :last_no
          AND num_nonnulls(phone_cipher, name_cipher, variables_cipher) > 0
        """,
        **stretch._asdict(),
    )
    await sql.execute(
        conn,
        """
        UPDATE runs SET numbers_dropped_to = :last_no, numbers_dropped_at = CASE WHEN (
            SELECT coalesce(max(no), 0) <= :last_no FROM (
                SELECT no FROM messages WHERE run_id = :run_id ORDER BY no DESC LIMIT 1) last)
            THEN :now::timestamptz END
        WHERE id = :run_id
        """,
        run_id=stretch.run_id,
        last_no=stretch.last_no,
        now=now,
    )
    return affected(status)


async def drop_texts(conn: Connection, before: datetime, rows: int) -> int:
    """Drop sender, words and note of texts from handsets; kind and answer stay for the counts."""
    status = await sql.execute(
        conn,
        """
        UPDATE inbound_texts SET sender_cipher = NULL, text_cipher = NULL, note_cipher = NULL
        WHERE id IN (SELECT id FROM inbound_texts
                     WHERE received_at < :before AND sender_cipher IS NOT NULL AND state = 'done'
                     LIMIT :rows FOR UPDATE SKIP LOCKED)
          AND NOT EXISTS (SELECT FROM replies_due d WHERE d.text_id = inbound_texts.id
                                                      AND d.settled_at IS NULL)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)


async def delete_arrivals(conn: Connection, before: datetime, rows: int) -> int:
    """Delete texts as they came, once they have been read."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM inbound WHERE id IN (
            SELECT id FROM inbound
            WHERE received_at < :before AND state NOT IN ('new', 'waiting')
            ORDER BY id LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)


async def delete_receipts(conn: Connection, before: datetime, rows: int) -> int:
    """Delete receipts that met nothing and wait for none, and those laid aside."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM receipts_unmatched WHERE id IN (
            SELECT id FROM receipts_unmatched WHERE received_at < :before AND why <> 'parked'
            ORDER BY id LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    aside = await sql.execute(
        conn,
        """
        DELETE FROM receipts_dismissed WHERE id IN (
            SELECT id FROM receipts_dismissed WHERE received_at < :before
            ORDER BY id LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status) + affected(aside)


async def delete_rejects(conn: Connection, before: datetime, rows: int) -> int:
    """Delete rejected rows of imports that were read before; the report's counts stay."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM import_rejects WHERE ctid IN (
            SELECT r.ctid FROM imports i JOIN import_rejects r ON r.import_id = i.id
            WHERE i.finished_at < :before LIMIT :rows FOR UPDATE OF r SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)


async def delete_logins(conn: Connection, before: datetime, rows: int) -> int:
    """Delete sessions that ended, recovery codes that were used, and logins that failed, before."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE expires_at < :before
            ORDER BY expires_at LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    codes = await sql.execute(
        conn,
        """
        DELETE FROM recovery_codes WHERE (user_id, code_hash) IN (
            SELECT user_id, code_hash FROM recovery_codes WHERE used_at < :before
            ORDER BY used_at LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    failures = await sql.execute(
        conn,
        """
        DELETE FROM login_failures WHERE source_hash IN (
            SELECT source_hash FROM login_failures WHERE failed_at < :before
            ORDER BY failed_at LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status) + affected(codes) + affected(failures)


async def drop_given_passwords(conn: Connection, before: datetime, rows: int) -> int:
    """Forget passwords that were given before and that nobody has confirmed."""
    status = await sql.execute(
        conn,
        """
        UPDATE users SET given_hash = NULL WHERE id IN (
            SELECT id FROM users WHERE given_hash IS NOT NULL AND given_at < :before
            LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)


async def expired_roster(conn: Connection, before: date, after: UUID) -> Record | None:
    """The next roster whose last day was before, and its department; nobody waits to renew it."""
    return await sql.fetchrow(
        conn,
        f"""
        SELECT r.id, r.department_id FROM rosters r
        WHERE NOT {holds_on("r", ":before")} AND r.id > :after
          AND NOT EXISTS (SELECT FROM imports i WHERE i.department_id = r.department_id
                            AND i.roster = r.name AND i.state = 'reading')
        ORDER BY r.id LIMIT 1
        """,  # noqa: S608  # placeholders
        before=before,
        after=after,
    )


async def lock_expired(conn: Connection, roster_id: UUID, before: date) -> bool:
    """Lock a roster; whether it is still expired."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT FROM rosters r WHERE id = :roster_id AND NOT {holds_on("r", ":before")} FOR UPDATE
        """,
        roster_id=roster_id,
        before=before,
    )
    return row is not None


async def department_with_left(
    conn: Connection, before: datetime, seen: Sequence[UUID]
) -> UUID | None:
    """A department that has entries which a newer list took off before, and was not seen yet."""
    found: UUID | None = await sql.fetchval(
        conn,
        """
        SELECT c.department_id FROM links l JOIN contacts c ON c.id = l.contact_id
        WHERE l.left_at < :before AND NOT c.department_id = ANY(:seen) ORDER BY l.left_at LIMIT 1
        """,
        before=before,
        seen=seen,
    )
    return found


async def delete_guests(conn: Connection, before: datetime, rows: int) -> int:
    """Delete guests whom nobody has named anew since."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM guests WHERE id IN (
            SELECT id FROM guests WHERE created_at < :before LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)


async def drop_former_people(conn: Connection, before: datetime, rows: int) -> int:
    """Drop name and number of those who have had no duty for a department since."""
    status = await sql.execute(
        conn,
        """
        UPDATE department_people SET name_cipher = NULL, phone_cipher = NULL, phone_hash = NULL
        WHERE id IN (SELECT id FROM department_people
                     WHERE until < :before AND phone_hash IS NOT NULL
                     LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)


async def withdraw_from_packs(
    conn: Connection, before: datetime, rows: int, *, now: datetime
) -> int:
    """Withdraw the pictures of packs that were built before, and the Word files that show them; a
    trigger deletes the octets. A pack counts for `_ROWS_A_PACK` rows.
    """
    status = await sql.execute(
        conn,
        """
        WITH old AS (
            SELECT p.week, p.version FROM packs p
            WHERE p.state = 'built' AND p.built_at < :before AND EXISTS (
                SELECT FROM pack_files f LEFT JOIN pack_withdrawals w
                    ON (w.week, w.version, w.file_no) = (f.week, f.version, f.no)
                WHERE (f.week, f.version) = (p.week, p.version) AND f.is_picture
                  AND w.why IS NULL)
            ORDER BY p.built_at LIMIT :packs
        )
        INSERT INTO pack_withdrawals (week, version, file_no, why, at)
        SELECT f.week, f.version, f.no, 'term', :now FROM old
        JOIN pack_files f USING (week, version)
        WHERE f.is_picture OR f.name = 'pack.docx'
        ON CONFLICT DO NOTHING
        """,
        before=before,
        packs=max(1, rows // _ROWS_A_PACK),
        now=now,
    )
    return affected(status)


async def delete_records(conn: Connection, before: datetime, rows: int) -> int:
    """Delete who saw and erased whom, and audit entries, from before and past their record duty by
    the database's clock; the seals stay. The service's role can do it in no other way.
    """
    count: int = await sql.fetchval(
        conn, "SELECT delete_old_records(:before, :rows)", before=before, rows=rows
    )
    return count


async def count_retired(conn: Connection, day: date, kind: str, items: int) -> None:
    """Add to the count of a day."""
    await sql.execute(
        conn,
        """
        INSERT INTO retired (day, kind, items) VALUES (:day, :kind, :items)
        ON CONFLICT (day, kind) DO UPDATE SET items = retired.items + excluded.items
        """,
        day=day,
        kind=kind,
        items=items,
    )


async def sum_retired(conn: Connection, since: date, until: date) -> dict[str, int]:
    """What went from one day to another, by kind."""
    rows = await sql.fetch(
        conn,
        """
        SELECT kind, sum(items)::bigint AS items FROM retired
        WHERE day BETWEEN :since AND :until GROUP BY kind ORDER BY kind
        """,
        since=since,
        until=until,
    )
    return {row["kind"]: row["items"] for row in rows}


async def count_erasures(
    conn: Connection, since: datetime, until: datetime, scope: UUID | None
) -> dict[str, int]:
    """How many persons were erased between two instants, and what that amounted to."""
    rows = await sql.fetch(
        conn,
        """
        SELECT 'persons' AS what, count(DISTINCT phone_hash) AS items FROM erasures
        WHERE erased_at >= :since AND erased_at < :until
          AND (:scope::uuid IS NULL OR department_id = :scope)
        UNION ALL
        SELECT c.key, sum(c.value::bigint) FROM erasures, jsonb_each_text(counts) c
        WHERE erased_at >= :since AND erased_at < :until
          AND (:scope::uuid IS NULL OR department_id = :scope)
        GROUP BY c.key
        """,
        since=since,
        until=until,
        scope=scope,
    )
    return {row["what"]: int(row["items"]) for row in rows}
