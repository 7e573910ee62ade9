"""Texts from handsets: joined, matched, understood, and acted upon, in one transaction a batch.

A text belongs to the last message that was handed off to that phone on that channel, and so to its
campaign and department; one to the extension number of a department is for that department, and
belongs to the last of its messages. What it means is decided in `keywords`. An opt-out stops
publicity to that number at once, unless its sender is one of many to whom we sent nothing
(`strays`); and in reply to a work notice also the notices of that one department, if it lets them
end so. That is done under the same lock as a suppression that a person enters: once it is
committed, nothing to that number is marked as leaving any more (invariant I7). What no rule may
decide waits for a person of the department, and a clue for one of the police.

Whatever is committed is whole: a process that dies in between leaves the arrivals unread, and the
next one reads them again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people.model import User
from service.channels.config.extension import behind
from service.channels.config.extension_store import Owner, owners_of
from service.channels.config.store import readable_channels
from service.crypto import Keyring, Undecipherable
from service.delivery.inbound import inbound_store as store
from service.delivery.inbound import replies_store
from service.delivery.inbound.inbound_routing import Addressed, InboundState, route
from service.delivery.inbound.inbound_store import NewText
from service.delivery.inbound.keywords import InboundKind, TextMeaning, read
from service.delivery.inbound.reassembly import REPEATED_WITHIN, Arrival, Joiner, Whole
from service.delivery.inbound.replies_store import SenderStop
from service.delivery.inbound.strays import BOUNDS, StrayBounds, hold_strays
from service.errors import Conflict, NotFound
from service.storage.locks import lock_suppressions, try_lock_reader
from service.storage.postgres import COLLISIONS, Connection, Pool, Record, transaction
from service.words.phrase import phrase
from service.words.terms import term

log = logging.getLogger(__name__)

BATCH = 500
PARTS_WAIT = timedelta(hours=24)
"""How long the parts of a text wait for the rest of it."""

ANSWERS_WITHIN = timedelta(days=30)
"""How long after a message a text from its recipient is taken for an answer to it."""

BY_WORD = "replied with an opt-out word"
BY_PERSON = "asked for it in a text that a person read"


MOVES: dict[InboundState, frozenset[InboundState]] = {
    InboundState.NEW: frozenset({InboundState.TAKEN}),
    InboundState.TAKEN: frozenset({InboundState.DONE}),
    InboundState.DONE: frozenset(),
}
"""The moves that people make."""


def _before(state: InboundState) -> list[str]:
    return [before.value for before, after in MOVES.items() if state in after]


async def waits(conn: Connection, now: datetime) -> bool:
    """Whether there is something to read."""
    return await store.work_waits(conn, now - PARTS_WAIT)


async def read_inbound(
    pool: Pool, keyring: Keyring, now: datetime, *, bounds: StrayBounds = BOUNDS
) -> int:
    """Read what arrived until nothing is left or another reader is at it; returns how much.

    bounds: how many opt-outs of people who had no text from us count without a person's word.
    """
    total = 0
    while True:
        try:
            done = await _read_batch(pool, keyring, now, bounds)
        except COLLISIONS as error:
            log.info("texts are read again", extra={"why": str(error)})
            continue
        total += done
        if done < BATCH:
            return total


async def _read_batch(pool: Pool, keyring: Keyring, now: datetime, bounds: StrayBounds) -> int:
    async with transaction(pool) as conn:
        if not await try_lock_reader(conn):
            return 0
        rows = await store.new_arrivals(conn, BATCH)
        # Only once all is read: a part further back in the queue may have come in time.
        given_up = now - PARTS_WAIT if len(rows) < BATCH else None
        overdue = await store.overdue_parts(conn, given_up, BATCH) if given_up else []
        if not rows and not overdue:
            return 0
        parts = [row for row in rows if row["part_count"] > 1]
        earlier = await store.other_parts(conn, parts, REPEATED_WITHIN) if parts else []
        known = {row["id"]: row for row in (*earlier, *overdue)}
        ids = iter(await store.new_ids(conn, len(rows) + len(known)))
        reading = _InboundBatch(keyring, Joiner(ids))
        reading.join(rows, list(known.values()), given_up)
        await reading.act(conn, now, bounds)
    reading.report()
    return len(rows) + len({_key(row) for row in overdue})


def _key(row: Record) -> tuple[bytes, str, int, int]:
    return row["sender_hash"], row["recipient"], row["reference"], row["part_count"]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A whole text that may have come before, read."""

    whole: Whole
    first: Arrival
    text: str
    digest: bytes
    meaning: TextMeaning


