"""Rotating the master key: nothing is forgotten, nothing is lost, and the hashes stay."""

import asyncio
import itertools
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from service.audience.suppressions.suppression_store import NewSuppression, insert_suppressions
from service.crypto import (
    Keyring,
    Keys,
    Undecipherable,
    create_key_file,
    read_key_file,
    write_key_file,
)
from service.errors import Conflict, Misconfigured
from service.privacy import rotation, rotation_store
from service.privacy.rotation import add_key, retire, rotate
from service.privacy.rotation_store import TABLES, Ciphers, PageRange
from service.runtime import check_key
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import make_contact, make_user, phone

NOT_CIPHERS = (
    "hash|digest|ref|seal|fingerprint|sha256|check_value|signature|salt|^mac$|^seed$|^said$"
)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    create_key_file(path)
    return path


async def under(pool: Pool, key_id: int) -> int:
    async with pool.acquire() as conn:
        return sum([await rotation_store.count_under(conn, c, key_id) for c in TABLES])


async def add_people(pool: Pool, keyring: Keyring, now: datetime, count: int) -> UUID:
    async with transaction(pool) as conn:
        department = (await make_user(conn, now=now)).department_id
        for n in range(count):
            await make_contact(conn, keyring, department, n, now=now)
    return department


async def names(pool: Pool, keyring: Keyring) -> set[tuple[str, str]]:
    rows = await pool.fetch("SELECT phone_cipher, name_cipher FROM contacts")
    return {(keyring.decrypt("phone", r[0]), keyring.decrypt("name", r[1])) for r in rows}


async def test_no_column_with_ciphers_is_forgotten(conn: Connection) -> None:
    rows = await conn.fetch(
        """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name !~ $1
        """,
        NOT_CIPHERS,
    )
    found = {(row["table_name"], row["column_name"]) for row in rows}
    assert found == {(c.table, column) for c in TABLES for column, _ in c.kinds}


async def test_everything_is_read_under_the_new_key_and_the_old_one_can_go(
    pool: Pool, key_file: Path, now: datetime
) -> None:
    old = Keyring(read_key_file(key_file))
    department = await add_people(pool, old, now, 50)
    before = await names(pool, old)
    new = Keyring(add_key(read_key_file(key_file)))
    async with pool.acquire() as conn:
        await check_key(conn, new)
        with pytest.raises(Conflict, match="50 rows of contacts are still under key 1"):
            await retire(conn, read_key_file(key_file), 1)
        assert await rotate(conn, new) == {"contacts": 50}
        assert await rotate(conn, new) == {}
        write_key_file(await retire(conn, read_key_file(key_file), 1))
        alone = Keyring(read_key_file(key_file))
        await check_key(conn, alone)
    assert await under(pool, 1) == 0
    assert await names(pool, alone) == before
    read_key_file(key_file)  # which refuses one that is open to others
    # The hashes are those of the first key: who is known stays known, also whom only a hash knows.
    for ring in (new, alone):
        assert ring.phone_index(phone(7)) == old.phone_index(phone(7))
    found = await pool.fetchval(
        "SELECT count(*) FROM contacts WHERE department_id = $1 AND phone_hash = $2",
        department,
        alone.phone_index(phone(7)),
    )
    assert found == 1


async def test_a_suppression_of_an_erased_person_survives(
    pool: Pool, key_file: Path, now: datetime
) -> None:
    old = Keyring(read_key_file(key_file))
    async with transaction(pool) as conn:
        user = await make_user(conn, now=now)
        new = NewSuppression("opted_out", ["service"], user.id, None)
        await insert_suppressions(conn, {old.phone_index(phone(1)): phone(1)}, new, now)
        rotated = add_key(read_key_file(key_file))
        await rotate(pool_conn := conn, Keyring(rotated))
        alone = Keyring(await retire(pool_conn, rotated, 1))
        again = await insert_suppressions(conn, {alone.phone_index(phone(1)): ""}, new, now)
    assert [is_new for _, is_new in again.values()] == [False]


