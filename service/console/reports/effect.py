"""Did it help, on a page: cases beside the year before, a watch over weeks, towns beside chance."""

from service.api.reports import effect
from service.api.reports.effect import EffectQuery
from service.console.asking import Desk
from service.console.render import Shown
from service.words.phrase import phrase

OUTSIDE = {
    "": ("done", phrase("within chance")),
    "inner": ("warn", phrase("outside 95 in 100")),
    "outer": ("bad", phrase("outside 998 in 1,000")),
}


async def show_effect(desk: Desk) -> Shown:
    """A quarter, or a year of them."""
    period = desk.request.query.get("period") or None
    found = await desk.get(effect.get_effect, query=EffectQuery(period=period))
    highest = max((max(w.cases or 0, w.last_year or 0) for w in found.trend.weeks), default=0)
    return Shown("reports/effect.html", {
        "effect": found,
        "highest": max(highest, 1),
        "outside": OUTSIDE,
    })  # fmt: skip
