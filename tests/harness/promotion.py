"""A primary and its standby, real workers beside them, and a simulated carrier over TCP.

The workers are processes of their own with the addresses of both servers, as a DSN of two hosts;
only the one that takes writes is theirs. A test kills the primary, with or without what it wrote
last, and promotes the standby.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis.asyncio import Redis

from service.clock import Clock
from service.crypto import FIRST_KEY, Keyring, Keys, write_key_file
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Postgres, Valkey, postgres_binaries
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.carrier.journal import submits
from service.simulator.run import running
from service.storage.migrate import migrate
from service.storage.postgres import UNREACHABLE, connected, open_pool
from service.storage.roles import admit, login_of
from tests.conftest import NOW
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.waiting import until

CALM = Faults(duplicate_receipts=0, early_receipts=0, unknown_receipts=0)
KEY = b"\x01" * 32
PROCESSES = (("scheduler",), ("expand", "delivery", "channel"))
"""The scheduler alone, so that a test can freeze it."""
LOG_CHARACTERS = 20_000
"""So much of what the workers have logged last stands beside a test that fails."""


def tcp_url(*servers: Postgres) -> str:
    """The address of these servers as the service's role, of which one takes writes."""
    user, password = login_of(servers[0].service_url)
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://{user}:{password}@{hosts}/tocsin?target_session_attrs=read-write"


