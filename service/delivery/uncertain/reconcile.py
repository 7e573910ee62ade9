"""The daily reconciliation: what was handed off, what the carrier took, what it reported.

Per channel and day of Chinese time, three counts that ought to agree and the names of what keeps
them apart. Nothing is estimated: each part that the carrier took on that day stands under exactly
one heading, and a receipt that is not in the ledger is counted where it lies.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from service.clock import CHINA
from service.delivery.uncertain import reconcile_store as store
from service.delivery.uncertain.reconcile_store import DaySpan
from service.errors import Invalid, NotFound
from service.storage.postgres import Connection, Record
from service.words.phrase import phrase

_YEARS = range(2000, 2200)

MEANINGS = {
    "in_doubt": phrase("handed off without an answer: an item of GET /uncertain each"),
    "being_handed_off": phrase("marked as leaving, and not answered yet"),
    "parts_without_reference": phrase(
        "parts of texts that the carrier took, without a reference of it"
    ),
    "references_too_many": phrase(
        "more references than the texts that the carrier took have parts"
    ),
    "moved_on": phrase("parts of hand-offs that were made again, or moved to another channel"),
    "without_message": phrase("references whose text is no longer in the ledger"),
    "missing_24h": phrase("taken more than 24 hours ago, without a receipt"),
    "missing_72h": phrase("taken more than 72 hours ago, without a receipt: it counts as unknown"),
    "inbox": phrase("receipts that are stored and not folded yet"),
    "parked": phrase("receipts whose reference is not known yet"),
    "unmatched": phrase("receipts that met nothing in 72 hours"),
    "ambiguous": phrase("receipts that fit more than one uncertain hand-off"),
    "conflict": phrase("receipts that contradict what was known"),
    "unreadable": phrase("what the carrier handed on and nobody could read"),
    "dismissed": phrase("receipts that a person has laid aside"),
}
"""What each difference means; in this order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that keeps the three counts apart."""

    name: str
    count: int
    meaning: str


@dataclass(slots=True)
class ChannelDay:
    """The figures of one channel on one day, each by its key; see `count_day`.

    submits counts messages, references and results count parts, receipts counts receipts.
    """

    channel_id: int
    channel: str
    submits: dict[str, int] = field(default_factory=dict)
    ledger: dict[str, int] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)
    receipts: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """The parts that the carrier took on that day: those with a reference."""
        return sum(self.references.values())

    @property
    def answered(self) -> int:
        """Those of them whose receipt is folded."""
        return self.references.get("answered", 0)

    @property
    def differences(self) -> list[Difference]:
        """What keeps the counts apart, by name; none: they agree."""
        counts = {**self.references, **self.receipts, **_lacking(self.ledger)}
        counts["in_doubt"] = self.submits.get("uncertain", 0)
        counts["being_handed_off"] = self.submits.get("submitting", 0)
        return [
            Difference(name, counts[name], meaning)
            for name, meaning in MEANINGS.items()
            if counts.get(name, 0) > 0
        ]


def _lacking(ledger: Mapping[str, int]) -> dict[str, int]:
    lacking = ledger.get("parts", 0) - ledger.get("references", 0)
    return {"parts_without_reference": lacking, "references_too_many": -lacking}


def span_of(day: date) -> DaySpan:
    """The day in Chinese time.

    Raises:
        Invalid: it lies outside the years that are kept.
    """
    if day.year not in _YEARS:
        problem = phrase(
            "give a day of the years {first} to {last}", first=_YEARS.start, last=_YEARS.stop - 1
        )
        raise Invalid(phrase("day: {problem}", problem=problem), fields={"day": problem})
    start, end = (datetime.combine(d, time(), CHINA) for d in (day, day + timedelta(days=1)))
    return DaySpan(start, end)


async def reconcile(
    conn: Connection, day: date, channel_id: int | None, now: datetime
) -> list[ChannelDay]:
    """The figures of a day, of one channel or of all, as they stand now; all of one snapshot.

    Raises:
        NotFound: there is no such channel.
        Invalid: the day lies outside the years that are kept.
    """
    span = span_of(day)
    names = {row["id"]: row["name"] for row in await store.channel_names(conn, channel_id)}
    if channel_id is not None and not names:
        raise NotFound(phrase("there is no channel {channel_id}", channel_id=channel_id))
    return arrange(names, await store.count_day(conn, span, channel_id, now))


def arrange(names: Mapping[int, str], figures: Iterable[Record]) -> list[ChannelDay]:
    """Figures by channel; a channel without any has empty ones."""
    sections: dict[int, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for channel_id, section, key, n in figures:
        sections[channel_id][section][key] = n
    return [ChannelDay(id_, name, **sections[id_]) for id_, name in names.items()]
