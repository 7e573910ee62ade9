"""Case figures: read by week, town, village or kind of fraud, as far as the caller may."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal

from pydantic import Field, model_validator

from service.api.cases.case_imports import CaseSumOut
from service.api.http.call import Call
from service.api.http.schema import Body, Line, Out, QueryString, Text
from service.audience.areas.area import Area, AreaTree
from service.audience.areas.area_store import read_area_tree
from service.cases import sight, store
from service.cases.figures import CaseFigure, total_of
from service.cases.fraud_types import FraudType, FraudTypes
from service.cases.sight import CaseView
from service.cases.tables import CaseSight
from service.cases.week import IsoWeek, need_week, weeks_between
from service.errors import Invalid
from service.messages.value_kinds import FRAUDS
from service.words.phrase import phrase

CaseGrouping = Literal["week", "town", "village", "type"]
MOST_WEEKS = 265
MOST_KINDS = 100
VILLAGES = frozenset({"village", "community"})


class CasesQuery(QueryString):
    """Which weeks, and by what their cases are added up."""

    first: Text = Field(alias="from", description="The first week, as 2027-W01.")
    last: Text | None = Field(default=None, alias="to", description="Default: the same week.")
    by: CaseGrouping = "week"
    area: Text | None = Field(default=None, description="A town or village by its code.")
    types: Text | None = Field(
        default=None, description="Keys of kinds of fraud with commas between them; default: all."
    )


class CaseItemOut(Out):
    """Cases and loss of a week, area or kind; only one of the three is given."""

    week: str | None = None
    area: str | None = None
    name: str | None = Field(default=None, description="Of the area or kind.")
    type: str | None = None
    cases: int
    loss_yuan: int | None = Field(description="Null: not for your department.")


class CasesOut(Out):
    """Case figures, from covered weeks alone; nothing is known of the others."""

    covered: list[str]
    uncovered: list[str]
    items: list[CaseItemOut]
    by_town_only: CaseSumOut | None = Field(
        description="By village: the cases of which only the town is known. Null: not shown."
    )


class FraudTypeOut(Out):
    """A kind of fraud; `four_high`: one of the four that plans call 四类高发."""

    key: str
    slug: str
    name: str
    english: str
    in_texts: str = Field(description="How texts call it: what fills the variable 类型.")
    four_high: bool


class FraudTypesOut(Out):
    """The kinds of fraud of the county, in their order."""

    items: list[FraudTypeOut]


class FraudTypeBody(Body):
    """A kind of fraud."""

    key: Text = Field(pattern="^[A-Z][0-9]{2,3}$")
    slug: Text = Field(pattern="^[a-z][a-z0-9_]{0,30}$")
    name: Line
    english: Line
    in_texts: Line
    four_high: bool = False


class FraudTypesBody(Body):
    """All kinds of fraud, in the order in which they are shown."""

    items: list[FraudTypeBody] = Field(min_length=1, max_length=MOST_KINDS)

    @model_validator(mode="after")
    def _distinct(self) -> "FraudTypesBody":
        words = [word for kind in self.items for word in {kind.key, kind.slug, kind.name}]
        if len(words) != len(set(words)):
            raise ValueError(phrase("two kinds have the same key, slug or name"))
        unknown = [kind.in_texts for kind in self.items if kind.in_texts not in FRAUDS]
        if unknown:
            raise ValueError(phrase("no text may call a kind of fraud {word}", word=unknown[0]))
        return self


async def list_cases(call: Call, query: CasesQuery) -> CasesOut:
    """Add up the cases of weeks by week, town, village or kind of fraud."""
    weeks = _weeks(query)
    tree = await read_area_tree(call.conn)
    types = await store.read_fraud_types(call.conn)
    kinds = _kinds(query, types)
    place = _place(query.area, tree)
    seen = await sight.look(call.conn, call.user, tree)
    seen.check(query.by, query.area, place.level if place else None, of_kinds=kinds is not None)
    book = await store.read_book(call.conn, weeks)
    wanted = [
        figure
        for figure in book.figures
        if (kinds is None or figure.fraud_type in kinds)
        and (place is None or place.code in {figure.area, tree.town_of(figure.area)})
    ]
    keys = {
        "week": [str(week) for week in weeks if week in book.covered],
        "town": [area.code for area in tree.areas.values() if area.level == "town"],
        "village": [
            area.code
            for area in tree.areas.values()
            if area.level in VILLAGES
            and seen.lists(area.code)
            and (place is None or place.code in {area.code, area.parent})
        ],
        "type": types.keys if kinds is None else kinds,
    }[query.by]
    sums = _sums(query.by, keys, wanted, tree)
    return CasesOut(
        covered=[str(week) for week in weeks if week in book.covered],
        uncovered=[str(week) for week in weeks if week not in book.covered],
        items=[_item(query, key, total, seen, tree, types) for key, total in sums.items()],
        by_town_only=_by_town_only(query.by, wanted, seen, tree),
    )


async def get_fraud_types(call: Call) -> FraudTypesOut:
    """Show the kinds of fraud that figures and goals are about."""
    return FraudTypesOut.model_validate({"items": (await store.read_fraud_types(call.conn)).kinds})


async def set_fraud_types(call: Call, body: FraudTypesBody) -> FraudTypesOut:
    """Set the kinds of fraud, all of them; one that has figures stays, and may be renamed."""
    kinds = [FraudType(**kind.model_dump()) for kind in body.items]
    await store.write_fraud_types(call.conn, kinds)
    call.note("fraud_types", "all", kinds=len(kinds))
    return await get_fraud_types(call)


def _weeks(query: CasesQuery) -> list[IsoWeek]:
    first = need_week(query.first, "from")
    last = need_week(query.last, "to") if query.last else first
    if not first <= last or (last.monday - first.monday).days >= 7 * MOST_WEEKS:
        raise Invalid.at(
            "to",
            phrase(
                "to lies on or after from, and within {most_weeks} weeks of it",
                most_weeks=MOST_WEEKS,
            ),
        )
    return weeks_between(first, last)


def _kinds(query: CasesQuery, types: FraudTypes) -> list[str] | None:
    if query.types is None:
        return None
    keys = [key.strip() for key in query.types.split(",")]
    unknown = [key for key in keys if key not in types.keys]
    if unknown:
        raise Invalid.at("types", phrase("there is no kind of fraud {key}", key=unknown[0]))
    return list(dict.fromkeys(keys))


def _place(code: str | None, tree: AreaTree) -> Area | None:
    if code is None:
        return None
    area = tree.areas.get(code)
    if area is None or area.level not in {"town", *VILLAGES}:
        raise Invalid.at("area", phrase("write the code of a town or a village"))
    return area


def _sums(
    by: CaseGrouping, keys: Collection[str], figures: Iterable[CaseFigure], tree: AreaTree
) -> dict[str, list[int]]:
    """Cases and loss of each key, in the order of the keys."""
    sums = {key: [0, 0] for key in keys}
    key_of: dict[CaseGrouping, Callable[[CaseFigure], str]] = {
        "week": lambda figure: str(figure.week),
        "town": lambda figure: tree.town_of(figure.area),
        "village": lambda figure: figure.area,
        "type": lambda figure: figure.fraud_type,
    }
    for figure in figures:
        total = sums.get(key_of[by](figure))
        if total is not None:
            total[0] += figure.cases
            total[1] += figure.loss_yuan
    return sums


def _item(
    query: CasesQuery,
    key: str,
    total: Sequence[int],
    seen: CaseView,
    tree: AreaTree,
    types: FraudTypes,
) -> CaseItemOut:
    cases, loss = total
    town = key if query.by == "town" else query.area if query.by == "week" else None
    shown = loss if seen.shows_loss(town) else None
    if query.by == "week":
        return CaseItemOut(week=key, cases=cases, loss_yuan=shown)
    if query.by == "type":
        kind = types.find(key)
        return CaseItemOut(type=key, name=kind and kind.name, cases=cases, loss_yuan=shown)
    return CaseItemOut(area=key, name=tree.areas[key].name, cases=cases, loss_yuan=shown)


def _by_town_only(
    by: CaseGrouping, figures: Iterable[CaseFigure], seen: CaseView, tree: AreaTree
) -> CaseSumOut | None:
    """The cases that no village has, beside a list of villages of which all are shown."""
    if by != "village" or seen.sight is not CaseSight.ALL:
        return None
    total = total_of(f for f in figures if tree.areas[f.area].level == "town")
    return CaseSumOut(cases=total.cases, loss_yuan=total.loss_yuan)