def _program(name: str, *arguments: str, server: Postgres) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs against a server, as its owner."""
    password = (server.folder / "password").read_text()
    command = [str(postgres_binaries() / name), "-h", "127.0.0.1", "-p", str(server.port)]
    return subprocess.run(
        [*command, "-U", "tocsin", *arguments],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=True,
    )


def add_standby(primary: Postgres, folder: Path) -> Postgres:
    """A standby that streams from a primary."""
    folder.mkdir(mode=0o700)
    for name in ("password", "service_password"):
        shutil.copy(primary.folder / name, folder / name)
    _program("pg_basebackup", "-D", str(folder / "data"), "-R", "-c", "fast", server=primary)
    (folder / "data").chmod(0o700)
    standby = Postgres(folder, fsync=False)
    standby.start()
    return standby


@dataclass
class Promotion:
    """What is at work. gone: when the primary was killed; promoted: when the standby took over."""

    folder: Path
    keyring: Keyring
    primary: Postgres
    valkey: Valkey
    journal: Path
    standby: Postgres | None = None
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    run: uuid.UUID = field(default_factory=uuid.uuid4)
    channel: int = 0
    anchor: float = field(default_factory=time.time)
    gone: float = 0.0
    promoted: float = 0.0

    @property
    def clock(self) -> Clock:
        """The clock of the workers."""
        return Clock(NOW, self.anchor)

    @property
    def url(self) -> str:
        """The address that the workers have."""
        servers = [self.primary, *([self.standby] if self.standby else [])]
        return tcp_url(*servers)

    # ---- servers

    async def owner(self, server: Postgres, statement: str) -> None:
        """Do something as the owner of a server's database."""
        async with connected(server.url) as conn:
            await conn.execute(statement)

    async def synchronous(self) -> None:
        """From now on no commit is answered before the standby has it."""
        await self.owner(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        await self.owner(self.primary, "SELECT pg_reload_conf()")

        async def waits() -> Any:
            async with connected(self.primary.url) as conn:
                return await conn.fetchval(
                    "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
                )

        await until(waits, what="a synchronous standby")

    async def cut_off(self) -> None:
        """From now on the standby gets nothing, and the primary goes on without it."""
        assert self.standby is not None
        await self.owner(self.standby, "ALTER SYSTEM SET primary_conninfo = ''")
        await self.owner(self.standby, "SELECT pg_reload_conf()")

        async def alone() -> bool:
            async with connected(self.primary.url) as conn:
                return not await conn.fetchval("SELECT count(*) FROM pg_stat_replication")

        await until(alone, what="a standby that gets nothing")

    def kill_primary(self) -> None:
        """kill -9 of the primary; its children end with it."""
        os.kill(self.primary.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.primary.pid, 0)
        self.primary.pid, self.gone = 0, time.time()

    def stop_primary(self) -> None:
        """Stop it cleanly: it sends all that it has written before it ends."""
        self.primary.stop()
        self.gone = time.time()

    def dump(self) -> Path:
        """A dump of the database as it is now."""
        file = self.folder / "dump"
        _program("pg_dump", "-d", "tocsin", "-Fc", "-f", str(file), server=self.primary)
        return file

    def promote(self) -> None:
        """Let the standby take over."""
        assert self.standby is not None
        _program("psql", "-d", "tocsin", "-c", "SELECT pg_promote()", server=self.standby)
        self.promoted = time.time()

    async def query(self, statement: str, *arguments: object) -> Any:
        """Ask the database that takes writes now."""

        async def asked() -> tuple[Any] | None:
            try:
                async with connected(self.url) as conn:
                    return (await conn.fetchval(statement, *arguments),)
            except UNREACHABLE:
                return None

        return (await until(asked, what="a database"))[0]

    async def states(self) -> Counter[str]:
        """How many texts of the run are in which state."""
        rows = await self.query(
            "SELECT jsonb_object_agg(state, n) FROM (SELECT state, count(*) AS n FROM messages"
            " WHERE run_id = $1 GROUP BY state) s",
            self.run,
        )
        return Counter(rows)

    async def stopped(self) -> bool:
        """Whether everything is on hold."""
        found: bool = await self.query("SELECT EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)")
        return found

    async def between_beats(self) -> None:
        """Wait until Redis has just been told of a beat: the next one is seconds away."""
        async with Redis.from_url(self.valkey.url) as redis:

            async def beats() -> list[bytes | None]:
                return [await redis.get(key) async for key in redis.scan_iter("tocsin:beat:*")]

            before = await beats()

            async def told() -> bool:
                return await beats() != before

            await until(told, 60, "a beat")

    async def empty_redis(self) -> None:
        """Let Redis forget everything."""
        redis = Redis.from_url(self.valkey.url)
        await redis.flushall()
        await redis.aclose()

    # ---- workers

    def start_workers(self) -> None:
        """Everything that a run needs, the scheduler in a process of its own."""
        environment = os.environ | {
            "TOCSIN_DATABASE_URL": self.url,
            "TOCSIN_REDIS_URL": self.valkey.url,
            "TOCSIN_KEY_FILE": str(self.folder / "key"),
            "TOCSIN_WORKER_NICENESS": "0",
            # In the hours of the county, whatever the time is.
            "TOCSIN_CLOCK_START": NOW.isoformat(),
            "TOCSIN_CLOCK_ANCHOR": str(self.anchor),
        }
        for kinds in PROCESSES:
            with (self.folder / "workers.log").open("ab") as log:
                command = [sys.executable, "-m", "workers", *kinds]
                started = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
                self.workers.append(started)

    def freeze_scheduler(self) -> None:
        """Let nobody look at the database but whoever hands off; see `thaw_scheduler`."""
        self.workers[0].send_signal(signal.SIGSTOP)

    def thaw_scheduler(self) -> None:
        """Let it go on."""
        self.workers[0].send_signal(signal.SIGCONT)

    async def renewed(self, times: int) -> None:
        """Wait until whoever hands off has renewed a lease so often: it works on this database."""
        latest = "SELECT max(expires_at) FROM connections WHERE owner IS NOT NULL"
        for _ in range(times):
            before = await self.query(latest)

            async def later(before: Any = before) -> bool:
                return bool(await self.query(latest) > before)

            await until(later, 30, "a lease that is renewed")

    async def stop_workers(self) -> None:
        """Let them finish, or end them."""
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            try:
                await asyncio.to_thread(worker.wait, 20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.workers.clear()

    def log(self) -> str:
        """What the workers have logged."""
        return (self.folder / "workers.log").read_text()

    # ---- the carrier

    def taken(self) -> Counter[str]:
        """How often the carrier has taken a text to each phone."""
        return Counter(entry["phone"] for entry in submits(self.journal))

    def taken_at(self) -> list[float]:
        """When it has taken each."""
        return [entry["at"] for entry in submits(self.journal)]

    def is_quiet(self) -> bool:
        """Whether nothing was taken for a second: what is marked leaves within half of that."""
        return time.time() - max(self.taken_at()) > 1

    def silence(self) -> float:
        """The longest time without a text, in seconds, from just before the primary was gone on."""
        taken = [at for at in self.taken_at() if at > self.gone - 1]
        return max(later - earlier for earlier, later in pairwise(taken))

    async def under_way(self, texts: int) -> None:
        """Wait until the carrier has taken so many."""
        await until(lambda: len(self.taken_at()) >= texts, 60, f"{texts} texts")


def read_into_another(made: Promotion, dump: Path) -> None:
    """Read a dump into a server of its own, which takes the place of the primary."""
    folder = made.folder / "another"
    folder.mkdir(mode=0o700)
    another = Postgres(folder, fsync=False)
    another.start()
    another.create_database()
    password = login_of(another.service_url).password
    role = f"CREATE ROLE tocsin_service LOGIN PASSWORD '{password}'"
    _program("psql", "-d", "tocsin", "-c", role, server=another)
    _program("pg_restore", "-d", "tocsin", "--no-owner", str(dump), server=another)
    made.primary.stop()
    made.primary = another


@asynccontextmanager
async def promotion(
    folder: Path, people: int, *, standby: bool = True, receipt_seconds: float = 0.5, tps: int = 400
) -> AsyncIterator[Promotion]:
    """A run to so many people that waits for its workers."""
    write_key_file(Keys({FIRST_KEY: KEY}, path=folder / "key"))
    (folder / "primary").mkdir(mode=0o700)
    (folder / "valkey").mkdir(mode=0o700)
    primary, valkey = Postgres(folder / "primary", fsync=False), Valkey(folder / "valkey")
    made = Promotion(folder, Keyring(KEY), primary, valkey, folder / "journal")
    config = SimulatorConfig(
        accounts=(Account(account="901234", secret=SecretStr("1qaz2wsx")),),
        journal=made.journal,
        max_delay_seconds=receipt_seconds,
        faults=CALM,
    )
    try:
        valkey.start()
        await _fill(made, folder, standby=standby)
        async with running(config, clock=made.clock) as simulator:
            await _launch(made, simulator.ports["cmpp"], people, tps)
            if made.standby is not None:
                await until(lambda: _streams(made), what="a standby that streams")
            made.start_workers()
            try:
                yield made
            finally:
                await made.stop_workers()
                print(made.log()[-LOG_CHARACTERS:])
    finally:
        for server in (made.standby, made.primary, valkey):
            if server is not None:
                server.stop()


async def _streams(made: Promotion) -> bool:
    async with connected(made.primary.url) as conn:
        found: bool = await conn.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn = sent_lsn)"
        )
        return found


async def _fill(made: Promotion, folder: Path, *, standby: bool) -> None:
    """Start the primary with all migrations, and a standby of it."""
    primary = made.primary
    primary.start()
    primary.create_database()
    async with connected(primary.url) as conn:
        await migrate(conn)
        await admit(conn, login_of(primary.service_url))
    if standby:
        made.standby = add_standby(primary, folder / "standby")


async def _launch(made: Promotion, port: int, people: int, tps: int) -> None:
    """A run to all of them, whose ledger is written."""
    now = made.clock.now()
    async with open_pool(made.primary.service_url, size=4) as pool:
        async with pool.acquire() as conn:
            scene = await make_scene(conn, now)
            phones = [phone(n) for n in range(people)]
            await add_contacts(conn, made.keyring, scene, phones, now)
            channel = await add_channel(
                conn, made.keyring, port, now, tps=tps, window=32, connections=2
            )
            made.run, made.channel = await add_run(conn, scene, now), channel.id
        assert await expand_run(pool, made.run, now) is not None
