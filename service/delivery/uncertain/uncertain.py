"""Hand-offs without an answer, settled by a person, and what a late receipt may still change.

A text that may have left and has no answer is never sent again by itself (invariant I3). A person
may decide what became of it after ten minutes; until then its answer or its receipt may still come.
`delivered` and `unknown` end it. `resend` and `not_sent` queue it again, but only if the policy of
its message class allows that (by default it does not), its validity is not over, and no receipt
waits that may belong to it. `not_sent` is refused if the carrier gave a reference.

Whatever is decided, a receipt that comes later is paired with it: `unknown` yields to it, and one
that contradicts another decision is kept as a conflict.
"""

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.accounts.people.model import By
from service.clock import CHINA
from service.delivery.receipts import store
from service.delivery.receipts.parked_store import mark_ambiguous
from service.delivery.receipts.receipts import SETTLE_AFTER, pair
from service.delivery.uncertain import uncertain_store
from service.delivery.uncertain.uncertain_store import Settled, UncertainFilter
from service.dispatch.limits import caps_store, joint_store
from service.dispatch.retries import reroute
from service.errors import Conflict
from service.ledger.message_class import CLASSES
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.storage.locks import lock_folds, try_lock_fold
from service.storage.postgres import Connection, Record
from service.words.phrase import listing, phrase

log = logging.getLogger(__name__)

WAIT = timedelta(minutes=10)
"""How long a hand-off is uncertain before a person may decide (docs/uncertain.md)."""


class Decision(StrEnum):
    """What a person says of hand-offs in doubt."""

    DELIVERED = "delivered"  # it arrived
    UNKNOWN = "unknown"  # nobody will find out; yields to a receipt
    RESEND = "resend"  # it may have arrived, and is sent again
    NOT_SENT = "not_sent"  # it never left, and is sent


class Skip(StrEnum):
    """Why a hand-off was left as it was."""

    NOT_IN_DOUBT = "not_in_doubt"  # there is none, or it is settled already
    VALIDITY_OVER = "validity_over"
    CAMPAIGN_CANCELLED = "campaign_cancelled"
    CORRECTED = "corrected"  # its text is known to be wrong
    PART_TAKEN = "part_taken"  # the carrier gave a reference, so it did leave
    PART_ARRIVED = "part_arrived"
    RECEIPT_WAITS = "receipt_waits"


class TooEarly(Conflict):
    """An answer may still come; `may_at` is when everything that was asked for may be decided."""

    code = "too_early"

    def __init__(self, may_at: datetime) -> None:
        at = may_at.astimezone(CHINA).isoformat(timespec="milliseconds")
        super().__init__(
            phrase(
                "the answer or a receipt may still come; decide at {at} or later,"
                " {minutes:.0f} minutes after the last of them became uncertain",
                at=at,
                minutes=WAIT.total_seconds() / 60,
            )
        )
        self.may_at = may_at

    def details(self) -> Mapping[str, object]:
        """`may_at`."""
        return {"may_at": self.may_at}


@dataclass(slots=True)
class DecisionResult:
    """What became of a decision; `channels` have something to hand off by it."""

    decision_id: uuid.UUID | None = None
    decided: int = 0
    skipped: list[tuple[MessageKey, Skip]] = field(default_factory=list)
    channels: set[int] = field(default_factory=set)


def may_decide_at(since: datetime) -> datetime:
    """When a person may decide on what has been uncertain since then."""
    return since + WAIT


async def decide(
    conn: Connection, which: UncertainFilter, decision: Decision, by: By
) -> DecisionResult:
    """Settle those of the given uncertain hand-offs that can be settled, all in one transaction.

    Raises:
        TooEarly: one of them has been uncertain for less than ten minutes; nothing is decided.
        Conflict: the policy of a class does not allow to send again; nothing is decided.
    """
    back = decision in (Decision.RESEND, Decision.NOT_SENT)
    rows = await lock_for_decision(conn, which, hand_off_again=back)
    verdict = DecisionResult(skipped=_missing(which, rows))
    if not rows:
        return verdict
    may_at = max(may_decide_at(row["since"]) for row in rows)
    if may_at > by.at:
        raise TooEarly(may_at)
    waiting: set[MessageKey] = set()
    if back:
        await _check_policy(conn, {row["class"] for row in rows})
        waiting = await uncertain_store.with_receipts(conn, [_key(row) for row in rows])
    await _settle(conn, rows, decision, by, waiting, verdict)
    log.info("hand-offs decided", extra={"decision": decision.value, "messages": verdict.decided})
    return verdict


async def give_back_never_left(conn: Connection, channel_id: int, by: By) -> int:
    """Queue again the uncertain hand-offs of a channel whose texts leave as lists: they stand on
    none, so none has left, whatever the policy says. What may not leave any more is refused.
    Returns how many were settled.

    Nobody may hold the channel.
    """
    which = UncertainFilter(channel_id=channel_id)
    rows = await lock_for_decision(conn, which, hand_off_again=True)
    verdict = DecisionResult()
    if rows:
        await _settle(conn, rows, Decision.NOT_SENT, by, (), verdict, refuse_rest=True)
    return verdict.decided


