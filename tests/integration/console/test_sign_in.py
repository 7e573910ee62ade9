"""Single sign-on in a browser without script, with a provider over HTTP that keeps its protocol."""

from base64 import b32decode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import UUID

import aiohttp
import pytest

from service.accounts.login import credentials
from service.accounts.login.session_store import IDLE, LIFETIME
from service.accounts.sign_in import sign_in
from service.console.session import PLAIN_COOKIE
from service.settings import Settings
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.keys import second_admin
from tests.harness.logins import PASSWORD, log_in, person
from tests.harness.provider import CLIENT, SECRET, HarnessProvider, provider
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")
CONSOLE = "http://127.0.0.1:8080"
BACK = "/login/provider/return"


@pytest.fixture
async def idp() -> AsyncIterator[HarnessProvider]:
    async with provider() as made:
        yield made


@pytest.fixture
def runtime_settings(runtime_settings: Settings, idp: HarnessProvider) -> Settings:
    update = {
        "console_url": CONSOLE,
        "sign_in_issuer": idp.url,
        "sign_in_client_id": CLIENT,
        "sign_in_client_secret": SECRET,
    }
    return runtime_settings.model_copy(update=update)


async def link(api: Api, user_id: UUID, subject: str = "wang") -> None:
    """Two administrators link a user."""
    path = f"/users/{user_id}/sign-in"
    proposed = await api.call("PUT", path, ADMIN, json={"subject": subject})
    assert proposed.status == 200, proposed.body
    confirmed = await api.post(f"{path}/confirm", await second_admin(api))
    assert confirmed.status == 200, confirmed.body


async def at_provider(address: str) -> str:
    """Where the provider sends the browser back, as a path of the console."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(address, allow_redirects=False) as answer,
    ):
        assert answer.status == 302, await answer.text()
        back = answer.headers["Location"]
    assert back.startswith(CONSOLE + BACK)
    return back.removeprefix(CONSOLE)


async def away(browser: Browser, then: str = "") -> str:
    """The browser goes to the provider; returns where that sends it back."""
    seen = await browser.ask("GET", f"/login/provider?next={quote(then, safe='')}")
    assert seen.status == 303, seen.text
    return await at_provider(seen.headers["Location"])


async def signed_in(browser: Browser, then: str = "") -> Seen:
    return await browser.ask("GET", await away(browser, then))


def changed(back: str, **values: str | None) -> str:
    """The address of the way back, with other values in it."""
    parts = urlsplit(back)
    query = {name: given[0] for name, given in parse_qs(parts.query).items()}
    query |= {name: value for name, value in values.items() if value is not None}
    for name in [name for name, value in values.items() if value is None]:
        del query[name]
    return f"{parts.path}?{urlencode(query)}"


async def sessions(api: Api) -> int:
    found: int = await api.runtime.pool.fetchval("SELECT count(*) FROM sessions")
    return found


async def test_a_linked_person_is_logged_in_as_who_they_are_here(api: Api) -> None:
    user = api.teams["county"].operator
    await link(api, user.id)
    browser = Browser(api)
    assert "/login/provider?next=" in (await browser.get("/login")).links
    seen = await signed_in(browser, "/account")
    assert (seen.status, seen.headers["Location"]) == (303, "/account")
    page = await browser.get("/account")
    assert user.login in page.text
    entries = await api.runtime.pool.fetch(
        "SELECT actor_id, details FROM audit_entries WHERE action = 'login'"
    )
    assert [(e["actor_id"], e["details"]) for e in entries] == [(user.id, {"by": "provider"})]
    out = await browser.submit(page, "/logout")
    assert out.path == "/login"
    assert (await browser.ask("GET", "/account")).status == 303


async def test_its_session_ends_as_any_other(api: Api) -> None:
    await link(api, api.teams["county"].operator.id)
    for ends_after in (IDLE, LIFETIME):
        browser = Browser(api)
        await signed_in(browser)
        left = ends_after
        while left > timedelta(0):  # in use, as long as the term is the longer one
            step = min(left, IDLE - timedelta(minutes=1)) if ends_after is LIFETIME else left
            assert (await browser.ask("GET", "/account")).status == 200
            api.clock.at += step
            left -= step
        assert (await browser.ask("GET", "/account")).status == 303


@pytest.mark.attack
async def test_whoever_is_linked_to_nobody_gets_neither_account_nor_session(
    api: Api, idp: HarnessProvider
) -> None:
    await link(api, api.teams["county"].operator.id)
    users = await api.runtime.pool.fetchval("SELECT count(*) FROM users")
    idp.subject = api.teams["county"].admin.login
    seen = await signed_in(Browser(api, "en"))
    assert (seen.status, "linked to you" in seen.text) == (401, True)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM users") == users
    assert await sessions(api) == 0
    noted = await api.runtime.pool.fetch(
        "SELECT actor_id FROM audit_entries WHERE action = 'sign_in_unknown'"
    )
    assert [row["actor_id"] for row in noted] == [None]


@pytest.mark.attack
async def test_a_user_out_of_service_is_not_logged_in_and_it_is_noted(api: Api) -> None:
    user = api.teams["county"].operator
    await link(api, user.id)
    await api.runtime.pool.execute(
        "UPDATE users SET disabled_at = $2 WHERE id = $1", user.id, api.clock.at
    )
    assert (await signed_in(Browser(api))).status == 401
    assert await sessions(api) == 0
    failed = "SELECT count(*) FROM audit_entries WHERE action = 'login_failed' AND actor_id = $1"
    assert await api.runtime.pool.fetchval(failed, user.id) == 1


@pytest.mark.attack
@pytest.mark.parametrize(
    "values",
    [{"state": None}, {"state": "x" * 43}, {"state": ""}, {"code": None}, {"iss": None},
     {"iss": "https://elsewhere.example"}, {"code": "guessed"}],
    ids=str,
)  # fmt: skip
async def test_an_answer_that_is_not_as_it_was_asked_opens_nothing(
    api: Api, values: dict[str, str | None]
) -> None:
    await link(api, api.teams["county"].operator.id)
    browser = Browser(api)
    seen = await browser.ask("GET", changed(await away(browser), **values))
    assert seen.status == 401
    assert PLAIN_COOKIE not in browser.cookies
    assert await sessions(api) == 0


@pytest.mark.attack
async def test_nobody_is_logged_in_as_somebody_else_by_a_link(api: Api) -> None:
    """Login CSRF: an attacker's code and state, in the browser of a victim who began as well."""
    await link(api, api.teams["county"].operator.id)
    attacker, victim = Browser(api), Browser(api)
    attackers = await away(attacker)
    own = await away(victim)
    for path in (attackers, changed(own, code=parse_qs(urlsplit(attackers).query)["code"][0])):
        assert (await victim.ask("GET", path)).status == 401
    assert (await Browser(api).ask("GET", attackers)).status == 401, "one that never began"
    assert await sessions(api) == 0


