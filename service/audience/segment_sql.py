"""A segment rule as one SQL condition over `PEOPLE`, values as parameters only.

Three-valued: `(sql) IS TRUE` is the target, `(sql) IS NULL` is counted as age_unclear. Only `age`
can be NULL, where a person's band is unknown or straddles the comparison. Nobody matches who has
left every roster, or whose rosters have all expired; no rule sees links that have ended.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from service.audience.cells import WHITE
from service.audience.segment import And, Comparison, Not, Or, Rule, SegmentError
from service.audience.segment_words import FIELDS

AGE_BANDS = {
    "14-17": range(14, 18),
    "18-25": range(18, 26),
    "26-40": range(26, 41),
    "41-59": range(41, 60),
    "60-69": range(60, 70),
    "70+": range(70, 121),
}
"""The ages that each band of `contacts.age_band` stands for."""


class AmbiguousArea(Exception):
    """Several areas have this name; `choices` are their codes, each with where it lies."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(", ".join(choices))
        self.choices = choices


class AreaNames(Protocol):
    """What a rule must know of the area tree."""

    def subtree(self, name_or_code: str) -> frozenset[str] | None:
        """The codes of this area and of all within it; None if there is no such area.

        Raises:
            AmbiguousArea: several areas have this name.
        """

    def nearest(self, name: str) -> Sequence[str]:
        """The names that look most like this one."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One boolean SQL expression, and the values of its placeholders in order."""

    sql: str
    parameters: list[object]


PEOPLE = "contacts c LEFT JOIN carrier_overrides v ON v.phone_hash = c.phone_hash"
"""What a statement must read from, so that a condition finds `c` and `v`."""

CARRIER = "coalesce(v.carrier, c.carrier)"
"""Who serves a person's number: what is known of the number goes before what a list says."""


def _folded(column: str) -> str:
    """`segment_words.fold` in SQL, for a text that is in NFKC as imports store it."""
    white = "".join(f"\\{ord(character):04x}" for character in WHITE)
    return f"translate(lower({column}), U&'{white}', '')"


def _linked(condition: str, source: str = "links l") -> str:
    live = "l.contact_id = c.id AND l.left_by IS NULL{current}"
    return f"EXISTS (SELECT FROM {source} WHERE {live} AND {condition})"


_CURRENT = " AND l.roster_id IN (SELECT id FROM rosters WHERE expires_on >= {day}::date)"

_ON_A_CURRENT_ROSTER = """(
    NOT EXISTS (SELECT FROM rosters r
                WHERE r.department_id = c.department_id AND r.expires_on < {day}::date)
    OR NOT EXISTS (SELECT FROM links l WHERE l.contact_id = c.id AND l.left_by IS NULL)
    OR EXISTS (SELECT FROM links l JOIN rosters r ON r.id = l.roster_id
               WHERE l.contact_id = c.id AND l.left_by IS NULL AND r.expires_on >= {day}::date))"""
"""A person made by hand is on no roster, and no expiry applies."""


_WITH_ROSTERS = "links l JOIN rosters r ON r.id = l.roster_id"

_CONDITIONS = {
    "area": "(c.area_code IS NOT NULL AND c.area_code = ANY({}::text[]))",
    "gender": "(c.gender IS NOT NULL AND c.gender = ANY({}::text[]))",
    "carrier": f"({CARRIER} IS NOT NULL AND {CARRIER} = ANY({{}}::text[]))",
    "role": _linked("l.roles && {}::text[]"),
    "org": _linked(f"{_folded('l.org')} = ANY({{}}::text[])"),
    "school": _linked(f"{_folded('l.school')} = ANY({{}}::text[])"),
    "grade": _linked(f"{_folded('l.grade')} = ANY({{}}::text[])"),
    "class": _linked(f"{_folded('l.class')} = ANY({{}}::text[])"),
    "roster": _linked(f"{_folded('r.name')} = ANY({{}}::text[])", _WITH_ROSTERS),
    "department": (
        "EXISTS (SELECT FROM departments d WHERE d.id = c.department_id"
        f" AND {_folded('d.name')} = ANY({{}}::text[]))"
    ),
    "tag": (
        "EXISTS (SELECT FROM contact_tags t WHERE t.contact_id = c.id"
        f" AND {_folded('t.tag')} = ANY({{}}::text[]))"
    ),
    "received": (
        "EXISTS (SELECT FROM messages m JOIN runs s ON s.id = m.run_id"
        " WHERE m.run_id = ANY({}::uuid[]) AND m.phone_hash = c.phone_hash"
        " AND m.state = 'delivered' AND s.department_id = c.department_id)"
    ),
}
"""What each field but age and last_sent means; none of these is ever NULL."""

_SENT_SINCE = (
    "EXISTS (SELECT FROM messages m JOIN runs s ON s.id = m.run_id"
    " WHERE m.phone_hash = c.phone_hash AND s.department_id = c.department_id"
    " AND (s.finished_at IS NULL OR s.finished_at >= {instant}) AND m.marked_at >= {instant}"
    " AND m.state IN ('submitted', 'delivered', 'undelivered', 'expired', 'unknown', 'uncertain'))"
)
"""A text of the person's own department left, or may have, at or after an instant."""

