"""Real processes that are stopped, blocked, hung, or without their servers: who ends, and how."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from service.liveness.exit_codes import ExitCode
from service.local.embedded import Postgres, Valkey, free_port, write_private
from service.storage.postgres import Connection, Pool
from tests.architecture.tree import ROOT
from tests.harness.processes import LATE_SECONDS, running
from tests.harness.silent import SilentProxy, silent_proxy
from tests.harness.tiers import cases

LAST_WORDS = "the process ends: its own work stands still, and both servers answer"
WAITS, WORKS = "the process waits for a server", "the process works again"


@pytest.fixture
def environment(database_url: str, valkey: Valkey, redis: Redis, tmp_path: Path) -> dict[str, str]:
    write_private(tmp_path / "key", "01" * 32)
    return {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(tmp_path / "key"),
        "TOCSIN_WORKER_NICENESS": "0",
    }


@pytest.mark.slow
async def test_a_stopped_process_is_unhealthy_beside_a_healthy_one_of_its_kind(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with (
        running(tmp_path / "good", environment, "expand") as good,
        running(tmp_path / "stopped", environment, "expand") as stopped,
    ):
        await good.becomes(healthy=True)
        await stopped.becomes(healthy=True)
        stopped.process.send_signal(signal.SIGSTOP)
        await stopped.becomes(healthy=False)
        assert not stopped.is_healthy("alive")
        assert good.is_healthy()
        stopped.process.send_signal(signal.SIGCONT)
        await stopped.becomes(healthy=True)
        assert stopped.process.returncode is None, "time in which it was stopped counts for nothing"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("expand",), ("serve",)], ids=" ".join)
async def test_a_process_whose_loop_is_blocked_says_where_and_ends_with_70(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    async with running(tmp_path / "blocked", environment, *words, fault="blocks") as blocked:
        await blocked.starts()
        blocked.strike()
        assert await blocked.ends() == ExitCode.LATE
        (said,) = blocked.lines(LAST_WORDS)
        assert "event loop" in said["late"]
        (main,) = [t for t in blocked.lines("a thread stands here") if t["of"] == "MainThread"]
        assert any(place.endswith("_block_main_thread") for place in main["stack"])
        tasks = [place for task in blocked.lines("a task stands here") for place in task["stack"]]
        assert any("liveness/watching.py" in place for place in tasks), "the stack of every task"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "late"),
    [
        (("expand",), ["queue of expand", "statement answered"]),
        (("serve",), ["statement answered"]),
    ],
)
async def test_a_process_whose_own_turn_hangs_ends_with_70_while_both_servers_answer(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...], late: list[str]
) -> None:
    async with running(tmp_path / "hung", environment, *words, fault="hangs") as hung:
        await hung.starts()
        hung.strike()
        assert await hung.ends() == ExitCode.LATE
        (said,) = hung.lines(LAST_WORDS)
        assert said["late"] == late
        tasks = [place for task in hung.lines("a task stands here") for place in task["stack"]]
        assert any(place.endswith(" _for_ever") for place in tasks)


@pytest.fixture
async def postgres_wire(postgres: Postgres) -> AsyncIterator[SilentProxy]:
    async with silent_proxy("127.0.0.1", postgres.port) as proxy:
        yield proxy


@pytest.fixture
async def redis_wire(valkey: Valkey) -> AsyncIterator[SilentProxy]:
    async with silent_proxy(urlsplit(valkey.url).path) as proxy:
        yield proxy


@pytest.mark.slow
@pytest.mark.parametrize("silent", ["PostgreSQL", "Redis"])
async def test_whoever_waits_for_a_silent_server_does_not_end_and_says_so_once(
    environment: dict[str, str],
    tmp_path: Path,
    postgres_wire: SilentProxy,
    redis_wire: SilentProxy,
    silent: str,
) -> None:
    """Also its old connections never come back; the work hangs besides, which changes nothing."""
    parts = urlsplit(environment["TOCSIN_DATABASE_URL"])
    login = parts.netloc.rpartition("@")[0]
    through = {
        "TOCSIN_DATABASE_URL": f"postgresql://{login}@127.0.0.1:{postgres_wire.own_port}{parts.path}",
        "TOCSIN_REDIS_URL": f"redis://127.0.0.1:{redis_wire.own_port}/0",
    }
    wire = postgres_wire if silent == "PostgreSQL" else redis_wire
    words = ("scheduler", "expand")
    late = {"TOCSIN_LATE_SECONDS": str(LATE_SECONDS)}
    async with running(tmp_path / "waits", environment | through | late, *words) as waits:
        await waits.starts()
        wire.fall_silent()
        (said,) = await waits.says(WAITS)
        assert silent in "".join(said["why"])
        await waits.touches(5)  # between two of them both servers are asked, for seconds
        wire.forward_new()
        await waits.says(WORKS)
        await waits.touches(3)
        assert waits.process.returncode is None
        assert len(waits.lines(WAITS)) == len(waits.lines(WORKS)) == 1
        assert waits.is_healthy()


@pytest.mark.slow
async def test_a_channel_process_whose_serving_breaks_off_ends_with_1(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with running(tmp_path / "broken", environment, "channel", fault="breaks") as broken:
        await broken.starts()
        broken.strike()
        assert await broken.ends() == ExitCode.BROKE
        (said,) = broken.lines("a part of the process has broken off")
        assert said["part"] == "serve channels"
        assert "broken on purpose" in said["error"]
        assert "has broken off: serve channels" in broken.log.splitlines()[-1]


@pytest.mark.parametrize("words", cases([("serve",), ("channel",), ("scheduler",)], ("serve",)))
async def test_a_process_that_is_asked_to_stop_ends_with_0(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...], pool: Pool
) -> None:
    async with running(tmp_path / "asked", environment, *words) as asked:
        await asked.starts()
        assert await pool.fetchval("SELECT count(*) FROM processes") == 1
        asked.process.terminate()
        assert await asked.ends() == ExitCode.OK, asked.log
        assert not asked.touched, "it shows no life any more"
        assert await pool.fetchval("SELECT count(*) FROM processes") == 0


@pytest.mark.slow
@pytest.mark.parametrize("words", cases([("expand",), ("serve",)], ("expand",)))
async def test_systemd_hears_that_a_process_works_and_that_it_ends(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(120)
        given = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        heard: list[str] = []

        def listen(last: str) -> None:
            while last not in heard:
                heard.extend(systemd.recv(200).decode().splitlines())

        async with running(tmp_path / "watched", environment | given, *words) as watched:
            await asyncio.to_thread(listen, "WATCHDOG=1")
            assert watched.is_healthy()
            watched.process.terminate()
            await asyncio.to_thread(listen, "STOPPING=1")
            assert await watched.ends() == ExitCode.OK, watched.log
    assert set(heard[: heard.index("READY=1")]) <= {"EXTEND_TIMEOUT_USEC=20000000"}
    assert heard[-1] == "STOPPING=1"


@pytest.mark.parametrize("words", cases([("expand",), ("serve",)], ("expand",)))
async def test_ctrl_c_while_it_waits_for_postgresql_ends_with_130(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    nowhere = {"TOCSIN_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    async with running(tmp_path / "waits", environment | nowhere, *words) as waits:
        await waits.touches(2)
        assert "is not there: nothing listens" in waits.log, "and it shows that it lives"
        assert not waits.is_healthy(), "but it has not started"
        assert waits.is_healthy("alive"), "and nobody is to kill it for that"
        waits.process.send_signal(signal.SIGINT)
        assert await waits.ends() == ExitCode.INTERRUPTED
        assert "Traceback" not in waits.log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["workers", "nothing"], ExitCode.USAGE),
        pytest.param(["service", "nothing"], ExitCode.USAGE, marks=pytest.mark.slow),
        pytest.param(["service", "serve", "--loudly"], ExitCode.USAGE, marks=pytest.mark.slow),
        (["workers", "channel:nobody"], ExitCode.BROKE),
    ],
)
async def test_a_command_line_that_asks_for_what_there_is_not(
    environment: dict[str, str], words: list[str], code: ExitCode
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words,
        env=os.environ | environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == code
    assert said.splitlines()[-1].startswith((b"tocsin", b"unknown kind"))


STRANGE = "INSERT INTO migrations (name, digest, works_with) VALUES ('9000_later.sql', '', $1)"


@pytest.mark.parametrize("words", cases([("expand",), ("serve",)], ("expand",)))
async def test_a_newer_database_that_was_not_noted_to_fit_is_refused_in_a_sentence(
    environment: dict[str, str], tmp_path: Path, owner: Connection, words: tuple[str, ...]
) -> None:
    await owner.execute(STRANGE, None)
    async with running(tmp_path / "older", environment, *words) as older:
        assert await older.ends() == ExitCode.MISFIT
        (line,) = older.log.splitlines()
        assert "newer than this program: it has 9000_later.sql" in line


@pytest.mark.slow
async def test_a_newer_database_that_this_version_works_beside_is_taken(
    environment: dict[str, str], tmp_path: Path, owner: Connection, pool: Pool
) -> None:
    """And one that is migrated further while it works, to what it does not fit, ends it."""
    await owner.execute(STRANGE, "0.1.0")
    async with running(tmp_path / "older", environment, "expand") as older:
        await older.starts()
        assert await pool.fetchval("SELECT count(*) FROM processes WHERE kind = 'expand'") == 1
        await owner.execute("UPDATE migrations SET works_with = '999.0.0' WHERE name LIKE '9000%'")
        assert await older.ends() == ExitCode.MISFIT
        (said,) = older.lines("the process ends: the database has changed")
        assert "9000_later.sql" in said["why"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ahead", "message"),
    [
        (20, "the clock is not PostgreSQL's: set it by NTP"),
        (-3_600, "the clock is so far from PostgreSQL's that nothing is handed off: set it by NTP"),
    ],
)
async def test_a_clock_that_is_not_postgresqls_is_said_once_and_that_it_is_right_again_once(
    environment: dict[str, str], tmp_path: Path, ahead: int, message: str, pool: Pool
) -> None:
    async with running(tmp_path / "wrong", environment, "expand", fault="crooked") as wrong:
        await wrong.starts()
        wrong.strike(str(ahead))
        (said,) = await wrong.says(message)
        assert said["ahead_seconds"] == pytest.approx(ahead, abs=3)
        wrong.strike("0")
        await wrong.says("the clock agrees with PostgreSQL's again")
        assert len(wrong.lines(message)) == 1
        assert abs(await pool.fetchval("SELECT ahead FROM processes")) < 3
