"""Coverage on pages: of all who there should be, how many were reached, and who says how many."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from service.accounts.people.model import Right
from service.api.campaigns import campaigns
from service.api.content import places
from service.api.content.places import PlaceCountQuery
from service.api.followups import followups
from service.api.followups.followups import FollowupQuery
from service.api.http.downloads import MadeFile
from service.api.reports import coverage, denominators
from service.api.reports.coverage import (
    AreaFiguresOut,
    CoverageExportQuery,
    CoverageOut,
    CoverageQuery,
    RecountBody,
)
from service.api.reports.denominators import DenominatorBody, DenominatorQuery, DenominatorsBody
from service.api.sending import runs
from service.audience.vocabulary.roles import ROLE_TITLES
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Gone, Shown
from service.console.reports.coverage_grid import (
    COVERAGE,
    MEASURES,
    Tile,
    TileGroup,
    from_the_lowest,
    share_of,
    tile,
)
from service.console.reports.coverage_people import PURPOSES
from service.console.words import reason_word, role_word
from service.errors import Forbidden, Invalid, NotFound
from service.messages.wordings.wording import KIND_WORDS as WORDING_KINDS
from service.reports.coverage.coverage import NOWHERE
from service.reports.coverage.denominators import (
    HOUSEHOLDS,
    KINDS,
    PACKAGED,
    PHONES,
    RESIDENTS,
    list_of,
)
from service.reports.coverage.outcome_words import OUTCOMES
from service.words.phrase import listing, phrase

KIND_WORDS = {
    RESIDENTS: phrase("all who live there"),
    PHONES: phrase("people with a phone"),
    HOUSEHOLDS: phrase("households"),
}
_COUNTY_DIGITS, _TOWN_DIGITS = 6, 9
"""So many first digits of an area's code are its county's, and its town's."""
FLAG_WORDS = {
    "denominator_suspect": phrase("more on file than there should be"),
    "denominator_old": phrase("the number is older than 400 days"),
    "denominator_jump": phrase("the number is a tenth off the one before"),
    "children_missing": phrase("areas below without a number"),
}


async def show_run(desk: Desk) -> Shown:
    """Of a run, with what was sent again of it."""
    run = await desk.get(runs.get_run, run_id=desk.uuid("run_id"))
    told: dict[str, Any] = {
        "title": desk.language.when(run.fire_at),
        "base": f"/runs/{run.id}",
    }
    begun = await desk.get(followups.list_followups, query=FollowupQuery(run=run.id))
    last = next(iter(begun.items), None)
    told["followup"] = last and last.id
    over = last is None or last.state == "cancelled"
    told["may_follow"] = over and desk.may(Right.CONTROL) and run.campaign_id is not None
    return await _shown(desk, {"run": run.id}, told)


async def show_campaign(desk: Desk) -> Shown:
    """Of all runs of a campaign."""
    campaign_id = desk.uuid("campaign_id")
    campaign = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    told = {"title": campaign.name, "base": f"/reports/campaigns/{campaign_id}"}
    return await _shown(desk, {"campaign": campaign_id}, told)


async def show_quarter(desk: Desk) -> Shown:
    """Of all publicity of a quarter: this one, or one that is given."""
    day = desk.now.date()
    quarter = desk.request.query.get("quarter") or _quarter_of(day)
    told = {
        "title": quarter,
        "base": "/reports",
        "quarters": [(q, q) for q in _quarters(day)],
        "quarter": quarter,
        "places": await desk.get(places.count_places, query=_days_of(quarter)),
    }
    return await _shown(desk, {"quarter": quarter}, told)


def _days_of(quarter: str) -> PlaceCountQuery:
    """The days of a quarter; those of this one, if it is written otherwise."""
    try:
        first = coverage.quarter_of(quarter)
    except ValueError:
        return PlaceCountQuery()
    last = (first + timedelta(days=93)).replace(day=1) - timedelta(days=1)
    return PlaceCountQuery.model_validate({"from": first, "to": last})


