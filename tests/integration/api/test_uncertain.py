"""What needs a person, over HTTP: hand-offs, statements, policies, receipts, the reconciliation."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import FormData

from service.api.http import upload
from service.api.http.upload import CHUNK_OCTETS
from service.api.sending import uncertain as api_uncertain
from service.queue import Job
from tests.harness.instants import instant
from tests.harness.uncertain_run import UncertainRun, start_uncertain_run
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER = ("county", "admin"), ("county", "operator"), ("county", "viewer")
SCHOOL = ("school", "operator")
REASON = {"reason": "the carrier's account manager said so"}


@pytest.fixture
async def uncertain_run(api: Api) -> UncertainRun:
    """A run of the school's with four people, the first two of them uncertain."""
    runtime = api.runtime
    on = await start_uncertain_run(runtime.pool, runtime.keyring, api.clock.at)
    school = api.teams["school"].department_id
    await runtime.pool.execute("UPDATE runs SET department_id = $1", school)
    await runtime.pool.execute("UPDATE campaigns SET department_id = $1", school)
    await on.make_uncertain(1)
    await on.make_uncertain(2, parts=3, refs=[b"a", b"b"])
    return on


async def decide(api: Api, who: Any, decision: str, **which: Any) -> Any:
    body = {"decision": decision, **which, **REASON}
    return await api.post("/uncertain/decide", who, body)


def ids(on: UncertainRun, *nos: int) -> list[str]:
    return [f"{on.on.run}.{no}" for no in nos]


# ---- the list


async def test_uncertain_hand_offs_are_listed_masked_with_what_is_known_of_them(
    api: Api, uncertain_run: UncertainRun
) -> None:
    found = (await api.get("/uncertain", SCHOOL)).json
    assert found["next_cursor"] is None
    first, second = found["items"]
    now = api.clock.at
    assert first == {
        "id": ids(uncertain_run, 1)[0],
        "run_id": str(uncertain_run.on.run),
        "no": 1,
        "department_id": str(api.teams["school"].department_id),
        "class": "public_interest",
        "channel_id": uncertain_run.on.channel.id,
        "channel": uncertain_run.on.channel.name,
        "phone": first["phone"],
        "attempt": 1,
        "part_count": 1,
        "parts_with_reference": [],
        "parts_without_reference": [1],
        "marked_at": instant(now),
        "since": instant(now),
        "may_decide_at": instant(now + timedelta(minutes=10)),
        "valid_until": None,
    }
    assert first["phone"].startswith("197****000")
    assert second["parts_with_reference"] == [1, 2]
    assert second["parts_without_reference"] == [3]


async def test_uncertain_hand_offs_are_paged_and_chosen(
    api: Api, uncertain_run: UncertainRun
) -> None:
    page = (await api.get("/uncertain?limit=1", ADMIN)).json
    rest = (await api.get(f"/uncertain?limit=1&cursor={page['next_cursor']}", ADMIN)).json
    assert [i["no"] for i in page["items"] + rest["items"]] == [1, 2]
    assert rest["next_cursor"] is None
    school = api.teams["school"].department_id
    for query, count in (
        (f"run={uncertain_run.on.run}", 2),
        (f"channel={uncertain_run.on.channel.id}", 2),
        (f"department={school}", 2),
        ("channel=999", 0),
        (f"run={school}", 0),
        (f"department={api.teams['county'].department_id}", 0),
    ):
        items = (await api.get(f"/uncertain?{query}", ADMIN)).json["items"]
        assert len(items) == count, query
    assert (await api.get("/uncertain", OPERATOR)).json["items"] == []
    for cursor in ("YQ==", "MQ==", "!", "LjE=", "OTk5OTk5OTk5OTk5OTk5OTk5Ljk="):
        assert (await api.get(f"/uncertain?cursor={cursor}", ADMIN)).status == 422, cursor


# ---- deciding


