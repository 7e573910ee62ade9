"""The switch over HTTP: who may, what is held meanwhile, and the record of it."""

import pytest

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.runs.firing import fire_due
from service.campaigns.stops import stop_store
from service.campaigns.stops.stop_all import hold_all
from service.campaigns.stops.stop_store import KnownGap, MissingTexts
from service.storage.postgres import transaction
from tests.factories import make_scheduled
from tests.harness.channels import channel
from tests.harness.direct_texts import send
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
SCHOOL = ("school", "operator")


async def test_everything_is_stopped_held_lifted_and_recorded(api: Api) -> None:
    now = api.clock.at
    async with transaction(api.runtime.pool) as conn:
        campaign = await make_scheduled(conn, api.teams["school"], now=now, schedule=Schedule())
    seen = (await api.get("/stop-all", OPERATOR)).json
    assert seen == {"stopped": False, "stop": None, "queued_before": None}
    assert (await api.post("/stop-all/lift", OPERATOR, {"reason": "r"})).status == 409

    stopped = await api.post("/stop-all", OPERATOR, {"reason": "wrong hotline"})
    assert stopped.status == 200, stopped.body
    again = await api.post("/stop-all", APPROVER, {"reason": "me too"})
    assert again.json == stopped.json
    assert stopped.json["stop"]["stopped_by"] == str(api.teams["county"].operator.id)
    seen = await api.get("/stop-all", ("school", "viewer"))
    assert seen.json["stop"]["reason"] == "wrong hotline"

    assert await fire_due(api.runtime.pool, now) == []
    shown = (await api.get(f"/campaigns/{campaign.id}", ("school", "operator"))).json
    assert shown["state"] == "held"
    assert "wrong hotline" in shown["moves"][-1]["reason"]
    release = f"/campaigns/{campaign.id}/release"
    refused = await api.post(release, ("school", "operator"))
    assert refused.status == 409
    assert refused.json["type"].endswith("everything_is_stopped")

    lifted = await api.post("/stop-all/lift", APPROVER, {"reason": "corrected"})
    assert lifted.json["stopped"] is False
    assert lifted.json["stop"]["lifted_by"] == str(api.teams["county"].approver.id)
    assert (await api.post(release, ("school", "operator"))).json["state"] == "scheduled"
    assert len(await fire_due(api.runtime.pool, now)) == 1

    await api.post("/stop-all", OPERATOR, {"reason": "again"})
    record = (await api.get("/stop-all/record", OPERATOR)).json["items"]
    assert [(r["reason"], r["lift_reason"]) for r in record] == [
        ("again", None),
        ("wrong hotline", "corrected"),
    ]


async def test_what_may_have_left_is_told_beforehand_and_becomes_uncertain(api: Api) -> None:
    """Of a database that was restored: how much is missing where, and how many may have left."""
    number = await channel(api, "移动", "china_mobile", "china_unicom", "china_telecom")
    made = await send(api, ["19790000001", "19790000002"])
    assert made.json["accepted"] == 2, made.body
    pool, now = api.runtime.pool, api.clock.at
    async with transaction(pool) as conn:
        await stop_store.beat(conn, await stop_store.present_cluster(conn), now)
        await hold_all(conn, "restored", now, KnownGap([MissingTexts(number, 1, 7)], now))
        await stop_store.begin_era(conn)
    assert (await api.get("/stop-all", OPERATOR)).json["queued_before"] is None
    seen = (await api.get("/stop-all?count=true", OPERATOR)).json
    assert seen["queued_before"] == 2
    assert seen["stop"]["missing"] == [
        {"channel_id": number, "channel": "移动", "slot": 1, "texts": 7}
    ]
    assert seen["stop"]["gap_from"] is not None
    wrong = {"reason": "r", "direct_runs": "guess"}
    assert (await api.post("/stop-all/lift", OPERATOR, wrong)).status == 422
    lifted = await api.post("/stop-all/lift", OPERATOR, {"reason": "looked"})
    assert (lifted.status, lifted.json["uncertain"]) == (200, 2)
    listed = (await api.get("/uncertain", SCHOOL)).json["items"]
    assert [item["attempt"] for item in listed] == [1, 1]
    seen = (await api.get(f"/messages/{made.json['ids'][0]}", SCHOOL)).json
    assert (seen["state"], seen["reason"]) == ("uncertain", "restored")


@pytest.mark.attack
async def test_a_stop_needs_a_reason_and_a_department_that_may(api: Api) -> None:
    assert (await api.post("/stop-all", OPERATOR, {"reason": " "})).status == 422
    refused = await api.post("/stop-all", ("school", "admin"), {"reason": "r"})
    assert refused.status == 403
    assert "carrier or county or police" in refused.json["detail"]
