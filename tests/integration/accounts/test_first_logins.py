"""The first passwords of a system on one machine."""

from datetime import datetime

from service.accounts.bootstrap import bootstrap
from service.accounts.login.login import LoginAttempt, log_in
from service.crypto import Keyring
from service.local.first_people import give_first_logins
from service.local.up import ADMINISTRATORS
from service.storage.postgres import Pool, transaction


async def test_each_gets_a_password_for_once_and_never_another(
    pool: Pool, database_url: str, keyring: Keyring, now: datetime
) -> None:
    async with transaction(pool) as conn:
        await bootstrap(conn, keyring, now, ADMINISTRATORS, tokens={})
    given = await give_first_logins(database_url, keyring, now)
    assert given.keys() == {"admin", "second_admin"}, "the others are not there yet"
    attempt = LoginAttempt("admin", given["admin"], None, "127.0.0.1", "")
    assert (await log_in(pool, keyring, attempt, now)).temporary
    assert await give_first_logins(database_url, keyring, now) == {}
    said = await pool.fetch("SELECT action, via FROM audit_entries WHERE object_kind = 'users'")
    assert [tuple(row) for row in said].count(("first_password", "cli")) == 2
