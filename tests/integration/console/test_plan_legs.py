"""Joint plans in the console: planned across departments, taken, returned and asked for again."""

from datetime import timedelta
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.crypto import Keyring
from service.storage.postgres import Pool, transaction
from tests.factories import TEXT, make_contact, make_segment
from tests.harness.console import Browser, browser_at, browser_of
from tests.harness.joint import MOBILE, TELECOM, UNICOM, JointCounty
from tests.harness.joint_api import OPERATOR, a_template, approved, joint_county, leg_of
from tests.harness.logins import with_password
from tests.harness.plan_pages import HOSTILE, planned, stored, typed
from tests.integration.api.conftest import Api

TOWN, OTHER = "341825100000", "341825101000"
WEEKS = TEXT.replace("】", "】{周次:周期}提醒，")


@pytest.fixture
async def county(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    async with transaction(pool) as conn:
        await load_areas(conn)
    county = await joint_county(api, pool, keyring)
    await pool.execute("UPDATE contacts SET area_code = $1", TOWN)
    return county


async def carrier_browser(api: Api, county: JointCounty, carrier: str = MOBILE) -> Browser:
    return await browser_at(api, await with_password(api, county.sides[carrier].operator))


async def joint(api: Api, county: JointCounty, **more: Any) -> dict[str, Any]:
    """A joint plan of two carriers as somebody types it, one of them for a town alone."""
    mobile, unicom = (str(county.sides[one].department_id) for one in (MOBILE, UNICOM))
    asked = {"audience": "joint", "legs": [mobile, unicom], f"areas.{mobile}": "旌阳镇"}
    return typed({"template_id": await a_template(api)}, api, **asked, **more)


async def test_a_joint_plan_is_typed_and_shown_again_as_it_was(
    api: Api, county: JointCounty
) -> None:
    browser = await browser_of(api, "operator")
    seen = await planned(browser, await joint(api, county))
    assert seen.path.endswith("/edit"), seen.text
    address = seen.path.removesuffix("/edit")
    kept = await stored(api, address)
    asked = {leg["department_id"]: leg["areas"] for leg in kept["legs"]}
    mobile, unicom = (str(county.sides[one].department_id) for one in (MOBILE, UNICOM))
    assert asked == {mobile: [TOWN], unicom: []}
    fields = seen.form(f"{address}/edit").fields
    assert {("audience", "joint"), ("legs", mobile), ("legs", unicom)} <= set(fields)
    assert dict(fields)[f"areas.{mobile}"] == "旌阳镇"
    before = await stored(api, address)
    seen = await browser.submit(seen, f"{address}/edit", {"act": "save"})
    after = await stored(api, address)
    plan = before.keys() - {"moves", "acts", "next_fires", "schedule_notes"}
    assert {name: after[name] for name in plan} == {name: before[name] for name in plan}
    shown = await browser.get(address)
    assert "旌阳镇" in shown.text
    assert len([link for link in shown.links if link.startswith("/plans/legs/")]) == 2


async def test_people_are_counted_across_the_fence_before_it_is_kept(
    api: Api, county: JointCounty
) -> None:
    async with transaction(county.pool) as conn:
        for n in range(1000, 1020):
            side = county.sides[UNICOM].department_id
            await make_contact(conn, county.keyring, side, n, now=county.now, carrier=UNICOM)
    browser = await browser_of(api, "operator")
    seen = await planned(browser, await joint(api, county, act="count"))
    assert seen.status == 200, seen.text
    assert "26 人" in seen.text, "three of one, and 23 of the other"
    assert "人数太少" in seen.text
    assert (await api.get("/campaigns", OPERATOR)).json["items"] == []


async def test_what_is_wrong_with_a_part_stands_beside_it(api: Api, county: JointCounty) -> None:
    browser = await browser_of(api, "operator")
    mobile = str(county.sides[MOBILE].department_id)
    fields = await joint(api, county)
    seen = await planned(browser, fields | {f"areas.{mobile}": f"没有的镇{HOSTILE}"})
    assert seen.status == 422
    assert f'id="e-areas.{mobile}"' in seen.html
    assert HOSTILE not in seen.html
    seen = await planned(browser, fields | {"legs": []})
    assert (seen.status, 'id="e-legs"' in seen.html) == (422, True)
    assert (await api.get("/campaigns", OPERATOR)).json["items"] == []


async def test_a_draft_for_a_group_becomes_a_joint_plan_and_back(
    api: Api, county: JointCounty
) -> None:
    async with transaction(county.pool) as conn:
        segment = await make_segment(conn, county.team.operator, now=county.now)
    browser = await browser_of(api, "operator")
    fields = await joint(api, county) | {"segment_id": str(segment.id)}
    seen = await planned(browser, fields | {"audience": "group"})
    edit = seen.path
    assert (await stored(api, edit.removesuffix("/edit")))["legs"] == []
    chosen = {"audience": "joint", "legs": fields["legs"], "act": "save"}
    seen = await browser.submit(seen, edit, chosen)
    kept = await stored(api, edit.removesuffix("/edit"))
    assert (len(kept["legs"]), kept["segment_id"]) == (2, None), seen.text
    more = {"audience": "group", "segment_id": str(segment.id), "act": "save"}
    await browser.submit(seen, edit, more)
    kept = await stored(api, edit.removesuffix("/edit"))
    assert (kept["legs"], kept["segment_id"]) == ([], str(segment.id))


async def test_only_whoever_may_plan_jointly_is_offered_it(api: Api, county: JointCounty) -> None:
    carrier = await carrier_browser(api, county)
    seen = await carrier.get("/plans/new")
    assert seen.status == 200
    assert 'name="legs"' not in seen.html
    assert 'name="legs"' in (await (await browser_of(api, "operator")).get("/plans/new")).html


async def test_values_of_each_text_are_typed_kept_and_signed_for(
    api: Api, county: JointCounty
) -> None:
    browser = await browser_of(api, "operator")
    fields = await joint(api, county) | {"template_id": await a_template(api, WEEKS)}
    more = {"more_texts.1": await a_template(api, WEEKS.replace("提醒", "通知"))}
    missing = await planned(browser, fields | more)
    assert missing.status == 422
    assert {"values.周次", "more_values.1.周次"} <= missing.form("/plans/new").named
    values = {"after_days.1": "7", "values.周次": "第7周", "more_values.1.周次": "第8周"}
    wrong = await browser.submit(missing, "/plans/new", values | {"more_values.1.周次": "很多"})
    assert (wrong.status, 'id="e-more_values.1.周次"' in wrong.html) == (422, True), wrong.text
    seen = await browser.submit(wrong, "/plans/new", values | {"act": "submit"})
    assert seen.status == 200, seen.text
    kept = await stored(api, seen.path)
    assert (kept["values"], kept["more_texts"][0]["values"]) == (
        {"周次": "第7周"},
        {"周次": "第8周"},
    )
    sheet = await (await browser_of(api, "approver")).get(f"{seen.path}/sign")
    for line in ("{周次} 第7周", "第 2 条短信中的 {周次} 第8周", "旌阳镇", f"{UNICOM} 旌德"):
        assert line in sheet.text, sheet.text


async def test_a_part_is_taken_narrower_and_stands_on_both_sides(
    api: Api, county: JointCounty
) -> None:
    made = await approved(api, county)
    leg = f"/plans/legs/{(await leg_of(api, MOBILE))['id']}"
    browser = await carrier_browser(api, county)
    assert leg in (await browser.get("/today")).links
    assert leg in (await browser.get("/plans")).links
    assert leg in (await browser.get("/plans/legs?state=asked")).links
    seen = await browser.get(leg)
    assert made["text"] in seen.text
    asked = await browser.get(f"{leg}/take")
    assert "3 人" in asked.text
    wrong = await browser.submit(asked, f"{leg}/take", {"areas": "没有的镇"})
    assert (wrong.status, 'id="e-areas"' in wrong.html) == (422, True)
    wrong = await browser.submit(wrong, f"{leg}/take", {"areas": "", "send_hours": "03:00-04:00"})
    assert (wrong.status, 'id="e-send_hours"' in wrong.html) == (422, True)
    given = {"areas": "旌阳镇", "send_hours": "09:00-11:00", "max_tps": "50"}
    taken = await browser.submit(wrong, f"{leg}/take", given)
    assert taken.path == leg, taken.text
    assert f"{leg}/take" not in taken.links
    shown = (await api.get("/legs", (MOBILE, "operator"))).json["items"][0]
    assert shown["state"] == "taken"
    assert shown["taken_as"] | {"people": 3} == shown["taken_as"]
    assert shown["taken_as"]["areas"] == [TOWN]
    assert shown["taken_as"]["send_hours"] == [["09:00", "11:00"]]
    own = f"/plans/{shown['own_campaign_id']}"
    assert own in taken.links
    assert leg in (await browser.get(own)).links, "its campaign leads back to what it is a part of"
    planner = await browser_of(api, "operator")
    across = await planner.get(leg)
    assert "09:00–11:00" in across.text
    assert own not in across.links
    assert "3" in (await planner.get(f"/plans/{made['id']}")).text


async def test_a_part_is_returned_with_a_reason_and_asked_for_again(
    api: Api, county: JointCounty
) -> None:
    made = await approved(api, county)
    leg = f"/plans/legs/{(await leg_of(api, TELECOM))['id']}"
    carrier = await carrier_browser(api, county, TELECOM)
    page = await carrier.get(f"{leg}/return")
    wrong = await carrier.submit(page, f"{leg}/return")
    assert (wrong.status, 'id="e-reason"' in wrong.html) == (422, True)
    seen = await carrier.submit(wrong, f"{leg}/return", {"reason": HOSTILE})
    assert HOSTILE not in seen.html
    assert "&lt;script&gt;" in seen.html
    elsewhere = await carrier.get(f"{leg}/take")
    assert elsewhere.path == leg
    assert "已退回" in elsewhere.text, "it says why it cannot be taken"
    planner = await browser_of(api, "operator")
    assert leg in (await planner.get("/today")).links
    assert leg in (await planner.get(f"/plans/{made['id']}")).links
    seen = await planner.get(leg)
    assert "&lt;script&gt;" in seen.html
    asked = await planner.submit(
        await planner.get(f"{leg}/ask"), f"{leg}/ask", {"reason": "已改期", "areas": "旌阳镇"}
    )
    assert "已改期" in asked.text
    again = await leg_of(api, TELECOM)
    assert (again["state"], again["areas"]) == ("asked", [TOWN])
    assert f"{leg}/take" in (await carrier.get(leg)).links


async def test_no_button_of_a_part_is_shown_only_to_be_refused(
    api: Api, county: JointCounty
) -> None:
    await approved(api, county)
    leg = f"/plans/legs/{(await leg_of(api, MOBILE))['id']}"
    other = await carrier_browser(api, county, UNICOM)
    assert (await other.get(leg)).status == 404
    for role in ("operator", "approver", "viewer", "inspector"):
        browser = await browser_of(api, role)
        seen = await browser.get(leg)
        assert seen.status == 200, seen.text
        for act in ("take", "return", "ask"):
            assert f"{leg}/{act}" not in seen.links
            forced = await browser.get(f"{leg}/{act}")
            assert forced.status == 403 or forced.path == leg, (role, act)
            assert f"{leg}/{act}" not in [form.action for form in forced.forms]


async def test_fires_that_have_passed_are_decided_where_they_are_asked_for(
    api: Api, county: JointCounty
) -> None:
    start = (county.now + timedelta(minutes=5)).isoformat()
    schedule = {"kind": "recurring", "start_at": start, "rrule": "FREQ=DAILY", "late": "hold"}
    await approved(api, county, schedule=schedule)
    leg = f"/plans/legs/{(await leg_of(api, MOBILE))['id']}"
    browser = await carrier_browser(api, county)
    await county.pass_time(timedelta(minutes=40))
    api.clock.at = county.now
    asked = await browser.submit(await browser.get(f"{leg}/take"), f"{leg}/take")
    assert asked.status == 409, asked.text
    taken = await browser.submit(asked, f"{leg}/take", {"missed": "skip"})
    assert (taken.path, taken.status) == (leg, 200), taken.text
