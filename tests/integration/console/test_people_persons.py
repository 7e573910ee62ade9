"""One person on a page: masked, with where everything came from; corrected, taken off."""

from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

OPERATOR = ("county", "operator")
FILE = """手机号,姓名,身份,乡镇,性别,微信号
19790000001,王小明,财务人员、联络员,旌阳镇,女,wx_jia01
""".encode()


async def _person(api: Api, browser: Browser) -> Seen:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    taken = await api.post("/imports", OPERATOR, data=upload(FILE, roster="财务"))
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, UUID(taken.json["id"]), api.clock.at)
    listed = await browser.get("/people/lists/%E8%B4%A2%E5%8A%A1")
    (link,) = [link for link in listed.links if link.startswith("/people/persons/")]
    return await browser.get(link)


async def test_a_person_is_shown_masked_corrected_and_taken_off(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _person(api, browser)
    for said in ("197****0001 王**", "财务", "名单.csv", "财务人员", "微信号", "w*****01"):
        assert said in seen.text, said
    for hidden in ("19790000001", "wx_jia01"):
        assert hidden not in seen.html
    old = await browser.get(seen.path)
    tags = {"gender": "", "age_band": "60-69", "tags": "党员，<b>骨干</b>"}
    changed = await browser.submit(seen, seen.path, tags)
    assert "已更正" in changed.text
    assert "<b>骨干</b>" not in changed.html
    row = await api.get(f"/contacts/{seen.path.rpartition('/')[2]}", OPERATOR)
    assert (row.json["gender"], row.json["age_band"]) == (None, "60-69")
    stale = await browser.submit(old, seen.path, {"age_band": "70+"})
    assert stale.status == 412
    asked = await browser.get(f"{seen.path}/delete")
    assert "1 人退出全部名单" in asked.text
    gone = await browser.submit(asked, f"{seen.path}/delete")
    assert "已不在任何名单上" in gone.text
    assert (await browser.ask("GET", seen.path)).status == 404


async def test_who_may_only_read_changes_nothing(api: Api) -> None:
    seen = await _person(api, await browser_of(api, "operator"))
    viewer = await browser_of(api, "viewer")
    looked = await viewer.get(seen.path)
    assert not [form for form in looked.forms if form.action == seen.path]
    assert (await viewer.ask("GET", f"{seen.path}/delete")).status == 403


async def test_a_person_is_found_by_a_number_that_stands_in_no_address(api: Api) -> None:
    browser = await browser_of(api, "viewer")
    person = await _person(api, await browser_of(api, "operator"))
    finder = await browser.get("/people/persons")
    found = await browser.submit(finder, "/people/persons", {"phone": "197 9000 0001"})
    assert found.path == person.path
    finder = await browser.get("/people/persons")
    nobody = await browser.submit(finder, "/people/persons", {"phone": "19790000009"})
    assert nobody.path == "/people/persons"
    assert "197****0009 不在您看得到的名单上" in nobody.text
    assert "19790000009" not in nobody.html
    wrong = await browser.submit(nobody, "/people/persons", {"phone": "123"})
    assert (wrong.status, 'id="e-phone"' in wrong.html) == (422, True)
    assert ("phone", "123") in wrong.form("/people/persons").fields
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 2


async def test_of_a_number_of_several_departments_the_county_chooses(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        for team in ("county", "school"):
            department = api.teams[team].department_id
            await make_contact(conn, api.runtime.keyring, department, 1, now=api.clock.at)
    admin = await browser_of(api, "admin")
    finder = await admin.get("/people/persons")
    several = await admin.submit(finder, "/people/persons", {"phone": phone(1)})
    links = [link for link in several.links if link.startswith("/people/persons/")]
    assert len(links) == 2
    assert phone(1).removeprefix("+86") not in several.html
    names = await api.runtime.pool.fetch("SELECT name FROM departments")
    assert all(row["name"] in several.text for row in names)
    operator = await browser_of(api, "operator")
    own = await operator.submit(
        await operator.get("/people/persons"), "/people/persons", {"phone": phone(1)}
    )
    assert own.path in links, "whoever sees one department alone meets one person"


async def test_a_person_is_seen_in_full_once_for_a_reason(api: Api) -> None:
    person = await _person(api, await browser_of(api, "operator"))
    unmask = f"{person.path}/unmask"
    assert unmask not in [form.action for form in person.forms], "an operator sees no number"
    admin = await browser_of(api, "admin")
    page = await admin.get(person.path)
    silent = await admin.submit(page, unmask, {"reason": " "})
    assert (silent.status, 'id="e-reason"' in silent.html) == (422, True)
    assert "19790000001" not in silent.html
    full = await admin.submit(page, unmask, {"reason": "回访"})
    assert "19790000001 王小明 wx_jia01" in full.html
    assert 'hx-trigger="load delay:60s"' in full.html
    again = (await admin.get(person.path)).html
    assert "19790000001" not in again
    assert "wx_jia01" not in again
    (entry,) = (await api.get("/audit?limit=1", ("county", "admin"))).json["items"]
    assert entry["action"] == "unmask_contact"


async def test_for_somebody_of_14_to_17_no_button_is_shown(api: Api) -> None:
    person = await _person(api, await browser_of(api, "operator"))
    await api.runtime.pool.execute("UPDATE contacts SET age_band = '14-17'")
    admin = await browser_of(api, "admin")
    page = await admin.get(person.path)
    assert f"{person.path}/unmask" not in [form.action for form in page.forms]
    assert "完整号码不给任何人看" in page.text
