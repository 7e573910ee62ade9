"""The reference page of the API in a browser."""

import asyncio

import pytest
from playwright.async_api import Browser, Route, expect

from tests.browser.axe import violations
from tests.browser.conftest import DESK, PHONE, Visit
from tests.browser.keyboard import KeyboardVisitor
from tests.harness.live import Live


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(visit: Visit, scheme: str, width: int) -> None:
    visitor = await visit(scheme=scheme, width=width)
    await visitor.go("/api/docs")
    await visitor.page.locator("details.op > summary").first.click()
    await visitor.page.locator("details[open] textarea").first.wait_for()
    assert not await violations(visitor.page)


async def test_words_typed_before_the_list_has_come_filter_it(visit: Visit) -> None:
    visitor = await visit(language="en")
    page, typed = visitor.page, asyncio.Event()

    async def late(route: Route) -> None:
        await typed.wait()
        await route.continue_()

    await page.route("**/openapi.json", late)
    await visitor.go("/api/docs")
    await page.get_by_label("Filter").fill("list_campaigns")
    typed.set()
    await expect(page.locator("details.op:visible")).to_have_count(1)


async def test_an_operation_is_tried_by_keys_alone_in_chromium_90(
    visit: Visit, oldest: Browser, live: Live
) -> None:
    visitor = await visit(browser=oldest, hands=KeyboardVisitor, language="en")
    await visitor.go("/api/docs")
    page = visitor.page
    await visitor.type(page.get_by_label("Key"), live.summary["keys"]["operator"])
    await visitor.type(page.get_by_label("Filter"), "list_campaigns")
    operation = page.locator("details.op:visible")
    await visitor.press(operation.locator("> summary"))
    await visitor.type(operation.get_by_label("limit"), "1")
    await visitor.press(operation.get_by_role("button", name="Send"))
    await page.get_by_text("200 OK").wait_for()
    assert visitor.clicks == 2
