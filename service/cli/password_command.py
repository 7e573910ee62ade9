"""`tocsin password`: a password for once, from whoever runs the machine.

Alone: nobody else may be there yet, and they could write into the database, too. It is noted.
"""

import argparse
import asyncio

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.login import passwords, session_store
from service.accounts.login.credentials import hash_password, new_password
from service.accounts.people import store
from service.crypto import Keyring, read_key_file
from service.errors import NotFound
from service.runtime import check_key
from service.settings import read_settings
from service.storage.postgres import connect
from service.words.phrase import phrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("login", help="whose; the sessions end, and a shut account opens")
    parser.set_defaults(run=lambda options: asyncio.run(_give(options.login)))


async def _give(login: str) -> None:
    settings = read_settings()
    keyring = Keyring(read_key_file(settings.key_file))
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await check_key(conn, keyring)
            password, now = new_password(), settings.clock.now()
            user = await store.find_user(conn, login)
            if user is None:
                raise NotFound(phrase("there is no user with the login {login}", login=login))
            await passwords.put_in_force(conn, user.id, hash_password(password), now)
            await session_store.record_giver(conn, user.id, None, now, ends_others=True)
            act = AuditAct("give_password", now, "cli", object_kind="users", object_id=str(user.id))
            await insert_entry(conn, keyring, act)
    finally:
        await conn.close()
    print(password)
