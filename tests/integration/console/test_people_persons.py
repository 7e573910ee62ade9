"""One person on a page: masked, with where everything came from; corrected, taken off."""

from uuid import UUID

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")
FILE = "手机号,姓名,身份,乡镇,性别\n19790000001,王小明,财务人员,旌阳镇,女\n".encode()


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
    for said in ("197****0001 王**", "财务", "名单.csv", "财务人员"):
        assert said in seen.text, said
    assert "19790000001" not in seen.html
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
