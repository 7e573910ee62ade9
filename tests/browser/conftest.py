"""A whole system, its people, and two browsers; none of it is needed to collect these tests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright, expect

from tests.browser.chromium import NO_FONT, draws_boxes, opened
from tests.browser.furniture import WAITS, furnish
from tests.browser.going import Going, under_way
from tests.browser.install import BOTH, OLDEST, TODAY, said
from tests.browser.keyboard import KeyboardVisitor
from tests.browser.office import Office, staff
from tests.browser.visitor import Visitor
from tests.harness.live import MORNING, Live
from tests.harness.lossy import LossyWire, lossy

PHONE, DESK = 360, 1280
HEIGHT = 800
PATIENCE = 120_000
"""Milliseconds that a page is waited for: a machine may be busy with others."""

HASTE = {"TOCSIN_KEY_REQUESTS": "100000", "TOCSIN_DEPARTMENT_REQUESTS": "100000"}
"""A test opens more pages in a minute than any person."""
VERY_MANY = "18500"
"""Above so many people a text goes to the approver's own phone first; the county has 18,802."""

expect.set_options(timeout=PATIENCE)

Visit = Callable[..., Awaitable[Visitor]]
Finish = Callable[[int, list[Visitor]], None]


def pytest_report_header() -> list[str]:
    """Which browsers these are: a run with another one must be seen to be that."""
    return [said(browser) for browser in BOTH]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop of their own for all: the browsers live in it from test to test, and in the
    loop of the session every task ends with its test.
    """
    for item in items:
        item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


def shared(function: Callable[..., Any]) -> Any:
    """A fixture that all tests of a process share, in their loop."""
    return pytest_asyncio.fixture(scope="package", loop_scope="package")(function)


def own(function: Callable[..., Any]) -> Any:
    """A fixture of one test, in the loop of all."""
    return pytest_asyncio.fixture(loop_scope="package")(function)


@shared
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as driver:
        yield driver


@shared
async def today(playwright: Playwright) -> AsyncIterator[Browser]:
    """Chromium of today."""
    async with opened(playwright, TODAY) as browser:
        yield browser


@shared
async def oldest(playwright: Playwright) -> AsyncIterator[Browser]:
    """Chromium 90, which trusted systems ship."""
    async with opened(playwright, OLDEST) as browser:
        yield browser


@shared
async def chinese(today: Browser) -> None:
    """Chinese is drawn, and not as boxes."""
    if await draws_boxes(today):
        pytest.fail(NO_FONT, pytrace=False)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`tocsin up` with simulated carriers, at which a broadcast to all takes minutes."""
    folder = tmp_path_factory.mktemp("browser") / "data"
    system = Live(folder, "--clock", MORNING, "--max-delay", "3", "--tps", "60",
                  TOCSIN_TEST_SEND_ABOVE=VERY_MANY, **HASTE)  # fmt: skip
    system.start()
    yield system
    system.stop()


@shared
async def office(live: Live) -> Office:
    """The same with the people of the 20,000-row county file, and an office of eight."""
    made = await staff(live)
    await live.people((files("service.local.demo") / "county.csv").read_bytes())
    return made


@shared
async def furnished(office: Office) -> None:
    """Something of each kind that pages show."""
    await furnish(office)


@pytest.fixture(scope="session")
def cookies() -> dict[str, list[Any]]:
    """Who has logged in already, and what the browser keeps of it."""
    return {}


@own
async def visit(
    office: Office, today: Browser, cookies: dict[str, list[Any]]
) -> AsyncIterator[Visit]:
    """Opens a window of a context of its own; afterwards nothing may have gone wrong in any.

    who: somebody who has logged in already, with a session that tests share; "": nobody.
    """
    visitors: list[Visitor] = []

    async def come(
        who: str = "",
        *,
        browser: Browser = today,
        width: int = DESK,
        height: int = HEIGHT,
        language: str = "zh-CN",
        scheme: str = "light",
        refusals: tuple[int, ...] = (),
        hands: type[Visitor] = Visitor,
        url: str = "",
        **options: Any,
    ) -> Visitor:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            locale=language,
            color_scheme=scheme,
            **options,
        )
        context.set_default_timeout(PATIENCE)
        visitor = await hands.come(context, url or office.url, refusals)
        visitors.append(visitor)
        if who and who not in cookies:
            await visitor.log_in(who)
            cookies[who] = [
                cookie for cookie in await context.cookies() if cookie["name"] == "tocsin"
            ]
        elif who:
            await context.add_cookies(cookies[who])
        return visitor

    yield come
    for visitor in visitors:
        await visitor.page.context.close()
    faults = [fault for visitor in visitors for fault in visitor.faults]
    assert not faults, "\n".join(faults)


@pytest.fixture(params=["mouse", "keys", "keys in Chromium 90"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How somebody comes: with a mouse, with keys, or with keys in an old browser."""
    if request.param == "mouse":
        return {}
    old = {"browser": request.getfixturevalue("oldest")} if "90" in request.param else {}
    return {"hands": KeyboardVisitor, **old}


@pytest.fixture(params=["mouse", "keys"])
def way_today(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The same without Chromium 90, which dies without a screen when a press selects words, and
    tells nothing of downloads.
    """
    return {} if request.param == "mouse" else {"hands": KeyboardVisitor}


@pytest.fixture
def finish(record_property: Callable[[str, object], None]) -> Finish:
    """Writes down what a task took, and fails it if that were too many presses.

    Time is recorded, and never asserted: a machine may be busy.
    """

    def done(most: int, visitors: list[Visitor]) -> None:
        clicks = sum(visitor.clicks for visitor in visitors)
        record_property("clicks", clicks)
        record_property("seconds", round(visitors[0].seconds, 1))
        assert clicks <= most

    return done


@own
async def wire(office: Office) -> AsyncIterator[LossyWire]:
    """A way to the server that a test can make slow, cut, or lose answers on."""
    where = urlsplit(office.url)
    async with lossy(str(where.hostname), where.port or 80) as made:
        yield made


@own
async def going(office: Office) -> AsyncIterator[Going]:
    """A broadcast to nearly all, which takes minutes; ended after the test."""
    async with under_way(office) as made:
        yield made


@own
async def no_others(office: Office) -> None:
    """What earlier tests have left to be signed waits no more: the start page names three."""
    listed = await office.ask("operator", "GET", "/campaigns?state=pending_approval&limit=100")
    for one in listed["items"]:
        if one["name"] != WAITS:
            await office.ask("approver", "POST", f"/campaigns/{one['id']}/reject", {"reason": "-"})