async def test_too_early_is_a_conflict_that_names_the_time(
    api: Api, uncertain_run: UncertainRun
) -> None:
    refused = await decide(api, SCHOOL, "delivered", ids=ids(uncertain_run, 1, 2))
    assert refused.status == 409
    assert refused.json["type"] == "/problems/too_early"
    assert "2027-01-12T09:40:00.000+08:00" in refused.json["detail"]
    api.clock.at += timedelta(minutes=10)
    done = await decide(api, SCHOOL, "delivered", ids=ids(uncertain_run, 1, 2, 3))
    assert done.status == 200
    assert (done.json["decided"], done.json["skipped"]) == (2, 1)
    assert done.json["items"] == [{"id": ids(uncertain_run, 3)[0], "reason": "not_in_doubt"}]
    assert (await api.get("/uncertain", ADMIN)).json["items"] == []
    by = await uncertain_run.pool.fetchval(
        "SELECT decided_by FROM doubt_decisions WHERE id = $1", done.json["decision_id"]
    )
    assert by == api.teams["school"].operator.id


async def test_a_decision_under_a_key_is_made_once(api: Api, uncertain_run: UncertainRun) -> None:
    api.clock.at += timedelta(minutes=10)
    body = {"ids": ids(uncertain_run, 1), "decision": "unknown", **REASON}
    headers = {"Idempotency-Key": "k"}
    first, second = [
        await api.post("/uncertain/decide", SCHOOL, body, headers=headers) for _ in range(2)
    ]
    assert first.body == second.body
    assert await uncertain_run.pool.fetchval("SELECT count(*) FROM doubt_decisions") == 1


async def test_a_run_is_decided_at_once_and_only_by_who_sees_it(
    api: Api, uncertain_run: UncertainRun
) -> None:
    api.clock.at += timedelta(minutes=10)
    run = str(uncertain_run.on.run)
    assert (await decide(api, OPERATOR, "delivered", run_id=run)).status == 404
    theirs = await decide(api, OPERATOR, "delivered", ids=ids(uncertain_run, 1))
    assert (theirs.status, theirs.json["decided"]) == (200, 0)
    assert (await decide(api, ("school", "viewer"), "delivered", run_id=run)).status == 403
    done = await decide(api, SCHOOL, "unknown", run_id=run, channel_id=uncertain_run.on.channel.id)
    assert (done.status, done.json["decided"]) == (200, 2)
    await uncertain_run.check()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"ids": ["x"], "run_id": "00000000-0000-0000-0000-000000000000"}, "body"),
        ({"ids": ["x"], "channel_id": 1}, "body"),
        ({"ids": ["00000000-0000-0000-0000-000000000000.1", "x.y"]}, "ids.1"),
        ({"ids": ["00000000-0000-0000-0000-000000000000.-1"]}, "ids.0"),
        ({"ids": ["00000000-0000-0000-0000-000000000000." + "9" * 5000]}, "ids.0"),
        ({"ids": ["x"] * 1001}, "ids"),
        ({"ids": ["x"], "decision": "lost"}, "decision"),
        ({"ids": ["x"], "reason": ""}, "reason"),
    ],
)
async def test_a_wrong_decision_names_its_field(api: Api, body: Any, field: str) -> None:
    answer = await api.post(
        "/uncertain/decide", ADMIN, {"decision": "unknown", "reason": "r", **body}
    )
    assert answer.status == 422
    assert field in answer.json["fields"], answer.json


