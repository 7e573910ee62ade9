"""Direct sends: a text to up to 1,000 people who are named, and what became of each."""

from collections.abc import Sequence
from typing import cast

from tocsin_client.link import Link
from tocsin_client.types import MessageClass, MessageStatus, Recipient, Sent, Statuses

MOST_RECIPIENTS = 1_000


class Messages:
    """`tocsin.messages`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def send(
        self,
        to: Sequence[str | Recipient],
        *,
        template_id: str | None = None,
        text: str | None = None,
        message_class: MessageClass | None = None,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send an approved template, or words of your own, which take the right to send them.

        to: phone numbers in any usual form, or `{"phone": …, "variables": {…}}`.
        callback_url: called when each text is final; see `tocsin_client.webhooks`.
        idempotency_key: yours, if you may ask again after your own program was restarted.

        Raises:
            Invalid: nobody can be written to, or the text is wrong.
            Forbidden: `needs_campaign` above the department's limit in 24 hours.
        """
        body = {
            "to": list(to),
            "template_id": template_id,
            "text": text,
            "class": message_class,
            "callback_url": callback_url,
        }
        given = {name: value for name, value in body.items() if value is not None}
        return cast(Sent, await self._link.post("/messages", given, key=idempotency_key))

    async def get(self, message_id: str) -> MessageStatus:
        """What became of one text."""
        return cast(MessageStatus, await self._link.get(f"/messages/{message_id}"))

    async def statuses(self, message_ids: Sequence[str]) -> Statuses:
        """What became of up to 1,000 texts."""
        return cast(Statuses, await self._link.post("/messages/status", {"ids": [*message_ids]}))

    async def cancel(self, message_id: str) -> MessageStatus:
        """Call back one text of a direct send.

        Raises:
            Conflict: `has_left`, it has begun to leave.
        """
        return cast(MessageStatus, await self._link.post(f"/messages/{message_id}/cancel"))
