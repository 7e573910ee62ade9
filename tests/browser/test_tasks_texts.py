"""What editors do with texts: what blocks one is found and mended, two versions are compared."""

from typing import Any
from uuid import uuid4

from playwright.async_api import expect

from tests.browser.conftest import Finish, Visit
from tests.browser.office import Office
from tests.browser.pieces import is_sound, main_button, menu, to
from tests.browser.visitor import OLD
from tests.harness.live import TEXT

LINK = "t.cn/x"
LINKED = TEXT.replace("拿不准", f"看{LINK}，拿不准")
CARET = "(it) => it.value.slice(...(it.marked || [it.selectionStart, it.selectionEnd]))"
MARKED = """HTMLTextAreaElement.prototype.setSelectionRange = function (...range) {
  this.marked = range;
};"""
"""Chromium 90 dies without a screen when a press selects words: what is to be selected is noted."""


async def test_what_blocks_a_text_is_found_and_mended_in_one_part(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish
) -> None:
    name = f"刷单 {uuid4().hex[:6]}"
    visitor = await visit("editor", **way)
    if visitor.chromium == OLD:
        await visitor.page.add_init_script(MARKED)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/texts"))
    await visitor.press(to(visitor, "/texts/new"))
    await visitor.type(visitor.field("name"), name)
    words = visitor.field("text")
    await visitor.type(words, LINKED)
    checked = visitor.page.locator("#check")
    blocked = checked.locator("li").filter(has_text="不能发")
    await expect(blocked).to_have_count(1)
    await is_sound(visitor)
    await visitor.press(blocked.get_by_role("button"))
    await expect(words).to_be_focused()
    assert await words.evaluate(CARET) == LINK[0], "the caret stands where the link begins"
    await visitor.type(words, TEXT)
    await expect(blocked).to_have_count(0)
    await expect(checked).to_contain_text("1 条计费")
    await is_sound(visitor)
    await visitor.press(main_button(visitor))
    await expect(visitor.page.locator("h1")).to_have_text(name)
    finish("5", visitor)
    await is_sound(visitor)
    made = await office.ask("operator", "GET", f"/templates/{visitor.page.url.rpartition('/')[2]}")
    assert (made["text"], made["parts"]) == (TEXT, 1)
    assert not [found for found in made["lint"] if found["level"] == "block"]


async def test_two_versions_are_compared_and_say_who_changed_what(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish
) -> None:
    body = {"name": f"刷单 {uuid4().hex[:6]}", "class": "public_interest", "text": TEXT}
    text = await office.ask("operator", "POST", "/templates", body)
    versions = f"/templates/{text['id']}/versions"
    second = TEXT.replace("垫付大单的", "垫付的")
    await office.ask("operator", "POST", versions, {"text": second})
    third = second.replace("拿不准拨", "拿不准就拨")
    await office.ask_as("editor", "POST", versions, {"text": third})
    visitor = await visit("editor", **way)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/texts"))
    await visitor.press(to(visitor, f"/texts/{text['id']}"))
    await is_sound(visitor)
    await visitor.press(to(visitor, f"/texts/{text['id']}/compare/2/3"))
    compared = visitor.page.locator("main .compared")
    await expect(compared.locator("ins")).to_have_text("就")
    await expect(compared.locator("del")).to_have_count(0)
    changed = visitor.page.locator("main dl.facts > div").filter(has_text="第 3 版")
    await expect(changed).to_contain_text("李明")
    finish("6", visitor)
    await is_sound(visitor)
