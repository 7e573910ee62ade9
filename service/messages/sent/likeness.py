"""Whether a text is one that was sent, or is only like it (pure).

**The same** are texts whose characters are the same, apart from spaces, line breaks and the width
of letters and signs; the signature 【…】 may stand at the end, where some carriers put it. Letters
that only look alike, traditional characters and marks that turn the direction of reading are other
characters: whoever disguises a text changes it. A variable takes what its text says may fill it;
one that says nothing takes letters alone, `MOST_LETTERS` at most.

**Alike** are texts that share most pairs of neighbouring letters, as the eye takes them (look-alike
letters replaced), without signature, links and digits. So a text of ours with a link added, or with
another number, is still like ours. Two such texts share so many pairs that some of the pairs of
each, its `keys`, are enough to find it by (a prefix filter: Bayardo, Ma and Srikant, Scaling up all
pairs similarity search, 2007).
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import pairwise

from service.messages.lint import obfuscation
from service.messages.template import Slot, planned, slots
from service.messages.value_kinds import Allowed, fits

ALIKE = 0.9
"""From this share of common pairs on a text is like another."""

MOST_LETTERS = 20
"""The longest value of a variable that is confirmed."""

ANCHOR = 6
"""So many characters in a row does a text with variables need to be found, and to be confirmed."""

_UNSEEN = "\u200b\ufeff"
"""What programs put into a text when it is copied: no width, and it turns nothing round."""
_HEAD = re.compile(r"^【[^【】]{1,30}】")
_TAIL = re.compile(r"(【[^【】]{1,30}】)$")
_NO_LETTER = re.compile(r"[\W_0-9]+")
_NAMES = frozenset({"姓名", "name"})


@lru_cache(4096)
def _narrow(character: str) -> str:
    """The twin of a character in the usual width; itself, if it has none."""
    if unicodedata.decomposition(character).startswith(("<wide>", "<narrow>")):
        return unicodedata.normalize("NFKC", character)
    return character


def written(text: str) -> str:
    """A text as it is compared: one width, no spaces, its signature in front."""
    plain = _closed_up(text)
    if not _HEAD.match(plain) and (tail := _TAIL.search(plain)):
        return tail[1] + plain[: tail.start()]
    return plain


@dataclass(frozen=True)
class SentWords:
    """A text as it was sent: its plan's values are in it, those of each person are not.

    literals: what stands before, between and behind the variables, one more than `slots`.
    """

    text: str

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The variables that each reader has a value of."""
        return slots(self.text)

    @cached_property
    def literals(self) -> list[str]:
        """What stands before, between and behind them, as it is compared."""
        pieces = self._pieces
        return [written(pieces[0])] if len(pieces) == 1 else list(map(_closed_up, pieces))

    @property
    def _pieces(self) -> list[str]:
        ends = [0, *(slot.end for slot in self.slots)]
        starts = [*(slot.start for slot in self.slots), len(self.text)]
        return [self.text[a:b] for a, b in zip(ends, starts, strict=True)]

    @cached_property
    def allowed(self) -> list[Allowed | None]:
        """What may fill each of the variables; None: letters."""
        known = planned(self.text)
        return [slot.allowed or known.get(slot.variable) for slot in self.slots]

    @property
    def digest(self) -> bytes:
        """What names the words: the same for texts that are the same."""
        named = zip(self.slots, self.allowed, strict=True)
        kinds = [(slot.variable, repr(kind)) for slot, kind in named]
        return _digest(self.literals, kinds)

    @property
    def anchor(self) -> int | None:
        """What every reader's copy of a text with variables has in it; None: it has no variables,
        or too few words of its own to be told by.
        """
        if not self.slots:
            return None
        longest = max((_HEAD.sub("", literal) for literal in self.literals), key=len)
        return _number(longest[:ANCHOR]) if len(longest) >= ANCHOR else None

    @cached_property
    def pairs(self) -> frozenset[str]:
        """The pairs of letters outside the variables."""
        return frozenset().union(*map(pairs_of, self._pieces))

    @property
    def keys(self) -> list[int]:
        """Of the pairs those by which a text that is alike is found: it shares one at least."""
        if not self.pairs:
            return []
        # Alike texts share 0.9 / 1.1 of the pairs at least, for the other one has them as well.
        fewest = math.ceil(len(self.pairs) * ALIKE / (2 - ALIKE))
        return sorted(map(_number, self.pairs))[: len(self.pairs) - fewest + 1]

    def values_in(self, asked: str) -> dict[str, str] | None:
        """What fills the variables if `asked`, as `written`, is this text; None: it is not."""
        if not self.slots:
            return {} if asked == self.literals[0] else None
        if self.anchor is None or not asked.startswith(self.literals[0]):
            return None
        return self._filled(asked, 0, len(self.literals[0]), {}, set())

    def _filled(
        self, asked: str, place: int, at: int, values: dict[str, str], dead: set[tuple[int, int]]
    ) -> dict[str, str] | None:
        """The values from this variable on. dead: places from which no way leads to the end, so
        that no text takes long, however many variables stand side by side.
        """
        if place == len(self.slots):
            return values if at == len(asked) else None
        if (place, at) in dead:
            return None
        slot, allowed, literal = self.slots[place], self.allowed[place], self.literals[place + 1]
        same = values.get(slot.variable)
        for end in range(at + 1, min(at + MOST_LETTERS, len(asked)) + 1):
            value = asked[at:end]
            if same is not None and value != same:
                continue
            if not asked.startswith(literal, end) or not _may_fill(slot.variable, value, allowed):
                continue
            found = self._filled(
                asked, place + 1, end + len(literal), {**values, slot.variable: value}, dead
            )
            if found is not None:
                return found
        dead.add((place, at))
        return None

    def alike(self, pairs: frozenset[str]) -> float:
        """How much pairs of letters are like this text, from 0 to 1 (Sørensen and Dice). Letters
        that may be values of the variables count for nothing.
        """
        shared = len(self.pairs & pairs)
        in_values = min(len(pairs) - shared, len(self.slots) * (MOST_LETTERS + 1))
        total = len(self.pairs) + len(pairs) - in_values
        return 2 * shared / total if total else 0.0


