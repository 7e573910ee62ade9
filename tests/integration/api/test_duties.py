"""Obligations and duties: made, told of, handed in, late, returned, accepted, excused, missed."""

import asyncio
import hashlib
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.clock import CHINA
from service.duties import step_store
from service.duties.duties import Handing, submit
from service.reports.coverage.counting import count_coverage
from service.storage.locks import try_lock_owing
from service.storage.postgres import CheckViolation, transaction
from tests.harness.owed import (
    COUNTY,
    FRIDAY,
    SCHOOL,
    choose_texts,
    duties,
    made_duty,
    name_people,
    set_obligation,
    steps,
    texts,
    turn,
)
from tests.harness.sending import begin_sending
from tests.harness.waiting import until_blocked
from tests.integration.api.conftest import Answer, Api

WEEK, MINUTE, HOUR = timedelta(weeks=1), timedelta(minutes=1), timedelta(hours=1)
ROUNDS = 8
REPORT = {"narrative": "发送短信一批，集市宣讲两场。"}
ADMIN, APPROVER, VIEWER = ("county", "admin"), ("county", "approver"), ("county", "viewer")


@pytest.fixture
async def told(api: Api) -> Api:
    """A county that has chosen its texts, and people to be told."""
    await name_people(api)
    await choose_texts(api)
    return api


def code(answer: Answer) -> str:
    """Of a refusal."""
    return str(answer.json["type"]).removeprefix("/problems/")


async def hand_in(api: Api, duty: Any, who: tuple[str, str] = SCHOOL) -> Answer:
    return await api.post(f"/duties/{duty}/submit", who, REPORT)


async def test_one_duty_a_department_and_period_is_made_when_the_period_begins(api: Api) -> None:
    kinds = ["school", "county"]
    obligation = await set_obligation(api, departments=[], kinds=kinds)
    assert (await turn(api)).made == 2
    assert (await turn(api)).made == 0, "the same turn again"
    api.clock.at = datetime(2027, 1, 17, 23, 59, tzinfo=CHINA)
    assert (await turn(api)).made == 0
    api.clock.at += MINUTE
    assert (await turn(api)).made == 2
    found = await duties(api, ADMIN)
    assert sorted({one["period"] for one in found}) == ["2027-W02", "2027-W03"]
    assert {one["due_at"] for one in found} == {
        "2027-01-15T16:00:00+08:00",
        "2027-01-22T16:00:00+08:00",
    }
    of_week = await duties(api, ADMIN, f"?obligation={obligation}&period=2027-W03")
    assert len(of_week) == 2
    assert len(await duties(api, ADMIN, "?state=open")) == 4
    assert len(await duties(api, SCHOOL)) == 2, "a unit sees its own"
    assert len(await duties(api, COUNTY)) == 4, "whoever asks sees all of them"


async def test_a_period_whose_deadline_was_over_when_it_was_set_is_not_owed(api: Api) -> None:
    api.clock.at = FRIDAY + HOUR
    await set_obligation(api)
    assert (await turn(api)).made == 0
    assert (await turn(api, FRIDAY + timedelta(days=3))).made == 1


async def test_an_obligation_that_is_over_makes_no_more_and_leaves_what_there_is(api: Api) -> None:
    obligation = await set_obligation(api)
    bounded = await set_obligation(api, until="2027-01-17", title="到周日为止")
    assert (await turn(api)).made == 2
    answer = await api.post(f"/obligations/{obligation}/end", COUNTY)
    assert answer.status == 200, answer.body
    assert answer.json["next_due_at"] is None
    assert (await turn(api, FRIDAY + WEEK)).made == 0
    document = (await api.get("/openapi.json", None)).json["paths"]
    for again, path in (
        (await api.post(f"/obligations/{obligation}/end", COUNTY), "/end"),
        (await api.patch(f"/obligations/{obligation}", COUNTY, {"title": "周报丙"}), ""),
    ):
        assert (again.status, code(again)) == (409, "obligation_over")
        operation = document[f"/api/v1/obligations/{{obligation_id}}{path}"]
        assert "409" in operation["post" if path else "patch"]["responses"]
    longer = await api.patch(f"/obligations/{bounded}", COUNTY, {"until": None, "title": "周报乙"})
    assert (longer.status, longer.json["title"]) == (200, "周报乙")
    assert (await turn(api)).made == 0, "this week's deadline goes on"
    assert (await turn(api, FRIDAY + 2 * WEEK)).made >= 1
    assert len(await duties(api, ADMIN, f"?obligation={obligation}")) == 1


