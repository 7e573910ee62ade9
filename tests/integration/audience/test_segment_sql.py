"""Compiled rules on PostgreSQL against an oracle that reads the tree in three-valued logic."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.audience.areas.area import AreaTree, packaged_areas
from service.audience.segments.facts_store import facts_may_be_read
from service.audience.segments.segment import And, Comparison, Not, Or, Rule, canonical, parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule
from service.audience.segments.segment_words import fold
from service.audience.vocabulary.cells import WHITE, text_form
from service.audience.vocabulary.roles import ROLES
from service.storage import sql

Truth = bool | None

TOWN, VILLAGE, OTHER_TOWN = "341825100000", "341825100001", "341825101000"
RUN, OTHER_RUN = (UUID(f"0199b3c0-1111-7222-8333-44444444444{n}") for n in (1, 2))
TODAY = date(2026, 11, 25)
CHINA = ZoneInfo("Asia/Shanghai")
RUN_DAYS = {RUN: 3, OTHER_RUN: 40}
"""How many days ago each run was sent."""
LEFT = {"submitted", "delivered", "undelivered", "expired", "unknown", "uncertain"}
TREE = AreaTree(packaged_areas())
AREAS = RuleAreas(TREE)


@dataclass(frozen=True)
class Link:
    """A row of a roster about a person, as far as rules look at it."""

    roles: tuple[str, ...] = ()
    org: str = ""
    school: str = ""
    grade: str = ""
    class_: str = ""
    roster: str = "财务名单"


@dataclass(frozen=True)
class Person:
    """A contact, as far as rules look at it."""

    area: str | None = None
    age: str | None = None
    gender: str | None = None
    carrier: str | None = None
    department: str = "县财政局"
    links: tuple[Link, ...] = ()
    messages: dict[UUID, str] = field(default_factory=dict)
    ported_to: str | None = None
    tags: tuple[str, ...] = ()


PEOPLE = [
    Person(),
    Person(TOWN, "60-69", "f", "china_mobile", links=(Link(("finance",), org="县 财政局"),)),
    Person(VILLAGE, "41-59", "m", "china_unicom", links=(Link(("finance", "owner")),)),
    Person(VILLAGE, "70+", "f", "china_telecom", links=(Link(("elderly",)), Link(("parent",)))),
    Person(OTHER_TOWN, "26-40", "f", "china_mobile", links=(Link(("parent",), school="ABC中学"),)),
    Person(
        OTHER_TOWN,
        "26-40",
        "m",
        "china_broadnet",
        links=(
            Link(
                ("parent",), school="旌阳小学", grade="三年级", class_="1班", roster="家长 Roster"
            ),
            Link(
                ("parent",), school="旌阳小学", grade="五年级", class_="2班", roster="家长 Roster"
            ),
        ),
    ),
    Person("341825000000", "14-17", None, "china_mobile", links=(Link(("student",)),)),
    Person(TOWN, "18-25", "m", None, "县公安局", links=(Link(("student",), roster="大学"),)),
    Person(TOWN, None, "f", "china_mobile", "县公安局", links=(Link(("shop",)),)),
    Person(None, "60-69", "m", "china_unicom", messages={RUN: "delivered", OTHER_RUN: "unknown"}),
    Person(TOWN, "70+", "m", "china_mobile", messages={RUN: "undelivered"}, links=(Link(),)),
    Person(TOWN, "41-59", "f", "china_mobile", messages={OTHER_RUN: "delivered"}),
    Person(None, "41-59", "f", "china_mobile", ported_to="china_unicom", tags=("V ip", "重点")),
    Person(None, "41-59", "f", None, ported_to="china_mobile", messages={RUN: "rejected"}),
    Person(None, "41-59", "f", None, "县公安局", messages={OTHER_RUN: "delivered"}),
]
"""Both runs are of 县财政局; the last person is another department's with such a number."""


# The oracle: written from the description of the language, sharing nothing with the compiler.

SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip
YEARS = {"14-17": (14, 17), "18-25": (18, 25), "26-40": (26, 40), "41-59": (41, 59),
         "60-69": (60, 69), "70+": (70, 120)}  # fmt: skip


