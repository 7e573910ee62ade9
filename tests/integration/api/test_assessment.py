"""The score sheet over the API: each number is that of its rows, rules are kept, who sees whom."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.clock import CHINA
from service.storage.postgres import transaction
from tests.harness.case_api import AFTER, OFFICER, hire, import_truth
from tests.harness.chats import add_group, approved_text
from tests.harness.owed import COUNTY, duties, set_obligation, turn
from tests.harness.relayed import add_relay
from tests.integration.api.conftest import Api

ADMIN, INSPECTOR = ("county", "admin"), ("county", "inspector")
SANXI = "341825102000"
VILLAGES = ("341825102200", "341825102201")
BEGIN = datetime(2027, 1, 4, 8, tzinfo=CHINA)
WEIGHTS = {"reports": 10, "coverage": 25, "relays": 0, "households": 15, "cases": 50}
RULES = {"weights": WEIGHTS, "reason": "新办法"}
GOAL = {"key": "G1", "title": "全部下降20%", "period": "Q1", "year": 2027, "target_change_pct": -20}


@pytest.fixture(autouse=True)
async def _areas(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)


async def sheet(api: Api, who: tuple[str, str] = OFFICER, period: str = "2027-Q1") -> Any:
    answer = await api.get(f"/reports/assessment?period={period}", who)
    assert answer.status == 200, answer.body
    return answer.json


def unit(found: Any, kind: str) -> Any:
    return next(one for one in found["units"] if one["kind"] == kind)


def item(found: Any, kind: str, name: str) -> Any:
    return next(one for one in unit(found, kind)["items"] if one["item"] == name)


async def rows(api: Api, one: Any, who: tuple[str, str] = OFFICER) -> Any:
    """What stands at the address of an item's rows."""
    answer = await api.get(one["rows"], who)
    assert answer.status == 200, answer.body
    return answer.json


async def test_reports_are_counted_from_the_duties_that_the_address_lists(api: Api) -> None:
    who = await hire(api, "town", area=SANXI)
    api.clock.at = BEGIN
    await set_obligation(api, departments=[], kinds=["town"])
    for week in range(4):
        now = BEGIN + timedelta(weeks=week)
        await turn(api, now)
        duty = next(one for one in await duties(api, who) if one["state"] == "open")
        if week == 1:  # a day late
            api.clock.at = datetime.fromisoformat(duty["due_at"]) + timedelta(days=1)
        if week == 2:  # asked for no more
            answer = await api.post(f"/duties/{duty['id']}/excuse", COUNTY, {"reason": "防汛"})
            assert answer.status == 200, answer.body
        elif week < 3:
            answer = await api.post(f"/duties/{duty['id']}/submit", who, {"narrative": "已发"})
            assert answer.status == 200, answer.body
    api.clock.at = BEGIN + timedelta(weeks=3, days=1)
    found = item(await sheet(api), "town", "reports")
    assert (found["part"], found["whole"]) == (1, "2.0"), "one in time, one late, one excused"
    api.clock.at = BEGIN + timedelta(weeks=3, days=5)
    found = item(await sheet(api), "town", "reports")
    assert (found["part"], found["whole"], found["points"]) == (1, "3.0", "6.7"), "and one is owed"
    listed = (await rows(api, found))["items"]
    assert [one["late_minutes"] for one in listed if one["submitted_at"] is None] == [None, None]
    counted = [one for one in listed if one["state"] != "excused"]
    assert (len(listed), len(counted)) == (4, 3)
    assert sum(one["submitted_at"] is not None and not one["late_minutes"] for one in counted) == 1
    assert item(await sheet(api), "school", "reports")["gap"] == "none_due"


async def test_coverage_and_households_of_a_town_and_of_lists(api: Api) -> None:
    await hire(api, "town", area=SANXI)
    pool, now = api.runtime.pool, AFTER
    api.clock.at = now
    school = api.teams["school"].department_id
    user = api.teams["county"].operator.id
    await pool.execute(
        "INSERT INTO rosters (department_id, name, basis, expires_on)"
        " VALUES ($1, '家长', 'duty', '2028-01-01')",
        school,
    )
    for area, kind, people in (
        (SANXI, "phones", 1_000),
        ("341825", "list:家长", 500),
        (VILLAGES[0], "households", 100),
    ):
        await pool.execute(
            "INSERT INTO denominators (area_code, kind, people, source, as_of, entered_at,"
            " entered_by) VALUES ($1, $2, $3, 's', '2027-01-01', $4, $5)",
            await _code(api, area), kind, people, now, user,
        )  # fmt: skip
    for department, area, reached in ((None, SANXI, 760), (school, "341825", 450)):
        scope = await pool.fetchval(
            "INSERT INTO coverage_scopes (kind, department_id, quarter, class, shown, as_of)"
            " VALUES ('quarter', $1, '2027-01-01', 'public_interest', 1, $2) RETURNING id",
            department, now,
        )  # fmt: skip
        for table in ("coverage_facts", "coverage_town_facts"):
            await pool.execute(
                f"INSERT INTO {table} (scope_id, count_no, role, area_code, outcome, reason,"
                " people) VALUES ($1, 1, '', $2, 'reached', '', $3)",
                scope, await _code(api, area), reached,
            )  # fmt: skip
    await _round(api, user, date(2027, 2, 20), {VILLAGES[0]: 60, VILLAGES[1]: 7})
    await _round(api, user, date(2027, 5, 20), {VILLAGES[0]: 40})  # of the next quarter
    found = await sheet(api)
    covered = item(found, "town", "coverage")
    assert (covered["part"], covered["whole"], covered["points"]) == (760, "1000.0", "20.0")
    total = (await rows(api, covered, ADMIN))["total"]
    assert (total["reached"], total["denominator"]) == (760, 1_000)
    of_list = item(found, "school", "coverage")
    assert (of_list["part"], of_list["whole"]) == (450, "500.0")
    told = item(found, "town", "households")
    assert (told["part"], told["whole"], told["points"]) == (60, "100.0", "9.0"), (
        "a village of which nobody has said how many there are stands on neither side"
    )
    assert len((await rows(api, told, ADMIN))["items"]) == 1
    assert item(found, "school", "households")["gap"] == "no_round"
    assert unit(found, "town")["score"] == "72.5"
    assert unit(found, "school")["rank"] == 1
    assert [one["rank"] for one in found["units"]][:2] == [1, 2]


