"""Duties of kinds relay and roster are ticked by facts: since when, by what, by nothing else."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.clock import CHINA
from service.duties.owing import owe
from service.storage.postgres import transaction
from tests.factories import make_team
from tests.harness.console import browser_at
from tests.harness.logins import with_own_password
from tests.harness.owed import COUNTY, FRIDAY, duties, set_obligation, turn
from tests.harness.relayed import NUMBERS, Station, answer, begin, begun, build, hand_off
from tests.harness.relayed import turn as relay_turn
from tests.integration.api.conftest import Api

MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(weeks=1)
LIST = "联络员名册"
MONTHLY: dict[str, Any] = {"period": "month", "due": {"day": 27, "time": "17:00"}}


async def owed(api: Api, kind: str, **more: Any) -> str:
    """A duty of the county's own, of this kind."""
    own = [str(api.teams["county"].department_id)]
    needs = {"needs": {"roster": LIST}} if kind == "roster" else {}
    await set_obligation(api, departments=own, kind=kind, title=kind, **(needs | more))
    await turn(api)
    found: str = (await duties(api, COUNTY, "?mine=true"))[0]["id"]
    return found


async def shown(api: Api, duty: str) -> Any:
    return (await api.get(f"/duties/{duty}", COUNTY)).json


async def add_list(api: Api, name: str = LIST, team: str = "county") -> UUID:
    async with transaction(api.runtime.pool) as conn:
        made: UUID = await conn.fetchval(
            "INSERT INTO rosters (department_id, name, basis, expires_on, created_at)"
            " VALUES ($1, $2, 'duty', '2027-12-31', $3) RETURNING id",
            api.teams[team].department_id,
            name,
            api.clock.at,
        )
    return made


async def import_into(api: Api, name: str = LIST, team: str = "county", **more: Any) -> UUID:
    """An import that ended well just now, unless it is said otherwise."""
    whose = api.teams[team]
    values = {
        "department_id": whose.department_id,
        "created_by": whose.operator.id,
        "roster": name,
        "basis": "duty",
        "expires_on": datetime(2027, 12, 31, tzinfo=CHINA).date(),
        "file_name": "a.csv",
        "file_bytes": 1,
        "file_sha256": b"",
        "state": "done",
        "report": {"rows": {"read": 2, "accepted": 2}},
        "created_at": api.clock.at,
        "finished_at": api.clock.at,
    } | more
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    async with transaction(api.runtime.pool) as conn:
        made: UUID = await conn.fetchval(
            f"INSERT INTO imports ({', '.join(values)}) VALUES ({places}) RETURNING id",
            *values.values(),
        )
    return made


async def first_level_done(api: Api, station: Station) -> None:
    await hand_off(api)
    await answer(api, "a", "1")
    await relay_turn(api)
    await hand_off(api)
    await answer(api, "b", "1")
    await relay_turn(api)


async def test_a_relay_ticks_a_duty_once_its_first_level_is_done(api: Api) -> None:
    duty, monthly = await owed(api, "relay"), await owed(api, "relay", **MONTHLY)
    station = await begun(api)
    assert (await turn(api)).ticked == 0, "it has only begun"
    await hand_off(api)
    await answer(api, "a", "1")
    await relay_turn(api)
    assert (await turn(api)).ticked == 0, "b owes an answer"
    await hand_off(api)
    await answer(api, "b", "1")
    at = api.clock.at
    assert (await turn(api)).ticked == 0, "nobody has read it yet"
    await relay_turn(api)
    assert (await turn(api)).ticked == 2
    assert (await turn(api)).ticked == 0
    for one in (duty, monthly):
        found = await shown(api, one)
        assert (found["state"], found["evidence_relay_id"]) == ("submitted", station.relay)
        assert datetime.fromisoformat(found["submitted_at"]) == at
        assert found["late_minutes"] == 0


async def test_the_week_of_a_relay_says_of_which_period_it_is(api: Api) -> None:
    duty = await owed(api, "relay")
    station = await build(api)
    early = await begin(api, station, week="2027-W03")
    station.relay = early.json["id"]
    await relay_turn(api)
    await first_level_done(api, station)
    assert (await turn(api)).ticked == 0, "that of next week"
    assert (await shown(api, duty))["state"] == "open"
    await turn(api, FRIDAY + timedelta(days=3))
    found = {one["period"]: one["state"] for one in await duties(api, COUNTY, "?mine=true")}
    await turn(api)
    found = {one["period"]: one["state"] for one in await duties(api, COUNTY, "?mine=true")}
    assert found == {"2027-W02": "open", "2027-W03": "submitted"}


async def test_a_relay_that_is_late_says_by_how_much_and_a_cancelled_one_counts_not(
    api: Api,
) -> None:
    duty = await owed(api, "relay")
    station = await begun(api)
    await first_level_done(api, station)
    await api.runtime.pool.execute("UPDATE relays SET state = 'cancelled', ended_at = started_at")
    assert (await turn(api)).ticked == 0
    await turn(api, FRIDAY + HOUR)
    late = (await api.get("/duties/late", COUNTY)).json
    assert duty in {one["id"] for one in late["items"]}
    level_one_at = FRIDAY + 2 * HOUR
    await api.runtime.pool.execute(
        "UPDATE relays SET state = 'going', ended_at = NULL, level_one_at = $1", level_one_at
    )
    assert (await turn(api)).ticked == 0, "not yet"
    assert (await turn(api, level_one_at)).ticked == 1
    found = await shown(api, duty)
    assert (found["state"], found["late_minutes"]) == ("submitted", 120)
    late = (await api.get("/duties/late", COUNTY)).json
    assert duty not in {one["id"] for one in late["items"]}


