"""What a hostile page, or a hostile text, can do to somebody who has logged in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.office import Office, choose_password, hire
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.attack


async def hostile(visitor: Visitor, host: str, html: str) -> Page:
    """A page of another origin, opened in the same browser."""
    page = await visitor.page.context.new_page()

    async def answer(route: Route) -> None:
        await route.fulfill(content_type="text/html", body=html)

    await page.route(f"http://{host}/**", answer)
    await page.goto(f"http://{host}/")
    return page


def session_of(cookies: list[Any]) -> str:
    (found,) = [cookie["value"] for cookie in cookies if cookie["name"] == "tocsin"]
    return str(found)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:9"])
async def test_a_form_of_another_origin_is_refused(visit: Visit, office: Office, host: str) -> None:
    """The browser gives the cookie to another port of the same host, not to another host."""
    login, _ = await hire(office)
    await choose_password(office, login)
    visitor = await visit()
    await visitor.log_in(login)
    form = f"<form method=post action='{office.url}/logout'><button>x</button></form>"
    page = await hostile(visitor, host, form)
    async with page.expect_response(f"{office.url}/logout") as told:
        await page.get_by_role("button").click()
    assert (await told.value).status == 403
    await visitor.go("/today")
    assert visitor.page.url.endswith("/today"), "the session goes on"


async def test_a_form_without_the_sessions_token_is_refused(visit: Visit, office: Office) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    visitor = await visit(refusals=(403,))
    await visitor.log_in(login)
    await visitor.page.evaluate(
        """() => { const form = document.querySelector("form[action='/logout']");
        for (const field of form.querySelectorAll('[type=hidden]')) field.remove();
        form.submit(); }"""
    )
    await visitor.page.wait_for_load_state()
    await expect(visitor.page.locator("h1")).to_be_visible()
    await visitor.go("/today")
    assert visitor.page.url.endswith("/today"), "the session goes on"


async def test_a_session_from_before_the_login_is_not_taken(visit: Visit, office: Office) -> None:
    """Fixation: somebody plants the cookie of their own session, or one that they made up."""
    attacker, victim = await visit(), await visit()
    login, _ = await hire(office)
    await choose_password(office, login)
    await attacker.log_in(login)
    planted = session_of(await attacker.page.context.cookies())
    for value in (planted, "ts_" + "A" * 43):
        cookie = {"name": "tocsin", "value": value, "url": office.url}
        await victim.page.context.add_cookies([cookie])
        await victim.log_in("operator")
        assert session_of(await victim.page.context.cookies()) != value
    await attacker.go("/account")
    await expect(attacker.says(login)).to_be_visible()


@asynccontextmanager
async def serving(html: str) -> AsyncIterator[str]:
    """A hostile page on a port of this machine: a browser lets none that was made up frame one."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_no_page_is_shown_inside_another(visit: Visit, office: Office) -> None:
    visitor = await visit("operator")
    page = await visitor.page.context.new_page()
    async with serving(f"<iframe src='{office.url}/today'></iframe>") as address:
        await page.goto(address, wait_until="networkidle")
    assert page.frames[1].url.startswith("chrome-error:")
    alone = await visitor.page.request.get(office.url + "/today")
    assert "frame-ancestors 'none'" in alone.headers["content-security-policy"]


@pytest.mark.parametrize(
    "there", ["//127.0.0.1:9/x", "http://127.0.0.1:9/x", "/\\127.0.0.1:9", "javascript:alert(1)"]
)
async def test_the_login_leads_to_no_other_site(visit: Visit, office: Office, there: str) -> None:
    visitor = await visit()
    await visitor.page.goto(f"{office.url}/login?next={there}")
    await visitor.type(visitor.field("login"), "operator")
    await visitor.type(visitor.field("password"), "correct horse battery")
    await visitor.press(visitor.page.locator("main button.main"))
    await visitor.page.wait_for_url(office.url + "/today")


async def test_a_page_is_kept_by_no_cache_and_its_cookie_by_no_script(
    visit: Visit, office: Office
) -> None:
    visitor = await visit("operator")
    await visitor.go("/today")
    answer = await visitor.page.request.get(office.url + "/today")
    assert "no-store" in answer.headers["cache-control"]
    assert "tocsin=" not in await visitor.page.evaluate("document.cookie")
    assert "unsafe" not in answer.headers["content-security-policy"]