async def test_relays_of_all_weeks_of_the_quarter_count_together(api: Api) -> None:
    """§16: 90 of 120 are 15.0 points."""
    await hire(api, "town", area=SANXI)
    api.clock.at = AFTER - timedelta(days=14)  # in the first quarter
    assert item(await sheet(api), "town", "relays")["gap"] == "no_relays"
    await approved_text(api)
    await add_group(api)
    now = api.clock.at
    await add_relay(api, "town", "2027-W11", now + timedelta(seconds=1), 5, 1, state="going")
    assert item(await sheet(api), "town", "relays")["gap"] == "no_relays", "it is not due yet"
    await add_relay(api, "town", "2027-W01", BEGIN + timedelta(days=6), 60, 50, late=4)
    await add_relay(api, "town", "2027-W10", now, 60, 40)
    await add_relay(api, "town", "2027-W05", BEGIN + timedelta(days=34), 7, 7, state="cancelled")
    await add_relay(api, "town", "2026-W53", BEGIN - timedelta(days=1), 9, 9)
    await add_relay(api, "school", "2027-W05", BEGIN + timedelta(days=34), 3, 0)
    found = await sheet(api)
    relays = item(found, "town", "relays")
    assert (relays["part"], relays["whole"], relays["points"]) == (90, "120.0", "15.0")
    assert item(found, "school", "relays")["points"] == "0.0"
    for who in (ADMIN, INSPECTOR, ("town", "operator")):
        listed = (await rows(api, relays, who))["items"]
        assert [(one["week"], one["state"]) for one in listed] == [
            ("2027-W05", "cancelled"),
            ("2027-W10", "over"),
            ("2027-W01", "over"),
            ("2027-W11", "going"),
        ]
        counted = [one for one in listed if one["state"] == "over"]
        assert sum(one["confirmed"] for one in counted) == relays["part"]
        assert sum(one["groups"] for one in counted) == 120
    assert (await rows(api, relays, ("school", "operator")))["items"] == []
    api.clock.at += timedelta(seconds=1)
    now_due = item(await sheet(api), "town", "relays")
    assert (now_due["part"], now_due["whole"]) == (91, "125.0")


async def test_cases_of_a_town_beside_its_goal(api: Api) -> None:
    await hire(api, "town", area=SANXI)
    await import_truth(api)
    assert item(await sheet(api), "town", "cases")["gap"] == "no_goal"
    await _set_goal(api)
    found = await sheet(api)
    cases = item(found, "town", "cases")
    listed = (await rows(api, cases))["items"]
    assert sum(one["cases"] for one in listed) == cases["part"] == 6
    assert (found["goal"], found["as_of"], found["final"]) == ("G1", "2027-W13", True)
    assert cases["chance"] is not None
    assert item(found, "school", "cases")["gap"] == "no_town"
    sanxi = next(town for town in found["funnel"] if town["area"] == SANXI)
    assert (sanxi["cases"], sanxi["expected"], sanxi["limits"]) == (6, 3.8, [1, 8])
    assert item(await sheet(api, period="2027-Q2"), "town", "cases")["gap"] == "no_goal"


