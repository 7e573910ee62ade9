"""Three tasks under the worst that an office has, all of it at once.

By keys alone, in English, in Chromium 90, on a screen of 1280 × 800 at 200 % zoom, over a wire on
which each answer takes two seconds longer. Nothing is lost, and nothing is done twice.
"""

from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Finish, Visit
from tests.browser.furniture import plan
from tests.browser.going import Going
from tests.browser.keyboard import KeyboardVisitor
from tests.browser.office import Office
from tests.browser.tasks import open_sheet, pause_and_resume, plan_for_the_county, sign
from tests.browser.visitor import Visitor
from tests.harness.lossy import LossyWire

LATE = 2.0
"""Seconds that each answer takes longer."""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def worst(oldest: Browser, wire: LossyWire) -> dict[str, Any]:
    """How somebody comes; every answer is late. Asked for before `visit`, whose pages end first.

    640 × 400 points of two pixels each are 1280 × 800 at 200 %.
    """
    wire.slow = LATE
    return {
        "browser": oldest,
        "hands": KeyboardVisitor,
        "language": "en",
        "url": wire.url,
        "width": 640,
        "height": 400,
        "device_scale_factor": 2,
    }


async def all_in_sight(visitor: Visitor) -> None:
    """The page is in English, and none of it is beside the screen."""
    await expect(visitor.page.locator("html")).to_have_attribute("lang", "en")
    assert await visitor.page.evaluate(SIDEWAYS) == 0


async def test_a_broadcast_is_planned_once(
    worst: dict[str, Any], visit: Visit, office: Office, finish: Finish
) -> None:
    visitor = await visit("operator", **worst)
    campaign = await plan_for_the_county(visitor, office)
    await all_in_sight(visitor)
    finish("25: 1", visitor)
    trail = await office.ask("admin", "GET", f"/audit?object_id={campaign['id']}")
    acts = [one["action"] for one in trail["items"]]
    assert acts.count("create_campaign") == acts.count("submit_campaign") == 1


async def test_a_broadcast_is_signed_once(
    worst: dict[str, Any], visit: Visit, office: Office, no_others: None, finish: Finish
) -> None:
    made = await plan(office, f"签发 {uuid4().hex[:6]}")
    await office.ask("operator", "POST", f"/campaigns/{made['id']}/submit", {})
    visitor = await visit("approver", **worst)
    await open_sheet(visitor, made["id"])
    await all_in_sight(visitor)
    await sign(visitor, office, made["id"])
    finish("25: 9", visitor)
    trail = await office.ask("admin", "GET", f"/audit?object_id={made['id']}")
    assert [one["action"] for one in trail["items"]].count("approve_campaign") == 1


async def test_a_run_is_paused_and_goes_on_once(
    worst: dict[str, Any], visit: Visit, going: Going, finish: Finish
) -> None:
    visitor = await visit("operator", **worst)
    await visitor.go(going.path)
    visitor.start_clock()
    await pause_and_resume(visitor, going)
    await all_in_sight(visitor)
    finish("25: 14", visitor)
