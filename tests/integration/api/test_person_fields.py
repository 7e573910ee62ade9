"""Every field of a person is stored, shown and asked for as the table of fields says.

The cases are made from the table, so a field that is added is tested with the others.
"""

from datetime import date
from typing import Any

import pytest

from service.audience.imports.loading import run_import
from service.audience.vocabulary.fields import (
    PERSON_COLUMNS,
    PERSON_FIELDS,
    RULE_TEXTS,
    TEXT_FIELDS,
    PersonField,
)
from service.storage.postgres import transaction
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")
DAY = "2027-06-30"
WECHAT = "wx_jia01"
ROLE = "liaison"
"""A role with which a row may say every field."""
HEADERS = [field.headers[0].split()[0] for field in TEXT_FIELDS]


def said(field: PersonField) -> str:
    """What the first person's row says in a free text."""
    special = {"valid_until": DAY, "wechat": WECHAT}
    return special.get(field.code, f"甲{field.code}"[: field.longest])


@pytest.fixture
async def texts(api: Api) -> Api:
    """Two people by a file with all free texts by their Chinese headers: one says all of them."""
    first = ["张三", "19790000001", ROLE, *map(said, TEXT_FIELDS)]
    second = ["李四", "19790000002", "", *[""] * len(TEXT_FIELDS)]
    lines = [["姓名", "手机号", "身份", *HEADERS], first, second]
    file = "\n".join(map(",".join, lines)).encode()
    taken = await api.post("/imports", OPERATOR, data=upload(file, roster="名单"))
    async with transaction(api.runtime.pool) as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    report = (await api.get(f"/imports/{taken.json['id']}", OPERATOR)).json["report"]
    assert report["tables"][0]["ignored"] == []
    assert report["warnings"] == {}
    return api


async def test_the_database_has_the_columns_of_the_table(api: Api) -> None:
    found = await api.runtime.pool.fetch(
        """
        SELECT attrelid::regclass::text AS "table", attname AS name,
               format_type(atttypid, atttypmod) AS type
        FROM pg_attribute
        WHERE attrelid IN ('links'::regclass, 'contacts'::regclass) AND attnum > 0
          AND NOT attisdropped
        """
    )
    types = {(row["table"], row["name"]): row["type"] for row in found}
    for field in PERSON_FIELDS:
        if field.column:
            assert types.get(("links", field.column)) == field.sql_type, field.code
    for column in PERSON_COLUMNS:
        assert types.get(("contacts", column)) == types["links", column], column


async def test_every_text_of_a_file_is_stored(texts: Api) -> None:
    keyring = texts.runtime.keyring
    first, second = await texts.runtime.pool.fetch("SELECT * FROM links ORDER BY row_no")
    for field in TEXT_FIELDS:
        value, absent = first[field.column], second[field.column]
        if field.encrypted:
            assert absent is None
            value = keyring.decrypt(field.code, value)
        if field.sql_type == "text[]":
            assert absent == []
            (value,) = value
        assert value == said(field), field.code
    assert (first["last_day"], second["last_day"]) == (date.fromisoformat(DAY), None)


async def test_a_persons_page_shows_what_the_table_says(texts: Api) -> None:
    people = (await texts.get("/contacts", OPERATOR)).json["items"]
    first = next(one for one in people if one["phone"].endswith("1"))
    shown = await texts.get(f"/contacts/{first['id']}", OPERATOR)
    (entry,) = shown.json["entries"]
    for field in TEXT_FIELDS:
        assert (field.code in entry) == field.shown, field.code
        if field.shown:
            assert entry[field.code] == as_shown(field), field.code


def as_shown(field: PersonField) -> Any:
    if field.code == "wechat":
        return "w*****01"
    if field.encrypted:
        return said(field)[0] + "*" * (len(said(field)) - 1)
    return [said(field)] if field.sql_type == "text[]" else said(field)


async def test_rules_find_whom_a_text_is_about(texts: Api) -> None:
    for name, words in RULE_TEXTS.items():
        field = next(one for one in TEXT_FIELDS if one.rule == words)
        for rule, target in {
            f"{words.chinese} = {said(field)}": 1,
            f"{name} = {said(field).upper()}": 1,
            f"{name} != {said(field)}": 1,
            f"{name} = 乙": 0,
        }.items():
            answer = await texts.post("/segments/preview", OPERATOR, {"rule": rule})
            assert answer.json["target"] == target, rule


async def test_members_of_the_api_are_stored_as_the_rows_of_a_file(texts: Api) -> None:
    person: dict[str, Any] = {
        field.code: [said(field)] if field.sql_type == "text[]" else said(field)
        for field in TEXT_FIELDS
    }
    member = person | {"phone": "19790000001", "name": "张三", "roles": [ROLE]}
    body = {"members": [member, {"phone": "19790000002", "name": "李四"}]}
    told = await texts.call("PUT", "/rosters/名单/members", OPERATOR, json=body)
    changes = {name: told.json[name] for name in ("added", "changed", "left")}
    assert changes == {"added": 0, "changed": 0, "left": 0}, told.body
