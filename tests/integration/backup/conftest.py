"""One server for the tests of a module, and an empty folder of backups for each of them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.local.embedded import Postgres, prepare_folder
from service.settings import BackupSettings
from service.storage.postgres import connected
from tests.harness.copied_log import SMALL, admit, settings_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = prepare_folder(tmp_path_factory.mktemp("copied"))
    server = Postgres(folder, fsync=False, settings=SMALL)
    server.start()
    server.create_database()
    asyncio.run(admit(server))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def settings(server: Postgres, tmp_path: Path) -> BackupSettings:
    """The slot begins anew: a short test ends before its receiver has said how far it is.

    A receiver that was killed leaves its sender behind for a moment, which still holds the slot.
    """
    async with connected(server.url) as conn:
        await conn.execute(
            """
            SELECT pg_terminate_backend(active_pid, 60000)
            FROM pg_replication_slots WHERE active_pid IS NOT NULL
            """
        )
        await conn.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    return settings_for(server, tmp_path)
