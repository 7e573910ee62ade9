"""Naming a liaison and a leader in charge on pages, and finding departments that lack one."""

from tests.harness.console import browser_of
from tests.integration.api.conftest import Api

WITHOUT = "/office/departments/without"


async def test_an_administrator_names_replaces_and_ends(api: Api) -> None:
    browser = await browser_of(api, "admin")
    listed = await browser.get(WITHOUT)
    assert "联络员、分管领导" in listed.text
    page = f"/office/departments/{api.teams['county'].department_id}/people"
    assert page in listed.links
    assert WITHOUT in (await browser.get("/office/departments")).links
    seen = await browser.get(page)
    assert "没有登记联络员" in seen.text
    typed = {"liaison.name": "李四", "liaison.phone": "19790000001"}
    seen = await browser.submit(seen, page, typed)
    assert "已保存" in seen.text
    assert "联络员 李四 197****0001" in seen.text
    assert "没有登记联络员" not in seen.text
    same = {"leader.name": "李四", "leader.phone": "19790000001"}
    refused = await browser.submit(seen, page, same)
    assert refused.status == 422
    assert "这是联络员的号码" in refused.text
    seen = await browser.submit(seen, page, {"_end.liaison": "true"})
    assert "没有登记联络员" in seen.text
    assert "李四" in seen.text, "among those who were"
