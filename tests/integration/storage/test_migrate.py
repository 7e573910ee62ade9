"""Migrations: once each, in order, and never past a change or a newer database."""

from collections.abc import AsyncIterator

import pytest

from service.accounts.people.model import RIGHTS, Right, Role, rights_of
from service.audience.suppressions.suppression_store import stops
from service.errors import Misconfigured
from service.storage import migrate as module
from service.storage.migrate import migrate, migrations
from service.storage.postgres import Connection


@pytest.fixture
async def owned(owner: Connection) -> AsyncIterator[Connection]:
    """The owner's connection; all it does is rolled back."""
    transaction = owner.transaction()
    await transaction.start()
    yield owner
    await transaction.rollback()


async def test_migrating_twice_changes_nothing(owned: Connection) -> None:
    assert await migrate(owned) == []
    names = [row["name"] for row in await owned.fetch("SELECT name FROM migrations ORDER BY name")]
    assert names == [m.name for m in migrations()]


async def test_a_changed_migration_is_refused(owned: Connection) -> None:
    await owned.execute("UPDATE migrations SET digest = '\\x00' WHERE name = '0001_accounts.sql'")
    with pytest.raises(Misconfigured, match="0001_accounts.sql was changed"):
        await migrate(owned)


async def test_a_newer_database_is_refused(owned: Connection) -> None:
    await owned.execute("INSERT INTO migrations (name, digest) VALUES ('9999_x.sql', '\\x00')")
    with pytest.raises(Misconfigured, match="newer version"):
        await migrate(owned)


async def test_suppressions_from_before_stop_what_they_stopped(
    owned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever department: none of them was of one department's notices alone."""
    known = migrations()
    await owned.execute("CREATE SCHEMA earlier; SET search_path TO earlier")
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: [m for m in known if m.name < "0080"])
        await migrate(owned)
    for n, (reason, classes) in enumerate(
        (
            ("opted_out", ["public_interest"]),
            ("opted_out", ["service"]),
            ("opted_out", ["public_interest", "service"]),
            ("complaint", ["public_interest", "service", "warning"]),
        )
    ):
        await owned.execute(
            "INSERT INTO suppressions (phone_hash, reason, classes, created_at) "
            "VALUES (decode(md5($1), 'hex'), $2, $3, now())",
            str(n),
            reason,
            classes,
        )
    assert (await migrate(owned))[0].startswith("0080")
    holds = stops("p", "c.name", "gen_random_uuid()", "now()")
    rows = await owned.fetch(
        "SELECT p.classes, array_agg(c.name ORDER BY c.name) FILTER (WHERE "
        f"{holds}) AS stopped FROM suppressions p, "
        "unnest(ARRAY['public_interest', 'service', 'warning']) AS c(name) GROUP BY p.id, p.classes"
    )
    assert len(rows) == 4
    assert all(row["stopped"] == row["classes"] for row in rows)


async def test_users_and_keys_from_before_keep_what_one_person_gave_them(
    owned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever made the keys, or gave the passwords, counts as their users from then on."""
    known = migrations()
    await owned.execute("CREATE SCHEMA earlier; SET search_path TO earlier")
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda: [m for m in known if m.name < "0210"])
        await migrate(owned)
    department = await owned.fetchval("INSERT INTO departments (name) VALUES ('d') RETURNING id")
    user = (
        "INSERT INTO users (department_id, login, name, roles, rights)"
        " VALUES ($1, $2, $2, $3, $4) RETURNING id"
    )
    maker = await owned.fetchval(user, department, "maker", ["admin"], [])
    other = await owned.fetchval(user, department, "other", ["admin"], [])
    people = {}
    for role in Role:
        more = [] if role is Role.INSPECTOR else ["unmask"]
        people[role] = await owned.fetchval(user, department, role, [role], more)
        await owned.execute(
            "INSERT INTO keys (user_id, name, token_hash, created_by, created_at, activated_by,"
            " activated_at) VALUES ($1, 'k', decode(md5($2), 'hex'), $3, now(), $4, now())",
            people[role],
            role,
            maker,
            other,
        )
    await owned.execute(
        "UPDATE users SET given_by = $2, given_at = now(), given_confirmed_by = $3 WHERE id = $1",
        other,
        maker,
        people[Role.VIEWER],
    )
    assert (await migrate(owned))[0].startswith("0210")
    for role, user_id in people.items():
        row = await owned.fetchrow(
            "SELECT u.roles, k.held_roles, k.held_rights FROM users u JOIN keys k"
            " ON k.user_id = u.id WHERE u.id = $1",
            user_id,
        )
        assert row is not None
        assert row["roles"] == row["held_roles"] == [role]
        held = RIGHTS[role] | (set() if role is Role.INSPECTOR else {Right.UNMASK})
        assert rights_of(row["held_rights"]) == held
        assert len(row["held_rights"]) == len(held)
    same = "SELECT share_a_person(ARRAY[$1::uuid], ARRAY[$2::uuid], now())"
    assert await owned.fetchval(same, people[Role.OPERATOR], people[Role.APPROVER])
    assert await owned.fetchval(same, other, maker)
    assert not await owned.fetchval(
        same, await owned.fetchval(user, department, "new", [], []), maker
    )
