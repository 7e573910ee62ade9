"""A segment rule as one SQL condition on a department's people, values as parameters only.

Three-valued: `(sql) IS TRUE` is the target, `(sql) IS NULL` is counted as age_unclear. Only `age`
can be NULL, where a person's band is unknown or straddles the comparison. Nobody matches who has
left every roster, or whose rosters have all expired; no rule sees links that have ended.

One module: it is one compiler, for one rule and for several over the same people.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Protocol
from uuid import UUID

from service.audience.segments.segment import And, Comparison, Not, Or, Rule, comparisons
from service.audience.segments.segment_words import FIELDS, SegmentError
from service.audience.vocabulary.fields import PERSON_FIELDS, RULE_TEXTS
from service.audience.vocabulary.roles import ROLES, TOLD_ROLES
from service.clock import CHINA
from service.ledger.states import HANDED_OFF, sql_list
from service.words.phrase import phrase

AGE_BANDS = {
    "14-17": range(14, 18),
    "18-25": range(18, 26),
    "26-40": range(26, 41),
    "41-59": range(41, 60),
    "60-69": range(60, 70),
    "70+": range(70, 121),
}
"""The ages that each band of `contacts.age_band` stands for."""


def holds_on(roster: str, day: str) -> str:
    """SQL: whether a roster is valid on a day; it is to the end of its last one."""
    return f"{roster}.expires_on >= {day}::date"


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
    """A rule in SQL.

    sql: one boolean expression. source: what the statement must read from, so that the expression
    finds `c` (contacts), `v` (overrides) and `k` (what lists that hold say of each person, with all
    their roles in `k.roles`); it must keep to contacts of the department itself.
    values: those of the parameters of both, by name. role_order: all roles, the most telling first.
    said: what the person's entry says of each field that was asked for, over `k`; null or "" where
    it says nothing that fits. of_facts: `c` are rows of `person_facts`, which have no ciphers.
    of_kinds: each `c` stands for `c.people` people, for counting alone. kinds: the same rule over
    such; None: it asks for what is of single people.
    """

    sql: str
    source: str
    values: Mapping[str, Any]
    role_order: tuple[str, ...]
    said: Mapping[str, str] = field(default_factory=dict)
    of_facts: bool = False
    of_kinds: bool = False
    kinds: "Compiled | None" = None

    @property
    def ended(self) -> str:
        """SQL: whether a person is on ended lists only."""
        return "NOT c.holds" if self.of_facts else "c.listed AND NOT k.holds"

    @property
    def has_name(self) -> str:
        """SQL: whether a person's name is known."""
        return "c.has_name" if self.of_facts else "c.name_cipher IS NOT NULL"

    def roles(self, column: str) -> str:
        """The roles of a `k.roles` that was selected as this column, each once as an array.

        The first is the one that counts: of those that the rule asks for, else any before resident.
        """
        order = ", ".join(f"'{role}'" for role in self.role_order)
        return f"""CASE WHEN coalesce({column}, '') = '' THEN ARRAY[]::text[]
            WHEN position(' ' IN {column}) = 0 THEN ARRAY[{column}]
            ELSE ARRAY(SELECT role FROM (
                           SELECT DISTINCT unnest(string_to_array({column}, ' ')) AS role) h
                       WHERE role <> '' ORDER BY array_position(ARRAY[{order}], role))
            END"""  # noqa: S608  # keys of ROLES, which nobody types


CARRIER = "coalesce(v.carrier, c.carrier)"
"""Who serves a person's number: what is known of the number goes before what a list says."""


_ENTRIES = {
    "role": "l.roles && {}::text[]",
    **{name: f"l.{name} = ANY({{}}::text[])" for name in RULE_TEXTS},
    "tag": "EXISTS (SELECT FROM unnest(l.tags) AS t(tag) WHERE folded(t.tag) = ANY({}::text[]))",
    "roster": (
        "l.roster_id = ANY(ARRAY(SELECT id FROM rosters WHERE folded(name) = ANY({}::text[])))"
    ),
}
"""Fields of what lists say: true of a person if true of any entry."""

