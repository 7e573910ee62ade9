"""The calendar of all plans over HTTP: each fire, whom it meets, and what its channels can do."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.accounts.people.model import By
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import Schedule, ScheduleKind
from service.campaigns.core.model import Campaign
from service.campaigns.plans import lifecycle
from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.reports.plan_counts import count_audiences
from service.storage.postgres import transaction
from tests.factories import TEXT, make_contact, make_draft, make_scheduled, make_template
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

OPERATOR, ADMIN, SCHOOL = ("county", "operator"), ("county", "admin"), ("school", "operator")
INSPECTOR = ("county", "inspector")
SHANGHAI = ZoneInfo("Asia/Shanghai")
SPRING = "?from=2027-01-10&to=2027-03-31"
RATE = 1 / 1.02  # of a channel of 1 TPS, which keeps a little below it


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


async def _people(api: Api, department: str, numbers: range) -> None:
    team = api.teams[department]
    async with transaction(api.runtime.pool) as conn:
        for n in numbers:
            await make_contact(conn, api.runtime.keyring, team.department_id, n, now=api.clock.at)


async def _channel(api: Api, **settings: Any) -> int:
    async with transaction(api.runtime.pool) as conn:
        return (await add_channel(conn, api.runtime.keyring, 1, api.clock.at, **settings)).id


async def _plan(api: Api, department: str, start: str, rrule: str | None = None) -> Campaign:
    kind: ScheduleKind = "recurring" if rrule else "once"
    schedule = Schedule(kind, _at(start), rrule=rrule)
    async with transaction(api.runtime.pool) as conn:
        return await make_scheduled(
            conn, api.teams[department], now=api.clock.at, schedule=schedule
        )


async def _count(api: Api) -> int:
    return await count_audiences(api.runtime.pool, api.clock.at)


async def _fires(api: Api, query: str = SPRING, who: tuple[str, str] = OPERATOR) -> list[Any]:
    answer = await api.get("/calendar" + query, who)
    assert answer.status == 200, answer.body
    return list(answer.json["items"])


async def _days(api: Api, query: str = SPRING, who: tuple[str, str] = OPERATOR) -> dict[str, Any]:
    answer = await api.get("/calendar/days" + query, who)
    assert answer.status == 200, answer.body
    return {day["date"]: day for day in answer.json["items"]}


def _instants(fires: list[Any], name: str = "at") -> list[str]:
    shown = (datetime.fromisoformat(fire[name]).astimezone(SHANGHAI) for fire in fires)
    return [f"{at:%m-%d %H:%M}" for at in shown]


async def test_a_weekly_plan_through_the_spring_festival_fire_by_fire(api: Api) -> None:
    await _people(api, "county", range(6))
    channel_id = await _channel(api, tps=1)
    plan = await _plan(api, "county", "2027-01-15T07:30", "FREQ=WEEKLY;BYDAY=FR;UNTIL=20270331")
    uncounted = await _fires(api)
    assert {fire["people"] for fire in uncounted} == {None}
    assert await _count(api) == 1
    found = await _fires(api)
    days = ["01-15", "01-22", "01-29", "02-07", "02-12", "02-19", "02-26"]
    days += ["03-05", "03-12", "03-19", "03-26"]
    assert _instants(found) == [f"{day} 07:30" for day in days]
    assert _instants(found, "sends_from") == [f"{day} 08:00" for day in days]
    eve = found[3]
    assert _instants([eve], "planned_at") == ["02-05 07:30"]
    assert "quiet day" in eve["note"]
    for fire in found:
        assert (fire["state"], fire["people"], fire["campaign_id"]) == (
            "scheduled",
            6,
            str(plan.id),
        )
        assert [(share["channel_id"], share["parts"]) for share in fire["lanes"]] == [
            (channel_id, 6)
        ]
        took = _instant(fire, "finishes_at") - _instant(fire, "sends_from")
        assert abs(took.total_seconds() - 6 / RATE) < 0.1
    # One that moves into the span from before it is there, too.
    assert _instants(await _fires(api, "?from=2027-02-06&to=2027-02-08")) == ["02-07 07:30"]
    # The pages together are the list.
    pages: list[Any] = []
    cursor = ""
    while len(pages) < 20:
        answer = (await api.get(f"/calendar{SPRING}&limit=4{cursor}", OPERATOR)).json
        pages += answer["items"]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert pages == found
    # Nobody else sees it but as a number.
    assert await _fires(api, who=SCHOOL) == []
    assert (await _days(api, who=SCHOOL))["2027-02-07"]["other_fires"] == 1
    assert len(await _fires(api, who=ADMIN)) == len(await _fires(api, who=INSPECTOR)) == 11


def _instant(fire: Any, name: str) -> datetime:
    return datetime.fromisoformat(fire[name])


async def test_texts_in_turn_stand_at_the_fires_that_will_send_them(api: Api) -> None:
    plan = await _plan(api, "county", "2027-01-15T09:00", "FREQ=WEEKLY;BYDAY=FR")
    texts = [TEXT + sign for sign in "ab"]
    async with transaction(api.runtime.pool) as conn:
        user = api.teams["county"].operator
        made = [await make_template(conn, user, now=api.clock.at, text=text) for text in texts]
    more = {"more_texts": [{"template_id": str(template.id)} for template in made]}
    edited = await api.patch(f"/campaigns/{plan.id}", OPERATOR, more)
    assert edited.status == 200, edited.body
    for act, who in (("submit", OPERATOR), ("approve", ("county", "approver"))):
        assert (await api.post(f"/campaigns/{plan.id}/{act}", who)).status == 200
    api.clock.at = _at("2027-01-15T09:00")
    assert len(await fire_due(api.runtime.pool, api.clock.at)) == 1
    ends = [fire["text"][-1] for fire in await _fires(api)]
    assert ends == list(("。ab" * 4)[:11])
    late = [fire["text"][-1] for fire in await _fires(api, "?from=2027-02-06&to=2027-02-28")]
    assert late == ends[3:7]


async def test_what_has_fired_says_what_became_of_it(api: Api) -> None:
    await _people(api, "county", range(3))
    channel_id = await _channel(api, tps=1)
    plan = await _plan(api, "county", "2027-01-13T09:00", "FREQ=DAILY;COUNT=3")
    api.clock.at = _at("2027-01-13T09:00")
    (run,) = await fire_due(api.runtime.pool, api.clock.at)
    assert await expand_run(api.runtime.pool, run, api.clock.at) is not None
    await _count(api)
    found = await _fires(api)
    assert [(fire["state"], fire["run_id"]) for fire in found] == [
        ("running", str(run)),
        ("scheduled", None),
        ("scheduled", None),
    ]
    assert found[0]["people"] == 3
    assert found[0]["lanes"][0]["channel_id"] == channel_id
    # What waits now is foretold by the channel's queue.
    took = _instant(found[0], "finishes_at") - api.clock.at
    assert abs(took.total_seconds() - 3 / RATE) < 0.1
    api.clock.at = _at("2027-01-16T12:00")
    await fire_due(api.runtime.pool, api.clock.at)
    found = await _fires(api)
    assert [fire["state"] for fire in found] == ["running", "skipped", "expanding"]
    assert "a later fire took its place" in found[1]["note"]
    async with transaction(api.runtime.pool) as conn:
        by = By(api.teams["county"].operator.id, "stop", api.clock.at)
        await lifecycle.cancel(conn, api.teams["county"].operator, plan.id, by)
    assert [fire["state"] for fire in await _fires(api)] == ["cancelled", "skipped", "cancelled"]


async def test_plans_of_a_day_that_meet_the_same_people_or_the_same_hour(api: Api) -> None:
    await _people(api, "county", range(30))
    channel_id = await _channel(api, tps=1)
    first = await _plan(api, "county", "2027-01-20T09:00")
    same_hour = await _plan(api, "county", "2027-01-20T09:45")
    same_day = await _plan(api, "county", "2027-01-20T15:00")
    await _plan(api, "county", "2027-01-21T09:00")
    await _count(api)
    found = {fire["campaign_id"]: fire for fire in await _fires(api)}
    met = found[str(first.id)]["overlaps"]
    assert [(o["campaign_id"], o["people"], o["same_hour"]) for o in met] == [
        (str(same_hour.id), 30, [channel_id]),
        (str(same_day.id), 30, []),
    ]
    assert found[str(first.id)]["other_departments"] == {"plans": 0, "people": 0}


@pytest.mark.parametrize(
    ("theirs", "at", "told"),
    [
        (range(18, 60), "2027-01-20T15:00", {"plans": 1, "people": 10}),  # 12 in both
        (range(21, 60), "2027-01-20T15:00", {"plans": 0, "people": 0}),  # 9 in both
        (range(21, 60), "2027-01-20T09:30", {"plans": 1, "people": 0}),  # the same hour
        (range(21, 60), "2027-01-21T09:00", {"plans": 0, "people": 0}),
    ],
)
async def test_other_departments_plans_are_counts_and_tell_of_nobody(
    api: Api, theirs: range, at: str, told: dict[str, int]
) -> None:
    await _people(api, "county", range(30))
    await _people(api, "school", theirs)
    await _channel(api, tps=1)
    ours = await _plan(api, "county", "2027-01-20T09:00")
    other = await _plan(api, "school", at)
    await _count(api)
    answer = await api.get("/calendar" + SPRING, OPERATOR)
    (fire,) = answer.json["items"]
    assert (fire["overlaps"], fire["other_departments"]) == ([], told)
    day = (await api.get("/calendar/days" + SPRING, OPERATOR)).json
    for secret in (other.id, other.plan.template_id, other.department_id):
        assert str(secret).encode() not in answer.body
        assert str(secret) not in str(day)
    known = next(item for item in day["items"] if item["date"] == at[:10])
    assert (known["other_fires"], known["other_people"]) == (1, len(theirs) // 10 * 10)
    # The county's administrator may know.
    shown = {fire["campaign_id"]: fire for fire in await _fires(api, who=ADMIN)}
    assert str(other.id) in shown
    both = len(set(range(30)) & set(theirs))
    if at.startswith("2027-01-20"):
        assert [o["people"] for o in shown[str(ours.id)]["overlaps"]] == [both]


async def test_a_channel_that_has_more_to_do_than_fits_a_day(api: Api) -> None:
    await _people(api, "county", range(12))
    await _people(api, "school", range(100, 112))
    channel_id = await _channel(api, tps=1, daily_quota=20)
    plan = await _plan(api, "county", "2027-01-20T09:00")
    await _count(api)
    day = (await _days(api))["2027-01-20"]
    assert [(share["parts"], share["capacity"], share["exceeded"]) for share in day["lanes"]] == [
        (12, 20, False)
    ]
    await _plan(api, "school", "2027-01-20T09:00")
    await _count(api)
    day = (await _days(api))["2027-01-20"]
    assert [(share["channel_id"], share["parts"], share["exceeded"]) for share in day["lanes"]] == [
        (channel_id, 24, True)
    ]
    assert (day["fires"], day["people"], day["other_fires"], day["other_people"]) == (1, 12, 1, 10)
    # Half of it leaves on the next day, when the hours open.
    (fire,) = [f for f in await _fires(api) if f["campaign_id"] == str(plan.id)]
    assert _instants([fire], "finishes_at") == ["01-21 08:00"]
    # Without a quota, it is the hours that bound it: from 09:00 to 20:00.
    await api.runtime.pool.execute("UPDATE channels SET daily_quota = NULL")
    day = (await _days(api))["2027-01-20"]
    assert day["lanes"][0]["capacity"] == int(RATE * 11 * 3_600)


async def test_drafts_are_their_departments_alone(api: Api) -> None:
    schedule = Schedule("once", _at("2027-01-20T09:00"))
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(
            conn, api.teams["school"].operator, now=api.clock.at, schedule=schedule
        )
    assert [fire["state"] for fire in await _fires(api, who=SCHOOL)] == ["draft"]
    assert (await _days(api))["2027-01-20"]["other_fires"] == 0
    async with transaction(api.runtime.pool) as conn:
        await approval.submit(conn, api.teams["school"].operator, draft.id, api.clock.at)
    assert [fire["state"] for fire in await _fires(api, who=SCHOOL)] == ["pending_approval"]
    assert (await _days(api))["2027-01-20"]["other_fires"] == 1
    async with transaction(api.runtime.pool) as conn:
        by = By(None, "wrong", api.clock.at)
        await lifecycle.cancel(conn, api.teams["school"].operator, draft.id, by)
    assert await _fires(api, who=SCHOOL) == []


async def test_nothing_is_shown_outside_of_a_plans_period(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(
            conn,
            api.teams["county"].operator,
            now=api.clock.at,
            schedule=Schedule("recurring", _at("2027-01-13T09:00"), rrule="FREQ=DAILY"),
        )
    period = {"start": "2027-01-20T00:00:00+08:00", "end": "2027-01-23T00:00:00+08:00"}
    edited = await api.patch(f"/campaigns/{draft.id}", OPERATOR, {"period": period})
    assert edited.status == 200, edited.body
    assert _instants(await _fires(api)) == ["01-20 09:00", "01-21 09:00", "01-22 09:00"]


async def test_an_audience_is_counted_anew_each_day_and_for_a_new_rule(api: Api) -> None:
    await _people(api, "county", range(3))
    plan = await _plan(api, "county", "2027-01-20T09:00")
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(
            conn,
            api.teams["county"].operator,
            now=api.clock.at,
            schedule=Schedule("once", _at("2027-01-21T09:00")),
        )
    assert (await _count(api), await _count(api)) == (2, 0)
    await _people(api, "county", range(3, 5))
    assert {fire["people"] for fire in await _fires(api)} == {3}
    rule = {"rule": "carrier = unicom"}
    segment = f"/segments/{draft.plan.segment_id}"
    assert (await api.patch(segment, OPERATOR, rule)).status == 200
    assert await _count(api) == 1
    by_plan = {fire["campaign_id"]: fire["people"] for fire in await _fires(api)}
    assert by_plan == {str(plan.id): 3, str(draft.id): 0}
    api.clock.at += timedelta(days=1, seconds=1)
    assert await _count(api) == 2
    by_plan = {fire["campaign_id"]: fire["people"] for fire in await _fires(api)}
    assert by_plan == {str(plan.id): 5, str(draft.id): 0}
    # A rule that cannot be read any more is not counted, and stops no other count.
    await api.runtime.pool.execute(
        "UPDATE segments SET rule = $2 WHERE id = $1", draft.plan.segment_id, "area = 没有这个镇"
    )
    assert (await _count(api), await _count(api)) == (1, 0)
    assert [fire["people"] for fire in await _fires(api)] == [5, None]


async def test_milestones_stand_on_their_day(api: Api) -> None:
    plan = await _plan(api, "county", "2027-01-20T09:00")
    body = {"name": "第一轮入户", "due_on": "2027-01-31"}
    made = await api.post(f"/campaigns/{plan.id}/milestones", OPERATOR, body)
    assert made.status == 201, made.body
    (milestone,) = (await _days(api))["2027-01-31"]["milestones"]
    assert (milestone["name"], milestone["campaign"], milestone["late"]) == (
        "第一轮入户",
        plan.plan.name,
        False,
    )
    assert (await _days(api, who=SCHOOL))["2027-01-31"]["milestones"] == []
    api.clock.at = _at("2027-02-01T00:00")
    assert (await _days(api))["2027-01-31"]["milestones"][0]["late"]


async def test_days_say_what_they_are_and_what_is_not_official(api: Api) -> None:
    answer = (await api.get("/calendar/days" + SPRING, OPERATOR)).json
    assert (answer["official_until"], len(answer["items"])) == ("2026-12-31", 81)
    assert "No notice of 2027 is known" in answer["warning"]
    eve = next(day for day in answer["items"] if day["date"] == "2027-02-05")
    assert (eve["kind"], eve["name"], eve["official"]) == ("holiday", "春节", False)
    assert eve["quiet"] == ["除夕", "除夕夜"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?from=2027-01-01", 200),
        ("?to=2027-01-31", 200),
        ("?from=2027-01-01&to=2027-04-10", 200),
        ("?from=2027-01-01&to=2027-04-11", 422),
        ("?from=2027-01-02&to=2027-01-01", 422),
        ("?from=yesterday", 422),
        ("?from=9999-12-31", 422),
        ("?first=2027-01-01", 422),
    ],
)
async def test_a_span_is_bounded(api: Api, query: str, status: int) -> None:
    for path in ("/calendar", "/calendar/days"):
        answer = await api.get(path + query, OPERATOR)
        assert answer.status == status, answer.body
    if status == 200:
        days = [day["date"] for day in answer.json["items"]]
        assert days[0] <= days[-1]
        assert len(days) in {31, 100}


@pytest.mark.parametrize("cursor", ["x", "MjAyNw==", "MjAyNy0wMS0wMVQwMDowMDowMCBhYmM="])
async def test_a_cursor_that_no_page_gave_is_refused(api: Api, cursor: str) -> None:
    refused = await api.get(f"/calendar?cursor={cursor}", OPERATOR)
    assert (refused.status, "cursor" in refused.json["fields"]) == (422, True)
