"""Every route × role × two departments against one table, and no route without a key."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from service.accounts.people.model import Right, Role
from service.api.examples import EXAMPLES
from service.api.http.op import Op
from service.api.routes import CALLBACKS, OPS, PREFIX
from service.console.render import STATIC
from service.console.routes import OPEN_PAGES, PAGES
from service.storage.postgres import transaction
from tests.factories import make_contact, make_token, make_user
from tests.harness.description import description
from tests.harness.keys import active_key
from tests.harness.things import digests, make_things
from tests.harness.tiers import cases
from tests.harness.uploads import only
from tests.harness.words import FILES, usual_queries
from tests.integration.api.conftest import Answer, Api

ROLES = ("admin", "operator", "approver", "viewer", "inspector")
OPEN = {
    "/problems",
    "/problems/{code}",
    f"{PREFIX}/login",
    f"{PREFIX}/bulletins/{{week}}/public",
    f"{PREFIX}/public/check",
    "/healthz",
    "/readyz",
    f"{PREFIX}/openapi.json",
    "/api/docs",
    "/api/docs/{name}",
    PREFIX + CALLBACKS,
}
NOBODY = "00000000-0000-0000-0000-000000000000"

# Who may with a key, by first letter: admin, operator, approver, viewer, inspector.
TABLE = {
    "GET /uncertain": "aopv",
    "POST /uncertain/decide": "aop",
    "POST /uncertain/statement": "aop",
    "GET /uncertain/policies": "aopv",
    "PUT /uncertain/policies": "a",
    "POST /cases/imports": "ao",
    "GET /cases/imports": "ao",
    "GET /cases/imports/{case_import_id}": "ao",
    "GET /cases/imports/{case_import_id}/rejects": "ao",
    "POST /cases/imports/{case_import_id}/undo": "ao",
    "GET /cases": "aopvi",
    "GET /goals": "aopvi",
    "GET /goals/document": "aopvi",
    "PUT /goals": "ao",
    "GET /bulletins": "aopvi",
    "GET /bulletins/settings": "aopvi",
    "PUT /bulletins/settings": "ao",
    "GET /bulletins/{week}": "aopvi",
    "GET /bulletins/{week}/public": "aopvi",
    "GET /bulletins/{week}/document": "aopvi",
    "GET /bulletins/{week}/notice": "aopv",
    "POST /bulletins/{week}/notice": "ao",
    "POST /bulletins/{week}/issue": "ao",
    "POST /bulletins/{week}/correct": "ao",
    "POST /public/check": "aopvi",
    "GET /suggestions": "aopvi",
    "POST /suggestions/{suggestion_id}/draft": "ao",
    "POST /suggestions/{suggestion_id}/dismiss": "ao",
    "GET /suggestions/rules": "aopvi",
    "PUT /suggestions/rules": "ao",
    "GET /fraud-types": "aopvi",
    "PUT /fraud-types": "ao",
    "GET /caps": "aopv",
    "PUT /caps": "a",
    "GET /receipts/unmatched": "aopv",
    "GET /receipts/unmatched/export": "aopv",
    "POST /receipts/unmatched/dismiss": "aop",
    "GET /reports/reconciliation": "aopv",
    "GET /followups": "aopvi",
    "POST /followups": "aop",
    "GET /followups/{followup_id}": "aopvi",
    "POST /followups/{followup_id}/other-channels": "aop",
    "POST /followups/{followup_id}/sign-off": "aop",
    "POST /followups/{followup_id}/cancel": "aop",
    "GET /followups/{followup_id}/visits": "ao",
    "POST /followups/{followup_id}/visits/list": "ao",
    "POST /followups/{followup_id}/visits/document": "ao",
    "GET /visits/{visit_id}": "ao",
    "POST /visits/{visit_id}/result": "ao",
    "GET /number-corrections": "aopv",
    "GET /number-corrections/{correction_id}": "aopv",
    "POST /number-corrections/{correction_id}/confirm": "ao",
    "POST /number-corrections/{correction_id}/drop": "ao",
    "GET /visit-rounds": "aopvi",
    "POST /visit-rounds": "aop",
    "GET /visit-rounds/{round_id}": "aopvi",
    "GET /visit-rounds/{round_id}/progress": "aopvi",
    "GET /visit-rounds/{round_id}/progress/document": "aopvi",
    "GET /visit-rounds/{round_id}/form": "ao",
    "POST /visit-rounds/{round_id}/sign-off": "aop",
    "POST /visit-rounds/{round_id}/cancel": "aop",
    "GET /visit-rounds/{round_id}/visits": "ao",
    "POST /visit-rounds/{round_id}/visits": "ao",
    "POST /visit-rounds/{round_id}/visits/imports": "ao",
    "GET /households/{household_id}": "ao",
    "GET /groups": "aopv",
    "POST /groups": "ao",
    "POST /groups/imports": "ao",
    "GET /groups/document": "aopv",
    "GET /groups/text": "aopv",
    "PUT /groups/text": "ao",
    "GET /groups/{group_id}": "aopv",
    "PATCH /groups/{group_id}": "ao",
    "POST /groups/{group_id}/hand-over": "ao",
    "GET /groups/{group_id}/history": "aopv",
    "POST /groups/{group_id}/history/{no}/document": "ao",
    "GET /relays": "aopvi",
    "POST /relays": "ao",
    "POST /relays/preview": "ao",
    "GET /relays/alarms": "aopvi",
    "GET /relays/{relay_id}": "aopvi",
    "GET /relays/{relay_id}/document": "aopvi",
    "GET /relays/{relay_id}/nodes": "aopv",
    "POST /relays/{relay_id}/nodes/{no}/done": "ao",
    "POST /relays/{relay_id}/cancel": "ao",
    "GET /obligations": "aopvi",
    "POST /obligations": "ao",
    "GET /obligations/texts": "aopvi",
    "PUT /obligations/texts": "ao",
    "GET /obligations/{obligation_id}": "aopvi",
    "PATCH /obligations/{obligation_id}": "ao",
    "GET /obligations/{obligation_id}/dates": "aopvi",
    "POST /obligations/{obligation_id}/end": "ao",
    "GET /evidence": "aopvi",
    "POST /evidence": "ao",
    "GET /evidence/{picture_id}": "aopvi",
    "GET /evidence/{picture_id}/jpeg": "aopvi",
    "GET /evidence/{picture_id}/thumbnail": "aopvi",
    "POST /evidence/{picture_id}/mask": "ao",
    "DELETE /evidence/{picture_id}": "ao",
    "GET /duties": "aopvi",
    "GET /duties/calendar": "aopvi",
    "GET /duties/late": "aopvi",
    "GET /duties/document": "aopvi",
    "GET /duties/{duty_id}": "aopvi",
    "GET /duties/{duty_id}/figures": "aopvi",
    "POST /duties/{duty_id}/submit": "ao",
    "POST /duties/{duty_id}/return": "ao",
    "POST /duties/{duty_id}/accept": "ao",
    "POST /duties/{duty_id}/excuse": "ao",
    "GET /reports/weekly": "aopvi",
    "GET /reports/weekly/document": "aopvi",
    "GET /reports/weekly/packs": "aopvi",
    "GET /reports/weekly/pack": "aopvi",
    "GET /denominators": "aopvi",
    "PUT /denominators": "ao",
    "GET /reports/coverage": "aopvi",
    "GET /reports/coverage/people": "aopv",
    "GET /reports/coverage/export": "aopvi",
    "GET /reports/effect": "aopvi",
    "GET /reports/effect/document": "aopvi",
    "GET /reports/assessment": "aopvi",
    "GET /reports/assessment/document": "aopvi",
    "GET /assessment/rules": "aopvi",
    "PUT /assessment/rules": "ao",
    "GET /assessment/own-staff": "aopvi",
    "PUT /assessment/own-staff": "ao",
    "POST /reports/coverage/recount": "aop",
    "POST /routes/explain": "aopv",
    "GET /prefixes": "aopv",
    "POST /prefixes/imports": "a",
    "DELETE /prefixes": "a",
    "POST /routes/overrides/lookup": "aopv",
    "POST /routes/overrides/imports": "a",
    "PUT /routes/overrides": "a",
    "DELETE /routes/overrides": "a",
    "GET /departments": "aopvi",
    "POST /departments": "a",
    "PATCH /departments/{department_id}": "a",
    "GET /departments/without-people": "aopvi",
    "GET /departments/{department_id}/people": "aopvi",
    "PUT /departments/{department_id}/people": "a",
    "GET /departments/{department_id}": "aopvi",
    "GET /departments/{department_id}/counts": "aopvi",
    "GET /departments/{department_id}/signatures": "aopvi",
    "POST /departments/{department_id}/signatures": "a",
    "POST /departments/{department_id}/signatures/{proposal_id}/confirm": "a",
    "GET /departments/{department_id}/extensions": "aopvi",
    "POST /departments/{department_id}/extensions": "a",
    "DELETE /departments/{department_id}/extensions/{extension}": "a",
    "GET /departments/{department_id}/direct-limits": "aopvi",
    "POST /departments/{department_id}/direct-limits": "a",
    "POST /departments/{department_id}/direct-limits/{proposal_id}/confirm": "a",
    "GET /guests": "aopv",
    "POST /guests": "ao",
    "DELETE /guests/{guest_id}": "ao",
    "GET /users": "aopv",
    "POST /users": "a",
    "GET /users/names": "aopvi",
    "GET /users/{user_id}": "aopv",
    "PATCH /users/{user_id}": "a",
    "GET /users/{user_id}/grants": "a",
    "POST /users/{user_id}/grants/{grant_id}/confirm": "a",
    "POST /users/{user_id}/password": "a",
    "GET /users/{user_id}/sign-in": "a",
    "PUT /users/{user_id}/sign-in": "a",
    "POST /users/{user_id}/sign-in/confirm": "a",
    "DELETE /users/{user_id}/sign-in": "a",
    "POST /users/{user_id}/password/confirm": "a",
    "POST /users/{user_id}/totp/reset": "a",
    "POST /login": "aopvi",
    "POST /logout": "",
    "GET /sessions": "aopvi",
    "DELETE /sessions/{session_id}": "aopvi",
    "GET /me": "aopvi",
    "POST /me/password": "",
    "POST /me/totp": "",
    "POST /me/totp/confirm": "",
    "GET /keys": "a",
    "POST /keys": "a",
    "GET /keys/{key_id}": "a",
    "POST /keys/{key_id}/activate": "a",
    "POST /keys/{key_id}/rotate": "a",
    "POST /keys/{key_id}/revoke": "a",
    "GET /audit": "a",
    "GET /long-acts": "aopvi",
    "GET /audit/checks": "ai",
    "POST /audit/checks": "ai",
    "GET /audit/checks/{check_id}": "ai",
    "GET /deputies": "aopv",
    "POST /deputies": "ap",
    "POST /deputies/{deputy_id}/confirm": "ap",
    "POST /deputies/{deputy_id}/end": "ap",
    "PUT /account/phone": "aop",
    "POST /account/phone/code": "aop",
    "GET /account/notices": "aopvi",
    "PUT /account/notices": "aopvi",
    "POST /account/mail/code": "aopvi",
    "POST /campaigns/{campaign_id}/test-send": "ap",
    "POST /contacts/{contact_id}/unmask": "a",
    "POST /runs/{run_id}/messages/{no}/unmask": "a",
    "POST /inbound/{inbound_id}/unmask": "a",
    "POST /receipts/unmatched/{receipt_id}/unmask": "a",
    "POST /privacy/lookup": "a",
    "GET /privacy/retention": "a",
    "POST /privacy/retention/agree": "a",
    "POST /privacy/erase": "a",
    "GET /privacy/report": "a",
    "GET /suppressions/held": "aopv",
    "POST /suppressions/held/{hold_id}/count": "ao",
    "POST /suppressions/held/{hold_id}/drop": "ao",
    "GET /suppressions/entries": "aopv",
    "GET /suppressions/entries/{entry_id}": "aopv",
    "POST /suppressions/entries/{entry_id}/count": "ao",
    "POST /suppressions/entries/{entry_id}/drop": "ao",
    "POST /imports": "ao",
    "GET /imports": "aopv",
    "GET /imports/{import_id}": "aopv",
    "GET /imports/{import_id}/rejects/rules": "aopv",
    "GET /imports/{import_id}/rejects": "aopv",
    "POST /imports/{import_id}/undo": "ao",
    "GET /rosters": "aopv",
    "GET /rosters/{name}": "aopv",
    "PUT /rosters/{name}/members": "ao",
    "PATCH /rosters/{name}": "ao",
    "GET /rosters/{name}/posts": "aopv",
    "POST /rosters/{name}/hand-over": "ao",
    "GET /rosters/{name}/posts/{post_id}/history": "aopv",
    "POST /rosters/{name}/posts/{post_id}/history/{no}/document": "ao",
    "GET /contacts": "aopv",
    "POST /contacts": "ao",
    "GET /contacts/{contact_id}": "aopv",
    "PATCH /contacts/{contact_id}": "ao",
    "DELETE /contacts/{contact_id}": "ao",
    "GET /areas": "aopvi",
    "GET /areas/{code}": "aopvi",
    "POST /areas": "ao",
    "PATCH /areas/{code}": "ao",
    "POST /areas/{code}/renames/{rename_id}/confirm": "ao",
    "GET /suppressions": "aopv",
    "POST /suppressions": "ao",
    "POST /suppressions/lookup": "aopv",
    "POST /contacts/lookup": "aopv",
    "POST /suppressions/imports": "ao",
    "POST /suppressions/export": "ao",
    "DELETE /suppressions/{suppression_id}": "ao",
    "GET /segments": "aopv",
    "POST /segments": "ao",
    "POST /segments/preview": "aopv",
    "POST /segments/explain": "aopv",
    "POST /segments/compose": "aopv",
    "GET /segments/terms": "aopv",
    "GET /segments/{segment_id}": "aopv",
    "PATCH /segments/{segment_id}": "ao",
    "GET /templates": "aopv",
    "POST /templates": "ao",
    "POST /templates/lint": "aopv",
    "GET /templates/library": "aopv",
    "GET /templates/{template_id}": "aopv",
    "GET /templates/{template_id}/versions": "aopv",
    "POST /templates/{template_id}/versions": "ao",
    "GET /templates/{template_id}/versions/{version}/wordings": "aopv",
    "POST /templates/{template_id}/versions/{version}/wordings": "ao",
    "POST /templates/{template_id}/versions/{version}/wordings/{wording_id}/approve": "ap",
    "GET /templates/{template_id}/versions/{version}/wordings/document": "aopv",
    "GET /templates/{template_id}/versions/{version}/wordings/poster": "aopv",
    "POST /templates/{template_id}/offers": "ap",
    "GET /offers": "aopv",
    "GET /offers/{offer_id}": "aopv",
    "POST /offers/{offer_id}/take": "ao",
    "POST /offers/{offer_id}/withdraw": "aop",
    "POST /templates/{template_id}/approve": "ap",
    "GET /templates/{template_id}/preview": "aopv",
    "GET /filings/missing": "aopv",
    "GET /templates/{template_id}/filings": "aopv",
    "PUT /templates/{template_id}/filings": "a",
    "PUT /channels/{channel_id}/filing": "a",
    "GET /lint/rules": "aopv",
    "PUT /lint/rules": "a",
    "POST /lint/rules/proposals/{proposal_id}/confirm": "a",
    "POST /departments/{department_id}/sender/proposals/{proposal_id}/confirm": "a",
    "GET /lint/rules/history": "aopv",
    "GET /departments/{department_id}/sender": "aopv",
    "PUT /departments/{department_id}/sender": "a",
    "GET /campaigns": "aopvi",
    "POST /campaigns": "ao",
    "GET /campaigns/{campaign_id}": "aopvi",
    "PATCH /campaigns/{campaign_id}": "ao",
    "GET /campaigns/{campaign_id}/preview": "aopv",
    "GET /campaigns/{campaign_id}/runs": "aopvi",
    "GET /campaigns/{campaign_id}/report": "aopvi",
    "GET /campaigns/{campaign_id}/report/export": "aopvi",
    "GET /runs/{run_id}/report/export": "aopvi",
    "GET /campaigns/{campaign_id}/steps": "aopvi",
    "POST /runs/{run_id}/correction": "ao",
    "GET /runs/{run_id}/missed": "aopv",
    "POST /runs/{run_id}/resend-missed": "aop",
    "GET /campaigns/{campaign_id}/top-up": "aopv",
    "POST /campaigns/{campaign_id}/top-up": "aop",
    "POST /campaigns/{campaign_id}/clone": "ao",
    "GET /campaigns/{campaign_id}/rollout": "ao",
    "POST /campaigns/{campaign_id}/rollout": "ao",
    "GET /places": "aopvi",
    "POST /places": "ao",
    "GET /places/{place_id}": "aopvi",
    "POST /places/{place_id}/tick": "ao",
    "POST /places/{place_id}/end": "ao",
    "GET /reports/places": "aopvi",
    "GET /rollouts": "aopvi",
    "GET /rollouts/{rollout_id}": "aopvi",
    "GET /rollouts/{rollout_id}/analysis": "aopvi",
    "GET /campaigns/{campaign_id}/milestones": "aopv",
    "POST /campaigns/{campaign_id}/milestones": "ao",
    "POST /campaigns/{campaign_id}/milestones/{milestone_id}/done": "ao",
    "GET /campaigns/{campaign_id}/legs": "aopvi",
    "GET /legs": "aopvi",
    "GET /departments/names": "ao",
    "POST /legs/preview": "ao",
    "GET /legs/{leg_id}": "aopvi",
    "POST /legs/{leg_id}/take": "aop",
    "POST /legs/{leg_id}/return": "aop",
    "POST /legs/{leg_id}/ask": "ao",
    "GET /list-files": "aopvi",
    "POST /list-files": "aop",
    "GET /list-files/{list_id}": "aopvi",
    "POST /list-files/{list_id}/archive": "aop",
    "POST /list-files/{list_id}/results": "aop",
    "POST /list-files/{list_id}/counts": "aop",
    "POST /campaigns/{campaign_id}/submit": "ao",
    "POST /campaigns/{campaign_id}/approve": "ap",
    "POST /campaigns/{campaign_id}/return": "ap",
    "POST /campaigns/{campaign_id}/reject": "ap",
    "POST /campaigns/{campaign_id}/release": "aop",
    "POST /campaigns/{campaign_id}/pause": "aop",
    "POST /campaigns/{campaign_id}/resume": "aop",
    "POST /campaigns/{campaign_id}/cancel": "aop",
    "GET /campaigns/{campaign_id}/fires": "aopvi",
    "POST /schedules/preview": "aopv",
    "GET /work": "aopvi",
    "GET /calendar": "aopvi",
    "GET /calendar/days": "aopvi",
    "GET /festivals": "aopv",
    "POST /schedules/festival": "aopv",
    "GET /holidays": "aopv",
    "PUT /holidays": "a",
    "POST /holidays/notice": "a",
    "GET /holidays/history": "aopv",
    "GET /send-hours": "aopv",
    "PUT /send-hours": "a",
    "GET /send-hours/history": "aopv",
    "GET /stop-all": "aopv",
    "POST /stop-all": "aop",
    "POST /stop-all/lift": "aop",
    "GET /stop-all/record": "aopv",
    "GET /runs": "aopvi",
    "GET /runs/{run_id}": "aopvi",
    "POST /runs/{run_id}/cancel": "aop",
    "GET /runs/{run_id}/progress": "aopvi",
    "GET /runs/{run_id}/report": "aopvi",
    "GET /runs/{run_id}/evidence": "a",
    "GET /evidence-key": "aopvi",
    "GET /runs/{run_id}/messages": "aopv",
    "GET /runs/{run_id}/inbound": "aopv",
    "POST /messages": "ao",
    "POST /messages/status": "aopv",
    "POST /messages/lookup": "aopv",
    "GET /messages/{message_id}": "aopv",
    "POST /messages/{message_id}/cancel": "ao",
    "GET /robots": "aopv",
    "POST /robots": "ao",
    "PUT /robots/{robot_id}/kinds": "ao",
    "POST /robots/{robot_id}/test": "ao",
    "DELETE /robots/{robot_id}": "ao",
    "GET /webhooks": "aopv",
    "POST /webhooks": "ao",
    "GET /webhooks/{webhook_id}": "aopv",
    "PATCH /webhooks/{webhook_id}": "ao",
    "DELETE /webhooks/{webhook_id}": "ao",
    "POST /webhooks/{webhook_id}/secret": "ao",
    "POST /webhooks/{webhook_id}/test": "ao",
    "POST /webhooks/{webhook_id}/replay": "ao",
    "GET /webhooks/{webhook_id}/deliveries": "aopv",
    "GET /inbound": "aopv",
    "GET /inbound/{inbound_id}": "aopv",
    "POST /inbound/{inbound_id}/take": "ao",
    "POST /inbound/{inbound_id}/done": "ao",
    "GET /channels": "aopv",
    "POST /channels": "a",
    "GET /channels/kinds": "aopv",
    "GET /channels/codes": "aopv",
    "PUT /channels/codes": "a",
    "DELETE /channels/codes": "a",
    "GET /channels/{channel_id}": "aopv",
    "PATCH /channels/{channel_id}": "a",
    "GET /channels/{channel_id}/health": "aopv",
    "GET /channels/{channel_id}/queue": "aopv",
    "POST /channels/{channel_id}/test": "a",
    "GET /channels/{channel_id}/changes": "a",
    "POST /channels/{channel_id}/changes": "a",
    "POST /channels/{channel_id}/changes/{change_id}/confirm": "a",
}
CHECKS = {"GET /audit/checks", "POST /audit/checks", "GET /audit/checks/{check_id}"}
"""Of the trail of all departments: for whoever sees them all, and reads it or inspects."""

FOR_STRANGERS = {"POST /login", "GET /bulletins/{week}/public", "POST /public/check"}
"""They take no key, and look at none."""

ENTERS_CASES = {
    "POST /cases/imports",
    "GET /cases/imports",
    "GET /cases/imports/{case_import_id}",
    "GET /cases/imports/{case_import_id}/rejects",
    "POST /cases/imports/{case_import_id}/undo",
    "PUT /fraud-types",
    "PUT /goals",
    "PUT /assessment/rules",
    "PUT /suggestions/rules",
    "PUT /bulletins/settings",
    "POST /bulletins/{week}/issue",
    "POST /bulletins/{week}/correct",
}
"""For the police and the county."""

COUNTY_ONLY = (
    CHECKS
    | ENTERS_CASES
    | {
        "POST /departments/{department_id}/direct-limits",
        "POST /departments/{department_id}/direct-limits/{proposal_id}/confirm",
        "PUT /caps",
        "GET /reports/weekly/packs",
        "GET /reports/weekly/pack",
        "PUT /holidays",
        "POST /holidays/notice",
        "PUT /send-hours",
        "POST /stop-all",
        "POST /stop-all/lift",
        "PUT /uncertain/policies",
        "POST /departments",
        "PATCH /departments/{department_id}",
        "POST /departments/{department_id}/signatures",
        "POST /departments/{department_id}/signatures/{proposal_id}/confirm",
        "POST /departments/{department_id}/extensions",
        "DELETE /departments/{department_id}/extensions/{extension}",
        "PUT /templates/{template_id}/filings",
        "PUT /channels/{channel_id}/filing",
        "PUT /lint/rules",
        "POST /lint/rules/proposals/{proposal_id}/confirm",
        "PUT /departments/{department_id}/sender",
        "POST /departments/{department_id}/sender/proposals/{proposal_id}/confirm",
        "POST /channels",
        "PATCH /channels/{channel_id}",
        "POST /channels/{channel_id}/test",
        "GET /channels/{channel_id}/changes",
        "POST /channels/{channel_id}/changes",
        "POST /channels/{channel_id}/changes/{change_id}/confirm",
        "PUT /channels/codes",
        "DELETE /channels/codes",
        "POST /prefixes/imports",
        "DELETE /prefixes",
        "POST /routes/overrides/imports",
        "PUT /routes/overrides",
        "DELETE /routes/overrides",
        "POST /areas",
        "PATCH /areas/{code}",
        "POST /areas/{code}/renames/{rename_id}/confirm",
        "PUT /denominators",
    }
)
"""What an administrator of a school may not either."""


REHEARSED = {
    "POST /segments",
    "POST /templates",
    "POST /campaigns",
    "PATCH /campaigns/{campaign_id}",
    "POST /campaigns/{campaign_id}/clone",
    "POST /campaigns/{campaign_id}/milestones",
    "POST /campaigns/{campaign_id}/milestones/{milestone_id}/done",
    "POST /campaigns/{campaign_id}/submit",
    "POST /campaigns/{campaign_id}/approve",
    "POST /campaigns/{campaign_id}/return",
    "POST /campaigns/{campaign_id}/reject",
    "POST /messages",
    "POST /suppressions/lookup",
    "POST /routes/explain",
}
"""All that a trial or test key changes, look-ups with their entry among it; it reads whatever
reveals no person.
"""
ASKING = {f"{op.method} {op.path}" for op in OPS if op.changes is False}
"""What is a POST and changes nothing."""
NARROW = {
    "POST /imports",
    "PUT /rosters/{name}/members",
    "PATCH /rosters/{name}",
    "POST /messages",
    "GET /me",
}
"""All that a key with limits of area or roster does beside reading counts."""


def _filled(path: str) -> str:
    for op in OPS:
        for name, kind in op.parameters.items():
            path = path.replace(f"{{{name}}}", "7" if kind is int else NOBODY)
    return path


def test_the_table_has_every_route() -> None:
    assert set(TABLE) == {f"{op.method} {op.path}" for op in OPS}


TELLS_OF_PACKS = {"GET /account/notices", "PUT /account/notices", "POST /account/mail/code"}
"""Whoever only reads has these for packs, which are the county's."""


