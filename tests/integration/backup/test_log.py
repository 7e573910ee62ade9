"""The log is copied without a gap, and where the server gave it up, a full backup begins anew."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from service.backup import receiver as module
from service.backup.backup_store import read_slot
from service.backup.base import manifest_of, take_base
from service.backup.catalogue import due, read_newest
from service.backup.keeper import keep_backups
from service.backup.receiver import LogReceiver
from service.errors import Conflict, Misconfigured, Unavailable
from service.liveness.alive_file import NAME
from service.local.embedded import Postgres, free_port
from service.settings import BackupSettings
from service.storage.postgres import NoRight, connected
from service.storage.roles import login_of
from tests.harness.copied_log import fill, receiving, shipped
from tests.harness.waiting import until

pytestmark = pytest.mark.slow  # a PostgreSQL and its receiver of their own


async def test_the_receiver_goes_on_where_it_was(
    server: Postgres, settings: BackupSettings
) -> None:
    async with receiving(settings) as receiver:
        base = await take_base(settings, "full", "fast")
        name = await fill(server, 2)
        await shipped(receiver, settings, name)
    await fill(server, 1)  # nobody receives
    async with receiving(settings) as receiver:
        name = await fill(server, 1)
        found = await shipped(receiver, settings, name)
    assert found.gaps(base.first_segment) == []
    await receiver.ship()
    assert {path.suffix for path in receiver.spool.iterdir()} <= {".partial"}, "full ones leave"


async def test_a_slot_that_was_given_up_is_made_anew_and_a_full_backup_is_due(
    server: Postgres, settings: BackupSettings
) -> None:
    async with receiving(settings) as receiver:
        base = await take_base(settings, "full", "fast")
        name = await fill(server, 1)
        found = await shipped(receiver, settings, name)
        assert (
            due(
                found,
                base.started_at,
                manifest=manifest_of(settings, base) is not None,
                timeline=1,
            )
            is None
        )
    async with connected(server.url) as conn:

        async def lost() -> bool:
            await fill(server, 4)
            slot = await read_slot(conn)
            return slot is not None and slot.lost

        await until(lost)
    async with receiving(settings) as receiver:
        name = await fill(server, 1)
        found = await shipped(receiver, settings, name)
        (gap,) = found.gaps(base.first_segment)
        assert gap.last > gap.first
        assert due(found, base.started_at, manifest=True, timeline=1) == "full"
        await take_base(settings, "full", "fast")
        assert due(read_newest(settings.target), base.started_at, manifest=True, timeline=1) is None


async def test_an_incremental_backup_needs_a_full_one(
    server: Postgres, settings: BackupSettings
) -> None:
    with pytest.raises(Misconfigured, match="no full backup that an incremental one"):
        await take_base(settings, "incremental", "fast")
    async with receiving(settings):
        full = await take_base(settings, "full", "fast")
        await fill(server, 1)
        second = await take_base(settings, "incremental", "fast")
    assert second.full == full.name
    assert second.octets < full.octets / 4
    assert not (settings.work / "base.part").exists(), "nothing in the clear is left"
    async with connected(server.url) as conn:
        rows = await conn.fetch("SELECT kind, octets FROM backups ORDER BY kind")
    assert [tuple(row) for row in rows if row["kind"] != "log"] == [
        ("full", full.octets),
        ("incremental", second.octets),
    ]


async def test_where_the_disk_is_away_nothing_is_written_and_little_waits(
    server: Postgres, settings: BackupSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mount point of a disk that is not mounted looks like an empty folder."""
    monkeypatch.setattr(module, "MOST_SEGMENTS", 2)
    monkeypatch.setattr(module, "SHIP_SECONDS", 0.05)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)
    async with receiving(settings) as receiver:
        away = settings.target.with_name("away")
        settings.target.rename(away)
        settings.target.mkdir()
        with pytest.raises(Misconfigured, match="is not there: mount its disk"):
            await take_base(settings, "full", "fast")
        shipping = asyncio.create_task(receiver.keep_shipping())
        try:
            await fill(server, 3)
            await until(lambda: receiver.process and receiver.process.returncode is not None)
            waiting = sorted(path.name for path in receiver.spool.iterdir())
            await fill(server, 1)
            assert sorted(path.name for path in receiver.spool.iterdir()) == waiting
            assert not list(settings.target.iterdir())
            settings.target.rmdir()
            away.rename(settings.target)
            name = await fill(server, 1)
            found = await shipped(receiver, settings, name)
        finally:
            shipping.cancel()
            with suppress(asyncio.CancelledError):
                await shipping
    assert found.gaps(found.log[0].number) == []


async def test_two_do_not_copy_into_one_work_folder(
    server: Postgres, settings: BackupSettings
) -> None:
    task = asyncio.create_task(keep_backups(settings))
    try:
        await until((settings.work / "receiver.pid").exists)
        with pytest.raises(Conflict, match="another `tocsin backup run` uses"):
            await keep_backups(settings)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_who_copies_shows_life_and_works_once_the_server_answers(
    server: Postgres, settings: BackupSettings, tmp_path: Path
) -> None:
    """`tocsin up` kills a child that shows none, and so do others."""
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    for url, works in ((nowhere, False), (settings.url, True)):
        shown = {"alive_folder": tmp_path, "backup_database_url": url}
        task = asyncio.create_task(keep_backups(settings.model_copy(update=shown)))
        touched = set[int]()

        def shows(touched: set[int] = touched, works: bool = works) -> bool:
            file = tmp_path / NAME
            if file.exists() and ("works" in file.read_text()) is works:
                touched.add(file.stat().st_mtime_ns)
            return len(touched) > 2

        try:
            await until(shows)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert not (tmp_path / NAME).exists()


async def test_a_target_that_is_not_mounted_is_never_made(settings: BackupSettings) -> None:
    settings.target.rmdir()
    with pytest.raises(Misconfigured, match="is not there: mount its disk or share"):
        await keep_backups(settings)
    assert not settings.target.exists()


async def test_a_wrong_password_is_told_and_not_shown(
    server: Postgres, settings: BackupSettings
) -> None:
    wrong = settings.model_copy(
        update={"backup_database_url": server.backup_url.replace("tocsin_backup:", "nobody:")}
    )
    receiver = LogReceiver(wrong, "1")
    receiver.prepare()
    with pytest.raises(Unavailable, match="pg_receivewal failed") as caught:
        await receiver._receive_once()
    password = login_of(server.backup_url).password
    assert "authentication failed" in str(caught.value)
    assert password not in str(caught.value)


@pytest.mark.attack
async def test_the_role_of_the_backups_reads_no_table_and_changes_none(server: Postgres) -> None:
    async with connected(server.backup_url) as conn:
        for statement in (
            "SELECT phone_cipher FROM contacts",
            "UPDATE key_checks SET check_value = ''",
            "DELETE FROM backups",
            "CREATE TABLE mine (n int)",
            "CREATE ROLE mine",
        ):
            with pytest.raises(NoRight):
                await conn.execute(statement)
