"""The county's calendar and hours over HTTP: shown, set with history, imported."""

from typing import Any

import pytest

from tests.harness.campaigns import act_on, planned
from tests.harness.instants import instant
from tests.harness.words import NOTICE
from tests.integration.api.conftest import Api

ADMIN, OPERATOR = ("county", "admin"), ("county", "operator")
APPROVER, SCHOOL = ("county", "approver"), ("school", "admin")


async def _put(api: Api, path: str, body: dict[str, Any], who: tuple[str, str] = ADMIN) -> Any:
    return await api.call("PUT", path, who, json=body)


async def test_a_year_without_a_notice_is_computed_and_says_so(api: Api) -> None:
    shown = (await api.get("/holidays", OPERATOR)).json
    assert (shown["year"], shown["official"], shown["official_until"]) == (
        2027,
        False,
        "2026-12-31",
    )
    assert "No notice of 2027 is known" in shown["warning"]
    days = {day["date"]: day["name"] for day in shown["days"]}
    assert [d for d, name in days.items() if name == "春节"] == [
        f"2027-02-0{n}" for n in (5, 6, 7, 8)
    ]
    assert {q["name"] for q in shown["quiet_days"]} == {"除夕", "除夕夜", "春节初一", "高考"}
    known = (await api.get("/holidays?year=2026", OPERATOR)).json
    assert (known["official"], known["warning"]) == (True, None)
    assert {"date": "2026-02-14", "kind": "makeup", "name": ""} in known["days"]
    assert (await api.get("/holidays?year=1900", OPERATOR)).status == 422


async def test_a_notice_makes_a_year_official_and_moves_what_is_to_come(api: Api) -> None:
    plan = {
        "kind": "recurring",
        "start_at": "2027-02-09T09:00:00+08:00",  # a Tuesday, by law no holiday
        "rrule": "FREQ=DAILY",
        "days": "workdays",
    }
    campaign = await planned(api, schedule=plan)
    await act_on(api, OPERATOR, campaign, "submit")
    approved = await act_on(api, APPROVER, campaign, "approve")
    assert approved["next_fire_at"].startswith("2027-02-09")
    assert (await api.post("/holidays/notice", SCHOOL, {"text": NOTICE})).status == 403
    imported = await api.post("/holidays/notice", ADMIN, {"text": NOTICE})
    assert imported.status == 200, imported.body
    assert (imported.json["official"], imported.json["official_until"]) == (True, "2027-12-31")
    moved = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json
    assert moved["next_fire_at"].startswith("2027-02-15")
    days = [fire["at"][:10] for fire in moved["next_fires"]]
    assert days == [f"2027-02-{n}" for n in (15, 16, 17, 18, 19)]
    assert [note.split(",")[0] for note in moved["schedule_notes"]] == [
        "Such texts are read best from 09:00 to 11:30 and 14:30 to 19:00.",
        "The same text comes again after 1 days",
    ]
    refused = await api.post("/holidays/notice", ADMIN, {"text": NOTICE.replace("共8天", "共7天")})
    assert (refused.status, "is 8 days" in refused.json["fields"]["text"]) == (422, True)


async def test_quiet_days_are_set_with_a_reason_and_kept_in_a_history(api: Api) -> None:
    exam = {"name": "中考", "first": "2027-06-14", "last": "2027-06-16"}
    body = {"quiet": [exam], "without": ["高考"], "reason": "县教体局通知", "version": 0}
    assert (await _put(api, "/holidays", body, OPERATOR)).status == 403
    made = await _put(api, "/holidays", body)
    assert made.status == 200, made.body
    kept = {q["name"] for q in made.json["quiet_days"]}
    assert kept == {"除夕", "除夕夜", "春节初一", "中考"}
    assert (await _put(api, "/holidays", body)).status == 409  # version 0 is old by now
    again = await _put(api, "/holidays", {"reason": "更正", "version": made.json["version"]})
    assert (again.status, again.json["quiet"]) == (200, [])
    history = (await api.get("/holidays/history", OPERATOR)).json["items"]
    assert [entry["reason"] for entry in history] == ["更正", "县教体局通知"]
    assert history[1]["body"]["quiet"][0]["name"] == "中考"
    assert history[1]["set_by"] == str(api.teams["county"].admin.id)


QUIET = {"name": "x", "first": "2027-06-14", "last": "2027-06-14"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quiet": [{"name": "x", "first": "2027-06-14", "last": "2027-06-13"}]}, "quiet"),
        ({"quiet": [QUIET | {"hours": [["29:99", "30:00"]]}]}, "quiet.0.hours"),
        ({"quiet": [QUIET, QUIET | {"hours": [["14:00", "12:00"]]}]}, "quiet.1.hours"),
        ({"without": ["中秋"]}, "without"),
        (
            {
                "notices": [
                    {"year": 2027, "source": "s", "holidays": {"2028-01-01": "x"}, "workdays": []}
                ]
            },
            "notices",
        ),
    ],
)
async def test_a_calendar_that_contradicts_itself_is_refused_whole(
    api: Api, body: dict[str, Any], field: str
) -> None:
    refused = await _put(api, "/holidays", body | {"reason": "r"})
    assert (refused.status, field in refused.json["fields"]) == (422, True)
    assert (await api.get("/holidays", ADMIN)).json["version"] == 0


