"""The table of refused connections, in SQL."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from service.channels.contract.gateway import Refused
from service.channels.links.logins import CALM
from service.storage import sql
from service.storage.postgres import Connection


class ListenerRefusals(NamedTuple):
    """What a channel's listener refused since `since`, with no hour without any in between.

    address: of the last.
    """

    why: Refused
    times: int
    address: str
    since: datetime
    last_at: datetime


async def add_refusals(
    conn: Connection, counts: Mapping[tuple[int, Refused], tuple[int, str]], now: datetime
) -> None:
    """Add to what was refused before; by channel and kind, in an order that all writers keep."""
    for (channel_id, why), (times, address) in sorted(counts.items()):
        await sql.execute(
            conn,
            """
            INSERT INTO refused_connections AS was
                (channel_id, why, times, address, since, last_at)
            SELECT id, :why, :times, :address, :now, :now FROM channels WHERE id = :channel_id
            ON CONFLICT (channel_id, why) DO UPDATE SET
                times = excluded.times
                    + CASE WHEN was.last_at > :now - :calm::interval THEN was.times ELSE 0 END,
                since = CASE WHEN was.last_at > :now - :calm::interval THEN was.since ELSE :now END,
                address = excluded.address,
                last_at = :now
            """,
            channel_id=channel_id,
            why=why,
            times=times,
            address=address,
            now=now,
            calm=CALM,
        )


async def list_refusals(conn: Connection, channel_id: int, now: datetime) -> list[ListenerRefusals]:
    """What a channel's listener refused of late, the last first."""
    rows = await sql.fetch(
        conn,
        """
        SELECT why, times, address, since, last_at FROM refused_connections
        WHERE channel_id = :channel_id AND last_at > :since ORDER BY last_at DESC, why
        """,
        channel_id=channel_id,
        since=now - CALM,
    )
    return [ListenerRefusals(Refused(row["why"]), *row[1:]) for row in rows]
