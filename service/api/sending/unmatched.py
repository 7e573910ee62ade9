"""Receipts that met nothing, and the daily reconciliation of hand-offs, references and receipts."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    Body,
    Day,
    Instant,
    Line,
    Out,
    Page,
    QueryString,
    TranslatedText,
)
from service.clock import CHINA
from service.delivery.receipts import unmatched, unmatched_store
from service.delivery.receipts.unmatched_store import Kept
from service.delivery.uncertain import reconcile
from service.errors import Invalid
from service.storage.postgres import Record
from service.words.phrase import phrase

MAX_IDS = 1_000
_MAX_ID = 2**63 - 1

UnmatchedReason = Literal["parked", "unmatched", "ambiguous", "conflict", "unreadable"]
ReceiptId = Annotated[int, Field(strict=True, ge=1, le=_MAX_ID)]


class UnmatchedQuery(PageQuery):
    """Which receipts: all that are kept, or those kept for one reason, or of one channel."""

    why: UnmatchedReason | None = None
    channel: int | None = Field(default=None, ge=0, le=32767)


class ExportQuery(QueryString):
    """Which receipts: all that are kept, or those kept for one reason, or of one channel."""

    why: UnmatchedReason | None = None
    channel: int | None = Field(default=None, ge=0, le=32767)


class UnmatchedOut(Out):
    """A receipt that met nothing in the ledger (yet), contradicts what is known, or is unreadable.

    An unreadable one may be a text as well; its reason says what was wrong.
    """

    id: int
    channel_id: int
    channel: str
    why: UnmatchedReason
    ref: str = Field(description="The carrier's reference; 0x…: in hexadecimal.")
    phone: str | None = Field(description="Masked; null if no text of ours may be meant.")
    messages: list[str] = Field(description="The ids of the texts that it may speak of.")
    state: str
    reason: str
    code: str
    done_at: Instant | None
    received_at: Instant
    octets: int | None = Field(
        description="Of an unreadable one: how many there are. POST …/{id}/unmask shows them."
    )
    copies: int = Field(description="How often an unreadable one has come; 1 for all others.")


class DismissBody(Body):
    """Receipts that a person has looked at."""

    ids: list[ReceiptId] = Field(min_length=1, max_length=MAX_IDS)
    reason: Line


class LeftOut(Out):
    """A receipt that was not laid aside: it is `parked`, or not kept (any more)."""

    id: int
    reason: Literal["parked", "not_kept"]


class DismissedOut(Out):
    """What became of a request to lay receipts aside."""

    dismissed: int
    items: list[LeftOut] = Field(description="Those that were not.")


class ReconciliationQuery(QueryString):
    """Which day, of Chinese time, and which channel."""

    day: Day
    channel: int | None = Field(default=None, ge=0, le=32767)


class DifferenceOut(Out):
    """Something that keeps the counts apart."""

    name: str
    count: int
    meaning: TranslatedText


class ChannelDayOut(Out):
    """One channel on one day."""

    channel_id: int
    channel: str
    submits: dict[str, int] = Field(description="Texts handed off on that day, by their state now.")
    ledger: dict[str, int] = Field(
        description="Texts that the carrier took on that day, their parts, and the references kept."
    )
    references: dict[str, int] = Field(
        description="Each part that the carrier took on that day, by what is known of it."
    )
    results: dict[str, int] = Field(description="Those with a folded receipt, by what it said.")
    receipts: dict[str, int] = Field(
        description="Receipts of that day that are not in the ledger, by where they are."
    )
    parts: int = Field(description="Σ references.")
    answered: int = Field(description="Those of them whose receipt is folded.")
    differences: list[DifferenceOut] = Field(description="What keeps the counts apart, by name.")


class ReconciliationOut(Out):
    """Hand-offs, references and receipts of one day, all figures of one instant."""

    day: date
    timezone: str
    at: Instant
    items: list[ChannelDayOut]


async def list_unmatched(call: Call, query: UnmatchedQuery) -> Page[UnmatchedOut]:
    """List the receipts that met nothing in the ledger, contradict it, or could not be read."""
    kept = Kept(query.why, query.channel, call.user.scope)
    rows = await unmatched_store.list_kept(call.conn, kept, _after(query), query.wanted)
    return cut(Page[UnmatchedOut], [_receipt(call, row) for row in rows], query)


def _after(query: PageQuery) -> int:
    """The id after which a page begins; receipts have larger ones than `number` allows."""
    text = query.text
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _MAX_ID):
        problem = phrase("give the next_cursor of a page as it was, or none")
        raise Invalid(
            phrase("the cursor is not one of ours: {problem}", problem=problem),
            fields={"cursor": problem},
        )
    return int(text)


def _receipt(call: Call, row: Record) -> UnmatchedOut:
    return UnmatchedOut.model_validate(
        {
            **row,
            "ref": unmatched.shown_ref(row["ref"]),
            "phone": unmatched.shown_phone(row, call.runtime.keyring),
        }
    )


async def export_unmatched(call: Call, query: ExportQuery) -> Download:
    """Download these receipts as a file for a spreadsheet, phones masked."""
    kept = Kept(query.why, query.channel, call.user.scope)
    lines = unmatched.kept_csv(call.conn, call.runtime.keyring, kept, call.runtime.settings.zone)
    return Download("text/csv", "receipts-unmatched.csv", lines)


async def dismiss_unmatched(call: Call, body: DismissBody) -> DismissedOut:
    """Lay receipts aside that a person has looked at; who and why is recorded with each."""
    done = await unmatched.dismiss(call.conn, body.ids, call.user.scope, call.by(body.reason))
    items = [LeftOut.model_validate({"id": id_, "reason": why}) for id_, why in done.skipped]
    return DismissedOut(dismissed=done.dismissed, items=items)


async def get_reconciliation(call: Call, query: ReconciliationQuery) -> ReconciliationOut:
    """Compare what was handed off, what the carrier took and what it reported, for one day."""
    days = await reconcile.reconcile(call.conn, query.day, query.channel, call.now)
    return ReconciliationOut(
        day=query.day,
        timezone=CHINA.key,
        at=call.now,
        items=[ChannelDayOut.model_validate(day) for day in days],
    )
