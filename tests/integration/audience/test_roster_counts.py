"""A page of lists reads what was counted of them, and entries only where they changed since."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from service.audience.rosters.counting import count_rosters
from service.audience.rosters.roster_store import list_rosters
from service.clock import day_in_china
from service.crypto import Keyring
from service.privacy.erasure_store import delete_contacts
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.plans import watch_plans
from tests.integration.audience.conftest import Department

OLD, PEOPLE, AT_ONCE = 200, 50, 20

_PEOPLE = """
INSERT INTO contacts (department_id, phone_hash, phone_cipher, synthetic, created_at, updated_at)
SELECT $1, decode(md5(n::text), 'hex'), '', true, $3, $3 FROM generate_series(1, $2::int) n
"""
_LISTS = """
WITH list AS (
    INSERT INTO rosters (department_id, name, basis, expires_on)
    SELECT $1, '名单' || n, 'duty', '2020-01-01' FROM generate_series(1, $2::int) n RETURNING id)
INSERT INTO links (contact_id, roster_id, digest, roles)
SELECT c.id, r.id, '\\x01', '{}' FROM list r, contacts c WHERE c.department_id = $1
"""


@pytest.fixture
async def department(
    pool: Pool, new_department: Callable[..., Awaitable[Department]], now: datetime
) -> Department:
    """A department with many old lists, all of them counted."""
    async with transaction(pool) as conn:
        made = await new_department(conn, "县教育局")
        await conn.execute(_PEOPLE, made.id, PEOPLE, now)
        await conn.execute(_LISTS, made.id, OLD)
    assert await count_rosters(pool) == OLD
    assert await count_rosters(pool) == 0
    return made


async def read(
    conn: Connection, department: Department, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], dict[str, int]]:
    """How many people are on the lists of a page, and what was read for it, by table."""
    await conn.execute("ANALYZE")
    with monkeypatch.context() as patch:
        worst = watch_plans(patch, None, {"rosters r"})
        page = await list_rosters(conn, department.id, None, AT_ONCE, day_in_china(now))
    return [one.contacts for one in page], {key.split(":")[0]: n for key, n in worst.items()}


async def test_a_page_reads_no_entry_of_lists_that_were_counted(
    pool: Pool, department: Department, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.acquire() as conn:
        contacts, rows = await read(conn, department, now, monkeypatch)
        assert contacts == [PEOPLE] * AT_ONCE
        assert rows["rosters"] <= OLD, rows
        assert rows.get("links", 0) == 0, rows
        await conn.execute(
            "UPDATE links SET left_at = $1, left_by = uuidv7()"
            " WHERE contact_id = (SELECT contact_id FROM links LIMIT 1)"
            "   AND roster_id = (SELECT id FROM rosters ORDER BY id DESC LIMIT 1)",
            now,
        )
        contacts, rows = await read(conn, department, now, monkeypatch)
        assert contacts == [PEOPLE - 1] + [PEOPLE] * (AT_ONCE - 1)
        assert 0 < rows["links"] <= 2 * PEOPLE, rows
        assert await count_rosters(pool) == 1
        assert (await read(conn, department, now, monkeypatch))[0] == contacts


async def test_a_count_beside_a_change_is_not_taken_for_one_after_it(
    pool: Pool, department: Department, now: datetime, keyring: Keyring
) -> None:
    """Two change lists at once, and what is counted in between has one of the changes at most."""
    one, other = b"\x01" * 16, b"\x02" * 16
    async with pool.acquire() as conn:
        for n, phone_hash in enumerate((one, other), start=1):
            await conn.execute(
                "UPDATE contacts SET phone_hash = $1 WHERE phone_hash = decode(md5($2), 'hex')",
                phone_hash,
                str(n),
            )

    async def shown(conn: Any) -> int:
        (first,) = await list_rosters(conn, department.id, None, 1, day_in_china(now))
        return first.contacts

    async with pool.acquire() as reader:
        async with transaction(pool) as slow:
            await delete_contacts(slow, one, department.id)
            async with transaction(pool) as quick:
                await delete_contacts(quick, other, department.id)
            assert await shown(reader) == PEOPLE - 1
            assert await shown(slow) == PEOPLE - 2
            await count_rosters(pool)
            assert await shown(reader) == PEOPLE - 1
            assert await shown(slow) == PEOPLE - 2
        assert await shown(reader) == PEOPLE - 2
        await count_rosters(pool)
        assert await shown(reader) == PEOPLE - 2


async def test_nothing_stays_of_a_list_that_is_gone(pool: Pool, department: Department) -> None:
    async with transaction(pool) as conn:
        await conn.execute("DELETE FROM links")
        await conn.execute("DELETE FROM rosters WHERE department_id = $1", department.id)
    await count_rosters(pool)
    async with pool.acquire() as conn:
        for table in ("roster_counts", "roster_changes"):
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0
