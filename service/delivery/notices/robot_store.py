"""The SQL of robots of work groups: set up, told, posted to."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record, affected


class PostResult(NamedTuple):
    """What an attempt came to. next_at: when a post that waits is tried again. rest_until: until
    when its robot is posted nothing.
    """

    state: str
    error: str = ""
    next_at: datetime | None = None
    rest_until: datetime | None = None


class RobotCard(NamedTuple):
    """What is no secret of a robot."""

    kind: str
    name: str
    language: str
    kinds: Sequence[str]


async def insert_robot(
    conn: Connection,
    department_id: UUID,
    told: RobotCard,
    ciphers: tuple[bytes, bytes | None],
    by: tuple[UUID, datetime],
) -> UUID:
    """Set up a robot."""
    found: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO group_robots (department_id, kind, name, language, kinds, address_cipher,
                                  secret_cipher, made_by, made_at)
        VALUES (:department_id, :kind, :name, :language, :kinds, :address, :secret, :made_by,
                :made_at) RETURNING id
        """,
        department_id=department_id,
        **told._asdict(),
        address=ciphers[0],
        secret=ciphers[1],
        made_by=by[0],
        made_at=by[1],
    )
    return found


_ROBOT = """
    SELECT r.id, r.kind, r.name, r.language, r.kinds, r.address_cipher,
           r.secret_cipher IS NOT NULL AS is_signed, r.made_by, r.made_at, r.rest_until,
           l.state AS last_state, l.made_at AS last_at, l.error AS last_error
    FROM group_robots r LEFT JOIN LATERAL (
        SELECT state, made_at, error FROM robot_posts WHERE robot_id = r.id
        ORDER BY id DESC LIMIT 1) l ON true
"""


async def list_robots(conn: Connection, department_id: UUID, limit: int) -> list[Record]:
    """The robots of a department, and what became of the last post of each."""
    return await sql.fetch(
        conn,
        f"{_ROBOT} WHERE r.department_id = :department_id AND r.ended_at IS NULL"
        " ORDER BY r.id LIMIT :limit",
        department_id=department_id,
        limit=limit,
    )


async def find_robot(conn: Connection, department_id: UUID, robot_id: UUID) -> Record | None:
    """One of them."""
    return await sql.fetchrow(
        conn,
        f"{_ROBOT} WHERE r.id = :id AND r.department_id = :department_id AND r.ended_at IS NULL",
        id=robot_id,
        department_id=department_id,
    )


async def set_kinds(
    conn: Connection, department_id: UUID, robot_id: UUID, kinds: Sequence[str]
) -> list[str] | None:
    """Tell the group of a robot of these kinds from now on; returns those before, None: there is
    no such robot.
    """
    found: list[str] | None = await sql.fetchval(
        conn,
        """
        WITH before AS (
            SELECT id, kinds FROM group_robots
            WHERE id = :id AND department_id = :department_id AND ended_at IS NULL FOR UPDATE
        )
        UPDATE group_robots r SET kinds = :kinds FROM before WHERE r.id = before.id
        RETURNING before.kinds
        """,
        id=robot_id,
        department_id=department_id,
        kinds=list(kinds),
    )
    return found


async def end_robot(
    conn: Connection, department_id: UUID, robot_id: UUID, by: tuple[UUID, datetime]
) -> bool:
    """Post nothing more to a robot, and forget its address; whether there was one."""
    status = await sql.execute(
        conn,
        """
        UPDATE group_robots SET ended_by = :ended_by, ended_at = :ended_at, address_cipher = NULL,
            secret_cipher = NULL
        WHERE id = :id AND department_id = :department_id AND ended_at IS NULL
        """,
        id=robot_id,
        department_id=department_id,
        ended_by=by[0],
        ended_at=by[1],
    )
    return affected(status) == 1


async def insert_post(conn: Connection, robot_id: UUID, now: datetime, *, is_test: bool) -> UUID:
    """A post, to be sent at once."""
    found: UUID = await sql.fetchval(
        conn,
        "INSERT INTO robot_posts (robot_id, is_test, made_at, next_at)"
        " VALUES (:robot_id, :is_test, :now, :now) RETURNING id",
        robot_id=robot_id,
        is_test=is_test,
        now=now,
    )
    return found


