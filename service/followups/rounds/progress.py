"""How far a round is: households told of all that there are, by village or town (pure).

For every row, always: visited = told + not_home + refused + moved + excused. A share is of the
households that somebody said there are; without such a number it is not known, and it is never
capped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.followups.ladder import PersonState
from service.followups.rounds.household_store import HouseholdCount
from service.followups.rounds.round_store import RoundVillage
from service.reports.coverage.coverage import percent
from service.reports.coverage.denominators import Denominator, Denominators, added_up

ProgressLevel = Literal["village", "town"]


@dataclass
class AreaProgress:
    """The households of one area. name: None: the area is gone.

    told_of_known: told where the households are known, if they are not everywhere: the rest
    stands in neither side of a fraction that is added up. signed: villages of it that are signed
    off, of `villages`; signed_by, signed_at: of a village alone.
    """

    area: str
    name: str | None
    denominator: Denominator
    told: int = 0
    told_of_known: int | None = None
    not_home: int = 0
    refused: int = 0
    moved: int = 0
    excused: int = 0
    spoken_to: int = 0
    disputed: int = 0
    villages: int = 0
    signed: int = 0
    signed_by: UUID | None = None
    signed_at: datetime | None = None

    @property
    def visited(self) -> int:
        """To how many of them somebody went."""
        return self.told + self.not_home + self.refused + self.moved + self.excused

    @property
    def pct(self) -> Decimal | None:
        """Told of the households there are, in percent; None: nobody has said how many."""
        told = self.told if self.told_of_known is None else self.told_of_known
        return percent(told, self.denominator.people)

    @property
    def flags(self) -> list[str]:
        """What is doubtful of the number of households."""
        people = self.denominator.people if self.told_of_known is None else None
        found = {
            "denominator_suspect": people is not None and self.visited > people,
            "denominator_old": self.denominator.old,
            "denominator_jump": self.denominator.jump,
            "children_missing": self.denominator.missing_children > 0,
        }
        return [flag for flag, raised in found.items() if raised]

    def add(self, count: HouseholdCount) -> None:
        """Count these households, too."""
        match count.state:
            case PersonState.TOLD:
                self.told += count.households
            case PersonState.OPEN:
                self.not_home += count.households
            case PersonState.REFUSED:
                self.refused += count.households
            case PersonState.MOVED:
                self.moved += count.households
            case _:
                self.excused += count.households
        self.spoken_to += count.spoken_to
        self.disputed += count.disputed


@dataclass(frozen=True)
class RoundProgress:
    """A round in figures: a row for each area of a level, and all of it."""

    level: ProgressLevel
    areas: Sequence[AreaProgress]
    total: AreaProgress


def progress_of(
    area: str,
    tree: AreaTree,
    denominators: Denominators,
    villages: Iterable[RoundVillage],
    counts: Iterable[HouseholdCount],
    level: ProgressLevel,
) -> RoundProgress:
    """The progress in these villages of a round through an area.

    An area has its own number of households only if all of its villages are among these; else the
    sum of theirs.
    """
    by_village = {one.village: _of_village(one, tree, denominators) for one in villages}
    for count in counts:
        by_village[count.village].add(count)
    rows = list(by_village.values())
    add = _Adding(tree, denominators)
    total = add(area, rows)
    if level == "town":
        towns: dict[str, list[AreaProgress]] = {}
        for row in rows:
            town = tree.town_of(row.area) if row.area in tree.areas else row.area
            towns.setdefault(town, []).append(row)
        rows = [add(town, found) for town, found in sorted(towns.items())]
    return RoundProgress(level, rows, total)


def _of_village(one: RoundVillage, tree: AreaTree, denominators: Denominators) -> AreaProgress:
    area = tree.areas.get(one.village)
    return AreaProgress(
        one.village,
        None if area is None else area.name,
        denominators.of(one.village),
        villages=1,
        signed=int(one.signed_by is not None),
        signed_by=one.signed_by,
        signed_at=one.signed_at,
    )


_SUMS = (
    *("told", "not_home", "refused", "moved", "excused"),
    *("spoken_to", "disputed", "villages", "signed"),
)


class _Adding:
    """Adds up villages to the area in which they lie."""

    def __init__(self, tree: AreaTree, denominators: Denominators) -> None:
        self._tree, self._denominators = tree, denominators

    def __call__(self, code: str, rows: Sequence[AreaProgress]) -> AreaProgress:
        """The area and what its villages, `rows`, have."""
        area = self._tree.areas.get(code)
        is_whole = {*self._villages(code)} <= {row.area for row in rows}
        known = self._denominators.of(code)
        told = {row.area: row.told for row in rows}
        counted: int | None = None
        if not is_whole:
            known = added_up(row.denominator for row in rows)
            counted = sum(row.told for row in rows if row.denominator.people is not None)
        elif known.missing_children:
            counted = self._told_of_known(code, told)
        return AreaProgress(
            code,
            None if area is None else area.name,
            known,
            told_of_known=counted,
            **{name: sum(getattr(row, name) for row in rows) for name in _SUMS},
        )

    def _told_of_known(self, code: str, told: Mapping[str, int]) -> int:
        """Told in those parts of an area of which the households are known."""
        known = self._denominators.of(code)
        if known.people is None:
            return 0
        if not known.missing_children or code in told:
            return sum(told.get(village, 0) for village in self._villages(code))
        return sum(self._told_of_known(child, told) for child in self._tree.children.get(code, ()))

    def _villages(self, code: str) -> Iterator[str]:
        """The villages of an area, itself if it is one."""
        for within in self._tree.subtree(code):
            area = self._tree.areas.get(within)
            if area is not None and area.level in {"village", "community"}:
                yield within
