"""`tocsin keys`: rotate the master key, while the service runs."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.crypto import Keyring, Keys, read_key_file, write_key_file
from service.errors import Conflict
from service.privacy import rotation
from service.runtime import check_key
from service.settings import Settings, read_settings
from service.storage.locks import try_lock_keys
from service.storage.postgres import Connection, connect
from service.words.phrase import phrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("add", help=phrase("write a new key into the key file")).set_defaults(
        run=lambda _: asyncio.run(_add(read_settings()))
    )
    commands.add_parser("rotate", help=phrase("put everything under the newest key")).set_defaults(
        run=lambda _: asyncio.run(_rotate(read_settings()))
    )
    old = commands.add_parser("retire", help=phrase("take an old key out of the key file"))
    old.add_argument("key", type=int, help=phrase("id of the key"))
    old.set_defaults(run=lambda options: asyncio.run(_retire(options.key, read_settings())))


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[tuple[Connection, Keys]]:
    """A connection, and the keys, which must be the database's; no other command changes them.

    Raises:
        Conflict: another command is at work.
        Misconfigured: a pooler stands before the database.
    """
    conn = await connect(settings.database_url)
    try:
        if not await try_lock_keys(conn):
            raise Conflict(
                phrase("another `tocsin keys` is at work on this database; let it end first")
            )
        keys = read_key_file(settings.key_file)
        async with conn.transaction():
            await check_key(conn, Keyring(keys))
        yield conn, keys
    finally:
        await conn.close()


async def _write_down(
    conn: Connection, keyring: Keyring, act: str, key_id: int, settings: Settings
) -> None:
    now = settings.clock.now()
    await insert_entry(
        conn, keyring, AuditAct(act, now, "cli", object_kind="keys", object_id=str(key_id))
    )


async def _add(settings: Settings) -> None:
    async with _database(settings) as (conn, keys):
        more = rotation.add_key(keys)
        added = max(more.masters)
        async with conn.transaction():
            await check_key(conn, Keyring(more))
            await _write_down(conn, Keyring(more), "add_master_key", added, settings)
    print(f"key {added} is in {settings.key_file}; keep a copy of the file, then run:")
    print("tocsin keys rotate")


async def _rotate(settings: Settings) -> None:
    async with _database(settings) as (conn, keys):
        keyring = Keyring(keys)
        await _write_down(conn, keyring, "rotate_master_key", keyring.key_id, settings)
        done = await rotation.rotate(conn, keyring, lambda t, n: print(f"{t}\t{n}", flush=True))
    print(f"{sum(done.values())} rows are under key {keyring.key_id} now")


async def _retire(key_id: int, settings: Settings) -> None:
    async with _database(settings) as (conn, keys):
        async with conn.transaction():
            left = await rotation.retire(conn, keys, key_id)
            await _write_down(conn, Keyring(left), "retire_master_key", key_id, settings)
        write_key_file(left)  # last: a key too many does no harm, a missing one stops every start
    print(f"key {key_id} is out of {settings.key_file}; its copies can be destroyed")
