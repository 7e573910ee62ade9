"""Did my text arrive? What was sent lately to one number, in plain words, for a department's clerk.

The number stands in the body: addresses are logged. The department's own texts only, and that
somebody asked is in the audit trail.
"""

from datetime import timedelta
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.people import note_lookup
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Int, Out, PlainOut, Text
from service.api.sending.messages import waiting_words
from service.audience.numbers.number import mask, parse_phone
from service.ledger.message_id import message_id
from service.ledger.states import MessageState
from service.reports import explanations, store
from service.storage.postgres import Record
from service.words.phrase import Sentence

MOST_TEXTS = 20


class ArrivedBody(Body):
    """Which number."""

    phone: Text = Field(description="In any usual form.")
    days: Int = Field(default=31, ge=1, le=190, description="How far back.")


class ArrivedOut(Out):
    """A text to this number, or a broadcast that left it out (`id` null)."""

    id: str | None
    run_id: UUID
    campaign_id: UUID | None
    message_class: str = Field(alias="class")
    text: str = Field(description="As it was written, with the variables unfilled.")
    created_at: Instant
    state: MessageState | Literal["left_out"]
    reason: str | None
    submitted_at: Instant | None
    final_at: Instant | None
    plain: PlainOut


class StoppedOut(Out):
    """Why texts of some classes that you would send do not go to this number now."""

    reason: str
    classes: list[str]
    since: Instant
    until: Instant | None
    plain: PlainOut


class AllArrivedOut(Out):
    """The latest texts to a number, and what is stopped to it."""

    phone: str = Field(description="Masked.")
    items: list[ArrivedOut]
    stopped: list[StoppedOut]


async def look_up_messages(call: Call, body: ArrivedBody) -> AllArrivedOut:
    """Say what became of your department's latest texts to one number, and what is stopped to it.

    At most 20, the latest first.
    """
    phone = parse_phone(body.phone)
    phone_hash = call.runtime.keyring.phone_index(phone)
    await note_lookup(call, phone_hash, "短信送达查询 / texts to a number")
    since = call.now - timedelta(days=body.days)
    rows = await store.list_sent_to(
        call.conn, phone_hash, call.user.department_id, since, MOST_TEXTS
    )
    queued = [(r["run_id"], r["no"]) for r in rows if r["state"] == MessageState.QUEUED]
    waits = await waiting_words(call, queued)
    stops = await store.list_stops(call.conn, phone_hash, call.user.department_id, call.now)
    return AllArrivedOut(
        phone=mask(phone),
        items=[_shown(row, waits.get((row["run_id"], row["no"]))) for row in rows],
        stopped=[
            StoppedOut.model_validate(
                {
                    **row,
                    "plain": explanations.explain_stop(row["reason"], row["since"], row["until"]),
                }
            )
            for row in stops
        ],
    )


def _shown(row: Record, waits: Sentence | None) -> ArrivedOut:
    no = row["no"]
    state = explanations.LEFT_OUT if no is None else row["state"]
    return ArrivedOut.model_validate(
        {
            **row,
            "id": None if no is None else message_id(row["run_id"], no),
            "state": state,
            "plain": explanations.explain(state, row["reason"], waits),
        }
    )
