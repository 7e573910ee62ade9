"""Filings of texts with carriers: what is missing for plans, and what a carrier has answered."""

import re
from collections.abc import Mapping
from typing import Any

from service.accounts.people.model import Right
from service.api.channels import channels
from service.api.content import templates
from service.api.sending import filings
from service.api.sending.filings import FilingBody, FilingsOut
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.texts.words import FILING_MARKS, FILING_STATES
from service.words.phrase import phrase

_BETWEEN = re.compile(r"[\s,;，；、]+")
LISTS = ("contacts", "links")


async def show_missing(desk: Desk) -> Shown:
    """The texts of plans that are not filed where they would go, the oldest first."""
    found = await desk.get(filings.list_missing_filings)
    told = {"missing": found.items, "more": found.more, **_words(desk)}
    return Shown("texts/filings_missing.html", told)


async def show_filings(desk: Desk) -> Shown:
    """How a text stands with the carriers, and the form for what one has answered."""
    template_id = desk.uuid("template_id")
    text = await desk.get(templates.get_template, template_id=template_id)
    found = await desk.get(filings.list_filings, template_id=template_id)
    every = (await desk.get(channels.list_channels)).items
    wanted = desk.request.query.get("channel", "")
    told: dict[str, Any] = {
        "text": text,
        "found": found,
        "chosen": wanted or next((str(c.channel_id) for c in found.channels if c.missing), ""),
        "channels": [(str(one.id), one.name) for one in every],
        "channel_names": {one.id: one.name for one in every},
        "names": await names_of(desk, [line.changed_by for line in found.items]),
        "newest": _newest(found),
        **_words(desk),
    }
    return Shown("texts/filings.html", told)


def _newest(found: FilingsOut) -> set[int]:
    """The places of the lines that hold: the newest of each channel."""
    seen: set[int] = set()
    places = set()
    for place, line in enumerate(found.items):
        if line.channel_id not in seen:
            seen.add(line.channel_id)
            places.add(place)
    return places


async def set_filing(desk: Desk) -> Gone:
    """Write down what a carrier has answered."""
    template_id = desk.uuid("template_id")
    given = {name: [one for one in _BETWEEN.split(desk.typed(name)) if one] for name in LISTS}
    body = body_of(FilingBody, desk.form, but=LISTS, given=given)
    await desk.act(filings.set_filing, template_id=template_id, body=body)
    return Gone(f"/texts/{template_id}/filings", phrase("It is written down."))


def _words(desk: Desk) -> Mapping[str, Any]:
    return {
        "states": FILING_STATES,
        "marks": FILING_MARKS,
        "state_options": [(code, desk.language.say(said)) for code, said in FILING_STATES.items()],
        "may_file": desk.may(Right.CHANNELS),
    }
