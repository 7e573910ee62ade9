"""The SQL of what each fire to come will lose: the people of a plan in groups that fare alike."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from service.audience.segments.segment_store import WORK_MEMORY
from service.campaigns.audience.audience_source import AudienceSource
from service.campaigns.audience.exclusion_store import ExclusionTerms, excluded
from service.storage import sql
from service.storage.postgres import Connection, Record

MOST_OTHERS = 62
"""A group has a bit of one number for each."""


@dataclass(slots=True)
class Membership:
    """Whom which plan means, as parts of one statement with its values.

    own: of the plan itself, once for each of its ways to be judged; others: of other plans, at most
    MOST_OTHERS.
    """

    values: dict[str, Any] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def add_own(self, terms: ExclusionTerms, source: AudienceSource) -> None:
        """The people of the plan, by these terms."""
        self.own.append(
            f"""
            SELECT {len(self.own)}, phone_hash, early, stop, stop_until, late, NULL::bigint
            FROM ({self._excluded(terms, source)}) j WHERE matches IS NOT FALSE
            """  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        )

    def add_plan(self, terms: ExclusionTerms, source: AudienceSource) -> None:
        """The people of another plan that will be in its ledger; as `add_own`."""
        self._add_other(
            f"""
            SELECT phone_hash FROM ({self._excluded(terms, source)}) j
            WHERE matches AND coalesce(early, stop, late) IS NULL
            """  # noqa: S608  # as above
        )

    def add_ledger(self, run_id: UUID, *, queued: bool) -> None:
        """The people of a ledger; queued: those of them who are still to be sent to."""
        run = f"ledger_{len(self.others)}"
        self.values[run] = run_id
        left = " AND state = 'queued'" if queued else ""
        self._add_other(f"SELECT phone_hash FROM messages WHERE run_id = :{run}::uuid{left}")  # noqa: S608

    def _add_other(self, people: str) -> None:
        if len(self.others) >= MOST_OTHERS:
            raise ValueError("a group has no room for so many")
        bit = 1 << len(self.others)
        self.others.append(
            f"SELECT NULL, o.phone_hash, NULL, NULL, NULL, NULL, {bit} FROM ({people}) o"  # noqa: S608
        )

    def _excluded(self, terms: ExclusionTerms, source: AudienceSource) -> str:
        prefix = f"part_{len(self.own) + len(self.others)}_"
        values = {**terms.values, **source.values}
        text, apart = sql.apart(prefix, excluded(terms, source), values)
        self.values |= apart
        return text


async def group_people(
    conn: Connection,
    membership: Membership,
    message_class: str,
    texts: Sequence[str],
    fires: Sequence[datetime],
    bounds: Sequence[datetime],
    since: datetime,
) -> list[Record]:
    """The people of a plan in groups of those who fare alike; needs a transaction.

    fires: the instants of the plan's fires, in order. bounds: in order, the instants between which
    it does not matter when somebody had a text. since: texts before it are of no matter.

    A group has: profile (of each way to be judged `number:early:late`), stop and for how many fires
    it holds (stopped), which others mean them, a bit each (others), what they have had from new to
    old (at; nos: which of the texts, from 1, else 0; runs, where it was one of them), people.
    """
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    people = " UNION ALL ".join(membership.own + membership.others)
    return await sql.fetch(
        conn,
        f"""
        WITH mine AS MATERIALIZED (  -- without a join, which could read others for each person
            SELECT phone_hash, min(stop) AS stop, max(stop_until) AS stop_until,
                   string_agg(way || ':' || coalesce(early, '') || ':' || coalesce(late, ''), ','
                              ORDER BY way) AS profile, coalesce(bit_or(other), 0) AS others
            FROM ({people}) AS p(way, phone_hash, early, stop, stop_until, late, other)
            GROUP BY phone_hash HAVING count(way) > 0
        ), words AS MATERIALIZED (
            SELECT ARRAY(SELECT hashtextextended(w.text, 0)
                         FROM unnest(:texts::text[]) WITH ORDINALITY AS w(text, no)
                         ORDER BY no) AS texts
        )
        SELECT m.profile, m.stop, width_bucket(m.stop_until, :fires::timestamptz[]) AS stopped,
               m.others, coalesce(r.nos, '{{}}') AS nos,
               coalesce(r.runs, '{{}}') AS runs, r.cells, coalesce(max(r.at), '{{}}') AS at,
               count(*) AS people
        FROM mine m CROSS JOIN words w
        LEFT JOIN recent_texts f ON f.phone_hash = m.phone_hash AND f.class = :message_class::text
            AND f.at[1] > :since::timestamptz
        LEFT JOIN LATERAL (
            SELECT array_agg(e.at ORDER BY e.i) AS at,
                   array_agg(width_bucket(e.at, :bounds::timestamptz[]) ORDER BY e.i) AS cells,
                   array_agg(e.no ORDER BY e.i) AS nos,
                   array_agg(CASE WHEN e.no > 0 THEN e.run END ORDER BY e.i) AS runs
            FROM (SELECT u.at, u.run, u.i, coalesce(array_position(w.texts, u.text), 0) AS no
                  FROM unnest(f.at, f.texts, f.runs) WITH ORDINALITY AS u(at, text, run, i)
                  WHERE u.at > :since) e
            ) r ON f.phone_hash IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        """,  # noqa: S608  # compiled from parsed rules, whose values are parameters
        **membership.values,
        message_class=message_class,
        texts=list(texts),
        fires=list(fires),
        bounds=list(bounds),
        since=since,
    )


async def plans_beside(
    conn: Connection,
    campaign_id: UUID,
    message_class: str,
    texts: Collection[str],
    span: tuple[datetime, datetime],
    limit: int,
) -> tuple[list[UUID], int]:
    """Other approved plans of the class that may fire up to the end of a span, and how many more
    there are than `limit`: those that have one of the texts first, then those near the span's
    beginning. Plans for newcomers are left out, for whom they will mean is not known before.
    """
    start, end = span
    rows = await sql.fetch(
        conn,
        """
        SELECT c.id, count(*) OVER () AS plans
        FROM campaigns c
        JOIN template_versions v ON v.id = c.template_version_id
        JOIN templates t ON t.id = v.template_id
        LEFT JOIN LATERAL (
            SELECT min(due_at) AS due_at FROM sequence_steps s
            WHERE s.campaign_id = c.id AND s.outcome IS NULL) s ON true
        WHERE c.id <> :campaign_id AND t.class = :message_class AND c.frozen_rule IS NOT NULL
          AND c.state IN ('scheduled', 'running', 'paused')
          AND c.schedule->>'kind' IS DISTINCT FROM 'joining' AND c.corrects IS NULL
          AND NOT c.drill AND c.key_mode <> 'test' AND least(c.next_fire_at, s.due_at) <= :end
        ORDER BY v.text = ANY (:texts) OR EXISTS (
                SELECT FROM campaign_texts x JOIN template_versions o
                    ON o.id = x.template_version_id
                WHERE x.campaign_id = c.id AND o.text = ANY (:texts)) DESC,
            abs(extract(epoch FROM least(c.next_fire_at, s.due_at) - :start::timestamptz)), c.id
        LIMIT :limit
        """,
        campaign_id=campaign_id,
        message_class=message_class,
        texts=list(texts),
        start=start,
        end=end,
        limit=limit,
    )
    return [row["id"] for row in rows], rows[0]["plans"] - len(rows) if rows else 0


async def sending_runs(conn: Connection, message_class: str, limit: int) -> list[Record]:
    """Runs of campaigns of a class that have not handed off everything, the newest first."""
    return await sql.fetch(
        conn,
        """
        SELECT r.* FROM runs r
        WHERE r.campaign_id IS NOT NULL AND r.state = 'running' AND r.class = :message_class
          AND r.mode NOT IN ('test', 'drill') AND r.over_cap <> 'send' AND r.key_mode <> 'test'
          AND EXISTS (SELECT FROM slices s WHERE s.run_id = r.id AND s.done_at IS NULL)
        ORDER BY r.id DESC LIMIT :limit
        """,
        message_class=message_class,
        limit=limit,
    )


async def days_that_end(
    conn: Connection, department_id: UUID, first: date, last: date, limit: int
) -> list[date]:
    """The days after which lists of a department, or single entries of them, hold no more; the
    earliest ones.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT day FROM (
            SELECT expires_on AS day FROM rosters WHERE department_id = :department_id
            UNION SELECT last_day FROM links WHERE left_by IS NULL AND roster_id = ANY (
                ARRAY(SELECT id FROM rosters WHERE department_id = :department_id))) d
        WHERE day >= :first AND day < :last ORDER BY day LIMIT :limit
        """,
        department_id=department_id,
        first=first,
        last=last,
        limit=limit,
    )
    return [row["day"] for row in rows]


_SENDERS = {
    "plan": """
        SELECT c.id, c.id AS campaign_id, c.name, c.department_id, d.name AS department
        FROM campaigns c JOIN departments d ON d.id = c.department_id WHERE c.id = ANY (:ids)
    """,
    "run": """
        SELECT r.id, r.campaign_id, c.name, r.department_id, d.name AS department
        FROM runs r JOIN departments d ON d.id = r.department_id
        LEFT JOIN campaigns c ON c.id = r.campaign_id WHERE r.id = ANY (:ids)
    """,
}


async def senders(conn: Connection, kind: str, ids: Collection[UUID]) -> list[Record]:
    """Who sends these plans or runs: id, campaign_id and its name if there is one, department_id
    and department.
    """
    return await sql.fetch(conn, _SENDERS[kind], ids=list(ids))


async def save_forecast(
    conn: Connection, campaign_id: UUID, submitted_at: datetime, forecast: Any
) -> None:
    """Keep what was foretold of a campaign when it was submitted."""
    await sql.execute(
        conn,
        """
        INSERT INTO submission_forecasts (campaign_id, submitted_at, forecast)
        VALUES (:campaign_id, :submitted_at, :forecast)
        ON CONFLICT (campaign_id) DO UPDATE
            SET submitted_at = excluded.submitted_at, forecast = excluded.forecast
        """,
        campaign_id=campaign_id,
        submitted_at=submitted_at,
        forecast=forecast,
    )


async def saved_forecast(conn: Connection, campaign_id: UUID, submitted_at: datetime) -> Any:
    """What was foretold at this submission of a campaign; None: nothing."""
    return await sql.fetchval(
        conn,
        """
        SELECT forecast FROM submission_forecasts WHERE campaign_id = :campaign_id
          AND submitted_at = :submitted_at
        """,
        campaign_id=campaign_id,
        submitted_at=submitted_at,
    )
