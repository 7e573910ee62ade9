"""Obligations, their duties, and what is told of them, for tests of everything that reads them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.clock import CHINA
from service.duties.owing import OwedTurn, owe
from service.reports.weekly.packs import build_next, make_due
from service.storage.postgres import transaction
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

COUNTY, SCHOOL = ("county", "operator"), ("school", "operator")
WEEKLY = {
    "kind": "weekly_report",
    "title": "周报",
    "period": "week",
    "due": {"weekday": "FR", "time": "16:00"},
}
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FRIDAY = datetime(2027, 1, 15, 16, tzinfo=CHINA)
"""When the duty of the week in which tests begin is due."""

TEXTS = {
    "reminder": "【{0}】{{单位}}：{{事项}}请于{{日期}}{{时间}}前报送。",
    "late": "【{0}】{{单位}}：{{事项}}已到期未报，请尽快报送。",
    "leader": "【{0}】{{单位}}：{{事项}}逾期未报，请督促。",
    "office": "【{0}】{{单位数}}家单位共{{项数}}项未报，请查看催报名单。",
    "missed": "【{0}】{{单位}}：{{事项}}连续两期未报。",
}
PEOPLE = {
    "liaison": {"name": "李四", "phone": "19790000101"},
    "leader": {"name": "王小明", "phone": "19790000102"},
}
COUNTY_PEOPLE = {
    "liaison": {"name": "赵六", "phone": "19790000103"},
    "leader": {"name": "孙七", "phone": "19790000104"},
}


async def set_obligation(api: Api, who: tuple[str, str] = COUNTY, **more: Any) -> str:
    """An obligation of the school's, weekly, unless it is said otherwise."""
    whose = {"departments": [str(api.teams["school"].department_id)]}
    if more.keys() & {"departments", "kinds"}:
        whose = {}
    answer = await api.post("/obligations", who, WEEKLY | whose | more)
    assert answer.status == 201, answer.body
    found: str = answer.json["id"]
    return found


async def name_people(api: Api) -> None:
    """A liaison and a leader of the school and of the county, and a channel to them."""
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at, tps=100)
    for team, people in (("school", PEOPLE), ("county", COUNTY_PEOPLE)):
        path = f"/departments/{api.teams[team].department_id}/people"
        answer = await api.call("PUT", path, (team, "admin"), json=people)
        assert answer.status == 200, answer.body


async def choose_texts(api: Api) -> None:
    """An approved text of the county's for each kind of step."""
    department = api.teams["county"].department_id
    signature = "旌德县反诈中心"
    named = {"signature": signature}
    answer = await api.patch(f"/departments/{department}", ("county", "admin"), named)
    assert answer.status == 200, answer.body
    for kind, text in TEXTS.items():
        body = {"name": f"催报 {kind}", "class": "service", "text": text.format(signature)}
        made = await api.post("/templates", COUNTY, body)
        assert made.status == 201, made.body
        template = made.json["id"]
        path = f"/templates/{template}/approve"
        read = [one["rule"] for one in made.json["lint"] if one["level"] == "review"]
        approval = {"version": 1, "acknowledged": read}
        approved = await api.post(path, ("county", "approver"), approval)
        assert approved.status == 200, approved.body
        choice = {"kind": kind, "template_id": template}
        chosen = await api.call("PUT", "/obligations/texts", COUNTY, json=choice)
        assert chosen.status == 200, chosen.body


async def turn(api: Api, at: datetime | None = None) -> OwedTurn:
    """What the scheduler does each minute, at an instant."""
    if at is not None:
        api.clock.at = at
    return await owe(api.runtime.pool, api.runtime.keyring, api.clock.at)


async def duties(api: Api, who: tuple[str, str] = COUNTY, query: str = "") -> list[Any]:
    """The duties that somebody sees, the latest first."""
    answer = await api.get(f"/duties{query}", who)
    assert answer.status == 200, answer.body
    found: list[Any] = answer.json["items"]
    return found


async def steps(api: Api, duty: str, who: tuple[str, str] = COUNTY) -> dict[str, str]:
    """The steps that were taken of a duty: told, untold, or why nobody was told."""
    answer = await api.get(f"/duties/{duty}", who)
    assert answer.status == 200, answer.body
    return {
        one["step"]: one["skipped"] or ("told" if one["run_id"] else "untold")
        for one in answer.json["steps"]
    }


