"""Every page and form × role against one table: what one may not do is refused when forced.

The menu and the buttons show what one may; here each address is asked for, and each form is sent,
by everybody, whatever a page has shown them.
"""

import re

import pytest
from aiohttp import FormData

from service.console.page import WebPage
from service.console.routes import PAGES
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.things import NOBODY, digests, make_things
from tests.harness.tiers import cases
from tests.integration.api.conftest import Api

ROLES = {"admin": "a", "operator": "o", "approver": "p", "viewer": "v", "inspector": "i"}

# Who may, by the letters of the roles.
TABLE = {
    "GET /today": "aopvi",
    "GET /today/now": "aopvi",
    "GET /today/day": "aopvi",
    "GET /today/week": "aopvi",
    "GET /runs": "aopvi",
    "POST /search": "aopvi",
    "GET /runs/single": "aopv",
    "POST /runs/single": "ao",
    "POST /runs/single/arrived": "aopv",
    "POST /runs/single/status": "aopv",
    "GET /runs/{run_id}": "aopvi",
    "GET /runs/{run_id}/progress": "aopvi",
    "POST /runs/{run_id}/pause": "aop",
    "POST /runs/{run_id}/resume": "aop",
    "GET /runs/{run_id}/cancel": "aopvi",
    "POST /runs/{run_id}/cancel": "aop",
    "GET /runs/{run_id}/coverage": "aopvi",
    "POST /runs/{run_id}/coverage/file": "aopvi",
    "POST /runs/{run_id}/coverage/people": "aopv",
    "POST /runs/{run_id}/coverage/recount": "aop",
    "GET /runs/{run_id}/followup": "aop",
    "POST /runs/{run_id}/followup": "aop",
    "GET /runs/{run_id}/report": "aopvi",
    "POST /runs/{run_id}/report/file": "aopvi",
    "POST /runs/{run_id}/report/evidence": "a",
    "GET /runs/{run_id}/ledger": "aopv",
    "GET /runs/{run_id}/ledger/{no}": "aopv",
    "POST /runs/{run_id}/ledger/{no}/cancel": "ao",
    "POST /runs/{run_id}/ledger/{no}/unmask": "a",
    "GET /runs/{run_id}/after": "aopv",
    "GET /runs/{run_id}/resend": "aop",
    "POST /runs/{run_id}/resend": "aop",
    "GET /runs/{run_id}/top-up": "aop",
    "POST /runs/{run_id}/top-up": "aop",
    "GET /runs/{run_id}/correct": "ao",
    "POST /runs/{run_id}/correct": "ao",
    "GET /followups": "aopvi",
    "GET /followups/{followup_id}": "aopvi",
    "POST /followups/{followup_id}/other-channels": "aop",
    "GET /followups/{followup_id}/sign": "aop",
    "POST /followups/{followup_id}/sign": "aop",
    "GET /followups/{followup_id}/end": "aop",
    "POST /followups/{followup_id}/end": "aop",
    "GET /followups/{followup_id}/visits": "ao",
    "POST /followups/{followup_id}/visits/list": "ao",
    "POST /followups/{followup_id}/visits/file": "ao",
    "GET /visits/{visit_id}": "ao",
    "POST /visits/{visit_id}/result": "ao",
    "GET /rounds": "aopvi",
    "GET /rounds/new": "aop",
    "POST /rounds/new": "aop",
    "GET /rounds/{round_id}": "aopvi",
    "POST /rounds/{round_id}/progress/file": "aopvi",
    "POST /rounds/{round_id}/form/file": "ao",
    "GET /rounds/{round_id}/sign": "aop",
    "POST /rounds/{round_id}/sign": "aop",
    "GET /rounds/{round_id}/end": "aop",
    "POST /rounds/{round_id}/end": "aop",
    "GET /rounds/{round_id}/households": "ao",
    "POST /rounds/{round_id}/visits": "ao",
    "GET /rounds/{round_id}/import": "ao",
    "POST /rounds/{round_id}/import": "ao",
    "GET /households/{household_id}": "ao",
    "GET /duties": "aopvi",
    "GET /duties/all": "aopvi",
    "GET /duties/late": "aopvi",
    "GET /duties/calendar": "aopvi",
    "POST /duties/file": "aopvi",
    "GET /duties/{duty_id}": "aopvi",
    "POST /duties/{duty_id}/submit": "ao",
    "POST /duties/{duty_id}/return": "ao",
    "POST /duties/{duty_id}/accept": "ao",
    "POST /duties/{duty_id}/excuse": "ao",
    "GET /obligations": "aopvi",
    "GET /obligations/new": "ao",
    "POST /obligations/new": "ao",
    "GET /obligations/texts": "aopvi",
    "POST /obligations/texts": "ao",
    "GET /obligations/{obligation_id}": "aopvi",
    "POST /obligations/{obligation_id}": "ao",
    "GET /obligations/{obligation_id}/end": "ao",
    "POST /obligations/{obligation_id}/end": "ao",
    "GET /duty": "aopv",
    "GET /duty/stop": "aopv",
    "POST /duty/stop": "aop",
    "POST /duty/stop/lift": "aop",
    "GET /duty/doubt": "aopv",
    "POST /duty/doubt/ask": "aop",
    "POST /duty/doubt": "aop",
    "POST /duty/doubt/statement": "aop",
    "POST /duty/doubt/policy": "a",
    "GET /duty/replies": "aopv",
    "GET /duty/replies/{inbound_id}": "aopv",
    "POST /duty/replies/{inbound_id}/take": "ao",
    "POST /duty/replies/{inbound_id}/done": "ao",
    "POST /duty/replies/{inbound_id}/unmask": "a",
    "GET /duty/channels": "aopv",
    "GET /duty/channels/{channel_id}": "aopv",
    "GET /duty/channels/{channel_id}/waiting": "aopv",
    "GET /duty/receipts": "aopv",
    "POST /duty/receipts/dismiss": "aop",
    "POST /duty/receipts/unmask": "a",
    "POST /duty/receipts/file": "aopv",
    "GET /duty/holds": "aopv",
    "GET /duty/holds/{hold_id}": "ao",
    "POST /duty/holds/{hold_id}/count": "ao",
    "POST /duty/holds/{hold_id}/drop": "ao",
    "GET /duty/list-files": "aopv",
    "POST /duty/list-files": "aop",
    "GET /duty/list-files/{list_id}": "aopv",
    "POST /duty/list-files/{list_id}/archive": "aop",
    "POST /duty/list-files/{list_id}/results": "aop",
    "POST /duty/list-files/{list_id}/counts": "aop",
    "GET /masked": "aopvi",
    "GET /texts": "aopv",
    "GET /texts/library": "aopv",
    "GET /texts/filings": "aopv",
    "GET /texts/offers": "aopv",
    "GET /texts/offers/{offer_id}": "aopv",
    "POST /texts/offers/{offer_id}/take": "ao",
    "GET /texts/offers/{offer_id}/withdraw": "aop",
    "POST /texts/offers/{offer_id}/withdraw": "aop",
    "GET /texts/new": "ao",
    "POST /texts/new": "ao",
    "POST /texts/check": "aopv",
    "GET /texts/{template_id}": "aopv",
    "GET /texts/{template_id}/readers": "aopv",
    "GET /texts/{template_id}/filings": "aopv",
    "POST /texts/{template_id}/filings": "a",
    "GET /texts/{template_id}/offer": "ap",
    "POST /texts/{template_id}/offer": "ap",
    "GET /texts/{template_id}/wordings/{version}": "aopv",
    "POST /texts/{template_id}/wordings/{version}": "ao",
    "POST /texts/{template_id}/wordings/{version}/file": "aopv",
    "POST /texts/{template_id}/wordings/{version}/poster": "aopv",
    "GET /texts/{template_id}/wordings/{version}/{kind}": "ao",
    "POST /texts/{template_id}/wordings/{version}/{kind}": "ao",
    "POST /texts/{template_id}/wordings/{version}/{wording_id}/approve": "ap",
    "GET /texts/{template_id}/edit": "ao",
    "POST /texts/{template_id}/edit": "ao",
    "GET /texts/{template_id}/compare/{old}/{new}": "aopv",
    "POST /texts/{template_id}/approve": "ap",
    "GET /plans": "aopvi",
    "GET /plans/calendar": "aopvi",
    "GET /plans/legs": "aopvi",
    "GET /plans/legs/{leg_id}": "aopvi",
    "GET /plans/legs/{leg_id}/take": "aop",
    "POST /plans/legs/{leg_id}/take": "aop",
    "GET /plans/legs/{leg_id}/return": "aop",
    "POST /plans/legs/{leg_id}/return": "aop",
    "GET /plans/legs/{leg_id}/ask": "ao",
    "POST /plans/legs/{leg_id}/ask": "ao",
    "GET /plans/new": "ao",
    "POST /plans/new": "ao",
    "POST /plans/new/side": "ao",
    "POST /plans/new/missing": "ao",
    "GET /plans/{campaign_id}/edit": "ao",
    "POST /plans/{campaign_id}/edit": "ao",
    "POST /plans/{campaign_id}/side": "ao",
    "POST /plans/{campaign_id}/missing": "ao",
    "GET /plans/{campaign_id}": "aopvi",
    "POST /plans/{campaign_id}/submit": "ao",
    "POST /plans/{campaign_id}/pause": "aop",
    "GET /plans/{campaign_id}/resume": "aop",
    "POST /plans/{campaign_id}/resume": "aop",
    "GET /plans/{campaign_id}/release": "aop",
    "POST /plans/{campaign_id}/release": "aop",
    "GET /plans/{campaign_id}/cancel": "aop",
    "POST /plans/{campaign_id}/cancel": "aop",
    "POST /plans/{campaign_id}/clone": "ao",
    "POST /plans/{campaign_id}/milestones": "ao",
    "POST /plans/{campaign_id}/milestones/{milestone_id}/done": "ao",
    "GET /plans/{campaign_id}/sign": "aopv",
    "POST /plans/{campaign_id}/sign": "ap",
    "GET /plans/{campaign_id}/counts": "aopv",
    "GET /plans/{campaign_id}/signing": "ap",
    "POST /plans/{campaign_id}/test": "ap",
    "GET /plans/{campaign_id}/return": "ap",
    "POST /plans/{campaign_id}/return": "ap",
    "GET /plans/{campaign_id}/reject": "ap",
    "POST /plans/{campaign_id}/reject": "ap",
    "GET /office": "a",
    "GET /office/departments": "a",
    "GET /office/departments/new": "a",
    "POST /office/departments/new": "a",
    "GET /office/departments/{department_id}": "a",
    "POST /office/departments/{department_id}": "a",
    "GET /office/departments/without": "a",
    "GET /office/departments/{department_id}/people": "a",
    "POST /office/departments/{department_id}/people": "a",
    "GET /office/departments/{department_id}/sender": "a",
    "POST /office/departments/{department_id}/sender": "a",
    "POST /office/departments/{department_id}/sender/{proposal_id}/confirm": "a",
    "POST /office/departments/{department_id}/signatures": "a",
    "POST /office/departments/{department_id}/signatures/{proposal_id}/confirm": "a",
    "GET /office/departments/{department_id}/extensions": "a",
    "POST /office/departments/{department_id}/extensions": "a",
    "GET /office/departments/{department_id}/extensions/{extension}/end": "a",
    "POST /office/departments/{department_id}/extensions/{extension}/end": "a",
    "GET /office/departments/{department_id}/limits": "a",
    "POST /office/departments/{department_id}/limits": "a",
    "POST /office/departments/{department_id}/limits/{proposal_id}/confirm": "a",
    "GET /office/users": "a",
    "GET /office/users/new": "a",
    "POST /office/users/new": "a",
    "GET /office/users/{user_id}": "a",
    "POST /office/users/{user_id}": "a",
    "POST /office/users/{user_id}/grants/{grant_id}/confirm": "a",
    "GET /office/users/{user_id}/sign-in": "a",
    "POST /office/users/{user_id}/sign-in": "a",
    "POST /office/users/{user_id}/sign-in/confirm": "a",
    "POST /office/users/{user_id}/sign-in/end": "a",
    "POST /office/users/{user_id}/service": "a",
    "POST /office/users/{user_id}/password": "a",
    "POST /office/users/{user_id}/password/confirm": "a",
    "POST /office/users/{user_id}/authenticator/reset": "a",
    "GET /office/keys": "a",
    "GET /office/keys/new": "a",
    "POST /office/keys/new": "a",
    "POST /office/keys/{key_id}/activate": "a",
    "POST /office/keys/{key_id}/rotate": "a",
    "GET /office/keys/{key_id}/revoke": "a",
    "POST /office/keys/{key_id}/revoke": "a",
    "GET /office/webhooks": "aopv",
    "GET /office/webhooks/new": "ao",
    "POST /office/webhooks/new": "ao",
    "GET /office/webhooks/{webhook_id}": "aopv",
    "POST /office/webhooks/{webhook_id}": "ao",
    "POST /office/webhooks/{webhook_id}/service": "ao",
    "POST /office/webhooks/{webhook_id}/test": "ao",
    "POST /office/webhooks/{webhook_id}/replay": "ao",
    "GET /office/webhooks/{webhook_id}/secret": "ao",
    "POST /office/webhooks/{webhook_id}/secret": "ao",
    "GET /office/webhooks/{webhook_id}/delete": "ao",
    "POST /office/webhooks/{webhook_id}/delete": "ao",
    "GET /office/guests": "aopv",
    "POST /office/guests": "ao",
    "POST /office/guests/{guest_id}/delete": "ao",
    "GET /office/privacy": "a",
    "POST /office/privacy/lookup": "a",
    "GET /office/privacy/erase": "a",
    "POST /office/privacy/erase": "a",
    "GET /office/privacy/report": "a",
    "GET /office/privacy/retention": "a",
    "POST /office/privacy/retention/agree": "a",
    "GET /office/deputies": "aopv",
    "GET /office/deputies/new": "ap",
    "POST /office/deputies/new": "ap",
    "POST /office/deputies/{deputy_id}/confirm": "ap",
    "POST /office/deputies/{deputy_id}/end": "ap",
    "GET /office/rules": "aopv",
    "GET /office/rules/lint": "aopv",
    "GET /office/rules/lint/edit": "a",
    "POST /office/rules/lint/edit": "a",
    "POST /office/rules/lint/proposals/{proposal_id}/confirm": "a",
    "GET /office/rules/caps": "aopv",
    "GET /office/rules/caps/{class}": "a",
    "POST /office/rules/caps/{class}": "a",
    "GET /office/rules/hours": "aopv",
    "GET /office/rules/hours/edit": "a",
    "POST /office/rules/hours/edit": "a",
    "GET /office/rules/holidays": "aopv",
    "GET /office/rules/holidays/history": "aopv",
    "GET /office/rules/holidays/notice": "a",
    "POST /office/rules/holidays/notice": "a",
    "POST /office/rules/holidays/notice/file": "a",
    "GET /office/rules/holidays/{year}/notice": "a",
    "POST /office/rules/holidays/{year}/notice": "a",
    "GET /office/rules/holidays/quiet/new": "a",
    "POST /office/rules/holidays/quiet/new": "a",
    "GET /office/rules/holidays/quiet/{place}": "a",
    "POST /office/rules/holidays/quiet/{place}": "a",
    "GET /office/rules/holidays/built-in": "a",
    "POST /office/rules/holidays/built-in": "a",
    "GET /office/rules/holidays/{year}/school-days": "a",
    "POST /office/rules/holidays/{year}/school-days": "a",
    "GET /office/channels": "a",
    "GET /office/channels/new": "a",
    "POST /office/channels/new": "a",
    "GET /office/channels/{channel_id}": "a",
    "POST /office/channels/{channel_id}": "a",
    "POST /office/channels/{channel_id}/test": "a",
    "GET /office/channels/{channel_id}/switch": "a",
    "POST /office/channels/{channel_id}/switch": "a",
    "POST /office/channels/{channel_id}/hold/lift": "a",
    "POST /office/channels/{channel_id}/filing": "a",
    "GET /office/channels/{channel_id}/propose": "a",
    "POST /office/channels/{channel_id}/propose": "a",
    "POST /office/channels/{channel_id}/changes/{change_id}/confirm": "a",
    "GET /office/codes": "aopv",
    "GET /office/codes/new": "a",
    "POST /office/codes/new": "a",
    "POST /office/codes/delete": "a",
    "GET /office/numbers": "aopv",
    "POST /office/numbers": "aopv",
    "GET /office/numbers/carrier": "aopv",
    "POST /office/numbers/carrier": "aopv",
    "POST /office/numbers/carrier/list": "a",
    "GET /office/numbers/table": "aopv",
    "POST /office/numbers/table": "a",
    "GET /office/numbers/table/forget": "a",
    "POST /office/numbers/table/forget": "a",
    "GET /reports": "aopvi",
    "GET /reports/campaigns/{campaign_id}": "aopvi",
    "POST /reports/campaigns/{campaign_id}/export": "aopvi",
    "GET /reports/campaigns/{campaign_id}/coverage": "aopvi",
    "POST /reports/campaigns/{campaign_id}/coverage/file": "aopvi",
    "GET /reports/coverage": "aopvi",
    "POST /reports/coverage/file": "aopvi",
    "GET /reports/denominators": "aopvi",
    "POST /reports/denominators": "ao",
    "GET /reports/cases": "aopvi",
    "GET /reports/cases/import": "ao",
    "POST /reports/cases/import": "ao",
    "GET /reports/cases/imports/{case_import_id}": "ao",
    "POST /reports/cases/imports/{case_import_id}/undo": "ao",
    "GET /reports/cases/settings": "ao",
    "POST /reports/cases/settings": "ao",
    "POST /reports/cases/kinds": "ao",
    "POST /reports/goals": "ao",
    "GET /reports/goals": "aopvi",
    "POST /reports/goals/file": "aopvi",
    "GET /reports/effect": "aopvi",
    "GET /reports/assessment": "aopvi",
    "POST /reports/assessment/file": "aopvi",
    "GET /reports/assessment/own-staff": "aopvi",
    "POST /reports/assessment/own-staff": "ao",
    "GET /reports/assessment/rules": "aopvi",
    "POST /reports/assessment/rules": "ao",
    "GET /reports/suggestions": "aopvi",
    "GET /reports/suggestions/audiences": "aopvi",
    "POST /reports/suggestions/audiences": "ao",
    "GET /reports/suggestions/{week}/{suggestion_id}": "aopvi",
    "POST /reports/suggestions/{week}/{suggestion_id}/draft": "ao",
    "POST /reports/suggestions/{week}/{suggestion_id}/dismiss": "ao",
    "GET /reports/weekly": "aopvi",
    "POST /reports/weekly/file": "aopvi",
    "GET /reports/bulletins/{week}": "aopvi",
    "POST /reports/bulletins/{week}/file": "aopvi",
    "POST /reports/bulletins/{week}/issue": "ao",
    "POST /reports/bulletins/{week}/correct": "ao",
    "GET /reports/channels": "aopv",
    "GET /reports/audit": "a",
    "GET /reports/audit/check": "ai",
    "POST /reports/audit/check": "ai",
    "GET /reports/audit/check/{check_id}": "ai",
    "GET /reports/evidence": "aopvi",
    "POST /logout": "aopvi",
    "GET /account": "aopvi",
    "GET /account/password": "aopvi",
    "POST /account/password": "aopvi",
    "GET /account/authenticator": "aopvi",
    "POST /account/authenticator": "aopvi",
    "POST /account/authenticator/confirm": "aopvi",
    "GET /account/phone": "aopv",
    "POST /account/phone": "aop",
    "POST /account/phone/code": "aop",
    "POST /account/phone/away": "aopv",
    "POST /account/sessions/{session_id}/end": "aopvi",
    "GET /files/{object_id}": "aopvi",
    "GET /account/notices": "aop",
    "POST /account/notices": "aop",
    "POST /account/notices/code": "aop",
    "GET /people": "aopv",
    "GET /people/lists": "aopv",
    "GET /people/lists/{name}": "aopv",
    "GET /people/lists/{name}/confirm": "ao",
    "POST /people/lists/{name}/confirm": "ao",
    "GET /people/lists/{name}/add": "ao",
    "POST /people/lists/{name}/add": "ao",
    "GET /people/lists/{name}/members": "ao",
    "POST /people/lists/{name}/members": "ao",
    "GET /people/imports": "aopv",
    "GET /people/imports/new": "ao",
    "POST /people/imports/new": "ao",
    "GET /people/imports/sample": "ao",
    "GET /people/imports/{import_id}": "aopv",
    "GET /people/imports/{import_id}/progress": "aopv",
    "POST /people/imports/{import_id}/rejects": "aopv",
    "GET /people/imports/{import_id}/undo": "ao",
    "POST /people/imports/{import_id}/undo": "ao",
    "GET /people/groups": "aopv",
    "GET /people/groups/ready": "ao",
    "GET /people/groups/new": "ao",
    "POST /people/groups/new": "ao",
    "POST /people/groups/look": "ao",
    "POST /people/groups/count": "aopv",
    "GET /people/groups/{segment_id}": "aopv",
    "POST /people/groups/{segment_id}": "ao",
    "GET /people/never": "aopv",
    "GET /people/never/new": "ao",
    "POST /people/never/new": "ao",
    "POST /people/never/file": "ao",
    "GET /people/never/lookup": "aopv",
    "POST /people/never/lookup": "aopv",
    "GET /people/never/export": "ao",
    "POST /people/never/export": "ao",
    "GET /people/never/entries": "aopv",
    "GET /people/never/entries/{entry_id}": "aopv",
    "POST /people/never/entries/{entry_id}/count": "ao",
    "POST /people/never/entries/{entry_id}/drop": "ao",
    "GET /people/never/{suppression_id}/end": "ao",
    "POST /people/never/{suppression_id}/end": "ao",
    "GET /people/persons": "aopv",
    "POST /people/persons": "aopv",
    "POST /people/persons/{contact_id}/unmask": "a",
    "GET /people/persons/{contact_id}": "aopv",
    "POST /people/persons/{contact_id}": "ao",
    "GET /people/persons/{contact_id}/delete": "ao",
    "POST /people/persons/{contact_id}/delete": "ao",
    "GET /people/areas": "aopv",
    "GET /people/areas/{code}": "aopv",
    "GET /people/areas/{code}/new": "ao",
    "POST /people/areas/{code}/new": "ao",
    "GET /people/areas/{code}/edit": "ao",
    "POST /people/areas/{code}/edit": "ao",
    "POST /people/areas/{code}/names/{rename_id}": "ao",
}
OTHERS = {
    "name": "duty",
    "kind": "led",
    "code": "341825",
    "channel_id": "1",
    "old": "1",
    "new": "2",
    "change_id": NOBODY,
    "delivery_id": NOBODY,
    "class": "service",
    "year": "2027",
    "place": "0",
    "extension": "01",
    "object_id": NOBODY,
}
"""Parameters of addresses that no thing of the tests has."""