async def test_sending_again_takes_the_policy_of_the_class_and_wakes_the_channel(
    api: Api, uncertain_run: UncertainRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[tuple[object, ...]] = []

    async def enqueue(_queue: object, *job: object) -> None:
        rung.append(job)

    monkeypatch.setattr("service.queue.Queue.enqueue", enqueue)
    api.clock.at += timedelta(minutes=10)
    refused = await decide(api, SCHOOL, "resend", ids=ids(uncertain_run, 1))
    assert refused.status == 409
    assert refused.json["type"] == "/problems/resend_not_allowed"
    policy = {"class": "public_interest", "allowed": True, "reason": "agreed with the carrier"}
    for who in (SCHOOL, ("school", "admin"), OPERATOR):
        answer = await api.call("PUT", "/uncertain/policies", who, json=policy)
        assert answer.status == 403, who
    made = await api.call("PUT", "/uncertain/policies", ADMIN, json=policy)
    assert made.status == 200, made.body
    listed = (await api.get("/uncertain/policies", VIEWER)).json["items"]
    assert [(p["class"], p["allowed"]) for p in listed] == [
        ("public_interest", True),
        ("service", False),
        ("warning", False),
    ]
    assert listed[0]["set_by"] == str(api.teams["county"].admin.id)
    assert listed[0]["reason"] == "agreed with the carrier"
    assert listed[1]["set_by"] is None
    done = await decide(api, SCHOOL, "resend", ids=ids(uncertain_run, 1))
    assert done.json["decided"] == 1
    assert rung == [(Job.DRAIN_CHANNEL, uncertain_run.on.channel.id)]
    assert await uncertain_run.on.state(1) == "queued"
    skipped = await decide(api, SCHOOL, "not_sent", ids=ids(uncertain_run, 2))
    assert skipped.json["items"] == [{"id": ids(uncertain_run, 2)[0], "reason": "part_taken"}]


# ---- a statement


def form(content: str, channel: int, **fields: str) -> FormData:
    made = FormData(quote_fields=False)
    made.add_field("file", content.encode(), filename="对账单.csv", content_type="text/csv")
    for name, value in {"channel_id": str(channel), **fields}.items():
        made.add_field(name, value)
    return made


async def lines_of(on: UncertainRun, status: str) -> str:
    phones = [(await on.phone(no)).removeprefix("+86") for no in (1, 2, 3)]
    rows = [f"{phone},2027/1/12 9:31,{status}" for phone in phones]
    return "手机号码,提交时间,状态\n" + "\n".join([*rows, "=1+2,x,y"]) + "\n"


async def test_a_statement_settles_what_it_fits_and_again_nothing(
    api: Api, uncertain_run: UncertainRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "BATCH_LINES", 2)
    content, channel = await lines_of(uncertain_run, "成功"), uncertain_run.on.channel.id
    given = await api.post("/uncertain/statement", SCHOOL, data=form(content, channel))
    assert given.status == 200, given.body
    assert given.json["lines"] == {
        "settled": 2, "already": 0, "ambiguous": 0, "unknown": 1, "unreadable": 1,
    }  # fmt: skip
    assert given.json["settled"] == {"delivered": 2}
    assert [(r["row"], r["result"]) for r in given.json["rows"]] == [(5, "unreadable")]
    assert "1979" not in given.body.decode()
    again = await api.post("/uncertain/statement", SCHOOL, data=form(content, channel))
    assert again.json["lines"]["already"] == 2
    assert again.json["settled"] == {}
    assert await uncertain_run.on.states() == {"delivered": 2, "queued": 2}
    await uncertain_run.check()


async def test_a_statement_of_several_pieces_is_read_whole(
    api: Api, uncertain_run: UncertainRun
) -> None:
    others = "".join(f"1979001{n:04d},2027-01-12 09:31:05,成功\n" for n in range(7_000))
    content = (await lines_of(uncertain_run, "失败")).replace("=1+2,x,y\n", others)
    assert len(content.encode()) > CHUNK_OCTETS
    given = await api.post(
        "/uncertain/statement", SCHOOL, data=form(content, uncertain_run.on.channel.id)
    )
    assert given.status == 200, given.body
    assert given.json["lines"]["unknown"] == 7_001
    assert given.json["settled"] == {"undelivered": 2}


async def test_a_statement_that_cannot_be_read_changes_nothing(
    api: Api, uncertain_run: UncertainRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, channel = await lines_of(uncertain_run, "成功"), uncertain_run.on.channel.id

    async def give(content: str, channel: int, **fields: str) -> int:
        made = form(content, channel, **fields)
        return (await api.post("/uncertain/statement", SCHOOL, data=made)).status

    assert await give(content, 999) == 404
    assert await give("手机号\n19790000001\n", channel) == 422
    assert await give(content, channel, window_minutes="0") == 422
    assert await give(content, channel, window_minutes="x") == 422
    assert await give(content, channel, encoding="klingon") == 422
    assert await give("x" * 300_001, channel) == 413
    monkeypatch.setattr(api_uncertain, "STATEMENT_OCTETS", 10)
    assert await give(content, channel) == 413
    assert await uncertain_run.pool.fetchval("SELECT count(*) FROM uncertain") == 2
    assert await uncertain_run.pool.fetchval("SELECT count(*) FROM doubt_decisions") == 0


async def test_a_statement_given_by_another_department_settles_none_of_the_schools(
    api: Api, uncertain_run: UncertainRun
) -> None:
    content = await lines_of(uncertain_run, "成功")
    made = form(content, uncertain_run.on.channel.id)
    given = await api.post("/uncertain/statement", OPERATOR, data=made)
    assert given.json["lines"]["settled"] == 0
    assert await uncertain_run.pool.fetchval("SELECT count(*) FROM uncertain") == 2


# ---- receipts


async def keep(
    on: UncertainRun, why: str, ref: bytes, no: int | None = None, code: str = ""
) -> int:
    index = None if no is None else on.on.keyring.phone_index(await on.phone(no))
    id_: int = await on.pool.fetchval(
        "INSERT INTO receipts_unmatched SELECT coalesce(max(id), 2 ^ 40) + 1, $1, $2, $3, "
        "'delivered', '', $4, NULL, $5, $6 FROM receipts_unmatched RETURNING id",
        on.on.channel.id,
        ref,
        index,
        code,
        on.on.now,
        why,
    )
    return id_


async def test_receipts_are_listed_with_the_texts_they_may_speak_of(
    api: Api, uncertain_run: UncertainRun
) -> None:
    parked = await keep(uncertain_run, "parked", b"\x00\xff")
    both = await keep(uncertain_run, "ambiguous", b"x", 1)
    conflict = await keep(uncertain_run, "conflict", b"a", 2)
    items = (await api.get("/receipts/unmatched", ADMIN)).json["items"]
    assert [(i["id"], i["why"], i["ref"], i["messages"]) for i in items] == [
        (parked, "parked", "0x00ff", []),
        (both, "ambiguous", "x", ids(uncertain_run, 1)),
        (conflict, "conflict", "a", ids(uncertain_run, 2)),
    ]
    assert items[0]["phone"] is None
    assert items[1]["phone"].startswith("197****")
    chosen = (await api.get("/receipts/unmatched?why=conflict", ADMIN)).json["items"]
    assert [i["id"] for i in chosen] == [conflict]
    assert (await api.get("/receipts/unmatched?why=lost", ADMIN)).status == 422
    school = (await api.get("/receipts/unmatched", SCHOOL)).json["items"]
    assert [i["id"] for i in school] == [both, conflict]
    assert (await api.get("/receipts/unmatched", OPERATOR)).json["items"] == []
    page = (await api.get("/receipts/unmatched?limit=2", ADMIN)).json
    rest = (await api.get(f"/receipts/unmatched?limit=2&cursor={page['next_cursor']}", ADMIN)).json
    assert [i["id"] for i in rest["items"]] == [conflict]
    for cursor in ("YQ==", "LTE=", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"):
        assert (await api.get(f"/receipts/unmatched?cursor={cursor}", ADMIN)).status == 422


async def test_a_receipt_is_laid_aside_with_a_reason_once(
    api: Api, uncertain_run: UncertainRun
) -> None:
    parked = await keep(uncertain_run, "parked", b"p", 1)
    other = await keep(uncertain_run, "conflict", b"nobody's")
    mine = await keep(uncertain_run, "conflict", b"a", 2)
    body = {"ids": [parked, other, mine, 7, 7], **REASON}
    done = await api.post("/receipts/unmatched/dismiss", SCHOOL, body)
    assert done.status == 200, done.body
    assert done.json == {
        "dismissed": 1,
        "items": [
            {"id": parked, "reason": "parked"},
            {"id": other, "reason": "not_kept"},
            {"id": 7, "reason": "not_kept"},
        ],
    }
    aside = await uncertain_run.pool.fetchrow("SELECT * FROM receipts_dismissed")
    assert aside is not None
    assert (aside["id"], aside["ref"], aside["why"]) == (mine, b"a", "conflict")
    assert aside["dismissed_by"] == api.teams["school"].operator.id
    assert (aside["dismissed_because"], aside["dismissed_at"]) == (REASON["reason"], api.clock.at)
    again = await api.post("/receipts/unmatched/dismiss", ADMIN, {"ids": [mine, other], **REASON})
    assert again.json["dismissed"] == 1
    assert (await api.post("/receipts/unmatched/dismiss", VIEWER, body)).status == 403
    for wrong in ([], ["1"], [True], [2**63], [0], [1.5]):
        answer = await api.post("/receipts/unmatched/dismiss", ADMIN, {"ids": wrong, **REASON})
        assert answer.status == 422, wrong


async def test_the_export_is_masked_and_no_formula(api: Api, uncertain_run: UncertainRun) -> None:
    await keep(uncertain_run, "conflict", b"=cmd|' /C calc'!A0", code="+1+1")
    await keep(uncertain_run, "parked", b"b", 2, code="@SUM(A1)")
    answer = await api.get("/receipts/unmatched/export", ADMIN)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = answer.body.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["ref"] for row in rows] == ["'=cmd|' /C calc'!A0", "b"]
    assert [row["code"] for row in rows] == ["'+1+1", "'@SUM(A1)"]
    assert rows[1]["phone"].startswith("197****")
    assert rows[1]["messages"] == ids(uncertain_run, 2)[0]
    chosen = await api.get("/receipts/unmatched/export?why=parked", SCHOOL)
    assert len(chosen.body.decode().splitlines()) == 2


# ---- the reconciliation


async def test_a_day_is_reconciled(api: Api, uncertain_run: UncertainRun) -> None:
    await uncertain_run.submit(3, b"three")
    await uncertain_run.receive(b"three", 3)
    channel = uncertain_run.on.channel
    said = (await api.get("/reports/reconciliation?day=2027-01-12", VIEWER)).json
    assert (said["day"], said["timezone"]) == ("2027-01-12", "Asia/Shanghai")
    (item,) = said["items"]
    assert (item["channel_id"], item["channel"]) == (channel.id, channel.name)
    assert item["submits"] == {"submitted": 1, "uncertain": 2}
    assert item["references"] == {"waiting": 3}
    assert (item["parts"], item["answered"]) == (3, 0)
    assert item["receipts"] == {"inbox": 1}
    assert {d["name"]: d["count"] for d in item["differences"]} == {"in_doubt": 2, "inbox": 1}
    await uncertain_run.fold()
    url = f"/reports/reconciliation?day=2027-01-12&channel={channel.id}"
    (item,) = (await api.get(url, VIEWER)).json["items"]
    assert (item["answered"], item["results"], item["receipts"]) == (1, {"delivered": 1}, {})
    empty = (await api.get("/reports/reconciliation?day=2027-01-13", VIEWER)).json
    assert empty["items"][0]["parts"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("day=12.1.2027", 422),
        ("day=0001-01-01", 422),
        ("day=9999-12-31", 422),
        ("day=2027-01-12&channel=999", 404),
        ("day=2027-01-12&channel=-1", 422),
        ("day=2027-01-12&channel=99999999999", 422),
    ],
)
async def test_a_wrong_day_or_channel_is_named(api: Api, query: str, status: int) -> None:
    assert (await api.get(f"/reports/reconciliation?{query}", VIEWER)).status == status
