"""Folding receipts into the ledger: the message and state of each, and receipts without a match.

A receipt is matched by channel and carrier's reference, and by the recipient if it names one. A
receipt without a match is parked, since the answer to its submit may not be committed yet: the fold
and the connection that records answers each look again after their own commit, and a sweep looks
again for 72 h. A parked receipt settles an uncertain hand-off only if no other one to the phone is
open on the channel, or if it makes no difference which of several it settles (`pair`).

A receipt that says `buffered` changes no state. Any later receipt replaces `unknown`. Other final
states stay, and a receipt that contradicts one is kept as a conflict. `superseded_receipts` has the
receipts of a hand-off that another one has followed.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.campaigns.audience.follow_up_store import stop_arrived
from service.delivery.receipts import store, superseded_receipts
from service.delivery.receipts.id_forms_store import count_misses
from service.delivery.receipts.parked_store import mark_ambiguous
from service.delivery.receipts.store import ReceiptChange
from service.dispatch.retries import dead_numbers, failure_handling, reroute
from service.dispatch.retries.failure_handling import Failure
from service.ledger.states import FAILED, FINAL_AFTER_HANDOFF, MessageState
from service.queue import WakeChannel
from service.storage.locks import lock_folds, try_lock_fold
from service.storage.postgres import COLLISIONS, Connection, Pool, Record, TooSlow, transaction

log = logging.getLogger(__name__)

BATCH = 1_000
SETTLE_AFTER = timedelta(seconds=2)
"""How old a parked receipt must be before it settles an uncertain hand-off: by then the answer to
any other submit to that phone is committed."""

_NOT_REACHED = FAILED | {MessageState.SUPPRESSED}
_NOT_DELIVERED = FINAL_AFTER_HANDOFF - {MessageState.DELIVERED}


NoteDelays = Callable[[str, Sequence[float]], None]
"""Called with a channel's name and the seconds from the hand-off to each receipt of a batch."""


async def fold_receipts(
    pool: Pool,
    channel_id: int,
    now: datetime,
    wake: WakeChannel | None = None,
    note_delays: NoteDelays | None = None,
) -> int:
    """Fold a channel's inbox until it is empty or another process folds it; returns how many
    receipts were folded.

    A batch begins after the last id of the batch before it, so that PostgreSQL does not scan
    deleted rows that are not vacuumed yet. At the end the fold begins once more at the lowest id,
    for rows that were committed late. A batch that cannot be folded in time is halved.

    Raises:
        TooSlow: not even a single receipt can be folded in time.
    """
    total = after = 0
    size, own = BATCH, False
    while True:
        try:
            taken, channels = await _fold_batch(pool, channel_id, after, size, now, own)
        except COLLISIONS as error:
            log.info("a fold is run again after a collision", extra={"why": str(error)})
            continue
        except TooSlow as error:
            if size == 1:
                raise
            size, own = size // 2, True
            log.warning("fold takes fewer at once", extra={"size": size, "why": str(error)})
            continue
        if wake is not None:
            for channel in channels:
                await wake(channel)
        if note_delays is not None:
            note_delays(taken.channel, taken.delays)
        total += taken.count
        if taken.count < size and not after:
            return total
        after = taken.last if taken.count == size else 0


async def _fold_batch(
    pool: Pool, channel_id: int, after: int, size: int, now: datetime, own: bool
) -> tuple[store.Taken, list[int]]:
    """Fold one batch of what comes after an id; returns it, and the channels that have something to
    hand off now.

    own: whether this fold may still hold its lock, by a connection that was given up: then it is
    waited for.
    """
    async with transaction(pool) as conn:
        if own:
            await lock_folds(conn, [channel_id])
        elif not await try_lock_fold(conn, channel_id):
            return store.Taken(0, 0, [], "", []), []
        taken = await store.take_receipts(conn, channel_id, size, now, after)
        parked, channels = await _fold(conn, taken.rows, now)
        met, missed = taken.count - len(parked), len(parked)
        await count_misses(conn, channel_id, met=met, missed=missed, now=now)
    if runs := _runs_with_late_arrivals(taken.rows):
        async with transaction(pool) as conn:
            await stop_arrived(conn, runs, now)
    if parked:
        async with transaction(pool) as conn:
            await store.rematch(conn, channel_id, parked)
    return taken, channels


