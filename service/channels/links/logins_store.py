"""The SQL of logins: whose turn it is, and what became of each link.

Turns measure the patience of processes with a carrier, so they use the database's real clock, like
leases; what people are shown comes with `now`.
"""

from datetime import datetime, timedelta
from uuid import UUID

from service.channels.links import logins
from service.channels.links.logins import CALM, Ending
from service.storage import sql
from service.storage.postgres import Connection, one

TURN_SECONDS = 20.0
"""A turn lasts so long at most; longer than any opening of a link."""

LEAST_WAIT = 0.1


async def take_turn(conn: Connection, channel_id: int) -> tuple[bool, float]:
    """Whether a login is the channel's one for now, and the seconds until the next may come.

    (False, 0.0): nothing has failed of late, everybody may log in. (True, 0.0): it may, and nobody
    else before it is known what came of it.
    """
    row = one(
        await sql.fetchrow(
            conn,
            """
            WITH taken AS (
                UPDATE channel_logins SET next_at = clock_timestamp() + :turn::interval
                WHERE channel_id = :channel_id AND failures > 0 AND next_at <= clock_timestamp()
                RETURNING channel_id
            )
            SELECT EXISTS (SELECT FROM taken) AS taken, (
                SELECT extract(epoch FROM next_at - clock_timestamp())::float FROM channel_logins
                WHERE channel_id = :channel_id AND failures > 0) AS wait
            """,
            channel_id=channel_id,
            turn=timedelta(seconds=TURN_SECONDS),
        )
    )
    if row["taken"] or row["wait"] is None:
        return row["taken"], 0.0
    return False, max(LEAST_WAIT, row["wait"])


async def opened(conn: Connection, channel_id: int) -> None:
    """A login was accepted in its turn: the next may come as if it had failed."""
    failures = await sql.fetchval(
        conn,
        """
        SELECT failures FROM channel_logins WHERE channel_id = :channel_id AND failures > 0
        FOR UPDATE
        """,
        channel_id=channel_id,
    )
    if failures is not None:
        await _put_off(conn, channel_id, logins.delay(failures))


async def failed(conn: Connection, channel_id: int, ending: Ending, *, turn: bool) -> None:
    """A login failed, or its link never worked; `turn`: it was the channel's one.

    Several connections that fail together count once.
    """
    failures = await sql.fetchval(
        conn,
        """
        INSERT INTO channel_logins AS was (channel_id, failures) VALUES (:channel_id, 1)
        ON CONFLICT (channel_id) DO UPDATE SET failures = was.failures + 1
            WHERE :turn OR was.failures = 0
        RETURNING failures
        """,
        channel_id=channel_id,
        turn=turn,
    )
    if failures is not None:
        await _put_off(conn, channel_id, logins.delay(failures, retryable=ending.retryable))


async def worked(conn: Connection, channel_id: int) -> None:
    """A link of the channel works or has worked, or its settings are others now: begin anew."""
    await sql.execute(
        conn,
        """
        UPDATE channel_logins SET failures = 0, next_at = NULL
        WHERE channel_id = :channel_id AND failures > 0
        """,
        channel_id=channel_id,
    )


async def next_login(conn: Connection, channel_id: int) -> float | None:
    """Seconds until the channel's next login; None: it waits for none."""
    wait: float | None = await sql.fetchval(
        conn,
        """
        SELECT greatest(0, extract(epoch FROM next_at - clock_timestamp()))::float
        FROM channel_logins WHERE channel_id = :channel_id AND failures > 0
        """,
        channel_id=channel_id,
    )
    return wait


async def note_loss(
    conn: Connection, channel_id: int, slot: int, owner: UUID, ending: Ending, now: datetime
) -> None:
    """Keep with a connection how its link ended; only whoever holds it may."""
    await sql.execute(
        conn,
        """
        UPDATE connections SET
            lost_at = :now, lost_how = :how, lost_why = :why, lived_ms = :lived_ms,
            losses = CASE WHEN lost_at > :now::timestamptz - :calm::interval THEN losses ELSE 0 END
                + 1,
            losing_since = CASE WHEN lost_at > :now::timestamptz - :calm::interval
                           THEN losing_since ELSE :now END
        WHERE channel_id = :channel_id AND slot = :slot AND owner = :owner
        """,
        channel_id=channel_id,
        slot=slot,
        owner=owner,
        calm=CALM,
        now=now,
        how=ending.how,
        why=ending.why,
        lived_ms=round(ending.lived * 1000),
    )


async def _put_off(conn: Connection, channel_id: int, seconds: float) -> None:
    await sql.execute(
        conn,
        """
        UPDATE channel_logins SET next_at = clock_timestamp() + :pause::interval
        WHERE channel_id = :channel_id
        """,
        channel_id=channel_id,
        pause=timedelta(seconds=logins.jittered(seconds)),
    )
