"""The pages on notices and on the own phone, in a browser without script."""

from service.settings import Settings
from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.console import Browser, browser_of
from tests.harness.ledger import add_channel
from tests.harness.logins import last_code
from tests.harness.told import Told
from tests.integration.api.conftest import Api

NUMBER = phone(7)


async def _proved(api: Api, role: str, language: str = "en") -> Browser:
    """Somebody who has proved their phone on the page."""
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    browser = await browser_of(api, role, language)
    page = await browser.get("/account/phone")
    page = await browser.submit(page, "/account/phone", {"phone": NUMBER})
    assert page.status == 200
    page = await browser.submit(page, "/account/phone/code", {"code": await last_code(api)})
    assert page.path == "/account", page.text
    return browser


async def test_from_no_phone_to_a_notice_that_came(api: Api) -> None:
    browser = await _proved(api, "approver")
    page = await browser.get("/account/notices")
    page = await browser.submit(page, "/account/notices", {"kinds": ["approval"]})
    assert "Your choice is kept." in page.text
    assert NUMBER not in page.html
    assert ("kinds", "approval") in page.form("/account/notices").fields
    runtime = api.runtime
    told = Told(runtime.pool, runtime.keyring, runtime.settings, api.teams["county"], api.clock.at)
    await told.submit()
    await told.make()
    page = await browser.get("/account/notices")
    assert "sent as a text" in page.text
    assert [number for _, number in (await told.texts())[1:]] == [NUMBER]


async def test_a_refusal_stands_at_its_field_and_keeps_what_was_ticked(api: Api) -> None:
    browser = await browser_of(api, "operator", "zh-CN")
    page = await browser.get("/account/notices")
    refused = await browser.submit(page, "/account/notices", {"kinds": ["returned", "paused"]})
    assert refused.status == 422
    assert "请先验证手机" in refused.text
    ticked = [value for name, value in refused.form("/account/notices").fields if name == "kinds"]
    assert ticked == ["returned", "paused"]


async def test_a_wrong_code_says_how_many_tries_are_left(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    browser = await browser_of(api, "operator", "en")
    page = await browser.get("/account/phone")
    page = await browser.submit(page, "/account/phone", {"phone": NUMBER})
    wrong = "000000" if await last_code(api) != "000000" else "000001"
    refused = await browser.submit(page, "/account/phone/code", {"code": wrong})
    assert (refused.status, "4 tries are left" in refused.text) == (422, True)
    assert NUMBER not in refused.html


async def test_mails_are_offered_only_where_there_is_a_server(api: Api) -> None:
    browser = await browser_of(api, "approver", "en")
    page = await browser.get("/account/notices")
    assert ("way", "text") in page.form("/account/notices").fields
    assert "By mail" not in page.text
    settings: Settings = api.runtime.settings
    for name, value in {
        "smtp_url": "smtps://mail.example.gov.cn",
        "mail_from": "tocsin@example.gov.cn",
        "mail_domains": "example.gov.cn",
    }.items():
        object.__setattr__(settings, name, value)
    page = await browser.get("/account/notices")
    chosen = {"kinds": ["approval"], "way": "mail", "mail": "wang@elsewhere.example"}
    refused = await browser.submit(page, "/account/notices", chosen)
    assert (refused.status, "example.gov.cn only" in refused.text) == (422, True)
    assert ("mail", "wang@elsewhere.example") in refused.form("/account/notices").fields
    chosen["mail"] = "wang@example.gov.cn"
    kept = await browser.submit(refused, "/account/notices", chosen)
    assert "Your choice is kept." in kept.text


async def test_an_inspector_chooses_mails_of_packs_and_nothing_else(api: Api) -> None:
    settings: Settings = api.runtime.settings
    for name, value in {
        "smtp_url": "smtps://mail.example.gov.cn",
        "mail_from": "tocsin@example.gov.cn",
        "mail_domains": "example.gov.cn",
    }.items():
        object.__setattr__(settings, name, value)
    browser = await browser_of(api, "inspector", "en")
    assert "/account/notices" in (await browser.get("/account")).html
    page = await browser.get("/account/notices")
    names = {name for name, _ in page.form("/account/notices").fields}
    assert "kinds" not in names
    assert "Campaigns that wait for me" not in page.text
    chosen = {"packs": "true", "mail": "li@example.gov.cn"}
    page = await browser.submit(page, "/account/notices", chosen)
    assert "A code is on its way" in page.text
    assert ("packs", "true") in page.form("/account/notices").fields
    kept = await api.runtime.pool.fetchrow("SELECT kinds, packs, way FROM notice_choices")
    assert kept is not None
    assert tuple(kept) == ([], True, "text")
