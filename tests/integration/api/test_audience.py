"""Uploads, rosters, areas, suppressions and segments over HTTP."""

import asyncio
import csv
import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import FormData
from aiohttp.multipart import parse_content_disposition

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.queue import Job, Queue
from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.harness.instants import instant
from tests.harness.uploads import FILE, upload
from tests.harness.waiting import until_blocked
from tests.integration.api.conftest import Api

OPERATOR, SCHOOL = ("county", "operator"), ("school", "operator")


async def test_a_file_is_taken_read_and_reported(api: Api, monkeypatch: Any) -> None:
    rung: list[tuple[Job, tuple[object, ...]]] = []

    async def enqueue(_: Queue, job: Job, *ids: object) -> None:
        rung.append((job, ids))

    monkeypatch.setattr("service.queue.Queue.enqueue", enqueue)
    taken = await api.post(
        "/imports", OPERATOR, data=upload(basis="contract_hr", expires_on="2027-12-31")
    )
    assert (taken.status, taken.json["state"]) == (202, "reading")
    import_id = UUID(taken.json["id"])
    assert rung == [(Job.READ_IMPORT, (import_id,))]
    async with transaction(api.runtime.pool) as conn:
        clear = await conn.fetchval(
            "SELECT bool_or(position($1 in cipher) > 0) FROM import_chunks", b"19790000001"
        )
        assert clear is False
        assert await run_import(conn, api.runtime.keyring, import_id, api.clock.at)
    shown = (await api.get(f"/imports/{import_id}", OPERATOR)).json
    assert (shown["state"], shown["file_name"], shown["basis"]) == (
        "done",
        "名单.csv",
        "contract_hr",
    )
    assert shown["report"]["rows"] == {
        "read": 2,
        "accepted": 1,
        "rejected": 1,
        "duplicate": 0,
        "skipped": 0,
    }
    rejects = await api.get(f"/imports/{import_id}/rejects", OPERATOR)
    assert rejects.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(rejects.body.decode("utf-8-sig"))))
    assert [row["row"] for row in rows] == ["3"]
    rosters = (await api.get("/rosters", OPERATOR)).json["items"]
    assert [(r["name"], r["contacts"], r["expires_on"]) for r in rosters] == [
        ("财务人员", 1, "2027-12-31")
    ]


NAME = "全县.csv"
NAMES = {
    "UTF-8, as RFC 7578 has it": (f'filename="{NAME}"'.encode(), NAME),
    "an extended parameter": (b"filename=\"x.csv\"; filename*=UTF-8''%E5%85%A8%E5%8E%BF.csv", NAME),
    "percent-encoded": (b'filename="%E5%85%A8%E5%8E%BF.csv"', NAME),
    "percent-encoded, small letters": (b'filename="%e5%85%a8%e5%8e%bf.csv"', NAME),
    "GB18030": (f'filename="{NAME}"'.encode("gb18030"), NAME),
    "a sign of percent": (b'filename="100%.csv"', "100%.csv"),
    "half encoded": (b'filename="50%25 off.csv"', "50%25 off.csv"),
    "encoded octets of no text": (b'filename="%FF%FE.csv"', "%FF%FE.csv"),
    "a folder in disguise": (b'filename="..%2F..%2Fetc.csv"', "..%2F..%2Fetc.csv"),
    "a line in disguise": (b'filename="a%0D%0Ab.csv"', "a%0D%0Ab.csv"),
}


