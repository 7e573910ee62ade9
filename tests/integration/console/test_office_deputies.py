"""Deputies as a page: named for oneself at once, for others by two persons, ended early."""

import re

import pytest

from service.accounts.people.model import Role
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.keys import other, second_admin
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

ADMIN = ("county", "admin")
PAGE = "/office/deputies"
HTML = "<script>alert(1)</script>"
NEW = "/office/deputies/new"
WHEN = {
    "starts_at.day": "2027-01-13",
    "starts_at.time": "08:00",
    "ends_at.day": "2027-01-20",
    "ends_at.time": "18:00",
    "reason": "休假",
}


def _confirms(seen: Seen) -> list[str]:
    return [form.action for form in seen.forms if form.action.endswith("/confirm")]


async def _deputies(api: Api) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await api.get("/deputies", ADMIN)).json["items"]
    return found


async def test_an_approver_names_a_deputy_for_the_own_absence_and_ends_it(api: Api) -> None:
    deputy = await other(api, Role.OPERATOR)
    browser = await browser_of(api, "approver")
    assert PAGE in (await browser.get("/account")).links
    page = await browser.get(NEW)
    seen = await browser.submit(page, NEW, WHEN | {"deputy_id": str(deputy.id)})
    assert "代签人已指定。" in seen.text, seen.text
    assert not _confirms(seen)
    (made,) = await _deputies(api)
    assert made["absent_id"] == str(api.teams["county"].approver.id)
    assert (made["deputy_id"], made["needs_second"]) == (str(deputy.id), False)
    end = f"{PAGE}/{made['id']}/end"
    seen = await browser.submit(seen, end)
    assert "代签已结束。" in seen.text
    assert (await _deputies(api))[0]["ended_by"] == str(api.teams["county"].approver.id)
    assert end not in [form.action for form in seen.forms]


async def _named_by_an_administrator(api: Api, browser: Browser) -> Seen:
    """A deputy for the approver, looked up by a part of the login."""
    approver = api.teams["county"].approver
    deputy = await other(api, Role.OPERATOR)
    found = await browser.get(f"{NEW}?find={approver.login[:-1]}")
    link = f"{NEW}?absent={approver.id}"
    assert link in found.links, found.text
    return await browser.submit(await browser.get(link), NEW, WHEN | {"deputy_id": str(deputy.id)})


async def test_who_named_a_deputy_for_somebody_else_does_not_confirm(api: Api) -> None:
    admin = await browser_of(api, "admin", "en")
    seen = await _named_by_an_administrator(api, admin)
    assert seen.path == PAGE, seen.text
    assert "You proposed it: the absent approver or another administrator confirms it." in seen.text
    assert not _confirms(seen)
    (made,) = await _deputies(api)
    sent = {n: v for form in seen.forms for n, v in form.fields if n in {"csrf", "_key"}}
    forced = await admin.post(f"{PAGE}/{made['id']}/confirm", sent)
    assert forced.status == 403


async def test_the_absent_one_finds_it_on_the_start_page_and_confirms(api: Api) -> None:
    approver, deputy = api.teams["county"].approver, await other(api, Role.OPERATOR)
    await _named_over_the_api(api, str(approver.id), str(deputy.id), await second_admin(api))
    browser = await browser_of(api, "approver", "en")
    assert PAGE in (await browser.get("/today")).links
    assert PAGE in (await browser.get("/duty")).links
    page = await browser.get(PAGE)
    seen = await browser.submit(page, _confirms(page)[0])
    assert "The deputy counts now." in seen.text, seen.text
    assert (await _deputies(api))[0]["confirmed_by"] == str(approver.id)


async def test_whom_the_administrator_gave_a_password_is_told_why_not(api: Api) -> None:
    approver, deputy = api.teams["county"].approver, await other(api, Role.OPERATOR)
    browser = await browser_of(api, "approver", "en")  # by a password of the administrator
    await _named_over_the_api(api, str(approver.id), str(deputy.id), ADMIN)
    seen = await browser.get(PAGE)
    assert not _confirms(seen)
    assert "You count as one person with whoever proposed it" in seen.text


async def _named_over_the_api(
    api: Api, absent: str, deputy: str, who: tuple[str, str] | str, reason: str = "休假"
) -> None:
    body = {
        "absent_id": absent,
        "deputy_id": deputy,
        "starts_at": "2027-01-13T08:00:00+08:00",
        "ends_at": "2027-01-14T08:00:00+08:00",
        "reason": reason,
    }
    assert (await api.post("/deputies", who, body)).status == 201


async def test_another_administrator_confirms_it_and_a_viewer_only_reads(api: Api) -> None:
    approver, deputy = api.teams["county"].approver, await other(api, Role.OPERATOR)
    by = await second_admin(api)
    await _named_over_the_api(api, str(approver.id), str(deputy.id), by, HTML)
    viewer = await (await browser_of(api, "viewer")).get(PAGE)
    assert "待第二人确认" in viewer.text
    assert HTML not in viewer.html
    assert not [form for form in viewer.forms if form.action.startswith(PAGE)]
    admin = await browser_of(api, "admin")
    page = await admin.get(PAGE)
    assert "代签已生效。" in (await admin.submit(page, _confirms(page)[0])).text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ends_at.day": "2027-01-12"}, "ends_at.day"),
        ({"ends_at.day": "2027-06-12"}, "ends_at.day"),
        ({"ends_at.day": "soon"}, "ends_at.day"),
        ({"starts_at.day": "", "starts_at.time": ""}, "starts_at.day"),
        ({"reason": ""}, "reason"),
        ({"deputy_id": ""}, "deputy_id"),
    ],
)
async def test_what_cannot_be_is_refused_at_its_field(
    api: Api, change: dict[str, str], field: str
) -> None:
    deputy = await other(api, Role.OPERATOR)
    browser = await browser_of(api, "approver", "en")
    page = await browser.get(NEW)
    seen = await browser.submit(page, NEW, WHEN | {"deputy_id": str(deputy.id)} | change)
    assert seen.status == 422, seen.text
    assert re.search(f'href="#f-{re.escape(field)}"', seen.html)
    assert ("starts_at.time", change.get("starts_at.time", "08:00")) in seen.form(NEW).fields
    assert await _deputies(api) == []


async def test_for_whom_is_no_approver_no_deputy_is_named(api: Api) -> None:
    deputy = await other(api, Role.OPERATOR)
    browser = await browser_of(api, "admin", "en")
    page = await browser.get(f"{NEW}?absent={api.teams['county'].viewer.id}")
    seen = await browser.submit(page, NEW, WHEN | {"deputy_id": str(deputy.id)})
    assert seen.status == 422
    assert "this user is no approver" in seen.text
    assert 'href="#f-absent_id"' in seen.html
    assert (await browser.get(f"{NEW}?absent=nobody")).status == 404
