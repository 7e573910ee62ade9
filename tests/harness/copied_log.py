"""A small PostgreSQL whose log is copied in tests, without the processes of a whole system."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from service.backup.backup_store import read_slot
from service.backup.catalogue import BackupCatalogue, read_newest
from service.backup.crypt import make_key
from service.backup.receiver import LogReceiver
from service.local.embedded import Postgres, prepare_folder
from service.settings import BackupSettings
from service.storage.migrate import migrate
from service.storage.postgres import connected
from service.storage.roles import admit_backup, login_of
from tests.harness.waiting import until

SMALL = {
    "max_slot_wal_keep_size": "192MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "shared_buffers": "16MB",
}
SEGMENT = "SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000000)), pg_switch_wal()"


async def admit(server: Postgres) -> None:
    async with connected(server.url) as conn:
        await migrate(conn)
        await admit_backup(conn, login_of(server.backup_url))


def settings_for(server: Postgres, folder: Path) -> BackupSettings:
    """Backups in FOLDER/backups, with FOLDER/county.key, made by way of a new work folder."""
    (folder / "backups").mkdir(exist_ok=True)
    key = folder / "county.key"
    public = key.read_text().split()[3] if key.exists() else make_key(key)
    return BackupSettings(
        backup_database_url=server.backup_url,
        backup_folder=folder / "backups",
        backup_work_folder=prepare_folder(server.folder / f"work-{folder.name}"),
        backup_recipients=public,
    )


@asynccontextmanager
async def receiving(settings: BackupSettings) -> AsyncIterator[LogReceiver]:
    """A receiver that runs, as soon as its slot keeps the log."""
    async with connected(settings.url) as conn:
        cluster = await conn.fetchval("SELECT system_identifier::text FROM pg_control_system()")
        receiver = LogReceiver(settings, cluster)
        receiver.prepare()
        task = asyncio.create_task(receiver.receive())

        async def started() -> bool:
            assert not task.done(), task
            slot = await read_slot(conn)
            return slot is not None and slot.started and not slot.lost

        try:
            await until(started)
            yield receiver
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def fill(server: Postgres, segments: int) -> str:
    """Fill so many segments of the log; returns the name of the last one."""
    name = ""
    async with connected(server.url) as conn:
        for _ in range(segments):
            name = await conn.fetchval("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
            await conn.execute(SEGMENT)
        await conn.execute("CHECKPOINT")
    return name


async def shipped(receiver: LogReceiver, settings: BackupSettings, name: str) -> BackupCatalogue:
    """Once this segment lies beside the backups as a whole, or a later one of its timeline."""

    async def there() -> BackupCatalogue | None:
        await receiver.ship()
        found = read_newest(settings.target)
        whole = [piece.name for piece in found.log if not piece.partial]
        return found if any(n >= name and n[:8] == name[:8] for n in whole) else None

    found = await until(there)
    assert isinstance(found, BackupCatalogue)
    return found
