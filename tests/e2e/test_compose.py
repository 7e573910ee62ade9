"""docker-compose.yml is run: each command, health check and secret of it, by the real programs.

Containers and networks are left out. Where the file names a port or a path of a container, the test
puts one of its own after it or in its place, and nothing else.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from service.backup.crypt import make_key
from service.local.embedded import (
    free_port,
    postgres_binaries,
    prepare_folder,
    unprivileged,
    valkey_binary,
)
from service.storage.postgres import UNREACHABLE, connect
from tests.architecture.tree import ROOT
from tests.harness.waiting import until_sync

DEPLOY = ROOT / "deploy"
READY_SECONDS = 60
DEFAULT_PORT = 8080


@dataclass
class Compose:
    """The file's services, and a folder in which they run. ports: of what the test started."""

    services: dict[str, dict[str, Any]]
    folder: Path
    ports: dict[str, int]

    @property
    def password(self) -> str:
        return (self.folder / "deploy/secrets/database_password").read_text()

    def command(self, name: str) -> list[str]:
        return [self._as_here(word) for word in self.services[name]["command"]]

    def health(self, name: str) -> list[str]:
        test = self.services[name]["healthcheck"]["test"]
        if isinstance(test, str):
            return ["sh", "-c", self._as_here(test)]
        kind, *check = test
        assert kind == "CMD"
        assert not [word for word in check if " " in word], "podman takes such a word apart"
        return [self._as_here(word) for word in check]

    def _as_here(self, word: object) -> str:
        """A word as a container gets it, `$$` being one dollar, with this machine's paths."""
        secrets = str(self.folder / "deploy/secrets")
        text = str(word).replace("$$", "$").replace("/run/secrets", secrets)
        text = text.replace("/etc/tocsin/pg_hba.conf", str(DEPLOY / "postgres/pg_hba.conf"))
        return text.replace("/usr/local/lib/tocsin", str(DEPLOY))

    def environment(self, name: str) -> dict[str, str]:
        """What a container of ours has: secrets as files, and no setting that the file lacks."""
        assert self.services[name]["environment"]["TOCSIN_ALIVE_FOLDER"] == "/run/tocsin"
        private = prepare_folder(self.folder / f"run-{name}")
        secrets = prepare_folder(self.folder / f"secrets-{name}")
        for secret in self.services[name]["secrets"]:
            shutil.copy(self.folder / "deploy/secrets" / secret, secrets)
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TOCSIN_SECRETS": str(secrets),
            "TOCSIN_PRIVATE": str(private),
            "TOCSIN_ALIVE_FOLDER": str(private),
            "TOCSIN_DATABASE_HOST": f"127.0.0.1:{self.ports['postgres']}",
            "TOCSIN_REDIS_HOST": f"127.0.0.1:{self.ports['valkey']}",
            "TOCSIN_API_PORT": str(self.ports["api"]),
        }


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    (tmp_path / "deploy").mkdir()
    shutil.copy(DEPLOY / "make-secrets.sh", tmp_path / "deploy")
    subprocess.run(["sh", str(tmp_path / "deploy/make-secrets.sh")], check=True)
    ports = {name: free_port() for name in ("postgres", "valkey", "api", "simulator")}
    return Compose(services, tmp_path, ports)