_READ = {name: f"{text.compared} AS {name}" for name, text in RULE_TEXTS.items()} | {"tag": "tags"}
"""What of `links` must be read for a field: texts folded, as `segment_words.fold` folds one that is
in NFKC as imports store it.
"""

_KEPT_READ = {name: name for name in RULE_TEXTS} | {"tag": "tags"}
"""The same of `said_entries`, which has all texts folded."""

_COLUMNS = {
    text.code: text.column for text in PERSON_FIELDS if text.is_text and text.sql_type == "text"
}
"""The column of `links` of each free text in clear, by the code of its field."""

_CONDITIONS = {
    "area": "(c.area_code IS NOT NULL AND c.area_code = ANY({}::text[]))",
    "gender": "(c.gender IS NOT NULL AND c.gender = ANY({}::text[]))",
    "carrier": f"({CARRIER} IS NOT NULL AND {CARRIER} = ANY({{}}::text[]))",
    "department": (
        "(c.department_id = ANY(ARRAY(SELECT id FROM departments"
        " WHERE folded(name) = ANY({}::text[]))))"
    ),
    "tag": (
        "EXISTS (SELECT FROM contact_tags t WHERE t.contact_id = c.id"
        " AND folded(t.tag) = ANY({}::text[]))"
    ),
    "received": (
        # By run and phone: statistics know nothing of a run just written (decision 0130).
        "EXISTS (SELECT FROM runs s, LATERAL (SELECT state FROM messages"
        " WHERE run_id = s.id AND phone_hash = c.phone_hash OFFSET 0) m"
        " WHERE s.id = ANY({}::uuid[]) AND s.department_id = c.department_id"
        " AND m.state = 'delivered')"
    ),
}
"""What each other field but age and last_sent means; none of these is ever NULL."""

_SENT_SINCE = (
    "EXISTS (SELECT FROM messages m JOIN runs s ON s.id = m.run_id"
    " WHERE m.phone_hash = c.phone_hash AND s.department_id = c.department_id"
    " AND (s.finished_at IS NULL OR s.finished_at >= {instant}) AND m.marked_at >= {instant}"
    f" AND m.state IN {sql_list(HANDED_OFF)})"
)
"""A text of the person's own department left, or may have, at or after an instant."""


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
    rule: Rule | None,
    *,
    areas: AreaNames,
    department_id: UUID,
    today: date,
    fields: Mapping[str, int] | None = None,
    of_facts: bool = False,
) -> Compiled:
    """The condition of a rule on a department's people; None means everybody on a list that holds.
    Its parameters are `rule_1`, `rule_2` and so on.

    `today` is the day in China: a roster counts to the end of its last day, and the days since
    somebody was last sent a text are counted back from it. The rule must use no other segments
    (`segment_uses.write_out`).

    fields: free texts of lists, or `role`, by the code of the field, with the most characters that
    a value may have; `said` of the result has what a person's entry says of each. Of several
    entries that hold all values come from one: the one of which most comparisons of the rule are
    true; of these one that says most of the fields; of these the newest.

    of_facts: the people are read in `person_facts`, where `facts_store.facts_may_be_read`; what a
    single entry says is not there.

    Raises:
        SegmentError: a rule names an area that does not exist, or several of one name.
        ValueError: fields are asked of facts.
    """
    if of_facts and fields:
        raise ValueError("facts do not tell entries apart")
    order = _role_order(rule)
    compiler = _Compiler(areas, department_id, today)
    asked = "true" if rule is None else compiler.condition(rule)
    condition = f"({_LISTED[of_facts]} AND {asked})"
    asks = fields or {}
    said = {code: f"k.said[{place}]" for place, code in enumerate(asks, 2)}
    source = compiler.facts() if of_facts else compiler.source(asks, order)
    kinds = _of_kinds(rule, areas, department_id, today) if of_facts else None
    return Compiled(condition, source, compiler.values, order, said, of_facts=of_facts, kinds=kinds)


