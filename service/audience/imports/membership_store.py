"""The SQL of rosters: who is on a list, who left it by a newer one, and taking an import back.

A link says who is on a roster. It stays when a newer list does not have it any more, with the
import that ended it, so that undoing that import gives it back; only live links (`left_by` is null)
put anybody on a roster. A contact shows what its first live link says. One module: whatever ends,
restores or deletes a link has to leave the contact so.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.imports.model import Import
from service.audience.imports.staging_store import MERGE_SECONDS
from service.audience.vocabulary.fields import PERSON_COLUMNS
from service.storage import sql
from service.storage.postgres import Connection, affected, one

_REFRESH = f"""
    UPDATE contacts c
    SET {", ".join(f"{column} = l.{column}" for column in PERSON_COLUMNS)},
        carrier = coalesce(l.carrier, c.carrier), updated_at = :now
    FROM contacts shown CROSS JOIN LATERAL (
        SELECT * FROM links
        WHERE contact_id = shown.id AND left_by IS NULL ORDER BY id LIMIT 1
    ) AS l
    WHERE c.id = shown.id AND c.import_id IS NOT NULL AND c.edited_at IS NULL
"""  # noqa: S608  # names of columns
"""What a person corrected stays."""


class MembershipChanges(NamedTuple):
    """How many people an import put on a roster, what it changed of others, and who left."""

    added: int
    changed: int
    left: int


class Undone(NamedTuple):
    """How many links an undone import had made, had ended, and how many people went with them."""

    links: int
    restored: int
    contacts: int


async def upsert_roster(conn: Connection, request: Import, now: datetime) -> UUID:
    """The roster of an import, which takes the basis and expiry of the latest one. What shows a
    consent holds for the whole roster if that is new or replaced, else for the file's rows alone.

    Its row stays locked to the end of the transaction: one import a roster at a time.
    """
    roster_id: UUID = await sql.fetchval(
        conn,
        f"""
        INSERT INTO rosters AS r (department_id, name, basis, expires_on, created_at,
                                  {", ".join(EVIDENCE)})
        SELECT department_id, roster, basis, expires_on, :now, {", ".join(EVIDENCE)}
        FROM imports WHERE id = :request_id
        ON CONFLICT (department_id, name) DO UPDATE SET
            basis = excluded.basis, expires_on = excluded.expires_on,
            {_evidence_if(":replaces AND excluded.evidence <> ''", "excluded")}
        RETURNING id
        """,  # noqa: S608  # names of columns
        request_id=request.id,
        now=now,
        replaces=request.mode == "replace",
    )
    return roster_id


EVIDENCE = ("evidence", "evidence_on", "evidence_by", "evidence_how", "evidence_form")
"""What shows a consent: columns of imports and of rosters alike."""


def _evidence_if(condition: str, other: str) -> str:
    """SQL that sets a roster's evidence to another's under a condition."""
    return ", ".join(
        f"{name} = CASE WHEN {condition} THEN {other}.{name} ELSE r.{name} END" for name in EVIDENCE
    )


async def has_links(conn: Connection, roster_id: UUID) -> bool:
    """Whether anybody is or was on the roster."""
    found: bool = await sql.fetchval(
        conn, "SELECT EXISTS (SELECT FROM links WHERE roster_id = :roster_id)", roster_id=roster_id
    )
    return found


async def end_links(conn: Connection, roster_id: UUID, import_id: UUID, now: datetime) -> None:
    """Take off the roster whatever this import, a whole new list, does not say."""
    await sql.execute(
        conn,
        """
        UPDATE links l SET left_at = :now, left_by = :import_id
        WHERE l.roster_id = :roster_id AND l.left_by IS NULL
          AND l.import_id IS DISTINCT FROM :import_id
          AND NOT EXISTS (SELECT FROM link_repeats r WHERE r.link_id = l.id
                          AND r.import_id = :import_id)
        """,
        roster_id=roster_id,
        import_id=import_id,
        now=now,
        timeout=MERGE_SECONDS,
    )


async def count_changes(conn: Connection, roster_id: UUID, import_id: UUID) -> MembershipChanges:
    """Compare the roster's people before and after this import, which is still the latest."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT count(*) FILTER (WHERE after AND NOT before) AS added,
               count(*) FILTER (WHERE after AND before AND touched) AS changed,
               count(*) FILTER (WHERE before AND NOT after) AS left
        FROM (
            SELECT bool_or(l.left_by IS NULL) AS after,
                   bool_or(CASE WHEN l.left_by IS NULL
                                THEN l.import_id IS DISTINCT FROM :import_id
                                  AND r.was_left_by IS NULL
                                ELSE l.left_by = :import_id END) AS before,
                   bool_or(coalesce(l.import_id = :import_id, false)
                           OR coalesce(l.left_by = :import_id, false)
                           OR r.was_left_by IS NOT NULL) AS touched
            FROM links l LEFT JOIN link_repeats r ON r.link_id = l.id AND r.import_id = :import_id
            WHERE l.roster_id = :roster_id GROUP BY l.contact_id
        ) AS people
        """,
        roster_id=roster_id,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    return MembershipChanges(**one(row))


async def relist_contacts(
    conn: Connection, department_id: UUID, import_id: UUID, now: datetime
) -> None:
    """Who had left every roster and is on one again may be written to again, and shows what the
    link says by which that is so.

    Mostly that is nobody, which is asked first: of tables without statistics, the planner takes
    everybody.
    """
    somebody: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM contacts WHERE department_id = :department_id AND NOT listed)
            OR EXISTS (SELECT FROM link_repeats WHERE import_id = :import_id
                       AND was_left_by IS NOT NULL)
        """,
        department_id=department_id,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    if not somebody:
        return
    await sql.execute(
        conn,
        f"""{_REFRESH}
        AND c.id IN (
            SELECT id FROM contacts WHERE department_id = :department_id AND NOT listed
            UNION ALL
            SELECT l.contact_id FROM link_repeats r JOIN links l ON l.id = r.link_id
            WHERE r.import_id = :import_id AND r.was_left_by IS NOT NULL)
        """,  # noqa: S608  # a constant
        now=now,
        department_id=department_id,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    await sql.execute(
        conn,
        """
        UPDATE contacts c SET listed = true
        WHERE c.department_id = :department_id AND NOT c.listed
          AND EXISTS (SELECT FROM links l WHERE l.contact_id = c.id AND l.left_by IS NULL)
        """,
        department_id=department_id,
        timeout=MERGE_SECONDS,
    )


async def unlist_contacts(conn: Connection, import_id: UUID, roster_id: UUID) -> None:
    """Who has left the last roster by this import is not written to any more."""
    await sql.execute(
        conn,
        """
        UPDATE contacts c SET listed = false
        WHERE c.listed
          AND c.id IN (SELECT contact_id FROM links WHERE roster_id = :roster_id
                       AND left_by = :import_id)
          AND NOT EXISTS (SELECT FROM links l WHERE l.contact_id = c.id AND l.left_by IS NULL)
        """,
        import_id=import_id,
        roster_id=roster_id,
        timeout=MERGE_SECONDS,
    )


async def refresh_contacts(
    conn: Connection, import_id: UUID, roster_id: UUID, now: datetime
) -> None:
    """Let the people whose links this import ended show what their first live link says."""
    await sql.execute(
        conn,
        f"""{_REFRESH}
        AND c.id IN (SELECT contact_id FROM links WHERE roster_id = :roster_id
                     AND left_by = :import_id)
        """,  # noqa: S608  # a constant
        now=now,
        import_id=import_id,
        roster_id=roster_id,
        timeout=MERGE_SECONDS,
    )


async def later_replacement(conn: Connection, undone: Import) -> UUID | None:
    """The last later import, still in force, that replaced the roster's list."""
    found: UUID | None = await sql.fetchval(
        conn,
        """
        SELECT id FROM imports
        WHERE department_id = :department_id AND roster = :roster AND id > :undone_id
          AND mode = 'replace'
          AND state = 'done' AND NOT dry_run AND undone_at IS NULL
        ORDER BY id DESC LIMIT 1
        """,
        department_id=undone.department_id,
        roster=undone.roster,
        undone_id=undone.id,
    )
    return found


async def undo_links(conn: Connection, roster_id: UUID, undone: Import, now: datetime) -> Undone:
    """Take back every link of an import, and give back those it ended.

    What a later import said as well stays, as that import's. `later_replacement` must be None, and
    the department's contacts must be locked.
    """
    await conn.execute(_TOUCHED)
    await _hand_over(conn, roster_id, undone.id)
    restored = await _give_back(conn, roster_id, undone.id)
    links = await _delete_links(conn, roster_id, undone.id)
    return Undone(links, restored, await _settle_touched(conn, now))


async def retire_links(conn: Connection, roster_id: UUID, most: int, now: datetime) -> int:
    """Delete so many entries of a list, and the people whom only they knew; how many entries.

    The list itself goes with the call that finds none. The department's contacts must be locked.
    """
    await conn.execute(_TOUCHED)
    count: int = await sql.fetchval(
        conn,
        """
        WITH gone AS (
            DELETE FROM links WHERE id IN (
                SELECT id FROM links WHERE roster_id = :roster_id ORDER BY id LIMIT :most)
            RETURNING contact_id
        ), noted AS (
            INSERT INTO touched SELECT contact_id FROM gone ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM gone
        """,
        roster_id=roster_id,
        most=most,
    )
    await _settle_touched(conn, now)
    if count == 0:
        await sql.execute(conn, "DELETE FROM rosters WHERE id = :roster_id", roster_id=roster_id)
    return count


async def retire_left(
    conn: Connection, department_id: UUID, before: datetime, most: int, now: datetime
) -> int:
    """Delete so many entries that newer lists took off before an instant, and the people whom only
    they knew; how many entries. The department's contacts must be locked.

    The imports that had taken them off cannot be undone any more.
    """
    await conn.execute(_TOUCHED)
    count: int = await sql.fetchval(
        conn,
        """
        WITH gone AS (
            DELETE FROM links WHERE id IN (
                SELECT l.id FROM links l JOIN contacts c ON c.id = l.contact_id
                WHERE l.left_at < :before AND c.department_id = :department_id ORDER BY l.left_at
                LIMIT :most)
            RETURNING contact_id, left_by
        ), noted AS (
            INSERT INTO touched SELECT contact_id FROM gone ON CONFLICT DO NOTHING
        ), ended AS (
            UPDATE imports SET left_erased = true
            WHERE id IN (SELECT left_by FROM gone) AND NOT left_erased
        )
        SELECT count(*) FROM gone
        """,
        department_id=department_id,
        before=before,
        most=most,
    )
    await _settle_touched(conn, now)
    return count


async def has_let_go(conn: Connection, import_id: UUID) -> bool:
    """Whether somebody whom an import took off is not kept any more."""
    gone: bool = await sql.fetchval(
        conn, "SELECT left_erased FROM imports WHERE id = :import_id", import_id=import_id
    )
    return gone


_TOUCHED = "CREATE TEMPORARY TABLE touched (contact_id uuid PRIMARY KEY) ON COMMIT DROP"


async def _settle_touched(conn: Connection, now: datetime) -> int:
    """Delete the touched people who are on no list, and let the others show what is still said of
    them; how many are gone.
    """
    contacts = affected(
        await conn.execute(
            """
            DELETE FROM contacts c USING touched t
            WHERE c.id = t.contact_id AND c.import_id IS NOT NULL
              AND NOT EXISTS (SELECT FROM links l WHERE l.contact_id = c.id)
            """,
            timeout=MERGE_SECONDS,
        )
    )
    await sql.execute(
        conn,
        f"{_REFRESH} AND c.id IN (SELECT contact_id FROM touched)",  # noqa: S608  # a constant
        now=now,
        timeout=MERGE_SECONDS,
    )
    await _list_touched(conn)
    await conn.execute("DROP TABLE touched")
    return contacts


async def _list_touched(conn: Connection) -> None:
    await conn.execute(
        """
        UPDATE contacts c SET listed = NOT c.listed
        FROM touched t
        WHERE c.id = t.contact_id AND c.import_id IS NOT NULL
          AND c.listed <> EXISTS (SELECT FROM links l
                                  WHERE l.contact_id = c.id AND l.left_by IS NULL)
        """,
        timeout=MERGE_SECONDS,
    )


async def _hand_over(conn: Connection, roster_id: UUID, import_id: UUID) -> None:
    """What a later import said again becomes that import's; so does having brought it back."""
    await sql.execute(
        conn,
        """
        WITH heirs AS (
            SELECT DISTINCT ON (l.id) l.id, r.import_id, r.row_no
            FROM links l JOIN link_repeats r ON r.link_id = l.id
            WHERE l.roster_id = :roster_id AND l.import_id = :import_id
            ORDER BY l.id, r.import_id
        ), moved AS (
            UPDATE links l SET import_id = heirs.import_id, row_no = heirs.row_no
            FROM heirs WHERE l.id = heirs.id
        )
        DELETE FROM link_repeats r USING heirs
        WHERE r.link_id = heirs.id AND r.import_id = heirs.import_id
        """,
        roster_id=roster_id,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    await sql.execute(
        conn,
        """
        UPDATE link_repeats later SET was_left_at = mine.was_left_at, was_left_by = mine.was_left_by
        FROM link_repeats mine
        WHERE mine.import_id = :import_id AND mine.was_left_by IS NOT NULL
          AND later.link_id = mine.link_id
          AND later.import_id = (SELECT r.import_id FROM link_repeats r
                                 WHERE r.link_id = mine.link_id AND r.import_id > :import_id
                                 ORDER BY r.import_id LIMIT 1)
        """,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )


async def _give_back(conn: Connection, roster_id: UUID, import_id: UUID) -> int:
    """Undo what the import did to other imports' links; how many are on the roster again."""
    await sql.execute(
        conn,
        """
        WITH mine AS (
            DELETE FROM link_repeats WHERE import_id = :import_id
            RETURNING link_id, was_left_at, was_left_by
        ), back AS (
            UPDATE links l SET left_at = mine.was_left_at, left_by = mine.was_left_by
            FROM mine
            WHERE l.id = mine.link_id AND mine.was_left_by IS NOT NULL
              AND NOT EXISTS (SELECT FROM link_repeats r
                              WHERE r.link_id = l.id AND r.import_id > :import_id)
            RETURNING l.contact_id
        )
        INSERT INTO touched SELECT contact_id FROM back ON CONFLICT DO NOTHING
        """,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    await sql.execute(
        conn,
        """
        UPDATE link_repeats SET was_left_at = NULL, was_left_by = NULL
        WHERE was_left_by = :import_id
        """,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    restored: int = await sql.fetchval(
        conn,
        """
        WITH back AS (
            UPDATE links SET left_at = NULL, left_by = NULL
            WHERE roster_id = :roster_id AND left_by = :import_id RETURNING contact_id
        ), noted AS (
            INSERT INTO touched SELECT contact_id FROM back ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM back
        """,
        roster_id=roster_id,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    return restored


async def _delete_links(conn: Connection, roster_id: UUID, import_id: UUID) -> int:
    deleted: int = await sql.fetchval(
        conn,
        """
        WITH gone AS (
            DELETE FROM links WHERE roster_id = :roster_id AND import_id = :import_id
            RETURNING contact_id
        ), noted AS (
            INSERT INTO touched SELECT contact_id FROM gone ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM gone
        """,
        roster_id=roster_id,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )
    return deleted


async def settle_roster(conn: Connection, roster_id: UUID, undone: Import) -> None:
    """After an undo: basis and expiry of the latest import still in force, and what shows a
    consent if the roster had it of the one undone; without any and without anybody on it, the
    roster goes.
    """
    await sql.execute(
        conn,
        f"""
        UPDATE rosters r SET basis = latest.basis, expires_on = latest.expires_on,
            {_evidence_if(":evidence <> '' AND r.evidence = :evidence", "latest")}
        FROM (SELECT * FROM imports
              WHERE department_id = :department_id AND roster = :roster AND state = 'done'
                AND NOT dry_run
                AND undone_at IS NULL
              ORDER BY id DESC LIMIT 1) AS latest
        WHERE r.id = :roster_id
        """,  # noqa: S608  # names of columns
        roster_id=roster_id,
        department_id=undone.department_id,
        roster=undone.roster,
        evidence=undone.evidence,
    )
    await sql.execute(
        conn,
        """
        DELETE FROM rosters r WHERE r.id = :roster_id
          AND NOT EXISTS (SELECT FROM links WHERE roster_id = :roster_id)
          AND NOT EXISTS (SELECT FROM imports
                          WHERE department_id = :department_id AND roster = :roster
                            AND state = 'done'
                            AND NOT dry_run AND undone_at IS NULL)
        """,
        roster_id=roster_id,
        department_id=undone.department_id,
        roster=undone.roster,
    )


async def find_roster(conn: Connection, department_id: UUID, name: str) -> UUID | None:
    """The department's roster of this name."""
    found: UUID | None = await sql.fetchval(
        conn,
        "SELECT id FROM rosters WHERE department_id = :department_id AND name = :name",
        department_id=department_id,
        name=name,
    )
    return found
