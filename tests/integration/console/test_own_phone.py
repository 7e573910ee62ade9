"""An approver's own phone: said, proved by a code, and asked for before very many get a text."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.settings import Settings
from tests.factories import phone
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.logins import last_code
from tests.harness.plan_pages import APPROVER, OPERATOR, county
from tests.integration.api.conftest import Api

__all__ = ["county"]

MINE = phone(7)
PHONE, CODE = "/account/phone", "/account/phone/code"


@pytest.fixture
def runtime_settings(runtime_settings: Settings) -> Settings:
    """As ever, but two people are very many."""
    return runtime_settings.model_copy(update={"test_send_above": 2})


async def said(api: Api, browser: Browser) -> Seen:
    return await browser.submit(await browser.get(PHONE), PHONE, {"phone": MINE})


async def test_a_phone_is_said_and_proved_by_its_code(api: Api, county: dict[str, str]) -> None:
    browser = await browser_of(api, "approver")
    assert PHONE in (await browser.get("/account")).links
    seen = await said(api, browser)
    assert seen.path == PHONE
    assert MINE not in seen.html
    code = await last_code(api)
    wrong = await browser.submit(seen, CODE, {"code": f"{(int(code) + 1) % 10**6:06d}"})
    assert wrong.status == 422
    assert 'id="e-code"' in wrong.html
    seen = await browser.submit(wrong, CODE, {"code": code})
    assert seen.path == "/account"
    assert "已验证" in seen.text
    me = (await api.get("/me", APPROVER)).json
    assert me["phone"].endswith(MINE[-4:])
    assert me["phone"] != MINE
    assert me["phone_proved_at"] is not None
    refused = await browser.submit(await browser.get(PHONE), PHONE, {"phone": "12345"})
    assert refused.status == 422
    assert 'id="e-phone"' in refused.html
    assert 'value="12345"' in refused.html


async def test_who_neither_plans_nor_signs_has_no_form_for_a_phone(api: Api) -> None:
    browser = await browser_of(api, "viewer")
    assert PHONE not in (await browser.get("/account")).links
    assert PHONE not in [form.action for form in (await browser.get(PHONE)).forms]
    assert PHONE in (await (await browser_of(api, "operator")).get("/account")).links


@pytest.mark.usefixtures("county")
async def test_the_own_phone_is_taken_away(api: Api) -> None:
    browser = await browser_of(api, "approver")
    assert f"{PHONE}/away" not in [form.action for form in (await browser.get(PHONE)).forms]
    seen = await browser.submit(await said(api, browser), CODE, {"code": await last_code(api)})
    gone = await browser.submit(await browser.get(PHONE), f"{PHONE}/away")
    assert "手机号已删除。" in gone.text, gone.text
    assert (await api.get("/me", ("county", "approver"))).json["phone"] is None
    assert f"{PHONE}/away" not in [form.action for form in gone.forms]
    assert seen.status == 200


async def test_the_button_comes_by_itself_once_the_test_has_left(
    api: Api, county: dict[str, str]
) -> None:
    when = (api.clock.at + timedelta(days=1)).isoformat()
    body = {"name": "全县", **county, "schedule": {"kind": "once", "start_at": when}}
    plan = (await api.post("/campaigns", OPERATOR, body)).json["id"]
    assert (await api.post(f"/campaigns/{plan}/submit", OPERATOR)).status == 200
    base = f"/plans/{plan}"
    browser = await browser_of(api, "approver")
    seen = await browser.get(f"{base}/sign")
    assert PHONE in seen.links, "whoever has no phone is led to where it is said"
    seen = await browser.submit(await said(api, browser), CODE, {"code": await last_code(api)})
    seen = await browser.get(f"{base}/sign")
    assert f"{base}/sign" not in [form.action for form in seen.forms]
    assert f'hx-get="{base}/signing"' not in seen.html, "nothing is on its way yet"
    seen = await browser.submit(seen, f"{base}/test")
    assert f"{base}/sign" not in [form.action for form in seen.forms]
    assert f'hx-get="{base}/signing"' in seen.html
    runs = (await api.get(f"/campaigns/{plan}/runs", OPERATOR)).json["items"]
    await api.runtime.pool.execute(
        "UPDATE messages SET state = 'delivered' WHERE run_id = $1", UUID(runs[0]["id"])
    )
    part = await browser.get(f"{base}/signing")
    assert "<html" not in part.html
    assert f'hx-get="{base}/signing"' not in part.html, "it asks no more"
    await browser.submit(part, f"{base}/sign", {"known": "true"})
    assert (await api.get(f"/campaigns/{plan}", OPERATOR)).json["state"] == "scheduled"
