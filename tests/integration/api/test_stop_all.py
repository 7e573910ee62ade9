"""The switch over HTTP: who may, what is held meanwhile, and the record of it."""

import pytest

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.runs.firing import fire_due
from service.storage.postgres import transaction
from tests.factories import make_scheduled
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")


async def test_everything_is_stopped_held_lifted_and_recorded(api: Api) -> None:
    now = api.clock.at
    async with transaction(api.runtime.pool) as conn:
        campaign = await make_scheduled(conn, api.teams["school"], now=now, schedule=Schedule())
    assert (await api.get("/stop-all", OPERATOR)).json == {"stopped": False, "stop": None}
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


@pytest.mark.attack
async def test_a_stop_needs_a_reason_and_a_department_that_may(api: Api) -> None:
    assert (await api.post("/stop-all", OPERATOR, {"reason": " "})).status == 422
    refused = await api.post("/stop-all", ("school", "admin"), {"reason": "r"})
    assert refused.status == 403
    assert "carrier or county or police" in refused.json["detail"]
