"""The audit trail: who did what to which thing, when, and by which way."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import audit
from service.api.accounts.audit import AuditEntryOut, AuditQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Shown
from service.console.reports.words import ACTIONS, WAYS
from service.errors import Invalid
from service.words.phrase import phrase

_PAGES = {
    "campaigns": "/plans/{id}",
    "runs": "/runs/{id}",
    "users": "/office/users/{id}",
    "departments": "/office/departments/{id}",
    "templates": "/texts/{id}",
    "imports": "/people/imports/{id}",
}
"""By the kind of a thing, its page."""


def _asked_for(desk: Desk) -> AuditQuery:
    given: dict[str, object] = {"limit": 50}
    if day := desk.request.query.get("day", ""):
        try:
            since = datetime.combine(date.fromisoformat(day), time(), tzinfo=desk.zone)
        except ValueError:
            raise Invalid(phrase("there is no such day")) from None
        given |= {"since": since, "until": since + timedelta(days=1)}
    return body_of(AuditQuery, desk.request.query, but=("day",), given=given)


async def show_trail(desk: Desk) -> Shown:
    """What was done in the department, from new to old; of one thing, one person, one day."""
    asked = {name: value for name, value in desk.request.query.items() if value}
    day = asked.get("day", "")
    query = _asked_for(desk)
    found = await desk.get(audit.list_audit, query=query)
    return Shown("reports/trail.html", {
        "reads": desk.may(Right.READ),
        "entries": found.items,
        "next": found.next_cursor,
        "names": await names_of(desk, _actors(found.items)),
        "actions": ACTIONS,
        "ways": WAYS,
        "address": _address,
        "asked": asked,
        "day": day,
    })  # fmt: skip


def _actors(entries: Iterable[AuditEntryOut]) -> list[UUID | None]:
    return [entry.actor_id for entry in entries]


def _address(entry: AuditEntryOut) -> str:
    """The page of what an entry concerns; "": it has none."""
    return _PAGES.get(entry.object_kind or "", "").replace("{id}", entry.object_id or "")