@contextmanager
def started(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd="/", stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(45)
        finally:
            process.kill()


def wait_until_healthy(
    check: Sequence[str],
    process: subprocess.Popen[bytes],
    log: Path,
    environment: Mapping[str, str],
) -> None:
    """Until a health check says 0, as a container's daemon asks.

    Raises:
        AssertionError: the process has ended, or is not healthy in time; with its last words.
    """

    def healthy() -> bool:
        words = log.read_text(errors="replace")[-2000:]
        assert process.poll() is None, f"ended with {process.returncode}: {words}"
        return subprocess.run(check, env=environment, check=False).returncode == 0

    until_sync(healthy, READY_SECONDS, lambda: log.read_text(errors="replace")[-2000:])


@contextmanager
def postgres_of(compose: Compose) -> Iterator[None]:
    """PostgreSQL with the file's own words, on a folder made with the file's own arguments."""
    service = compose.services["postgres"]
    folder = prepare_folder(compose.folder / "postgres")
    password = folder / "password"
    password.write_text(compose.password)
    initdb = [*unprivileged(), str(postgres_binaries() / "initdb"), "-D", str(folder / "data")]
    initdb += ["--username", service["environment"]["POSTGRES_USER"], f"--pwfile={password}"]
    initdb += ["--no-sync", *service["environment"]["POSTGRES_INITDB_ARGS"].split()]
    initdb += ["--auth=scram-sha-256"]
    subprocess.run(initdb, check=True, cwd="/", env={"LC_ALL": "C"}, capture_output=True)
    program, *arguments = compose.command("postgres")
    assert program == "postgres"
    command = [*unprivileged(), str(postgres_binaries() / program), *arguments]
    command += ["-D", str(folder / "data"), "-k", "", "-p", str(compose.ports["postgres"])]
    log = compose.folder / "postgres.log"
    environment = {"LC_ALL": "C", "PGPORT": str(compose.ports["postgres"])}
    with started(command, log, environment) as process:
        check = compose.health("postgres")
        check[0] = str(postgres_binaries() / check[0])
        wait_until_healthy(check, process, log, environment)
        yield


@contextmanager
def valkey_of(compose: Compose) -> Iterator[redis.Redis]:
    """Valkey with the file's own words; the image's entry point only changes the user."""
    folder = prepare_folder(compose.folder / "valkey")
    programs = prepare_folder(compose.folder / "valkey-programs")
    (programs / "valkey-server").symlink_to(valkey_binary())
    (programs / "docker-entrypoint.sh").write_text('#!/bin/sh\nexec "$@"\n')
    (programs / "docker-entrypoint.sh").chmod(0o700)
    command = compose.command("valkey")
    command += ["--port", str(compose.ports["valkey"]), "--dir", str(folder)]
    log = compose.folder / "valkey.log"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    password = (compose.folder / "deploy/secrets/valkey_password").read_text()
    client = redis.Redis(port=compose.ports["valkey"], password=password)
    with client, started(command, log, environment) as process:

        def answers() -> bool:
            assert process.poll() is None, log.read_text(errors="replace")
            with suppress(redis.exceptions.ConnectionError):
                return bool(client.ping())
            return False

        until_sync(answers, READY_SECONDS)
        yield client


async def test_postgres_takes_every_setting_of_the_file(compose: Compose) -> None:
    given = {word.removeprefix("-c").split("=")[0] for word in compose.command("postgres")[1:]}
    url = f"postgresql://tocsin:{compose.password}@127.0.0.1:{compose.ports['postgres']}/postgres"
    with postgres_of(compose):
        conn = await connect(url)
        try:
            # A file that is named there counts as an override.
            rows = await conn.fetch(
                "SELECT name FROM pg_settings WHERE source IN ('command line', 'override')"
            )
        finally:
            await conn.close()
    assert given
    assert given <= {row["name"] for row in rows}


def test_valkey_takes_every_setting_of_the_file(compose: Compose) -> None:
    with valkey_of(compose) as client:
        taken: dict[str, str] = {}
        for pattern in ("append*", "save", "maxmemory-policy"):
            found = client.config_get(pattern)
            assert isinstance(found, dict)
            taken |= found
        assert {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }.items() <= taken.items()


@pytest.mark.attack
def test_valkey_lets_nobody_in_without_the_password(compose: Compose) -> None:
    password = (compose.folder / "deploy/secrets/valkey_password").read_text()
    with valkey_of(compose) as client:
        assert client.ping()
        for wrong in (None, "", password[:-1]):
            stranger = redis.Redis(port=compose.ports["valkey"], password=wrong)
            with stranger, pytest.raises(redis.exceptions.AuthenticationError):
                stranger.set("tocsin:tokens:channel:1", "x")
        listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, check=True)
        assert password.encode() not in listed.stdout, "the list of processes shows it"
        if shutil.which("valkey-cli"):  # the wheel has the server alone
            check = [
                word.replace("valkey-cli", f"valkey-cli -p {compose.ports['valkey']}")
                for word in compose.health("valkey")
            ]
            assert subprocess.run(check, capture_output=True, check=False).returncode == 0
            (compose.folder / "deploy/secrets/valkey_password").chmod(0o600)
            (compose.folder / "deploy/secrets/valkey_password").write_text("another")
            assert subprocess.run(check, capture_output=True, check=False).returncode != 0


