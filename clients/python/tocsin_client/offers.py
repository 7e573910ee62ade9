"""Texts that other departments offer to yours, and those that yours offers."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, cast

from tocsin_client.link import Link
from tocsin_client.types import Offer, Template, WithdrawnOffer


class Offers:
    """`tocsin.offers`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def create(
        self,
        template_id: str,
        version: int,
        *,
        kinds: Sequence[str] = (),
        department_ids: Sequence[str] = (),
        direct: bool = False,
        correction: bool = False,
        note: str = "",
        idempotency_key: str | None = None,
    ) -> Offer:
        """Offer an approved version to other departments; for the police and the county.

        direct: direct sends of an unchanged copy need no approval of its department.
        correction: what was offered before was wrong.
        """
        body = {
            "version": version,
            "kinds": list(kinds),
            "department_ids": list(department_ids),
            "direct": direct,
            "correction": correction,
            "note": note,
        }
        path = f"/templates/{template_id}/offers"
        return cast(Offer, await self._link.post(path, body, key=idempotency_key))

    async def list(self, side: Literal["received", "given"] | None = None) -> AsyncIterator[Offer]:
        """What is offered to your department (`received`), or by it (`given`); None: both."""
        query = {} if side is None else {"side": side}
        async for offer in self._link.pages("/offers", query):
            yield offer

    async def get(self, offer_id: str) -> Offer:
        """An offer, with what lint says of it in your department's name."""
        return cast(Offer, await self._link.get(f"/offers/{offer_id}"))

    async def take(
        self,
        offer_id: str,
        *,
        name: str | None = None,
        signature: str | None = None,
        idempotency_key: str | None = None,
    ) -> Template:
        """Take a text over: the same words behind your signature."""
        given: dict[str, Any] = {"name": name, "signature": signature}
        body = {member: value for member, value in given.items() if value is not None}
        path = f"/offers/{offer_id}/take"
        return cast(Template, await self._link.post(path, body, key=idempotency_key))

    async def withdraw(
        self,
        offer_id: str,
        reason: str,
        *,
        stop: bool = False,
        idempotency_key: str | None = None,
    ) -> WithdrawnOffer:
        """Withdraw a text and its earlier versions for good: nothing begins to be sent with them.

        stop: also pause the campaigns with a run under way that sends these words.
        """
        body = {"reason": reason, "stop": stop}
        path = f"/offers/{offer_id}/withdraw"
        return cast(WithdrawnOffer, await self._link.post(path, body, key=idempotency_key))