async def test_every_step_of_the_ladder_once_to_whom_it_is_for(told: Api) -> None:
    duty = str(await made_duty(told))
    for moment, after in (
        (FRIDAY - timedelta(days=1), ["101"]),
        (FRIDAY - 2 * HOUR, ["101"]),
        (FRIDAY + MINUTE, ["101"]),
        (FRIDAY + HOUR, ["102"]),
        (FRIDAY + timedelta(days=2, hours=17), ["103"]),
    ):
        before = len(await texts(told))
        await turn(told, moment - MINUTE)
        assert len(await texts(told)) == before, f"not yet at {moment}"
        await turn(told, moment)
        await turn(told, moment)
        assert [number for number, _ in (await texts(told))[before:]] == after, moment
    assert await steps(told, duty) == dict.fromkeys(
        ["workday_before", "two_hours_before", "late", "leader", "office"], "told"
    )
    filled = await told.runtime.pool.fetch("SELECT variables_cipher FROM messages ORDER BY run_id")
    values = told.runtime.keyring.decrypt("variables", filled[0]["variables_cipher"])
    assert '"日期": "1月15日"' in values


async def test_a_changed_ladder_is_that_of_open_duties_too(told: Api) -> None:
    obligation = await set_obligation(told, remind=[], ladder=["office"])
    await turn(told)
    change = {"remind": ["-2h"], "ladder": []}
    assert (await told.patch(f"/obligations/{obligation}", COUNTY, change)).status == 200
    await turn(told)
    await turn(told, FRIDAY - 2 * HOUR)
    assert [number for number, _ in await texts(told)] == ["101"]
    await turn(told, FRIDAY + timedelta(days=3))
    assert len(await texts(told)) == 1


async def test_two_schedulers_and_an_outage_over_the_deadline_tell_once(told: Api) -> None:
    duty = str(await made_duty(told))
    told.clock.at = FRIDAY + HOUR + MINUTE
    await asyncio.gather(*(turn(told) for _ in range(4)))
    assert await steps(told, duty) == {
        "workday_before": "overtaken",
        "two_hours_before": "overtaken",
        "late": "told",
        "leader": "told",
    }
    assert [number for number, _ in await texts(told)] == ["101", "102"]
    with pytest.raises(Exception, match="duty_steps_pkey"):
        await told.runtime.pool.execute(
            "INSERT INTO duty_steps (duty_id, step, planned_at, taken_at, skipped, settled_at)"
            " SELECT id, 'late', now(), now(), 'nobody', now() FROM duties"
        )


async def test_one_text_a_person_for_all_duties(told: Api) -> None:
    for title in ("周报", "台账", "图片"):
        await set_obligation(told, title=title)
    await turn(told, FRIDAY - 2 * HOUR)
    assert [number for number, _ in await texts(told)] == ["101"]
    row = await told.runtime.pool.fetchval("SELECT variables_cipher FROM messages")
    values = told.runtime.keyring.decrypt("variables", row)
    assert "等3项" in values
    rows = await told.runtime.pool.fetchval("SELECT count(*) FROM duty_steps WHERE no = 1")
    assert rows == 6, "two steps of each"


async def test_what_is_handed_in_calls_back_what_is_queued_of_it(told: Api) -> None:
    first = await made_duty(told)
    second = await made_duty(told, title="台账")
    await turn(told, FRIDAY - 2 * HOUR)
    assert await texts(told) == [("101", "queued")]
    assert (await hand_in(told, first)).status == 200
    assert await texts(told) == [("101", "cancelled")]
    await turn(told)
    assert [state for _, state in await texts(told)] == ["cancelled", "queued"], "of the other one"
    assert set((await steps(told, str(first))).values()) == {"handed_in"}
    assert set((await steps(told, str(second))).values()) == {"told"}
    assert (await hand_in(told, second)).status == 200
    await turn(told, FRIDAY + HOUR)
    assert [state for _, state in await texts(told)] == ["cancelled", "cancelled"]


