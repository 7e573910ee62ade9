"""Bulletins: a week's figures, frozen with a number, a version and a hash, and their release."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.cases import bulletin_store, store
from service.cases.bulletin_store import Bulletin
from service.cases.figures import CaseBook, CaseFigure, base_weeks, total_of, year_on_year
from service.cases.fraud_types import FraudTypes
from service.cases.releases import (
    Cells,
    PublicRules,
    named_kinds,
    quarter_cells,
    week_cells,
)
from service.cases.settings_store import CaseSettings, read_settings
from service.cases.week import IsoWeek, Period, quarter_before, quarter_of
from service.errors import Conflict, NotFound
from service.messages.lint.lint_store import policy_get
from service.storage.locks import lock_cases
from service.storage.postgres import Connection
from service.words.phrase import phrase


class CountyRules(NamedTuple):
    """What a bulletin is made with: the tree, the kinds of fraud, and the county's rules."""

    tree: AreaTree
    types: FraudTypes
    settings: CaseSettings
    rules: PublicRules


async def read_county(conn: Connection) -> CountyRules:
    """The county's tree, kinds and rules as they are now."""
    tree = await read_area_tree(conn)
    towns = [area.code for area in tree.areas.values() if area.level == "town"]
    small = (await policy_get(conn)).small_count
    return CountyRules(
        tree,
        await store.read_fraud_types(conn),
        await read_settings(conn),
        PublicRules(small, towns, tree.town_of),
    )


async def draft(conn: Connection, week: IsoWeek, tree: AreaTree) -> dict[str, Any]:
    """The figures of a week as they would be issued now.

    Raises:
        NotFound: nothing covers the week.
    """
    base = base_weeks([week]) or []
    book = await store.read_book(conn, [week, *base])
    if book.missing([week]):
        raise NotFound(
            phrase("there are no figures of {week}", week=str(week)), code="week_unknown"
        )
    return frozen(week, book, tree)


def frozen(week: IsoWeek, book: CaseBook, tree: AreaTree) -> dict[str, Any]:
    """A week's figures in the form of a bulletin: exact, to the village, with the year before."""
    compared = year_on_year(book, [week])
    own = [figure for figure in book.figures if figure.week == week]
    now = total_of(own)
    return {
        "cases": now.cases,
        "loss_yuan": now.loss_yuan,
        "cases_last_year": compared.before.cases if compared.before else None,
        "loss_last_year": compared.before.loss_yuan if compared.before else None,
        "cases_change_pct": compared.cases_change_pct,
        "loss_change_pct": compared.loss_change_pct,
        "towns": _sums(own, [tree.town_of(figure.area) for figure in own]),
        "villages": _sums(own, [figure.area for figure in own]),
        "types": _sums(own, [figure.fraud_type for figure in own]),
    }


def _sums(figures: Sequence[CaseFigure], keys: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for figure, key in zip(figures, keys, strict=True):
        total = found.setdefault(key, {"cases": 0, "loss_yuan": 0})
        total["cases"] += figure.cases
        total["loss_yuan"] += figure.loss_yuan
    return dict(sorted(found.items()))


def number_of(week: IsoWeek) -> str:
    """The number of a week's bulletin, which its corrections keep."""
    return f"〔{week.year}〕{week.number}号"


def digest_of(number: str, week: str, version: int, figures: Mapping[str, Any]) -> str:
    """The SHA-256 of a bulletin: of its JSON with sorted keys and no white space, in UTF-8."""
    content = {"number": number, "week": week, "version": version, "figures": figures}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def issue(conn: Connection, week: IsoWeek, user_id: UUID, now: datetime) -> Bulletin:
    """Issue the bulletin of a week, and release to the public what may be.

    Raises:
        NotFound: nothing covers the week.
        Conflict: it was issued before, or the week is not over.
    """
    await lock_cases(conn)
    if await bulletin_store.versions_of(conn, str(week)):
        raise Conflict(
            phrase("the bulletin of {week} was issued before: correct it", week=str(week)),
            code="issued_already",
        )
    return await _issue(conn, week, [], "", user_id, now)


async def correct(
    conn: Connection, week: IsoWeek, reason: str, user_id: UUID, now: datetime
) -> Bulletin:
    """Issue the next version of a bulletin, with the figures as they are now.

    Raises:
        NotFound: it was never issued.
        Conflict: the figures are still those of the last version.
    """
    await lock_cases(conn)
    earlier = await bulletin_store.versions_of(conn, str(week))
    if not earlier:
        raise NotFound(phrase("there is no bulletin of {week}", week=str(week)))
    return await _issue(conn, week, earlier, reason, user_id, now)


async def _issue(
    conn: Connection,
    week: IsoWeek,
    earlier: Sequence[Bulletin],
    reason: str,
    user_id: UUID,
    now: datetime,
) -> Bulletin:
    county = await read_county(conn)
    figures = await draft(conn, week, county.tree)
    if earlier and earlier[-1].figures == figures:
        raise Conflict(
            phrase("the figures of {week} are still those that were issued", week=str(week)),
            code="nothing_to_correct",
        )
    version = len(earlier) + 1
    cells = await _release(conn, week, county, earlier, now)
    release_id = await bulletin_store.insert_release(conn, str(week), version, cells, now)
    number = number_of(week)
    digest = digest_of(number, str(week), version, figures)
    made = Bulletin(str(week), version, number, figures, digest, reason, user_id, now, cells)
    await bulletin_store.insert_bulletin(conn, made, release_id)
    return made


async def _release(
    conn: Connection,
    week: IsoWeek,
    county: CountyRules,
    earlier: Sequence[Bulletin],
    now: datetime,
) -> dict[str, Any]:
    """What the public is shown of a week; releases the last quarter that is over by it, too."""
    quarter = (
        quarter_of(week) if week == quarter_of(week).last else quarter_before(quarter_of(week))
    )
    of_quarter = await _release_quarter(conn, quarter, county, now)
    book = await store.read_book(conn, [week])
    by_week = county.settings.public_towns_in(quarter_of(week)) == "week"
    # The settings may have changed since: towns of a quarter are never public in both ways.
    own_quarter = await bulletin_store.get_release(conn, str(quarter_of(week)))
    by_week = by_week and not (own_quarter and own_quarter["towns"])
    cells = week_cells(
        week,
        book,
        county.rules,
        shows_towns=by_week,
        first=earlier[0].release if earlier else None,
        latest=earlier[-1].release if earlier else None,
    )
    shown = dict(of_quarter) | {"period": str(quarter)} if of_quarter else None
    if shown:
        total = (await store.read_book(conn, quarter.weeks)).total(quarter.weeks)
        shown["corrected_by"] = total.cases - shown["cases"] if total else None
    return cells | {"kinds": named_kinds(of_quarter, county.types), "quarter": shown}


async def _release_quarter(
    conn: Connection, quarter: Period, county: CountyRules, now: datetime
) -> Cells | None:
    """What the public was shown of a quarter, perhaps just now; None: a week is not covered."""
    known = await bulletin_store.get_release(conn, str(quarter))
    if known is not None:
        return known
    book = await store.read_book(conn, quarter.weeks)
    if book.missing(quarter.weeks):
        return None
    by_week = await bulletin_store.towns_by_week(conn, list(map(str, quarter.weeks)))
    shows_towns = county.settings.public_towns_in(quarter) == "quarter" and not by_week
    cells = quarter_cells(quarter, book, county.rules, county.types, shows_towns=shows_towns)
    await bulletin_store.insert_release(conn, str(quarter), 1, cells, now)
    return cells