_CHINA = ZoneInfo("Asia/Shanghai")

_AGE_CONDITION = (
    "CASE WHEN c.age_band = ANY({}::text[]) THEN true WHEN c.age_band = ANY({}::text[]) THEN false"
    " END"
)

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_rule(
    rule: Rule, *, areas: AreaNames, today: date, first_parameter: int = 1
) -> Compiled:
    """The condition of a rule, its placeholders numbered from `first_parameter`.

    `today` is the day in China: a roster counts to the end of its last day, and the days since
    somebody was last sent a text are counted back from it. The rule must use no other segments
    (`segment_uses.write_out`).

    Raises:
        SegmentError: a rule names an area that does not exist, or several of one name.
    """
    compiler = _Compiler(areas, first_parameter, today)
    condition = f"(c.listed{compiler.on_a_current_roster} AND {compiler.condition(rule)})"
    return Compiled(condition, compiler.parameters)


class _Compiler:
    def __init__(self, areas: AreaNames, first_parameter: int, today: date) -> None:
        self._areas = areas
        self._first = first_parameter
        self._today = today
        self.parameters: list[object] = []
        day = self._placeholder(today)
        self._current = _CURRENT.format(day=day)
        self.on_a_current_roster = f" AND {_ON_A_CURRENT_ROSTER.format(day=day)}"

    def condition(self, rule: Rule) -> str:
        match rule:
            case Comparison(field="age"):
                return self._age(rule)
            case Comparison(field="last_sent"):
                return self._last_sent(rule)
            case Comparison():
                return self._comparison(rule)
            case Not(operand):
                return f"(NOT {self.condition(operand)})"
            case And(operands):
                return f"({' AND '.join(map(self.condition, operands))})"
            case Or(operands):
                return f"({' OR '.join(map(self.condition, operands))})"

    def _comparison(self, comparison: Comparison) -> str:
        values = self._stored(comparison)
        condition = _CONDITIONS[comparison.field].format(
            self._placeholder(values), current=self._current
        )
        return f"(NOT {condition})" if comparison.operator == "!=" else condition

    def _age(self, comparison: Comparison) -> str:
        whole, none = satisfied_bands(comparison)
        return f"({_AGE_CONDITION.format(self._placeholder(whole), self._placeholder(none))})"

    def _last_sent(self, comparison: Comparison) -> str:
        """By whether a text left within so many days; who never got one was sent it long ago."""
        days = [int(value) for value in comparison.values]
        match comparison.operator:
            case "<":
                return self._sent_within(days[0] - 1)
            case "<=":
                return self._sent_within(days[0])
            case ">":
                return f"(NOT {self._sent_within(days[0])})"
            case ">=":
                return f"(NOT {self._sent_within(days[0] - 1)})"
        on = " OR ".join(
            f"({self._sent_within(day)} AND NOT {self._sent_within(day - 1)})" for day in days
        )
        return f"(NOT ({on}))" if comparison.operator == "!=" else f"({on})"

    def _sent_within(self, days: int) -> str:
        """Today counts as 0 days ago; nobody was sent anything less than 0 days ago."""
        if days < 0:
            return "false"
        start = datetime.combine(self._today - timedelta(days), time(), _CHINA)
        return _SENT_SINCE.format(instant=f"{self._placeholder(start)}::timestamptz")

    def _stored(self, comparison: Comparison) -> Sequence[object]:
        """The values as the columns hold them."""
        if comparison.field == "area":
            return self._area_codes(comparison)
        if comparison.field == "received":
            return [UUID(str(value)) for value in comparison.values]
        return list(comparison.values)

    def _area_codes(self, comparison: Comparison) -> list[str]:
        positions = comparison.positions or (1,) * len(comparison.values)
        codes: set[str] = set()
        for value, position in zip(comparison.values, positions, strict=True):
            codes |= self._subtree(str(value), position)
        return sorted(codes)

    def _subtree(self, name: str, position: int) -> frozenset[str]:
        try:
            subtree = self._areas.subtree(name)
        except AmbiguousArea as several:
            expected = "a code, for several areas have this name"
            raise SegmentError(position, name, expected, several.choices) from None
        if subtree is None:
            expected = f"the name or 12-digit code of an {FIELDS['area'].label}"
            raise SegmentError(position, name, expected, self._areas.nearest(name))
        return subtree

    def _placeholder(self, value: object) -> str:
        self.parameters.append(value)
        return f"${self._first + len(self.parameters) - 1}"


def satisfied_bands(comparison: Comparison) -> tuple[list[str], list[str]]:
    """The bands all of whose ages satisfy a comparison, and those none of whose ages does."""
    whole, none = [], []
    for band, ages in AGE_BANDS.items():
        verdicts = {_age_satisfies(age, comparison) for age in ages}
        if verdicts == {True}:
            whole.append(band)
        elif verdicts == {False}:
            none.append(band)
    return whole, none


def _age_satisfies(age: int, comparison: Comparison) -> bool:
    if comparison.operator == "in":
        return age in comparison.values
    return _COMPARE[comparison.operator](age, int(comparison.values[0]))
