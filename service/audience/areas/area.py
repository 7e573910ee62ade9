"""The area tree, and from the place a row names to the area it means: import rules §8.

An area is given by code, or by names as people write them: short forms, a wrong kind of town, the
village run together with the town. An alias counts only if one area alone has it.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
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
_CACHED_PLACES = 65_536


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


class AreaTree:
    """All areas by code, and the meaning of what people write for them."""

    def __init__(self, areas: Iterable[Area]) -> None:
        self.areas: Mapping[str, Area] = {area.code: area for area in areas}
        towns = [area for area in self.areas.values() if area.level == "town"]
        villages = [area for area in self.areas.values() if area.level in {"village", "community"}]
        self._towns = _Names(towns)
        self._villages = _Names(villages)
        self._others = _Names(area for area in self.areas.values() if area.level not in _ALIASES)
        self._within = {
            town.code: _Names(v for v in villages if v.parent == town.code) for town in towns
        }
        above = {name for town in towns for name in self._names_above(town)}
        self._above = re.compile("|".join(map(re.escape, sorted(above, key=len, reverse=True))))
        self._resolve_once = lru_cache(_CACHED_PLACES)(self._complete)

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
        return self._resolve_once(code, town, village)

    def _of_any_level(self, area: str) -> AreaPlace:
        if squeeze(text_form(area)).isdecimal():
            return self._resolve_once(area, "", "")
        place = self._resolve_once("", area, "")
        if not place.code:
            village = self._resolve_once("", "", area)
            place = village if village.code else place
        if not place.code and (code := self._others.exact(place.written)):
            place = AreaPlace(code, place.written, town=self.town_of(code))
        return place

    def _complete(self, code: str, town: str, village: str) -> AreaPlace:
        place = self._resolve(code, town, village)
        return place._replace(
            fixes=("area_alias",) if place.alias else (),
            town=self.town_of(place.code) if place.code else "",
        )

    def _names_above(self, area: Area) -> Iterable[str]:
        while area.parent in self.areas:
            area = self.areas[area.parent]
            yield area.name

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
        if not self._above.pattern:
            return text
        while (above := self._above.match(text)) and above.end() < len(text):
            text = text[above.end() :]
        return text

    def _by_names(self, town: str, village: str) -> AreaPlace:
        if town:
            return self._in_town(town, village)
        if not village:
            return AreaPlace()
        exact = self._villages.exact(village)
        code = exact or self._villages.alias(village) or self._combined(village)
        return AreaPlace(code, alias=not exact) if code else AreaPlace(warnings=("area_unknown",))

    def _in_town(self, town: str, village: str) -> AreaPlace:
        exact_town = self._towns.exact(town)
        code = exact_town or self._towns.alias(town)
        if not code:
            code = self._combined(town)
            return AreaPlace(code, alias=True) if code else AreaPlace(warnings=("area_unknown",))
        if not village:
            return AreaPlace(code, alias=not exact_town)
        within = self._within[code]
        exact = within.exact(village)
        found = exact or within.alias(village)
        if not found:
            return AreaPlace(code, alias=not exact_town, warnings=("village_unknown",))
        return AreaPlace(found, alias=not (exact and exact_town))

    def _combined(self, text: str) -> str | None:
        """The village in a text that is a town's name followed by a village's (§8.3c)."""
        for length in range(len(text) - 1, 0, -1):
            town = self._towns.find(text[:length])
            village = self._within[town].find(text[length:]) if town else None
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
