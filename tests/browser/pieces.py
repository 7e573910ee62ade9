"""Where the pieces of a page are that people press in several tests."""

import re

from playwright.async_api import Locator, expect

from tests.browser.axe import violations
from tests.browser.keyboard import KeyboardVisitor
from tests.browser.visitor import Visitor


def menu(visitor: Visitor, address: str) -> Locator:
    """An entry of the menu."""
    return visitor.page.locator(f"nav.side a[href='{address}']")


def to(visitor: Visitor, address: str) -> Locator:
    """A link of the page to an address."""
    return visitor.page.locator(f"main a[href='{address}']").first


def main_button(visitor: Visitor) -> Locator:
    """The one thing that a page is for."""
    return visitor.page.locator("main button.main").first


def ticked(visitor: Visitor, name: str, words: str) -> Locator:
    """The tick of a group of ticks whose label begins with these words."""
    label = re.compile(f"^{re.escape(words)}")
    choice = visitor.page.locator("main .choice").filter(has=visitor.page.get_by_text(label))
    return choice.locator(f"[name='{name}']").first


def fold(near: Locator) -> Locator:
    """What opens the closed part of a page that something stands in."""
    return near.locator("xpath=ancestor::details[1]/summary")


async def is_sound(visitor: Visitor) -> None:
    """axe finds nothing wrong with the page as it stands.

    Asked with a mouse alone: it is the same page for all, and takes most of a second.
    """
    if isinstance(visitor, KeyboardVisitor):
        return
    # What waits for its answer is drawn pale.
    async with visitor.beside():
        await expect(visitor.page.locator(".htmx-request")).to_have_count(0)
        found = await violations(visitor.page)
    assert not found, "\n".join([visitor.page.url, *found])
