"""Numbered SQL files, applied once each, in order, under an advisory lock, by `tocsin migrate`.

A file that was changed after it was applied is refused, and so is a database that is newer than
this program, unless this version was noted to work beside its tables: else somebody would run code
against a schema it was not written for.

What stands in the first line of a file changes how it is applied:

- `-- stop`: no earlier version works beside it, so it is refused while one does;
- `-- alone`: its one statement cannot run in a transaction (CREATE INDEX CONCURRENTLY), and may be
  run again if it broke off.

The files named *_baseline_* are the schema of the first version (decision 0365).
"""

import asyncio
import hashlib
import logging
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from service.errors import Misconfigured, Misfit
from service.storage import sql
from service.storage.locks import lock_migration, unlock_migration
from service.storage.postgres import Connection, LockTimeout, NoRight
from service.words.phrase import listing, phrase

log = logging.getLogger(__name__)

FIRST_BEFORE_BASELINE = "0001_accounts.sql"
"""The first file of the sequence that the baseline replaced: each database that was made by that
sequence has it, and no file has its name any more."""
BEFORE_BASELINE = (
    "the tables of this database are from before version 0.2, which cannot migrate them: keep what "
    "you need with pg_dump, give TOCSIN_DATABASE_URL an empty database (tocsin up: give --data a "
    "new folder), and import the rosters again / "
    "此数据库的表结构早于 0.2 版，本版本无法升级：请用 pg_dump 备份所需数据，"
    "为 TOCSIN_DATABASE_URL 指定一个空数据库（tocsin up 请用 --data 指定新文件夹），再重新导入名单"
)


BESIDE = "0.2.0"
"""The oldest version whose processes may go on working beside the tables of this one: the release
before. It is noted with each migration, for programs that do not know it."""
LOCK_TIMEOUT = "3s"
"""How long a file waits for a lock: everybody who comes behind it waits as long."""
MOST_TRIES = 20
PAUSE_SECONDS = (0.5, 3.0)
"""Between two tries; at random, so that no rhythm of the system's own meets each of them."""

GONE_SECONDS = 30.0
"""A process that has not written for so long that it lives (table `processes`) works no more."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    name: str
    sql: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text, kept to notice later changes."""
        return hashlib.sha256(self.sql.encode()).digest()

    @property
    def is_alone(self) -> bool:
        """Whether it runs outside a transaction."""
        return self.sql.startswith("-- alone\n")

    @property
    def stops(self) -> bool:
        """Whether no process of an earlier version may work beside it."""
        return self.sql.startswith("-- stop\n")


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations of this program, in order; read once, as each beat asks for them."""
    folder = files("service.storage") / "migrations"
    found = [item for item in folder.iterdir() if item.name.endswith(".sql")]
    in_order = sorted(found, key=lambda f: f.name)
    return tuple(Migration(file.name, file.read_text("utf-8")) for file in in_order)


async def applied_migrations(connection: Connection) -> dict[str, str | None]:
    """The migrations that the database has, and the oldest version that works beside each.

    Raises:
        NoTable: it was never migrated.
    """
    return {name: works_with for name, (_, works_with) in (await _read(connection)).items()}


async def _read(connection: Connection) -> dict[str, tuple[bytes, str | None]]:
    """The digest of each, and the oldest version that works beside it; older tables lack that."""
    rows = await connection.fetch(
        "SELECT name, digest, to_jsonb(m) ->> 'works_with' AS works_with FROM migrations m"
    )
    return {row["name"]: (row["digest"], row["works_with"]) for row in rows}


def find_misfit(applied: Mapping[str, str | None]) -> str:
    """Why a database with these migrations does not fit this program; empty: it fits.

    A newer one fits if whoever migrated it noted that this version works beside its tables.
    """
    if FIRST_BEFORE_BASELINE in applied:
        return BEFORE_BASELINE
    known = [migration.name for migration in migrations()]
    if missing := [name for name in known if name not in applied]:
        return phrase(
            "migrations are missing: {names}; run `tocsin migrate`", names=listing(missing)
        )
    if strange := _strange(applied):
        return phrase(
            "the database is newer than this program: it has {names}, beside which version"
            " {version} cannot work; start the newer version",
            names=listing(strange),
            version=version("tocsin"),
        )
    return ""


def _strange(applied: Mapping[str, str | None]) -> list[str]:
    """The migrations of a newer version beside which this one does not work."""
    known, mine = {migration.name for migration in migrations()}, _numbers(version("tocsin"))
    return sorted(
        name
        for name, works_with in applied.items()
        if name not in known and (works_with is None or _numbers(works_with) > mine)
    )


def _numbers(text: str) -> list[int]:
    """A version such as 0.2.0, to be compared."""
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing and return the names; each file is one transaction.

    Raises:
        Misfit: the database is newer than this program, and this version does not work beside it;
            or it is from before the baseline.
        Misconfigured: an applied file has changed, its user may not make or change tables, a file
            waited too long for a lock, it is not to be applied while older processes work, or a
            pooler stands before the database.
    """
    try:
        await lock_migration(connection)
        try:
            return await _apply_missing(connection)
        finally:
            await unlock_migration(connection)
    except NoRight as error:
        raise await _not_allowed(connection) from error


