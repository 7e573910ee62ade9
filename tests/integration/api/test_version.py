"""ETag and If-Match: of two who edit what both have seen, one is told."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from service.api.examples import EXAMPLES
from service.api.routes import OPS
from service.audience.areas.area_store import load_areas
from service.storage.postgres import transaction
from tests.factories import make_draft
from tests.harness.channels import BODY as CHANNEL
from tests.harness.chats import add_group
from tests.harness.waiting import until_blocked
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")
HOOK = {"url": "https://sms.example.gov.cn/tocsin", "events": ["run.finished"]}
EDITS: dict[str, dict[str, Any]] = {
    "PATCH /departments/{department_id}": {"weight": 33},
    "PATCH /users/{user_id}": {"name": "n"},
    "PATCH /segments/{segment_id}": {"name": "n"},
    "PATCH /campaigns/{campaign_id}": {"name": "n"},
    "PATCH /channels/{channel_id}": {"name": "n"},
    "PATCH /rosters/{name}": {"purpose": "n"},
    "PATCH /areas/{code}": {"population": 7},
    "PATCH /contacts/{contact_id}": {"tags": ["t"]},
    "PATCH /webhooks/{webhook_id}": {"enabled": False},
    "PATCH /obligations/{obligation_id}": {"title": "n"},
    "PATCH /groups/{group_id}": {"members": 7},
    "PUT /lint/rules": {"levels": {"R14": "review"}, "reason": "r"},
    "PUT /departments/{department_id}/sender": {"landlines": ["0563-8022110"], "reason": "r"},
    "PUT /fraud-types": EXAMPLES["set_fraud_types"],
    "PUT /holidays": {"reason": "r"},
    "PUT /send-hours": {"reason": "r"},
    "PUT /templates/{template_id}/filings": {"version": 1, "state": "filed"},
}


async def address(api: Api, path: str) -> str:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
        await load_areas(conn)
    channel = await api.post("/channels", ADMIN, CHANNEL)
    town = {"parent": "341825000000", "name": "新镇", "code": "341825199000"}
    assert (await api.post("/areas", ADMIN, town)).status == 201
    members = {"members": [{"phone": "19790000001"}]}
    assert (await api.call("PUT", "/rosters/r/members", ADMIN, json=members)).status == 200
    hook = await api.post("/webhooks", ADMIN, HOOK)
    contacts = await api.get("/contacts", ADMIN)
    obligation = await api.post("/obligations", ADMIN, EXAMPLES["set_obligation"])
    assert obligation.status == 201, obligation.body
    group = await add_group(api)
    return path.format(
        department_id=api.teams["county"].department_id,
        user_id=api.teams["county"].viewer.id,
        segment_id=draft.plan.segment_id,
        campaign_id=draft.id,
        channel_id=channel.json["id"],
        name="r",
        code=town["code"],
        contact_id=contacts.json["items"][0]["id"],
        webhook_id=hook.json["id"],
        template_id=draft.plan.template_id,
        obligation_id=obligation.json["id"],
        group_id=group,
    )


async def patch(api: Api, path: str, body: object, tag: str) -> Answer:
    return await api.call("PATCH", path, ADMIN, json=body, headers={"If-Match": tag})


def test_every_edit_has_a_reader() -> None:
    readers = {op.path for op in OPS if op.method == "GET"}
    assert {op.path for op in OPS if op.is_edit} <= readers
    assert {*EDITS} == {f"{op.method} {op.path}" for op in OPS if op.is_edit}


def test_an_edit_answers_with_what_its_reader_shows() -> None:
    """Otherwise the version that it gives is of something that nobody can read."""
    shown = {op.path: op.out for op in OPS if op.method == "GET"}
    assert {op.path: op.out for op in OPS if op.is_edit} == {
        op.path: shown[op.path] for op in OPS if op.is_edit
    }


async def _body(api: Api, route: str) -> dict[str, Any]:
    """What is sent, with what depends on what is there."""
    body = EDITS[route]
    if route == "PUT /send-hours":
        shown = (await api.get("/send-hours", ADMIN)).json
        shown["classes"]["public_interest"]["allowed"] = [["10:00", "19:00"]]
        return body | {name: shown[name] for name in ("classes", "audiences")}
    if route.endswith("/filings"):
        return body | {"channel_id": (await api.get("/channels", ADMIN)).json["items"][0]["id"]}
    return body


@pytest.mark.parametrize("route", EDITS)
async def test_an_edit_of_what_has_changed_is_refused(api: Api, route: str) -> None:
    method, path = route.split()
    where = await address(api, path)
    body = await _body(api, route)

    async def edit(**headers: str) -> Answer:
        return await api.call(method, where, ADMIN, json=body, headers=headers)

    seen = await api.get(where, ADMIN)
    tag = seen.headers["ETag"]
    api.clock.at += timedelta(seconds=1)
    assert (await api.get(where, ADMIN)).headers["ETag"] == tag, "a second is no change"
    refused = await edit(**{"If-Match": '"other"'})
    assert (refused.status, refused.json["type"].rpartition("/")[2]) == (412, "stale")
    assert (await api.get(where, ADMIN)).headers["ETag"] == tag
    edited = await edit(**{"If-Match": f'"other", {tag}'})
    assert edited.status == 200, edited.body
    assert edited.headers["ETag"] != tag
    assert edited.headers["ETag"] == (await api.get(where, ADMIN)).headers["ETag"]
    assert (await edit(**{"If-Match": tag})).status == 412
    assert (await edit(**{"If-Match": "*"})).status == 200
    assert (await edit()).status == 200
    now = await api.get(where, ADMIN)
    assert now.headers["ETag"] == (await api.get(where, ADMIN)).headers["ETag"]
    known = await api.get(where, ADMIN, headers={"If-None-Match": now.headers["ETag"]})
    assert (known.status, known.body) == (304, b"")


async def test_of_two_at_once_one_is_told(api: Api) -> None:
    where = await address(api, "/departments/{department_id}")
    tag = (await api.get(where, ADMIN)).headers["ETag"]
    async with transaction(api.runtime.pool) as conn:  # nobody writes before both have read
        await conn.execute("SELECT FROM departments FOR UPDATE")
        both = [
            asyncio.create_task(patch(api, where, {"weight": weight}, tag)) for weight in (40, 41)
        ]
        await until_blocked(api.runtime.pool, *both)
    answers = await asyncio.gather(*both)
    assert sorted(answer.status for answer in answers) == [200, 412]


async def test_what_is_not_there_has_no_version(api: Api) -> None:
    nobody = "/users/00000000-0000-0000-0000-000000000000"
    assert (await patch(api, nobody, {"name": "n"}, "*")).status == 404
