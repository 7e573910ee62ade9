"""What the integration tests of the audience share: a department, areas, and an uploader."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import create_import, run_import
from service.audience.imports.model import Import, ImportRequest
from service.audience.imports.store import get_import
from service.crypto import Keyring
from service.storage.postgres import Connection, Pool
from tests.harness.shell import Shell


@dataclass(frozen=True)
class Department:
    id: UUID
    user_id: UUID


async def _add_department(conn: Connection, name: str) -> Department:
    department_id = await conn.fetchval(
        "INSERT INTO departments (name) VALUES ($1) RETURNING id", name
    )
    user_id = await conn.fetchval(
        "INSERT INTO users (department_id, login, name, roles, bootstrap)"
        " VALUES ($1, $2, $2, '{operator}', true)"
        " RETURNING id",
        department_id,
        name,
    )
    return Department(department_id, user_id)


async def _octets(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


Upload = Callable[..., Awaitable[Import]]


@pytest.fixture
def octets() -> Callable[..., AsyncIterator[bytes]]:
    """Yields data in pieces, as an upload does."""
    return _octets


@pytest.fixture
def new_department() -> Callable[..., Awaitable[Department]]:
    """Adds a department with one user."""
    return _add_department


@pytest.fixture
async def department(conn: Connection) -> Department:
    """A department in a database that has the areas."""
    await load_areas(conn)
    return await _add_department(conn, "县反诈中心")


@pytest.fixture
def upload(conn: Connection, keyring: Keyring, department: Department, now: datetime) -> Upload:
    """Imports a file, text or octets, and gives the finished import."""

    def octets_of(source: bytes | str | Path) -> bytes:
        if isinstance(source, Path):
            return source.read_bytes()
        return source.encode() if isinstance(source, str) else source

    async def run(source: bytes | str | Path, *, later: datetime = now, **asked: Any) -> Import:
        fields: dict[str, Any] = {
            "department_id": department.id,
            "user_id": department.user_id,
            "roster": "名单",
            "file_name": "list.csv",
        }
        request = ImportRequest(**(fields | asked))
        waiting = await create_import(
            conn, keyring, request, _octets(octets_of(source)), limit=10_000_000, now=later
        )
        await run_import(conn, keyring, waiting.id, later)
        return await get_import(conn, waiting.id)

    return run


@pytest.fixture
async def shell(
    request: pytest.FixtureRequest, pool: Pool, database_url: str, tmp_path: Path
) -> Shell:
    """A shell on this test's database, which has the areas and an operator `县局`."""
    async with pool.acquire() as conn:
        await load_areas(conn)
        await _add_department(conn, "县局")
    processes = request.node.get_closest_marker("slow") is not None
    return Shell(database_url, tmp_path, processes=processes)
