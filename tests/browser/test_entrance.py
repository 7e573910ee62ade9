"""Logging in and out: the first password, an authenticator, a second window, the back button."""

import json
import re
from base64 import b32decode
from datetime import datetime

import pytest
from playwright.async_api import Browser, expect

from service.accounts.login.credentials import code_at, step_of
from service.clock import Clock
from tests.browser.conftest import Visit
from tests.browser.keyboard import KeyboardVisitor
from tests.browser.office import Office, choose_password, hire
from tests.browser.visitor import PASSWORD, Visitor


@pytest.fixture(params=["mouse", "keys in Chromium 90"])
def way(request: pytest.FixtureRequest) -> dict[str, object]:
    """How somebody comes: with a mouse today, or with keys alone in an old browser."""
    if request.param == "mouse":
        return {}
    return {"hands": KeyboardVisitor, "browser": request.getfixturevalue("oldest")}


async def log_in(visitor: Visitor, login: str, password: str, code: str = "") -> None:
    """Fill the form in as it asks."""
    await visitor.type(visitor.field("login"), login)
    await visitor.type(visitor.field("password"), password)
    if code:
        await visitor.type(visitor.field("code"), code)
    await visitor.press(visitor.page.locator("main button.main"))


def code_of(office: Office, secret: str) -> str:
    """What an authenticator shows now by the system's clock."""
    start, anchor, speed = json.loads((office.live.folder / "clock.json").read_text())
    now = Clock(datetime.fromisoformat(start), anchor, speed).now()
    return code_at(b32decode(secret), step_of(now))


async def test_a_given_password_leads_to_its_change_and_to_nothing_else(
    visit: Visit, office: Office, way: dict[str, object]
) -> None:
    login, given = await hire(office)
    visitor = await visit(**way)
    await visitor.go("/today")
    await log_in(visitor, login, given)
    await visitor.page.wait_for_url("**/account/password")
    for path in ("/today", "/account", "/account/authenticator"):
        await visitor.go(path)
        assert visitor.page.url == f"{office.url}/account/password", path
    await visitor.type(visitor.field("current"), given)
    await visitor.type(visitor.field("new"), PASSWORD)
    await visitor.press(visitor.page.locator("main button.main"))
    await visitor.page.wait_for_url("**/account")
    await visitor.go("/today")
    await expect(visitor.page.locator("h1")).to_be_visible()
    assert visitor.page.url.endswith("/today")
    assert visitor.clicks == 2


async def test_who_comes_by_an_address_goes_on_there_after_the_login(
    visit: Visit, office: Office
) -> None:
    visitor = await visit()
    await visitor.go("/account")
    assert "/login" in visitor.page.url
    await log_in(visitor, "operator", PASSWORD)
    await visitor.page.wait_for_url(office.url + "/account")


async def test_a_wrong_password_is_said_and_the_login_stays(visit: Visit) -> None:
    visitor = await visit(refusals=(401,))
    await visitor.go("/login")
    await log_in(visitor, "operator", "not the password")
    alert = visitor.page.locator("main .error-summary, main [role=alert]").first
    await expect(alert).to_be_visible()
    assert await visitor.field("login").input_value() == "operator"
    assert await visitor.field("password").input_value() == ""


async def test_an_authenticator_is_set_up_and_asked_for(
    visit: Visit, office: Office, way: dict[str, object]
) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    visitor = await visit(refusals=(401,), **way)
    await visitor.log_in(login)
    await visitor.go("/account/authenticator")
    await visitor.type(visitor.field("password"), PASSWORD)
    await visitor.press(visitor.page.locator("main button.main"))
    secret = (await visitor.page.locator("main .mono").inner_text()).replace(" ", "")
    await visitor.type(visitor.field("code"), code_of(office, secret))
    await visitor.press(visitor.page.locator("main button.main"))
    codes = visitor.page.locator("main li")
    await expect(codes.first).to_be_visible()
    recovery = await codes.first.inner_text()
    await visitor.page.context.clear_cookies()
    await visitor.go("/login")
    await log_in(visitor, login, PASSWORD)
    await expect(visitor.field("code")).to_be_visible()
    await log_in(visitor, login, PASSWORD, recovery)
    await visitor.page.wait_for_url(re.compile("/today$"))


@pytest.mark.attack
async def test_after_the_logout_the_back_button_shows_nothing(visit: Visit, office: Office) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    visitor = await visit()
    await visitor.log_in(login)
    await visitor.go("/account")
    await expect(visitor.says(login)).to_be_visible()
    await visitor.page.locator("header details.drop > summary").click()
    await visitor.page.locator("form[action='/logout'] button").click()
    await visitor.page.wait_for_url("**/login")
    await visitor.page.go_back()
    await visitor.page.wait_for_load_state()
    assert "/login" in visitor.page.url
    assert login not in await visitor.page.content()


@pytest.mark.attack
async def test_a_changed_password_ends_the_other_windows(visit: Visit, office: Office) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    here, there = await visit(), await visit()
    await here.log_in(login)
    await there.log_in(login)
    await here.go("/account/password")
    await here.type(here.field("current"), PASSWORD)
    await here.type(here.field("new"), "another horse battery")
    await here.press(here.page.locator("main button.main"))
    await here.page.wait_for_url("**/account")
    await there.go("/today")
    assert "/login" in there.page.url
    await here.go("/today")
    assert here.page.url.endswith("/today")


async def test_a_session_is_ended_from_another_window(visit: Visit, office: Office) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    here, there = await visit(), await visit()
    await here.log_in(login)
    await there.log_in(login)
    await here.go("/account")
    others = here.page.locator("form[action$='/end'] button")
    await expect(others).to_have_count(2)
    for left in (1, 0):
        await here.press(others.first)
        await expect(others).to_have_count(left)
    await there.go("/today")
    assert "/login" in there.page.url


async def test_without_script_one_logs_in_and_changes_the_language(
    visit: Visit, today: Browser, office: Office
) -> None:
    visitor = await visit(java_script_enabled=False)
    await visitor.go("/login")
    await log_in(visitor, "operator", PASSWORD)
    await visitor.page.wait_for_url(office.url + "/today")
    await visitor.page.locator("form[action='/language'] button").click()
    await expect(visitor.page.locator("html")).to_have_attribute("lang", "en")
    assert visitor.page.url == office.url + "/today"
