"""The tables of lint, in SQL: a county's levels and lists, and what a department may write.

What holds is never changed: a change is a new row, and the last one holds. Proposals of changes
stand beside it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from service.errors import NotFound
from service.messages.lint.never_words import Holds, InUse
from service.messages.policy import Policy, TextSender, policy_from, with_shipped_words
from service.storage import sql
from service.storage.postgres import Connection, Record, one
from service.words.phrase import phrase

REMEMBERED = timedelta(days=30)
"""How long a text that was sent counts for R24."""

_COMPARED = 200


@dataclass(frozen=True, slots=True)
class LintChange:
    """One change of a policy or of a sender: what it set, why, by whom and when.

    confirmed_by: the second person; None: it made lint no less strict.
    """

    no: int
    content: Mapping[str, Any]
    reason: str
    changed_by: UUID | None
    changed_at: datetime
    confirmed_by: UUID | None


_PROPOSED = (
    "id, department_id, content, reason, proposed_by, proposed_at, confirmed_by, confirmed_at,"
    " replaced_at, holds"
)


class LintProposal(NamedTuple):
    """A change that waits for a second person, or waited; department_id: of the sender it is
    about, None for the county's rules. content: all that is to hold. holds: what its new
    never-words would hold back, counted when it was made; each a `never_words.Holds`.
    """

    id: UUID
    department_id: UUID | None
    content: Mapping[str, Any]
    reason: str
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    replaced_at: datetime | None
    holds: Sequence[Mapping[str, Any]]


POLICY = "(SELECT changes::text FROM lint_policies ORDER BY no DESC LIMIT 1)"
"""Part of a statement: what the county has changed of what is shipped, for `policy_of`."""


async def policy_get(conn: Connection) -> Policy:
    """The levels and lists that hold now."""
    return policy_of(await conn.fetchval(f"SELECT {POLICY}"))


@lru_cache(maxsize=4)  # those that hold, and those before for whoever still reads them
def policy_of(changes: str | None) -> Policy:
    """The levels and lists by `POLICY`: made once for the same changes, for each send asks."""
    return policy_from(json.loads(changes or "{}"))


async def policy_changes(conn: Connection) -> dict[str, Any]:
    """What the county has changed of what is shipped."""
    found = await conn.fetchval("SELECT changes FROM lint_policies ORDER BY no DESC LIMIT 1")
    return found or {}


async def never_words(conn: Connection) -> Mapping[str, Sequence[str]]:
    """The words that are never used, by carrier: those shipped, and those of the county."""
    own: Mapping[str, Sequence[str]] = (await policy_changes(conn)).get("never_words", {})
    return with_shipped_words(own)


async def policy_set(
    conn: Connection,
    changes: Mapping[str, Any],
    reason: str,
    by: UUID | None,
    now: datetime,
    *,
    confirmed_by: UUID | None = None,
) -> None:
    """Let other levels and lists hold from now on.

    by: None: the program itself. confirmed_by: the second person, if it needed one.

    Raises:
        Invalid: they make no sense.
    """
    policy_from(changes)
    await sql.execute(
        conn,
        """
        INSERT INTO lint_policies (changes, reason, changed_by, changed_at, confirmed_by)
        VALUES (:changes, :reason, :by, :now, :confirmed_by)
        """,
        changes=dict(changes),
        reason=reason,
        by=by,
        now=now,
        confirmed_by=confirmed_by,
    )


async def policy_history(conn: Connection, before: int | None, limit: int) -> list[LintChange]:
    """A page of changes, from new to old."""
    rows = await sql.fetch(
        conn,
        """
        SELECT no, changes AS content, reason, changed_by, changed_at, confirmed_by
        FROM lint_policies
        WHERE :before::int IS NULL OR no < :before ORDER BY no DESC LIMIT :limit
        """,
        before=before,
        limit=limit,
    )
    return [_change(row) for row in rows]


async def sender_get(conn: Connection, department_id: UUID, signature: str = "") -> TextSender:
    """Whose a text of a department would be, with everything that is registered for it.

    signature: the one of the text, without 【】, if a second person reads it. A county's own office
    registers signatures; so it may use one that is nobody's.
    """
    row = await sql.fetchrow(
        conn,
        """
        SELECT d.name, d.kind,
               ARRAY(SELECT signature FROM signatures
                     WHERE department_id = d.id AND ended_at IS NULL) AS signatures,
               s.landlines, s.links,
               d.kind = 'county'
                   AND NOT EXISTS (SELECT FROM signatures WHERE signature = :signature) AS may_take
        FROM departments d
        LEFT JOIN LATERAL (
            SELECT landlines, links FROM lint_senders WHERE department_id = d.id
            ORDER BY no DESC LIMIT 1
        ) s ON true
        WHERE d.id = :department_id
        """,
        department_id=department_id,
        signature=signature,
    )
    if row is None:
        raise ValueError(
            phrase("there is no department {department_id}", department_id=department_id)
        )
    own = {*row["signatures"], signature} if row["may_take"] else row["signatures"]
    return TextSender(
        tenant=row["name"],
        kind=row["kind"],
        signatures=frozenset(own),
        landlines=frozenset(row["landlines"] or ()),
        links=bool(row["links"]),
    )


async def landlines(conn: Connection) -> Mapping[UUID, frozenset[str]]:
    """The numbers that are registered for each department that has any, in digits."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (department_id) department_id, landlines FROM lint_senders
        ORDER BY department_id, no DESC
        """
    )
    return {row["department_id"]: frozenset(row["landlines"]) for row in rows if row["landlines"]}


async def sender_set(
    conn: Connection,
    department_id: UUID,
    sender: tuple[Sequence[str], bool],
    reason: str,
    by: UUID | None,
    now: datetime,
    *,
    confirmed_by: UUID | None = None,
) -> None:
    """Register what a department may write: its numbers, in digits, and whether links.

    Signatures are registered with the department itself.
    """
    landlines, links = sender
    await sql.execute(
        conn,
        "SELECT FROM departments WHERE id = :department_id FOR UPDATE",
        department_id=department_id,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO lint_senders (department_id, no, landlines, links, reason, changed_by,
                                  changed_at, confirmed_by)
        SELECT :department_id, coalesce(max(no), 0) + 1, :landlines, :links, :reason, :by, :now,
            :confirmed_by
        FROM lint_senders WHERE department_id = :department_id
        """,
        department_id=department_id,
        landlines=list(landlines),
        links=links,
        reason=reason,
        by=by,
        now=now,
        confirmed_by=confirmed_by,
    )