async def _fold(
    conn: Connection, rows: Sequence[Record], now: datetime
) -> tuple[list[bytes], list[int]]:
    """Fold one batch; returns the references of those that were parked, and the channels that have
    something to hand off now.
    """
    unmatched = [row for row in rows if row["run_id"] is None]
    final = [row for row in rows if row["run_id"] is not None and row["state"] != "buffered"]
    earlier = [row for row in final if superseded_receipts.is_late(row)]
    final = [row for row in final if not superseded_receipts.is_late(row)]
    single = [row for row in final if row["part_count"] == 1]
    long = [row for row in final if row["part_count"] != 1]
    changes, conflicts = _decide(single)
    if long:
        conflicts += _contradicting(long)
        uncertain = {_key(row) for row in long if row["message_state"] == "uncertain"}
        parts = await store.mark_parts(conn, [(row, row["state"]) for row in long])
        changes += _long_text_changes(parts, uncertain)
    channels: list[int] = []
    if changes:
        arrived = {_key(row) for row in final if row["state"] == "delivered"}
        moved, channels = await _apply(conn, changes, arrived, now)
        conflicts += _receipts_of_moved_messages(single, changes, moved)
        conflicts += _unrequested_failures(long, changes, moved)
    if earlier:
        conflicts += await superseded_receipts.fold(conn, earlier, now)
    delivered = [row for row in (*final, *earlier) if row["state"] == "delivered"]
    await dead_numbers.revive(conn, [_key(row) for row in delivered])
    kept = unmatched + conflicts
    if kept:
        why = ["parked"] * len(unmatched) + ["conflict"] * len(conflicts)
        await store.insert_unmatched(conn, kept, why)
    return [row["ref"] for row in unmatched], channels


def _runs_with_late_arrivals(rows: Iterable[Record]) -> set[uuid.UUID]:
    """The runs with a text that arrived or may have, whole or in part, after the ledger had it as
    failed or suppressed: another run may be sending it again.
    """
    return {
        row["run_id"]
        for row in rows
        if row["message_state"] in _NOT_REACHED and superseded_receipts.may_have_arrived(row)
    }


async def _apply(
    conn: Connection,
    changes: Sequence[ReceiptChange],
    arrived: Container[tuple[uuid.UUID, int]],
    now: datetime,
) -> tuple[set[tuple[uuid.UUID, int]], list[int]]:
    """Apply the changes, and queue failed messages again that may leave again. Returns the messages
    that changed and the channels that have something to hand off now.

    arrived: messages of which a receipt of this batch says that they, or a part of them, are
    delivered. If such a message fails, it is not queued again.
    """
    failures = [
        Failure(c.run_id, c.no, c.state, c.reason, c.certain)
        for c in changes
        if c.state in FAILED and _key(c) not in arrived
    ]
    plan = await failure_handling.prepare(conn, failures, now)
    moved = await store.apply_changes(conn, changes, now)
    second = [_key(change) for change in changes if change.second]
    await reroute.learn(conn, [key for key in second if key in moved], now)
    return moved, await failure_handling.follow(conn, plan, now, moved)


def _key(row: Record | ReceiptChange) -> tuple[uuid.UUID, int]:
    if isinstance(row, ReceiptChange):
        return row.run_id, row.no
    return row["run_id"], row["no"]


def _decide(rows: Iterable[Record]) -> tuple[list[ReceiptChange], list[Record]]:
    """The changes that receipts of one-part messages make, and receipts that contradict a state."""
    changes: dict[tuple[uuid.UUID, int], ReceiptChange] = {}
    conflicts = []
    for row in rows:
        key = _key(row)
        standing = changes[key].state if key in changes else row["message_state"]
        if standing in ("submitted", "uncertain", "unknown", "submitting"):
            changes[key] = _change(row)
        elif standing != row["state"]:
            conflicts.append(row)
    return list(changes.values()), conflicts