@pytest.mark.attack
async def test_an_answer_comes_back_once(api: Api, idp: HarnessProvider) -> None:
    """Also where the provider would take the code again."""
    await link(api, api.teams["county"].operator.id)
    browser = Browser(api)
    back = await away(browser)
    had = dict(browser.cookies)
    assert (await browser.ask("GET", back)).status == 303
    browser.cookies = had
    asked = idp.asked.count("token")
    assert (await browser.ask("GET", back)).status == 401
    assert idp.asked.count("token") == asked
    assert await sessions(api) == 1


@pytest.mark.attack
async def test_a_sign_in_is_over_after_its_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await link(api, api.teams["county"].operator.id)
    browser = Browser(api)
    back = await away(browser)
    monkeypatch.setattr(sign_in, "SECONDS", 0)
    assert (await browser.ask("GET", back)).status == 401


PAST = 1_000_000_000


@pytest.mark.attack
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"nonce": 7},
        {"exp": PAST},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": PAST},
        {"iat": 4_000_000_000},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "w" * 256},
    ],
    ids=lambda claims: str(claims)[:40],
)
async def test_a_token_that_is_not_for_this_sign_in_opens_nothing(
    api: Api, idp: HarnessProvider, claims: dict[str, Any]
) -> None:
    await link(api, api.teams["county"].operator.id)
    idp.claims = claims
    assert (await signed_in(Browser(api))).status == 401
    assert await sessions(api) == 0


@pytest.mark.attack
@pytest.mark.parametrize("how", ["none", "HS256", "another key", "a key of another name"])
async def test_a_token_that_the_provider_did_not_sign_opens_nothing(
    api: Api, idp: HarnessProvider, how: str
) -> None:
    await link(api, api.teams["county"].operator.id)
    foreign = HarnessProvider()
    foreign.new_key("foreign")
    if how == "none":
        idp.alg = "none"
    elif how == "HS256":
        idp.alg = "HS256"
    elif how == "another key":
        idp.signer = foreign.keys["foreign"]
    else:
        idp.kid, idp.signer = "foreign", foreign.keys["foreign"]
    assert (await signed_in(Browser(api))).status == 401
    assert await sessions(api) == 0


