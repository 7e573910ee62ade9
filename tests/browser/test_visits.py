"""An officer at the door: each result one press, kept while there is no network, written once."""

import os
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import DESK, PHONE, Visit
from tests.browser.office import Office
from tests.browser.visitor import Visitor
from tests.harness.waiting import until

WRITTEN = (
    "SELECT count(*) FROM visit_tries t JOIN visits v ON v.id = t.visit_id WHERE v.village = $1"
)
HOUSEHOLD_TRIES = """
    SELECT count(*) FROM household_tries t JOIN households h ON h.id = t.household_id
    WHERE h.round_id = $1::text::uuid
"""
BUSY = """
    SELECT village FROM visits WHERE state = 'open' GROUP BY village ORDER BY count(*) DESC LIMIT 1
"""


async def picture(visitor: Visitor, name: str) -> None:
    """A picture of the page, where somebody wants to look at it (VISITS_PICTURES)."""
    if folder := os.environ.get("VISITS_PICTURES"):
        await visitor.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture(params=["today", "oldest"])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Each of both browsers."""
    found: Browser = request.getfixturevalue(request.param)
    return found


@pytest.mark.usefixtures("furnished")
async def test_results_are_kept_without_a_network_and_written_once(
    visit: Visit, browser: Browser, office: Office
) -> None:
    visitor = await visit("operator", browser=browser, width=PHONE)
    page = visitor.page
    followup = await office.live.query("SELECT id::text FROM followups ORDER BY id DESC LIMIT 1")
    village = await office.live.query(BUSY)
    await visitor.go(f"/followups/{followup}")
    await picture(visitor, "followup")
    await visitor.go(f"/followups/{followup}/visits?area={village}")
    await picture(visitor, "visits")
    await page.fill("input[name=reason]", "今天下午入户")
    await page.click("form[action$='/visits/list'] button")
    cards = page.locator("[data-visit]")
    await expect(cards.first).to_be_visible()
    await picture(visitor, "list")
    before = await office.live.query(WRITTEN, village)
    await page.context.set_offline(True)
    here = page.locator("[data-visits-kept]")
    await cards.nth(0).locator("button[value=told]").click()
    await cards.nth(1).locator("button[value=not_home]").click()
    await expect(here).to_be_visible()
    await expect(page.locator("[data-visits-count]")).to_have_text("2")
    await picture(visitor, "offline")
    assert await office.live.query(WRITTEN, village) == before
    await page.context.set_offline(False)
    await expect(here).to_be_hidden()
    visitor.faults[:] = [one for one in visitor.faults if "net::ERR_" not in one]
    assert await office.live.query(WRITTEN, village) == before + 2
    await expect(cards.nth(0).locator("[data-visit-state-of]")).to_contain_text("已当面告知")
    assert await page.evaluate("Object.keys(localStorage).length") == 0
    await picture(visitor, "sent")


@pytest.mark.usefixtures("furnished")
async def test_a_new_number_is_kept_without_a_network_and_confirmed_by_somebody_else(
    visit: Visit, office: Office, today: Browser
) -> None:
    visitor = await visit("operator", browser=today, width=PHONE)
    page = visitor.page
    followup = await office.live.query("SELECT id::text FROM followups ORDER BY id DESC LIMIT 1")
    village = await office.live.query(BUSY)
    await visitor.go(f"/followups/{followup}/visits?area={village}")
    await page.fill("input[name=reason]", "今天下午入户")
    await page.click("form[action$='/visits/list'] button")
    card = page.locator("[data-visit]").nth(2)
    await card.locator("summary").click()
    await card.locator("input[name=phone]").fill("1979001")
    await card.locator("button[value=told]").click()
    assert await page.evaluate("Object.keys(localStorage).length") == 0, "it is no number"
    await card.locator("input[name=phone]").fill("197 9001 0043")
    await picture(visitor, "new-number")
    await page.context.set_offline(True)
    await card.locator("button[value=told]").click()
    await expect(page.locator("[data-visits-count]")).to_have_text("1")
    await page.context.set_offline(False)
    await expect(card.locator("[data-visit-state-of]")).to_contain_text("新号码待他人确认")
    visitor.faults[:] = [one for one in visitor.faults if "net::ERR_" not in one]
    await picture(visitor, "new-number-sent")
    await visitor.go("/number-corrections")
    await picture(visitor, "numbers-phone")
    await page.locator("tbody a").first.click()
    await expect(page.locator("form[action$='/confirm']")).to_have_count(0)
    await picture(visitor, "number-own-phone")
    other = await visit("second_admin", browser=today, width=DESK)
    await other.go("/number-corrections?state=proposed")
    await picture(other, "numbers")
    await other.page.locator("tbody a").first.click()
    await picture(other, "number")
    await other.page.click("form[action$='/confirm'] button")
    await expect(other.page.locator("main")).to_contain_text("已列入名单")
    await picture(other, "number-confirmed")


@pytest.mark.usefixtures("furnished")
async def test_the_list_prints_on_a4(visit: Visit, office: Office, today: Browser) -> None:
    visitor = await visit("operator", browser=today, width=DESK)
    page = visitor.page
    followup = await office.live.query("SELECT id::text FROM followups ORDER BY id DESC LIMIT 1")
    village = await office.live.query(BUSY)
    await visitor.go(f"/followups/{followup}/visits?area={village}")
    await page.fill("input[name=reason]", "打印带去")
    await page.click("form[action$='/visits/list'] button")
    await page.emulate_media(media="print")
    rows = page.locator("table.paper tbody tr")
    await until(rows.count, what="the list is there")
    await expect(rows.first).to_be_visible()
    await expect(page.locator("[data-visit]").first).to_be_hidden()
    await picture(visitor, "paper")


@pytest.mark.usefixtures("furnished")
async def test_households_are_registered_without_a_network_and_written_once(
    visit: Visit, browser: Browser, office: Office
) -> None:
    visitor = await visit("operator", browser=browser, width=PHONE)
    page = visitor.page
    found = await office.live.query("SELECT id::text FROM visit_rounds ORDER BY id DESC LIMIT 1")
    await visitor.go(f"/rounds/{found}")
    await picture(visitor, "round")
    await visitor.go(f"/rounds/{found}/households?area=341825100002")
    await picture(visitor, "households")
    before = await office.live.query(HOUSEHOLD_TRIES, found)
    cards = page.locator("[data-visit]")
    next_one, again = cards.nth(0), cards.nth(1)
    label = f"二组{before}号"
    await page.context.set_offline(True)
    await next_one.locator("input[name=household]").fill(label)
    await next_one.locator("input[name=spoken_to]").fill("3")
    await next_one.locator("button[value=told]").click()
    await expect(next_one.locator("input[name=household]")).to_have_value("")
    await expect(next_one.locator("input[name=spoken_to]")).to_have_value("1")
    await next_one.locator("input[name=household]").fill(f"{label}东")
    await next_one.locator("button[value=refused]").click()
    await again.locator("button[value=not_home]").click()
    await expect(page.locator("[data-visits-count]")).to_have_text("3")
    await picture(visitor, "households-offline")
    assert await office.live.query(HOUSEHOLD_TRIES, found) == before
    await page.context.set_offline(False)
    await expect(page.locator("[data-visits-kept]")).to_be_hidden()
    visitor.faults[:] = [one for one in visitor.faults if "net::ERR_" not in one]
    assert await office.live.query(HOUSEHOLD_TRIES, found) == before + 3
    await expect(next_one.locator("[data-visit-state-of]")).to_contain_text(f"{label}东")
    await expect(again.locator("[data-visit-state-of]")).to_contain_text("不在家")
    assert await page.evaluate("Object.keys(localStorage).length") == 0
    await picture(visitor, "households-sent")
