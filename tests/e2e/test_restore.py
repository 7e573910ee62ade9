"""A broadcast is copied while it goes out, then restored to the instant before a wrong UPDATE.

`make restore-test`. The system has 20,000 people. While texts leave, the receiver of the log is
killed, a base backup is made, and then the keeper of the backups is killed.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from service.backup.catalogue import LogPiece
from service.backup.crypt import make_key
from service.local.embedded import postgres_binaries
from service.storage.postgres import connected
from tests.architecture.tree import ROOT
from tests.harness.backups import BackupPlace
from tests.harness.live import MORNING, Live
from tests.harness.waiting import until_sync

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("restore")]

AREAS = """
    SELECT md5(string_agg(concat_ws('.', run_id, no, area_code), ',' ORDER BY run_id, no))
    FROM messages
"""
"""Who got texts where: nothing but the wrong UPDATE changes it."""


@dataclass
class Copied:
    """A system that runs, and its backups. middle: an instant at which texts left. before: one
    just before the wrong UPDATE. target: how many people the broadcast has. areas: `AREAS` then.
    """

    live: Live
    place: BackupPlace
    target: int
    middle: datetime
    before: datetime
    areas: str


@pytest.fixture(scope="module")
async def copied(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Copied]:
    folder = tmp_path_factory.mktemp("copied")
    place = BackupPlace.make(folder, folder / "data")
    live = Live(
        folder / "data",
        *("--clock", MORNING, "--tps", "700", "--max-delay", "3", "--profile", "carrier"),
        **place.environment(),
    )
    live.start()
    try:
        await live.people((files("service.local.demo") / "county.csv").read_bytes())
        place.until_base(1)
        made = place.run("backup", "now", "--full", **place.settings_of(live))
        assert made.returncode == 0, made.stderr
        yield await broadcast_and_copy(live, place)
    finally:
        live.stop()


async def broadcast_and_copy(live: Live, place: BackupPlace) -> Copied:
    launched = await live.launch()
    await launched.under_way(0.05)
    work = live.folder / "backup"
    receiver = int((work / "receiver.pid").read_text())
    os.kill(receiver, 9)
    made = place.run("backup", "now", **place.settings_of(live))
    assert made.returncode == 0, made.stderr
    middle: datetime = await live.query("SELECT clock_timestamp()")
    assert await launched.count("queued") > 0, "the broadcast ended before the backup"
    until_sync(lambda: int((work / "receiver.pid").read_text()) != receiver)
    live.kill("backup")
    await launched.handed_off(400)
    areas, before = await live.query(AREAS), await live.query("SELECT clock_timestamp()")
    wrong = "UPDATE messages SET area_code = '000000' WHERE no % 2 = 0"
    async with connected(live.summary["database_url"]) as conn:
        await conn.execute(wrong)
    assert await live.query(AREAS) != areas
    place.until_log_of(time.time())
    return Copied(live, place, await launched.target(), middle, before, areas)


async def test_the_instant_before_a_wrong_update_is_restored_beside_the_running_system(
    copied: Copied, tmp_path: Path
) -> None:
    into = tmp_path / "restored"
    with copied.place.restored(into, "--at", copied.before.isoformat()) as url:
        async with connected(url) as conn:
            assert await conn.fetchval(AREAS) == copied.areas
            assert not await conn.fetchval("SELECT pg_is_in_recovery()")
    assert await copied.live.query(AREAS) != copied.areas, "the running one is as it was"
    assert (into / "data/PG_VERSION").exists()
    assert not (into / "log").exists()


def test_a_drill_in_the_middle_of_a_broadcast_adds_up_and_leaves_nothing(
    copied: Copied, tmp_path: Path
) -> None:
    done = copied.place.restore(tmp_path / "x", "--at", copied.middle.isoformat(), "--check")
    assert done.returncode == 0, done.stderr
    run = re.search(r"run \S+ \(running\): (\d+) people: (.+)", done.stdout)
    assert run is not None, done.stdout
    states = {word: int(count) for word, count in re.findall(r"([a-z][a-z ]*) (\d+)", run[2])}
    assert int(run[1]) == copied.target == sum(states.values())
    assert states["queued"] > 0
    assert "audit trail: " in done.stdout
    assert done.stdout.rstrip().endswith("nothing is wrong")
    assert re.search(r"put together: 2 backups", done.stderr)
    assert not (tmp_path / "x").exists()


def test_killed_receivers_leave_no_gap(copied: Copied) -> None:
    done = copied.place.run("backup", "status", "--key-file", str(copied.place.master))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "the master key fits" in done.stdout
    found = copied.place.read()
    assert [base.kind for base in found.bases] == ["full", "full", "incremental"]
    assert found.gaps(found.bases[0].first_segment) == []
    assert len([piece for piece in found.log if not piece.partial]) > 2


def test_all_that_there_is_has_the_last_minute(copied: Copied, tmp_path: Path) -> None:
    done = copied.place.restore(tmp_path / "x", "--check")
    assert done.returncode == 0, done.stderr
    last = re.search(r"last transaction: (\S+)", done.stdout)
    assert last is not None
    assert (datetime.now(UTC) - datetime.fromisoformat(last[1])).total_seconds() < 60


def test_an_instant_that_has_not_come_is_refused(copied: Copied, tmp_path: Path) -> None:
    done = copied.place.restore(tmp_path / "x", "--at", "2099-01-01T00:00:00Z", "--check")
    assert done.returncode == 1
    assert "the log of the backups ends before that instant, with 20" in done.stderr


@pytest.fixture
def copy(copied: Copied, tmp_path: Path) -> BackupPlace:
    """The same backups in another folder, in which a test may do as it likes."""
    target = tmp_path / "backups"
    shutil.copytree(copied.place.target, target)
    return replace(copied.place, target=target)


def needed(place: BackupPlace) -> list[LogPiece]:
    """The pieces of the log that a restore of all that there is reads."""
    found = place.read()
    first = found.bases[-1].first_segment
    return [piece for piece in found.log if piece.number >= first and not piece.partial]


def flip(path: Path, place: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[place] ^= 1
    path.write_bytes(octets)


def refused(place: BackupPlace, into: Path, *words: str) -> str:
    """What a restore of all that there is says that must not end well."""
    done = place.restore(into, *words)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_cut_base_backup_is_refused(copy: BackupPlace, tmp_path: Path) -> None:
    found = copy.read()
    path = found.files_of(found.bases[-2]) / "base.tar.gz.age"
    path.write_bytes(path.read_bytes()[:-1_000])
    assert f"{path} is damaged: it was cut or changed" in refused(copy, tmp_path / "x")


def test_a_changed_octet_is_refused(copy: BackupPlace, tmp_path: Path) -> None:
    found = copy.read()
    path = found.files_of(found.bases[-1]) / "base.tar.gz.age"
    flip(path, 50_000)
    assert f"{path} is damaged" in refused(copy, tmp_path / "x")
    flip(path, 50_000)
    piece = needed(copy)[1].path
    flip(piece, 5_000)
    assert f"{piece} is damaged" in refused(copy, tmp_path / "y")


def test_a_missing_piece_of_the_log_is_named(
    copied: Copied, copy: BackupPlace, tmp_path: Path
) -> None:
    piece = needed(copy)[1]
    piece.path.unlink()
    told = refused(copy, tmp_path / "x")
    assert f"the log lacks {piece.name[8:]}: put these files back" in told
    done = copy.run("backup", "status")
    assert done.returncode == 1
    assert f"the log lacks {piece.name[8:]}" in done.stderr


def test_a_missing_base_backup_is_named(copy: BackupPlace, tmp_path: Path) -> None:
    found = copy.read()
    (found.files_of(found.bases[-1]) / "base.tar.gz.age").unlink()
    assert "base.tar.gz.age is missing: put it back" in refused(copy, tmp_path / "x")
    shutil.rmtree(found.files_of(found.bases[-2]))
    assert f"the full backup {found.bases[-2].name}, on which" in refused(copy, tmp_path / "y")


def test_another_private_key_reads_nothing(copy: BackupPlace, tmp_path: Path) -> None:
    make_key(tmp_path / "other.key")
    other = replace(copy, identity=tmp_path / "other.key")
    assert "cannot be read with this private key" in refused(other, tmp_path / "x")


def test_another_master_key_does_not_fit(copy: BackupPlace, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_text("ab" * 32)
    wrong.chmod(0o600)
    done = copy.run("backup", "status", "--key-file", str(wrong))
    assert done.returncode == 1
    assert "this master key is not the one" in done.stderr
    other = replace(copy, master=wrong)
    assert "this master key is not the one" in refused(other, tmp_path / "x", "--check")


def test_a_piece_of_another_county_is_refused(copy: BackupPlace, tmp_path: Path) -> None:
    """It is encrypted to our key, but it is not what follows: PostgreSQL reads the log up to it."""
    pieces = needed(copy)
    shutil.copy(pieces[0].path, pieces[1].path)
    told = refused(copy, tmp_path / "x", "--at", datetime.now(UTC).isoformat())
    assert "the log of the backups ends before that instant" in told


def test_the_folder_must_be_new(copied: Copied, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/file").touch()
    assert "is not empty: give --into a new folder" in refused(copied.place, tmp_path / "x")
    assert (tmp_path / "x/file").exists()


def dump(copied: Copied, folder: Path, programs: Path) -> int:
    """The block of docs/operating.md that makes a dump by hand; returns its exit code."""
    text = (ROOT / "docs/operating.md").read_text("utf-8")
    (block,) = re.findall(r'```sh\n(pg_dump -Fc "\$TOCSIN_DATABASE_URL".*?)```', text, re.DOTALL)
    environment = {
        "PATH": f"{programs}:{postgres_binaries()}:/usr/bin:/bin",
        "TOCSIN_DATABASE_URL": str(copied.live.summary["database_url"]),
    }
    done = subprocess.run(
        ["bash", "-c", block], cwd=folder, env=environment, capture_output=True, check=False
    )
    return done.returncode


def test_a_dump_that_fails_or_is_cut_leaves_the_last_good_one(
    copied: Copied, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    assert dump(copied, tmp_path, programs) == 0
    good = (tmp_path / "tocsin.dump").read_bytes()
    assert len(good) > 1_000_000
    for fault in ("exit 1", f"head -c {len(good) // 2} {tmp_path / 'tocsin.dump'}"):
        (programs / "pg_dump").write_text(f"#!/bin/sh\n{fault}\n")
        (programs / "pg_dump").chmod(0o755)
        assert dump(copied, tmp_path, programs) != 0
        assert (tmp_path / "tocsin.dump").read_bytes() == good
