"""Coverage in figures: facts beside denominators, by area and by role (pure).

For every area and role, always:

    on_file = reached + told + open + unknown + failed + stopped + excluded
    denominator + surplus = on_file + no_phone
    target = on_file - excluded - those told whom the runs had left out
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple

from service.audience.areas.area import AreaTree
from service.reports.coverage.denominators import Denominator, Denominators, added_up
from service.reports.coverage.outcomes import LEFT_OUT, PersonOutcome

AreaLevel = Literal["county", "town", "village", "group"]
LEVELS: tuple[AreaLevel, ...] = ("county", "town", "village", "group")
_WITH_LEVEL: Mapping[AreaLevel, frozenset[str]] = {
    level: frozenset({level, "community"} if level == "village" else {level}) for level in LEVELS
}
"""The levels of areas that count as one."""
NOWHERE = "none"
"""Stands for the area of people of whom no area is known."""


class CoverageFact(NamedTuple):
    """So many people of an area (its code; "": not known) and a role ("": everybody, each once)
    came to an outcome, for a reason ("": there is none).
    """

    area_code: str
    role: str
    outcome: PersonOutcome
    reason: str
    people: int


class View(NamedTuple):
    """What of a scope is shown: the people of an area (None: all) and a role ("": everybody's), by
    areas of a level.
    """

    within: str | None
    level: AreaLevel
    role: str = ""


@dataclass
class AreaCoverage:
    """People of one area: what they came to, beside how many there should be.

    reasons: of all but those reached or told. told_outside: those told whom the runs had left out.
    finer: whether more is known of where its people live than that they live in this area.
    """

    area: str
    name: str | None
    denominator: Denominator
    outcomes: Counter[PersonOutcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    told_outside: int = 0
    finer: bool = True

    def add(self, fact: CoverageFact) -> None:
        """Count these people, too."""
        self.outcomes[fact.outcome] += fact.people
        if fact.outcome is PersonOutcome.TOLD:
            self.told_outside += fact.people * (fact.reason == LEFT_OUT)
        elif fact.outcome is not PersonOutcome.REACHED and fact.reason:
            self.reasons[fact.reason] += fact.people

    @property
    def on_file(self) -> int:
        """How many people a text was meant for, those among them who were left out."""
        return self.outcomes.total()

    @property
    def target(self) -> int:
        """Those who were not left out."""
        return self.on_file - self.outcomes[PersonOutcome.EXCLUDED] - self.told_outside

    @property
    def no_phone(self) -> int | None:
        """How many more there should be than are on file."""
        people = self.denominator.people
        return None if people is None else max(0, people - self.on_file)

    @property
    def surplus(self) -> int | None:
        """How many more are on file than there should be."""
        people = self.denominator.people
        return None if people is None else max(0, self.on_file - people)

    @property
    def coverage_pct(self) -> Decimal | None:
        """Reached of those who there should be, in percent; never capped."""
        return percent(self.outcomes[PersonOutcome.REACHED], self.denominator.people)

    @property
    def with_told_pct(self) -> Decimal | None:
        """Reached, or told face to face, of those who there should be, in percent."""
        outcomes = self.outcomes
        both = outcomes[PersonOutcome.REACHED] + outcomes[PersonOutcome.TOLD]
        return percent(both, self.denominator.people)

    @property
    def of_target_pct(self) -> Decimal | None:
        """Reached of the target, in percent."""
        return percent(self.outcomes[PersonOutcome.REACHED], self.target)

    @property
    def flags(self) -> list[str]:
        """What is doubtful of its denominator."""
        found = {
            "denominator_suspect": bool(self.surplus),
            "denominator_old": self.denominator.old,
            "denominator_jump": self.denominator.jump,
            "children_missing": self.denominator.missing_children > 0,
        }
        return [flag for flag, raised in found.items() if raised]


@dataclass(frozen=True)
class Coverage:
    """A scope in figures: a row for each area of a level, all of it, and each role."""

    areas: Sequence[AreaCoverage]
    total: AreaCoverage
    by_role: Mapping[str, AreaCoverage]


def percent(part: int, whole: int | None) -> Decimal | None:
    """A share in percent with one decimal, half away from zero; None: of nothing, or unknown."""
    if not whole:
        return None
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)


def cover(
    facts: Iterable[CoverageFact],
    of_roles: Iterable[CoverageFact],
    tree: AreaTree,
    denominators: Denominators,
    role_denominators: Mapping[str, Denominators],
    view: View,
) -> Coverage:
    """The figures of a scope.

    facts: the people of the view's role by area, those within it alone. of_roles: those of each
    role altogether. role_denominators: of each role of which there are any.
    """
    areas = tree.areas
    places = _AreaRows(tree, view)
    rows = {
        code: AreaCoverage(code, areas[code].name, denominators.of(code)) for code in places.wanted
    }
    within = view.within
    total = AreaCoverage(
        within or "",
        areas[within].name if within else None,
        denominators.of(within) if within else added_up(row.denominator for row in rows.values()),
    )
    for fact in facts:
        place = places.row_of(fact.area_code)
        if place not in rows:
            area = areas.get(place)
            # How many there should be is in the rows of the areas below it already.
            rows[place] = AreaCoverage(place, area and area.name, Denominator(None), finer=False)
        rows[place].add(fact)
        total.add(fact)
    ordered = sorted(rows.values(), key=lambda row: (row.area == NOWHERE, row.area))
    return Coverage(ordered, total, _by_role(of_roles, role_denominators, places.whole))


def _by_role(
    facts: Iterable[CoverageFact], of_role: Mapping[str, Denominators], whole: str | None
) -> dict[str, AreaCoverage]:
    """Each role's people; whole: the area that all of them are of."""
    found: dict[str, AreaCoverage] = {}
    for fact in facts:
        if fact.role not in found:
            known = of_role.get(fact.role)
            people = known.of(whole) if known and whole else Denominator(None)
            found[fact.role] = AreaCoverage(whole or "", None, people)
        found[fact.role].add(fact)
    return found


class _AreaRows:
    """Which row an area's people stand in."""

    def __init__(self, tree: AreaTree, view: View) -> None:
        self._tree, self._level = tree, view.level
        roots = tree.roots if view.within is None else [view.within]
        # A county of which no town is known is none of ours.
        own = [code for code in tree.at(roots, {"county"}) if tree.children.get(code)]
        wanted = own if view.level == "county" else tree.at(roots, _WITH_LEVEL[view.level])
        self.wanted = list(wanted)
        counties = own if view.within is None else []
        self.whole = view.within or (counties[0] if len(counties) == 1 else None)
        self._found: dict[str, str] = {}

    def row_of(self, code: str) -> str:
        """The area above it, or itself, of the level; else itself; `none`: not known."""
        if code not in self._found:
            levels = _WITH_LEVEL[self._level]
            above = (one.code for one in self._tree.above(code) if one.level in levels)
            self._found[code] = next(above, code if code in self._tree.areas else NOWHERE)
        return self._found[code]
