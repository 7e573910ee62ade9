"""Administration: a department, a user and a key, each by two administrators where it takes two."""

import re

import pytest

from tests.harness.console import Browser, Seen
from tests.harness.keys import second_admin
from tests.harness.logins import PASSWORD, person
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

HTML = "<script>alert(1)</script>"


async def _administrator(api: Api) -> Browser:
    browser = Browser(api)
    seen = await browser.log_in(await person(api, "admin"))
    assert seen.status == 200
    return browser


async def _make_user(browser: Browser, login: str, name: str = "王芳") -> Seen:
    page = await browser.get("/office/users/new")
    typed = {"login": login, "name": name, "roles": ["operator"]}
    return await browser.submit(page, "/office/users/new", typed)


async def test_a_department_is_made_and_changed(api: Api) -> None:
    browser = await _administrator(api)
    page = await browser.get("/office/departments/new")
    seen = await browser.submit(
        page,
        "/office/departments/new",
        {"name": "财政局一", "kind": "finance", "daily_quota": "500"},
    )
    assert seen.status == 200, seen.text
    assert "财政局一" in seen.text
    seen = await browser.submit(seen, seen.path, {"daily_quota": "", "leader": HTML})
    assert "已保存。" in seen.text
    assert HTML not in seen.html
    found = await api.get(f"/departments/{seen.path.rpartition('/')[2]}", ("county", "admin"))
    assert found.json["daily_quota"] is None
    assert found.json["leader"] == HTML


async def test_who_changed_it_meanwhile_is_not_overwritten(api: Api) -> None:
    browser = await _administrator(api)
    department = api.teams["school"].operator.department_id
    page = await browser.get(f"/office/departments/{department}")
    done = await api.patch(f"/departments/{department}", ("county", "admin"), {"leader": "李明"})
    assert done.status == 200
    seen = await browser.submit(page, page.path, {"leader": "王芳"})
    assert seen.status == 412
    assert "王芳" in seen.html, "what was typed stays"
    found = await api.get(f"/departments/{department}", ("county", "admin"))
    assert found.json["leader"] == "李明"


async def test_a_user_gets_the_roles_by_a_second_person(api: Api) -> None:
    browser = await _administrator(api)
    seen = await _make_user(browser, "wang.fang")
    assert "是您提议的，由拥有这些权限的另一名管理员确认。" in seen.text
    assert not [form for form in seen.forms if form.action.endswith("/confirm")]
    user = seen.path.rpartition("/")[2]
    other = await second_admin(api)
    grant = (await api.get(f"/users/{user}", other)).json["proposed"]["id"]
    confirmed = await api.post(f"/users/{user}/grants/{grant}/confirm", other)
    assert confirmed.status == 200
    assert "是您提议的" not in (await browser.get(seen.path)).text


async def test_a_password_for_once_is_shown_once_and_waits(api: Api) -> None:
    browser = await _administrator(api)
    seen = await _make_user(browser, "li.ming")
    user = seen.path.rpartition("/")[2]
    given = await browser.submit(seen, f"{seen.path}/password")
    secret = re.search(r'class="mono">([^<]+)<', given.html)
    assert secret is not None
    assert secret[1] not in (await browser.get(seen.path)).html
    assert (await Browser(api).log_in("li.ming", secret[1])).status == 401, "it waits"
    path = f"/users/{user}/password/confirm"
    assert (await api.post(path, await second_admin(api))).status == 204
    assert (await Browser(api).log_in("li.ming", secret[1])).path == "/account/password"


async def test_a_key_is_shown_once_and_another_lets_it_work(api: Api) -> None:
    browser = await _administrator(api)
    operator = api.teams["county"].operator
    found = await browser.get(f"/office/keys/new?find={operator.login[1:].upper()}")
    user = f"/office/keys/new?user={operator.id}"
    assert user in found.links, found.text
    page = await browser.get(user)
    typed = {"name": "财务程序", "mode": "test"}
    made = await browser.submit(page, "/office/keys/new", typed)
    assert made.status == 200, made.text
    token = re.search(r'class="mono">(tk_[^<]+)<', made.html)
    assert token is not None
    listed = await browser.get("/office/keys")
    assert token[1] not in listed.html
    assert "财务程序" in listed.text
    mine = [form for form in listed.forms if form.action.endswith("/activate")]
    assert mine == [], "whoever made it does not let it work"
    (waiting,) = [
        key
        for key in (await api.get("/keys?limit=200", ("county", "admin"))).json["items"]
        if key["state"] == "pending" and key["name"] == "财务程序"
    ]
    done = await api.post(f"/keys/{waiting['id']}/activate", await second_admin(api))
    assert done.status == 200
    seen = await browser.get("/office/keys")
    link = next(link for link in seen.links if link == f"/office/keys/{waiting['id']}/revoke")
    gone = await browser.submit(await browser.get(link), link)
    assert "密钥已停用。" in gone.text


@pytest.mark.parametrize("role", ["operator", "approver", "viewer", "inspector"])
async def test_nobody_else_sees_the_office(api: Api, role: str) -> None:
    browser = Browser(api)
    seen = await browser.log_in(await person(api, role))
    assert "/office" not in seen.links
    for path in ("/office", "/office/users", "/office/users/new", "/office/keys"):
        assert (await browser.get(path)).status == 403


async def test_a_user_is_put_out_of_service(api: Api) -> None:
    browser = await _administrator(api)
    login = await person(api, "viewer")
    victim = Browser(api)
    await victim.log_in(login)
    page = await browser.get(f"/office/users/{api.teams['county'].viewer.id}")
    seen = await browser.submit(page, f"{page.path}/service")
    assert "用户已停用" in seen.text
    assert (await victim.get("/today")).path.startswith("/login")
    assert (await Browser(api).log_in(login, PASSWORD)).status == 401