async def test_telling_waits_for_whoever_is_handing_in(told: Api) -> None:
    duty = await made_duty(told)
    async with transaction(told.runtime.pool) as conn:
        assert await try_lock_owing(conn)
        await turn(told, FRIDAY - 2 * HOUR)
    assert set((await steps(told, str(duty))).values()) == {"untold"}, "somebody else tells"
    async with transaction(told.runtime.pool) as conn:
        operator, now = told.teams["school"].operator, told.clock.at
        await submit(conn, operator, duty, Handing("集市宣讲。"), now)
        telling = asyncio.create_task(turn(told))
        await until_blocked(told.runtime.pool, telling)
    await telling
    assert await texts(told) == []
    assert set((await steps(told, str(duty))).values()) == {"handed_in"}


async def test_whoever_hands_in_waits_for_the_telling_and_calls_it_back(
    told: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = await made_duty(told)
    settle_told = step_store.settle_told
    handing: list[asyncio.Task[Answer]] = []

    async def settled(*args: Any) -> int:
        count = await settle_told(*args)
        handing.append(asyncio.create_task(hand_in(told, duty)))
        await until_blocked(told.runtime.pool, *handing)
        return count

    monkeypatch.setattr(step_store, "settle_told", settled)
    await turn(told, FRIDAY - 2 * HOUR)
    assert [(await one).status for one in handing] == [200]
    assert await texts(told) == [("101", "cancelled")]


async def test_whoever_hands_in_while_people_are_told_is_not_told(told: Api) -> None:
    made = partial(made_duty, told, remind=["-2h"])
    handed = [await made(title=f"第{n}项") for n in range(ROUNDS)]
    told.clock.at = FRIDAY - 2 * HOUR
    for duty in handed:
        answer, _ = await asyncio.gather(hand_in(told, duty), turn(told))
        assert answer.status == 200, answer.body
    queued = await told.runtime.pool.fetchval(
        "SELECT count(*) FROM messages m WHERE m.state = 'queued' AND NOT EXISTS (SELECT FROM"
        " duty_steps s JOIN duties d ON d.id = s.duty_id WHERE s.run_id = m.run_id AND s.no = m.no"
        " AND d.state = 'open')"
    )
    assert queued == 0, "no text is queued of what is in"
    assert {one["state"] for one in await duties(told, SCHOOL)} == {"submitted"}


async def test_a_text_that_has_left_is_not_called_back(told: Api) -> None:
    duty = await made_duty(told)
    await turn(told, FRIDAY - 2 * HOUR)
    await told.runtime.pool.execute("UPDATE messages SET state = 'submitted', part_count = 1")
    assert (await hand_in(told, duty)).status == 200
    assert await texts(told) == [("101", "submitted")]
    assert set((await steps(told, str(duty))).values()) == {"told"}


async def test_nobody_and_no_text_are_said_and_a_unit_without_people_stands_first(
    api: Api,
) -> None:
    duty = str(await made_duty(api))
    await turn(api, FRIDAY - 2 * HOUR)
    assert set((await steps(api, duty)).values()) == {"nobody"}
    late = await api.get("/duties/late", COUNTY)
    assert late.json["items"] == []
    (first,) = late.json["without_people"]
    assert first["missing"] == ["liaison", "leader"]
    await name_people(api)
    await turn(api, FRIDAY + MINUTE)
    assert (await steps(api, duty))["late"] == "no_text"
    late = await api.get("/duties/late", COUNTY)
    assert (late.json["without_people"], len(late.json["items"])) == ([], 1)
    assert late.json["items"][0]["overdue_minutes"] == 1


async def test_late_is_counted_in_minutes_for_good(api: Api) -> None:
    duty = await made_duty(api)
    api.clock.at = FRIDAY + timedelta(minutes=2, seconds=1)
    handed = await hand_in(api, duty)
    assert (handed.json["state"], handed.json["late_minutes"]) == ("submitted", 3)
    back = {"reason": "缺图", "due_at": "2027-01-18T12:00:00+08:00"}
    returned = await api.post(f"/duties/{duty}/return", COUNTY, back)
    assert returned.status == 200, returned.body
    assert (returned.json["state"], returned.json["owed_at"]) == ("returned", back["due_at"])
    assert (await api.get("/duties/late", COUNTY)).json["items"] == []
    api.clock.at = FRIDAY + 4 * timedelta(days=1)
    assert len((await api.get("/duties/late", COUNTY)).json["items"]) == 1
    again = await hand_in(api, duty)
    assert (again.json["late_minutes"], len(again.json["reports"])) == (3, 2)
    for change in ("due_at = due_at + interval '1 day'", "submitted_at = due_at"):
        with pytest.raises(CheckViolation, match="does not change any more"):
            await api.runtime.pool.execute(f"UPDATE duties SET {change}")
    with pytest.raises(CheckViolation, match="does not change"):
        await api.runtime.pool.execute("UPDATE duty_reports SET narrative = ''")
    with pytest.raises(CheckViolation, match="does not change"):
        await api.runtime.pool.execute("DELETE FROM duty_reports")


async def test_in_time_is_zero_minutes(api: Api) -> None:
    duty = await made_duty(api)
    api.clock.at = FRIDAY
    assert (await hand_in(api, duty)).json["late_minutes"] == 0


async def test_figures_are_frozen_with_their_hash_and_what_comes_later_stands_beside(
    api: Api,
) -> None:
    sending = await begin_sending(api, team="school")
    await sending.become("delivered", range(1, 6))
    duty = await made_duty(api)
    handed = await hand_in(api, duty)
    assert handed.status == 200, handed.body
    (report,) = handed.json["reports"]
    (campaign,) = report["figures"]["sections"]["campaigns"]
    assert (campaign["run"], campaign["target"]) == (str(sending.run), 20)
    assert (campaign["reached"], campaign["counted_at"]) == (None, None), "not counted yet"
    assert hashlib.sha256(report["canonical"].encode()).hexdigest() == report["sha256"]
    api.clock.at += HOUR
    await count_coverage(api.runtime.pool, api.clock)
    now = await api.get(f"/duties/{duty}/figures", SCHOOL)
    assert now.json["sections"]["campaigns"][0]["reached"] == 5
    again = await api.get(f"/duties/{duty}", SCHOOL)
    assert again.json["reports"] == [report]


async def test_a_second_person_accepts(api: Api) -> None:
    duty = await made_duty(api, team="county")
    handed = await api.post(f"/duties/{duty}/submit", COUNTY, REPORT)
    assert handed.status == 200, handed.body
    own = await api.post(f"/duties/{duty}/accept", COUNTY, {})
    assert (own.status, code(own)) == (403, "second_person_needed")
    with pytest.raises(CheckViolation, match="counts as the first"):
        await api.runtime.pool.execute(
            "UPDATE duties SET state = 'accepted', decided_at = now(), decided_by = $1",
            api.teams["county"].operator.id,
        )
    other = await api.post(f"/duties/{duty}/accept", ADMIN, {"note": "好"})
    assert (other.status, other.json["state"]) == (200, "accepted")
    back = {"reason": "缺图", "due_at": "2027-01-18T12:00:00+08:00"}
    assert (await api.post(f"/duties/{duty}/return", ADMIN, back)).status == 200
    own = await api.post(f"/duties/{duty}/excuse", COUNTY, {"reason": "r"})
    assert (own.status, code(own)) == (403, "second_person_needed")


async def test_what_is_not_in_when_the_next_one_is_due_is_missed_and_two_are_told(
    told: Api,
) -> None:
    await made_duty(told)
    missed = FRIDAY + WEEK
    await turn(told, missed - MINUTE)
    assert [one["state"] for one in await duties(told)] == ["open", "open"]
    await turn(told, missed)
    assert [one["state"] for one in await duties(told)] == ["open", "missed"]
    (old,) = await duties(told, COUNTY, "?state=missed")
    refused = await hand_in(told, old["id"])
    assert (refused.status, code(refused)) == (409, "duty_missed")
    assert "missed_leader" not in await steps(told, old["id"])
    await turn(told, missed + WEEK)
    second = next(one for one in await duties(told) if one["period"] == "2027-W03")
    found = await steps(told, second["id"])
    assert (found["missed_leader"], found["missed_above"]) == ("told", "told")
    assert {"102", "104"} <= {number for number, _ in await texts(told)}
    excused = await api_excuse(told, old["id"])
    assert excused.json["state"] == "excused"


async def api_excuse(api: Api, duty: str) -> Answer:
    answer = await api.post(f"/duties/{duty}/excuse", COUNTY, {"reason": "停电"})
    assert answer.status == 200, answer.body
    return answer


async def test_two_periods_that_a_standstill_has_passed_are_both_missed(told: Api) -> None:
    await made_duty(told)
    await turn(told, FRIDAY + 3 * WEEK)
    states = {one["period"]: one["state"] for one in await duties(told)}
    assert states == {
        "2027-W02": "missed",
        "2027-W03": "missed",
        "2027-W04": "missed",
        "2027-W05": "open",
    }
    third = next(one for one in await duties(told) if one["period"] == "2027-W04")
    assert (await steps(told, third["id"]))["missed_leader"] == "told"
    first = next(one for one in await duties(told) if one["period"] == "2027-W02")
    assert "missed_leader" not in await steps(told, first["id"])


async def test_a_later_notice_moves_open_duties_and_says_so(api: Api) -> None:
    duty = await made_duty(api)
    done = await made_duty(api, title="台账")
    assert (await hand_in(api, done)).status == 200
    notice = {
        "year": 2027,
        "source": "国办发明电〔2026〕9号",
        "holidays": {"2027-01-15": "某节", "2027-01-22": "某节"},
        "workdays": [],
    }
    body = {"notices": [notice], "reason": "新通知"}
    answer = await api.call("PUT", "/holidays", ADMIN, json=body)
    assert answer.status == 200, answer.body
    assert (await turn(api)).moved == 1
    found = (await api.get(f"/duties/{duty}", COUNTY)).json
    assert found["due_at"] == "2027-01-14T16:00:00+08:00"
    assert found["moved_from"] == "2027-01-15T16:00:00+08:00"
    assert found["official"]
    settled = (await api.get(f"/duties/{done}", COUNTY)).json
    assert (settled["due_at"], settled["moved_from"]) == ("2027-01-15T16:00:00+08:00", None)
    assert (await turn(api)).moved == 0
    # Nobody is late by a notice: a deadline does not go where it is over.
    api.clock.at = datetime(2027, 1, 22, 9, tzinfo=CHINA)
    await turn(api)
    notice["holidays"] = {"2027-01-21": "某节", "2027-01-22": "某节", "2027-01-20": "某节"}
    answer = await api.call("PUT", "/holidays", ADMIN, json=body)
    await turn(api)
    new = next(one for one in await duties(api, SCHOOL) if one["period"] == "2027-W03")
    assert new["due_at"] == "2027-01-21T16:00:00+08:00"


async def test_what_a_unit_has_sent_ticks_its_duty(api: Api) -> None:
    sending = await begin_sending(api, team="school")
    needs = {"class": "public_interest", "target": 20}
    duty = await made_duty(api, kind="send", title="发一批", needs=needs)
    much = await made_duty(api, kind="send", title="发很多", needs={"target": 21})
    other = await made_duty(api, kind="send", title="服务类", needs={"class": "service"})
    refused = await hand_in(api, duty)
    assert (refused.status, code(refused)) == (409, "ticked_by_facts")
    assert (await turn(api)).ticked == 0, "it is not settled"
    settled = api.clock.at + HOUR
    await api.runtime.pool.execute(
        "UPDATE runs SET state = 'sent', settled_at = $1, finished_at = $1", settled
    )
    assert (await turn(api)).ticked == 0
    api.clock.at = settled + HOUR
    assert (await turn(api)).ticked == 1
    found = (await api.get(f"/duties/{duty}", SCHOOL)).json
    assert (found["state"], found["evidence_run_id"]) == ("submitted", str(sending.run))
    assert datetime.fromisoformat(found["submitted_at"]) == settled
    for one in (much, other):
        assert (await api.get(f"/duties/{one}", SCHOOL)).json["state"] == "open"


async def test_a_household_round_that_is_closed_ticks_a_duty(api: Api) -> None:
    duty = await made_duty(api, kind="visits", title="入户")
    refused = await hand_in(api, duty)
    assert (refused.status, code(refused)) == (409, "ticked_by_facts")
    school = api.teams["school"]
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        made = await conn.fetchval(
            "INSERT INTO visit_rounds (department_id, name, area_code, starts_on, due_on,"
            " with_towns, started_by, started_at) VALUES ($1, '入户', '341825100000', $3, $3,"
            " false, $2, $4) RETURNING id",
            school.department_id,
            school.operator.id,
            FRIDAY.date(),
            api.clock.at,
        )
    assert (await turn(api)).ticked == 0, "it is open"
    closed = api.clock.at + HOUR
    await api.runtime.pool.execute(
        "UPDATE visit_rounds SET state = 'closed', ended_at = $1", closed
    )
    assert (await turn(api)).ticked == 0, "not yet"
    assert (await turn(api, closed + MINUTE)).ticked == 1
    found = (await api.get(f"/duties/{duty}", SCHOOL)).json
    assert (found["state"], found["evidence_round_id"]) == ("submitted", str(made))
    assert datetime.fromisoformat(found["submitted_at"]) == closed


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"kind": "visits", "needs": {"narrative": True}}, "needs.narrative"),
        ({"kind": "relay", "needs": {"target": 3}}, "needs.target"),
        ({"kind": "roster"}, "needs.roster"),
        ({"kind": "roster", "needs": {"roster": "名册", "class": "service"}}, "needs.class"),
        ({"kind": "send", "needs": {"roster": "名册"}}, "needs.roster"),
        ({"kind": "choir"}, "kind"),
        ({"departments": []}, "departments"),
        ({"departments": ["01a00000-0000-7000-8000-000000000000"]}, "departments"),
        ({"departments": [], "kinds": ["ministry"]}, "kinds"),
        ({"due": {"day": 3, "time": "16:00"}}, "due"),
        ({"due": {"weekday": "FR", "time": "24:30"}}, "due.time"),
        ({"from": "2027-01-11"}, "from"),
        ({"until": "2027-01-11"}, "until"),
        ({"needs": {"target": 3}}, "needs.target"),
        ({"kind": "send", "needs": {"role": "king"}}, "needs.role"),
        ({"kind": "send", "needs": {"area": "999999999999"}}, "needs.area"),
        ({"period": "once", "due": {"on": "2027-01-12", "time": "09:00"}}, "due"),
    ],
)
async def test_what_cannot_be_owed_is_refused(api: Api, more: dict[str, Any], field: str) -> None:
    body = {
        "departments": [str(api.teams["school"].department_id)],
        "kind": "weekly_report",
        "title": "周报",
        "period": "week",
        "due": {"weekday": "FR", "time": "16:00"},
    }
    answer = await api.post("/obligations", COUNTY, body | more)
    assert answer.status == 422, answer.body
    assert list(answer.json["fields"]) == [field]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM obligations") == 0


