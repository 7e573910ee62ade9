"""An account of a simulated carrier: what it may do, what it did, and what it is owed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.coding.parts import Coding
from service.simulator.carrier.config import Account
from service.simulator.carrier.ids import Ids
from service.simulator.carrier.rate import SlidingSecond
from service.simulator.carrier.receipts import CarrierItem, Owed, ReceiptQueue

DAY_SECONDS = 86_400
BEIJING_SECONDS = 8 * 3600
"""How far Beijing is ahead of UTC, all year round."""


class LoginRefusal(StrEnum):
    """Why a login is not accepted; each protocol has its own code for it."""

    UNKNOWN_ACCOUNT = "unknown_account"
    WRONG_SECRET = "wrong_secret"  # noqa: S105  # the name of a refusal
    TOO_MANY_CONNECTIONS = "too_many_connections"


class SubmitRefusal(StrEnum):
    """Why a submit is not accepted; each protocol has its own code for it."""

    TOO_FAST = "too_fast"
    BAD_NUMBER = "bad_number"
    TOO_LONG = "too_long"
    DAILY_LIMIT = "daily_limit"
    BARRED = "barred"


class ReceiptRequest(StrEnum):
    """Which receipts a submit asks for."""

    ALL = "all"
    FAILURES = "failures"
    NONE = "none"


@dataclass(slots=True)
class SubmittedPart:
    """A submitted part, in words that all protocols share.

    phones: as they came. body: the encoded characters without a header; coding: None if nobody
    knows it. reference: the ids where they are the client's own and not ours. fits: whether the
    content is no longer than the protocol allows. callback: where its statuses are to be posted.
    """

    phones: Sequence[str]
    sender: str
    number: int
    total: int
    body: bytes
    coding: Coding | None
    asked: ReceiptRequest = ReceiptRequest.ALL
    reference: bytes | None = None
    fits: bool = True
    callback: str = ""


@dataclass(slots=True)
class Tally:
    """What was counted for an account since the start."""

    logins: int = 0
    logins_refused: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    swallowed: int = 0
    receipts_sent: int = 0
    receipts_acknowledged: int = 0
    replies_sent: int = 0
    replies_acknowledged: int = 0

    def sent(self, item: CarrierItem) -> None:
        """Count what went out."""
        if isinstance(item, Owed):
            self.receipts_sent += 1
        else:
            self.replies_sent += 1

    def acknowledged(self, item: CarrierItem) -> None:
        """Count what arrived."""
        if isinstance(item, Owed):
            self.receipts_acknowledged += 1
        else:
            self.replies_acknowledged += 1


class Subscriber:
    """An account as one protocol sees it. links: its connections that are logged in to submit."""

    def __init__(self, protocol: str, account: Account, ids: Ids, receipts: ReceiptQueue) -> None:
        self.protocol = protocol
        self.name = account.account
        self.secret = account.secret.get_secret_value()
        self.account = account
        self.ids = ids
        self.receipts = receipts
        self.links: list[object] = []
        self.tally = Tally()
        self._tps: int | None = None
        self._rate: SlidingSecond | None = None
        self._day = 0
        self._used = 0

    def limit(self, tps: int | None) -> None:
        """Allow so many submits a second from here on; None: any."""
        if tps != self._tps:
            self._tps = tps
            self._rate = SlidingSecond(tps) if tps else None

    def keeps_pace(self, now: float, units: int) -> bool:
        """Whether so many submits at this time of the loop are not too fast."""
        return self._rate is None or self._rate.take(now, units)

    def used_today(self, now: datetime) -> int:
        """How many recipients were accepted this day, Beijing's."""
        day = int(now.timestamp() + BEIJING_SECONDS) // DAY_SECONDS
        if day != self._day:
            self._day, self._used = day, 0
        return self._used

    def use(self, units: int) -> None:
        """Count accepted recipients."""
        self._used += units
        self.tally.accepted += units

    def stats(self) -> dict[str, Any]:
        """What was counted, for people."""
        return {
            "protocol": self.protocol,
            "account": self.name,
            "connections": len(self.links),
            "receipt_connections": len(self.receipts.links),
            "receipts_waiting": len(self.receipts),
            **{counted.name: getattr(self.tally, counted.name) for counted in fields(Tally)},
        }
