"""Direct sends over HTTP: who may, to whom, with what text; and what became of one text."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.api.http import store as api_store
from service.api.http.idempotency import REPLAYED
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.calendar.schedule import DEFAULT_HOURS
from service.clock import CHINA
from service.coding.parts import split
from service.crypto import Keyring
from service.dispatch.compose import ClaimedSlice, Composer
from service.dispatch.fair_queue import Flow
from service.dispatch.handoff.slice_store import queued_rows
from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.harness.channels import channel
from tests.harness.direct_texts import GREETING, WORDS, send, template
from tests.harness.keys import active_key
from tests.harness.signatures import register_signature
from tests.integration.api.conftest import Api

OPERATOR = ("school", "operator")
ADMIN = ("school", "admin")
STRANGER = ("county", "operator")


@pytest.fixture
async def channel_id(api: Api) -> int:
    return await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")


async def test_each_recipient_is_in_the_ledger_or_refused_by_name(
    api: Api, channel_id: int
) -> None:
    await api.post("/suppressions", OPERATOR, {"phone": phone(3), "reason": "opted_out"})
    to = [phone(1), "197 9000 0002", "12345", phone(1), phone(3)]
    sent = await send(api, to)
    assert sent.status == 202, sent.body
    refused = [(item["index"], item["reason"]) for item in sent.json["rejected"]]
    assert (sent.json["accepted"], refused) == (
        2,
        [(2, "invalid"), (3, "duplicate"), (4, "opted_out")],
    )
    assert all(digits not in sent.body.decode() for digits in ("12345", phone(1)[3:], phone(3)[3:]))
    assert [given is None for given in sent.json["ids"]] == [False, False, True, True, True]
    report = (await api.get(f"/runs/{sent.json['run_id']}/report", OPERATOR)).json
    assert (report["target"], report["states"]) == (2, {"queued": 2})
    assert report["excluded"] == {"opted_out": 1}
    slices = await api.runtime.pool.fetch("SELECT no, channel_id, first_no, last_no FROM slices")
    assert [tuple(row) for row in slices] == [(1, channel_id, 1, 2)]


async def test_a_direct_send_goes_by_the_number_and_not_by_a_list(api: Api) -> None:
    """The department's list says that both were ported; an override says it of the second too."""
    mobile = await channel(api, "移动", "china_mobile")
    unicom = await channel(api, "联通", "china_unicom")
    whose, keyring = api.teams["school"].department_id, api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        for n in (7, 8):
            await make_contact(conn, keyring, whose, n, now=api.clock.at, carrier="china_unicom")
    known = {"phone": phone(8), "carrier": "china_unicom"}
    entered = await api.call("PUT", "/routes/overrides", ("county", "admin"), json=known)
    assert entered.status == 200, entered.body
    sent = await send(api, [phone(7), phone(8)])
    assert sent.json["accepted"] == 2, sent.body
    rows = await api.runtime.pool.fetch("SELECT phone_hash, channel_id, carrier FROM messages")
    ways = {row["phone_hash"]: (row["channel_id"], row["carrier"]) for row in rows}
    assert ways == {
        keyring.phone_index(phone(7)): (mobile, "china_mobile"),
        keyring.phone_index(phone(8)): (unicom, "china_unicom"),
    }
    said = await api.post("/routes/explain", OPERATOR, {"phone": phone(7)})
    assert (said.json["contact_carrier"], said.json["chosen"]) == ("china_unicom", unicom)


async def test_whose_a_text_is_is_told_by_the_place_in_the_list(api: Api, channel_id: int) -> None:
    numbers = range(1, 20)
    ids = (await send(api, [phone(n) for n in numbers])).json["ids"]
    found = (await api.post("/messages/status", OPERATOR, {"ids": ids})).json["items"]
    assert [int(item["phone"][-4:]) for item in found] == list(numbers)


