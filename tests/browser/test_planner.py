"""The planner while somebody fills it in: texts found by words and read at once, what is missing
said with each word that is typed, and nothing lost by leaving it.
"""

from typing import Any
from uuid import uuid4

from playwright.async_api import Request, expect

from service.messages.starters import title
from service.messages.template import load_library
from tests.browser.conftest import Visit
from tests.browser.office import Office
from tests.browser.pieces import is_sound, main_button
from tests.browser.visitor import Visitor

NEW = "/plans/new"
LOAN = next(starter for starter in load_library() if starter.id == "S02")
LOCAL = next(starter for starter in load_library() if starter.id == "L1")
"""It has figures on cases."""


def options(visitor: Visitor, name: str) -> Any:
    """The texts that a list offers."""
    return visitor.field(name).locator("optgroup option")


async def _settled(visitor: Visitor) -> None:
    """Wait until nothing is asked any more."""
    await expect(visitor.page.locator(".htmx-request")).to_have_count(0)


async def test_a_text_is_found_by_its_words_and_read_at_once(
    visit: Visit, furnished: None, way: dict[str, Any]
) -> None:
    visitor = await visit("operator", **way)
    await visitor.go(NEW)
    await visitor.type(visitor.field("_find"), "网络贷款")
    await expect(options(visitor, "template_id").filter(has_text=title(LOAN).zh)).to_have_count(1)
    await expect(options(visitor, "template_id").filter(has_text="S10")).to_have_count(0)
    await expect(visitor.field("_find")).to_be_focused()
    await visitor.choose(visitor.field("template_id"), title(LOAN).zh)
    words = visitor.page.locator("#plan-words-0")
    await expect(words.locator(".quote")).to_have_text(LOAN.text)
    await expect(words).to_contain_text("1 条计费")
    await visitor.type(visitor.field("_find"), "周警情通报")
    await expect(options(visitor, "more_texts.1")).to_have_count(1)
    await expect(visitor.field("template_id")).to_have_value(f"library:{LOAN.id}")
    for number in (1, 2, 3):
        await expect(visitor.field(f"more_texts.{number}")).to_have_value("")
    await visitor.type(visitor.field("_find"), "")
    await expect(options(visitor, "more_texts.3").filter(has_text="S10")).to_have_count(1)
    await expect(visitor.field("template_id")).to_have_value(f"library:{LOAN.id}")
    await expect(visitor.field("more_texts.3")).to_have_value("")
    await is_sound(visitor)


async def test_a_second_text_from_the_library_reads_with_the_figure_of_its_bulletin(
    visit: Visit, furnished: None, way: dict[str, Any]
) -> None:
    visitor = await visit("operator", **way)
    await visitor.go(NEW)
    await visitor.press(visitor.page.locator("summary").filter(has_text="更多短信"))
    await visitor.choose(visitor.field("more_texts.1"), title(LOCAL).zh)
    words = visitor.page.locator("#plan-words-1 .quote")
    await expect(words).to_have_text(LOCAL.text)
    await visitor.choose(visitor.field("more_figures.1"), "2026-W53 〔2026〕53号")
    await expect(words).to_contain_text("12月28日至1月3日")