@pytest.mark.attack
@pytest.mark.parametrize("department", cases(["county", "school"], "school"))
async def test_each_role_may_what_the_table_says(api: Api, department: str) -> None:
    wrong = []
    for route, letters in TABLE.items():
        method, path = route.split()
        for role, letter in zip(ROLES, "aopvi", strict=True):
            answer = await api.call(method, _filled(path), (department, role), json={})
            if route in FOR_STRANGERS:
                continue  # for those who are not known yet; see test_login
            may = letter in letters and (department == "county" or route not in COUNTY_ONLY)
            if route in TELLS_OF_PACKS and department != "county":
                may = letter in "aop"
            if route == "POST /departments":  # who may is decided once the body is known
                answer = await api.post("/departments", (department, role), {"name": role})
            if route == "PATCH /departments/{department_id}":
                answer = await api.patch(_filled(path), (department, role), {"weight": 20})
            if route in {"PUT /lint/rules", "PUT /departments/{department_id}/sender"}:
                body = {"landlines": [], "reason": "x"} if "sender" in path else {"reason": "x"}
                answer = await api.call(method, _filled(path), (department, role), json=body)
            if path.startswith(("/account/phone", "/account/mail")):
                answer = await api.call(method, path, (department, role), json=BODIES[route])
            if path.endswith("/direct-limits") and method == "POST":
                answer = await api.post(_filled(path), (department, role), BODIES[route])
            if path.endswith(("/signatures", "/extensions")) and method == "POST":
                kind = path.rpartition("/")[2][:-1]
                body = {kind: "某局" if kind == "signature" else "96110"}
                answer = await api.post(_filled(path), (department, role), body)
            if (answer.status == 403) == may or answer.status in {401, 500}:
                wrong.append((route, role, answer.status))
    assert wrong == []


