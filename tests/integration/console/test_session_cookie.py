"""The cookie of a session: what a browser is told of it, with TLS in front of us and without."""

from http.cookies import Morsel, SimpleCookie

import pytest
from aiohttp import FormData

from service.console.session import PLAIN_COOKIE, SECURE_COOKIE
from service.settings import Settings
from tests.harness.console import Browser
from tests.harness.logins import PASSWORD, person
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.attack
TLS = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def runtime_settings(runtime_settings: Settings) -> Settings:
    """A proxy of ours on this machine speaks TLS with browsers."""
    return runtime_settings.model_copy(update={"trusted_proxies": "127.0.0.1/32"})


async def given(api: Api, headers: dict[str, str]) -> dict[str, Morsel[str]]:
    """The cookies that a login sets."""
    browser = Browser(api)
    login = await person(api)
    data = FormData({"login": login, "password": PASSWORD})
    origin = browser.origin.replace("http:", "https:") if headers else browser.origin
    sent = {"Origin": origin, **headers}
    async with api.client.request(
        "POST", "/login", headers=sent, data=data, allow_redirects=False
    ) as answer:
        assert answer.status == 303, await answer.text()
        found: SimpleCookie = SimpleCookie()
        for line in answer.headers.getall("Set-Cookie"):
            found.load(line)
    return dict(found)


async def test_over_tls_it_is_for_this_host_alone_and_never_sent_in_the_clear(api: Api) -> None:
    cookies = await given(api, TLS)
    assert set(cookies) == {SECURE_COOKIE}
    cookie = cookies[SECURE_COOKIE]
    assert SECURE_COOKIE.startswith("__Host-"), "browsers hold these to the host that set them"
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


async def test_on_this_machine_no_script_reads_it_and_no_other_site_sends_it(api: Api) -> None:
    cookies = await given(api, {})
    assert set(cookies) == {PLAIN_COOKIE}
    cookie = cookies[PLAIN_COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert not cookie["max-age"], "it ends with the browser"


async def test_a_cookie_from_without_tls_opens_nothing_over_it(api: Api) -> None:
    """Whoever can write cookies of this host in the clear plants no session."""
    token = (await given(api, {}))[PLAIN_COOKIE].value
    for name, opened in ((PLAIN_COOKIE, False), (SECURE_COOKIE, True)):
        headers = {"Cookie": f"{name}={token}", **TLS}
        async with api.client.get("/account", headers=headers, allow_redirects=False) as answer:
            assert (answer.status == 200) == opened, name
