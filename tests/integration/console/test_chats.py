"""Pages of chat groups: registered, handed over with its form, from a file, closed, ownerless."""

import re

from service.relays.groups.ownerless import find_ownerless
from service.storage.postgres import transaction
from tests.harness.chats import add_group, add_person, drop_person
from tests.harness.console import Browser, browser_at
from tests.harness.logins import with_own_password
from tests.integration.api.conftest import Api


async def own_browser(api: Api, role: str) -> Browser:
    return await browser_at(api, await with_own_password(api, getattr(api.teams["county"], role)))


async def people(api: Api) -> None:
    """Three who may own a group, the last digit of whose numbers is 1 to 3."""
    department = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        for number, name in enumerate(("王小明", "李小红", "张大山"), 7_001):
            await add_person(api, conn, department, name, number=number, college="信息学院")


async def test_a_group_is_registered_handed_over_and_closed(api: Api) -> None:
    await people(api)
    county = await own_browser(api, "operator")
    assert "/chats" in (await county.get("/people/lists")).links
    new = await county.get("/chats/new")
    fields = {"name": "信息2026群", "unit_kind": "class", "members": "60"}
    wrong = await county.submit(new, "/chats/new", fields | {"owner_phone": "19790007999"})
    assert wrong.status == 422, wrong.text
    assert "请先把群主加入名单" in wrong.text
    made = await county.submit(wrong, "/chats/new", fields | {"owner_phone": "19790007001"})
    assert made.status == 200, made.text
    assert "信息学院-王**" in made.text
    (here,) = {
        link for link in (await county.get("/chats")).links if re.match("/chats/[0-9a]", link)
    }
    page = await county.get(here)
    changed = await county.submit(page, here, {"name": "信息2026级群", "members": ""})
    assert changed.status == 200, changed.text
    assert "信息2026级群" in changed.text
    to = {"phone": "19790007002", "reason": "原群主调离"}
    handed = await county.submit(await county.get(here), f"{here}/hand-over", to)
    assert handed.status == 200, handed.text
    assert "信息学院-李**" in handed.text
    form = await county.submit(handed, f"{here}/history/2/file", {"format": "html"})
    assert form.status == 200, form.text
    assert "信息学院-王小明" in form.text
    assert "信息学院-李小红" in form.text
    gone = await county.submit(await county.get(f"{here}/close"), f"{here}/close", {})
    assert gone.status == 200, gone.text
    assert here in (await county.get("/chats?show=closed")).links
    assert here not in (await county.get("/chats")).links


async def test_the_list_of_groups_without_an_owner_says_who_was_told(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        owner = await add_person(api, conn, api.teams["county"].department_id)
    group = await add_group(api, owner=owner)
    await add_group(api)
    await drop_person(api, owner)
    await find_ownerless(api.runtime.pool, api.runtime.keyring, api.clock)
    viewer = await own_browser(api, "viewer")
    found = await viewer.get("/chats?show=ownerless")
    assert [link for link in found.links if link.startswith("/chats/0")] == [f"/chats/{group}"]
    page = await viewer.get(f"/chats/{group}")
    assert "未登记联络员" in page.text
    assert {form.action for form in page.forms if form.action.startswith("/chats")} == set()
    assert (await viewer.get("/chats/text")).status == 200
