"""Webhooks: where the service calls you, of what, and what became of each call."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, cast

from tocsin_client.link import Link
from tocsin_client.types import Delivery, DeliveryState, EventType, NewWebhook, Webhook


class Webhooks:
    """`tocsin.webhooks`; whether a call is from the service says `verify`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def create(
        self, url: str, events: Sequence[EventType], *, idempotency_key: str | None = None
    ) -> NewWebhook:
        """Have an address called when something happens; the `secret` is shown this once.

        Raises:
            AnsweredOnce: it is there, and the answer with the secret was lost; see `renew_secret`.
        """
        body = {"url": url, "events": list(events)}
        return cast(NewWebhook, await self._link.post("/webhooks", body, key=idempotency_key))

    async def list(self) -> AsyncIterator[Webhook]:
        """The webhooks of your department."""
        async for webhook in self._link.pages("/webhooks"):
            yield webhook

    async def get(self, webhook_id: str) -> Webhook:
        """A webhook."""
        return cast(Webhook, await self._link.get(f"/webhooks/{webhook_id}"))

    async def edit(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[EventType] | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change a webhook; enabling one that was disabled lets what waited go on."""
        given: dict[str, Any] = {"url": url, "enabled": enabled}
        given["events"] = None if events is None else [*events]
        body = {name: value for name, value in given.items() if value is not None}
        return cast(Webhook, await self._link.patch(f"/webhooks/{webhook_id}", body))

    async def delete(self, webhook_id: str) -> None:
        """Have it called no more."""
        await self._link.delete(f"/webhooks/{webhook_id}")

    async def renew_secret(self, webhook_id: str) -> str:
        """A new secret, shown this once; the old one signs no more."""
        made = await self._link.post(f"/webhooks/{webhook_id}/secret")
        return cast(str, made["secret"])

    async def test(self, webhook_id: str) -> str:
        """Have a test event told at once; returns the event's id."""
        made = await self._link.post(f"/webhooks/{webhook_id}/test")
        return cast(str, made["event_id"])

    async def replay(
        self, webhook_id: str, since: str, *, which: Literal["given_up", "all"] = "given_up"
    ) -> int:
        """Have told again what was given up since an instant, or everything; returns how much."""
        body = {"since": since, "which": which}
        made = await self._link.post(f"/webhooks/{webhook_id}/replay", body)
        return cast(int, made["calls"])

    async def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None
    ) -> AsyncIterator[Delivery]:
        """What was told, and how the last call of each went; from new to old."""
        async for told in self._link.pages(f"/webhooks/{webhook_id}/deliveries", {"state": state}):
            yield told
