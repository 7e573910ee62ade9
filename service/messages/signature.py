"""Where the signature 【…】 of a text goes: some carriers want it last, some add it themselves.

A text begins with its signature (lint R01). What a channel's contract says is `SignMode`: ours at
the head as written, ours moved to the tail, or the carrier's own at head or tail. One that the
carrier adds is left out of what we write; where it takes room in the text all the same, the parts
are cut as if it were there, so that what the carrier adds never makes a part too long.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from service.coding import parts
from service.coding.parts import Coding, Part

SignMode = Literal["ours_head", "ours_tail", "carrier_head", "carrier_tail"]

Split = Callable[[str], tuple[Part, ...]]

LONGEST = 30
"""A longer name in 【】 is no signature (carriers register 2 to 20 characters), and a signature
of this length fits into one part in every coding."""

_HEAD = re.compile(rf"(【[^【】]{{1,{LONGEST}}}】)\s*")


def place(text: str, mode: SignMode) -> str:
    """The text as it is written on a channel; one without a signature stays as it is."""
    signature, rest = _taken_apart(text)
    if not signature or mode == "ours_head":
        return text
    return rest + signature if mode == "ours_tail" else rest


def head(text: str) -> str:
    """The signature at the head of a text, with its 【】; "" if there is none."""
    return _taken_apart(text)[0]


def words(text: str) -> str:
    """What a text says beside its signature, to the last octet; as `words_of` of the database."""
    return text.removeprefix(head(text))


def split_signed(text: str, split: Split, mode: SignMode, *, counts: bool) -> tuple[Part, ...]:
    """The parts a text is written in on a channel.

    Args:
        text: with its signature at the head.
        split: how the channel cuts what it is given.
        mode: who adds the signature, and where.
        counts: whether a signature that the carrier adds takes room in the text: then the parts,
            and their coding, are those of the whole text, without the octets of the signature in
            the first or last of them.
    """
    signature, rest = _taken_apart(text)
    if not signature or mode.startswith("ours") or not counts:
        return split(place(text, mode))
    if mode == "carrier_head":
        return _without_head(split(signature + rest), signature)
    return _without_tail(split(rest + signature), signature)


def _taken_apart(text: str) -> tuple[str, str]:
    """The signature, "" if there is none, and the rest."""
    match = _HEAD.match(text)
    return (match[1], text[match.end() :]) if match else ("", text)


def _without_head(whole: tuple[Part, ...], signature: str) -> tuple[Part, ...]:
    first, *others = whole
    return replace(first, body=first.body[_octets(signature, first.coding) :]), *others


def _without_tail(whole: tuple[Part, ...], signature: str) -> tuple[Part, ...]:
    """Where the cut fell into the signature or right before it, the character ahead of it moves
    along into the last part: a part with nothing in it is none that a carrier takes.
    """
    *others, last = whole
    excess = _octets(signature, last.coding) - len(last.body)
    if excess < 0 or not others:
        return *others, replace(last, body=last.body[: max(-excess, 0)])
    previous = others.pop()
    kept = previous.body[: len(previous.body) - excess]
    cut = len(kept) - _octets(parts.decode(kept, last.coding)[-1], last.coding)
    return *others, replace(previous, body=kept[:cut]), replace(last, body=kept[cut:])


@lru_cache(maxsize=1024)
def _octets(text: str, coding: Coding) -> int:
    return sum(len(part.body) for part in parts.split(text, coding=coding))
