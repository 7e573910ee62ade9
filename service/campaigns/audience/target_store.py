"""The people whom an approval was for, as keyed digests, in SQL.

Each person is the first four octets of the keyed hash of the phone: a megabyte for 250,000 people,
and one stranger in 17,000 is taken for one of them. Nobody can make a number that passes without
the key.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.segments.segment_store import WORK_MEMORY
from service.campaigns.audience.audience_source import AudienceSource
from service.campaigns.audience.exclusion_store import REASON_SQL, ExclusionTerms, excluded
from service.storage import sql
from service.storage.postgres import Connection, one


class AudienceChange(NamedTuple):
    """Of so many people, so many others than those of the approval. is_held: their digest was kept
    with the fire, because they are too many.
    """

    others: int
    people: int
    is_held: bool


ONE = 1
"""A single person who is new holds no fire, however small its target: a ported number is enough."""

_PERSON = "('x' || encode(substring(c.phone_hash FOR 4), 'hex'))::bit(32)::integer"


def _included(terms: ExclusionTerms, source: AudienceSource) -> str:
    """FROM and WHERE of those of these people whom nothing leaves out, as `c`."""
    return f"FROM ({excluded(terms, source)}) c WHERE matches AND {REASON_SQL} IS NULL"


async def keep_approved(
    conn: Connection, campaign_id: UUID, terms: ExclusionTerms, source: AudienceSource
) -> None:
    """Keep those of these people whom the terms leave out for nothing, as those whom the approval
    is for; in the place of all that were kept before. Needs a transaction.
    """
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    await sql.execute(
        conn,
        "DELETE FROM campaign_targets WHERE campaign_id = :campaign_id",
        campaign_id=campaign_id,
    )
    await sql.execute(
        conn,
        f"""
        INSERT INTO campaign_targets (campaign_id, people, taken_at)
        SELECT :campaign_id::uuid, coalesce(array_agg(person), '{{}}'), :at::timestamptz
        FROM (SELECT {_PERSON} AS person {_included(terms, source)}) p
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        **terms.values,
        **source.values,
        campaign_id=campaign_id,
    )


async def compare(
    conn: Connection,
    campaign_id: UUID,
    terms: ExclusionTerms,
    of_text: ExclusionTerms,
    source: AudienceSource,
    planned_at: datetime,
    share: float,
) -> AudienceChange:
    """How many of those people whom the text of a fire is for were not in the approved target, in
    one statement; needs a transaction.

    terms: what decides whom the plan is for, whichever of its texts it sends; of_text: whom of
    them the text of this fire is for. They differ in what they need.

    If the others are more than `share` of all whom the text is for, and more than one, the digest
    of the plan's people is kept with the fire. Where no target was kept at the approval, the plan's
    people of this fire become those of the approval.
    """
    plans = f"SELECT {_PERSON} AS person {_included(terms, source)}"
    if terms.needs == of_text.needs:
        plans = "SELECT person FROM due"
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    row = one(
        await sql.fetchrow(
            conn,
            f"""
            WITH due AS MATERIALIZED (SELECT {_PERSON} AS person {_included(of_text, source)}),
            approved AS (
                SELECT people FROM campaign_targets
                WHERE campaign_id = :campaign_id::uuid AND planned_at IS NULL
            ), counted AS MATERIALIZED (  -- EXCEPT hashes both sides; a join would guess their size
                SELECT (SELECT count(*) FROM (SELECT person FROM due EXCEPT ALL
                                              SELECT unnest(people) FROM approved) o) AS others,
                       (SELECT count(*) FROM due) AS people,
                       EXISTS (SELECT FROM approved) AS is_known
            ), kept AS (
                INSERT INTO campaign_targets (campaign_id, planned_at, people, taken_at)
                SELECT :campaign_id::uuid, CASE WHEN is_known THEN :planned_at::timestamptz END,
                       coalesce((SELECT array_agg(person) FROM ({plans}) p), '{{}}'),
                       :at::timestamptz
                FROM counted WHERE NOT is_known OR others > greatest(:share::float8 * people, {ONE})
                ON CONFLICT (campaign_id, planned_at) DO UPDATE
                    SET people = excluded.people, taken_at = excluded.taken_at
            )
            SELECT CASE WHEN is_known THEN others ELSE 0 END AS others, people,
                   is_known AND others > greatest(:share::float8 * people, {ONE}) AS is_held
            FROM counted
            """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
            **terms.values,
            **source.values,
            campaign_id=campaign_id,
            planned_at=planned_at,
            share=share,
        )
    )
    return AudienceChange(**row)


async def approve_held(conn: Connection, campaign_id: UUID, planned_at: datetime) -> None:
    """Let the people of a fire that was held be those of the approval from now on; nothing changes
    if their digest was not kept.
    """
    await sql.execute(
        conn,
        """
        WITH known AS (
            SELECT people, taken_at FROM campaign_targets
            WHERE campaign_id = :campaign_id AND planned_at = :planned_at
        )
        UPDATE campaign_targets t SET people = known.people, taken_at = known.taken_at
        FROM known WHERE t.campaign_id = :campaign_id AND t.planned_at IS NULL
        """,
        campaign_id=campaign_id,
        planned_at=planned_at,
    )


async def list_changers(conn: Connection, campaign_id: UUID) -> list[UUID]:
    """Who has put a list into the campaign's department since its people were approved."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT i.created_by FROM campaign_targets t
        JOIN campaigns c ON c.id = t.campaign_id
        JOIN imports i ON i.department_id = c.department_id
        WHERE t.campaign_id = :campaign_id AND t.planned_at IS NULL
          AND NOT i.dry_run AND i.created_at >= t.taken_at
        """,
        campaign_id=campaign_id,
    )
    return [row["created_by"] for row in rows]
