"""The tables of departments, their signatures, extension numbers and quotas, in SQL.

`scope` is a list of departments, or None for all. Lists go from new to old; `before` is the id
after which a page begins.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import (
    Department,
    DepartmentPermits,
    DepartmentSettings,
    SignatureLent,
    bare,
)
from service.errors import Conflict, Invalid, NotFound
from service.storage.locks import lock_department_names
from service.storage.postgres import (
    CheckViolation,
    Connection,
    ForeignKeyViolation,
    Record,
    UniqueViolation,
    one,
)

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
    places = ", ".join(f"${n}" for n in range(1, len(_COLUMNS) + 2))
    try:
        async with conn.transaction():
            row = await conn.fetchrow(
                f"INSERT INTO departments ({', '.join(_COLUMNS)}, created_at)"  # noqa: S608
                f" VALUES ({places}) RETURNING *",
                *_values(new),
                now,
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
    pairs = ", ".join(f"{name} = ${n}" for n, name in enumerate(_COLUMNS, 2))
    pairs += ", held_until = NULL, held_why = ''"
    try:
        async with conn.transaction():
            row = await conn.fetchrow(
                f"UPDATE departments SET {pairs} WHERE id = $1 RETURNING *",  # noqa: S608
                department_id,
                *_values(new),
            )
    except (UniqueViolation, ForeignKeyViolation, CheckViolation) as error:
        raise _refusal(error, new) from error
    if row is None:
        raise NotFound(f"there is no department {department_id}")
    return _department(row)


def _values(new: DepartmentSettings) -> list[object]:
    values = [getattr(new, name) for name in _COLUMNS]
    return [list(value) if isinstance(value, tuple) else value for value in values]


def _refusal(error: Exception, new: DepartmentSettings) -> Conflict | Invalid:
    if isinstance(error, UniqueViolation):
        return Conflict(f"there is a department named {new.name} already")
    if isinstance(error, ForeignKeyViolation):
        field = "area_code" if "area" in (error.constraint_name or "") else "parent_id"
        what = "area" if field == "area_code" else "department"
        return Invalid(f"there is no such {what}", fields={field: f"there is no such {what}"})
    problem = "a department cannot stand below itself"
    return Invalid(problem, fields={"parent_id": problem})


async def lock_names(conn: Connection) -> list[str]:
    """The names of all departments; nobody else takes another one meanwhile."""
    await lock_department_names(conn)
    return [row["name"] for row in await conn.fetch("SELECT name FROM departments")]


async def find_department(conn: Connection, name: str) -> Department | None:
    """The department of this name."""
    row = await conn.fetchrow("SELECT * FROM departments WHERE name = $1", name)
    return _department(row) if row else None


async def get_department(
    conn: Connection, department_id: UUID, scope: Sequence[UUID] | None, *, lock: bool = False
) -> Department:
    """One department.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    query = "SELECT * FROM departments WHERE id = $1 AND ($2::uuid[] IS NULL OR id = ANY ($2))"
    row = await conn.fetchrow(query + " FOR NO KEY UPDATE" * lock, department_id, scope)
    if row is None:
        raise NotFound(f"there is no department {department_id}")
    return _department(row)


