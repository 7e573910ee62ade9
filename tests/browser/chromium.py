"""The two browsers, started, and whether they can draw Chinese."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Playwright

from tests.browser.install import QUIET, Package, environment, had

BOXES = """([a, b]) => {
  const drawn = (sign) => {
    const canvas = document.createElement('canvas');
    const pen = canvas.getContext('2d');
    pen.font = '32px sans-serif';
    pen.fillText(sign, 4, 40);
    return canvas.toDataURL();
  };
  return drawn(a) === drawn(b);
}"""
"""Whether two different characters look the same: then both are the box of a missing font."""

NO_FONT = (
    "there is no Chinese font on this machine, so Chinese is drawn as boxes: "
    "install Debian's fonts-wqy-microhei or fonts-noto-cjk"
)


@asynccontextmanager
async def opened(playwright: Playwright, package: Package) -> AsyncIterator[Browser]:
    """A browser; without it the test fails, with the reason."""
    found = had(package)
    if not found.program:
        pytest.fail(f"browser {package.name}: {found.why}", pytrace=False)
    browser = await playwright.chromium.launch(
        executable_path=found.program, args=QUIET, env=environment()
    )
    try:
        yield browser
    finally:
        await browser.close()


async def draws_boxes(browser: Browser) -> bool:
    """Whether the browser finds no font for Chinese."""
    page = await browser.new_page()
    try:
        return bool(await page.evaluate(BOXES, ["警", "钟"]))
    finally:
        await page.close()
