"""What the pages on coverage show: the facts of a scope beside the denominators of its day."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from service.audience.areas.area_store import read_area_tree
from service.audience.vocabulary.roles import ROLES
from service.clock import day_in_china
from service.errors import NotFound
from service.reports.coverage import denominator_store, fact_store, scope_store
from service.reports.coverage.coverage import Coverage, View, cover
from service.reports.coverage.denominators import PHONES, RESIDENTS, Denominators
from service.reports.coverage.scope_store import CoverageScope
from service.storage.postgres import Connection
from service.words.phrase import phrase


class CoverageReport(NamedTuple):
    """A scope in figures. denominator: the kind of people there should be."""

    as_of: datetime
    final: bool
    denominator: str
    coverage: Coverage


async def coverage_report(
    conn: Connection, scope: CoverageScope, view: View, kind: str | None, now: datetime
) -> CoverageReport | None:
    """A scope in figures; None: nothing was counted of it yet. kind: of the people there should be;
    None: the usual one.

    Raises:
        NotFound: there is no such area.
    """
    scope_id = await scope_store.find_scope(conn, scope)
    counted = None if scope_id is None else await fact_store.read_facts(conn, scope_id)
    if counted is None:
        return None
    as_of, final, facts = counted
    tree = await read_area_tree(conn)
    if view.within is not None and view.within not in tree.areas:
        raise NotFound(phrase("there is no area of this code"))
    day = _day_of(scope, now)
    kind = kind or view.role or await _usual(conn)
    denominators = Denominators(
        tree.areas, await denominator_store.entries_until(conn, kind, day), kind, day
    )
    of_role = {}
    for role in await denominator_store.kinds_entered(conn):
        if role in ROLES:
            entries = await denominator_store.entries_until(conn, role, day)
            of_role[role] = Denominators(tree.areas, entries, role, day)
    coverage = cover(facts, tree.areas, denominators, of_role, view)
    return CoverageReport(as_of, final, kind, coverage)


async def _usual(conn: Connection) -> str:
    return PHONES if PHONES in await denominator_store.kinds_entered(conn) else RESIDENTS


def _day_of(scope: CoverageScope, now: datetime) -> date:
    """The day whose denominators count: of a quarter that is over its last one, else today."""
    today = day_in_china(now)
    if scope.quarter is None:
        return today
    end = (scope.quarter + timedelta(days=93)).replace(day=1)
    return min(today, end - timedelta(days=1))
