"""Newer lists, members put by a department's system, undoing, and who may still be written to."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.audience.imports import store
from service.audience.imports.model import Import, ImportRequest
from service.audience.numbers.number import to_e164
from service.audience.rosters.roster_store import list_rosters
from service.audience.rosters.rosters import Member, ask_undo, put_members, run_undo
from service.audience.segments.segment import parse
from service.audience.segments.segment_sql import compile_rule
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid, NotFound
from service.storage import sql
from service.storage.locks import lock_contacts
from service.storage.postgres import Connection, Pool
from tests.integration.audience.conftest import Department

Upload = Callable[..., Awaitable[Import]]
A, B, C, D = (f"1979000123{n}" for n in range(4))


def table(*rows: Sequence[str]) -> str:
    return "\n".join(["手机,姓名,身份", *(",".join(row) for row in rows)]) + "\n"


OLD = table((A, "张三", "会计"), (B, "李四", "会计"), (C, "王五", "会计"))
NEW = table((B, "李四", "会计"), (C, "王五", "出纳;司机"), (D, "赵六", "会计"))


class State:
    """What the database says of people, read by number."""

    def __init__(self, conn: Connection, keyring: Keyring) -> None:
        self._conn = conn
        self._keyring = keyring

    async def people(self, rule: str, *, today: date = date(2026, 1, 1)) -> set[str]:
        """The numbers that a rule means."""
        areas: Any = None
        found = set()
        for department in await self._conn.fetch("SELECT id FROM departments"):
            compiled = compile_rule(
                parse(rule), areas=areas, department_id=department["id"], today=today
            )
            rows = await sql.fetch(
                self._conn,
                f"SELECT c.phone_cipher FROM {compiled.source}"
                f" WHERE c.department_id = :department_id AND {compiled.sql}",
                department_id=department["id"],
                **compiled.values,
            )
            found |= {self._keyring.decrypt("phone", row[0]).removeprefix("+86") for row in rows}
        return found

    async def name(self, number: str) -> str:
        cipher = await self._conn.fetchval(
            "SELECT name_cipher FROM contacts WHERE phone_hash = $1",
            self._keyring.phone_index(to_e164(number)),
        )
        return self._keyring.decrypt("name", cipher)

    async def snapshot(self) -> list[Any]:
        """Everything that an import changes and an undo must restore."""
        queries = (
            "SELECT * FROM contacts ORDER BY id",
            "SELECT * FROM links ORDER BY id",
            "SELECT * FROM link_repeats ORDER BY link_id, import_id",
            "SELECT * FROM rosters ORDER BY id",
        )
        rows = [[dict(row) for row in await self._conn.fetch(query)] for query in queries]
        for contact in rows[0]:
            del contact["updated_at"]
        return rows


@pytest.fixture
def state(conn: Connection, keyring: Keyring) -> State:
    return State(conn, keyring)


@pytest.fixture
def undo(conn: Connection, department: Department, now: datetime) -> Callable[..., Awaitable[Any]]:
    async def run(done: Import) -> Any:
        async with conn.transaction():
            asked = await store.lock_import(conn, done.id)
            await ask_undo(conn, asked, department.user_id, now)
        assert await run_undo(conn, done.id, now)
        undone = await store.get_import(conn, done.id)
        assert undone.undo is not None
        return undone.undo

    return run


@pytest.fixture
def put(
    conn: Connection, keyring: Keyring, department: Department, now: datetime
) -> Callable[..., Awaitable[Any]]:
    async def run(members: Sequence[Member], **asked: Any) -> Any:
        request = ImportRequest(
            department.id,
            department.user_id,
            asked.pop("roster", "名单"),
            "",
            mode="replace",
            **asked,
        )
        async with conn.transaction():
            return await put_members(conn, keyring, request, members, now)

    return run


def members(done: Import) -> dict[str, int]:
    assert done.report is not None
    found: dict[str, int] = done.report["stored"]["members"]
    return found


async def test_a_newer_list_adds_or_replaces_as_asked(upload: Upload, state: State) -> None:
    assert members(await upload(OLD)) == {"added": 3, "changed": 0, "left": 0}
    assert members(await upload(NEW)) == {"added": 1, "changed": 1, "left": 0}
    assert await state.people("roster = 名单") == {A, B, C, D}
    assert members(await upload(NEW, mode="replace")) == {"added": 0, "changed": 1, "left": 1}
    assert await state.people("roster = 名单") == {B, C, D}
    assert await state.people("role = driver") == {C}


async def test_who_has_left_every_roster_is_nobody(upload: Upload, state: State) -> None:
    await upload(OLD)
    await upload(table((A, "张三", "司机")), roster="另一")
    await upload(NEW, mode="replace")
    assert A in await state.people("not role = owner")
    assert A not in await state.people("role = finance")
    await upload(table((B, "李四", "司机")), roster="另一", mode="replace")
    assert A not in await state.people("not role = owner")
    await upload(table((A, "张三", "司机")), roster="第三")
    assert A in await state.people("not role = owner")


async def test_a_contact_shows_what_its_first_live_link_says(
    upload: Upload, state: State, undo: Any
) -> None:
    await upload(table((A, "张三", "会计")))
    corrected = await upload(table((A, "张山", "会计")), mode="replace")
    assert members(corrected) == {"added": 0, "changed": 1, "left": 0}
    assert await state.name(A) == "张山"
    await undo(corrected)
    assert await state.name(A) == "张三"


async def test_who_comes_back_shows_what_the_new_link_says(put: Any, state: State) -> None:
    await put([{"phone": A, "name": "张三"}])
    await put([])
    await put([{"phone": A, "name": "张山"}])
    assert await state.name(A) == "张山"
    await put([])
    await put([{"phone": A, "name": "张三"}])  # the very first row, alive again
    assert await state.name(A) == "张三"


async def test_a_list_that_is_broken_as_a_whole_replaces_nothing(
    upload: Upload, state: State
) -> None:
    await upload(OLD)
    before = await state.snapshot()
    failed = await upload(table(("12", "张三", "会计")), mode="replace")
    assert failed.state == "failed"
    assert failed.report is not None
    assert failed.report["error"] == "no_recipients"
    assert await state.snapshot() == before


async def test_an_undone_import_has_never_come(upload: Upload, state: State, undo: Any) -> None:
    before = await state.snapshot()
    first = await upload(OLD)
    between = await state.snapshot()
    for mode in ("add", "replace"):
        second = await upload(NEW, mode=mode, expires_on=date(2027, 3, 1), basis="consent")
        assert await state.snapshot() != between
        await undo(second)
        assert await state.snapshot() == between
    await undo(first)
    assert await state.snapshot() == before


async def test_undoing_keeps_what_a_later_import_says_as_well(
    upload: Upload, state: State, undo: Any, conn: Connection
) -> None:
    first = await upload(OLD)
    second = await upload(NEW)
    undone = await undo(first)
    assert undone == {"state": "done", "links": 2, "restored": 0, "contacts": 1}
    assert await state.people("roster = 名单") == {B, C, D}
    makers = await conn.fetch("SELECT DISTINCT import_id FROM links")
    assert [row[0] for row in makers] == [second.id]
    await undo(second)
    assert [len(rows) for rows in await state.snapshot()] == [0, 0, 0, 0]


async def test_what_came_back_by_a_later_list_leaves_again_with_it(
    upload: Upload, state: State, undo: Any
) -> None:
    await upload(OLD)
    replaced = await upload(NEW, mode="replace")
    without_a = await state.snapshot()
    back = await upload(table((A, "张三", "会计")))
    assert members(back) == {"added": 1, "changed": 0, "left": 0}
    assert await state.people("roster = 名单") == {A, B, C, D}
    again = await upload(table((A, "张三", "会计")))
    await undo(back)
    assert await state.people("roster = 名单") == {A, B, C, D}
    await undo(again)
    assert await state.snapshot() == without_a
    await undo(replaced)
    assert await state.people("roster = 名单") == {A, B, C}


async def test_what_a_list_took_off_and_a_later_one_brought_back_stays_when_it_is_undone(
    upload: Upload, state: State, undo: Any
) -> None:
    await upload(OLD)
    replaced = await upload(NEW, mode="replace")
    back = await upload(table((A, "张三", "会计")))
    await undo(replaced)
    await undo(back)
    assert await state.people("roster = 名单") == {A, B, C}


async def test_what_cannot_be_undone(upload: Upload, undo: Any, conn: Connection) -> None:
    dry = await upload(OLD, dry_run=True)
    with pytest.raises(Conflict, match="only an import that has been stored"):
        await undo(dry)
    with pytest.raises(Conflict, match="only an import that has been stored"):
        await undo(await upload(b""))
    first = await upload(OLD)
    newer = await upload(NEW, mode="replace")
    with pytest.raises(Conflict, match=f"undo import {newer.id} first") as refused:
        await undo(first)
    assert refused.value.code == "replaced_since"
    newest = await upload(OLD, mode="replace")
    with pytest.raises(Conflict, match=f"undo import {newest.id} first"):
        await undo(first)
    await undo(newest)
    await undo(newer)
    await undo(first)
    with pytest.raises(Conflict, match="already"):
        await undo(first)
    with pytest.raises(NotFound):
        await store.lock_import(conn, UUID(int=7))


async def test_what_comes_between_the_asking_and_the_undoing_refuses_it(
    upload: Upload, conn: Connection, department: Department, state: State, now: datetime
) -> None:
    first = await upload(OLD)
    async with conn.transaction():
        asked = await store.lock_import(conn, first.id)
        await ask_undo(conn, asked, department.user_id, now)
    newer = await upload(NEW, mode="replace")
    before = await state.snapshot()
    assert await run_undo(conn, first.id, now)
    refused = await store.get_import(conn, first.id)
    assert refused.undo is not None
    assert (refused.undo["state"], refused.undo["code"]) == ("refused", "replaced_since")
    assert str(newer.id) in refused.undo["message"]
    assert refused.undone_at is None
    assert await state.snapshot() == before
    assert not await run_undo(conn, first.id, now), "nobody waits for it any more"
    assert await store.waiting_undos(conn) == []


async def test_people_made_by_hand_outlive_every_undo(
    upload: Upload,
    undo: Any,
    conn: Connection,
    keyring: Keyring,
    department: Department,
    state: State,
) -> None:
    await conn.execute(
        "INSERT INTO contacts (department_id, phone_hash, phone_cipher, synthetic, created_at,"
        " updated_at) VALUES ($1, $2, $3, true, now(), now())",
        department.id,
        keyring.phone_index(to_e164(A)),
        keyring.encrypt("phone", to_e164(A)),
    )
    await undo(await upload(OLD))
    assert await state.people("not role = owner") == {A}


async def test_members_are_added_changed_and_gone(put: Any, state: State) -> None:
    first = await put([{"phone": A, "name": "张三", "roles": "会计"}, {"phone": B, "name": "李四"}])
    assert first.report["stored"]["members"] == {"added": 2, "changed": 0, "left": 0}
    second = await put(
        [{"phone": A, "name": "张三", "roles": "出纳;法人"}, {"phone": C, "name": "王五"}]
    )
    assert second.report["stored"]["members"] == {"added": 1, "changed": 1, "left": 1}
    assert await state.people("roster = 名单") == {A, C}
    assert await state.people("role = owner") == {A}
    before = await state.snapshot()
    same = await put(
        [{"phone": A, "name": "张三", "roles": "出纳;法人"}, {"phone": C, "name": "王五"}]
    )
    assert same.report["stored"]["members"] == {"added": 0, "changed": 0, "left": 0}
    after = await state.snapshot()
    assert after[0:2] == before[0:2]


async def test_members_are_read_by_the_rules_of_files(put: Any, conn: Connection) -> None:
    made = await put(
        [
            {"phone": "+86 197-9000-1234", "name": "张 三", "town": "三溪"},
            {"phone": "0563-0601234"},
            {"phone": "19790001235", "age": "9"},
        ]
    )
    assert made.report["rows"]["accepted"] == 1
    assert made.report["rejected"] == {"landline": 1, "minor": 1}
    assert made.report["fixed"]["area_alias"] == 1
    rejects = await conn.fetch("SELECT row_no, code FROM import_rejects ORDER BY row_no")
    assert [tuple(row) for row in rejects] == [(3, "landline"), (4, "minor")]


async def test_an_empty_list_empties_the_roster_and_a_broken_one_does_not(
    put: Any, state: State
) -> None:
    await put([{"phone": A}])
    with pytest.raises(Invalid) as refused:
        await put([{"phone": "12"}, {"phone": "无"}])
    assert refused.value.code == "no_recipients"
    assert await state.people("roster = 名单") == {A}
    emptied = await put([])
    assert emptied.report["stored"]["members"] == {"added": 0, "changed": 0, "left": 1}
    assert await state.people("not role = owner") == set()


async def test_members_wait_for_files_and_for_nobody_else(
    put: Any, conn: Connection, department: Department
) -> None:
    await conn.execute(
        "INSERT INTO imports (department_id, created_by, roster, basis, expires_on, file_name,"
        " file_bytes, file_sha256, created_at)"
        " VALUES ($1, $2, '名单', 'duty', '2027-12-31', '', 0, '', now())",
        department.id,
        department.user_id,
    )
    with pytest.raises(Conflict, match="has not been read yet"):
        await put([{"phone": A}])
    await put([{"phone": A}], roster="另一")


async def test_a_department_has_one_import_written_at_a_time(
    pool: Pool, keyring: Keyring, now: datetime, new_department: Any
) -> None:
    async with pool.acquire() as first, pool.acquire() as second:
        department = await new_department(first, "县局")
        request = ImportRequest(department.id, department.user_id, "名单", "", mode="replace")
        async with first.transaction():
            await lock_contacts(first, department.id)
            async with second.transaction():
                with pytest.raises(Conflict) as refused:
                    await put_members(second, keyring, request, [{"phone": A}], now)
        assert refused.value.code == "import_in_progress"
        async with second.transaction():
            await put_members(second, keyring, request, [{"phone": A}], now)


async def test_expired_rosters_address_nobody(upload: Upload, state: State, now: datetime) -> None:
    today = day_in_china(now)
    await upload(OLD, expires_on=today)
    await upload(table((A, "张三", "司机"), (D, "赵六", "司机")), roster="另一")
    assert await state.people("role = finance", today=today) == {A, B, C}
    tomorrow = today + timedelta(days=1)
    assert await state.people("role = finance", today=tomorrow) == set()
    assert await state.people("not role = owner", today=tomorrow) == {A, D}
    await upload(OLD, expires_on=date(2028, 1, 1))
    assert await state.people("role = finance", today=tomorrow) == {A, B, C}


async def test_an_entry_counts_to_its_own_last_day(
    upload: Upload, state: State, now: datetime
) -> None:
    """As offices write it beside each person; other words end nothing."""
    today = day_in_china(now)
    lines = ["手机,姓名,身份,有效期至"]
    for number, day in (
        (A, f"{today:%Y-%m-%d}"),
        (B, f"{today:%Y年%m月%d日}"),
        (C, "长期"),
        (D, ""),
    ):
        lines.append(f"{number},张三,会计,{day}")
    await upload("\n".join(lines))
    everybody = {A, B, C, D}
    assert await state.people("role = finance", today=today) == everybody
    tomorrow = today + timedelta(days=1)
    assert await state.people("role = finance", today=tomorrow) == {C, D}
    assert await state.people("not role = owner", today=tomorrow) == {C, D}
    # A newer file gives another day, and on another list they are all the same.
    await upload("\n".join([lines[0], f"{A},张三,会计,{tomorrow:%Y/%m/%d}"]))
    await upload(table((B, "张三", "会计")), roster="另一")
    assert await state.people("role = finance", today=tomorrow) == everybody


def test_a_day_begins_at_midnight_in_china() -> None:
    assert day_in_china(datetime.fromisoformat("2027-01-11T15:59:59Z")) == date(2027, 1, 11)
    assert day_in_china(datetime.fromisoformat("2027-01-11T16:00:00Z")) == date(2027, 1, 12)


async def test_rosters_are_listed_with_their_latest_import(
    upload: Upload, undo: Any, conn: Connection, department: Department, now: datetime
) -> None:
    first = await upload(OLD, expires_on=date(2027, 1, 12))
    newer = await upload(NEW, mode="replace", expires_on=date(2027, 1, 12))
    await upload(table((A, "张三", "司机")), dry_run=True)

    async def listed(day: date) -> Any:
        (roster,) = await list_rosters(conn, department.id, None, 10, day)
        assert roster.latest is not None
        return (
            roster.contacts,
            roster.expired,
            UUID(roster.latest["import_id"]),
            roster.latest["left"],
        )

    assert await listed(date(2027, 1, 12)) == (3, False, newer.id, 1)
    assert await listed(date(2027, 1, 13)) == (3, True, newer.id, 1)
    await undo(newer)
    assert await listed(date(2027, 1, 12)) == (3, False, first.id, 0)
