"""The rule language as data, so that a page builds a rule by clicking."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID
from weakref import WeakKeyDictionary

from pydantic import Field

from service.api.audience.segments import ExplanationOut, explained
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Int, Out, PlainOut, Text
from service.audience.areas.area import Area, AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment import MAX_COMPARISONS
from service.audience.segments.segment_explain import called
from service.audience.segments.segment_store import list_saved_rules
from service.audience.segments.segment_terms import (
    SIGNS,
    TITLES,
    Term,
    operators_of,
    text_of,
)
from service.audience.segments.segment_words import FIELDS
from service.audience.segments.terms_store import (
    MOST_TEXTS,
    ListedValue,
    list_values,
    read_lists_state,
)
from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.fields import Kind
from service.audience.vocabulary.roles import ROLES
from service.clock import day_in_china
from service.shared_counts import SharedCounts
from service.storage.postgres import COUNT_SECONDS, Pool, transaction

_Counted = tuple[Sequence[ListedValue], datetime]
_COUNTS: WeakKeyDictionary[Pool, SharedCounts[_Counted]] = WeakKeyDictionary()
"""Of each database that this process serves."""
MOST_DEPARTMENTS = 32
"""The values of so many are kept; of one they take up to 0.2 MB."""

Operator = Literal["=", "!=", "in", "not in", "<", "<=", ">", ">="]
MOST_VALUES = 500


class OperatorOut(Out):
    """How a value is compared."""

    operator: Operator
    plain: PlainOut


class TermValueOut(Out):
    """A value that a rule may ask for."""

    value: str = Field(description="As a term takes it.")
    plain: PlainOut
    people: int | None = Field(
        description="How many people of your lists in force have it; null: it is not counted."
    )
    parent: str | None = Field(description="Of an area: the code of the one that it lies in.")
    level: str | None = Field(description="Of an area: county, town, village, community, group.")


class TermFieldOut(Out):
    """A field that rules ask for."""

    field: str
    plain: PlainOut
    kind: Literal["code", "text", "age", "days", "run"] = Field(
        description="code: one of `values`; text: any text, `values` are those of your lists; age,"
        " days: a whole number; run: the id of a run."
    )
    operators: list[OperatorOut]
    values: list[TermValueOut]
    more: bool = Field(description=f"There are more; the first {MOST_TEXTS} are shown.")


class TermsOut(Out):
    """The fields of the rule language, with the values that your department's lists hold. People
    are counted anew when a list has changed; what is corrected or erased one by one shows within a
    minute, while anybody asks.
    """

    BY_THE_CLOCK = frozenset({"counted_at"})

    items: list[TermFieldOut]
    counted_at: Instant = Field(description="When people were counted.")


class TermBody(Body):
    """A condition."""

    field: Text
    operator: Operator = Field(description="`in` and `not in` take several values.")
    values: list[Int | Text] = Field(min_length=1, max_length=MOST_VALUES)


class ComposeBody(Body):
    """Conditions that must all hold."""

    terms: Annotated[list[TermBody], Field(min_length=1, max_length=MAX_COMPARISONS)]


class ComposedOut(ExplanationOut):
    """The rule of some conditions, and what it means."""

    rule: str = Field(description="To be saved, or counted by the preview.")


async def list_terms(call: Call) -> TermsOut:
    """Show the fields of rules, their operators, and the values of your department's lists."""
    department = call.user.department_id
    listed, counted_at = await _listed_values(call, department)
    by_field: dict[str, list[ListedValue]] = defaultdict(list)
    for value in listed:
        by_field[value.field].append(value)
    saved = await list_saved_rules(call.conn, department)
    values = {
        **{field: _listed(by_field[field]) for field in ("org", "school", "roster")},
        "area": _areas(await read_area_tree(call.conn), by_field["area"]),
        "role": _codes("role", ROLES, by_field["role"]),
        "carrier": _codes("carrier", CARRIERS, by_field["carrier"]),
        "gender": _codes("gender", ("f", "m"), by_field["gender"]),
        "segment": [_value(rule.name, rule.name, rule.name) for rule in saved],
    }
    items = [_field_out(name, values.get(name, [])) for name in FIELDS]
    return TermsOut(items=items, counted_at=counted_at)


async def end_counts(pool: Pool) -> None:
    """End what is counted behind those who asked, before the pool closes."""
    if (counts := _COUNTS.pop(pool, None)) is not None:
        await counts.close()


async def _listed_values(call: Call, department_id: UUID) -> tuple[Sequence[ListedValue], datetime]:
    """The values of the department's lists, and when they were counted."""
    runtime, today = call.runtime, day_in_china(call.now)

    async def count() -> _Counted:
        return await list_values(call.conn, department_id, today), call.now

    async def behind() -> _Counted:
        async with transaction(runtime.pool, seconds=COUNT_SECONDS) as conn:
            return await list_values(conn, department_id, today), runtime.clock.now()

    counts = _COUNTS.setdefault(runtime.pool, SharedCounts(MOST_DEPARTMENTS))
    state = await read_lists_state(call.conn, department_id, today)
    return await counts.get((state, today), count, behind=behind)


async def compose_segment(call: Call, body: ComposeBody) -> ComposedOut:
    """Make the rule of some conditions, and say in plain words whom it means."""
    terms = [Term(term.field, term.operator, tuple(term.values)) for term in body.terms]
    rule = text_of(terms)
    found = await explained(call, rule)
    return ComposedOut(rule=rule, **found.model_dump(exclude={"terms"}), terms=found.terms)


def _field_out(name: str, values: list[TermValueOut]) -> TermFieldOut:
    field, title = FIELDS[name], TITLES[name]
    kinds: Mapping[Kind, Literal["code", "text", "age", "days", "run"]] = {
        Kind.CODE: "code",
        Kind.TEXT: "text",
        Kind.AGE: "age",
        Kind.DAYS: "days",
        Kind.RUN: "run",
    }
    return TermFieldOut(
        field=name,
        plain=PlainOut(zh=title.zh, en=title.en),
        kind=kinds[field.kind],
        operators=[
            OperatorOut.model_validate({"operator": sign, "plain": SIGNS[sign]})
            for sign in operators_of(field)
        ],
        values=values,
        more=name in {"org", "school"} and len(values) >= MOST_TEXTS,
    )


def _value(value: str, zh: str, en: str, people: int | None = None) -> TermValueOut:
    plain = PlainOut(zh=zh, en=en)
    return TermValueOut(value=value, plain=plain, people=people, parent=None, level=None)


def _listed(found: Iterable[ListedValue]) -> list[TermValueOut]:
    return [_value(one.value, one.value, one.value, one.people) for one in found]


def _codes(field: str, keys: Iterable[str], found: Iterable[ListedValue]) -> list[TermValueOut]:
    """All keys of a closed list, those of most people first."""
    people = {one.value: one.people for one in found}
    ordered = sorted(keys, key=lambda key: -people.get(key, 0))
    return [_value(key, *called(field, key), people.get(key, 0)) for key in ordered]


def _areas(tree: AreaTree, found: Iterable[ListedValue]) -> list[TermValueOut]:
    """The areas where people of the lists live, and those that these lie in; each with all within
    it. Who has entries in several places counts in each.
    """
    people: Counter[str] = Counter()
    for one in found:
        code = one.value
        while code in tree.areas:
            people[code] += one.people
            code = tree.areas[code].parent
    return [_area_out(tree.areas[code], people[code]) for code in sorted(people)]


def _area_out(area: Area, people: int) -> TermValueOut:
    found = _value(area.code, area.name, area.name, people)
    return found.model_copy(update={"parent": area.parent or None, "level": area.level})
