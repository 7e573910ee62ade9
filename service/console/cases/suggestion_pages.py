"""Suggestions on pages: what a week suggests, one with its reasons, a draft made of it, and whom
each kind of fraud is aimed at.
"""

from service.accounts.people.model import Right
from service.api.cases import cases, suggestion_rules, suggestions
from service.api.cases.suggestion_rules import SuggestedAudiencesBody, SuggestionRulesBody
from service.api.cases.suggestions import (
    SuggestionDismissalBody,
    SuggestionDraftBody,
    SuggestionsOut,
    SuggestionsQuery,
)
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Gone, Shown
from service.errors import NotFound
from service.words.phrase import phrase

SUGGESTIONS = "/reports/suggestions"
AUDIENCES_PAGE = f"{SUGGESTIONS}/audiences"

STATES = {
    "open": ("warn", phrase("to be decided")),
    "drafted": ("done", phrase("a draft was made")),
    "dismissed": ("idle", phrase("dismissed")),
    "withdrawn": ("idle", phrase("figures corrected")),
    "expired": ("idle", phrase("not open any more")),
}


async def show_suggestions(desk: Desk) -> Shown:
    """What a week suggests."""
    found = await _listed(desk, desk.request.query.get("week") or None)
    return Shown("cases/suggestions.html", {
        "found": found,
        "states": STATES,
        "enters": desk.may(Right.CASES),
        "audits": desk.may(Right.AUDIT),
        "reads": desk.may(Right.READ),
    })  # fmt: skip


async def show_suggestion(desk: Desk) -> Shown:
    """One suggestion: its reasons, whom it is for, and what to make of it."""
    found = await _listed(desk, desk.path("week"))
    wanted = desk.uuid("suggestion_id")
    one = next((one for one in found.items if one.id == wanted), None)
    if one is None:
        raise NotFound(phrase("there is no suggestion of this id"))
    return Shown("cases/suggestion.html", {
        "found": found,
        "one": one,
        "states": STATES,
        "may": desk.may(Right.PLAN) and desk.may(Right.WRITE),
    })  # fmt: skip


async def draft(desk: Desk) -> Gone:
    """Make a campaign's draft of it."""
    made = await desk.act(
        suggestions.draft_suggestion,
        suggestion_id=desk.uuid("suggestion_id"),
        body=body_of(SuggestionDraftBody, desk.form),
    )
    return Gone(
        f"/plans/{made.id}",
        phrase("The draft is made. Nothing is sent before it is submitted and approved."),
    )


async def dismiss(desk: Desk) -> Gone:
    """Make nothing of it."""
    await desk.act(
        suggestions.dismiss_suggestion,
        suggestion_id=desk.uuid("suggestion_id"),
        body=body_of(SuggestionDismissalBody, desk.form),
    )
    return Gone(f"{SUGGESTIONS}?week={desk.path('week')}", phrase("The suggestion is dismissed."))


async def show_audiences(desk: Desk) -> Shown:
    """Whom each kind of fraud is aimed at, and a form to change one kind."""
    return Shown("cases/suggested_audiences.html", {
        "rules": await desk.get(suggestion_rules.get_suggestion_rules),
        "kinds": (await desk.get(cases.get_fraud_types)).items,
        "sets": desk.may(Right.CASES),
    })  # fmt: skip


async def set_audiences(desk: Desk) -> Gone:
    """Set the audiences of one kind; the others stay."""
    new = body_of(SuggestedAudiencesBody, desk.form, but=("reason",))
    async with desk.reading():
        known = (await desk.get(suggestion_rules.get_suggestion_rules)).items
    items = [
        new
        if item.fraud_type == new.fraud_type
        else SuggestedAudiencesBody.model_validate(item.model_dump())
        for item in known
    ]
    body = body_of(
        SuggestionRulesBody, desk.form, but=("fraud_type", "audiences"), given={"items": items}
    )
    await desk.act(suggestion_rules.set_suggestion_rules, body=body)
    return Gone(AUDIENCES_PAGE, phrase("It is set; suggestions that are made already keep theirs."))


async def _listed(desk: Desk, week: str | None) -> SuggestionsOut:
    query = made_of(SuggestionsQuery, {"week": week})
    return await desk.get(suggestions.list_suggestions, query=query)
