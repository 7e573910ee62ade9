"""Texts that departments offer to others: offered, seen, taken over, withdrawn."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts.departments.department import KINDS
from service.accounts.departments.department_store import get_department
from service.api.acts import ActOut, judge
from service.api.content.templates import FindingOut, TemplateOut, findings_out, template_out
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Int, Line, OptionalLine, Out, Page
from service.dispatch.direct.withdrawal import check_withdrawal, withdraw
from service.errors import Conflict, Invalid
from service.messages.lint.lint import Finding
from service.messages.lint.verdict import judge_as_one
from service.messages.offers import offer_store as store
from service.messages.offers import offers
from service.messages.offers.offer_store import NewOffer, Offer, Side, Taker
from service.words.phrase import listing, phrase

MOST_DEPARTMENTS = 500


class OfferBody(Body):
    """An approved version, to whom it is offered, and on what terms."""

    version: Int = Field(description="The latest version of the text, which you have read.")
    kinds: list[Line] = Field(
        default=[], max_length=len(KINDS), description="To all departments of these kinds."
    )
    department_ids: list[UUID] = Field(default=[], max_length=MOST_DEPARTMENTS)
    direct: bool = Field(
        default=False,
        description="Whether direct sends of an unchanged copy need no approval of its department.",
    )
    correction: bool = Field(
        default=False, description="The words that were offered before were wrong."
    )
    note: Annotated[OptionalLine, StringConstraints(max_length=500)] = Field(
        default="", description="What others should know of it, such as what was wrong."
    )


class TakeOfferBody(Body):
    """What the copy is called, and what it begins with."""

    name: Line | None = Field(
        default=None, description="Of a new template; null: as where it comes from."
    )
    signature: Line | None = Field(
        default=None, description="One of your department's; null: the one that its texts have."
    )


class WithdrawBody(Body):
    """Why, and what becomes of what is being sent."""

    reason: Annotated[Line, StringConstraints(max_length=500)]
    stop: bool = Field(
        default=False,
        description="Also pause the campaigns with a run under way that sends these words. Without"
        " it such runs go on to their end, and nothing else begins.",
    )


class OffersQuery(PageQuery):
    """Which offers: those to your department, those of it, or all that you see."""

    side: Side | None = None


class TakerOut(Out):
    """A copy of an offer."""

    department_id: UUID
    department: str
    template_id: UUID
    version_id: UUID
    taken_at: Instant
    current: bool = Field(description="It is the latest version of its template.")


class OfferOut(Out):
    """A version of a text that is offered to other departments."""

    id: UUID
    template_id: UUID = Field(description="Where it comes from.")
    template_version_id: UUID
    department_id: UUID = Field(description="Whose text it is.")
    department: str
    name: str
    message_class: str = Field(alias="class")
    topic: str
    language: str
    version: int
    text: str = Field(description="As it was approved, with the signature of its department.")
    your_text: str | None = Field(
        description="As your copy would be; null: your own text, or you have no signature."
    )
    lint: list[FindingOut] = Field(
        description="What lint says of `your_text`; of any other, what it said at its approval."
    )
    kinds: list[str]
    department_ids: list[UUID]
    direct: bool
    correction: bool
    note: str
    offered_by: UUID
    offered_at: Instant
    replaces: UUID | None = Field(description="The offer of this text before it.")
    replaced_by: UUID | None = Field(description="The one after it, which is to be taken over.")
    withdrawn_by: UUID | None
    withdrawn_at: Instant | None = Field(description="Since then nobody sends these words.")
    withdrawn_why: str | None
    stops: bool = Field(description="It was withdrawn with `stop`.")
    taken: list[TakerOut] = Field(
        description="Your copies of it; of an offer of your own, those of all departments."
    )


class OfferDetail(OfferOut):
    """An offer, and what you could do with it."""

    acts: list[ActOut] = Field(
        description="`take` and `withdraw`: whether you could do it now, and why not."
    )


class WithdrawnOut(OfferOut):
    """An offer that was withdrawn, and what that has stopped."""

    paused: list[UUID] = Field(description="Campaigns whose run under way was paused.")
    cancelled: list[UUID] = Field(description="Direct sends of which the rest was cancelled.")


async def offer_template(call: Call, template_id: UUID, body: OfferBody) -> OfferOut:
    """Offer an approved version to other departments, in place of what was offered of it before."""
    unknown = sorted(set(body.kinds) - set(KINDS))
    problem = ""
    if unknown:
        problem = phrase(
            "there is no kind {unknown}; one of {kinds}",
            unknown=listing(unknown),
            kinds=listing(KINDS),
        )
    elif not body.kinds and not body.department_ids:
        problem = phrase("name the kinds of departments, or departments, that it is offered to")
    if problem:
        raise Invalid(problem, fields={"kinds": problem})
    new = NewOffer(
        sorted(set(body.kinds)),
        sorted(set(body.department_ids)),
        body.direct,
        body.correction,
        body.note,
    )
    made = await offers.offer_text(call.conn, call.user, template_id, body.version, new, call.now)
    return (await _shown(call, [made]))[0]


async def list_offers(call: Call, query: OffersQuery) -> Page[OfferOut]:
    """List the texts that are offered to your department, and those that it offers."""
    found = await store.list_offers(
        call.conn,
        call.user.scope,
        query.side,
        call.user.department_id,
        query.before,
        query.wanted,
    )
    return cut(Page[OfferOut], await _shown(call, found), query)


async def get_offer(call: Call, offer_id: UUID) -> OfferDetail:
    """Show a text that is offered, with what lint says of it in your department's name."""
    found = await store.get_offer(call.conn, offer_id, call.user.scope)
    (shown,) = await _shown(call, [found])
    return OfferDetail(**shown.model_dump(), acts=await _acts(call, found))