def holds(rule: Rule, person: Person) -> Truth:
    match rule:
        case Not(operand):
            inner = holds(operand, person)
            return None if inner is None else not inner
        case And(operands):
            return weakest([holds(operand, person) for operand in operands], decisive=False)
        case Or(operands):
            return weakest([holds(operand, person) for operand in operands], decisive=True)
        case Comparison("age"):
            return age_holds(rule, person.age)
        case Comparison("last_sent"):
            return sent_holds(rule, days_since(person))
        case Comparison(name, operator, values):
            having = any(has(person, name, str(value)) for value in values)
            return having != (operator == "!=")


def weakest(truths: list[Truth], *, decisive: bool) -> Truth:
    if decisive in truths:
        return decisive
    return None if None in truths else not decisive


def age_holds(comparison: Comparison, band: str | None) -> Truth:
    if band is None:
        return None
    first, last = YEARS[band]
    if comparison.operator == "in":
        verdicts = {age in comparison.values for age in range(first, last + 1)}
    else:
        sign, value = SIGNS[comparison.operator], comparison.values[0]
        verdicts = {sign(age, value) for age in range(first, last + 1)}
    return verdicts.pop() if len(verdicts) == 1 else None


def days_since(person: Person) -> float:
    days = [RUN_DAYS[run] for run, state in person.messages.items() if state in LEFT]
    return min(days) if days and person.department == "县财政局" else float("inf")


def sent_holds(comparison: Comparison, days: float) -> bool:
    if comparison.operator == "in":
        return days in comparison.values
    return SIGNS[comparison.operator](days, comparison.values[0])


def served_by(person: Person) -> str | None:
    return person.ported_to or person.carrier


def has(person: Person, name: str, value: str) -> bool:
    match name:
        case "area":
            return person.area is not None and value in lineage(person.area)
        case "gender" | "carrier":
            return value == (person.gender if name == "gender" else served_by(person))
        case "department":
            return fold(person.department) == value
        case "received":
            own = person.department == "县财政局"
            return own and person.messages.get(UUID(value)) == "delivered"
        case "role":
            return any(value in link.roles for link in person.links)
    attribute = "class_" if name == "class" else name
    texts = person.tags if name == "tag" else [getattr(link, attribute) for link in person.links]
    return value in map(fold, texts)


def lineage(code: str) -> set[str]:
    names = set()
    while code in TREE.areas:
        area = TREE.areas[code]
        names |= {area.code, area.name, area.name.removesuffix("居委会")}
        code = area.parent
    return names


@pytest.fixture
async def people(conn: Any) -> Any:
    """A database with PEOPLE in it; contact n has the phone hash n."""
    for area in packaged_areas():
        await conn.execute(
            "INSERT INTO areas VALUES ($1, $2, $3, NULLIF($4, ''), $5) ON CONFLICT DO NOTHING",
            *area._replace(level="village" if area.level == "community" else area.level),
        )
    for name in sorted({person.department for person in PEOPLE}):
        await conn.execute("INSERT INTO departments (name) VALUES ($1)", name)
    for run, days in RUN_DAYS.items():
        await conn.execute(
            "INSERT INTO runs (id, kind, department_id, fire_at, state, priority, class, text,"
            " send_hours, timezone, created_at, finished_at)"
            " SELECT $1, 'reply', id, $2, 'sent', 'normal', 'service', '', '[]', '', $2, $2"
            " FROM departments WHERE name = '县财政局'",
            run, at(days),
        )  # fmt: skip
    for number, person in enumerate(PEOPLE):
        await insert(conn, number, person)
    return conn


def at(days: int) -> datetime:
    """The first instant of the day so many days ago: the edge of what counts as that day."""
    return datetime.combine(TODAY - timedelta(days), time(), CHINA)


