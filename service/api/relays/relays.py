"""Relays over HTTP: begun, read level by level, acknowledged, ended; and who began none."""

from datetime import datetime, time
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    Body,
    Instant,
    Int,
    Line,
    OptionalLine,
    Out,
    Page,
    QueryString,
)
from service.audience.areas.area_store import area_names
from service.audience.numbers.number import mask
from service.cases.week import need_week, week_of
from service.clock import CHINA, day_in_china
from service.relays import relay_store, relays
from service.relays.relay_store import NodeCount, Relay
from service.relays.relays import AskedRelay
from service.relays.tree import (
    MOST_LEVELS,
    OWNERS,
    DoneVia,
    NodeState,
    RelayFilter,
    RelayState,
    percent,
)
from service.storage.postgres import Record

BEGUN_BY = time(20, 0)
"""A station that has begun no relay by this hour of the week's Sunday is on the alarm list."""

RelayWeek = Annotated[Line, Field(description="As in 2027-W03.")]


class RelayBody(Body):
    """What is to be passed on, in which week, to whom, until when."""

    template_id: UUID = Field(description="A service template of your department.")
    version: Annotated[Int, Field(ge=1)] = Field(description="A version that was approved.")
    week: RelayWeek
    area: Line | None = Field(
        default=None,
        description="Its code: only people and groups there. Default: all of your department's.",
    )
    due_at: Instant = Field(description="Until when all should be done; at most 14 days ahead.")
    levels: Annotated[list[Line], Field(min_length=1, max_length=MOST_LEVELS)] = Field(
        default=["village_staff", OWNERS],
        description="Roles from the top down; the last is group_owner: the owners of groups.",
    )


class RelayQuery(PageQuery):
    """Which relays."""

    department: UUID | None = None
    week: RelayWeek | None = None
    first: RelayWeek | None = Field(default=None, alias="from", description="This week or later.")
    last: RelayWeek | None = Field(default=None, alias="to", description="This week or before.")
    state: RelayState | None = None


class NodeQuery(PageQuery):
    """Which places of the tree."""

    state: NodeState | None = None
    level: Annotated[int, Field(ge=1, le=MOST_LEVELS)] | None = None
    unanswered: bool = Field(
        default=False, description="Who got the text, or could not get it, and is not done."
    )


class AlarmQuery(QueryString):
    """Of which week."""

    week: RelayWeek | None = Field(default=None, description="Default: this week.")


class NodeDoneBody(Body):
    """Who says that a place is done: somebody on this page, or the one above it."""

    via: Literal["page", "parent"] = "page"


class EndRelayBody(Body):
    """Why a relay ends before its end."""

    reason: OptionalLine = ""


class RelayOut(Out):
    """A relay, and how many of its groups were confirmed in time."""

    id: UUID
    department_id: UUID
    template_id: UUID
    template: str
    version: int
    week: str
    area: str | None
    area_name: str | None
    levels: list[str]
    due_at: Instant
    state: RelayState
    groups: int = Field(description="Active groups when the tree was frozen.")
    confirmed: int = Field(description="Groups whose owner was done by `due_at`.")
    confirmed_pct: float | None = Field(description="confirmed of groups, one decimal.")
    started_by: UUID
    started_at: Instant
    level_one_at: Instant | None = Field(
        description="Since when everybody of the first level who could be reached is done."
    )
    ended_at: Instant | None
    ended_why: str
    held_why: str = Field(description="Why its text cannot be sent now, as a code; '': it can.")


class NodeCountsOut(Out):
    """Places by where they stand; they add up to `all`. passed_over: got it from above."""

    all: int
    waiting: int
    sent: int
    done: int
    unreachable: int
    silent: int
    passed_over: int


class LevelOut(NodeCountsOut):
    """A level of the tree."""

    level: int
    role: str


class RelayAreaOut(NodeCountsOut):
    """A level of the tree in an area; none: whose area is not known."""

    level: int
    area: str
    area_name: str | None


class RelayDetail(RelayOut):
    """A relay with its text, by level and by area."""

    text: str
    by_level: list[LevelOut]
    by_area: list[RelayAreaOut]


class RelayNodeOut(Out):
    """A place in the tree: somebody who passes the text on, or a group and its owner."""

    no: int
    level: int
    parent_no: int | None = Field(description="Who passes it on to this one; null: the station.")
    group_id: UUID | None
    group_name: str | None
    area: str
    area_name: str | None
    name: str | None = Field(description="Masked; null: on file no more.")
    phone: str | None = Field(description="Masked.")
    state: NodeState
    why: str = Field(description="Why it could not be reached, as a code.")
    passed_over: bool
    run_id: UUID | None
    sent_at: Instant | None
    not_yet_at: Instant | None = Field(description="When it was answered with 2.")
    asked_again_at: Instant | None
    done_at: Instant | None
    via: DoneVia | None
    done_by: UUID | None
    late: bool = Field(description="Done after `due_at`.")


class AlarmOut(Out):
    """A station with groups that began no relay in time. began_at: later; null: not yet."""

    department_id: UUID
    department: str
    groups: int
    began_at: Instant | None


class AlarmsOut(Out):
    """The stations that began no relay by Sunday 20:00. due: whether that is over."""

    BY_THE_CLOCK = frozenset({"due"})

    week: str
    due_at: Instant
    due: bool
    stations: int = Field(description="With active groups; all of them.")
    items: list[AlarmOut]


