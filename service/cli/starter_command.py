"""`tocsin templates`: the starter library on the command line."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.people.model import Right
from service.accounts.people.store import find_user
from service.crypto import Keyring, read_key_file
from service.errors import NotFound
from service.messages.starters import load_starters
from service.runtime import check_key
from service.settings import read_settings
from service.storage.postgres import connect
from service.words.phrase import phrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    load = commands.add_parser(
        "load", help=phrase("make templates of the starter library; what is there already stays")
    )
    load.add_argument(
        "--author",
        metavar="LOGIN",
        default="operator",
        help=phrase("the user whose department gets them, and who counts as their author"),
    )
    load.set_defaults(run=lambda o: asyncio.run(_load(o.author)))


async def _load(login: str) -> None:
    settings = read_settings()
    keyring = Keyring(read_key_file(settings.key_file))
    now = settings.clock.now()
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await check_key(conn, keyring)
            author = await find_user(conn, login)
            if author is None:
                raise NotFound(
                    phrase("there is no user {login}; name one with --author", login=login)
                )
            author.need(Right.WRITE)
            loaded = await load_starters(conn, author, now)
            act = AuditAct(
                "load_starters", now, "cli", object_kind="users", object_id=str(author.id)
            )
            await insert_entry(conn, keyring, act)
    finally:
        await conn.close()
    sys.stdout.write(json.dumps(asdict(loaded)) + "\n")
