"""How many people there are in all: counted now and then, for shares of them."""

from datetime import datetime, timedelta

from service.storage.postgres import Connection

COUNTED_FOR = timedelta(minutes=10)
"""How old the count of all people may be."""


async def count_population(conn: Connection, since: datetime, now: datetime) -> int:
    """How many people are in the lists of all departments together, as counted between these
    instants, or now: that reads all lists.
    """
    kept: int | None = await conn.fetchval(
        "SELECT people FROM people_counts WHERE counted_at > $1 AND counted_at <= $2", since, now
    )
    if kept is not None:
        return kept
    base: int = await conn.fetchval(
        """
        INSERT INTO people_counts (people, counted_at)
        SELECT count(DISTINCT phone_hash), $1 FROM contacts
        ON CONFLICT (one) DO UPDATE SET people = excluded.people, counted_at = excluded.counted_at
        RETURNING people
        """,
        now,
    )
    return base
