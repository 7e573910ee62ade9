"""Agreeing to what is deleted after the clock has jumped: who may, to what, and what is noted."""

import json
from datetime import timedelta

import pytest

from service.privacy import clock_watch_store
from service.privacy.clock_watch import Watch
from service.storage.postgres import transaction
from tests.integration.api.conftest import Api

ADMIN, SCHOOL = ("county", "admin"), ("school", "admin")
pytestmark = pytest.mark.attack


async def jumped(api: Api) -> str:
    """The clock has jumped, that has lasted, and much is due; returns the jump's instant."""
    now = api.clock.at
    watch = Watch(now, now - timedelta(days=900), now - timedelta(days=2))
    async with transaction(api.runtime.pool) as conn:
        await clock_watch_store.write_stand(conn, watch, "needs_agreement", {"guests": (9, 10)})
    shown = (await api.get("/privacy/retention", ADMIN)).json
    assert shown["held_for"] == "needs_agreement"
    assert shown["due"] == [{"kind": "guests", "due": 9, "total": 10}]
    instant: str = shown["jumped_at"]
    return instant


async def test_the_countys_administrator_agrees_and_that_is_noted(api: Api) -> None:
    at = await jumped(api)
    (waiting,) = [
        kind
        for kind in (await api.get("/work", ADMIN)).json["items"]
        if kind["kind"] == "retention"
    ]
    assert waiting["items"][0]["plain"]["zh"].endswith("须县级管理员确认。")
    answer = await api.post("/privacy/retention/agree", ADMIN, {"jumped_at": at})
    assert answer.status == 200, answer.body
    assert answer.json["agreed_by"] == str(api.teams["county"].admin.id)
    async with api.runtime.pool.acquire() as conn:
        assert (await clock_watch_store.read_stand(conn)).watch.agreed
        act = await conn.fetchrow(
            "SELECT * FROM audit_entries WHERE action = 'agree_to_retention' ORDER BY id DESC"
        )
        assert act is not None
    assert act["actor_id"] == api.teams["county"].admin.id
    assert act["details"]["due"] == {"guests": 9}
    assert "jumped_from" in json.dumps(act["details"])


async def test_nobody_else_agrees_nor_to_another_jump_nor_to_nothing(api: Api) -> None:
    nothing = await api.post(
        "/privacy/retention/agree", ADMIN, {"jumped_at": "2027-01-12T00:00:00Z"}
    )
    assert (nothing.status, nothing.json["type"]) == (409, "/problems/nothing_to_agree_to")
    at = await jumped(api)
    for who in (SCHOOL, ("county", "operator"), ("county", "approver"), ("county", "inspector")):
        refused = await api.post("/privacy/retention/agree", who, {"jumped_at": at})
        assert refused.status == 403, who
    other = await api.post("/privacy/retention/agree", ADMIN, {"jumped_at": "2027-01-12T00:00:00Z"})
    assert (other.status, other.json["type"]) == (409, "/problems/changed_meanwhile")
    async with api.runtime.pool.acquire() as conn:
        assert not (await clock_watch_store.read_stand(conn)).watch.agreed