async def test_a_relay_to_owners_alone_has_them_as_its_first_level(api: Api) -> None:
    await owed(api, "relay")
    station = await build(api)
    levels = ["finance", "group_owner"]
    station.relay = (await begin(api, station, levels=levels)).json["id"]
    await relay_turn(api)
    await hand_off(api)
    for name in NUMBERS:
        if name.startswith("g"):
            await answer(api, name, "1")
    await relay_turn(api)
    assert (await turn(api)).ticked == 1


@pytest.mark.parametrize("by_import", [True, False])
async def test_a_list_that_was_imported_or_confirmed_ticks_a_duty(
    api: Api, by_import: bool
) -> None:
    duty = await owed(api, "roster")
    roster = await add_list(api)
    assert (await turn(api)).ticked == 0
    api.clock.at += HOUR
    at, made = api.clock.at, None
    if by_import:
        made = str(await import_into(api))
    else:
        confirmed = await api.patch(f"/rosters/{LIST}", COUNTY, {})
        assert confirmed.status == 200, confirmed.body
    assert (await turn(api, at + MINUTE)).ticked == 1
    found = await shown(api, duty)
    assert (found["state"], found["evidence_roster_id"]) == ("submitted", str(roster))
    assert found["evidence_import_id"] == made
    assert datetime.fromisoformat(found["submitted_at"]) == at
    refused = await api.post(f"/duties/{duty}/submit", COUNTY, {"narrative": "n"})
    assert (refused.status, refused.json["type"]) == (409, "/problems/ticked_by_facts")


async def test_what_is_no_upkeep_of_that_list_ticks_nothing(api: Api) -> None:
    await add_list(api)
    await add_list(api, "别的名册")
    await add_list(api, team="school")
    await import_into(api, report={"rows": {"read": 2, "accepted": 2}})  # before the period
    await api.patch(f"/rosters/{LIST}", COUNTY, {})
    own = [str(api.teams["county"].department_id)]
    needs: dict[str, Any] = {"needs": {"roster": LIST}, "from": "2027-01-18"}
    await set_obligation(api, departments=own, kind="roster", title="名册", **needs)
    api.clock.at = datetime(2027, 1, 18, 9, tzinfo=CHINA)
    assert (await turn(api)).made == 1
    for more in (
        {"dry_run": True},
        {"report": {"rows": {"read": 2, "accepted": 0}}},
        {"state": "failed", "report": None},
        {"undone_at": api.clock.at, "undone_by": api.teams["county"].operator.id},
        {"name": "别的名册"},
        {"team": "school"},
    ):
        await import_into(api, **more)
    assert (await turn(api, api.clock.at + MINUTE)).ticked == 0
    await import_into(api)
    assert (await turn(api, api.clock.at + MINUTE)).ticked == 1


async def test_an_import_before_the_next_deadline_is_late_and_one_after_it_too_late(
    api: Api,
) -> None:
    await add_list(api)
    duty = await owed(api, "roster")
    missed = await owed(api, "roster", needs={"roster": "别的名册"})
    await add_list(api, "别的名册")
    await turn(api, FRIDAY + timedelta(days=4))
    await import_into(api)
    await turn(api, FRIDAY + timedelta(days=4, minutes=1))
    found = await shown(api, duty)
    assert (found["state"], found["late_minutes"]) == ("submitted", 4 * 24 * 60)
    await turn(api, FRIDAY + WEEK)
    await import_into(api, "别的名册")
    await turn(api, FRIDAY + WEEK + MINUTE)
    assert (await shown(api, missed))["state"] == "missed"


async def test_each_unit_is_ticked_by_its_own_list_and_by_the_moved_clock(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        other = await make_team(conn, now=api.clock.at)
    units = [api.teams["county"].department_id, other.department_id]
    await set_obligation(
        api,
        departments=[str(one) for one in units],
        kind="roster",
        title="名册",
        needs={"roster": LIST},
        **MONTHLY,
    )
    await turn(api)
    await add_list(api)
    api.clock.at = datetime(2027, 2, 27, 16, 59, tzinfo=CHINA)
    await turn(api)
    await import_into(api)
    pool, keyring = api.runtime.pool, api.runtime.keyring
    assert (await owe(pool, keyring, api.clock.at + MINUTE)).ticked == 1
    rows = await pool.fetch("SELECT department_id, period FROM duties WHERE state = 'submitted'")
    assert [tuple(row) for row in rows] == [(units[0], "2027-02")]


@pytest.mark.parametrize(
    ("language", "wrong", "waits"),
    [
        ("zh-CN", "请写明要更新的名册", "重新导入或确认该名册后自动完成"),
        ("en", "name the list", "imported its list again"),
    ],
)
async def test_a_list_to_keep_up_to_date_is_asked_for_on_a_page(
    api: Api, language: str, wrong: str, waits: str
) -> None:
    login = await with_own_password(api, api.teams["county"].operator)
    browser = await browser_at(api, login, language)
    page = await browser.get("/obligations/new")
    own = str(api.teams["county"].department_id)
    typed = {"title": "名册", "kind": "roster", "departments": own, "due.time": "16:00"}
    refused = await browser.submit(page, "/obligations/new", typed)
    assert refused.status == 422
    assert wrong in refused.text
    set_ = await browser.submit(page, "/obligations/new", typed | {"needs.roster": LIST})
    assert set_.status == 200, set_.text
    assert LIST in set_.text
    await add_list(api)
    await turn(api)
    duty = (await duties(api, COUNTY, "?mine=true"))[0]["id"]
    shown_ = await browser.get(f"/duties/{duty}")
    assert waits in shown_.text
    made = await import_into(api)
    await turn(api, api.clock.at + MINUTE)
    assert f"/people/imports/{made}" in (await browser.get(f"/duties/{duty}")).html
