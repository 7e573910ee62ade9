"""What of a text is the same as before, what was added, and what is gone."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text beside an earlier version: `same`, `added` or `gone`."""

    kind: str
    text: str


def pieces(old: str, new: str) -> list[Piece]:
    """What of a text is the same, was added, and is gone: word by word, of Chinese sign by sign."""
    before, after = _split(old), _split(new)
    found: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Piece("same", "".join(before[a:b])))
            continue
        found += [Piece("gone", "".join(before[a:b]))] if b > a else []
        found += [Piece("added", "".join(after[c:d]))] if d > c else []
    return found


def _split(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9]+|\{[^}]*\}|\s+|.", text, re.DOTALL)
