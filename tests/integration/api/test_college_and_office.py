"""Liaisons of a university: counsellors and class monitors, with college, office and tags."""

from typing import Any

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.audience.rosters.rosters import run_undo
from service.storage.postgres import transaction
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")
FILE = """姓名,性别,手机号码,学院,科室,年级,班级,身份,标签,区域
王小明,男,19790000001,数信学院,学工办,大二,,辅导员,重点、联络,旌阳镇
李四,女,19790000002,数信学院,,大二,信计1班,班长；学生,联络,南门居委会
张三,男,19790000003,文学院,,大一,中文2班,班长,,341825100000
赵六,男,19790000004,,保卫处,,,干部职工,重点;,火星
钱七,男,19790000005,,,三年级,1班,班长,,
"""


async def _preview(api: Api, rule: str) -> int:
    answer = await api.post("/segments/preview", OPERATOR, {"rule": rule})
    assert answer.status == 200, answer.body
    return int(answer.json["target"])


async def test_a_file_says_college_office_and_tags(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    taken = await api.post("/imports", OPERATOR, data=upload(FILE.encode(), roster="联系人"))
    async with transaction(api.runtime.pool) as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    report = (await api.get(f"/imports/{taken.json['id']}", OPERATOR)).json["report"]
    assert report["tables"][0]["ignored"] == []
    assert report["rejected"] == {"minor": 1}, "a monitor of the third grade is a child"
    assert report["warnings"] == {"area_unknown": 1}
    assert report["recipients"]["by_role"]["class_monitor"] == 2

    people = (await api.get("/contacts", OPERATOR)).json["items"]
    shown = {one["phone"][-1]: (one["area_code"], sorted(one["tags"])) for one in people}
    assert shown == {
        "1": ("341825100000", ["联络", "重点"]),
        "2": ("341825100001", ["联络"]),
        "3": ("341825100000", []),
        "4": (None, ["重点"]),
    }
    first = next(one for one in people if one["phone"].endswith("1"))
    one = (await api.get(f"/contacts/{first['id']}", OPERATOR)).json
    (entry,) = one["entries"]
    assert (entry["college"], entry["office"], entry["tags"], entry["roles"]) == (
        "数信学院",
        "学工办",
        ["重点", "联络"],
        ["counsellor"],
    )
    for rule, target in {
        "学院 = 数信学院": 2,
        "college = 文学院 or office = 保卫处": 2,
        "科室 = 学工办 且 身份 = 辅导员": 1,
        "身份 属于 (辅导员, 班长)": 3,
        "role = class_monitor and college != 文学院": 1,
        "标签 = 联络": 2,
        "tag = 重点 and not tag = 联络": 1,
    }.items():
        assert await _preview(api, rule) == target, rule
    named = await api.get("/contacts?tag=联络", OPERATOR)
    assert len(named.json["items"]) == 2


async def test_tags_of_a_list_come_and_go_with_it_and_own_ones_stay(api: Api) -> None:
    taken = await api.post("/imports", OPERATOR, data=upload(FILE.encode(), roster="联系人"))
    async with transaction(api.runtime.pool) as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    body = {"phone": "19790000001", "roster": "手工", "roles": ["teacher"], "tags": ["手工"]}
    made = await api.post("/contacts", OPERATOR, body)
    assert sorted(made.json["tags"]) == ["手工", "联络", "重点"]
    path = f"/contacts/{made.json['id']}"
    edited = await api.patch(path, OPERATOR, {"tags": ["改过"]})
    assert sorted(edited.json["tags"]) == ["改过", "联络", "重点"]
    assert (await api.post(f"/imports/{taken.json['id']}/undo", OPERATOR)).status == 202
    async with api.runtime.pool.acquire() as conn:
        assert await run_undo(conn, taken.json["id"], api.clock.at)
    assert (await api.get(path, OPERATOR)).json["tags"] == ["改过"]
    assert await _preview(api, "标签 = 联络") == 0


async def test_members_may_be_written_with_area_college_office_and_tags(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    people: list[dict[str, Any]] = [
        {"phone": "19790000001", "area": "旌阳镇", "college": "数信学院", "tags": ["重点"]},
        {"phone": "19790000002", "area": 341825100001, "office": "学工办"},
        {"phone": "19790000003", "area": "三溪镇霍家桥村"},
        {"phone": "19790000004", "area": "三溪镇", "area_code": "341825100000"},
        {"phone": "19790000005", "area": "火星"},
    ]
    body = {"members": people}
    told = await api.call("PUT", "/rosters/联系人/members", OPERATOR, json=body)
    assert told.status == 200, told.body
    assert told.json["warnings"] == {"area_unknown": 1, "name_missing": 5}
    found = (await api.get("/contacts", OPERATOR)).json["items"]
    assert {one["phone"][-1]: one["area_name"] for one in found} == {
        "1": "旌阳镇",
        "2": "旌阳镇 南门居委会",
        "3": "三溪镇 霍家桥村委会",
        "4": "旌阳镇",
        "5": None,
    }
    assert await _preview(api, "college = 数信学院 and tag = 重点") == 1
    assert await _preview(api, "office = 学工办") == 1
