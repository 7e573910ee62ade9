"""Bulletins: a week's figures as the reader may see them, issued, corrected, and for the public."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call, Visit
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.cases import bulletin_store, bulletins, sight, store
from service.cases.bulletin_store import Bulletin
from service.cases.fraud_types import FraudTypes
from service.cases.releases import text_values
from service.cases.settings_store import (
    BulletinVillages,
    CaseSettings,
    PublicTowns,
    read_settings,
    write_settings,
)
from service.cases.sight import CaseView
from service.cases.tables import CaseSight
from service.cases.week import IsoWeek, need_week, quarter_of, week_of
from service.errors import NotFound
from service.storage.postgres import Connection
from service.words.phrase import phrase

BulletinState = Literal["draft", "issued"]


class BulletinPlaceOut(Out):
    """A town, village or kind of fraud in a bulletin."""

    key: str
    name: str
    cases: int
    loss_yuan: int | None = Field(description="Null: not for your department.")


class BulletinVersionOut(Out):
    """A version of a bulletin: why it was corrected, by whom, and the hash of its figures."""

    version: int
    sha256: str
    reason: str
    issued_by: UUID
    issued_at: Instant


class PublicTableOut(Out):
    """The parts of a public total. Hidden: the total is all there is. The rest are parts of which
    each may be anything from 0 to less than the county's `small_count`.
    """

    hidden: bool
    shown: dict[str, int] = Field(description="By area code or key of a kind.")
    rest_parts: int | None
    rest: int | None


class PublicQuarterOut(Out):
    """The last quarter that was released. corrected_by: by how much its total has changed since;
    the parts stay as they were.
    """

    period: str
    cases: int
    corrected_by: int | None
    towns: PublicTableOut | None
    kinds: PublicTableOut


class PublicBulletinOut(Out):
    """What everybody may see of a week."""

    week: str
    number: str
    version: int
    first_day: date
    last_day: date
    issued_at: Instant
    cases: int
    loss_wan: float | None = Field(
        description="In 万元; null: too few cases, or one of them is most of it."
    )
    kinds: list[str] = Field(description="Names of kinds of fraud to beware of.")
    towns: PublicTableOut | None = Field(description="Null: they come with the quarter.")
    corrected_by: int = Field(description="Cases, beside the first version.")
    quarter: PublicQuarterOut | None
    names: dict[str, str] = Field(description="Of the towns and kinds in the tables.")


class BulletinOut(Out):
    """The figures of a week, as far as the reader's department may see them."""

    week: str
    number: str
    version: int = Field(description="0: it is not issued yet.")
    state: BulletinState
    first_day: date
    last_day: date
    cases: int
    loss_yuan: int | None
    cases_last_year: int | None
    cases_change_pct: float | None
    loss_last_year: int | None
    loss_change_pct: float | None
    towns: list[BulletinPlaceOut]
    villages: list[BulletinPlaceOut]
    types: list[BulletinPlaceOut]
    without_cases: list[str] | None = Field(
        description="Names of towns without a case; for the office only."
    )
    changed_since: bool = Field(description="The figures are others now: it is to be corrected.")
    versions: list[BulletinVersionOut]
    values: dict[str, str] = Field(
        description="What fills the variables of texts, from the release; one that may not be"
        " public is missing."
    )


class BulletinLineOut(Out):
    """A bulletin in a list."""

    week: str
    number: str
    version: int
    cases: int
    issued_at: Instant


class BulletinCorrectionBody(Body):
    """Why a bulletin is corrected."""

    reason: Line


class CaseSettingsBody(Body):
    """What of villages towns see, and how often towns are public; from the next quarter on."""

    bulletin_villages: BulletinVillages
    public_towns: PublicTowns
    reason: Line


class CaseSettingsOut(Out):
    """The settings on case figures. towns_from: from which quarter on public_towns holds."""

    bulletin_villages: BulletinVillages
    public_towns: PublicTowns
    towns_from: str
    before: PublicTowns = Field(description="How often towns are public until then.")
    version: int


async def list_bulletins(call: Call, query: PageQuery) -> Page[BulletinLineOut]:
    """List the bulletins that were issued, from the latest week on."""
    found = await bulletin_store.latest_bulletins(call.conn, query.text, query.wanted)
    lines = [
        BulletinLineOut(
            week=one.week,
            number=one.number,
            version=one.version,
            cases=one.figures["cases"],
            issued_at=one.issued_at,
        )
        for one in found
    ]
    return cut(Page[BulletinLineOut], lines, query, lambda line: line.week)


async def get_bulletin(call: Call, week: str) -> BulletinOut:
    """Show the figures of a week: as issued; before, to the office alone, as they are now."""
    which = need_week(week, "week")
    tree = await read_area_tree(call.conn)
    seen = await sight.look(call.conn, call.user, tree)
    versions = await bulletin_store.versions_of(call.conn, str(which))
    if not versions and seen.sight is not CaseSight.ALL:
        raise no_bulletin(which)
    types = await store.read_fraud_types(call.conn)
    return await _shown(call.conn, which, versions, seen, tree, types)


async def issue_bulletin(call: Call, week: str) -> BulletinOut:
    """Issue the bulletin of a week: its figures are frozen, and the public sees its release."""
    which = need_week(week, "week")
    made = await bulletins.issue(call.conn, which, call.user.id, call.now)
    call.note("bulletins", made.week, version=made.version, sha256=made.sha256)
    return await get_bulletin(call, week)


async def correct_bulletin(call: Call, week: str, body: BulletinCorrectionBody) -> BulletinOut:
    """Issue the next version of a bulletin, with the figures as they are now."""
    which = need_week(week, "week")
    made = await bulletins.correct(call.conn, which, body.reason, call.user.id, call.now)
    call.note("bulletins", made.week, version=made.version, sha256=made.sha256)
    return await get_bulletin(call, week)


