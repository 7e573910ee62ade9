"""Who is behind the counts of coverage: people of the own department, masked, for a purpose."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.people import need_people
from service.api.http.call import Call
from service.api.http.paging import PageQuery, unknown_cursor
from service.api.http.schema import AreaName, Line, Out, Page
from service.api.reports.coverage import Subject, check_role, nothing_counted, quarter_of
from service.api.sending.runs import visible_run
from service.audience.areas.area_store import area_names, read_area_tree
from service.audience.numbers.number import mask
from service.campaigns.plans import planning
from service.errors import NotFound
from service.ledger.message_id import message_id
from service.reports.coverage import people, scope_store
from service.reports.coverage.coverage import NOWHERE
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.people import WantedPeople
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.words.phrase import phrase

MOST_PEOPLE = 100

Purpose = Literal["follow_up", "visit", "complaint", "list_check", "audit"]


class CoveragePeopleQuery(Subject, PageQuery):
    """Whom of a scope, and what for."""

    purpose: Purpose = Field(
        description="Why you look: to send again, to go to the door, after a complaint, to mend a"
        " list, or to check somebody's work. It stands in the audit trail."
    )
    outcome: PersonOutcome | None = Field(default=None, description="Only those who came to it.")
    reason: Line | None = Field(default=None, description="Only those with this reason.")
    area: Line | None = Field(
        default=None, description='Only people of this area, by its code; "none": of no known area.'
    )
    role: Line | None = Field(default=None, description="Only people of this role, by its key.")
    limit: int = Field(default=50, ge=1, le=MOST_PEOPLE, description="Items on a page.")


class CoveredPersonOut(Out):
    """A person, and the best that any text of the scope came to."""

    phone: str | None = Field(description="Masked; null: left out, or not kept any more.")
    area: str | None
    area_name: AreaName
    roles: list[str]
    outcome: PersonOutcome
    reason: str | None
    message_id: str | None = Field(description="That text; null: none was written.")


async def list_covered_people(call: Call, query: CoveragePeopleQuery) -> Page[CoveredPersonOut]:
    """List the people behind the counts of a scope, phones masked; of your department's runs alone.

    A page may have fewer than `limit` people, or none: go on while there is a `next_cursor`.
    """
    check_role(query.role)
    scope, department_id = await _scope(call, query)
    scope_id = await scope_store.find_scope(call.conn, scope)
    if scope_id is None:
        raise nothing_counted()
    runs = await people.runs_for_people(call.conn, scope_id, department_id)
    wanted = WantedPeople(query.outcome, query.reason, query.role, await _areas(call, query.area))
    found = await people.list_people(call.conn, runs, wanted, _after(query), query.limit)
    names = await area_names(call.conn, (row["area_code"] for row in found.rows))
    call.note("coverage", str(scope_id), purpose=query.purpose, people=len(found.rows))
    return Page[CoveredPersonOut](
        items=[_out(call, row, names) for row in found.rows],
        next_cursor=None if found.after is None else found.after.hex(),
    )


async def _scope(call: Call, query: CoveragePeopleQuery) -> tuple[CoverageScope, UUID]:
    """The scope, and the department whose people are listed."""
    if query.run is not None:
        run = await visible_run(call, query.run)
        root = await scope_store.root_run(call.conn, run.id)
        found, whose = CoverageScope(ScopeKind.RUN, run_id=root), run.department_id
    elif query.campaign is not None:
        campaign = await planning.load(call.conn, query.campaign, call.user.scope)
        whose = campaign.department_id
        found = CoverageScope(ScopeKind.CAMPAIGN, campaign_id=query.campaign)
    else:
        whose = call.user.department_id
        found = CoverageScope(
            ScopeKind.QUARTER,
            department_id=call.user.scope,
            quarter=quarter_of(query.quarter or ""),
            message_class=query.message_class,
        )
    await need_people(call, whose)
    return found, whose


async def _areas(call: Call, area: str | None) -> list[str] | None:
    """The codes of an area and of all below it."""
    if area is None:
        return None
    if area == NOWHERE:
        return [""]
    tree = (await read_area_tree(call.conn)).areas
    if area not in tree:
        raise NotFound(phrase("there is no area of this code"))
    found, waiting = [], [area]
    children: dict[str, list[str]] = {}
    for one in tree.values():
        children.setdefault(one.parent, []).append(one.code)
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], ())
    return found


def _after(query: CoveragePeopleQuery) -> bytes:
    try:
        return bytes.fromhex(query.cursor or "")
    except ValueError:
        raise unknown_cursor() from None


def _out(call: Call, row: Mapping[str, Any], names: Mapping[str, str]) -> CoveredPersonOut:
    cipher, code = row["phone_cipher"], row["area_code"]
    written = row["no"] is not None
    return CoveredPersonOut(
        phone=None if cipher is None else mask(call.runtime.keyring.decrypt("phone", cipher)),
        area=code,
        area_name=names.get(code or ""),
        roles=list(row["roles"] or ()),
        outcome=list(PersonOutcome)[row["rank"]],
        reason=row["reason"],
        message_id=message_id(row["run_id"], row["no"]) if written else None,
    )
