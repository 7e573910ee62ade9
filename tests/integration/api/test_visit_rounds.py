"""Household rounds: registered one by one and from files, counted by village, and signed off."""

import asyncio
import io
import uuid
import zipfile
from datetime import date, timedelta
from typing import Any

import pytest

from service.crypto import Keyring
from service.privacy.retention import RetentionTerms, let_go
from service.storage.postgres import CheckViolation, transaction
from tests.factories import make_template
from tests.harness.offers import approved
from tests.harness.things import everything
from tests.harness.visit_rounds import (
    HEAD,
    OTHER,
    TOWN,
    VILLAGE,
    begin_round,
    progress,
    say_households,
    send_households,
    went,
)
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, APPROVER, VIEWER = (
    ("county", role) for role in ("admin", "operator", "approver", "viewer")
)
STRANGER = ("school", "operator")
READ_OUT = "【旌德县反诈中心】不点陌生链接，不给陌生人转账，有疑问请拨打96110。"


def lines(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join([head, *rows]).encode()


def kind(answer: Any) -> str:
    found: str = answer.json["type"].rpartition("/")[2]
    return found


async def sign(
    api: Api, round_id: str, who: tuple[str, str] = APPROVER, area: str = VILLAGE
) -> Any:
    return await api.post(f"/visit-rounds/{round_id}/sign-off", who, {"area": area})


async def test_a_village_of_ten_households_is_visited(api: Api) -> None:
    """Five told, one of them by the second visit; one not at home, one refuses, one has moved."""
    round_id = await begin_round(api)
    (row,) = (await progress(api, round_id))["areas"]
    assert (row["households"], row["visited"], row["pct"]) == (None, 0, None)
    for no in range(1, 5):
        assert (await went(api, round_id, f"一组{no}号", "told", spoken_to=no)).status == 200
    first = await went(api, round_id, "二组1号", "not_home")
    assert (first.json["no"], first.json["state"], first.json["not_home"]) == (1, "open", 1)
    second = await went(api, round_id, "2组 1号", "told", spoken_to=3)
    assert (second.json["household_id"], second.json["no"]) == (first.json["household_id"], 2)
    for label, result in (("二组2号", "not_home"), ("二组3号", "refused"), ("二组4号", "moved")):
        assert (await went(api, round_id, label, result)).status == 200
    (row,) = (await progress(api, round_id))["areas"]
    assert row["pct"] is None, "nobody has said how many households there are"
    await say_households(api, {VILLAGE: 10})
    found = await progress(api, round_id)
    (row,) = found["areas"]
    counts = {name: row[name] for name in ("told", "not_home", "refused", "moved", "excused")}
    assert counts == {"told": 5, "not_home": 1, "refused": 1, "moved": 1, "excused": 0}
    assert (row["visited"], row["spoken_to"]) == (8, 1 + 2 + 3 + 4 + 3)
    assert (row["pct"], found["total"]["pct"], row["flags"]) == ("50.0", "50.0", [])
    await say_households(api, {VILLAGE: 4})
    (row,) = (await progress(api, round_id))["areas"]
    assert (row["pct"], row["flags"]) == ("125.0", ["denominator_suspect"])


async def test_a_later_visit_to_a_household_that_was_told_counts_no_heads_twice(api: Api) -> None:
    round_id = await begin_round(api)
    await went(api, round_id, "三组12号", "told", spoken_to=2)
    again = await went(api, round_id, "三组12号", "told", spoken_to=3)
    assert (again.json["no"], again.json["disputed"]) == (2, False)
    other = await went(api, round_id, "三组12号", "refused")
    assert (other.json["state"], other.json["disputed"]) == ("told", True)
    (row,) = (await progress(api, round_id))["areas"]
    assert (row["told"], row["spoken_to"], row["disputed"], row["visited"]) == (1, 2, 1, 1)
    path = f"/households/{again.json['household_id']}"
    tries = (await api.get(path, OPERATOR)).json["tries"]
    assert [row["spoken_to"] for row in tries] == [2, 3, 0]
    assert (await api.get(path, STRANGER)).status == 404


async def test_a_phone_that_sends_late_and_again_writes_once(api: Api) -> None:
    round_id = await begin_round(api)
    body = {
        "key": str(uuid.uuid4()),
        "area": VILLAGE,
        "household": "三组12号",
        "result": "told",
        "spoken_to": 2,
        "on": str(api.clock.at.date()),
    }
    path = f"/visit-rounds/{round_id}/visits"
    answers = await asyncio.gather(*(api.post(path, OPERATOR, body) for _ in range(5)))
    api.clock.at += timedelta(days=3)
    answers.append(await api.post(path, OPERATOR, body | {"household": "3组12号"}))
    assert [answer.status for answer in answers] == [200] * 6
    assert sum(not answer.json["repeated"] for answer in answers) == 1
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM household_tries") == 1
    other = await api.post(path, OPERATOR, body | {"result": "refused", "spoken_to": 0})
    assert (other.status, kind(other)) == (409, "key_reused")


async def test_two_visitors_at_one_moment_are_both_kept(api: Api) -> None:
    round_id = await begin_round(api)
    both = await asyncio.gather(
        went(api, round_id, "三组12号", "told"), went(api, round_id, "三组12号", "refused", ADMIN)
    )
    assert [answer.status for answer in both] == [200, 200]
    assert sorted(answer.json["no"] for answer in both) == [1, 2]
    assert sorted(answer.json["disputed"] for answer in both) == [False, True]


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("household", {"household": "19790000001"}),
        ("spoken_to", {"result": "told", "spoken_to": 0}),
        ("spoken_to", {"result": "refused", "spoken_to": 2}),
        ("on", {"on": "2027-01-13"}),
        ("on", {"on": "2027-01-01"}),
        ("area", {"area": TOWN}),
        ("area", {"area": OTHER}),
        ("area", {"area": "341825199999"}),
        ("text", {"text": 1}),
        ("result", {"result": "excused", "note": "n"}),
        ("by", {"by": str(uuid.uuid4())}),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    api: Api, field: str, more: dict[str, Any]
) -> None:
    round_id = await begin_round(api)
    body = {"result": "not_home", **more}
    answer = await went(
        api, round_id, body.pop("household", "三组12号"), body.pop("result"), **body
    )
    assert (answer.status, list(answer.json["fields"])) == (422, [field]), answer.body
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM households") == 0


