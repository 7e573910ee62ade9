"""Every page of the console: axe finds nothing, in either language, scheme and width."""

from collections import defaultdict

import pytest

from tests.browser.axe import violations
from tests.browser.conftest import DESK, PHONE, Visit, own
from tests.browser.furniture import ASKED
from tests.browser.map import OPEN, Dead, Found, pages, walk
from tests.browser.office import Office

WALKERS = ("admin", "operator", "approver", "editor", "duty", "head", "inspector")
FILES = frozenset({"/people/imports/sample"})
"""What the table has as a page and answers with a file."""

LATER = frozenset(
    {
        "/duty/holds/{hold_id}",
        "/duty/list-files/{list_id}",
        "/office/channels/{channel_id}/propose",
        "/office/numbers/table/forget",
        "/office/rules/holidays/quiet/{place}",
        "/office/rules/holidays/{year}/notice",
        "/office/users/{user_id}/sign-in",
        "/plans/{campaign_id}/release",
        "/plans/{campaign_id}/resume",
        "/reports/rollouts/{rollout_id}",
        "/runs/{run_id}/top-up",
    }
)
"""Pages of things that `furnish` does not make, such as a table of numbers of the county's own."""

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

Reached = dict[str, Found]
_REACHED: Reached = {}
_SHARED: Reached = {}
_DEAD: list[Dead] = []
"""Found once a process: it takes some hundred requests."""
SHARED = ("/plans/legs", "/texts/offers")
"""Pages of what two departments share, which read differently on the other side."""


@own
async def reached(visit: Visit, office: Office, furnished: None) -> Reached:
    """An address of each page, and who comes to it."""
    if not _REACHED:
        for who in WALKERS:
            visitor = await visit(who)
            await walk(visitor.page.context, office.url, who, _REACHED, _DEAD)
    return _REACHED


@own
async def shared(visit: Visit, office: Office, furnished: None) -> list[Found]:
    """The pages of another department with what the county shares with it."""
    if not _SHARED:
        visitor = await visit(ASKED)
        await walk(visitor.page.context, office.url, ASKED, _SHARED, _DEAD)
    return [one for one in _SHARED.values() if one.path.startswith(SHARED)]


async def test_links_lead_to_every_page(reached: Reached, shared: list[Found]) -> None:
    assert not _DEAD, "\n".join(map(str, _DEAD))
    seen = {*reached, *(one.path for one in shared), *FILES, *LATER}
    lost = [path for path in pages() if path not in seen]
    assert not lost, f"no link of anybody leads to {lost}"


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
async def test_axe_finds_nothing(
    visit: Visit,
    reached: Reached,
    shared: list[Found],
    language: str,
    scheme: str,
    width: int,
) -> None:
    by_person: dict[str, list[str]] = defaultdict(list, {"": list(OPEN)})
    for one in [*reached.values(), *shared]:
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
