"""Milestones of a campaign: what is to be reached by which day, and what came late.

A day is over at midnight in China. A milestone binds nothing: it is what a plan promises.
"""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import User
from service.campaigns.plans import milestone_store
from service.campaigns.plans.planning import load
from service.clock import day_in_china
from service.errors import Conflict, NotFound
from service.storage.postgres import Connection
from service.words.phrase import phrase


class Milestone(NamedTuple):
    """What is to be reached by a day; done when somebody says so."""

    id: UUID
    campaign_id: UUID
    name: str
    due_on: date
    created_by: UUID
    created_at: datetime
    done_by: UUID | None
    done_at: datetime | None
    note: str

    def is_late(self, now: datetime) -> bool:
        """Whether it was, or still is, not done when its day was over."""
        return day_in_china(self.done_at or now) > self.due_on


async def list_milestones(conn: Connection, actor: User, campaign_id: UUID) -> list[Milestone]:
    """A campaign's milestones, by day.

    Raises:
        NotFound: there is no such campaign in the actor's scope.
    """
    await load(conn, campaign_id, actor.scope)
    return [Milestone(*row) for row in await milestone_store.list_rows(conn, campaign_id)]


async def add(
    conn: Connection, actor: User, campaign_id: UUID, name: str, due_on: date, now: datetime
) -> Milestone:
    """Add a milestone; raises as `list_milestones`."""
    await load(conn, campaign_id, actor.scope)
    row = await milestone_store.insert_row(conn, campaign_id, name, due_on, actor.id, now)
    return Milestone(*row)


async def finish(
    conn: Connection, actor: User, campaign_id: UUID, milestone_id: UUID, note: str, now: datetime
) -> Milestone:
    """Say that a milestone is reached.

    Raises:
        NotFound: there is no such campaign in the actor's scope, or no such milestone in it.
        Conflict: it is reached already.
    """
    known = {m.id: m for m in await list_milestones(conn, actor, campaign_id)}
    if milestone_id not in known:
        raise NotFound(phrase("there is no milestone {milestone_id}", milestone_id=milestone_id))
    row = await milestone_store.finish_row(conn, milestone_id, actor.id, note, now)
    if row is None:
        raise Conflict(phrase("it is reached already"))
    return Milestone(*row)