async def test_nobody_is_excused_before_three_visits_and_without_a_reason(api: Api) -> None:
    round_id = await begin_round(api)
    for _ in range(3):
        early = await went(api, round_id, "三组12号", "excused", note="长期在外")
        assert (early.status, kind(early)) == (422, "too_few_tries")
        assert (await went(api, round_id, "三组12号", "not_home")).status == 200
    without = await went(api, round_id, "三组12号", "excused")
    assert (without.status, list(without.json["fields"])) == (422, ["note"])
    excused = await went(api, round_id, "三组12号", "excused", note="长期在外")
    assert (excused.json["state"], excused.json["no"]) == ("excused", 4)


async def test_a_label_is_kept_encrypted_and_listed_for_the_next_visit(api: Api) -> None:
    round_id = await begin_round(api)
    await went(api, round_id, "老樟树下三组12号", "not_home", note="邻居说晚上在家")
    whole = await everything(api)
    assert "樟树" not in whole
    assert "晚上在家" not in whole
    path = f"/visit-rounds/{round_id}/visits?area={VILLAGE}"
    (one,) = (await api.get(f"{path}&state=open", OPERATOR)).json["items"]
    assert (one["household"], one["tries"], one["not_home"]) == ("老樟树下三组12号", 1, 1)
    assert (await api.get(path, VIEWER)).status == 403
    assert (await api.get(path, STRANGER)).status == 404