async def insert(conn: Any, number: int, person: Person) -> None:
    phone = number.to_bytes(16)
    department, contact = await conn.fetchrow(
        "INSERT INTO contacts (department_id, phone_hash, phone_cipher, area_code, age_band,"
        " gender, carrier, synthetic, created_at, updated_at)"
        " SELECT id, $2, '', $3, $4, $5, $6, true, now(), now() FROM departments WHERE name = $1"
        " RETURNING department_id, id",
        person.department, phone, person.area, person.age, person.gender, person.carrier,
    )  # fmt: skip
    for digest, link in enumerate(person.links):
        roster = await conn.fetchval(
            "INSERT INTO rosters (department_id, name, basis, expires_on) VALUES ($1, $2, 'duty',"
            " $3) ON CONFLICT (department_id, name) DO UPDATE SET basis = 'duty' RETURNING id",
            department, link.roster, date(2030, 1, 1),
        )  # fmt: skip
        await conn.execute(
            "INSERT INTO links (contact_id, roster_id, digest, roles, org, school, grade, class)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            contact, roster, bytes([digest]), list(link.roles), link.org, link.school, link.grade,
            link.class_,
        )  # fmt: skip
    for run, state in person.messages.items():
        await conn.execute(
            "INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier,"
            " roles, state, marked_at) VALUES ($1, $2, $3, '', 1, '', '{}', $4, $5)",
            run, number, phone, state, at(RUN_DAYS[run]),
        )  # fmt: skip
    if person.ported_to:
        await conn.execute(
            "INSERT INTO channels (id, name, kind, simulated, carriers, config_cipher, created_at)"
            " OVERRIDING SYSTEM VALUE VALUES (1, 'x', 'cmpp', true, '{}', '', now())"
            " ON CONFLICT DO NOTHING"
        )
        await conn.execute(
            "INSERT INTO carrier_overrides (phone_hash, carrier, source, channel_id, set_at)"
            " VALUES ($1, $2, 'learned', 1, now())",
            phone, person.ported_to,
        )  # fmt: skip
    for tag in person.tags:
        await conn.execute("INSERT INTO contact_tags VALUES ($1, $2, now())", contact, tag)


async def truths(conn: Any, rule: Rule) -> list[Truth]:
    """What PostgreSQL says of every person, each of their own department: by the entries of lists,
    and the same by facts.
    """
    by_entries, by_facts = [
        await _truths(conn, rule, of_facts=of_facts) for of_facts in (False, True)
    ]
    assert by_entries == by_facts
    return by_entries


async def _truths(conn: Any, rule: Rule, *, of_facts: bool) -> list[Truth]:
    found: dict[bytes, Truth] = {}
    for department in await conn.fetch("SELECT id FROM departments"):
        compiled = compile_rule(
            rule,
            areas=AREAS,
            department_id=department["id"],
            today=TODAY,
            of_facts=of_facts,
        )
        assert not of_facts or await facts_may_be_read(conn, department["id"])
        rows = await sql.fetch(
            conn,
            f"SELECT c.phone_hash, {compiled.sql} AS truth, {compiled.roles('k.roles')}"
            f" FROM {compiled.source} WHERE c.department_id = :department_id",
            department_id=department["id"],
            **compiled.values,
        )
        found |= {row["phone_hash"]: row["truth"] for row in rows}
    return [found[phone] for phone in sorted(found)]


# rule, numbers of the target, numbers of age_unclear
CASES: list[tuple[str, set[int], set[int]]] = [
    ("area = 旌阳镇", {1, 2, 3, 7, 8, 10, 11}, set()),
    ("area != 旌阳镇", {0, 4, 5, 6, 9, 12, 13, 14}, set()),
    (f"area = {VILLAGE}", {2, 3}, set()),
    ("区域 = 旌德县", {1, 2, 3, 4, 5, 6, 7, 8, 10, 11}, set()),
    ("role = finance", {1, 2}, set()),
    ("role = finance and role = owner", {2}, set()),
    ("身份不属于(财务, 家长, 学生)", {0, 8, 9, 10, 11, 12, 13, 14}, set()),
    ("org = 县财政局", {1}, set()),
    ("school = ａｂｃ中学", {4}, set()),
    ("年级=三年级 且 班级=1班", {5}, set()),
    ('roster = "家长roster"', {5}, set()),
    ("department = 县公安局", {7, 8, 14}, set()),
    ("gender = f", {1, 3, 4, 8, 11, 12, 13, 14}, set()),
    ("not gender = f", {0, 2, 5, 6, 7, 9, 10}, set()),
    ("carrier = unicom", {2, 9, 12}, set()),
    ("运营商 = 移动", {1, 4, 6, 8, 10, 11, 13}, set()),
    ("carrier != mobile", {0, 2, 3, 5, 7, 9, 12, 14}, set()),
    (f"received = {RUN}", {9}, set()),
    (f"received in ({RUN}, {OTHER_RUN})", {9, 11}, set()),
    ("tag = vip", {12}, set()),
    ("标签 != 重点 且 性别 = 女 且 年龄 >= 41", {1, 3, 11, 13, 14}, {8}),
    ("last_sent < 3", set(), set()),
    ("last_sent <= 3", {9, 10}, set()),
    ("last_sent = 3", {9, 10}, set()),
    ("最近发送 > 30天", {0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14}, set()),
    ("last_sent >= 40 and received = " + str(OTHER_RUN), {11}, set()),
    ("last_sent = 40", {11}, set()),
    ("age >= 60", {1, 3, 9, 10}, {0, 8}),
    ("age >= 65", {3, 10}, {0, 1, 8, 9}),
    ("not age >= 65", {2, 4, 5, 6, 7, 11, 12, 13, 14}, {0, 1, 8, 9}),
    ("age < 25 and gender = m", set(), {7}),
    ("age = 65", set(), {0, 1, 8, 9}),
    ("age != 65", {2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14}, {0, 1, 8, 9}),
    ("age in (14, 15, 16, 17)", {6}, {0, 8}),
    ("age >= 65 or gender = f", {1, 3, 4, 8, 10, 11, 12, 13, 14}, {0, 9}),
    ("age >= 65 and gender = f", {3}, {1, 8}),
    ("身份 = 财务人员 且 年龄 >= 60", {1}, set()),
]


