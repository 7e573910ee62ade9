"""What the pages on coverage show: the facts of a scope beside the denominators of its day."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.vocabulary.roles import ROLES
from service.clock import day_in_china
from service.errors import NotFound
from service.reports.coverage import denominator_store, fact_store, scope_store
from service.reports.coverage.coverage import Coverage, View, cover
from service.reports.coverage.denominators import PHONES, RESIDENTS, Denominators
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.storage.postgres import Connection
from service.words.phrase import phrase


class CoverageReport(NamedTuple):
    """A scope in figures. denominator: the kind of people there should be. of_run: of a single run,
    whose people are those it was addressed to, and not all on file (decision 0612).
    """

    as_of: datetime
    final: bool
    denominator: str
    coverage: Coverage
    of_run: bool = False


async def coverage_report(
    conn: Connection, scope: CoverageScope, view: View, kind: str | None, now: datetime
) -> CoverageReport | None:
    """A scope in figures; None: nothing was counted of it yet. kind: of the people there should be;
    None: the usual one.

    Raises:
        NotFound: there is no such area.
    """
    scope_id = await scope_store.find_scope(conn, scope)
    if scope_id is None:
        return None
    tree = await read_area_tree(conn)
    if view.within is not None and view.within not in tree.areas:
        raise NotFound(phrase("there is no area of this code"))
    inside = None if view.within is None else tree.subtree(view.within)
    counted = await fact_store.read_facts(
        conn, scope_id, view.role, areas=inside, by_town=_is_wide(tree, view)
    )
    if counted is None:
        return None
    day = _day_of(scope, now)
    kind = kind or view.role or await _usual(conn)

    async def denominators(of: str) -> Denominators:
        entries = await denominator_store.entries_until(conn, of, day, inside)
        return Denominators(tree, entries, of, day)

    of_role = {
        role: await denominators(role)
        for role in await denominator_store.kinds_entered(conn)
        if role in ROLES
    }
    found = cover(counted.facts, counted.of_roles, tree, await denominators(kind), of_role, view)
    return CoverageReport(
        counted.as_of, counted.final, kind, found, of_run=scope.kind is ScopeKind.RUN
    )


def _is_wide(tree: AreaTree, view: View) -> bool:
    """Whether a view by counties or towns may be of many counties."""
    if view.level not in {"county", "town"}:
        return False
    return view.within is None or tree.areas[view.within].level in {"province", "city"}


async def _usual(conn: Connection) -> str:
    return PHONES if PHONES in await denominator_store.kinds_entered(conn) else RESIDENTS


def _day_of(scope: CoverageScope, now: datetime) -> date:
    """The day whose denominators count: of a quarter that is over its last one, else today."""
    today = day_in_china(now)
    if scope.quarter is None:
        return today
    end = (scope.quarter + timedelta(days=93)).replace(day=1)
    return min(today, end - timedelta(days=1))
