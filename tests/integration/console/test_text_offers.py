"""Texts for others and their filings, in the console: offered, taken over, withdrawn, filed."""

from typing import Any
from uuid import UUID

import pytest

from service.storage.postgres import transaction
from tests.factories import TEXT, Team, make_team, make_token
from tests.harness.channels import channel
from tests.harness.console import Browser, browser_at, browser_of
from tests.harness.filings import real_channel
from tests.harness.lint_rules import GOOD, campaign_with
from tests.harness.logins import with_password
from tests.harness.offers import POLICE_TEXT, WORDS, approved, revised, sign
from tests.harness.plan_pages import HOSTILE
from tests.integration.api.conftest import Api


async def join(api: Api, name: str, kind: str, signature: str) -> Team:
    """A department with a signature, whose people have tokens."""
    async with transaction(api.runtime.pool) as conn:
        team = await make_team(conn, now=api.clock.at, kind=kind)
        await sign(conn, team.department_id, signature, api.clock.at)
        for role in ("operator", "approver"):
            user = getattr(team, role)
            token = await make_token(conn, api.runtime.keyring, user, api.clock.at)
            api.tokens[name, role] = token
    api.teams[name] = team
    return team


@pytest.fixture
async def police(api: Api) -> Team:
    """The police, a town, and a channel."""
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    await join(api, "town", "town", "旌阳镇")
    return await join(api, "police", "police", "旌德县公安局")


async def browser_in(api: Api, team: str, role: str, language: str = "zh-CN") -> Browser:
    login = await with_password(api, getattr(api.teams[team], role))
    return await browser_at(api, login, language)


async def offered(api: Api, police: Team, **more: Any) -> tuple[Browser, str, str]:
    """A text that the police offer to towns: the browser of who offered it, its page, its offer."""
    async with transaction(api.runtime.pool) as conn:
        made = await approved(conn, police, api.clock.at)
    text = f"/texts/{made.id}"
    browser = await browser_in(api, "police", "approver")
    page = await browser.get(text)
    assert f"{text}/offer" in page.links, page.text
    form = await browser.get(f"{text}/offer")
    seen = await browser.submit(form, f"{text}/offer", {"kinds": ["town"], **more})
    assert seen.path.startswith("/texts/offers/"), seen.text
    return browser, text, seen.path


async def test_a_text_is_offered_taken_over_and_points_at_its_offer(api: Api, police: Team) -> None:
    chief, _, offer = await offered(api, police, note=HOSTILE, direct="true")
    town = await browser_in(api, "town", "operator")
    listed = await town.get("/texts/offers")
    assert offer in listed.links
    assert f"【旌阳镇】{WORDS}" in listed.text, "as the own copy would be"
    seen = await town.get(offer)
    assert HOSTILE not in seen.html
    assert "&lt;script&gt;" in seen.html
    wrong = await town.submit(seen, f"{offer}/take", {"name": "", "signature": ""})
    assert wrong.path.startswith("/texts/"), wrong.text
    assert f"【旌阳镇】{WORDS}" in wrong.text
    assert offer in wrong.links, "the copy leads to where it comes from"
    again = await town.get(offer)
    assert [form for form in again.forms if form.action == f"{offer}/take"] == []
    assert wrong.path in again.links
    assert "使用中" in (await chief.get(offer)).text
    assert offer in (await chief.get("/texts/offers?side=given")).links
    assert offer not in (await town.get("/texts/offers?side=given")).links


async def test_to_whom_is_asked_at_its_field(api: Api, police: Team) -> None:
    async with transaction(api.runtime.pool) as conn:
        made = await approved(conn, police, api.clock.at)
    browser = await browser_in(api, "police", "approver")
    form = f"/texts/{made.id}/offer"
    seen = await browser.submit(await browser.get(form), form, {"note": "别丢了我"})
    assert (seen.status, 'id="e-kinds"' in seen.html) == (422, True), seen.text
    assert "别丢了我" in seen.html
    seen = await browser.submit(seen, form, {"kinds": ["town"], "correction": "true"})
    assert (seen.status, 'id="e-correction"' in seen.html) == (422, True), seen.text


async def test_only_whoever_may_is_offered_to_offer(api: Api, police: Team) -> None:
    async with transaction(api.runtime.pool) as conn:
        made = await approved(conn, police, api.clock.at)
    text = f"/texts/{made.id}"
    author = await browser_in(api, "police", "operator")
    assert f"{text}/offer" not in (await author.get(text)).links
    assert (await author.get(f"{text}/offer")).status == 403
    async with transaction(api.runtime.pool) as conn:
        own = await approved(conn, api.teams["town"], api.clock.at, POLICE_TEXT)
    town = await browser_in(api, "town", "approver")
    elsewhere = await town.get(f"/texts/{own.id}/offer")
    assert elsewhere.path == f"/texts/{own.id}"
    assert "公安" in elsewhere.text, "it says who offers texts"


