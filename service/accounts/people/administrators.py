"""The county keeps two administrators who can log in, since one alone could give rights to nobody.

With one left, whoever runs the machine would have to make another; so an act that leaves fewer is
refused. Two users who count as one person are one administrator here, too.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from service.accounts.people import store
from service.errors import Conflict
from service.storage.postgres import Connection
from service.words.phrase import phrase


@asynccontextmanager
async def keep_two(conn: Connection, now: datetime) -> AsyncIterator[None]:
    """Do what may take the account, the role or the last secret of an administrator of the county.
    Nobody else does so meanwhile, to the end of the transaction.

    Raises:
        Conflict: it takes one away, and fewer than two are left who can log in.
    """
    before = await store.lock_administrators(conn, now)
    yield
    after = await store.lock_administrators(conn, now)
    loses = before.all - after.all or before.able - after.able
    if loses and not await store.are_two_persons(conn, after.able, now):
        raise Conflict(
            phrase(
                "fewer than two administrators of the county who can log in would be left, each a"
                " person of their own; name a third one first (POST /users), with a password or a"
                " key that another administrator confirms, and repeat this then"
            ),
            code="last_administrator",
        )
