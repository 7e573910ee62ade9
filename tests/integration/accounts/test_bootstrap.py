"""The first accounts of a new system."""

from datetime import datetime

from service.accounts import key_store
from service.accounts.bootstrap import ROLES, bootstrap
from service.accounts.department import COUNTY
from service.accounts.keys import caller_of
from service.accounts.model import Role
from service.crypto import Keyring
from service.storage.postgres import Connection


async def test_each_role_gets_a_key_of_the_county(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    tokens = await bootstrap(conn, keyring, now)
    assert set(tokens) == {"admin", "operator", "approver"}
    for role, token in tokens.items():
        caller = await caller_of(conn, keyring, token, now)
        assert caller is not None
        assert caller.user.roles == {Role(role)}
        assert caller.user.department_kind == COUNTY


async def test_a_second_start_with_the_same_tokens_makes_nothing_new(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    first = await bootstrap(conn, keyring, now)
    counts = """
        SELECT (SELECT count(*) FROM departments), (SELECT count(*) FROM users), count(*) FROM keys
    """
    before = await conn.fetchrow(counts)
    assert await bootstrap(conn, keyring, now, first) == first
    assert await conn.fetchrow(counts) == before


async def test_a_revoked_key_stays_revoked(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    tokens = await bootstrap(conn, keyring, now)
    for key in await key_store.list_keys(conn, None, None, 10):
        await key_store.revoke_key(conn, key.id, None, now)
    await bootstrap(conn, keyring, now, tokens)
    assert await caller_of(conn, keyring, tokens["admin"], now) is None


async def test_a_missing_token_is_made(conn: Connection, keyring: Keyring, now: datetime) -> None:
    given = {"admin": "tk_given"}
    tokens = await bootstrap(conn, keyring, now, given)
    assert tokens["admin"] == "tk_given"
    assert len(tokens) == len(ROLES)
    assert len(set(tokens.values())) == len(ROLES)
