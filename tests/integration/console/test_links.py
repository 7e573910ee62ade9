"""What a page leads to, its reader may open: links and forms of each role, and of a liaison."""

import re
from collections.abc import Mapping

import pytest

from service.accounts.people.model import RIGHTS, Role
from service.console.page import WebPage
from service.console.routes import OPEN_PAGES, PAGES
from service.storage.postgres import transaction
from tests.factories import make_user
from tests.harness.console import Browser, Seen, browser_at
from tests.harness.logins import with_own_password
from tests.harness.pages import address_of, furnish
from tests.harness.tiers import cases
from tests.integration.api.conftest import Api

ROLES = ["admin", "operator", "approver", "viewer", "inspector", "liaison", "auditor"]
PATTERNS = [
    (page, re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(page.path)) + "$")) for page in PAGES
]
OPEN = {page.path for page in OPEN_PAGES} | {"/logout"}


async def reader(api: Api, role: str) -> Browser:
    """Somebody of the county with one role."""
    async with transaction(api.runtime.pool) as conn:
        department = api.teams["county"].department_id
        user = await make_user(conn, Role(role), now=api.clock.at, department_id=department)
    return await browser_at(api, await with_own_password(api, user))


async def shown_pages(browser: Browser, things: Mapping[str, str]) -> list[Seen]:
    """Every page that somebody is shown, whatever leads there."""
    gets = [page for page in PAGES if page.method == "GET" and not page.is_polled]
    seen = [await browser.ask("GET", address_of(page, things)) for page in gets]
    return [page for page in seen if page.status == 200 and page.html]


def page_at(method: str, path: str) -> WebPage | None:
    """The page of an address; a fixed address before one with a part that may be anything."""
    found = [page for page, pattern in PATTERNS if page.method == method and pattern.match(path)]
    return min(found, key=lambda page: page.path.count("{"), default=None)


@pytest.mark.parametrize("role", cases(ROLES, "inspector", "liaison"))
async def test_no_page_leads_where_its_reader_may_not_go(api: Api, role: str) -> None:
    things = await furnish(api)
    browser = await reader(api, role)
    pages = await shown_pages(browser, things)
    assert len(pages) > 10
    links = {
        link.partition("#")[0]: page.path
        for page in pages
        for link in page.links
        if link.startswith("/") and link.partition("?")[0] not in OPEN
    }
    found = []
    for link, where in links.items():
        seen = await browser.ask("GET", link)
        if seen.status == 403:
            found.append((where, link))
    assert not found


@pytest.mark.parametrize("role", cases(ROLES, "inspector", "liaison"))
async def test_no_page_has_a_form_that_its_reader_may_not_send(api: Api, role: str) -> None:
    things = await furnish(api)
    browser = await reader(api, role)
    may = RIGHTS[Role(role)]
    found = set()
    for page in await shown_pages(browser, things):
        for form in page.forms:
            target = page_at(form.method.upper(), form.action.partition("?")[0])
            if target is not None and target.right is not None and target.right not in may:
                found.add((page.path, form.action))
    assert not found
