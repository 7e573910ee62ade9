"""Forms of people, texts and plans in every state of a page: pressed twice, reloaded, gone back,
refused, edited by two, and left open until the session is over. Nothing is lost, nothing twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.contacts import DIRTY
from tests.browser.furniture import FEW, plan
from tests.browser.office import Office, choose_password, hire
from tests.browser.pieces import is_sound, main_button, ticked
from tests.browser.visitor import PASSWORD, Visitor
from tests.harness.live import TEXT
from tests.harness.waiting import PATIENCE_SECONDS

OVER = """
    WITH over AS (UPDATE sessions SET expires_at = created_at
                  WHERE user_id = (SELECT id FROM users WHERE login = $1) RETURNING 1)
    SELECT count(*) FROM over
"""


@dataclass(frozen=True)
class Form:
    """A page on which something is made. fill: types it in, under a name; made: how often there is
    something of that name; field: where the name is typed; asks: what the page asks by itself about
    what is typed, if it does.
    """

    address: str
    field: str
    fill: Callable[[Visitor, str], Awaitable[None]]
    made: str
    asks: tuple[str, ...] = ()

    async def count(self, office: Office, name: str) -> int:
        """How many things have that name."""
        return int(await office.live.query(f"SELECT count(*) FROM {self.made} = $1", name))


async def _fill_group(visitor: Visitor, name: str) -> None:
    await visitor.type(visitor.field("name"), name)
    await visitor.press(ticked(visitor, "role", "财务人员"))


async def _fill_text(visitor: Visitor, name: str) -> None:
    await visitor.type(visitor.field("name"), name)
    await visitor.type(visitor.field("text"), TEXT)


async def _fill_plan(visitor: Visitor, name: str) -> None:
    await visitor.type(visitor.field("name"), name)
    await visitor.field("template_id").select_option(index=1)
    await visitor.field("segment_id").select_option(index=1)
    await visitor.type(visitor.field("schedule.start_at"), "2027-01-20")


async def _fill_import(visitor: Visitor, name: str) -> None:
    few = b"\n".join(DIRTY.read_bytes().split(b"\n")[:20])
    file = {"name": "名单.csv", "mimeType": "text/csv", "buffer": few}
    await visitor.field("file").set_input_files([file])
    await visitor.type(visitor.field("roster"), name)


FORMS = {
    "group": Form(
        "/people/groups/new", "name", _fill_group, "segments WHERE name", ("/people/groups/count",)
    ),
    "text": Form("/texts/new", "name", _fill_text, "templates WHERE name", ("/texts/check",)),
    "plan": Form(
        "/plans/new",
        "name",
        _fill_plan,
        "campaigns WHERE name",
        ("/plans/new/side", "/plans/new/missing"),
    ),
    "import": Form("/people/imports/new", "roster", _fill_import, "imports WHERE roster"),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    """Each form in turn."""
    return FORMS[request.param]


def save(visitor: Visitor, form: Form) -> Any:
    """The button that makes the thing."""
    if form is FORMS["plan"]:
        return visitor.page.locator("#plan-side button[value=save]")
    return main_button(visitor)


async def _left(visitor: Visitor, form: Form) -> None:
    """Wait until the form has given way to what it made."""
    await visitor.page.wait_for_url(
        lambda address: not address.partition("#")[0].endswith(form.address)
    )


async def test_pressed_twice_reloaded_and_gone_back_it_is_made_once(
    visit: Visit, office: Office, form: Form
) -> None:
    name = f"一次 {uuid4().hex[:6]}"
    visitor = await visit("operator")
    await visitor.go(form.address)
    await form.fill(visitor, name)
    await save(visitor, form).dblclick()
    await _left(visitor, form)
    assert await form.count(office, name) == 1
    await visitor.page.reload()
    await expect(visitor.page.locator("h1")).to_be_visible()
    await visitor.turn(-1)
    await expect(visitor.field(form.field)).to_be_visible()
    await visitor.turn(1)
    await _left(visitor, form)
    assert await form.count(office, name) == 1


async def test_a_refused_form_says_where_and_keeps_what_was_typed(
    visit: Visit, office: Office, form: Form
) -> None:
    name = f"缺名 {uuid4().hex[:6]}"
    visitor = await visit("operator", refusals=(422,))
    await visitor.go(form.address)
    await form.fill(visitor, name)
    await visitor.type(visitor.field(form.field), "")
    await save(visitor, form).click()
    summary = visitor.page.locator("[data-errors]")
    await expect(summary).to_be_focused()
    await expect(visitor.page.locator(f"#e-{form.field}")).to_be_visible()
    await is_sound(visitor)
    await summary.get_by_role("link").first.click()
    field = visitor.field(form.field)
    await expect(field).to_be_focused()
    await visitor.page.keyboard.insert_text(name)
    if form is FORMS["import"]:  # no browser lets a page keep a file
        await form.fill(visitor, name)
    await save(visitor, form).click()
    await _left(visitor, form)
    assert await form.count(office, name) == 1


async def test_a_session_that_ends_in_a_form_loses_nothing_of_it(
    visit: Visit, office: Office, form: Form
) -> None:
    name = f"中断 {uuid4().hex[:6]}"
    login, _ = await hire(office)
    await choose_password(office, login)
    visitor = await visit(refusals=(401,))
    await visitor.log_in(login)
    await visitor.go(form.address)
    acted = asyncio.Event()

    async def later(route: Route) -> None:
        await acted.wait()
        await route.continue_()

    for address in form.asks:  # it comes after the press, and is refused as well
        await visitor.page.route(f"**{address}", later)
    await form.fill(visitor, name)
    assert await office.live.query(OVER, login)
    await save(visitor, form).click()
    box = visitor.page.locator("#c-session")
    await expect(box.locator("[name=password]")).to_be_visible()
    if form.asks:
        async with visitor.page.expect_response(lambda answer: answer.url.endswith(form.asks)):
            acted.set()
    await visitor.type(box.locator("[name=login]"), login)
    await visitor.type(box.locator("[name=password]"), PASSWORD)
    assert await form.count(office, name) == 0
    await visitor.page.keyboard.press("Enter")
    await expect(box).to_be_hidden()
    await _left(visitor, form)
    assert await form.count(office, name) == 1


async def test_what_is_chosen_while_a_count_comes_back_is_counted_too(
    visit: Visit, office: Office, furnished: None
) -> None:
    visitor = await visit("operator")
    asked, answered = asyncio.Event(), asyncio.Event()

    async def held(route: Route) -> None:
        asked.set()
        await answered.wait()
        await route.continue_()

    await visitor.page.route("**/plans/new/side", held)
    await visitor.go("/plans/new")
    await visitor.field("template_id").select_option(index=1)
    await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
    await visitor.field("segment_id").select_option(index=1)
    answered.set()
    await expect(visitor.page.locator("#plan-side .big")).to_be_visible()


# ---- two people at once


async def test_two_who_plan_at_once_read_both_and_take_each_field_from_one(
    visit: Visit, office: Office
) -> None:
    made = await plan(office, f"两人 {uuid4().hex[:6]}")
    path = f"/campaigns/{made['id']}"
    one, other = await visit("operator", refusals=(412,)), await visit("duty")
    for visitor in (one, other):
        await visitor.go(f"/plans/{made['id']}/edit")
    mine, theirs = f"我的 {uuid4().hex[:6]}", f"他的 {uuid4().hex[:6]}"
    await other.type(other.field("name"), theirs)
    await other.type(other.field("time"), "14:30")
    await other.press(other.page.locator("#plan-side button[value=save]"))
    await expect(other.says("草稿已保存")).to_be_visible()
    await one.type(one.field("name"), mine)
    await one.press(one.page.locator("#plan-side button[value=save]"))
    await expect(one.page.locator("[data-errors]")).to_be_focused()
    await is_sound(one)
    both = one.page.locator("#plan table").first
    for said in (mine, theirs, "14:30"):
        await expect(both).to_contain_text(said)
    assert (await office.ask("operator", "GET", path))["name"] == theirs, "nothing is overwritten"
    await one.press(both.locator("[name=_now][value=time]"))
    await one.press(one.button("保存：没勾的用我的"))
    await expect(one.says("草稿已保存")).to_be_visible()
    now = await office.ask("operator", "GET", path)
    assert now["name"] == mine
    assert now["schedule"]["start_at"].endswith("T14:30:00+08:00")


async def test_two_who_change_a_group_at_once_read_both(visit: Visit, office: Office) -> None:
    body = {"name": f"两人 {uuid4().hex[:6]}", "rule": FEW}
    made = await office.ask("operator", "POST", "/segments", body)
    address = f"/people/groups/{made['id']}"
    visitor = await visit("operator", refusals=(412,))
    await visitor.go(address)
    theirs = {"name": f"他的 {uuid4().hex[:6]}"}
    await office.ask("operator", "PATCH", f"/segments/{made['id']}", theirs)
    await visitor.press(ticked(visitor, "role", "教师"))
    await visitor.press(main_button(visitor))
    await expect(visitor.page.locator("[data-errors]")).to_be_focused()
    await is_sound(visitor)
    await expect(visitor.says(f"现在： {theirs['name']}")).to_be_visible()
    await visitor.press(visitor.page.locator("[name=_now][value=name]"))
    await visitor.press(main_button(visitor))
    await expect(visitor.says("人群已修改")).to_be_visible()
    now = await office.ask("operator", "GET", f"/segments/{made['id']}")
    assert now["name"] == theirs["name"]
    assert "teacher" in now["rule"]


async def test_two_who_write_versions_at_once_read_both_and_lose_neither(
    visit: Visit, office: Office
) -> None:
    made = await plan(office, f"两人 {uuid4().hex[:6]}")
    text = made["template_id"]
    visitor = await visit("editor", refusals=(409,))
    await visitor.go(f"/texts/{text}/edit")
    theirs, mine = TEXT.replace("拿不准", "他写"), TEXT.replace("拿不准", "我写")
    await office.ask("operator", "POST", f"/templates/{text}/versions", {"text": theirs})
    await visitor.type(visitor.field("text"), mine)
    await visitor.press(main_button(visitor))
    await expect(visitor.page.locator("[data-errors]")).to_be_focused()
    await expect(visitor.page.locator("main .compared ins")).to_have_text("他")
    await is_sound(visitor)
    await visitor.press(main_button(visitor))
    await expect(visitor.says("版已保存")).to_be_visible()
    listed = await office.ask("operator", "GET", f"/templates/{text}/versions")
    assert [one["text"] for one in listed["items"]][:2] == [mine, theirs]
