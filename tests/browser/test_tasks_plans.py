"""What happens to a plan before it is sent: every week with texts in turn, days on which two
departments meet, and what an approver returns.
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from playwright.async_api import expect

from tests.browser.conftest import Finish, Visit, shared
from tests.browser.contacts import LISTED, UNLISTED
from tests.browser.furniture import FEW, plan
from tests.browser.office import Office
from tests.browser.partners import join
from tests.browser.pieces import fold, is_sound, main_button, menu, ticked, to
from tests.harness.live import EVERYBODY, TEXT
from tests.harness.waiting import until

WEDNESDAYS = "FREQ=WEEKLY;BYDAY=WE"
MOVED, TO = "2月10日(周三)", "2月12日(周五)"
"""The Wednesday among the days off of the Spring Festival, and the working day after them."""
SPRING = {
    "notices": [
        {
            "year": 2027,
            "source": "关于2027年部分节假日安排的通知",
            "holidays": {f"2027-02-{day:02}": "春节" for day in range(5, 12)},
            "workdays": ["2027-02-20"],
        }
    ],
    "reason": "放假通知",
}


@shared
async def spring(office: Office) -> AsyncIterator[None]:
    """A notice of a Spring Festival whose days off have a Wednesday, while these tests run."""
    await office.ask("admin", "PUT", "/holidays", SPRING)
    yield
    await office.ask("admin", "PUT", "/holidays", {"reason": "test over"})


async def test_a_weekly_plan_with_four_texts_says_which_fire_the_holiday_moves(
    visit: Visit, office: Office, spring: None, way: dict[str, Any], finish: Finish
) -> None:
    mark = uuid4().hex[:6]
    names = [f"第{number}条 {mark}" for number in "一二三四"]
    for name in names:
        body = {"name": name, "class": "public_interest", "text": TEXT}
        await office.ask("operator", "POST", "/templates", body)
    await office.ask("operator", "POST", "/segments", {"name": f"财务 {mark}", "rule": FEW})
    visitor = await visit("operator", **way)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/plans"))
    await visitor.press(to(visitor, "/plans/new"))
    await visitor.type(visitor.field("name"), f"每周反诈 {mark}")
    await visitor.choose(visitor.field("template_id"), names[0])
    second = visitor.field("more_texts.1")
    await visitor.press(fold(second))
    for number in (1, 2, 3):
        await visitor.choose(visitor.field(f"more_texts.{number}"), names[number])
    await visitor.choose(visitor.field("segment_id"), f"财务 {mark}")
    await visitor.press(visitor.page.locator("[name=when][value=weekly]"))
    await visitor.type(visitor.field("schedule.start_at"), "2027-01-13")
    await visitor.press(ticked(visitor, "schedule.rrule", "周三"))
    await visitor.type(visitor.field("schedule.until"), "2027-03-31")
    await visitor.choose(visitor.field("schedule.holidays"), "顺延到下一个工作日")
    moved = visitor.page.locator("#plan-side li:visible").filter(has_text=MOVED)
    await expect(moved).to_contain_text(TO)
    submit = visitor.page.locator("#plan-side button[value=submit]")
    await expect(submit).to_be_enabled()
    await is_sound(visitor)
    await visitor.press(submit)
    await expect(visitor.page.locator("h1")).to_have_text(f"每周反诈 {mark}")
    finish("7", visitor)
    await is_sound(visitor)
    made = await office.ask("operator", "GET", f"/campaigns/{_last(visitor.page.url)}")
    schedule = made["schedule"]
    assert made["state"] == "pending_approval"
    assert (schedule["rrule"], schedule["holidays"]) == (WEDNESDAYS, "next_workday")
    assert schedule["until"].startswith("2027-03-31")
    assert [text["after_days"] for text in made["more_texts"]] == [None] * 3
    (fire,) = [one for one in made["next_fires"] if one["planned_at"].startswith("2027-02-10")]
    assert fire["at"].startswith("2027-02-12"), "as the page said"


def _last(address: str) -> str:
    return address.rstrip("/").rpartition("/")[2]


SCHOOL, SIGNATURE = "school", "旌德县教体局"
MEETING = "2027-01-28"
SHARED = 2000
"""People of both departments. The calendar estimates them: few would be a matter of luck."""


@shared
async def meeting(office: Office) -> None:
    """A plan of the county and one of another department, on one day to some of the same people."""
    people = ["手机号", *LISTED[:SHARED], next(UNLISTED)]
    await join(office, SCHOOL, "教体局", SIGNATURE, people)
    await _planned(office, SCHOOL, TEXT.replace("旌德县公安局", SIGNATURE))
    await _planned(office, "operator", TEXT)

    async def counted() -> bool:
        query = f"/calendar?from={MEETING}&to={MEETING}"
        fires = (await office.ask("operator", "GET", query))["items"]
        return any(fire["other_departments"]["people"] for fire in fires)

    await until(counted)


async def _planned(office: Office, who: str, words: str) -> None:
    """A plan to everybody that waits to be signed: drafts are not told to other departments."""
    name = f"防诈 {uuid4().hex[:6]}"
    text = {"name": name, "class": "public_interest", "text": words}
    template = await office.ask(who, "POST", "/templates", text)
    segment = await office.ask(who, "POST", "/segments", {"name": name, "rule": EVERYBODY})
    body = {
        "name": name,
        "template_id": template["id"],
        "segment_id": segment["id"],
        "schedule": {"kind": "once", "start_at": f"{MEETING}T10:00:00+08:00"},
    }
    made = await office.ask(who, "POST", "/campaigns", body)
    await office.ask(who, "POST", f"/campaigns/{made['id']}/submit", {})


async def test_the_day_is_found_on_which_two_departments_meet_the_same_people(
    visit: Visit, office: Office, meeting: None, way: dict[str, Any], finish: Finish
) -> None:
    visitor = await visit("operator", **way)
    await visitor.go("/today")
    visitor.start_clock()
    await visitor.press(menu(visitor, "/plans"))
    await visitor.press(to(visitor, "/plans/calendar"))
    met = visitor.page.locator("table.month td").filter(has_text="与其他单位重合")
    await expect(met).to_have_count(1)
    await is_sound(visitor)
    await visitor.press(met.locator("a[href*='day=']"))
    day = visitor.page.locator("main section.card")
    await expect(day.locator("h2")).to_contain_text("1月28日")
    query = f"/calendar?from={MEETING}&to={MEETING}"
    (fire,) = (await office.ask("operator", "GET", query))["items"]
    assert fire["other_departments"]["plans"] == 1
    people = fire["other_departments"]["people"]
    assert SHARED / 2 < people < SHARED * 2
    await expect(day).to_contain_text(f"与其他单位 1 个任务重合，约 {people:,} 人")
    finish("8", visitor)
    await is_sound(visitor)


async def test_what_an_approver_returns_comes_back_mended(
    visit: Visit, office: Office, way: dict[str, Any], finish: Finish
) -> None:
    name, why = f"冬季防诈 {uuid4().hex[:6]}", "时间改到下午，上午有会"
    made = await plan(office, name)
    path = f"/campaigns/{made['id']}"
    await office.ask("operator", "POST", f"{path}/submit", {})
    approver, operator = await visit("approver", **way), await visit("operator", **way)
    await approver.go("/today")
    approver.start_clock()
    operator.start_clock()
    await approver.press(menu(approver, "/plans"))
    await approver.press(to(approver, f"/plans/{made['id']}/sign"))
    await approver.press(to(approver, f"/plans/{made['id']}/return"))
    await approver.type(approver.field("reason"), why)
    await is_sound(approver)
    await approver.press(main_button(approver))
    await expect(approver.page.locator("main .tag").first).to_have_text("退回修改")
    await operator.go("/today")
    waits = operator.page.locator("main li").filter(has_text=name)
    await expect(waits).to_contain_text(why)
    await is_sound(operator)
    await operator.press(to(operator, f"/plans/{made['id']}/edit"))
    await expect(operator.says(why)).to_be_visible()
    await operator.type(operator.field("time"), "15:00")
    submit = operator.page.locator("#plan-side button[value=submit]")
    await expect(submit).to_be_enabled()
    await is_sound(operator)
    await operator.press(submit)
    await expect(operator.page.locator("main .tag").first).to_have_text("待签发")
    finish("12", approver, operator)
    now = await office.ask("operator", "GET", path)
    assert now["state"] == "pending_approval"
    assert now["schedule"]["start_at"] == "2027-01-13T15:00:00+08:00"
    moves = [(move["to_state"], move["reason"]) for move in now["moves"]]
    assert ("returned", why) in moves
    await operator.go("/today")
    await expect(waits).to_have_count(0)
