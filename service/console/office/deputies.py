"""Who signs while an approver is away: named by them, or by an administrator and another."""

from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import deputies, users
from service.api.accounts.deputies import DeputyBody, DeputyOut
from service.api.accounts.users import UserOut
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, instant_of, made_of
from service.console.names import names_of
from service.console.office.choices import find_users, users_of
from service.console.render import Gone, Shown
from service.console.second_person import SecondPerson, second_person
from service.errors import Invalid, NotFound
from service.words.phrase import phrase

DEPUTIES = "/office/deputies"
OWN = ("starts_at.day", "starts_at.time", "ends_at.day", "ends_at.time")
MOST_SHOWN = 50


async def show_deputies(desk: Desk) -> Shown:
    """Who stands in for whom, who will and who did, from new to old."""
    cursor = desk.request.query.get("cursor")
    query = made_of(PageQuery, {"limit": MOST_SHOWN, "cursor": cursor})
    page = await desk.get(deputies.list_deputies, query=query)
    states = {one.id: _state(desk, one) for one in page.items}
    seconds = {one.id: await _second(desk, one) for one in page.items if states[one.id] == "waits"}
    hands = (
        person
        for one in page.items
        for person in (one.absent_id, one.deputy_id, one.named_by, one.confirmed_by, one.ended_by)
    )
    return Shown("office/deputies.html", {
        "deputies": page.items,
        "next": page.next_cursor,
        "states": states,
        "seconds": seconds,
        "names": await names_of(desk, hands),
        "may_end": {one.id for one in page.items if _concerns(desk, one)},
        "may_name": desk.may(Right.APPROVE),
    })  # fmt: skip


def _state(desk: Desk, one: DeputyOut) -> str:
    """Where it stands: `waits`, `now`, `planned`, `over` or `ended`."""
    if one.ended_at is not None:
        return "ended"
    if one.ends_at <= desk.now:
        return "over"
    if one.needs_second and one.confirmed_at is None:
        return "waits"
    return "now" if one.starts_at <= desk.now else "planned"


def _concerns(desk: Desk, one: DeputyOut) -> bool:
    """Whether the reader may end it: who is absent, or who keeps the accounts."""
    own = one.absent_id == desk.user.id and desk.may(Right.APPROVE)
    return own or desk.may(Right.ACCOUNTS)


async def _second(desk: Desk, one: DeputyOut) -> SecondPerson:
    who = phrase("the absent approver or another administrator")
    allowed = _concerns(desk, one) and one.deputy_id != desk.user.id
    return await second_person(desk, one.named_by, allowed=allowed, who=who)


async def show_new_deputy(desk: Desk) -> Shown:
    """The form for a deputy; an administrator says first for whom."""
    absent = await _absent(desk)
    if absent is None:
        return Shown("office/deputy_for.html", {"found": await find_users(desk)})
    others = await users_of(desk, absent.department_id)
    able = [one for one in others if one.id != absent.id and not one.disabled_at]
    options = [("", "–"), *((str(one.id), one.name) for one in able)]
    return Shown("office/deputy_new.html", {"absent": absent, "options": options})


async def _absent(desk: Desk) -> UserOut | None:
    """Who will be away; None: an administrator has not said yet."""
    given = desk.typed("absent_id") or desk.request.query.get("absent", "")
    if given:
        try:
            return await desk.get(users.get_user, user_id=UUID(given))
        except ValueError:
            raise NotFound(phrase("there is nothing at this address")) from None
    if desk.may(Right.ACCOUNTS):
        return None
    return await desk.get(users.get_user, user_id=desk.user.id)


async def name_deputy(desk: Desk) -> Gone:
    """Name a deputy; for somebody else, it waits for a second person."""
    given = {name: instant_of(desk.form, name, desk.zone) for name in ("starts_at", "ends_at")}
    try:
        body = body_of(DeputyBody, desk.form, but=OWN, given=given)
        made = await desk.act(deputies.name_deputy, body=body)
    except Invalid as error:
        fields = {
            f"{name}.day" if name in given else name: said for name, said in error.fields.items()
        }
        raise Invalid(error.message, fields=fields) from error
    done = phrase("The deputy is named.")
    if made.needs_second:
        done = phrase(
            "The deputy counts once the absent approver, or another administrator, confirms it."
        )
    return Gone(DEPUTIES, done)


async def confirm_deputy(desk: Desk) -> Gone:
    """Let a deputy stand in, as the second person."""
    await desk.act(deputies.confirm_deputy, deputy_id=desk.uuid("deputy_id"))
    return Gone(DEPUTIES, phrase("The deputy counts now."))


async def end_deputy(desk: Desk) -> Gone:
    """End it before its time."""
    await desk.act(deputies.end_deputy, deputy_id=desk.uuid("deputy_id"))
    return Gone(DEPUTIES, phrase("The deputy signs no more."))