async def export_run(desk: Desk) -> MadeFile:
    """The coverage of a run as a file, by villages."""
    return await _taken(desk, {"run": desk.uuid("run_id"), "level": "village"})


async def export_campaign(desk: Desk) -> MadeFile:
    """That of all runs of a campaign."""
    return await _taken(desk, {"campaign": desk.uuid("campaign_id"), "level": "village"})


async def export_quarter(desk: Desk) -> MadeFile:
    """That of all publicity of a quarter."""
    return await _taken(desk, {"level": "village"})


async def _taken(desk: Desk, scope: Mapping[str, object]) -> MadeFile:
    """By villages, and by towns for whoever sees no villages of it."""
    given = {**scope, "language": desk.language.code}
    try:
        return await _exported(desk, given)
    except Forbidden:
        return await _exported(desk, given | {"level": "town"})


async def _exported(desk: Desk, given: Mapping[str, object]) -> MadeFile:
    query = body_of(CoverageExportQuery, desk.form, given=given)
    return await desk.take(coverage.export_coverage, query=query)


async def recount_run(desk: Desk) -> Gone:
    """Count a run anew."""
    run_id = desk.uuid("run_id")
    await desk.act(coverage.recount_coverage, body=RecountBody.model_validate({"run": run_id}))
    return Gone(f"/runs/{run_id}/coverage", phrase("It is being counted anew."))


