"""Workbooks, newer lists, members and undoing over HTTP."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.audience.rosters.rosters import run_undo
from service.storage.postgres import transaction
from tests.harness.instants import instant
from tests.integration.api.conftest import Answer, Api

OPERATOR, SCHOOL = ("county", "operator"), ("school", "operator")
CONTACTS = Path(__file__).resolve().parents[2] / "data" / "contacts"
MEMBERS = "/rosters/财务人员/members"


def _form(content: bytes, **fields: str) -> FormData:
    form = FormData(quote_fields=False)
    form.add_field("file", content, filename="名单", content_type="application/octet-stream")
    for name, value in {"roster": "财务人员", **fields}.items():
        form.add_field(name, value)
    return form


async def _import(api: Api, content: bytes, **fields: str) -> Any:
    taken = await api.post("/imports", OPERATOR, data=_form(content, **fields))
    assert taken.status == 202
    async with api.runtime.pool.acquire() as conn:
        await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    return (await api.get(f"/imports/{taken.json['id']}", OPERATOR)).json


async def _undo(api: Api, import_id: str) -> Any:
    """Ask for it, and do what a worker does."""
    asked = await api.post(f"/imports/{import_id}/undo", OPERATOR)
    assert (asked.status, asked.json["undo"]["state"]) == (202, "waiting")
    again = await api.post(f"/imports/{import_id}/undo", OPERATOR)
    assert (again.status, again.json["type"]) == (409, "/problems/undo_waits")
    assert (await api.get(f"/imports/{import_id}", OPERATOR)).json["undo"]["state"] == "waiting"
    async with api.runtime.pool.acquire() as conn:
        assert await run_undo(conn, UUID(import_id), api.clock.at)
    return (await api.get(f"/imports/{import_id}", OPERATOR)).json


async def _put(api: Api, body: Any, who: tuple[str, str] = OPERATOR) -> Answer:
    return await api.call("PUT", MEMBERS, who, json=body)


async def _roster(api: Api) -> Any:
    (roster,) = (await api.get("/rosters", OPERATOR)).json["items"]
    return roster


async def test_a_preview_says_who_is_on_ended_lists_only(api: Api) -> None:
    """Else a list would shrink from one day to the next, and nobody would know why."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    today, later = "2027-01-12", "2027-12-31"
    rows = [f"1979000000{n},张三,会计,{today if n < 3 else later}" for n in range(1, 6)]
    await _import(api, "\n".join(["手机,姓名,身份,有效期至", *rows]).encode())
    expected = ((0, 5, 0), (1, 3, 2), (400, 0, 5))  # days later; meant; on ended lists
    began = api.clock.at
    for days, target, ended in expected:
        api.clock.at = began + timedelta(days=days)
        for rule, people in (("身份 = 财务人员", target), ("身份 = 司机", 0)):
            found = (await api.post("/segments/preview", OPERATOR, {"rule": rule})).json
            assert (found["target"], found["ended"], found["excluded"]) == (people, ended, {}), days


