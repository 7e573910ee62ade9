"""Segments that use other segments: a rule with all of these written out, or why it cannot be.

`segment = 旌阳财务` stands for the rule that the department has saved under this name. What is
counted, frozen and sent is always the rule written out, so that an approval binds that one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from service.audience.segments.segment import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    And,
    Comparison,
    Not,
    Or,
    Rule,
    canonical,
    comparisons,
    depth,
    joined,
    parse,
)
from service.audience.segments.segment_words import SegmentError, fold, nearest
from service.words.phrase import listing, phrase

FIELD = "segment"
MAX_CHAIN = 16
"""How many segments may stand behind each other, each using the next."""
MAX_WRITTEN_OUT = 40_000
"""The longest normal form, in characters, of a rule written out."""


@dataclass(frozen=True, slots=True)
class SavedRule:
    """A segment as far as others use it. editors: whoever wrote the rule as it stands."""

    name: str
    rule: str
    edited_by: UUID


@dataclass(frozen=True, slots=True)
class WrittenOut:
    """A rule without references; the names and the editors of all segments that it uses."""

    rule: Rule
    uses: tuple[str, ...] = ()
    editors: frozenset[UUID] = frozenset()


def uses_segments(rule: Rule) -> bool:
    """Whether a rule refers to saved segments."""
    return any(found.field == FIELD for found in comparisons(rule))


def refers_to(rule: str, name: str) -> bool:
    """Whether a rule, as it is saved, names this segment."""
    found = comparisons(parse(rule, max_characters=len(rule)))
    return any(one.field == FIELD and fold(name) in one.values for one in found)


def write_out(rule: Rule, saved: Iterable[SavedRule], *, name: str | None = None) -> WrittenOut:
    """A rule with the saved segments that it uses in the place of their names.

    Args:
        rule: the rule as it was read.
        saved: the department's segments.
        name: under which the rule is saved or about to be; so it cannot use itself.

    Raises:
        SegmentError: it names a segment that there is not or several of one name, the segments
            use each other in a circle (the path is named), or the rule written out is too large.
    """
    writer = _Writer(saved)
    if name is not None:
        writer.path.append(name)
    whole = writer.written(rule, position=None)
    used = [writer.used[key] for key in sorted(writer.used)]
    return WrittenOut(
        whole,
        tuple(one.name for one in used),
        frozenset(one.edited_by for one in used),
    )


class _Writer:
    """Depth first; each segment is written out once, however often it is used."""

    def __init__(self, saved: Iterable[SavedRule]) -> None:
        self._saved: dict[str, list[SavedRule]] = defaultdict(list)
        for one in saved:
            self._saved[fold(one.name)].append(one)
        self._done: dict[str, Rule] = {}
        self.used: dict[str, SavedRule] = {}
        self.path: list[str] = []

    def written(self, rule: Rule, position: int | None) -> Rule:
        """A rule written out and measured; errors lie at `position`, or where the rule's own
        references stand.
        """
        at = position or next(_reference_positions(rule), 1)
        whole = self._replaced(rule, position)
        _measure(whole, at)
        return whole

    def _replaced(self, rule: Rule, position: int | None) -> Rule:
        match rule:
            case Comparison(field=field) if field == FIELD:
                return self._referred(rule, position)
            case Comparison():
                moved = (position,) * len(rule.values) if position else rule.positions
                return replace(rule, positions=moved)
            case Not(operand):
                return Not(self._replaced(operand, position))
            case And(operands):
                return joined(And, [self._replaced(operand, position) for operand in operands])
            case Or(operands):
                return joined(Or, [self._replaced(operand, position) for operand in operands])

    def _referred(self, reference: Comparison, position: int | None) -> Rule:
        places = reference.positions or (1,) * len(reference.values)
        rules = [
            self._named(str(value), position or place)
            for value, place in zip(reference.values, places, strict=True)
        ]
        found = joined(Or, rules)
        return Not(found) if reference.operator == "!=" else found

    def _named(self, word: str, position: int) -> Rule:
        if word in self._done:
            return self._done[word]
        self._check_circle(word, position)
        saved = self._find(word, position)
        if len(self.path) >= MAX_CHAIN:
            raise SegmentError(
                position,
                saved.name,
                phrase("at most {max_chain} segments in a chain", max_chain=MAX_CHAIN),
            )
        self.path.append(saved.name)
        inner = parse(saved.rule, max_characters=len(saved.rule))
        self._done[word] = self.written(inner, position)
        self.path.pop()
        self.used[word] = saved
        return self._done[word]

    def _check_circle(self, word: str, position: int) -> None:
        before = [fold(name) for name in self.path]
        if word in before:
            start = before.index(word)
            circle = " → ".join([*self.path[start:], self.path[start]])
            expected = phrase("no circle; these segments use each other: {circle}", circle=circle)
            raise SegmentError(position, self.path[start], expected)

    def _find(self, word: str, position: int) -> SavedRule:
        named = self._saved.get(word, [])
        if not named:
            expected = phrase("the name of a saved segment (名单规则) of this department")
            raise SegmentError(position, word, expected, nearest(word, self._saved))
        if len(named) > 1:
            several = listing(one.name for one in named)
            raise SegmentError(
                position,
                word,
                phrase("one segment alone, but several are called so: {several}", several=several),
            )
        return named[0]


def _reference_positions(rule: Rule) -> Iterator[int]:
    yield from (
        place for one in comparisons(rule) if one.field == FIELD for place in one.positions[:1]
    )


def _measure(rule: Rule, position: int) -> None:
    count = sum(1 for _ in comparisons(rule))
    if count > MAX_COMPARISONS:
        expected = phrase(
            "at most {max_comparisons} comparisons with all segments written out",
            max_comparisons=MAX_COMPARISONS,
        )
        raise SegmentError(position, phrase("{count} comparisons", count=count), expected)
    if depth(rule) > MAX_DEPTH:
        expected = phrase(
            "at most {max_depth} parentheses and negations deep with all segments written out",
            max_depth=MAX_DEPTH,
        )
        raise SegmentError(position, phrase("{depth} levels", depth=depth(rule)), expected)
    length = len(canonical(rule))
    if length > MAX_WRITTEN_OUT:
        expected = phrase(
            "at most {max_written_out} characters with all segments written out",
            max_written_out=MAX_WRITTEN_OUT,
        )
        raise SegmentError(position, phrase("{length} characters", length=length), expected)