def _contradicting(rows: Iterable[Record]) -> list[Record]:
    """Receipts that contradict the final state of their part; `unknown` is no such state."""
    standing: dict[tuple[uuid.UUID, int, int], str | None] = {}
    conflicts = []
    for row in rows:
        part = (row["run_id"], row["no"], row["part"])
        known = standing.setdefault(part, row["part_state"])
        if known in (None, "unknown"):
            standing[part] = row["state"]
        elif known != row["state"]:
            conflicts.append(row)
    return conflicts


def _receipts_of_moved_messages(
    rows: Iterable[Record], changes: Iterable[ReceiptChange], moved: set[tuple[uuid.UUID, int]]
) -> list[Record]:
    """Receipts whose message had moved on meanwhile: they are kept, not dropped (I10)."""
    missed = {_key(change) for change in changes} - moved
    return [row for row in rows if _key(row) in missed]


def _unrequested_failures(
    rows: Iterable[Record], changes: Iterable[ReceiptChange], moved: set[tuple[uuid.UUID, int]]
) -> list[Record]:
    """Receipts that were not requested and say that a part failed, although the last part's receipt
    has made the text `delivered`.
    """
    missed = {_key(change) for change in changes if change.state in _NOT_DELIVERED} - moved
    return [
        row
        for row in rows
        if _key(row) in missed
        and row["message_state"] == "delivered"
        and row["state"] in _NOT_DELIVERED
        and row["part_state"] is None
    ]


def _change(row: Record, *, certain: bool = True) -> ReceiptChange:
    return ReceiptChange(
        row["run_id"],
        row["no"],
        row["state"],
        row["reason"] or None,
        row["code"],
        row["attempt"],
        row["first_channel_id"] is not None,
        certain,
    )


def _long_text_changes(
    rows: Iterable[Record], uncertain: Container[tuple[uuid.UUID, int]]
) -> list[ReceiptChange]:
    """The changes that the states of their parts make to long texts.

    A text of which a part failed has failed, whatever is known of the other parts: it did not
    arrive whole. It takes the state of the first part that failed, in the order of the parts. Else
    it is `unknown` if a part is. It is delivered when all parts are, or, where only the last part's
    receipt is requested, when the last part is. So the order in which receipts come does not
    matter, since `unknown` yields to every other state.

    uncertain: the texts of which a part may have left without an answer.
    """
    messages: dict[tuple[uuid.UUID, int], list[Record]] = defaultdict(list)
    for row in rows:
        messages[_key(row)].append(row)
    changes = []
    for key, of_text in messages.items():
        parts = sorted(of_text, key=lambda part: part["part"])
        failed = [part for part in parts if part["state"] in FAILED]
        unknown = [part for part in parts if part["state"] == "unknown"]
        delivered = {part["ref"] for part in parts if part["state"] == "delivered"}
        if failed:
            whole = len({part["part"] for part in failed}) == parts[0]["part_count"]
            changes.append(_change(failed[0], certain=whole or key not in uncertain))
        elif unknown:
            changes.append(_change(unknown[0]))
        elif len(delivered) == parts[0]["part_count"] or any(map(_stands_for_all, parts)):
            changes.append(_change(next(part for part in parts if part["state"] == "delivered")))
    return changes


def _stands_for_all(part: Record) -> bool:
    last: bool = part["last_only"] and part["part"] == part["part_count"]
    return last and part["state"] == "delivered"


async def rematch_answered(conn: Connection, channel_id: int, refs: Sequence[bytes]) -> None:
    """Fold parked receipts with these references again, once their answers are committed."""
    if refs:
        await store.rematch(conn, channel_id, refs)


