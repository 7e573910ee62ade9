"""Imports in a list, and why their rows were rejected, rule by rule."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.audience.imports.loading import run_import
from service.audience.imports.rejects import REMEDIES
from service.audience.numbers.number import REASONS
from service.storage.postgres import transaction
from tests.harness.uploads import FILE, upload
from tests.integration.api.conftest import Api

ADMIN, COUNTY, SCHOOL = ("county", "admin"), ("county", "operator"), ("school", "operator")
MINUTE = timedelta(minutes=1)
DIRTY = """手机号,姓名
19790000001,王小明
1979000000,李四
0563-8600110,张三
1.979E+10,赵六
19790000002,钱七
1979000001,孙八
""".encode()


async def _import(api: Api, who: Any, content: bytes = FILE, **fields: str) -> str:
    taken = await api.post("/imports", who, data=upload(content, **fields))
    assert taken.status == 202, taken.body
    return str(taken.json["id"])


async def _read(api: Api, import_id: str) -> None:
    async with transaction(api.runtime.pool) as conn:
        assert await run_import(conn, api.runtime.keyring, UUID(import_id), api.clock.at)


async def _ids(api: Api, who: Any, query: str = "") -> list[str]:
    answer = await api.get(f"/imports?{query}", who)
    assert answer.status == 200, answer.body
    return [item["id"] for item in answer.json["items"]]


async def test_imports_are_listed_newest_first_by_department_and_state(api: Api) -> None:
    first = await _import(api, COUNTY)
    await _read(api, first)
    api.clock.at += MINUTE
    second = await _import(api, SCHOOL, roster="家长")
    api.clock.at += MINUTE
    third = await _import(api, COUNTY, b"nothing\n", roster="坏")
    await _read(api, third)
    assert await _ids(api, ADMIN) == [third, second, first]
    assert await _ids(api, COUNTY) == [third, first]
    assert await _ids(api, SCHOOL) == [second]
    for state, expected in (("reading", [second]), ("done", [first]), ("failed", [third])):
        assert await _ids(api, ADMIN, f"state={state}") == expected
    bad, waits, done = (await api.get("/imports", ADMIN)).json["items"]
    assert (bad["rows"], bad["error"] is not None) == (None, True)
    assert (waits["rows"], waits["error"], waits["rows_read"]) == (None, None, 0)
    assert done["rows"] == {
        "read": 2, "accepted": 1, "rejected": 1, "duplicate": 0, "skipped": 0,
    }  # fmt: skip
    shown = (await api.get(f"/imports/{first}", COUNTY)).json
    for name in ("roster", "file_name", "file_bytes", "state", "rows_read", "created_at"):
        assert done[name] == shown[name]
    assert done["creator"].startswith("用户")


async def test_pages_of_imports_go_on_where_the_last_one_ended(api: Api) -> None:
    made = []
    for _ in range(3):
        made.append(await _import(api, COUNTY))
        api.clock.at += MINUTE
    seen: list[str] = []
    cursor = ""
    for _ in made:
        page = (await api.get(f"/imports?limit=1{cursor}", COUNTY)).json
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, page["next_cursor"]) == (made[::-1], None)


async def test_how_far_a_reading_has_come_is_in_the_list(api: Api) -> None:
    made = await _import(api, COUNTY)
    await api.runtime.pool.execute("INSERT INTO import_progress VALUES ($1, 700)", UUID(made))
    (item,) = (await api.get("/imports", COUNTY)).json["items"]
    assert (item["state"], item["rows_read"], item["rows"]) == ("reading", 700, None)


async def test_rejected_rows_by_rule_with_how_they_are_mended(api: Api) -> None:
    made = await _import(api, COUNTY, DIRTY)
    await _read(api, made)
    path = f"/imports/{made}/rejects/rules"
    shown = (await api.get(path, COUNTY)).json
    report = (await api.get(f"/imports/{made}", COUNTY)).json["report"]
    assert {item["code"]: item["count"] for item in shown["items"]} == report["rejected"]
    assert shown["total"] == report["rows"]["rejected"] == 4
    first, *_ = shown["items"]
    assert (first["code"], first["count"]) == ("length", 2)
    assert first["remedy"]["zh"] == "改成 11 位的手机号"
    assert [row["row"] for row in first["rows"]] == [3, 7]
    assert {row["column"] for row in first["rows"]} == {"手机号"}
    assert all("1979000000" not in row["value"] for row in first["rows"]), "it is masked"
    only = (await api.get(f"{path}?limit=1", COUNTY)).json
    assert [len(item["rows"]) for item in only["items"]] == [1, 1, 1]
    assert [item["count"] for item in only["items"]] == [2, 1, 1]


async def test_a_suggestion_says_its_repair_in_both_languages_and_no_hidden_digit(api: Api) -> None:
    made = await _import(api, COUNTY, "手机号\n1979OO00763\n19790000765（父）\n".encode())
    await _read(api, made)
    (rule,) = (await api.get(f"/imports/{made}/rejects/rules", COUNTY)).json["items"]
    first, second = rule["rows"]
    assert (first["value"], first["suggestion"]) == ("197****0763", "197****0763")
    assert first["repair"]["zh"].startswith("把像数字的字母当作数字")
    assert second["repair"]["en"] == "whatever is no digit is left out"


async def test_an_import_without_rejects_has_no_rule(api: Api) -> None:
    made = await _import(api, COUNTY, "手机号\n19790000001\n".encode())
    await _read(api, made)
    assert (await api.get(f"/imports/{made}/rejects/rules", COUNTY)).json == {
        "total": 0, "items": [],
    }  # fmt: skip


@pytest.mark.attack
async def test_rejected_rows_of_others_are_shown_to_nobody(api: Api) -> None:
    made = await _import(api, SCHOOL, DIRTY)
    await _read(api, made)
    path = f"/imports/{made}/rejects/rules"
    assert (await api.get(path, COUNTY)).status == 404
    assert (await api.get(path, ADMIN)).status == 200
    await api.runtime.pool.execute(
        "UPDATE departments SET kind = 'carrier', carrier = 'china_mobile' WHERE id = $1",
        api.teams["school"].department_id,
    )
    assert (await api.get(path, ADMIN)).status == 403, "a carrier's subscribers"


def test_each_rule_has_a_remedy() -> None:
    assert REMEDIES.keys() == REASONS.keys()