async def count_open_tests(conn: Connection, robot_id: UUID) -> int:
    """How many tests of a robot wait."""
    count: int = await sql.fetchval(
        conn,
        "SELECT count(*) FROM robot_posts WHERE robot_id = :robot_id AND is_test"
        " AND state IN ('waiting', 'leaving')",
        robot_id=robot_id,
    )
    return count


async def owe_robots(
    conn: Connection, move_id: int, cause: Record, department_id: UUID, *, of_leg: bool = False
) -> None:
    """Owe a move to the groups of a department that are to be told of such."""
    await sql.execute(
        conn,
        """
        INSERT INTO robot_notices (robot_id, move_id, leg_move_id, campaign_id, kind, due_at)
        SELECT id, :move_id, :leg_move_id, :campaign_id, :kind, :at FROM group_robots
        WHERE department_id = :department_id AND :kind = ANY (kinds) AND ended_at IS NULL
        ON CONFLICT DO NOTHING
        """,
        move_id=None if of_leg else move_id,
        leg_move_id=move_id if of_leg else None,
        campaign_id=cause["campaign_id"],
        kind=cause["kind"],
        at=cause["at"],
        department_id=department_id,
    )


async def robots_wait(conn: Connection, due_by: datetime, now: datetime) -> bool:
    """Whether a group is to be told of something, or a post has been leaving for too long."""
    waits: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM robot_notices WHERE settled_at IS NULL AND due_at <= :due_by)
            OR EXISTS (SELECT FROM robot_unit_notices
                       WHERE settled_at IS NULL AND due_at <= :due_by)
            OR EXISTS (SELECT FROM robot_posts
                       WHERE state IN ('waiting', 'leaving') AND next_at <= :now)
        """,
        due_by=due_by,
        now=now,
    )
    return waits


async def make_posts(conn: Connection, due_by: datetime, too_old: datetime, now: datetime) -> None:
    """Make one post a robot of what is due; what is over, too old, of a kind that the group is told
    of no more, or of a robot that is no more is settled without one.
    """
    await sql.execute(
        conn,
        """
        UPDATE robot_notices n SET settled_at = :now FROM group_robots r, campaigns c
        WHERE n.settled_at IS NULL AND n.due_at <= :due_by AND r.id = n.robot_id
          AND c.id = n.campaign_id
          AND (r.ended_at IS NOT NULL OR n.due_at <= :too_old OR n.kind <> ALL (r.kinds)
               OR n.kind = 'approval' AND c.state <> 'pending_approval')
        """,
        now=now,
        due_by=due_by,
        too_old=too_old,
    )
    await sql.execute(
        conn,
        """
        WITH due AS (
            SELECT robot_id FROM robot_notices WHERE settled_at IS NULL AND due_at <= :due_by
            UNION
            SELECT robot_id FROM robot_unit_notices WHERE settled_at IS NULL AND due_at <= :due_by
        ), made AS (
            INSERT INTO robot_posts (robot_id, is_test, made_at, next_at)
            SELECT robot_id, false, :now, :now FROM due RETURNING id, robot_id
        ), of_units AS (
            UPDATE robot_unit_notices n SET settled_at = :now, post_id = made.id FROM made
            WHERE n.robot_id = made.robot_id AND n.settled_at IS NULL AND n.due_at <= :due_by
        )
        UPDATE robot_notices n SET settled_at = :now, post_id = made.id FROM made
        WHERE n.robot_id = made.robot_id AND n.settled_at IS NULL AND n.due_at <= :due_by
        """,
        now=now,
        due_by=due_by,
    )


async def note_lost_posts(conn: Connection, error: str, now: datetime) -> list[UUID]:
    """Posts whose process has not said what became of them may have left: they are not sent again.
    Returns them.
    """
    rows = await sql.fetch(
        conn,
        """
        UPDATE robot_posts SET state = 'uncertain', error = :error, ended_at = :now
        WHERE state = 'leaving' AND next_at <= :now RETURNING id
        """,
        error=error,
        now=now,
    )
    return [row["id"] for row in rows]


async def claim_posts(
    conn: Connection, limit: int, until: datetime, window: tuple[datetime, int], now: datetime
) -> list[Record]:
    """Take posts that are due, of each robot one, unless it rests or had as many as it takes.
    window: since when posts of a robot count, and how many it takes.
    """
    since, most = window
    return await sql.fetch(
        conn,
        """
        WITH mine AS (
            SELECT p.id FROM (
                SELECT DISTINCT ON (robot_id) id, robot_id, next_at FROM robot_posts
                WHERE state = 'waiting' AND next_at <= :now ORDER BY robot_id, next_at, id) p
            JOIN group_robots r ON r.id = p.robot_id
            WHERE (r.rest_until IS NULL OR r.rest_until <= :now)
              AND (SELECT count(*) FROM robot_posts o
                   WHERE o.robot_id = r.id AND o.left_at > :since) < :most
            ORDER BY p.next_at, p.id LIMIT :limit
        ), locked AS (
            SELECT p.id FROM robot_posts p JOIN mine ON mine.id = p.id
            WHERE p.state = 'waiting' FOR UPDATE OF p SKIP LOCKED
        )
        UPDATE robot_posts p SET state = 'leaving', attempts = attempts + 1, next_at = :until,
            left_at = :now
        FROM locked, group_robots r WHERE p.id = locked.id AND r.id = p.robot_id
        RETURNING p.id, p.robot_id, p.is_test, p.made_at, p.attempts, r.kind, r.language, r.name,
            r.address_cipher, r.secret_cipher
        """,
        limit=limit,
        until=until,
        since=since,
        most=most,
        now=now,
    )


async def count_post_kinds(conn: Connection, post_id: UUID) -> dict[str, int]:
    """Of how many notices of each kind a post tells."""
    rows = await sql.fetch(
        conn,
        "SELECT kind, count(*) AS n FROM robot_notices WHERE post_id = :post_id GROUP BY kind",
        post_id=post_id,
    )
    return {row["kind"]: row["n"] for row in rows}


async def record_post(conn: Connection, post_id: UUID, result: PostResult, now: datetime) -> None:
    """Write down what became of a post that was claimed; also of one that was given up for lost."""
    await sql.execute(
        conn,
        """
        WITH recorded AS (
            UPDATE robot_posts SET state = :state, error = :error,
                next_at = coalesce(:next_at, next_at),
                ended_at = CASE WHEN :state <> 'waiting' THEN :now::timestamptz END
            WHERE id = :post_id
              AND (state = 'leaving' OR state = 'uncertain' AND :state IN ('sent', 'given_up'))
            RETURNING robot_id
        )
        UPDATE group_robots SET rest_until = :rest_until FROM recorded
        WHERE id = recorded.robot_id AND :rest_until::timestamptz IS NOT NULL
        """,
        post_id=post_id,
        state=result.state,
        error=result.error,
        next_at=result.next_at,
        rest_until=result.rest_until,
        now=now,
    )


async def forget_posts(conn: Connection, before: datetime, limit: int) -> None:
    """Delete posts that ended before, with what they told of; and what was not posted by then."""
    rows = await sql.fetch(
        conn,
        "SELECT id FROM robot_posts WHERE ended_at < :before ORDER BY ended_at LIMIT :limit"
        " FOR UPDATE SKIP LOCKED",
        before=before,
        limit=limit,
    )
    ids: Sequence[UUID] = [row["id"] for row in rows]
    await sql.execute(conn, "DELETE FROM robot_notices WHERE post_id = ANY (:ids)", ids=ids)
    await sql.execute(conn, "DELETE FROM robot_unit_notices WHERE post_id = ANY (:ids)", ids=ids)
    await sql.execute(
        conn,
        """
        DELETE FROM robot_unit_notices WHERE id IN (
            SELECT id FROM robot_unit_notices WHERE post_id IS NULL AND settled_at < :before
            ORDER BY settled_at LIMIT :limit FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        limit=limit,
    )
    await sql.execute(conn, "DELETE FROM robot_posts WHERE id = ANY (:ids)", ids=ids)
