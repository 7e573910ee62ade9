"""A staggered rollout: the waves in which a campaign goes to its villages, by a lot (pure).

Villages of a stratum are put in the order of SHA-256 of the seed followed by their code, and dealt
to the waves in turn. So anybody who has the seed can draw the same order again.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal, NamedTuple

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import Content
from service.ledger.message_class import WARNING
from service.words.phrase import phrase

Strata = Literal["town", "county"]
"""Within what the villages are shuffled: each town, so that it has villages in all waves, or all.
"""

MOST_WAVES = 12
MOST_VILLAGES = 2_000
WEEK_DAYS = 7


class RolloutTerms(NamedTuple):
    """In how many waves, how many days apart (whole weeks), shuffled within what."""

    waves: int
    every_days: int
    strata: Strata


class RolloutVillage(NamedTuple):
    """A village with its wave, from 1 on. stratum: the code of its town, or ""."""

    area_code: str
    wave: int
    stratum: str
    people: int


def deal(villages: Mapping[str, tuple[str, int]], waves: int, seed: bytes) -> list[RolloutVillage]:
    """Deal villages to waves. villages: of each code the stratum and how many people live there.

    A stratum goes on where the one before it ended, so that waves differ by one village at most.
    """
    strata: dict[str, list[str]] = {}
    for code, (stratum, _) in villages.items():
        strata.setdefault(stratum, []).append(code)
    found, turn = [], 0
    for stratum in sorted(strata):
        for code in sorted(strata[stratum], key=lambda code: lot_of(seed, code)):
            found.append(RolloutVillage(code, turn % waves + 1, stratum, villages[code][1]))
            turn += 1
    return sorted(found)


def lot_of(seed: bytes, code: str) -> bytes:
    """What decides on the place of a village within its stratum."""
    return hashlib.sha256(seed + code.encode()).digest()


def order_hash(terms: RolloutTerms, villages: Iterable[RolloutVillage]) -> bytes:
    """SHA-256 over the canonical JSON of an order; an approval binds it."""
    said = {
        "waves": terms.waves,
        "every_days": terms.every_days,
        "villages": [[one.area_code, one.wave] for one in sorted(villages)],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).digest()


def staggered(schedule: Schedule, terms: RolloutTerms) -> Schedule:
    """The schedule of a plan that is sent once, as one that fires for each wave.

    Raises:
        ValueError: the schedule has no instant.
    """
    if schedule.start_at is None:
        raise ValueError("a rollout needs the instant of its first wave")
    first = schedule.start_at.astimezone(schedule.zone).date()
    days = [first + timedelta(days=terms.every_days * wave) for wave in range(terms.waves)]
    return replace(schedule, kind="recurring", dates=tuple(days))


def rollout_problems(content: Content, terms: RolloutTerms) -> Iterator[tuple[str, str]]:
    """What of a plan does not suit its rollout, by field."""
    plan, schedule = content.plan, content.plan.schedule
    if content.message_class == WARNING:
        yield "template_id", phrase("a warning is never staggered: it goes to everybody at once")
    if plan.more_texts:
        yield "more_texts", phrase("a staggered campaign has one text, the same in each wave")
    if plan.is_joint or plan.leg_of is not None or plan.corrects is not None or plan.drill:
        yield "schedule", phrase("joint plans, corrections and drills are not staggered")
    if schedule.late == "skip":
        yield (
            "schedule.late",
            phrase("a wave that is late must run or be held: skipped, its people get nothing"),
        )
    if schedule.kind == "recurring" and not _is_staggered(schedule, terms):
        yield (
            "schedule.dates",
            phrase(
                "the order was drawn for {waves} waves, one every {days} days: give these days, or"
                " clone the campaign and draw anew",
                waves=terms.waves,
                days=terms.every_days,
            ),
        )
    if schedule.kind != "recurring":
        yield "schedule.kind", phrase("a staggered campaign fires once for each wave")


def _is_staggered(schedule: Schedule, terms: RolloutTerms) -> bool:
    days = schedule.dates
    return len(days) == terms.waves and days == tuple(
        days[0] + timedelta(days=terms.every_days * wave) for wave in range(terms.waves)
    )


def weeks_between_waves(terms: RolloutTerms) -> Sequence[int]:
    """How many weeks lie between each wave and the next: those in which there are both kinds."""
    return [terms.every_days // WEEK_DAYS] * (terms.waves - 1)
