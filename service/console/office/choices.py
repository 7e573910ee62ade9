"""Whom and what a form of administration offers to choose: departments by name, users looked up.

A county may have hundreds of departments and a thousand users. Departments are read to the end;
users are looked up by a part of the name, or read for one department.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.api.accounts import departments, users
from service.api.accounts.departments import DepartmentsQuery
from service.api.accounts.users import UserOut, UsersQuery
from service.api.http.paging import MAX_LIMIT
from service.console.asking import Desk
from service.console.forms import made_of

MOST_FOUND = 20
"""Users that a look-up shows; of more, it asks for more of the name."""


@dataclass(frozen=True, slots=True)
class FoundUsers:
    """What a look-up has found. more: whether there are further ones."""

    items: Sequence[UserOut]
    more: bool


async def department_names(desk: Desk) -> dict[UUID, str]:
    """The names of all departments that the reader sees, in the order of their names."""
    found: dict[UUID, str] = {}
    query: DepartmentsQuery | None = DepartmentsQuery(limit=MAX_LIMIT)
    while query is not None:
        page = await desk.get(departments.list_departments, query=query)
        found |= {one.id: one.name for one in page.items}
        more = page.next_cursor
        query = DepartmentsQuery(limit=MAX_LIMIT, cursor=more) if more else None
    return dict(sorted(found.items(), key=lambda item: item[1]))


async def find_users(desk: Desk) -> FoundUsers | None:
    """The users whom the field `find` of the address looks up; None: it is empty."""
    words = desk.request.query.get("find", "").strip()[:200]
    if not words:
        return None
    query = made_of(UsersQuery, {"words": words, "limit": MOST_FOUND})
    page = await desk.get(users.list_users, query=query)
    return FoundUsers(page.items, page.next_cursor is not None)


async def users_of(desk: Desk, department_id: UUID) -> list[UserOut]:
    """All users of a department, in the order of their names."""
    found: list[UserOut] = []
    query: UsersQuery | None = UsersQuery(department_id=department_id, limit=MAX_LIMIT)
    while query is not None:
        page = await desk.get(users.list_users, query=query)
        found += page.items
        more = page.next_cursor
        query = (
            UsersQuery(department_id=department_id, limit=MAX_LIMIT, cursor=more) if more else None
        )
    return sorted(found, key=lambda user: user.name)