async def test_a_rotation_that_is_killed_goes_on_where_it_was(
    pool: Pool, key_file: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Keyring(read_key_file(key_file))
    await add_people(pool, old, now, 200)
    before = await names(pool, old)
    new = Keyring(add_key(read_key_file(key_file)))
    monkeypatch.setattr(rotation, "TABLES", [replace(one, pages=1) for one in TABLES])
    real, batches, kills = rotation_store.rewrite, itertools.count(), 0

    async def rewrite(
        conn: Connection,
        ciphers: Ciphers,
        stretch: PageRange,
        key_id: int,
        anew: Callable[[str, bytes], bytes],
    ) -> int:
        done = await real(conn, ciphers, stretch, key_id, anew)
        if done and next(batches) % 2 == 0:
            raise ConnectionResetError  # before its commit
        return done

    monkeypatch.setattr(rotation_store, "rewrite", rewrite)
    async with pool.acquire() as conn:
        while True:
            try:
                await rotate(conn, new)
                break
            except ConnectionResetError:
                kills += 1
                assert await names(pool, new) == before
    assert kills > 1
    assert await under(pool, 1) == 0


async def test_a_rotation_does_not_wait_for_ever_for_who_holds_a_row(
    pool: Pool, key_file: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_people(pool, Keyring(read_key_file(key_file)), now, 3)
    new = Keyring(add_key(read_key_file(key_file)))
    monkeypatch.setattr(rotation, "PAUSE_SECONDS", 0.001)
    async with transaction(pool) as holder, pool.acquire() as conn:
        await holder.execute("SELECT FROM contacts LIMIT 1 FOR UPDATE")
        with pytest.raises(Conflict, match="somebody holds rows of contacts"):
            await asyncio.wait_for(rotate(conn, new), 20)
        assert await under(pool, 2) == 2
    async with pool.acquire() as conn:
        assert await rotate(conn, new) == {"contacts": 1}


async def test_whoever_knows_older_keys_only_turns_nothing_back(
    pool: Pool, key_file: Path, now: datetime
) -> None:
    await add_people(pool, Keyring(read_key_file(key_file)), now, 2)
    second = replace(add_key(read_key_file(key_file)), path=None)
    newest = Keyring(add_key(read_key_file(key_file)))
    async with pool.acquire() as conn:
        assert await rotate(conn, newest) == {"contacts": 2}
        assert await asyncio.wait_for(rotate(conn, Keyring(second)), 20) == {}
    assert await under(pool, 3) == 2


async def test_the_service_goes_on_meanwhile(pool: Pool, key_file: Path, now: datetime) -> None:
    """Processes that know the old key only write, and read what is new, and learn of it by that."""
    running = [Keyring(read_key_file(key_file)) for _ in range(3)]
    department = await add_people(pool, running[0], now, 100)
    new = Keyring(add_key(read_key_file(key_file)))
    over = asyncio.Event()
    written = 0

    async def work(keyring: Keyring, first: int) -> None:
        nonlocal written
        for n in range(first, first + 10_000):
            async with transaction(pool) as conn:
                await make_contact(conn, keyring, department, n, now=now)
                known = [row["id"] for row in await conn.fetch("SELECT id FROM contacts")]
                some = random.sample(known, len(known) // 10)
                await conn.execute(
                    "SELECT FROM contacts WHERE id = ANY ($1) ORDER BY id FOR UPDATE", some
                )
                await conn.execute(
                    "UPDATE contacts SET updated_at = now() WHERE id = ANY ($1)", some
                )
            written += 1
            await names(pool, keyring)
            if over.is_set():
                return

    workers = [asyncio.create_task(work(k, n * 10_000)) for n, k in enumerate(running, start=1)]
    async with pool.acquire() as conn:
        await rotate(conn, new)
    over.set()
    await asyncio.gather(*workers)
    assert {ring.key_id for ring in running} == {2}
    async with pool.acquire() as conn:
        await rotate(conn, new)
    assert await under(pool, 1) == 0
    assert len(await names(pool, new)) == 100 + written


@pytest.mark.attack
async def test_a_wrong_or_outdated_key_file_is_refused_at_start(
    conn: Connection, key_file: Path
) -> None:
    first = read_key_file(key_file)
    await check_key(conn, Keyring(first))
    await check_key(conn, Keyring(add_key(first)))
    masters = read_key_file(key_file).masters
    cases = {
        "lacks key 2": Keys(first.masters),
        "lacks key 1": Keys({2: masters[2]}, first.index_key()),
        "not the one": Keys({1: bytes(32), 2: masters[2]}),
        "this master key": Keys(masters, bytes(32)),
    }
    for message, keys in cases.items():
        async with conn.transaction():
            with pytest.raises(Misconfigured, match=message):
                await check_key(conn, Keyring(keys))
    await check_key(conn, Keyring(read_key_file(key_file)))


@pytest.mark.parametrize(
    "text",
    ["", "zz", "11" * 31, "11" * 32 + "\n" + "22" * 32, "2 " + "11" * 31, "0 " + "11" * 32,
     "256 " + "11" * 32, "index " + "11" * 32, "1 " + "11" * 32 + "\n1 " + "22" * 32],
)  # fmt: skip
def test_a_file_that_is_no_key_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="must hold 64 hexadecimal digits"):
        read_key_file(path)


def test_a_key_that_was_swapped_under_its_id_reads_nothing(key_file: Path) -> None:
    ring = Keyring(read_key_file(key_file))
    cipher = Keyring(add_key(read_key_file(key_file))).encrypt("phone", "x")
    keys = read_key_file(key_file)
    write_key_file(replace(keys, masters={1: bytes(32), 2: keys.masters[2]}))
    with pytest.raises(Undecipherable):  # the file is another system's: its hashes differ
        ring.decrypt("phone", cipher)


@pytest.mark.slow
async def test_the_commands_do_all_of_it_and_are_written_down(
    pool: Pool, database_url: str, key_file: Path, now: datetime
) -> None:
    old = Keyring(read_key_file(key_file))
    await add_people(pool, old, now, 3)
    environment = {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": "redis://127.0.0.1:1",
        "TOCSIN_KEY_FILE": str(key_file),
    }

    async def tocsin(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service", "keys", *arguments, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    async with pool.acquire() as conn:
        await conn.execute("SELECT pg_advisory_lock(hashtextextended('master_keys', 0))")
        before = read_key_file(key_file)
        for command in ("add", "rotate", "retire 1"):
            code, said = await tocsin(*command.split())
            assert (code, "another `tocsin keys` is at work" in said) == (1, True)
        assert read_key_file(key_file) == before
        await conn.execute("SELECT pg_advisory_unlock_all()")
    assert await tocsin("add") == (
        0, f"key 2 is in {key_file}; keep a copy of the file, then run:\ntocsin keys rotate\n",
    )  # fmt: skip
    assert await tocsin("rotate") == (0, "contacts\t3\n3 rows are under key 2 now\n")
    code, said = await tocsin("retire", "1")
    assert (code, said.startswith("key 1 is out of")) == (0, True)
    assert len(await names(pool, Keyring(read_key_file(key_file)))) == 3
    acts = await pool.fetch("SELECT action, object_id FROM audit_entries ORDER BY id")
    assert [tuple(row) for row in acts] == [
        ("add_master_key", "2"),
        ("rotate_master_key", "2"),
        ("retire_master_key", "1"),
    ]
