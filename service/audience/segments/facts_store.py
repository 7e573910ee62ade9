"""The SQL of what rules ask of people, kept beside the entries of lists (decision 0610).

A row of `person_facts` is a person and a span of days in which the same entries hold. Triggers note
whose entries or contacts a transaction changes, in `facts_waiting`. Facts may be read where nothing
of a department waits: then, in one and the same snapshot, they are what the entries say.

Whoever makes facts anew tries a lock of the department and never waits for it; whoever changes
entries takes none. Notes are taken first, and the entries are read by a later statement: what is
committed in between is read as well, and its note stays.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.vocabulary.fields import RULE_TEXTS
from service.storage import sql
from service.storage.locks import try_lock_facts
from service.storage.postgres import Connection, one

NOTED_SINGLY = 200
"""So many changed people are made anew by whoever reads: `facts_noted_singly` of the database."""

_SAID = {
    "roster_id": "l.roster_id",
    "roles": "l.roles",
    "tags": "l.tags",
    **{name: text.compared for name, text in RULE_TEXTS.items()},
}
"""Columns of `said_entries`, and what each is of an entry `l`."""

_OF_CONTACT = ("carrier", "area_code", "age_band", "gender", "synthetic")
_FACTS = (
    *("contact_id", "from_day", "to_day", "is_last", "department_id", "phone_hash"),
    *(*_OF_CONTACT, "has_name", "said"),
)
_KIND = (
    *("department_id", "from_day", "to_day", "is_last", "carrier", "area_code", "age_band"),
    *("gender", "synthetic", "has_name", "roles"),
)
"""Columns of `person_kinds` by which people are counted, in their order."""


def _made(people: str) -> str:
    """CTEs that work out the facts of a department from its entries, in the end `made`; `entry` are
    the entries, and `span` what each person's say in a span.

    people: SQL with {id} for the people that are asked for. Parameter: :department_id.
    """
    said = ", ".join(f"{source} AS {name}" for name, source in _SAID.items())
    names = ", ".join(f"e.{name}" for name in _SAID)
    contact = ", ".join(f"c.{column}" for column in _OF_CONTACT)
    return f"""
        entry AS MATERIALIZED (
            SELECT e.*, substr(sha256(convert_to(ROW({names})::text, 'UTF8')), 1, 16) AS digest
            FROM (SELECT l.contact_id, least(r.expires_on, l.last_day) AS ends, {said}
                  FROM rosters r JOIN links l ON l.roster_id = r.id AND l.left_by IS NULL
                  WHERE r.department_id = :department_id AND {people.format(id="l.contact_id")}) e
        ), days AS (
            SELECT contact_id, ends AS to_day,
                   coalesce(lag(ends) OVER person + 1, '-infinity') AS from_day,
                   lead(ends) OVER person IS NULL AS is_last
            FROM (SELECT DISTINCT contact_id, ends FROM entry) e
            WINDOW person AS (PARTITION BY contact_id ORDER BY ends)
        ), span AS MATERIALIZED (
            SELECT d.contact_id, d.from_day, d.to_day, d.is_last,
                   CASE WHEN count(*) = 1 THEN min(e.digest) ELSE
                        substr(sha256(string_agg(e.digest, '' ORDER BY e.digest)), 1, 16)
                   END AS said
            FROM days d JOIN entry e ON e.contact_id = d.contact_id AND e.ends >= d.to_day
            GROUP BY d.contact_id, d.from_day, d.to_day, d.is_last
        ), made AS (
            SELECT c.id AS contact_id, coalesce(s.from_day, '-infinity') AS from_day,
                   coalesce(s.to_day, 'infinity') AS to_day, coalesce(s.is_last, true) AS is_last,
                   c.department_id, c.phone_hash, {contact}, c.name_cipher IS NOT NULL AS has_name,
                   s.said
            FROM contacts c LEFT JOIN span s ON s.contact_id = c.id
            WHERE c.department_id = :department_id AND c.listed AND {people.format(id="c.id")}
        )"""  # noqa: S608  # constants


_ALL = "true"
_SOME = "{id} = ANY(:people::uuid[])"


async def facts_may_be_read(conn: Connection, department_id: UUID) -> bool:
    """Whether what follows in this transaction may read the facts of a department's people in the
    place of their entries. Makes those of a few changed people anew.

    False where more people were changed, where somebody else makes them anew at the moment, and
    where the transaction cannot: it must not write, or its snapshot is older than the lock.
    """
    row = one(
        await sql.fetchrow(
            conn,
            """
            SELECT (SELECT count(*) FROM (SELECT FROM facts_waiting
                                          WHERE department_id = :department_id LIMIT 1) w) = 0
                       AS fresh,
                   (SELECT count(DISTINCT contact_id) <= :most
                           AND count(*) = count(contact_id)
                    FROM facts_waiting WHERE department_id = :department_id) AS few,
                   current_setting('transaction_read_only') = 'off'
                   AND current_setting('transaction_isolation') = 'read committed' AS can_write
            """,
            department_id=department_id,
            most=NOTED_SINGLY,
        )
    )
    if row["fresh"] or not row["few"] or not row["can_write"]:
        return bool(row["fresh"])
    return await freshen_facts(conn, department_id)


async def freshen_facts(conn: Connection, department_id: UUID) -> bool:
    """Make the facts anew of whoever waits; returns whether the lock was free. Needs a transaction
    that reads what is committed.
    """
    if not await try_lock_facts(conn, department_id):
        return False
    notes = await sql.fetch(
        conn,
        "DELETE FROM facts_waiting WHERE department_id = :department_id RETURNING contact_id",
        department_id=department_id,
    )
    people = list({note["contact_id"] for note in notes})
    if not people:
        return True
    if None in people or len(people) > NOTED_SINGLY:
        await _make_all(conn, department_id)
    else:
        await _make_some(conn, department_id, people)
    return True


async def _make_all(conn: Connection, department_id: UUID) -> None:
    await conn.execute("SET LOCAL work_mem = '64MB'")
    for table in ("person_facts", "said_entries"):
        await sql.execute(
            conn,
            f"DELETE FROM {table} WHERE department_id = :department_id",  # noqa: S608  # constants
            department_id=department_id,
        )
    await sql.execute(conn, _insert(_ALL), department_id=department_id)
    await count_kinds(conn, department_id)
    # Statistics of a table that was just filled say that it is empty.
    await conn.execute("ANALYZE (SKIP_LOCKED) person_facts, person_kinds, said_entries")


async def _make_some(conn: Connection, department_id: UUID, people: Sequence[UUID]) -> None:
    await sql.execute(
        conn, "DELETE FROM person_facts WHERE contact_id = ANY(:people)", people=people
    )
    await sql.execute(conn, _insert(_SOME), department_id=department_id, people=people)


async def count_kinds(conn: Connection, department_id: UUID) -> None:
    """Count anew how many people of a department have the same facts; needs the lock of facts.

    One statement: facts that an erasure deletes meanwhile, and the row that takes them away, are
    seen both or neither.
    """
    await sql.execute(
        conn,
        """
        WITH before AS (DELETE FROM person_kinds WHERE department_id = :department_id)
        INSERT INTO person_kinds SELECT * FROM count_person_kinds(:department_id)
        """,
        department_id=department_id,
    )


async def count_differing_kinds(conn: Connection, department_id: UUID) -> int:
    """Of how many people a department's kinds have too many or too few."""
    found: int = await sql.fetchval(
        conn,
        f"""
        SELECT coalesce(sum(abs(people)), 0)::int FROM (
            SELECT sum(people) AS people FROM (
                SELECT * FROM person_kinds WHERE department_id = :department_id
                UNION ALL
                SELECT {", ".join(_KIND)}, -people FROM count_person_kinds(:department_id)) k
            GROUP BY {", ".join(_KIND)}) d
        """,  # noqa: S608  # constants
        department_id=department_id,
    )
    return found


