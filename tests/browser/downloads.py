"""The file that a press gives, in both browsers."""

from pathlib import Path
from uuid import uuid4

from playwright.async_api import Locator

from tests.browser.visitor import OLD, Visitor
from tests.harness.waiting import until

UNFINISHED = ".crdownload"
"""What Chromium calls a file behind its name while it still comes."""


async def downloaded(visitor: Visitor, button: Locator, path: Path) -> Path:
    """Press, and put the file that comes at a path.

    Chromium 90 tells nobody outside of downloads: it is given a folder, and the file is waited for.
    """
    if visitor.chromium == OLD:
        folder = _empty_folder(path.parent)
        await _into(visitor, folder)
        await visitor.press(button)
        (await until(lambda: _whole(folder), what="the file")).rename(path)
        return path
    async with visitor.page.expect_download() as coming:
        await visitor.press(button)
    await (await coming.value).save_as(path)
    return path


def _empty_folder(beside: Path) -> Path:
    folder = beside / uuid4().hex
    folder.mkdir()
    return folder


async def _into(visitor: Visitor, folder: Path) -> None:
    session = await visitor.page.context.new_cdp_session(visitor.page)  # it holds while this does
    told = {"behavior": "allow", "downloadPath": str(folder)}
    await session.send("Page.setDownloadBehavior", told)


def _whole(folder: Path) -> Path | None:
    """The one file of a folder, once all of it is there."""
    found = list(folder.iterdir())
    if not found or any(file.suffix == UNFINISHED for file in found):
        return None
    (file,) = found
    return file
