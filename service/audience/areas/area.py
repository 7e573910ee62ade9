"""The area tree, and from the place a row names to the area it means: import rules §8.

An area is given by code, or by names as people write them: short forms, a wrong kind of town, the
village run together with the town. An alias counts only if one area alone has it.
"""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from typing import NamedTuple

from service.audience.vocabulary.cells import is_blank, squeeze, text_form

PACKAGED = ("anhui.csv", "jingde.csv")
_ALIASES: dict[str, tuple[re.Pattern[str], tuple[str, ...]]] = {
    "town": (
        re.compile("(?:镇|乡|街道)$"),
        ("", "镇", "乡", "街道", "街道办事处", "镇政府", "镇人民政府"),
    ),
    "village": (re.compile("村委会$"), ("", "村", "村民委员会")),
    "community": (
        re.compile("居委会$"),
        ("", "社区", "居", "居民委员会", "社区居委会", "社区居民委员会"),
    ),
}
"""What to cut from a full name to get its base, and what people put after the base."""

_CODE = re.compile(r"[0-9]{15}|[0-9]{12}|[0-9]{9}|[0-9]{6}")
_DECIMALS = re.compile(r"\.0+$")
CACHED_PLACES = 65_536
"""So many answers of `AreaTree.resolve` a reader of a file should keep: rows name few places."""


class Area(NamedTuple):
    """One division: code (12 digits, 15 of a group), name, level and the code of the division it
    belongs to.
    """

    code: str
    name: str
    level: str
    parent: str
    population: int | None = None


class AreaPlace(NamedTuple):
    """Where a row says somebody lives: the area's code, or "" if the names mean none.

    `town` is the code of its town, or its own above that; `fixes` and `warnings` are codes of §13.
    """

    code: str = ""
    written: str = ""
    alias: bool = False
    warnings: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    town: str = ""


class _Names:
    """The spellings of the areas of one scope."""

    def __init__(self, areas: Iterable[Area]) -> None:
        areas = list(areas)
        names = Counter(area.name for area in areas)
        aliases = Counter(alias for area in areas for alias in _aliases(area))
        self._exact = {area.name: area.code for area in areas if names[area.name] == 1}
        self._alias = {
            alias: area.code for area in areas for alias in _aliases(area) if aliases[alias] == 1
        }

    def exact(self, text: str) -> str | None:
        return self._exact.get(text)

    def alias(self, text: str) -> str | None:
        return self._alias.get(text)

    def find(self, text: str) -> str | None:
        return self._exact.get(text) or self._alias.get(text)


class _WrittenNames:
    """What people write for the areas of a tree."""

    def __init__(self, tree: "AreaTree") -> None:
        areas = tree.areas.values()
        towns = [area for area in areas if area.level == "town"]
        villages = [area for area in areas if area.level in {"village", "community"}]
        self.towns = _Names(towns)
        self.villages = _Names(villages)
        self.others = _Names(area for area in areas if area.level not in _ALIASES)
        of_town: dict[str, list[Area]] = {town.code: [] for town in towns}
        for village in villages:
            of_town.get(village.parent, []).append(village)
        self.within = {town: _Names(below) for town, below in of_town.items()}
        above = {area.name for town in towns for area in tree.above(town.parent)}
        self.above = re.compile("|".join(map(re.escape, sorted(above, key=len, reverse=True))))


