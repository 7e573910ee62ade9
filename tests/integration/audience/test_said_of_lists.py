"""What lists say of a person who is on several: one entry fills a text, the same each time,
against an oracle that shares nothing with the compiler.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.audience.areas.area import AreaTree, packaged_areas
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule
from service.audience.vocabulary.roles import ROLE_TITLES
from service.clock import day_in_china
from service.crypto import Keyring
from service.storage import sql
from service.storage.postgres import Connection
from tests.factories import make_contact, make_team

PEOPLE = 80
AREAS = RuleAreas(AreaTree(packaged_areas()))


@dataclass(frozen=True)
class Entry:
    """A row of a list about one person, as far as texts take it."""

    id: int
    roster: str
    roles: tuple[str, ...]
    texts: Mapping[str, str]
    in_force: bool


# A rule, which of its comparisons an entry makes true, and the order of its roles.
RULES: list[tuple[str, Sequence[Callable[[Entry], bool]], tuple[str, ...]]] = [
    ("carrier = mobile", (), ()),
    ("roster = 一小", [lambda e: e.roster == "一小"], ()),
    ("roster in (一小, 二小)", [lambda e: e.roster in {"一小", "二小"}], ()),
    (
        "roster = 二小 or 身份 = 家长",
        [lambda e: e.roster == "二小", lambda e: "parent" in e.roles],
        ("parent",),
    ),
    ("年级 = 三年级 or carrier = mobile", [lambda e: e.texts["grade"] == "三年级"], ()),
    ("not 班级 = 1班", [lambda e: e.texts["class"] == "1班"], ()),
    (
        "role in (finance, owner) and org = 县局 or carrier = mobile",
        [
            lambda e: bool({"finance", "owner"} & {*e.roles}),
            lambda e: e.texts["org"] in {"县局", "县 局"},
        ],
        ("finance", "owner"),
    ),
]
FIELDS = (["org"], ["school", "grade", "class"], ["role"], ["org", "role"], ["grade"])
LONGEST = 6
VALUES = {
    "org": ("", "县局", "县 局", "一家名字很长的公司"),
    "school": ("", "一小", "二小"),
    "grade": ("", "三年级", "四年级"),
    "class": ("", "1班", "2班"),
}


async def _people(conn: Connection, keyring: Keyring, now: datetime) -> dict[bytes, list[Entry]]:
    draw, today = random.Random(7), day_in_china(now)
    team = await make_team(conn, now=now)
    rosters = {}
    for name, ends in (("一小", today), ("二小", today), ("过期", today - timedelta(days=1))):
        rosters[name] = await conn.fetchval(
            "INSERT INTO rosters (department_id, name, basis, expires_on)"
            " VALUES ($1, $2, 'duty', $3) RETURNING id",
            *(team.department_id, name, ends),
        )
    found: dict[bytes, list[Entry]] = {}
    for number in range(PEOPLE):
        phone = await make_contact(conn, keyring, team.department_id, number, now=now)
        found[keyring.phone_index(phone)] = [
            await _entry(conn, draw, keyring.phone_index(phone), rosters, now, place)
            for place in range(draw.choice((0, 1, 2, 3, 4)))
        ]
    return found


async def _entry(
    conn: Connection,
    draw: random.Random,
    phone: bytes,
    rosters: Mapping[str, UUID],
    now: datetime,
    place: int,
) -> Entry:
    roster = draw.choice(list(rosters))
    texts = {field: draw.choice(values) for field, values in VALUES.items()}
    roles = tuple(draw.sample(["parent", "finance", "owner", "resident"], draw.randrange(3)))
    left = draw.random() < 0.15
    last_day = draw.choice((None, None, day_in_china(now), day_in_china(now) - timedelta(days=1)))
    link = await conn.fetchval(
        "INSERT INTO links (contact_id, roster_id, digest, roles, org, school, grade, class,"
        " last_day, left_at, left_by)"
        " SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM contacts WHERE phone_hash = $1"
        " RETURNING id",
        *(phone, rosters[roster], bytes([place]), list(roles), *texts.values(), last_day),
        *((now, UUID(int=1)) if left else (None, None)),
    )
    in_force = not left and roster != "过期" and (last_day is None or last_day >= day_in_china(now))
    return Entry(link, roster, roles, texts, in_force)


def _expected(
    entries: Sequence[Entry],
    fields: Sequence[str],
    true_of: Sequence[Callable[[Entry], bool]],
    first_roles: Sequence[str],
) -> list[str | None]:
    order = [*first_roles, *(role for role in ROLE_TITLES if role != "resident"), "resident"]

    def says(entry: Entry, field: str) -> str:
        if field == "role":
            return next((ROLE_TITLES[role] for role in order if role in entry.roles), "")
        return entry.texts[field] if len(entry.texts[field]) <= LONGEST else ""

    def rank(entry: Entry) -> tuple[int, int, int]:
        filled = sum(bool(says(entry, field)) for field in fields)
        return sum(true(entry) for true in true_of), filled, entry.id

    held = [entry for entry in entries if entry.in_force]
    if not held:
        return [None] * len(fields)
    best = max(held, key=rank)
    return [says(best, field) for field in fields]


async def test_one_entry_fills_a_text_whatever_a_person_is_on(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    people = await _people(conn, keyring, now)
    department = await conn.fetchval("SELECT department_id FROM contacts LIMIT 1")
    several = 0
    for rule, true_of, first_roles in RULES:
        for fields in FIELDS:
            compiled = compile_rule(
                parse(rule),
                areas=AREAS,
                department_id=department,
                today=day_in_china(now),
                fields=dict.fromkeys(fields, LONGEST),
            )
            rows = await sql.fetch(
                conn,
                f"SELECT c.phone_hash, ({compiled.sql}) AS meant,"
                f" ARRAY[{', '.join(compiled.said.values())}] AS said"
                f" FROM {compiled.source} WHERE c.department_id = :department",
                department=department,
                **compiled.values,
            )
            assert len(rows) == PEOPLE
            for row in rows:
                entries = people[row["phone_hash"]]
                assert row["said"] == _expected(entries, fields, true_of, first_roles), rule
                several += len([e for e in entries if e.in_force]) > 1
    assert several > 500


async def test_a_rule_of_which_nothing_is_asked_reads_no_more_than_before(now: datetime) -> None:
    """A run whose text takes nothing of lists has the statement that it always had."""
    asked = {"areas": AREAS, "department_id": UUID(int=1), "today": day_in_china(now)}
    rule = parse("roster = 一小 and class = 1班")
    plain = compile_rule(rule, **asked)  # type: ignore[arg-type]  # of several types
    assert plain == compile_rule(rule, **asked, fields={})  # type: ignore[arg-type]  # of several types
    assert "said" not in plain.source
    assert "own_" not in plain.source