class _InboundBatch:
    """One batch on its way from arrivals to what they cause."""

    def __init__(self, keyring: Keyring, joiner: Joiner) -> None:
        self._keyring = keyring
        self._joiner = joiner
        self._arrived: list[int] = []
        self._unreadable: list[int] = []
        self._same: dict[UUID, UUID] = {}
        self._texts: list[NewText] = []

    def join(
        self, rows: Sequence[Record], earlier: Sequence[Record], given_up: datetime | None
    ) -> None:
        self._joiner.remember(part for part in map(self._open, earlier) if part is not None)
        for row in rows:
            self._arrived.append(row["id"])
            arrival = self._open(row)
            if arrival is not None:
                self._joiner.take(arrival)
        if given_up is not None:
            self._joiner.give_up(given_up)

    def _open(self, row: Record) -> Arrival | None:
        try:
            text = self._keyring.decrypt("inbound", row["text_cipher"])
        except Undecipherable:
            if row["text_id"] is None:
                self._unreadable.append(row["id"])
            return None
        return Arrival(
            id=row["id"],
            channel_id=row["channel_id"],
            sender_hash=row["sender_hash"],
            sender_cipher=row["sender_cipher"],
            recipient=row["recipient"],
            text=text,
            reference=row["reference"],
            number=row["part"],
            total=row["part_count"],
            received_at=row["received_at"],
            text_id=row["text_id"],
        )

    async def act(self, conn: Connection, now: datetime, bounds: StrayBounds) -> None:
        """Write the texts and all that they cause; the lock that others wait for comes last."""
        new, stops = await self._tell_copies(conn)
        called = await self._called(conn, new)
        answered = await store.last_messages(
            conn,
            [
                (
                    candidate.first.channel_id,
                    candidate.first.sender_hash,
                    candidate.whole.received_at,
                    whose.department_id if whose else None,
                )
                for candidate, (_, whose) in zip(new, called, strict=True)
            ],
            ANSWERS_WITHIN,
        )
        police = await store.police_department(conn)
        for place, (candidate, (digits, whose)) in enumerate(zip(new, called, strict=True)):
            to = Addressed(answered.get(place), whose, digits if whose else None)
            self._texts.append(self._placed(candidate, to, police))
        await store.insert_texts(conn, self._texts)
        await store.count_copies(conn, list(self._same.values()))
        await store.settle_arrivals(conn, self._fates())
        clues = [text.id for text in self._texts if text.kind == InboundKind.CLUE]
        if clues:
            await replies_store.owe_receipt(conn, clues, now)
        questions = [text.id for text in self._texts if text.kind == InboundKind.CHECK]
        if questions:
            await replies_store.owe_answer(conn, questions, now)
        held = await hold_strays(conn, self._texts, bounds, now)
        stops += [
            SenderStop(t.sender_hash, t.id, t.answered.notices_of if t.answered else None)
            for t in self._texts
            if t.kind == InboundKind.OPT_OUT and t.id not in held
        ]
        if stops:
            await replies_store.suppress_senders(conn, stops, note=BY_WORD, user_id=None, now=now)
            await lock_suppressions(conn)

    async def _called(
        self, conn: Connection, texts: Sequence[_Candidate]
    ) -> list[tuple[str, Owner | None]]:
        """For each text the digits behind the channel's number, and whose they are, if at all."""
        if not texts:
            return []
        channels = {c.id: c for c in await readable_channels(conn, self._keyring)}
        digits = []
        for first in (text.first for text in texts):
            channel = channels.get(first.channel_id)
            digits.append(behind(channel, first.recipient) if channel else "")
        owners = await owners_of(conn, set(digits) - {""})
        return [(each, owners.get(each)) for each in digits]

    async def _tell_copies(self, conn: Connection) -> tuple[list[_Candidate], list[SenderStop]]:
        """The texts that did not come before, and what the opt-outs that did stop.

        An opt-out that comes again stops again: twice costs nothing, and if the suppression was
        lifted in between, a copy cannot be told from a second thought. The copy of one that is held
        waits with it.
        """
        candidates = [self._candidate(whole) for whole in self._joiner.wholes]
        if not candidates:
            return [], []
        digests = [candidate.digest for candidate in candidates]
        since = min(c.whole.received_at for c in candidates) - REPEATED_WITHIN
        seen: dict[bytes, tuple[UUID, datetime, UUID | None, bool]] = {
            row["digest"]: (row["id"], row["received_at"], row["notices_of"], row["held"])
            for row in await store.texts_like(conn, digests, since)
        }
        new, stops = [], []
        for candidate in candidates:
            whole = candidate.whole
            first = seen.get(candidate.digest)
            if first is None or whole.received_at - first[1] > REPEATED_WITHIN:
                seen[candidate.digest] = whole.id, whole.received_at, None, True
                new.append(candidate)
                continue
            self._same[whole.id] = first[0]
            if candidate.meaning.kind is InboundKind.OPT_OUT and not first[3]:
                stops.append(SenderStop(candidate.first.sender_hash, first[0], first[2]))
        return new, stops

    def _candidate(self, whole: Whole) -> _Candidate:
        first, text = whole.first, whole.text
        value = "\0".join((first.sender_hash.hex(), first.recipient, text))
        meaning = read(text, whole=not whole.missing)
        return _Candidate(whole, first, text, self._keyring.index("inbound", value), meaning)

    def _placed(self, candidate: _Candidate, to: Addressed, police: UUID | None) -> NewText:
        whole, first, meaning = candidate.whole, candidate.first, candidate.meaning
        place = route(meaning, to, police)
        return NewText(
            id=whole.id,
            channel_id=first.channel_id,
            sender_hash=first.sender_hash,
            sender_cipher=first.sender_cipher,
            recipient=first.recipient,
            text_cipher=self._keyring.encrypt("inbound", candidate.text),
            digest=candidate.digest,
            missing=whole.missing,
            received_at=whole.received_at,
            kind=meaning.kind,
            answer=meaning.answer,
            answered=to.answered,
            department_id=place.department_id,
            state=place.state,
            extension=to.extension,
        )

    def _fates(self) -> list[tuple[int, str, UUID | None]]:
        """What became of each arrival of this batch, and of earlier ones that are joined now."""
        fates: dict[int, tuple[str, UUID | None]] = dict.fromkeys(self._arrived, ("waiting", None))
        fates.update(dict.fromkeys(self._unreadable, ("unreadable", None)))
        for whole in self._joiner.wholes:
            same = self._same.get(whole.id)
            state = "joined" if same is None else "duplicate"
            for part in whole.parts.values():
                fates[part.id] = state, same or whole.id
        for arrival, text_id in self._joiner.copies:
            fates[arrival.id] = "duplicate", self._same.get(text_id, text_id) if text_id else None
        return [(arrival, *fate) for arrival, fate in fates.items()]

    def report(self) -> None:
        """Say how much was read, once it is committed; never what or from whom."""
        if self._unreadable:
            log.error("texts cannot be deciphered", extra={"ids": self._unreadable})
        log.info(
            "texts read",
            extra={
                "arrivals": len(self._arrived),
                "texts": len(self._texts),
                "copies": len(self._same) + len(self._joiner.copies),
            },
        )


