"""A server killed between effect and answer: who asks again gets the one effect there was."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, FormData
from redis.asyncio import Redis

from service.accounts.bootstrap import bootstrap
from service.crypto import Keyring
from service.embedded import Valkey
from service.storage.postgres import Pool, transaction

PAUSE_MS = 30_000


@pytest.fixture
def environment(tmp_path: Path, database_url: str, valkey: Valkey) -> dict[str, str]:
    key_file = tmp_path / "master.key"
    key_file.touch(mode=0o600)
    key_file.write_text("01" * 32)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return os.environ | {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(key_file),
        "TOCSIN_API_PORT": str(port),
    }


@asynccontextmanager
async def serving(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", "serve", env=environment
    )
    try:
        async with ClientSession() as session:
            while True:
                try:
                    url = f"http://127.0.0.1:{environment['TOCSIN_API_PORT']}/healthz"
                    async with session.get(url):
                        break
                except ClientError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def upload(environment: dict[str, str], token: str) -> tuple[int, bytes, str | None]:
    form = FormData()
    form.add_field("roster", "名单")
    form.add_field("file", b"phone\n19790000001", filename="f.csv", content_type="text/csv")
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "once"}
    url = f"http://127.0.0.1:{environment['TOCSIN_API_PORT']}/api/v1/imports"
    async with ClientSession() as session, session.post(url, data=form, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("Idempotent-Replayed")


async def _imports(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM imports")
    return count


async def test_a_kill_between_effect_and_answer_leaves_one_effect(
    environment: dict[str, str], pool: Pool, redis: Redis, now: datetime
) -> None:
    async with transaction(pool) as conn:
        tokens = await bootstrap(conn, Keyring(b"\x01" * 32), now)
    asked: asyncio.Task[Any]
    async with serving(environment) as process:
        # Once it is committed, the bell is rung: it is made to hang there, the answer unsent.
        await redis.client_pause(PAUSE_MS, all=False)  # of writes
        asked = asyncio.create_task(upload(environment, tokens["operator"]))
        while await _imports(pool) == 0:
            assert not asked.done()
            await asyncio.sleep(0.01)
        assert not asked.done()
        process.send_signal(signal.SIGKILL)
        with pytest.raises(ClientError):
            await asked
    await redis.client_unpause()
    async with serving(environment):
        status, first, replayed = await upload(environment, tokens["operator"])
        assert (status, replayed) == (202, "true")
        assert (await upload(environment, tokens["operator"]))[1] == first
    assert await _imports(pool) == 1
