"""Robots of work groups over HTTP: set up, tried, taken away. Their addresses are secrets."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts.people.model import Right
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Line, Out
from service.delivery.notices import robot_posts
from service.delivery.notices import robot_store as store
from service.delivery.notices.notice_choice import NoticeKind
from service.delivery.notices.robot import RobotKind, RobotNotice, masked_address
from service.delivery.notices.robot_posts import ADDRESS, MOST_ROBOTS, NewRobot
from service.queue import Job
from service.storage.postgres import Record

RobotKinds = Annotated[list[RobotNotice], Field(min_length=1, max_length=10)]


class RobotBody(Body):
    """A robot of a work group, as the group shows it."""

    kind: RobotKind
    name: Annotated[Line, StringConstraints(max_length=60)] = Field(
        description="What the group is called here."
    )
    address: Annotated[Line, StringConstraints(max_length=1_000)] = Field(
        description="Its webhook address, over HTTPS. Its key is in it, so it is shown to nobody."
    )
    secret: Annotated[Line, StringConstraints(max_length=200)] | None = Field(
        default=None, description="DingTalk with signatures (加签): what begins with SEC."
    )
    language: Literal["zh", "en"] = "zh"
    kinds: RobotKinds = Field(
        default=[RobotNotice(kind) for kind in NoticeKind],
        description=(
            "Of what the group is told: as in /account/notices, and of units: `reminder` of duties,"
            " `late` of steps of late ones, `late_list` of who is late with what your department"
            " asks for, `relay` of relays that begin."
        ),
    )


class RobotKindsBody(Body):
    """Of what the group is told from now on."""

    kinds: RobotKinds = Field(description="All of them, as in POST /robots.")


class RobotOut(Out):
    """A robot of a work group."""

    BY_THE_CLOCK = frozenset({"last_state", "last_at", "last_error", "rest_until"})

    id: UUID
    kind: RobotKind
    name: str
    address: str = Field(description="Its host, and the last four signs of its key.")
    is_signed: bool
    language: Literal["zh", "en"]
    kinds: list[RobotNotice]
    made_by: UUID
    made_at: Instant
    rest_until: Instant | None = Field(
        description="It had too many messages, and gets none until then."
    )
    last_state: Literal["waiting", "leaving", "sent", "uncertain", "given_up"] | None = Field(
        description="What became of the last message to it; null: there was none."
    )
    last_at: Instant | None
    last_error: str | None = Field(description="Why it was not taken, with the robot's own code.")


class RobotsOut(Out):
    """The robots of your department."""

    items: list[RobotOut]
    may_set: bool


async def list_robots(call: Call) -> RobotsOut:
    """List the robots of your department's work groups, and what became of the last message."""
    rows = await store.list_robots(call.conn, call.user.department_id, MOST_ROBOTS)
    items = [_shown(call, row) for row in rows]
    return RobotsOut(items=items, may_set=call.user.may(Right.WEBHOOKS))


async def add_robot(call: Call, body: RobotBody) -> RobotOut:
    """Tell a work group of what waits: set up its robot.

    A group is no person: what it is told counts as nobody reached, and is in no ledger.
    """
    new = NewRobot(**{name: getattr(body, name) for name in NewRobot._fields})
    robot_id = await robot_posts.add_robot(
        call.conn, call.runtime.keyring, call.user, new, call.now
    )
    call.note("robots", robot_id, kind=body.kind)
    return _shown(call, await robot_posts.need_robot(call.conn, call.user, robot_id))


async def set_robot_kinds(call: Call, robot_id: UUID, body: RobotKindsBody) -> RobotOut:
    """Tell a group of other kinds of things from now on.

    What waits to be posted of a kind that went is not posted.
    """
    before = await robot_posts.set_kinds(call.conn, call.user, robot_id, body.kinds)
    call.note(before=sorted(before), kinds=sorted(set(body.kinds)))
    return _shown(call, await robot_posts.need_robot(call.conn, call.user, robot_id))


async def test_robot(call: Call, robot_id: UUID) -> RobotOut:
    """Post a test message to a group; what became of it is in the list a moment later."""
    await robot_posts.test_robot(call.conn, call.user, robot_id, call.now)
    call.after_commit(Job.POST_TO_ROBOTS)
    return _shown(call, await robot_posts.need_robot(call.conn, call.user, robot_id))


async def delete_robot(call: Call, robot_id: UUID) -> None:
    """Tell a group nothing more, and forget its address."""
    await robot_posts.end_robot(call.conn, call.user, robot_id, call.now)


def _shown(call: Call, row: Record) -> RobotOut:
    address = call.runtime.keyring.decrypt(ADDRESS, row["address_cipher"])
    shown = {**row, "address": masked_address(RobotKind(row["kind"]), address)}
    return RobotOut.model_validate(shown)
