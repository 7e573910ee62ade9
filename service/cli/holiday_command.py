"""`tocsin holidays`: show a year's calendar, and take the State Council's notice."""

import argparse
import asyncio
import sys
from pathlib import Path

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.holidays import Notice
from service.campaigns.calendar.notice import read_notice
from service.campaigns.county.county_settings import add_notice
from service.crypto import Keyring, read_key_file
from service.errors import Misconfigured
from service.runtime import check_key
from service.settings import read_settings
from service.storage.postgres import connect
from service.words.phrase import phrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help=phrase("the holidays and working weekends of a year"))
    show.add_argument("year", type=int, help=phrase("such as 2027"))
    show.set_defaults(run=lambda o: asyncio.run(_show(o.year)))
    take = commands.add_parser(
        "import",
        help=phrase("make a year official from the text of the State Council's notice"),
    )
    take.add_argument("file", help=phrase("a text file in UTF-8; - reads standard input"))
    take.set_defaults(run=lambda o: asyncio.run(_import(_read(o.file))))


def _read(name: str) -> Notice:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            phrase("{name} cannot be read as a text file in UTF-8", name=name)
        ) from error
    return read_notice(text)


async def _import(notice: Notice) -> None:
    settings = read_settings()
    keyring = Keyring(read_key_file(settings.key_file))
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await check_key(conn, keyring)
            reason = f"imported: {notice.source}"
            now = settings.clock.now()
            moved = await add_notice(conn, notice, reason, None, now)
            act = AuditAct(
                "add_notice", now, "cli", object_kind="holidays", object_id=str(notice.year)
            )
            await insert_entry(conn, keyring, act)
    finally:
        await conn.close()
    _print(notice)
    print(f"{moved} campaigns fire at another time now")  # a command prints


async def _show(year: int) -> None:
    conn = await connect(read_settings().database_url)
    try:
        holidays = (await load_county(conn)).holidays
    finally:
        await conn.close()
    _print(holidays.year(year))


def _print(notice: Notice) -> None:
    lines = [f"{notice.year}\t{notice.source}"]
    lines += [f"{day}\tholiday\t{name}" for day, name in sorted(notice.holidays.items())]
    lines += [f"{day}\tmakeup" for day in sorted(notice.workdays)]
    print("\n".join(lines))  # a command prints
