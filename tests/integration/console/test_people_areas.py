"""Areas on pages: the tree, a new one, and a name by two persons."""

import pytest

from service.audience.areas.area_store import load_areas
from service.storage.postgres import transaction
from tests.harness.console import browser_of
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

TOWN = "/people/areas/341825100000"


async def test_the_tree_is_walked_and_a_village_added(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    browser = await browser_of(api, "operator")
    assert (await browser.get("/people/areas")).status == 200
    town = await browser.get(TOWN)
    assert "旌阳镇" in town.text
    form = await browser.get(f"{TOWN}/new")
    wrong = await browser.submit(form, f"{TOWN}/new", {"name": "新村", "population": "许多"})
    assert wrong.status == 422
    assert ("name", "新村") in wrong.form(f"{TOWN}/new").fields
    done = await browser.submit(wrong, f"{TOWN}/new", {"name": "云水村委会", "population": "1200"})
    assert "云水村委会 已加入" in done.text
    assert "1,200" in done.text


async def test_a_name_takes_two_persons(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    admin = await browser_of(api, "admin")
    own = "/people/areas/341825100001"
    proposed = await admin.submit(
        await admin.get(f"{own}/edit"), f"{own}/edit", {"name": "南居委会"}
    )
    assert "等另一个人确认" in proposed.text
    actions = [form.action for form in proposed.forms]
    assert not any("/names/" in action for action in actions), "nobody confirms what is their own"
    await api.patch("/areas/341825100000", ("county", "operator"), {"name": "旌阳新镇"})
    seen = await admin.get(TOWN)
    (action,) = [form.action for form in seen.forms if "/names/" in form.action]
    assert "旌阳新镇" in (await admin.submit(seen, action)).text
    name = await api.runtime.pool.fetchval("SELECT name FROM areas WHERE code = '341825100000'")
    assert name == "旌阳新镇"


async def test_whoever_may_not_keep_areas_only_looks(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    viewer = await browser_of(api, "viewer")
    assert f"{TOWN}/new" not in (await viewer.get(TOWN)).links
    assert (await viewer.ask("GET", f"{TOWN}/new")).status == 403
