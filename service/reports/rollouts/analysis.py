"""The cases of a rollout: what it could find before it begins, and what it has found at the end.

Nothing is said before all its weeks are known, so that nobody stops a rollout where it looks well.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.campaigns.core.rollout import (
    RolloutTerms,
    RolloutVillage,
    weeks_between_waves,
)
from service.campaigns.core.rollout_store import Rollout
from service.cases import store
from service.cases.figures import CaseBook
from service.cases.week import IsoWeek, week_of, weeks_before, weeks_between
from service.reports.coverage import denominator_store
from service.reports.coverage.denominators import RESIDENTS, Denominators
from service.reports.rollouts.stagger import Power, RolloutFinding, Study, StudyVillage, power_of
from service.storage.postgres import Connection

FALLS = (0.3, 0.5)
"""The true falls for which is said how often they are found."""
USUAL_WEEKS, LEAST_USUAL_WEEKS = 52, 26
_VILLAGES = frozenset({"village", "community"})

RolloutGap = Literal["not_begun", "weeks_missing", "no_weeks"]


class Prospect(NamedTuple):
    """What a rollout can find. cases_a_week: usual ones in all villages; None, and no power: fewer
    than 26 of the last 52 weeks are covered, or there was no case.
    """

    weeks: int
    cases_a_week: float | None
    power: Sequence[Power]


@dataclass(frozen=True)
class RolloutAnalysis:
    """What a rollout found. gap: why nothing is said yet. elsewhere: cases of these weeks that are
    known for no village of it, and stand on neither side.
    """

    weeks: Sequence[IsoWeek]
    missing: Sequence[IsoWeek]
    gap: RolloutGap | None
    finding: RolloutFinding | None
    by_week: Sequence[tuple[IsoWeek, int, int, int, int]]
    elsewhere: int


async def village_residents(conn: Connection, day: date) -> dict[str, int | None]:
    """How many people live in each village, as somebody has said or the packaged estimate says."""
    tree = await read_area_tree(conn)
    entries = await denominator_store.entries_until(conn, RESIDENTS, day)
    known = Denominators(tree, entries, RESIDENTS, day)
    return {
        code: known.of(code).people for code in tree.areas if tree.areas[code].level in _VILLAGES
    }


async def prospect_of(
    conn: Connection, terms: RolloutTerms, people: Sequence[int], today: date
) -> Prospect:
    """What a rollout would find with usual cases. people: of each wave."""
    between = weeks_between_waves(terms)
    usual = weeks_before(week_of(today), USUAL_WEEKS)
    book = await store.read_book(conn, set(usual))
    known = [week for week in usual if week in book.covered]
    total = book.total(known) if known else None
    if total is None or len(known) < LEAST_USUAL_WEEKS or not total.cases:
        return Prospect(sum(between), None, [])
    rate = total.cases / len(known)
    power = await asyncio.to_thread(power_of, rate, people, between, FALLS)
    return Prospect(sum(between), rate, power)


def people_of_waves(villages: Iterable[RolloutVillage], waves: int) -> list[int]:
    """How many people live in the villages of each wave."""
    found = [0] * waves
    for one in villages:
        found[one.wave - 1] += one.people
    return found


async def analyse(
    conn: Connection, rollout: Rollout, villages: Sequence[RolloutVillage]
) -> RolloutAnalysis:
    """What a rollout found, once all its weeks are covered."""
    begins = [week_of(day) for day in rollout.dates]
    if len(begins) != rollout.waves:
        return RolloutAnalysis([], [], "no_weeks", None, [], 0)
    weeks = [week for week in weeks_between(begins[0], begins[-1]) if week < begins[-1]]
    book = await store.read_book(conn, set(weeks))
    missing = book.missing(weeks)
    if missing:
        gap: RolloutGap = "not_begun" if len(missing) == len(weeks) else "weeks_missing"
        return RolloutAnalysis(weeks, missing, gap, None, [], 0)
    cases, elsewhere = _by_village(book, weeks, villages, await read_area_tree(conn))
    starts = [sum(week < begin for week in weeks) for begin in begins]
    study = Study(
        [
            StudyVillage(one.stratum, one.wave - 1, one.people, cases[one.area_code])
            for one in villages
        ],
        starts,
    )
    by_week = [(week, *one) for week, one in zip(weeks, study.weeks, strict=True)]
    finding = await asyncio.to_thread(study.finding)
    return RolloutAnalysis(weeks, [], None, finding, by_week, elsewhere)


def _by_village(
    book: CaseBook, weeks: Sequence[IsoWeek], villages: Sequence[RolloutVillage], tree: AreaTree
) -> tuple[Mapping[str, list[int]], int]:
    """Cases of each village by week, and how many are of none of them."""
    found = {one.area_code: [0] * len(weeks) for one in villages}
    places = {week: at for at, week in enumerate(weeks)}
    elsewhere = 0
    for figure in book.figures:
        if (at := places.get(figure.week)) is None:
            continue
        village = next((a.code for a in tree.above(figure.area) if a.code in found), None)
        if village is None:
            elsewhere += figure.cases
        else:
            found[village][at] += figure.cases
    return found, elsewhere
