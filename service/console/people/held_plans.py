"""Plans that wait for a second person, because a list has put other people in the place of those
who were signed for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import work
from service.api.campaigns import campaigns
from service.console.asking import Desk
from service.errors import NotFound

KIND = "holds"
CODES = frozenset({"exchanged", "drifted"})
"""Why a fire is held whose people are others, or more or fewer, than at the signature."""
MOST = 5


@dataclass(frozen=True, slots=True)
class HeldPlan:
    """A plan with a fire that is held for its people. said: how many of how many are others.

    why: the reader may not let it go, for this reason; "": they may.
    """

    campaign_id: UUID
    name: str
    planned_at: datetime | None
    said: str
    why: str


async def held_since(
    desk: Desk, department_id: UUID, changed_at: datetime | None
) -> Sequence[HeldPlan]:
    """The plans of a department of which a fire was held for its people after a list was changed.

    changed_at: when the list was put in; None: it was not, and so has held nothing.
    """
    if changed_at is None or not desk.may(Right.REPORTS):
        return []
    found = await desk.get(work.get_work)
    waiting = [
        item
        for kind in found.items
        if kind.kind == KIND
        for item in kind.items
        if item.code in CODES and item.department_id == department_id
        if item.since is not None and item.since >= changed_at
    ]
    plans = []
    for item in waiting[:MOST]:
        try:
            plan = await desk.get(campaigns.get_campaign, campaign_id=UUID(item.id))
        except NotFound:  # of a department whose counts alone are seen
            continue
        refused = next(act.plain for act in plan.acts if act.act == "release")
        why = desk.language.plain(refused) if refused is not None else ""
        said = desk.language.plain(item.plain)
        plans.append(HeldPlan(plan.id, plan.name, item.planned_at, said, why))
    return plans
