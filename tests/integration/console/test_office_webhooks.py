"""Webhooks on pages: made, changed, tested, called again, with a new secret, deleted."""

import re
from typing import get_args

import pytest

from service.api.webhooks.webhooks import Told
from service.console.office.webhook_words import EVENTS
from service.delivery.webhooks import webhook_calls_store
from service.storage.postgres import transaction
from tests.harness.console import Browser, Seen, browser_of
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

WEBHOOKS = "/office/webhooks"
URL = "https://sms.example.gov.cn/tocsin"
OPERATOR = ("county", "operator")


def _secret(seen: Seen) -> str:
    found = re.search(r'class="mono">(whsec_[^<]+)<', seen.html)
    assert found is not None, seen.text
    return found[1]


async def _made(browser: Browser) -> tuple[str, str]:
    """The address of a new webhook's page, and its secret."""
    form = await browser.get(f"{WEBHOOKS}/new")
    typed = {"url": URL, "events": ["run.finished", "inbound.received"]}
    made = await browser.submit(form, f"{WEBHOOKS}/new", typed)
    assert made.status == 200, made.text
    (page,) = {link for link in made.links if re.fullmatch(rf"{WEBHOOKS}/[0-9a-f-]{{36}}", link)}
    return page, _secret(made)


def test_every_event_has_words_and_a_place_in_the_form() -> None:
    assert set(EVENTS) == set(get_args(Told))


async def test_a_webhook_is_made_and_its_secret_shown_once(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page, secret = await _made(browser)
    seen = await browser.get(page)
    assert "已设置" in seen.text
    for shown in (seen, await browser.get(WEBHOOKS)):
        assert URL in shown.text
        assert secret not in shown.html
    asked = await browser.get(f"{page}/secret")
    renewed = _secret(await browser.submit(asked, f"{page}/secret"))
    assert renewed != secret
    assert renewed not in (await browser.get(page)).html


async def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(api: Api) -> None:
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{WEBHOOKS}/new")
    refused = await browser.submit(
        form, f"{WEBHOOKS}/new", {"url": "ftp://a.example", "events": ["run.finished"]}
    )
    assert refused.status == 422
    assert 'id="e-url"' in refused.html
    fields = refused.form(f"{WEBHOOKS}/new").fields
    assert {("url", "ftp://a.example"), ("events", "run.finished")} <= set(fields)
    nothing = await browser.submit(form, f"{WEBHOOKS}/new", {"url": URL})
    assert (nothing.status, 'id="e-events"' in nothing.html) == (422, True)


async def test_a_webhook_without_events_is_not_saved(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page, _ = await _made(browser)
    seen = await browser.get(page)
    refused = await browser.submit(seen, page, {"events": []})
    assert (refused.status, 'id="e-events"' in refused.html) == (422, True)
    saved = await browser.submit(seen, page, {"events": ["run.finished"]})
    assert "已保存。" in saved.text
    (one,) = (await api.get("/webhooks", OPERATOR)).json["items"]
    assert one["events"] == ["run.finished"]
    stale = await browser.submit(seen, page, {"events": ["fire.late"]})
    assert stale.status == 412


async def test_calls_are_shown_made_again_and_stopped(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page, _ = await _made(browser)
    tested = await browser.submit(await browser.get(page), f"{page}/test")
    assert "测试已发出" in tested.text
    async with transaction(api.runtime.pool) as conn:
        (call,) = await conn.fetch("SELECT webhook_id, event_id FROM webhook_deliveries")
        await webhook_calls_store.record(
            conn, call["webhook_id"], call["event_id"], "given_up", None, 503, "answered 503",
            api.clock.at,
        )  # fmt: skip
    seen = await browser.get(f"{page}?state=given_up")
    assert "回应的状态是 503" in seen.text
    assert "503" not in (await browser.get(f"{page}?state=delivered")).text
    none = await browser.submit(seen, f"{page}/replay", {"since.day": "", "since.time": ""})
    assert (none.status, 'id="e-since.day"' in none.html) == (422, True)
    again = await browser.submit(seen, f"{page}/replay")
    assert "重新通知 1 次" in again.text
    off = await browser.submit(again, f"{page}/service")
    assert "由人停用" in off.text
    assert not [form for form in off.forms if form.action == f"{page}/test"]
    on = await browser.submit(off, f"{page}/service")
    assert "由人停用" not in on.text


async def test_a_webhook_is_deleted_after_a_question(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page, _ = await _made(browser)
    asked = await browser.get(f"{page}/delete")
    gone = await browser.submit(asked, f"{page}/delete")
    assert "已删除" in gone.text
    assert (await browser.ask("GET", page)).status == 404


async def test_whoever_may_only_read_changes_nothing(api: Api) -> None:
    operator = await browser_of(api, "operator")
    page, _ = await _made(operator)
    assert WEBHOOKS in operator_menu(await operator.get("/today"))
    viewer = await browser_of(api, "viewer")
    assert WEBHOOKS not in operator_menu(await viewer.get("/today"))
    seen = await viewer.get(page)
    assert URL in seen.text
    assert not [form for form in seen.forms if form.action.startswith(f"{page}/")]
    assert f"{page}/delete" not in seen.links
    for address in (f"{WEBHOOKS}/new", f"{page}/secret", f"{page}/delete"):
        assert (await viewer.ask("GET", address)).status == 403


def operator_menu(seen: Seen) -> list[str]:
    """The links of a page to the pages of programs."""
    return [link for link in seen.links if link.startswith("/office")]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_the_pages_of_a_webhook_are_shown_in_both_languages(api: Api, language: str) -> None:
    browser = await browser_of(api, "admin", language)
    page, _ = await _made(browser)
    for address in (WEBHOOKS, page, f"{page}/secret", f"{page}/delete"):
        assert (await browser.get(address)).status == 200
