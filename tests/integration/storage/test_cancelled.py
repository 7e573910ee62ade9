"""Whoever is cancelled in the middle of a statement ends so, whatever becomes of the connection."""

import asyncio

import pytest

from service.storage import postgres
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.pauses import delay
from tests.harness.waiting import turns, until


async def _work(pool: Pool, statement: str) -> None:
    async with transaction(pool) as conn:
        await conn.execute(statement)
        await asyncio.Event().wait()


async def test_a_cancellation_in_a_transaction_is_never_replaced(pool: Pool) -> None:
    """The connection may be gone at any moment of its being given back."""
    ended = []
    for number in range(300):
        task = asyncio.create_task(_work(pool, "SELECT pg_sleep(5)"))
        await turns(number % 30)
        if number % 3 == 0:
            await delay(0.005)  # of the server, which has begun the statement by then
        task.cancel()
        (how,) = await asyncio.gather(task, return_exceptions=True)
        ended.append(type(how))
    assert set(ended) == {asyncio.CancelledError}


async def test_a_connection_is_closed_if_its_beginning_is_broken_off(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Connection] = []

    async def never_ready(connection: Connection) -> None:
        begun.append(connection)
        await asyncio.Event().wait()

    monkeypatch.setattr(postgres, "_prepare", never_ready)
    task = asyncio.create_task(postgres.connect(database_url))
    await until(lambda: begun)
    task.cancel()
    (how,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(how, asyncio.CancelledError)
    assert begun[0].is_closed()
