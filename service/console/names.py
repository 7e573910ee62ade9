"""Who somebody is whose id an operation tells."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import user_names
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


def watermark(desk: Desk) -> str:
    """Who looks at persons, and when, as it lies over the page."""
    return f"{desk.user.name} {desk.language.when(desk.now)}"
