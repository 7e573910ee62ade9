"""Every page of the console: axe finds nothing, in either language, scheme and width."""

from collections import defaultdict

import pytest

from tests.browser.axe import violations
from tests.browser.conftest import DESK, PHONE, Visit, own
from tests.browser.map import OPEN, Dead, Found, pages, walk
from tests.browser.office import Office

WALKERS = ("admin", "operator", "approver", "editor", "duty", "head", "inspector")
FILES = frozenset({"/people/imports/sample"})
"""What the table has as a page and answers with a file."""

LATER = frozenset({"/office/numbers/table/forget"})
"""What a page leads to only once a county has loaded a table of its own."""

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

Reached = dict[str, Found]
_REACHED: Reached = {}
_DEAD: list[Dead] = []
"""Found once a process: it takes some hundred requests."""


@own
async def reached(visit: Visit, office: Office, furnished: None) -> Reached:
    """An address of each page, and who comes to it."""
    if not _REACHED:
        for who in WALKERS:
            visitor = await visit(who)
            await walk(visitor.page.context, office.url, who, _REACHED, _DEAD)
    return _REACHED


async def test_links_lead_to_every_page(reached: Reached) -> None:
    table = pages()
    assert not _DEAD, "\n".join(map(str, _DEAD))
    # One of a single thing is led to only where such a thing stands as it must.
    lost = [path for path in table if "{" not in path and path not in {*reached, *FILES, *LATER}]
    assert not lost, f"no link of anybody leads to {lost}"


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
async def test_axe_finds_nothing(
    visit: Visit, reached: Reached, language: str, scheme: str, width: int
) -> None:
    by_person: dict[str, list[str]] = defaultdict(list, {"": list(OPEN)})
    for one in reached.values():
        by_person[one.who].append(one.address)
    wrong = []
    for who, addresses in by_person.items():
        visitor = await visit(
            who, language=language, scheme=scheme, width=width, reduced_motion="reduce"
        )
        for address in addresses:
            await visitor.go(address)
            assert await visitor.page.locator("html").get_attribute("lang") == language, address
            found = await violations(visitor.page)
            if found:  # what waits for its answer is drawn pale: it counts once all have come
                await visitor.page.wait_for_load_state("networkidle")
                found = await violations(visitor.page)
            wrong += [f"{address} ({who}): {one}" for one in found]
            if sideways := await visitor.page.evaluate(SIDEWAYS):
                wrong.append(f"{address} ({who}): scrolls sideways by {sideways} pixels")
    assert not wrong, "\n".join(wrong)