async def start_relay(call: Call, body: RelayBody) -> RelayDetail:
    """Begin a relay: the tree of your people and groups is frozen as it is now.

    The first level gets its text within a minute, in the send hours. Each answers 1 once it is
    passed on, 2 for not yet. The next level gets its text once the one above is done, cannot be
    reached, or had its own for 24 hours.
    """
    asked = asked_of(body)
    made = await relays.start(call.conn, call.user, asked, call.by(""))
    call.note("relay", made, week=asked.week)
    return await get_relay(call, made)


def asked_of(body: RelayBody) -> AskedRelay:
    """What a body asks for.

    Raises:
        Invalid: there is no such week.
    """
    return AskedRelay(
        body.template_id,
        body.version,
        str(need_week(body.week, "week")),
        body.area,
        list(body.levels),
        body.due_at,
    )


async def list_relays(call: Call, query: RelayQuery) -> Page[RelayOut]:
    """List the relays of your department and of those below it, the latest first."""
    found = await relay_store.list_relays(
        call.conn,
        call.user.count_scope,
        RelayFilter(
            query.department,
            _week(query.week, "week"),
            _week(query.first, "from"),
            _week(query.last, "to"),
            query.state,
        ),
        query.before,
        query.wanted,
    )
    page = cut(Page[Relay], found, query, key=lambda one: one.id)
    names = await area_names(call.conn, {one.area_code for one in page.items})
    items = [RelayOut.model_validate(_shown(one, names)) for one in page.items]
    return Page[RelayOut](items=items, next_cursor=page.next_cursor)


def _week(asked: str | None, field: str) -> str | None:
    return None if asked is None else str(need_week(asked, field))


async def get_relay(call: Call, relay_id: UUID) -> RelayDetail:
    """Show what a relay came to, by level and area."""
    found = await relays.find(call.conn, call.user, relay_id)
    counts = await relay_store.count_nodes(call.conn, relay_id)
    names = await area_names(call.conn, {found.area_code, *(one.area_code for one in counts)})
    by_level = [
        LevelOut.model_validate(
            _counts([one for one in counts if one.level == level]) | {"level": level, "role": role}
        )
        for level, role in enumerate(found.levels, 1)
    ]
    by_area = [
        RelayAreaOut.model_validate(
            _counts([one for one in counts if (one.level, one.area_code) == (level, area)])
            | {"level": level, "area": area or "none", "area_name": names.get(area)}
        )
        for level, area in dict.fromkeys((one.level, one.area_code) for one in counts)
    ]
    return RelayDetail.model_validate(
        _shown(found, names) | {"text": found.text, "by_level": by_level, "by_area": by_area}
    )


async def list_relay_nodes(call: Call, relay_id: UUID, query: NodeQuery) -> Page[RelayNodeOut]:
    """List the places of a relay's tree, those above before those below, people masked."""
    await relays.find_own(call.conn, call.user, relay_id)
    found = await relay_store.list_nodes(
        call.conn,
        relay_id,
        state=query.state,
        level=query.level,
        unanswered=query.unanswered,
        after=query.number,
        limit=query.wanted,
    )
    names = await area_names(call.conn, {row["area_code"] for row in found})
    shown = [_node(call, row, names) for row in found]
    return cut(Page[RelayNodeOut], shown, query, key=lambda one: one.no)


async def set_node_done(call: Call, relay_id: UUID, no: int, body: NodeDoneBody) -> RelayDetail:
    """Say that a place has passed the text on; the next level below it gets its own then."""
    await relays.set_done(call.conn, call.user, relay_id, no, DoneVia(body.via), call.by(""))
    call.note("relay", relay_id, no=no, via=body.via)
    return await get_relay(call, relay_id)


async def cancel_relay(call: Call, relay_id: UUID, body: EndRelayBody) -> RelayDetail:
    """End a relay before its end: nobody further gets the text; what has not left is cancelled."""
    await relays.cancel(call.conn, call.user, relay_id, call.by(body.reason))
    return await get_relay(call, relay_id)


async def list_relay_alarms(call: Call, query: AlarmQuery) -> AlarmsOut:
    """List the departments with groups that began no relay by Sunday 20:00 of a week."""
    today = day_in_china(call.now)
    week = week_of(today) if query.week is None else need_week(query.week, "week")
    due_at = datetime.combine(week.sunday, BEGUN_BY, CHINA)
    found = await relay_store.stations(call.conn, call.user.count_scope, str(week), due_at)
    late = [one for one in found if one.began_at is None or one.began_at > due_at]
    return AlarmsOut(
        week=str(week),
        due_at=due_at,
        due=call.now >= due_at,
        stations=len(found),
        items=[AlarmOut.model_validate(one) for one in late],
    )


def _shown(found: Relay, names: dict[str, str]) -> dict[str, object]:
    return found._asdict() | {
        "area": found.area_code,
        "area_name": names.get(found.area_code or ""),
        "confirmed_pct": percent(found.confirmed, found.groups),
    }


def _counts(counts: list[NodeCount]) -> dict[str, object]:
    by_state = {state.value: 0 for state in NodeState}
    for one in counts:
        by_state[one.state.value] += one.nodes
    over = sum(one.passed_over for one in counts)
    return {**by_state, "all": sum(by_state.values()), "passed_over": over}


def _node(call: Call, row: Record, names: dict[str, str]) -> RelayNodeOut:
    keyring = call.runtime.keyring
    name, phone = row["name_cipher"], row["phone_cipher"]
    said = None if name is None else keyring.decrypt("name", name)
    values = dict(row) | {
        "area": row["area_code"] or "none",
        "area_name": names.get(row["area_code"]),
        "name": None if said is None else said[:1] + "*" * (len(said) - 1),
        "phone": None if phone is None else mask(keyring.decrypt("phone", phone)),
        "asked_again_at": row["again_at"],
        "late": bool(row["late"]),
    }
    return RelayNodeOut.model_validate(values)