def _of_kinds(
    rule: Rule | None, areas: AreaNames, department_id: UUID, today: date
) -> Compiled | None:
    """The rule over kinds of people; None: it asks for what tells people of one kind apart."""
    if rule is not None and not {one.field for one in comparisons(rule)} <= _KIND_FIELDS:
        return None
    compiler = _KindsCompiler(areas, department_id, today)
    condition = f"({_LISTED[True]} AND {'true' if rule is None else compiler.condition(rule)})"
    source, order = compiler.kinds(condition), _role_order(rule)
    return Compiled("c.matches", source, compiler.values, order, of_facts=True, of_kinds=True)


@dataclass(frozen=True, slots=True)
class CompiledTogether:
    """Several rules over one reading of a department's people.

    conditions: of each rule, in order, true of whom it means. source, values: as of `Compiled`.
    """

    conditions: Sequence[str]
    source: str
    values: Mapping[str, Any]


_LISTED = {
    # A person made by hand is on no roster, and no expiry applies.
    False: "c.listed AND (k.contact_id IS NULL OR k.holds)",
    True: "c.holds",
}
"""Whom any rule may mean, by entries and by facts."""


def compile_together(
    rules: Sequence[Rule],
    *,
    areas: AreaNames,
    department_id: UUID,
    today: date,
    of_facts: bool = False,
) -> CompiledTogether:
    """The conditions of several rules, for one statement that reads the people once. of_facts: as
    for `compile_rule`.

    Raises:
        SegmentError: as `compile_rule`.
    """
    compiler = _Compiler(areas, department_id, today)
    listed = _LISTED[of_facts]
    conditions = [f"(({listed} AND {compiler.condition(rule)}) IS TRUE)" for rule in rules]
    source = compiler.facts() if of_facts else compiler.source({}, ())
    return CompiledTogether(conditions, source, compiler.values)


def check_areas(rule: Rule, areas: AreaNames) -> None:
    """Refuse a rule that names an unknown area; raises as `compile_rule`."""
    for comparison in comparisons(rule):
        if comparison.field == "area":
            _area_codes(comparison, areas)


def _role_order(rule: Rule | None) -> tuple[str, ...]:
    """All roles: first those that the rule names, in its order, and resident last."""
    asked = () if rule is None else comparisons(rule)
    named = [str(v) for c in asked if c.field == "role" for v in c.values]
    others = [role for role in ROLES if role != "resident"]
    return tuple(dict.fromkeys([*(role for role in named if role in ROLES), *others, "resident"]))


def _said_of_entry(code: str, longest: int, role_order: Sequence[str]) -> str:
    """SQL: what an entry `l` says of a field; "" if that is nothing or too long.

    Raises:
        KeyError: lists do not say it in clear.
    """
    if code == "role":
        told = [role for role in role_order if role in TOLD_ROLES]
        titles = (f"WHEN '{r}' = ANY(l.roles) THEN '{TOLD_ROLES[r]}'" for r in told)
        return f"CASE {' '.join(titles)} ELSE '' END"
    own = f"l.own_{_COLUMNS[code]}"
    return f"CASE WHEN char_length({own}) <= {longest:d} THEN {own} ELSE '' END"