async def test_a_unit_states_its_own_staff_and_the_county_that_of_others(api: Api) -> None:
    who = await hire(api, "town", area=SANXI)
    api.clock.at = AFTER
    said = {"period": "2027-Q1", "cases": 1, "source": "公安局函"}
    assert item(await sheet(api), "town", "own_staff")["gap"] == "not_stated"
    answer = await api.call("PUT", "/assessment/own-staff", who, json=said)
    assert answer.status == 200, answer.body
    assert item(await sheet(api), "town", "own_staff")["points"] == "-5.0"
    town = str(api.teams["town"].department_id)
    other = said | {"department_id": town, "cases": 3}
    school = ("school", "operator")
    refused = await api.call("PUT", "/assessment/own-staff", school, json=other)
    assert refused.status == 403, refused.body
    answer = await api.call("PUT", "/assessment/own-staff", COUNTY, json=other)
    assert answer.status == 200, answer.body
    found = item(await sheet(api), "town", "own_staff")
    assert (found["points"], found["part"]) == ("-10.0", 3)
    listed = (await rows(api, found))["items"]
    assert [one["cases"] for one in listed] == [3, 1], "what was said before stays"
    own = (await api.get("/assessment/own-staff?period=2027-Q1", school)).json
    assert own["items"] == [], "of others a unit sees nothing"
    hidden = await api.get(f"/assessment/own-staff?period=2027-Q1&department={town}", school)
    assert hidden.status == 404
    ahead = await api.call("PUT", "/assessment/own-staff", who, json=said | {"period": "2027-Q3"})
    assert ahead.status == 422


async def test_a_quarter_keeps_the_rules_that_it_began_with(api: Api) -> None:
    api.clock.at = AFTER - timedelta(days=10)  # in the first quarter
    answer = await api.call("PUT", "/assessment/rules", OFFICER, json=RULES)
    assert answer.status == 200, answer.body
    assert answer.json["present"]["version"] == 0
    assert answer.json["items"][0]["from_period"] == "2027-Q2"
    api.clock.at = AFTER + timedelta(days=30)
    first, second = [(await sheet(api, period=f"2027-Q{n}"))["rules"] for n in (1, 2)]
    assert (first["version"], first["weights"]["cases"]) == (0, 20)
    assert (second["version"] > 0, second["weights"]["cases"]) == (True, 50)
    assert item(await sheet(api, period="2027-Q2"), "school", "relays")["gap"] == "off"


@pytest.mark.parametrize(
    "wrong", [{"reports": 5}, WEIGHTS | {"own_staff": 5}, dict.fromkeys(WEIGHTS, 0)]
)
async def test_rules_that_leave_an_item_open_are_refused(api: Api, wrong: Any) -> None:
    body = RULES | {"weights": wrong}
    answer = await api.call("PUT", "/assessment/rules", OFFICER, json=body)
    assert answer.status == 422, answer.body


async def test_a_unit_sees_its_own_row_with_its_rank_among_all(api: Api) -> None:
    who = await hire(api, "town", area=SANXI)
    await import_truth(api)
    await _set_goal(api)
    found = await sheet(api, who)
    assert [one["kind"] for one in found["units"]] == ["town"]
    assert (found["units"][0]["rank"], found["ranked"]) == (1, 1)
    assert found["funnel"], "towns' cases are for all who read"
    everybody = await sheet(api, INSPECTOR)
    assert len(everybody["units"]) > 1
    assert "county" not in {one["kind"] for one in everybody["units"]}


@pytest.mark.parametrize("form", ["docx", "xlsx", "html"])
async def test_the_sheet_as_a_document(api: Api, form: str) -> None:
    api.clock.at = AFTER
    path = f"/reports/assessment/document?period=2027-Q1&format={form}"
    answer = await api.get(path, OFFICER)
    assert answer.status == 200, answer.body
    again = await api.get(path, OFFICER)
    assert again.body == answer.body, "the same facts make the same octets"


@pytest.mark.parametrize("period", ["2027", "2027-YEAR", "x", "２０２７-Q1"])
async def test_a_period_that_is_no_quarter_is_refused(api: Api, period: str) -> None:
    answer = await api.get("/reports/assessment", OFFICER, params={"period": period})
    assert answer.status == 422, answer.body


async def _set_goal(api: Api) -> None:
    body = {"items": [GOAL], "reason": "r"}
    answer = await api.call("PUT", "/goals", OFFICER, json=body)
    assert answer.status == 200, answer.body


async def _code(api: Api, code: str) -> str:
    """The county's own code, or the code itself."""
    if len(code) > 6:
        return code
    found: str = await api.runtime.pool.fetchval("SELECT code FROM areas WHERE level = 'county'")
    return found


async def _round(api: Api, user: object, due: date, told: dict[str, int]) -> None:
    """A round through villages in which so many households were told."""
    pool = api.runtime.pool
    round_id = await pool.fetchval(
        "INSERT INTO visit_rounds (department_id, name, area_code, starts_on, due_on, with_towns,"
        " started_by, started_at) VALUES ($1, 'r', $2, $3, $3, false, $4, $5) RETURNING id",
        api.teams["county"].department_id, SANXI, due, user, api.clock.at,
    )  # fmt: skip
    for village, count in told.items():
        await pool.execute(
            "INSERT INTO visit_round_villages (round_id, village) VALUES ($1, $2)",
            round_id, village,
        )  # fmt: skip
        await pool.execute(
            "INSERT INTO households (round_id, village, state, spoken_to)"
            " SELECT $1, $2, 'told', 1 FROM generate_series(1, $3)",
            round_id, village, count,
        )  # fmt: skip
