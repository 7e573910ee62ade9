"""`tocsin prefixes`: the table of number blocks, which says whose the first seven digits are.

It needs the database, and `import` and `apply` the key, as the server has them. What was done
stands in the audit trail as done from the command line.
"""

import argparse
import asyncio
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.audience.numbers import prefix_store as store
from service.audience.numbers.blocks import BlockTable, read_blocks
from service.audience.numbers.carriers import judge_anew
from service.audience.numbers.number import REASONS
from service.audience.numbers.prefix import packaged_prefixes
from service.clock import written
from service.crypto import Keyring, read_key_file
from service.errors import Misconfigured
from service.runtime import check_key
from service.settings import Settings, read_settings
from service.storage.postgres import Connection, connected
from service.words.phrase import phrase

CHUNK_OCTETS = 262_144


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tocsin prefixes`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help=phrase("which table is in force"))
    show.set_defaults(run=lambda _: asyncio.run(_show(read_settings())))
    take = commands.add_parser(
        "import", help=phrase("take a table whole, in place of the one before")
    )
    take.add_argument(
        "file", type=Path, metavar="FILE", help=phrase("CSV or XLSX: 号段, 运营商, 省份, 城市")
    )
    take.add_argument("--source", default="", help=phrase("where it comes from; default: its name"))
    take.add_argument("--encoding", help=phrase("encoding of a text file; default: found out"))
    take.set_defaults(run=lambda options: asyncio.run(_import(options, read_settings())))
    apply = commands.add_parser(
        "apply",
        help=phrase("give people already known the carriers it says"),
    )
    apply.set_defaults(run=lambda _: asyncio.run(_apply(read_settings())))


async def _show(settings: Settings) -> None:
    async with connected(settings.database_url) as conn:
        table = await store.table_in_force(conn)
        counts = await store.count_blocks(conn)
    if table is None:
        print("no table of number blocks: the first 3 or 4 digits count / 没有七位号段表")
        return
    print(
        f"{table.source}: blocks / 号段 {table.blocks:,}, {written(table.taken_at, settings.zone)}"
    )
    print("\n".join(f"{carrier}\t{blocks:,}" for carrier, blocks in sorted(counts.items())))


async def _import(options: argparse.Namespace, settings: Settings) -> None:
    keyring = Keyring(read_key_file(settings.key_file))
    table = _read(options.file, options.encoding)
    digest = _digest(options.file)
    source = options.source.strip() or options.file.name
    now = settings.clock.now()
    async with connected(settings.database_url) as conn:
        await check_key(conn, keyring)
        async with conn.transaction():
            new = store.NewTable(source, digest, None, now)
            taken = await store.replace_table(conn, new, table)
            facts = {"blocks": taken.blocks, "file_sha256": digest}
            place = ("block_tables", str(taken.id))
            act = AuditAct("import_prefixes", now, "cli", None, None, *place, details=facts)
            await insert_entry(conn, keyring, act)
        print(f"{source}: blocks / 号段 {taken.blocks:,}")
        for code, blocks in table.left_out.most_common():
            print(f"  left out / 未收 {blocks:,}: {REASONS[code]}")
        await _judge_anew(conn, keyring)


async def _apply(settings: Settings) -> None:
    keyring = Keyring(read_key_file(settings.key_file))
    async with connected(settings.database_url) as conn:
        await check_key(conn, keyring)
        await _judge_anew(conn, keyring)


async def _judge_anew(conn: Connection, keyring: Keyring) -> None:
    def told(judged: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{judged:,} people judged / 已重定 {judged:,} 人\x1b[K")

    changed = await judge_anew(conn, keyring, told)
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    print(f"people with another carrier / 运营商有变的人员 {changed:,}")


def _read(path: Path, encoding: str | None) -> BlockTable:
    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_OCTETS):
                yield chunk

    try:
        return read_blocks(chunks, packaged_prefixes(), encoding=encoding)
    except OSError as error:
        raise Misconfigured(
            phrase(
                "{path} cannot be read ({strerror})",
                path=path,
                strerror=error.strerror,
            )
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
