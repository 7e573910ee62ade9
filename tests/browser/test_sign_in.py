"""Single sign-on in Chromium by a provider that others wrote: oidc-provider, from npm.

It is `localhost` and the console 127.0.0.1: another site, as in earnest. What an attacker tries is
in tests/integration/console/test_sign_in.py.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.install import FOLDER, NODE
from tests.browser.office import Office, choose_password
from tests.harness.live import MORNING, Live

CLIENT, SECRET = "tocsin", "a secret: %+&"
SCRIPT = Path(__file__).parent / "npm/provider.mjs"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`tocsin up` with a provider; whoever comes there as `wang` is the county's operator."""
    port, at = _free_port(), _free_port()
    console, issuer = f"http://127.0.0.1:{port}", f"http://localhost:{at}"
    program = shutil.copy(SCRIPT, FOLDER)  # beside the packages that it imports
    command = [NODE / "bin/node", program, issuer, str(at), CLIENT, SECRET]
    folder = tmp_path_factory.mktemp("sign-in") / "data"
    live = Live(folder, "--port", str(port), "--clock", MORNING, "--channels", "none",
                TOCSIN_CONSOLE_URL=console, TOCSIN_SIGN_IN_ISSUER=issuer,
                TOCSIN_SIGN_IN_CLIENT_ID=CLIENT, TOCSIN_SIGN_IN_CLIENT_SECRET=SECRET)  # fmt: skip
    with subprocess.Popen(
        [*command, f"{console}/login/provider/return"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as provider:
        try:
            assert provider.stdout is not None
            assert provider.stdout.readline() == b"ready\n"
            live.start()
            yield live
        finally:
            live.stop()
            provider.terminate()


async def _opened(browser: Browser) -> BrowserContext:
    """A new window's context, which asks this machine alone: the provider's pages want a font."""
    context = await browser.new_context(locale="en")

    async def here_only(route: Route) -> None:
        if urlsplit(route.request.url).hostname in {"127.0.0.1", "localhost"}:
            await route.continue_()
        else:
            await route.abort()

    await context.route("**/*", here_only)
    return context


async def _sign_in(page: Page, name: str) -> None:
    """From the console's login page over the provider's own pages, as a person does."""
    await page.get_by_role("link", name="Log in by single sign-on").click()
    await page.get_by_placeholder("Enter any login").fill(name)
    await page.get_by_placeholder("and password").fill("whatever")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()


async def test_a_linked_person_comes_to_the_page_they_wanted_and_a_stranger_to_none(
    system: Live, today: Browser
) -> None:
    office = Office(system, {})
    users = (await office.ask("admin", "GET", "/users?limit=100"))["items"]
    operator = next(user for user in users if user["roles"] == ["operator"])
    office.users[operator["login"]] = operator["id"]
    await choose_password(office, operator["login"])
    path = f"/users/{operator['id']}/sign-in"
    await office.ask("admin", "PUT", path, {"subject": "wang"})
    await office.ask("second_admin", "POST", f"{path}/confirm")
    context = await _opened(today)
    page = await context.new_page()
    await page.goto(f"{office.url}/account")
    await _sign_in(page, "wang")
    await page.wait_for_url(f"{office.url}/account")
    await expect(page.locator("main")).to_contain_text(operator["login"])
    cookies = {cookie["name"]: cookie for cookie in await context.cookies(office.url)}
    assert set(cookies) == {"tocsin"}, "what the sign-in needed is gone"
    assert cookies["tocsin"]["httpOnly"]
    await page.go_back()  # the way back with its code, or the provider: it opens nothing anew
    listed = await office.ask("admin", "GET", f"/sessions?user_id={operator['id']}")
    assert [item["agent"].startswith("Mozilla") for item in listed["items"]].count(True) == 1
    await context.close()
    stranger = await _opened(today)
    page = await stranger.new_page()
    await page.goto(f"{office.url}/login")
    await _sign_in(page, "li")
    await expect(page.locator("main")).to_contain_text("no account here is linked to you")
    assert await stranger.cookies(office.url) == []
    await stranger.close()
