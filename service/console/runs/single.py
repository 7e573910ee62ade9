"""Single texts: one text to people who are named, and what became of texts to one number."""

import re
from typing import Any

from service.accounts.people.model import Right
from service.api.audience import rosters
from service.api.campaigns import campaigns
from service.api.campaigns.campaigns import CampaignQuery
from service.api.content import templates
from service.api.content.templates import TemplateOut, TemplatesQuery
from service.api.http.paging import MAX_LIMIT, PageQuery
from service.api.sending import lookup, messages
from service.api.sending.lookup import AllArrivedOut, ArrivedBody
from service.api.sending.messages import SendBody
from service.console import words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import watermark
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

MOST_PAGES = 4
"""How many pages of campaigns and texts are looked through for a name."""
MOST_FOUND = 20
_NUMBER = re.compile(r"[+＋]?[\d０-９][\d０-９ \-－()（）]{6,30}")
_COMMA = re.compile(r"[,，\t]")


async def show_single(desk: Desk) -> Shown:
    """The form that asks what became of texts to a number, and the one that sends to a few."""
    may_send = desk.may(Right.SEND) and desk.may(Right.READ)
    return Shown(
        "runs/single.html",
        {"may_send": may_send, "texts": await _sendable(desk) if may_send else []},
    )


async def _sendable(desk: Desk) -> list[TemplateOut]:
    """The texts that may go to people who are named."""
    found = await desk.get(templates.list_templates, query=TemplatesQuery(limit=MAX_LIMIT))
    return [
        text
        for text in found.items
        if not text.withdrawn and (text.approved_at or text.taken_from is not None)
    ]


async def send(desk: Desk) -> Shown | Gone:
    """Send a text to the people of the form: a line each, its number and then its values."""
    template_id = desk.uuid("template_id")
    async with desk.reading():
        text = await desk.get(templates.get_template, template_id=template_id)
    names = list(dict.fromkeys(re.findall(r"\{([^{}]+)\}", text.text)))
    lines = [line.strip() for line in desk.typed("to").splitlines() if line.strip()]
    if not lines:
        raise Invalid.at("to", phrase("write at least one number"))
    body = SendBody.model_validate(
        {"template_id": template_id, "to": [_recipient(line, names) for line in lines]}
    )
    sent = await desk.act(messages.send_messages, body=body)
    if not sent.rejected:
        done = phrase("On its way to {count} people.", count=sent.accepted)
        return Gone(f"/runs/{sent.run_id}", done)
    return Shown("runs/sent.html", {"sent": sent})


def _recipient(line: str, names: list[str]) -> dict[str, Any]:
    number, *values = (part.strip() for part in _COMMA.split(line))
    return {"phone": number, "variables": dict(zip(names, values, strict=False))}


async def arrived(desk: Desk) -> Shown:
    """What became of the latest texts to a number."""
    found = await desk.act(lookup.look_up_messages, body=body_of(ArrivedBody, desk.form))
    return _arrived(desk, found)


def _arrived(desk: Desk, found: AllArrivedOut) -> Shown:
    told = {"found": found, "words": words, "watermark": watermark(desk)}
    return Shown("runs/arrived.html", told)


async def search(desk: Desk) -> Shown:
    """What the box at the top finds: of a number its texts, else what has the words in its name."""
    said = desk.typed("words")
    if _NUMBER.fullmatch(said) and desk.may(Right.READ):
        return _arrived(desk, await desk.act(lookup.look_up_messages, body=ArrivedBody(phone=said)))
    async with desk.reading(heavy=True):
        found = await _named(desk, said.casefold()) if said else {}
    return Shown("runs/found.html", {"said": said, "found": found})


async def _named(desk: Desk, part: str) -> dict[str, list[tuple[str, str]]]:
    """Addresses and names of campaigns, texts and lists whose name has this part."""
    found: dict[str, list[tuple[str, str]]] = {"plans": [], "texts": [], "lists": []}
    if desk.may(Right.REPORTS):
        cursor = None
        for _ in range(MOST_PAGES):
            asked = CampaignQuery(limit=MAX_LIMIT, cursor=cursor)
            page = await desk.get(campaigns.list_campaigns, query=asked)
            found["plans"] += [
                (f"/plans/{c.id}", c.name) for c in page.items if part in c.name.casefold()
            ]
            if (cursor := page.next_cursor) is None:
                break
    if desk.may(Right.READ):
        query = TemplatesQuery(words=part, limit=MOST_FOUND)
        texts = await desk.get(templates.list_templates, query=query)
        found["texts"] = [(f"/texts/{t.id}", t.name) for t in texts.items]
        lists = await desk.get(rosters.list_rosters, query=PageQuery(limit=MAX_LIMIT))
        found["lists"] = [
            (f"/people/lists/{r.name}", r.name) for r in lists.items if part in r.name.casefold()
        ]
    return {kind: some[:MOST_FOUND] for kind, some in found.items() if some}