class AreaTree:
    """All areas by code, and the meaning of what people write for them. It never changes."""

    def __init__(self, areas: Iterable[Area]) -> None:
        self.areas: Mapping[str, Area] = {area.code: area for area in areas}

    @cached_property
    def children(self) -> Mapping[str, Sequence[str]]:
        """The codes of the areas directly below each; below "" those that lie in none."""
        found: dict[str, list[str]] = {}
        for area in self.areas.values():
            found.setdefault(area.parent, []).append(area.code)
        return found

    @cached_property
    def _written_names(self) -> _WrittenNames:
        return _WrittenNames(self)

    @cached_property
    def roots(self) -> Sequence[str]:
        """The codes of the areas that lie in none that is known."""
        return [area.code for area in self.areas.values() if area.parent not in self.areas]

    def at(self, tops: Iterable[str], levels: Collection[str]) -> list[str]:
        """The codes of the areas of these levels that are among `tops` or in one of them."""
        found = []
        waiting = list(tops)
        for code in waiting:  # which grows meanwhile
            if self.areas[code].level in levels:
                found.append(code)
            else:
                waiting += self.children.get(code, ())
        return found

    def above(self, code: str) -> Iterator[Area]:
        """The area of a code, and those that it lies in, from the smallest up."""
        while code in self.areas:
            yield self.areas[code]
            code = self.areas[code].parent

    def subtree(self, code: str) -> list[str]:
        """The code, and those of all areas in it."""
        found = [code]
        for one in found:  # which grows meanwhile
            found += self.children.get(one, ())
        return found

    def town_of(self, code: str) -> str:
        """The town of an area at or below town level; an area above that stays as it is."""
        area = self.areas[code]
        while area.level in {"village", "community", "group"} and area.parent in self.areas:
            area = self.areas[area.parent]
        return area.code

    def resolve(self, code: str, town: str, village: str, area: str = "") -> AreaPlace:
        """The area meant by the cells of a row; `area`, a code or a name of any level, counts
        where the other three say nothing. Above the towns, and of a group, the name is the full
        one; a name that several areas of its level have means none.
        """
        if area and all(is_blank(text_form(cell)) for cell in (code, town, village)):
            return self._of_any_level(area)
        return self._complete(code, town, village)

    def _of_any_level(self, area: str) -> AreaPlace:
        if squeeze(text_form(area)).isdecimal():
            return self._complete(area, "", "")
        place = self._complete("", area, "")
        if not place.code:
            village = self._complete("", "", area)
            place = village if village.code else place
        if not place.code and (code := self._written_names.others.exact(place.written)):
            place = AreaPlace(code, place.written, town=self.town_of(code))
        return place

    def _complete(self, code: str, town: str, village: str) -> AreaPlace:
        place = self._resolve(code, town, village)
        return place._replace(
            fixes=("area_alias",) if place.alias else (),
            town=self.town_of(place.code) if place.code else "",
        )

    def _resolve(self, code_cell: str, town_cell: str, village_cell: str) -> AreaPlace:
        code = text_form(code_cell)
        warnings: tuple[str, ...] = ()
        if not is_blank(code):
            area = self._by_code(_DECIMALS.sub("", squeeze(code)))
            if area:
                return AreaPlace(area, code)
            warnings = ("area_code_invalid",)
        town, village = self._written(town_cell), self._written(village_cell)
        place = self._by_names(town, village)
        written = f"{town} {village}".strip()
        return place._replace(written=written, warnings=warnings + place.warnings)

    def _by_code(self, code: str) -> str | None:
        padded = code.ljust(12, "0")
        return padded if _CODE.fullmatch(code) and padded in self.areas else None

    def _written(self, cell: str) -> str:
        """A name without the names of the divisions above the towns (§8.2); "" for none."""
        text = text_form(cell)
        if is_blank(text):
            return ""
        text = squeeze(text)
        names = self._written_names.above
        if not names.pattern:
            return text
        while (above := names.match(text)) and above.end() < len(text):
            text = text[above.end() :]
        return text

    def _by_names(self, town: str, village: str) -> AreaPlace:
        if town:
            return self._in_town(town, village)
        if not village:
            return AreaPlace()
        exact = self._written_names.villages.exact(village)
        code = exact or self._written_names.villages.alias(village) or self._combined(village)
        return AreaPlace(code, alias=not exact) if code else AreaPlace(warnings=("area_unknown",))

    def _in_town(self, town: str, village: str) -> AreaPlace:
        exact_town = self._written_names.towns.exact(town)
        code = exact_town or self._written_names.towns.alias(town)
        if not code:
            code = self._combined(town)
            return AreaPlace(code, alias=True) if code else AreaPlace(warnings=("area_unknown",))
        if not village:
            return AreaPlace(code, alias=not exact_town)
        within = self._written_names.within[code]
        exact = within.exact(village)
        found = exact or within.alias(village)
        if not found:
            return AreaPlace(code, alias=not exact_town, warnings=("village_unknown",))
        return AreaPlace(found, alias=not (exact and exact_town))

    def _combined(self, text: str) -> str | None:
        """The village in a text that is a town's name followed by a village's (§8.3c)."""
        for length in range(len(text) - 1, 0, -1):
            town = self._written_names.towns.find(text[:length])
            village = self._written_names.within[town].find(text[length:]) if town else None
            if village:
                return village
        return None


def _aliases(area: Area) -> set[str]:
    """The short and official forms under which people know a town, a village or a community."""
    if area.level not in _ALIASES:
        return set()
    suffix, endings = _ALIASES[area.level]
    base = suffix.sub("", area.name)
    return {base + ending for ending in endings} - {area.name}


def read_areas(lines: Iterable[str]) -> list[Area]:
    """The areas in CSV lines with code12, name, level, parent12 and population_estimate."""
    return [
        Area(
            row["code12"],
            row["name"],
            row["level"],
            row["parent12"],
            int(row["population_estimate"]) if row["population_estimate"] else None,
        )
        for row in csv.DictReader(lines)
    ]


@cache
def packaged_areas() -> tuple[Area, ...]:
    """The areas that come with the program, parents first."""
    folder = files("service.audience") / "data"
    texts = ((folder / name).read_text("utf-8") for name in PACKAGED)
    return tuple(area for text in texts for area in read_areas(text.splitlines()))
