"""`tocsin up`: the whole system on one machine, from nothing but a data folder.

Starts PostgreSQL and Valkey (unless URLs are given), migrates, makes two administrators, sets up
the simulated carriers, starts the API and the workers, and keeps all of them running: what dies is
started again, with a growing pause, and what is stuck is killed. SIGTERM stops everything cleanly;
a second `up` on the same folder goes on where the first one stopped. The two administrators make
the other people over the API (`first_people`).

One module: starting, tending and stopping act on the same list of processes in the same order.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from service.accounts.bootstrap import FirstAdministrator, bootstrap
from service.audience.areas.area_store import load_areas
from service.clock import Clock
from service.crypto import Keyring, create_key_file, read_key_file
from service.errors import Misconfigured
from service.liveness.alive_file import NAME as ALIVE
from service.liveness.systemd import SystemdSocket
from service.local.embedded import Postgres, Valkey, free_port, prepare_folder, write_private
from service.local.first_people import give_first_logins, make_people
from service.local.simulated_channels import (
    CARRIERS_OF,
    SimulatedChannels,
    open_simulated_channels,
    set_channels,
)
from service.local.simulated_groups import (
    NETWORKS,
    SimulatedGroups,
    open_simulated_groups,
    set_robots,
)
from service.local.supervision import STUCK_SECONDS, LifeSigns
from service.parent import VARIABLE
from service.runtime import compare_keys, stored_checks
from service.servers import find_faults, refuse, taken
from service.storage.migrate import migrate
from service.storage.postgres import LONG_SECONDS, connect
from service.storage.roles import admit, admit_backup, login_of
from service.words.phrase import phrase

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
STOP_SECONDS = 40.0
RESTART_FIRST, RESTART_MOST = 0.2, 5.0
STEADY_SECONDS = 20.0
SIMULATOR = "simulator"
"""The name of the process of the simulated carriers."""
GROUPS = "groups"
"""The name of the process of the simulated work groups."""
SIMULATORS = frozenset({SIMULATOR, GROUPS})
ADMINISTRATORS = (
    FirstAdministrator("admin", "管理员一"),
    FirstAdministrator("second_admin", "管理员二"),
)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `tocsin up` can be told.

    port: of the API; 0: any free one. protocols: of the simulated channels. tps, window,
    connections: of each channel; parts a second that the carrier allows, None: any number.
    *_processes: how many of a kind; the APIs after the first have any free port each, as they
    would behind a proxy, which passes over one that hangs. max_delay: the longest a simulated
    receipt takes, in real seconds. groups: also two simulated work groups, with their robots.
    """

    data: Path
    port: int = 0
    clock_start: datetime | None = None
    speed: float = 1.0
    channels: Literal["none", "simulated"] = "simulated"
    protocols: tuple[str, ...] = tuple(CARRIERS_OF)
    profile: str = "roster"
    tps: int | None = 500
    window: int = 64
    connections: int = 1
    api_processes: int = 1
    scheduler_processes: int = 1
    work_processes: int = 1
    channel_processes: int = 1
    max_delay: float | None = None
    response_delay: float = 0.0
    groups: bool = False


