"""What needs you, what is being sent, what comes."""

from service.accounts.people.model import Right
from service.api.accounts import work
from service.api.accounts.work import WorkOut
from service.console.asking import Desk
from service.console.render import Shown


async def show_today(desk: Desk) -> Shown:
    """The start page."""
    waiting = await desk.get(work.get_work) if desk.may(Right.REPORTS) else WorkOut(items=[])
    return Shown("today/today.html", {"waiting": waiting.items})
