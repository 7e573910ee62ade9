"""Texts that the police and the county offer to others: offered, taken over, withdrawn."""

from typing import Any

from service.accounts.people.model import Right
from service.api.content import offers, signatures, templates
from service.api.content.offers import (
    OfferBody,
    OfferDetail,
    OfferOut,
    OffersQuery,
    TakeOfferBody,
    WithdrawBody,
)
from service.console.asking import Desk
from service.console.differences import pieces
from service.console.forms import body_of, made_of
from service.console.names import known_departments, names_of
from service.console.office.choices import department_names
from service.console.office.words import KINDS, options
from service.console.render import Gone, Shown
from service.console.texts.pages import TOLD
from service.words.phrase import phrase

SIDES = ("received", "given")
SHOWN = 50


async def show_offers(desk: Desk) -> Shown:
    """The texts that are offered to the reader's department, or those that it offers."""
    side = desk.request.query.get("side", SIDES[0])
    side = side if side in SIDES else SIDES[0]
    cursor = desk.request.query.get("cursor")
    query = made_of(OffersQuery, {"side": side, "limit": SHOWN, "cursor": cursor})
    page = await desk.get(offers.list_offers, query=query)
    told = {
        "offers": page.items,
        "next": f"/texts/offers?side={side}&cursor={page.next_cursor}" if page.next_cursor else "",
        "side": side,
        "state": state_of,
        "mine": desk.user.department_id,
        **TOLD,
    }
    return Shown("texts/offers.html", told)


async def show_offer(desk: Desk) -> Shown:
    """An offer: its words, as the own copy would be, to whom it is offered, who has taken it."""
    return Shown("texts/offer.html", await _about(desk))


async def _about(desk: Desk) -> dict[str, Any]:
    offer = await desk.get(offers.get_offer, offer_id=desk.uuid("offer_id"))
    before = None
    if offer.replaces is not None:
        before = await desk.get(offers.get_offer, offer_id=offer.replaces)
    return {
        "offer": offer,
        "acts": {act.act: act for act in offer.acts},
        "before": before,
        "pieces": pieces(before.text, offer.text) if before and before.text != offer.text else None,
        "receivers": await _receivers(desk, offer),
        "names": await names_of(desk, [offer.offered_by, offer.withdrawn_by]),
        "signatures": await _signatures(desk, offer),
        "state": state_of(offer),
        "own": [one for one in offer.taken if one.department_id == desk.user.department_id],
        "is_ours": offer.department_id == desk.user.department_id,
        **TOLD,
    }


async def _receivers(desk: Desk, offer: OfferDetail) -> list[str]:
    """To whom a text is offered: kinds of departments, and departments as far as one sees them."""
    kinds = [desk.language.say(KINDS[kind]) for kind in offer.kinds if kind in KINDS]
    known = await known_departments(desk, offer.department_ids)
    return [*kinds, *(known[one] for one in offer.department_ids if one in known)]


async def _signatures(desk: Desk, offer: OfferDetail) -> list[tuple[str, str]]:
    """The signatures that a copy may begin with, the usual one first; none for whoever takes none
    over.
    """
    if offer.department_id == desk.user.department_id or not desk.may(Right.WRITE):
        return []
    found = await desk.get(signatures.list_signatures, department_id=desk.user.department_id)
    usual = desk.language.say(phrase("the usual one"))
    return [
        ("", usual),
        *(
            (one.value, one.value)
            for one in found.items
            if one.state == "registered" and not one.ended_at
        ),
    ]


async def take(desk: Desk) -> Gone:
    """Take a text over as a copy behind the own signature."""
    body = body_of(TakeOfferBody, desk.form)
    made = await desk.act(offers.take_offer, offer_id=desk.uuid("offer_id"), body=body)
    return Gone(f"/texts/{made.id}", phrase("It is taken over, with your signature before it."))


async def show_withdraw(desk: Desk) -> Shown | Gone:
    """Asks before an offer is withdrawn."""
    told = await _about(desk)
    refused = told["acts"]["withdraw"].plain
    if refused is not None and desk.refusal is None:
        return Gone(f"/texts/offers/{told['offer'].id}", desk.language.plain(refused))
    return Shown("texts/offer_withdraw.html", {**told, "may_stop": desk.may(Right.STOP_ALL)})


async def withdraw(desk: Desk) -> Gone:
    """Withdraw a text for good."""
    offer_id = desk.uuid("offer_id")
    body = body_of(WithdrawBody, desk.form)
    done = await desk.act(offers.withdraw_offer, offer_id=offer_id, body=body)
    said = phrase(
        "It is withdrawn. {paused:,} campaigns were paused, the rest of {cancelled:,} direct sends"
        " was cancelled.",
        paused=len(done.paused),
        cancelled=len(done.cancelled),
    )
    return Gone(f"/texts/offers/{offer_id}", said)


async def show_new_offer(desk: Desk) -> Shown | Gone:
    """The form that offers a text to other departments."""
    text = await desk.get(templates.get_template, template_id=desk.uuid("template_id"))
    refused = next(act.plain for act in text.acts if act.act == "offer")
    if refused is not None and desk.refusal is None:
        return Gone(f"/texts/{text.id}", desk.language.plain(refused))
    others = await department_names(desk) if desk.may(Right.REPORTS) else {}
    others.pop(text.department_id, None)
    told = {
        "text": text,
        "kinds": options(KINDS, desk.language),
        "departments": [(str(one), name) for one, name in others.items()],
        **TOLD,
    }
    return Shown("texts/offer_new.html", told)


async def offer_text(desk: Desk) -> Gone:
    """Offer a text to other departments."""
    body = body_of(OfferBody, desk.form)
    made = await desk.act(offers.offer_template, template_id=desk.uuid("template_id"), body=body)
    return Gone(f"/texts/offers/{made.id}", phrase("It is offered. Whoever has a copy is told."))


def state_of(offer: OfferOut) -> str:
    """How an offer stands, as a word of the page: open, replaced or withdrawn."""
    if offer.withdrawn_at is not None:
        return "withdrawn"
    return "replaced" if offer.replaced_by is not None else "open"