async def get_public_bulletin(visit: Visit, week: str) -> PublicBulletinOut:
    """Show what everybody may see of a week, without a key; 30 times a minute from an address."""
    which = need_week(week, "week")
    async with visit.pool.acquire() as conn:
        return await public_bulletin(conn, which)


async def public_bulletin(conn: Connection, week: IsoWeek) -> PublicBulletinOut:
    """What everybody may see of a week.

    Raises:
        NotFound: no bulletin was issued of it.
    """
    versions = await bulletin_store.versions_of(conn, str(week))
    if not versions:
        raise no_bulletin(week)
    tree = await read_area_tree(conn)
    types = await store.read_fraud_types(conn)
    return public_out(week, versions[-1], tree, types)


async def get_case_settings(call: Call) -> CaseSettingsOut:
    """Show what of villages towns see, and how often towns are public."""
    return CaseSettingsOut.model_validate(await read_settings(call.conn))


async def set_case_settings(call: Call, body: CaseSettingsBody) -> CaseSettingsOut:
    """Set what towns see, and how often towns are public from the next quarter on."""
    before = await read_settings(call.conn)
    this_week = week_of(call.now.astimezone(call.runtime.settings.zone).date())
    quarter = quarter_of(this_week)
    next_quarter = quarter_of(quarter.last.next)
    kept = before.public_towns_in(quarter)
    changes = body.public_towns != kept
    settings = CaseSettings(
        body.bulletin_villages, body.public_towns, str(next_quarter) if changes else "", kept
    )
    await write_settings(call.conn, settings, body.reason, call.user.id, call.now)
    made = await get_case_settings(call)
    call.note("case_settings", made.version, public_towns=body.public_towns)
    return made


def public_out(
    week: IsoWeek, bulletin: Bulletin, tree: AreaTree, types: FraudTypes
) -> PublicBulletinOut:
    """A release with the names of what stands in it."""
    cells = bulletin.release
    quarter = cells["quarter"]
    tables = [cells["towns"], *((quarter["towns"], quarter["kinds"]) if quarter else ())]
    keys = {key for table in tables if table for key in table["shown"]}
    names = {kind.key: kind.name for kind in types.kinds}
    return PublicBulletinOut(
        week=bulletin.week,
        number=bulletin.number,
        version=bulletin.version,
        first_day=week.monday,
        last_day=week.sunday,
        issued_at=bulletin.issued_at,
        **{**cells, "kinds": [kind.name for kind in types.named(cells["kinds"])]},
        names={
            key: tree.areas[key].name if key in tree.areas else names.get(key, key)
            for key in sorted(keys)
        },
    )


def no_bulletin(week: IsoWeek) -> NotFound:
    """That a week has no bulletin that was issued."""
    return NotFound(phrase("there is no bulletin of {week}", week=str(week)))


async def _shown(
    conn: Connection,
    week: IsoWeek,
    versions: list[Bulletin],
    seen: CaseView,
    tree: AreaTree,
    types: FraudTypes,
) -> BulletinOut:
    latest = versions[-1] if versions else None
    draft = None
    if seen.sight is CaseSight.ALL:
        try:
            draft = await bulletins.draft(conn, week, tree)
        except NotFound:  # its file was taken back since: what was issued stays to be seen
            if latest is None:
                raise
    figures: dict[str, Any] = dict(latest.figures) if latest else draft or {}
    sees_loss = seen.sight is CaseSight.ALL
    kinds = types.named(latest.release["kinds"]) if latest else []
    return BulletinOut.model_validate({
        "week": str(week),
        "number": bulletins.number_of(week),
        "version": latest.version if latest else 0,
        "state": "issued" if latest else "draft",
        "first_day": week.monday,
        "last_day": week.sunday,
        **{name: figures[name] for name in ("cases", "cases_last_year", "cases_change_pct")},
        **{name: figures[name] if sees_loss else None for name in _LOSSES},
        **_places(figures, seen, tree, types),
        "changed_since": latest is not None and sees_loss and draft != latest.figures,
        "versions": versions,
        "values": text_values(week, latest.release, [kind.in_texts for kind in kinds])
        if latest
        else {},
    })  # fmt: skip


_LOSSES = ("loss_yuan", "loss_last_year", "loss_change_pct")


def _places(
    figures: Mapping[str, Any], seen: CaseView, tree: AreaTree, types: FraudTypes
) -> dict[str, Any]:
    """The towns, villages and kinds of a bulletin as somebody sees them."""
    sees_loss = seen.sight is CaseSight.ALL
    towns = [area for area in tree.areas.values() if area.level == "town"]
    return {
        "towns": [
            _place(area.code, area.name, figures["towns"], loss=seen.shows_loss(area.code))
            for area in towns
        ],
        "villages": [
            _place(code, tree.areas[code].name, figures["villages"], loss=sees_loss)
            for code in figures["villages"]
            if code in tree.areas and tree.areas[code].level != "town" and seen.lists(code)
        ],
        "types": [
            _place(kind.key, kind.name, figures["types"], loss=sees_loss) for kind in types.kinds
        ],
        "without_cases": [area.name for area in towns if area.code not in figures["towns"]]
        if sees_loss
        else None,
    }


def _place(key: str, name: str, of: dict[str, dict[str, int]], *, loss: bool) -> BulletinPlaceOut:
    found = of.get(key, {"cases": 0, "loss_yuan": 0})
    return BulletinPlaceOut(
        key=key,
        name=name,
        cases=found["cases"],
        loss_yuan=found["loss_yuan"] if loss else None,
    )
