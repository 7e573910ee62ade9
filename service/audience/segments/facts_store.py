"""The SQL of what rules ask of people, kept beside the entries of lists (decision 0610).

A row of `person_facts` is a person and a span of days in which the same entries hold. Triggers note
whose entries or contacts a transaction changes, in `facts_waiting`. Facts may be read where nothing
of a department waits: then, in one and the same snapshot, they are what the entries say.

Whoever makes facts anew tries a lock of the department and never waits for it; whoever changes
entries takes none. Notes are taken first, and the entries are read by a later statement: what is
committed in between is read as well, and its note stays.
"""

from collections.abc import Iterable, Sequence
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


_DIGEST = "substr(sha256({of}), 1, 16)"
_ENTRIES = """
    links l JOIN rosters r ON r.id = l.roster_id
    WHERE r.department_id = :department_id AND l.left_by IS NULL
"""
_ENDS = "least(r.expires_on, l.last_day)"
"""The last day on which an entry counts."""


def _digest_of_entry(columns: Iterable[str]) -> str:
    return _DIGEST.format(of=f"convert_to(ROW({', '.join(columns)})::text, 'UTF8')")


def _digest_of_several(digests: str) -> str:
    return _DIGEST.format(of=f"string_agg({digests}, '' ORDER BY {digests})")


class People(NamedTuple):
    """Whose facts are made: SQL on a contact `c`, and what ends the SQL of an entry `l`."""

    contacts: str
    entries: str


def _made(people: People) -> str:
    """A CTE `made`: the facts of a department as its entries say them. Who is on no list has one
    span without an end, of which nothing is said.

    Nothing worked out here is joined: what PostgreSQL takes for few rows it may read once for each
    row of another, and it may take any number for few, since lists are too few to have statistics.

    Parameter: :department_id.
    """
    contact = ", ".join(f"c.{column}" for column in _OF_CONTACT)
    return f"""
        made AS MATERIALIZED (
            SELECT contact_id, coalesce(lag(ends) OVER person + 1, '-infinity') AS from_day,
                   coalesce(ends, 'infinity') AS to_day, lead(ends) OVER person IS NULL AS is_last,
                   department_id, phone_hash, {", ".join(_OF_CONTACT)}, has_name,
                   CASE WHEN cardinality(digests) = 1 THEN digests[1] ELSE
                        (SELECT {_digest_of_several("d")} FROM unnest(digests) d)
                   END AS said
            FROM (
                SELECT DISTINCT ON (c.id, e.ends) c.id AS contact_id, e.ends,
                       array_agg(e.digest) OVER (PARTITION BY c.id ORDER BY e.ends DESC) AS digests,
                       c.department_id, c.phone_hash, {contact},
                       c.name_cipher IS NOT NULL AS has_name
                FROM contacts c LEFT JOIN LATERAL (
                    SELECT l.contact_id, {_ENDS} AS ends,
                           {_digest_of_entry(_SAID.values())} AS digest
                    FROM {_ENTRIES} {people.entries}) e
                ON e.contact_id = c.id
                WHERE c.department_id = :department_id AND c.listed AND {people.contacts}
                ORDER BY c.id, e.ends DESC) held
            WINDOW person AS (PARTITION BY contact_id ORDER BY ends)
        )"""  # noqa: S608  # constants


_ALL = People("true", "")
_SOME = People("c.id = ANY(:people::uuid[])", "AND l.contact_id = c.id OFFSET 0")
"""The entries of a few people are looked up for each of them."""


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


async def count_differing_entries(conn: Connection, department_id: UUID) -> int:
    """Of how many people of a department the entries that are stored are not of their digest."""
    found: int = await sql.fetchval(
        conn,
        f"""
        SELECT count(DISTINCT f.contact_id) FROM person_facts f LEFT JOIN (
            SELECT said, CASE WHEN count(*) = 1 THEN min(digest) ELSE
                         {_digest_of_several("digest")} END AS digest
            FROM (SELECT said, {_digest_of_entry(_SAID)} AS digest
                  FROM said_entries WHERE department_id = :department_id) e
            GROUP BY said) k ON k.said = f.said
        WHERE f.department_id = :department_id AND f.said IS DISTINCT FROM k.digest
        """,  # noqa: S608  # constants
        department_id=department_id,
    )
    return found


def _insert(people: People) -> str:
    """Store what is made; entries of a digest that is stored already stay as they are."""
    entries = ", ".join(f"{source} AS {name}" for name, source in _SAID.items())
    return f"""
        WITH {_made(people)}, new AS (
            SELECT DISTINCT ON (m.said) m.said, m.contact_id, m.to_day FROM made m
            WHERE m.said IS NOT NULL AND NOT EXISTS (
                SELECT FROM said_entries k
                WHERE k.department_id = :department_id AND k.said = m.said)
            ORDER BY m.said
        ), stored AS (
            INSERT INTO said_entries (department_id, said, {", ".join(_SAID)})
            SELECT :department_id, n.said, e.* FROM new n, LATERAL (
                SELECT {entries} FROM {_ENTRIES}
                AND l.contact_id = n.contact_id AND {_ENDS} >= n.to_day OFFSET 0) e
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
            (SELECT id FROM contacts WHERE department_id = :department_id AND id > :after
             ORDER BY id LIMIT :most)
            UNION (SELECT contact_id FROM person_facts
                   WHERE department_id = :department_id AND contact_id > :after
                   ORDER BY contact_id LIMIT :most)) p
        ORDER BY id LIMIT :most
        """,
        department_id=department_id,
        after=after or UUID(int=0),
        most=most,
    )
    people = [row["id"] for row in rows]
    if not people:
        return ComparedFacts(None, 0, 0, waits=False)
    facts = ", ".join(_FACTS)
    differing = await sql.fetchval(
        conn,
        f"""
        WITH {_made(_SOME)}, kept AS (
            SELECT {facts} FROM person_facts WHERE contact_id = ANY(:people::uuid[])
        )
        SELECT count(DISTINCT contact_id) FROM (
            (SELECT {facts} FROM made EXCEPT ALL SELECT * FROM kept)
            UNION ALL (SELECT * FROM kept EXCEPT ALL SELECT {facts} FROM made)) d
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