@dataclass(slots=True)
class Child:
    """One process of the system, and how to start it again. signs: of life; None: it gives none."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restart_at: float = 0.0
    delay: float = RESTART_FIRST
    signs: LifeSigns | None = None


@dataclass(slots=True)
class System:
    """The running system."""

    options: UpOptions
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    postgres: Postgres | None = None
    valkey: Valkey | None = None
    children: list[Child] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    groups: SimulatedGroups | None = None

    # ---- starting

    def start(self) -> None:
        """Start everything and wait until the API is ready.

        Raises:
            Misconfigured: a port, folder, key or server is unusable; says which.
        """
        self._check()
        owner_url, database_url, redis_url = self._start_stores()
        key_file, keyring = self._open_key(owner_url)
        clock = self._open_clock()
        ports = self._api_ports()
        asyncio.run(_migrate(owner_url, database_url, self._backup_url()))
        keys = asyncio.run(self._prepare(database_url, keyring, clock))
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "TOCSIN_DATABASE_OWNER_URL"},
            VARIABLE: str(os.getpid()),
            "TOCSIN_DATABASE_URL": database_url,
            "TOCSIN_REDIS_URL": redis_url,
            "TOCSIN_KEY_FILE": str(key_file),
            "TOCSIN_WITNESS_FILE": str(key_file.with_suffix(".witness")),
            **_clock_environment(clock),
        }
        self._share_connections()
        channels = self._start_simulator(database_url, keyring, clock)
        self._start_processes(ports)
        self.summary |= {
            "url": f"http://127.0.0.1:{ports[0]}",
            "urls": [f"http://127.0.0.1:{port}" for port in ports],
            "console": f"http://127.0.0.1:{ports[0]}/",
            "keys": keys,
            "channels": channels,
            "database_url": database_url,
            "redis_url": redis_url,
        }
        for port in ports:
            self._wait_ready(port)
        asyncio.run(self._people(keys, database_url, keyring, clock))

    def _share_connections(self) -> None:
        """Each of several channel processes gets as many."""
        if self.options.channel_processes > 1:
            connections = self.options.connections * len(self.options.protocols)
            share = -(-connections // self.options.channel_processes)
            self.environment["TOCSIN_CONNECTIONS_PER_PROCESS"] = str(share)

    async def _people(
        self, keys: dict[str, str], database_url: str, keyring: Keyring, clock: Clock
    ) -> None:
        """Everybody, made over the API by the two administrators, and first passwords of theirs."""
        found = await make_people(self.summary["url"], keys)
        write_private(self.folder / "keys.json", json.dumps(found))
        self.summary["keys"] = found
        self.summary["logins"] = await give_first_logins(database_url, keyring, clock.now())
        if self.groups is not None:
            await set_robots(self.summary["url"], found["operator"], self.groups)

    def _check(self) -> None:
        """Look at what is given, before anything is started: the port, and servers by their URLs.

        Raises:
            Misconfigured: something is of no use; says all that is.
        """
        wrong = [why] if self.options.port and (why := taken(self.options.port)) else []
        database_url = os.environ.get("TOCSIN_DATABASE_URL")
        redis_url = os.environ.get("TOCSIN_REDIS_URL")
        owner_url = os.environ.get("TOCSIN_DATABASE_OWNER_URL")
        faults = asyncio.run(find_faults(owner_url or database_url, redis_url))
        refuse(wrong + [fault.sentence for fault in faults])

    def _api_ports(self) -> list[int]:
        """A port for each API: the one asked for, then free ones."""
        ports = [self.options.port or free_port()]
        while len(ports) < self.options.api_processes:
            if (port := free_port()) not in ports:
                ports.append(port)
        return ports

    def _start_stores(self) -> tuple[str, str, str]:
        """The URLs of the database as its owner and as the service, and of Redis."""
        database_url = os.environ.get("TOCSIN_DATABASE_URL")
        owner_url = os.environ.get("TOCSIN_DATABASE_OWNER_URL") or database_url
        redis_url = os.environ.get("TOCSIN_REDIS_URL")
        if not database_url or not owner_url:
            self.postgres = Postgres(prepare_folder(self.folder / "postgres"))
            self.postgres.start()
            self.postgres.create_database()
            owner_url, database_url = self.postgres.url, self.postgres.service_url
        if not redis_url:
            self.valkey = Valkey(prepare_folder(self.folder / "valkey"))
            self.valkey.start()
            redis_url = self.valkey.url
        return owner_url, database_url, redis_url

    def _open_key(self, owner_url: str) -> tuple[Path, Keyring]:
        """The master key beside the data folder, made at the very first start; before anything is
        written it is compared with the one of the database.

        Raises:
            Misconfigured: it is missing, or not the key of the database.
        """
        stored = asyncio.run(_stored_checks(owner_url))
        given = os.environ.get("TOCSIN_KEY_FILE")
        path = Path(given) if given else self.folder.with_name(self.folder.name + ".key")
        first_start = not (self.folder / "keys.json").exists()
        if first_start and not path.exists() and not stored:
            return path, Keyring(create_key_file(path))
        keyring = Keyring(read_key_file(path))
        compare_keys(stored, keyring)
        return path, keyring

    def _open_clock(self) -> Clock:
        """The clock asked for, or the one this folder ran on before."""
        path = self.folder / "clock.json"
        if self.options.clock_start is not None or self.options.speed != 1.0:
            start = self.options.clock_start or datetime.now().astimezone()
            clock = Clock(start, time.time(), self.options.speed)
            path.write_text(json.dumps([start.isoformat(), clock.anchor, clock.speed]))
            return clock
        if path.exists():
            start_text, anchor, speed = json.loads(path.read_text())
            return Clock(datetime.fromisoformat(start_text), anchor, speed)
        return Clock()

    async def _prepare(self, database_url: str, keyring: Keyring, clock: Clock) -> dict[str, str]:
        """Load the areas, make the two administrators; returns the keys there are."""
        path = self.folder / "keys.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        conn = await connect(database_url, seconds=LONG_SECONDS)
        try:
            async with conn.transaction():
                await load_areas(conn)
                made = await bootstrap(conn, keyring, clock.now(), ADMINISTRATORS, tokens=known)
        finally:
            await conn.close()
        keys = known | made
        write_private(path, json.dumps(keys))
        return keys

    def _start_simulator(
        self, database_url: str, keyring: Keyring, clock: Clock
    ) -> dict[str, dict[str, Any]]:
        if self.options.channels == "none":
            return {}
        simulated = open_simulated_channels(self.folder, self.options.protocols)
        config = simulated.simulator(self.folder) | {
            "profile": self.options.profile,
            "tps": self.options.tps,
            "response_delay_seconds": self.options.response_delay,
            "max_connections": max(5, self.options.connections),
        }
        if self.options.max_delay is not None:
            config["max_delay_seconds"] = self.options.max_delay
        config_path = self.folder / "simulator.json"
        write_private(config_path, json.dumps(config))
        self._add(SIMULATOR, "-m", "service", "simulate", "--config", str(config_path))
        asyncio.run(self._set_channels(database_url, keyring, clock, simulated))
        self.summary["simulator"] = simulated.admin_url
        return {name: {"kind": name, "port": simulated.ports[name]} for name in simulated.names}

    async def _set_channels(
        self, database_url: str, keyring: Keyring, clock: Clock, simulated: SimulatedChannels
    ) -> None:
        options = self.options
        conn = await connect(database_url)
        try:
            async with conn.transaction():
                await set_channels(
                    conn,
                    keyring,
                    simulated,
                    clock,
                    tps=options.tps,
                    window=options.window,
                    connections=options.connections,
                )
        finally:
            await conn.close()

    def _start_groups(self) -> None:
        """Two simulated work groups, to whose network the workers may post."""
        if not self.options.groups:
            return
        self.groups = open_simulated_groups(self.folder)
        config_path = self.folder / "groups.simulator.json"
        write_private(config_path, json.dumps(self.groups.simulator()))
        self._add(GROUPS, "-m", "service", "simulate", "--config", str(config_path))
        allowed = [self.environment.get("TOCSIN_WEBHOOK_NETWORKS", ""), NETWORKS]
        self.environment["TOCSIN_WEBHOOK_NETWORKS"] = ", ".join(filter(None, allowed))
        self.environment["SSL_CERT_FILE"] = str(self.groups.authorities)
        self.summary["groups"] = self.groups.posted_url

    def _start_processes(self, ports: Sequence[int]) -> None:
        self._start_groups()
        for number, port in enumerate(ports):
            self._add(_numbered("api", number), "-m", "service", "serve", port=port)
        for number in range(self.options.scheduler_processes):
            self._add(_numbered("scheduler", number), "-m", "workers", "scheduler")
        for number in range(self.options.work_processes):
            name = _numbered("work", number)
            self._add(name, "-m", "workers", "expand", "imports", "delivery", "webhooks")
        for number in range(self.options.channel_processes):
            self._add(f"channel-{number}", "-m", "workers", "channel")
        if backup_url := self._backup_url():
            self._add("backup", "-m", "service", "backup", "run", backup_url=backup_url)

    def _backup_url(self) -> str | None:
        """The address for copies of our own PostgreSQL, if TOCSIN_BACKUP_FOLDER asks for them."""
        wanted = self.postgres is not None and os.environ.get("TOCSIN_BACKUP_FOLDER")
        return self.postgres.backup_url if self.postgres is not None and wanted else None

    def _add(
        self, name: str, *arguments: str, port: int | None = None, backup_url: str | None = None
    ) -> None:
        child = Child(name, [sys.executable, *arguments])
        if "workers" in arguments and (first := os.environ.get("TOCSIN_WATCH_PORT", "0")) != "0":
            watched = self.summary.setdefault("watched", {})
            watched[name] = int(first) + len(watched)
            child.environment["TOCSIN_WATCH_PORT"] = str(watched[name])
        if name not in SIMULATORS:
            folder = prepare_folder(self.folder / "alive" / name)
            child.environment["TOCSIN_ALIVE_FOLDER"] = str(folder)
        if port is not None:
            child.environment["TOCSIN_API_PORT"] = str(port)
        if backup_url is not None:
            child.environment["TOCSIN_BACKUP_DATABASE_URL"] = backup_url
            child.environment["TOCSIN_BACKUP_WORK_FOLDER"] = str(self.folder / "backup")
        self.children.append(child)
        self._spawn(child)

    def _spawn(self, child: Child) -> None:
        if folder := child.environment.get("TOCSIN_ALIVE_FOLDER"):
            (Path(folder) / ALIVE).unlink(missing_ok=True)  # of the one that was killed
            child.signs = LifeSigns(Path(folder), time.monotonic())
        with (self.folder / f"{child.name}.log").open("ab") as output:
            child.process = subprocess.Popen(
                child.arguments, env=self.environment | child.environment,
                stdin=subprocess.DEVNULL, stderr=output, stdout=output,
            )  # fmt: skip
        child.started = time.monotonic()
        written = self.folder / f"{child.name}.pid.new"
        written.write_text(str(child.process.pid))
        written.replace(self.folder / f"{child.name}.pid")  # whoever reads it finds a number

    def _wait_ready(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not asyncio.run(_is_ready(port)):
            self.tend()
            if time.monotonic() > deadline:
                raise Misconfigured(
                    phrase(
                        "the API did not become ready on port {port}; see {folder}/api.log",
                        port=port,
                        folder=self.folder,
                    )
                )
            time.sleep(0.1)

    # ---- running

    def tend(self) -> None:
        """Start again whatever has died."""
        for server in (self.postgres, self.valkey):
            if server is not None and not server.alive():
                _start_again(server)
        now = time.monotonic()
        for child in self.children:
            self._tend_child(child, now)

    def _tend_child(self, child: Child, now: float) -> None:
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                if child.signs is not None and child.signs.is_stuck(now):
                    stuck = {"process_name": child.name, "seconds": STUCK_SECONDS}
                    log.error("process gives no sign of life: it is killed", extra=stuck)
                    child.process.kill()
                return
            if now - child.started > STEADY_SECONDS:
                child.delay = RESTART_FIRST
            log.warning("process died", extra={"process_name": child.name, "code": code})
            child.process, child.restart_at = None, now + child.delay
            child.delay = min(RESTART_MOST, child.delay * 2)
        elif now >= child.restart_at:
            self._spawn(child)

    # ---- stopping

    def stop(self) -> None:
        """Stop everything: workers first, so that they drain while the carrier still answers."""
        self._stop_children([c for c in self.children if c.name not in SIMULATORS])
        self._stop_children(self.children)
        if self.valkey is not None:
            self.valkey.stop()
        if self.postgres is not None:
            self.postgres.stop()

    def _stop_children(self, children: list[Child]) -> None:
        running = [c.process for c in children if c.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in children:
            child.process = None


async def _stored_checks(owner_url: str) -> dict[int, bytes]:
    conn = await connect(owner_url)
    try:
        return await stored_checks(conn)
    finally:
        await conn.close()


async def _migrate(owner_url: str, database_url: str, backup_url: str | None) -> None:
    """Migrate as the owner, and grant the other roles what they need, if there are any."""
    conn = await connect(owner_url, seconds=LONG_SECONDS)
    try:
        await migrate(conn)
        if owner_url != database_url:
            await admit(conn, login_of(database_url))
        if backup_url:
            await admit_backup(conn, login_of(backup_url))
    finally:
        await conn.close()


def _start_again(server: Postgres | Valkey) -> None:
    """Start a server that died; if it does not come up, the next look tries again."""
    name = type(server).__name__
    log.warning("%s died, starting it again", name)
    try:
        server.start()
    except Misconfigured as error:  # a full disk, say: everything else waits until there is room
        log.error("%s does not start", name, extra={"why": error.message})  # noqa: TRY400


def _numbered(kind: str, number: int) -> str:
    """The name of a process: the first of a kind has the kind's."""
    return f"{kind}-{number}" if number else kind


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return b" 200 " in await asyncio.wait_for(reader.readline(), 5)
    except (TimeoutError, OSError):
        return False
    finally:
        writer.close()


