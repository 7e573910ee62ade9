"""What a department signs with and writes, its extensions and its limit of single texts."""

from typing import Any

import pytest

from tests.harness.console import Browser, Seen, browser_of
from tests.harness.keys import second_admin
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

ADMIN = ("county", "admin")
HTML = "<script>alert(1)</script>"


def _base(api: Api) -> tuple[str, str]:
    """The addresses of a school: over the API, and of its page."""
    school = api.teams["school"].department_id
    return f"/departments/{school}", f"/office/departments/{school}"


def _confirms(seen: Seen) -> list[str]:
    return [form.action for form in seen.forms if form.action.endswith("/confirm")]


async def _send(browser: Browser, path: str, action: str, typed: dict[str, Any]) -> Seen:
    return await browser.submit(await browser.get(path), action, typed)


async def test_a_signature_is_proposed_and_another_confirms_it(api: Api) -> None:
    over_api, page = _base(api)
    browser = await browser_of(api, "admin")
    seen = await _send(browser, f"{page}/sender", f"{page}/signatures", {"signature": "旌德中学"})
    assert "签名经另一名县级管理员确认后生效。" in seen.text, seen.text
    assert "是您提议的，由另一名县级管理员确认。" in seen.text
    assert not _confirms(seen)
    found = (await api.get(f"{over_api}/signatures", ADMIN)).json["items"]
    (waiting,) = [one for one in found if one["state"] == "waiting"]
    assert waiting["value"] == "旌德中学"
    path = f"{over_api}/signatures/{waiting['proposal_id']}/confirm"
    assert (await api.post(path, await second_admin(api))).status == 200
    assert "旌德中学】 已登记" in (await browser.get(f"{page}/sender")).text


@pytest.mark.parametrize("signature", ["", "一", "中国银行", "x" * 23])
async def test_a_signature_that_cannot_be_is_refused_at_its_field(api: Api, signature: str) -> None:
    _, page = _base(api)
    browser = await browser_of(api, "admin", "en")
    action = f"{page}/signatures"
    seen = await _send(browser, f"{page}/sender", action, {"signature": signature})
    assert seen.status in {409, 422}, seen.text
    assert 'href="#f-signature"' in seen.html
    assert ("signature", signature) in seen.form(action).fields


async def test_what_another_proposed_is_found_and_confirmed(api: Api) -> None:
    over_api, page = _base(api)
    other = await second_admin(api)
    sender = {"landlines": ["0563-0600110"], "links": True, "reason": HTML}
    assert (await api.call("PUT", f"{over_api}/sender", other, json=sender)).status == 200
    named = {"signature": "旌德中学"}
    assert (await api.post(f"{over_api}/signatures", other, named)).status == 201
    limit = {"limit": 900, "reason": "家长会"}
    assert (await api.post(f"{over_api}/direct-limits", other, limit)).status == 201
    browser = await browser_of(api, "admin")
    for start in ("/today", "/duty"):
        links = (await browser.get(start)).links
        assert links.count(f"{page}/sender") >= 2, start
        assert f"{page}/limits" in links, start
    for path in ("sender", "sender", "limits"):
        seen = await browser.get(f"{page}/{path}")
        assert HTML not in seen.html
        seen = await browser.submit(seen, _confirms(seen)[0])
        assert seen.status == 200, seen.text
    found = (await api.get(f"{over_api}/sender", ADMIN)).json
    assert (found["landlines"], found["links"]) == (["05630600110"], True)
    assert "旌德中学" in found["signatures"]
    assert (await api.get(over_api, ADMIN)).json["direct_send_limit"] == 900
    assert not _confirms(await browser.get(f"{page}/sender"))


async def test_what_a_department_may_write_waits_if_it_is_more(api: Api) -> None:
    over_api, page = _base(api)
    browser = await browser_of(api, "admin")
    action = f"{page}/sender"
    typed = {"landlines": "0563-0600110\n0563-0600119", "links": "true", "reason": "校办电话"}
    seen = await _send(browser, action, action, typed)
    assert "增加的内容经另一名管理员确认后生效。" in seen.text, seen.text
    assert "05630600110、05630600119" in seen.text
    assert not _confirms(seen)
    assert (await api.get(f"{over_api}/sender", ADMIN)).json["landlines"] == []
    seen = await _send(browser, action, action, {"landlines": "", "reason": "不要了"})
    assert "现在起生效。" in seen.text
    assert (await api.get(f"{over_api}/sender", ADMIN)).json["waiting"] is None


