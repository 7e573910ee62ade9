"""What the simulated carrier does with a submit, whatever the protocol it came in.

Order of decisions: rate limit, number, flow control, then acceptance; what is accepted is in the
journal before it is answered, and its receipt is owed until it is acknowledged.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto
from itertools import count
from random import Random

from service.clock import Clock
from service.protocols.cmpp.digest import message_id
from service.protocols.number import to_e164
from service.protocols.session import Session
from service.simulator.config import Account, SimulatorConfig
from service.simulator.fate import Verdict, fates, receipt_delay
from service.simulator.journal import Accepted, Journal
from service.simulator.rate import SlidingSecond
from service.simulator.receipts import Owed, Receipts

SEQUENCE_MASK = 0xFFFF

DUPLICATE_SECONDS = 1.0
"""How long after a receipt its duplicate comes."""


class Refusal(Enum):
    """Why a submit is not accepted; each protocol has its own code for it."""

    TOO_FAST = auto()
    BAD_NUMBER = auto()


@dataclass(frozen=True, slots=True)
class Text:
    """A submitted part, in words that all protocols share."""

    phones: tuple[str, ...]
    sender: str
    number: int
    total: int


class Subscriber:
    """An account: who may log in, how fast it may submit, and the receipts it is owed."""

    def __init__(self, account: Account, tps: int | None, receipts: Receipts) -> None:
        self.name = account.account
        self.secret = account.secret.get_secret_value()
        self.rate = SlidingSecond(tps) if tps else None
        self.receipts = receipts


class SMSC:
    """The carrier behind all protocols' servers."""

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        self.config = config
        self.clock = clock
        self.random = Random(config.seed)  # noqa: S311 - nothing secret: it draws delays and faults
        self.journal = Journal(config.journal)
        self.subscribers = {
            account.account: Subscriber(account, config.tps, Receipts(loop))
            for account in config.accounts
        }
        self.sessions: set[Session] = set()
        self._loop = loop
        self._judge = fates(config.profile, config.seed, config.lane)
        self._refused_once: set[tuple[str, int]] = set()
        self._sequence = count(self.journal.last_id + 1)
        self._second = 0
        self._prefix = 0
        self._resume()

    def submit(self, subscriber: Subscriber, text: Text) -> int | Refusal:
        """Accept a part, giving the id of its first recipient, or say why not."""
        if subscriber.rate and not subscriber.rate.take(self._loop.time(), len(text.phones)):
            return Refusal.TOO_FAST
        phones = [to_e164(phone) for phone in text.phones]
        if not phones or not all(phones):
            return Refusal.BAD_NUMBER
        verdicts = [self._judge(phone) for phone in phones]
        if any(self._refuses(p, text.number, v) for p, v in zip(phones, verdicts, strict=True)):
            return Refusal.TOO_FAST
        ids = [
            self._accept(subscriber, text, phone, verdict)
            for phone, verdict in zip(phones, verdicts, strict=True)
        ]
        return ids[0]

    def acknowledged(self, owed: Owed) -> None:
        """A receipt has arrived: it is owed no longer."""
        if owed.journaled:
            self.journal.acknowledged(owed.id, time.time())

    def next_id(self) -> int:
        """An id never given before, of the world's own time: no calendar may bring it back."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            at = datetime.fromtimestamp(now, UTC)
            self._prefix = message_id(at, self.config.gateway_code, 0)
        return self._prefix | next(self._sequence) & SEQUENCE_MASK

    def swallows(self) -> bool:
        """Whether the answer to an accepted submit is to get lost."""
        return self._happens(self.config.faults.swallow_responses)

    async def hang_up(self) -> None:
        """Cut all connections."""
        await asyncio.gather(*[session.cut("the simulator stops") for session in self.sessions])

    def stop(self) -> None:
        """Send nothing more and close the journal."""
        for subscriber in self.subscribers.values():
            subscriber.receipts.stop()
        self.journal.close()

    def _refuses(self, phone: str, number: int, verdict: Verdict) -> bool:
        """Whether the phone's part is answered as too fast: the first time only."""
        key = phone, number
        if not verdict.throttled or key in self._refused_once:
            return False
        self._refused_once.add(key)
        return True

    def _accept(self, subscriber: Subscriber, text: Text, phone: str, verdict: Verdict) -> int:
        at = time.time()
        delay = min(receipt_delay(self.random), self.config.max_delay_seconds)
        part = Accepted(
            id=self.next_id(),
            account=subscriber.name,
            phone=phone,
            sender=text.sender,
            number=text.number,
            total=text.total,
            fate=verdict.fate,
            stat=verdict.stat,
            at=at,
            due=at + delay if verdict.stat else None,
        )
        self.journal.accepted(part)
        if verdict.stat:
            self._owe(subscriber.receipts, self._owed(part), delay)
        return part.id

    def _owe(self, receipts: Receipts, owed: Owed, delay: float) -> None:
        faults = self.config.faults
        if self._happens(faults.early_receipts):
            receipts.again([owed])
        else:
            receipts.schedule(owed, delay)
        if self._happens(faults.duplicate_receipts):
            receipts.schedule(replace(owed, journaled=False), delay + DUPLICATE_SECONDS)
        if self._happens(faults.unknown_receipts):
            receipts.schedule(replace(owed, id=self.next_id(), journaled=False), delay)

    def _owed(self, part: Accepted) -> Owed:
        return Owed(part.id, part.phone, part.sender, part.stat, self.clock.now())

    def _happens(self, share: float) -> bool:
        return share > 0 and self.random.random() < share

    def _resume(self) -> None:
        """Take up what an earlier run owes."""
        now = time.time()
        for part in self.journal.owed.values():
            subscriber = self.subscribers.get(part.account)
            if subscriber and part.due is not None:
                subscriber.receipts.schedule(self._owed(part), part.due - now)
        self.journal.owed.clear()