async def test_what_is_missing_follows_what_is_typed_by_one_small_request_at_a_time(
    visit: Visit, furnished: None, way: dict[str, Any]
) -> None:
    visitor = await visit("operator", **way)
    open_now: set[Request] = set()
    most, asked = 0, []

    def begins(request: Request) -> None:
        nonlocal most
        if request.method == "POST":
            open_now.add(request)
            asked.append(request.url.rpartition("/")[2])
            most = max(most, len(open_now))

    def ends(request: Request) -> None:
        open_now.discard(request)

    await visitor.go(NEW)
    visitor.page.on("request", begins)
    visitor.page.on("requestfinished", ends)
    visitor.page.on("requestfailed", ends)
    name, missing = visitor.field("name"), visitor.page.locator("#plan-missing")
    await expect(missing.locator("[href='#f-name']")).to_be_visible()
    await name.focus()
    await visitor.page.keyboard.insert_text("一")
    await expect(missing.locator("[href='#f-name']")).to_have_count(0)
    await expect(name).to_be_focused()
    await visitor.page.keyboard.press("Backspace")
    await expect(missing.locator("[href='#f-name']")).to_be_visible()
    assert set(asked) == {"missing"}, "the name was not left yet: nobody is counted"
    await visitor.page.keyboard.insert_text("一二")
    await expect(missing.locator("[href='#f-name']")).to_have_count(0)
    async with visitor.page.expect_request(lambda request: request.url.endswith("/side")):
        await visitor.choose(visitor.field("template_id"), title(LOAN).zh)
    await expect(missing.locator("[href='#f-template_id']")).to_have_count(0)
    await _settled(visitor)
    assert most == 1
    assert {"missing", "side"} == set(asked)


async def test_a_plan_that_is_left_to_make_a_group_comes_back_with_it(
    visit: Visit, office: Office, furnished: None, way: dict[str, Any]
) -> None:
    group, name = f"老人 {uuid4().hex[:6]}", f"写到一半 {uuid4().hex[:6]}"
    visitor = await visit("operator", **way)
    await visitor.go(NEW)
    await visitor.type(visitor.field("name"), name)
    await visitor.choose(visitor.field("template_id"), title(LOAN).zh)
    await _settled(visitor)
    await visitor.press(visitor.button("另选人群"))
    await expect(visitor.says("您的任务先放着")).to_be_visible()
    await visitor.page.reload()
    await visitor.type(visitor.field("name"), group)
    await visitor.choose(visitor.field("age_from"), "60")
    await _settled(visitor)
    await visitor.press(main_button(visitor))
    await expect(visitor.says("人群已保存，任务里已选好")).to_be_visible()
    await expect(visitor.field("name")).to_have_value(name)
    await expect(visitor.field("template_id")).to_have_value(f"library:{LOAN.id}")
    chosen = visitor.field("segment_id").locator("option:checked")
    await expect(chosen).to_have_text(group)
    await expect(visitor.page.locator("#plan-side .big")).to_be_visible()
    await is_sound(visitor)
    assert await office.live.query("SELECT count(*) FROM campaigns WHERE name = $1", name) == 0


async def test_a_half_filled_plan_is_not_left_without_a_word(
    visit: Visit, furnished: None, way: dict[str, Any]
) -> None:
    visitor = await visit("operator", **way)
    await visitor.go(NEW)
    menu = visitor.page.locator("nav.side a[href='/texts']")
    await visitor.press(menu)
    await expect(visitor.page.locator("h1")).to_have_text("短信")
    await visitor.go(NEW)
    await visitor.type(visitor.field("name"), "写到一半")
    await _settled(visitor)
    visitor.leaves = False
    await visitor.press(menu)
    await expect(visitor.field("name")).to_have_value("写到一半")
    assert visitor.warnings == 1
    visitor.leaves = True
    await visitor.press(menu)
    await expect(visitor.page.locator("h1")).to_have_text("短信")
    assert visitor.warnings == 2


async def test_a_plan_that_is_kept_is_left_without_a_question(
    visit: Visit, furnished: None
) -> None:
    visitor = await visit("operator")
    await visitor.go(NEW)
    await visitor.type(visitor.field("name"), f"存好了 {uuid4().hex[:6]}")
    await visitor.choose(visitor.field("template_id"), title(LOAN).zh)
    await visitor.field("segment_id").select_option(index=1)
    await visitor.type(visitor.field("schedule.start_at"), "2027-01-20")
    await visitor.press(visitor.page.locator("#plan-side button[value=save]"))
    await expect(visitor.says("草稿已保存")).to_be_visible()
    await visitor.press(visitor.page.locator("nav.side a[href='/texts']"))
    await expect(visitor.page.locator("h1")).to_have_text("短信")
