"""The SQL of a joint plan's figures: its legs' ledgers, counted in the database."""

from service.ledger.reasons import Reason
from service.reports.campaign_store import RUNS, WeekSpan
from service.storage import sql
from service.storage.postgres import Connection, Record


async def count_towns(conn: Connection, span: WeekSpan) -> list[Record]:
    """Messages by leg, town (`none`: not known) and state."""
    return await sql.fetch(
        conn,
        f"""
        {RUNS}
        SELECT s.campaign_id AS leg, coalesce(left(m.area_code, 9) || '000', 'none') AS town,
               m.state::text, count(*) AS messages
        FROM span s JOIN messages m ON m.run_id = s.id
        GROUP BY s.campaign_id, left(m.area_code, 9), m.state
        """,  # noqa: S608  # constants
        **span._asdict(),
    )


async def count_sent_for_others(conn: Connection, span: WeekSpan) -> list[Record]:
    """People of other legs to whom a leg has sent the text in their place, by that leg; of fires
    that are older than the places are kept, none.
    """
    return await sql.fetch(
        conn,
        f"""
        {RUNS}, stopped AS (
            SELECT r.joint_fire, m.phone_hash FROM span s JOIN runs r ON r.id = s.id
            JOIN messages m ON m.run_id = s.id AND m.reason = '{Reason.OTHER_LEG}'
            UNION ALL
            SELECT r.joint_fire, e.phone_hash FROM span s JOIN runs r ON r.id = s.id
            JOIN exclusions e ON e.run_id = s.id AND e.reason = '{Reason.OTHER_LEG}')
        SELECT o.campaign_id AS leg, count(*) AS people
        FROM stopped p JOIN joint_places j ON j.fire = p.joint_fire AND j.phone_hash = p.phone_hash
        JOIN runs o ON o.id = j.run_id GROUP BY o.campaign_id
        """,  # noqa: S608  # constants
        **span._asdict(),
    )


async def count_lists(conn: Connection, span: WeekSpan) -> list[Record]:
    """Of the legs whose carriers send by themselves: how many texts stood on lists, and what the
    carriers said in counts alone, the last time for each list and run.
    """
    return await sql.fetch(
        conn,
        f"""
        {RUNS}, told AS (
            SELECT DISTINCT ON (g.list_file_id, g.run_id) g.run_id, g.counts
            FROM span s JOIN list_file_results g ON g.run_id = s.id
            ORDER BY g.list_file_id, g.run_id, g.id DESC
        ), of_run AS (
            SELECT run_id, sum((counts->>'delivered')::int) AS delivered,
                   sum((counts->>'undelivered')::int) AS undelivered
            FROM told GROUP BY run_id
        )
        SELECT s.campaign_id AS leg, sum(l.texts)::int AS texts, sum(o.delivered)::int AS delivered,
               sum(o.undelivered)::int AS undelivered
        FROM span s CROSS JOIN LATERAL (
            SELECT count(*) AS texts FROM list_file_lines WHERE run_id = s.id) l
        LEFT JOIN of_run o ON o.run_id = s.id
        WHERE l.texts > 0 GROUP BY s.campaign_id
        """,  # noqa: S608  # constants
        **span._asdict(),
    )
