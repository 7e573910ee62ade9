"""Areas that users add: below what, under which code (pure).

A code is the town's nine digits and three more, a group's its village's twelve and three more.
Codes from 700 on are in no official list (villages: 001 to 399), so that a later one cannot clash.
"""

from collections.abc import Mapping

from service.audience.area import Area
from service.errors import Conflict, Invalid

BELOW = {
    "county": ("town",),
    "town": ("village", "community"),
    "village": ("group",),
    "community": ("group",),
}
"""What may lie in an area; the usual one first."""

_OWN_CODES = range(700, 1_000)
_KEPT_DIGITS = {"town": 6, "village": 9, "community": 9, "group": 12}
"""How many digits of its parent's code begin an area's."""


def new_area(
    areas: Mapping[str, Area],
    *,
    parent: str,
    name: str,
    level: str | None,
    code: str | None,
    population: int | None,
) -> Area:
    """An area to be added to those that there are.

    Raises:
        Invalid: there is no such parent, nothing of this level lies in it, or the code does not.
        Conflict: the name or the code is taken.
    """
    above = areas.get(parent)
    if above is None:
        raise Invalid("the parent is not known", fields={"parent": "there is no area of this code"})
    possible = BELOW.get(above.level, ())
    level = level or next(iter(possible), "")
    if level not in possible:
        problem = f"in a {above.level} there can be: {', '.join(possible) or 'nothing more'}"
        raise Invalid("the area does not fit", fields={"level": problem})
    if any(area.parent == parent and area.name == name for area in areas.values()):
        raise Conflict("there is an area of this name in it already", code="area_exists")
    return Area(_code(areas, above, level, code), name, level, parent, population)


def _code(areas: Mapping[str, Area], above: Area, level: str, given: str | None) -> str:
    start = above.code[: _KEPT_DIGITS[level]]
    rest = "000" if level == "town" else ""
    if given is None:
        free = (f"{start}{number}{rest}" for number in _OWN_CODES)
        found = next((code for code in free if code not in areas), None)
        if found is None:
            raise Conflict("all codes for own areas in it are taken; give a code")
        return found
    if not given.startswith(start) or len(given) != len(start) + 3 + len(rest):
        problem = f"its code begins with {start} and has {len(start) + 3 + len(rest)} digits"
        raise Invalid("the code does not fit", fields={"code": problem})
    if given in areas or not given.endswith(rest):
        raise Conflict("this code is taken, or is not one of its level", code="area_exists")
    return given
