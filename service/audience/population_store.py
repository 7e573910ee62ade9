"""How many people there are in all: counted now and then, for shares of them."""

from datetime import datetime, timedelta

from service.storage import sql
from service.storage.postgres import Connection

COUNTED_FOR = timedelta(minutes=10)
"""How old the count of all people may be."""


async def count_population(conn: Connection, since: datetime, now: datetime) -> int:
    """How many people are in the lists of all departments together, as counted between these
    instants, or now: that reads all lists.
    """
    kept: int | None = await sql.fetchval(
        conn,
        "SELECT people FROM people_counts WHERE counted_at > :since AND counted_at <= :now",
        since=since,
        now=now,
    )
    if kept is not None:
        return kept
    base: int = await sql.fetchval(
        conn,
        """
        INSERT INTO people_counts (people, counted_at)
        SELECT count(DISTINCT phone_hash), :now FROM contacts
        ON CONFLICT (one) DO UPDATE SET people = excluded.people, counted_at = excluded.counted_at
        RETURNING people
        """,
        now=now,
    )
    return base