async def _not_allowed(connection: Connection) -> Misconfigured:
    """What is said to a user who may not make tables, or to whom those there do not belong."""
    user = await connection.fetchval("SELECT quote_ident(current_user)")
    database = await connection.fetchval("SELECT current_database()")
    grant = f"GRANT CREATE ON SCHEMA public TO {user}"
    return Misconfigured(
        phrase(
            "user {user} may not make or change tables in database {database}: as the owner of the"
            " database, run there: {grant}; if the tables are another user's, migrate as that one",
            user=user,
            database=database,
            grant=grant,
        )
    )


async def _apply_missing(connection: Connection) -> list[str]:
    applied = await _prepared(connection)
    if FIRST_BEFORE_BASELINE in applied:
        raise Misfit(BEFORE_BASELINE)
    if strange := _strange({name: works_with for name, (_, works_with) in applied.items()}):
        raise Misfit(
            phrase(
                "the database has migration {name}, which this program does not know: it"
                " was written by a newer version; start that version instead",
                name=strange[0],
            )
        )
    done = []
    for migration in migrations():
        if migration.name in applied:
            if applied[migration.name][0] != migration.digest:
                raise Misconfigured(
                    phrase(
                        "migration {migration} was changed after it was applied;"
                        " restore the file and put the change into a new migration",
                        migration=migration.name,
                    )
                )
            continue
        await _apply(connection, migration)
        done.append(migration.name)
    return done


async def _prepared(connection: Connection) -> dict[str, tuple[bytes, str | None]]:
    """What is applied, by name: the digest, and the oldest version that works beside it. The table
    is made or added to where it must be.
    """
    await connection.execute(
        """
        CREATE TABLE IF NOT EXISTS migrations (
            name text PRIMARY KEY,
            digest bytea NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now(),
            works_with text)
        """
    )
    told = "SELECT to_jsonb(m) ? 'works_with' FROM migrations m LIMIT 1"
    if await connection.fetchval(told) is False:
        await connection.execute("ALTER TABLE migrations ADD COLUMN works_with text")
    return await _read(connection)


async def _apply(connection: Connection, migration: Migration) -> None:
    if migration.stops:
        await _refuse_beside_older(connection, migration)
    if migration.is_alone:
        await _apply_alone(connection, migration)
        return
    for left in reversed(range(MOST_TRIES)):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(migration.sql)
                await _note(connection, migration)
        except LockTimeout as error:
            if not left:
                raise _waited(migration, error) from error
            log.warning("waits for a lock", extra={"migration": migration.name, "tries_left": left})
        else:
            return
        await asyncio.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311  # a pause


def _waited(migration: Migration, error: LockTimeout) -> Misconfigured:
    return Misconfigured(
        phrase(
            "migration {migration} waited too long for a lock ({error}) and has changed"
            " nothing: run `tocsin migrate` again, if need be while the workers are stopped",
            migration=migration.name,
            error=error,
        )
    )


async def _apply_alone(connection: Connection, migration: Migration) -> None:
    """Run its one statement outside a transaction. An index that an earlier try has left half-made
    is dropped first: it would be taken for the whole one.
    """
    if index := INDEX_ALONE.search(migration.sql):
        invalid = await sql.fetchval(
            connection,
            "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)",
            name=index[1],
        )
        if invalid:
            await connection.execute(f"DROP INDEX CONCURRENTLY {index[1]}")
    await connection.execute(migration.sql)
    await _note(connection, migration)


INDEX_ALONE = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS ([a-z_0-9]+)\s")
"""What an `-- alone` file does, with the index's name; a test holds each to this form."""


async def _note(connection: Connection, migration: Migration) -> None:
    await sql.execute(
        connection,
        "INSERT INTO migrations (name, digest, works_with) VALUES (:name, :digest, :works_with)",
        name=migration.name,
        digest=migration.digest,
        works_with=None if migration.stops else BESIDE,
    )


async def _refuse_beside_older(connection: Connection, migration: Migration) -> None:
    """Refuse a file beside which no earlier version works while a process of one does.

    One that knows a file with a higher number is of an earlier version all the same, if that file
    was there before: numbers are in the order in which they are taken, not always of landing.
    """
    if not await connection.fetchval("SELECT to_regclass('processes') IS NOT NULL"):
        return
    rows = await sql.fetch(
        connection,
        """
        SELECT kind, host, version, known FROM processes
        WHERE seen_at > clock_timestamp() - make_interval(secs => :seconds)
        ORDER BY kind, host
        """,
        seconds=GONE_SECONDS,
    )
    mine = _numbers(version("tocsin"))
    older = [r for r in rows if r["known"] < migration.name or _numbers(r["version"]) < mine]
    if older:
        what = [f"{row['kind']} ({row['version']}, {row['host']})" for row in older]
        raise Misconfigured(
            phrase(
                "migration {migration} is not for a system that works, and {count} processes do:"
                " {what}; stop them, wait {seconds:.0f} seconds, and run `tocsin migrate` again",
                migration=migration.name,
                count=len(older),
                what=listing(what),
                seconds=GONE_SECONDS,
            )
        )
