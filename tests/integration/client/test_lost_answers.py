"""An answer that is lost after the effect: the client asks again, and there is one effect."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tocsin_client import Unavailable

from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.channels import channel
from tests.harness.lossy import LossyWire
from tests.integration.api.conftest import Api
from tests.integration.client.conftest import Clients

WORDS = "【旌德县教体局】家长会改在周五下午三点，地点不变。"


async def count(api: Api, table: str) -> int:
    found: int = await api.runtime.pool.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def approved(client: Clients) -> str:
    async with client("operator") as operator, client("approver") as approver:
        made = await operator.templates.create("t", WORDS, message_class="service")
        await approver.templates.approve(made["id"], made["version"])
        return made["id"]


async def test_nobody_is_sent_to_twice(api: Api, client: Clients, wire: LossyWire) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    template_id = await approved(client)
    async with client("operator") as operator:
        wire.lose = 3
        sent = await operator.messages.send([phone(1), phone(2)], template_id=template_id)
        assert (sent["accepted"], wire.lost) == (2, 3)
        assert await count(api, "messages") == 2
        assert await count(api, "runs") == 1
        message = await operator.messages.get(f"{sent['run_id']}.1")
        assert message["run_id"] == sent["run_id"]


async def test_a_file_is_streamed_again_and_taken_once(
    api: Api, client: Clients, wire: LossyWire, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("phone,name\n" + "".join(f"{phone(n)},王小明\n" for n in range(1, 9_001)))
    assert file.stat().st_size > 200_000
    async with client("operator") as operator:
        wire.lose = 2
        taken = await operator.imports.upload(file, roster="名单")
        assert wire.lost == 2
        assert (await operator.imports.get(taken["id"]))["file_name"] == "people.csv"
    assert await count(api, "imports") == 1


async def test_a_suppression_is_lifted_although_nobody_heard_of_it(
    client: Clients, wire: LossyWire
) -> None:
    async with client("operator") as operator:
        made = await operator.suppressions.add([phone(1)])
        wire.lose = 1
        await operator.suppressions.lift(made["items"][0]["id"])
        assert wire.lost == 1
        assert [item async for item in operator.suppressions.list()] == []


async def test_what_was_given_up_goes_on_under_its_key(
    api: Api, client: Clients, wire: LossyWire
) -> None:
    async with client("operator") as operator:
        wire.lose = 100
        with pytest.raises(Unavailable) as caught:
            await operator.segments.create("家长", "身份 = 家长")
        assert caught.value.may_be_done
        wire.lose = 0
        key = caught.value.idempotency_key
        made = await operator.segments.create("家长", "身份 = 家长", idempotency_key=key)
        assert [item["id"] async for item in operator.segments.list()] == [made["id"]]


async def test_one_in_progress_is_waited_for(api: Api, client: Clients) -> None:
    operators = api.teams["school"].operator.id
    released = asyncio.Event()

    async def hold() -> None:
        async with transaction(api.runtime.pool) as conn:
            key = await conn.fetchval("SELECT id FROM keys WHERE user_id = $1", operators)
            lock = f"idempotency {key} k1"
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock)
            locked.set()
            await released.wait()

    locked = asyncio.Event()
    holding = asyncio.create_task(hold())
    await locked.wait()
    async with client("operator") as operator:
        asking: asyncio.Task[Any] = asyncio.create_task(
            operator.segments.create("家长", "身份 = 家长", idempotency_key="k1")
        )
        done, _ = await asyncio.wait([asking], timeout=0.1)
        assert not done, "it was refused, or did not wait"
        released.set()
        assert (await asking)["name"] == "家长"
    await holding