async def test_dirty_rows_of_a_file_are_refused_with_reasons_and_nothing_is_half_applied(
    api: Api,
) -> None:
    round_id = await begin_round(api, TOWN)
    rows = [
        "341825100001,一组1号,已告知,2",
        "341825100001,一组2号,不在家,",
        ",,,",
        "村编码,户号,结果,人数",
        "341825101200,一组3号,已告知,1",
        "999999999999,一组3号,已告知,1",
        "341825100001,19790000001,已告知,1",
        "341825100001,一组4号,也许,1",
        "341825100001,一组5号,已告知,",
        "341825100001,一组6号,拒绝,3",
        "341825100001,一组7号,免访,",
        "合计,,,5",
    ]
    answer = await send_households(api, round_id, lines(*rows))
    assert (answer.status, kind(answer)) == (422, "rows_rejected")
    report = answer.json["report"]
    assert report["rows"] == {"read": 12, "accepted": 2, "rejected": 7, "skipped": 3}
    assert report["rejected"] == {
        "area_outside": 1,
        "area_unknown": 1,
        "household_invalid": 1,
        "result_invalid": 1,
        "spoken_to_invalid": 2,
        "too_few_tries": 1,
    }
    assert report["skipped"] == {"blank": 1, "repeated_header": 1, "total": 1}
    assert [row["row"] for row in report["rejects"]] == [6, 7, 8, 9, 10, 11, 12]
    assert all(row["why"] for row in report["rejects"])
    assert "19790000001" not in answer.body.decode()
    zh = await send_households(api, round_id, lines(*rows), language="zh")
    assert "写村编码" in zh.json["report"]["rejects"][1]["why"]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM households") == 0
    dry = await send_households(api, round_id, lines(*rows), dry_run="true")
    assert (dry.status, dry.json["rows"]) == (200, report["rows"])
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM households") == 0
    taken = await send_households(api, round_id, lines(*rows), accept_partial="true")
    assert (taken.status, taken.json["results"]) == (200, {"told": 1, "not_home": 1})
    found = await progress(api, round_id)
    row = next(row for row in found["areas"] if row["area"] == VILLAGE)
    assert (row["told"], row["not_home"], row["spoken_to"]) == (1, 1, 2)
    assert found["total"]["villages"] == len(found["areas"]) > 1


async def test_a_form_that_grows_is_sent_each_day_and_written_once(api: Api) -> None:
    round_id = await begin_round(api)
    head = "村编码,门牌号,走访结果,告知人数,日期,入户人,备注"
    me = api.teams["county"].operator
    rows = [
        f"{VILLAGE},一组1号,不在家,,2027-01-12,{me.login},",
        f"{VILLAGE},一组1号,不在家,,2027-01-12,{me.login},",
        f"{VILLAGE},一组2号,已宣传,2人,2027年1月12日,,",
    ]
    first = await send_households(api, round_id, lines(*rows, head=head))
    assert (first.status, first.json["rows"]["accepted"]) == (200, 3), first.body
    api.clock.at += timedelta(days=1)
    rows += [
        f"{VILLAGE},1组1号,不在家,,2027/1/13,{me.login},",
        f"{VILLAGE},1组1号,免访,,2027/1/13,{me.login},长期在外",
    ]
    second = await send_households(api, round_id, lines(*rows, head=head))
    assert second.json["rows"] == {"read": 5, "accepted": 2, "rejected": 0, "skipped": 3}
    assert second.json["skipped"] == {"written_before": 3}
    third = await send_households(api, round_id, lines(*rows, head=head))
    assert third.json["rows"]["accepted"] == 0
    tries = await api.runtime.pool.fetch(
        "SELECT on_day, result FROM household_tries t JOIN households h ON h.id = t.household_id"
        " WHERE h.state = 'excused' ORDER BY no"
    )
    assert [row["result"] for row in tries] == ["not_home"] * 3 + ["excused"]
    assert tries[0]["on_day"] == date(2027, 1, 12)
    strange = await send_households(
        api, round_id, lines(f"{VILLAGE},一组3号,不在家,,,某某,", head=head)
    )
    assert strange.json["report"]["rejected"] == {"by_unknown": 1}


