"""The tables of suggestions in SQL: lists of weeks, what departments made of them, audiences."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from service.cases.suggested_audiences import SHIPPED, Audiences
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection
from service.words.phrase import phrase

SuggestionKind = Literal["rise", "usual"]


class NewSuggestion(NamedTuple):
    """A suggestion of a week as the figures have it. area_code: a town; "": the county."""

    week: str
    kind: str
    area_code: str
    fraud_type: str
    place: int
    because: Mapping[str, Any]
    audiences: Sequence[str]
    expires_at: datetime


class Suggestion(NamedTuple):
    """A suggestion as it is stored."""

    id: UUID
    week: str
    kind: SuggestionKind
    area_code: str
    fraud_type: str
    because: Mapping[str, Any]
    audiences: Sequence[str]
    made_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None


class SuggestionAct(NamedTuple):
    """What a department made of a suggestion."""

    suggestion_id: UUID
    department_id: UUID
    act: Literal["draft", "dismiss"]
    campaign_id: UUID | None
    reason: str
    because: Mapping[str, Any]
    acted_by: UUID
    acted_at: datetime


class AudienceTable(NamedTuple):
    """Whom each kind of fraud is aimed at, as somebody set it; version 0: as shipped."""

    version: int
    audiences: Audiences
    reason: str
    set_by: UUID | None
    set_at: datetime | None


_SUGGESTION = """
    SELECT id, week, kind, area_code, fraud_type, because, audiences, made_at, expires_at,
           withdrawn_at
    FROM suggestions
"""


async def read_table(conn: Connection) -> AudienceTable:
    """The audiences that are in force."""
    row = await conn.fetchrow(
        """
        SELECT id AS version, audiences, reason, set_by, set_at
        FROM suggestion_rules ORDER BY id DESC LIMIT 1
        """
    )
    return AudienceTable(**row) if row else AudienceTable(0, SHIPPED, "", None, None)


async def write_table(
    conn: Connection, audiences: Audiences, reason: str, user_id: UUID, now: datetime
) -> None:
    """Put audiences in force, in place of all there were; suggestions that are made keep theirs."""
    await sql.execute(
        conn,
        """
        INSERT INTO suggestion_rules (audiences, reason, set_by, set_at)
        VALUES (:audiences, :reason, :user_id, :now)
        """,
        audiences={kind: list(names) for kind, names in audiences.items()},
        reason=reason,
        user_id=user_id,
        now=now,
    )


async def keep_lists(
    conn: Connection, weeks: Collection[str], found: Sequence[NewSuggestion], now: datetime
) -> None:
    """Let these be the suggestions of some weeks.

    One that was there has the figures of now; one that had been withdrawn is made anew; those that
    are not found any more are withdrawn.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO suggestions AS s (week, kind, area_code, fraud_type, place, because, audiences,
                                      made_at, expires_at)
        SELECT week, kind, area_code, fraud_type, place, because,
               ARRAY(SELECT jsonb_array_elements_text(audiences)), :now, expires_at
        FROM jsonb_to_recordset(:found::jsonb) AS f (
            week text, kind text, area_code text, fraud_type text, place smallint, because jsonb,
            audiences jsonb, expires_at timestamptz)
        ON CONFLICT (week, kind, area_code, fraud_type) DO UPDATE SET
            place = excluded.place, because = excluded.because,
            audiences = CASE WHEN s.withdrawn_at IS NULL THEN s.audiences
                             ELSE excluded.audiences END,
            made_at = CASE WHEN s.withdrawn_at IS NULL THEN s.made_at ELSE excluded.made_at END,
            expires_at = CASE WHEN s.withdrawn_at IS NULL THEN s.expires_at
                              ELSE excluded.expires_at END,
            withdrawn_at = NULL
        """,
        found=[
            {**one._asdict(), "expires_at": one.expires_at.isoformat(), "because": one.because}
            for one in found
        ],
        now=now,
    )
    await sql.execute(
        conn,
        """
        UPDATE suggestions SET withdrawn_at = :now
        WHERE week = ANY (:weeks) AND withdrawn_at IS NULL
          AND NOT (week, kind, area_code, fraud_type) IN (
              SELECT * FROM unnest(:found_weeks::text[], :kinds::text[], :areas::text[],
                                   :types::text[]))
        """,
        now=now,
        weeks=list(weeks),
        found_weeks=[one.week for one in found],
        kinds=[one.kind for one in found],
        areas=[one.area_code for one in found],
        types=[one.fraud_type for one in found],
    )


async def list_of_week(conn: Connection, week: str) -> list[Suggestion]:
    """The suggestions of a week in their order, also those that are withdrawn."""
    rows = await sql.fetch(
        conn, _SUGGESTION + "WHERE week = :week ORDER BY kind, place, id", week=week
    )
    return [Suggestion(**row) for row in rows]


async def get_suggestion(conn: Connection, suggestion_id: UUID) -> Suggestion:
    """A suggestion, which nobody withdraws until the transaction ends.

    Raises:
        NotFound: there is none of this id.
    """
    row = await sql.fetchrow(
        conn,
        _SUGGESTION + "WHERE id = :suggestion_id FOR SHARE",
        suggestion_id=suggestion_id,
    )
    if row is None:
        raise NotFound(phrase("there is no suggestion of this id"))
    return Suggestion(**row)


async def acts_on(
    conn: Connection, ids: Sequence[UUID], department_id: UUID | None
) -> list[SuggestionAct]:
    """What departments made of suggestions. department_id: of that one alone; None: of all."""
    rows = await sql.fetch(
        conn,
        """
        SELECT suggestion_id, department_id, act, campaign_id, reason, because, acted_by, acted_at
        FROM suggestion_acts
        WHERE suggestion_id = ANY (:ids)
          AND (:department_id::uuid IS NULL OR department_id = :department_id)
        ORDER BY acted_at, department_id
        """,
        ids=ids,
        department_id=department_id,
    )
    return [SuggestionAct(**row) for row in rows]


async def insert_act(conn: Connection, act: SuggestionAct) -> bool:
    """Write down what a department made of a suggestion; False: it had made something of it."""
    written = await sql.fetchval(
        conn,
        """
        INSERT INTO suggestion_acts (suggestion_id, department_id, act, campaign_id, reason,
                                     because, acted_by, acted_at)
        VALUES (:suggestion_id, :department_id, :act, :campaign_id, :reason, :because, :acted_by,
                :acted_at)
        ON CONFLICT DO NOTHING RETURNING true
        """,
        **act._asdict(),
    )
    return bool(written)