async def _settle(
    conn: Connection,
    rows: Sequence[Record],
    decision: Decision,
    by: By,
    waiting: Collection[MessageKey],
    verdict: DecisionResult,
    *,
    refuse_rest: bool = False,
) -> None:
    """Give these their state, but those that something speaks against; `lock_for_decision` first.

    waiting: those for which a receipt waits. refuse_rest: these others never left and never will.
    """
    back = decision in (Decision.RESEND, Decision.NOT_SENT)
    found = []
    for row in rows:
        skip = _obstacle(row, decision, by.at, waiting) if back else None
        if skip is None:
            found.append(_settled(row, decision))
        elif refuse_rest:
            found.append(Settled(*_key(row), row["attempt"], "rejected", Reason.LIST_LAPSED))
        else:
            verdict.skipped.append((_key(row), skip))
    if found:
        verdict.decision_id = await uncertain_store.insert_decision(conn, decision.value, by)
        verdict.decided = await uncertain_store.settle(conn, verdict.decision_id, found, by.at)
        keys = [(f.run_id, f.no) for f in found]
        await caps_store.give_back(conn, keys)
        await joint_store.give_back(conn, keys)
        queued = {(f.run_id, f.no) for f in found if f.state == "queued"}
        verdict.channels = {row["channel_id"] for row in rows if _key(row) in queued}


async def lock_for_decision(
    conn: Connection, which: UncertainFilter, *, hand_off_again: bool
) -> list[Record]:
    """Lock the uncertain hand-offs that are asked for; returns those that are still uncertain then.

    hand_off_again: their campaigns and runs are locked, too.
    """
    seen = await uncertain_store.find_uncertain(conn, which)
    await lock_folds(conn, {row["channel_id"] for row in seen})
    if hand_off_again:
        await reroute.lock(conn, {row["run_id"] for row in seen})
    return await uncertain_store.lock_uncertain(conn, [_key(row) for row in seen])


def _key(row: Record) -> MessageKey:
    return row["run_id"], row["no"]


def _missing(which: UncertainFilter, rows: Sequence[Record]) -> list[tuple[MessageKey, Skip]]:
    found = {_key(row) for row in rows}
    asked = dict.fromkeys(which.keys or ())
    return [(key, Skip.NOT_IN_DOUBT) for key in asked if key not in found]


async def _check_policy(conn: Connection, classes: Collection[str]) -> None:
    allowed = {row["class"] for row in await uncertain_store.list_policies(conn) if row["allowed"]}
    refused = sorted(set(classes) - allowed)
    if refused:
        raise Conflict(
            phrase(
                "texts of the class {refused} are not handed off again once they may have"
                " left; an administrator can allow it (PUT /uncertain/policies), or decide"
                " delivered or unknown",
                refused=listing(refused, " and "),
            ),
            code="resend_not_allowed",
        )


def _obstacle(
    row: Record, decision: Decision, now: datetime, waiting: Collection[MessageKey]
) -> Skip | None:
    """Why this one is not handed off again; None: it is. The first that holds is said."""
    sends, until = not row["cancelled"], row["valid_until"]
    obstacles = {
        Skip.CAMPAIGN_CANCELLED: decision is Decision.RESEND and not sends,
        Skip.VALIDITY_OVER: sends and until is not None and until <= now,
        Skip.CORRECTED: sends and row["corrected"],
        Skip.PART_ARRIVED: row["arrived"],
        Skip.PART_TAKEN: decision is Decision.NOT_SENT and row["taken"],
        Skip.RECEIPT_WAITS: _key(row) in waiting,
    }
    return next((skip for skip, holds in obstacles.items() if holds), None)


def _settled(row: Record, decision: Decision) -> Settled:
    state, reason = decision.value, Reason.DECIDED
    if decision in (Decision.RESEND, Decision.NOT_SENT):
        state = "queued"
        if row["cancelled"]:  # it never left, and is not to any more
            state, reason = "cancelled", row["cancel_reason"]
    return Settled(row["run_id"], row["no"], row["attempt"], state, reason)


async def sweep_decided(conn: Connection, channel_id: int, now: datetime) -> None:
    """Give parked receipts of a channel to the decided hand-offs that they speak of.

    Only where exactly one fits, or it does not matter which one is (`pair`): one that may as well
    be of a hand-off that is still uncertain is ambiguous.
    So this goes before `sweep_parked`, at the same `now`, and like it by one at a time. Once its
    hand-off has the receipt's reference, the fold ranks the receipt as any other.
    """
    if not await try_lock_fold(conn, channel_id):
        return
    rows = await uncertain_store.parked_with_decided(
        conn, channel_id, now - SETTLE_AFTER, now - store.RECEIPT_WAIT
    )
    adopted, ambiguous = pair(row for row in rows if not row["may_be_other"])
    ambiguous += {row["id"] for row in rows if row["may_be_other"]}
    if adopted:
        await store.adopt(conn, channel_id, adopted, now)
        await store.rematch(conn, channel_id, [row["ref"] for row, _ in adopted])
    if ambiguous:
        await mark_ambiguous(conn, ambiguous)


@dataclass(frozen=True, slots=True)
class UncertainPolicy:
    """Whether texts of a class may be handed off again although they may have left.

    reason, set_by, set_at: of the last change; empty while nothing was ever said.
    """

    message_class: str
    allowed: bool = False
    reason: str = ""
    set_by: uuid.UUID | None = None
    set_at: datetime | None = None


async def list_policies(conn: Connection) -> list[UncertainPolicy]:
    """The policy of each class."""
    said = {
        row["class"]: UncertainPolicy(*row) for row in await uncertain_store.list_policies(conn)
    }
    return [said.get(name, UncertainPolicy(name)) for name in CLASSES]


async def set_policy(
    conn: Connection, message_class: str, *, allowed: bool, by: By
) -> UncertainPolicy:
    """Allow or forbid it for a class from now on; recorded, also if it says nothing new."""
    await uncertain_store.insert_policy(conn, message_class, by, allowed=allowed)
    return UncertainPolicy(message_class, allowed, by.reason, by.user_id, by.at)
