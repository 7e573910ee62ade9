"""The SQL of retention: one batch of what is not kept any more, and the counts of it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.segments.segment_sql import holds_on
from service.storage.postgres import Connection, Record, affected


class LedgerStretch(NamedTuple):
    """A part of one run's ledger."""

    run_id: UUID
    first_no: int
    last_no: int


async def old_stretch(conn: Connection, before: datetime, rows: int) -> LedgerStretch | None:
    """The next rows of a settled run that is older; the run is locked, and one that is locked is
    left to whoever has it.
    """
    run = await conn.fetchrow(
        """
        SELECT id, numbers_dropped_to FROM runs
        WHERE numbers_dropped_at IS NULL AND created_at < $1 AND settled_at IS NOT NULL
        ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        before,
    )
    if run is None:
        return None
    first = run["numbers_dropped_to"] + 1
    return LedgerStretch(run["id"], first, first + rows - 1)


async def drop_numbers(conn: Connection, stretch: LedgerStretch, now: datetime) -> int:
    """Drop the ciphers of a stretch; the keyed hashes stay. Past the end, the run is finished."""
    status = await conn.execute(
        """
        UPDATE messages SET phone_cipher = NULL, name_cipher = NULL, variables_cipher = NULL
        WHERE run_id = $1 AND no BETWEEN $2 AND $3
          AND num_nonnulls(phone_cipher, name_cipher, variables_cipher) > 0
        """,
        *stretch,
    )
    await conn.execute(
        """
        UPDATE runs SET numbers_dropped_to = $2, numbers_dropped_at = CASE WHEN (
            SELECT coalesce(max(no), 0) <= $2 FROM (
                SELECT no FROM messages WHERE run_id = $1 ORDER BY no DESC LIMIT 1) last)
            THEN $3::timestamptz END
        WHERE id = $1
        """,
        stretch.run_id,
        stretch.last_no,
        now,
    )
    return affected(status)


async def drop_texts(conn: Connection, before: datetime, rows: int) -> int:
    """Drop sender, words and note of texts from handsets; kind and answer stay for the counts."""
    status = await conn.execute(
        """
        UPDATE inbound_texts SET sender_cipher = NULL, text_cipher = NULL, note_cipher = NULL
        WHERE id IN (SELECT id FROM inbound_texts
                     WHERE received_at < $1 AND sender_cipher IS NOT NULL AND state = 'done'
                     LIMIT $2 FOR UPDATE SKIP LOCKED)
          AND NOT EXISTS (SELECT FROM replies_due d WHERE d.text_id = inbound_texts.id
                                                      AND d.settled_at IS NULL)
        """,
        before,
        rows,
    )
    return affected(status)


async def delete_arrivals(conn: Connection, before: datetime, rows: int) -> int:
    """Delete texts as they came, once they have been read."""
    status = await conn.execute(
        """
        DELETE FROM inbound WHERE id IN (
            SELECT id FROM inbound
            WHERE received_at < $1 AND state NOT IN ('new', 'waiting')
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    return affected(status)


async def delete_receipts(conn: Connection, before: datetime, rows: int) -> int:
    """Delete receipts that met nothing and wait for none, and those laid aside."""
    status = await conn.execute(
        """
        DELETE FROM receipts_unmatched WHERE id IN (
            SELECT id FROM receipts_unmatched WHERE received_at < $1 AND why <> 'parked'
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    aside = await conn.execute(
        """
        DELETE FROM receipts_dismissed WHERE id IN (
            SELECT id FROM receipts_dismissed WHERE received_at < $1
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    return affected(status) + affected(aside)


async def delete_rejects(conn: Connection, before: datetime, rows: int) -> int:
    """Delete rejected rows of imports that were read before; the report's counts stay."""
    status = await conn.execute(
        """
        DELETE FROM import_rejects WHERE ctid IN (
            SELECT r.ctid FROM imports i JOIN import_rejects r ON r.import_id = i.id
            WHERE i.finished_at < $1 LIMIT $2 FOR UPDATE OF r SKIP LOCKED)
        """,
        before,
        rows,
    )
    return affected(status)


async def delete_logins(conn: Connection, before: datetime, rows: int) -> int:
    """Delete sessions that ended, recovery codes that were used, and logins that failed, before."""
    status = await conn.execute(
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE expires_at < $1
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    codes = await conn.execute(
        """
        DELETE FROM recovery_codes WHERE (user_id, code_hash) IN (
            SELECT user_id, code_hash FROM recovery_codes WHERE used_at < $1
            ORDER BY used_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    failures = await conn.execute(
        """
        DELETE FROM login_failures WHERE source_hash IN (
            SELECT source_hash FROM login_failures WHERE failed_at < $1
            ORDER BY failed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    return affected(status) + affected(codes) + affected(failures)


async def drop_given_passwords(conn: Connection, before: datetime, rows: int) -> int:
    """Forget passwords that were given before and that nobody has confirmed."""
    status = await conn.execute(
        """
        UPDATE users SET given_hash = NULL WHERE id IN (
            SELECT id FROM users WHERE given_hash IS NOT NULL AND given_at < $1
            LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    return affected(status)


async def expired_roster(conn: Connection, before: date, after: UUID) -> Record | None:
    """The next roster whose last day was before, and its department; nobody waits to renew it."""
    return await conn.fetchrow(
        f"""
        SELECT r.id, r.department_id FROM rosters r
        WHERE NOT {holds_on("r", "$1")} AND r.id > $2
          AND NOT EXISTS (SELECT FROM imports i WHERE i.department_id = r.department_id
                            AND i.roster = r.name AND i.state = 'reading')
        ORDER BY r.id LIMIT 1
        """,  # noqa: S608  # placeholders
        before,
        after,
    )


async def lock_expired(conn: Connection, roster_id: UUID, before: date) -> bool:
    """Lock a roster; whether it is still expired."""
    row = await conn.fetchrow(
        f"SELECT FROM rosters r WHERE id = $1 AND NOT {holds_on('r', '$2')} FOR UPDATE",
        roster_id,
        before,
    )
    return row is not None


async def department_with_left(
    conn: Connection, before: datetime, seen: Sequence[UUID]
) -> UUID | None:
    """A department that has entries which a newer list took off before, and was not seen yet."""
    found: UUID | None = await conn.fetchval(
        """
        SELECT c.department_id FROM links l JOIN contacts c ON c.id = l.contact_id
        WHERE l.left_at < $1 AND NOT c.department_id = ANY($2) ORDER BY l.left_at LIMIT 1
        """,
        before,
        seen,
    )
    return found


async def delete_guests(conn: Connection, before: datetime, rows: int) -> int:
    """Delete guests whom nobody has named anew since."""
    status = await conn.execute(
        """
        DELETE FROM guests WHERE id IN (
            SELECT id FROM guests WHERE created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        before,
        rows,
    )
    return affected(status)


async def delete_records(conn: Connection, before: datetime, rows: int) -> int:
    """Delete who saw and erased whom, and audit entries, from before and past their record duty by
    the database's clock; the seals stay. The service's role can do it in no other way.
    """
    count: int = await conn.fetchval("SELECT delete_old_records($1, $2)", before, rows)
    return count


async def count_retired(conn: Connection, day: date, kind: str, items: int) -> None:
    """Add to the count of a day."""
    await conn.execute(
        """
        INSERT INTO retired (day, kind, items) VALUES ($1, $2, $3)
        ON CONFLICT (day, kind) DO UPDATE SET items = retired.items + excluded.items
        """,
        day,
        kind,
        items,
    )


async def sum_retired(conn: Connection, since: date, until: date) -> dict[str, int]:
    """What went from one day to another, by kind."""
    rows = await conn.fetch(
        """
        SELECT kind, sum(items)::bigint AS items FROM retired
        WHERE day BETWEEN $1 AND $2 GROUP BY kind ORDER BY kind
        """,
        since,
        until,
    )
    return {row["kind"]: row["items"] for row in rows}


async def count_erasures(
    conn: Connection, since: datetime, until: datetime, scope: UUID | None
) -> dict[str, int]:
    """How many persons were erased between two instants, and what that amounted to."""
    rows = await conn.fetch(
        """
        SELECT 'persons' AS what, count(DISTINCT phone_hash) AS items FROM erasures
        WHERE erased_at >= $1 AND erased_at < $2 AND ($3::uuid IS NULL OR department_id = $3)
        UNION ALL
        SELECT c.key, sum(c.value::bigint) FROM erasures, jsonb_each_text(counts) c
        WHERE erased_at >= $1 AND erased_at < $2 AND ($3::uuid IS NULL OR department_id = $3)
        GROUP BY c.key
        """,
        since,
        until,
        scope,
    )
    return {row["what"]: int(row["items"]) for row in rows}
