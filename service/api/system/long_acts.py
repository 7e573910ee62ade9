"""What lasts of what the caller asked for: files that are made, and how far each is."""

from uuid import UUID

from pydantic import Field

from service.accounts.long_acts import store
from service.accounts.long_acts.long_act import LongAct, LongActState
from service.api.http.call import Call
from service.api.http.schema import Instant, Out, PlainOut, QueryString, Text, plain_of
from service.words.phrase import Phrase, phrase

MOST_SHOWN = 50


class LongActQuery(QueryString):
    """Which: all of yours, or those about a thing."""

    object_id: Text | None = Field(default=None, description="The id of a thing, such as a run.")


class LongActOut(Out):
    """Something that took longer than a second."""

    id: UUID
    action: str = Field(description="As in the audit trail, e.g. get_evidence.")
    object_id: str | None = Field(description="What it is about.")
    state: LongActState = Field(
        description="broken_off: its process has ended without a word; ask again for it."
    )
    plain: PlainOut
    done: int = Field(description="So many rows are written.")
    total: int | None = Field(description="Of so many; null: nobody knows.")
    began_at: Instant
    ended_at: Instant | None


class LongActsOut(Out):
    """The last ones, from new to old."""

    items: list[LongActOut]
    next_cursor: None = None


async def list_long_acts(call: Call, query: LongActQuery) -> LongActsOut:
    """List what you asked for that lasts, with how much of all is done."""
    found = await store.list_acts(
        call.conn, user_id=call.user.id, object_id=query.object_id, limit=MOST_SHOWN
    )
    return LongActsOut(items=[_shown(act) for act in found])


def _shown(act: LongAct) -> LongActOut:
    return LongActOut(
        id=act.id,
        action=act.action,
        object_id=act.object_id,
        state=act.state,
        plain=plain_of(_said(act)),
        done=act.done,
        total=act.total,
        began_at=act.began_at,
        ended_at=act.ended_at,
    )


def _said(act: LongAct) -> Phrase:
    if act.state is LongActState.DONE:
        return phrase("all {done:,} rows are written", done=act.done)
    if act.state is LongActState.FAILED:
        return phrase("it ended at row {done:,} with an error; ask for it again", done=act.done)
    if act.state is LongActState.BROKEN_OFF:
        return phrase("it broke off: the process that made it has ended; ask for it again")
    if act.total is None:
        return phrase("{done:,} rows are written so far", done=act.done)
    return phrase("{done:,} of {total:,} rows are written", done=act.done, total=act.total)
