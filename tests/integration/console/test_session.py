"""Sessions of the console: how they begin and end, and what no other site can make of them."""

from base64 import b32decode
from datetime import timedelta

import pytest
from aiohttp import FormData

from service.accounts.login import credentials
from service.console.session import CSRF, PLAIN_COOKIE
from tests.harness.console import Browser, browser_of
from tests.harness.logins import PASSWORD, given_password, person
from tests.integration.api.conftest import Api


async def test_who_logs_in_sees_the_start_page_in_chinese(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await browser.get("/")
    assert seen.status == 200
    assert 'lang="zh-CN"' in seen.html
    assert "今天" in seen.text


async def test_a_wrong_password_keeps_the_login_and_says_so_in_the_readers_language(
    api: Api,
) -> None:
    login = await person(api)
    for language, words in (("zh-CN", "登录名"), ("en", "is wrong")):
        browser = Browser(api, language)
        seen = await browser.log_in(login, "not the password")
        assert seen.status == 401
        assert words in seen.text
        assert ("login", login) in seen.form("/login").fields
        assert PLAIN_COOKIE not in browser.cookies


@pytest.mark.attack
async def test_a_session_that_the_browser_had_before_opens_nothing(api: Api) -> None:
    browser = Browser(api)
    browser.cookies[PLAIN_COOKIE] = "ts_planted"
    seen = await browser.log_in(await person(api))
    assert seen.status == 200
    assert browser.cookies[PLAIN_COOKIE] != "ts_planted"


@pytest.mark.attack
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Origin": ""}],
    ids=["foreign", "null", "none"],
)
async def test_a_form_that_another_site_sends_is_refused(api: Api, headers: dict[str, str]) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/account")
    seen = await browser.submit(page, "/logout", headers=headers)
    assert seen.status == 403
    assert (await browser.get("/account")).status == 200, "the session goes on"


@pytest.mark.attack
@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", ""])
async def test_nobody_is_logged_in_by_a_form_of_another_site(api: Api, origin: str) -> None:
    """Else somebody would work, and type numbers, in the account of an attacker."""
    browser = Browser(api)
    data = FormData({"login": await person(api), "password": PASSWORD})
    seen = await browser.ask("POST", "/login", headers={"Origin": origin}, data=data)
    assert seen.status == 403
    assert PLAIN_COOKIE not in browser.cookies


@pytest.mark.attack
@pytest.mark.parametrize("token", ["", "00" * 32, "xx"])
async def test_a_form_without_the_sessions_token_is_refused(api: Api, token: str) -> None:
    browser = await browser_of(api, "operator")
    seen = await browser.post("/logout", FormData({CSRF: token}))
    assert seen.status == 403
    assert (await browser.get("/account")).status == 200


@pytest.mark.attack
async def test_a_token_of_another_session_is_refused(api: Api) -> None:
    one, other = await browser_of(api, "operator"), await browser_of(api, "approver")
    page = await other.get("/account")
    seen = await one.submit(page, "/logout")
    assert seen.status == 403


@pytest.mark.attack
async def test_no_page_can_be_framed_cached_or_run_a_script_of_others(api: Api) -> None:
    browser = await browser_of(api, "operator")
    for path in ("/login", "/today", "/account"):
        headers = (await browser.ask("GET", path)).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.attack
async def test_who_logs_out_is_out_and_the_browser_forgets(api: Api) -> None:
    browser = await browser_of(api, "operator")
    kept = dict(browser.cookies)
    page = await browser.get("/account")
    fields = FormData(page.form("/logout").fields)
    left = await browser.ask("POST", "/logout", headers={"Origin": browser.origin}, data=fields)
    assert left.status == 303
    assert left.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert PLAIN_COOKIE not in browser.cookies
    browser.cookies = kept
    assert (await browser.get("/account")).path.startswith("/login")


@pytest.mark.attack
@pytest.mark.parametrize(
    "elsewhere",
    ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:x"],
)
async def test_logging_in_leads_to_no_other_site(api: Api, elsewhere: str) -> None:
    browser = Browser(api)
    page = await browser.get("/login")
    login = await person(api)
    data = FormData([*page.form("/login").fields, ("login", login), ("password", PASSWORD)])
    data.add_field("next", elsewhere)
    seen = await browser.ask("POST", "/login", headers={"Origin": browser.origin}, data=data)
    assert seen.status in {303, 422}
    assert seen.headers.get("Location", "/today") == "/today"


@pytest.mark.attack
async def test_nobody_but_our_proxy_is_believed_about_tls(api: Api) -> None:
    headers = {
        "Host": "tocsin.example.gov.cn",
        "Origin": "https://tocsin.example.gov.cn",
        "X-Forwarded-Proto": "https",
    }
    data = FormData({"login": await person(api), "password": PASSWORD})
    seen = await Browser(api).ask("POST", "/login", headers=headers, data=data)
    assert seen.status == 403
    assert "Set-Cookie" not in seen.headers


@pytest.mark.attack
@pytest.mark.parametrize("form", ["/language", "/scheme"])
@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example"])
async def test_what_the_browser_remembers_leads_to_no_other_site(
    api: Api, form: str, elsewhere: str
) -> None:
    browser = Browser(api)
    data = FormData({"next": elsewhere, "language": "en", "scheme": "dark"})
    seen = await browser.ask("POST", form, headers={"Origin": browser.origin}, data=data)
    assert (seen.status, seen.headers["Location"]) == (303, "/today")


async def test_logging_in_leads_back_to_where_one_was(api: Api) -> None:
    browser = Browser(api)
    page = await browser.get("/account/password")
    assert page.path.startswith("/login?next=")
    seen = await browser.submit(page, "/login", {"login": await person(api), "password": PASSWORD})
    assert seen.path == "/account/password"


