"""Whose words a text has that was taken over, and what has become of them there."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out, PlainOut
from service.messages.offers.offer_news_store import (
    TextNews,
    news_of_plan,
    news_of_versions,
)
from service.messages.offers.offer_store import Offer, offers_by_id
from service.messages.offers.offers import is_sent_directly
from service.messages.store import Template
from service.reports.interruptions import why

News = Literal["withdrawn", "corrected", "revised"]


class TakenFromOut(Out):
    """Whose words a text has, and what has become of them there."""

    offer_id: UUID
    department_id: UUID
    department: str
    version: int = Field(description="Of the text where it comes from.")
    direct: bool = Field(description="Direct sends of it need no approval of your own.")
    news: News | None = Field(
        description="Withdrawn words are sent by nobody; of the others there is a newer version."
    )
    newer_offer_id: UUID | None = Field(description="What to take over instead.")


class TextNewsOut(Out):
    """What has become of a text where it was taken over from."""

    template_id: UUID
    offer_id: UUID
    code: News
    since: Instant
    newer_offer_id: UUID | None = Field(description="What to take over instead.")
    plain: PlainOut


async def text_news_out(call: Call, campaign_id: UUID) -> list[TextNewsOut]:
    """What there is to know of the texts of a campaign."""
    return [
        TextNewsOut.model_validate(news._asdict() | {"plain": why(news.code)})
        for news in await news_of_plan(call.conn, campaign_id)
    ]


async def taken_out(call: Call, found: Sequence[Template]) -> dict[UUID, TakenFromOut]:
    """Of those of these templates whose latest version is a copy, by the id of that version."""
    taken = {t.version_id: (t, t.taken_from) for t in found if t.taken_from is not None}
    if not taken:
        return {}
    offers = await offers_by_id(call.conn, {offer_id for _, offer_id in taken.values()})
    news = await news_of_versions(call.conn, taken)
    return {
        version_id: _taken_out(copy, offers[offer_id], news.get(version_id))
        for version_id, (copy, offer_id) in taken.items()
    }


def _taken_out(copy: Template, offer: Offer, news: TextNews | None) -> TakenFromOut:
    return TakenFromOut.model_validate(
        offer._asdict()
        | {
            "offer_id": offer.id,
            "direct": is_sent_directly(copy, offer),
            "news": news.code if news else None,
            "newer_offer_id": news.newer_offer_id if news else None,
        }
    )
