"""The service's role in PostgreSQL: it reads and writes, owns no table, and keeps the audit trail.

`tocsin migrate` works as the owner of the tables, makes the service's role if it is missing and
grants it what it needs, each time anew, so that new tables are granted with their migration.
"""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from service.errors import Misconfigured
from service.storage import sql
from service.storage.postgres import Connection, NoRight
from service.words.phrase import phrase

NO_RIGHTS = (
    "the user of TOCSIN_DATABASE_URL may not use the tables: run `tocsin migrate` with "
    "TOCSIN_DATABASE_OWNER_URL, which grants it what it needs / "
    "TOCSIN_DATABASE_URL 的用户无权使用这些表：请设置 TOCSIN_DATABASE_OWNER_URL 后运行 "
    "tocsin migrate 授权"
)

_GRANTS = (
    "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE, MAINTAIN ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    # What proves something is only added to. An id says when the database made a row, so the
    # service gives none; a rotation of the master key writes the reason of a disclosure anew.
    "REVOKE ALL ON migrations, audit_entries, audit_seals, audit_unsealed, disclosures FROM {role}",
    "REVOKE DELETE, MAINTAIN ON erasures FROM {role}",
    "REVOKE DELETE ON text_offers FROM {role}",
    "REVOKE UPDATE, DELETE, MAINTAIN ON bulletins, releases, goals FROM {role}",
    "REVOKE INSERT, UPDATE, DELETE, MAINTAIN ON backups FROM {role}",
    "GRANT SELECT ON migrations, audit_entries, audit_seals, audit_unsealed, disclosures TO {role}",
    """GRANT INSERT (at, via, actor_id, department_id, action, object_kind, object_id, request_id,
                     request_hash, details, mac) ON audit_entries TO {role}""",
    "GRANT INSERT ON audit_seals TO {role}",
    """GRANT INSERT (kind, object_id, phone_hash, department_id, user_id, reason_cipher, at,
                     holder_id), UPDATE (reason_cipher) ON disclosures TO {role}""",
    "REVOKE EXECUTE ON FUNCTION delete_old_records FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION delete_old_records TO {role}",
)

_GRANTS_TO_COME = (
    """ALTER DEFAULT PRIVILEGES IN SCHEMA {schema}
       GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}""",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES TO {role}",
)

_BACKUP_GRANTS = (
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON backups TO {role}",
    "GRANT SELECT ON key_checks TO {role}",
)
"""Beside the right to copy all data: it writes down what it copied, and knows which keys fit."""


class DatabaseLogin(NamedTuple):
    """Whom an address logs in."""

    user: str
    password: str


def login_of(url: str) -> DatabaseLogin:
    """The user and the password of a PostgreSQL URL.

    Raises:
        Misconfigured: it names no user.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    user = unquote(parts.username or "") or query.get("user", [""])[0]
    if not user:
        raise Misconfigured(
            phrase(
                "TOCSIN_DATABASE_URL names no user: write postgresql://USER:PASSWORD@HOST/DATABASE"
            )
        )
    return DatabaseLogin(user, unquote(parts.password or "") or query.get("password", [""])[0])


async def admit(owner: Connection, service: DatabaseLogin) -> None:
    """Make the service's role if it is missing, and grant it what it needs and nothing more.

    owner: a connection of the role that owns the tables, outside a transaction.

    Raises:
        Misconfigured: the service's role is the owner's, or may do what the owner may; it is
            missing and the owner may not make roles.
    """
    async with owner.transaction():
        await _make_role(owner, service, "TOCSIN_DATABASE_URL", "LOGIN")
        await _grant(owner, service, _GRANTS)
        if why := await find_excess(owner, service.user):
            raise Misconfigured(_excessive(service.user, why))


async def admit_to_new_tables(owner: Connection, service: DatabaseLogin) -> None:
    """Let the service's role, if it is there, use each table from the moment it is made: triggers
    of a migration may write into it for processes that work meanwhile. `admit` takes away what is
    too much.

    owner: as for `admit`.
    """
    async with owner.transaction():
        if await _is_role(owner, service.user):
            await _grant(owner, service, _GRANTS_TO_COME)


async def admit_backup(owner: Connection, backup: DatabaseLogin) -> None:
    """Make the role of the backups if it is missing. It may copy all data, and change none.

    owner: as for `admit`.

    Raises:
        Misconfigured: it is missing and the owner may not make roles.
    """
    async with owner.transaction():
        await _make_role(owner, backup, "TOCSIN_BACKUP_DATABASE_URL", "LOGIN REPLICATION")
        await _grant(owner, backup, _BACKUP_GRANTS)


async def _grant(owner: Connection, login: DatabaseLogin, grants: Sequence[str]) -> None:
    names = await sql.fetchrow(
        owner,
        "SELECT quote_ident(current_database()) AS database,"
        " quote_ident(current_schema()) AS schema, quote_ident(:user) AS role",
        user=login.user,
    )
    for grant in grants:
        await owner.execute(grant.format_map(dict(names or {})))


async def _is_role(conn: Connection, user: str) -> bool:
    found: bool = await sql.fetchval(
        conn, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :user)", user=user
    )
    return found


async def _make_role(owner: Connection, login: DatabaseLogin, variable: str, rights: str) -> None:
    """variable: which address names it. rights: those of the role, in PostgreSQL's words."""
    if await _is_role(owner, login.user):
        return
    statement = f"CREATE ROLE %I {rights} NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %L"
    try:
        await owner.execute(
            await sql.fetchval(
                owner,
                "SELECT format(:statement, :user::text, :password::text)",
                statement=statement,
                user=login.user,
                password=login.password,
            )
        )
    except NoRight as error:
        name = await sql.fetchval(owner, "SELECT quote_ident(:user)", user=login.user)
        raise Misconfigured(
            phrase(
                "the role {user} of {variable} is missing, and the owner of the"
                " database may not make it: run as a superuser CREATE ROLE {name} {rights}"
                " PASSWORD '…', then `tocsin migrate` again",
                user=login.user,
                variable=variable,
                name=name,
                rights=rights,
            )
        ) from error