@pytest.mark.parametrize(("given", "expected"), NAMES.values(), ids=NAMES)
async def test_the_name_of_a_file_is_the_one_that_its_owner_wrote(
    api: Api, given: bytes, expected: str
) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="'
    form = head + b'roster"\r\n\r\nr\r\n' + head + b'file"; ' + given + b"\r\n\r\n"
    taken = await api.call(
        "POST",
        "/imports",
        OPERATOR,
        data=form + FILE + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert taken.status == 202, taken.body
    path = f"/imports/{taken.json['id']}"
    assert (await api.get(path, OPERATOR)).json["file_name"] == expected
    rejects = await api.get(f"{path}/rejects", OPERATOR)
    _, told = parse_content_disposition(rejects.headers["Content-Disposition"])
    assert told == {
        "filename": f"rejects-{taken.json['id']}.csv",
        "filename*": f"rejects-{expected}",
    }


async def test_fields_may_come_before_or_after_the_file(api: Api) -> None:
    form = FormData()
    form.add_field("roster", "r")
    form.add_field("columns", '{"phone": "手机号"}')
    form.add_field("file", FILE, filename="f.csv")
    form.add_field("dry_run", "true")
    assert (await api.post("/imports", OPERATOR, data=form)).status == 202


async def test_wrong_uploads_are_refused_and_leave_nothing(api: Api) -> None:
    no_file = FormData({"roster": "r"}, default_to_multipart=True)
    twice = upload()
    twice.add_field("roster", "again")
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    cases: list[tuple[int, dict[str, Any]]] = [
        (422, {"data": no_file}),
        (422, {"data": twice}),
        (422, {"data": upload(basis="because")}),
        (422, {"data": upload(colour="red")}),
        (422, {"data": upload(columns="[")}),
        (422, {"data": upload(expires_on="2020-01-01")}),
        (422, {"data": upload(roster="")}),
        (413, {"data": upload(b"x" * 300_001)}),
        (413, {"data": upload(encoding="x" * 70_000)}),
        (400, {"data": b"rubbish", "headers": boundary}),
        (400, {"data": b"--x\r\n\r\nhalf", "headers": boundary}),
        (400, {"data": b"", "headers": {"Content-Type": "multipart/form-data"}}),
    ]
    for status, options in cases:
        answer = await api.post("/imports", OPERATOR, **options)
        assert answer.status == status, (options, answer.body)
    async with transaction(api.runtime.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM imports") == 0


async def test_a_file_of_exactly_the_limit_is_taken(api: Api) -> None:
    assert (await api.post("/imports", OPERATOR, data=upload(b"x" * 300_000))).status == 202


async def test_areas_are_paged_and_can_be_narrowed(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    first = (await api.get("/areas?limit=1", OPERATOR)).json
    assert (first["items"][0]["level"], len(first["items"])) == ("province", 1)
    second = (await api.get(f"/areas?limit=1&cursor={first['next_cursor']}", OPERATOR)).json
    assert second["items"][0]["code"] > first["items"][0]["code"]
    towns = (await api.get("/areas?parent=341825000000", OPERATOR)).json["items"]
    assert len(towns) == 10
    assert "旌阳镇" in {town["name"] for town in towns}


async def test_a_suppression_is_made_found_and_lifted(api: Api) -> None:
    body = {"phones": ["+86 197-9000-0001", "１９７９００００００２"], "note": "来电要求"}
    made = await api.post("/suppressions", OPERATOR, body)
    assert (made.status, made.json["added"]) == (201, 2)
    assert {item["phone"] for item in made.json["items"]} == {"197****0001", "197****0002"}
    again = await api.post("/suppressions", OPERATOR, {"phone": "19790000001"})
    assert again.json["added"] == 0
    look_up = ("/suppressions/lookup", OPERATOR, {"phone": "19790000001"})
    found = await api.post(*look_up)
    (item,) = found.json["items"]
    assert (item["reason"], item["note"]) == ("opted_out", "来电要求")
    assert (await api.call("DELETE", f"/suppressions/{item['id']}", SCHOOL)).status == 404
    assert (await api.call("DELETE", f"/suppressions/{item['id']}", OPERATOR)).status == 204
    assert (await api.post(*look_up)).json["items"] == []


async def test_a_suppression_is_never_shortened(api: Api) -> None:
    forever = {"phone": "19790000001"}
    until = {**forever, "expires_at": (api.clock.at + timedelta(days=1)).isoformat()}
    longer = {**forever, "expires_at": (api.clock.at + timedelta(days=9)).isoformat()}
    for body in (longer, until):
        answer = await api.post("/suppressions", OPERATOR, body)
    assert answer.json["items"][0]["expires_at"] == instant("2027-01-21T01:30:00Z")
    for body in (forever, until):
        answer = await api.post("/suppressions", SCHOOL, body)
        assert answer.json["items"][0]["expires_at"] is None


async def test_suppressing_waits_for_a_hand_off_that_is_being_marked(api: Api) -> None:
    """Invariant I7: after the answer, nobody among them is newly marked as leaving."""
    async with transaction(api.runtime.pool) as marking:
        await marking.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended('suppressions', 0))"
        )
        asking = asyncio.create_task(api.post("/suppressions", OPERATOR, {"phone": "19790000001"}))
        await until_blocked(api.runtime.pool, asking)
    assert (await asking).status == 201


async def test_a_preview_counts_people_and_says_who_is_left_out(api: Api) -> None:
    keyring, department = api.runtime.keyring, api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        now = api.clock.at
        town = {"area_code": "341825100000"}
        await make_contact(conn, keyring, department, 1, now=now, age_band="70+", **town)
        await make_contact(conn, keyring, department, 2, now=now, age_band="60-69")
        await make_contact(conn, keyring, department, 3, now=now)  # no age
        await make_contact(conn, keyring, department, 4, now=now, age_band="18-25")
        await make_contact(conn, keyring, department, 5, now=now, age_band="70+")
        other = api.teams["school"].department_id
        await make_contact(conn, keyring, other, 6, now=now, age_band="70+")
    await api.post("/suppressions", SCHOOL, {"phone": phone(5), "reason": "protected"})
    await api.post("/suppressions", SCHOOL, {"phone": phone(5), "reason": "complaint"})
    preview = (await api.post("/segments/preview", OPERATOR, {"rule": "年龄 >= 60"})).json
    assert preview["target"] == 2
    assert preview["excluded"] == {"age_unclear": 1, "complaint": 1}
    assert preview["by_area"] == {"341825100000": 1, "none": 1}
    assert preview["area_names"] == {"341825100000": "旌阳镇"}
    assert preview["by_carrier"] == {"china_mobile": 2}
    assert {person["phone"] for person in preview["sample"]} == {"197****0001", "197****0002"}
    assert {person["area"] for person in preview["sample"]} == {"旌阳镇", ""}


async def test_a_segment_keeps_what_was_typed_and_what_it_means(api: Api) -> None:
    made = await api.post("/segments", OPERATOR, {"name": "老人", "rule": "年龄>=60 且 性别=女"})
    assert made.json["rule"] == "年龄>=60 且 性别=女"
    assert made.json["canonical"] == 'age >= 60 and gender = "f"'
    path = f"/segments/{made.json['id']}"
    api.clock.at += timedelta(hours=1)
    renamed = (await api.patch(path, ("county", "admin"), {"name": "老年妇女"})).json
    assert renamed["edited_by"] == made.json["edited_by"]  # a name is no rule
    changed = (await api.patch(path, ("county", "admin"), {"rule": "年龄>=70"})).json
    assert changed["edited_by"] == str(api.teams["county"].admin.id)
    assert changed["edited_at"] == instant("2027-01-12T02:30:00Z")
    assert (await api.get(path, OPERATOR)).json == changed
    taken = await api.post("/segments", OPERATOR, {"name": "老年妇女", "rule": "年龄>=60"})
    assert taken.status == 409
    wrong = await api.patch(path, OPERATOR, {"rule": "区域 = 火星"})
    assert (wrong.status, wrong.json["type"]) == (422, "/problems/segment_rule")