async def sweep_parked(conn: Connection, channel_id: int, now: datetime) -> None:
    """Look again at a channel's parked receipts, and let them settle uncertain hand-offs.

    One process at a time does this, under the lock of the fold: two sweeps must not adopt a
    reference twice.
    """
    if not await try_lock_fold(conn, channel_id):
        return
    await store.rematch(conn, channel_id, None)
    pairings = await store.parked_for_uncertain(
        conn, channel_id, now - SETTLE_AFTER, now - store.RECEIPT_WAIT
    )
    adopted, ambiguous = pair(pairings)
    if adopted:
        await store.adopt(conn, channel_id, adopted, now)
        await store.rematch(conn, channel_id, [row["ref"] for row, _ in adopted])
    if ambiguous:
        await mark_ambiguous(conn, ambiguous)


def pair(pairings: Iterable[Record]) -> tuple[list[tuple[Record, int]], list[int]]:
    """Pair receipts with uncertain hand-offs: returns (row, part) for each pair, and the ids of the
    receipts that fit more than one hand-off, or for which no part without a reference is left.

    Several hand-offs to one phone are settled together if as many receipts wait as they have parts
    without a reference, and all these receipts say the same: then every pairing gives the same
    result. They are not if only the last part's receipt was requested, since a carrier may send
    the receipts of the other parts anyway.
    """
    by_receipt: dict[int, list[Record]] = defaultdict(list)
    for row in pairings:
        by_receipt[row["id"]].append(row)
    pairs = _ReceiptPairs()
    several: dict[frozenset[tuple[uuid.UUID, int, int]], list[list[Record]]] = defaultdict(list)
    for rows in by_receipt.values():
        if len(rows) == 1:
            pairs.take(rows[0])
        else:
            several[frozenset((r["run_id"], r["no"], r["attempt"]) for r in rows)].append(rows)
    for alike in several.values():
        pairs.take_alike(alike)
    return pairs.adopted, pairs.ambiguous


@dataclass
class _ReceiptPairs:
    """Receipts that were given to hand-offs, and receipts that fit none for certain."""

    adopted: list[tuple[Record, int]] = field(default_factory=list)
    ambiguous: list[int] = field(default_factory=list)
    _new: dict[tuple[uuid.UUID, int], dict[bytes, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def take(self, row: Record) -> None:
        """Give a receipt to the one hand-off that it fits."""
        refs = self._new[_key(row)]
        if row["ref"] in refs:
            return  # a duplicate of one just adopted; the rematch takes it along
        free = _parts_without_reference(row, refs.values())
        if not free:
            self.ambiguous.append(row["id"])
            return
        refs[row["ref"]] = free[0]
        self.adopted.append((row, free[0]))

    def take_alike(self, receipts: Sequence[list[Record]]) -> None:
        """Pair receipts that all fit the same hand-offs, if every pairing has the same result."""
        final = {rows[0]["ref"]: rows for rows in receipts if rows[0]["state"] != "buffered"}
        said = {
            (row["state"], row["reason"], row["code"])
            for row, *_ in receipts
            if row["state"] != "buffered"
        }
        free = [
            (at, part)
            for at, row in enumerate(receipts[0])
            for part in _parts_without_reference(row, self._new[_key(row)].values())
        ]
        unasked = any(row["last_only"] and row["part_count"] > 1 for row in receipts[0])
        if len(said) != 1 or len(final) != len(free) or unasked:
            self.ambiguous += [rows[0]["id"] for rows in receipts]
            return
        for rows, (at, part) in zip(final.values(), free, strict=True):
            self._new[_key(rows[at])][rows[at]["ref"]] = part
            self.adopted.append((rows[at], part))


def _parts_without_reference(row: Record, adopted: Iterable[int]) -> list[int]:
    """The parts of an uncertain hand-off that a receipt may stand for: those without a reference,
    or the last, if only its report was asked for.
    """
    count: int = row["part_count"]
    asked = [count] if row["last_only"] else range(1, count + 1)
    taken = {*row["known"], *adopted}
    return [part for part in asked if part not in taken]