async def test_each_gets_the_values_that_were_given_for_it(
    api: Api, channel_id: int, keyring: Keyring
) -> None:
    chosen = await template(api, GREETING)
    to = [{"phone": phone(n), "variables": {"姓名": f"家长{n}"}} for n in (1, 2)]
    sent = await send(api, to, template_id=chosen)
    run_id = UUID(sent.json["run_id"])
    async with api.runtime.pool.acquire() as conn:
        rows = await queued_rows(conn, channel_id, [(run_id, 1, 9)], api.clock.at)
        stored = await conn.fetchval("SELECT string_agg(m::text, '') FROM messages m")
    work = ClaimedSlice(
        run_id, 1, GREETING, "service", None, HourTerms(DEFAULT_HOURS, CHINA, "service"), None,
        Flow(1, run_id), weight=1, rows=deque(), direct=True,
    )  # fmt: skip
    composer = Composer(keyring, {}, lambda text: tuple(split(text)), simulated=True)
    said = {
        m.phone: m.parts[0].body.decode("utf-16-be")
        for m in (composer.compose(work, r) for r in rows)
    }
    assert said == {phone(n): GREETING.replace("{姓名}", f"家长{n}") for n in (1, 2)}
    assert "家长" not in stored
    assert "家长".encode().hex() not in stored


@pytest.mark.attack
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "has no value"),
        ({"姓名": " "}, "has no value"),
        ({"姓名": "家" * 21}, "more than 20"),
        ({"姓名": "家\n长"}, "one line"),
        ({"姓名": "家长", "金额": "3"}, "no variable {金额}"),
        ({"姓名": "点 http://a.cn"}, "R"),
        ({"姓名": "加微信abc12345"}, "R"),
        ({"姓名": "【银行】"}, "R"),
    ],
)
async def test_a_value_that_nobody_approved_is_looked_at(
    api: Api, channel_id: int, variables: dict[str, str], said: str
) -> None:
    to = [
        {"phone": phone(1), "variables": variables},
        {"phone": phone(2), "variables": {"姓名": "王"}},
    ]
    sent = await send(api, to, template_id=await template(api, GREETING))
    assert (sent.status, sent.json["accepted"]) == (202, 1)
    (refused,) = sent.json["rejected"]
    assert (refused["index"], refused["reason"]) == (0, "variables")
    assert said in refused["message"]


async def test_nobody_accepted_is_an_error_and_leaves_nothing(api: Api, channel_id: int) -> None:
    sent = await send(api, ["1", "2"])
    assert (sent.status, sent.json["type"]) == (422, "/problems/nobody_accepted")
    assert set(sent.json["fields"]) == {"to.0", "to.1"}
    assert "(shape 9); the shape is what was given, with 9 for each digit" in sent.body.decode()
    assert "+86 1XX XXXX XXXX" in sent.body.decode(), "the mask leaves the example as it is"
    assert "*" not in sent.body.decode()
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 0


