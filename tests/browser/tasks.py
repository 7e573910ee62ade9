"""Tasks that people do in more than one way: how each is done, and that it has come out right.

What is pressed is found by addresses and names, so that a task is done in either language.
"""

from typing import Any
from uuid import uuid4

from playwright.async_api import expect

from service.console.plans.form import LIBRARY
from tests.browser.going import Going
from tests.browser.office import Office
from tests.browser.pieces import main_button, menu, to
from tests.browser.visitor import Visitor
from tests.harness.live import EVERYBODY
from tests.harness.waiting import until

TOMORROW = ("2027-01-13", "09:30")


async def plan_for_the_county(visitor: Visitor, office: Office) -> Any:
    """From the start page: a broadcast to everybody for tomorrow morning is put before an approver;
    returns the campaign.
    """
    group, name = f"全县群众 {uuid4().hex[:6]}", f"冬季防诈 {uuid4().hex[:6]}"
    await office.ask("operator", "POST", "/segments", {"name": group, "rule": EVERYBODY})
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/plans"))
    await visitor.press(to(visitor, "/plans/new"))
    await visitor.type(visitor.field("name"), name)
    await visitor.choose(visitor.field("template_id"), await ready_text(visitor, office))
    await visitor.choose(visitor.field("segment_id"), group)
    await visitor.press(visitor.page.locator("[name=when][value=once]"))
    await visitor.type(visitor.field("schedule.start_at"), TOMORROW[0])
    await visitor.type(visitor.field("time"), TOMORROW[1])
    submit = visitor.page.locator("#plan-side button[value=submit]")
    await expect(submit).to_be_enabled()
    await visitor.press(submit)
    await expect(visitor.page.locator("h1")).to_have_text(name)
    listed = await office.ask("operator", "GET", "/campaigns?limit=50")
    (made,) = [one for one in listed["items"] if one["name"] == name]
    assert made["state"] == "pending_approval"
    detail = await office.ask("operator", "GET", f"/campaigns/{made['id']}")
    assert detail["schedule"]["start_at"].startswith("2027-01-13T")
    assert detail["baseline"] > 18_000
    return detail


async def ready_text(visitor: Visitor, office: Office) -> str:
    """What a ready text is called that the department has not taken yet, and that has no variable:
    some people have no name, and are not sent one that has theirs.
    """
    library = (await office.ask("operator", "GET", "/templates/library"))["items"]
    plain = {f"{LIBRARY}{one['id']}" for one in library if "{" not in one["text"]}
    for option in await visitor.page.locator("[name=template_id] optgroup option").all():
        if await option.get_attribute("value") in plain:
            called: str = await option.inner_text()
            return called.strip()
    raise AssertionError("the department has taken every ready text")


async def open_sheet(visitor: Visitor, campaign: str) -> None:
    """From the start page: the sheet of a campaign that waits."""
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(to(visitor, f"/plans/{campaign}/sign"))
    await expect(visitor.page.locator("#plan-counts .num").first).to_be_visible()


async def sign(visitor: Visitor, office: Office, campaign: str) -> None:
    """On its sheet: whatever is to be ticked is ticked, and it is signed."""
    bound = await office.ask("approver", "GET", f"/campaigns/{campaign}")
    for name in ("acknowledged", "known"):
        if await visitor.field(name).count():
            await visitor.press(visitor.field(name))
    await visitor.press(main_button(visitor))
    await visitor.page.wait_for_url(f"**/plans/{campaign}")
    await expect(visitor.page.locator("main .notice")).to_be_visible()
    signed = await office.ask("approver", "GET", f"/campaigns/{campaign}")
    assert signed["state"] == "scheduled"
    assert signed["approved_by"] == office.users["approver"]
    assert signed["content_hash"] == bound["content_hash"]


async def pause_and_resume(visitor: Visitor, going: Going) -> None:
    """On the page of a run: it is paused, and goes on."""
    acts = visitor.page.locator("#run-acts")
    await visitor.press(acts.locator("form[action$='/pause'] button"))
    resume = acts.locator("form[action$='/resume'] button")
    await expect(resume).to_be_visible()
    assert await going.is_in("paused")
    await visitor.press(resume)
    await until(lambda: going.is_in("running"))
    await expect(acts.locator("form[action$='/pause'] button")).to_be_visible()
    assert (await going.acts("pause"), await going.acts("resume")) == (1, 1)
