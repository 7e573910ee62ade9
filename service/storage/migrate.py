"""Numbered SQL files, applied once each, in order, under an advisory lock, by `tocsin migrate`.

A file that was changed after it was applied is refused, and so is a database that is newer than
this program: both mean that somebody would run code against a schema it was not written for.

The files named *_baseline_* are the schema of the first version (decision 0365).
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from service.errors import Misconfigured
from service.storage import sql
from service.storage.locks import lock_migration, unlock_migration
from service.storage.postgres import Connection, LockTimeout, NoRight
from service.words.phrase import phrase

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


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    name: str
    sql: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text, kept to notice later changes."""
        return hashlib.sha256(self.sql.encode()).digest()


def migrations() -> list[Migration]:
    """All migrations of this program, in order."""
    folder = files("service.storage") / "migrations"
    found = [item for item in folder.iterdir() if item.name.endswith(".sql")]
    return [Migration(f.name, f.read_text("utf-8")) for f in sorted(found, key=lambda f: f.name)]


async def applied_migrations(connection: Connection) -> set[str]:
    """The names of the migrations that the database has.

    Raises:
        NoTable: it was never migrated.
    """
    return {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}


def find_misfit(applied: set[str]) -> str:
    """Why a database with these migrations does not fit this program; empty: it fits."""
    if FIRST_BEFORE_BASELINE in applied:
        return BEFORE_BASELINE
    known = [migration.name for migration in migrations()]
    if missing := [name for name in known if name not in applied]:
        return f"migrations are missing: {', '.join(missing)}"
    if strange := sorted(applied.difference(known)):
        return f"newer than this program: it has {', '.join(strange)}"
    return ""


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing and return the names; each file is one transaction.

    Raises:
        Misconfigured: an applied file has changed, the database is newer than this program or from
            before the baseline, its user may not make or change tables, or a file waited too long
            for a lock.
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
    await connection.execute(
        """
        CREATE TABLE IF NOT EXISTS migrations (
            name text PRIMARY KEY,
            digest bytea NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now())
        """
    )
    rows = await connection.fetch("SELECT name, digest FROM migrations")
    applied: dict[str, bytes] = {row["name"]: row["digest"] for row in rows}
    if FIRST_BEFORE_BASELINE in applied:
        raise Misconfigured(BEFORE_BASELINE)
    known = migrations()
    for name in sorted(applied.keys() - {m.name for m in known}):
        raise Misconfigured(
            phrase(
                "the database has migration {name}, which this program does not know: it"
                " was written by a newer version; start that version instead",
                name=name,
            )
        )
    done = []
    for migration in known:
        if migration.name in applied:
            if applied[migration.name] != migration.digest:
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


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await sql.execute(
                connection,
                "INSERT INTO migrations (name, digest) VALUES (:name, :digest)",
                name=migration.name,
                digest=migration.digest,
            )
    except LockTimeout as error:
        raise Misconfigured(
            phrase(
                "migration {migration} waited too long for a lock ({error}) and has changed"
                " nothing: run `tocsin migrate` again, if need be while the workers are stopped",
                migration=migration.name,
                error=error,
            )
        ) from error