@pytest.mark.attack
async def test_an_auditor_reads_the_trail_and_reports_and_nothing_else(api: Api) -> None:
    token = await _token(api, Role.AUDITOR)
    rights = {Right.AUDIT, Right.REPORTS}
    own = {"GET /sessions", "GET /me", "GET /users/names", "DELETE /sessions/{session_id}"}
    own |= {"POST /audit/checks", *TELLS_OF_PACKS}
    wrong = []
    for op in OPS:
        route = f"{op.method} {op.path}"
        if route in FOR_STRANGERS:
            continue
        answer = await api.call(op.method, _filled(op.path), token, json=BODIES.get(route, {}))
        if (answer.status == 403) == (op.right in rights or route in own):
            wrong.append((route, answer.status))
    assert wrong == []
    assert {op.right for op in OPS if op.method != "GET"}.isdisjoint(rights), "it changes nothing"


@pytest.mark.attack
async def test_where_audit_is_apart_no_administrator_reads_the_trail(api: Api) -> None:
    key, auditor = api.tokens["county", "admin"], await _token(api, Role.AUDITOR)
    assert (await api.get("/audit", key)).status == 200
    object.__setattr__(api.runtime.settings, "separate_audit", True)
    refused = await api.get("/audit", key)
    assert (refused.status, "auditors" in refused.json["detail"]) == (403, True)
    assert (await api.get(f"/runs/{NOBODY}/evidence", key)).status == 403
    assert (await api.get("/audit", auditor)).status == 200
    me = await api.get("/me", key)
    assert "audit" not in me.json["may"]
    department = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        both = await make_user(
            conn, Role.ADMIN, now=api.clock.at, department_id=department, rights=[Right.AUDIT]
        )
        token = await make_token(conn, api.runtime.keyring, both, api.clock.at)
    assert (await api.get("/audit", token)).status == 403, "not by the right alone either"
    shown = (await api.get(f"/users/{both.id}", key)).json
    assert "audit" not in shown["may"]
    made = await api.post("/users", key, {"login": "a1", "name": "审计", "roles": ["auditor"]})
    assert made.status == 201, "two administrators together still make an auditor"
    assert made.json["proposed"]["roles"] == ["auditor"]
    for roles in (["auditor", "admin"], ["auditor", "viewer"]):
        body = {"login": "a2", "name": "审计", "roles": roles}
        assert (await api.post("/users", key, body)).status == 422


