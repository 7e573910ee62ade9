"""The SQL of a campaign's report: all its runs of some weeks, counted in the database."""

from datetime import date
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record


class WeekSpan(NamedTuple):
    """Which runs of a campaign, and of the legs of a joint plan: of one mode, from one Monday up to
    another, in China's days.
    """

    campaign_id: UUID
    mode: str
    first: date
    end: date


RUNS = """
    WITH span AS MATERIALIZED (
        SELECT r.id, r.campaign_id,
               date_trunc('week', r.fire_at AT TIME ZONE 'Asia/Shanghai')::date AS week,
               r.relation, r.text_no, r.state, r.started_at, r.finished_at,
               coalesce(nullif((
                   SELECT t.topic FROM template_versions v JOIN templates t ON t.id = v.template_id
                   WHERE t.department_id = coalesce(p.department_id, r.department_id)
                     AND v.text = r.text
                   ORDER BY v.id LIMIT 1), ''), 'none') AS topic
        FROM runs r JOIN campaigns c ON c.id = r.campaign_id
        LEFT JOIN campaigns p ON p.id = c.leg_of
        WHERE r.campaign_id = ANY (ARRAY(
                SELECT id FROM campaigns WHERE id = :campaign_id OR leg_of = :campaign_id))
          AND r.mode = :mode
          AND r.fire_at >= :first::date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND r.fire_at < :end::date::timestamp AT TIME ZONE 'Asia/Shanghai')
"""
"""The runs of a `WeekSpan`, with the campaign that each is of."""


async def weeks_of(conn: Connection, campaign_id: UUID, mode: str) -> tuple[date, date] | None:
    """The Mondays of a campaign's first fire and of its last, also of those that did not take
    place; None: it has none, and no run of this mode.
    """
    row = await sql.fetchrow(
        conn,
        """
        SELECT date_trunc('week', min(at) AT TIME ZONE 'Asia/Shanghai')::date AS first,
               date_trunc('week', max(at) AT TIME ZONE 'Asia/Shanghai')::date AS last
        FROM (SELECT fire_at AS at FROM runs
              WHERE mode = :mode AND campaign_id = ANY (ARRAY(
                SELECT id FROM campaigns WHERE id = :campaign_id OR leg_of = :campaign_id))
              UNION ALL
              SELECT planned_at FROM campaign_fires
              WHERE campaign_id = :campaign_id AND outcome <> 'fired') fires
        """,
        campaign_id=campaign_id,
        mode=mode,
    )
    return None if row is None or row["first"] is None else (row["first"], row["last"])


async def list_weeks(conn: Connection, span: WeekSpan) -> list[Record]:
    """What there was to send each week: how many runs, of which texts, from when to when."""
    return await sql.fetch(
        conn,
        f"""
        {RUNS}
        SELECT week, relation, count(*) AS runs,
               array_agg(DISTINCT text_no ORDER BY text_no) AS texts,
               min(started_at) AS started_at,
               CASE WHEN bool_and(finished_at IS NOT NULL) THEN max(finished_at) END AS finished_at
        FROM span GROUP BY week, relation
        """,  # noqa: S608  # constants
        **span._asdict(),
    )


async def count_messages(conn: Connection, span: WeekSpan) -> list[Record]:
    """Messages and submitted parts by campaign (the legs of a joint plan), week, relation, topic,
    carrier, channel and state.
    """
    return await sql.fetch(
        conn,
        f"""
        {RUNS}
        SELECT s.campaign_id, s.week, s.relation, s.topic, m.carrier, m.channel_id, m.state::text,
               count(*) AS messages,
               coalesce(sum(m.part_count) FILTER (WHERE m.submitted_at IS NOT NULL), 0) AS parts
        FROM span s JOIN messages m ON m.run_id = s.id
        GROUP BY s.campaign_id, s.week, s.relation, s.topic, m.carrier, m.channel_id, m.state
        """,  # noqa: S608  # constants
        **span._asdict(),
    )


async def count_earlier_parts(conn: Connection, span: WeekSpan) -> list[Record]:
    """Parts that the carriers took at hand-offs which another one followed, perhaps elsewhere."""
    return await sql.fetch(
        conn,
        f"""
        {RUNS}
        SELECT s.campaign_id, s.week, s.relation, s.topic, m.carrier, a.channel_id,
               coalesce(sum(a.part_count), 0) AS parts
        FROM span s JOIN attempts a ON a.run_id = s.id AND a.submitted_at IS NOT NULL
            JOIN messages m ON m.run_id = a.run_id AND m.no = a.no
        GROUP BY s.campaign_id, s.week, s.relation, s.topic, m.carrier, a.channel_id
        """,  # noqa: S608  # constants
        **span._asdict(),
    )


async def channel_names(conn: Connection) -> dict[int, str]:
    """The name of each channel."""
    return {row["id"]: row["name"] for row in await conn.fetch("SELECT id, name FROM channels")}


async def count_exclusions(conn: Connection, span: WeekSpan) -> list[Record]:
    """People left out at expansion, by campaign, week, relation, topic, carrier and reason."""
    return await sql.fetch(
        conn,
        f"""
        {RUNS}
        SELECT s.campaign_id, s.week, s.relation, s.topic,
               coalesce(e.carrier, 'none') AS carrier, e.reason, count(*) AS people
        FROM span s JOIN exclusions e ON e.run_id = s.id
        GROUP BY s.campaign_id, s.week, s.relation, s.topic, coalesce(e.carrier, 'none'), e.reason
        """,  # noqa: S608  # constants
        **span._asdict(),
    )
