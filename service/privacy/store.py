"""The SQL of privacy: disclosures, erasures, and everything that is kept about one number.

`scope` is the only department that is meant, None for all.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience.rosters.roster_store import shown_evidence
from service.storage import sql
from service.storage.postgres import Connection, Record

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
    made: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO disclosures (kind, object_id, phone_hash, department_id, user_id,
                                 reason_cipher, at, holder_id)
        VALUES (:kind, :object_id, :phone_hash, :department_id, :user_id, :reason_cipher, :at,
                :holder_id) RETURNING id
        """,
        kind=new.kind,
        object_id=new.object_id,
        phone_hash=new.phone_hash,
        department_id=new.department_id,
        user_id=new.user_id,
        reason_cipher=new.reason_cipher,
        at=new.at,
        holder_id=new.holder_id,
    )
    return made


async def find_octets(conn: Connection, receipt_id: int) -> bytes | None:
    """The cipher of a delivery that could not be read."""
    found: bytes | None = await sql.fetchval(
        conn,
        "SELECT octets_cipher FROM receipts_unmatched WHERE id = :receipt_id",
        receipt_id=receipt_id,
    )
    return found


async def find_contact(conn: Connection, contact_id: UUID, scope: UUID | None) -> Record | None:
    """A contact's hash and ciphers, whose it is, and whether it is of a minor."""
    return await sql.fetchrow(
        conn,
        f"""
        SELECT phone_hash, phone_cipher, name_cipher, department_id, false AS erased,
               age_band IS NOT DISTINCT FROM {_MINOR} AS minor FROM contacts
        WHERE id = :contact_id AND (:scope::uuid IS NULL OR department_id = :scope)
        """,  # noqa: S608  # a constant
        contact_id=contact_id,
        scope=scope,
    )


async def list_wechat_ciphers(conn: Connection, contact_id: UUID) -> list[bytes]:
    """The ciphers of the WeChat IDs that the lists of a contact say now, the oldest first."""
    rows = await sql.fetch(
        conn,
        """
        SELECT wechat_cipher FROM links
        WHERE contact_id = :contact_id AND left_by IS NULL AND wechat_cipher IS NOT NULL
        ORDER BY id
        """,
        contact_id=contact_id,
    )
    return [row["wechat_cipher"] for row in rows]


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
    return await sql.fetchrow(
        conn,
        f"""
        SELECT m.phone_hash, m.phone_cipher, m.name_cipher, r.department_id, {erased} AS erased,
               EXISTS (SELECT FROM contacts c
                       WHERE c.department_id = r.department_id AND c.phone_hash = m.phone_hash
                         AND c.age_band = {_MINOR}) AS minor
        FROM runs r JOIN messages m ON m.run_id = r.id
        WHERE r.id = :run_id AND m.no = :no AND (:scope::uuid IS NULL OR r.department_id = :scope)
        """,  # noqa: S608  # constants
        run_id=run_id,
        no=no,
        scope=scope,
    )


async def find_inbound(conn: Connection, text_id: UUID, scope: UUID | None) -> Record | None:
    """The hash and cipher of the sender of a text, and whether the person was erased since."""
    erased = _ERASED.format(
        hash="t.sender_hash", since="t.received_at", department="t.department_id"
    )
    return await sql.fetchrow(
        conn,
        f"""
        SELECT t.sender_hash AS phone_hash, t.sender_cipher AS phone_cipher,
               NULL::bytea AS name_cipher, t.department_id, {erased} AS erased, false AS minor
        FROM inbound_texts t WHERE t.id = :text_id
          AND (:scope::uuid IS NULL OR t.department_id = :scope)
        """,  # noqa: S608  # a constant
        text_id=text_id,
        scope=scope,
    )


