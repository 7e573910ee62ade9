"""WeChat IDs of lists: whose are taken, who sees them, and that they go with the person."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from service.audience.imports.loading import run_import
from service.audience.vocabulary.roles import ROLES, WECHAT_ROLES
from service.crypto import Keyring, read_key_file, write_key_file
from service.messages.value_sources import PERSON_VARIABLES
from service.privacy.retention import RetentionTerms, let_go
from service.privacy.rotation import add_key, retire, rotate
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER = ("county", "admin"), ("county", "operator"), ("county", "viewer")
WHY = {"reason": "核对负责人"}
JIA, YI = "wx_jia01", "Yi-zhang_02"
FILE = f"""姓名,性别,手机号码,身份,微信号
王小明,男,19790000001,辅导员,{JIA}
李四,女,19790000002,班长,197 9000 0002
张三,男,19790000003,财务人员,wx_zhang3
赵六,男,19790000004,群主,微信同号
钱七,男,19790000005,财务人员,
""".encode()


async def imported(api: Api, file: bytes = FILE) -> str:
    taken = await api.post("/imports", OPERATOR, data=upload(file, roster="联系人"))
    assert taken.status == 202, taken.body
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, UUID(taken.json["id"]), api.clock.at)
    return str(taken.json["id"])


async def members(api: Api, *people: dict[str, Any]) -> Any:
    body = {"members": list(people)}
    answer = await api.call("PUT", "/rosters/联系人/members", OPERATOR, json=body)
    assert answer.status == 200, answer.body
    return answer.json


def liaison(wechat: str, **more: Any) -> dict[str, Any]:
    return {
        "phone": "19790000001", "name": "王小明", "roles": ["liaison"], "wechat": wechat, **more,
    }  # fmt: skip


async def entries(api: Api, last: str = "1", who: tuple[str, str] = VIEWER) -> Any:
    people = (await api.get("/contacts", who)).json["items"]
    (person,) = [one for one in people if one["phone"].endswith(last)]
    shown = await api.get(f"/contacts/{person['id']}", who)
    return shown.json


async def where_in_clear(api: Api, *secrets: str) -> list[tuple[str, str]]:
    """Each table of the database that has one of these texts, as text or as octets."""
    tables = await api.runtime.pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    )
    found = []
    for (table,) in tables:
        dump = await api.runtime.pool.fetchval(f"SELECT string_agg(t::text, ' ') FROM {table} t")
        text = (dump or "").lower()
        found += [
            (table, secret)
            for secret in secrets
            if secret.lower() in text or secret.encode().hex() in text
        ]
    return found


async def test_a_file_says_wechat_ids_of_posts_and_owners_and_of_nobody_else(api: Api) -> None:
    made = await imported(api)
    report = (await api.get(f"/imports/{made}", OPERATOR)).json["report"]
    assert report["rejected"] == {"wechat_invalid": 1, "wechat_role": 1}
    assert (report["rows"]["accepted"], report["warnings"]) == (3, {})
    rules = (await api.get(f"/imports/{made}/rejects/rules", OPERATOR)).json["items"]
    told = {rule["code"]: rule for rule in rules}
    assert [(code, rule["rows"][0]["row"]) for code, rule in told.items()] == [
        ("wechat_invalid", 5), ("wechat_role", 4),
    ]  # fmt: skip
    for rule in rules:
        assert rule["rows"][0]["column"] == "微信号"
        assert rule["rows"][0]["value"].startswith("197****000"), "the number, never the ID"
    assert "请清空" in told["wechat_role"]["plain"]["zh"]
    assert "leave it out" in told["wechat_role"]["plain"]["en"]
    lines = await api.get(f"/imports/{made}/rejects", OPERATOR)
    assert lines.status == 200
    for secret in ("wx_zhang3", "微信同号"):
        assert secret not in lines.body.decode()
    keyring = api.runtime.keyring
    stored = await api.runtime.pool.fetch("SELECT wechat_cipher FROM links ORDER BY row_no")
    assert [row[0] and keyring.decrypt("wechat", row[0]) for row in stored] == [
        JIA, "19790000002", None,
    ]  # fmt: skip


async def test_a_changed_wechat_id_of_a_member_is_taken(api: Api) -> None:
    first = await members(api, liaison(JIA))
    assert (first["added"], first["rejected"]) == (1, {})
    again = await members(api, liaison(f" {JIA} "))
    assert (again["added"], again["changed"], again["left"]) == (0, 0, 0)
    other = await members(api, liaison(YI))
    assert (other["added"], other["changed"], other["left"]) == (0, 1, 0)
    shown = [(one["wechat"], bool(one["left_at"])) for one in (await entries(api))["entries"]]
    assert shown == [("w*****01", True), ("Y********02", False)]


async def test_a_member_who_may_have_none_is_rejected_and_the_others_are_taken(api: Api) -> None:
    teller = liaison(JIA, phone="19790000002", roles=["finance"])
    answer = await members(api, liaison(YI), teller, liaison("不详情", phone="19790000003"))
    assert answer["rejected"] == {"wechat_invalid": 1, "wechat_role": 1}
    assert answer["rows"]["accepted"] == 1
    path = f"/imports/{answer['import_id']}/rejects/rules"
    rules = (await api.get(path, OPERATOR)).json["items"]
    assert {rule["code"]: rule["rows"][0]["row"] for rule in rules} == {
        "wechat_role": 3, "wechat_invalid": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wechat", "roles", "code", "said"),
    [
        (JIA, ["finance"], "wechat_role", "请清空这一行的微信号"),
        (JIA, [], "wechat_role", "请清空这一行的微信号"),
        ("wx jia", ["liaison"], "wechat_invalid", "6 至 20 位"),
    ],
)
async def test_a_person_by_hand_is_refused_with_what_to_do(
    api: Api, wechat: str, roles: list[str], code: str, said: str
) -> None:
    body = liaison(wechat, roles=roles, roster="联系人")
    answer = await api.post("/contacts", OPERATOR, body, headers={"Accept-Language": "zh"})
    assert (answer.status, answer.json["type"]) == (422, f"/problems/{code}")
    assert said in answer.json["fields"]["wechat"]
    assert wechat not in str(answer.json)
    for table in ("contacts", "links", "rosters", "imports"):
        assert await api.runtime.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.attack
async def test_it_is_masked_and_whole_only_for_a_reason_that_is_noted(api: Api) -> None:
    await members(api, liaison(JIA))
    await members(api, liaison(YI))
    person = await entries(api)
    assert [one["wechat"] for one in person["entries"]] == ["w*****01", "Y********02"]
    path = f"/contacts/{person['id']}/unmask"
    assert (await api.post(path, VIEWER, WHY)).status == 403
    assert (await api.post(path, ADMIN, {})).status == 422
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 0
    whole = await api.post(path, ADMIN, WHY)
    assert whole.status == 200, whole.body
    assert whole.json["wechat"] == [YI], "what a list said before is told to nobody"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 1
    (entry,) = (await api.get("/audit?limit=1", ADMIN)).json["items"]
    assert entry["details"]["disclosure"] == whole.json["disclosure_id"]
    await api.runtime.pool.execute("UPDATE contacts SET age_band = '14-17'")
    assert (await api.post(path, ADMIN, WHY)).json["type"] == "/problems/minor_masked"


@pytest.mark.attack
async def test_no_table_has_it_in_clear(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    await imported(api)
    await members(api, liaison(JIA, org="wx_found1"), liaison(YI, phone="19790000002"))
    person = await entries(api)
    assert (await api.post(f"/contacts/{person['id']}/unmask", ADMIN, WHY)).status == 200
    assert ("links", "wx_found1") in await where_in_clear(api, "wx_found1"), "what is in clear"
    secrets = (JIA, YI, "wx_zhang3", "微信同号", "19790000002")
    assert await where_in_clear(api, *secrets) == []
    assert not any(secret in caplog.text for secret in secrets)


async def test_no_rule_and_no_text_asks_for_it(api: Api) -> None:
    await members(api, liaison(JIA, college=JIA))
    for rule, status in ((f"college = {JIA}", 200), (f"wechat = {JIA}", 422)):
        answer = await api.post("/segments/preview", OPERATOR, {"rule": rule})
        assert answer.status == status, rule
    assert (await api.post("/segments/preview", OPERATOR, {"rule": "微信号 = 1"})).status == 422
    assert "college" in PERSON_VARIABLES.values()
    assert not {"wechat", "微信号"} & {*PERSON_VARIABLES, *PERSON_VARIABLES.values()}


@pytest.mark.parametrize("role", [*ROLES, None])
async def test_the_database_refuses_one_of_anybody_else(api: Api, role: str | None) -> None:
    await members(api, {"phone": "19790000001", "name": "王小明"})
    update = "UPDATE links SET roles = $1, wechat_cipher = '\\x01'"
    roles = [role] if role else []
    if role in WECHAT_ROLES:
        assert await api.runtime.pool.execute(update, roles) == "UPDATE 1"
    else:
        with pytest.raises(asyncpg.CheckViolationError, match="links_wechat_check"):
            await api.runtime.pool.execute(update, roles)


async def test_an_erased_person_leaves_none(api: Api) -> None:
    await members(api, liaison(JIA), liaison(YI, phone="19790000002", name="李四"))
    answer = await api.post("/privacy/erase", ADMIN, {"phone": "19790000001", **WHY})
    assert answer.status == 200, answer.body
    ciphers = await api.runtime.pool.fetch(
        "SELECT wechat_cipher FROM links WHERE wechat_cipher IS NOT NULL"
    )
    left = [api.runtime.keyring.decrypt("wechat", row[0]) for row in ciphers]
    assert left == [YI]


async def test_it_goes_when_the_term_of_its_list_is_over(api: Api) -> None:
    await members(api, liaison(JIA))
    await members(api, liaison(YI))  # takes the first entry off
    terms, runtime = RetentionTerms(), api.runtime

    async def left() -> list[str]:
        rows = await runtime.pool.fetch(
            "SELECT wechat_cipher FROM links WHERE wechat_cipher IS NOT NULL ORDER BY id"
        )
        return [runtime.keyring.decrypt("wechat", row[0]) for row in rows]

    assert await left() == [JIA, YI]
    await let_go(runtime.pool, runtime.keyring, terms, api.clock.at + timedelta(days=31))
    assert await left() == [YI]
    await let_go(runtime.pool, runtime.keyring, terms, api.clock.at + timedelta(days=500))
    assert await left() == []


async def test_a_new_master_key_takes_it_along(api: Api, key_file: Path) -> None:
    await members(api, liaison(JIA))
    keys = add_key(read_key_file(key_file))
    async with api.runtime.pool.acquire() as conn:
        assert (await rotate(conn, Keyring(keys)))["links"] == 1
        write_key_file(await retire(conn, keys, 1))
    alone = Keyring(read_key_file(key_file))
    cipher = await api.runtime.pool.fetchval("SELECT wechat_cipher FROM links")
    assert alone.decrypt("wechat", cipher) == JIA
