"""Receipts whose ids are written in another form than their answers': told of, and read anew."""

import uuid
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.store import insert_channel, parse_settings, update_channel
from service.channels.contract.model import Channel, ChannelSettings
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts import id_forms
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.expansion.expand import expand_run
from service.simulator.carrier.outcomes import fates
from service.storage.postgres import Pool, transaction
from tests.conftest import NOW
from tests.harness.ledger import add_contacts, add_run, make_scene, phone, states
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

PEOPLE = 40
TEXT = "警钟"
ZONE = ZoneInfo("Asia/Shanghai")
SURE = [
    number
    for number in (phone(n) for n in range(400))
    if (fate := fates("carrier", 1, "china_mobile")(number)).fate == "delivered"
    and fate.stat
    and not fate.throttled
][:PEOPLE]
"""People whose texts all arrive, with a receipt."""


async def add_smpp(pool: Pool, keyring: Keyring, port: int, **config: Any) -> Channel:
    values = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "901234",
        "password": "1qaz2wsx",
        "sender": "106900001234",
        **config,
    }
    settings = ChannelSettings(
        name="smpp",
        kind="smpp",
        simulated=True,
        carriers=tuple(CARRIERS),
        config=parse_settings("smpp", values),
    )
    async with transaction(pool) as conn:
        return await insert_channel(conn, keyring, settings, NOW)


async def send(
    pool: Pool, keyring: Keyring, people: list[str], clock: Clock, text: str
) -> uuid.UUID:
    async with pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        await add_contacts(conn, keyring, scene, people, clock.now())
        run = await add_run(conn, scene, clock.now(), text=text)
    await expand_run(pool, run, clock.now())
    return run


async def set_form(pool: Pool, keyring: Keyring, channel: Channel, form: str, clock: Clock) -> bool:
    values = {**channel.config.model_dump(), "id_form": form}
    changed = replace(channel, config=type(channel.config).model_validate(values))
    async with transaction(pool) as conn:
        await update_channel(conn, keyring, changed)
        return await id_forms.follow(conn, channel, changed, clock.now())


async def hint(pool: Pool, channel: Channel) -> id_forms.Hint | None:
    async with pool.acquire() as conn:
        return await id_forms.hint(conn, channel)


async def parked(pool: Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM receipts_unmatched")
    return count


@pytest.mark.parametrize("parts", [1, 2])
async def test_decimal_receipts_for_hexadecimal_answers(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    simulate: Simulate,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    parts: int,
) -> None:
    """The hint names setting and form; once it is set, every receipt finds its text."""
    monkeypatch.setattr(id_forms, "BATCH", 7)  # several batches
    asked = {
        "decimal_receipt_ids": True,
        "receipts_by_the_book": True,
        "cmpp_port": None,
        "smpp_port": 0,
        "profile": "carrier",
        "seed": 1,
    }
    async with simulate(**asked) as carrier:
        channel = await add_smpp(pool, keyring, carrier.ports["smpp"])
        await serve()
        assert await hint(pool, channel) is None
        run = await send(pool, keyring, SURE, clock, TEXT * 60 * (parts - 1) or TEXT)

        async def all_are_parked() -> bool:
            return await parked(pool) == PEOPLE * parts

        await until(all_are_parked)
        found = await hint(pool, channel)
        assert found is not None
        assert (found.setting, found.form, found.fitting) == ("id_form", "same", "hex_decimal")
        assert (found.fits, found.looked_at) == (id_forms.MISSED, id_forms.MISSED)
        said = found.said(ZONE)
        assert "把 id_form 从 same 改为 hex_decimal" in said.zh
        assert "By id_form = hex_decimal (now same) 20 of the last 20 would fit" in said.en

        assert await set_form(pool, keyring, channel, "hex_decimal", clock)
        assert await id_forms.reread(pool, channel.id, clock.now()) == PEOPLE * parts
        await fold_receipts(pool, channel.id, clock.now())

        async def all_have_arrived() -> bool:
            async with pool.acquire() as conn:
                return await states(conn, run) == {"delivered": PEOPLE}

        await until(all_have_arrived)
        assert await parked(pool) == 0
        assert await hint(pool, channel) is None
