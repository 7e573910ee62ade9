"""Which channels a plan may use: those that its department may, for its people, of its choice.

The ledger, the preview, the estimate and the calendar all ask here, so that they never differ.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import DepartmentPermits, SignatureLent
from service.accounts.departments.department_store import check_signature, get_permits
from service.audience.contacts.contact_store import subscriber_base
from service.channels.routing.route import RoutableChannel, Route, routes
from service.ledger.reasons import Reason
from service.messages.signature import head
from service.storage.postgres import Connection


class SendingDepartment(NamedTuple):
    """A department as far as routing needs it. base: the carrier whose subscriber base its people
    are; None: they are on lists like any other. author_id: whose words it sends: its own, or those
    of the department whose joint plan it has taken a leg of.
    """

    permits: DepartmentPermits
    base: str | None
    author_id: UUID


class AvailableRoutes(NamedTuple):
    """channels: those that a run may use, also where a text is routed again; None: all.

    routes: the channel for each carrier's numbers.
    """

    channels: list[int] | None
    routes: list[Route]


async def sender_of(
    conn: Connection, department_id: UUID, plan_of: UUID | None = None
) -> SendingDepartment:
    """What a department may use now, and whose subscribers its people are.

    plan_of: the department of the joint plan whose leg is sent; what classes it may send is asked
    of that one, and which channels, of its own.
    """
    permits = await get_permits(conn, department_id)
    if plan_of is not None:
        permits = replace(permits, classes=(await get_permits(conn, plan_of)).classes)
    base = await subscriber_base(conn, department_id)
    return SendingDepartment(permits, base, plan_of or department_id)


def available_routes(
    sender: SendingDepartment,
    channels: Collection[RoutableChannel],
    chosen: Sequence[int] | None,
    *,
    drill: bool = False,
) -> AvailableRoutes:
    """The routes of a plan of this sender that chose these channels; None: it left the choice open.

    drill: nobody's numbers leave, so it matters not whose the people are.
    """
    allowed = sender.permits.channels_of(chosen)
    if drill:
        return AvailableRoutes(allowed, drill_routes(channels, allowed))
    found = routes(channels, allowed, base=sender.base)
    if sender.base is not None:
        own = [channel.id for channel in channels if channel.operator == sender.base]
        allowed = [id_ for id_ in own if allowed is None or id_ in allowed]
    return AvailableRoutes(allowed, found)


def drill_routes(channels: Iterable[RoutableChannel], chosen: list[int] | None) -> list[Route]:
    """The simulated channel for each carrier's numbers, whether they are anybody's or not."""
    simulated = routes([channel for channel in channels if channel.simulated], chosen)
    return [
        replace(route, simulated=synthetic) for route in simulated for synthetic in (False, True)
    ]


async def barred(
    conn: Connection, sender: SendingDepartment, message_class: str, text: str
) -> Reason | None:
    """Why a department may send this text to nobody any more; None: it may."""
    if message_class not in sender.permits.classes:
        return Reason.CLASS_NOT_ALLOWED
    try:
        await check_signature(conn, sender.author_id, head(text))
    except SignatureLent:
        return Reason.SIGNATURE_OF_ANOTHER
    return None
