"""Somebody looks at a relay before it begins: how many it writes to, and what they read."""

from playwright.async_api import expect

from tests.browser.conftest import DESK, PHONE, Visit
from tests.browser.pieces import is_sound, main_button


async def test_a_relay_is_counted_on_a_desk_and_a_phone(visit: Visit, furnished: None) -> None:
    for width in (DESK, PHONE):
        visitor = await visit("operator", width=width)
        await visitor.go("/relays/new")
        await visitor.type(visitor.field("week"), "2027-W03")
        await visitor.type(visitor.field("due_at.day"), "2027-01-22")
        await visitor.press(main_button(visitor))
        await expect(visitor.says("开始这次逐级推送？").first).to_be_visible()
        await expect(visitor.says("各级情况").first).to_be_visible()
        await is_sound(visitor)
        await visitor.press(visitor.page.get_by_role("link", name="返回").first)
        await expect(visitor.field("week")).to_have_value("2027-W03")