async def sender_history(conn: Connection, department_id: UUID) -> list[LintChange]:
    """Every change of what a department may write, from new to old."""
    rows = await sql.fetch(
        conn,
        """
        SELECT no, jsonb_build_object('landlines', landlines, 'links', links) AS content, reason,
               changed_by, changed_at, confirmed_by
        FROM lint_senders WHERE department_id = :department_id ORDER BY no DESC LIMIT 200
        """,
        department_id=department_id,
    )
    return [_change(row) for row in rows]


async def insert_proposal(
    conn: Connection,
    department_id: UUID | None,
    content: Mapping[str, Any],
    reason: str,
    by: UUID,
    now: datetime,
    holds: Sequence[Holds] = (),
) -> LintProposal:
    """Write down a proposal; no other one of the same waits."""
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO lint_proposals (department_id, content, reason, proposed_by, proposed_at, holds)
        VALUES (:department_id, :content, :reason, :by, :now, :holds) RETURNING {_PROPOSED}
        """,  # noqa: S608  # the columns stand above
        department_id=department_id,
        content=dict(content),
        reason=reason,
        by=by,
        now=now,
        holds=[held._asdict() for held in holds],
    )
    return LintProposal(*one(row))


async def replace_waiting(conn: Connection, department_id: UUID | None, now: datetime) -> None:
    """Put aside what waits to be confirmed."""
    await sql.execute(
        conn,
        """
        UPDATE lint_proposals SET replaced_at = :now
        WHERE department_id IS NOT DISTINCT FROM :department_id AND confirmed_at IS NULL
          AND replaced_at IS NULL
        """,
        department_id=department_id,
        now=now,
    )


async def get_waiting(conn: Connection, department_id: UUID | None) -> LintProposal | None:
    """The proposal that waits, perhaps for too long."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_PROPOSED} FROM lint_proposals
        WHERE department_id IS NOT DISTINCT FROM :department_id AND confirmed_at IS NULL
          AND replaced_at IS NULL
        """,  # noqa: S608  # the columns stand above
        department_id=department_id,
    )
    return LintProposal(*row) if row else None


async def get_proposal(
    conn: Connection, department_id: UUID | None, proposal_id: UUID
) -> LintProposal:
    """One proposal.

    Raises:
        NotFound: there is none of this id for this department, or for the county's rules.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_PROPOSED} FROM lint_proposals
        WHERE id = :proposal_id AND department_id IS NOT DISTINCT FROM :department_id
        """,  # noqa: S608  # the columns stand above
        proposal_id=proposal_id,
        department_id=department_id,
    )
    if row is None:
        raise NotFound(phrase("there is no proposal {proposal_id}", proposal_id=proposal_id))
    return LintProposal(*row)


async def note_confirmed(
    conn: Connection, proposal: LintProposal, by: UUID, now: datetime
) -> LintProposal:
    """Write down who confirmed a proposal; the database refuses whoever made it."""
    await sql.execute(
        conn,
        "UPDATE lint_proposals SET confirmed_by = :by, confirmed_at = :now WHERE id = :proposal_id",
        proposal_id=proposal.id,
        by=by,
        now=now,
    )
    return proposal._replace(confirmed_by=by, confirmed_at=now)


async def texts_sent(conn: Connection, department_id: UUID, now: datetime) -> list[str]:
    """The texts of a department's campaigns that fired within the last 30 days."""
    rows = await sql.fetch(
        conn,
        """
        SELECT text FROM runs
        WHERE department_id = :department_id AND campaign_id IS NOT NULL AND state <> 'cancelled'
          AND fire_at > :since AND fire_at <= :now
        GROUP BY text ORDER BY max(fire_at) DESC LIMIT :compared
        """,
        department_id=department_id,
        since=now - REMEMBERED,
        now=now,
        compared=_COMPARED,
    )
    return [row["text"] for row in rows]


async def texts_in_use(conn: Connection) -> InUse:
    """The texts and names that a new never-word could stand in."""
    templates = await conn.fetch(
        """
        SELECT v.text FROM templates t JOIN LATERAL (
            SELECT text, approved_by FROM template_versions
            WHERE template_id = t.id ORDER BY no DESC LIMIT 1
        ) v ON v.approved_by IS NOT NULL
        """
    )
    campaigns = await conn.fetch(
        """
        SELECT v.text || ARRAY(
                   SELECT o.text FROM campaign_texts x
                   JOIN template_versions o ON o.id = x.template_version_id
                   WHERE x.campaign_id = c.id) AS texts
        FROM campaigns c JOIN template_versions v ON v.id = c.template_version_id
        WHERE c.state IN ('scheduled', 'running', 'paused', 'held')
        """
    )
    names = await conn.fetch(
        "SELECT signature AS name FROM signatures WHERE ended_at IS NULL"
        " UNION SELECT name FROM areas"
    )
    return InUse(
        [row["text"] for row in templates],
        [row["texts"] for row in campaigns],
        [row["name"] for row in names],
    )


def _change(row: Record) -> LintChange:
    return LintChange(**row)