async def test_a_number_that_is_none_is_named(api: Api) -> None:
    _, page = _base(api)
    browser = await browser_of(api, "admin", "en")
    action = f"{page}/sender"
    typed = {"landlines": "0563-0600110\nthe office", "reason": "r"}
    seen = await _send(browser, action, action, typed)
    assert seen.status == 422
    assert 'href="#f-landlines"' in seen.html
    assert "the office: a number has 3 to 12 digits" in seen.text
    assert ("landlines", typed["landlines"]) in seen.form(action).fields, "it stays"


async def test_an_extension_is_registered_and_given_up(api: Api) -> None:
    over_api, page = _base(api)
    browser = await browser_of(api, "admin")
    path = f"{page}/extensions"
    seen = await _send(browser, path, path, {"extension": "12x"})
    assert seen.status == 422
    assert 'href="#f-extension"' in seen.html
    seen = await _send(browser, path, path, {"extension": "77"})
    assert "77 已归本单位。" in seen.text, seen.text
    end = f"{path}/77/end"
    seen = await browser.submit(await browser.get(end), end)
    assert "77 已放弃。" in seen.text
    (found,) = (await api.get(f"{over_api}/extensions", ADMIN)).json["items"]
    assert found["ended_at"] is not None
    assert end not in seen.links
    assert (await browser.get(end)).status == 404
    taken = {"extension": "77"}
    refused = await api.post(
        f"/departments/{api.teams['county'].department_id}/extensions", ADMIN, taken
    )
    assert refused.status == 409, "it is nobody else's"
    again = await _send(browser, path, path, taken)
    assert end in again.links, "it may be the same department's again"


async def test_a_limit_is_proposed_and_never_confirmed_by_the_same(api: Api) -> None:
    over_api, page = _base(api)
    browser = await browser_of(api, "admin", "en")
    path = f"{page}/limits"
    for wrong in ("", "many", "50001", "-1"):
        seen = await _send(browser, path, path, {"limit": wrong, "reason": "r"})
        assert seen.status == 422, wrong
        assert 'href="#f-limit"' in seen.html
    seen = await _send(browser, path, path, {"limit": "1200", "reason": HTML})
    assert "it waits for a second person" in seen.text, seen.text
    assert HTML not in seen.html
    assert not _confirms(seen)
    (limit,) = (await api.get(f"{over_api}/direct-limits", ADMIN)).json["items"]
    form = seen.form(path)
    sent = {name: value for name, value in form.fields if name in {"csrf", "_key"}}
    assert (await browser.post(f"{path}/{limit['id']}/confirm", sent)).status == 403
    done = f"{over_api}/direct-limits/{limit['id']}/confirm"
    assert (await api.post(done, await second_admin(api))).status == 200
    assert "1,200" in (await browser.get(path)).text


async def test_who_counts_as_the_proposer_sees_no_button_and_why(api: Api) -> None:
    """The administrator gave the other one a password: both count as one person."""
    over_api, page = _base(api)
    browser = await browser_of(api, "admin", "en")
    other = await second_admin(api)
    body = {"limit": 900, "reason": "家长会"}
    made = await api.post(f"{over_api}/direct-limits", other, body)
    assert made.status == 201
    assert _confirms(await browser.get(f"{page}/limits"))
    proposer = made.json["proposed_by"]
    key = {"user_id": proposer, "name": "k"}
    key = (await api.post("/keys", ADMIN, key)).json
    assert (await api.post(f"/keys/{key['id']}/activate", await second_admin(api))).status == 200
    seen = await browser.get(f"{page}/limits")
    assert not _confirms(seen)
    assert "You count as one person with whoever proposed it" in seen.text
