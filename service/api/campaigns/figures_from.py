"""Figures on cases in texts: taken from what a bulletin has released, and not typed."""

from collections.abc import Mapping
from uuid import UUID

from service.api.http.call import Call
from service.cases import bulletin_store, store
from service.cases.releases import text_values
from service.cases.week import need_week
from service.errors import Invalid
from service.messages.plan_values import in_text
from service.messages.store import template_get
from service.messages.template import planned
from service.messages.value_sources import POLICE_VARIABLES
from service.words.phrase import listing, phrase

FIELD = "figures_from"


async def with_figures(
    call: Call, template_id: UUID, typed: Mapping[str, str], week: str | None
) -> dict[str, str]:
    """The values of a plan with those that its text takes from the bulletin of a week.

    Raises:
        Invalid: figures are typed as well, there is no such bulletin, or one of them may not be
            public in that week, so that the text is not for it.
    """
    if week is None:
        return dict(typed)
    both = sorted(POLICE_VARIABLES & typed.keys())
    if both:
        raise Invalid.at(f"values.{both[0]}", phrase("the bulletin gives it; leave it out"))
    versions = await bulletin_store.versions_of(call.conn, str(need_week(week, FIELD)))
    if not versions:
        raise Invalid.at(FIELD, phrase("there is no bulletin of {week}", week=week))
    types = await store.read_fraud_types(call.conn)
    release = versions[-1].release
    kinds = [kind.in_texts for kind in types.named(release["kinds"])]
    known = text_values(need_week(week, FIELD), release, kinds)
    text = (await template_get(call.conn, template_id, call.user.scope)).text
    wanted = [name for name in planned(text) if name in POLICE_VARIABLES]
    hidden = [name for name in wanted if name not in known]
    if hidden:
        raise Invalid.at(
            FIELD,
            phrase(
                "{names} of {week} may not be public: take a text without",
                names=listing(hidden),
                week=week,
            ),
            code="figure_hidden",
        )
    return {**typed, **{name: in_text(text, name, known[name]) for name in wanted}}
