"""What a department's own lists and texts say of the audiences of suggestions, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.segments.segment_sql import CompiledTogether
from service.ledger.states import MessageState
from service.storage import sql
from service.storage.postgres import Connection, Record

WORK_MEMORY = "64MB"
"""What the one statement over all people of a department may use before it writes to disk."""


class TopicRun(NamedTuple):
    """A run of a department: the day of its fire in China, its text, and the text's topic.

    settled: nothing of it is on its way any more.
    """

    id: UUID
    day: date
    text: str
    topic: str
    settled: bool


class TopicTemplate(NamedTuple):
    """A template whose latest version is approved, or an unchanged copy of an approved one."""

    id: UUID
    name: str
    text: str
    topic: str


class AudienceCount(NamedTuple):
    """People of an audience who are on file, and of them those whom a text of a topic reached.

    reached_on: the last day on which one did, of the days that were looked at.
    """

    on_file: int
    reached: Sequence[int]
    reached_on: Sequence[date | None]


async def runs_since(conn: Connection, department_id: UUID, since: datetime) -> list[TopicRun]:
    """The runs of a department's campaigns, and of its legs of joint plans, from an instant on."""
    rows = await sql.fetch(
        conn,
        """
        SELECT r.id, (r.fire_at AT TIME ZONE 'Asia/Shanghai')::date AS day, r.text,
               coalesce((
                   SELECT t.topic FROM template_versions v JOIN templates t ON t.id = v.template_id
                   WHERE t.department_id = coalesce(p.department_id, r.department_id)
                     AND v.text = r.text
                   ORDER BY v.id LIMIT 1), '') AS topic,
               r.settled_at IS NOT NULL AS settled
        FROM runs r JOIN campaigns c ON c.id = r.campaign_id
        LEFT JOIN campaigns p ON p.id = c.leg_of
        WHERE r.department_id = :department_id AND r.campaign_id IS NOT NULL
          AND r.fire_at >= :since AND r.mode = 'real' AND r.started_at IS NOT NULL
        ORDER BY r.fire_at, r.id
        """,
        department_id=department_id,
        since=since,
    )
    return [TopicRun(**row) for row in rows]


async def approved_templates(conn: Connection, department_id: UUID) -> list[TopicTemplate]:
    """The approved texts of a department that have a topic and may be sent, by name."""
    rows = await sql.fetch(
        conn,
        """
        SELECT t.id, t.name, v.text, t.topic
        FROM templates t
        JOIN LATERAL (SELECT id, text, approved_at, taken_from FROM template_versions
                      WHERE template_id = t.id ORDER BY no DESC LIMIT 1) v ON true
        WHERE t.department_id = :department_id AND t.topic <> ''
          AND (v.approved_at IS NOT NULL OR v.taken_from IS NOT NULL)
          AND withdrawn_offer_of(v.id) IS NULL
        ORDER BY t.name, t.id
        """,
        department_id=department_id,
    )
    return [TopicTemplate(**row) for row in rows]


async def count_audiences(
    conn: Connection,
    department_id: UUID,
    rules: CompiledTogether,
    runs: Sequence[UUID],
    days: Sequence[Sequence[date | None]],
) -> list[AudienceCount]:
    """The people of each rule, all read once. Whom a rule means is worked out once for each person,
    and not for each of the counts that are made of it.

    days: of each topic, the day of each of the runs whose text is of it; None: it is of another.
    """
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    topics = range(len(days))
    asked = "".join(f", :days_{n}::date[]" for n in topics)
    named = "".join(f", d{n}" for n in topics)
    last = "".join(f", max(r.d{n}) AS d{n}" for n in topics)
    means = "".join(f", {condition} AS m{n}" for n, condition in enumerate(rules.conditions))
    columns = [_columns(n, topics) for n in range(len(rules.conditions))]
    values: dict[str, Any] = {
        "department_id": department_id,
        "runs": runs,
        **{f"days_{n}": of_topic for n, of_topic in enumerate(days)},
        **rules.values,
    }
    row: Record | None = await sql.fetchrow(
        conn,
        f"""
        WITH sent AS MATERIALIZED (
            SELECT m.phone_hash{last}
            FROM unnest(:runs::uuid[]{asked}) AS r(id{named}), LATERAL (
                SELECT phone_hash FROM ledger_of(r.id)
                WHERE state = '{MessageState.DELIVERED}' OFFSET 0) m
            GROUP BY m.phone_hash)
        SELECT {", ".join(columns)}
        FROM (SELECT c.phone_hash{means} FROM {rules.source}
              WHERE c.department_id = :department_id OFFSET 0) p
        LEFT JOIN sent s ON s.phone_hash = p.phone_hash
        """,  # noqa: S608  # compiled from parsed rules, whose values are parameters
        **values,
    )
    found: Mapping[str, object] = dict(row or {})
    return [_count(found, n, topics) for n in range(len(rules.conditions))]


def _columns(rule: int, topics: range) -> str:
    counts = [f"count(*) FILTER (WHERE p.m{rule}) AS f{rule}"]
    for topic in topics:
        reached = f"p.m{rule} AND s.d{topic} IS NOT NULL"
        counts.append(f"count(*) FILTER (WHERE {reached}) AS r{rule}_{topic}")
        counts.append(f"max(s.d{topic}) FILTER (WHERE p.m{rule}) AS l{rule}_{topic}")
    return ", ".join(counts)


def _count(row: Mapping[str, object], rule: int, topics: range) -> AudienceCount:
    reached, last = [], []
    for topic in topics:
        people, day = row[f"r{rule}_{topic}"], row[f"l{rule}_{topic}"]
        reached.append(people if isinstance(people, int) else 0)
        last.append(day if isinstance(day, date) else None)
    on_file = row[f"f{rule}"]
    return AudienceCount(on_file if isinstance(on_file, int) else 0, reached, last)
