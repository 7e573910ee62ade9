"""A server that dies or fails under a form: what was typed stays, and the act is done once."""

import signal
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Visit
from tests.browser.furniture import FEW
from tests.browser.office import Office
from tests.browser.tasks import TOMORROW, ready_text
from tests.browser.visitor import Visitor
from tests.harness.waiting import until

LOST = ("net::ERR_", "Failed to fetch", "Load failed")
"""What a browser says of a connection that was cut on purpose is no fault of the page."""


@pytest.fixture(params=["today", "oldest"])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Each of both browsers."""
    found: Browser = request.getfixturevalue(request.param)
    return found


async def planned(office: Office, name: str) -> list[Any]:
    """The campaigns of a name."""
    listed = await office.ask("operator", "GET", "/campaigns?limit=100")
    return [one for one in listed["items"] if one["name"] == name]


async def answers(office: Office) -> bool:
    """Whether the server and what it stands on is there."""
    try:
        await office.ask("operator", "GET", "/campaigns?limit=1")
    except (OSError, AssertionError):
        return False
    return True


async def at_a_form(visit: Visit, browser: Browser, office: Office, name: str) -> Visitor:
    """Somebody who has filled in a new campaign."""
    await office.ask("operator", "POST", "/segments", {"name": name, "rule": FEW})
    visitor = await visit("operator", browser=browser, refusals=(500, 502, 503))
    await visitor.go("/plans/new")
    await visitor.type(visitor.field("name"), name)
    await visitor.field("segment_id").select_option(label=name)
    await visitor.choose(visitor.field("template_id"), await ready_text(visitor, office))
    await visitor.page.locator("[name=when][value=once]").press("Space")
    await visitor.type(visitor.field("schedule.start_at"), TOMORROW[0])
    await visitor.type(visitor.field("time"), TOMORROW[1])
    await visitor.page.wait_for_load_state("networkidle")
    return visitor


async def save(visitor: Visitor) -> None:
    await visitor.page.locator("main button[value=save]").first.press("Enter")


async def came_back(visitor: Visitor, office: Office, name: str) -> None:
    """The band offers the act again, and it is done once."""
    band = visitor.page.locator("#c-away")
    await expect(band).to_be_visible()
    await expect(band).to_contain_text("连接不上")
    assert await visitor.field("name").input_value() == name
    await until(lambda: answers(office), what="the server is back")
    await band.get_by_role("button").press("Enter")
    await visitor.page.wait_for_url("**/edit")
    await expect(band).to_be_hidden()
    assert await visitor.field("name").input_value() == name
    assert len(await planned(office, name)) == 1
    visitor.faults[:] = [one for one in visitor.faults if not any(words in one for words in LOST)]


@pytest.mark.parametrize("process", ["api", "postgres"])
async def test_what_was_typed_is_saved_once_the_server_is_back(
    visit: Visit, browser: Browser, office: Office, process: str
) -> None:
    name = f"断线 {uuid4().hex[:6]}"
    visitor = await at_a_form(visit, browser, office, name)
    with office.live.without(process):
        await save(visitor)
        await expect(visitor.page.locator("#c-away")).to_be_visible()
    await came_back(visitor, office, name)


async def test_a_server_that_is_killed_before_it_answers_acts_once(
    visit: Visit, browser: Browser, office: Office
) -> None:
    name = f"断线 {uuid4().hex[:6]}"
    visitor = await at_a_form(visit, browser, office, name)
    office.live.kill("api", signal.SIGSTOP)
    await save(visitor)
    await expect(visitor.page.locator("#c-wait")).to_be_visible()
    await visitor.page.locator("main button[value=save]").first.press("Enter")
    office.live.kill("api")
    await came_back(visitor, office, name)