@pytest.mark.slow
async def test_every_service_of_the_file_starts_and_becomes_healthy(compose: Compose) -> None:
    """In the order of the file; the commands pass through the image's entry point."""
    with postgres_of(compose), valkey_of(compose):
        await _create_database(compose)
        entry = ["sh", str(DEPLOY / "entrypoint.sh")]
        _migrate(compose, entry)
        others = {"postgres", "valkey", "proxy", "prometheus", "grafana"}
        ours = [name for name in compose.services if name not in others]
        for name in ours:
            if name != "migrate":
                _run_until_healthy(compose, name, entry)


def _migrate(compose: Compose, entry: Sequence[str]) -> None:
    command = [*entry, *compose.command("migrate")]
    environment = compose.environment("migrate")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _run_until_healthy(compose: Compose, name: str, entry: Sequence[str]) -> None:
    environment = compose.environment(name)
    log = compose.folder / f"{name}.log"
    command, check = compose.command(name), compose.health(name)
    if name == "simulator":
        config = json.loads((DEPLOY / "simulator.json").read_text("utf-8"))
        given = str(config["cmpp_port"])
        assert any(given in word for word in check), "the health check asks another port"
        config |= {"cmpp_port": compose.ports[name], "journal": str(compose.folder / "journal")}
        path = compose.folder / "simulator.json"
        path.write_text(json.dumps(config))
        command = [word.replace("/etc/tocsin/simulator.json", str(path)) for word in command]
        check = [word.replace(given, str(compose.ports[name])) for word in check]
    if name == "backup":
        environment |= _backup_settings(compose)
    with started([*entry, *command], log, environment) as process:
        wait_until_healthy(check, process, log, environment)
    assert process.returncode == 0, log.read_text(errors="replace")[-2000:]


def _backup_settings(compose: Compose) -> dict[str, str]:
    """What the file gives to the service that makes backups, with folders of this machine."""
    given = compose.services["backup"]["environment"]
    mounts = {mount.rpartition(":")[2] for mount in compose.services["backup"]["volumes"]}
    folders = {name: value for name, value in given.items() if name.startswith("TOCSIN_BACKUP")}
    assert mounts == {*folders.values()}
    key = make_key(compose.folder / "county.key")
    here = {name: str(prepare_folder(compose.folder / name)) for name in folders}
    return {**here, "TOCSIN_BACKUP_RECIPIENTS": key}


@pytest.mark.attack
def test_who_makes_backups_has_no_master_key_and_no_other_password(compose: Compose) -> None:
    assert compose.services["backup"]["secrets"] == ["backup_password"]


@pytest.mark.attack
def test_no_service_that_runs_has_the_owners_password(compose: Compose) -> None:
    holders = {
        n for n, s in compose.services.items() if "database_password" in s.get("secrets", ())
    }
    assert holders == {"postgres", "migrate"}


async def _create_database(compose: Compose) -> None:
    """What the image of PostgreSQL does on an empty volume."""
    user = compose.services["postgres"]["environment"]["POSTGRES_USER"]
    name = compose.services["postgres"]["environment"]["POSTGRES_DB"]
    address = f"{user}:{compose.password}@127.0.0.1:{compose.ports['postgres']}"
    with suppress(*UNREACHABLE):
        conn = await connect(f"postgresql://{address}/postgres")
        try:
            await conn.execute(f'CREATE DATABASE "{name}"')
        finally:
            await conn.close()