async def test_a_bureau_asks_those_below_it_alone(api: Api) -> None:
    county = str(api.teams["county"].department_id)
    school = api.teams["school"].department_id
    outside = await api.post(
        "/obligations",
        SCHOOL,
        {
            "departments": [county],
            "kind": "custom",
            "title": "表",
            "period": "month",
            "due": {"day": 27, "time": "17:00"},
        },
    )
    assert outside.status == 403
    await api.runtime.pool.execute(
        "UPDATE departments SET parent_id = $1 WHERE id = $2",
        school,
        api.teams["county"].department_id,
    )
    await set_obligation(api, SCHOOL, departments=[], kinds=["county", "school"])
    assert (await turn(api)).made == 1, "itself it does not ask"


async def test_strangers_see_nothing_and_readers_do_nothing(api: Api) -> None:
    duty = await made_duty(api, team="county")
    assert (await api.get(f"/duties/{duty}", SCHOOL)).status == 404
    assert (await hand_in(api, duty, SCHOOL)).status == 404
    found = await api.get(f"/duties/{duty}", VIEWER)
    assert (found.json["may_hand_in"], found.json["may_decide"]) == (False, False)
    assert (await hand_in(api, duty, VIEWER)).status == 403
    school = await made_duty(api)
    assert (await hand_in(api, school, ADMIN)).status == 403, "a unit hands in its own"
    assert (await api.post(f"/duties/{school}/accept", SCHOOL, {})).status == 403
    early = await api.post(f"/duties/{school}/accept", COUNTY, {})
    assert (early.status, code(early)) == (409, "wrong_state")


