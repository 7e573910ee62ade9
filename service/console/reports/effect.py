"""Did it help, on a page: cases beside the year before, a watch over weeks, towns beside chance."""

from service.api.http.downloads import MadeFile
from service.api.reports import effect, effect_document
from service.api.reports.effect import EffectQuery
from service.api.reports.effect_document import STANDS, EffectDocumentQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Shown

TONES = {"": "done", "inner": "warn", "outer": "bad"}


async def show_effect(desk: Desk) -> Shown:
    """A quarter, or a year of them."""
    period = desk.request.query.get("period") or None
    found = await desk.get(effect.get_effect, query=made_of(EffectQuery, {"period": period}))
    highest = max((max(w.cases or 0, w.last_year or 0) for w in found.trend.weeks), default=0)
    return Shown("reports/effect.html", {
        "effect": found,
        "highest": max(highest, 1),
        "outside": {name: (TONES[name], word) for name, word in STANDS.items()},
    })  # fmt: skip


async def take_file(desk: Desk) -> MadeFile:
    """The same as a document."""
    query = body_of(EffectDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(effect_document.get_effect_document, query=query)
