"""Texts from handsets over HTTP: who sees which, and how people work them off."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from service.channels.contract.gateway import Inbound
from service.delivery.inbound import replies_store
from service.delivery.inbound.inbound import read_inbound
from service.delivery.inbound.replies import send_replies
from service.delivery.receipts import store
from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.inbound import POLICE, Sent, send_to_four, write
from tests.harness.instants import instant
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")
SCHOOL = ("school", "operator")
HOUR = timedelta(hours=1)
NOBODY = str(uuid.UUID(int=0))
SCAMMER = phone(77)


@pytest.fixture
async def sent(api: Api) -> Sent:
    return await send_to_four(api)


async def listed(api: Api, who: tuple[str, str], query: str = "") -> list[dict[str, Any]]:
    answer = await api.get(f"/inbound{query}", who)
    assert answer.status == 200, answer.body
    items: list[dict[str, Any]] = answer.json["items"]
    return items


@pytest.mark.attack
async def test_each_department_sees_the_texts_that_are_its_to_read(api: Api, sent: Sent) -> None:
    await write(api, (0, "几点开会"), (1, "R"), (2, "群里有人被骗"), (9, "你是谁"))
    everything = [item["text"] for item in await listed(api, ADMIN)]
    assert everything == ["你是谁", "群里有人被骗", "R", "几点开会"]
    assert [item["text"] for item in await listed(api, SCHOOL)] == ["R", "几点开会"]
    assert [item["text"] for item in await listed(api, POLICE)] == ["群里有人被骗"]
    assert await listed(api, ("county", "operator")) == []
    clue = (await listed(api, POLICE))[0]["id"]
    assert (await api.get(f"/inbound/{clue}", POLICE)).status == 200
    assert (await api.get(f"/inbound/{clue}", SCHOOL)).status == 404
    for act in ("take", "done"):
        assert (await api.post(f"/inbound/{clue}/{act}", SCHOOL, {})).status == 404


async def test_what_a_text_says_of_itself(api: Api, sent: Sent) -> None:
    await write(api, (0, "１"))
    (item,) = await listed(api, SCHOOL)
    contact = await api.runtime.pool.fetchval(
        "SELECT id FROM contacts WHERE phone_hash = $1",
        api.runtime.keyring.phone_index(phone(0)),
    )
    assert item == {
        "id": item["id"],
        "kind": "answer",
        "answer": 1,
        "state": "done",
        "phone": "197****0000",
        "contact_id": str(contact),
        "recipient": "10657001",
        "text": "１",
        "missing": 0,
        "copies": 1,
        "channel_id": 1,
        "campaign_id": sent.campaign,
        "run_id": sent.run,
        "department_id": str(api.teams["school"].department_id),
        "received_at": instant(api.clock.at),
        "taken_by": None,
        "taken_at": None,
        "done_by": None,
        "done_at": instant(api.clock.at),
        "note": None,
        "replies": [],
    }


@pytest.mark.attack
@pytest.mark.parametrize("role", ["viewer", "approver"])
async def test_those_who_may_not_work_texts_off_do_not_see_what_they_say(
    api: Api, sent: Sent, role: str
) -> None:
    await write(api, (0, "几点开会"))
    who = ("school", role)
    (item,) = await listed(api, who)
    assert (item["kind"], item["text"], item["note"]) == ("other", None, None)
    for act in ("take", "done"):
        assert (await api.post(f"/inbound/{item['id']}/{act}", who, {})).status == 403


async def test_numbers_in_a_text_are_masked_but_in_a_clue(api: Api, sent: Sent) -> None:
    bare = SCAMMER[3:]
    await write(api, (0, f"请改打{bare}"), (1, f"举报{bare}冒充客服"))
    by_kind = {item["kind"]: item for item in await listed(api, ADMIN)}
    assert by_kind["other"]["text"] == "请改打197****0077"
    assert by_kind["clue"]["text"] == f"举报{bare}冒充客服"
    answers = [await api.get("/inbound", who) for who in (ADMIN, SCHOOL, POLICE)]
    for n in range(4):
        assert not [a for a in answers if phone(n)[3:].encode() in a.body]


async def test_the_list_is_filtered_and_paged(api: Api, sent: Sent) -> None:
    await write(api, (0, "1"), (1, "R"), (2, "怎么办"), (3, "举报电话"), (9, "你是谁"))
    since = (api.clock.at - 2 * HOUR).isoformat().replace("+00:00", "Z")
    cases = {
        "?kind=opt_out": ["R"],
        "?kind=answer": ["1"],
        "?state=done": ["R", "1"],
        "?state=new&kind=other": ["你是谁", "怎么办"],
        f"?since={since}": ["你是谁", "举报电话", "怎么办"],
        f"?campaign={sent.campaign}": ["举报电话", "怎么办", "R", "1"],
        f"?campaign={NOBODY}": [],
    }
    found = {q: [i["text"] for i in await listed(api, ADMIN, q)] for q in cases}
    assert found == cases
    pages, cursor = [], ""
    while True:
        answer = (await api.get(f"/inbound?limit=2{cursor}", ADMIN)).json
        pages.append([item["text"] for item in answer["items"]])
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert pages == [["你是谁", "举报电话"], ["怎么办", "R"], ["1"]]
    for wrong in ("kind=x", "state=x", "since=yesterday", "campaign=1", "cursor=x", "until=1"):
        assert (await api.get(f"/inbound?{wrong}", ADMIN)).status == 422, wrong


async def test_a_text_is_taken_and_done_with_a_note(api: Api, sent: Sent) -> None:
    await write(api, (0, "几点开会"))
    (item,) = await listed(api, SCHOOL)
    path = f"/inbound/{item['id']}"
    early = await api.post(f"{path}/done", SCHOOL, {})
    assert (early.status, "take it first" in early.json["detail"]) == (409, True)

    taken = await api.post(f"{path}/take", SCHOOL)
    assert (taken.status, taken.json["state"]) == (200, "taken")
    assert taken.json["taken_by"] == str(api.teams["school"].operator.id)
    again = await api.post(f"{path}/take", ("school", "admin"))
    assert (again.status, again.json["type"]) == (409, "/problems/conflict")

    done = await api.post(f"{path}/done", ("school", "admin"), {"note": " 已回电 "})
    assert (done.json["state"], done.json["note"]) == ("done", "已回电")
    assert done.json["done_by"] == str(api.teams["school"].admin.id)
    assert (await api.post(f"{path}/done", SCHOOL, {})).status == 409
    assert (await api.post(f"{path}/take", SCHOOL)).status == 409
    shown = await api.get(path, SCHOOL)
    assert shown.json == done.json
    assert (await api.get(path, ("school", "viewer"))).json["note"] is None
    assert not await api.runtime.pool.fetchval("SELECT EXISTS (SELECT FROM suppressions)")
    stored = await api.runtime.pool.fetchval("SELECT note_cipher FROM inbound_texts")
    assert "已回电".encode() not in stored


async def test_a_person_may_read_an_opt_out_in_a_sentence(api: Api, sent: Sent) -> None:
    await write(api, (1, "别再发了"))
    (item,) = await listed(api, SCHOOL)
    await api.post(f"/inbound/{item['id']}/take", SCHOOL)
    done = await api.post(f"/inbound/{item['id']}/done", SCHOOL, {"opt_out": True})
    assert done.status == 200
    found = (await api.post("/suppressions/lookup", SCHOOL, {"phone": phone(1)})).json["items"]
    assert [(s["reason"], s["created_by"]) for s in found] == [
        ("opted_out", str(api.teams["school"].operator.id))
    ]
    assert [s["classes"] for s in found] == [["public_interest"]]
    due = await api.runtime.pool.fetch("SELECT kind, text_id::text FROM replies_due")
    assert [tuple(row) for row in due] == [("opt_out_confirmed", item["id"])]


async def test_who_wants_no_more_notices_is_for_their_department_to_say(
    api: Api, sent: Sent
) -> None:
    """The word alone stops publicity; the department that sent the notice ends its notices, too."""
    pool = api.runtime.pool
    await pool.execute("UPDATE runs SET class = 'service'")
    await write(api, (1, "R"))
    (by_word,) = (await api.post("/suppressions/lookup", ADMIN, {"phone": phone(1)})).json["items"]
    assert by_word["classes"] == ["public_interest"]
    (item,) = await listed(api, SCHOOL)
    await api.post(f"/inbound/{item['id']}/take", SCHOOL)
    await api.post(f"/inbound/{item['id']}/done", SCHOOL, {"opt_out": True})
    found = (await api.post("/suppressions/lookup", ADMIN, {"phone": phone(1)})).json["items"]
    school = str(api.teams["school"].department_id)
    assert [(s["classes"], s["department_id"]) for s in found] == [
        (["service"], school),
        (["public_interest"], None),
    ]
    assert [due["kind"] for due in (await listed(api, SCHOOL))[0]["replies"]] == [
        "notices_confirmed",
        "opt_out_confirmed",
    ]


async def test_nobody_ends_the_notices_of_a_department_whose_text_it_is_not(
    api: Api, sent: Sent
) -> None:
    """The police work off a clue that answers a notice of the school."""
    await api.runtime.pool.execute("UPDATE runs SET class = 'service'")
    await write(api, (1, "群里有人被骗，别再发了"))
    (item,) = await listed(api, POLICE)
    await api.post(f"/inbound/{item['id']}/take", POLICE)
    await api.post(f"/inbound/{item['id']}/done", POLICE, {"opt_out": True})
    found = (await api.post("/suppressions/lookup", ADMIN, {"phone": phone(1)})).json["items"]
    assert [(s["classes"], s["department_id"]) for s in found] == [(["public_interest"], None)]


async def test_a_text_says_how_it_is_answered(api: Api, sent: Sent) -> None:
    """Due, then in a run that its department sees with its report, or why not."""
    runtime = api.runtime
    await runtime.pool.execute("UPDATE departments SET signature = '旌德中学'")
    await write(api, (1, "R"))
    (item,) = await listed(api, SCHOOL)
    owed = {
        "kind": "opt_out_confirmed",
        "due_at": item["received_at"],
        "settled_at": None,
        "run_id": None,
        "skipped": None,
    }
    assert item["replies"] == [owed]
    api.clock.at += HOUR
    await send_replies(runtime.pool, runtime.keyring, api.clock.at)
    settled = instant(api.clock.at)
    (shown,) = (await api.get(f"/inbound/{item['id']}", SCHOOL)).json["replies"]
    run_id = shown["run_id"]
    assert shown == owed | {"settled_at": settled, "run_id": run_id}
    run = (await api.get(f"/runs/{run_id}", SCHOOL)).json
    assert (run["kind"], run["campaign_id"], run["class"]) == ("reply", None, "service")
    assert (await api.get(f"/runs/{run_id}", POLICE)).status == 404
    report = (await api.get(f"/runs/{run_id}/report", SCHOOL)).json
    assert report["campaign_id"] is None
    assert report["target"] + sum(report["excluded"].values()) == 1

    await write(api, (2, "我被骗了"))
    api.clock.at += timedelta(days=2)
    await send_replies(runtime.pool, runtime.keyring, api.clock.at)
    (clue,) = await listed(api, POLICE)
    assert [reply["skipped"] for reply in clue["replies"]] == ["too_late"]


async def test_a_text_is_done_once_under_an_idempotency_key(api: Api, sent: Sent) -> None:
    await write(api, (0, "几点开会"))
    (item,) = await listed(api, SCHOOL)
    key = {"headers": {"Idempotency-Key": "k1"}}
    answers = [await api.post(f"/inbound/{item['id']}/take", SCHOOL, **key) for _ in range(2)]
    assert [a.status for a in answers] == [200, 200]
    assert answers[0].json == answers[1].json


async def test_a_failed_opt_out_leaves_the_text_open(
    api: Api, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(api, (0, "别再发了"))
    (item,) = await listed(api, SCHOOL)
    await api.post(f"/inbound/{item['id']}/take", SCHOOL)

    async def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(replies_store, "suppress_senders", fail)
    answer = await api.post(f"/inbound/{item['id']}/done", SCHOOL, {"opt_out": True})
    assert answer.status == 500
    assert (await api.get(f"/inbound/{item['id']}", SCHOOL)).json["state"] == "taken"


async def test_what_came_back_is_counted_by_run(api: Api, sent: Sent) -> None:
    await write(api, (0, "1"), (0, "2"), (1, "1"), (2, "9"), (3, "R"), (9, "1"))
    counts = await api.get(f"/runs/{sent.run}/inbound", SCHOOL)
    assert counts.json == {
        "run_id": sent.run,
        "kinds": {"answer": 3, "clue": 1, "opt_out": 1},
        "answers": {"1": 1, "2": 1, "9": 1},
    }
    assert (await api.get(f"/runs/{sent.run}/inbound", POLICE)).status == 404
    assert (await api.get(f"/runs/{NOBODY}/inbound", ADMIN)).status == 404


async def test_a_sender_that_is_no_mobile_is_shown(api: Api, sent: Sent) -> None:
    runtime = api.runtime
    async with transaction(runtime.pool) as conn:
        items = [
            (1, Inbound(sender, "10657001", "您的余额不足")) for sender in ("10086", "Bank", "")
        ]
        await store.insert_inbound(conn, runtime.keyring, items, api.clock.at)
    await read_inbound(runtime.pool, runtime.keyring, api.clock.at)
    shown = [item["phone"] for item in await listed(api, ADMIN)]
    assert shown == ["", "B***", "1****"]


@pytest.mark.parametrize(
    "body", [{"note": "长" * 1_001}, {"note": "\0"}, {"opt_out": "yes"}, {"other": 1}, []]
)
async def test_a_wrong_body_changes_nothing(api: Api, sent: Sent, body: Any) -> None:
    await write(api, (0, "几点开会"))
    (item,) = await listed(api, SCHOOL)
    await api.post(f"/inbound/{item['id']}/take", SCHOOL)
    answer = await api.call("POST", f"/inbound/{item['id']}/done", SCHOOL, json=body)
    assert answer.status == 422, answer.body
    assert (await api.get(f"/inbound/{item['id']}", SCHOOL)).json["state"] == "taken"


@pytest.mark.attack
async def test_held_opt_outs_are_shown_and_decided(api: Api) -> None:
    runtime = api.runtime
    items = [(1, Inbound(phone(100 + n), "10657001", "T", 0, 1, 1)) for n in range(60)]
    async with transaction(runtime.pool) as conn:
        await store.insert_inbound(conn, runtime.keyring, items, api.clock.at)
    await read_inbound(runtime.pool, runtime.keyring, api.clock.at)
    assert await runtime.pool.fetchval("SELECT count(*) FROM suppressions") == 0
    work = {kind["kind"]: kind for kind in (await api.get("/work", ADMIN)).json["items"]}
    (item,) = work["held_opt_outs"]["items"]
    assert (item["code"], item["plain"]["zh"]) == (
        "stray_opt_outs",
        "很多人没有收到过该通道的短信却发来退订。",
    )
    (hold,) = (await api.get("/suppressions/held", ADMIN)).json["items"]
    assert (hold["id"], hold["people"], hold["decision"]) == (item["id"], 60, None)
    for who in (SCHOOL, ("county", "operator")):
        assert (await api.get("/suppressions/held", who)).json["items"] == []
        refused = await api.post(f"/suppressions/held/{hold['id']}/count", who, {"reason": "r"})
        assert refused.status == 404, refused.body
    path = f"/suppressions/held/{hold['id']}"
    counted = await api.post(f"{path}/count", ADMIN, {"reason": "the carrier confirms them"})
    assert (counted.status, counted.json["decision"]) == (200, "count"), counted.body
    assert await runtime.pool.fetchval("SELECT count(*) FROM suppressions") == 60
    again = await api.post(f"{path}/drop", ADMIN, {"reason": "r"})
    assert (again.status, again.json["type"]) == (409, "/problems/decided_already")
    work = {kind["kind"]: kind for kind in (await api.get("/work", ADMIN)).json["items"]}
    assert work["held_opt_outs"]["count"] == 0