async def test_an_auditor_of_a_county_sees_all_and_one_of_a_school_its_own(api: Api) -> None:
    await api.post("/segments", ("school", "operator"), {"name": "甲", "rule": "性别 = 女"})
    await api.post("/segments", ("county", "operator"), {"name": "乙", "rule": "性别 = 女"})
    for whose, seen in (("county", 2), ("school", 1)):
        token = await _token(api, Role.AUDITOR, whose)
        entries = (await api.get("/audit?action=create_segment", token)).json["items"]
        assert len(entries) == seen
        names = (await api.get("/users/names?limit=500", token)).json["items"]
        people = {item["id"] for item in names}
        assert {entry["actor_id"] for entry in entries} <= people
        departments = {item["department_id"] for item in names}
        assert (len(departments) > 1) == (whose == "county")


async def _token(api: Api, role: Role, whose: str = "county") -> str:
    department = api.teams[whose].department_id
    async with transaction(api.runtime.pool) as conn:
        kind = api.teams[whose].admin.department_kind
        user = await make_user(conn, role, now=api.clock.at, kind=kind, department_id=department)
        return await make_token(conn, api.runtime.keyring, user, api.clock.at)


@pytest.mark.attack
@pytest.mark.parametrize("kind", ["trial", "test", "area", "roster"])
async def test_a_key_that_is_made_for_less_reaches_nothing_else(api: Api, kind: str) -> None:
    """An administrator of the county, who may everything, through such a key."""
    grants: dict[str, dict[str, Any]] = {
        "trial": {"mode": "trial"},
        "test": {"mode": "test"},
        "area": {"area_codes": ["341825000000"], "scopes": ["reports", "send:text"]},
        "roster": {"rosters": [NOBODY], "scopes": ["import", "reports", "send:text"]},
    }
    token = (await active_key(api, "admin", **grants[kind]))["token"]
    wrong = []
    for route in sorted(TABLE.keys() - FOR_STRANGERS):
        method, path = route.split()
        answer = await api.call(method, _filled(path), token, json={})
        if "scopes" in grants[kind]:
            may = route in NARROW or (method == "GET" and "i" in TABLE[route])
            may &= route not in {
                "GET /sessions",
                "GET /users/names",
                *CHECKS,
                *TELLS_OF_PACKS,
            } and not (kind == "area" and "import" in _right(route))
        elif method == "GET":
            noted = (
                *("/rejects", "/export", "/document", "/poster", "/coverage/people", "/pack"),
                "/jpeg",
            )
            may = "o" in TABLE[route] and not route.endswith(noted)
            may &= route not in ENTERS_CASES and _right(route) != "visit"
        else:
            may = route in REHEARSED | ASKING
        if answer.status in {401, 500} or (answer.status == 403) == may:
            wrong.append((route, answer.status))
    assert wrong == []


