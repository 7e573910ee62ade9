"""Rotating the master key: add one, put every cipher under it, retire the old one.

All of it while the service runs. A process that meets a cipher of a key it does not know reads the
key file again; from then on it encrypts with the newest key, too.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

from service.crypto import LAST_KEY, Keyring, Keys, write_key_file
from service.errors import Conflict
from service.privacy import rotation_store as store
from service.privacy.rotation_store import TABLES, PageRange
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

MOST_PASSES = 30
PAUSE_SECONDS = 1.0
"""Between two passes: a hand-off that holds a row is over by then."""


def add_key(keys: Keys) -> Keys:
    """A new key in the file, which encrypts from now on; those that are there still decrypt.

    Raises:
        Conflict: there have been 255 keys.
    """
    key_id = max(keys.masters) + 1
    if key_id > LAST_KEY:
        raise Conflict(
            phrase(
                "there have been {last_key} keys; no cipher can name another one", last_key=LAST_KEY
            )
        )
    added = replace(keys, masters={**keys.masters, key_id: secrets.token_bytes(32)})
    write_key_file(added)
    return added


async def rotate(
    conn: Connection, keyring: Keyring, told: Callable[[str, int], None] = lambda _, __: None
) -> dict[str, int]:
    """Put every cipher of the database under the newest key; returns the rows by table.

    In batches, a transaction each: whoever is killed begins again and finds what is left. Rows move
    and processes with an old key write while this goes on, so it passes until nothing is left.
    Needs a connection outside a transaction.

    Raises:
        Conflict: after many passes, something is still under an older key.
    """
    done = {ciphers.table: 0 for ciphers in TABLES}
    waiting = list(TABLES)
    for _ in range(MOST_PASSES):
        for ciphers in waiting:
            rows = await _pass(conn, keyring, ciphers)
            done[ciphers.table] += rows
            if rows:
                told(ciphers.table, done[ciphers.table])
        waiting = [c for c in TABLES if await store.any_older(conn, c, keyring.key_id)]
        if not waiting:
            return {table: rows for table, rows in done.items() if rows}
        await asyncio.sleep(PAUSE_SECONDS)
    names = listing(ciphers.table for ciphers in waiting)
    raise Conflict(
        phrase(
            "somebody holds rows of {names}, or writes them under an older key: start every"
            " process again, and run `tocsin keys rotate` once more; what was done stays done",
            names=names,
        )
    )


async def _pass(conn: Connection, keyring: Keyring, ciphers: store.Ciphers) -> int:
    def anew(kind: str, cipher: bytes) -> bytes:
        return keyring.encrypt_bytes(kind, keyring.decrypt_bytes(kind, cipher))

    rows, first = 0, 0
    while first < await store.count_pages(conn, ciphers.table):
        stretch = PageRange(first, first + ciphers.pages)
        async with conn.transaction():
            rows += await store.rewrite(conn, ciphers, stretch, keyring.key_id, anew)
        first += ciphers.pages
    return rows


async def retire(conn: Connection, keys: Keys, key_id: int) -> Keys:
    """The keys without an old one; the key of the hashes stays, also if it was that key's.

    Needs a transaction, after which the file is to be written. Every process must have read the
    newest key by then.

    Raises:
        Conflict: it is the newest key or none of the file, or ciphers under it are left.
    """
    if key_id not in keys.masters or key_id == max(keys.masters):
        raise Conflict(
            phrase("key {key_id} is no old key of the file; add a newer one first", key_id=key_id)
        )
    for ciphers in TABLES:
        if left := await store.count_under(conn, ciphers, key_id):
            raise Conflict(
                phrase(
                    "{left} rows of {table} are still under key {key_id}; run `tocsin keys"
                    " rotate` once more, after every process was started again",
                    left=left,
                    table=ciphers.table,
                    key_id=key_id,
                )
            )
    await store.forget_check(conn, key_id)
    masters = {n: key for n, key in keys.masters.items() if n != key_id}
    return replace(keys, masters=masters, index=keys.index_key())