def _may_fill(variable: str, value: str, allowed: Allowed | None) -> bool:
    if isinstance(allowed, tuple):
        return value in map(_closed_up, allowed)
    if allowed is not None and allowed not in {"name", "place"}:
        return fits(value, allowed)
    letters = value.replace("·", "") if variable in _NAMES or allowed == "name" else value
    return letters.isalpha()


def _closed_up(text: str) -> str:
    """A piece of a text as it is compared; a signature in it stays where it is."""
    return "".join(
        _narrow(character)
        for character in text
        if not character.isspace() and character not in _UNSEEN
    )


def digest_of(asked: str) -> bytes:
    """The digest of the text without variables that this is, as `written`."""
    return _digest([asked], [])


def _digest(literals: Sequence[str], kinds: Sequence[tuple[str, str]]) -> bytes:
    said = repr((list(literals), list(kinds)))
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def anchors_of(asked: str) -> list[int]:
    """The anchors that a text may have that is `written`."""
    return sorted({_number(asked[at : at + ANCHOR]) for at in range(len(asked) - ANCHOR + 1)})


@lru_cache(4096)
def pairs_of(text: str) -> frozenset[str]:
    """The pairs of neighbouring letters of a text, as it was typed, by which it is compared."""
    plain, _ = obfuscation.plain_view(text.strip())
    words = _TAIL.sub("", _HEAD.sub("", plain, count=1))
    letters = _NO_LETTER.sub("", obfuscation.without_links(words))
    return frozenset(map("".join, pairwise(letters)))


def keys_of(pairs: Iterable[str]) -> list[int]:
    """All keys by which texts that are like these pairs may be found."""
    return sorted(map(_number, pairs))


@lru_cache(65_536)
def _number(characters: str) -> int:
    """A number for characters, the same in every process and version: 32 bits with a sign."""
    octets = characters.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(octets, digest_size=4).digest(), "big", signed=True)
