"""Lists for a carrier on pages: drawn by its own people, fetched, and given back with results."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import FormData

from service.crypto import Keyring
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.handoff import channel_server
from service.storage.postgres import Pool
from tests.harness.console import Browser, Seen, browser_at
from tests.harness.joint import MOBILE, JointCounty
from tests.harness.joint_api import approved, joint_county, leg_of
from tests.harness.list_files import (
    all_handed_off,
    answered,
    channels_served,
    closed,
    lines_of,
    list_channel,
    opened,
)
from tests.harness.logins import with_password
from tests.integration.api.conftest import Api

MOBILES = (MOBILE, "operator")
LISTS = "/duty/list-files"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_server, "FOLLOW_SECONDS", 0.05)


async def fired(api: Api, county: JointCounty) -> tuple[int, str]:
    """A joint plan has fired whose leg of MOBILE goes out as a list: its channel, and its run."""
    channel = await list_channel(api, MOBILE)
    made = await approved(api, county)
    leg = await leg_of(api, MOBILE)
    taken = await api.post(f"/legs/{leg['id']}/take", MOBILES, {"channels": [channel]})
    assert taken.status == 200, taken.json
    await county.pass_time(timedelta(hours=1))
    api.clock.at = county.now
    county.plan = await county.loaded(UUID(made["id"]))
    return channel, str(await county.run_of(MOBILE))


async def sent_file(browser: Browser, page: Seen, action: str, file: bytes, **typed: str) -> Seen:
    """A form of a page with a file."""
    data = FormData(quote_fields=False)
    for name, value in {**dict(page.form(action).fields), **typed}.items():
        data.add_field(name, value)
    data.add_field("file", file, filename="结果.csv", content_type="text/csv")
    return await browser.post(action, data)


async def ready(browser: Browser, channel: int) -> str:
    """The page of a list that was drawn by the form."""
    seen = await browser.submit(await browser.get(LISTS), LISTS, {"channel_id": str(channel)})
    assert seen.path.startswith(f"{LISTS}/"), seen.text

    await all_handed_off(browser.api, channel)
    found = await closed(browser.api, MOBILES, seen.path.rpartition("/")[2])
    assert found["state"] == "ready"
    return seen.path


async def test_a_list_is_drawn_fetched_and_given_back_on_pages(
    api: Api, pool: Pool, keyring: Keyring
) -> None:
    county = await joint_county(api, pool, keyring)
    channel, run = await fired(api, county)
    browser = await browser_at(api, await with_password(api, county.sides[MOBILE].operator))
    assert LISTS in (await browser.get("/today")).links, "what waits leads there"
    async with channels_served(api.runtime):
        page = await ready(browser, channel)
    archive = f"{page}/archive"
    files = opened(await octets(browser, await browser.get(page), archive))
    lines = lines_of(files)
    numbers = sorted(line["手机号码"] for line in lines)
    shown = await browser.get(page)
    assert not any(number in shown.html for number in numbers), "numbers stand in the archive alone"
    said = {numbers[0]: ("成功", ""), numbers[1]: ("失败", "空号")}
    file = answered(lines, said, "gb18030")
    done = await sent_file(browser, shown, f"{page}/results", file, encoding="gb18030")
    assert done.status == 200, done.text
    await fold_receipts(pool, channel, api.clock.now())
    found = (
        await api.get(f"{LISTS.removeprefix('/duty')}/{page.rpartition('/')[2]}", MOBILES)
    ).json
    (result,) = found["results"]
    assert (result["counts"]["recorded"], result["counts"]["open"]) == (2, 1)
    counts: dict[str, Any] = {"run_id": run, "delivered": "2", "undelivered": "1"}
    page_now = await browser.get(page)
    told = await browser.submit(page_now, f"{page}/counts", counts)
    assert told.path == page, told.text
    assert "条数已记下" in told.text, told.text


async def octets(browser: Browser, page: Seen, action: str) -> bytes:
    """The file that a form of a page answers with."""
    data = FormData()
    for name, value in page.form(action).fields:
        data.add_field(name, value)
    headers = {"Origin": browser.origin, "Cookie": "; ".join(
        f"{name}={value}" for name, value in browser.cookies.items())}  # fmt: skip
    async with browser.api.client.request("POST", action, headers=headers, data=data) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/pkcs7-mime")
        return await answer.read()
