"""Milestones of a campaign."""

from datetime import date
from uuid import UUID

from service.api.http.call import Call
from service.api.http.schema import Body, Day, Instant, Line, OptionalLine, Out
from service.campaigns.plans import milestones
from service.campaigns.plans.milestones import Milestone


class MilestoneBody(Body):
    """What is to be reached, and by which day."""

    name: Line
    due_on: Day


class DoneBody(Body):
    """What is to be said of it."""

    note: OptionalLine = ""


class MilestoneOut(Out):
    """What is to be reached by a day. late: it was not, or still is not, done when it was over."""

    id: UUID
    campaign_id: UUID
    name: str
    due_on: date
    late: bool
    created_by: UUID
    created_at: Instant
    done_by: UUID | None
    done_at: Instant | None
    note: str


class MilestonesOut(Out):
    """All milestones of a campaign, by day."""

    items: list[MilestoneOut]


async def list_milestones(call: Call, campaign_id: UUID) -> MilestonesOut:
    """List what a campaign is to reach by which day, and what is late."""
    found = await milestones.list_milestones(call.conn, call.user, campaign_id)
    return MilestonesOut(items=[_out(call, milestone) for milestone in found])


async def add_milestone(call: Call, campaign_id: UUID, body: MilestoneBody) -> MilestoneOut:
    """Add a milestone."""
    made = await milestones.add(call.conn, call.user, campaign_id, body.name, body.due_on, call.now)
    return _out(call, made)


async def finish_milestone(
    call: Call, campaign_id: UUID, milestone_id: UUID, body: DoneBody
) -> MilestoneOut:
    """Say that a milestone is reached."""
    done = await milestones.finish(
        call.conn, call.user, campaign_id, milestone_id, body.note, call.now
    )
    return _out(call, done)


def _out(call: Call, milestone: Milestone) -> MilestoneOut:
    return MilestoneOut(**milestone._asdict(), late=milestone.is_late(call.now))
