"""Campaigns of the county over the API, each with a text and a segment of its own."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.audience.suppressions.suppression_store import insert_suppressions
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import transaction
from tests.factories import RULE, TEXT, make_contact, make_scheduled, phone, suppression
from tests.harness.ledger import add_channel, lift_caps
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")
WEEK = timedelta(weeks=1)
MOBILE, UNICOM = "china_mobile", "china_unicom"
SECOND = "【旌德县反诈中心】自称客服要退款、让你共享屏幕的，都是诈骗，请拨打96110。"


async def planned(api: Api, **changes: Any) -> str:
    """A draft of the county's operator, to everybody."""
    template = await api.post("/templates", OPERATOR, {"name": "反诈", "text": TEXT})
    assert template.status == 201, template.body
    segment = await api.post("/segments", OPERATOR, {"name": "全体", "rule": RULE})
    assert segment.status == 201, segment.body
    body = {
        "name": "反诈宣传",
        "template_id": template.json["id"],
        "segment_id": segment.json["id"],
        **changes,
    }
    made = await api.post("/campaigns", OPERATOR, body)
    assert made.status == 201, made.body
    assert made.json["state"] == "draft"
    return str(made.json["id"])


async def act_on(api: Api, who: tuple[str, str], campaign: str, act: str, body: Any = None) -> Any:
    """Carry out an act on a campaign, which must succeed; the campaign after it."""
    answer = await api.post(f"/campaigns/{campaign}/{act}", who, body)
    assert answer.status == 200, answer.body
    return answer.json


async def weekly_campaign(api: Api, weeks: int = 3) -> tuple[UUID, list[UUID]]:
    """A weekly plan of the school with two texts in turn to six people of two carriers, of whom one
    has opted out; and its runs. The first is on Monday, 25 January, while it
    is Sunday in UTC.
    """
    pool, team = api.runtime.pool, api.teams["school"]
    start = datetime.fromisoformat("2027-01-25T07:30:00+08:00")
    async with transaction(pool) as conn:
        await lift_caps(conn)
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        for n in range(6):
            await make_contact(
                conn,
                api.runtime.keyring,
                team.department_id,
                n,
                now=api.clock.at,
                carrier=UNICOM if n < 2 else MOBILE,
            )
        out = api.runtime.keyring.phone_index(phone(5))
        await insert_suppressions(conn, [out], suppression("opted_out"), api.clock.at)
        plan = Schedule("recurring", start, rrule=f"FREQ=WEEKLY;COUNT={weeks}")
        campaign = await make_scheduled(
            conn, team, now=api.clock.at, schedule=plan, further=[(SECOND, None)]
        )
        await conn.execute(
            "UPDATE templates SET topic = 'T01' WHERE id = $1", campaign.plan.template_id
        )
    runs = []
    for week in range(weeks):
        api.clock.at = start + week * WEEK
        (run,) = await fire_due(pool, api.clock.at)
        runs.append(run)
        await expand_run(pool, run, api.clock.at)
    return campaign.id, runs
