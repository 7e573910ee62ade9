"""The table of logins that went wrong, in SQL."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection

FREE_ATTEMPTS = 5
"""So many logins of one name may go wrong before it is shut for a while."""
FIRST_LOCK, LONGEST_LOCK = timedelta(seconds=30), timedelta(minutes=30)
"""How long at first; doubled with each attempt that goes wrong, up to the longest."""


@dataclass(frozen=True, slots=True)
class FailureCounter:
    """What logins that go wrong are counted by. source: a keyed hash of it.

    free: so many may go wrong before it is shut. forgets: the count begins again after so long
    without one. user_id: whose login it is, if it is anybody's.
    """

    source: bytes
    free: int
    forgets: timedelta
    user_id: UUID | None = None


async def begin_attempt(
    conn: Connection, counter: FailureCounter, now: datetime
) -> datetime | None:
    """Count a login as gone wrong before it is looked at, so that many at once are counted, too.

    Returns until when it is shut; then nothing is counted.
    """
    counted = await sql.fetchval(
        conn,
        """
        INSERT INTO login_failures AS f (source_hash, user_id, failures, failed_at)
        VALUES (:source, :user_id, 1, :now)
        ON CONFLICT (source_hash) DO UPDATE SET user_id = excluded.user_id, failed_at = :now,
            failures = CASE WHEN f.failed_at > :now - :forgets::interval THEN f.failures ELSE 0 END
                + 1,
            locked_until = CASE WHEN f.failed_at > :now - :forgets::interval
              AND f.failures + 1 >= :free
                THEN :now + least(:first_lock::interval * 2 ^ least(f.failures + 1 - :free, 20),
                                  :longest_lock::interval) END
        WHERE f.locked_until IS NULL OR f.locked_until <= :now
        RETURNING true
        """,
        source=counter.source,
        user_id=counter.user_id,
        now=now,
        free=counter.free,
        forgets=counter.forgets,
        first_lock=FIRST_LOCK,
        longest_lock=LONGEST_LOCK,
    )
    if counted:
        return None
    until: datetime | None = await sql.fetchval(
        conn,
        "SELECT locked_until FROM login_failures WHERE source_hash = :source",
        source=counter.source,
    )
    return until or now


async def forgive_attempt(conn: Connection, counter: FailureCounter) -> None:
    """Take back the counting of one attempt."""
    await sql.execute(
        conn,
        """
        UPDATE login_failures SET failures = greatest(failures - 1, 0),
            locked_until = CASE WHEN failures - 1 >= :free THEN locked_until END
        WHERE source_hash = :source
        """,
        source=counter.source,
        free=counter.free,
    )


async def end_attempts(conn: Connection, user_id: UUID) -> None:
    """A login went well: what went wrong of it before is forgotten."""
    await sql.execute(conn, "DELETE FROM login_failures WHERE user_id = :user_id", user_id=user_id)
