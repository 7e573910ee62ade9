"""A county of hundreds of departments and a thousand users: nobody is out of reach of a form."""

import re
from typing import Any

import pytest

from service.api.http.op import Op
from service.api.http.reads import Reads
from service.storage.postgres import transaction
from tests.factories import make_scheduled
from tests.harness.console import Browser, browser_of
from tests.harness.keys import second_admin
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

MANY = 510
"""More than any page of a list has."""
DEPARTMENTS, USERS = 1_000, 2_000


async def _fill(api: Api, departments: int = MANY, users: int = MANY) -> None:
    """Departments, and users of the county's own, all of them older than those of the tests."""
    await api.runtime.pool.execute(
        """
        INSERT INTO departments (id, name, kind)
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '学校' || n,
               'department'
        FROM generate_series(1, $1) AS n
        """,
        departments,
    )
    await api.runtime.pool.execute(
        """
        INSERT INTO users (id, department_id, login, name, roles)
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $2, 'many' || n,
               '王' || n, '{}'
        FROM generate_series(1, $1) AS n
        """,
        users,
        api.teams["county"].department_id,
    )


def _id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


FIRST = _id(1)


async def _walk(browser: Browser, path: str) -> set[str]:
    """The links of a list over all of its pages."""
    seen = await browser.get(path)
    found = set(seen.links)
    while (
        following := re.search(r'href="(\?[^"]*cursor=[^"]+)" rel="next"', seen.html)
    ) is not None:
        address = path.partition("?")[0] + following[1].replace("&amp;", "&")
        seen = await browser.get(address)
        assert seen.status == 200
        found |= set(seen.links)
    return found


async def test_every_department_and_user_can_be_chosen(api: Api) -> None:
    await _fill(api)
    browser = await browser_of(api, "admin")
    assert f'value="{FIRST}"' in (await browser.get("/office/departments/new")).html
    assert f'value="{FIRST}"' in (await browser.get("/office/users/new")).html
    found = await browser.get("/office/keys/new?find=many1")
    assert "还有更多" in found.text
    found = await browser.get("/office/keys/new?find=%E7%8E%8B510")
    last = FIRST[:-3] + "1fe"
    assert f"/office/keys/new?user={last}" in found.links
    approver = api.teams["county"].approver
    deputy = await browser.get(f"/office/deputies/new?absent={approver.id}")
    assert f'value="{FIRST}"' in deputy.html


async def test_lists_lead_to_their_last_page_and_keep_what_was_looked_up(api: Api) -> None:
    await _fill(api)
    browser = await browser_of(api, "admin")
    everybody = await _walk(browser, "/office/users")
    assert f"/office/users/{FIRST}" in everybody
    looked_up = await _walk(browser, "/office/users?words=many")
    people = {link for link in looked_up if re.fullmatch("/office/users/[0-9a-f-]{36}", link)}
    assert len(people) == MANY, "and nobody else"
    schools = await _walk(browser, "/office/departments?words=%E5%AD%A6%E6%A0%A1")
    assert len({link for link in schools if re.search("departments/0{8}-", link)}) == MANY
    nothing = await browser.get("/office/users?words=nobody")
    assert "没有姓名或登录名里含这些字的用户。" in nothing.text


async def _campaigns_of_many(api: Api, people: list[str]) -> None:
    """Campaigns that were last changed by somebody else each."""
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        for person in people:
            made = await make_scheduled(conn, team, now=now)
            await conn.execute("UPDATE campaigns SET edited_by = $2 WHERE id = $1", made.id, person)


async def test_everybody_has_a_name_however_many_there_are(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they are asked for at once."""
    await _fill(api, DEPARTMENTS, USERS)
    asked: list[str] = []
    get = Reads.get

    async def counted(self: Reads, op: Op, arguments: dict[str, Any]) -> object:
        asked.append(op.name)
        return await get(self, op, arguments)

    monkeypatch.setattr(Reads, "get", counted)
    browser = await browser_of(api, "operator")
    await _campaigns_of_many(api, [_id(number) for number in range(1, 41)])
    asked.clear()
    seen = await browser.get("/plans")
    assert {f"王{number}" for number in range(1, 41)} <= set(seen.text.split())
    assert asked.count("list_user_names") == 1
    assert len(asked) == len(set(asked)), "no operation a person"


async def test_a_department_has_its_name_however_many_there_are(api: Api) -> None:
    await _fill(api, DEPARTMENTS, USERS)
    admin = ("county", "admin")
    names = (await api.get(f"/departments?ids={_id(1)},{_id(DEPARTMENTS)}", admin)).json["items"]
    assert {one["name"] for one in names} == {"学校1", f"学校{DEPARTMENTS}"}
    found = (await api.get(f"/departments/names?ids={_id(2)}", admin)).json["items"]
    assert [one["name"] for one in found] == ["学校2"]
    people = (await api.get(f"/users/names?ids={_id(USERS)},{_id(0)}", admin)).json["items"]
    assert [one["name"] for one in people] == [f"王{USERS}"]
    for wrong in ("x", f"{_id(1)},", ",".join([_id(1)] * 101)):
        answer = await api.get(f"/users/names?ids={wrong}", admin)
        assert (answer.status, list(answer.json["fields"])) == (422, ["ids"])
    school = ("school", "admin")
    for path in ("/departments", "/departments/names", "/users/names"):
        assert (await api.get(f"{path}?ids={_id(1)}", school)).json["items"] == [], path


async def test_what_waits_is_counted_beyond_what_an_operation_lists(api: Api) -> None:
    other = await second_admin(api)
    for number in range(103):
        body = {"login": f"many{number}", "name": "王芳", "roles": ["viewer"]}
        assert (await api.post("/users", other, body)).status == 201
    seen = await (await browser_of(api, "admin", "en")).get("/duty")
    assert len({link for link in seen.links if link.startswith("/office/users/")}) == 15
    assert "88 more of the same kind" in seen.text
