"""A text to the approver's own phone, which a release to very many people needs."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.accounts.keys import keys
from service.accounts.keys.key import NewKey
from service.campaigns.approval import approval
from service.errors import Conflict
from service.storage.postgres import transaction
from tests.factories import make_contact, make_draft, phone
from tests.harness.ledger import add_channel
from tests.harness.logins import last_code
from tests.integration.api.conftest import Answer, Api

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


async def _say(api: Api, number: str = MINE, who: tuple[str, str] = APPROVER) -> Answer:
    return await api.call("PUT", "/account/phone", who, json={"phone": number})


async def _give(api: Api, code: str, who: tuple[str, str] = APPROVER) -> Answer:
    return await api.post("/account/phone/code", who, {"code": code})


async def _own_phone(api: Api, who: tuple[str, str] = APPROVER, number: str = MINE) -> None:
    said = await _say(api, number, who)
    assert said.status == 200, said.body
    assert said.json["phone"] != number
    assert said.json["proved_at"] is None
    proved = await _give(api, await last_code(api), who)
    assert proved.status == 200, proved.body
    assert proved.json["proved_at"] is not None


async def test_the_text_goes_to_the_own_phone_alone_and_is_counted_apart(api: Api) -> None:
    campaign = await _submitted(api)
    await _own_phone(api)
    sent = await api.post(f"/campaigns/{campaign}/test-send", APPROVER)
    assert sent.status == 202, sent.body
    run = (await api.get(f"/runs/{sent.json['run_id']}", OPERATOR)).json
    assert (run["mode"], run["target"], run["state"]) == ("test", 1, "running")
    async with transaction(api.runtime.pool) as conn:
        row = await conn.fetchrow("SELECT * FROM messages WHERE run_id = $1", UUID(run["id"]))
        text = await conn.fetchval("SELECT text FROM runs WHERE id = $1", UUID(run["id"]))
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
    await _own_phone(api, ("county", "admin"), phone(8))

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
    for bad in ("12345", 7):  # nor is it a phone
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


# ---- whose phone it is


@pytest.mark.attack
async def test_no_test_goes_to_a_phone_that_nobody_has_proved(api: Api) -> None:
    """Else an approver sends texts that nobody has approved to any phone, twenty a day."""
    campaign = await _submitted(api)
    said = await _say(api, phone(9))
    assert (said.status, said.json["proved_at"]) == (200, None)
    sent = await api.post(f"/campaigns/{campaign}/test-send", APPROVER)
    assert (sent.status, sent.json["type"]) == (409, "/problems/phone_not_proved")
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM test_sends") == 0
    code = await last_code(api)
    assert (await _give(api, code, ("county", "admin"))).json["type"] == "/problems/no_code"
    assert (await _give(api, code)).status == 200
    assert (await api.post(f"/campaigns/{campaign}/test-send", APPROVER)).status == 202


@pytest.mark.attack
async def test_a_code_is_kept_as_a_keyed_hash_and_shown_to_nobody(api: Api) -> None:
    await _submitted(api)
    said = await _say(api)
    code = await last_code(api)
    assert code.encode() not in said.body
    async with transaction(api.runtime.pool) as conn:
        assert code not in await conn.fetchval("SELECT text FROM runs WHERE kind = 'reply'")
        kept = await conn.fetchrow("SELECT code_hash, phone_hash FROM phone_codes")
        run = await conn.fetchval("SELECT id FROM runs WHERE kind = 'reply'")
    assert kept is not None
    assert code.encode() not in kept["code_hash"]
    for path in (f"/runs/{run}", f"/runs/{run}/messages"):
        shown = await api.get(path, ("county", "admin"))
        assert shown.status == 200, shown.body
        assert code.encode() not in shown.body


@pytest.mark.attack
async def test_a_code_has_five_tries(api: Api) -> None:
    await _submitted(api)
    await _say(api)
    code = await last_code(api)
    wrong = "000000" if code != "000000" else "111111"
    for left in (4, 3, 2, 1, 0):
        refused = await _give(api, wrong)
        assert (refused.status, f"{left} tries" in refused.json["detail"]) == (422, True)
    refused = await _give(api, code)
    assert (refused.status, refused.json["type"]) == (409, "/problems/no_code")


@pytest.mark.attack
async def test_a_code_is_for_ten_minutes_and_for_the_phone_it_went_to(api: Api) -> None:
    await _submitted(api)
    await _say(api, phone(8))
    first = await last_code(api)
    api.clock.at += timedelta(seconds=1)
    await _say(api, phone(9))
    assert (await _give(api, first)).status == 422, "that phone is not said any more"
    second = await last_code(api)
    api.clock.at += timedelta(minutes=10)
    assert (await _give(api, second)).json["type"] == "/problems/no_code"


@pytest.mark.attack
async def test_nobody_has_many_codes_sent_about(api: Api) -> None:
    """Neither by one person to many phones, nor by many to one."""
    await _submitted(api)
    for n in range(3):
        api.clock.at += timedelta(seconds=1)
        assert (await _say(api, phone(20 + n))).status == 200
    assert (await _say(api, phone(30))).json["type"] == "/problems/too_many"
    assert (await _say(api, phone(22), ("county", "admin"))).status == 200
    await api.runtime.pool.execute("UPDATE phone_codes SET phone_hash = $1", b"one phone")
    api.clock.at += timedelta(days=1, seconds=1)
    assert (await _say(api, phone(30))).status == 200
    for role in ("viewer", "inspector"):
        assert (await _say(api, phone(31), ("county", role))).status == 403


@pytest.mark.attack
async def test_a_proved_phone_is_exchanged_once_a_month(api: Api) -> None:
    """Else the tests of one person go to twenty phones a day."""
    await _submitted(api)
    await _own_phone(api)
    again = await _say(api)
    assert again.json["proved_at"] is not None, "the same phone needs no second code"
    refused = await _say(api, phone(9))
    assert (refused.status, refused.json["type"]) == (409, "/problems/phone_changed_lately")
    taken = await api.call("PUT", "/account/phone", APPROVER, json={"phone": None})
    assert (taken.status, taken.json["phone"]) == (200, None)
    assert (await _say(api, phone(9))).status == 409, "nor by taking it away first"
    api.clock.at += timedelta(days=30)
    await _own_phone(api, number=phone(9))


@pytest.mark.attack
async def test_who_could_not_approve_has_no_test(api: Api) -> None:
    """An administrator who wrote the plan would send the own words without a second person."""
    campaign = await _submitted(api)
    admin = ("county", "admin")
    await _own_phone(api, admin)
    await api.runtime.pool.execute(
        "UPDATE campaigns SET submitted_by = $1", api.teams["county"].admin.id
    )
    refused = await api.post(f"/campaigns/{campaign}/test-send", admin)
    assert (refused.status, refused.json["type"]) == (403, "/problems/second_person_needed")


@pytest.mark.attack
async def test_a_test_of_a_warning_keeps_the_hours_of_service_texts(api: Api) -> None:
    campaign = await _submitted(api)
    await _own_phone(api)
    await api.runtime.pool.execute("UPDATE templates SET class = 'warning'")
    path = f"/campaigns/{campaign}/test-send"
    morning = api.clock.at
    api.clock.at = morning.replace(hour=19)  # 03:00 in Shanghai
    refused = await api.post(path, APPROVER)
    assert (refused.status, refused.json["type"]) == (409, "/problems/out_of_hours")
    assert "2027-01-13 08:00" in refused.json["detail"]
    other = await _say(api, phone(9), ("county", "admin"))
    assert other.json["type"] == "/problems/out_of_hours", "nor is a code sent at night"
    api.clock.at = morning.replace(hour=11, minute=50)  # 19:50
    sent = await api.post(path, APPROVER)
    assert sent.status == 202, sent.body
    async with transaction(api.runtime.pool) as conn:
        run = await conn.fetchrow("SELECT * FROM runs WHERE id = $1", UUID(sent.json["run_id"]))
    assert run is not None
    assert run["valid_until"] == morning.replace(hour=12, minute=0), "and it ends with them"


@pytest.mark.attack
async def test_a_test_key_sends_no_code(api: Api) -> None:
    await _submitted(api)
    async with transaction(api.runtime.pool) as conn:
        key = NewKey(api.teams["county"].approver.id, "trial", bootstrap=True)
        _, token = await keys.issue(conn, api.runtime.keyring, key, api.clock.at)
        await conn.execute("UPDATE keys SET mode = 'test' WHERE name = 'trial'")
    refused = await api.call("PUT", "/account/phone", token, json={"phone": MINE})
    assert refused.status == 403, refused.body
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM phone_codes") == 0
