"""Segments over HTTP: used by others, explained, previewed, and never SQL."""

from typing import Any

import pytest

from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.harness.keys import active_key
from tests.integration.api.conftest import Api

OPERATOR = ("school", "operator")
COUNTY = ("county", "operator")

INJECTIONS = [
    """org = "x' OR '1'='1" """,
    """org = "x'); DROP TABLE contacts; --" """,
    """tag = "$1; DELETE FROM contacts" """,
    """roster = "x\\' UNION SELECT phone_cipher FROM contacts --" """,
    """school = "{sql} {0} %s %(x)s $99" """,
    """area = 旌阳镇') or true or c.area_code = ('""",
    """org = "\u2019 or 1=1 --" """,
    """segment = "a' OR name <> '" """,
    "role = finance; DROP TABLE contacts",
    "1 = 1",
    "true",
    "c.listed = true",
    "age >= 60 UNION SELECT 1",
    "age >= (SELECT 1)",
    "name = 王小明",
    "phone_hash = x",
    "received = '00000000-0000-0000-0000-000000000000'::uuid",
    """org = "\x00" """,
]


async def _people(api: Api, team: str, count: int, **columns: Any) -> None:
    runtime = api.runtime
    async with transaction(runtime.pool) as conn:
        department = api.teams[team].department_id
        for number in range(count):
            await make_contact(
                conn, runtime.keyring, department, number, now=runtime.clock.now(), **columns
            )


async def test_what_looks_like_sql_is_a_value_or_a_mistake(api: Api) -> None:
    await _people(api, "school", 3)
    for rule in INJECTIONS:
        answer = await api.post("/segments/preview", OPERATOR, {"rule": rule})
        assert answer.status in {200, 422}, rule
        if answer.status == 200:
            assert (answer.json["target"], answer.json["excluded"]) == (0, {}), rule
    everybody = {"rule": "carrier = mobile"}
    assert (await api.post("/segments/preview", OPERATOR, everybody)).json["target"] == 3


async def test_a_segment_uses_another_and_says_so(api: Api) -> None:
    await _people(api, "school", 2, gender="f", area_code="341825100001")
    await api.post("/segments", OPERATOR, {"name": "妇女", "rule": "性别 = 女"})
    made = await api.post(
        "/segments", OPERATOR, {"name": "移动", "rule": "名单规则=妇女 且 运营商=移动"}
    )
    assert made.status == 201
    assert made.json["canonical"] == 'segment = "妇女" and carrier = "china_mobile"'
    rule = {"rule": "名单规则 = 移动"}
    found = (await api.post("/segments/preview", OPERATOR, rule)).json
    assert (found["target"], found["by_role"]) == (2, {})
    told = (await api.post("/segments/explain", OPERATOR, rule)).json
    assert told == {
        "canonical": 'segment = "移动"',
        "written_out": 'gender = "f" and carrier = "china_mobile"',
        "uses": ["妇女", "移动"],
        "comparisons": 2,
        "english": "Everybody who is female, and is a customer of China Mobile.",
        "chinese": "满足以下条件的人：性别为女，并且运营商是中国移动。",
        "terms": [{"field": "segment", "operator": "=", "values": ["移动"]}],
    }


async def test_segments_of_another_department_are_not_there(api: Api) -> None:
    await api.post("/segments", OPERATOR, {"name": "妇女", "rule": "性别 = 女"})
    for path in ("/segments/preview", "/segments/explain"):
        answer = await api.post(path, COUNTY, {"rule": "segment = 妇女"})
        assert answer.status == 422
        assert "the name of a saved segment" in answer.json["detail"]


