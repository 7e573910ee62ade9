"""Follow-ups over HTTP: begun, read, decided, signed off."""

from collections import Counter
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.campaigns.campaigns import ChannelId
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Day, Instant, Line, OptionalLine, Out, Page
from service.audience.areas.area_store import area_names
from service.followups import followup_store, followups, result_store, visit_store
from service.followups.followup_store import Followup, NewFollowup
from service.followups.followups import Sight
from service.followups.ladder import FollowupState, FollowupStep, PersonState, StepState
from service.followups.result_store import SignOff
from service.followups.visit_store import VillageCount
from service.queue import Job

NOWHERE = "none"
"""Stands for the village of people of whom no area is known."""


class FollowupBody(Body):
    """Which run, and what is tried for those whom it missed."""

    run: UUID = Field(description="A run of a campaign that is settled.")
    steps: Annotated[list[FollowupStep], Field(min_length=1, max_length=len(FollowupStep))] = Field(
        default_factory=lambda: list(FollowupStep),
        description="again: sent once more, as approved; other_channels: over `channels`; visit:"
        " somebody goes there. In this order.",
    )
    channels: Annotated[list[ChannelId], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="Those of other_channels, which is left out without any. Beyond the approved"
        " ones the step waits for an approver.",
    )
    roles: Annotated[list[Line], Field(max_length=50)] = Field(
        default_factory=list, description="Only people of these roles are visited; none: all."
    )
    include_refused: bool = Field(default=False, description="Visit those, too, who want no texts.")
    with_towns: bool = Field(
        default=False,
        description="Departments that have an area visit the people who live there, and see their"
        " names on the list that they take along.",
    )
    due_on: Day | None = Field(default=None, description="Until when it should be done.")


class FollowupQuery(PageQuery):
    """Which follow-ups."""

    run: UUID | None = None
    state: FollowupState | None = None


class OtherChannelsBody(Body):
    """Whether the text leaves over the other channels, and why."""

    decision: Literal["send", "skip"]
    reason: Line


class EndBody(Body):
    """Why a follow-up ends before its end."""

    reason: Line


class SignOffBody(Body):
    """For which village, and what is to be said of it."""

    area: Line = Field(description="Its code; `none`: the people of whom no area is known.")
    note: OptionalLine = ""


class LadderStepOut(Out):
    """A step of the ladder."""

    step: FollowupStep
    state: StepState
    run_id: UUID | None = Field(description="What was sent again.")
    reason: str = Field(description="Why it was left out, or what it waits for, as a code.")
    note: str = Field(description="What whoever decided that said.")
    began_at: Instant | None
    ended_at: Instant | None
    reached: int = Field(description="People who got a text of this step, or were told by it.")


class VillageOut(Out):
    """The people of a village whom the run missed; the states add up to `people`."""

    area: str
    name: str | None
    people: int
    states: dict[PersonState, int]
    visited: int = Field(description="To how many of them somebody went.")
    disputed: int = Field(description="Of how many two results contradict each other.")
    signed_by: UUID | None
    signed_at: Instant | None


class FollowupOut(Out):
    """A follow-up, without its people."""

    id: UUID
    run_id: UUID
    campaign_id: UUID
    campaign: str
    department_id: UUID
    state: FollowupState
    roles: list[str]
    include_refused: bool
    with_towns: bool
    channels: list[int] | None
    due_on: date | None
    started_by: UUID
    started_at: Instant
    ended_at: Instant | None
    ended_why: str = Field(description="Why somebody ended it before its end.")


class FollowupDetail(FollowupOut):
    """A follow-up with its steps and what became of whom; the states add up to `missed`."""

    whole: bool = Field(description="false: only the people who live in your area are counted.")
    missed: int | None = Field(description="Whom the run missed; null: not counted yet.")
    states: dict[PersonState, int]
    steps: list[LadderStepOut]
    villages: list[VillageOut]


class ResentOut(Out):
    """What was decided. run_id: what is sent again."""

    run_id: UUID | None


class SignedOut(Out):
    """A village was signed off. closed: it was the last one."""

    closed: bool


async def start_followup(call: Call, body: FollowupBody) -> FollowupDetail:
    """Begin to follow up those whom a run missed: again, over other channels, at their doors.

    It goes on by itself as far as what was approved reaches.
    """
    new = NewFollowup(
        root_run_id=body.run,
        department_id=call.user.department_id,
        roles=sorted(set(body.roles)),
        include_refused=body.include_refused,
        with_towns=body.with_towns,
        channels=list(dict.fromkeys(body.channels)) if body.channels else None,
        due_on=body.due_on,
    )
    made = await followups.start(call.conn, call.user, new, body.steps, call.by(""))
    call.note("followup", made, steps=[step.value for step in body.steps])
    return await get_followup(call, made)