async def test_words_that_are_asked_for_and_no_persons_numbers(api: Api) -> None:
    duty = await made_duty(api, needs={"narrative": True})
    for narrative in ("", " ", "联系人 19790000001", "340000197001010000"):
        body = {"narrative": narrative}
        answer = await api.post(f"/duties/{duty}/submit", SCHOOL, body)
        assert answer.status == 422, narrative
        assert list(answer.json["fields"]) == ["narrative"]


@pytest.mark.parametrize(
    ("text", "message_class", "why"),
    [
        ("【旌德县反诈中心】请报送。", "public_interest", "class service"),
        ("【旌德县反诈中心】{姓名}：请报送。", "service", "姓名"),
        ("【旌德县反诈中心】{日期:数量}前请报送。", "service", "日期"),
    ],
)
async def test_what_text_can_be_chosen(api: Api, text: str, message_class: str, why: str) -> None:
    body = {"name": "催报", "class": message_class, "text": text}
    made = await api.post("/templates", COUNTY, body)
    choice = {"kind": "late", "template_id": made.json["id"]}
    early = await api.call("PUT", "/obligations/texts", COUNTY, json=choice)
    assert (early.status, code(early)) == (409, "template_not_approved")
    await api.post(f"/templates/{made.json['id']}/approve", APPROVER, {"version": 1})
    refused = await api.call("PUT", "/obligations/texts", COUNTY, json=choice)
    assert refused.status == 422, refused.body
    assert why in refused.json["detail"]


