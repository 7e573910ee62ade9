"""Who somebody is whose id an operation tells."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from service.api.accounts import users
from service.console.asking import Desk
from service.errors import Forbidden, NotFound
from service.words.phrase import phrase


async def names_of(desk: Desk, ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """The name of each user; of whom the reader does not see, that they are of elsewhere."""
    found: dict[UUID, str] = {}
    for user_id in dict.fromkeys(i for i in ids if i is not None):
        if user_id == desk.user.id:
            found[user_id] = desk.user.name
            continue
        try:
            found[user_id] = (await desk.get(users.get_user, user_id=user_id)).name
        except (NotFound, Forbidden):
            found[user_id] = desk.language.say(phrase("somebody of another department"))
    return found


def watermark(desk: Desk) -> str:
    """Who looks at persons, and when, as it lies over the page."""
    return f"{desk.user.name} {desk.language.when(desk.now)}"