async def list_departments(
    conn: Connection, scope: Sequence[UUID] | None, before: UUID | None, limit: int
) -> list[Department]:
    """A page of departments."""
    rows = await conn.fetch(
        """
        SELECT * FROM departments
        WHERE ($1::uuid[] IS NULL OR id = ANY ($1)) AND ($2::uuid IS NULL OR id < $2)
        ORDER BY id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
    )
    return [_department(row) for row in rows]


async def get_permits(conn: Connection, department_id: UUID) -> DepartmentPermits:
    """What a department may send, and how."""
    row = one(
        await conn.fetchrow(
            "SELECT classes, channels FROM departments WHERE id = $1", department_id
        )
    )
    return DepartmentPermits(tuple(row["classes"]), row["channels"])


async def check_signature(conn: Connection, department_id: UUID, head: str) -> None:
    """Refuse a text that begins with the signature of somebody else.

    Raises:
        SignatureLent: it is registered to another department.
    """
    lent = await conn.fetchval(
        "SELECT true FROM signatures WHERE signature = $1 AND department_id <> $2",
        bare(head),
        department_id,
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
    row = await conn.fetchrow(
        f"""
        INSERT INTO {_REGISTERS[what]} AS r
            ({what}, department_id, registered_at, registered_by{second})
        VALUES ($1, $2, $3, $4{", $5" if second else ""})
        ON CONFLICT ({what}) DO UPDATE SET ended_at = NULL
            WHERE r.department_id = excluded.department_id
        RETURNING {what}, department_id, registered_at, ended_at
        """,  # noqa: S608  # both names stand above
        value,
        department_id,
        now,
        by,
        *([confirmed_by] if second else []),
    )
    if row is None:
        raise _taken(what)
    return Registered(*row)


async def check_free(conn: Connection, signature: str, department_id: UUID) -> None:
    """Refuse a signature of somebody else.

    Raises:
        Conflict: it is, or was, another department's.
    """
    if await conn.fetchval(
        "SELECT true FROM signatures WHERE signature = $1 AND department_id <> $2",
        signature,
        department_id,
    ):
        raise _taken("signature")


def _taken(what: str) -> Conflict:
    return Conflict(
        f"this {what} is registered to another department, and cannot be lent or passed on"
        " (Anti-Telecom and Online Fraud Law, article 31)",
        code=f"{what}_taken",
    )


async def end_registration(
    conn: Connection, what: str, value: str, department_id: UUID, now: datetime
) -> None:
    """Give up a signature or extension; nobody else gets it.

    Raises:
        NotFound: it is not the department's.
    """
    found = await conn.fetchval(
        f"""
        UPDATE {_REGISTERS[what]} SET ended_at = coalesce(ended_at, $3)
        WHERE {what} = $1 AND department_id = $2 RETURNING true
        """,  # noqa: S608  # both names stand above
        value,
        department_id,
        now,
    )
    if not found:
        raise NotFound(f"the department has no such {what}")


async def list_registered(conn: Connection, what: str, department_id: UUID) -> list[Registered]:
    """The signatures or extensions of a department, from old to new."""
    rows = await conn.fetch(
        f"""
        SELECT {what}, department_id, registered_at, ended_at FROM {_REGISTERS[what]}
        WHERE department_id = $1 ORDER BY registered_at, {what}
        """,  # noqa: S608  # both names stand above
        department_id,
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
    """The people and lists of a department now, and its campaigns and runs from `since` on."""
    row = one(
        await conn.fetchrow(
            """
            WITH since AS (SELECT $2::date::timestamp AT TIME ZONE 'Asia/Shanghai' AS at)
            SELECT (SELECT count(*) FROM contacts WHERE department_id = $1) AS contacts,
                   (SELECT count(*) FROM rosters WHERE department_id = $1) AS rosters,
                   (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM (
                        SELECT state, count(*) AS n FROM campaigns
                        WHERE department_id = $1 AND created_at >= since.at
                        GROUP BY state) c) AS campaigns,
                   (SELECT count(*) FROM runs
                    WHERE department_id = $1 AND fire_at >= since.at) AS runs,
                   (SELECT coalesce(sum(target), 0) FROM runs
                    WHERE department_id = $1 AND fire_at >= since.at) AS target,
                   (SELECT count(*) FROM runs r JOIN messages m ON m.run_id = r.id
                    WHERE r.department_id = $1 AND r.fire_at >= since.at
                      AND m.state = 'delivered') AS reached
            FROM since
            """,
            department_id,
            since,
        )
    )
    return DepartmentCounts(*row)


async def used_parts(
    conn: Connection, department_id: UUID, spans: dict[str, date]
) -> dict[str, int]:
    """The parts that were handed off in each span that is counted."""
    rows = await conn.fetch(
        """
        SELECT u.span, u.parts FROM department_use u
        JOIN unnest($2::text[], $3::date[]) AS s(span, since)
          ON s.span = u.span AND s.since = u.since
        WHERE u.department_id = $1
        """,
        department_id,
        list(spans),
        list(spans.values()),
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
