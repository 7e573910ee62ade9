"""Kill -9 of the processes that build a pack, in three places: one version, whole, is there."""

import asyncio
import subprocess
import sys
import time
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.local.embedded import Valkey, write_private
from service.queue import Job
from service.reports.verify_evidence import faults
from service.reports.weekly import pack_due_store
from service.reports.weekly.packs import build_next, make_due
from service.storage.postgres import OwnConnection, connected
from tests.harness.owed import COUNTY, FRIDAY, SCHOOL, made_duty
from tests.harness.owner import owner_url
from tests.harness.photos import photo
from tests.harness.processes import running
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

pytestmark = [pytest.mark.slow, pytest.mark.crash]

WEEK = "2027-W02"
PICTURES = 3
PATIENCE_SECONDS = 600.0
"""Until a process has started on a machine that is busy, or a lease of a minute has ended."""
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = $1"
WAITS = f"SELECT EXISTS ({SESSIONS} AND $2 = ANY (pg_blocking_pids(pid)))"
"""Whether a session of that builder, and not one that an earlier one left behind, stands at a lock
of ours."""

MAILS = "SELECT count(*) FROM notice_mails WHERE pack_week IS NOT NULL"

Hold = Callable[[OwnConnection], Awaitable[object]]


async def in_gathering(conn: OwnConnection) -> None:
    """Nobody reads reports."""
    await conn.execute("LOCK TABLE duty_reports IN ACCESS EXCLUSIVE MODE")


async def in_pictures(conn: OwnConnection) -> None:
    """The second picture is being kept by somebody who does not end."""
    await conn.execute(
        "INSERT INTO pack_pictures (sha256, cipher) SELECT sha256, '' FROM duty_report_pictures"
        " ORDER BY place OFFSET 1 LIMIT 1"
    )


async def in_mails(conn: OwnConnection) -> None:
    """Nobody owes mails, which is the last that is written beside the files."""
    await conn.execute("LOCK TABLE notice_mails IN SHARE MODE")


PLACES: list[tuple[Hold, str, bool, int]] = [
    (in_gathering, "", False, 0),
    (in_pictures, "pictures", True, 1),
    (in_mails, "signing", True, PICTURES),
]
"""Where a builder dies: what holds it there, the step it has noted, whether facts are frozen, and
how many pictures are kept by then."""


async def pack_with_pictures(api: Api) -> None:
    """A pack that is due, of a report with pictures, which somebody wants a mail of."""
    duty = await made_duty(api)
    ids = [await photo(api, SCHOOL, seed=n, duty_id=str(duty)) for n in range(PICTURES)]
    body = {"narrative": "集市宣讲两场。", "pictures": ids, "pictures_checked": True}
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, body)
    assert handed.status == 200, handed.body
    await api.runtime.pool.execute(
        "INSERT INTO notice_choices (user_id, kinds, packs, way, mail_cipher, language, chosen_at,"
        " mail_proved_at) VALUES ($1, '{}', true, 'mail', '', 'zh', $2, $2)",
        api.teams["county"].operator.id,
        api.clock.at,
    )
    api.clock.at = FRIDAY + pack_due_store.DUE_FOR
    assert await make_due(api.runtime.pool, api.clock.at)


