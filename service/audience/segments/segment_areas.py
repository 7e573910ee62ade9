"""The areas that a rule can name: by code, by full name, or by a short form of one area alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from service.audience.areas.area import Area, AreaTree
from service.audience.segments.segment_sql import AmbiguousArea
from service.audience.segments.segment_words import fold, nearest

_CODE_LENGTHS = {6, 9, 12, 15}


class RuleAreas:
    """An area tree as `segment_sql.AreaNames`."""

    def __init__(self, tree: AreaTree) -> None:
        self._tree = tree

    @cached_property
    def _named(self) -> Mapping[str, Sequence[Area]]:
        """The areas by their folded names."""
        named: dict[str, list[Area]] = defaultdict(list)
        for area in self._tree.areas.values():
            named[fold(area.name)].append(area)
        return named

    def subtree(self, name_or_code: str) -> frozenset[str] | None:
        """The codes of this area and of all within it; None if there is no such area.

        Raises:
            AmbiguousArea: several areas have this name.
        """
        code = self.code(name_or_code)
        return frozenset(self._tree.subtree(code)) if code else None

    def code(self, name_or_code: str) -> str | None:
        """The code of this area; None if there is no such area.

        Raises:
            AmbiguousArea: several areas have this name.
        """
        return self._code(fold(name_or_code))

    def name(self, name_or_code: str) -> str:
        """How an area is called in full, with the one it lies in; as it was given if unknown."""
        try:
            code = self.code(name_or_code)
        except AmbiguousArea:
            code = None
        if code is None:
            return name_or_code
        area = self._tree.areas[code]
        parent = self._tree.areas.get(area.parent)
        return f"{parent.name}{area.name}" if parent else area.name

    def nearest(self, name: str) -> Sequence[str]:
        """The names that look most like this one."""
        return nearest(name, self._named)

    def _code(self, word: str) -> str | None:
        if word.isdecimal() and len(word) in _CODE_LENGTHS:
            padded = word.ljust(12, "0")
            return padded if padded in self._tree.areas else None
        named = self._named.get(word, ())
        if len(named) > 1:
            raise AmbiguousArea([self._described(area) for area in named])
        if named:
            return named[0].code
        return self._tree.resolve("", "", "", word).code or None

    def _described(self, area: Area) -> str:
        parent = self._tree.areas.get(area.parent)
        return f"{area.code} ({parent.name}{area.name})" if parent else area.code