async def test_a_changed_text_waits_for_its_approval(told: Api) -> None:
    duty = str(await made_duty(told))
    chosen = (await told.get("/obligations/texts", COUNTY)).json["items"]
    template = next(one["template_id"] for one in chosen if one["kind"] == "late")
    version = {"text": "【旌德县反诈中心】{单位}：请报。", "follows": 1}
    edited = await told.post(f"/templates/{template}/versions", COUNTY, version)
    assert edited.status == 201, edited.body
    await turn(told, FRIDAY + MINUTE)
    assert (await steps(told, duty))["late"] == "no_text"
    none = await told.call(
        "PUT", "/obligations/texts", COUNTY, json={"kind": "leader", "template_id": None}
    )
    assert [one["template_id"] for one in none.json["items"] if one["kind"] == "leader"] == [None]


async def test_dates_say_why_they_are_not_as_usual(api: Api) -> None:
    obligation = await set_obligation(api)
    path = f"/obligations/{obligation}/dates?from=2027-01-25&to=2027-02-20"
    found = (await api.get(path, SCHOOL)).json["items"]
    due = {one["period"]: one["due_at"] for one in found}
    assert due["2027-W05"] == "2027-02-04T16:00:00+08:00"
    fifth = next(one for one in found if one["period"] == "2027-W05")
    assert len(fifth["notes"]) == 2
    calendar = (await api.get("/duties/calendar", SCHOOL)).json["items"]
    assert [one["period"] for one in calendar][:2] == ["2027-W02", "2027-W03"]
    backwards = await api.get(
        f"/obligations/{obligation}/dates?from=2027-02-01&to=2027-01-01", SCHOOL
    )
    assert backwards.status == 422


@pytest.mark.parametrize("form", ["xlsx", "html"])
@pytest.mark.parametrize("sheet", ["late", "obligations", "calendar"])
async def test_lists_are_files_as_well(api: Api, sheet: str, form: str) -> None:
    await made_duty(api)
    await turn(api, FRIDAY + MINUTE)
    answer = await api.get(f"/duties/document?sheet={sheet}&format={form}", COUNTY)
    assert answer.status == 200, answer.body
    if form == "html":
        assert "周报" in answer.body.decode()
    else:
        assert answer.body.startswith(b"PK")


async def test_nothing_half_done_where_a_text_cannot_be_written(
    told: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = str(await made_duty(told))

    async def broken(*_: object) -> None:
        raise RuntimeError("the machine stops here")

    with monkeypatch.context() as patched:
        patched.setattr("service.duties.step_store.settle_told", broken)
        with pytest.raises(RuntimeError, match="stops here"):
            await turn(told, FRIDAY - 2 * HOUR)
    assert await texts(told) == []
    assert set((await steps(told, duty)).values()) == {"untold"}
    await turn(told)
    assert [number for number, _ in await texts(told)] == ["101"]
    async with transaction(told.runtime.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM duty_steps") == 2
