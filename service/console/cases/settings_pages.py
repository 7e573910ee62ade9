"""What the office sets of case figures: who sees villages and towns, goals, names of kinds."""

from service.api.cases import bulletins, cases, goals
from service.api.cases.bulletins import CaseSettingsBody
from service.api.cases.cases import FraudTypeBody, FraudTypesBody
from service.api.cases.goals import GoalBody, GoalsBody, GoalsQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Gone, Shown
from service.words.phrase import phrase

SETTINGS = "/reports/cases/settings"


async def show_settings(desk: Desk) -> Shown:
    """The settings, the goals and the kinds of fraud, each with its form."""
    return Shown("cases/settings.html", {
        "settings": await desk.get(bulletins.get_case_settings),
        "goals": (await desk.get(goals.get_goals, query=GoalsQuery())).items,
        "kinds": (await desk.get(cases.get_fraud_types)).items,
    })  # fmt: skip


async def set_settings(desk: Desk) -> Gone:
    """Set who sees villages, and how often towns are public."""
    await desk.act(bulletins.set_case_settings, body=body_of(CaseSettingsBody, desk.form))
    return Gone(SETTINGS, phrase("It is set; towns follow from the next quarter on."))


async def set_goal(desk: Desk) -> Gone:
    """Set one goal; the others stay."""
    new = body_of(GoalBody, desk.form, but=("reason",))
    async with desk.reading():
        known = (await desk.get(goals.get_goals, query=GoalsQuery())).items
    kept = [
        GoalBody.model_validate({name: getattr(goal, name) for name in GoalBody.model_fields})
        for goal in known
        if goal.key != new.key
    ]
    body = made_of(GoalsBody, {"items": [*kept, new], "reason": desk.typed("reason") or "-"})
    await desk.act(goals.set_goals, body=body)
    return Gone("/reports/goals", phrase("The goal is set."))


async def rename_kind(desk: Desk) -> Gone:
    """Call a kind of fraud otherwise."""
    key, name = desk.typed("key"), desk.typed("name")
    async with desk.reading():
        known = (await desk.get(cases.get_fraud_types)).items
    items = [
        made_of(
            FraudTypeBody, {**kind.model_dump(), "name": name if kind.key == key else kind.name}
        )
        for kind in known
    ]
    await desk.act(cases.set_fraud_types, body=FraudTypesBody(items=items))
    return Gone(SETTINGS, phrase("The kind of fraud has its new name."))
