"""Who got what, how often and at which second, out of a simulated carrier's journal.

The journal is read as a stream, twice at most. The part by seconds keeps one second of each account
in memory; the part by phones keeps a number for each phone and each text of a phone.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.simulator.carrier.journal import submits

MOST_LISTED = 1000
"""How many repeated texts a report names; it counts all."""


class PaceAudit:
    """The busiest second of one account, by the calendar and as any second's span."""

    def __init__(self) -> None:
        self.parts = 0
        self.first_at = self.last_at = 0.0
        self._second = self._in_second = 0
        self._busiest = (0, 0)
        self._span: deque[float] = deque()
        self._most_in_span = 0

    def add(self, at: float) -> None:
        """Count a part accepted at an instant."""
        self.first_at = self.first_at if self.parts else at
        self.last_at = at
        self.parts += 1
        second = int(at)
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > self._busiest[0]:
            self._busiest = self._in_second, second
        self._slide(at)

    def report(self) -> dict[str, Any]:
        """What was found."""
        parts, second = self._busiest
        return {
            "parts": self.parts,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "busiest_second": {"at": second, "parts": parts},
            "most_in_any_second": self._most_in_span,
        }

    def _slide(self, at: float) -> None:
        span = self._span
        if span and at < span[-1]:  # the clock of the machine was set back
            span.clear()
        while span and span[0] <= at - 1.0:
            span.popleft()
        span.append(at)
        self._most_in_span = max(self._most_in_span, len(span))


def audit(path: Path) -> dict[str, Any]:
    """What the accounts did and what the phones got.

    Raises:
        Misconfigured: the journal cannot be read.
    """
    paces: defaultdict[tuple[str, str], PaceAudit] = defaultdict(PaceAudit)
    phones: Counter[int] = Counter()
    texts: set[int] = set()
    repeated: set[int] = set()
    for entry in submits(path):
        paces[entry.get("protocol", "cmpp"), entry["account"]].add(entry["at"])
        phones[hash(entry["phone"])] += 1
        if entry.get("digest"):
            text = hash(_text(entry))
            (repeated if text in texts else texts).add(text)
    twice = _repeats(path, repeated) if repeated else []
    return {
        "parts": sum(pace.parts for pace in paces.values()),
        "phones": len(phones),
        "phones_by_parts": dict(sorted(Counter(phones.values()).items())),
        "accounts": [
            {"protocol": protocol, "account": account, **pace.report()}
            for (protocol, account), pace in sorted(paces.items())
        ],
        "received_twice": len(twice),
        "received_twice_listed": twice[:MOST_LISTED],
    }


def received(path: Path, phone: str = "") -> Iterator[dict[str, Any]]:
    """What each phone got, or one of them, in the order of acceptance.

    phone: in E.164 form; "" for all.

    Raises:
        Misconfigured: the journal cannot be read.
    """
    for entry in submits(path):
        if not phone or entry["phone"] == phone:
            yield entry


def _repeats(path: Path, suspects: set[int]) -> list[dict[str, Any]]:
    """The texts that a phone got more than once, part by part, with the instants."""
    found: defaultdict[tuple[str, str, int, int], list[float]] = defaultdict(list)
    for entry in submits(path):
        if entry.get("digest") and hash(_text(entry)) in suspects:
            found[_text(entry)].append(entry["at"])
    return [
        {"phone": phone, "digest": digest, "number": number, "total": total, "at": instants}
        for (phone, digest, number, total), instants in found.items()
        if len(instants) > 1
    ]


def _text(entry: dict[str, Any]) -> tuple[str, str, int, int]:
    return entry["phone"], entry["digest"], entry["number"], entry["total"]
