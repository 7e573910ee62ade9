"""The SQL of privacy: disclosures, erasures, and everything that is kept about one number.

`scope` is the only department that is meant, None for all.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience.rosters.roster_store import shown_evidence
from service.storage.postgres import Connection, Record, affected, one

_MINOR = "'14-17'"
"""The age band of those whom lists may have and whom nobody sees in full: the least access, as the
Regulations on the Protection of Minors Online say (art. 36). Who is younger is not stored."""

MOST_MESSAGES = 500
"""How many texts a lookup tells, the latest first."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """That somebody sees something of a person; object_id: None for a lookup.

    holder_id: the department whose data it is; None: everybody's.
    """

    kind: str
    object_id: str | None
    phone_hash: bytes | None
    department_id: UUID
    user_id: UUID
    reason_cipher: bytes
    at: datetime
    holder_id: UUID | None


async def insert_disclosure(conn: Connection, new: Disclosure) -> UUID:
    """Note a disclosure, in the transaction of the answer."""
    made: UUID = await conn.fetchval(
        """
        INSERT INTO disclosures (kind, object_id, phone_hash, department_id, user_id,
                                 reason_cipher, at, holder_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id
        """,
        new.kind,
        new.object_id,
        new.phone_hash,
        new.department_id,
        new.user_id,
        new.reason_cipher,
        new.at,
        new.holder_id,
    )
    return made


async def find_octets(conn: Connection, receipt_id: int) -> bytes | None:
    """The cipher of a delivery that could not be read."""
    found: bytes | None = await conn.fetchval(
        "SELECT octets_cipher FROM receipts_unmatched WHERE id = $1", receipt_id
    )
    return found


async def find_contact(conn: Connection, contact_id: UUID, scope: UUID | None) -> Record | None:
    """A contact's hash and ciphers, whose it is, and whether it is of a minor."""
    return await conn.fetchrow(
        f"""
        SELECT phone_hash, phone_cipher, name_cipher, department_id, false AS erased,
               age_band IS NOT DISTINCT FROM {_MINOR} AS minor FROM contacts
        WHERE id = $1 AND ($2::uuid IS NULL OR department_id = $2)
        """,  # noqa: S608  # a constant
        contact_id,
        scope,
    )


_ERASED = """
    EXISTS (SELECT FROM erasures e
            WHERE e.phone_hash = {hash} AND e.erased_at >= {since}
              AND (e.department_id IS NULL OR e.department_id = {department}))
"""


async def find_message(
    conn: Connection, run_id: UUID, no: int, scope: UUID | None
) -> Record | None:
    """A message's hash and ciphers, whether its person was erased since, and whether the run's
    department knows the person as a minor.
    """
    erased = _ERASED.format(hash="m.phone_hash", since="r.created_at", department="r.department_id")
    return await conn.fetchrow(
        f"""
        SELECT m.phone_hash, m.phone_cipher, m.name_cipher, r.department_id, {erased} AS erased,
               EXISTS (SELECT FROM contacts c
                       WHERE c.department_id = r.department_id AND c.phone_hash = m.phone_hash
                         AND c.age_band = {_MINOR}) AS minor
        FROM runs r JOIN messages m ON m.run_id = r.id
        WHERE r.id = $1 AND m.no = $2 AND ($3::uuid IS NULL OR r.department_id = $3)
        """,  # noqa: S608  # constants
        run_id,
        no,
        scope,
    )


async def find_inbound(conn: Connection, text_id: UUID, scope: UUID | None) -> Record | None:
    """The hash and cipher of the sender of a text, and whether the person was erased since."""
    erased = _ERASED.format(
        hash="t.sender_hash", since="t.received_at", department="t.department_id"
    )
    return await conn.fetchrow(
        f"""
        SELECT t.sender_hash AS phone_hash, t.sender_cipher AS phone_cipher,
               NULL::bytea AS name_cipher, t.department_id, {erased} AS erased, false AS minor
        FROM inbound_texts t WHERE t.id = $1 AND ($2::uuid IS NULL OR t.department_id = $2)
        """,  # noqa: S608  # a constant
        text_id,
        scope,
    )


async def list_memberships(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """The contacts with this number and the lists they are or were on, with what shows a consent
    by the latest row that holds.
    """
    return await conn.fetch(
        f"""
        SELECT DISTINCT ON (d.name, c.id, r.name)
               c.id AS contact_id, c.department_id, d.name AS department, c.created_at,
               r.id AS roster_id, r.name AS roster, r.basis, r.expires_on,
               l.left_by IS NULL AS listed, {shown_evidence("i", "r")}
        FROM departments d
        JOIN contacts c ON c.department_id = d.id AND c.phone_hash = $1
        LEFT JOIN links l ON l.contact_id = c.id
        LEFT JOIN rosters r ON r.id = l.roster_id
        LEFT JOIN imports i ON i.id = l.import_id
        WHERE $2::uuid IS NULL OR d.id = $2
        ORDER BY d.name, c.id, r.name, l.left_by IS NULL DESC, l.id DESC
        """,  # noqa: S608  # names of columns
        phone_hash,
        scope,
    )


async def list_messages(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """The texts to this number, the latest first, one more than `MOST_MESSAGES` if there are."""
    return await conn.fetch(
        """
        SELECT r.id AS run_id, m.no, r.department_id, d.name AS department, r.campaign_id,
               r.class, r.text, m.state::text, m.reason, m.marked_at, m.submitted_at, m.final_at
        FROM texts_to($1, '-infinity') m
        CROSS JOIN LATERAL (
            SELECT id, department_id, campaign_id, class, text FROM runs
            WHERE id = m.run_id AND ($2::uuid IS NULL OR department_id = $2) OFFSET 0) r
        JOIN departments d ON d.id = r.department_id
        ORDER BY r.id DESC LIMIT $3
        """,
        phone_hash,
        scope,
        MOST_MESSAGES + 1,
    )


async def list_suppressions(
    conn: Connection, phone_hash: bytes, scope: UUID | None
) -> list[Record]:
    """What is stopped to this number: for all departments, and of the scope's own notices."""
    return await conn.fetch(
        """
        SELECT s.reason, s.created_at, s.expires_at, d.name AS department,
               CASE WHEN s.department_id <> $2 THEN '{public_interest}' ELSE s.classes END
                   AS classes
        FROM suppressions s
        LEFT JOIN departments d ON d.id = s.department_id AND ($2::uuid IS NULL OR d.id = $2)
        WHERE s.phone_hash = $1 AND ($2::uuid IS NULL OR s.department_id IS NULL
            OR s.department_id = $2 OR 'public_interest' = ANY (s.classes))
        ORDER BY s.created_at
        """,
        phone_hash,
        scope,
    )


async def count_inbound(conn: Connection, phone_hash: bytes, scope: UUID | None) -> int:
    """How many texts came from this number."""
    count: int = await conn.fetchval(
        """
        SELECT count(*) FROM inbound_texts
        WHERE sender_hash = $1 AND ($2::uuid IS NULL OR department_id = $2)
        """,
        phone_hash,
        scope,
    )
    return count


async def list_disclosures(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """Who saw this number in full, or looked it up, where it was the department's to show."""
    return await conn.fetch(
        """
        SELECT id, kind, user_id, department_id, holder_id, reason_cipher, at FROM disclosures
        WHERE phone_hash = $1 AND ($2::uuid IS NULL OR holder_id IS NULL OR holder_id = $2)
        ORDER BY id
        """,
        phone_hash,
        scope,
    )


async def list_erasures(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """When this person was erased, and where."""
    return await conn.fetch(
        """
        SELECT id, department_id, erased_at FROM erasures
        WHERE phone_hash = $1 AND ($2::uuid IS NULL OR department_id IS NULL OR department_id = $2)
        ORDER BY id
        """,
        phone_hash,
        scope,
    )


async def insert_erasure(
    conn: Connection,
    phone_hash: bytes,
    scope: UUID | None,
    by: tuple[UUID, bytes],
    now: datetime,
) -> UUID:
    """Note that a person is erased, by whom and why (encrypted)."""
    made: UUID = await conn.fetchval(
        """
        INSERT INTO erasures (phone_hash, department_id, erased_by, reason_cipher, erased_at)
        VALUES ($1, $2, $3, $4, $5) RETURNING id
        """,
        phone_hash,
        scope,
        *by,
        now,
    )
    return made


async def delete_contacts(
    conn: Connection, phone_hash: bytes, scope: UUID | None
) -> tuple[int, int, int]:
    """Delete the person from contacts and lists; returns contacts, links, and contacts that an
    import holds, which deletes them at its end.
    """
    row = await conn.fetchrow(
        """
        WITH theirs AS MATERIALIZED (
            SELECT id FROM contacts
            WHERE phone_hash = $1
              AND department_id IN (SELECT id FROM departments WHERE $2::uuid IS NULL OR id = $2)
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
        )
        SELECT (SELECT count(*) FROM gone) AS contacts,
               (SELECT coalesce(sum(links), 0)::int FROM mine) AS links,
               (SELECT count(*) FROM contacts
                WHERE phone_hash = $1 AND id NOT IN (SELECT id FROM mine)
                  AND department_id IN (
                      SELECT id FROM departments WHERE $2::uuid IS NULL OR id = $2)) AS pending
        """,
        phone_hash,
        scope,
    )
    found = one(row)
    return found["contacts"], found["links"], found["pending"]


async def cancel_queued(
    conn: Connection, phone_hash: bytes, scope: UUID | None, now: datetime
) -> int:
    """Cancel what waits to go to this number, and drop its ciphers where nothing ever left."""
    status = await conn.execute(
        """
        WITH waiting AS MATERIALIZED (
            SELECT m.run_id, m.no FROM texts_to($1, '-infinity') m
            CROSS JOIN LATERAL (
                SELECT FROM runs
                WHERE id = m.run_id AND ($2::uuid IS NULL OR department_id = $2) OFFSET 0) r
            WHERE m.state = 'queued'
        )
        UPDATE messages m SET state = 'cancelled', reason = 'erased', final_at = $3,
            phone_cipher = CASE WHEN m.attempt > 0 THEN m.phone_cipher END,
            name_cipher = CASE WHEN m.attempt > 0 THEN m.name_cipher END,
            variables_cipher = CASE WHEN m.attempt > 0 THEN m.variables_cipher END
        FROM waiting w WHERE m.run_id = w.run_id AND m.no = w.no AND m.state = 'queued'
        """,
        phone_hash,
        scope,
        now,
    )
    return affected(status)


async def count_kept(
    conn: Connection, phone_hash: bytes, scope: UUID | None
) -> tuple[int, datetime | None]:
    """How many texts to this number are still kept with it, and when the last run began."""
    row = await conn.fetchrow(
        """
        SELECT count(*) AS kept, max(r.created_at) AS last FROM texts_to($1, '-infinity') m
        CROSS JOIN LATERAL (
            SELECT created_at FROM runs
            WHERE id = m.run_id AND ($2::uuid IS NULL OR department_id = $2) OFFSET 0) r
        WHERE m.phone_cipher IS NOT NULL
        """,
        phone_hash,
        scope,
    )
    found = one(row)
    return found["kept"], found["last"]


async def list_guests(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """On which departments' lists of guests this number is."""
    return await conn.fetch(
        """
        SELECT g.id, g.department_id, d.name AS department, g.note, g.created_at
        FROM guests g JOIN departments d ON d.id = g.department_id
        WHERE g.phone_hash = $1 AND ($2::uuid IS NULL OR g.department_id = $2) ORDER BY g.id
        """,
        phone_hash,
        scope,
    )


async def delete_guests(conn: Connection, phone_hash: bytes, scope: UUID | None) -> int:
    """Take the person off the lists of guests."""
    status = await conn.execute(
        "DELETE FROM guests WHERE phone_hash = $1 AND ($2::uuid IS NULL OR department_id = $2)",
        phone_hash,
        scope,
    )
    return affected(status)


async def forget_learned(conn: Connection, phone_hash: bytes) -> None:
    """Drop what deliveries taught of the number's carrier."""
    await conn.execute("DELETE FROM carrier_overrides WHERE phone_hash = $1", phone_hash)


async def note_counts(conn: Connection, erasure_id: UUID, counts: dict[str, int]) -> None:
    """Keep what an erasure amounted to."""
    await conn.execute("UPDATE erasures SET counts = $2 WHERE id = $1", erasure_id, counts)


async def delete_left_behind(conn: Connection) -> int:
    """Delete contacts and guests that are older than the erasure of their person: somebody held
    them, or was just writing them down.
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
    return left
