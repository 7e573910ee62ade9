"""The tables of departments, their signatures, extension numbers and quotas, in SQL.

`scope` is a list of departments, or None for all. Lists go from new to old; `before` is the id
after which a page begins.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.departments.department import (
    Department,
    DepartmentPermits,
    DepartmentSettings,
    SignatureLent,
    bare,
)
from service.clock import CHINA
from service.errors import Conflict, Invalid, NotFound
from service.storage import sql
from service.storage.locks import lock_department_names
from service.storage.postgres import (
    CheckViolation,
    Connection,
    ForeignKeyViolation,
    Record,
    UniqueViolation,
    one,
)
from service.words.phrase import phrase
from service.words.terms import term

_COLUMNS = (
    "name", "kind", "signature", "weight", "parent_id", "area_code", "carrier", "leader", "classes",
    "channels", "daily_quota", "monthly_quota", "yearly_quota", "requests_per_minute",
    "notices_end_by_reply",
)  # fmt: skip


async def insert_department(conn: Connection, new: DepartmentSettings, now: datetime) -> Department:
    """Make a department.

    Raises:
        Conflict: the name is taken.
        Invalid: there is no such area or parent.
    """
    places = ", ".join(f":{name}" for name in _COLUMNS)
    try:
        async with conn.transaction():
            row = await sql.fetchrow(
                conn,
                f"INSERT INTO departments ({', '.join(_COLUMNS)}, created_at)"  # noqa: S608
                f" VALUES ({places}, :now) RETURNING *",
                **_values(new),
                now=now,
            )
    except (UniqueViolation, ForeignKeyViolation, CheckViolation) as error:
        raise _refusal(error, new) from error
    return _department(one(row))


async def update_department(
    conn: Connection, department_id: UUID, new: DepartmentSettings
) -> Department:
    """Change a department; raises as `insert_department`, and NotFound.

    One whose quota was used up is looked at anew.
    """
    pairs = ", ".join(f"{name} = :{name}" for name in _COLUMNS)
    pairs += ", held_until = NULL, held_why = ''"
    try:
        async with conn.transaction():
            row = await sql.fetchrow(
                conn,
                f"UPDATE departments SET {pairs} WHERE id = :department_id RETURNING *",  # noqa: S608
                department_id=department_id,
                **_values(new),
            )
    except (UniqueViolation, ForeignKeyViolation, CheckViolation) as error:
        raise _refusal(error, new) from error
    if row is None:
        raise NotFound(
            phrase("there is no department {department_id}", department_id=department_id)
        )
    return _department(row)


def _values(new: DepartmentSettings) -> dict[str, Any]:
    values = {name: getattr(new, name) for name in _COLUMNS}
    return {n: list(value) if isinstance(value, tuple) else value for n, value in values.items()}


def _refusal(error: Exception, new: DepartmentSettings) -> Conflict | Invalid:
    if isinstance(error, UniqueViolation):
        return Conflict(phrase("there is a department named {name} already", name=new.name))
    if isinstance(error, ForeignKeyViolation):
        field = "area_code" if "area" in (error.constraint_name or "") else "parent_id"
        what = term("area" if field == "area_code" else "department")
        return Invalid.at(field, phrase("there is no such {what}", what=what))
    problem = phrase("a department cannot stand below itself")
    return Invalid(problem, fields={"parent_id": problem})


async def lock_names(conn: Connection) -> list[str]:
    """The names of all departments; nobody else takes another one meanwhile."""
    await lock_department_names(conn)
    return [row["name"] for row in await conn.fetch("SELECT name FROM departments")]


async def find_department(conn: Connection, name: str) -> Department | None:
    """The department of this name."""
    row = await sql.fetchrow(conn, "SELECT * FROM departments WHERE name = :name", name=name)
    return _department(row) if row else None


async def get_department(
    conn: Connection, department_id: UUID, scope: Sequence[UUID] | None, *, lock: bool = False
) -> Department:
    """One department.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    query = """
        SELECT * FROM departments WHERE id = :department_id
          AND (:scope::uuid[] IS NULL OR id = ANY (:scope))
        """
    row = await sql.fetchrow(
        conn, query + " FOR NO KEY UPDATE" * lock, department_id=department_id, scope=scope
    )
    if row is None:
        raise NotFound(
            phrase("there is no department {department_id}", department_id=department_id)
        )
    return _department(row)


