"""Setting what departments owe, changing and ending it; choosing the texts that remind of it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.departments.department import COUNTY, KINDS
from service.accounts.departments.department_store import get_department
from service.accounts.people.model import By, Right, User
from service.audience.areas.area_store import area_names
from service.audience.vocabulary.roles import ROLES
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.holidays import Holidays
from service.clock import day_in_china
from service.duties import duty_store, obligation_store
from service.duties.deadline import (
    Deadline,
    DueRule,
    DutyPeriod,
    PeriodKind,
    check_rule,
    deadline,
    period_after,
    period_at,
    periods_between,
)
from service.duties.ladder import Rung, TextKind
from service.duties.obligation_store import (
    ChosenDutyText,
    NewObligation,
    ObligationKind,
    ObligationRow,
)
from service.duties.text_values import check_template
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.ledger.message_class import CLASSES
from service.messages.lint.lint_store import policy_get
from service.messages.offers.offers import needs_no_approval
from service.messages.store import template_get
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

MOST_DAYS = timedelta(days=3 * 366)
"""Of so long a span dates are shown at most."""


class Changes(NamedTuple):
    """What of an obligation changes; None: stays as it is. until_on is set, also to None, with
    `sets_until`.
    """

    title: str | None
    until_on: date | None
    sets_until: bool
    needs: dict[str, Any] | None
    remind: Sequence[Any] | None
    rungs: Sequence[Rung] | None


class ShownDate(NamedTuple):
    """A period of an obligation, and when it is due."""

    obligation: ObligationRow
    period: DutyPeriod
    due: Deadline


async def set_obligation(conn: Connection, actor: User, new: NewObligation, by: By) -> UUID:
    """Let departments owe something again and again; of the period that goes on, too, unless its
    deadline is over.

    Raises:
        Forbidden: the actor's department is no county, and asks others than those below it.
        Invalid: names the field.
    """
    rule = new.rule._replace(first=new.from_on)
    check_rule(rule)
    _check_span(new, by.at)
    _check_needs(new.kind, new.needs)
    await _check_areas(conn, new)
    await _check_whose(conn, actor, new)
    county = await load_county(conn)
    version = await obligation_store.calendar_version(conn)
    if rule.period is PeriodKind.ONCE:
        due = deadline(rule, period_at(rule, new.from_on), county.holidays)
        if due.at <= by.at:
            raise Invalid.at("due", phrase("its deadline is over already"))
    return await obligation_store.insert_obligation(
        conn, actor.department_id, new, (_user(by), by.at), new.from_on, version
    )


def _check_span(new: NewObligation, now: datetime) -> None:
    if new.from_on < day_in_china(now):
        raise Invalid.at("from", phrase("give today or a day that is to come"))
    last = new.rule.on if new.rule.period is PeriodKind.ONCE else new.until_on
    if last is not None and last < new.from_on:
        raise Invalid.at("until", phrase("it is over before it begins"))


async def _check_whose(conn: Connection, actor: User, new: NewObligation) -> None:
    if bool(new.departments) == bool(new.kinds):
        raise Invalid.at("departments", phrase("give departments or kinds, one of both"))
    if unknown := sorted(set(new.kinds) - set(KINDS)):
        raise Invalid.at(
            "kinds",
            phrase(
                "there is no kind {unknown}; there are {kinds}",
                unknown=listing(unknown),
                kinds=listing(KINDS),
            ),
        )
    for department_id in new.departments:
        try:
            await get_department(conn, department_id, None)
        except NotFound as error:
            raise Invalid.at("departments", error.message) from error
    if actor.department_kind == COUNTY:
        return
    if outside := [one for one in new.departments if one not in actor.below]:
        raise Forbidden(
            phrase(
                "a department asks those below it alone, and {outside} is none of them; the county"
                " asks all",
                outside=outside[0],
            )
        )
    if not actor.below:
        raise Forbidden(phrase("there is no department below yours that could owe anything"))


_NEEDS: Mapping[ObligationKind, set[str]] = {
    ObligationKind.WEEKLY_REPORT: {"narrative", "photos"},
    ObligationKind.CUSTOM: {"narrative", "photos"},
    ObligationKind.VISITS: set(),
    ObligationKind.RELAY: set(),
    ObligationKind.ROSTER: {"roster"},
    ObligationKind.SEND: {"class", "topic", "role", "area", "target"},
}


def _check_needs(kind: ObligationKind, needs: Mapping[str, Any]) -> None:
    known = _NEEDS[kind]
    if unknown := sorted(set(needs) - known):
        problem = phrase(
            "what is owed as {kind} can need {known} alone",
            kind=kind.value,
            known=listing(sorted(known)),
        )
        if not known:
            problem = phrase("what is owed as {kind} needs nothing further", kind=kind.value)
        raise Invalid.at(f"needs.{unknown[0]}", problem)
    if kind is ObligationKind.ROSTER and "roster" not in needs:
        raise Invalid.at("needs.roster", phrase("name the list that is to be kept up to date"))
    if needs.get("class") not in {None, *CLASSES}:
        raise Invalid.at("needs.class", phrase("one of {classes}", classes=listing(CLASSES)))
    if needs.get("role") not in {None, *ROLES}:
        raise Invalid.at("needs.role", phrase("there is no such role"))


async def _check_areas(conn: Connection, new: NewObligation) -> None:
    area = new.needs.get("area")
    if area is not None and not await area_names(conn, [area]):
        raise Invalid.at("needs.area", phrase("there is no area of this code"))


async def find(
    conn: Connection, actor: User, obligation_id: UUID, *, lock: bool = False
) -> ObligationRow:
    """An obligation that somebody may see: of the own department, or that concerns it.

    Raises:
        NotFound: there is none of this id that the actor may see.
    """
    read = obligation_store.lock_obligation if lock else obligation_store.find_obligation
    found = await read(conn, obligation_id)
    if found is not None and actor.count_scope is not None:
        known = {actor.department_id, *actor.below}
        owes = set(await who_owes(conn, found)) & known
        if found.setter_id != actor.department_id and not owes:
            found = None
    if found is None:
        raise NotFound(phrase("there is no obligation {id}", id=obligation_id))
    return found


async def who_owes(conn: Connection, obligation: ObligationRow) -> list[UUID]:
    """The departments that owe it now."""
    setter = await get_department(conn, obligation.setter_id, None)
    return await obligation_store.who_owes(conn, obligation, setter.kind == COUNTY)


def may_change(actor: User, obligation: ObligationRow) -> bool:
    """Whether somebody may change or end it, as it stands."""
    asks = obligation.setter_id == actor.department_id or actor.runs_the_county
    return actor.may(Right.OBLIGATIONS) and asks and obligation.ended_at is None


async def change(
    conn: Connection, actor: User, obligation_id: UUID, changes: Changes, by: By
) -> None:
    """Change its title, end, needs, reminders or ladder. Who owes it and when is not changed: end
    it, and set another one.

    Raises:
        NotFound, Forbidden: as for `find`; or the actor's department does not ask for it.
        Conflict: it is over.
        Invalid: names the field.
    """
    found = await _own(conn, actor, obligation_id)
    new = found.new
    changed = new._replace(
        title=new.title if changes.title is None else changes.title,
        until_on=changes.until_on if changes.sets_until else new.until_on,
        needs=new.needs if changes.needs is None else changes.needs,
        remind=new.remind if changes.remind is None else changes.remind,
        rungs=new.rungs if changes.rungs is None else changes.rungs,
    )
    _check_needs(new.kind, changed.needs)
    await _check_areas(conn, changed)
    if changed.until_on is not None and changed.until_on < day_in_china(by.at):
        raise Invalid.at("until", phrase("give today or a day that is to come"))
    await obligation_store.change_obligation(
        conn,
        obligation_id,
        title=changed.title,
        until_on=changed.until_on,
        needs=changed.needs,
        remind=changed.remind,
        rungs=changed.rungs,
    )
    await duty_store.look_now(conn, obligation_id, by.at)
    if found.next_on is None and changed.until_on != new.until_on:
        calendar = (await load_county(conn)).holidays
        await obligation_store.set_next(conn, obligation_id, _next_on(new.rule, by.at, calendar))


def _next_on(rule: DueRule, now: datetime, calendar: Holidays) -> date | None:
    """The first day of which duties are made anew, where there were none any more: of the period
    that goes on, unless its deadline is over.
    """
    today = day_in_china(now)
    period = period_at(rule, today)
    if deadline(rule, period, calendar).at > now:
        return today
    after = period_after(rule, period)
    return None if after is None else after.first


async def end(conn: Connection, actor: User, obligation_id: UUID, by: By) -> None:
    """Make no further duties; those that there are stay owed until they are in or excused.

    Raises:
        NotFound, Forbidden, Conflict: as for `change`.
    """
    await _own(conn, actor, obligation_id)
    await obligation_store.end_obligation(conn, obligation_id, _user(by), by.at)


async def _own(conn: Connection, actor: User, obligation_id: UUID) -> ObligationRow:
    found = await find(conn, actor, obligation_id, lock=True)
    if found.ended_at is not None:
        raise Conflict(phrase("the obligation is over"), code="obligation_over")
    if not may_change(actor, found):
        raise Forbidden(phrase("only the department that asks for it changes it, or the county"))
    return found


def dates_of(
    obligation: ObligationRow, first: date, last: date, calendar: Holidays
) -> list[ShownDate]:
    """The periods of an obligation that begin in a span of days, and when each is due.

    Raises:
        Invalid: the span is longer than `MOST_DAYS`, or ends before it begins.
    """
    if not first <= last <= first + MOST_DAYS:
        raise Invalid.at(
            "to",
            phrase("give a day after from, and at most {days} days later", days=MOST_DAYS.days),
        )
    new = obligation.new
    first = max(first, new.from_on)
    if new.until_on is not None:
        last = min(last, new.until_on)
    return [
        ShownDate(obligation, period, deadline(new.rule, period, calendar))
        for period in periods_between(new.rule, first, last)
    ]


async def choose_text(
    conn: Connection, actor: User, kind: TextKind, template_id: UUID | None, by: By
) -> None:
    """Choose a template of the own department for a kind of step; None: none is sent for it.

    Raises:
        NotFound: there is no such template.
        Conflict: nobody has approved its latest version.
        Invalid: it is no service text, or has a variable that is not known here.
    """
    if template_id is not None:
        template = await template_get(conn, template_id, actor.department_id)
        if not await needs_no_approval(conn, template):
            raise Conflict(
                phrase(
                    "the latest version of the template is not approved yet; somebody else"
                    " than its author approves it: POST /templates/{{template_id}}/approve"
                ),
                code="template_not_approved",
            )
        await check_template(conn, actor.department_id, template, await policy_get(conn))
    await obligation_store.set_text(
        conn, actor.department_id, kind, template_id, (_user(by), by.at)
    )


async def chosen(conn: Connection, actor: User) -> dict[TextKind, ChosenDutyText]:
    """The templates that the own department has chosen."""
    found = await obligation_store.chosen_texts(conn, [actor.department_id])
    return {one.kind: one for one in found}


def _user(by: By) -> UUID:
    if by.user_id is None:
        raise ValueError("a person sets an obligation")
    return by.user_id