async def test_a_given_password_leads_to_its_change_and_nothing_else(api: Api) -> None:
    user = api.teams["county"].operator
    given = await given_password(api, user.id)
    browser = Browser(api)
    seen = await browser.log_in(user.login, given)
    assert seen.path == "/account/password"
    assert (await browser.get("/today")).path == "/account/password"
    seen = await browser.submit(
        seen, "/account/password", {"current": given, "new": "twelve signs at least"}
    )
    assert seen.path == "/account"
    assert (await browser.get("/today")).path == "/today"


async def test_a_password_that_is_too_short_is_told_beside_its_field(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/account/password")
    seen = await browser.submit(page, "/account/password", {"current": PASSWORD, "new": "short"})
    assert seen.status == 422
    assert 'id="e-new"' in seen.html
    assert "short" not in seen.html, "what was typed as a password is not shown again"


async def test_the_code_of_the_authenticator_is_asked_for(api: Api) -> None:
    login = await person(api)
    browser = Browser(api)
    await browser.log_in(login)
    page = await browser.get("/account/authenticator")
    page = await browser.submit(page, "/account/authenticator", {"password": PASSWORD})
    secret = page.html.partition('class="mono">')[2].partition("<")[0]
    assert "<svg" in page.html
    code = _code(api, secret)
    page = await browser.submit(page, "/account/authenticator/confirm", {"code": code})
    assert page.status == 200, page.text
    recovery = page.html.partition('<ul class="mono"><li>')[2].partition("<")[0]
    other = Browser(api)
    asked = await other.log_in(login)
    assert asked.status == 401
    assert "code" in asked.form("/login").named
    seen = await other.submit(
        asked, "/login", {"login": login, "password": PASSWORD, "code": recovery}
    )
    assert seen.path == "/today"


def _code(api: Api, secret: str) -> str:
    step = credentials.step_of(api.clock.now())
    return credentials.code_at(b32decode(secret.replace(" ", "")), step)


async def test_an_idle_session_ends(api: Api) -> None:
    browser = await browser_of(api, "operator")
    api.clock.at += timedelta(hours=2, minutes=1)
    assert (await browser.get("/account")).path.startswith("/login")


async def test_a_form_that_came_too_late_is_shown_to_the_same_person_again(api: Api) -> None:
    browser = await browser_of(api, "operator")
    login = api.teams["county"].operator.login
    page = await browser.get("/account/password")
    api.clock.at += timedelta(hours=3)
    late = await browser.submit(page, "/account/password", {"current": "x", "new": "typed before"})
    assert late.status == 401
    back = await browser.submit(late, "/login", {"login": login, "password": PASSWORD})
    assert back.status == 200
    shown = await browser.submit(back, "/account/password")
    assert shown.status == 200
    assert "new" in shown.form("/account/password").named


@pytest.mark.attack
async def test_a_form_that_came_too_late_is_not_shown_to_another_person(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/account/password")
    other = await person(api, "approver")
    api.clock.at += timedelta(hours=3)
    late = await browser.submit(page, "/account/password", {"current": "x", "new": "typed before"})
    seen = await browser.submit(late, "/login", {"login": other, "password": PASSWORD})
    assert seen.path == "/today"
    assert "typed before" not in seen.html


async def test_a_part_of_a_page_whose_session_is_over_asks_in_a_box(api: Api) -> None:
    browser = await browser_of(api, "operator")
    login = api.teams["county"].operator.login
    page = await browser.get("/account/password")
    api.clock.at += timedelta(hours=3)
    htmx = {"HX-Request": "true"}
    late = await browser.submit(
        page, "/account/password", {"current": PASSWORD, "new": "another one, longer"}, headers=htmx
    )
    assert late.status == 401
    assert late.headers["HX-Session"] == "over"
    done = await browser.submit(
        late, "/login", {"login": login, "password": PASSWORD}, headers=htmx
    )
    assert done.headers["HX-Session"] == "renewed"
    form = page.form("/account/password")
    fields = [(name, value) for name, value in form.fields if name not in {CSRF, "current", "new"}]
    again = FormData(
        [
            *fields,
            ("current", PASSWORD),
            ("new", "another one, longer"),
            (CSRF, done.headers["HX-CSRF"]),
        ]
    )
    assert (await browser.post("/account/password", again, headers=htmx)).path == "/account"


async def test_language_and_colours_are_remembered(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/account")
    data = FormData([*page.form("/language").fields, ("language", "en")])
    seen = await browser.post("/language", data)
    assert seen.path == "/account"
    assert 'lang="en"' in seen.html
    seen = await browser.post("/scheme", FormData({"next": "/account", "scheme": "dark"}))
    assert 'data-scheme="dark"' in seen.html


@pytest.mark.attack
async def test_a_file_is_read_of_nobody_who_may_not_send_it(api: Api) -> None:
    """A file that is too large is refused as that only to whoever may import."""
    stranger, viewer = Browser(api), await browser_of(api, "viewer")
    operator = await browser_of(api, "operator")
    statuses = {}
    for name, browser in (("stranger", stranger), ("viewer", viewer), ("operator", operator)):
        form = FormData(default_to_multipart=True)
        form.add_field("file", b"1" * 400_000, filename="large.csv")
        headers = {"Origin": browser.origin}
        seen = await browser.ask("POST", "/people/imports/new", headers=headers, data=form)
        statuses[name] = seen.status
    assert statuses == {"stranger": 303, "viewer": 403, "operator": 413}