class _Compiler:
    """Gathers parameters, and what is asked of the entries of lists.

    All entries of the department are read once, whatever the rule; each comparison about them is
    one column of that reading.
    """

    def __init__(self, areas: AreaNames, department_id: UUID, today: date) -> None:
        self._areas = areas
        self._today = today
        self._asked: list[str] = []
        self._texts: set[str] = set()
        self.values: dict[str, Any] = {}
        self._day = self._placeholder(today)
        self._department = self._placeholder(department_id)

    def facts(self) -> str:
        """The tables of a statement over facts. What the entries of a span say is asked once for
        all people of whom they say the same.
        """
        texts = "".join(f", {_KEPT_READ[name]}" for name in sorted(self._texts))
        return f"""(
                SELECT contact_id AS id, department_id, phone_hash, carrier, area_code, age_band,
                       gender, synthetic, has_name, said, to_day >= {self._day}::date AS holds
                FROM person_facts
                WHERE from_day <= {self._day}::date AND (to_day >= {self._day}::date OR is_last)) c
            LEFT JOIN carrier_overrides v ON v.phone_hash = c.phone_hash
            LEFT JOIN (
                SELECT l.said, string_agg(array_to_string(l.roles, ' '), ' ') AS roles
                       {self._flags()}
                FROM (
                    SELECT said, roster_id, roles, true AS holds{texts} FROM said_entries
                    WHERE department_id = {self._department}::uuid
                    OFFSET 0) l
                GROUP BY l.said) k ON k.said = c.said AND c.holds"""  # noqa: S608  # placeholders

    def _flags(self) -> str:
        return "".join(
            f", bool_or(l.holds AND {condition}) AS k{number}"
            for number, condition in enumerate(self._asked)
        )

    def source(self, asks: Mapping[str, int], role_order: tuple[str, ...]) -> str:
        """The tables of a statement over entries, with what an entry says of each field that is
        asked for.
        """
        said = {code: _said_of_entry(code, longest, role_order) for code, longest in asks.items()}
        texts = "".join(f", {_READ[name]}" for name in sorted(self._texts))
        asked = self._flags()
        best, columns = self._best_entry(said) if said else ("", "")
        return f"""contacts c
            LEFT JOIN carrier_overrides v ON v.phone_hash = c.phone_hash
            LEFT JOIN (
                SELECT l.contact_id, bool_or(l.holds) AS holds,
                       string_agg(array_to_string(l.roles, ' '), ' ') FILTER (WHERE l.holds)
                           AS roles{asked}{best}
                FROM (
                    SELECT contact_id, roster_id, roles, roster_id = ANY(ARRAY(
                               SELECT id FROM rosters o WHERE {holds_on("o", self._day)}))
                               AND (last_day IS NULL OR last_day >= {self._day}::date)
                               AS holds{texts}{columns}
                    FROM links
                    WHERE left_by IS NULL AND roster_id = ANY(ARRAY(
                        SELECT id FROM rosters WHERE department_id = {self._department}::uuid))
                    OFFSET 0) l
                GROUP BY l.contact_id) k ON k.contact_id = c.id"""  # noqa: S608  # placeholders

    def _best_entry(self, said: Mapping[str, str]) -> tuple[str, str]:
        """The column of what a person's best entry says, and what must be read of `links` for it.

        Arrays are compared from the left. The first item is the entry's rank and ends with its id,
        so the texts behind it decide nothing.
        """
        fits = " + ".join([f"({condition})::int" for condition in self._asked] or ["0"])
        says = " + ".join(f"({text} <> '')::int" for text in said.values())
        rank = f"to_char({fits}, 'FM0000') || ({says}) || to_char(l.id, 'FM{'0' * 19}')"
        items = ", ".join([f'({rank}) COLLATE "C"', *said.values()])
        read = (_COLUMNS[code] for code in said if code in _COLUMNS)
        columns = "".join(f", {column} AS own_{column}" for column in read)
        return f", max(ARRAY[{items}]) FILTER (WHERE l.holds) AS said", f", id{columns}"

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
        place = self._placeholder(self._stored(comparison))
        if comparison.field == "tag":  # the department's own, or one of a list
            own = _CONDITIONS["tag"].format(place)
            condition = f"({own} OR {self._entry('tag', place)})"
        elif comparison.field in _ENTRIES:
            condition = self._entry(comparison.field, place)
        else:
            condition = _CONDITIONS[comparison.field].format(place)
        return f"(NOT {condition})" if comparison.operator == "!=" else condition

    def _entry(self, field: str, place: str) -> str:
        if field in _READ:
            self._texts.add(field)
        self._asked.append(_ENTRIES[field].format(place))
        return f"coalesce(k.k{len(self._asked) - 1}, false)"

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
        start = datetime.combine(self._today - timedelta(days), time(), CHINA)
        return _SENT_SINCE.format(instant=f"{self._placeholder(start)}::timestamptz")

    def _stored(self, comparison: Comparison) -> Sequence[object]:
        """The values as the columns hold them."""
        if comparison.field == "area":
            return _area_codes(comparison, self._areas)
        if comparison.field == "received":
            return [UUID(str(value)) for value in comparison.values]
        return list(comparison.values)

    def _placeholder(self, value: object) -> str:
        name = f"rule_{len(self.values) + 1}"
        self.values[name] = value
        return f":{name}"