async def show_denominators(desk: Desk) -> Shown:
    """Who has said how many people there are, and where; and a form to say it."""
    query = body_of(DenominatorQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(denominators.list_denominators, query=query)
    return Shown("reports/denominators.html", {
        "items": found.items,
        "next": found.next_cursor,
        "may_enter": desk.may(Right.AREAS) and desk.user.department_kind == "county",
        "kinds": [(kind, _kind_word(desk, kind)) for kind in KINDS],
        "kind_word": lambda kind: _kind_word(desk, kind),
        "today": desk.now.date(),
    })  # fmt: skip


async def enter_denominator(desk: Desk) -> Gone:
    """Say how many people of a kind there are in an area."""
    item = body_of(DenominatorBody, desk.form)
    try:
        await desk.act(denominators.set_denominators, body=DenominatorsBody(items=[item]))
    except Invalid as error:
        fields = {name.removeprefix("items.0."): why for name, why in error.fields.items()}
        raise Invalid(error.message, fields=fields) from error
    return Gone("/reports/denominators", phrase("Written down."))


def _whose(desk: Desk, *, of_run: bool) -> dict[str, str]:
    """What the people counted are called: a run's are those it was addressed to."""
    people = phrase("Addressed") if of_run else phrase("On file")
    nobody = phrase("nobody addressed") if of_run else phrase("nobody on file")
    return {"people_word": desk.language.say(people), "nobody_word": desk.language.say(nobody)}


async def _shown(desk: Desk, scope: Mapping[str, object], told: Mapping[str, object]) -> Shown:
    area = desk.request.query.get("area") or None
    role = desk.request.query.get("role") or None
    show = desk.request.query.get("show", COVERAGE)
    if show not in MEASURES:
        raise Invalid(phrase("there is no such share"), fields={"show": listing(MEASURES)})
    level = "village" if area else "town"
    asked = {**scope, "role": role}
    query = made_of(CoverageQuery, {**asked, "area": area, "level": level})
    found: CoverageOut | None = None
    try:
        found = await desk.get(coverage.get_coverage, query=query)
    except NotFound as error:
        if error.code != "not_counted":
            raise
    facts: dict[str, Any] = {
        "quarters": (),
        "places": None,
        "place_kinds": WORDING_KINDS,
        "quarter": "",
        "followup": None,
        "may_follow": False,
        **told,
        "area": area,
        "role": role,
        "show": show,
        "found": found,
    }
    facts |= _whose(desk, of_run="run" in scope)
    facts["may_recount"] = desk.may(Right.CONTROL)
    facts["may_list"] = "run" in scope and desk.may(Right.READ)
    facts["purposes"] = [(one, desk.language.say(word)) for one, word in PURPOSES.items()]
    if found is not None:
        facts |= _words_of(desk, found)
        rows = from_the_lowest(found.areas, show)
        shown = [row for row in rows if not _is_folded(row)]
        facts["rows"] = shown or rows
        facts["nobody"] = [row for row in rows if _is_folded(row)] if shown else []
        facts["groups"] = await _tiles(desk, asked, found, area, show)
    return Shown("reports/coverage.html", facts)


def _is_folded(row: AreaFiguresOut) -> bool:
    """Whether nobody of an area is on file: its row has nothing to say, and is folded away."""
    return row.finer and row.area != NOWHERE and not row.on_file


def _words_of(desk: Desk, found: CoverageOut) -> dict[str, Any]:
    """What a page on coverage shows of its figures in words."""
    language = desk.language
    total = found.total
    return {
        "outcomes": {one.value: language.say(word) for one, word in OUTCOMES.items()},
        "kind": _kind_word(desk, found.denominator),
        "source": language.say(PACKAGED) if total.source == PACKAGED else total.source,
        "reasons": [
            (reason_word(code, language), people) for code, people in total.reasons.items()
        ],
        "roles": [(role_word(role, language), row) for role, row in found.by_role.items()],
        "flag_words": FLAG_WORDS,
        "measures": [(name, language.say(word)) for name, word in MEASURES.items()],
        "every_role": [(name, role_word(name, language)) for name in ROLE_TITLES],
    }


async def _tiles(
    desk: Desk, asked: Mapping[str, object], found: CoverageOut, area: str | None, show: str
) -> list[TileGroup]:
    """The tiles of the rows of a page: in a county those of its villages, town by town, for whoever
    may see villages; else one for each row.
    """
    rows = from_the_lowest(found.areas, show)
    places = [row for row in rows if row.finer and row.area != NOWHERE]
    villages: Sequence[AreaFiguresOut] = ()
    if area is None and len({row.area[:_COUNTY_DIGITS] for row in places}) == 1:
        villages = await _villages(desk, asked)
    if not villages:
        return [TileGroup(None, None, [_tile(desk, row, show, "") for row in places])]
    ordered = from_the_lowest(villages, show)
    return [
        TileGroup(
            town.name,
            share_of(town, show),
            [
                _tile(desk, row, show, town.area)
                for row in ordered
                if row.finer and row.area.startswith(town.area[:_TOWN_DIGITS])
            ],
        )
        for town in places
    ]


async def _villages(desk: Desk, asked: Mapping[str, object]) -> Sequence[AreaFiguresOut]:
    """The villages of all towns; none for whoever sees counts by towns alone."""
    query = made_of(CoverageQuery, {**asked, "level": "village"})
    try:
        return (await desk.get(coverage.get_coverage, query=query)).areas
    except Forbidden:
        return ()


def _tile(desk: Desk, row: AreaFiguresOut, show: str, town: str) -> Tile:
    """A tile that leads to the area's row: on the page of its town, or on this one (town: "")."""
    kept = {
        name: desk.request.query[name]
        for name in ("quarter", "role", "show")
        if desk.request.query.get(name)
    }
    query = "?" + urlencode({"area": town, **kept}) if town else ""
    place = "nobody" if _is_folded(row) else f"a-{row.area}"
    return tile(row, show, f"{query}#{place}", desk.language)


def _kind_word(desk: Desk, kind: str) -> str:
    if kind in ROLE_TITLES:
        return role_word(kind, desk.language)
    if (name := list_of(kind)) is not None:
        return desk.language.say(phrase("people of the list {name}", name=name))
    return desk.language.say(KIND_WORDS[kind])


def _quarter_of(day: date) -> str:
    return f"{day.year}-Q{(day.month + 2) // 3}"


def _quarters(day: date) -> list[str]:
    """This quarter and the seven before it, the newest first."""
    first = day.year * 4 + (day.month - 1) // 3
    return [f"{n // 4}-Q{n % 4 + 1}" for n in range(first, first - 8, -1)]
