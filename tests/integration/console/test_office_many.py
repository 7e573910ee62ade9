"""A county of hundreds of departments and a thousand users: nobody is out of reach of a form."""

import re

from tests.harness.console import Browser, browser_of
from tests.harness.keys import second_admin
from tests.integration.api.conftest import Api

MANY = 510
"""More than any page of a list has."""


async def _fill(api: Api) -> None:
    """Departments, and users of the county's own, all of them older than those of the tests."""
    await api.runtime.pool.execute(
        """
        INSERT INTO departments (id, name, kind)
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '学校' || n,
               'department'
        FROM generate_series(1, $1) AS n
        """,
        MANY,
    )
    await api.runtime.pool.execute(
        """
        INSERT INTO users (id, department_id, login, name, roles)
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $2, 'many' || n,
               '王' || n, '{}'
        FROM generate_series(1, $1) AS n
        """,
        MANY,
        api.teams["county"].department_id,
    )


FIRST = "00000000-0000-7000-8000-000000000001"


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


async def test_what_waits_is_counted_beyond_what_an_operation_lists(api: Api) -> None:
    other = await second_admin(api)
    for number in range(103):
        body = {"login": f"many{number}", "name": "王芳", "roles": ["viewer"]}
        assert (await api.post("/users", other, body)).status == 201
    seen = await (await browser_of(api, "admin", "en")).get("/duty")
    assert len({link for link in seen.links if link.startswith("/office/users/")}) == 15
    assert "88 more of the same kind" in seen.text