async def _acts(call: Call, offer: Offer) -> list[ActOut]:
    """Each act of a person on an offer, and whether the caller could do it now."""

    async def take() -> None:
        await offers.check_taking(call.conn, call.user, offer, lock=False)
        copies = await store.takers_of(call.conn, [offer.id], call.user.department_id)
        if any(copy.current for copy in copies):
            raise Conflict(phrase("you have taken it over before"), code="taken_already")
        if not (await get_department(call.conn, call.user.department_id, None)).signed:
            raise Conflict(phrase("your department has no signature yet"))

    async def stop() -> None:
        check_withdrawal(call.user, offer)

    found = {"offer_id": offer.id}
    return [
        await judge(call, act, operation, found, check)
        for act, operation, check in (
            ("take", "take_offer", take),
            ("withdraw", "withdraw_offer", stop),
        )
    ]


async def take_offer(call: Call, offer_id: UUID, body: TakeOfferBody) -> TemplateOut:
    """Take a text over as a copy of your own: the same words behind your signature."""
    made = await offers.take_over(
        call.conn, call.user, offer_id, body.name, body.signature, call.now
    )
    return await template_out(call, made)


async def withdraw_offer(call: Call, offer_id: UUID, body: WithdrawBody) -> WithdrawnOut:
    """Withdraw a text, and its earlier versions, for good: nothing begins to be sent with them."""
    done = await withdraw(call.conn, call.user, offer_id, body.reason, call.now, stops=body.stop)
    (shown,) = await _shown(call, [done.offer])
    return WithdrawnOut(
        **shown.model_dump(), paused=list(done.paused), cancelled=list(done.cancelled)
    )


async def _shown(call: Call, found: Sequence[Offer]) -> list[OfferOut]:
    """Offers as the caller's department sees them."""
    own = call.user.department_id
    signature = (await get_department(call.conn, own, None)).signed
    others = [offer for offer in found if offer.department_id != own] if signature else []
    texts = {offer.id: offers.copied(offer, signature) for offer in others}
    classes = {offer.id: offer.message_class for offer in others}
    verdicts = await judge_as_one(
        call.conn, own, [(text, classes[offer_id]) for offer_id, text in texts.items()]
    )
    lint = dict(zip(texts, verdicts, strict=True))
    takers = await store.takers_of(call.conn, [offer.id for offer in found], None)
    return [
        _offer_out(
            offer,
            texts.get(offer.id),
            lint.get(offer.id, offer.read),
            [t for t in takers if t.offer_id == offer.id and _is_seen(call, offer, t)],
        )
        for offer in found
    ]


def _is_seen(call: Call, offer: Offer, taker: Taker) -> bool:
    """Whoever offers a text sees who has taken it over; others see their own copies."""
    return call.user.sees(offer.department_id) or call.user.sees(taker.department_id)


def _offer_out(
    offer: Offer, text: str | None, lint: Sequence[Finding], takers: Sequence[Taker]
) -> OfferOut:
    return OfferOut.model_validate(
        offer._asdict()
        | {
            "your_text": text,
            "lint": findings_out(lint),
            "taken": [TakerOut.model_validate(taker) for taker in takers],
        }
    )
