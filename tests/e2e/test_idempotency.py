"""A server killed between effect and answer: who asks again gets the one effect there was."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, ClientSession, FormData
from redis.asyncio import Redis

from service.crypto import Keyring
from service.local.embedded import Valkey
from service.storage.postgres import Pool, transaction
from tests.factories import make_team, make_token
from tests.harness.channels import BODY as CHANNEL
from tests.harness.waiting import until

pytestmark = pytest.mark.slow

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
        url = f"http://127.0.0.1:{environment['TOCSIN_API_PORT']}/healthz"
        async with ClientSession() as session:

            async def answers() -> bool:
                assert process.returncode is None
                with suppress(ClientError):
                    async with session.get(url):
                        return True
                return False

            await until(answers)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


Ask = Callable[[ClientSession], AbstractAsyncContextManager[ClientResponse]]
ONCE = {"Idempotency-Key": "once"}


@asynccontextmanager
async def client(environment: dict[str, str], token: str) -> AsyncIterator[ClientSession]:
    base = f"http://127.0.0.1:{environment['TOCSIN_API_PORT']}/api/v1/"
    async with ClientSession(base, headers={"Authorization": f"Bearer {token}"}) as session:
        yield session


async def made(environment: dict[str, str], token: str, path: str, body: Any) -> Any:
    async with client(environment, token) as session, session.post(path, json=body) as answer:
        assert answer.status in {200, 201}, await answer.text()
        return await answer.json()


async def to_upload(environment: dict[str, str], tokens: dict[str, str]) -> Ask:
    def ask(session: ClientSession) -> AbstractAsyncContextManager[ClientResponse]:
        form = FormData()
        form.add_field("roster", "名单")
        form.add_field("file", b"phone\n19790000001", filename="f.csv", content_type="text/csv")
        return session.post("imports", data=form, headers=ONCE)

    return ask


async def to_send(environment: dict[str, str], tokens: dict[str, str]) -> Ask:
    await made(environment, tokens["admin"], "channels", CHANNEL | {"name": "cmpp"})
    words = {"name": "t", "class": "service", "text": "【旌德县反诈中心】会议改在周五。"}
    template = await made(environment, tokens["operator"], "templates", words)
    path = f"templates/{template['id']}/approve"
    await made(environment, tokens["approver"], path, {"version": 1})
    body = {"to": ["19790000001", "19790000002"], "template_id": template["id"]}
    return lambda session: session.post("messages", json=body, headers=ONCE)


async def asked_for(
    environment: dict[str, str], token: str, ask: Ask
) -> tuple[int, bytes, str | None]:
    async with client(environment, token) as session, ask(session) as answer:
        return answer.status, await answer.read(), answer.headers.get("Idempotent-Replayed")


@pytest.mark.parametrize(
    ("prepare", "count"),
    [
        (to_upload, "SELECT count(*) FROM imports"),
        (to_send, "SELECT count(DISTINCT run_id) FROM messages"),
    ],
    ids=["a list", "a send"],
)
async def test_a_kill_between_effect_and_answer_leaves_one_effect(
    environment: dict[str, str],
    pool: Pool,
    redis: Redis,
    now: datetime,
    prepare: Callable[[dict[str, str], dict[str, str]], Awaitable[Ask]],
    count: str,
) -> None:
    async with transaction(pool) as conn:
        team, keyring = await make_team(conn, now=now, kind="county"), Keyring(b"\x01" * 32)
        tokens = {
            role: await make_token(conn, keyring, getattr(team, role), now)
            for role in ("admin", "operator", "approver")
        }
    operator = tokens["operator"]
    async with serving(environment) as process:
        ask = await prepare(environment, tokens)
        # Once it is committed, a job is enqueued: it is made to hang there, the answer unsent.
        await redis.client_pause(PAUSE_MS, all=False)  # of writes
        asked = asyncio.create_task(asked_for(environment, operator, ask))
        await until(lambda: pool.fetchval(count))
        assert not asked.done()
        process.send_signal(signal.SIGKILL)
        with pytest.raises(ClientError):
            await asked
    await redis.client_unpause()
    async with serving(environment):
        status, first, replayed = await asked_for(environment, operator, ask)
        assert (status, replayed) == (202, "true")
        assert (await asked_for(environment, operator, ask))[1] == first
    assert await pool.fetchval(count) == 1
