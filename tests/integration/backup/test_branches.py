"""After a restore the log has two branches; the new one is copied, and both can be restored."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from service.backup.backup_store import read_cluster
from service.backup.base import manifest_of, take_base
from service.backup.catalogue import due, read_newest
from service.backup.restore import Restore, plan_restore
from service.errors import Misconfigured, Unavailable
from service.local.embedded import Postgres
from service.settings import BackupSettings
from service.storage.postgres import connected
from tests.harness.copied_log import SMALL, fill, receiving, settings_for, shipped

WORDS = "SELECT array_agg(word ORDER BY word) FROM words"


async def say(server: Postgres, word: str) -> datetime:
    """Write a word down, and return an instant after it."""
    async with connected(server.url) as conn:
        await conn.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        await conn.execute("INSERT INTO words VALUES ($1)", word)
        at: datetime = await conn.fetchval("SELECT clock_timestamp()")
        return at


def restore(settings: BackupSettings, into: Path, at: datetime | None) -> Restore:
    """What `tocsin restore` does before it starts the server."""
    key = settings.target.with_name("county.key")
    made = Restore(plan_restore(settings.target, at), into, key, print)
    made.unpack()
    return made


async def words(made: Restore, timeline: str = "latest") -> list[str]:
    with made.started(timeline) as url:
        async with connected(url) as conn:
            return list(await conn.fetchval(WORDS))


@contextmanager
def in_place_of(server: Postgres, made: Restore) -> Iterator[Postgres]:
    """The restored folder as the server that goes on."""
    for name in ("password", "backup_password"):
        shutil.copy(server.folder / name, made.folder)
    after = Postgres(made.folder, fsync=False, settings=SMALL)
    after.start()
    try:
        yield after
    finally:
        after.stop()


@pytest.mark.slow  # it restores twice; what leads where is in tests/unit/backup
async def test_the_branch_after_a_restore_is_copied_and_both_can_be_restored(
    server: Postgres, settings: BackupSettings, tmp_path: Path
) -> None:
    async with receiving(settings) as receiver:
        await take_base(settings, "full", "fast")
        good = await say(server, "good")
        await say(server, "wrong")
        await take_base(settings, "incremental", "fast")
        late = await say(server, "late")
        name = await fill(server, 2)  # a later transaction is needed to know where to stop
        await shipped(receiver, settings, name)
    made = restore(settings, tmp_path / "restored", good)
    assert await words(made) == ["good"]
    with in_place_of(server, made) as after:
        again = settings_for(after, tmp_path)
        async with receiving(again) as receiver:
            async with connected(again.url) as conn:
                timeline = (await read_cluster(conn)).timeline
            assert timeline == 2
            found = read_newest(again.target)
            assert due(found, good, manifest=True, timeline=timeline) == "full"
            await take_base(again, "full", "fast")
            await say(after, "later")
            name = await fill(after, 1)
            await shipped(receiver, again, name)
    assert await words(restore(again, tmp_path / "new", None)) == ["good", "later"]
    old = restore(again, tmp_path / "old", late)
    assert await words(old, "current") == ["good", "late", "wrong"]
    with pytest.raises(Misconfigured, match="on a branch that a later restore left"):
        await words(restore(again, tmp_path / "older", late))


async def test_where_the_list_of_changes_is_gone_an_incremental_backup_fails_by_name(
    server: Postgres, settings: BackupSettings
) -> None:
    """`keep_backups` makes a full one then."""
    async with receiving(settings):
        full = await take_base(settings, "full", "fast")
        manifest = manifest_of(settings, full)
        assert manifest is not None
        manifest.write_text(manifest.read_text()[:-100])
        with pytest.raises(Unavailable, match="pg_basebackup failed"):
            await take_base(settings, "incremental", "fast")
    assert not list((settings.target / full.cluster / "base").glob(".*"))