async def test_table_of_rules(people: Any) -> None:
    for text, target, unclear in CASES:
        rule = parse(text)
        found = await truths(people, rule)
        assert found == [holds(rule, person) for person in PEOPLE], text
        assert {n for n, truth in enumerate(found) if truth} == target, text
        assert {n for n, truth in enumerate(found) if truth is None} == unclear, text


async def test_longest_rule_runs(people: Any) -> None:
    rule = parse("或".join(["身份=财务且年龄>65"] * 125))
    assert await truths(people, rule) == [holds(rule, person) for person in PEOPLE]


VALUES: dict[str, list[Any]] = {
    "area": [TOWN, VILLAGE, OTHER_TOWN, "旌阳镇", "旌德县", "安徽省"],
    "role": sorted(ROLES),
    "org": ["县财政局", "无"],
    "school": ["abc中学", "旌阳小学", "无"],
    "grade": ["三年级", "五年级"],
    "class": ["1班", "2班"],
    "gender": ["f", "m"],
    "age": [0, 14, 17, 18, 25, 26, 41, 59, 60, 65, 69, 70, 120],
    "carrier": ["china_mobile", "china_unicom", "china_telecom", "china_broadnet"],
    "roster": ["财务名单", "家长roster", "大学", "无"],
    "department": ["县财政局", "县公安局", "无"],
    "received": [str(RUN), str(OTHER_RUN)],
    "tag": ["vip", "重点", "无"],
    "last_sent": [0, 2, 3, 4, 39, 40, 41],
}


@st.composite
def comparisons(draw: st.DrawFn) -> Rule:
    name = draw(st.sampled_from(sorted(VALUES)))
    signs = list(SIGNS) if name in {"age", "last_sent"} else ["=", "!="]
    operator = draw(st.sampled_from([*signs, "in"]))
    most = 4 if operator == "in" else 1
    chosen = draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=most, unique=True))
    return Comparison(name, operator, tuple(chosen))


RULES: st.SearchStrategy[Rule] = st.recursive(
    comparisons(),
    lambda rules: st.one_of(
        rules.map(Not),
        st.lists(rules, min_size=2, max_size=3).map(lambda found: And(tuple(found))),
        st.lists(rules, min_size=2, max_size=3).map(lambda found: Or(tuple(found))),
    ),
    max_leaves=8,
)


@given(rule=RULES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_rule_means_the_same_to_postgresql(people: Any, rule: Rule) -> None:
    expected = [holds(rule, person) for person in PEOPLE]
    assert await truths(people, rule) == expected
    assert await truths(people, parse(canonical(rule))) == expected


async def test_what_lists_say_is_kept_as_rules_compare_it(people: Any) -> None:
    """Also after it has changed: with every white character."""
    texts = [*(f"A{white}县 Ä{white}" for white in WHITE), "", "一中"]
    columns = [f"{name}_folded" for name in ("org", "school", "grade", "class")]
    for text in map(text_form, texts):
        rows = await people.fetch(
            "UPDATE links SET org = $1, school = $1, grade = $1, class = $1"
            f" RETURNING {', '.join(columns)}",
            text,
        )
        assert {value for row in rows for value in row.values()} == {fold(text)}
