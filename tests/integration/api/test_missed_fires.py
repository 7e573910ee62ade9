"""What is said over HTTP of fires that were missed or are held, and what a person answers."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import LatePolicy, Schedule
from service.campaigns.plans.missed import record_missed
from service.campaigns.runs.firing import fire_due
from service.storage.postgres import transaction
from tests.factories import make_draft, make_scheduled
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
SHANGHAI = ZoneInfo("Asia/Shanghai")
WEEK = timedelta(weeks=1)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


async def _weekly(api: Api, late: LatePolicy = "hold") -> str:
    schedule = Schedule("recurring", _at("2027-01-13T09:30"), rrule="FREQ=WEEKLY", late=late)
    async with transaction(api.runtime.pool) as conn:
        made = await make_scheduled(conn, api.teams["county"], now=api.clock.at, schedule=schedule)
    return f"/campaigns/{made.id}"


async def _tick(api: Api) -> int:
    fired = await fire_due(api.runtime.pool, api.clock.at)
    await record_missed(api.runtime.pool, api.clock.at)
    return len(fired)


async def _fires(api: Api, path: str) -> list[tuple[str, str]]:
    items = (await api.get(f"{path}/fires", OPERATOR)).json["items"]
    return [(fire["outcome"], fire["code"]) for fire in reversed(items)]


def _short(fires: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(fire["planned_at"][:10], fire["outcome"]) for fire in fires]


async def test_a_weekly_plan_paused_over_one_fire_loses_no_other(api: Api) -> None:
    path = await _weekly(api)
    await api.post(f"{path}/pause", OPERATOR, {})
    api.clock.at = _at("2027-01-13T10:00")
    await _tick(api)
    assert await _fires(api, path) == [("missed", "paused")]

    refused = await api.post(f"{path}/resume", OPERATOR, {"reason": "checked"})
    assert (refused.status, refused.json["type"]) == (409, "/problems/fires_were_missed")
    assert "2027-01-13 09:30" in refused.json["detail"]
    resumed = await api.post(f"{path}/resume", OPERATOR, {"missed": "hold"})
    assert resumed.status == 200, resumed.body
    assert resumed.json["state"] == "scheduled"
    assert _short(resumed.json["decided_fires"]) == [("2027-01-13", "held")]
    assert resumed.json["held_fires"] == resumed.json["decided_fires"]
    assert resumed.json["held_fires"][0]["plain"] == {
        "zh": "这一次待放行：到时超过 15 分钟未能发出。",
        "en": "This fire is held: it could not fire within 15 minutes.",
    }
    for weeks in range(1, 7):
        api.clock.at = _at("2027-01-13T09:30") + weeks * WEEK
        assert await _tick(api) == 1, "six weeks go on"

    released = await api.post(f"{path}/release", OPERATOR, {"missed": "skip", "reason": "old"})
    assert _short(released.json["decided_fires"])[0] == ("2027-01-13", "skipped")
    assert released.json["held_fires"] == []
    assert (await _fires(api, path))[:2] == [("skipped", "person"), ("fired", "")]


async def _paused_over_two(api: Api, late: LatePolicy) -> str:
    """A weekly plan, paused over two fires, of which the second is three minutes late."""
    path = await _weekly(api, late)
    await api.post(f"{path}/pause", OPERATOR, {})
    for at in ("2027-01-13T10:00", "2027-01-20T09:33"):
        api.clock.at = _at(at)
        await _tick(api)
    assert await _fires(api, path) == [("missed", "paused")]
    return path


async def test_a_missed_fire_is_asked_of_although_a_newer_one_is_in_time(api: Api) -> None:
    path = await _paused_over_two(api, "hold")
    refused = await api.post(f"{path}/resume", OPERATOR, {})
    assert (refused.status, refused.json["type"]) == (409, "/problems/fires_were_missed")
    assert "2027-01-13 09:30" in refused.json["detail"]
    assert "2027-01-20" not in refused.json["detail"]
    resumed = await api.post(f"{path}/resume", OPERATOR, {"missed": "hold"})
    assert _short(resumed.json["decided_fires"]) == [("2027-01-13", "held")]
    assert resumed.json["next_fire_at"] == "2027-01-20T09:30:00+08:00"
    assert await _tick(api) == 1
    assert await _fires(api, path) == [("held", "late"), ("fired", "")]


async def test_a_missed_fire_is_skipped_beside_a_newer_one_in_time(api: Api) -> None:
    path = await _paused_over_two(api, "hold")
    resumed = await api.post(f"{path}/resume", OPERATOR, {"missed": "skip", "reason": "old"})
    assert _short(resumed.json["decided_fires"]) == [("2027-01-13", "skipped")]
    assert await _tick(api) == 1
    assert await _fires(api, path) == [("skipped", "person"), ("fired", "")]


@pytest.mark.parametrize(("late", "choice"), [("hold", "run"), ("run", None)])
async def test_a_newer_fire_in_time_takes_the_place_of_the_missed_one(
    api: Api, late: LatePolicy, choice: str | None
) -> None:
    path = await _paused_over_two(api, late)
    resumed = await api.post(f"{path}/resume", OPERATOR, {"missed": choice})
    (decided,) = resumed.json["decided_fires"]
    assert (decided["planned_at"][:10], decided["code"]) == ("2027-01-13", "superseded")
    assert resumed.json["next_fire_at"] == "2027-01-20T09:30:00+08:00"
    assert await _tick(api) == 1
    assert await _fires(api, path) == [("skipped", "superseded"), ("fired", "")]


async def test_a_fire_that_was_released_is_not_said_to_wait(api: Api) -> None:
    path = await _weekly(api)
    api.clock.at = _at("2027-01-13T10:00")
    await _tick(api)
    released = await api.post(f"{path}/release", OPERATOR, {})
    (decided,) = released.json["decided_fires"]
    assert decided["released_at"] is not None
    assert decided["plain"] == {
        "zh": "这一次已放行：到时超过 15 分钟未能发出。",
        "en": "This fire was released: it could not fire within 15 minutes.",
    }
    assert released.json["held_fires"] == []


async def test_where_nothing_was_missed_nothing_is_asked(api: Api) -> None:
    path = await _weekly(api)
    await api.post(f"{path}/pause", OPERATOR, {})
    resumed = await api.post(f"{path}/resume", OPERATOR, {"reason": "checked"})
    assert (resumed.json["state"], resumed.json["decided_fires"]) == ("scheduled", [])
    refused = await api.post(f"{path}/release", OPERATOR, {})
    assert refused.json["type"] == "/problems/wrong_state"


async def _held_by_a_stop(api: Api, schedule: Schedule) -> tuple[str, datetime]:
    """A campaign that was due while everything was stopped, and whose stop is lifted."""
    async with transaction(api.runtime.pool) as conn:
        made = await make_scheduled(conn, api.teams["county"], now=api.clock.at, schedule=schedule)
    await api.post("/stop-all", OPERATOR, {"reason": "wrong hotline"})
    api.clock.at = schedule.start_at or api.clock.at
    assert await _tick(api) == 0
    await api.post("/stop-all/lift", APPROVER, {"reason": "corrected"})
    path = f"/campaigns/{made.id}"
    held = (await api.get(path, OPERATOR)).json
    assert held["state"] == "held"
    return path, datetime.fromisoformat(held["held_fires"][0]["planned_at"])


async def test_a_release_that_names_another_fire_releases_nothing(api: Api) -> None:
    path, planned_at = await _held_by_a_stop(api, Schedule())
    for other in ("2020-01-01T00:00:00+08:00", (planned_at + timedelta(seconds=1)).isoformat()):
        refused = await api.post(f"{path}/release", OPERATOR, {"planned_at": other})
        assert (refused.status, refused.json["type"]) == (409, "/problems/not_held"), refused.body
    assert (await api.get(path, OPERATOR)).json["state"] == "held"
    assert await _tick(api) == 0
    body = {"planned_at": planned_at.isoformat()}
    released = await api.post(f"{path}/release", OPERATOR, body)
    assert released.status == 200, released.body
    assert await _tick(api) == 1


@pytest.mark.parametrize(
    ("after", "code", "kinds"),
    [
        (timedelta(seconds=5), "stopped", ["fire.held", "fire.released"]),
        (timedelta(minutes=15), "stopped", ["fire.held", "fire.released"]),
        (timedelta(minutes=16), "late", ["fire.held", "fire.released", "fire.late"]),
    ],
)
async def test_a_fire_that_is_released_in_time_is_not_late(
    api: Api, after: timedelta, code: str, kinds: list[str]
) -> None:
    planned_at = api.clock.at + timedelta(hours=1)
    path, _ = await _held_by_a_stop(api, Schedule("once", planned_at))
    api.clock.at = planned_at + after
    assert (await api.post(f"{path}/release", OPERATOR, {})).status == 200
    assert await _tick(api) == 1
    assert await _fires(api, path) == [("fired", code)]
    report = (await api.get(f"{path}/report", OPERATOR)).json
    assert (report["fires"], report["not_sent"]) == ({"fired": 1}, [])
    found = [one["kind"] for one in report["interruptions"]]
    assert [kind for kind in found if kind.startswith("fire.")] == kinds


async def test_whoever_approves_too_late_is_asked_as_well(api: Api) -> None:
    team, now = api.teams["county"], api.clock.at
    once = Schedule("once", now + timedelta(hours=1), late="hold")
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, team.operator, now=now, schedule=once)
        await approval.submit(conn, team.operator, draft.id, now)
    path = f"/campaigns/{draft.id}"
    api.clock.at = now + timedelta(hours=2)
    await _tick(api)
    assert await _fires(api, path) == [("missed", "pending_approval")]
    refused = await api.post(f"{path}/approve", APPROVER, {})
    assert refused.json["type"] == "/problems/fires_were_missed"
    assert (await api.get(path, OPERATOR)).json["state"] == "pending_approval"
    approved = await api.post(f"{path}/approve", APPROVER, {"missed": "run"})
    assert approved.json["state"] == "scheduled"
    assert await _tick(api) == 1
    assert await _fires(api, path) == [("fired", "late")]


async def test_an_edit_ends_what_was_held(api: Api) -> None:
    path = await _weekly(api)
    api.clock.at = _at("2027-01-13T10:00")
    assert await _tick(api) == 0
    assert await _fires(api, path) == [("held", "late")]
    edited = await api.patch(path, OPERATOR, {"priority": "urgent"})
    assert edited.json["held_fires"] == []
    assert await _fires(api, path) == [("skipped", "edited")]
    api.clock.at = _at("2027-01-20T10:00")
    await _tick(api)
    assert await _fires(api, path) == [("skipped", "edited"), ("missed", "edited")]