def _insert(people: str) -> str:
    """Store what is made; entries of a digest that is stored already stay as they are."""
    names = ", ".join(_SAID)
    entries = ", ".join(f"e.{name}" for name in _SAID)
    return f"""
        WITH {_made(people)}, new AS (
            SELECT DISTINCT ON (s.said) s.said, s.contact_id, s.to_day FROM span s
            WHERE NOT EXISTS (SELECT FROM said_entries k
                              WHERE k.department_id = :department_id AND k.said = s.said)
            ORDER BY s.said
        ), stored AS (
            INSERT INTO said_entries (department_id, said, {names})
            SELECT :department_id, n.said, {entries}
            FROM new n JOIN entry e ON e.contact_id = n.contact_id AND e.ends >= n.to_day
        )
        INSERT INTO person_facts ({", ".join(_FACTS)}) SELECT {", ".join(_FACTS)} FROM made
        """  # noqa: S608  # constants


async def departments_waiting(conn: Connection) -> list[UUID]:
    """The departments with people whose facts are to be made anew."""
    rows = await conn.fetch("SELECT DISTINCT department_id FROM facts_waiting")
    return [row["department_id"] for row in rows]


async def departments_unchecked(conn: Connection, before: datetime) -> list[UUID]:
    """The departments whose facts were not compared since an instant, who waited longest first."""
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id FROM departments d LEFT JOIN facts_checks k ON k.department_id = d.id
        WHERE k.checked_at IS NULL OR k.checked_at < :before
        ORDER BY k.checked_at NULLS FIRST, d.id
        """,
        before=before,
    )
    return [row["id"] for row in rows]


class ComparedFacts(NamedTuple):
    """What a comparison of some people found. last: the last of them; None: there are no more.
    waits: somebody of the department is to be made anew, so that nothing was compared.
    """

    last: UUID | None
    people: int
    differing: int
    waits: bool


async def compare_stretch(
    conn: Connection, department_id: UUID, after: UUID | None, most: int
) -> ComparedFacts:
    """Compare so many people's facts with what their entries say, in the order of their ids; needs
    a transaction in which all statements see the same state.
    """
    waits = await sql.fetchval(
        conn,
        "SELECT EXISTS (SELECT FROM facts_waiting WHERE department_id = :department_id)",
        department_id=department_id,
    )
    if waits:
        return ComparedFacts(None, 0, 0, waits=True)
    rows = await sql.fetch(
        conn,
        """
        SELECT id FROM (
            SELECT id FROM contacts WHERE department_id = :department_id
            UNION SELECT contact_id FROM person_facts WHERE department_id = :department_id) p
        WHERE :after::uuid IS NULL OR id > :after ORDER BY id LIMIT :most
        """,
        department_id=department_id,
        after=after,
        most=most,
    )
    people = [row["id"] for row in rows]
    if not people:
        return ComparedFacts(None, 0, 0, waits=False)
    names = ", ".join(_SAID)
    differing = await sql.fetchval(
        conn,
        f"""
        WITH {_made(_SOME)}, kept AS (
            SELECT {", ".join(_FACTS)} FROM person_facts
            WHERE contact_id = ANY(:people::uuid[])
        ), meant AS (
            SELECT s.contact_id, s.from_day, {names} FROM span s
            JOIN entry e ON e.contact_id = s.contact_id AND e.ends >= s.to_day
        ), found AS (
            SELECT f.contact_id, f.from_day, {names} FROM person_facts f
            JOIN said_entries k ON k.department_id = f.department_id AND k.said = f.said
            WHERE f.contact_id = ANY(:people::uuid[])
        )
        SELECT count(DISTINCT contact_id) FROM (
            (SELECT contact_id FROM
                (SELECT {", ".join(_FACTS)} FROM made EXCEPT ALL SELECT * FROM kept) m)
            UNION ALL (SELECT contact_id FROM
                (SELECT * FROM kept EXCEPT ALL SELECT {", ".join(_FACTS)} FROM made) m)
            UNION ALL (SELECT contact_id FROM
                (SELECT * FROM meant EXCEPT ALL SELECT * FROM found) m)
            UNION ALL (SELECT contact_id FROM
                (SELECT * FROM found EXCEPT ALL SELECT * FROM meant) m)) d
        """,  # noqa: S608  # constants
        department_id=department_id,
        people=people,
    )
    return ComparedFacts(people[-1], len(people), differing, waits=False)


async def compact(conn: Connection, department_id: UUID) -> bool:
    """Delete what nobody's entries in a department say any more, and replace what was noted of its
    kinds of people by a count. Not beside somebody who makes facts anew: what is found unused here
    may just be taken into use there. Returns whether it was done.
    """
    if not await try_lock_facts(conn, department_id):
        return False
    await sql.execute(
        conn,
        """
        DELETE FROM said_entries k
        WHERE k.department_id = :department_id AND NOT EXISTS (
            SELECT FROM person_facts f
            WHERE f.department_id = :department_id AND f.said = k.said)
        """,
        department_id=department_id,
    )
    await count_kinds(conn, department_id)
    return True


async def note_all(conn: Connection, department_id: UUID) -> None:
    """Let all facts of a department be made anew."""
    await sql.execute(
        conn,
        "INSERT INTO facts_waiting (department_id) VALUES (:department_id)",
        department_id=department_id,
    )


async def save_check(
    conn: Connection, department_id: UUID, people: int, differing: int, now: datetime
) -> None:
    """Keep what a comparison found."""
    await sql.execute(
        conn,
        """
        INSERT INTO facts_checks (department_id, checked_at, people, differing)
        VALUES (:department_id, :now, :people, :differing)
        ON CONFLICT (department_id) DO UPDATE SET checked_at = excluded.checked_at,
            people = excluded.people, differing = excluded.differing
        """,
        department_id=department_id,
        now=now,
        people=people,
        differing=differing,
    )


async def count_differing(conn: Connection) -> int:
    """How many people's facts were not what their entries say, when they were compared last."""
    found: int = await conn.fetchval("SELECT coalesce(sum(differing), 0)::int FROM facts_checks")
    return found