async def test_what_a_file_says_of_persons_is_never_stored(api: Api) -> None:
    round_id = await begin_round(api)
    head = "村编码,户号,户主姓名,联系电话,身份证号,家庭住址,结果,人数"
    row = f"{VILLAGE},三组12号,欧阳修远,19790000077,341825198001010017,桃花巷九号,已告知,2"
    made = await send_households(api, round_id, lines(row, head=head))
    assert made.status == 200, made.body
    refused = {c["header"] for c in made.json["tables"][0]["refused"]}
    assert refused == {"户主姓名", "联系电话", "身份证号", "家庭住址"}
    whole = await everything(api) + made.body.decode()
    for secret in ("欧阳", "19790000077", "341825198001010017", "桃花巷"):
        assert secret not in whole


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        ("姓名,手机号\n甲,19790000001".encode(), "no_household_column"),
        ("户号,结果\n一组1号,已告知".encode(), "column_missing"),
        ("村编码,户号\n341825100001,一组1号".encode(), "column_missing"),
        (b"\xd0\xcf\x11\xe0old", "unsupported_format"),
    ],
)
async def test_a_file_that_is_no_table_of_households(api: Api, content: bytes, code: str) -> None:
    answer = await send_households(api, await begin_round(api), content)
    assert (answer.status, kind(answer)) == (422, code)


async def test_a_signer_visited_nobody_there_and_nothing_is_open(api: Api) -> None:
    round_id = await begin_round(api)
    nobody = await sign(api, round_id)
    assert nobody.status == 404
    await went(api, round_id, "三组12号", "not_home")
    still = await sign(api, round_id)
    assert (still.status, kind(still)) == (409, "visits_open")
    await went(api, round_id, "三组12号", "told")
    own = await sign(api, round_id, OPERATOR)
    assert (own.status, kind(own)) == (403, "second_person_needed"), own.body
    signed = await sign(api, round_id)
    assert (signed.status, signed.json["closed"]) == (200, True)
    late = await went(api, round_id, "三组13号", "told")
    assert (late.status, kind(late)) in {(409, "signed_off"), (409, "round_over")}
    assert (await api.get(f"/visit-rounds/{round_id}", VIEWER)).json["state"] == "closed"
    assert (await progress(api, round_id))["areas"][0]["signed_by"] == str(
        api.teams["county"].approver.id
    )


async def test_a_round_is_closed_once_its_last_village_is_signed(api: Api) -> None:
    round_id = await begin_round(api, TOWN)
    villages = [row["area"] for row in (await progress(api, round_id))["areas"]]
    for village in villages:
        assert (await went(api, round_id, "三组12号", "told", area=village)).status == 200
    closed = [(await sign(api, round_id, area=village)).json["closed"] for village in villages]
    assert closed == [False] * (len(villages) - 1) + [True]
    twice = await sign(api, round_id, area=villages[0])
    assert (twice.status, kind(twice)) == (409, "round_over")