async def list_departments(
    conn: Connection,
    scope: Sequence[UUID] | None,
    before: UUID | None,
    limit: int,
    words: str = "",
    ids: Sequence[UUID] | None = None,
) -> list[Department]:
    """A page of departments. words: a part of the name or the signature, in any case; "": all.
    ids: only these; None: all.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT * FROM departments
        WHERE (:scope::uuid[] IS NULL OR id = ANY (:scope))
          AND (:ids::uuid[] IS NULL OR id = ANY (:ids))
          AND (:before::uuid IS NULL OR id < :before)
          AND strpos(lower(name || ' ' || signature), lower(:words)) > 0
        ORDER BY id DESC LIMIT :limit
        """,
        scope=scope,
        ids=ids,
        before=before,
        words=words,
        limit=limit,
    )
    return [_department(row) for row in rows]


async def get_permits(conn: Connection, department_id: UUID) -> DepartmentPermits:
    """What a department may send, and how."""
    row = one(
        await sql.fetchrow(
            conn,
            "SELECT classes, channels FROM departments WHERE id = :department_id",
            department_id=department_id,
        )
    )
    return DepartmentPermits(tuple(row["classes"]), row["channels"])


async def check_signature(conn: Connection, department_id: UUID, head: str) -> None:
    """Refuse a text that begins with the signature of somebody else.

    Raises:
        SignatureLent: it is registered to another department.
    """
    lent = await sql.fetchval(
        conn,
        """
        SELECT true FROM signatures WHERE signature = :signature AND department_id <> :department_id
        """,
        signature=bare(head),
        department_id=department_id,
    )
    if lent:
        raise SignatureLent(head)


class Registered(NamedTuple):
    """A signature or extension number of a department; it stays taken once it has ended."""

    value: str
    department_id: UUID
    registered_at: datetime
    ended_at: datetime | None


_REGISTERS = {"signature": "signatures", "extension": "extensions"}


async def register(
    conn: Connection,
    what: str,
    value: str,
    department_id: UUID,
    *,
    by: UUID | None,
    now: datetime,
    confirmed_by: UUID | None = None,
) -> Registered:
    """Register a `signature` or `extension` to a department; again, if it was its own before.

    by: None: the machine. confirmed_by: the second person to a signature.

    Raises:
        Conflict: it is, or was, another department's.
    """
    second = ", confirmed_by" if what == "signature" else ""
    confirmation: dict[str, Any] = {"confirmed_by": confirmed_by} if second else {}
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO {_REGISTERS[what]} AS r
            ({what}, department_id, registered_at, registered_by{second})
        VALUES (:value, :department_id, :now, :by{", :confirmed_by" if second else ""})
        ON CONFLICT ({what}) DO UPDATE SET ended_at = NULL
            WHERE r.department_id = excluded.department_id
        RETURNING {what}, department_id, registered_at, ended_at
        """,  # noqa: S608  # both names stand above
        value=value,
        department_id=department_id,
        now=now,
        by=by,
        **confirmation,
    )
    if row is None:
        raise _taken(what)
    return Registered(*row)


async def check_free(conn: Connection, signature: str, department_id: UUID) -> None:
    """Refuse a signature of somebody else.

    Raises:
        Conflict: it is, or was, another department's.
    """
    if await sql.fetchval(
        conn,
        """
        SELECT true FROM signatures WHERE signature = :signature AND department_id <> :department_id
        """,
        signature=signature,
        department_id=department_id,
    ):
        raise _taken("signature")


def _taken(what: str) -> Conflict:
    return Conflict(
        phrase(
            "this {what} is registered to another department, and cannot be lent or passed"
            " on (Anti-Telecom and Online Fraud Law, article 31)",
            what=term(what),
        ),
        code=f"{what}_taken",
    )


async def end_registration(
    conn: Connection, what: str, value: str, department_id: UUID, now: datetime
) -> None:
    """Give up a signature or extension; nobody else gets it.

    Raises:
        NotFound: it is not the department's.
    """
    found = await sql.fetchval(
        conn,
        f"""
        UPDATE {_REGISTERS[what]} SET ended_at = coalesce(ended_at, :now)
        WHERE {what} = :value AND department_id = :department_id RETURNING true
        """,  # noqa: S608  # both names stand above
        value=value,
        department_id=department_id,
        now=now,
    )
    if not found:
        raise NotFound(phrase("the department has no such {what}", what=term(what)))


async def list_registered(conn: Connection, what: str, department_id: UUID) -> list[Registered]:
    """The signatures or extensions of a department, from old to new."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {what}, department_id, registered_at, ended_at FROM {_REGISTERS[what]}
        WHERE department_id = :department_id ORDER BY registered_at, {what}
        """,  # noqa: S608  # both names stand above
        department_id=department_id,
    )
    return [Registered(*row) for row in rows]


class DepartmentCounts(NamedTuple):
    """What a department's work amounts to: numbers and no people."""

    contacts: int
    rosters: int
    campaigns: dict[str, int]
    runs: int
    target: int
    reached: int


