"""The SQL of audiences: counting whom a plan means, and keeping what was counted."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from service.audience.segments.segment_sql import CARRIER, Compiled
from service.audience.segments.segment_store import WORK_MEMORY, reached
from service.campaigns.core.model import ENDED
from service.reports.audience import SAMPLE, PlanAudience
from service.storage import sql
from service.storage.postgres import Connection, Record, one


async def next_uncounted(conn: Connection, before: datetime) -> Record | None:
    """A plan that was not counted since `before`, or by another rule: id, department_id, class and
    rule; None: there is none.
    """
    return await sql.fetchrow(
        conn,
        """
        SELECT c.id, c.department_id, t.class, coalesce(c.frozen_rule, s.rule) AS rule
        FROM campaigns c
        LEFT JOIN segments s ON s.id = c.segment_id
        JOIN template_versions v ON v.id = c.template_version_id
        JOIN templates t ON t.id = v.template_id
        LEFT JOIN audience_estimates e ON e.campaign_id = c.id
        WHERE c.state <> ALL (:states) AND (c.segment_id IS NOT NULL OR c.leg_of IS NOT NULL)
          AND (e.rule IS DISTINCT FROM coalesce(c.frozen_rule, s.rule) OR e.counted_at < :before)
        ORDER BY e.counted_at NULLS FIRST, c.id LIMIT 1
        """,
        before=before,
        states=[state.value for state in ENDED],
    )


async def count_audience(
    conn: Connection, department_id: UUID, condition: Compiled, message_class: str, now: datetime
) -> PlanAudience:
    """Whom a text of this class to those whom a compiled rule means would reach; needs a
    transaction.
    """
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    row = one(
        await sql.fetchrow(
            conn,
            f"""
            WITH people AS MATERIALIZED (
                SELECT c.phone_hash, coalesce({CARRIER}, 'none') AS carrier
                {reached(condition)})
            SELECT (SELECT count(*) FROM people) AS target,
                   (SELECT coalesce(jsonb_object_agg(carrier, n), '{{}}') FROM (
                        SELECT carrier, count(*) AS n FROM people GROUP BY carrier) g)
                       AS by_carrier,
                   ARRAY(SELECT hashbyteaextended(phone_hash, 0) AS hashed FROM people
                         ORDER BY hashed LIMIT :sample) AS sample
            """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
            department_id=department_id,
            now=now,
            message_class=message_class,
            sample=SAMPLE,
            **condition.values,
        )
    )
    return PlanAudience(row["target"], row["by_carrier"], row["sample"])


async def save_audience(
    conn: Connection, campaign_id: UUID, rule: str, audience: PlanAudience | None, now: datetime
) -> None:
    """Keep what was counted; None: the rule could not be read."""
    await sql.execute(
        conn,
        """
        INSERT INTO audience_estimates (campaign_id, rule, counted_at, target, by_carrier, sample)
        SELECT id, :rule, :now, :target, :by_carrier, :sample FROM campaigns WHERE id = :campaign_id
        ON CONFLICT (campaign_id) DO UPDATE SET
            rule = excluded.rule, counted_at = excluded.counted_at, target = excluded.target,
            by_carrier = excluded.by_carrier, sample = excluded.sample
        """,
        campaign_id=campaign_id,
        rule=rule,
        now=now,
        target=audience.target if audience else None,
        by_carrier=dict(audience.by_carrier) if audience else {},
        sample=list(audience.sample) if audience else [],
    )


async def saved_audiences(
    conn: Connection, campaign_ids: Collection[UUID]
) -> dict[UUID, PlanAudience]:
    """What was counted of these plans."""
    rows = await sql.fetch(
        conn,
        """
        SELECT campaign_id, target, by_carrier, sample FROM audience_estimates
        WHERE campaign_id = ANY (:campaign_ids) AND target IS NOT NULL
        """,
        campaign_ids=list(campaign_ids),
    )
    return {
        row["campaign_id"]: PlanAudience(row["target"], row["by_carrier"], row["sample"])
        for row in rows
    }
