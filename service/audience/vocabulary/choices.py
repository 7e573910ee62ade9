"""Cells with a fixed vocabulary: gender, roles, carrier, yes or no (import rules §9)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from service.audience.vocabulary.cells import WHITE, is_blank, is_placeholder, text_form
from service.audience.vocabulary.roles import ROLES

Carrier = Literal["china_mobile", "china_unicom", "china_telecom", "china_broadnet"]

CARRIERS: Mapping[str, str] = {
    "china_mobile": "中国移动 移动 cmcc",
    "china_unicom": "中国联通 联通 cucc",
    "china_telecom": "中国电信 电信 ctcc",
    "china_broadnet": "中国广电 广电 cbn",
}
"""Each carrier's key and the words that people write for it."""


def _words(table: Mapping[str, str]) -> dict[str, str]:
    return {word: key for key, words in table.items() for word in (key, *words.split())}


_ROLE_WORDS = _words(ROLES)
_CARRIER_WORDS = _words(CARRIERS)
_GENDER_WORDS = {"男": "m", "m": "m", "male": "m", "女": "f", "f": "f", "female": "f"}
_ROLE_BITS = {role: 1 << place for place, role in enumerate(ROLES)}
_ROLE_ENDS = re.compile(f"[;,、/|{WHITE}]+")
_TRUE = frozenset({"1", "true", "yes", "y", "是"})
_CACHED_CELLS = 16_384


class CellChoice(NamedTuple):
    """The meaning of a cell with a fixed vocabulary: "" for none, and whether it is not known."""

    value: str
    unknown: bool = False


class Roles(NamedTuple):
    """The role keys of a cell in the order of ROLES, and whether a word was not known."""

    keys: tuple[str, ...]
    unknown: bool = False


@lru_cache(1_024)
def read_gender(cell: str) -> CellChoice:
    """`m`, `f` or nothing."""
    return _choose(cell, _GENDER_WORDS)


@lru_cache(1_024)
def read_carrier(cell: str) -> CellChoice:
    """The carrier that the file names."""
    return _choose(cell, _CARRIER_WORDS)


def _choose(cell: str, words: dict[str, str]) -> CellChoice:
    text = text_form(cell).lower()
    if is_blank(text):
        return CellChoice("")
    return CellChoice(words.get(text, ""), unknown=text not in words)


@lru_cache(_CACHED_CELLS)
def read_roles(cell: str) -> Roles:
    """The roles in a cell, as people separate them."""
    tokens = [token.lower() for token in _ROLE_ENDS.split(text_form(cell)) if token]
    found = {_ROLE_WORDS[token] for token in tokens if token in _ROLE_WORDS}
    unknown = any(token not in _ROLE_WORDS and not is_placeholder(token) for token in tokens)
    return Roles(tuple(role for role in ROLES if role in found), unknown)


@lru_cache(_CACHED_CELLS)
def role_bits(roles: tuple[str, ...]) -> int:
    """A set of roles as bits."""
    return sum(_ROLE_BITS[role] for role in roles)


def roles_of(bits: int) -> list[str]:
    """The roles of a set of bits."""
    return [role for role, bit in _ROLE_BITS.items() if bits & bit]


@lru_cache(1_024)
def read_flag(cell: str) -> bool:
    """Whether a yes-or-no cell says yes."""
    return text_form(cell).lower() in _TRUE