def _right(route: str) -> str:
    (right,) = [op.right for op in OPS if f"{op.method} {op.path}" == route]
    return right.word if right else ""


def test_the_document_says_which_keys_may_call_what() -> None:
    paths = description()["paths"]
    said = {
        f"{op.method} {op.path}": paths[PREFIX + op.path][op.method.lower()]["x-keys"] for op in OPS
    }
    changing = {route for route in said if not route.startswith("GET") and route not in ASKING}
    assert {route for route in changing if "test" in said[route]} == REHEARSED
    assert all(("test" in kinds) == ("trial" in kinds) for kinds in said.values())
    assert {route for route in changing | {"GET /me"} if "narrow" in said[route]} == NARROW
    assert {route for route, kinds in said.items() if not kinds} == {
        *FOR_STRANGERS,
        "POST /logout",
        "POST /me/password",
        "POST /me/totp",
        "POST /me/totp/confirm",
    }


PAGE_ADDRESSES = {page.path for page in (*PAGES, *OPEN_PAGES)} | {"/", STATIC + "/{hash}/{name}"}


@pytest.mark.attack
@pytest.mark.parametrize("token", [None, "ts_unknown", "tk_unknown"])
async def test_no_page_is_shown_without_a_session(api: Api, token: str | None) -> None:
    """Nor to a key in the place of a session."""
    who = api.tokens["county", "admin"] if token == "tk_unknown" else token
    headers = {"Authorization": f"Bearer {who}"} if token else {}
    for page in PAGES:
        path = "/" + re.sub(r"{\w+}", "1", _filled(page.path))
        answer = await api.client.request(
            page.method, path[1:], headers=headers, data=b"", allow_redirects=False
        )
        if page.method == "GET":
            assert answer.status == 303, page.path
            assert answer.headers["Location"].startswith("/login?next="), page.path
        else:
            assert answer.status in {400, 403, 415, 422}, page.path


