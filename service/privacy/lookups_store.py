"""The SQL of counting one person's look-ups."""

from datetime import datetime
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


async def looked_up_since(
    conn: Connection, user_id: UUID, since: datetime
) -> dict[bytes, datetime]:
    """Which numbers a person has looked up since, as hashes, and when the last time."""
    rows = await sql.fetch(
        conn,
        """
        SELECT phone_hash, max(at) AS at FROM disclosures
        WHERE user_id = :user_id AND kind = 'lookup' AND at > :since GROUP BY phone_hash
        """,
        user_id=user_id,
        since=since,
    )
    return {row["phone_hash"]: row["at"] for row in rows}
