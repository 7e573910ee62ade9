"""Areas that users add: below what, under which name and code (pure).

A code is the town's nine digits and three more, a group's its village's twelve and three more.
Codes from 700 on are in no official list (villages: 001 to 399), so that a later one cannot clash.
"""

import re
from collections.abc import Mapping

from service.audience.areas.area import Area
from service.audience.vocabulary.names import asks
from service.errors import Conflict, Invalid
from service.words.phrase import listing, phrase
from service.words.terms import term

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


_SHORTEST_NAME, LONGEST_NAME = 2, 20
_LETTERS = re.compile(r"[^\W\d_]+")
_LETTERS_AND_FIGURES = re.compile(r"(?:[^\W\d_]|[0-9]{1,3}(?![0-9]))+")
_KINDS = """
    省 市 县 区 旗 州 盟 镇 乡 村 街道 社区 苏木 嘎查 办事处 村委会 居委会 委员会
    农场 林场 牧场 渔场 茶场 场
"""
_KINDS_IN_A_VILLAGE = """
    组 队 幢 栋 楼 网格 单元 小区 庄 屯 寨 湾 里 巷 弄 坊 园 苑 院 冲 坞 坑 岭 山 塘 桥 湖 河
    口 头 边 下 上
"""
_ENDINGS = tuple(_KINDS.split())
_ENDINGS_IN_A_VILLAGE = (*_KINDS_IN_A_VILLAGE.split(), *_ENDINGS)


def check_name(name: str, level: str) -> None:
    """Refuse what is no name of an area: texts are filled with it that nobody reads again.

    It has letters only (a group also a few figures), at most 20, ends in a kind of place, and has
    none of the words by which people are asked for something.

    Raises:
        Invalid: says what a name is.
    """
    is_group = level == "group"
    letters = _LETTERS_AND_FIGURES if is_group else _LETTERS
    endings = _ENDINGS_IN_A_VILLAGE if is_group else _ENDINGS
    whole = len(name) <= LONGEST_NAME and letters.fullmatch(name) and name.endswith(endings)
    if not whole or len(name) < _SHORTEST_NAME or asks(name):
        problem = phrase(
            "a name has {shortest_name} to {longest_name} letters without blanks, figures only in"
            " a group's, asks for nothing, and ends in a kind of place, such as {endings}",
            shortest_name=_SHORTEST_NAME,
            longest_name=LONGEST_NAME,
            endings="、".join(endings[:12]),
        )
        raise Invalid(phrase("this is no name of an area"), fields={"name": problem})


def check_free(areas: Mapping[str, Area], area: Area) -> None:
    """Refuse a name that another area beside this one has.

    Raises:
        Conflict: code `area_exists`.
    """
    if any(
        other.name == area.name and other.parent == area.parent and other.code != area.code
        for other in areas.values()
    ):
        raise Conflict(phrase("there is another area of this name beside it"), code="area_exists")


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
        Invalid: there is no such parent, nothing of this level lies in it, or the code does not;
            or the name is none.
        Conflict: the name or the code is taken.
    """
    above = areas.get(parent)
    if above is None:
        raise Invalid(
            phrase("the parent is not known"),
            fields={"parent": phrase("there is no area of this code")},
        )
    possible = BELOW.get(above.level, ())
    level = level or next(iter(possible), "")
    if level not in possible:
        problem = phrase(
            "in a {level} there can be: {possible}",
            level=term(above.level),
            possible=listing(map(term, possible)) if possible else phrase("nothing more"),
        )
        raise Invalid(phrase("the area does not fit"), fields={"level": problem})
    if any(area.parent == parent and area.name == name for area in areas.values()):
        raise Conflict(phrase("there is an area of this name in it already"), code="area_exists")
    made = Area(_code(areas, above, level, code), name, level, parent, population)
    check_name(name, level)
    return made


def _code(areas: Mapping[str, Area], above: Area, level: str, given: str | None) -> str:
    start = above.code[: _KEPT_DIGITS[level]]
    rest = "000" if level == "town" else ""
    if given is None:
        free = (f"{start}{number}{rest}" for number in _OWN_CODES)
        found = next((code for code in free if code not in areas), None)
        if found is None:
            raise Conflict(phrase("all codes for own areas in it are taken; give a code"))
        return found
    if not given.startswith(start) or len(given) != len(start) + 3 + len(rest):
        problem = phrase(
            "its code begins with {start} and has {count} digits",
            start=start,
            count=len(start) + 3 + len(rest),
        )
        raise Invalid(phrase("the code does not fit"), fields={"code": problem})
    if given in areas or not given.endswith(rest):
        raise Conflict(phrase("this code is taken, or is not one of its level"), code="area_exists")
    return given