async def test_nobody_accepted_names_who_has_opted_out(api: Api, channel_id: int) -> None:
    await api.post("/suppressions", OPERATOR, {"phone": phone(1), "reason": "opted_out"})
    for to in ([phone(1)], [phone(1), "12345"]):
        sent = await send(api, to)
        assert (sent.status, sent.json["type"]) == (422, "/problems/nobody_accepted"), sent.body
        assert sent.json["fields"]["to.0"] == "the person refuses such texts"
        assert len(sent.json["fields"]) == len(to)
    for table in ("runs", "messages", "exclusions"):
        assert await api.runtime.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 422, "invalid"),
        ({"text": WORDS, "template_id": str(UUID(int=1))}, 422, "invalid"),
        ({"template_id": str(UUID(int=1))}, 404, "not_found"),
        ({"text": WORDS, "class": "public_interest"}, 422, "needs_template"),
        ({"text": WORDS, "class": "warning"}, 422, "needs_campaign"),
        ({"text": GREETING}, 422, "invalid"),
        ({"text": "没有签名的通知"}, 422, "text_blocked"),
        ({"text": WORDS, "callback_url": "ftp://a.cn"}, 422, "invalid"),
        ({"text": WORDS, "callback_url": "https://me:pw@a.cn"}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_sent_so(
    api: Api, channel_id: int, fields: dict[str, Any], status: int, code: str
) -> None:
    sent = await api.post("/messages", ADMIN, {"to": [phone(1)], **fields})
    assert (sent.status, sent.json["type"].rpartition("/")[2]) == (status, code), sent.body
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 0


async def test_words_of_ones_own_that_only_a_person_could_release_are_refused(
    api: Api, channel_id: int
) -> None:
    """Nobody reads them: what the wording of a text sends to a person is refused here."""
    text = (
        "【旌德县教体局】各位家长您好，本周五下午2点在学校报告厅召开家长会，请准时参加，车辆停在校外停车场。"
        "会前请打开应用商店下载“家校安心”软件，以便签到。"
        "会上班主任会说明下学期的收费项目和公示地点。"
    )
    judged = await api.post("/templates/lint", ADMIN, {"text": text, "class": "service"})
    assert judged.status == 200, judged.body
    levels = {(one["rule"], one["level"]) for one in judged.json["lint"]}
    assert ("R09", "review") in levels
    assert "block" not in {level for _, level in levels}
    sent = await api.post("/messages", ADMIN, {"to": [phone(1)], "text": text})
    assert (sent.status, sent.json["type"]) == (422, "/problems/text_blocked"), sent.body
    assert "R09" in sent.json["fields"]["text"]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 0


async def test_a_value_that_only_a_person_could_release_is_refused(
    api: Api, channel_id: int
) -> None:
    text = (
        "【旌德县教体局】各位家长您好，本周五下午2点在学校报告厅召开家长会，请准时参加，车辆停在校外停车场。"
        "会前请打开应用商店{事项}，以便签到。会上班主任会说明下学期的收费项目和公示地点。"
    )
    to = [{"phone": phone(1), "variables": {"事项": "下载“家校安心”软件"}}]
    sent = await send(api, to, template_id=await template(api, text))
    assert (sent.status, sent.json["type"]) == (422, "/problems/nobody_accepted"), sent.body
    assert "R09" in sent.json["fields"]["to.0"]


async def test_a_warning_is_never_a_direct_send(api: Api, channel_id: int) -> None:
    chosen = await template(api, **{"class": "warning"})
    assert (await send(api, [phone(1)], template_id=chosen)).json["type"].endswith("needs_campaign")


@pytest.mark.attack
async def test_words_of_ones_own_take_a_right(api: Api, channel_id: int) -> None:
    body = {"to": [phone(1)], "text": WORDS}
    assert (await api.post("/messages", OPERATOR, body)).status == 403
    unsigned = await api.post("/messages", ADMIN, body)
    assert unsigned.json["type"] == "/problems/text_blocked"
    assert "R02" in unsigned.json["fields"]["text"], "whatever the county has set"
    await register_signature(api, api.teams["school"].department_id, "旌德县教体局")
    assert (await api.post("/messages", ADMIN, body)).status == 202


@pytest.mark.attack
@pytest.mark.parametrize("who", ["school", "county"])
@pytest.mark.parametrize("name", ["旌德农商银行", "旌德县公安局", "旌德县某某办"])
async def test_words_of_ones_own_take_no_face_of_another(
    api: Api, channel_id: int, who: str, name: str
) -> None:
    """A second person reads what the county signs with nobody's name; nobody reads these."""
    text = {"text": WORDS.replace("旌德县教体局", name)}
    sent = await api.post("/messages", (who, "admin"), {"to": [phone(1)], **text})
    assert (sent.status, sent.json["type"]) == (422, "/problems/text_blocked"), sent.body
    assert "R02" in sent.json["fields"]["text"]
    if who == "county":
        judged = await api.post("/templates/lint", (who, "admin"), {**text, "class": "service"})
        assert "R02" not in {found["rule"] for found in judged.json["lint"]}


@pytest.mark.attack
async def test_in_a_day_no_more_than_the_department_allows(api: Api, channel_id: int) -> None:
    """Two sends at once do not pass each other; what was refused counts for nothing."""
    chosen = await template(api)

    async def to(first: int, count: int) -> int:
        people = [phone(n) for n in range(first, first + count)]
        return (await send(api, people, template_id=chosen)).status

    both = await asyncio.gather(to(1, 600), to(1_000, 600))
    assert sorted(both) == [202, 403]
    assert await to(2_000, 401) == 403
    assert await to(2_000, 400) == 202
    assert await to(3_000, 1) == 403
    api.clock.at += timedelta(hours=24, seconds=1)
    assert await to(3_000, 1) == 202


async def test_what_became_of_a_text_is_said_in_words(api: Api, channel_id: int) -> None:
    run = (await send(api, [phone(n) for n in (1, 2, 3)])).json["run_id"]
    states = (("delivered", None), ("undelivered", "empty_number"), ("queued", None))
    for no, (state, reason) in enumerate(states, 1):
        await api.runtime.pool.execute(
            "UPDATE messages SET state = $2::message_state, reason = $3 WHERE no = $1",
            no,
            state,
            reason,
        )
    ids = [f"{run}.{no}" for no in (3, 1, 2)]
    asked = await api.post("/messages/status", OPERATOR, {"ids": [*ids, f"{UUID(int=1)}.1"]})
    assert [item["id"] for item in asked.json["items"]] == ids
    assert asked.json["not_found"] == [f"{UUID(int=1)}.1"]
    assert asked.json["items"][2]["plain"] == {
        "zh": "未送达：号码是空号。",
        "en": "It did not arrive: the number does not exist.",
    }
    one = await api.get(f"/messages/{ids[1]}", OPERATOR)
    assert (one.json["plain"]["zh"], one.json["phone"][:8]) == ("已送达手机。", "197****0")
    assert (await api.get("/messages/nothing", OPERATOR)).status == 404


@pytest.mark.attack
async def test_another_departments_texts_do_not_exist(api: Api, channel_id: int) -> None:
    run = (await send(api, [phone(1)])).json["run_id"]
    assert (await api.get(f"/messages/{run}.1", STRANGER)).status == 404
    assert (await api.post(f"/messages/{run}.1/cancel", STRANGER)).status == 404
    asked = await api.post("/messages/status", STRANGER, {"ids": [f"{run}.1"]})
    assert asked.json == {"items": [], "not_found": [f"{run}.1"]}


async def test_what_still_waits_can_be_called_back(api: Api, channel_id: int) -> None:
    run = (await send(api, [phone(1), phone(2)])).json["run_id"]
    await api.runtime.pool.execute("UPDATE messages SET state = 'submitted' WHERE no = 2")
    back = await api.post(f"/messages/{run}.1/cancel", OPERATOR)
    assert (back.status, back.json["state"], back.json["reason"]) == (
        200,
        "cancelled",
        "cancelled_by_sender",
    )
    late = await api.post(f"/messages/{run}.2/cancel", OPERATOR)
    assert (late.status, late.json["type"]) == (409, "/problems/has_left")


@pytest.mark.attack
async def test_a_repeated_request_sends_once(api: Api, channel_id: int) -> None:
    body = {"to": [phone(1)], "template_id": await template(api)}
    headers = {"Idempotency-Key": "once"}
    answers = [
        (await api.post("/messages", OPERATOR, body, headers=headers)).json["run_id"]
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM messages") == 1


@pytest.mark.attack
async def test_fifty_tasks_with_one_key_make_one_run(api: Api, channel_id: int) -> None:
    body = {"to": [phone(1), phone(2)], "template_id": await template(api)}
    headers = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(
        *(api.post("/messages", OPERATOR, body, headers=headers) for _ in range(50))
    )
    sent = [answer for answer in answers if answer.status == 202]
    told = {answer.json["type"] for answer in answers if answer.status != 202}
    assert told <= {"/problems/in_progress"}
    assert len({answer.json["run_id"] for answer in sent}) == 1
    pool = api.runtime.pool
    assert await pool.fetchval("SELECT count(*) FROM runs WHERE kind = 'direct'") == 1
    assert await pool.fetchval("SELECT count(*) FROM messages") == 2
    assert await pool.fetchval("SELECT sum(recipients) FROM direct_sends") == 2


async def test_a_repeat_that_did_not_see_the_first_one_commit_sends_nothing(
    api: Api, channel_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was not there yet when the repeat looked, and the lock was free already."""
    body = {"to": [phone(1)], "template_id": await template(api)}
    options = {"headers": {"Idempotency-Key": "k1"}}
    first = await api.post("/messages", OPERATOR, body, **options)
    real, looked = api_store.take_key, 0

    async def early(*arguments: Any) -> Any:
        nonlocal looked
        looked += 1
        return {"free": True, "stored": False} if looked == 1 else await real(*arguments)

    monkeypatch.setattr(api_store, "take_key", early)
    again = await api.post("/messages", OPERATOR, body, **options)
    assert (again.status, again.body, looked) == (202, first.body, 2)
    assert again.headers[REPLAYED] == "true"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM messages") == 1


async def test_a_whole_send_is_called_back_at_once(api: Api, channel_id: int) -> None:
    hook = {"callback_url": "https://a.cn/told", "template_id": await template(api)}
    run = (await send(api, [phone(n) for n in (1, 2, 3)], **hook)).json["run_id"]
    await api.runtime.pool.execute("UPDATE messages SET state = 'submitted' WHERE no = 2")
    answers = [await api.post(f"/runs/{run}/cancel", OPERATOR) for _ in range(2)]
    for back in answers:
        assert (back.status, back.json) == (
            200,
            {
                "run_id": run,
                "state": "cancelled",
                "cancelled": 2,
                "stopped": 0,
                "left": 1,
                "leaving": 0,
            },
        )
    one = (await api.get(f"/messages/{run}.1", OPERATOR)).json
    assert one["plain"]["en"] == "It was cancelled before it left: the sender cancelled it."
    told = await api.runtime.pool.fetch("SELECT data FROM webhook_events")
    assert [event["data"]["reason"] for event in told] == ["cancelled_by_sender"] * 2


@pytest.mark.attack
async def test_who_may_call_a_send_back(api: Api, channel_id: int) -> None:
    """Whoever steers sending in the department; a key that may only send, its own sends alone."""
    sender, other, reader, trial = [
        (await active_key(api, **grant))["token"]
        for grant in (
            {"scopes": ["send:template"]},
            {"scopes": ["send:template"]},
            {"scopes": ["read"]},
            {"mode": "trial"},
        )
    ]
    text = {"name": "t", "class": "service", "text": WORDS.replace("县教体局", "县公安局")}
    made = await api.post("/templates", STRANGER, text)
    approve = f"/templates/{made.json['id']}/approve"
    assert (await api.post(approve, ("county", "approver"), {"version": 1})).status == 200
    statuses = []
    for who in (other, reader, trial, OPERATOR, sender, ("county", "approver")):
        body = {"to": [phone(1)], "template_id": made.json["id"]}
        sent = await api.post("/messages", sender, body)
        assert sent.status == 202, sent.body
        statuses.append((await api.post(f"/runs/{sent.json['run_id']}/cancel", who)).status)
    assert statuses == [403, 403, 403, 404, 200, 200]


async def test_a_campaigns_run_is_cancelled_by_its_campaign(api: Api, channel_id: int) -> None:
    run = (await send(api, [phone(1)])).json["run_id"]
    await api.runtime.pool.execute("UPDATE runs SET kind = 'reply', sent_by = NULL")
    back = await api.post(f"/runs/{run}/cancel", OPERATOR)
    assert (back.status, back.json["type"]) == (409, "/problems/not_direct")


@pytest.mark.parametrize(
    "no", ["99999999999999999999", "2147483648", "0", "-1", "１", "1_0", " 1", "+1", "1.0", ""]
)
async def test_what_no_message_can_be_called_is_not_there(
    api: Api, channel_id: int, no: str
) -> None:
    sent = await send(api, [phone(1)], template_id=await template(api))
    run = sent.json["run_id"]
    for method, act in (("GET", ""), ("POST", "/cancel")):
        answer = await api.call(method, f"/messages/{run}.{no}{act}", OPERATOR)
        assert answer.status == 404, answer.body


# ---- what a key that may only send must not do


async def _county_template(api: Api) -> str:
    """A text of the county, which a second person has approved."""
    text = {"name": "t", "class": "service", "text": WORDS.replace("县教体局", "县公安局")}
    made = await api.post("/templates", STRANGER, text)
    approve = f"/templates/{made.json['id']}/approve"
    assert (await api.post(approve, ("county", "approver"), {"version": 1})).status == 200
    return str(made.json["id"])


@pytest.mark.attack
async def test_a_key_calls_back_its_own_texts_alone(api: Api, channel_id: int) -> None:
    """Else a key that may only send stops what others have sent, text by text."""
    scopes = ["send:template", "read"]
    sender, other = [(await active_key(api, scopes=scopes))["token"] for _ in range(2)]
    body = {"to": [phone(1), phone(2)], "template_id": await _county_template(api)}
    sent = await api.post("/messages", sender, body)
    assert sent.status == 202, sent.body
    first, second = sent.json["ids"]
    refused = await api.post(f"/messages/{first}/cancel", other)
    assert (refused.status, refused.json["type"]) == (403, "/problems/out_of_scope")
    assert (await api.get(f"/messages/{first}", sender)).json["state"] == "queued"
    assert (await api.post(f"/messages/{first}/cancel", sender)).status == 200
    assert (await api.post(f"/messages/{second}/cancel", ("county", "operator"))).status == 200


@pytest.mark.attack
async def test_a_callback_url_takes_the_right_to_manage_webhooks(api: Api, channel_id: int) -> None:
    key = (await active_key(api, scopes=["send:template"]))["token"]
    body = {"to": [phone(1)], "template_id": await _county_template(api)}
    told = body | {"callback_url": "https://a.cn/told"}
    refused = await api.post("/messages", key, told)
    assert refused.status == 403, refused.body
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM webhooks") == 0
    assert (await api.post("/messages", key, body)).status == 202, "without one it may"
    assert (await api.post("/messages", STRANGER, told)).status == 202


@pytest.mark.attack
async def test_callback_urls_count_as_webhooks(api: Api, channel_id: int) -> None:
    """Else each send makes one more address that is called for ever."""
    fields = {"template_id": await template(api)}
    for n in range(20):
        sent = await send(api, [phone(n + 1)], callback_url=f"https://a.cn/{n}", **fields)
        assert sent.status == 202, sent.body
    refused = await send(api, [phone(30)], callback_url="https://a.cn/20", **fields)
    assert (refused.status, refused.json["type"]) == (409, "/problems/conflict")
    known = await send(api, [phone(31)], callback_url="https://a.cn/7", **fields)
    assert known.status == 202, "one that is there already needs no room"
    hook = {"url": "https://a.cn/more", "events": ["run.finished"]}
    assert (await api.post("/webhooks", OPERATOR, hook)).status == 409


@pytest.mark.attack
async def test_two_callbacks_of_one_address_are_a_conflict(api: Api, channel_id: int) -> None:
    fields = {"template_id": await template(api)}
    for n in range(2):
        await send(api, [phone(n + 1)], callback_url=f"https://a.cn/{n}", **fields)
    hooks = (await api.get("/webhooks", OPERATOR)).json["items"]
    changed = await api.patch(f"/webhooks/{hooks[0]['id']}", OPERATOR, {"url": hooks[1]["url"]})
    assert (changed.status, changed.json["type"]) == (409, "/problems/conflict"), changed.body
