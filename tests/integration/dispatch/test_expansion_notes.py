"""How far a ledger is written is told to others while nobody sees its rows, and no longer."""

import uuid
from datetime import datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from service.crypto import Keyring
from service.dispatch.expansion import drill, expand, expand_store
from service.dispatch.expansion.expand import expand_run
from service.dispatch.expansion.expansion_notes import (
    ExpansionNotes,
    WrittenSoFar,
    read_notes,
)
from service.storage.postgres import Pool
from tests.harness.ledger import add_channel, add_run, make_scene
from tests.harness.listed_people import list_people

TEXT = "【旌德县公安局】{姓名}：{单位}财务人员请当面核实付款指令，疑问拨96110。"
PLAIN = TEXT.replace("{单位}", "")
ORGS: list[str | None] = [f"单位{n}" for n in range(5)]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, pool: Pool) -> list[tuple[WrittenSoFar | None, int]]:
    """What another process reads after each thing told, and how many rows it sees by then."""
    found: list[tuple[WrittenSoFar | None, int]] = []

    class Heard(ExpansionNotes):
        def __init__(self, redis: Redis | None, run_id: uuid.UUID) -> None:
            super().__init__(redis, run_id)
            self.redis, self.run_id = redis, run_id

        async def tell(self, done: int, people: int | None) -> None:
            await super().tell(done, people)
            assert self.redis is not None
            rows = await pool.fetchval("SELECT count(*) FROM messages")
            found.append((await read_notes(self.redis, self.run_id), rows))

    monkeypatch.setattr(expand, "ExpansionNotes", Heard)
    monkeypatch.setattr(expand_store, "VALUES_AT_ONCE", 2)
    monkeypatch.setattr(drill, "BATCH_ROWS", 2)
    return found


async def written(
    pool: Pool, keyring: Keyring, now: datetime, redis: Redis, text: str, **run: Any
) -> uuid.UUID:
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now, text=text)
        await list_people(conn, keyring, scene, now, ORGS)
        await add_channel(conn, keyring, 1, now)
        made = await add_run(conn, scene, now, text=text, **run)
    assert await expand_run(pool, made, now, keyring, redis) is not None
    return made


async def test_a_ledger_with_values_tells_of_how_many_it_has_written(
    pool: Pool, keyring: Keyring, now: datetime, redis: Redis,
    seen: list[tuple[WrittenSoFar | None, int]],
) -> None:  # fmt: skip
    run = await written(pool, keyring, now, redis, TEXT)
    told = [WrittenSoFar(0, None), WrittenSoFar(2, 5), WrittenSoFar(4, 5)]
    assert seen == [(one, 0) for one in told]
    assert await read_notes(redis, run) is None, "it is written, and tells no more"
    assert await pool.fetchval("SELECT count(*) FROM messages") == 5


async def test_a_ledger_of_one_statement_says_that_its_people_are_chosen(
    pool: Pool, keyring: Keyring, now: datetime, redis: Redis,
    seen: list[tuple[WrittenSoFar | None, int]],
) -> None:  # fmt: skip
    await written(pool, keyring, now, redis, PLAIN)
    assert seen == [(WrittenSoFar(0, None), 0)]


async def test_a_valkey_that_does_not_answer_holds_nothing_up(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    deaf = Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    try:
        run = await written(pool, keyring, now, deaf, TEXT)
        assert await read_notes(deaf, run) is None
    finally:
        await deaf.aclose()
    assert await pool.fetchval("SELECT count(*) FROM messages") == 5
