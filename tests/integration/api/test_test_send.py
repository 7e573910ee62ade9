"""A text to the approver's own phone, which a release to very many people needs."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.campaigns import approval
from service.errors import Conflict
from service.storage.postgres import transaction
from tests.factories import make_contact, make_draft, phone
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
MINE = phone(7)


async def _submitted(
    api: Api, text: str = "【旌德县反诈中心】{姓名}，陌生人要转账的都是诈骗，拨96110。"
) -> str:
    team = api.teams["county"]
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        for n in range(3):
            await make_contact(conn, api.runtime.keyring, team.department_id, n, now=api.clock.at)
        draft = await make_draft(conn, team.operator, now=api.clock.at, text=text)
        await approval.submit(conn, team.operator, draft.id, api.clock.at)
    return str(draft.id)


async def _own_phone(api: Api, who: tuple[str, str] = APPROVER) -> None:
    answer = await api.call("PUT", "/account/phone", who, json={"phone": MINE})
    assert answer.status == 200
    assert answer.json["phone"] != MINE


async def test_the_text_goes_to_the_own_phone_alone_and_is_counted_apart(api: Api) -> None:
    campaign = await _submitted(api)
    await _own_phone(api)
    sent = await api.post(f"/campaigns/{campaign}/test-send", APPROVER)
    assert sent.status == 202, sent.body
    run = (await api.get(f"/runs/{sent.json['run_id']}", OPERATOR)).json
    assert (run["mode"], run["target"], run["state"]) == ("test", 1, "running")
    async with transaction(api.runtime.pool) as conn:
        row = await conn.fetchrow("SELECT * FROM messages")
        text = await conn.fetchval("SELECT text FROM runs")
        stored = await conn.fetchval(
            "SELECT phone_cipher FROM users WHERE phone_cipher IS NOT NULL"
        )
    assert row is not None
    assert api.runtime.keyring.decrypt("phone", row["phone_cipher"]) == MINE
    assert MINE.encode() not in stored
    assert "{姓名}" not in text
    shown = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json
    assert shown["state"] == "pending_approval"


async def test_many_people_need_a_test_of_exactly_this_by_the_approver(api: Api) -> None:
    campaign = await _submitted(api)
    team, now = api.teams["county"], api.clock.at
    await _own_phone(api)
    await _own_phone(api, ("county", "admin"))

    async def approve(test_above: int) -> None:
        async with transaction(api.runtime.pool) as conn:
            await approval.approve(
                conn, team.approver, UUID(campaign), "", now, test_above=test_above
            )

    async def refused() -> None:
        with pytest.raises(Conflict, match="own phone first"):
            await approve(2)

    await refused()
    await api.post(f"/campaigns/{campaign}/test-send", ("county", "admin"))
    async with transaction(api.runtime.pool) as conn:
        await conn.execute("UPDATE messages SET state = 'delivered'")
    await refused()  # that was another approver's phone
    api.clock.at = now = now.replace(second=1)
    sent = (await api.post(f"/campaigns/{campaign}/test-send", APPROVER)).json["run_id"]
    await refused()  # it has not left yet
    change = "UPDATE messages SET state = $2 WHERE run_id = $1"
    await api.runtime.pool.execute(change, UUID(sent), "rejected")
    await refused()
    await api.runtime.pool.execute(change, UUID(sent), "submitted")
    await api.runtime.pool.execute("UPDATE test_sends SET content_hash = 'other'")
    await refused()  # it was something else
    await api.runtime.pool.execute(
        "UPDATE test_sends t SET content_hash = c.content_hash FROM campaigns c"
    )
    await approve(2)


async def test_few_people_need_none(api: Api) -> None:
    campaign = await _submitted(api)
    approved = await api.post(f"/campaigns/{campaign}/approve", APPROVER)
    assert approved.json["state"] == "scheduled"


async def test_why_there_is_no_test(api: Api) -> None:
    campaign = await _submitted(api)
    path = f"/campaigns/{campaign}/test-send"
    assert (await api.post(path, APPROVER)).json["type"].endswith("no_phone")
    assert (await api.post(path, OPERATOR)).status == 403
    await _own_phone(api)
    assert (await api.post(path, APPROVER)).status == 202
    assert (await api.post(path, APPROVER)).status == 409  # the same instant
    await api.runtime.pool.execute("UPDATE channels SET enabled = false")
    api.clock.at = api.clock.at.replace(second=2)
    assert (await api.post(path, APPROVER)).json["type"].endswith("no_route")
    await api.post(f"/campaigns/{campaign}/return", APPROVER, {"reason": "r"})
    assert (await api.post(path, APPROVER)).json["type"].endswith("wrong_state")
    for bad in ("12345", 7):
        answer = await api.call("PUT", "/account/phone", APPROVER, json={"phone": bad})
        assert answer.status == 422


async def test_of_several_texts_each_is_tested(api: Api) -> None:
    team, now = api.teams["county"], api.clock.at
    second = "【旌德县反诈中心】陌生人让你先付款再返利的，都是诈骗，请拨打96110。"
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, now)
        for n in range(3):
            await make_contact(conn, api.runtime.keyring, team.department_id, n, now=now)
        draft = await make_draft(conn, team.operator, now=now, further=[(second, 7)])
        await approval.submit(conn, team.operator, draft.id, now)
    await _own_phone(api)
    path = f"/campaigns/{draft.id}/test-send"
    assert (await api.post(path, APPROVER, {"text_no": 3})).status == 422

    async def approve() -> None:
        async with transaction(api.runtime.pool) as conn:
            await conn.execute("UPDATE messages SET state = 'delivered'")
            await approval.approve(conn, team.approver, draft.id, "", api.clock.at, test_above=1)

    for n, missing in ((1, "text 1"), (2, "text 2")):
        with pytest.raises(Conflict, match=missing):
            await approve()
        api.clock.at += timedelta(seconds=1)
        sent = await api.post(path, APPROVER, {"text_no": n})
        run = (await api.get(f"/runs/{sent.json['run_id']}", OPERATOR)).json
        assert run["text_no"] == n
    async with transaction(api.runtime.pool) as conn:
        assert await conn.fetchval("SELECT text FROM runs ORDER BY id DESC LIMIT 1") == second
    await approve()