async def test_a_correction_is_told_where_the_copy_is_and_replaces_it(
    api: Api, police: Team
) -> None:
    chief, text, first = await offered(api, police)
    town = await browser_in(api, "town", "operator")
    copy = (await town.submit(await town.get(first), f"{first}/take")).path
    async with transaction(api.runtime.pool) as conn:
        better = POLICE_TEXT.replace("有疑问", "拿不准")
        template_id = UUID(text.rpartition("/")[2])
        await revised(conn, police, template_id, api.clock.at, better)
    form = f"{text}/offer"
    typed = {"kinds": ["town"], "correction": "true", "note": "原来的说法不准"}
    second = (await chief.submit(await chief.get(form), form, typed)).path
    told = await town.get(copy)
    assert second in told.links, told.text
    seen = await town.get(second)
    assert "<ins>拿不准</ins>" in seen.html
    assert "原来的说法不准" in seen.text
    assert first in (await town.get("/texts/offers")).links
    assert [f for f in (await town.get(first)).forms if f.action == f"{first}/take"] == []
    taken = await town.submit(seen, f"{second}/take")
    assert taken.path == copy, "the same text of the department, in a new version"
    assert "拿不准" in taken.text


async def test_a_text_is_withdrawn_by_its_own_department_after_a_question(
    api: Api, police: Team
) -> None:
    chief, _, offer = await offered(api, police)
    town = await browser_in(api, "town", "operator")
    copy = (await town.submit(await town.get(offer), f"{offer}/take")).path
    assert f"{offer}/withdraw" not in (await town.get(offer)).links
    assert (await town.get(f"{offer}/withdraw")).path == offer
    asked = await chief.get(f"{offer}/withdraw")
    wrong = await chief.submit(asked, f"{offer}/withdraw")
    assert (wrong.status, 'id="e-reason"' in wrong.html) == (422, True), wrong.text
    seen = await chief.submit(wrong, f"{offer}/withdraw", {"reason": "号码变了"})
    assert seen.path == offer
    assert "号码变了" in seen.text
    told = await town.get(copy)
    assert offer in told.links
    assert "撤回" in told.text
    assert f"{offer}/withdraw" not in (await chief.get(offer)).links
    assert (await chief.get(f"{offer}/withdraw")).path == offer


async def test_what_is_not_filed_is_listed_and_filed_with_its_numbers(api: Api) -> None:
    real = await real_channel(api)
    _, template = await campaign_with(api, GOOD)
    at = f"/texts/{template}/filings"
    reader = await browser_of(api, "operator")
    listed = await reader.get("/texts/filings")
    assert f"{at}?channel={real}" in listed.links, listed.text
    assert at in (await reader.get("/today")).links
    assert [form for form in (await reader.get(at)).forms if form.action == at] == []
    admin = await browser_of(api, "admin")
    page = await admin.get(f"{at}?channel={real}")
    fields = dict(page.form(at).fields)
    assert (fields["channel_id"], fields["contacts"]) == (str(real), "96110")
    wrong = await admin.submit(page, at, {"channel_id": "31999", "reference": "M-1"})
    assert (wrong.status, 'id="e-channel_id"' in wrong.html) == (422, True), wrong.text
    page = await admin.submit(
        wrong, at, {"channel_id": str(real), "state": "submitted", "note": HOSTILE}
    )
    assert "已提交" in page.text
    assert "&lt;script&gt;" in page.html
    assert "已提交" in (await reader.get("/texts/filings")).text, "it still waits"
    await admin.submit(page, at, {"channel_id": str(real), "state": "filed"})
    kept = (await api.get(f"/templates/{template}/filings", ("county", "admin"))).json
    assert [line["state"] for line in kept["items"]] == ["filed", "submitted"]
    assert kept["items"][0]["contacts"] == ["96110"]
    assert kept["channels"][0] | {"state": "filed", "missing": None} == kept["channels"][0]
    assert at not in str((await reader.get("/texts/filings")).links)
    assert "已报备" in (await reader.get(f"/texts/{template}")).text


async def test_a_filing_that_lacks_a_number_says_so(api: Api) -> None:
    real = await real_channel(api)
    _, template = await campaign_with(api, GOOD)
    at = f"/texts/{template}/filings"
    admin = await browser_of(api, "admin", "en")
    page = await admin.get(at)
    typed = {"channel_id": str(real), "state": "filed", "contacts": "110, 12381"}
    seen = await admin.submit(page, at, typed)
    assert "lacks 1 of the text's numbers" in seen.text, seen.text
    listed = (await api.get("/filings/missing", ("county", "operator"))).json["items"]
    assert listed == [], "what is filed wrongly is refused at the submission, not listed"


async def test_texts_of_other_departments_plans_are_not_listed(api: Api) -> None:
    await real_channel(api)
    _, template = await campaign_with(api, TEXT)
    own = (await api.get("/filings/missing", ("county", "operator"))).json
    assert [one["template_id"] for one in own["items"]] == [template]
    assert (await api.get("/filings/missing", ("school", "operator"))).json["items"] == []
