"""Numbered SQL files, applied once each, in order, under an advisory lock, by `tocsin migrate`.

A file that was changed after it was applied is refused, and so is a database that is newer than
this program: both mean that somebody would run code against a schema it was not written for.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from service.errors import Misconfigured
from service.storage.locks import lock_migration, unlock_migration
from service.storage.postgres import Connection, NoRight


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


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing and return the names; each file is one transaction.

    Raises:
        Misconfigured: an applied file has changed, the database is newer than this program, or its
            user may not make or change tables.
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
        f"user {user} may not make or change tables in database {database}: as the owner of the "
        f"database, run there: {grant}; if the tables are another user's, migrate as that one / "
        f"用户 {user} 无权在数据库 {database} 中建表或改表：请以数据库所有者在该库中执行 {grant}；"
        "若表属于其他用户，请以该用户迁移"
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
    known = migrations()
    for name in sorted(applied.keys() - {m.name for m in known}):
        raise Misconfigured(
            f"the database has migration {name}, which this program does not know: "
            "it was written by a newer version; start that version instead"
        )
    done = []
    for migration in known:
        if migration.name in applied:
            if applied[migration.name] != migration.digest:
                raise Misconfigured(
                    f"migration {migration.name} was changed after it was applied; "
                    "restore the file and put the change into a new migration"
                )
            continue
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO migrations (name, digest) VALUES ($1, $2)",
                migration.name,
                migration.digest,
            )
        done.append(migration.name)
    return done
