"""Which pages there are and where they lead: one address of each row of the console's table.

Found by following links from the first page, as each person in turn, so that a page that nothing
leads to is a fault, and a new one is covered by itself.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from playwright.async_api import BrowserContext

from service.console.page import OpenPage, WebPage
from service.console.routes import OPEN_PAGES, PAGES

START = "/today"
MOST_OF_A_KIND = 5
"""How many addresses of one page are opened in search of others."""


@dataclass(frozen=True)
class Found:
    """A page that somebody comes to. path: in the table; address: one that it has."""

    path: str
    who: str
    address: str


@dataclass(frozen=True)
class Dead:
    """A link of a page that somebody sees, and what answers it."""

    who: str
    here: str
    there: str
    status: int


class _Links(HTMLParser):
    """The addresses that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href") and "download" not in given:
            self.found.append(str(given["href"]))
        if tag == "form" and given.get("method", "get") == "get" and given.get("action"):
            self.found.append(str(given["action"]))


def pages(table: Iterable[WebPage | OpenPage] = PAGES) -> list[str]:
    """The paths of whole pages: what a person sees by an address."""
    return [
        page.path for page in table if page.method == "GET" and not getattr(page, "is_part", False)
    ]


OPEN = [
    path.replace("{week}", "2026-W53")
    for path in pages(OPEN_PAGES)
    if not path.startswith("/login/provider")
]
"""Without the way to a provider of single sign-on: test_sign_in.py goes it. The week is one whose
bulletin the furniture has issued.
"""


def pattern(path: str) -> re.Pattern[str]:
    """What fits a path of the table."""
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", path))


def path_of(address: str, table: list[str]) -> str | None:
    """The row of the table that an address belongs to; one without a parameter goes first."""
    where = urlsplit(address).path
    fitting = [path for path in table if pattern(path).fullmatch(where)]
    return min(fitting, key=lambda path: path.count("{"), default=None)


async def walk(
    context: BrowserContext, url: str, who: str, found: dict[str, Found], dead: list[Dead]
) -> None:
    """Follow all links from the first page; notes pages by their paths, and links to nothing."""
    table = pages()
    opened: dict[str, int] = {}
    seen = {START}
    ahead = deque([(START, "")])
    while ahead:
        address, here = ahead.popleft()
        path = path_of(address, table)
        if path is not None and opened.get(path, 0) >= MOST_OF_A_KIND:
            continue
        answer = await context.request.get(url + address, headers={"Accept": "text/html"})
        if answer.status >= 400:
            dead.append(Dead(who, here, address, answer.status))
            continue
        if path is None or "text/html" not in answer.headers.get("content-type", ""):
            continue
        opened[path] = opened.get(path, 0) + 1
        if path_of(answer.url, table) == path:  # not where one is sent who may not be here now
            found.setdefault(path, Found(path, who, address))
        links = _Links()
        links.feed(await answer.text())
        for link in links.found:
            target = urldefrag(urljoin(url + address, link)).url
            if target.startswith(url) and (rest := target.removeprefix(url)) not in seen:
                seen.add(rest)
                ahead.append((rest, address))