async def list_memberships(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """The contacts with this number and the lists they are or were on, with what shows a consent
    by the latest row that holds.
    """
    return await sql.fetch(
        conn,
        f"""
        SELECT DISTINCT ON (d.name, c.id, r.name)
               c.id AS contact_id, c.department_id, d.name AS department, c.created_at,
               r.id AS roster_id, r.name AS roster, r.basis, r.expires_on,
               l.left_by IS NULL AS listed, {shown_evidence("i", "r")}
        FROM departments d
        JOIN contacts c ON c.department_id = d.id AND c.phone_hash = :phone_hash
        LEFT JOIN links l ON l.contact_id = c.id
        LEFT JOIN rosters r ON r.id = l.roster_id
        LEFT JOIN imports i ON i.id = l.import_id
        WHERE :scope::uuid IS NULL OR d.id = :scope
        ORDER BY d.name, c.id, r.name, l.left_by IS NULL DESC, l.id DESC
        """,  # noqa: S608  # names of columns
        phone_hash=phone_hash,
        scope=scope,
    )


async def list_messages(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """The texts to this number, the latest first, one more than `MOST_MESSAGES` if there are."""
    return await sql.fetch(
        conn,
        """
        SELECT r.id AS run_id, m.no, r.department_id, d.name AS department, r.campaign_id,
               r.class, r.text, m.state::text,
               shown_reason(m.reason) AS reason, m.marked_at, m.submitted_at, m.final_at
        FROM texts_to(:phone_hash, '-infinity') m
        CROSS JOIN LATERAL (
            SELECT id, department_id, campaign_id, class, text FROM runs
            WHERE id = m.run_id AND (:scope::uuid IS NULL OR department_id = :scope) OFFSET 0) r
        JOIN departments d ON d.id = r.department_id
        ORDER BY r.id DESC LIMIT :limit
        """,
        phone_hash=phone_hash,
        scope=scope,
        limit=MOST_MESSAGES + 1,
    )


async def list_suppressions(
    conn: Connection, phone_hash: bytes, scope: UUID | None
) -> list[Record]:
    """What is stopped to this number: for all departments, and of the scope's own notices."""
    return await sql.fetch(
        conn,
        """
        SELECT s.reason, s.created_at, s.expires_at, d.name AS department,
               CASE WHEN s.department_id <> :scope THEN '{public_interest}' ELSE s.classes END
                   AS classes
        FROM suppressions s
        LEFT JOIN departments d ON d.id = s.department_id
          AND (:scope::uuid IS NULL OR d.id = :scope)
        WHERE s.phone_hash = :phone_hash AND (:scope::uuid IS NULL OR s.department_id IS NULL
            OR s.department_id = :scope OR 'public_interest' = ANY (s.classes))
        ORDER BY s.created_at
        """,
        phone_hash=phone_hash,
        scope=scope,
    )


async def count_inbound(conn: Connection, phone_hash: bytes, scope: UUID | None) -> int:
    """How many texts came from this number."""
    count: int = await sql.fetchval(
        conn,
        """
        SELECT count(*) FROM inbound_texts
        WHERE sender_hash = :phone_hash AND (:scope::uuid IS NULL OR department_id = :scope)
        """,
        phone_hash=phone_hash,
        scope=scope,
    )
    return count


async def list_disclosures(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """Who saw this number in full, or looked it up, where it was the department's to show."""
    return await sql.fetch(
        conn,
        """
        SELECT id, kind, user_id, department_id, holder_id, reason_cipher, at FROM disclosures
        WHERE phone_hash = :phone_hash
          AND (:scope::uuid IS NULL OR holder_id IS NULL OR holder_id = :scope)
        ORDER BY id
        """,
        phone_hash=phone_hash,
        scope=scope,
    )


async def list_erasures(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """When this person was erased, and where."""
    return await sql.fetch(
        conn,
        """
        SELECT id, department_id, erased_at FROM erasures
        WHERE phone_hash = :phone_hash
          AND (:scope::uuid IS NULL OR department_id IS NULL OR department_id = :scope)
        ORDER BY id
        """,
        phone_hash=phone_hash,
        scope=scope,
    )


async def list_visits(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """The follow-ups in which somebody was to be visited, and what came of it."""
    return await sql.fetch(
        conn,
        """
        SELECT v.id AS visit_id, f.id AS followup_id, f.root_run_id AS run_id, f.department_id,
               d.name AS department, v.state, f.started_at, (
                   SELECT count(*) FROM visit_tries t WHERE t.visit_id = v.id)::int AS tries
        FROM visits v JOIN followups f ON f.id = v.followup_id
            JOIN departments d ON d.id = f.department_id
        WHERE v.phone_hash = :phone_hash AND (:scope::uuid IS NULL OR f.department_id = :scope)
        ORDER BY f.started_at DESC
        """,
        phone_hash=phone_hash,
        scope=scope,
    )


async def list_corrections(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """Where this number was said at the door to be somebody's new one, the latest first."""
    return await sql.fetch(
        conn,
        """
        SELECT c.id, v.followup_id, c.department_id, d.name AS department, c.state, t.at
        FROM number_corrections c JOIN visits v ON v.id = c.visit_id
            JOIN visit_tries t ON t.visit_id = c.visit_id AND t.no = c.try_no
            JOIN departments d ON d.id = c.department_id
        WHERE c.phone_hash = :phone_hash AND (:scope::uuid IS NULL OR c.department_id = :scope)
        ORDER BY c.id DESC
        """,
        phone_hash=phone_hash,
        scope=scope,
    )


async def list_duties(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """Of which departments this number is or was the liaison's, or the leader's in charge."""
    return await sql.fetch(
        conn,
        """
        SELECT p.id, p.department_id, d.name AS department, p.duty, p.since, p.until
        FROM department_people p JOIN departments d ON d.id = p.department_id
        WHERE p.phone_hash = :phone_hash AND (:scope::uuid IS NULL OR p.department_id = :scope)
        ORDER BY p.id
        """,
        phone_hash=phone_hash,
        scope=scope,
    )


async def list_guests(conn: Connection, phone_hash: bytes, scope: UUID | None) -> list[Record]:
    """On which departments' lists of guests this number is."""
    return await sql.fetch(
        conn,
        """
        SELECT g.id, g.department_id, d.name AS department, g.note, g.created_at
        FROM guests g JOIN departments d ON d.id = g.department_id
        WHERE g.phone_hash = :phone_hash AND (:scope::uuid IS NULL OR g.department_id = :scope)
        ORDER BY g.id
        """,
        phone_hash=phone_hash,
        scope=scope,
    )