async def list_followups(call: Call, query: FollowupQuery) -> Page[FollowupOut]:
    """List follow-ups, the latest first: your department's, and those that ask yours to visit."""
    near = call.user.department_id, await followups.area_of(call.conn, call.user)
    found = await followup_store.list_followups(
        call.conn,
        call.user.scope,
        near,
        run_id=query.run,
        state=query.state,
        before=query.before,
        limit=query.wanted,
    )
    page = cut(Page[Followup], found, query, key=lambda one: one.id)
    items = [FollowupOut.model_validate(_shown(one)) for one in page.items]
    return Page[FollowupOut](items=items, next_cursor=page.next_cursor)


async def get_followup(call: Call, followup_id: UUID) -> FollowupDetail:
    """Show a follow-up: its steps, and what became of whom, by village."""
    sight = await followups.find(call.conn, call.user, followup_id)
    counts = await visit_store.count_people(
        call.conn, followup_id, sight.area, bounded=sight.bounded
    )
    signed = {one.village: one for one in await result_store.list_sign_offs(call.conn, followup_id)}
    names = await area_names(call.conn, {one.village for one in counts})
    found = sight.followup
    return FollowupDetail.model_validate(
        _shown(found)
        | {
            "whole": not sight.bounded,
            "missed": None if found.counted_at is None else sum(one.people for one in counts),
            "states": _states(counts),
            "steps": [_step(sight, counts, no) for no in range(len(found.steps))],
            "villages": [
                _village(village, counts, names.get(village), signed.get(village))
                for village in sorted({one.village for one in counts}, key=lambda v: (not v, v))
            ],
        }
    )


async def cancel_followup(call: Call, followup_id: UUID, body: EndBody) -> FollowupDetail:
    """End a follow-up before its end; what was sent again already is not called back."""
    await followups.cancel(call.conn, call.user, followup_id, call.by(body.reason))
    return await get_followup(call, followup_id)


async def decide_other_channels(
    call: Call, followup_id: UUID, body: OtherChannelsBody
) -> ResentOut:
    """Let the text leave over channels that were not approved, or leave that step out.

    To send takes an approver who neither began the follow-up nor had a hand in the campaign.
    """
    made = await followups.decide_channels(
        call.conn, call.user, followup_id, body.decision, call.by(body.reason)
    )
    call.note(decision=body.decision)
    if made is not None:
        call.after_commit(Job.EXPAND_RUN, made)
    return ResentOut(run_id=made)


async def sign_off_followup(call: Call, followup_id: UUID, body: SignOffBody) -> SignedOut:
    """Answer for a village in which nobody is to be visited any more; you visited nobody there."""
    area = "" if body.area == NOWHERE else body.area
    closed = await followups.sign_off(
        call.conn, call.runtime.keyring, call.user, followup_id, area, call.by(body.note)
    )
    call.note(area=body.area, closed=closed)
    return SignedOut(closed=closed)


def village_of(written: str | None) -> str | None:
    """A village as it is asked for, as the store knows it."""
    return "" if written == NOWHERE else written


def _shown(found: Followup) -> dict[str, object]:
    return found._asdict() | {"run_id": found.root_run_id}


def _states(counts: list[VillageCount]) -> dict[PersonState, int]:
    states: Counter[PersonState] = Counter()
    for one in counts:
        states[one.state] += one.people
    return dict(states)


def _step(sight: Sight, counts: list[VillageCount], place: int) -> dict[str, object]:
    row = sight.followup.steps[place]
    wanted = {PersonState.TOLD} if row.step is FollowupStep.VISIT else {PersonState.REACHED}
    reached = sum(
        one.people for one in counts if one.step == row.step.value and one.state in wanted
    )
    return row._asdict() | {"reached": reached}


def _village(
    village: str, counts: list[VillageCount], name: str | None, signed: SignOff | None
) -> dict[str, object]:
    here = [one for one in counts if one.village == village]
    return {
        "area": village or NOWHERE,
        "name": name,
        "people": sum(one.people for one in here),
        "states": _states(here),
        "visited": sum(one.visited for one in here),
        "disputed": sum(one.disputed for one in here),
        "signed_by": signed.signed_by if signed else None,
        "signed_at": signed.signed_at if signed else None,
    }