async def test_sql_past_the_code_signs_nothing_that_is_open_and_by_no_visitor(api: Api) -> None:
    pool, team = api.runtime.pool, api.teams["county"]
    round_id = await begin_round(api, TOWN)
    await went(api, round_id, "三组12号", "not_home")
    signing = "UPDATE visit_round_villages SET signed_by = $1, signed_at = $2 WHERE village = $3"
    with pytest.raises(CheckViolation, match="still to be visited"):
        await pool.execute(signing, team.approver.id, api.clock.at, VILLAGE)
    await went(api, round_id, "三组12号", "told")
    with pytest.raises(CheckViolation, match="second person"):
        await pool.execute(signing, team.operator.id, api.clock.at, VILLAGE)
    await pool.execute(signing, team.approver.id, api.clock.at, VILLAGE)
    for past in (
        "UPDATE households SET state = 'open', spoken_to = 0",
        "UPDATE household_tries SET written_by = by_id",
        (
            "INSERT INTO households (round_id, village, label_hash, label_cipher, state)"
            " SELECT round_id, village, '\\x00112233445566778899aabbccddeeff', 'x', 'open'"
            " FROM households"
        ),
    ):
        with pytest.raises(CheckViolation, match="signed off"):
            await pool.execute(past)
    late = await went(api, round_id, "三组13号", "told")
    assert (late.status, kind(late)) == (409, "signed_off")
    assert (await went(api, round_id, "三组13号", "told", area=OTHER)).status == 200


async def test_towns_visit_their_own_villages_if_they_are_asked(api: Api) -> None:
    pool = api.runtime.pool
    round_id = await begin_round(api, TOWN)
    await pool.execute(
        "UPDATE departments SET area_code = $1 WHERE id = $2",
        VILLAGE,
        api.teams["school"].department_id,
    )
    path = f"/visit-rounds/{round_id}"
    assert (await api.get(path, STRANGER)).status == 404
    assert (await went(api, round_id, "三组12号", "told", STRANGER)).status == 404
    await pool.execute("UPDATE visit_rounds SET with_towns = true")
    assert (await api.get(path, STRANGER)).json["whole"] is False
    found = await progress(api, round_id, who=STRANGER)
    assert [row["area"] for row in found["areas"]] == [VILLAGE]
    outside = await went(api, round_id, "三组12号", "told", STRANGER, area=OTHER)
    assert (outside.status, list(outside.json["fields"])) == (422, ["area"])
    assert (await went(api, round_id, "三组12号", "told", STRANGER)).status == 200
    hidden = await api.get(f"{path}/visits?area={OTHER}", STRANGER)
    assert hidden.status == 404
    assert (await api.get("/visit-rounds", STRANGER)).json["items"][0]["id"] == round_id
    ended = await api.post(f"{path}/cancel", STRANGER, {"reason": "x"})
    assert ended.status == 403
    await pool.execute(
        "UPDATE departments SET area_code = '341825101000' WHERE area_code = $1", VILLAGE
    )
    assert (await api.get(path, STRANGER)).status == 404
    assert (await api.get("/visit-rounds", STRANGER)).json["items"] == []


async def test_only_approved_texts_without_variables_are_read_out(api: Api) -> None:
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        draft = await make_template(conn, team.operator, now=now, text=READ_OUT)
        good = await approved(conn, team, now, READ_OUT)
        varied = await approved(conn, team, now, "【旌德县反诈中心】{姓名}您好，转账前请先核实。")
        others = await approved(conn, api.teams["school"], now, READ_OUT)
    for wrong in (draft, varied, others):
        body = {
            "name": "入户",
            "area": VILLAGE,
            "due_on": "2027-01-31",
            "texts": [{"template_id": str(wrong.id), "version": 1}],
        }
        answer = await api.post("/visit-rounds", OPERATOR, body)
        assert (answer.status, list(answer.json["fields"])) == (422, ["texts.0"])
    round_id = await begin_round(api, texts=[{"template_id": str(good.id), "version": 1}])
    told = await went(api, round_id, "三组12号", "told")
    tries = (await api.get(f"/households/{told.json['household_id']}", OPERATOR)).json["tries"]
    assert tries[0]["text"] == 1, "the only one"
    html = await api.get(f"/visit-rounds/{round_id}/form?area={VILLAGE}&format=html", OPERATOR)
    assert READ_OUT in html.body.decode()
    assert html.body.decode().count("<tr>") == 1 + 30