@pytest.mark.attack
async def test_no_route_answers_without_a_key(api: Api) -> None:
    app = api.client.app
    assert isinstance(app, web.Application)
    asked = 0
    for resource in app.router.resources():
        if resource.canonical in OPEN | PAGE_ADDRESSES:
            continue
        for route in resource:
            for token in (None, "tk_unknown", ""):
                path = "/" + _filled(resource.canonical)
                answer = await api.call(route.method, path, token, data=b"{")
                assert answer.status == 401, (route.method, path)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                asked += 1
    known = [op for op in OPS if not op.is_open]
    assert asked == 3 * (len(known) + 2)  # and /metrics, by GET and by HEAD


BODIES: dict[str, Any] = {
    "PUT /users/{user_id}/sign-in": {"subject": "wang"},
    "PUT /account/phone": {"phone": None},
    "POST /account/phone/code": {"code": "123456"},
    "POST /account/mail/code": {"code": "123456"},
    "POST /followups/{followup_id}/other-channels": EXAMPLES["decide_other_channels"],
    "POST /followups/{followup_id}/sign-off": EXAMPLES["sign_off_followup"],
    "POST /followups/{followup_id}/cancel": EXAMPLES["cancel_followup"],
    "POST /followups/{followup_id}/visits/list": EXAMPLES["take_visit_list"],
    "POST /followups/{followup_id}/visits/document": EXAMPLES["take_visit_document"],
    "POST /visits/{visit_id}/result": EXAMPLES["write_visit_result"],
    "POST /number-corrections/{correction_id}/drop": EXAMPLES["drop_number_correction"],
    "POST /visit-rounds/{round_id}/sign-off": EXAMPLES["sign_off_round"],
    "POST /visit-rounds/{round_id}/cancel": EXAMPLES["cancel_round"],
    "POST /visit-rounds/{round_id}/visits": EXAMPLES["write_household"],
    "PATCH /groups/{group_id}": {"members": 7},
    "PUT /robots/{robot_id}/kinds": EXAMPLES["set_robot_kinds"],
    "POST /relays": EXAMPLES["start_relay"],
    "POST /relays/preview": EXAMPLES["preview_relay"],
    "POST /relays/{relay_id}/nodes/{no}/done": {"via": "page"},
    "POST /relays/{relay_id}/cancel": {"reason": "r"},
    "POST /groups/{group_id}/hand-over": EXAMPLES["hand_over_group"],
    "POST /groups/{group_id}/history/{no}/document": {"format": "html"},
    "PUT /groups/text": {"template_id": None},
    "POST /rosters/{name}/hand-over": EXAMPLES["hand_over_post"],
    "POST /rosters/{name}/posts/{post_id}/history/{no}/document": {"format": "html"},
    "POST /duties/{duty_id}/submit": EXAMPLES["submit_duty"],
    "POST /evidence/{picture_id}/mask": {"boxes": [[0, 0, 8, 8]]},
    "POST /duties/{duty_id}/return": EXAMPLES["return_duty"],
    "POST /duties/{duty_id}/accept": EXAMPLES["accept_duty"],
    "POST /duties/{duty_id}/excuse": EXAMPLES["excuse_duty"],
    "PATCH /obligations/{obligation_id}": EXAMPLES["edit_obligation"],
    "PUT /obligations/texts": {"kind": "late", "template_id": None},
    "POST /suppressions/held/{hold_id}/count": {"reason": "r"},
    "POST /suppressions/held/{hold_id}/drop": {"reason": "r"},
    "POST /suppressions/entries/{entry_id}/count": {"reason": "r"},
    "POST /suppressions/entries/{entry_id}/drop": {"reason": "r"},
    "POST /campaigns/{campaign_id}/milestones": {"name": "m", "due_on": "2027-01-31"},
    "POST /legs/{leg_id}/return": {"reason": "r"},
    "POST /list-files": {"channel_id": 7},
    "POST /list-files/{list_id}/counts": {"run_id": NOBODY, "delivered": 1, "undelivered": 0},
    "PATCH /segments/{segment_id}": {"rule": "性别 = 女"},
    "POST /templates/{template_id}/versions": {"text": "【旌德县公安局】请注意。"},
    "POST /templates/{template_id}/approve": {"version": 1},
    "POST /templates/{template_id}/versions/{version}/wordings": {"kind": "led"},
    "POST /templates/{template_id}/offers": {"version": 1, "kinds": ["town"]},
    "POST /offers/{offer_id}/take": {},
    "POST /offers/{offer_id}/withdraw": {"reason": "r"},
    "PUT /departments/{department_id}/sender": {"landlines": [], "reason": "x"},
    "PATCH /campaigns/{campaign_id}": {"name": "n"},
    "POST /runs/{run_id}/correction": {"name": "n", "template_id": NOBODY},
    "POST /webhooks/{webhook_id}/replay": {"since": "2027-01-01T00:00:00Z"},
    "POST /campaigns/{campaign_id}/return": {"reason": "r"},
    "POST /campaigns/{campaign_id}/reject": {"reason": "r"},
    "POST /departments/{department_id}/signatures": {"signature": "某局"},
    "POST /departments/{department_id}/extensions": {"extension": "96110"},
    "PATCH /departments/{department_id}": {"weight": 20},
    "POST /departments/{department_id}/direct-limits": {"limit": 1, "reason": "r"},
    "POST /channels/{channel_id}/changes": {"config": {}, "reason": "r"},
    "POST /contacts/{contact_id}/unmask": {"reason": "r"},
    "POST /runs/{run_id}/messages/{no}/unmask": {"reason": "r"},
    "POST /inbound/{inbound_id}/unmask": {"reason": "r"},
    "POST /receipts/unmatched/{receipt_id}/unmask": {"reason": "r"},
}
COUNTY_ACTS = (
    {
        "PATCH /departments/{department_id}",
        "DELETE /departments/{department_id}/extensions/{extension}",
        "POST /departments/{department_id}/direct-limits",
        "POST /departments/{department_id}/direct-limits/{proposal_id}/confirm",
    }
    | {f"POST /departments/{{department_id}}/{what}" for what in ("signatures", "extensions")}
    | {"PUT /departments/{department_id}/sender", "PUT /templates/{template_id}/filings"}
    | {"POST /departments/{department_id}/sender/proposals/{proposal_id}/confirm"}
    | {"POST /departments/{department_id}/signatures/{proposal_id}/confirm"}
    | {"POST /lint/rules/proposals/{proposal_id}/confirm"}
    | CHECKS
    | ENTERS_CASES
)
"""Refused to others whatever the department, before anything is looked up."""


