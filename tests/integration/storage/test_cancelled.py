"""Whoever is cancelled in the middle of a statement ends so, whatever becomes of the connection."""

import asyncio

from service.storage.postgres import Pool, transaction


async def _work(pool: Pool, statement: str) -> None:
    async with transaction(pool) as conn:
        await conn.execute(statement)
        await asyncio.Event().wait()


async def test_a_cancellation_in_a_transaction_is_never_replaced(pool: Pool) -> None:
    """The connection may be gone at any moment of its being given back."""
    ended = []
    for turns in range(300):
        task = asyncio.create_task(_work(pool, "SELECT pg_sleep(5)"))
        for _ in range(turns % 30):
            await asyncio.sleep(0)
        if turns % 3 == 0:
            await asyncio.sleep(0.005)
        task.cancel()
        (how,) = await asyncio.gather(task, return_exceptions=True)
        ended.append(type(how))
    assert set(ended) == {asyncio.CancelledError}
