"""The SQL of a list's archive: what it says of each run, its lines, and who took it."""

from datetime import datetime
from uuid import UUID

from service.accounts.people.model import By
from service.audience.suppressions.suppression_store import stops
from service.storage import sql
from service.storage.postgres import Connection, Record


async def runs_to_hand_over(conn: Connection, list_id: UUID) -> list[Record]:
    """What the archive of a list says of each of its runs, and what may keep it from leaving."""
    return await sql.fetch(
        conn,
        """
        SELECT r.id, c.name AS campaign, p.name AS joint_plan,
               r.class, r.text, r.rule, r.send_hours, r.timezone, r.audience, r.beyond_hours,
               r.on_quiet_days, r.valid_until, r.state, r.release->>'approved_sha256' AS approved,
               coalesce(c.state, r.state) AS campaign_state
        FROM (SELECT DISTINCT run_id FROM list_file_lines WHERE list_file_id = :list_id) t
        JOIN runs r ON r.id = t.run_id LEFT JOIN campaigns c ON c.id = r.campaign_id
        LEFT JOIN campaigns p ON p.id = c.leg_of
        ORDER BY r.id
        """,
        list_id=list_id,
    )


async def page_of_lines(conn: Connection, list_id: UUID, after: int, limit: int) -> list[Record]:
    """The next lines of a list, with what their texts are made of."""
    return await sql.fetch(
        conn,
        """
        SELECT l.line, l.run_id, p.ref, m.phone_cipher, m.name_cipher, m.area_code,
               m.variables_cipher, m.direct
        FROM (SELECT * FROM list_file_lines
              WHERE list_file_id = :list_id AND line > :after
              ORDER BY line LIMIT :limit) l
        CROSS JOIN LATERAL (
            SELECT phone_cipher, name_cipher, area_code, variables_cipher, direct FROM messages
            WHERE run_id = l.run_id AND no = l.no OFFSET 0) m
        CROSS JOIN LATERAL (
            SELECT ref, attempt FROM parts WHERE run_id = l.run_id AND no = l.no OFFSET 0) p
        WHERE p.attempt = l.attempt ORDER BY l.line
        """,
        list_id=list_id,
        after=after,
        limit=limit,
    )


async def stopped_lines(conn: Connection, list_id: UUID, now: datetime) -> list[int]:
    """The lines of people to whom nothing may be sent any more, such as by an opt-out since."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT l.line FROM list_file_lines l JOIN runs r ON r.id = l.run_id
        CROSS JOIN LATERAL (
            SELECT phone_hash FROM messages WHERE run_id = l.run_id AND no = l.no OFFSET 0) m
        WHERE l.list_file_id = :list_id AND EXISTS (
            SELECT FROM suppressions o
            WHERE o.phone_hash = m.phone_hash AND o.reason IS DISTINCT FROM r.confirms
              AND {stops("o", "r.class", "r.department_id", ":now")})
        """,  # noqa: S608  # aliases
        list_id=list_id,
        now=now,
    )
    return [row["line"] for row in rows]


async def note_fetch(conn: Connection, list_id: UUID, by: By) -> None:
    """Somebody has taken the archive of a list with them."""
    await sql.execute(
        conn,
        """
        UPDATE list_files SET fetched_at = :at, fetched_by = :user_id, fetches = fetches + 1
        WHERE id = :list_id
        """,
        list_id=list_id,
        at=by.at,
        user_id=by.user_id,
    )
