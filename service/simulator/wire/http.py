"""A provider with a plain JSON interface, for the generic HTTP gateway to be pointed at.

POST /messages with `Authorization: Bearer SECRET` takes one text; receipts and texts from handsets
are posted to the account's callback_url, signed with HMAC-SHA256 over `timestamp.body`.
docs/simulator.md describes both.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from service.coding.parts import Coding, decode
from service.errors import Invalid
from service.simulator.carrier.receipts import CarrierItem, Owed
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import SubmitRefusal, SubmittedPart, Subscriber
from service.simulator.wire.admin import check
from service.simulator.wire.vendor import PostedCallback, Vendor
from service.words.phrase import phrase

MOST_CHARACTERS = 1000
RETRY_AFTER_SECONDS = 1

_STATUSES = {
    SubmitRefusal.TOO_FAST: 429,
    SubmitRefusal.BAD_NUMBER: 400,
    SubmitRefusal.TOO_LONG: 400,
    SubmitRefusal.DAILY_LIMIT: 403,
    SubmitRefusal.BARRED: 403,
}


class Order(BaseModel):
    """The body of a submit."""

    model_config = ConfigDict(extra="ignore")

    to: str = Field(min_length=1, max_length=40, description="The recipient")
    text: str = Field(min_length=1, description="What it says")
    sender: str = Field(default="", max_length=40, description="Whom the handset shows")
    id: str = Field(default="", max_length=64, description="The client's own id, given back")


class HTTPVendor(Vendor):
    """The interface of all accounts."""

    protocol = "http"

    def routes(self) -> list[web.RouteDef]:
        """The one path."""
        return [web.post("/messages", self._create)]

    def callback(self, subscriber: Subscriber, item: CarrierItem) -> PostedCallback | None:
        """A receipt or a text as JSON, signed."""
        url = subscriber.account.callback_url
        if not url:
            return None
        body: dict[str, str]
        if isinstance(item, Owed):
            status = "delivered" if item.fate == "delivered" else item.fate
            body = {"type": "receipt", "id": item.id.decode(), "to": item.phone, "status": status}
        else:
            text = decode(item.part.body, item.part.coding)
            body = {"type": "text", "from": item.phone, "to": item.to, "text": text}
        octets = json.dumps(body, ensure_ascii=False).encode()
        wrong = self.smsc.faults.wrong_digest
        secret = f"not {subscriber.secret}" if wrong else subscriber.secret
        timestamp = str(int(self.smsc.clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Timestamp": timestamp,
            "X-Signature": signature(secret, timestamp, octets),
        }
        return PostedCallback(url, headers, octets)

    async def _create(self, request: web.Request) -> web.Response:
        status = self.smsc.faults.login_status
        subscriber = self._subscriber(request.headers)
        if status is not None or subscriber is None:
            answered = status if status is not None and 400 <= status <= 599 else 401
            return _refused(answered, "unauthorized", "the bearer token is not known")
        try:
            order = check(Order, await _object(request))
        except Invalid as error:
            return _refused(400, "invalid", error.message)
        text = SubmittedPart(
            phones=(order.to,),
            sender=order.sender,
            number=1,
            total=1,
            body=order.text.encode("utf-16-be", "replace"),
            coding=Coding.UCS2,
            fits=len(order.text) <= MOST_CHARACTERS,
        )
        verdict = await self.submit(request, subscriber, text)
        if isinstance(verdict, SubmitRefusal):
            return _refused(_STATUSES[verdict], verdict.value, "not taken")
        body = {"id": verdict.decode(), "code": "accepted", "client_id": order.id}
        return web.json_response(body, status=202)

    def _subscriber(self, headers: Mapping[str, str]) -> Subscriber | None:
        given = headers.get("Authorization", "").encode()
        for subscriber in self.subscribers():
            if hmac.compare_digest(given, f"Bearer {subscriber.secret}".encode()):
                return subscriber
        return None


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """X-Signature: HMAC-SHA256 over timestamp, a full stop and the body, in hexadecimal."""
    signed = timestamp.encode() + b"." + body
    return hmac.digest(secret.encode(), signed, hashlib.sha256).hex()


def listen(smsc: SMSC) -> AbstractAsyncContextManager[int]:
    """Serve the interface on the configured port while the block runs; gives the port."""
    return HTTPVendor(smsc).listen()


async def _object(request: web.Request) -> dict[str, object]:
    try:
        body = await request.json()
    except ValueError as error:
        raise Invalid(phrase("the body is not JSON: {error}", error=error)) from error
    if not isinstance(body, dict):
        raise Invalid(phrase("the body is not a JSON object"))
    return body


def _refused(status: int, code: str, message: str) -> web.Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 429 else None
    return web.json_response({"code": code, "message": message}, status=status, headers=headers)