async def texts(api: Api) -> list[tuple[str, str]]:
    """What was written to whom of duties, by the last digits of the number, in order."""
    rows = await api.runtime.pool.fetch(
        "SELECT r.text, m.phone_cipher, m.state::text FROM runs r JOIN messages m"
        " ON m.run_id = r.id WHERE r.kind = 'direct' ORDER BY r.created_at, r.id, m.no"
    )
    return [
        (api.runtime.keyring.decrypt("phone", row["phone_cipher"])[-3:], row["state"])
        for row in rows
    ]


async def add_duty(api: Api, team: str = "county", state: str = "open") -> tuple[UUID, UUID]:
    """An obligation that a department asks of itself, and a duty of it in a state, which its
    operator has handed in where that is needed; returns their ids.
    """
    asks, now = api.teams[team], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        obligation = await conn.fetchval(
            "INSERT INTO obligations (setter_id, departments, kind, title, period, due_weekday,"
            " due_time, shift, from_on, remind, rungs, set_by, set_at, next_on, calendar_version)"
            " VALUES ($1, ARRAY[$1::uuid], 'custom', '台账', 'week', 5, '16:00', 'none', $3, '{}',"
            " '{}', $2, $4, $3, 0) RETURNING id",
            asks.department_id,
            asks.operator.id,
            FRIDAY.date(),
            now,
        )
        duty = await conn.fetchval(
            "INSERT INTO duties (obligation_id, department_id, period, setter_id, kind, first_on,"
            " last_on, due_at, holiday_week, official, state, submitted_at) VALUES ($1, $2,"
            " '2027-W02', $2, 'custom', $3, $3, $4, false, true, $5,"
            " CASE WHEN $5 <> 'open' THEN $6::timestamptz END) RETURNING id",
            obligation,
            asks.department_id,
            FRIDAY.date(),
            FRIDAY,
            state,
            now,
        )
        if state != "open":
            await conn.execute(
                "INSERT INTO duty_reports (duty_id, no, narrative, figures, as_of, sha256,"
                " submitted_by, submitted_at) VALUES ($1, 1, 'n', '', $2, sha256(''), $3, $2)",
                duty,
                now,
                asks.operator.id,
            )
    return obligation, duty


async def prepare_duties(api: Api, bodies: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What each operation on obligations and duties needs."""
    bodies["choose_duty_text"] = {"kind": "late", "template_id": ""}
    bodies["return_duty"] = {"reason": "r", "due_at": "2027-03-01T12:00:00+08:00"}
    text = {"name": "催报", "class": "service", "text": "【旌德县反诈中心】请尽快报送。"}
    made = (await api.post("/templates", COUNTY, text)).json["id"]
    approved = await api.post(f"/templates/{made}/approve", ("county", "approver"), {"version": 1})
    assert approved.status == 200, approved.body
    bodies["edit_obligation"] = {"title": "台账（新）"}

    async def some(state: str = "open") -> list[tuple[str, str]]:
        found = [await add_duty(api, state=state) for _ in range(3)]
        return [(str(obligation), str(duty)) for obligation, duty in found]

    found = {
        f"duty_id of {name}": [{"duty_id": duty} for _, duty in await some(state)]
        for name, state in (
            ("submit_duty", "open"),
            ("excuse_duty", "open"),
            ("return_duty", "submitted"),
            ("accept_duty", "submitted"),
        )
    }
    return found | {
        "template_id of choose_duty_text": [{"template_id": made}] * 3,
        "obligation_id of end_obligation": [{"obligation_id": one} for one, _ in await some()],
    }


async def prepare_pack(api: Api) -> None:
    """The pack of this week, as it will be built a minute after the deadline."""
    now = api.clock.at
    due = (now + timedelta(days=1)).astimezone(CHINA)
    await set_obligation(api, due={"weekday": DAYS[due.weekday()], "time": "23:00"}, shift="none")
    await turn(api)
    api.clock.at = due.replace(hour=23, minute=1)
    runtime = api.runtime
    assert await make_due(runtime.pool, api.clock.at)
    assert await build_next(runtime.pool, runtime.keyring, api.clock, runtime.settings)
    api.clock.at = now


async def made_duty(api: Api, team: str = "school", **more: Any) -> UUID:
    """A duty of a department in its first week."""
    department = str(api.teams[team].department_id)
    await set_obligation(api, departments=[department], **more)
    await turn(api)
    found = await duties(api, (team, "operator"), "?mine=true")
    return UUID(found[0]["id"])
