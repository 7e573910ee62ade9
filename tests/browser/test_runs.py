"""A run that is watched and steered: its tasks, and each state of its page and of the server."""

import re
from datetime import datetime
from typing import Any

import pytest
from playwright.async_api import Response, expect

from service.clock import CHINA
from tests.browser.conftest import Finish, Visit
from tests.browser.going import Going
from tests.browser.office import Office, choose_password, hire
from tests.browser.visitor import PASSWORD, Visitor
from tests.harness.lossy import LossyWire
from tests.harness.waiting import until

FEW = "身份 = 财务人员"


def minutes(time: str) -> int:
    """The minute of the day of 09:47 or of an instant."""
    if ":" in time and len(time) == 5:
        return int(time[:2]) * 60 + int(time[3:])
    here = datetime.fromisoformat(time).astimezone(CHINA)
    return here.hour * 60 + here.minute


async def pressed(visitor: Visitor, words: str) -> None:
    await visitor.press(visitor.page.locator("#run-acts").get_by_role("button", name=words))


# ---- tasks


async def test_a_watched_run_says_when_it_ends_and_who_is_behind(
    visit: Visit, going: Going, way: dict[str, Any], finish: Finish
) -> None:
    visitor = await visit("operator", **way)
    await visitor.go("/today")
    visitor.start_clock()
    before = await going.progress()
    await visitor.press(visitor.page.locator(f"main a[href='{going.path}']").first)
    await visitor.page.wait_for_url(f"**{going.path}")
    told = visitor.page.locator("#run-progress h2").first
    await expect(told).to_have_text(re.compile(r"\d\d:\d\d"))
    heading = await told.inner_text()
    rows = visitor.page.locator("#run-progress tbody tr")
    names = {(await row.locator("th").inner_text()).strip() for row in await rows.all()}
    after = await going.progress()
    shown = re.search(r"\d\d:\d\d", heading)
    assert shown, heading
    ends = sorted(minutes(one["expected_at"]) for one in (before, after) if one["expected_at"])
    assert ends[0] - 1 <= minutes(shown[0]) <= ends[-1] + 1
    assert names == {channel["channel"] for channel in after["channels"]}
    await expect(visitor.says(f"{after['target']:,}")).to_be_visible()
    await expect(visitor.page.locator("#run-progress .sum")).to_contain_text("✓")
    finish("13", visitor)


async def nothing_leaves_but_others(going: Going) -> int:
    """That a paused run stands still while another one goes: how many of it wait."""
    live = going.office.live

    async def nothing_on_the_way() -> bool:
        sql = "SELECT count(*) FROM messages WHERE run_id = $1::text::uuid AND state = 'submitting'"
        return int(await live.query(sql, going.run)) == 0

    await until(nothing_on_the_way)
    waiting = int((await going.progress())["left"])
    sent = len(live.journal())
    other = await live.launch(FEW)
    await other.handed_off()
    others = len(live.journal()) - sent
    assert (await going.progress())["left"] >= waiting > 0, "one that failed may wait again"
    assert others <= await other.target() * 2, "only the other run's texts have left meanwhile"
    return waiting


async def test_after_the_pause_nothing_leaves_until_it_goes_on(
    visit: Visit, going: Going, way: dict[str, Any], finish: Finish
) -> None:
    visitor = await visit("operator", **way)
    await visitor.go(going.path)
    visitor.start_clock()
    await pressed(visitor, "暂停")
    resume = visitor.page.locator("#run-acts").get_by_role("button", name="继续")
    await expect(resume).to_be_visible()

    async with visitor.beside():
        waiting = await nothing_leaves_but_others(going)
    await visitor.press(resume)
    await until(lambda: going.is_in("running"))

    async def goes_on() -> bool:
        return bool((await going.progress())["left"] < waiting)

    await until(goes_on)
    finish("14", visitor)
    assert (await going.acts("pause"), await going.acts("resume")) == (1, 1)


async def test_without_script_a_run_is_paused(visit: Visit, going: Going) -> None:
    visitor = await visit("operator", java_script_enabled=False)
    await visitor.go(going.path)
    await pressed(visitor, "暂停")
    await visitor.page.wait_for_url(f"**{going.path}")
    assert await going.state() == "paused"


# ---- pressed twice, reloaded, back, two people


async def test_pressing_twice_pauses_once(visit: Visit, going: Going) -> None:
    visitor = await visit("operator", refusals=(409,))
    await visitor.go(going.path)
    await visitor.page.locator("#run-acts").get_by_role("button", name="暂停").dblclick()
    await until(lambda: going.is_in("paused"))
    await expect(visitor.page.locator("#run-acts")).to_contain_text("继续")
    assert await going.acts("pause") == 1


async def test_reloading_and_going_back_repeats_nothing(visit: Visit, going: Going) -> None:
    visitor = await visit("operator")
    await visitor.go("/runs")
    await visitor.go(going.path)
    await pressed(visitor, "暂停")
    resume = visitor.page.locator("#run-acts").get_by_role("button", name="继续")
    await expect(resume).to_be_visible()
    await visitor.page.reload()
    await expect(resume).to_be_visible()
    await visitor.turn(-1)
    await visitor.turn(1)
    await expect(resume).to_be_visible()
    assert await going.acts("pause") == 1
    assert await going.state() == "paused"