class _KindsCompiler(_Compiler):
    """The same over kinds of people, for rules that ask for `_KIND_FIELDS` alone."""

    def kinds(self, condition: str) -> str:
        """The tables of a statement over kinds of whom a condition is not false, as `c.matches`.

        Whoever may be special, for their number is ported or suppressed, is one row alone, and is
        taken from those of their kind by another one.
        """
        day = self._day
        valid = f"""
            SELECT *, to_day >= {day}::date AS holds FROM {{}}
            WHERE department_id = {self._department}::uuid AND from_day <= {day}::date
              AND (to_day >= {day}::date OR is_last)"""  # noqa: S608  # placeholders
        asked = f"({condition}) IS NOT FALSE OR NOT c.holds"
        return f"""(
                SELECT c.department_id, NULL::bytea AS phone_hash, c.carrier, c.area_code,
                       c.synthetic, c.has_name, k.roles, c.holds, {condition} AS matches,
                       sum(c.people) AS people
                FROM ({valid.format("person_kinds")}) c
                CROSS JOIN (SELECT NULL::text AS carrier) v
                CROSS JOIN LATERAL (SELECT CASE WHEN c.holds THEN c.roles END AS roles) k
                WHERE {asked} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
                UNION ALL
                SELECT c.department_id, CASE WHEN n.people > 0 THEN c.phone_hash END, {CARRIER},
                       c.area_code, c.synthetic, c.has_name, c.roles, c.holds, {condition}, n.people
                FROM (
                    SELECT f.*, k.roles
                    FROM ({valid.format("person_facts")} AND phone_hash IN (
                        SELECT phone_hash FROM carrier_overrides
                        UNION ALL SELECT phone_hash FROM suppressions)) f
                    LEFT JOIN (
                        SELECT said, string_agg(array_to_string(roles, ' '), ' ') AS roles
                        FROM said_entries WHERE department_id = {self._department}::uuid
                        GROUP BY said) k ON k.said = f.said AND f.holds
                    OFFSET 0) c  -- so that this is done once for both rows
                CROSS JOIN LATERAL (SELECT c.roles) k
                CROSS JOIN (VALUES (1), (-1)) n(people)
                LEFT JOIN carrier_overrides v ON n.people > 0 AND v.phone_hash = c.phone_hash
                WHERE {asked}) c
            CROSS JOIN (SELECT NULL::text AS carrier) v
            CROSS JOIN LATERAL (SELECT c.roles) k"""  # noqa: S608  # constants and placeholders

    def _entry(self, field: str, place: str) -> str:
        if field != "role":
            raise ValueError(field)
        return f"coalesce(string_to_array(k.roles, ' ') && {place}::text[], false)"


_KIND_FIELDS = frozenset({"area", "gender", "carrier", "department", "age", "role"})
"""The fields of a rule that tell no people of one kind apart."""


def _area_codes(comparison: Comparison, areas: AreaNames) -> list[str]:
    positions = comparison.positions or (1,) * len(comparison.values)
    codes: set[str] = set()
    for value, position in zip(comparison.values, positions, strict=True):
        codes |= _subtree(str(value), position, areas)
    return sorted(codes)


def _subtree(name: str, position: int, areas: AreaNames) -> frozenset[str]:
    try:
        subtree = areas.subtree(name)
    except AmbiguousArea as several:
        expected = phrase("a code, for several areas have this name")
        raise SegmentError(position, name, expected, several.choices) from None
    if subtree is None:
        expected = phrase("the name or 12-digit code of an {label}", label=FIELDS["area"].label)
        raise SegmentError(position, name, expected, areas.nearest(name))
    return subtree


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
