"""Figures on cases in texts: taken from what a bulletin has released; nobody types them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from service.api.campaigns.safety_forms import MoreTextBody
from service.api.http.call import Call
from service.campaigns.core.model import Campaign, Plan
from service.campaigns.core.texts import MoreText
from service.cases import bulletin_store, store
from service.cases.releases import text_values
from service.cases.week import need_week
from service.errors import Conflict, Invalid, NotFound
from service.messages.plan_values import OF_A_PART, TYPED_FIGURE, in_text, of_a_part, plan_values
from service.messages.store import template_get
from service.messages.template import planned
from service.messages.value_sources import POLICE_VARIABLES
from service.words.phrase import listing, phrase

FIELD = "figures_from"
TYPED = "figure_typed"


async def with_figures(
    call: Call, template_id: UUID, typed: Mapping[str, str], week: str | None, place: str = ""
) -> dict[str, str]:
    """The values of a plan with those that its text takes from the bulletin of a week.

    place: of the text in the plan, before the names of its fields.

    Raises:
        Invalid: code `figure_typed`: a figure is typed; there is no such bulletin; or code
            `figure_hidden`: one of them may not be public in that week, so that the text is not
            for it.
    """
    both = sorted(POLICE_VARIABLES & typed.keys())
    if both:
        fields = {f"{place}values.{name}": TYPED_FIGURE for name in both}
        raise Invalid(TYPED_FIGURE, fields=fields, code=TYPED)
    if week is None:
        return dict(typed)
    known = await _released(call, week, f"{place}{FIELD}")
    try:
        text = (await template_get(call.conn, template_id, call.user.scope)).text
    except NotFound:  # the plan is refused for it
        return dict(typed)
    if of_a_part(text):
        raise Invalid.at(f"{place}{FIELD}", OF_A_PART, code="figure_hidden")
    wanted = [name for name in planned(text) if name in POLICE_VARIABLES]
    hidden = [name for name in wanted if name not in known]
    if hidden:
        raise Invalid.at(
            f"{place}{FIELD}",
            phrase(
                "{names} of {week} may not be public: take a text without",
                names=listing(hidden),
                week=week,
            ),
            code="figure_hidden",
        )
    return {**typed, **{name: in_text(text, name, known[name]) for name in wanted}}


async def more_texts(call: Call, bodies: Sequence[MoreTextBody]) -> tuple[MoreText, ...]:
    """The texts of a plan after the first, with their figures.

    Raises:
        Invalid: as `with_figures`.
    """
    found = []
    for number, body in enumerate(bodies):
        place = f"more_texts.{number}."
        values = await with_figures(call, body.template_id, body.values, body.figures_from, place)
        found.append(
            MoreText(body.template_id, body.after_days, plan_values(values), body.figures_from)
        )
    return tuple(found)


async def first_text(
    call: Call,
    before: Plan,
    template_id: UUID | None,
    typed: Mapping[str, str] | None,
    week: str | None,
) -> Plan:
    """A plan whose first text is another one, or is filled otherwise. typed: None: as before.

    Raises:
        Invalid: as `with_figures`.
    """
    chosen = template_id or before.template_id
    kept = {name: value for name, value in before.values if name not in POLICE_VARIABLES}
    values = await with_figures(call, chosen, kept if typed is None else typed, week)
    return replace(before, template_id=chosen, values=plan_values(values), figures_from=week)


async def check_figures(call: Call, campaign: Campaign) -> None:
    """Refuse a campaign whose texts say other figures than the bulletins that they are from.

    Raises:
        Conflict: code `figures_changed`: a bulletin was corrected since.
    """
    plan = campaign.plan
    texts: list[Plan | MoreText] = [plan, *plan.more_texts]
    for text in texts:
        if text.figures_from is None:
            continue
        typed = {name: value for name, value in text.values if name not in POLICE_VARIABLES}
        now = await with_figures(call, text.template_id, typed, text.figures_from)
        if plan_values(now) != text.values:
            raise Conflict(
                phrase(
                    "the bulletin of {week} says other figures now: choose its week once more, so"
                    " that the text has them",
                    week=text.figures_from,
                ),
                code="figures_changed",
            )


async def _released(call: Call, week: str, field: str) -> dict[str, str]:
    """What fills the variables of texts, from the last release of a week."""
    which = need_week(week, field)
    versions = await bulletin_store.versions_of(call.conn, str(which))
    if not versions:
        raise Invalid.at(field, phrase("there is no bulletin of {week}", week=week))
    types = await store.read_fraud_types(call.conn)
    release = versions[-1].release
    kinds = [kind.in_texts for kind in types.named(release["kinds"])]
    return text_values(which, release, kinds)
