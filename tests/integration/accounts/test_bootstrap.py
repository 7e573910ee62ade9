"""The first accounts of a new system."""

import asyncio
import json
from datetime import datetime
from pathlib import Path

import pytest

from service.accounts import key_store, store
from service.accounts.bootstrap import Person, bootstrap
from service.accounts.department import COUNTY
from service.accounts.keys import caller_of
from service.accounts.model import Role
from service.cli import main
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection, Pool
from tests.factories import make_user

PEOPLE = (Person("wang", "王主任"), Person("li", "李科长"))


async def test_two_named_administrators_of_the_county_get_a_key_each(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    tokens = await bootstrap(conn, keyring, now, PEOPLE)
    assert list(tokens) == ["admin", "second_admin"]
    for token, person in zip(tokens.values(), PEOPLE, strict=True):
        caller = await caller_of(conn, keyring, token, now)
        assert caller is not None
        assert caller.user.roles == {Role.ADMIN}
        assert (caller.user.login, caller.user.name) == person
        assert caller.user.department_kind == COUNTY


async def test_a_second_start_with_the_same_tokens_makes_nothing_new(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    first = await bootstrap(conn, keyring, now, PEOPLE)
    counts = """
        SELECT (SELECT count(*) FROM departments), (SELECT count(*) FROM users), count(*) FROM keys
    """
    before = await conn.fetchrow(counts)
    assert await bootstrap(conn, keyring, now, PEOPLE, first) == first
    assert await conn.fetchrow(counts) == before


async def test_a_revoked_key_stays_revoked(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    tokens = await bootstrap(conn, keyring, now, PEOPLE)
    for key in await key_store.list_keys(conn, None, None, 10):
        await key_store.revoke_key(conn, key.id, None, now)
    await bootstrap(conn, keyring, now, PEOPLE, tokens)
    assert await caller_of(conn, keyring, tokens["admin"], now) is None


async def test_a_missing_token_is_made(conn: Connection, keyring: Keyring, now: datetime) -> None:
    tokens = await bootstrap(conn, keyring, now, PEOPLE, {"admin": "tk_given"})
    assert tokens["admin"] == "tk_given"
    assert tokens["second_admin"].startswith("tk_")


async def test_one_person_is_no_two_administrators(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    with pytest.raises(Invalid, match="two persons"):
        await bootstrap(conn, keyring, now, (PEOPLE[0], PEOPLE[0]))
    assert await store.list_users(conn, None, None, 10) == []


async def test_somebody_else_of_that_login_does_not_become_an_administrator(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    viewer = await make_user(conn, Role.VIEWER, now=now, kind="county")
    with pytest.raises(Conflict, match="no administrator of the county"):
        await bootstrap(conn, keyring, now, (PEOPLE[0], Person(viewer.login, "李")))


@pytest.mark.attack
async def test_the_command_names_two_and_prints_each_key_once(
    pool: Pool,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    logging_as_before: None,
) -> None:
    key = tmp_path / "master.key"
    key.write_text("01" * 32)
    key.chmod(0o600)
    monkeypatch.setenv("TOCSIN_DATABASE_URL", database_url)
    monkeypatch.setenv("TOCSIN_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("TOCSIN_KEY_FILE", str(key))
    with pytest.raises(SystemExit):
        main(["bootstrap"])
    assert "--second-admin" in capsys.readouterr().err
    words = ["bootstrap", "--admin", "wang", "王", "--second-admin", "li", "李"]
    assert await asyncio.to_thread(main, words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["admin", "second_admin"]
    users = await pool.fetch("SELECT login, roles FROM users ORDER BY id")
    assert [(user["login"], user["roles"]) for user in users] == [
        ("wang", ["admin"]),
        ("li", ["admin"]),
    ]
