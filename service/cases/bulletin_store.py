"""The tables of goals, bulletins and releases in SQL; bulletins and releases are only added to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.cases.goals import Goal
from service.storage import sql
from service.storage.postgres import Connection, Record


class GoalsVersion(NamedTuple):
    """The goals as somebody set them."""

    id: int
    goals: tuple[Goal, ...]
    reason: str
    set_by: UUID | None
    set_at: datetime | None


class Bulletin(NamedTuple):
    """A week's figures as issued, with what was released of them to the public."""

    week: str
    version: int
    number: str
    figures: Mapping[str, Any]
    sha256: str
    reason: str
    issued_by: UUID
    issued_at: datetime
    release: Mapping[str, Any]


_BULLETIN = """
    SELECT b.week, b.version, b.number, b.figures, b.sha256, b.reason, b.issued_by, b.issued_at,
           r.cells AS release
    FROM bulletins b JOIN releases r ON r.id = b.release_id
"""


async def read_goals(conn: Connection) -> GoalsVersion:
    """The goals that are in force; none before somebody sets some."""
    row = await conn.fetchrow(
        "SELECT id, goals, reason, set_by, set_at FROM goals ORDER BY id DESC LIMIT 1"
    )
    if row is None:
        return GoalsVersion(0, (), "", None, None)
    goals = tuple(map(Goal.from_json, row["goals"]))
    return GoalsVersion(row["id"], goals, row["reason"], row["set_by"], row["set_at"])


async def write_goals(
    conn: Connection, goals: Sequence[Goal], reason: str, user_id: UUID, now: datetime
) -> None:
    """Put goals in force, in place of all there were."""
    await sql.execute(
        conn,
        """
        INSERT INTO goals (goals, reason, set_by, set_at) VALUES (:goals, :reason, :user_id, :now)
        """,
        goals=[goal.as_json() for goal in goals],
        reason=reason,
        user_id=user_id,
        now=now,
    )


async def insert_release(
    conn: Connection, period: str, version: int, cells: Mapping[str, Any], now: datetime
) -> UUID:
    """Write down what the public is shown of a week or quarter."""
    release_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO releases (period, version, cells, released_at)
        VALUES (:period, :version, :cells, :now) RETURNING id
        """,
        period=period,
        version=version,
        cells=cells,
        now=now,
    )
    return release_id


async def get_release(conn: Connection, period: str, version: int = 1) -> Mapping[str, Any] | None:
    """What the public was shown of a week or quarter; None: nothing yet."""
    cells: Mapping[str, Any] | None = await sql.fetchval(
        conn,
        "SELECT cells FROM releases WHERE period = :period AND version = :version",
        period=period,
        version=version,
    )
    return cells


async def towns_by_week(conn: Connection, weeks: Sequence[str]) -> bool:
    """Whether the public was shown towns of one of these weeks."""
    shown: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM releases
                       WHERE period = ANY (:weeks) AND jsonb_typeof(cells->'towns') = 'object')
        """,
        weeks=weeks,
    )
    return shown


async def insert_bulletin(conn: Connection, bulletin: Bulletin, release_id: UUID) -> None:
    """Write down a bulletin."""
    values = bulletin._asdict()
    del values["release"]
    await sql.execute(
        conn,
        """
        INSERT INTO bulletins (week, version, number, figures, sha256, reason, issued_by, issued_at,
                               release_id)
        VALUES (:week, :version, :number, :figures, :sha256, :reason, :issued_by, :issued_at,
                :release_id)
        """,
        **values,
        release_id=release_id,
    )


async def versions_of(conn: Connection, week: str) -> list[Bulletin]:
    """All versions of a week's bulletin, the first one first."""
    rows = await sql.fetch(conn, _BULLETIN + "WHERE b.week = :week ORDER BY b.version", week=week)
    return [Bulletin(**row) for row in rows]


async def latest_bulletins(conn: Connection, before: str | None, limit: int) -> list[Bulletin]:
    """The last version of each bulletin, from the latest week to earlier ones."""
    rows = await sql.fetch(
        conn,
        _BULLETIN  # noqa: S608  # the columns stand above
        + """
        WHERE (:before::text IS NULL OR b.week < :before)
          AND b.version = (SELECT max(version) FROM bulletins WHERE week = b.week)
        ORDER BY b.week DESC LIMIT :limit
        """,
        before=before,
        limit=limit,
    )
    return [Bulletin(**row) for row in rows]


async def campaigns_of(conn: Connection, week: str, department_id: UUID) -> list[Record]:
    """The campaigns of a department whose text takes its figures from the bulletin of a week, the
    latest first.
    """
    return await sql.fetch(
        conn,
        """
        SELECT c.id AS campaign_id, c.name, c.state
        FROM campaign_figures f JOIN campaigns c ON c.id = f.campaign_id
        WHERE f.figures_from = :week AND c.department_id = :department_id ORDER BY c.id DESC
        """,
        week=week,
        department_id=department_id,
    )
