"""Where the pieces of a page are that people press in several tests."""

from playwright.async_api import Locator

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
