"""Who somebody is, or which department, whose id an operation tells."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import department_names, departments, user_names
from service.api.accounts.department_names import DepartmentNamesQuery
from service.api.accounts.departments import DepartmentsQuery
from service.api.accounts.user_names import UserNamesQuery
from service.api.http.paging import MOST_IDS
from service.console.asking import Desk
from service.words.phrase import phrase


async def names_of(desk: Desk, ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The name of each user; of whom the reader does not see, that they are of elsewhere."""
    wanted = {user_id for user_id in ids if user_id is not None}
    found = {desk.user.id: desk.user.name}
    if desk.may(Right.REPORTS) or desk.may(Right.AUDIT):
        for listed in _lists_of(wanted - found.keys()):
            query = UserNamesQuery(ids=listed, limit=MOST_IDS)
            page = await desk.get(user_names.list_user_names, query=query)
            found |= {user.id: user.name for user in page.items}
    elsewhere = desk.language.say(phrase("somebody of another department"))
    return {user_id: found.get(user_id, elsewhere) for user_id in wanted}


async def departments_of(desk: Desk, ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The name of each department; of one that the reader does not see, that it is another one."""
    wanted = {department_id for department_id in ids if department_id is not None}
    found = await known_departments(desk, wanted)
    elsewhere = desk.language.say(phrase("another department"))
    return {department_id: found.get(department_id, elsewhere) for department_id in wanted}


async def known_departments(desk: Desk, wanted: Iterable[UUID]) -> Mapping[UUID, str]:
    """The names of these departments, as far as the reader sees them."""
    wanted = frozenset(wanted)
    found: dict[UUID, str] = {}
    if desk.may(Right.REPORTS):
        for listed in _lists_of(wanted):
            query = DepartmentsQuery(ids=listed, limit=MOST_IDS)
            page = await desk.get(departments.list_departments, query=query)
            found |= {one.id: one.name for one in page.items}
    if desk.may(Right.PLAN):
        for listed in _lists_of(wanted - found.keys()):
            names = DepartmentNamesQuery(ids=listed)
            known = await desk.get(department_names.list_department_names, query=names)
            found |= {one.id: one.name for one in known.items}
    return found


def _lists_of(ids: Iterable[UUID]) -> Iterator[str]:
    """Ids as operations take them, in as few lists as hold them."""
    every = [str(one) for one in ids]
    for first in range(0, len(every), MOST_IDS):
        yield ",".join(every[first : first + MOST_IDS])


def watermark(desk: Desk) -> str:
    """Who looks at persons, and when, as it lies over the page."""
    return f"{desk.user.name} {desk.language.when(desk.now)}"