async def test_a_liaison_reads_and_goes_to_people_and_nothing_else(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        county = api.teams["county"].department_id
        user = await make_user(conn, Role.LIAISON, now=api.clock.at, department_id=county)
        token = await make_token(conn, api.runtime.keyring, user, api.clock.at)
    wrong = []
    for route, letters in TABLE.items():
        if route in FOR_STRANGERS:
            continue
        method, path = route.split()
        own = BODIES[route] if path.startswith(("/account/phone", "/account/mail")) else {}
        answer = await api.call(method, _filled(path), token, json=own)
        may = "v" in letters or _right(route) in {"visit", "report"}
        if (answer.status == 403) == may or answer.status in {401, 500}:
            wrong.append((route, answer.status))
    assert wrong == []


def _said(answer: Answer, things: dict[str, str]) -> tuple[int, str, str]:
    """An answer without the ids in it."""
    detail = answer.json["detail"]
    for name, value in things.items():
        detail = detail.replace(value, name) if len(value) > 9 else detail
    return answer.status, answer.json["type"], detail


async def _ask(api: Api, op: Op, path: str) -> Answer:
    """What the school's administrator is answered."""
    if op.takes_file:
        file = only(FILES[op.name])
        return await api.call(op.method, path, ("school", "admin"), data=file)
    body = BODIES.get(f"{op.method} {op.path}")
    asked = usual_queries()[op.name]
    return await api.call(op.method, path, ("school", "admin"), json=body, params=asked)


@pytest.mark.attack
async def test_another_departments_things_do_not_exist(api: Api) -> None:
    """The answer is that to what nobody has, word for word, and nothing has changed."""
    theirs = await make_things(api, "county")
    nobodys = theirs | {name: str(uuid4()) for name, value in theirs.items() if len(value) == 36}
    nobodys["message_id"] = f"{nobodys['run_id']}.1"
    nobodys["receipt_id"] = "7777777777"
    before = await digests(api)
    wrong: list[tuple[object, ...]] = []
    for op in OPS:
        if not op.parameters or op.parameters.keys() & {"channel_id", "code", "suggestion_id"}:
            continue  # what all departments share
        if "name" in op.parameters:
            continue  # a name means a thing of one's own department, or none
        path = op.path.format(**theirs)
        answer = await _ask(api, op, path)
        if answer.status != (403 if f"{op.method} {op.path}" in COUNTY_ACTS else 404):
            wrong.append((op.method, op.path, answer.status))
        path = op.path.format(**nobodys)
        nothing = await _ask(api, op, path)
        if _said(answer, theirs) != _said(nothing, nobodys):
            wrong.append((op.method, op.path, answer.json["detail"], nothing.json["detail"]))
    assert wrong == []
    assert await digests(api) == before
    for path in ("segments", "templates", "campaigns", "suppressions", "departments", "users"):
        items = (await api.get(f"/{path}", ("school", "admin"))).json["items"]
        assert not {item["id"] for item in items} & set(theirs.values()), path


OWN = {
    "DELETE /sessions/{session_id}",
    "POST /messages/lookup",
    "POST /contacts/lookup",
    "POST /suppressions/lookup",
    "POST /routes/explain",
    "POST /routes/overrides/lookup",
    "POST /audit/checks",
    "PUT /account/notices",
    "POST /account/mail/code",
}
"""What is no GET and whoever may only read may do: end sessions of their own, ask, inspect, and
choose whether mails tell them of the county's packs.
"""

KEPT_FOR_READING = {"facts_waiting", "person_facts", "person_kinds", "said_entries"}
"""What whoever reads works out of the entries of lists and leaves for the next one."""


@pytest.mark.attack
@pytest.mark.parametrize("role", ["viewer", "inspector"])
async def test_whoever_may_only_read_changes_nothing(api: Api, role: str) -> None:
    """Each operation meets things that are there and a body that an operator could send."""
    things = await make_things(api, "county")
    await api.runtime.pool.execute("DELETE FROM deputies")  # the viewer stands in for an approver
    before, changed = await digests(api), []
    for op in OPS:
        route = f"{op.method} {op.path}"
        if op.is_open or "channel_id" in op.parameters or route in OWN:
            continue  # a channel is 7 below; whoever has no key yet has a test of their own
        path = op.path.replace("{name}", "r").replace("{code}", "3418")
        for name, value in things.items():
            path = path.replace(f"{{{name}}}", value)
        body = BODIES.get(route, {})
        answer = await api.call(op.method, _filled(path), ("county", role), json=body)
        if op.method != "GET" and op.changes is not False and answer.status != 403:
            changed.append((route, answer.status))
    assert changed == []
    after = await digests(api)
    other = {table for table, digest in after.items() if digest != before[table]}
    assert other <= {"audit_entries", "audit_unsealed"} | KEPT_FOR_READING
    noted = await api.runtime.pool.fetch("SELECT DISTINCT action FROM audit_entries")
    files = {op.name for op in OPS if op.method == "GET" and op.audited}
    assert noted
    assert {row["action"] for row in noted} <= files


@pytest.mark.attack
async def test_an_open_address_tells_of_nobody(api: Api) -> None:
    things = await make_things(api, "county")
    pool, keyring = api.runtime.pool, api.runtime.keyring
    async with transaction(pool) as conn:
        name, county = keyring.encrypt("name", "欧阳不公开"), api.teams["county"].department_id
        number = await make_contact(
            conn, keyring, county, 7_654_321, now=api.clock.at, name_cipher=name
        )
    names = await pool.fetch("SELECT name FROM users UNION SELECT login FROM users")
    places = await pool.fetch("SELECT name FROM departments UNION SELECT name FROM campaigns")
    words = {row["name"] for row in (*names, *places)} | {"欧阳不公开", number[3:]}
    words |= {value for value in things.values() if len(value) >= 36 and value != NOBODY}
    words |= {json.dumps(word)[1:-1] for word in words}
    asked = 0
    for path in sorted(OPEN - {f"{PREFIX}/login", PREFIX + CALLBACKS}):
        for method in ("GET", "HEAD", "OPTIONS"):
            filled = path.replace("{code}", "not_found").replace("{name}", "redoc.js")
            answer = await api.call(method, f"/{filled}")
            told = answer.body.decode("utf-8", "replace") + str(answer.headers)
            assert not {word for word in words if word in told}, (method, path)
            asked += answer.status == 200
    assert asked >= 6


@pytest.mark.attack
async def test_an_administrator_of_the_county_sees_everything(api: Api) -> None:
    theirs = await make_things(api, "school")
    for op in OPS:
        if (
            op.method == "GET"
            and op.parameters
            and not {"channel_id", "name", "code", "case_import_id", "week"} & {*op.parameters}
        ):
            path = op.path.format(**theirs)
            asked = usual_queries()[op.name]
            assert (await api.get(path, ("county", "admin"), params=asked)).status == 200, path
            status = (await api.get(path, ("county", "operator"), params=asked)).status
            # Of the county, but no administrator.
            assert status == (404 if "o" in TABLE[f"GET {op.path}"] else 403), path
