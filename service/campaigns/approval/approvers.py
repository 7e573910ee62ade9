"""Who could approve a campaign that was submitted, or take a leg that is asked for: those whom the
second-person rule lets.
"""

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.deputies_store import absent_of
from service.accounts.people.model import Right, User
from service.accounts.people.store import list_users
from service.campaigns.approval.approval import check_second_person
from service.campaigns.approval.legs import check_take
from service.campaigns.core.legs import Leg
from service.campaigns.core.model import Campaign, State
from service.errors import Conflict, Forbidden
from service.storage.postgres import Connection

MOST = 200
"""So many users of a department are looked at."""


class Approver(NamedTuple):
    """Somebody who could approve. stands_in_for: the absent approver in whose seat."""

    id: UUID
    name: str
    stands_in_for: UUID | None


async def list_approvers(conn: Connection, campaign: Campaign, now: datetime) -> list[Approver]:
    """The users of a campaign's department who could approve it now, by name; none if it does not
    wait for it.
    """
    if campaign.state is not State.PENDING_APPROVAL:
        return []
    found = []
    for user in await list_users(conn, campaign.department_id, None, MOST):
        seated = user if user.may(Right.APPROVE) else await _seated(conn, user, now)
        if user.disabled_at is not None or seated is None:
            continue
        try:
            await check_second_person(conn, seated, campaign, now)
        except Forbidden:
            continue
        found.append(Approver(user.id, user.name, seated.deputy_for))
    return sorted(found, key=lambda approver: approver.name)


async def list_takers(conn: Connection, plan: Campaign, leg: Leg, now: datetime) -> list[UUID]:
    """The users of a leg's department who could take it now; none if it does not wait for that."""
    found = []
    for user in await list_users(conn, leg.department_id, None, MOST):
        if user.disabled_at is not None or not user.may(Right.CONTROL):
            continue
        try:
            await check_take(conn, user, plan, leg, now)
        except (Forbidden, Conflict):
            continue
        found.append(user.id)
    return found


async def _seated(conn: Connection, user: User, now: datetime) -> User | None:
    """The user in the seat of the absent approver for whom they stand in; None: they do not."""
    absent = await absent_of(conn, user.id, now)
    return None if absent is None else replace(user, deputy_for=absent)