CSRF = re.compile(r'name="csrf" value="([^"]+)"')


async def furnish(api: Api) -> dict[str, str]:
    """One of each thing in the county, and nobody is anybody's deputy."""
    things = await make_things(api, "county")
    await api.runtime.pool.execute("DELETE FROM deputies")
    return things


def row_of(page: WebPage) -> str:
    """What a page is called in the table."""
    return f"{page.method} {page.path}"


def address_of(page: WebPage, things: dict[str, str]) -> str:
    """An address of a page, of one of the things."""
    return page.path.format_map(OTHERS | things)


async def force(browser: Browser, page: WebPage, address: str, token: str) -> Seen:
    """Ask for a page, or send its form empty."""
    if page.method == "GET":
        return await browser.ask("GET", address)
    form = FormData({"csrf": token})
    return await browser.ask("POST", address, headers={"Origin": browser.origin}, data=form)


async def token_of(browser: Browser) -> str:
    """The token of somebody's forms."""
    found = CSRF.search((await browser.get("/account")).html)
    assert found
    return found[1]


def test_the_table_has_every_page() -> None:
    assert [row_of(page) for page in PAGES] == list(TABLE)


@pytest.mark.parametrize("role", ROLES)
async def test_a_forced_address_is_refused_and_changes_nothing(api: Api, role: str) -> None:
    things = await furnish(api)
    browser = await browser_of(api, role)
    token = await token_of(browser)
    forbidden = [page for page in PAGES if ROLES[role] not in TABLE[row_of(page)]]
    before = await digests(api)
    served = []
    for page in forbidden:
        seen = await force(browser, page, address_of(page, things), token)
        if seen.status != 403:
            served.append((row_of(page), seen.status, seen.text[:200]))
    assert not served
    # The last use of a session is written down; nothing else is.
    after = await digests(api)
    assert {name for name in before if before[name] != after[name]} <= {"sessions"}


@pytest.mark.parametrize("role", cases(ROLES, "admin", "viewer"))
async def test_whoever_may_comes_to_each_page(api: Api, role: str) -> None:
    things = await furnish(api)
    browser = await browser_of(api, role)
    allowed = [
        page for page in PAGES if page.method == "GET" and ROLES[role] in TABLE[row_of(page)]
    ]
    assert allowed
    refused = []
    for page in allowed:
        seen = await browser.ask("GET", address_of(page, things))
        # Of a thing that is not in the state for an act there is no page, or it says so.
        if seen.status not in {200, 204, 303, 404, 409}:
            refused.append((row_of(page), seen.status, seen.text[:200]))
    assert not refused


async def test_whoever_has_not_logged_in_sees_no_page(api: Api) -> None:
    browser = Browser(api)
    for page in PAGES:
        address = address_of(page, dict.fromkeys(re.findall(r"{(\w+)}", page.path), NOBODY))
        seen = await force(browser, page, address, "")
        if page.method == "GET" or page.takes_file:
            assert (seen.status, seen.headers["Location"][:6]) == (303, "/login"), row_of(page)
        else:
            assert seen.status == 401, row_of(page)
