"""Texts from handsets: who wrote what, what it was taken for, and who works it off."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StrictBool, StringConstraints

from service.accounts.people.model import Right
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Out, Page, Text
from service.audience.numbers.number import mask
from service.campaigns.core import run_store
from service.delivery.inbound import inbound, inbound_store
from service.delivery.inbound.inbound import InboundOutcome
from service.delivery.inbound.inbound_store import TextFilter
from service.errors import NotFound
from service.logs import masked
from service.storage.postgres import Record
from service.words.phrase import phrase

InboundKindName = Literal["opt_out", "answer", "clue", "check", "other"]
InboundStateName = Literal["new", "taken", "done"]
Note = Annotated[Text, StringConstraints(strip_whitespace=True, max_length=1_000)]


class InboundQuery(PageQuery):
    """Which texts: all, or those of one kind, state or campaign, or those since an instant."""

    kind: InboundKindName | None = None
    state: InboundStateName | None = None
    campaign: UUID | None = Field(default=None, description="The campaign that they answer.")
    since: Instant | None = Field(default=None, description="Received at or after this instant.")


class ReplyOut(Out):
    """An answer of ours: due, in the ledger of a run (or among its exclusions), or not sent."""

    kind: Literal["opt_out_confirmed", "notices_confirmed", "clue_received", "text_checked"]
    due_at: Instant
    settled_at: Instant | None
    run_id: UUID | None
    skipped: str | None = Field(description="Why it is not sent.")


class InboundOut(Out):
    """A text from a handset.

    Text and note are shown to those who may work texts off, to others they are null. Numbers in a
    text are masked, but in a clue.
    """

    id: UUID
    kind: InboundKindName
    answer: int | None = Field(description="The digit that it is, if it is one that is asked for.")
    state: InboundStateName
    phone: str | None = Field(description="Masked; null once it is not kept any more.")
    contact_id: UUID | None = Field(
        description="Whose number it is among the department's contacts."
    )
    recipient: str = Field(description="The number that it was sent to, with its extension.")
    text: str | None
    missing: int = Field(description="How many parts never came; ［…］ stands in their place.")
    copies: int = Field(description="How often the same came within ten minutes.")
    channel_id: int
    campaign_id: UUID | None
    run_id: UUID | None
    department_id: UUID | None = Field(description="Whose it is to read; null: the county's.")
    received_at: Instant
    taken_by: UUID | None
    taken_at: Instant | None
    done_by: UUID | None = Field(description="Null for what needed nobody.")
    done_at: Instant | None
    note: str | None
    replies: list[ReplyOut] = Field(description="What we answer to it.")


class FinishBody(Body):
    """What a person made of a text."""

    note: Note = Field(default="", description="What was done about it.")
    opt_out: StrictBool = Field(
        default=False,
        description="Its sender wants no more: stop publicity to that number, and work notices"
        " as well if the text answers one.",
    )


class RunInboundOut(Out):
    """What came back by text on a run."""

    run_id: UUID
    kinds: dict[InboundKindName, int] = Field(description="Texts by kind.")
    answers: dict[str, int] = Field(description="People by the last digit that they answered.")


async def list_inbound(call: Call, query: InboundQuery) -> Page[InboundOut]:
    """List the texts from handsets that your department is to read, the newest first."""
    wanted = TextFilter(query.kind, query.state, query.campaign, query.since)
    found = await inbound_store.list_texts(
        call.conn, call.user.scope, query.before, query.wanted, wanted
    )
    return cut(Page[InboundOut], [_shown(call, row) for row in found], query)


async def get_inbound(call: Call, inbound_id: UUID) -> InboundOut:
    """Show a text from a handset."""
    return _shown(call, await inbound.visible(call.conn, call.user, inbound_id))


async def take_inbound(call: Call, inbound_id: UUID) -> InboundOut:
    """Take a new text, to work it off."""
    return _shown(call, await inbound.take(call.conn, call.user, inbound_id, call.now))


async def finish_inbound(call: Call, inbound_id: UUID, body: FinishBody) -> InboundOut:
    """Close a text that was taken; after the answer with `opt_out`, its sender gets no more."""
    encrypt = call.runtime.keyring.encrypt
    outcome = InboundOutcome(encrypt("inbound", body.note) if body.note else None, body.opt_out)
    return _shown(call, await inbound.finish(call.conn, call.user, inbound_id, outcome, call.now))


async def count_run_inbound(call: Call, run_id: UUID) -> RunInboundOut:
    """Count what came back by text on a run."""
    if await run_store.get_run(call.conn, run_id, call.user.scope) is None:
        raise NotFound(phrase("there is no run {run_id}", run_id=run_id))
    kinds, answers = await inbound_store.count_by_run(call.conn, run_id)
    shown = {str(digit): people for digit, people in sorted(answers.items())}
    return RunInboundOut.model_validate({"run_id": run_id, "kinds": kinds, "answers": shown})


def _shown(call: Call, row: Record) -> InboundOut:
    keyring = call.runtime.keyring
    text = note = None
    kept = row["text_cipher"] is not None
    if call.user.may(Right.SUPPRESS) and kept:
        text = keyring.decrypt("inbound", row["text_cipher"])
        if row["kind"] != "clue":  # whose number is to be followed up
            text = masked(text)
        if row["note_cipher"] is not None:
            note = keyring.decrypt("inbound", row["note_cipher"])
    facts = {name: row[name] for name in InboundOut.model_fields if name in row}
    phone = mask(keyring.decrypt("phone", row["sender_cipher"])) if kept else None
    return InboundOut.model_validate({**facts, "phone": phone, "text": text, "note": note})
