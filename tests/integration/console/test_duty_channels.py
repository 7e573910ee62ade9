"""On duty: channels and how they stand, receipts that fit no text, held opt-outs, lists."""

import uuid
from datetime import timedelta

import pytest
from aiohttp import FormData

from service.channels.contract.gateway import RawDelivery, UnreadReason
from service.delivery.receipts.unmatched_store import insert_unreadable
from service.storage.postgres import transaction
from tests.harness.console import browser_of
from tests.harness.ledger import add_channel
from tests.harness.sending import begin_sending
from tests.integration.api.conftest import Api


@pytest.fixture
async def channel(api: Api) -> int:
    async with transaction(api.runtime.pool) as conn:
        made = await add_channel(conn, api.runtime.keyring, 1, api.clock.at, tps=100)
    return made.id


async def _set(api: Api, **values: object) -> None:
    for name, value in values.items():
        await api.runtime.pool.execute(f"UPDATE channels SET {name} = $1", value)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"enabled": False}, "停用"),
        ({"held_why": "daily quota", "held_by": "quota"}, "额度用完"),
        ({"held_why": "suspended", "held_by": "carrier"}, "运营商要求暂停"),
    ],
)
async def test_a_channel_stands_in_one_word(
    api: Api, channel: int, values: dict[str, object], word: str
) -> None:
    if "held_by" in values:
        values = {**values, "held_until": api.clock.at + timedelta(hours=1)}
    await _set(api, **values)
    browser = await browser_of(api, "viewer")
    for path in ("/duty/channels", f"/duty/channels/{channel}"):
        page = await browser.get(path)
        assert page.status == 200, page.text
        assert word in page.text, path


async def test_what_waits_on_a_channel_is_counted_apart(api: Api) -> None:
    await begin_sending(api)
    browser = await browser_of(api, "viewer")
    page = await browser.get("/duty/channels")
    assert 'hx-get="/duty/channels/1/waiting"' in page.html
    part = await browser.ask("GET", "/duty/channels/1/waiting")
    assert "20 条" in part.text
    assert "<html" not in part.html


async def test_a_channel_that_is_none_is_not_there(api: Api) -> None:
    browser = await browser_of(api, "viewer")
    for path in ("/duty/channels/x", "/duty/channels/99", "/duty/channels/-1"):
        assert (await browser.get(path)).status == 404, path


@pytest.fixture
async def receipt(api: Api, channel: int) -> int:
    """A receipt that fits no text."""
    found = await api.runtime.pool.fetchval(
        """
        INSERT INTO receipts_unmatched (id, channel_id, ref, state, reason, code, received_at, why)
        VALUES (7, $1, 'abc', 'delivered', '', '<b>DELIVRD</b>', $2, 'unmatched') RETURNING id
        """,
        channel,
        api.clock.at,
    )
    return int(found)


async def test_receipts_are_laid_aside_with_a_reason(api: Api, receipt: int) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get("/duty/receipts")
    assert "&lt;b&gt;DELIVRD" in page.html
    silent = await browser.submit(
        page, "/duty/receipts/dismiss", {"ids": [str(receipt)], "reason": ""}
    )
    assert silent.status == 422
    nothing = await browser.submit(page, "/duty/receipts/dismiss", {"reason": "看过"})
    assert "至少选一条" in nothing.text
    done = await browser.submit(
        page, "/duty/receipts/dismiss", {"ids": [str(receipt)], "reason": "看过"}
    )
    assert done.path == "/duty/receipts"
    assert "已搁置 1 条" in done.text
    assert "DELIVRD" not in done.html


OCTETS = bytes.fromhex("000000340000000531393739303030303030317c4441c8")
"""A delivery with a number in it, which nobody can read."""


@pytest.fixture
async def unreadable(api: Api, channel: int) -> str:
    """The id of what a carrier handed on and nobody could read."""
    raw = RawDelivery(OCTETS, 12, UnreadReason.BROKEN_LENGTH)
    async with transaction(api.runtime.pool) as conn:
        await insert_unreadable(conn, api.runtime.keyring, [(channel, raw)], api.clock.at)
        return str(await conn.fetchval("SELECT id FROM receipts_unmatched"))


async def test_what_cannot_be_read_is_seen_once_for_a_reason(api: Api, unreadable: str) -> None:
    admin, unmask = await browser_of(api, "admin"), "/duty/receipts/unmask"
    page = await admin.get("/duty/receipts?why=unreadable")
    assert OCTETS.hex() not in page.html
    silent = await admin.submit(page, unmask, {"receipt_id": unreadable, "see_reason": ""})
    assert (silent.status, 'id="e-see_reason"' in silent.html) == (422, True)
    unchosen = await admin.submit(page, unmask, {"receipt_id": "", "see_reason": "核对"})
    assert (unchosen.status, 'id="e-receipt_id"' in unchosen.html) == (422, True)
    typed = {"receipt_id": unreadable, "see_reason": "与运营商核对"}
    full = await admin.submit(page, unmask, typed)
    assert OCTETS.hex() in full.html
    assert OCTETS.hex() not in (await admin.get("/duty/receipts")).html
    kinds = await api.runtime.pool.fetch("SELECT kind, object_id FROM disclosures")
    assert [tuple(row) for row in kinds] == [("receipt", unreadable)]
    operator = await browser_of(api, "operator")
    shown = await operator.get("/duty/receipts")
    assert unmask not in [form.action for form in shown.forms]


async def test_who_may_only_read_lays_no_receipt_aside(api: Api, receipt: int) -> None:
    browser = await browser_of(api, "viewer")
    page = await browser.get("/duty/receipts")
    assert 'name="reason"' not in page.html
    fields = page.form("/logout").fields
    data = FormData([*fields, ("ids", str(receipt)), ("reason", "r")])
    assert (await browser.post("/duty/receipts/dismiss", data)).status == 403


@pytest.fixture
async def hold(api: Api, channel: int) -> uuid.UUID:
    """Opt-outs in bulk that wait for a person."""
    found = await api.runtime.pool.fetchval(
        "INSERT INTO opt_out_holds (channel_id, began_at, last_at) VALUES ($1, $2, $2)"
        " RETURNING id",
        channel,
        api.clock.at,
    )
    assert isinstance(found, uuid.UUID)
    return found


@pytest.mark.parametrize(("act", "decision"), [("count", "count"), ("drop", "drop")])
async def test_held_opt_outs_are_decided_with_a_reason(
    api: Api, hold: uuid.UUID, act: str, decision: str
) -> None:
    browser = await browser_of(api, "admin")
    assert f"/duty/holds/{hold}" in (await browser.get("/duty/holds")).links
    page = await browser.get(f"/duty/holds/{hold}")
    fields = page.form(f"/duty/holds/{hold}/count").fields
    form = [(name, value) for name, value in fields if name != "reason"]
    silent = await browser.post(f"/duty/holds/{hold}/{act}", FormData([*form, ("reason", "")]))
    assert silent.status == 422
    done = await browser.post(f"/duty/holds/{hold}/{act}", FormData([*form, ("reason", "核实过")]))
    assert done.path == "/duty/holds"
    found = await api.runtime.pool.fetchval("SELECT decision FROM opt_out_holds")
    assert found == decision


async def test_lists_are_handed_over_by_their_carriers_people_alone(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/duty/list-files")
    assert page.status == 200
    assert "/duty/list-files" not in [form.action for form in page.forms]
