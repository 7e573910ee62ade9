"""`tocsin up` with a key that does not fit the database says so, and writes nothing."""

import asyncio
import os
from pathlib import Path

import pytest

from service.crypto import Keyring, create_key_file
from service.errors import Misconfigured
from service.local.embedded import Valkey
from service.local.up import System, UpOptions
from service.runtime import check_key
from service.storage.postgres import connect

WRITTEN = """
    SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM keys), (SELECT count(*) FROM areas),
           (SELECT array_agg(key_id ORDER BY key_id) FROM key_checks),
           (SELECT count(*) FROM migrations)
"""


async def _written(url: str) -> tuple[object, ...]:
    conn = await connect(url)
    try:
        return tuple(await conn.fetchrow(WRITTEN) or ())
    finally:
        await conn.close()


def _start(folder: Path) -> None:
    System(UpOptions(folder, channels="none"), folder).start()


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


@pytest.fixture
async def used(database_url: str) -> str:
    """A database in which something was encrypted with a key."""
    conn = await connect(database_url)
    try:
        await check_key(conn, Keyring(os.urandom(32)))
    finally:
        await conn.close()
    return database_url


@pytest.fixture
def folder(tmp_path: Path, used: str, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a system whose servers are given."""
    monkeypatch.setenv("TOCSIN_DATABASE_URL", used)
    monkeypatch.delenv("TOCSIN_DATABASE_OWNER_URL", raising=False)
    monkeypatch.setenv("TOCSIN_REDIS_URL", valkey.url)
    monkeypatch.delenv("TOCSIN_KEY_FILE", raising=False)
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.attack
async def test_a_key_of_another_database_writes_nothing(folder: Path, used: str) -> None:
    """Neither a user nor an area; else half of the data could be read with neither key."""
    create_key_file(folder.with_name("data.key"))
    before = await _written(used)
    with pytest.raises(Misconfigured, match="not the one the database was written with"):
        await asyncio.to_thread(_start, folder)
    assert await _written(used) == before
    assert _is_empty(folder)


@pytest.mark.attack
async def test_a_lost_key_is_not_made_anew(folder: Path, used: str) -> None:
    before = await _written(used)
    with pytest.raises(Misconfigured, match="restore it from its backup"):
        await asyncio.to_thread(_start, folder)
    assert await _written(used) == before
    assert not folder.with_name("data.key").exists()
