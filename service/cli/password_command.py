"""`tocsin password`: a password for once, from whoever runs the machine.

Alone: nobody else may be there yet, and they could write into the database, too. It is noted.
"""

import argparse
import asyncio

from service.accounts.login import passwords
from service.accounts.people import store
from service.crypto import Keyring, read_key_file
from service.errors import NotFound
from service.runtime import check_key
from service.settings import read_settings
from service.storage.postgres import connect
from service.words.phrase import phrase


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "login",
        help=phrase("whose password it is, by login; the sessions end, and a shut account opens"),
    )
    parser.set_defaults(run=lambda options: asyncio.run(_give(options.login)))


async def _give(login: str) -> None:
    settings = read_settings()
    keyring = Keyring(read_key_file(settings.key_file))
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await check_key(conn, keyring)
            user = await store.find_user(conn, login)
            if user is None:
                raise NotFound(phrase("there is no user with the login {login}", login=login))
            password = await passwords.give_alone(
                conn, keyring, user.id, settings.clock.now(), action="give_password"
            )
    finally:
        await conn.close()
    print(password)
