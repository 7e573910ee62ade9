"""What people come to do, from the start page on: by mouse, by keys, and by keys in Chromium 90.

Presses and choices are counted, typing is not; each task has the number that it may take at most
(`way` and `finish` are fixtures of all tasks).
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import PHONE, Finish, Visit, own
from tests.browser.office import Office, choose_password, hire
from tests.browser.pieces import main_button, menu, to
from tests.browser.tasks import plan_for_the_county


async def test_a_broadcast_to_the_county_is_planned_and_put_before_an_approver(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish
) -> None:
    visitor = await visit("operator", **way)
    await plan_for_the_county(visitor, office)
    finish("1", visitor)


@own
async def sending(office: Office) -> AsyncIterator[None]:
    """Whatever a test stops goes on after it."""
    yield
    if (await office.ask("operator", "GET", "/stop-all"))["stopped"]:
        await office.ask("operator", "POST", "/stop-all/lift", {"reason": "test over"})


@pytest.mark.parametrize("width", [PHONE, 1280])
async def test_everything_is_stopped_from_any_page_and_let_go_on(
    visit: Visit,
    office: Office,
    sending: None,
    way: dict[str, Any],
    width: int,
    finish: Finish,
) -> None:
    visitor = await visit("duty", width=width, **way)
    await visitor.go("/texts")
    visitor.start_clock()
    await visitor.press(visitor.page.locator("header a.stop"))
    await visitor.type(visitor.field("reason"), "短信里的电话写错了")
    await visitor.press(main_button(visitor))
    await expect(visitor.page.locator(".band-stop")).to_be_visible()
    assert (await office.ask("operator", "GET", "/stop-all"))["stopped"]
    finish("16", visitor)
    await visitor.go("/today")
    await expect(visitor.page.locator(".band-stop")).to_be_visible()
    visitor.start_clock()
    await visitor.press(visitor.page.locator(".band-stop a"))
    await visitor.type(visitor.field("reason"), "已改正")
    await visitor.press(main_button(visitor))
    await expect(visitor.page.locator(".band-stop")).to_have_count(0)
    assert not (await office.ask("operator", "GET", "/stop-all"))["stopped"]
    finish("16, after", visitor)


async def test_a_department_a_user_and_a_key_are_made_by_two(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish
) -> None:
    mark = uuid4().hex[:6]
    one, other = await visit("admin", **way), await visit("second_admin", **way)
    await one.go("/today")
    one.start_clock()
    other.start_clock()
    await one.press(menu(one, "/office"))
    await one.press(to(one, "/office/departments/new"))
    await one.type(one.field("name"), f"水务局 {mark}")
    await one.type(one.field("signature"), f"水务局{mark}")
    await one.press(one.page.locator("main [name=classes][value=public_interest]"))
    await one.press(main_button(one))
    await expect(one.page.locator("h1")).to_contain_text(f"水务局 {mark}")
    await one.press(menu(one, "/office"))
    await one.press(to(one, "/office/users"))
    await one.press(to(one, "/office/users/new"))
    await one.type(one.field("name"), f"水务 {mark}")
    await one.type(one.field("login"), f"water.{mark}")
    await one.choose(one.field("department_id"), f"水务局 {mark}")
    await one.press(one.page.locator("main [name=roles][value=operator]"))
    await one.press(main_button(one))
    await expect(one.page.locator("h1")).to_contain_text(f"水务 {mark}")
    await other.go(one.page.url.removeprefix(office.url))
    await other.press(other.page.locator("main form[action$='/confirm'] button").first)
    await one.press(one.page.locator("main a[href^='/office/keys/new?user=']"))
    await one.type(one.field("name"), f"水务程序 {mark}")
    await one.press(main_button(one))
    await expect(one.page.locator("main .mono").first).to_contain_text("tk_")
    await other.go("/office/keys")
    row = other.page.locator("main tr").filter(has_text=f"水务程序 {mark}")
    await other.press(row.locator("form[action$='/activate'] button"))
    await expect(row.locator("form[action$='/activate']")).to_have_count(0)
    finish("23", one, other)


HOSTILE = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>{{7*7}}"


@pytest.mark.attack
async def test_what_somebody_typed_is_shown_and_never_run(visit: Visit, office: Office) -> None:
    """Names, texts and reasons are text on every page that shows them, for every reader."""
    name = HOSTILE + uuid4().hex[:6]
    segment = await office.ask(
        "operator", "POST", "/segments", {"name": name, "rule": "年龄 >= 60"}
    )
    text = {"name": name, "class": "public_interest", "text": f"【旌德县公安局】{HOSTILE[:-7]}"}
    template = await office.ask("operator", "POST", "/templates", text)
    body = {"name": name, "template_id": template["id"], "segment_id": segment["id"]}
    plan = await office.ask("operator", "POST", "/campaigns", body)
    login, _ = await hire(office)
    await office.ask("admin", "PATCH", f"/users/{office.users[login]}", {"name": name})
    await choose_password(office, login)
    pages = {
        "operator": ["/today", "/plans", f"/plans/{plan['id']}", f"/plans/{plan['id']}/edit",
                     "/plans/new", "/texts", f"/texts/{template['id']}",
                     f"/texts/{template['id']}/edit"],
        "admin": ["/office/users", f"/office/users/{office.users[login]}", "/office/keys/new"],
    }  # fmt: skip
    for who, addresses in pages.items():
        visitor = await visit(who)
        for address in addresses:
            await visitor.go(address)
            found = await visitor.page.locator("[onerror], [src=x], main script").count()
            assert not found, address
    own_page = await visit()
    await own_page.log_in(login)
    await own_page.go("/account")
    await expect(own_page.says("{{7*7}}")).to_be_visible()