async def test_what_one_does_the_other_sees(visit: Visit, going: Going) -> None:
    one, other = await visit("operator"), await visit("approver")
    await one.go(going.path)
    await other.go(going.path)
    await pressed(one, "暂停")
    resume = other.page.locator("#run-acts").get_by_role("button", name="继续")
    await expect(resume).to_be_visible()
    await other.press(resume)
    await until(lambda: going.is_in("running"))
    await expect(one.page.locator("#run-acts")).to_contain_text("暂停")


# ---- a slow, a lost and a restarted server


async def test_a_slow_server_shows_that_it_works_and_acts_once(
    wire: LossyWire, visit: Visit, going: Going
) -> None:
    visitor = await visit("operator", url=wire.url)
    await visitor.go(going.path)
    wire.slow = 2.0
    await pressed(visitor, "暂停")
    await expect(visitor.page.locator("#c-wait")).to_be_visible()
    await expect(visitor.page.locator("#run-acts")).to_contain_text("继续")
    await expect(visitor.page.locator("#c-wait")).to_be_hidden()
    assert await going.acts("pause") == 1


LOST = ("Failed to load resource: net::ERR_", "Failed to fetch", "Load failed")


def forgive_losses(visitor: Visitor) -> None:
    """What a browser says of a connection that was cut on purpose is no fault of the page."""
    visitor.faults[:] = [
        fault for fault in visitor.faults if not any(words in fault for words in LOST)
    ]


async def test_a_lost_server_is_said_and_the_page_finds_it_again(
    wire: LossyWire, visit: Visit, going: Going
) -> None:
    visitor = await visit("operator", url=wire.url)
    await visitor.go(going.path)
    figures = visitor.page.locator("#run-progress")
    before = await figures.locator("[data-updated]").first.inner_text()
    wire.cut = True
    band = visitor.page.locator("#c-away")
    await expect(band).to_be_visible()
    await expect(figures).to_be_visible()
    wire.cut = False
    await expect(band).to_be_hidden()
    await expect(figures.locator("[data-updated]").first).not_to_have_text(before)
    forgive_losses(visitor)


async def test_an_act_whose_answer_was_lost_is_done_once(
    wire: LossyWire, visit: Visit, going: Going
) -> None:
    visitor = await visit("operator", url=wire.url, refusals=(409,))
    await visitor.go(going.path)
    # Nothing but the press may lose its answer: the page asks for its figures by itself.
    await visitor.page.route("**/progress*", lambda route: route.abort())
    wire.lose = 1
    await pressed(visitor, "暂停")
    await until(lambda: going.is_in("paused"))
    band = visitor.page.locator("#c-away")
    await expect(band).to_be_visible()
    await visitor.page.unroute("**/progress*")
    await band.get_by_role("button").click()
    await expect(visitor.page.locator("#run-acts")).to_contain_text("继续")
    assert await going.acts("pause") == 1
    forgive_losses(visitor)


async def test_a_page_survives_the_restart_of_the_server(
    visit: Visit, going: Going, office: Office
) -> None:
    visitor = await visit("operator", refusals=(502, 503))
    await visitor.go(going.path)
    updated = visitor.page.locator("#run-progress [data-updated]").first
    before = await updated.inner_text()
    pid = office.live.pid("api")
    office.live.kill("api")
    await until(lambda: office.live.pid("api") != pid)
    await expect(updated).not_to_have_text(before)
    await expect(visitor.page.locator("#c-away")).to_be_hidden()
    await pressed(visitor, "暂停")
    await until(lambda: going.is_in("paused"))
    forgive_losses(visitor)


# ---- the session


async def last_used(office: Office, login: str) -> datetime:
    sql = """
        SELECT max(s.last_used_at) FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE u.login = $1
    """
    found: datetime = await office.live.query(sql, login)
    return found


@pytest.mark.attack
async def test_a_page_that_asks_by_itself_keeps_no_session_alive(
    visit: Visit, office: Office, going: Going
) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    visitor = await visit()
    await visitor.log_in(login)
    asked: list[Response] = []
    visitor.page.on("response", lambda one: asked.append(one) if "/progress" in one.url else None)
    await visitor.go(going.path)
    used = await last_used(office, login)
    await until(lambda: len(asked) >= 3)
    assert await last_used(office, login) == used


async def test_an_act_after_the_session_is_done_once_after_the_login(
    visit: Visit, office: Office, going: Going
) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    visitor = await visit(refusals=(401,))
    await visitor.log_in(login)
    await visitor.go(going.path)
    sql = """
        WITH over AS (UPDATE sessions SET expires_at = created_at
                      WHERE user_id = (SELECT id FROM users WHERE login = $1) RETURNING 1)
        SELECT count(*) FROM over
    """
    assert await office.live.query(sql, login)
    await pressed(visitor, "暂停")
    box = visitor.page.locator("#c-session")
    await expect(box.locator("[name=password]")).to_be_visible()
    assert await going.state() == "running"
    await visitor.type(box.locator("[name=login]"), login)
    await visitor.type(box.locator("[name=password]"), PASSWORD)
    await visitor.page.keyboard.press("Enter")
    await expect(box).to_be_hidden()
    await until(lambda: going.is_in("paused"))
    assert await going.acts("pause") == 1
