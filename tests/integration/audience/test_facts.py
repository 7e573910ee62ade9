"""What rules ask of people is kept beside the entries, and is at all times what the entries say."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.audience.areas.area_store import read_area_tree
from service.audience.contacts.contact_store import correct_contact, remove_contacts, set_tags
from service.audience.imports import store
from service.audience.imports.loading import create_import, run_import
from service.audience.imports.model import ImportRequest
from service.audience.numbers.number import to_e164
from service.audience.rosters import count_store
from service.audience.rosters.roster_store import confirm_roster, get_roster, list_rosters
from service.audience.rosters.rosters import ask_undo, run_undo
from service.audience.segments import facts_store
from service.audience.segments.facts import check_facts, freshen_waiting
from service.audience.segments.facts_store import (
    NOTED_SINGLY,
    facts_may_be_read,
    freshen_facts,
)
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule, compile_together
from service.audience.suppressions.suppression_store import NewSuppression, insert_suppressions
from service.audience.vocabulary.consent import NOTHING, Evidence
from service.audience.vocabulary.fields import RULE_TEXTS
from service.campaigns.audience.audience_source import by_rule
from service.campaigns.audience.exclusion_store import ExclusionTerms, count_people
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict
from service.ledger.message_class import PUBLICITY
from service.privacy.erasure_store import delete_contacts
from service.storage import sql
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.owner import as_owner
from tests.harness.plans import watch_plans
from tests.integration.audience.conftest import Department

NUMBERS = [f"1979000124{n}" for n in range(8)]
RULES = [
    "carrier in (mobile, unicom, telecom, broadnet) or not carrier = mobile",
    "role in (finance, owner)",
    "not role = finance",
    "role = finance and role = driver",
    "org = 甲厂 or school = 一中",
    "college != 文学院",
    "office = 财务科 and gender = f",
    "tag = 重点",
    "tag = 自选 or grade = 三年级",
    "roster = 甲 and not roster = 乙",
    "roster = 甲",
    "roster = 乙",
    "roster = 丙",
    "gender = f",
    "area = 旌阳镇",
    "age >= 60",
    "not (age >= 60 or class = 1班)",
]
HEADER = "手机,姓名,性别,年龄,区域,身份,单位,学校,年级,班级,学院,科室,标签,有效期至"


class Lists:
    """A department whose lists are changed, and what rules say of its people in both ways."""

    def __init__(
        self, conn: Connection, keyring: Keyring, department: Department, now: datetime
    ) -> None:
        self.conn = conn
        self.keyring = keyring
        self.department = department
        self.now = now
        self.done: list[UUID] = []

    async def upload(
        self, rows: list[str], roster: str, mode: str, days: int, shown: str = ""
    ) -> None:
        """shown: what shows the consent of those in the file."""
        request = ImportRequest(
            self.department.id,
            self.department.user_id,
            roster,
            "list.csv",
            basis="consent",
            mode=mode,
            expires_on=day_in_china(self.now) + timedelta(days=days),
            evidence=Evidence(shown, day_in_china(self.now), "村委会", "paper")
            if shown
            else NOTHING,
        )

        async def octets() -> Any:
            yield "\n".join([HEADER, *rows, ""]).encode()

        waiting = await create_import(
            self.conn, self.keyring, request, octets(), limit=10**7, now=self.now
        )
        await run_import(self.conn, self.keyring, waiting.id, self.now)
        self.done.append(waiting.id)

    async def undo(self, place: int) -> None:
        if not self.done:
            return
        import_id = self.done.pop(place)
        try:
            asked = await store.lock_import(self.conn, import_id)
            await ask_undo(self.conn, asked, self.department.user_id, self.now)
        except Conflict:
            return
        await run_undo(self.conn, import_id, self.now)

    def hash(self, number: str) -> bytes:
        return self.keyring.phone_index(to_e164(number))

    async def contact(self, number: str) -> UUID | None:
        found: UUID | None = await self.conn.fetchval(
            "SELECT id FROM contacts WHERE department_id = $1 AND phone_hash = $2",
            self.department.id,
            self.hash(number),
        )
        return found

    async def compare(self, days: list[int]) -> None:
        """Ask on each day by entries and by facts: all rules at once, and some one by one, with
        those who are left out.
        """
        await self.make_facts()
        assert await facts_store.count_differing_kinds(self.conn, self.department.id) == 0
        areas = RuleAreas(await read_area_tree(self.conn))
        for day in days:
            asked: dict[str, Any] = {
                "areas": areas,
                "department_id": self.department.id,
                "today": day_in_china(self.now) + timedelta(days=day),
            }
            entries, facts = [
                await self._meant_of(
                    compile_together([parse(rule) for rule in RULES], **asked, of_facts=of_facts)
                )
                for of_facts in (False, True)
            ]
            assert entries == facts, day
            for text in RULES[day % 6 :: 6]:
                assert await self._alone(text, asked, of_facts=False) == await self._alone(
                    text, asked, of_facts=True
                ), (text, day)

    async def count_lists(self) -> None:
        """As the scheduler does."""
        for roster_id in await count_store.changed_rosters(self.conn):
            await count_store.count_roster(self.conn, roster_id)

    async def compare_lists(self) -> None:
        """What is shown of the lists, beside all their entries, one by one."""
        entries: dict[str, dict[UUID, bool]] = {}
        for roster, contact, bare in await self.conn.fetch(
            """
            SELECT r.name, l.contact_id, r.evidence = '' AND l.consent_basis = ''
                   AND coalesce(f.evidence, '') = ''
            FROM rosters r LEFT JOIN links l ON l.roster_id = r.id AND l.left_by IS NULL
            LEFT JOIN imports f ON f.id = l.import_id WHERE r.department_id = $1
            """,
            self.department.id,
        ):
            people = entries.setdefault(roster, {})
            if contact is not None:
                people[contact] = people.get(contact, False) or bare
        shown = await list_rosters(self.conn, self.department.id, None, 50, day_in_china(self.now))
        assert {one.name: (one.contacts, one.unshown) for one in shown} == {
            roster: (len(people), sum(people.values())) for roster, people in entries.items()
        }

    def terms(self, **more: Any) -> ExclusionTerms:
        return ExclusionTerms(
            department_id=self.department.id,
            message_class=PUBLICITY,
            at=self.now,
            routes=None,
            **more,
        )

    async def make_facts(self) -> None:
        """As whoever reads does, or else the scheduler."""
        if not await facts_may_be_read(self.conn, self.department.id):
            assert await freshen_facts(self.conn, self.department.id)

    async def _alone(self, text: str, asked: dict[str, Any], *, of_facts: bool) -> Any:
        compiled = compile_rule(parse(text), **asked, of_facts=of_facts)
        counts = await count_people(self.conn, self.terms(needs=["name"]), by_rule(compiled))
        meant = await self._meant(compiled)
        assert set(counts.some) <= set(meant)  # any few of them
        return meant, replace(counts, some=[])

    async def _meant(self, compiled: Any) -> dict[bytes, tuple[bool | None, bool, list[str]]]:
        rows = await sql.fetch(
            self.conn,
            f"""
            SELECT c.phone_hash, ({compiled.sql}) AS means, coalesce({compiled.ended}, false),
                   {compiled.roles("k.roles")}
            FROM {compiled.source} WHERE c.department_id = :department_id
            """,
            department_id=self.department.id,
            **compiled.values,
        )
        # Whoever is on no list any more has no facts, and no rule means them.
        return {row[0]: tuple(row)[1:] for row in rows if row[1] is not False or row[2]}

    async def _meant_of(self, compiled: Any) -> list[Any]:
        conditions = ", ".join(compiled.conditions)
        rows = await sql.fetch(
            self.conn,
            f"SELECT c.phone_hash, {conditions} FROM {compiled.source}"
            " WHERE c.department_id = :department_id ORDER BY 1",
            department_id=self.department.id,
            **compiled.values,
        )
        return [tuple(row) for row in rows if any(row[1:])]


@pytest.fixture
def lists(
    conn: Connection, keyring: Keyring, department: Department, now: datetime
) -> Callable[[], Awaitable[Lists]]:
    """Makes a department with lists of its own, each time another one."""

    async def make() -> Lists:
        name = f"单位{await conn.fetchval('SELECT count(*) FROM departments')}"
        department_id = await conn.fetchval(
            "INSERT INTO departments (name) VALUES ($1) RETURNING id", name
        )
        return Lists(conn, keyring, Department(department_id, department.user_id), now)

    return make


def row(number: str, **said: str) -> str:
    names = ("gender", "age", "area", "role", "org", "school", "grade", "class_", "college")
    rest = ("office", "tag", "until")
    return ",".join([number, said.get("name", "王小明"), *(said.get(n, "") for n in names + rest)])


ROWS = st.builds(
    row,
    st.sampled_from(NUMBERS),
    name=st.sampled_from(["王小明", ""]),
    gender=st.sampled_from(["", "男", "女"]),
    age=st.sampled_from(["", "16", "65", "80"]),
    area=st.sampled_from(["", "旌阳镇", "三溪镇"]),
    role=st.sampled_from(["会计", "司机", "会计;司机", ""]),
    org=st.sampled_from(["", "甲厂", "乙厂"]),
    school=st.sampled_from(["", "一中"]),
    grade=st.sampled_from(["", "三年级"]),
    class_=st.sampled_from(["", "1班"]),
    college=st.sampled_from(["", "文学院"]),
    office=st.sampled_from(["", "财务科"]),
    tag=st.sampled_from(["", "重点", "重点;其他"]),
    until=st.sampled_from(["", "2026-01-05", "2027-06-30", "长期"]),
)
STEPS = st.one_of(
    st.tuples(
        st.just("upload"),
        st.lists(ROWS, min_size=1, max_size=6),
        st.sampled_from(["甲", "乙"]),
        st.sampled_from(["add", "replace"]),
        st.sampled_from([5, 30, 400]),
        st.sampled_from(["", "案卷一"]),
    ),
    st.tuples(st.just("undo"), st.sampled_from([0, -1])),
    st.tuples(st.just("erase"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("refuse"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("port"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("correct"), st.sampled_from(NUMBERS), st.sampled_from(["f", None])),
    st.tuples(st.just("tag"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("remove"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("by hand"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("expire"), st.sampled_from(["甲", "乙"]), st.sampled_from([1, 50])),
    st.tuples(st.just("look")),
)


async def take(lists: Lists, step: tuple[Any, ...]) -> None:
    """Change the lists as a step says; one about somebody who is not there changes nothing."""
    match step:
        case ("upload", rows, roster, mode, days, *shown):
            await lists.upload(rows, roster, mode, days, *shown)
        case ("undo", *place):
            await lists.undo(*(place or [-1]))
        case ("expire", roster, days):
            await expire(lists, roster, days)
        case ("look",):
            await lists.compare([0])
        case (act, number, *rest):
            await of_person(lists, act, number, rest)


async def expire(lists: Lists, roster: str, days: int) -> None:
    terms = await get_roster(lists.conn, lists.department.id, roster)
    if terms is not None:
        ends = day_in_china(lists.now) + timedelta(days=days)
        terms = terms._replace(expires_on=ends)
        await confirm_roster(lists.conn, terms, lists.department.user_id, lists.now)


async def of_person(lists: Lists, act: str, number: str, rest: list[Any]) -> None:
    conn, contact = lists.conn, await lists.contact(number)
    if act == "erase":
        await delete_contacts(conn, lists.hash(number), lists.department.id)
    elif act == "refuse":
        refusal = NewSuppression("opted_out", ("public_interest",), None, None)
        await insert_suppressions(conn, [lists.hash(number)], refusal, lists.now)
    elif act == "port":
        await conn.execute(
            "INSERT INTO carrier_overrides VALUES ($1, 'china_unicom', 'operator', NULL, $2, $3)"
            " ON CONFLICT DO NOTHING",
            lists.hash(number),
            lists.department.user_id,
            lists.now,
        )
    elif act == "by hand":
        await conn.execute(
            "INSERT INTO contacts (department_id, phone_hash, phone_cipher, carrier, synthetic,"
            " created_at, updated_at) VALUES ($1, $2, '', 'china_mobile', true, $3, $3)"
            " ON CONFLICT DO NOTHING",
            lists.department.id,
            lists.hash(number),
            lists.now,
        )
    elif contact is None:
        return
    elif act == "correct":
        user = lists.department.user_id
        await correct_contact(conn, contact, {"gender": rest[0]}, user, lists.now)
    elif act == "tag":
        await set_tags(conn, contact, ["自选"], lists.now)
    else:
        await remove_contacts(conn, [contact])


A, B = (row(number, name="王小明", org="甲厂", role="会计") for number in NUMBERS[:2])
BOTH: list[tuple[Any, ...]] = [
    ("upload", [A, B], "甲", "add", 30),
    ("upload", [A], "乙", "add", 400),
]
"""Two people on a list, of whom one is on another one, too."""


@given(steps=st.lists(STEPS, min_size=1, max_size=7), at_once=st.integers(1, 2))
@example(steps=[*BOTH, ("upload", [A], "丙", "add", 400)], at_once=1)
@example(steps=[*BOTH, ("upload", [B], "甲", "replace", 30)], at_once=1)
@example(steps=[*BOTH, ("upload", [B], "甲", "replace", 30), ("undo",)], at_once=1)
@example(steps=[*BOTH, ("undo",)], at_once=1)
@example(steps=[*BOTH, ("upload", [B], "乙", "add", 400), ("undo",)], at_once=1)
@example(steps=[*BOTH, ("upload", [A, B], "甲", "add", 30, "案卷一"), ("undo", 0)], at_once=1)
@example(steps=[*BOTH, ("expire", "甲", 1)], at_once=1)
@example(steps=[*BOTH, ("remove", NUMBERS[0])], at_once=1)
@example(steps=[*BOTH, ("erase", NUMBERS[0])], at_once=1)
@example(steps=[*BOTH, ("correct", NUMBERS[1], "f")], at_once=1)
@example(steps=[*BOTH, ("refuse", NUMBERS[0]), ("port", NUMBERS[1])], at_once=2)
@example(steps=[*BOTH, ("port", NUMBERS[0]), ("erase", NUMBERS[0])], at_once=1)
@example(steps=[*BOTH, ("by hand", NUMBERS[2])], at_once=1)
@example(steps=[("by hand", NUMBERS[2]), ("remove", NUMBERS[2])], at_once=1)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_rules_mean_the_same_by_facts_and_by_entries(
    lists: Callable[[], Awaitable[Lists]], steps: list[tuple[Any, ...]], at_once: int
) -> None:
    """at_once: facts are made, and lists counted, before so many last steps, which must note all
    that they change.
    """
    one = await lists()
    for place, step in enumerate(steps):
        if place == len(steps) - at_once:
            await one.make_facts()
            await one.count_lists()
        await take(one, step)
    await one.compare_lists()
    await one.compare([-400, 0, 2, 5, 6, 31, 51, 401])


MANY = [row(f"1979{n:07}", org=f"单位{n % 7}") for n in range(NOTED_SINGLY + 50)]


async def test_after_many_changes_entries_are_read_until_facts_are_made(
    lists: Callable[[], Awaitable[Lists]],
) -> None:
    one = await lists()
    await one.upload(MANY, "甲", "add", 400)
    assert not await facts_may_be_read(one.conn, one.department.id)
    assert await freshen_facts(one.conn, one.department.id)
    await one.compare([0, 401])
    await one.upload(MANY[:3], "乙", "add", 30)  # few changes: whoever reads makes these anew
    await one.compare([0, 31, 401])


@pytest.fixture
async def stored(
    pool: Pool, keyring: Keyring, now: datetime, new_department: Any
) -> tuple[Pool, Lists]:
    """A department with a list of some people whose facts are made, committed."""
    async with pool.acquire() as conn:
        department = await new_department(conn, "县教育局")
        lists = Lists(conn, keyring, department, now)
        await lists.upload([row(number, org="甲厂") for number in NUMBERS], "甲", "add", 30)
    await freshen_waiting(pool)
    return pool, lists


async def changed(conn: Connection, lists: Lists, *numbers: str) -> None:
    await conn.execute(
        "UPDATE contacts SET gender = 'f' WHERE department_id = $1 AND phone_hash = ANY($2)",
        lists.department.id,
        [lists.hash(number) for number in numbers],
    )


async def by_facts(conn: Connection, lists: Lists) -> int:
    found: int = await conn.fetchval(
        "SELECT count(*) FROM person_facts WHERE department_id = $1 AND gender = 'f'",
        lists.department.id,
    )
    return found


async def test_nobody_waits_for_who_makes_facts_or_changes_entries(
    stored: tuple[Pool, Lists],
) -> None:
    """And a change that is committed while facts are made is not lost."""
    pool, lists = stored
    department = lists.department.id
    async with pool.acquire() as other:
        async with transaction(pool) as writer:
            await changed(writer, lists, NUMBERS[0])
            async with transaction(pool) as maker:
                assert await facts_may_be_read(maker, department)  # nothing is committed yet
                await changed(other, lists, NUMBERS[1])
                assert await facts_may_be_read(maker, department)
                assert await by_facts(maker, lists) == 1
                await changed(other, lists, NUMBERS[2])
                async with other.transaction():
                    assert not await facts_may_be_read(other, department)  # the maker has the lock
            async with other.transaction():
                assert await facts_may_be_read(other, department)
                assert await by_facts(other, lists) == 2
        async with other.transaction():
            assert await facts_may_be_read(other, department)
            assert await by_facts(other, lists) == 3


async def test_who_breaks_off_leaves_facts_and_notes_as_they_were(
    stored: tuple[Pool, Lists],
) -> None:
    pool, lists = stored
    async with pool.acquire() as conn:
        await changed(conn, lists, *NUMBERS[:4])
        broken = conn.transaction()
        await broken.start()
        assert await freshen_facts(conn, lists.department.id)
        assert await by_facts(conn, lists) == 4
        await broken.rollback()
        assert await by_facts(conn, lists) == 0
        assert await facts_store.departments_waiting(conn) == [lists.department.id]
        async with conn.transaction():
            assert await facts_may_be_read(conn, lists.department.id)
            assert await by_facts(conn, lists) == 4


async def test_a_reader_of_one_state_has_facts_of_that_state(stored: tuple[Pool, Lists]) -> None:
    pool, lists = stored
    department = lists.department.id
    async with pool.acquire() as reader, pool.acquire() as writer:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            assert await facts_may_be_read(reader, department)
            await changed(writer, lists, *NUMBERS[:2])
            assert await facts_may_be_read(reader, department)
            assert await by_facts(reader, lists) == 0
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            assert not await facts_may_be_read(reader, department)
            await freshen_waiting(pool)
            assert not await facts_may_be_read(reader, department)
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            assert await facts_may_be_read(reader, department)
            assert await by_facts(reader, lists) == 2


async def kinds_kept(conn: Connection, lists: Lists) -> tuple[int, int]:
    """How many rows a department's kinds have, and of how many people they are."""
    row = await conn.fetchrow(
        "SELECT count(*)::int, coalesce(sum(people), 0)::int FROM person_kinds"
        " WHERE department_id = $1",
        lists.department.id,
    )
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("counted_first", [False, True])
async def test_an_erasure_beside_a_count_of_kinds_is_in_it_once(
    stored: tuple[Pool, Lists], *, counted_first: bool
) -> None:
    pool, lists = stored
    department = lists.department.id
    async with pool.acquire() as erasing, pool.acquire() as counting:
        for number in NUMBERS[:2]:
            erasure, count = erasing.transaction(), counting.transaction()
            await erasure.start()
            await count.start()
            if counted_first:
                await facts_store.count_kinds(counting, department)
            await delete_contacts(erasing, lists.hash(number), department)
            if not counted_first:
                await facts_store.count_kinds(counting, department)
            first, second = (count, erasure) if counted_first else (erasure, count)
            await first.commit()
            await second.commit()
            assert await facts_store.count_differing_kinds(counting, department) == 0
        assert (await kinds_kept(counting, lists))[1] == len(NUMBERS) - 2