async def visible(conn: Connection, user: User, text_id: UUID) -> Record:
    """A text that exists for the user.

    Raises:
        NotFound: there is none of this id, or it is another department's.
    """
    row = await store.get_text(conn, text_id, user.scope)
    if row is None:
        raise NotFound(phrase("there is no text {text_id}", text_id=text_id))
    return row


async def take(conn: Connection, user: User, text_id: UUID, now: datetime) -> Record:
    """Take a text to work it off.

    Raises:
        NotFound: as `visible`.
        Conflict: somebody has it already, or it is done.
    """
    await visible(conn, user, text_id)
    if not await store.take_text(conn, text_id, _before(InboundState.TAKEN), user.id, now):
        row = await visible(conn, user, text_id)
        raise Conflict(
            phrase("this text is {state}; only a new one can be taken", state=term(row["state"]))
        )
    return await visible(conn, user, text_id)


@dataclass(frozen=True, slots=True)
class InboundOutcome:
    """What a person made of a text: a note, encrypted, and whether the sender wants no more."""

    note_cipher: bytes | None
    opt_out: bool


async def finish(
    conn: Connection, user: User, text_id: UUID, outcome: InboundOutcome, now: datetime
) -> Record:
    """Close a text that was taken; with `opt_out`, stop publicity to its sender in the same act,
    and the work notices of the department as well if it answers one of them: it has decided.

    Raises:
        NotFound: as `visible`.
        Conflict: nobody has taken it, or it is done.
    """
    row = await visible(conn, user, text_id)
    finished = await store.finish_text(
        conn,
        text_id,
        _before(InboundState.DONE),
        user_id=user.id,
        note_cipher=outcome.note_cipher,
        now=now,
    )
    if not finished:
        row = await visible(conn, user, text_id)
        advice = (
            phrase("take it first")
            if row["state"] == InboundState.NEW
            else phrase("nothing is left to do")
        )
        raise Conflict(
            phrase("this text is {state}: {advice}", state=term(row["state"]), advice=advice)
        )
    if outcome.opt_out:
        own = row["notice_of"] is not None and row["notice_of"] == row["department_id"]
        stop = SenderStop(row["sender_hash"], text_id, row["notice_of"] if own else None)
        await replies_store.suppress_senders(conn, [stop], note=BY_PERSON, user_id=user.id, now=now)
        await lock_suppressions(conn)
    return await visible(conn, user, text_id)
