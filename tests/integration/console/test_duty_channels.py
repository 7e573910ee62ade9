"""On duty: channels and how they stand, receipts that fit no text, held opt-outs, lists."""

import uuid
from datetime import timedelta

import pytest
from aiohttp import FormData

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
