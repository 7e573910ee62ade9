"""Direct sends: a text to up to 1,000 people who are named, and what became of each."""

import asyncio
from collections.abc import Sequence
from typing import cast

from tocsin_client.link import Link
from tocsin_client.types import (
    OPEN,
    CancelledSend,
    MessageClass,
    MessageStatus,
    Recipient,
    Sent,
    SentTo,
    Statuses,
    Unmasked,
)

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
            NobodyAccepted: none of them can be written to.
            TextBlocked: lint blocks the words, or doubts them.
            Invalid: something else is wrong; `fields` says what.
            NeedsCampaign: more people than the department's limit in 24 hours.
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

    async def wait(
        self,
        message_id: str,
        *,
        timeout: float = 300,  # noqa: ASYNC109  # of the whole wait
        every: float = 1.0,
    ) -> MessageStatus:
        """What became of one text, once that is final; a receipt may take up to three days.

        Raises:
            TimeoutError: it is still open after `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while (status := await self.get(message_id))["state"] in OPEN:  # noqa: ASYNC110  # it is elsewhere
                await asyncio.sleep(every)
        return status

    async def to_number(self, phone: str, *, days: int = 31) -> SentTo:
        """Did it arrive? Your department's latest texts to a number, and what is stopped to it."""
        body = {"phone": phone, "days": days}  # in a body: addresses are logged
        return cast(SentTo, await self._link.post("/messages/lookup", body))

    async def statuses(self, message_ids: Sequence[str]) -> Statuses:
        """What became of up to 1,000 texts."""
        return cast(Statuses, await self._link.post("/messages/status", {"ids": [*message_ids]}))

    async def cancel(self, message_id: str) -> MessageStatus:
        """Call back one text of a direct send.

        Raises:
            HasLeft: it has begun to leave.
        """
        return cast(MessageStatus, await self._link.post(f"/messages/{message_id}/cancel"))

    async def cancel_send(self, run_id: str) -> CancelledSend:
        """Call back whatever of a direct send has not begun to leave, all at once."""
        return cast(CancelledSend, await self._link.post(f"/runs/{run_id}/cancel"))

    async def unmask(self, message_id: str, reason: str) -> Unmasked:
        """The recipient of a text in full. It takes a right, and is noted with the reason."""
        run_id, _, no = message_id.partition(".")
        path = f"/runs/{run_id}/messages/{no}/unmask"
        return cast(Unmasked, await self._link.post(path, {"reason": reason}))
