"""Somebody at a browser: what they press is counted, and what goes wrong on the page is kept.

A page that writes an error to the console, breaks its policy, or asks another host for anything
fails its test. `Visitor` uses a mouse; `keyboard.py` has one who uses keys alone.
"""

import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Self
from urllib.parse import urlsplit

from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    Page,
    Request,
)

from tests.harness.waiting import until

PASSWORD = "correct horse battery"
"""Of everybody in these tests."""
TELL = """document.addEventListener('securitypolicyviolation', (e) =>
  console.error(`policy: ${e.effectiveDirective} refuses ${e.blockedURI}`));"""
LEFT = "htmx:error: Failed to fetch"
"""What htmx says where a page is left while it fetches. Of any other request that fails the browser
says something as well."""
REFUSED = re.compile(r"the server responded with a status of (\d+)")
LOCAL = ("data", "blob", "about")
OLD = 90
"""The Chromium of trusted systems."""
IS_ANOTHER = "() => !window.before && document.readyState === 'complete'"
LAST_WORDS = 200
"""How many lines of a page's console are kept for whoever reads of a failure."""


class Visitor:
    """One person's window. refusals: statuses of answers that this test provokes.

    hands: what they press with. faults: what nobody wants to see on a page, in the order it
    came. log: all that its console said. leaves: what is answered when a page asks whether it is
    to be left, which it has done `warnings` times; None: none asks.
    """

    hands = "mouse"

    def __init__(self, page: Page, url: str, refusals: Sequence[int] = ()) -> None:
        self.page = page
        self.url = url
        self.refusals = {str(status) for status in refusals}
        self.clicks = 0
        self.began = monotonic()
        self.faults: list[str] = []
        self.leaves: bool | None = None
        self.warnings = 0
        self.log: deque[str] = deque(maxlen=LAST_WORDS)
        page.on("console", self._said)
        page.on("crash", self._died)
        page.on("pageerror", self._broke)
        page.on("request", self._asked)
        page.on("dialog", self._interrupted)

    @classmethod
    async def come(cls, context: BrowserContext, url: str, refusals: Sequence[int] = ()) -> Self:
        """Open a window of a browser."""
        page = await context.new_page()
        await page.add_init_script(TELL)
        return cls(page, url, refusals)

    def _said(self, message: ConsoleMessage) -> None:
        self.log.append(f"{message.type}: {message.text}")
        if message.type != "error" or LEFT in message.text:
            return
        refused = REFUSED.search(message.text)
        if refused is None or refused[1] not in self.refusals:
            self.faults.append(f"{self.page.url}: console: {message.text}")

    def _died(self, page: Page) -> None:
        self.log.append("the page has crashed")
        self.faults.append(f"{page.url}: the page has crashed")

    def _broke(self, error: Error) -> None:
        self.log.append(f"thrown: {error.message}")
        self.faults.append(f"{self.page.url}: {error.message}")

    def _asked(self, request: Request) -> None:
        there, ours = urlsplit(request.url), urlsplit(self.url)
        if there.scheme not in LOCAL and there.netloc != ours.netloc:
            self.faults.append(f"{self.page.url}: asks {request.url}")

    async def _interrupted(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload" and self.leaves is not None:
            self.warnings += 1
            await (dialog.accept() if self.leaves else dialog.dismiss())
            return
        self.faults.append(f"{self.page.url}: a window says {dialog.message}")
        await dialog.dismiss()

    # ---- what is on the page

    def field(self, name: str) -> Locator:
        """A field of the page's forms, by its name."""
        return self.page.locator(f"main [name='{name}']:not([type=hidden])")

    def button(self, words: str) -> Locator:
        """A button by its words, or some of them."""
        return self.page.locator("main").get_by_role("button", name=words)

    def link(self, words: str) -> Locator:
        """A link of the page, by its words or some of them."""
        return self.page.locator("main").get_by_role("link", name=words)

    def says(self, words: str) -> Locator:
        """Where the page says something."""
        return self.page.locator("main").get_by_text(words).first

    # ---- what a person does

    async def log_in(self, login: str, password: str = PASSWORD) -> None:
        """Type login and password; not counted."""
        await self.go("/login")
        await self.type(self.page.locator("input[name=login]"), login)
        await self.type(self.page.locator("input[name=password]"), password)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(lambda address: "/login" not in address)

    async def go(self, path: str) -> None:
        """Come by an address."""
        await self.page.goto(self.url + path)

    async def turn(self, pages: int) -> None:
        """Go back (-1) or forward (1) in the history, until another document is there.

        A page that the script has changed in place loads itself anew once the address has changed,
        so the driver's own `go_back` and `go_forward` end before it has, or fail as aborted.
        """
        await self.page.wait_for_load_state()
        await self.page.evaluate("(pages) => { window.before = true; history.go(pages); }", pages)
        await until(self._is_another_document)

    async def _is_another_document(self) -> bool:
        try:
            return bool(await self.page.evaluate(IS_ANOTHER))
        except Error:  # asked while one document gave way to the other
            return False

    async def press(self, thing: Locator) -> None:
        """Press a button, a link or a tick; counted."""
        self.clicks += 1
        await thing.click()

    async def choose(self, field: Locator, option: str) -> None:
        """Choose from a list by its words; counted."""
        self.clicks += 1
        await field.select_option(label=option)

    async def type(self, field: Locator, text: str) -> None:
        """Type into a field; not counted."""
        await field.fill(text)

    async def attach(self, field: Locator, file: Path) -> None:
        """Choose a file; counted as one press."""
        self.clicks += 1
        await field.set_input_files(file)

    # ---- what comes of it

    @property
    def chromium(self) -> int:
        """Which Chromium this is."""
        browser = self.page.context.browser
        assert browser is not None
        return int(browser.version.partition(".")[0])

    @property
    def way(self) -> str:
        """With which hands they work, and in which browser."""
        return f"{self.hands}, Chromium {self.chromium}"

    @property
    def seconds(self) -> float:
        """Since the clock was set, without what stood beside the task."""
        return monotonic() - self.began

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """What a test does in between and no person would do: it takes no time of the task."""
        before = monotonic()
        try:
            yield
        finally:
            self.began += monotonic() - before

    def start_clock(self) -> None:
        """Count presses and time from now on: a task begins."""
        self.clicks, self.began = 0, monotonic()