async def test_an_erasure_within_a_count_of_kinds_is_in_it_once(
    stored: tuple[Pool, Lists], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, lists = stored
    department, left, execute = lists.department.id, list(NUMBERS), sql.execute
    async with pool.acquire() as erasing, pool.acquire() as counting:

        async def erase_after(conn: Connection, statement: str, **values: Any) -> str:
            status = await execute(conn, statement, **values)
            if conn is counting:
                await delete_contacts(erasing, lists.hash(left.pop()), department)
            return status

        with monkeypatch.context() as patch:
            patch.setattr(sql, "execute", erase_after)
            await facts_store.count_kinds(counting, department)
        assert len(left) < len(NUMBERS)
        assert await facts_store.count_differing_kinds(counting, department) == 0


async def test_a_program_that_does_not_count_kinds_leaves_them_right(
    stored: tuple[Pool, Lists],
) -> None:
    """That of the version before makes all facts anew and knows no kinds."""
    pool, lists = stored
    async with transaction(pool) as conn:
        await conn.execute("CREATE TEMP TABLE other ON COMMIT DROP AS SELECT * FROM person_facts")
        await conn.execute("DELETE FROM person_facts")
        assert (await kinds_kept(conn, lists))[1] == 0
        await conn.execute(
            "UPDATE other SET gender = 'f' WHERE phone_hash = $1", lists.hash(A[:11])
        )
        await conn.execute("INSERT INTO person_facts SELECT * FROM other")
        assert await facts_store.count_differing_kinds(conn, lists.department.id) == 0
        assert (await kinds_kept(conn, lists))[1] == len(NUMBERS)


async def test_rows_of_kinds_are_added_up_once_a_day(stored: tuple[Pool, Lists]) -> None:
    pool, lists = stored
    async with pool.acquire() as conn:
        assert await kinds_kept(conn, lists) == (1, len(NUMBERS))
        for number in NUMBERS[:3]:
            await changed(conn, lists, number)
            await freshen_waiting(pool)
        assert await kinds_kept(conn, lists) == (7, len(NUMBERS))
        assert await check_facts(pool, lists.now) == 0
        assert await kinds_kept(conn, lists) == (2, len(NUMBERS))


@pytest.mark.parametrize(
    ("rule", "trial", "by_kinds"),
    [
        (None, False, True),
        ("carrier = mobile and not role = finance and age >= 60 and gender = f", False, True),
        ("org = 甲厂", False, False),
        ("role = finance and roster = 甲", False, False),
        ("tag = 重点", False, False),
        ("last_sent > 30", False, False),
        (None, True, False),  # each is looked up among the guests
    ],
)
async def test_what_asks_for_no_single_person_is_counted_by_kinds(
    stored: tuple[Pool, Lists],
    monkeypatch: pytest.MonkeyPatch,
    rule: str | None,
    *,
    trial: bool,
    by_kinds: bool,
) -> None:
    pool, lists = stored
    async with transaction(pool) as conn:
        compiled = compile_rule(
            parse(rule) if rule else None,
            areas=RuleAreas(await read_area_tree(conn)),
            department_id=lists.department.id,
            today=day_in_china(lists.now),
            of_facts=True,
        )
        terms = lists.terms(needs=[], trial=trial)
        read = watch_plans(monkeypatch, None, {"FROM"})
        counts = await count_people(conn, terms, by_rule(compiled))
    tables = {key.split(":")[0] for key in read}
    assert ("person_kinds" in tables) is by_kinds, tables
    if rule is None:
        assert counts.target + counts.excluded.total() == len(NUMBERS)


DAMAGE = {
    "somebody too many of a kind": """
        UPDATE person_kinds SET people = people + 1 WHERE $1::uuid IS NOT NULL
    """,
    "no kinds": "DELETE FROM person_kinds WHERE $1::uuid IS NOT NULL",
    "people of another kind": """
        UPDATE person_kinds SET roles = 'owner' WHERE $1::uuid IS NOT NULL
    """,
    "another gender": "UPDATE person_facts SET gender = 'm' WHERE contact_id = $1",
    "nobody": "DELETE FROM person_facts WHERE contact_id = $1",
    "a later end": "UPDATE person_facts SET to_day = to_day + 1 WHERE contact_id = $1",
    "another organisation": """
        UPDATE said_entries SET org = '乙厂'
        WHERE said IN (SELECT said FROM person_facts WHERE contact_id = $1)
    """,
    "somebody who is not there": """
        INSERT INTO person_facts
        SELECT gen_random_uuid(), from_day, to_day, is_last, department_id, '', carrier, area_code,
               age_band, gender, synthetic, has_name, said
        FROM person_facts WHERE contact_id = $1
    """,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_facts_that_differ_are_found_told_and_made_anew(
    stored: tuple[Pool, Lists], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool, lists = stored
    now = lists.now
    assert await check_facts(pool, now) == 0
    async with pool.acquire() as conn:
        await conn.execute(damage, await lists_contact(conn, lists))
        assert await facts_store.count_differing(conn) == 0
    assert await check_facts(pool, now + timedelta(hours=1)) == 0  # once a day
    assert "not what their entries say" not in caplog.text
    differing = await check_facts(pool, now + timedelta(days=2))
    assert differing >= 1
    assert "not what their entries say" in caplog.text
    async with pool.acquire() as conn:
        assert await facts_store.count_differing(conn) == differing
    assert await freshen_waiting(pool) == 1
    assert await check_facts(pool, now + timedelta(days=4)) == 0
    async with pool.acquire() as conn:
        assert await facts_store.count_differing(conn) == 0


async def lists_contact(conn: Connection, lists: Lists) -> UUID:
    found: UUID = await conn.fetchval(
        "SELECT id FROM contacts WHERE department_id = $1 ORDER BY id LIMIT 1", lists.department.id
    )
    return found


FORGET = (
    "DELETE FROM pg_statistic WHERE starelid = 'rosters'::regclass",
    "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE oid = 'rosters'::regclass",
)
"""Lists are fewer than PostgreSQL collects statistics of by itself."""


@pytest.mark.parametrize("forgotten", [False, True], ids=["statistics", "none of lists"])
async def test_each_person_is_compared_with_their_own_entries_alone(
    stored: tuple[Pool, Lists], monkeypatch: pytest.MonkeyPatch, *, forgotten: bool
) -> None:
    """Without statistics each was looked for among the entries of all 5,000 of a stretch."""
    pool, lists = stored
    people = range(1_000)
    async with pool.acquire() as conn:
        lists.conn = conn
        rows = [row(f"1979000{n + 2000}", org=f"{n % 50}厂") for n in people]
        await lists.upload(rows, "乙", "add", 30)
        assert await conn.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'rosters'") > 0
    for statement in FORGET if forgotten else ():
        await as_owner(pool, statement)
    read = watch_plans(monkeypatch, None, {"WITH"})
    await freshen_waiting(pool)
    assert await check_facts(pool, lists.now) == 0
    assert any(key.startswith("made:") for key in read), read
    assert max(read.values()) < 3 * (len(people) + len(NUMBERS)), read


async def test_what_no_rule_asks_for_makes_nothing_anew(stored: tuple[Pool, Lists]) -> None:
    """So a new master key, which writes all ciphers, does not."""
    pool, lists = stored
    async with pool.acquire() as conn:
        await conn.execute("UPDATE contacts SET name_cipher = '\\x01', version = version + 1")
        await conn.execute("UPDATE links SET name_cipher = '\\x01', note_cipher = '\\x02'")
        await conn.execute("UPDATE rosters SET purpose = 'x'")
        assert await facts_store.departments_waiting(conn) == []
        await conn.execute("UPDATE rosters SET expires_on = expires_on + 1")
        assert await facts_store.departments_waiting(conn) == [lists.department.id]


async def test_a_wechat_id_is_no_fact(stored: tuple[Pool, Lists]) -> None:
    pool, lists = stored
    async with pool.acquire() as conn:
        await conn.execute("UPDATE links SET roles = '{liaison}'")
        assert await facts_store.departments_waiting(conn) == [lists.department.id]
        await freshen_waiting(pool)
        assert await facts_store.departments_waiting(conn) == []
        await conn.execute("UPDATE links SET wechat_cipher = '\\x03'")
        assert await facts_store.departments_waiting(conn) == []


async def test_an_erased_person_has_no_facts_at_once(stored: tuple[Pool, Lists]) -> None:
    pool, lists = stored
    async with pool.acquire() as conn:
        erased = lists.hash(NUMBERS[0])
        assert await conn.fetchval("SELECT count(*) FROM person_facts WHERE phone_hash=$1", erased)
        await delete_contacts(conn, erased, None)
        left = await conn.fetchval(
            "SELECT count(*) FROM person_facts WHERE phone_hash = $1", erased
        )
        assert left == 0


async def test_what_nobody_says_any_more_goes_with_the_next_comparison(
    stored: tuple[Pool, Lists],
) -> None:
    pool, lists = stored
    async with pool.acquire() as conn:
        lists.conn = conn
        await lists.upload([row(NUMBERS[0], org="丙厂")], "乙", "add", 30)
        await freshen_waiting(pool)
        contact = await lists.contact(NUMBERS[0])
        assert contact is not None
        await remove_contacts(conn, [contact])
        await freshen_waiting(pool)
        said = "SELECT count(*) FROM said_entries WHERE org = $1"
        assert await conn.fetchval(said, "丙厂") == 1
        async with transaction(pool) as maker:
            assert await freshen_facts(maker, lists.department.id)
            assert await check_facts(pool, lists.now) == 0
        assert await conn.fetchval(said, "丙厂") == 1  # somebody makes facts anew
        assert await check_facts(pool, lists.now) == 0
        assert await conn.fetchval(said, "丙厂") == 0
        assert await conn.fetchval(said, "甲厂") == 1


async def test_the_database_notes_so_many_singly(conn: Connection) -> None:
    assert await conn.fetchval("SELECT facts_noted_singly()") == NOTED_SINGLY


async def test_what_rules_compare_of_entries_is_kept(conn: Connection) -> None:
    """A text that rules come to ask for needs a column of `said_entries`."""
    rows = await conn.fetch(
        "SELECT attname::text FROM pg_attribute"
        " WHERE attrelid = 'said_entries'::regclass AND attnum > 0"
    )
    assert RULE_TEXTS.keys() <= {row["attname"] for row in rows}
