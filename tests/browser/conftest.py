"""A whole system, its people, and two browsers; none of it is needed to collect these tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright, expect

from tests.browser import failures
from tests.browser.budgets import PROPERTY, TASKS, Took, table
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
PATIENCE = 300_000
"""Milliseconds that a page is waited for: a machine may be busy with others."""

HASTE = {"TOCSIN_KEY_REQUESTS": "100000", "TOCSIN_DEPARTMENT_REQUESTS": "100000"}
"""A test opens more pages in a minute than any person."""
VERY_MANY = "18500"
"""Above so many people a text goes to the approver's own phone first; the county has 18,802."""

expect.set_options(timeout=PATIENCE)

Visit = Callable[..., Awaitable[Visitor]]
Finish = Callable[..., None]
CAME = pytest.StashKey[tuple[list[Visitor], asyncio.AbstractEventLoop]]()
"""The windows of a test, and the event loop in which they live."""


def pytest_report_header() -> list[str]:
    """Which browsers these are: a run with another one must be seen to be that."""
    return [said(browser) for browser in BOTH]


def pytest_sessionstart(session: pytest.Session) -> None:
    """What an earlier run has left is no matter of this one."""
    if not hasattr(session.config, "workerinput"):
        failures.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails tells of its pages as they stood then."""
    report = yield
    if report.failed and call.when == "call" and CAME in item.stash:
        come, loop = item.stash[CAME]
        told = loop.run_until_complete(failures.told(come, item.nodeid))
        report.sections.append(("Pages", told))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each task took, in one table."""
    found = [
        Took.of_list(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if found:
        terminalreporter.section("tasks")
        terminalreporter.write("\n".join([*table(found), ""]))


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
async def old_browser(playwright: Playwright) -> AsyncIterator[Callable[[], Awaitable[Browser]]]:
    """Gives the Chromium 90 that runs; where one has died in a test, the next test gets another."""
    async with AsyncExitStack() as stack:
        begun: list[Browser] = []

        async def alive() -> Browser:
            if not begun or not begun[-1].is_connected():
                begun.append(await stack.enter_async_context(opened(playwright, OLDEST)))
            return begun[-1]

        yield alive


@own
async def oldest(old_browser: Callable[[], Awaitable[Browser]]) -> Browser:
    """Chromium 90, which trusted systems ship."""
    return await old_browser()


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
async def visitors(request: pytest.FixtureRequest) -> AsyncIterator[list[Visitor]]:
    """All who come in a test. Afterwards their windows are closed, and nothing may have gone wrong
    in any.
    """
    come: list[Visitor] = []
    request.node.stash[CAME] = (come, asyncio.get_running_loop())
    yield come
    faults = [fault for visitor in come for fault in visitor.faults]
    told = await failures.told(come, request.node.nodeid) if faults else ""
    for visitor in come:
        await visitor.page.context.close()
    del request.node.stash[CAME]
    assert not faults, "\n".join([*faults, told])


@own
async def visit(
    office: Office, today: Browser, cookies: dict[str, list[Any]], visitors: list[Visitor]
) -> Visit:
    """Opens a window of a context of its own.

    who: somebody who has logged in already, with a session that tests share; "": nobody.
    """

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

    return come


@pytest.fixture(params=["mouse", "keys", "keys in Chromium 90"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How somebody comes: with a mouse, with keys, or with keys in an old browser."""
    if request.param == "mouse":
        return {}
    old = {"browser": request.getfixturevalue("oldest")} if "90" in request.param else {}
    return {"hands": KeyboardVisitor, **old}


@pytest.fixture
def finish(record_property: Callable[[str, object], None]) -> Finish:
    """Writes down what a task took, and fails it if that were too many presses.

    Time is recorded, and never asserted: a machine may be busy.
    """

    def done(task: str, *visitors: Visitor) -> None:
        clicks = sum(visitor.clicks for visitor in visitors)
        took = Took(task, clicks, round(visitors[0].seconds, 1), visitors[0].way)
        record_property(PROPERTY, took.as_list())
        assert clicks <= TASKS[task].presses

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