def _clock_environment(clock: Clock) -> dict[str, str]:
    if clock.start is None:
        return {}
    return {
        "TOCSIN_CLOCK_START": clock.start.isoformat(),
        "TOCSIN_CLOCK_ANCHOR": repr(clock.anchor),
        "TOCSIN_CLOCK_SPEED": repr(clock.speed),
    }


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one `up` on a folder at a time."""
    with (folder / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Misconfigured(
                phrase(
                    "another `tocsin up` runs on {folder}; stop it first, or give --data another",
                    folder=folder,
                )
            ) from error
        yield


@contextlib.contextmanager
def system(options: UpOptions) -> Iterator[System]:
    """The system for as long as the block runs.

    Raises:
        Misconfigured: it cannot start; what had been started is stopped again.
    """
    folder = prepare_folder(options.data)
    with _locked(folder):
        running = System(options, folder)
        try:
            running.start()
            yield running
        finally:
            running.stop()


def run_up(options: UpOptions, *, as_json: bool) -> None:
    """Run the system in the foreground until SIGTERM or SIGINT."""
    stopping: list[int] = []
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda number, _: stopping.append(number))
    systemd = SystemdSocket()  # before any child begins, which is not to have it
    with system(options) as running:
        print(_shown(running.summary, as_json=as_json), flush=True)  # noqa: T201
        while not stopping:
            systemd.show_life(works=True)
            time.sleep(0.2)
            running.tend()
        systemd.end()


def _shown(summary: dict[str, Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(summary)
    lines = [
        "Tocsin is running. Stop it with Ctrl-C.",
        f"  console   {summary['console']}",
        *(
            f"  login     {login:<12} {password}   (for once: the console asks for another)"
            for login, password in summary["logins"].items()
        ),
        *(
            f"  API       {url}/api/v1   (description: /api/v1/openapi.json)"
            for url in summary["urls"]
        ),
        *(f"  key       {name:<12} {token}" for name, token in summary["keys"].items()),
        *(
            f"  channel   {name}: {c['kind']} simulator on port {c['port']}"
            for name, c in summary["channels"].items()
        ),
        *([f"  simulator {summary['simulator']}"] if "simulator" in summary else []),
        *([f"  groups    {summary['groups']}"] if "groups" in summary else []),
        f"  database  {summary['database_url']}",
        f"  redis     {summary['redis_url']}",
    ]
    return "\n".join(lines)
