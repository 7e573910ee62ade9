"""The SQL of texts that a department offers to others, and of the copies that were taken over.

An offer is of one version. The offers of a template follow each other by `replaces`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from service.errors import NotFound
from service.ledger.message_class import MessageClass
from service.messages.lint.lint import Finding
from service.storage import sql
from service.storage.postgres import Connection
from service.words.phrase import phrase

Side = Literal["received", "given"]


class NewOffer(NamedTuple):
    """What is offered to whom. kinds, department_ids: of departments. direct: direct sends of an
    unchanged copy need no approval of its department. correction: the words before were wrong.
    note: what others should know of it.
    """

    kinds: Sequence[str]
    department_ids: Sequence[UUID]
    direct: bool
    correction: bool
    note: str


class Offer(NamedTuple):
    """An offer with the version that it is of. department_id, department: whose words they are.

    author_id: who wrote them. read: the findings of lint at their approval. replaced_by: the offer
    of the same template after it.
    """

    id: UUID
    template_version_id: UUID
    template_id: UUID
    department_id: UUID
    department: str
    name: str
    message_class: MessageClass
    topic: str
    language: str
    version: int
    text: str
    author_id: UUID
    read: list[Finding]
    kinds: list[str]
    department_ids: list[UUID]
    direct: bool
    correction: bool
    note: str
    offered_by: UUID
    offered_at: datetime
    replaces: UUID | None
    replaced_by: UUID | None
    withdrawn_by: UUID | None
    withdrawn_at: datetime | None
    withdrawn_why: str | None
    stops: bool


_OFFER = """
    SELECT o.id, o.template_version_id, t.id AS template_id, t.department_id,
           d.name AS department, t.name, t.class AS message_class, t.topic, t.language,
           v.no AS version, v.text, v.edited_by AS author_id,
           coalesce(v.approved_lint, '[]') AS read, o.kinds, o.department_ids, o.direct,
           o.correction, o.note, o.offered_by, o.offered_at, o.replaces, n.id AS replaced_by,
           o.withdrawn_by, o.withdrawn_at, o.withdrawn_why, o.stops
    FROM text_offers o
    JOIN template_versions v ON v.id = o.template_version_id
    JOIN templates t ON t.id = v.template_id
    JOIN departments d ON d.id = t.department_id
    LEFT JOIN text_offers n ON n.replaces = o.id
"""

_OFFERS_OF = """
    FROM text_offers o JOIN template_versions v ON v.id = o.template_version_id
    WHERE v.template_id = :template_id
"""


async def latest_offer(conn: Connection, template_id: UUID) -> UUID | None:
    """The last offer of a template, withdrawn or not; ask with the template locked."""
    found: UUID | None = await sql.fetchval(
        conn,
        f"""
        SELECT o.id {_OFFERS_OF} AND NOT EXISTS (SELECT FROM text_offers n WHERE n.replaces = o.id)
        """,  # noqa: S608  # constants
        template_id=template_id,
    )
    return found


async def insert_offer(
    conn: Connection,
    version_id: UUID,
    new: NewOffer,
    replaces: UUID | None,
    by: tuple[UUID, UUID | None],
    now: datetime,
) -> UUID:
    """Store an offer; the database refuses one of words that were not approved, or by who wrote
    them. by: who offers, and in whose place.
    """
    user_id, absent_id = by
    offer_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO text_offers (template_version_id, kinds, department_ids, direct, correction,
                                 note, replaces, offered_by, offered_for, offered_at)
        VALUES (:version_id, :kinds, :department_ids, :direct, :correction, :note, :replaces,
                :user_id, :absent_id, :now)
        RETURNING id
        """,
        version_id=version_id,
        kinds=list(new.kinds),
        department_ids=list(new.department_ids),
        direct=new.direct,
        correction=new.correction,
        note=new.note,
        replaces=replaces,
        user_id=user_id,
        absent_id=absent_id,
        now=now,
    )
    return offer_id


async def unknown_departments(conn: Connection, department_ids: Collection[UUID]) -> list[UUID]:
    """Those of these ids that no department has."""
    rows = await sql.fetch(
        conn,
        """
        SELECT u.id FROM unnest(:department_ids::uuid[]) AS u(id)
        WHERE NOT EXISTS (SELECT FROM departments WHERE id = u.id) ORDER BY u.id
        """,
        department_ids=list(department_ids),
    )
    return [row["id"] for row in rows]


