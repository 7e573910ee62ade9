"""The table of acts that last, in SQL. Until when a row holds is of the database's own clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.long_acts.long_act import LEASE, LongAct
from service.storage import sql
from service.storage.postgres import Connection, affected, one

_COLUMNS = """
    id, action, object_id, user_id, began_at, begun, done, total, ended_at, failed, result,
    lives_until > clock_timestamp() AS lives
"""


async def insert_act(
    conn: Connection,
    action: str,
    object_id: str | None,
    user_id: UUID,
    now: datetime,
    *,
    waits: timedelta = LEASE,
    begun: bool = False,
) -> LongAct:
    """Note that an act begins. waits: how long somebody may take to take it up. begun: somebody
    does it already.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO long_acts (action, object_id, user_id, began_at, begun, lives_until)
        VALUES (:action, :object_id, :user_id, :now, :begun, clock_timestamp() + :waits)
        RETURNING {_COLUMNS}
        """,  # noqa: S608  # constants
        action=action,
        object_id=object_id,
        user_id=user_id,
        now=now,
        begun=begun,
        waits=waits,
    )
    return LongAct(**one(row))


async def take_up(conn: Connection, act_id: UUID) -> LongAct | None:
    """Take up an act that waits; None: somebody else has, or it has waited for too long."""
    row = await sql.fetchrow(
        conn,
        f"""
        UPDATE long_acts SET begun = true, lives_until = clock_timestamp() + :lease
        WHERE id = :act_id AND NOT begun AND ended_at IS NULL AND lives_until > clock_timestamp()
        RETURNING {_COLUMNS}
        """,  # noqa: S608  # constants
        act_id=act_id,
        lease=LEASE,
    )
    return None if row is None else LongAct(**row)


async def renew(conn: Connection, act_id: UUID, done: int, total: int | None) -> None:
    """Say how much is done of all, and that somebody still does it."""
    await sql.execute(
        conn,
        """
        UPDATE long_acts SET done = :done, total = :total,
            lives_until = clock_timestamp() + :lease
        WHERE id = :act_id AND ended_at IS NULL
        """,
        act_id=act_id,
        done=done,
        total=total,
        lease=LEASE,
    )


async def end_act(
    conn: Connection,
    act_id: UUID,
    now: datetime,
    *,
    done: int | None = None,
    total: int | None = None,
    result: Mapping[str, object] | None = None,
    failed: bool = False,
) -> None:
    """Say that an act has ended, and what came of it. done, total: None: as last said."""
    await sql.execute(
        conn,
        """
        UPDATE long_acts SET ended_at = :now, result = :result, failed = :failed,
            done = coalesce(:done::bigint, done), total = coalesce(:total::bigint, total)
        WHERE id = :act_id AND ended_at IS NULL
        """,
        act_id=act_id,
        now=now,
        done=done,
        total=total,
        result=None if result is None else dict(result),
        failed=failed,
    )


async def get_act(conn: Connection, act_id: UUID) -> LongAct | None:
    """One act; None: there is none, or it is not kept any more."""
    row = await sql.fetchrow(
        conn,
        f"SELECT {_COLUMNS} FROM long_acts WHERE id = :act_id",  # noqa: S608  # constants
        act_id=act_id,
    )
    return None if row is None else LongAct(**row)


async def list_acts(
    conn: Connection,
    *,
    action: str | None = None,
    object_id: str | None = None,
    user_id: UUID | None = None,
    limit: int,
) -> list[LongAct]:
    """The last acts, from new to old: all, or those of one operation, one thing, one person."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_COLUMNS} FROM long_acts
        WHERE (:action::text IS NULL OR action = :action)
          AND (:object_id::text IS NULL OR object_id = :object_id)
          AND (:user_id::uuid IS NULL OR user_id = :user_id)
        ORDER BY id DESC LIMIT :limit
        """,  # noqa: S608  # constants
        action=action,
        object_id=object_id,
        user_id=user_id,
        limit=limit,
    )
    return [LongAct(**row) for row in rows]


async def forget_acts(conn: Connection, before: datetime, limit: int) -> int:
    """Drop so many acts that began before then; returns how many."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM long_acts WHERE id IN (
            SELECT id FROM long_acts WHERE began_at < :before LIMIT :limit)
        """,
        before=before,
        limit=limit,
    )
    return affected(status)
