"""Frequency caps: how many texts of a class a person may get, from all departments together.

Hand-offs are counted, by the keyed hash of the phone. The mark itself takes a place under the cap
(`store.mark`), so two departments never both take the last one. A text that provably never left
gives its place back, an uncertain one keeps it, and a further hand-off of the same text moves the
place and takes no second one. Warnings and replies have no cap. The defaults are what carriers
advise: publicity once in 24 h, twice in 7 days, six times in 30, and never the same text within 30
days; work notices five times in 24 h.

What a cap stops waits until there is room, if its plan says so and it is still of use then; else it
is stopped, with the reason.
"""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.calendar.hours import County
from service.dispatch.compose import ClaimedSlice
from service.dispatch.limits import caps_store, joint_store
from service.dispatch.limits.caps_store import CappedText
from service.dispatch.retries.retry import RetryTerms
from service.errors import Invalid
from service.ledger.message_class import RefusableClass
from service.ledger.reasons import Reason
from service.storage.postgres import Connection, Record
from service.words.phrase import phrase

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CapLimits:
    """The most texts of a class in 24 hours, 7 days and 30 days; None: any number.

    same_text: whether the same text may come again within 30 days.
    """

    per_day: int | None
    per_week: int | None
    per_month: int | None
    same_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The caps of a class as somebody set them; set_by: None for those from the beginning."""

    message_class: str
    limits: CapLimits
    reason: str
    set_by: UUID | None
    set_at: datetime


def check(limits: CapLimits) -> None:
    """Refuse limits of which the shorter span allows more than the longer one.

    Raises:
        Invalid: names the field.
    """
    spans = ("per_day", "per_week", "per_month")
    given = [(name, getattr(limits, name)) for name in spans if getattr(limits, name) is not None]
    for (shorter, less), (longer, more) in itertools.pairwise(given):
        if less > more:
            problem = phrase(
                "must be at least {shorter}, which is {minutes}", shorter=shorter, minutes=less
            )
            raise Invalid(
                phrase("{where} {problem}", where=longer, problem=problem),
                fields={longer: problem},
            )


async def list_caps(conn: Connection, *, history: bool) -> list[Caps]:
    """The caps in force, or with `history` all that ever were, from new to old."""
    rows = await caps_store.list_caps(conn, history=history)
    return [
        Caps(
            message_class=row["class"],
            limits=CapLimits(row["per_day"], row["per_week"], row["per_month"], row["same_text"]),
            reason=row["reason"],
            set_by=row["set_by"],
            set_at=row["set_at"],
        )
        for row in rows
    ]


async def limits_of(conn: Connection, message_class: str) -> CapLimits:
    """The limits in force of a class; of one without caps, none."""
    known = {one.message_class: one.limits for one in await list_caps(conn, history=False)}
    return known.get(message_class, CapLimits(None, None, None, same_text=True))


async def set_caps(
    conn: Connection, message_class: RefusableClass, limits: CapLimits, by: By
) -> Caps:
    """Set the caps of a class; marks that begin after this is committed follow them.

    Raises:
        Invalid: the limits contradict each other.
    """
    check(limits)
    values = (limits.per_day, limits.per_week, limits.per_month, limits.same_text)
    await caps_store.insert_caps(conn, message_class, values, by)
    return Caps(
        message_class=message_class,
        limits=limits,
        reason=by.reason,
        set_by=by.user_id,
        set_at=by.at,
    )


def leaves_at(free_at: datetime, terms: RetryTerms, now: datetime) -> datetime | None:
    """When a text may leave for which there is room from `free_at` on; None: never.

    Only within the send hours and before its validity is over; without an end of the validity
    never, since nobody has said until when it is of use.
    """
    if free_at <= now:  # somebody has given a place back meanwhile
        return now
    if terms.valid_until is None:
        return None
    at = terms.county.next_opening(free_at, terms.hours)
    return at if at < terms.valid_until else None


async def defer_or_stop(
    conn: Connection, work: ClaimedSlice, moved: Sequence[Record], county: County, now: datetime
) -> None:
    """Decide what becomes of the texts that this transaction's mark says are capped: each waits, or
    is stopped for good, with the reason.
    """
    nos = [row["no"] for row in moved if row["capped"]]
    if not nos:
        return
    held = []
    for row in await caps_store.capped_texts(conn, work.run_id, nos):
        spans, same = row["free_at"], row["text_free_at"]
        free_at = max((at for at in (spans, same) if at is not None), default=now)
        waits = row["over_cap"] == "defer"
        terms = RetryTerms(work.hours, county, work.valid_until if waits else None)
        until = None if row["other_leg"] else leaves_at(free_at, terms, now)
        reason = Reason.SAME_TEXT if free_at == same else Reason.CAPPED
        held.append(CappedText(row["no"], Reason.OTHER_LEG if row["other_leg"] else reason, until))
    await caps_store.hold(conn, work.run_id, held, now)
    waiting = sum(text.until is not None for text in held)
    log.info(
        "texts deferred or stopped by caps",
        extra={"deferred": waiting, "stopped": len(held) - waiting},
    )


FORGET_AFTER = timedelta(days=31)
"""After the longest span of a cap nothing needs to know any more who got something."""


async def forget(conn: Connection, now: datetime) -> None:
    """Delete what no cap asks for any more."""
    await caps_store.delete_old(conn, now - FORGET_AFTER)
    await joint_store.delete_old(conn, now - FORGET_AFTER)
