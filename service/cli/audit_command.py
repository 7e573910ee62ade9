"""`tocsin audit`: prove that nothing in the audit trail was touched."""

import argparse
import asyncio
import sys

from service.accounts.audit.audit import Head, read_head
from service.accounts.audit.sealing import TrailCheck, verify
from service.crypto import Keyring, read_key_file
from service.errors import Misconfigured
from service.runtime import compare_keys, stored_checks
from service.settings import read_settings
from service.storage.postgres import LONG_SECONDS, connected
from service.words.phrase import phrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    walk = commands.add_parser(
        "verify",
        help=phrase(
            "walk the chain of seals, with the master key; exit code 1, the first broken entry and"
            " each that no process of ours has written if it is not whole"
        ),
    )
    walk.add_argument(
        "--head",
        metavar="NO:SEAL",
        help=phrase(
            "a seal that was written down, from this command or the scheduler's log: then nothing"
            " up to it can have been taken away or made anew"
        ),
    )
    walk.set_defaults(run=lambda o: asyncio.run(_verify(parse_head(o.head) if o.head else None)))


def parse_head(text: str) -> Head:
    """A seal as `verify` prints it.

    Raises:
        Misconfigured: it is not one.
    """
    head = read_head(text)
    if head is None:
        raise Misconfigured(phrase("give --head as it was printed: a number, a colon, 64 digits"))
    return head


async def _verify(known: Head | None) -> int:
    settings = read_settings()
    keyring = Keyring(read_key_file(settings.key_file))
    async with connected(settings.database_url, seconds=LONG_SECONDS) as conn:
        compare_keys(await stored_checks(conn), keyring)
        verdict = await verify(conn, keyring, settings.clock.now(), known)
    for foreign in verdict.foreign:
        print(f"foreign: {foreign}", file=sys.stderr)
    if verdict.foreigners > len(verdict.foreign):
        print(f"foreign: {verdict.foreigners} entries in all", file=sys.stderr)
    if verdict.broken:
        print(f"broken at {verdict.broken}", file=sys.stderr)
    if verdict.broken or verdict.foreign:
        return 1
    print(_shown(verdict))
    return 0


def _shown(verdict: TrailCheck) -> str:
    counts = f"{verdict.entries} entries as they were sealed, {verdict.waiting} not sealed yet"
    if verdict.gone:
        counts += f", {verdict.gone} past their record duty and gone"
    return f"ok: {counts}\nhead {verdict.head}"