async def test_a_workbook_is_taken_and_taken_back(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    done = await _import(api, (CONTACTS / "school-120-office.xlsx").read_bytes())
    assert (done["state"], done["mode"], done["undone_at"]) == ("done", "add", None)
    assert [table["sheet"] for table in done["report"]["tables"]] == ["第一批", "第二批"]
    people = done["report"]["recipients"]["total"]
    assert (await _roster(api))["contacts"] == people
    shown = await _undo(api, done["id"])
    assert (shown["undo"]["state"], shown["undo"]["contacts"]) == ("done", people)
    assert (await api.get("/rosters", OPERATOR)).json["items"] == []
    assert shown["undone_at"] == instant("2027-01-12T01:30:00Z")
    again = await api.post(f"/imports/{done['id']}/undo", OPERATOR)
    assert (again.status, again.json["type"]) == (409, "/problems/already_undone")


async def test_only_ones_own_imports_are_taken_back(api: Api) -> None:
    done = await _import(api, b"phone\n19790000001\n")
    assert (await api.post(f"/imports/{done['id']}/undo", SCHOOL)).status == 404
    assert (await _roster(api))["contacts"] == 1


async def test_a_newer_file_replaces_the_list(api: Api) -> None:
    await _import(api, b"phone\n19790000001\n19790000002\n")
    done = await _import(api, b"phone\n19790000002\n19790000003\n", mode="replace")
    assert done["report"]["stored"]["members"] == {"added": 1, "changed": 0, "left": 1}
    roster = await _roster(api)
    assert roster["contacts"] == 2
    assert roster["latest"] == {
        "import_id": done["id"],
        "at": done["finished_at"],
        "added": 1,
        "changed": 0,
        "left": 1,
    }


async def test_members_are_put_and_rejects_listed(api: Api) -> None:
    body = {
        "members": [
            {"phone": "197 9000 0001", "name": "王小明", "roles": ["finance"], "class": "1班"},
            {"phone": 19790000002, "age": 61},
            {"phone": "0563-0601234"},
        ],
        "basis": "contract_hr",
        "expires_on": "2027-12-31",
    }
    put = await _put(api, body)
    assert put.status == 200
    assert put.json["rows"] == {
        "read": 3, "accepted": 2, "rejected": 1, "duplicate": 0, "skipped": 0,
    }  # fmt: skip
    assert (put.json["added"], put.json["changed"], put.json["left"]) == (2, 0, 0)
    assert put.json["rejected"] == {"landline": 1}
    rejects = await api.get(f"/imports/{put.json['import_id']}/rejects", OPERATOR)
    assert rejects.body.decode().splitlines()[1].startswith(",4,landline,")
    preview = await api.post(
        "/segments/preview", OPERATOR, {"rule": "班级 = 1班 且 身份 = finance"}
    )
    assert preview.json["target"] == 1
    roster = await _roster(api)
    assert (roster["basis"], roster["expires_on"], roster["expired"]) == (
        "contract_hr",
        "2027-12-31",
        False,
    )
    assert (await _undo(api, put.json["import_id"]))["undo"]["contacts"] == 2


async def test_a_member_lives_in_an_area_of_any_level(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    names = ("旌德县", "宣城市", "安徽省", "旌阳镇", "没有这个县")
    members = [{"phone": f"1979000000{n}", "area": name} for n, name in enumerate(names, 1)]
    put = await _put(api, {"members": members})
    assert put.json["warnings"] == {"area_unknown": 1, "name_missing": 5}, put.body
    for rule, target in (("区域 = 旌德县", 2), ("区域 = 宣城市", 3), ("区域 = 安徽省", 4)):
        preview = await api.post("/segments/preview", OPERATOR, {"rule": rule})
        assert preview.json["target"] == target, rule


async def test_departments_have_lists_of_their_own(api: Api) -> None:
    await _put(api, {"members": [{"phone": "19790000001"}]})
    await _put(api, {"members": [{"phone": "19790000002"}]}, SCHOOL)
    assert (await _roster(api))["contacts"] == 1
    (own,) = (await api.get("/rosters", SCHOOL)).json["items"]
    assert (own["contacts"], own["latest"]["left"]) == (1, 0)


async def test_what_is_wrong_with_a_list_is_said(api: Api) -> None:
    broken = await _put(api, {"members": [{"phone": "12"}]})
    assert (broken.status, broken.json["type"]) == (422, "/problems/no_recipients")
    nameless = await api.call("PUT", "/rosters/%20/members", OPERATOR, json={"members": []})
    assert (nameless.status, list(nameless.json["fields"])) == (422, ["roster"])
    for body in ({"members": [{"name": "王"}]}, {"members": [{"phone": "1", "id_card": "2"}]}, {}):
        assert (await _put(api, body)).status == 422
    many = [{"phone": "19790000001"}] * 5_001
    assert (await _put(api, {"members": many})).status == 422
    assert (await api.get("/rosters", OPERATOR)).json["items"] == []


async def test_a_broken_workbook_fails_with_a_remedy(api: Api) -> None:
    done = await _import(api, b"PK\x03\x04" + bytes(1_000))
    assert (done["state"], done["report"]["error"]) == ("failed", "unsupported_format")
    assert "save it anew" in done["report"]["message"]
    assert (await api.get("//healthz", None)).status == 200