async def test_a_new_key_of_the_provider_is_fetched(
    api: Api, idp: HarnessProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.accounts.sign_in.provider.AGAIN_SECONDS", 1e-9)
    await link(api, api.teams["county"].operator.id)
    assert (await signed_in(Browser(api))).status == 303
    idp.new_key("second")
    assert (await signed_in(Browser(api))).status == 303
    assert idp.asked.count("discovery") == 1


@pytest.mark.attack
@pytest.mark.parametrize(
    "then",
    ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:1"],
)
async def test_it_leads_to_no_other_site(api: Api, then: str) -> None:
    await link(api, api.teams["county"].operator.id)
    seen = await signed_in(Browser(api), then)
    assert (seen.status, seen.headers["Location"]) == (303, "/today")


@pytest.mark.attack
async def test_an_authenticator_here_is_asked_for_as_well(api: Api) -> None:
    login = await person(api)
    user = api.teams["county"].operator
    await link(api, user.id)
    token = (await log_in(api, login, PASSWORD)).json["token"]
    secret = (await api.post("/me/totp", token, {"password": PASSWORD})).json["secret"]
    padded = secret.replace(" ", "")
    key = b32decode(padded + "=" * (-len(padded) % 8))
    code = credentials.code_at(key, credentials.step_of(api.clock.at))
    assert (await api.post("/me/totp/confirm", token, {"code": code})).status == 200
    before = await sessions(api)
    browser = Browser(api, "en")
    seen = await signed_in(browser, "/account")
    assert (seen.status, seen.headers["Location"]) == (303, "/login/provider/code")
    assert await sessions(api) == before
    page = await browser.get("/login/provider/code")
    wrong = await browser.submit(page, "/login/provider/code", {"code": "000000"})
    assert (wrong.status, await sessions(api)) == (401, before)
    api.clock.at += timedelta(minutes=1)
    code = credentials.code_at(key, credentials.step_of(api.clock.at))
    page = await browser.submit(wrong, "/login/provider/code", {"code": code})
    assert (page.status, page.path) == (200, "/account")
    stranger = await Browser(api).post("/login/provider/code", {"code": code})
    assert stranger.status in {401, 403}


async def test_while_the_provider_is_away_the_password_still_works(
    api: Api, idp: HarnessProvider
) -> None:
    idp.document = {"issuer": "https://elsewhere.example"}
    browser = Browser(api, "en")
    seen = await browser.ask("GET", "/login/provider")
    assert (seen.status, "log in with your password" in seen.text) == (503, True)
    seen = await browser.log_in(await person(api))
    assert seen.status == 200


@pytest.mark.attack
@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
async def test_no_address_of_the_provider_is_in_the_clear(
    api: Api, idp: HarnessProvider, name: str
) -> None:
    idp.document = {name: "http://id.example.gov.cn/"}
    assert (await Browser(api).ask("GET", "/login/provider")).status == 503


@pytest.mark.attack
async def test_many_wrong_answers_shut_the_address(api: Api) -> None:
    for _ in range(50):
        await Browser(api).ask("GET", BACK + "?code=x&state=y")
    await link(api, api.teams["county"].operator.id)
    api.clock.at += timedelta(seconds=1)
    assert (await signed_in(Browser(api))).status in {401, 429}
    assert await sessions(api) == 0


@pytest.mark.attack
async def test_nobody_links_alone_and_who_linked_is_no_second_person(api: Api) -> None:
    user = api.teams["county"].approver
    path = f"/users/{user.id}/sign-in"
    await api.call("PUT", path, ADMIN, json={"subject": "of the administrator"})
    assert (await api.post(f"{path}/confirm", ADMIN)).status == 403
    found = (await api.get(path, ADMIN)).json["items"]
    assert [item["state"] for item in found] == ["pending"]
    assert (await api.post(f"{path}/confirm", await second_admin(api))).status == 200
    share = "SELECT share_a_person(ARRAY[$1::uuid], ARRAY[$2::uuid], $3)"
    admin = api.teams["county"].admin
    now = api.clock.at
    assert await api.runtime.pool.fetchval(share, admin.id, user.id, now)
    stored = await api.runtime.pool.fetchval("SELECT subject_cipher FROM sign_in_links")
    assert b"administrator" not in stored


async def test_one_subject_is_one_account(api: Api) -> None:
    team = api.teams["county"]
    await link(api, team.operator.id)
    path = f"/users/{team.viewer.id}/sign-in"
    await api.call("PUT", path, ADMIN, json={"subject": "wang"})
    refused = await api.post(f"{path}/confirm", await second_admin(api))
    assert refused.status == 409


async def test_a_link_that_is_taken_away_ends_the_session_and_opens_nothing_more(api: Api) -> None:
    user = api.teams["county"].operator
    await link(api, user.id)
    browser = Browser(api)
    await signed_in(browser)
    assert (await api.call("DELETE", f"/users/{user.id}/sign-in", ADMIN)).status == 204
    assert (await browser.ask("GET", "/account")).status == 303
    assert (await signed_in(Browser(api))).status == 401


async def test_two_administrators_link_on_the_pages(api: Api) -> None:
    user = api.teams["county"].operator
    page_of = f"/office/users/{user.id}"
    first = await browser_of(api, "admin", "en")
    assert f"{page_of}/sign-in" in (await first.get(page_of)).links
    page = await first.get(f"{page_of}/sign-in")
    page = await first.submit(page, f"{page_of}/sign-in", {"subject": "wang"})
    assert "You proposed it" in page.text
    await api.post(f"/users/{user.id}/sign-in/confirm", await second_admin(api))
    page = await first.get(f"{page_of}/sign-in")
    assert "Confirmed by" in page.text
    page = await first.submit(page, f"{page_of}/sign-in/end")
    assert "The link is gone" in page.text