async def read_counts(conn: Connection, department_id: UUID, since: date) -> DepartmentCounts:
    """The people and lists of a department now, and its campaigns and runs from `since` on; replies
    to texts from handsets are no runs here, as in the list of runs.
    """
    row = one(
        await sql.fetchrow(
            conn,
            """
            WITH fired AS MATERIALIZED (
                -- No run is made before the instant of its fire, and `runs_lately` is by when.
                SELECT id, target FROM runs
                WHERE department_id = :department_id AND kind <> 'reply'
                  AND created_at >= :since AND fire_at >= :since
            )
            SELECT (SELECT count(*) FROM contacts WHERE department_id = :department_id) AS contacts,
                   (SELECT count(*) FROM rosters WHERE department_id = :department_id) AS rosters,
                   (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM (
                        SELECT state, count(*) AS n FROM campaigns
                        WHERE department_id = :department_id AND created_at >= :since
                        GROUP BY state) c) AS campaigns,
                   (SELECT count(*) FROM fired) AS runs,
                   (SELECT coalesce(sum(target), 0) FROM fired) AS target,
                   (SELECT count(*) FROM fired f CROSS JOIN LATERAL (  -- each ledger by its key
                        SELECT FROM messages
                        WHERE run_id = f.id AND state = 'delivered' OFFSET 0) m) AS reached
            """,
            department_id=department_id,
            since=datetime.combine(since, time(), CHINA),
        )
    )
    return DepartmentCounts(*row)


async def used_parts(
    conn: Connection, department_id: UUID, spans: dict[str, date]
) -> dict[str, int]:
    """The parts that were handed off in each span that is counted."""
    rows = await sql.fetch(
        conn,
        """
        SELECT u.span, u.parts FROM department_use u
        JOIN unnest(:spans::text[], :sinces::date[]) AS s(span, since)
          ON s.span = u.span AND s.since = u.since
        WHERE u.department_id = :department_id
        """,
        department_id=department_id,
        spans=list(spans),
        sinces=list(spans.values()),
    )
    return {row["span"]: row["parts"] for row in rows}


def _department(row: Record) -> Department:
    values = {name: row[name] for name in _COLUMNS}
    values["classes"] = tuple(values["classes"])
    if values["channels"] is not None:
        values["channels"] = tuple(values["channels"])
    return Department(
        row["id"],
        DepartmentSettings(**values),
        row["created_at"],
        row["held_until"],
        row["held_why"],
        row["direct_send_limit"],
    )
