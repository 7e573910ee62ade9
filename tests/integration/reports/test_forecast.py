"""The plan around the Spring Festival of 2027, beside others of the office: what was told of each
fire when it was submitted is what came.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.runtime import Runtime
from service.simulator.carrier.config import Profile
from service.simulator.carrier.outcomes import fates
from tests.harness.clocks import MovedClock
from tests.harness.county import County, at_work
from tests.integration.api.conftest import Api
from tests.integration.reports.conftest import SHANGHAI

pytestmark = pytest.mark.slow  # a month's fires, forecast and sent

ADMIN, OPERATOR, APPROVER = (("county", role) for role in ("admin", "operator", "approver"))
WORDS = [
    "【旌德县公安局】欢迎回家！当心“退改签补偿”“代抢车票”骗局，请走官方渠道购票，疑问拨96110。",
    "【旌德县公安局】“出国打工月入数万”多是骗局，求职请走正规渠道，拿不准拨96110。",
    "【旌德县公安局】先做小任务返小钱、再让垫付大单的，都是刷单诈骗。拿不准拨96110。",
]
OTHER_WORDS = [
    "【旌德县公安局】正规贷款放款前不收钱，先交保证金的网贷一律是骗局，咨询96110。",
    "【旌德县公安局】群里“老师”带单、稳赚不赔，都是虚假投资，先问家人，再问96110。",
]
LISTS = {
    "全县": ["returnee", "resident"],
    "短期": ["returnee", "resident"],
    "外地": ["returnee"],
    "常住": ["resident"],
}
"""Who is on which list, by roles: 280 and 12 returnees who live here, 12 who do not, 40 residents;
the second list ends between the fires.
"""
NUMBERS = {
    "全县": range(1, 281),
    "短期": range(281, 293),
    "外地": range(293, 305),
    "常住": range(305, 345),
}
REFUSES = 7


PROFILE: Profile = "carrier"
REACHED = [
    number
    for number in range(19790000001, 19790000601)
    if fates(PROFILE, 341825, "china_mobile")(f"+86{number}").fate == "delivered"
]
"""Numbers that work: what a carrier says of dead ones nobody can foretell."""


def phone(number: int) -> str:
    return f"{REACHED[number]}"


class Office:
    def __init__(self, api: Api) -> None:
        self.api = api

    async def post(self, path: str, body: Any, who: tuple[str, str] = OPERATOR) -> Any:
        answer = await self.api.post(path, who, body)
        assert answer.status < 300, (path, answer.body)
        return answer.json

    async def get(self, path: str, who: tuple[str, str] = OPERATOR) -> Any:
        answer = await self.api.get(path, who)
        assert answer.status == 200, (path, answer.body)
        return answer.json

    async def people(self) -> None:
        for name, roles in LISTS.items():
            members = [{"phone": phone(n), "roles": roles} for n in NUMBERS[name]]
            ends = "2027-02-05" if name == "短期" else "2027-12-31"
            body = {"members": members, "basis": "duty", "expires_on": ends}
            answer = await self.api.call("PUT", f"/rosters/{name}/members", OPERATOR, json=body)
            assert answer.json["added"] == len(members), answer.body
        await self.post("/suppressions", {"phones": [phone(REFUSES)], "reason": "opted_out"})

    async def submitted(self, name: str, rule: str, words: list[str], **more: Any) -> Any:
        templates = [
            await self.post(
                "/templates", {"name": f"{name} {no}", "class": "public_interest", "text": text}
            )
            for no, text in enumerate(words)
        ]
        segment = await self.post("/segments", {"name": name, "rule": rule})
        body = {
            "name": name,
            "template_id": templates[0]["id"],
            "more_texts": [{"template_id": one["id"]} for one in templates[1:]],
            "segment_id": segment["id"],
        }
        made = await self.post("/campaigns", body | more)
        return await self.post(f"/campaigns/{made['id']}/submit", {})

    async def approve(self, campaign: Any) -> None:
        read: dict[str, list[str]] = {"acknowledged": []}
        await self.post(f"/campaigns/{campaign['id']}/approve", read, APPROVER)


def once(at: str, minutes: int = 240) -> dict[str, Any]:
    return {"kind": "once", "start_at": at, "validity_minutes": minutes}


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own
async def test_what_is_told_of_each_fire_is_what_comes(
    api: Api, runtime: Runtime, clock: MovedClock, tmp_path: Path
) -> None:
    office = Office(api)
    async with at_work(runtime, clock, tmp_path, PROFILE) as county:
        for carrier in county.carriers.values():
            await office.post("/channels", carrier.channel(), ADMIN)
        await office.people()
        weekly = await office.submitted(
            "每周",
            "role = resident",
            [OTHER_WORDS[0], WORDS[2], OTHER_WORDS[1]],
            schedule={
                "kind": "recurring",
                "start_at": "2027-01-20T09:30:00+08:00",
                "rrule": "FREQ=WEEKLY;BYDAY=WE;COUNT=3",
            },
        )
        await office.approve(weekly)
        for name, rule, text, at in (
            # The day before the first fire, at noon: they have room in the afternoon.
            ("前一天", "roster = 短期", "一", "2027-01-16T12:00:00+08:00"),
            # The evening before the second, and in time: it is out of use by the time.
            ("前一晚", "roster = 外地", "二", "2027-01-30T17:00:00+08:00"),
        ):
            words = f"【旌德县公安局】提醒{text}：不轻信、不透露、不转账，拿不准拨96110。"
            await office.approve(await office.submitted(name, rule, [words], schedule=once(at)))
        around = await office.post("/schedules/festival", {"preset": "returnees", "year": 2027})
        schedule = around["schedule"] | {"validity_minutes": 240}
        preset = await office.submitted(
            "返乡", "role = returnee", WORDS, schedule=schedule, period=around["period"]
        )
        told = preset["forecast"]["fires"]
        assert (await office.get(f"/campaigns/{preset['id']}", APPROVER))["forecast"] == {
            "fires": told,
            "plans_left_out": 0,
        }
        seen = (await office.get(f"/campaigns/{preset['id']}/preview", APPROVER))["forecast"]
        assert seen["fires"] == told
        _check_told(told, weekly["id"], preset["schedule_notes"])
        await office.approve(preset)
        await _through_the_festival(county)
    runs = (await office.get(f"/campaigns/{preset['id']}/runs?limit=10"))["items"][::-1]
    reports = [await office.get(f"/runs/{run['id']}/report") for run in runs]
    assert [(r["target"], r["excluded"]) for r in reports] == [
        (fire["target"], fire["excluded"]) for fire in told
    ]
    assert [run["text_no"] for run in runs] == [fire["text_no"] for fire in told]
    for report, fire in zip(reports, told, strict=True):
        assert report["states"].get("suppressed", 0) == fire["stopped"]
        assert sum(report["states"].values()) == fire["target"]
    texts = await runtime.pool.fetchval(
        "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id"
        " WHERE r.campaign_id = $1 AND m.marked_at > r.fire_at + interval '1 hour'"
        " AND m.attempt = 1",
        preset["id"],
    )
    assert texts == sum(fire["waits"] for fire in told) == 12


def _check_told(told: Any, weekly: str, notes: list[str]) -> None:
    assert [(f["fires_at"][:10], f["target"], f["excluded"]) for f in told] == [
        ("2027-01-17", 303, {"opted_out": 1}),
        ("2027-01-31", 291, {"capped": 12, "opted_out": 1}),
        ("2027-02-14", 12, {"same_text": 279, "opted_out": 1}),
    ]
    assert [f["waits"] for f in told] == [12, 0, 0]
    assert [f["stopped"] for f in told] == [0, 0, 0]
    assert all(f["exact"] for f in told)
    (cause,) = told[2]["same_text"]
    assert (cause["campaign_id"], cause["name"], cause["people"]) == (weekly, "每周", 279)
    (note,) = [note for note in notes if "2027-02-14" in note]
    assert "Of the 292 people" in note
    assert "12 are in its run" in note
    assert "279 from 每周" in note


async def _through_the_festival(county: County) -> None:
    """Each day from 9 January to 20 February at the hours at which something may fire or leave."""
    day = datetime(2027, 1, 9, tzinfo=SHANGHAI)
    while day < datetime(2027, 2, 20, tzinfo=SHANGHAI):
        for hour in (9.5, 12, 12.5, 17):
            county.clock.move(day + timedelta(hours=hour))
            if await county.tick() or hour == 12.5:
                await county.drain()
        day += timedelta(days=1)