async def test_a_circle_is_refused_with_its_path(api: Api) -> None:
    first = await api.post("/segments", OPERATOR, {"name": "甲", "rule": "性别 = 女"})
    await api.post("/segments", OPERATOR, {"name": "乙", "rule": "segment = 甲"})
    path = f"/segments/{first.json['id']}"
    answer = await api.patch(path, OPERATOR, {"rule": "not segment = 乙"})
    assert answer.status == 422
    assert "甲 → 乙 → 甲" in answer.json["detail"]
    answer = await api.patch(path, OPERATOR, {"name": "丙"})
    assert (answer.status, answer.json["type"]) == (409, "/problems/segment_in_use")
    assert "乙 uses this segment" in answer.json["detail"]
    itself = await api.post("/segments", OPERATOR, {"name": "丁", "rule": "segment = 丁"})
    assert "丁 → 丁" in itself.json["detail"]


@pytest.mark.parametrize("rule", ["carrier = unicom", "not carrier = mobile"])
async def test_a_ported_number_counts_under_its_new_carrier(api: Api, rule: str) -> None:
    await _people(api, "school", 2)
    moved = {"phone": phone(1), "carrier": "china_unicom"}
    answer = await api.call("PUT", "/routes/overrides", ("county", "admin"), json=moved)
    assert answer.status == 200
    found = (await api.post("/segments/preview", OPERATOR, {"rule": rule})).json
    assert (found["target"], found["by_carrier"]) == (1, {"china_unicom": 1})
    assert [person["carrier"] for person in found["sample"]] == ["china_unicom"]


@pytest.mark.attack
@pytest.mark.parametrize("other", ["ABC 财务", "abc财务", "ＡＢＣ财务", "AbC  财务"])
async def test_no_two_segments_have_names_that_are_read_alike(api: Api, other: str) -> None:
    """Else `segment = ABC财务` means two rules, and whatever uses it can be read no more."""
    first = await api.post("/segments", OPERATOR, {"name": "ABC财务", "rule": "role = finance"})
    assert first.status == 201, first.body
    uses = await api.post("/segments", OPERATOR, {"name": "全部", "rule": "segment = ABC财务"})
    assert uses.status == 201, uses.body
    refused = await api.post("/segments", OPERATOR, {"name": other, "rule": "role = owner"})
    assert (refused.status, refused.json["type"]) == (409, "/problems/conflict"), refused.body
    third = await api.post("/segments", OPERATOR, {"name": "另一", "rule": "role = owner"})
    renamed = await api.patch(f"/segments/{third.json['id']}", OPERATOR, {"name": other})
    assert renamed.status == 409, renamed.body
    same = await api.patch(f"/segments/{first.json['id']}", OPERATOR, {"name": other})
    assert same.status == 200, "its own name may be written otherwise"
    read = await api.post("/segments/preview", OPERATOR, {"rule": "segment = 全部"})
    assert read.status == 200, read.body


@pytest.mark.attack
@pytest.mark.parametrize("mode", ["test", "trial"])
async def test_a_test_key_takes_the_name_of_no_live_segment(api: Api, mode: str) -> None:
    key = (await active_key(api, mode=mode))["token"]
    live = await api.post("/segments", COUNTY, {"name": "财务", "rule": "role = finance"})
    assert live.status == 201, live.body
    for name in ("财务", "财 务"):
        refused = await api.post("/segments", key, {"name": name, "rule": "role = owner"})
        assert refused.status == 409, refused.body
    patch = await api.patch(f"/segments/{live.json['id']}", key, {"rule": "role = owner"})
    assert patch.status == 403, patch.body
    tried = await api.post("/segments", key, {"name": "企业主", "rule": "role = owner"})
    assert tried.status == 201, tried.body
    taken = await api.post("/segments", COUNTY, {"name": "企业主", "rule": "role = finance"})
    assert taken.status == 201, "what a test key made gives way"
    moved = (await api.get(f"/segments/{tried.json['id']}", COUNTY)).json
    assert (moved["rule"], moved["name"] != "企业主") == ("role = owner", True)
    read = await api.post("/segments/explain", COUNTY, {"rule": "segment = 企业主"})
    assert read.json["written_out"] == 'role = "finance"', read.body
