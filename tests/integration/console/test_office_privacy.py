"""Persons on pages: what is kept of one, erasing one, what was erased, what waits for agreement."""

from datetime import timedelta

import pytest

from service.privacy import clock_watch_store
from service.privacy.clock_watch import Watch
from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.logins import person
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

PRIVACY = "/office/privacy"
NUMBER = "197 9000 0001"
WHY = "本人来电"
ADMIN = ("county", "admin")


async def _contact(api: Api, department: str = "county") -> str:
    async with transaction(api.runtime.pool) as conn:
        await make_contact(
            conn, api.runtime.keyring, api.teams[department].department_id, 1, now=api.clock.at
        )
        return str(await conn.fetchval("SELECT id FROM contacts"))


def _no_number_in(seen: Seen) -> bool:
    return phone(1).removeprefix("+86") not in seen.html


async def _look_up(browser: Browser) -> Seen:
    page = await browser.get(PRIVACY)
    return await browser.submit(page, f"{PRIVACY}/lookup", {"phone": NUMBER, "reason": WHY})


async def test_what_is_kept_of_a_person_is_shown_and_the_question_noted(api: Api) -> None:
    contact = await _contact(api)
    browser = await browser_of(api, "admin")
    made = {"phones": ["19790000001"], "note": "值班手机"}
    assert (await api.post("/guests", ("county", "operator"), made)).status == 201
    seen = await _look_up(browser)
    assert (seen.status, seen.path) == (200, f"{PRIVACY}/lookup")
    assert f"/people/persons/{contact}" in seen.links
    for said in ("197****0001", "值班手机", "此前谁看过这个号码 没有人"):
        assert said in seen.text, said
    assert _no_number_in(seen)
    again = await _look_up(browser)
    assert f"按号码查询 {WHY}" in again.text
    actions = [one["action"] for one in (await api.get("/audit?limit=9", ADMIN)).json["items"]]
    assert actions.count("look_up_person") == 2


async def test_without_a_number_or_a_reason_nobody_is_looked_up(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get(PRIVACY)
    refused = await browser.submit(page, f"{PRIVACY}/lookup", {"phone": "123", "reason": WHY})
    assert (refused.status, 'id="e-phone"' in refused.html) == (422, True)
    assert ("reason", WHY) in refused.form(f"{PRIVACY}/lookup").fields
    silent = await browser.submit(page, f"{PRIVACY}/lookup", {"phone": NUMBER})
    assert (silent.status, 'id="e-reason"' in silent.html) == (422, True)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 0


async def test_a_person_is_erased_once_the_number_is_typed_twice(api: Api) -> None:
    await _contact(api)
    browser = await browser_of(api, "admin")
    page = await browser.get(f"{PRIVACY}/erase")
    assert "无法恢复" in page.text
    typed = {"phone": NUMBER, "again": "19790000002", "reason": WHY}
    refused = await browser.submit(page, f"{PRIVACY}/erase", typed)
    assert (refused.status, 'id="e-again"' in refused.html) == (422, True)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM contacts") == 1
    done = await browser.submit(page, f"{PRIVACY}/erase", {**typed, "again": "19790000001"})
    assert "名单上的人员 1" in done.text
    assert _no_number_in(done)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM contacts") == 0
    assert "已清除：全部单位" in (await _look_up(browser)).text
    report = await browser.get(f"{PRIVACY}/report")
    assert "人员 1" in report.text
    today = api.clock.at.date()
    span = f"?since={today + timedelta(days=2)}&until={today + timedelta(days=3)}"
    assert "人员 0" in (await browser.get(f"{PRIVACY}/report{span}")).text


async def test_of_an_erasure_of_nobody_the_page_says_so(api: Api) -> None:
    browser = await browser_of(api, "admin", "en")
    page = await browser.get(f"{PRIVACY}/erase")
    typed = {"phone": NUMBER, "again": NUMBER, "reason": WHY}
    done = await browser.submit(page, f"{PRIVACY}/erase", typed)
    assert "Nothing was kept of this number." in done.text


async def _jumped(api: Api) -> None:
    now = api.clock.at
    watch = Watch(now, now - timedelta(days=900), now - timedelta(days=2, microseconds=7))
    async with transaction(api.runtime.pool) as conn:
        await clock_watch_store.write_stand(conn, watch, "needs_agreement", {"guests": (9, 10)})


async def test_the_county_agrees_to_what_is_due_after_a_jump(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = f"{PRIVACY}/retention"
    agree = f"{page}/agree"
    before = await browser.get(page)
    assert not [form for form in before.forms if form.action == agree]
    await _jumped(api)
    assert page in (await browser.get("/today")).links
    assert page in (await browser.get("/duty")).links
    asked = await browser.get(page)
    assert "试用号码 9 10" in asked.text
    done = await browser.submit(asked, agree)
    assert "已同意：从现在起删除 9 项" in done.text
    assert not [form for form in done.forms if form.action == agree]


async def test_what_has_jumped_since_the_page_was_shown_is_not_agreed_to(api: Api) -> None:
    browser = await browser_of(api, "admin")
    await _jumped(api)
    asked = await browser.get(f"{PRIVACY}/retention")
    api.clock.at += timedelta(hours=1)
    await _jumped(api)
    refused = await browser.submit(asked, f"{PRIVACY}/retention/agree")
    assert refused.status == 409
    async with api.runtime.pool.acquire() as conn:
        assert not (await clock_watch_store.read_stand(conn)).watch.agreed


async def test_an_administrator_of_a_department_is_told_who_agrees(api: Api) -> None:
    await _jumped(api)
    browser = Browser(api)
    await browser.log_in(await person(api, "admin", "school"))
    seen = await browser.get(f"{PRIVACY}/retention")
    assert "须由县级管理员同意" in seen.text
    assert not [form for form in seen.forms if form.action.endswith("/agree")]


@pytest.mark.parametrize("role", ["operator", "approver", "viewer", "inspector"])
async def test_nobody_else_reaches_the_pages_of_persons(api: Api, role: str) -> None:
    browser = await browser_of(api, role)
    for page in ("", "/erase", "/report", "/retention"):
        assert (await browser.ask("GET", PRIVACY + page)).status == 403
