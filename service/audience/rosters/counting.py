"""Counting in the background the people of lists that have changed."""

from service.audience.rosters import count_store
from service.storage.postgres import COUNT_SECONDS, Pool, transaction


async def count_rosters(pool: Pool) -> int:
    """Count each list whose entries were changed since it was counted; returns how many."""
    async with transaction(pool) as conn:
        changed = await count_store.changed_rosters(conn)
        await count_store.forget_deleted(conn)
    for roster_id in changed:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            await count_store.count_roster(conn, roster_id)
    return len(changed)
