"""Campaigns in the console: planned on one page, kept, put before an approver, steered."""

import json
from datetime import datetime

from multidict import MultiDict

from service.campaigns.calendar.schedule import Schedule
from service.console.plans import form as forms
from service.reports.plan_counts import count_audiences
from service.storage.postgres import transaction
from tests.factories import TEXT, make_contact, make_scheduled, make_segment, make_template
from tests.harness.console import browser_of
from tests.harness.plan_pages import (
    APPROVER,
    HOSTILE,
    OPERATOR,
    PEOPLE,
    county,
    drafted,
    planned,
    stored,
    typed,
)
from tests.integration.api.conftest import Api

__all__ = ["county"]


async def test_what_was_typed_is_counted_without_being_kept(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    seen = await planned(browser, typed(county, api, act="count"))
    assert seen.status == 200, seen.text
    assert f"{PEOPLE} 人" in seen.text
    assert dict(seen.form("/plans/new").fields)["name"] == "每周反诈", "what was typed stays"
    assert (await api.get("/campaigns", OPERATOR)).json["items"] == []


async def test_the_right_side_alone_counts_what_was_typed(api: Api, county: dict[str, str]) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/plans/new")
    fields = dict(page.form("/plans/new").fields) | typed(county, api)
    seen = await browser.post("/plans/new/side", MultiDict(fields))
    assert seen.status == 200, seen.text
    assert f"{PEOPLE} 人" in seen.text
    assert "<html" not in seen.html
    assert "还缺" not in seen.text
    seen = await browser.post("/plans/new/side", MultiDict(fields | {"name": "", "segment_id": ""}))
    assert {"#f-name", "#f-segment_id"} <= set(seen.links), "what is missing leads to its field"
    assert 'value="submit" disabled' in seen.html


async def test_a_draft_is_kept_as_it_was_typed_and_shown_again(
    api: Api, county: dict[str, str]
) -> None:
    browser, address = await drafted(
        api, county, name=f"{HOSTILE} & co", **{"safety.canary.first": "2", "max_tps": "7"}
    )
    kept = await stored(api, address)
    assert (kept["name"], kept["max_tps"]) == (f"{HOSTILE} & co", 7)
    assert kept["safety"]["canary"]["first"] == 2
    assert kept["schedule"]["kind"] == "once"
    for path in (address, f"{address}/edit", "/plans"):
        seen = await browser.get(path)
        assert seen.status == 200, seen.text
        assert HOSTILE not in seen.html
        assert "&lt;script&gt;" in seen.html
    entry = await api.runtime.pool.fetchrow(
        "SELECT via FROM audit_entries WHERE action = 'create_campaign' ORDER BY id DESC LIMIT 1"
    )
    assert entry is not None
    assert entry["via"] == "console"


async def test_saving_what_was_shown_changes_nothing(api: Api, county: dict[str, str]) -> None:
    """Also of schedules that the form cannot say."""
    browser, address = await drafted(api, county)
    monthly = {
        "kind": "recurring", "start_at": "2027-02-01T09:30:00+08:00",
        "rrule": "FREQ=MONTHLY;BYMONTHDAY=1", "late": "skip", "validity_minutes": 77,
        "send_hours": [["09:00", "11:00"], ["14:00", "18:00"]],
    }  # fmt: skip
    path = "/campaigns/" + address.rpartition("/")[2]
    for schedule in (monthly, {"kind": "now"}, monthly | {"rrule": "FREQ=WEEKLY;BYDAY=MO,WE"}):
        assert (await api.patch(path, OPERATOR, {"schedule": schedule})).status == 200
        before = await stored(api, address)
        edit = f"{address}/edit"
        seen = await browser.submit(await browser.get(edit), edit, {"act": "save"})
        assert seen.status == 200, seen.text
        after = await stored(api, address)
        plan = before.keys() - {"moves", "acts", "next_fires", "schedule_notes"}
        assert {name: after[name] for name in plan} == {name: before[name] for name in plan}


async def test_the_planner_shows_when_it_would_fire_before_anything_is_pressed(
    api: Api, county: dict[str, str]
) -> None:
    browser, address = await drafted(api, county)
    seen = await browser.get(f"{address}/edit")
    assert "时间写得不对" not in seen.text
    assert "1月" in seen.text
    assert "时间写得不对" not in (await browser.get("/plans/new")).text


async def test_of_many_fires_five_are_shown_at_once_and_all_are_told(
    api: Api, county: dict[str, str]
) -> None:
    weekly = {"when": "weekly", "schedule.rrule": ["WE"], "schedule.until": "2027-04-15"}
    browser, address = await drafted(api, county, **weekly)
    ahead = (await stored(api, address))["to_come"]["count"]
    assert ahead > 5
    for path in (address, f"{address}/edit"):
        assert f"共 {ahead} 次，最后一次" in (await browser.get(path)).text, path
    edit = (await browser.get(f"{address}/edit")).text
    assert f"列出全部 {ahead} 次" in edit


async def test_every_week_is_a_rule(api: Api, county: dict[str, str]) -> None:
    _, address = await drafted(
        api, county, when="weekly",
        **{"schedule.rrule": ["WE"], "schedule.until": "2027-03-31",
           "schedule.holidays": "next_workday"},
    )  # fmt: skip
    schedule = (await stored(api, address))["schedule"]
    assert schedule["rrule"] == "FREQ=WEEKLY;BYDAY=WE"
    assert schedule["until"].startswith("2027-03-31T23:59")
    assert schedule["holidays"] == "next_workday"


async def test_a_text_of_the_library_becomes_one_of_the_department_once(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    for _ in range(2):
        page = await browser.get("/plans/new")
        named = next(value for value in page.html.split('"') if value.startswith(forms.LIBRARY))
        fields = typed(county, api, template_id=named)
        seen = await browser.submit(page, "/plans/new", fields)
        assert seen.path.endswith("/edit"), seen.text
    names = [t["name"] for t in (await api.get("/templates", OPERATOR)).json["items"]]
    assert len(names) == len(set(names)) == 3, "that of the fixture, and two of the library"


async def test_a_faulty_form_is_shown_again_beside_its_fields(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    seen = await planned(browser, typed(county, api, time="25:99", name="别丢了我"))
    assert seen.status == 422
    assert 'id="e-time"' in seen.html
    assert dict(seen.form("/plans/new").fields)["name"] == "别丢了我"
    assert (await api.get("/campaigns", OPERATOR)).json["items"] == []


async def test_what_somebody_else_changed_is_shown_beside_ones_own(
    api: Api, county: dict[str, str]
) -> None:
    browser, address = await drafted(api, county)
    edit = f"{address}/edit"
    page = await browser.get(edit)
    path = "/campaigns/" + address.rpartition("/")[2]
    assert (await api.patch(path, OPERATOR, {"name": "别人改的"})).status == 200
    seen = await browser.submit(page, edit, {"name": "我改的", "act": "save"})
    assert seen.status == 412, seen.text
    assert "别人改的" in seen.text
    assert "我改的" in seen.text
    assert (await stored(api, address))["name"] == "别人改的", "nothing was overwritten"
    seen = await browser.submit(seen, edit, {"act": "save"})
    assert seen.status == 200, seen.text
    assert (await stored(api, address))["name"] == "我改的"


async def test_of_two_versions_each_field_is_taken_from_one_or_the_other(
    api: Api, county: dict[str, str]
) -> None:
    browser, address = await drafted(api, county)
    edit = f"{address}/edit"
    page = await browser.get(edit)
    path = "/campaigns/" + address.rpartition("/")[2]
    theirs = {"name": "别人改的", "priority": "bulk", "max_tps": 7}
    assert (await api.patch(path, OPERATOR, theirs)).status == 200
    seen = await browser.submit(page, edit, {"name": "我改的", "max_tps": "9", "act": "save"})
    assert seen.status == 412, seen.text
    assert "您打开以后，别人改过它" in seen.text
    ticked = {"_now": ["name", "priority"], "act": "save"}
    seen = await browser.submit(seen, edit, ticked)
    assert seen.status == 200, seen.text
    now = await stored(api, address)
    assert (now["name"], now["priority"], now["max_tps"]) == ("别人改的", "bulk", 9)


async def test_a_draft_is_put_before_an_approver_once(api: Api, county: dict[str, str]) -> None:
    browser = await browser_of(api, "operator")
    page = await browser.get("/plans/new")
    for _ in range(2):
        seen = await browser.submit(page, "/plans/new", typed(county, api, act="submit"))
        assert seen.status == 200, seen.text
    (campaign,) = (await api.get("/campaigns", OPERATOR)).json["items"]
    assert campaign["state"] == "pending_approval"
    assert campaign["baseline"] == PEOPLE
    assert "待签发" in seen.text


async def test_a_refused_submission_keeps_the_draft_and_says_why(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    linked = TEXT.replace("请勿相信", "请点击 http://abc.top/x 查看")
    body = {"name": "有链接", "text": linked, "class": "public_interest"}
    made = (await api.post("/templates", OPERATOR, body)).json
    seen = await planned(browser, typed(county, api, template_id=made["id"], act="submit"))
    assert seen.status == 409, seen.text
    (campaign,) = (await api.get("/campaigns", OPERATOR)).json["items"]
    edit = f"/plans/{campaign['id']}/edit"
    assert campaign["state"] == "draft"
    seen = await browser.submit(seen, edit, {"template_id": county["template_id"], "act": "submit"})
    assert seen.status == 200, seen.text
    (campaign,) = (await api.get("/campaigns", OPERATOR)).json["items"]
    assert campaign["state"] == "pending_approval", "the same draft, and no second one"


async def approved(api: Api, address: str) -> None:
    path = "/campaigns/" + address.rpartition("/")[2]
    for act, who in (("submit", OPERATOR), ("approve", APPROVER)):
        answer = await api.post(f"{path}/{act}", who)
        assert answer.status == 200, answer.body


async def test_a_campaign_is_paused_goes_on_and_is_ended(api: Api, county: dict[str, str]) -> None:
    browser, address = await drafted(api, county)
    await approved(api, address)
    seen = await browser.submit(await browser.get(address), f"{address}/pause")
    assert (await stored(api, address))["state"] == "paused"
    assert "已暂停" in seen.text
    await browser.submit(seen, f"{address}/resume")
    assert (await stored(api, address))["state"] == "scheduled"
    asked = await browser.get(f"{address}/cancel")
    assert (await stored(api, address))["state"] == "scheduled", "asking ends nothing"
    seen = await browser.submit(asked, f"{address}/cancel", {"reason": HOSTILE})
    ended = await stored(api, address)
    assert (ended["state"], ended["moves"][-1]["reason"]) == ("cancelled", HOSTILE)
    assert HOSTILE not in seen.html
    assert f"{address}/pause" not in seen.html


async def test_only_what_one_may_do_is_shown_and_the_rest_is_refused(
    api: Api, county: dict[str, str]
) -> None:
    _, address = await drafted(api, county)
    for role in ("viewer", "inspector"):
        browser = await browser_of(api, role)
        seen = await browser.get(address)
        assert seen.status == 200, seen.text
        assert not [form for form in seen.forms if form.action.startswith("/plans")], role
        assert f"{address}/edit" not in seen.links
        own = await browser.get("/account")
        token = dict(own.form("/logout").fields)
        for act in ("cancel", "pause", "clone", "submit", "edit", "milestones"):
            forced = await browser.post(f"{address}/{act}", MultiDict(token))
            assert forced.status == 403, act
        assert (await browser.get(f"{address}/cancel")).status == 403
    assert (await stored(api, address))["state"] == "draft"


async def test_a_campaign_of_another_department_is_not_there(
    api: Api, county: dict[str, str]
) -> None:
    body = {"name": "学校的", "template_id": "", "segment_id": ""}
    team = api.teams["school"]
    async with transaction(api.runtime.pool) as conn:
        segment = await make_segment(conn, team.operator, now=api.clock.at)
        template = await make_template(conn, team.operator, now=api.clock.at)
    body |= {"template_id": str(template.id), "segment_id": str(segment.id)}
    made = (await api.post("/campaigns", ("school", "operator"), body)).json
    browser = await browser_of(api, "operator")
    for path in ("", "/edit", "/cancel"):
        assert (await browser.get(f"/plans/{made['id']}{path}")).status == 404, path
    assert "学校的" not in (await browser.get("/plans")).text


async def test_a_copy_is_a_draft_of_its_own(api: Api, county: dict[str, str]) -> None:
    browser, address = await drafted(api, county)
    seen = await browser.submit(await browser.get(address), f"{address}/clone")
    assert seen.path != f"{address}/edit"
    copy = await stored(api, seen.path.removesuffix("/edit"))
    assert copy["cloned_from"] == address.rpartition("/")[2]


async def test_a_milestone_is_added_and_reached(api: Api, county: dict[str, str]) -> None:
    browser, address = await drafted(api, county)
    form = f"{address}/milestones"
    page = await browser.get(address)
    seen = await browser.submit(page, form, {"name": "覆盖九成", "due_on": "never"})
    assert seen.status == 422
    assert 'id="e-due_on"' in seen.html
    seen = await browser.submit(seen, form, {"name": "覆盖九成", "due_on": "2027-02-01"})
    assert "覆盖九成" in seen.text, seen.text
    path = "/campaigns/" + address.rpartition("/")[2] + "/milestones"
    (one,) = (await api.get(path, OPERATOR)).json["items"]
    seen = await browser.submit(seen, f"{form}/{one['id']}/done")
    (one,) = (await api.get(path, OPERATOR)).json["items"]
    assert one["done_at"], json.dumps(one)


async def test_the_list_shows_one_state_and_where_to_go_on(
    api: Api, county: dict[str, str]
) -> None:
    browser, address = await drafted(api, county)
    assert address in (await browser.get("/plans?state=draft")).links
    assert address not in (await browser.get("/plans?state=done")).links
    assert f"{address}/edit" in (await browser.get("/plans")).links


async def test_the_calendar_shows_where_two_campaigns_meet(
    api: Api, county: dict[str, str]
) -> None:
    browser, one = await drafted(api, county)
    fields = typed(county, api, name="另一个")
    other = (await planned(browser, fields)).path.removesuffix("/edit")
    for address in (one, other):
        await approved(api, address)
    await count_audiences(api.runtime.pool, api.clock.at)
    day = str(fields["schedule.start_at"])
    seen = await browser.get(f"/plans/calendar?month={day[:7]}&day={day}")
    assert seen.status == 200, seen.text
    assert {one, other} <= set(seen.links)
    assert "⚠" in seen.text
    assert "⚠" not in (await browser.get("/plans/calendar?month=2027-06")).text
    assert (await browser.get("/plans/calendar?month=never&day=%3Cb%3E")).status == 200


async def test_the_month_says_where_a_plan_meets_another_department(
    api: Api, county: dict[str, str]
) -> None:
    """How many people it has in common with it stands on the day; fewer than ten are not told."""
    school, now = api.teams["school"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        for team in (api.teams["county"], school):
            for n in range(100, 112):
                await make_contact(conn, api.runtime.keyring, team.department_id, n, now=now)
    browser, address = await drafted(api, county)
    start = datetime.fromisoformat((await stored(api, address))["schedule"]["start_at"])
    async with transaction(api.runtime.pool) as conn:
        await make_scheduled(conn, school, now=now, schedule=Schedule("once", start))
    await count_audiences(api.runtime.pool, now)
    month = start.astimezone(api.runtime.settings.zone).strftime("%Y-%m")
    seen = await browser.get(f"/plans/calendar?month={month}")
    assert "与其他单位重合约 10 人" in seen.text, seen.text