async def test_a_pack_whose_builders_are_killed_one_after_the_other_is_built_once(
    api: Api, database_url: str, valkey: Valkey, redis: Redis, tmp_path: Path
) -> None:
    write_private(tmp_path / "key", "01" * 32)
    await pack_with_pictures(api)
    runtime = api.runtime
    pool = runtime.pool

    def of_builder(name: str) -> dict[str, str]:
        return {
            "TOCSIN_DATABASE_URL": f"{database_url}&application_name={name}",
            "TOCSIN_REDIS_URL": valkey.url,
            "TOCSIN_KEY_FILE": str(tmp_path / "key"),
            "TOCSIN_CLOCK_START": api.clock.at.isoformat(),
            "TOCSIN_CLOCK_ANCHOR": str(time.time()),
            "TOCSIN_CLOCK_SPEED": "1",
            "TOCSIN_SMTP_URL": "smtps://mail.example.gov.cn",
            "TOCSIN_MAIL_FROM": "tocsin@example.gov.cn",
            "TOCSIN_MAIL_DOMAINS": "example.gov.cn",
        }

    async def comes_to(name: str, blocker: int) -> None:
        async def stands_there() -> bool:
            await runtime.queue.enqueue(Job.BUILD_PACKS)  # as the scheduler does
            return bool(await pool.fetchval(WAITS, name, blocker))

        await until(stands_there, PATIENCE_SECONDS, f"{name} stands at the lock", every=0.2)

    async def is_gone(name: str) -> None:
        async def no_session() -> bool:
            return await pool.fetchval(SESSIONS, name) is None

        await until(no_session, PATIENCE_SECONDS, f"the server has noticed that {name} is dead")

    frozen: set[str] = set()
    for hold, step, has_facts, kept in PLACES:
        name = f"builder-{hold.__name__}"
        async with connected(owner_url(database_url)) as other:
            held = other.transaction()
            await held.start()
            await hold(other)
            blocker = await other.fetchval("SELECT pg_backend_pid()")
            async with running(tmp_path / name, of_builder(name), "imports") as builder:
                await comes_to(name, blocker)
                builder.process.kill()
                assert await builder.ends() < 0
            await held.rollback()
        await is_gone(name)
        (row,) = await pool.fetch("SELECT version, state, step, facts, claims FROM packs")
        assert (row["version"], row["state"], row["step"]) == (1, "waiting", step)
        assert (row["facts"] is not None) is has_facts
        frozen |= {row["facts"]} - {None}
        assert await pool.fetchval("SELECT count(*) FROM pack_files") == 0, "all of it or nothing"
        assert await pool.fetchval(MAILS) == 0
        assert await pool.fetchval("SELECT count(*) FROM pack_pictures") == kept
        assert not await build_next(pool, runtime.keyring, api.clock, runtime.settings), "a lease"
        if hold is not in_mails:
            await pool.execute("UPDATE packs SET lives_until = '-infinity'")

    async with running(tmp_path / "last", of_builder("builder-last"), "imports") as builder:

        async def is_built() -> bool:
            await runtime.queue.enqueue(Job.BUILD_PACKS)
            assert builder.process.returncode is None, builder.log[-3000:]
            return bool(await pool.fetchval("SELECT state <> 'waiting' FROM packs"))

        await until(is_built, PATIENCE_SECONDS, "the lease ends, and it is built", every=0.5)
    await is_whole(api, frozen, tmp_path)


async def is_whole(api: Api, frozen: set[str], folder: Path) -> None:
    """There is one version, of the facts that were frozen first, and it verifies alone."""
    listed = await api.get(f"/reports/weekly/packs?week={WEEK}", COUNTY)
    found = [(one["version"], one["state"], one["problem"]) for one in listed.json["items"]]
    assert found == [(1, "built", "")]
    assert await api.runtime.pool.fetchval("SELECT claims FROM packs") == len(PLACES) + 1
    assert await api.runtime.pool.fetchval(MAILS) == 1, "whoever wants a mail has one"
    answer = await api.get(f"/reports/weekly/pack?week={WEEK}", COUNTY)
    assert answer.status == 200, answer.body
    (folder / "pack.zip").write_bytes(answer.body)
    with zipfile.ZipFile(folder / "pack.zip") as archive:
        names = archive.namelist()
        assert len([name for name in names if name.startswith("pictures/")]) == PICTURES
        assert {archive.read("facts.json").decode()} == frozen
        archive.extract("verify_evidence.py", folder)
        key = (await api.get("/evidence-key", COUNTY)).json["public_key"]
        assert faults(archive, bytes.fromhex(key)) == []
    command = [sys.executable, folder / "verify_evidence.py", folder / "pack.zip", key]
    said = await asyncio.to_thread(
        subprocess.run, command, check=False, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout.strip()) == (0, "everything fits"), said.stderr
