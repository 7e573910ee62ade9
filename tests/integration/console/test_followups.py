"""Pages of follow-ups: from a run's coverage to a village's list, its results, its signature."""

import uuid

import pytest

from service.audience.areas.area_store import load_areas
from service.followups.climbing import climb
from service.storage.postgres import transaction
from tests.harness.console import Browser, browser_at
from tests.harness.logins import with_own_password
from tests.harness.sending import PEOPLE, begin_sending
from tests.integration.api.conftest import Api

VILLAGE = "341825100001"


@pytest.fixture
async def run(api: Api) -> str:
    """A settled run that missed two people of one village."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    sending = await begin_sending(api)
    pool = api.runtime.pool
    await pool.execute("UPDATE messages SET area_code = $1", VILLAGE)
    await sending.become("delivered", range(1, PEOPLE - 1))
    await sending.become("undelivered", [PEOPLE - 1, PEOPLE], "empty_number")
    await pool.execute("UPDATE runs SET state = 'sent', settled_at = $1", api.clock.at)
    return str(sending.run)


async def own_browser(api: Api, role: str) -> Browser:
    """Of somebody whose password nobody else has given: two of them are two persons."""
    return await browser_at(api, await with_own_password(api, getattr(api.teams["county"], role)))


async def begun(api: Api, run: str, browser: Browser) -> str:
    """The address of a follow-up whose people are to be visited."""
    page = await browser.get(f"/runs/{run}/followup")
    gone = await browser.submit(page, f"/runs/{run}/followup", {"steps": ["visit"]})
    assert gone.status == 200, gone.text
    await climb(api.runtime.pool, api.clock)
    (followup,) = await api.runtime.pool.fetch("SELECT id FROM followups")
    return f"/followups/{followup['id']}"


async def test_from_a_run_to_a_signed_village(api: Api, run: str) -> None:
    browser = await own_browser(api, "operator")
    coverage = f"/runs/{run}/coverage"
    assert f"/runs/{run}/followup" in (await browser.get(coverage)).links
    here = await begun(api, run, browser)
    assert here in (await browser.get(coverage)).links
    assert here in (await browser.get("/followups")).links
    page = await browser.get(here)
    assert "南门" in page.text
    visits = await browser.get(f"{here}/visits?area={VILLAGE}")
    assert "**" in visits.text
    listed = await browser.submit(visits, f"{here}/visits/list", {"reason": "今天下午入户"})
    assert listed.status == 200
    forms = [form for form in listed.forms if form.action.startswith("/visits/")]
    assert len(forms) == 2
    for form in forms:
        done = await browser.submit(listed, form.action, {"result": "told"})
        assert "已当面告知" in done.text
    own = await browser.get(f"{here}/sign?area={VILLAGE}")
    refused = await browser.submit(own, f"{here}/sign", {})
    assert refused.status == 403
    leader = await own_browser(api, "approver")
    page = await leader.get(f"{here}/sign?area={VILLAGE}")
    signed = await leader.submit(page, f"{here}/sign", {"note": "逐户核对过"})
    assert "补漏已结束" in signed.text


async def test_a_list_takes_a_reason(api: Api, run: str) -> None:
    browser = await own_browser(api, "operator")
    here = await begun(api, run, browser)
    visits = await browser.get(f"{here}/visits?area={VILLAGE}")
    refused = await browser.submit(visits, f"{here}/visits/list", {"reason": ""})
    assert refused.status == 422
    assert f"{here}/visits/list" in [form.action for form in refused.forms]
    assert not await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures")


async def test_the_script_is_told_what_was_written_or_why_not(api: Api, run: str) -> None:
    browser = await own_browser(api, "operator")
    here = await begun(api, run, browser)
    visits = await browser.get(f"{here}/visits?area={VILLAGE}")
    listed = await browser.submit(visits, f"{here}/visits/list", {"reason": "入户"})
    form = next(form for form in listed.forms if form.action.startswith("/visits/"))
    given = {
        **dict(form.fields),
        "result": "not_home",
        "key": str(uuid.uuid4()),
        "on": "",
    }
    answers = [
        await browser.post(form.action, given, headers={"HX-Request": "true"}) for _ in range(2)
    ]
    assert all('data-visit-written="open"' in answer.html for answer in answers)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM visit_tries") == 1
    wrong = given | {"result": "excused", "key": str(uuid.uuid4())}
    refused = await browser.post(form.action, wrong, headers={"HX-Request": "true"})
    assert (refused.status, "data-visit-refused" in refused.html) == (422, True)


async def test_a_follow_up_is_ended_with_a_reason(api: Api, run: str) -> None:
    browser = await own_browser(api, "operator")
    here = await begun(api, run, browser)
    page = await browser.get(f"{here}/end")
    assert (await browser.submit(page, f"{here}/end", {"reason": ""})).status == 422
    ended = await browser.submit(page, f"{here}/end", {"reason": "镇里统一走访"})
    assert "镇里统一走访" in ended.text
