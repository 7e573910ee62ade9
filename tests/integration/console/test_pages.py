"""Every page for every role, in both languages: shown to whoever may, refused to others."""

import re

import pytest

from service.console.frame import MENU
from service.console.routes import PAGES
from tests.harness.console import browser_of
from tests.harness.tiers import cases
from tests.integration.api.conftest import Api

NARROWER = {"/reports/audit/check": {"admin", "inspector"}}
"""Pages that ask for more than a right: who reads the whole trail, or inspects."""
ROLES = ("admin", "operator", "approver", "viewer", "inspector")
PLAIN = [page for page in PAGES if page.method == "GET" and "{" not in page.path]


@pytest.mark.parametrize("language", ["zh-CN", pytest.param("en", marks=pytest.mark.slow)])
@pytest.mark.parametrize("role", cases(ROLES, "admin", "viewer"))
async def test_each_page_is_shown_to_whoever_may(api: Api, role: str, language: str) -> None:
    browser = await browser_of(api, role, language)
    user = getattr(api.teams["county"], role)
    for page in PLAIN:
        seen = await browser.ask("GET", page.path)
        allowed = page.right is None or user.may(page.right)
        allowed &= role in NARROWER.get(page.path, ROLES)
        assert seen.status == (200 if allowed else 403), f"{page.path}: {seen.text[:400]}"
        found = re.search(r"\bNone\b(?! [a-z])|\bUndefined\b|%\(", seen.text)
        assert not found, f"{page.path}: {seen.text}"


@pytest.mark.parametrize("role", cases(ROLES, "operator", "viewer"))
async def test_no_page_links_to_what_its_reader_may_not_see(api: Api, role: str) -> None:
    browser = await browser_of(api, role)
    seen = {page.path: await browser.ask("GET", page.path) for page in PLAIN}
    shown = [page for page in seen.values() if page.status == 200]
    linked = {link.partition("?")[0] for page in shown for link in page.links}
    assert len(linked & seen.keys()) > 3
    assert {seen[address].status for address in linked & seen.keys()} == {200}


def test_an_entry_of_the_menu_takes_the_right_of_its_page() -> None:
    rights = {page.path: page.right for page in PAGES if page.method == "GET"}
    assert {entry.address: entry.right for entry in MENU} == {
        entry.address: rights[entry.address] for entry in MENU
    }
