"""Who somebody is, or which department, whose id an operation tells."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import departments, user_names
from service.api.http.paging import MAX_LIMIT, PageQuery
from service.console.asking import Desk
from service.words.phrase import phrase


async def names_of(desk: Desk, ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The name of each user; of whom the reader does not see, that they are of elsewhere."""
    wanted = {user_id for user_id in ids if user_id is not None}
    found = {desk.user.id: desk.user.name}
    query: PageQuery | None = PageQuery(limit=MAX_LIMIT)
    if not (desk.may(Right.REPORTS) or desk.may(Right.AUDIT)):
        query = None
    while query is not None and not wanted <= found.keys():
        page = await desk.get(user_names.list_user_names, query=query)
        found |= {user.id: user.name for user in page.items}
        more = page.next_cursor
        query = PageQuery(limit=MAX_LIMIT, cursor=more) if more else None
    elsewhere = desk.language.say(phrase("somebody of another department"))
    return {user_id: found.get(user_id, elsewhere) for user_id in wanted}


async def departments_of(desk: Desk, ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The name of each department; of one that the reader does not see, that it is another one."""
    wanted = {department_id for department_id in ids if department_id is not None}
    found: dict[UUID, str] = {}
    own = desk.user.department_id
    if wanted - {own} and desk.may(Right.PLAN):
        listed = await desk.get(departments.list_department_names)
        found = {one.id: one.name for one in listed.items}
    if own in wanted - found.keys() and desk.may(Right.REPORTS):
        found[own] = (await desk.get(departments.get_department, department_id=own)).name
    elsewhere = desk.language.say(phrase("another department"))
    return {department_id: found.get(department_id, elsewhere) for department_id in wanted}


def watermark(desk: Desk) -> str:
    """Who looks at persons, and when, as it lies over the page."""
    return f"{desk.user.name} {desk.language.when(desk.now)}"
