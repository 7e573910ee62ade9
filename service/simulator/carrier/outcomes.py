"""What becomes of a phone's texts, and when its receipt comes.

A phone's outcome is a hash of the seed, the name of the channel and the phone, so every run and
every part agree on it. Flow control is no outcome but an answer: such a phone is refused once as
too fast, then drawn again. The shares are plausible, not measured: no carrier publishes its mix.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import accumulate
from random import Random

FLOW_CONTROL = "flow_control"


@dataclass(frozen=True, slots=True)
class ReceiptOutcome:
    """An outcome: its name and the statuses its receipts may carry; none means no receipt."""

    name: str
    stats: tuple[str, ...]


_FATES = (
    ReceiptOutcome("delivered", ("DELIVRD",)),
    ReceiptOutcome("powered_off", ("EXPIRED", "MI:0024", "MK:0010")),
    ReceiptOutcome("suspended", ("MK:0005", "MK:0013")),
    ReceiptOutcome("empty_number", ("MK:0001",)),
    ReceiptOutcome("blacklisted", ("DB:0144", "MBBLACK", "TDBLACK")),
    ReceiptOutcome("memory_full", ("MI:0099", "MI:0208", "NE:0103")),
    ReceiptOutcome("ported", ("NP:1243", "MB:1049")),
    ReceiptOutcome("content_filter", ("MK:0115", "KEYWORD", "CR:0200")),
    ReceiptOutcome("frequency_limit", ("DB:0142", "CR:0202")),
    ReceiptOutcome(FLOW_CONTROL, ()),
    ReceiptOutcome("no_receipt", ()),
)

# Per cent, in the order of _FATES.
PROFILES = {
    "carrier": (96.4, 1.6, 0.8, 0.1, 0.3, 0.3, 0.0, 0.05, 0.05, 0.2, 0.2),
    "roster": (90.5, 2.4, 2.2, 2.6, 0.6, 0.4, 0.5, 0.1, 0.1, 0.2, 0.4),
    "stale": (71.0, 4.0, 7.0, 14.0, 1.2, 0.5, 0.8, 0.1, 0.2, 0.2, 1.0),
}


@dataclass(frozen=True, slots=True)
class PhoneFate:
    """A phone's fate. stat: what its receipt says, "" for none. throttled: refused once first."""

    fate: str
    stat: str
    throttled: bool


@cache
def _verdict(fate: str, stat: str, throttled: bool) -> PhoneFate:
    """There are some forty of them, and one is asked for with every submit."""
    return PhoneFate(fate, stat, throttled)


def fates(profile: str, seed: int, channel: str) -> Callable[[str], PhoneFate]:
    """The fate of any phone, in E.164 form, under a profile."""
    bounds = list(accumulate(PROFILES[profile]))
    scale = bounds[-1] / (1 << 32)
    prefix = f"{seed}:{channel}:"

    def draw(phone: str, attempt: int) -> tuple[ReceiptOutcome, int]:
        key = f"{prefix}{phone}:{attempt}".encode()
        number = int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
        return _FATES[bisect_right(bounds, (number >> 32) * scale)], number & 0xFFFF_FFFF

    def judge(phone: str) -> PhoneFate:
        attempt = 0
        fate, choice = draw(phone, attempt)
        while fate.name == FLOW_CONTROL:
            attempt += 1
            fate, choice = draw(phone, attempt)
        stat = fate.stats[choice % len(fate.stats)] if fate.stats else ""
        return _verdict(fate.name, stat, attempt > 0)

    return judge


def receipt_delay(random: Random) -> float:
    """Seconds until a receipt comes: mostly some, sometimes minutes, at worst three days."""
    kind = random.random()
    if kind < 0.85:
        return random.lognormvariate(math.log(4.0), 0.8)
    if kind < 0.97:
        return random.uniform(10.0, 600.0)
    return random.uniform(600.0, 72 * 3600.0)
