"""What waits for the caller: kinds of work, each with a count, the oldest, and what it is."""

from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out, PlainOut
from service.reports.interruption_store import Interruption
from service.reports.interruptions import Others, explain_interruption, why
from service.reports.work_store import KINDS, WaitingWork, WorkItem, what_waits

MOST_ITEMS = 100
"""How many things of a kind are shown."""


class WorkItemOut(Out):
    """One thing that waits."""

    id: str = Field(
        description="Of the campaign, run, channel, stop, hold, import, roster, user, key,"
        " department, deputy, area, text or leg; of texts from handsets their kind; `rules`: those"
        " of lint. Of what happens to a leg's campaign, the plan's department"
        " has the id of the plan."
    )
    name: str
    department_id: UUID | None = Field(description="Null: it concerns all.")
    department: str | None = Field(description="Its name.")
    planned_at: Instant | None = Field(
        description="Of a fire; of a list, when it ends; of a duty, until when it is owed."
    )
    since: Instant | None = Field(description="Null: nobody knows.")
    code: str = Field(description="Why, as one word.")
    texts: int | None = Field(
        description="For so many texts, receipts, rows or posts it stands; of a text without a"
        " filing, on so many channels. Null: for itself."
    )
    ready: int | None = Field(
        description="Of so many of these something can be decided now, or nobody has taken them."
    )
    others: int | None = Field(description="Of a fire that is `exchanged`; see `people`.")
    people: int | None = Field(
        description="So many people it has, of whom `others` were not in the approved target."
    )
    proposal_id: UUID | None = Field(description="What a second person confirms.")
    reason: str | None = Field(
        description="What an approver said when they returned it, or a department its leg."
    )
    plain: PlainOut


class WorkKindOut(Out):
    """What waits of one kind."""

    kind: str
    plain: PlainOut
    count: int = Field(
        description="Of `uncertain`, `inbound` and `receipts` all texts, else the items."
    )
    ready: int | None = Field(
        description="Of so many of these something can be decided now, or nobody has taken them;"
        " null: of all."
    )
    oldest: Instant | None = Field(description="Since when the first of them waits.")
    items: list[WorkItemOut] = Field(description=f"The oldest first, at most {MOST_ITEMS}.")


class WorkOut(Out):
    """What waits for you, by kind, the most urgent kind first; more kinds may be added."""

    items: list[WorkKindOut]


class InterruptionOut(Out):
    """Something that stopped sending, or let it go on."""

    at: Instant
    kind: str = Field(description="As the event of a webhook is called.")
    code: str
    by_person: bool
    campaign_id: UUID | None
    campaign: str | None
    planned_at: Instant | None = Field(description="Of a fire.")
    channel_id: int | None
    channel: str | None
    others: int | None = Field(description="Of a fire that is `exchanged`; see `people`.")
    people: int | None = Field(
        description="So many people it has, of whom `others` were not in the approved target."
    )
    template_id: UUID | None = Field(description="The copy of a text, of a `text.…`.")
    offer_id: UUID | None = Field(description="What has changed for it.")
    plain: PlainOut


async def get_work(call: Call) -> WorkOut:
    """Say what waits for a person, of what you see: stops, channels, holds, missed fires."""
    found = [
        await what_waits(call.conn, kind, call.user.scope, call.now, MOST_ITEMS, call.user)
        for kind in KINDS
        if call.user.may(kind.right)
    ]
    return WorkOut(items=[_kind_out(waiting) for waiting in found])


def _kind_out(waiting: WaitingWork) -> WorkKindOut:
    return WorkKindOut(
        kind=waiting.kind.name,
        plain=PlainOut.model_validate(waiting.kind.words),
        count=waiting.total,
        ready=waiting.ready,
        oldest=waiting.oldest,
        items=[item_out(item) for item in waiting.items],
    )


def item_out(item: WorkItem) -> WorkItemOut:
    """One thing that waits, with its reason in words."""
    plain = why(item.code, Others(item.others, item.people))
    return WorkItemOut.model_validate({**item._asdict(), "plain": plain})


def interruption_out(found: Interruption) -> InterruptionOut:
    """An interruption, in words."""
    plain = explain_interruption(found.kind, found.code, Others(found.others, found.people))
    return InterruptionOut.model_validate({**found._asdict(), "plain": plain})
