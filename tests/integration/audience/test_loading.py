"""From an uploaded file to contacts and links in PostgreSQL, all of it or nothing."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.audience.areas import area_store
from service.audience.imports import merging, staging_store, store
from service.audience.imports.loading import ATTEMPTS, create_import, run_import
from service.audience.imports.model import Import, ImportRequest
from service.audience.imports.staging import Staged, Stager
from service.audience.numbers.number import to_e164
from service.audience.numbers.prefix import packaged_prefixes
from service.audience.suppressions.suppression import add_suppressions, read_optouts
from service.crypto import Keyring
from service.errors import Invalid, NotFound
from service.storage.postgres import Connection, Pool
from tests.factories import suppression
from tests.harness.pauses import delay

CONTACTS = Path(__file__).resolve().parents[2] / "data" / "contacts"
COUNTY = "county-20000-dirty-gb18030"
LIST = "手机,姓名,身份,单位,处理依据\n19790001234,张三,会计,甲,consent\n19790001235,李四,,乙,\n"
PATIENCE = 30.0
Upload = Callable[..., Coroutine[Any, Any, Import]]


async def _count(conn: Connection, table: str) -> int:
    count: int = await conn.fetchval(f"SELECT count(*) FROM {table}")
    return count


async def _snapshot(conn: Connection) -> list[Any]:
    tables = ("contacts", "links", "rosters")
    return [await conn.fetch(f"SELECT * FROM {table} ORDER BY id") for table in tables]


@pytest.mark.slow
async def test_county_file_is_imported_as_its_truth_says(
    conn: Connection, keyring: Keyring, upload: Upload, now: datetime
) -> None:
    optouts = (CONTACTS / f"{COUNTY}.optouts.csv").read_bytes()
    phones = read_optouts(lambda: [optouts], packaged_prefixes()).phones
    await add_suppressions(conn, keyring, phones, suppression("opted_out"), now)
    done = await upload(CONTACTS / f"{COUNTY}.csv")
    truth = json.loads((CONTACTS / f"{COUNTY}.truth.json").read_text())["report"]
    assert done.state == "done"
    assert done.report is not None
    assert {key: done.report[key] for key in truth} == truth
    recipients = truth["recipients"]["total"]
    assert await _count(conn, "contacts") == recipients
    assert await _count(conn, "import_rejects") == truth["rows"]["rejected"]
    assert await _count(conn, "import_chunks") == 0
    assert done.report["stored"]["new_contacts"] == recipients
    by_town = await conn.fetch(
        "SELECT v.parent_code, count(*) FROM contacts c JOIN areas v ON v.code = c.area_code"
        " WHERE v.level IN ('village', 'community') GROUP BY 1"
    )
    for town, count in by_town:
        assert truth["recipients"]["by_town"][town] >= count
    by_carrier = await conn.fetch("SELECT carrier, count(*) FROM contacts GROUP BY 1")
    assert dict(map(tuple, by_carrier)) == truth["recipients"]["by_carrier"]


async def test_importing_the_same_file_again_changes_nothing(
    conn: Connection, upload: Upload, now: datetime
) -> None:
    expires_on = date(2027, 12, 31)
    await upload(CONTACTS / "tiny.csv", expires_on=expires_on)
    before = await _snapshot(conn)
    again = await upload(
        CONTACTS / "tiny.csv", expires_on=expires_on, later=now + timedelta(days=3)
    )
    assert await _snapshot(conn) == before
    assert again.report is not None
    assert again.report["stored"]["new_contacts"] == again.report["stored"]["new_links"] == 0


@pytest.mark.attack
async def test_personal_data_are_stored_as_ciphers(
    conn: Connection, keyring: Keyring, upload: Upload
) -> None:
    await upload("手机,姓名,学生姓名,备注\n19790001234,张三,张小四,回访过\n")
    contact = await conn.fetchrow("SELECT * FROM contacts")
    link = await conn.fetchrow("SELECT * FROM links")
    assert contact is not None
    assert link is not None
    assert contact["phone_hash"] == keyring.phone_index("+8619790001234")
    assert keyring.decrypt("phone", contact["phone_cipher"]) == "+8619790001234"
    assert keyring.decrypt("name", contact["name_cipher"]) == "张三"
    assert keyring.decrypt("guardian_of", link["guardian_of_cipher"]) == "张小四"
    assert keyring.decrypt("note", link["note_cipher"]) == "回访过"
    plain = repr([dict(contact), dict(link)]).encode()
    for word in ("9790001234", "张三", "张小四", "回访"):
        assert word.encode() not in plain
    assert contact["synthetic"]


async def test_contact_keeps_what_its_first_link_said(conn: Connection, upload: Upload) -> None:
    await upload("手机,姓名,年龄,乡镇,身份\n19790001234,张三,30,三溪镇,会计\n")
    await upload("手机,姓名,年龄,乡镇,身份\n19790001234,李四,70,庙首镇,老人\n", roster="另一")
    contact = await conn.fetchrow("SELECT age_band, area_code, gender, carrier FROM contacts")
    assert contact is not None
    assert tuple(contact) == ("26-40", "341825102000", None, "china_mobile")
    links = await conn.fetch("SELECT roles, age_band, area_code FROM links ORDER BY id")
    assert [tuple(link) for link in links] == [
        (["finance"], "26-40", "341825102000"),
        (["elderly"], "70+", "341825103000"),
    ]
    assert await _count(conn, "rosters") == 2


async def test_roster_takes_basis_and_expiry_and_a_row_keeps_its_own(
    conn: Connection, upload: Upload
) -> None:
    await upload(LIST)
    roster = await conn.fetchrow("SELECT name, basis, expires_on FROM rosters")
    assert roster is not None
    assert tuple(roster) == ("名单", "duty", date(2028, 1, 12))
    links = await conn.fetch("SELECT consent_basis FROM links ORDER BY id")
    assert [link["consent_basis"] for link in links] == ["consent", ""]
    await upload(LIST, basis="contract_hr", expires_on=date(2027, 6, 30))
    roster = await conn.fetchrow("SELECT name, basis, expires_on FROM rosters")
    assert roster is not None
    assert tuple(roster) == ("名单", "contract_hr", date(2027, 6, 30))


async def test_departments_hold_their_own_contacts(
    conn: Connection, upload: Upload, department: Any
) -> None:
    other = await conn.fetchval("INSERT INTO departments (name) VALUES ('另一局') RETURNING id")
    await upload(LIST)
    await upload(LIST, department_id=other)
    counts = await conn.fetch("SELECT department_id, count(*) FROM contacts GROUP BY 1")
    assert dict(map(tuple, counts)) == {department.id: 2, other: 2}


async def test_dry_run_reports_and_writes_rejects_only(conn: Connection, upload: Upload) -> None:
    done = await upload(CONTACTS / "tiny.csv", dry_run=True)
    assert done.state == "done"
    assert done.report is not None
    assert done.report["rows"]["accepted"] == 42
    assert "stored" not in done.report
    assert await _snapshot(conn) == [[], [], []]
    assert await _count(conn, "import_rejects") == 13


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (CONTACTS / "bad" / "broken-bytes.csv", "encoding_undecidable"),
        (b"", "empty_file"),
        (b"PK\x03\x04", "unsupported_format"),
        (f'{LIST}12,"{"x" * 200_000}'.encode(), "unsupported_format"),
    ],
)
async def test_unreadable_file_fails_and_leaves_nothing(
    source: Path | bytes, code: str, conn: Connection, upload: Upload, now: datetime
) -> None:
    done = await upload(source)
    assert done.state == "failed"
    assert done.report is not None
    assert done.report["error"] == code
    assert done.report["rules_version"] == 1
    assert done.finished_at == now
    for table in ("contacts", "links", "rosters", "import_rejects", "import_chunks"):
        assert await _count(conn, table) == 0


async def test_named_header_that_the_file_lacks_fails(upload: Upload) -> None:
    done = await upload(LIST, columns={"部门": "org"})
    assert done.state == "failed"
    assert done.report is not None
    assert "部门" in done.report["message"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"roster": " "}, "roster"),
        ({"roster": "a\0b"}, "roster"),
        ({"roster": "长" * 101}, "roster"),
        ({"basis": "habit"}, "basis"),
        ({"expires_on": date(2027, 1, 11)}, "expires_on"),
        ({"encoding": "ascii"}, "encoding"),
        ({"columns": {"a": "b"}}, "columns"),
    ],
)
async def test_request_that_makes_no_sense_is_refused_at_once(
    asked: dict[str, Any], field: str, conn: Connection, upload: Upload
) -> None:
    with pytest.raises(Invalid) as refused:
        await upload(LIST, **asked)
    assert list(refused.value.fields) == [field]
    assert await _count(conn, "imports") == 0


async def test_file_over_the_limit_leaves_nothing(
    conn: Connection, upload: Upload, now: datetime
) -> None:
    with pytest.raises(Invalid) as refused:
        await upload(b"1" * 10_000_001)
    assert refused.value.code == "file_too_large"
    assert await _count(conn, "imports") == await _count(conn, "import_chunks") == 0


async def test_a_year_after_a_leap_day_is_the_last_of_february(
    upload: Upload, now: datetime
) -> None:
    done = await upload(LIST, later=datetime(2028, 2, 29, 4, tzinfo=now.tzinfo))
    assert done.expires_on == date(2029, 2, 28)


@pytest.mark.attack
async def test_waiting_file_is_encrypted_and_kept_whole(
    conn: Connection, keyring: Keyring, department: Any, now: datetime, octets: Any
) -> None:
    data = (CONTACTS / "elderly-3000.csv").read_bytes()
    request = ImportRequest(department.id, department.user_id, "老人", "a\n/b.csv")
    waiting = await create_import(
        conn, keyring, request, octets(data, 1_000), limit=len(data), now=now
    )
    assert (waiting.state, waiting.file_bytes, waiting.file_name) == (
        "reading",
        len(data),
        "a/b.csv",
    )
    async with conn.transaction():
        ciphers = [cipher async for cipher in store.list_chunks(conn, waiting.id)]
    assert len(ciphers) == 2
    assert b"".join(keyring.decrypt_bytes("import_chunk", c) for c in ciphers) == data
    assert "虚构".encode() not in b"".join(ciphers)


async def test_unexpected_error_leaves_the_import_waiting(
    conn: Connection,
    keyring: Keyring,
    upload: Upload,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(staging_store, "merge_links", _fail)
        with pytest.raises(RuntimeError):
            await upload(LIST)
    import_id = await conn.fetchval("SELECT id FROM imports WHERE state = 'reading'")
    assert await _snapshot(conn) == [[], [], []]
    assert await run_import(conn, keyring, import_id, now)
    assert await _count(conn, "links") == 2
    assert not await run_import(conn, keyring, import_id, now)


async def _fail(*_: object) -> None:
    raise RuntimeError("the connection is gone")


async def test_a_file_that_breaks_every_worker_is_given_up(
    conn: Connection,
    keyring: Keyring,
    upload: Upload,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(staging_store, "merge_links", _fail)
    with pytest.raises(RuntimeError):
        await upload(LIST)
    (import_id,) = await store.waiting_imports(conn)
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(RuntimeError):
            await run_import(conn, keyring, import_id, now)
    assert await run_import(conn, keyring, import_id, now)
    given_up = await store.get_import(conn, import_id)
    assert given_up.state == "failed"
    assert given_up.report is not None
    assert given_up.report["error"] == "gave_up"
    assert await store.waiting_imports(conn) == []


async def test_an_import_that_does_not_exist(
    conn: Connection, keyring: Keyring, department: Any, now: datetime
) -> None:
    with pytest.raises(NotFound):
        await store.get_import(conn, department.id)
    assert not await run_import(conn, keyring, department.id, now)


async def test_two_workers_never_load_one_import_twice(
    pool: Pool, keyring: Keyring, now: datetime, new_department: Any, octets: Any
) -> None:
    async with pool.acquire() as conn:
        await area_store.load_areas(conn)
        department = await new_department(conn, "县局")
        request = ImportRequest(department.id, department.user_id, "老人", "a.csv")
        data = (CONTACTS / "elderly-3000.csv").read_bytes()
        waiting = await create_import(conn, keyring, request, octets(data), limit=10**6, now=now)

    async def work() -> bool:
        async with pool.acquire() as conn:
            return await run_import(conn, keyring, waiting.id, now)

    assert sorted(await asyncio.gather(work(), work(), work())) == [False, False, True]
    assert await pool.fetchval("SELECT count(*) FROM contacts") == 2818


async def test_imports_of_the_same_people_wait_for_one_another(
    pool: Pool, keyring: Keyring, now: datetime, new_department: Any, octets: Any
) -> None:
    numbers = [str(19790001000 + n) for n in range(3_000)]
    files = ["\n".join(["phone", *numbers]), "\n".join(["phone", *reversed(numbers)])]
    async with pool.acquire() as conn:
        department = await new_department(conn, "县局")
        waiting = [
            await create_import(
                conn,
                keyring,
                ImportRequest(department.id, department.user_id, roster, "a.csv"),
                octets(file.encode()),
                limit=10**6,
                now=now,
            )
            for roster, file in zip("甲乙丙丁", files * 2, strict=True)
        ]

    async def work(import_: Import) -> bool:
        async with pool.acquire() as conn:
            return await run_import(conn, keyring, import_.id, now)

    assert all(await asyncio.gather(*map(work, waiting)))
    assert await pool.fetchval("SELECT count(*) FROM contacts") == 3_000
    assert await pool.fetchval("SELECT count(*) FROM links") == 12_000


async def test_files_of_one_roster_are_read_in_the_order_in_which_they_came(
    conn: Connection, keyring: Keyring, department: Any, now: datetime, octets: Any
) -> None:
    older, newer = [
        await create_import(
            conn,
            keyring,
            ImportRequest(department.id, department.user_id, "名单", "a.csv", mode="replace"),
            octets(f"phone\n{number}\n".encode()),
            limit=10**6,
            now=now,
        )
        for number in (19790001234, 19790001235)
    ]
    assert not await run_import(conn, keyring, newer.id, now)
    assert await run_import(conn, keyring, older.id, now)
    assert await run_import(conn, keyring, newer.id, now)
    listed = "SELECT row_no, import_id FROM links WHERE left_by IS NULL"
    assert [tuple(row) for row in await conn.fetch(listed)] == [(2, newer.id)]


@pytest.mark.slow
async def test_reading_a_large_file_does_not_hold_up_the_event_loop(upload: Upload) -> None:
    gaps = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await delay(0.01)
            gaps.append(time.monotonic() - before)

    ticking, began = asyncio.create_task(tick()), time.monotonic()
    await upload(CONTACTS / f"{COUNTY}.csv")
    ticking.cancel()
    held_up = sum(gap for gap in gaps if gap > 0.1)
    assert held_up < 0.3 * (time.monotonic() - began), gaps


@pytest.mark.parametrize("batch", [1, 2])
async def test_an_import_that_is_cancelled_ends_after_its_reading(
    upload: Upload, conn: Connection, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """The thread reads from a file that is closed with the import."""
    reading, go_on, calls = threading.Event(), threading.Event(), []
    stage = Stager.stage

    def slow(stager: Stager, results: Any) -> Staged:
        calls.append(1)
        if len(calls) == batch:
            reading.set()
            go_on.wait(PATIENCE)
        return stage(stager, results)

    monkeypatch.setattr(merging, "BATCH_ROWS", 1)
    monkeypatch.setattr(Stager, "stage", slow)
    importing = asyncio.create_task(upload(LIST))
    assert await asyncio.to_thread(reading.wait, PATIENCE)
    importing.cancel()
    ended, _ = await asyncio.wait({importing}, timeout=0.2)
    assert not ended
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await importing
    # Cancelled within a statement, the import has closed its connection, and nothing is kept.
    assert conn.is_closed() or await _count(conn, "contacts") == 0


async def test_suppressions_are_counted_while_they_hold(
    conn: Connection, keyring: Keyring, upload: Upload, now: datetime
) -> None:
    phones = ["19790001234", to_e164("19790001235"), "19790001234"]
    added = await add_suppressions(conn, keyring, phones, suppression("protected"), now)
    assert added.added == 2
    again = await add_suppressions(conn, keyring, phones, suppression("protected"), now)
    assert (again.numbers, again.added) == (2, 0)
    done = await upload(LIST)
    assert done.report is not None
    assert done.report["recipients"]["suppressed"] == 2
    await conn.execute("UPDATE suppressions SET expires_at = $1", now)
    done = await upload(LIST)
    assert done.report is not None
    assert done.report["recipients"]["suppressed"] == 0


async def test_unknown_suppression_reason_is_refused(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    with pytest.raises(Invalid, match="opted_out, protected"):
        await add_suppressions(conn, keyring, [], suppression("x"), now)


async def test_the_tree_is_that_of_the_table_at_any_moment(conn: Connection) -> None:
    await area_store.load_areas(conn)
    tree = await area_store.read_area_tree(conn)
    assert await area_store.read_area_tree(conn) is tree, "it is kept"
    code = "341825102200"
    for change in (
        "UPDATE areas SET name = '路东村' WHERE code = $1",
        "UPDATE areas SET population = 7 WHERE code = $1",
        "UPDATE areas SET parent_code = '341825100000' WHERE code = $1",
        "DELETE FROM areas WHERE code = $1",
    ):
        before = tree
        await conn.execute(change, code)
        tree = await area_store.read_area_tree(conn)
        assert tree.areas.get(code) != before.areas[code]
    assert tree.resolve("", "三溪", "路西村").warnings == ("village_unknown",)


async def test_areas_are_loaded_once_and_read_as_a_tree(conn: Connection) -> None:
    assert await area_store.load_areas(conn) == await area_store.load_areas(conn) == 96
    tree = await area_store.read_area_tree(conn)
    assert tree.resolve("", "三溪", "路西村").code == "341825102200"
    assert tree.areas["340000000000"].parent == ""
