"""The score sheet on pages: points that lead to their rows, its rules, and cases of own staff."""

from collections.abc import Mapping
from uuid import UUID

from service.accounts.people.model import Right
from service.api.http.downloads import MadeFile
from service.api.reports import assessment, assessment_document, assessment_rules
from service.api.reports.assessment import ScoredItemOut
from service.api.reports.assessment_document import (
    ITEMS,
    SCORE_GAPS,
    AssessmentDocumentQuery,
)
from service.api.reports.assessment_rules import (
    AssessmentQuery,
    OwnStaffBody,
    OwnStaffQuery,
    ScoreRulesBody,
)
from service.api.reports.effect_document import STANDS
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.console.reports.effect import TONES
from service.words.phrase import phrase

SHEET = "/reports/assessment"
OWN_STAFF = f"{SHEET}/own-staff"
RULES = f"{SHEET}/rules"
PAGES = {
    "/duties": "/duties/all",
    "/visit-rounds": "/rounds",
    "/cases": "/reports/cases",
    "/assessment/own-staff": OWN_STAFF,
}
"""The pages of addresses of the API; others have the same address."""


async def show_assessment(desk: Desk) -> Shown:
    """A quarter: units by rank, with what each number is counted from."""
    query = body_of(AssessmentQuery, desk.request.query)
    found = await desk.get(assessment.get_assessment, query=query)
    say = desk.language.say
    return Shown("reports/assessment.html", {
        "sheet": found,
        "item_names": {item.value: say(word) for item, word in ITEMS.items()},
        "gaps": {gap.value: say(word) for gap, word in SCORE_GAPS.items()},
        "page_of": _page_of,
        "stands": {name: (TONES[name], say(word)) for name, word in STANDS.items()},
        "may_state": desk.may(Right.REPORT),
    })  # fmt: skip


def _page_of(item: ScoredItemOut) -> str:
    """The page with the rows of an item; "": it has none."""
    path, asked, query = (item.rows or "").partition("?")
    return PAGES.get(path, path) + asked + query


async def take_file(desk: Desk) -> MadeFile:
    """The score sheet as a document."""
    query = body_of(AssessmentDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(assessment_document.get_assessment_document, query=query)


async def show_own_staff(desk: Desk) -> Shown:
    """What was said of a quarter, and a form to say it."""
    query = body_of(OwnStaffQuery, desk.request.query)
    sheet = await desk.get(assessment.get_assessment, query=AssessmentQuery(period=query.period))
    found = await desk.get(
        assessment_rules.list_own_staff_cases,
        query=query.model_copy(update={"period": sheet.period}),
    )
    names: Mapping[UUID, str] = {one.department_id: one.department for one in sheet.units}
    own = {desk.user.department_id: names.get(desk.user.department_id, "")}
    units = names if desk.user.department_kind == "county" else own
    return Shown("reports/own_staff.html", {
        "period": sheet.period,
        "periods": [(name, name) for name in sheet.periods],
        "items": found.items,
        "units": [(str(unit), name) for unit, name in units.items() if name],
        "unit": str(query.department or ""),
        "may_state": desk.may(Right.REPORT),
    })  # fmt: skip


async def state_own_staff(desk: Desk) -> Gone:
    """Say how many cases of a quarter had a victim among a unit's own staff."""
    body = body_of(OwnStaffBody, desk.form)
    await desk.act(assessment_rules.state_own_staff_cases, body=body)
    return Gone(f"{OWN_STAFF}?period={body.period}", phrase("Written down."))


async def show_rules(desk: Desk) -> Shown:
    """The rules of this quarter, all versions, and a form for the quarters to come."""
    found = await desk.get(assessment_rules.get_assessment_rules)
    return Shown("reports/assessment_rules.html", {
        "rules": found,
        "last": found.items[0],
        "item_names": {item.value: desk.language.say(word) for item, word in ITEMS.items()},
        "may_set": desk.may(Right.CASES),
    })  # fmt: skip


async def set_rules(desk: Desk) -> Gone:
    """Set the rules for the quarters that begin from now on."""
    await desk.act(assessment_rules.set_assessment_rules, body=body_of(ScoreRulesBody, desk.form))
    return Gone(RULES, phrase("The rules are set, from the next quarter on."))
