"""What is around every page: who asks, the menu, and what stands over everything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from service.accounts.people.model import Right
from service.api.accounts import departments
from service.api.sending import stops
from service.console.asking import Desk
from service.console.session import SCHEME_COOKIE
from service.web import PROVIDER
from service.words.phrase import Phrase, phrase

SCHEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An entry of the menu. right: that its page takes; None: whoever has logged in.

    only: a further right of those who are shown it. but: a right of those who are not, since
    another entry leads them there.
    """

    key: str
    address: str
    label: Phrase
    right: Right | None = None
    only: Right | None = None
    but: Right | None = None

    def is_for(self, desk: Desk) -> bool:
        """Whether the reader has it in the menu."""
        needed = (self.right, self.only)
        may = all(right is None or desk.may(right) for right in needed)
        return may and not (self.but is not None and desk.may(self.but))


MENU = (
    MenuEntry("today", "/today", phrase("Today")),
    MenuEntry("plans", "/plans", phrase("Campaigns"), Right.REPORTS),
    MenuEntry("runs", "/runs", phrase("Sending"), Right.REPORTS),
    MenuEntry("people", "/people", phrase("People"), Right.READ),
    MenuEntry("texts", "/texts", phrase("Texts"), Right.READ),
    MenuEntry("duty", "/duty", phrase("On duty"), Right.READ),
    MenuEntry("reports", "/reports", phrase("Reports"), Right.REPORTS),
    MenuEntry("office", "/office", phrase("Admin"), Right.ACCOUNTS),
    MenuEntry(
        "office", "/office/webhooks", phrase("Programs"), Right.READ,
        only=Right.WEBHOOKS, but=Right.ACCOUNTS,
    ),
)  # fmt: skip


def outside(request: web.Request) -> dict[str, Any]:
    """What every template is told, also for whoever has not logged in."""
    scheme = request.cookies.get(SCHEME_COOKIE, "")
    return {
        "scheme": scheme if scheme in SCHEMES else "",
        "me": None,
        "menu": (),
        "bands": (),
        "may_stop": False,
        "notice": "",
        "has_provider": PROVIDER in request.config_dict,
    }


async def around(desk: Desk) -> dict[str, Any]:
    """What stands around a page; read in the page's transaction."""
    department = ""
    if desk.may(Right.REPORTS):
        found = await desk.get(departments.get_department, department_id=desk.user.department_id)
        department = found.name
    return {
        "department": department,
        "me": desk.user,
        "menu": _menu(desk),
        "bands": await _bands(desk),
        "may_stop": desk.may(Right.STOP_ALL),
        "my_rights": {right.word for right in Right if desk.may(right)},
    }


def _menu(desk: Desk) -> list[Mapping[str, object]]:
    section = desk.request.path.split("/")[1]
    return [
        {
            "key": entry.key,
            "address": entry.address,
            "label": desk.language.say(entry.label),
            "current": entry.key == section,
        }
        for entry in MENU
        if entry.is_for(desk)
    ]


async def _bands(desk: Desk) -> list[Mapping[str, str]]:
    say = desk.language.say
    found: list[Mapping[str, str]] = []
    if desk.may(Right.READ) and (await desk.get(stops.get_stop, query=stops.StopQuery())).stopped:
        found.append(
            {
                "kind": "stop",
                "text": say(phrase("All sending is stopped.")),
                "address": "/duty/stop",
                "act": say(phrase("Let it go on")),
            }
        )
    if desk.runtime.clock.start is not None:
        text = phrase(
            "The clock of this system is simulated. Here it is {now}.",
            now=desk.language.when(desk.now),
        )
        found.append({"kind": "clock", "text": say(text)})
    return found
