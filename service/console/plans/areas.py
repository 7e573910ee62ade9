"""Areas as a person writes them: by name, several with a comma between them, or by code."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from service.api.audience import areas
from service.api.audience.areas import AreaOut, AreaQuery
from service.api.http.paging import MAX_LIMIT
from service.console.asking import Desk
from service.errors import Invalid
from service.words.phrase import listing, phrase

_BETWEEN = re.compile(r"[\s,;，；、]+")


class AreasByName:
    """The names of the area tree. A name that several areas have is written behind that of the area
    in which it lies, as in 旌阳镇新桥村.
    """

    def __init__(self, tree: Sequence[AreaOut]) -> None:
        self._areas: Mapping[str, AreaOut] = {area.code: area for area in tree}
        self._codes: dict[str, set[str]] = defaultdict(set)
        for area in tree:
            for name in {area.name, self._full_name(area)}:
                self._codes[name].add(area.code)

    def _full_name(self, area: AreaOut) -> str:
        outer = self._areas.get(area.parent)
        return (outer.name if outer else "") + area.name

    def name(self, code: str) -> str:
        """What an area is called, so that it is read as that area again."""
        area = self._areas.get(code)
        if area is None:
            return code
        for name in (area.name, self._full_name(area)):
            if self._codes[name] == {code}:
                return name
        return code

    def said(self, codes: Iterable[str]) -> str:
        """The names of areas, as they would be typed."""
        return ", ".join(self.name(code) for code in codes)

    def codes(self, text: str, field: str) -> list[str]:
        """The codes of the areas that a text names, each once, as they stand in it.

        Raises:
            Invalid: a name means no area, or several; at `field`.
        """
        named = [name for name in _BETWEEN.split(text) if name]
        unknown = [name for name in named if name not in self._areas and name not in self._codes]
        if unknown:
            said = phrase(
                "there is no area {areas}: write it as the page of areas has it",
                areas=listing(unknown),
            )
            raise Invalid.at(field, said)
        found = [self._code(name, field) for name in named]
        return list(dict.fromkeys(found))

    def _code(self, name: str, field: str) -> str:
        if name in self._areas:
            return name
        codes = self._codes[name]
        if len(codes) > 1:
            said = phrase(
                "several areas are called {name}: write the name of the town before it", name=name
            )
            raise Invalid.at(field, said)
        return next(iter(codes))


async def read_area_names(desk: Desk) -> AreasByName:
    """The names of all areas."""
    found: list[AreaOut] = []
    query: AreaQuery | None = AreaQuery(limit=MAX_LIMIT)
    while query is not None:
        page = await desk.get(areas.list_areas, query=query)
        found += page.items
        more = page.next_cursor
        query = AreaQuery(limit=MAX_LIMIT, cursor=more) if more else None
    return AreasByName(found)
