"""What the simulated carrier does with a submit, whatever the protocol it came in.

Order of decisions: length, account, pace, number, amount of the day, flow control, then acceptance;
what is accepted is in the journal before it is answered, and its receipt is owed until it is
acknowledged.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import Protocol

from service.clock import Clock
from service.coding.parts import Coding, decode
from service.protocols.number import to_e164
from service.simulator.carrier.config import Faults, SimulatorConfig
from service.simulator.carrier.ids import Ids, Numbers
from service.simulator.carrier.journal import Accepted, Journal
from service.simulator.carrier.outcomes import PhoneFate, fates, receipt_delay
from service.simulator.carrier.receipts import CarrierItem, Owed, ReceiptQueue
from service.simulator.carrier.subscriber import (
    ReceiptRequest,
    SubmitRefusal,
    SubmittedPart,
    Subscriber,
)

DUPLICATE_SECONDS = 1.0
"""How long after a receipt its duplicate comes."""

DIGEST_OCTETS = 8
KEPT_TEXTS = 256


class Connection(Protocol):
    """A connection of an SP, as far as faults and the end concern it."""

    subscriber: Subscriber | None

    def faults_changed(self) -> None:
        """Behave as the faults of now ask."""

    def abort(self, reason: str) -> None:
        """Cut the connection."""

    async def cut(self, reason: str) -> None:
        """Cut the connection and wait until it is gone."""


class SMSC:
    """The carrier behind all protocols' servers. subscribers: by protocol and account."""

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.random = Random(config.seed)  # noqa: S311 - nothing secret: it draws delays and faults
        self.journal = Journal(config.journal)
        self.sessions: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._judge = fates(config.profile, config.seed, config.lane)
        self._refused_once: set[tuple[str, int]] = set()
        self._numbers = Numbers(self.journal.last_sequence)
        self.subscribers = {
            (protocol, account.account): Subscriber(
                protocol,
                account,
                Ids(protocol, config.gateway_code, self._numbers),
                ReceiptQueue(self._loop),
            )
            for protocol in config.protocols
            for account in config.accounts
        }
        self.set_faults(config.faults)
        self._resume()

    def set_faults(self, faults: Faults) -> None:
        """Let these go wrong from here on."""
        self.faults = faults
        for subscriber in self.subscribers.values():
            subscriber.limit(faults.tps_ceiling or self.config.tps)
        for session in list(self.sessions):
            session.faults_changed()

    def submit(self, subscriber: Subscriber, text: SubmittedPart) -> list[bytes] | SubmitRefusal:
        """Accept a part, giving an id for each recipient, or say why none is taken."""
        phones = [to_e164(phone) for phone in text.phones]
        now = self.clock.now()
        refusal = self._refusal(subscriber, phones, now, fits=text.fits)
        if refusal is None:
            verdicts = [self._judge(phone) for phone in phones]
            if any(self._refuses(p, text.number, v) for p, v in zip(phones, verdicts, strict=True)):
                refusal = SubmitRefusal.TOO_FAST
        if refusal is not None:
            subscriber.tally.refused[refusal] += 1
            return refusal
        own = text.reference
        ids = subscriber.ids.take(len(phones)) if own is None else [own] * len(phones)
        subscriber.use(len(phones))
        self._accept(subscriber, text, ids, list(zip(phones, verdicts, strict=True)), now)
        return ids

    def acknowledged(self, subscriber: Subscriber, item: CarrierItem) -> None:
        """A receipt or a reply has arrived: it is owed no longer."""
        subscriber.tally.acknowledged(item)
        if isinstance(item, Owed) and item.journaled:
            self.journal.acknowledged(item.id, time.time(), item.phone if item.shared else "")

    def happens(self, share: float) -> bool:
        """Draw whether something that happens to such a share happens now."""
        return share > 0 and self.random.random() < share

    def disconnect(self, account: str | None = None) -> int:
        """Cut all connections, or those of an account; says how many."""
        chosen = [
            session
            for session in self.sessions
            if account is None or (session.subscriber and session.subscriber.name == account)
        ]
        for session in chosen:
            session.abort("cut on demand")
        return len(chosen)

    async def hang_up(self) -> None:
        """Cut all connections."""
        await asyncio.gather(*[session.cut("the simulator stops") for session in self.sessions])

    def stop(self) -> None:
        """Send nothing more and close the journal."""
        for subscriber in self.subscribers.values():
            subscriber.receipts.stop()
        self.journal.close()

    def _refusal(
        self, subscriber: Subscriber, phones: Sequence[str], now: datetime, *, fits: bool
    ) -> SubmitRefusal | None:
        faults = self.faults
        if not fits:
            return SubmitRefusal.TOO_LONG
        if subscriber.name in faults.barred_accounts:
            return SubmitRefusal.BARRED
        keeps_pace = subscriber.keeps_pace(self._loop.time(), len(phones))
        if not keeps_pace or self.happens(faults.too_fast):
            return SubmitRefusal.TOO_FAST
        if not phones or not all(phones):
            return SubmitRefusal.BAD_NUMBER
        # The day turns whether or not there is a limit now.
        used = subscriber.used_today(now)
        if faults.daily_limit is not None and used + len(phones) > faults.daily_limit:
            return SubmitRefusal.DAILY_LIMIT
        return None

    def _refuses(self, phone: str, number: int, verdict: PhoneFate) -> bool:
        """Whether the phone's part is answered as too fast: the first time only."""
        key = phone, number
        if not verdict.throttled or key in self._refused_once:
            return False
        self._refused_once.add(key)
        return True

    def _accept(
        self,
        subscriber: Subscriber,
        text: SubmittedPart,
        ids: Sequence[bytes],
        recipients: Sequence[tuple[str, PhoneFate]],
        now: datetime,
    ) -> None:
        at = time.time()
        # The characters are for the journal alone.
        words, digest = _read(text.body, text.coding) if self.journal.path else ("", "")
        shared = text.reference is not None and len(ids) > 1
        for message_id, (phone, verdict) in zip(ids, recipients, strict=True):
            part = Accepted(
                id=message_id,
                account=subscriber.name,
                phone=phone,
                sender=text.sender,
                number=text.number,
                total=text.total,
                fate=verdict.fate,
                stat=verdict.stat,
                at=at,
                due=self._due(text.asked, verdict, at),
                protocol=subscriber.protocol,
                sequence=self._numbers.last,
                digest=digest,
                text=words if self.config.journal_texts else "",
                shared=shared,
                callback=text.callback,
            )
            self.journal.accepted(part)
            if part.due is not None:
                self._owe(subscriber, _owed(part, now), part.due - at)

    def _due(self, asked: ReceiptRequest, verdict: PhoneFate, at: float) -> float | None:
        """When the receipt is to be sent; None if there is none, or none was asked for."""
        delay = min(receipt_delay(self.random), self.config.max_delay_seconds)
        failed = verdict.fate != "delivered"
        wanted = asked is ReceiptRequest.ALL or (asked is ReceiptRequest.FAILURES and failed)
        return at + delay if verdict.stat and wanted else None

    def _owe(self, subscriber: Subscriber, owed: Owed, delay: float) -> None:
        faults, receipts = self.faults, subscriber.receipts
        if self.happens(faults.early_receipts):
            receipts.again([owed])
        else:
            receipts.schedule(owed, delay)
        if self.happens(faults.duplicate_receipts):
            receipts.schedule(replace(owed, journaled=False), delay + DUPLICATE_SECONDS)
        if self.happens(faults.unknown_receipts):
            (unknown,) = subscriber.ids.take()
            receipts.schedule(replace(owed, id=unknown, journaled=False), delay)

    def _resume(self) -> None:
        """Take up what an earlier run owes."""
        now = time.time()
        for part in self.journal.owed.values():
            subscriber = self.subscribers.get((part.protocol, part.account))
            if subscriber and part.due is not None:
                subscriber.receipts.schedule(_owed(part, self.clock.now()), part.due - now)
        self.journal.owed.clear()


def _owed(part: Accepted, submitted_at: datetime) -> Owed:
    return Owed(
        part.id,
        part.phone,
        part.sender,
        part.fate,
        part.stat,
        submitted_at,
        shared=part.shared,
        callback=part.callback,
    )


@lru_cache(maxsize=KEPT_TEXTS)
def _read(body: bytes, coding: Coding | None) -> tuple[str, str]:
    """The characters of a body and their digest; a broadcast says the same to everybody."""
    words = decode(body, coding) if coding else body.hex()
    return words, blake2b(words.encode(), digest_size=DIGEST_OCTETS).hexdigest() if words else ""