async def get_offer(
    conn: Connection, offer_id: UUID, scope: UUID | None, *, lock: bool = False
) -> Offer:
    """One offer that a department sees: its own, or one that it may take; None: any.

    lock: nobody withdraws it before the end of the transaction.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    if lock:
        await sql.execute(
            conn, "SELECT FROM text_offers WHERE id = :offer_id FOR SHARE", offer_id=offer_id
        )
    row = await sql.fetchrow(
        conn,
        f"""
        {_OFFER} WHERE o.id = :offer_id AND (:scope::uuid IS NULL OR t.department_id = :scope
            OR is_offered_to(o.id, :scope))
        """,
        offer_id=offer_id,
        scope=scope,
    )
    if row is None:
        raise NotFound(phrase("there is no offer {offer_id}", offer_id=offer_id))
    return Offer(*row)


async def list_offers(
    conn: Connection,
    scope: UUID | None,
    side: Side | None,
    own_id: UUID,
    before: UUID | None,
    limit: int,
) -> list[Offer]:
    """A page of the offers that a department sees (None: of all), from new to old.

    side: those that the department `own_id` may take, or has made; None: both.
    """
    rows = await sql.fetch(
        conn,
        f"""
        {_OFFER}
        WHERE (:scope::uuid IS NULL OR t.department_id = :scope OR is_offered_to(o.id, :scope))
          AND CASE :side WHEN 'given' THEN t.department_id = :own_id
                         WHEN 'received' THEN is_offered_to(o.id, :own_id) ELSE true END
          AND (:before::uuid IS NULL OR o.id < :before)
        ORDER BY o.id DESC LIMIT :limit
        """,
        scope=scope,
        side=side or "",
        own_id=own_id,
        before=before,
        limit=limit,
    )
    return [Offer(*row) for row in rows]


async def offers_by_id(conn: Connection, offer_ids: Collection[UUID]) -> dict[UUID, Offer]:
    """These offers, whoever sees them."""
    if not offer_ids:
        return {}
    rows = await sql.fetch(conn, f"{_OFFER} WHERE o.id = ANY(:ids)", ids=list(offer_ids))
    return {row["id"]: Offer(*row) for row in rows}


class Taker(NamedTuple):
    """A copy of an offer. current: it is the latest version of its template."""

    offer_id: UUID
    department_id: UUID
    department: str
    template_id: UUID
    version_id: UUID
    taken_at: datetime
    current: bool


async def takers_of(
    conn: Connection, offer_ids: Collection[UUID], department_id: UUID | None
) -> list[Taker]:
    """The copies of these offers that a department has (None: all have), from old to new."""
    rows = await sql.fetch(
        conn,
        """
        SELECT v.taken_from, t.department_id, d.name, t.id, v.id, v.created_at, NOT EXISTS (
                   SELECT FROM template_versions n WHERE n.template_id = t.id AND n.no > v.no)
        FROM template_versions v JOIN templates t ON t.id = v.template_id
        JOIN departments d ON d.id = t.department_id
        WHERE v.taken_from = ANY(:offer_ids)
          AND (:department_id::uuid IS NULL OR t.department_id = :department_id)
        ORDER BY v.id
        """,
        offer_ids=list(offer_ids),
        department_id=department_id,
    )
    return [Taker(*row) for row in rows]


async def copy_of(conn: Connection, template_id: UUID, department_id: UUID) -> UUID | None:
    """A department's template whose latest version is a copy of an offer of this one."""
    found: UUID | None = await sql.fetchval(
        conn,
        f"""
        SELECT t.id FROM template_versions c JOIN templates t ON t.id = c.template_id
        WHERE t.department_id = :department_id AND c.taken_from IN (SELECT o.id {_OFFERS_OF})
          AND NOT EXISTS (
              SELECT FROM template_versions n WHERE n.template_id = t.id AND n.no > c.no)
        ORDER BY t.id LIMIT 1
        """,  # noqa: S608  # constants
        template_id=template_id,
        department_id=department_id,
    )
    return found


async def authors_of(conn: Connection, offer_ids: Collection[UUID]) -> list[UUID]:
    """Who wrote the words of these offers."""
    offers = await offers_by_id(conn, offer_ids)
    return sorted({offer.author_id for offer in offers.values()})
