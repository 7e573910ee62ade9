"""The first accounts of a new system."""

from datetime import datetime
from pathlib import Path

import pytest

from service.accounts.bootstrap import FirstAdministrator, bootstrap
from service.accounts.departments.department import COUNTY
from service.accounts.keys import key_store
from service.accounts.keys.keys import caller_of
from service.accounts.people import store
from service.accounts.people.model import Role
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection, Pool
from tests.factories import make_user
from tests.harness.shell import Shell

PEOPLE = (FirstAdministrator("wang", "王主任"), FirstAdministrator("li", "李科长"))


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
    with pytest.raises(Invalid, match="no two administrators"):
        await bootstrap(conn, keyring, now, (PEOPLE[0], PEOPLE[0]))
    assert await store.list_users(conn, None, None, 10) == []


async def test_somebody_else_of_that_login_does_not_become_an_administrator(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    viewer = await make_user(conn, Role.VIEWER, now=now, kind="county")
    with pytest.raises(Conflict, match="no administrator of the county"):
        await bootstrap(conn, keyring, now, (PEOPLE[0], FirstAdministrator(viewer.login, "李")))


@pytest.mark.attack
async def test_the_command_names_two_and_prints_each_key_once(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    shell = Shell(database_url, tmp_path)
    assert "--second-admin" in (await shell.run("bootstrap")).err
    words = ["bootstrap", "--admin", "wang", "王", "--second-admin", "li", "李"]
    printed = await shell.run(*words)
    assert printed.code == 0, printed.err
    assert list(printed.json) == ["admin", "second_admin"]
    users = await pool.fetch("SELECT login, roles FROM users ORDER BY id")
    assert [(user["login"], user["roles"]) for user in users] == [
        ("wang", ["admin"]),
        ("li", ["admin"]),
    ]
    for more in ([], ["--again-because", "为了方便"]):
        said = await shell.run(*words, *more)
        assert (said.code != 0, said.out) == (True, "")
        assert "two administrators who can log in" in said.err
    await pool.execute("UPDATE keys SET revoked_at = now()")
    again = await shell.run(*words, "--again-because", "钥匙丢了")
    assert set(again.json) == {"admin", "second_admin"}


OTHERS = (FirstAdministrator("zhao", "赵"), FirstAdministrator("qian", "钱"))


@pytest.mark.attack
async def test_whoever_runs_the_machine_makes_no_further_administrators(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    """While two can log in, with or without a reason, for others and for themselves."""
    await bootstrap(conn, keyring, now, PEOPLE)
    before = await conn.fetchval("SELECT count(*) FROM keys")
    for people in (OTHERS, PEOPLE, (PEOPLE[0], OTHERS[1])):
        for because in (None, "谁也登录不了"):
            with pytest.raises(Conflict, match="tocsin password LOGIN"):
                await bootstrap(conn, keyring, now, people, because=because)
    assert await conn.fetchval("SELECT count(*) FROM keys") == before
    assert await conn.fetchval("SELECT count(*) FROM users") == 2


@pytest.mark.attack
async def test_a_county_that_is_locked_out_gets_administrators_again_for_a_reason(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    await bootstrap(conn, keyring, now, PEOPLE)
    await conn.execute(
        "UPDATE keys SET revoked_at = $1"
        " WHERE user_id = (SELECT id FROM users ORDER BY id LIMIT 1)",
        now,
    )
    with pytest.raises(Conflict, match="--again-because"):
        await bootstrap(conn, keyring, now, OTHERS)
    for wrong in ("", " \n", "长" * 101):
        with pytest.raises(Invalid, match="1 to 100 characters"):
            await bootstrap(conn, keyring, now, OTHERS, because=wrong)
    assert await conn.fetchval("SELECT count(*) FROM users") == 2, "nothing of a refusal stays"
    tokens = await bootstrap(conn, keyring, now, OTHERS, because=" 王主任离职 ")
    for token in tokens.values():
        caller = await caller_of(conn, keyring, token, now)
        assert caller is not None
        assert caller.user.runs_the_county
    names = await conn.fetch("SELECT name FROM keys ORDER BY id DESC LIMIT 2")
    assert {row["name"] for row in names} == {"made again: 王主任离职"}
    entries = await conn.fetch("SELECT action, via FROM audit_entries ORDER BY id")
    assert [tuple(entry) for entry in entries] == [
        ("bootstrap", "cli"),
        ("bootstrap", "cli"),
        ("bootstrap_again", "cli"),
        ("bootstrap_again", "cli"),
    ]
    with pytest.raises(Conflict, match="two administrators who can log in"):
        await bootstrap(conn, keyring, now, PEOPLE, because="again")


async def test_two_who_count_as_one_person_are_locked_out(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    """Neither could confirm anything of the other."""
    tokens = await bootstrap(conn, keyring, now, PEOPLE)
    (first, _) = await conn.fetch("SELECT id FROM users ORDER BY id")
    await conn.execute(
        "INSERT INTO given_passwords (user_id, given_by, counted_at)"
        " SELECT id, $1, $2 FROM users WHERE id <> $1",
        first["id"],
        now,
    )
    again = await bootstrap(conn, keyring, now, OTHERS, because="同一个人")
    assert set(again.values()).isdisjoint(tokens.values())