async def find_excess(conn: Connection, role: str | None = None) -> str:
    """How a role (None: the one that asks) could shorten or change the audit trail; empty: it
    cannot.
    """
    found: str | None = await sql.fetchval(
        conn,
        """
        SELECT CASE
            WHEN r.rolsuper THEN 'it is a superuser'
            WHEN r.rolcreaterole THEN 'it may make roles'
            WHEN pg_has_role(r.oid, 'pg_execute_server_program', 'MEMBER')
              OR pg_has_role(r.oid, 'pg_write_server_files', 'MEMBER')
                THEN 'it may write files of the server'
            WHEN EXISTS (SELECT FROM pg_class c
                         WHERE c.relnamespace = n.oid AND pg_has_role(r.oid, c.relowner, 'MEMBER'))
              OR pg_has_role(r.oid, n.nspowner, 'MEMBER')
                THEN 'it owns tables or their schema'
            WHEN has_table_privilege(r.oid, 'audit_entries', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
              OR has_any_column_privilege(r.oid, 'audit_entries', 'UPDATE')
              OR has_table_privilege(r.oid, 'audit_seals', 'UPDATE, DELETE, TRUNCATE, TRIGGER')
              OR has_any_column_privilege(r.oid, 'audit_seals', 'UPDATE')
              OR has_table_privilege(r.oid, 'audit_unsealed', 'DELETE, TRUNCATE')
                THEN 'it may change or delete audit entries'
        END
        FROM pg_roles r, pg_namespace n
        WHERE r.rolname = coalesce(:role, current_user) AND n.nspname = current_schema()
        """,
        role=role,
    )
    return found or ""


def warn_of_excess(role: str, why: str) -> str:
    """What is said to an installation whose service still works as the owner of the tables."""
    return (
        f"the audit trail is not safe from the service's own role {role}: {why}; give "
        "TOCSIN_DATABASE_URL another role and TOCSIN_DATABASE_OWNER_URL this one, then run "
        "`tocsin migrate` (docs/operating.md, The owner and the service) / "
        f"服务所用的角色 {role} 权限过大，可改动审计记录：请为 TOCSIN_DATABASE_URL 换用另一角色，"
        "将现角色写入 TOCSIN_DATABASE_OWNER_URL，再运行 tocsin migrate"
    )


def _excessive(role: str, why: str) -> str:
    return (
        f"the role {role} of TOCSIN_DATABASE_URL may do too much: {why}; take that from it, or "
        "name another role, which `tocsin migrate` makes / "
        f"TOCSIN_DATABASE_URL 的角色 {role} 权限过大；请收回，或换一个角色名，"
        "由 tocsin migrate 创建"
    )
