"""Checks of the whole audit trail: begun here, done by a worker, and read until they are over."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from service.accounts.audit.audit import read_head
from service.accounts.audit.trail_checks import CHECK, begin_check, need_checker
from service.accounts.long_acts import store
from service.accounts.long_acts.long_act import LongAct, LongActState
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Line, Out, PlainOut, plain_of
from service.errors import Invalid, NotFound
from service.queue import Job
from service.words.phrase import Phrase, listing, phrase

MOST_SHOWN = 20


class TrailCheckBody(Body):
    """How the trail is verified."""

    head: Line | None = Field(
        default=None,
        description="A seal that was written down, as `4711:9f3c…`: then nothing up to it can have"
        " been taken away or made anew.",
    )


class TrailFaultOut(Out):
    """An entry with which something is wrong."""

    no: int | None = Field(description="Of its seal; null: it has none.")
    entry_id: UUID | None
    plain: PlainOut


class TrailFindingOut(Out):
    """What a check found when it ended."""

    head: str | None = Field(
        description="The last seal that was verified; write it down elsewhere. Null: there is none."
    )
    entries: int = Field(
        description="As they were sealed, and written by processes of this service."
    )
    gone: int = Field(description="Sealed entries that are past their record duty, and deleted.")
    waiting: int = Field(description="Entries that were not sealed yet.")
    broken: TrailFaultOut | None = Field(description="The first break; the check ends there.")
    foreigners: int = Field(description="As they were sealed, but written by no process of ours.")
    foreign: list[TrailFaultOut] = Field(description="The first of these.")


class TrailCheckOut(Out):
    """A check: how far it is, and what it found."""

    id: UUID
    state: LongActState = Field(
        description="waiting: nobody has taken it up. broken_off: whoever did it has ended without"
        " a word, or nobody took it up: begin another. failed: an error ended it."
    )
    plain: PlainOut = Field(description="How it stands, or what it found, in a sentence.")
    done: int = Field(description="So many seals were looked at.")
    total: int | None = Field(description="Of so many; null: nobody knows yet.")
    head: str | None = Field(description="The seal that was given to it.")
    asked_by: UUID
    began_at: Instant
    ended_at: Instant | None
    found: TrailFindingOut | None = Field(description="Null before it has ended.")


class TrailChecksOut(Out):
    """The last checks, from new to old."""

    items: list[TrailCheckOut]
    next_cursor: None = None


async def check_trail(call: Call, body: TrailCheckBody) -> TrailCheckOut:
    """Have the whole trail verified; the check that is under way, if there is one."""
    need_checker(call.user)
    known = read_head(body.head) if body.head else None
    if body.head and known is None:
        what = phrase("give it as it was printed: a number, a colon, 64 digits")
        raise Invalid.at("head", what)
    act = await begin_check(call.conn, call.user, known, call.now)
    call.note("audit_checks", act.id)
    call.after_commit(Job.CHECK_TRAIL, act.id)
    return _shown(act)


async def list_checks(call: Call) -> TrailChecksOut:
    """List the last checks of the trail, whoever asked for them."""
    need_checker(call.user)
    found = await store.list_acts(call.conn, action=CHECK, limit=MOST_SHOWN)
    return TrailChecksOut(items=[_shown(act) for act in found])


async def get_check(call: Call, check_id: UUID) -> TrailCheckOut:
    """Show how far a check of the trail is, and what it found."""
    need_checker(call.user)
    act = await store.get_act(call.conn, check_id)
    if act is None or act.action != CHECK:
        raise NotFound(phrase("there is no check {check_id} of the trail", check_id=check_id))
    return _shown(act)


def _shown(act: LongAct) -> TrailCheckOut:
    found = TrailFindingOut.model_validate(act.result) if act.result else None
    return TrailCheckOut(
        id=act.id,
        state=act.state,
        plain=plain_of(_said(act, act.result)),
        done=act.done,
        total=act.total,
        head=act.object_id,
        asked_by=act.user_id,
        began_at=act.began_at,
        ended_at=act.ended_at,
        found=found,
    )


def _said(act: LongAct, result: Mapping[str, Any] | None) -> Phrase:
    if act.state is LongActState.WAITING:
        return phrase("it waits for a process that does it")
    if act.state is LongActState.RUNNING:
        if act.total is None:
            return phrase("it begins")
        return phrase("{done:,} of {total:,} seals are verified", done=act.done, total=act.total)
    if act.state is LongActState.BROKEN_OFF:
        return phrase("it broke off: the process that did it has ended; begin it again")
    if result is None:
        return phrase("an error ended it; it is in the log of the workers; begin it again")
    return listing(_findings(result), "; ")


def _findings(result: Mapping[str, Any]) -> list[Phrase]:
    said = []
    if broken := result["broken"]:
        at = broken["no"]
        said.append(
            phrase("the trail is broken at seal {no:,}", no=at)
            if at is not None
            else phrase("the trail is broken at an entry without a seal")
        )
    elif result["head"] is None:
        said.append(phrase("no entry is sealed yet"))
    else:
        number = int(result["head"].partition(":")[0])
        said.append(phrase("the trail is whole up to seal {no:,}", no=number))
    if result["foreigners"]:
        said.append(
            phrase(
                "{count:,} entries were written by no process of ours", count=result["foreigners"]
            )
        )
    return said