@pytest.mark.attack
async def test_hours_are_set_and_apply_to_what_is_planned(api: Api) -> None:
    shown = (await api.get("/send-hours", OPERATOR)).json
    assert shown["classes"]["public_interest"]["allowed"] == [["08:00", "20:00"]]
    assert shown["audiences"]["parents"] == [["17:00", "19:30"]]
    shown["classes"]["public_interest"]["allowed"] = [["10:00", "19:00"]]
    body = {name: shown[name] for name in ("classes", "audiences", "version")} | {"reason": "夏季"}
    assert (await _put(api, "/send-hours", body, SCHOOL)).status == 403
    changed = await _put(api, "/send-hours", body)
    assert changed.status == 200, changed.body
    tried = await api.post("/schedules/preview", OPERATOR, {"schedule": {"kind": "now"}})
    assert tried.json["fires"][0]["sends_from"] == instant("2027-01-12T02:00:00Z")
    del body["classes"]["public_interest"]  # would be publicity at any hour
    refused = await _put(api, "/send-hours", body | {"version": changed.json["version"]})
    assert (refused.status, "classes" in refused.json["fields"]) == (422, True)
    history = (await api.get("/send-hours/history", OPERATOR)).json["items"]
    assert [entry["reason"] for entry in history] == ["夏季"]


async def test_days_around_a_festival_are_answered_with_dates_that_a_campaign_takes(
    api: Api,
) -> None:
    around = {"festival": "spring_festival", "days": [-20, 0], "year": 2027, "time": "10:00"}
    found = await api.post("/schedules/festival", OPERATOR, around)
    assert found.status == 200, found.body
    answer = found.json
    assert answer["festival"]["day"] == "2027-02-06"
    assert answer["schedule"]["dates"] == ["2027-01-17", "2027-02-06"]
    assert [fire["at"] for fire in answer["fires"]] == [
        instant("2027-01-17T02:00:00Z"),
        instant("2027-02-07T02:00:00Z"),
    ]
    assert "quiet day (春节初一)" in answer["fires"][1]["note"]
    assert (answer["official"], answer["official_until"]) == (False, "2026-12-31")
    assert "No notice of 2027 is known" in answer["warning"]
    campaign = await planned(api, schedule=answer["schedule"])
    await act_on(api, OPERATOR, campaign, "submit")
    approved = await act_on(api, APPROVER, campaign, "approve")
    assert approved["next_fire_at"] == instant("2027-01-17T02:00:00Z")
    assert approved["schedule"]["dates"] == answer["schedule"]["dates"]
    # Once the notice is known, the same question has an official answer.
    assert (await api.post("/holidays/notice", ADMIN, {"text": NOTICE})).status == 200
    known = (await api.post("/schedules/festival", OPERATOR, around)).json
    assert (known["official"], known["warning"]) == (True, None)


async def test_the_start_of_term_is_a_guess_until_somebody_enters_it(api: Api) -> None:
    around = {"preset": "spring_term_parents", "year": 2027}
    guessed = (await api.post("/schedules/festival", OPERATOR, around)).json
    assert guessed["festival"]["basis"] == "custom"
    assert "春季开学 is a guess, 2027-02-21" in guessed["warning"]
    day = {"festival": "spring_term", "date": "2027-02-25"}
    body = {"school_days": [day], "reason": "县教体局校历"}
    assert (await _put(api, "/holidays", body)).json["school_days"] == [day]
    found = (await api.post("/schedules/festival", OPERATOR, around)).json
    assert found["schedule"]["dates"] == ["2027-02-22", "2027-03-02"]
    assert found["period"]["end"] == instant("2027-03-11T16:00:00Z")
    assert "guess" not in found["warning"]
    listed = (await api.get("/festivals?year=2027", OPERATOR)).json
    assert {p["name"]: p["dates"] for p in listed["presets"]}["spring_term_parents"] == [
        "2027-02-22",
        "2027-03-02",
    ]
    # What the county keeps of the calendar is kept when a notice comes.
    await api.post("/holidays/notice", ADMIN, {"text": NOTICE})
    assert (await api.get("/holidays", OPERATOR)).json["school_days"] == [day]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"year": 2027}, None),
        ({"year": 2027, "preset": "returnees", "festival": "qingming"}, None),
        ({"year": 2027, "festival": "qingming"}, None),
        ({"year": 2027, "festival": "easter", "days": [1]}, "festival"),
        ({"year": 2099, "preset": "returnees"}, "year"),
        ({"year": 2027, "preset": "returnees", "time": "25:00"}, "time"),
        ({"year": 2027, "preset": "returnees", "timezone": "Mars/Olympus"}, "time"),
        ({"year": 2027, "preset": "returnees", "rule": "area ="}, "rule"),
        ({"year": 2027, "festival": "qingming", "days": [181]}, None),
    ],
)
async def test_a_festival_that_is_not_known_is_refused(
    api: Api, body: dict[str, Any], field: str | None
) -> None:
    refused = await api.post("/schedules/festival", OPERATOR, body)
    assert refused.status == 422, refused.body
    assert field is None or field in refused.json["fields"]