async def test_the_form_and_the_progress_are_documents(api: Api) -> None:
    round_id = await begin_round(api, TOWN)
    await say_households(api, {VILLAGE: 8})
    await went(api, round_id, "三组12号", "told")
    path = f"/visit-rounds/{round_id}"
    form = await api.get(f"{path}/form?area={VILLAGE}&rows=12", OPERATOR)
    with zipfile.ZipFile(io.BytesIO(form.body)) as parts:
        word = parts.read("word/document.xml").decode()
    assert word.count("<w:tr>") == 1 + 12
    assert word.count("☐") == 4 * 12
    assert 'w:hRule="atLeast"' in word
    assert "三组12号" in word, "as an example only"
    other = await api.get(f"{path}/form?area=341825101200", OPERATOR)
    assert other.status == 404
    for form_name, part in (("docx", "word/document.xml"), ("xlsx", "xl/sharedStrings.xml")):
        made = await api.get(f"{path}/progress/document?format={form_name}", VIEWER)
        assert made.status == 200
        with zipfile.ZipFile(io.BytesIO(made.body)) as parts:
            assert "南门居委会" in parts.read(part).decode()
    page = await api.get(f"{path}/progress/document?format=html&level=town", VIEWER)
    assert "旌阳镇" in page.body.decode()
    assert ">12.5<" in page.body.decode()


@pytest.mark.parametrize("end", ["cancelled", "expired"])
async def test_labels_leave_90_days_after_and_counts_stay(
    api: Api, end: str, keyring: Keyring
) -> None:
    round_id = await begin_round(api, due_on="2027-01-20")
    told = await went(api, round_id, "三组12号", "told", spoken_to=2, note="两位老人")
    await went(api, round_id, "三组13号", "not_home")
    if end == "cancelled":
        answer = await api.post(f"/visit-rounds/{round_id}/cancel", OPERATOR, {"reason": "r"})
        assert (answer.status, answer.json["state"]) == (200, "cancelled")
    before = (await progress(api, round_id))["total"]
    day = api.clock.at.replace(day=20) if end == "expired" else api.clock.at
    pool = api.runtime.pool
    early = await let_go(pool, keyring, RetentionTerms(), day + timedelta(days=89))
    assert "households" not in early
    let = await let_go(pool, keyring, RetentionTerms(), day + timedelta(days=92), rows=1)
    assert let["households"] > 0
    api.clock.at = day + timedelta(days=92)
    left = await pool.fetchval(
        "SELECT count(*) FROM households WHERE label_hash IS NOT NULL OR label_cipher IS NOT NULL"
    )
    assert left == 0
    assert not await pool.fetchval(
        "SELECT count(*) FROM household_tries WHERE note_cipher IS NOT NULL"
    )
    after = (await progress(api, round_id))["total"]
    same = ("visited", "told", "not_home", "spoken_to")
    assert [after[name] for name in same] == [before[name] for name in same]
    shown = (await api.get(f"/visit-rounds/{round_id}", VIEWER)).json
    assert (shown["state"], shown["labels_dropped"]) == (end, True)
    detail = (await api.get(f"/households/{told.json['household_id']}", OPERATOR)).json
    assert (detail["household"], detail["tries"][0]["note"]) == (None, "")
    late = await went(api, round_id, "三组14号", "told", on="2027-01-12")
    assert (late.status, kind(late)) == (409, "round_over")


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("area", {"area": "341825199999"}),
        ("due_on", {"due_on": "2027-01-11"}),
        ("starts_on", {"starts_on": "2027-02-01"}),
        ("starts_on", {"starts_on": "2025-01-01"}),
    ],
)
async def test_a_round_that_cannot_be(api: Api, field: str, more: dict[str, str]) -> None:
    body = {"name": "入户", "area": VILLAGE, "due_on": "2027-01-31", **more}
    answer = await api.post("/visit-rounds", OPERATOR, body)
    assert (answer.status, list(answer.json["fields"])) == (422, [field])
