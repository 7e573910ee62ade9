"""Twilio's Messages API (2010-04-01), as far as a sender uses it.

Sources: Twilio's reference of the Message resource, of its error codes and of request validation.
Deviation: statuses go straight from `queued` to the final one, and a callback that is not taken is
posted again. Messages are kept in memory, the last 100,000 of them; a restart forgets them.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from service.coding.parts import Coding, count, decode
from service.simulator.carrier.receipts import CarrierItem, Owed
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import SubmitRefusal, SubmittedPart, Subscriber
from service.simulator.wire.vendor import PostedCallback, Vendor

VERSION = "2010-04-01"
MOST_KEPT = 100_000
MOST_CHARACTERS = 1600
MOST_VALIDITY_SECONDS = 36_000
RETRY_AFTER_SECONDS = 1
PAGE = 50
MOST_IN_PAGE = 1000

_SENT_BACK = {
    SubmitRefusal.TOO_FAST: (429, 20429, "Too Many Requests"),
    SubmitRefusal.BAD_NUMBER: (400, 21211, "Invalid 'To' Phone Number"),
    SubmitRefusal.TOO_LONG: (400, 21617, "The message body exceeds the 1600 character limit"),
    SubmitRefusal.DAILY_LIMIT: (429, 63038, "Account exceeded the daily messages limit"),
    SubmitRefusal.BARRED: (403, 20005, "Account not active"),
}
_ERRORS = {
    "powered_off": 30003,
    "suspended": 30003,
    "empty_number": 30005,
    "blacklisted": 30004,
    "memory_full": 30003,
    "ported": 30008,
    "content_filter": 30007,
    "frequency_limit": 30022,
}


@dataclass(slots=True)
class TwilioMessage:
    """A message as the API shows it. error: 0 for none."""

    sid: str
    account: str
    to: str
    sender: str
    service: str
    body: str
    segments: int
    created_at: datetime
    status: str = "queued"
    error: int = 0
    updated_at: datetime | None = None

    def fields(self) -> dict[str, object]:
        """The resource."""
        created = format_datetime(self.created_at)
        return {
            "sid": self.sid,
            "account_sid": self.account,
            "to": self.to,
            "from": self.sender or None,
            "messaging_service_sid": self.service or None,
            "body": self.body,
            "status": self.status,
            "error_code": self.error or None,
            "error_message": None,
            "num_segments": str(self.segments),
            "num_media": "0",
            "direction": "outbound-api",
            "date_created": created,
            "date_sent": created,
            "date_updated": format_datetime(self.updated_at or self.created_at),
            "price": None,
            "price_unit": "USD",
            "api_version": VERSION,
            "uri": f"/{VERSION}/Accounts/{self.account}/Messages/{self.sid}.json",
            "subresource_uris": {},
        }


class APIError(Exception):
    """What is answered instead of a resource."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> web.Response:
        """The error in Twilio's shape."""
        body = {
            "code": self.code,
            "message": str(self),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if self.code == 20429 else None
        return web.json_response(body, status=self.status, headers=headers)


class Twilio(Vendor):
    """The API of all accounts.

    A message's statuses go to its StatusCallback, texts from handsets to the account's
    callback_url.
    """

    protocol = "twilio"

    def __init__(self, smsc: SMSC) -> None:
        super().__init__(smsc)
        self._messages: dict[str, TwilioMessage] = {}

    def routes(self) -> list[web.RouteDef]:
        """What is served of the API."""
        account = f"/{VERSION}/Accounts/{{account}}"
        return [
            web.get(f"{account}.json", _answered(self._show_account)),
            web.post(f"{account}/Messages.json", _answered(self._create)),
            web.get(f"{account}/Messages.json", _answered(self._list)),
            web.get(f"{account}/Messages/{{sid}}.json", _answered(self._show)),
        ]

    def callback(self, subscriber: Subscriber, item: CarrierItem) -> PostedCallback | None:
        """The form of a status or of a text, signed."""
        if isinstance(item, Owed):
            fields = self._status_fields(subscriber, item)
            return self._signed(subscriber, item.callback, fields)
        (sid,) = subscriber.ids.take()
        body = decode(item.part.body, item.part.coding)
        fields = {
            "MessageSid": sid.decode(),
            "SmsSid": sid.decode(),
            "AccountSid": subscriber.name,
            "From": item.phone,
            "To": item.to,
            "Body": body,
            "NumMedia": "0",
            "NumSegments": str(_segments(body)),
            "SmsStatus": "received",
            "ApiVersion": VERSION,
        }
        return self._signed(subscriber, subscriber.account.callback_url, fields)

    def _status_fields(self, subscriber: Subscriber, owed: Owed) -> dict[str, str]:
        sid = owed.id.decode()
        status = "delivered" if owed.fate == "delivered" else "undelivered"
        error = _ERRORS.get(owed.fate, 0)
        message = self._messages.get(sid)
        if message is not None:
            message.status, message.error = status, error
            message.updated_at = self._now()
        fields = {
            "MessageSid": sid,
            "SmsSid": sid,
            "MessageStatus": status,
            "SmsStatus": status,
            "AccountSid": subscriber.name,
            "From": owed.sender,
            "To": owed.phone,
            "ApiVersion": VERSION,
        }
        return {**fields, "ErrorCode": str(error)} if error else fields

    def _signed(
        self, subscriber: Subscriber, url: str, fields: Mapping[str, str]
    ) -> PostedCallback | None:
        if not url:
            return None
        wrong = self.smsc.faults.wrong_digest
        token = f"not {subscriber.secret}" if wrong else subscriber.secret
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature(token, url, fields),
        }
        return PostedCallback(url, headers, urlencode(fields).encode())

    async def _show_account(self, request: web.Request) -> web.Response:
        subscriber = self._log_in(request)
        barred = subscriber.name in self.smsc.faults.barred_accounts
        return web.json_response(
            {
                "sid": subscriber.name,
                "friendly_name": "simulated",
                "status": "suspended" if barred else "active",
                "type": "Full",
                "uri": f"/{VERSION}/Accounts/{subscriber.name}.json",
            }
        )

    async def _create(self, request: web.Request) -> web.Response:
        subscriber = self._log_in(request)
        form = {name: str(value) for name, value in (await request.post()).items()}
        _check_form(form)
        to, body = form["To"], form["Body"]
        text = SubmittedPart(
            phones=(to,),
            sender=form.get("From", "") or form["MessagingServiceSid"],
            number=1,
            total=1,
            body=body.encode("utf-16-be", "replace"),
            coding=Coding.UCS2,
            fits=len(body) <= MOST_CHARACTERS,
            callback=form.get("StatusCallback", ""),
        )
        # Kept before a fault may hold back the answer: the list must show what was accepted.
        created_at = self._now()

        def keep(sid: bytes) -> None:
            self._keep(
                TwilioMessage(
                    sid.decode(),
                    subscriber.name,
                    to,
                    form.get("From", ""),
                    form.get("MessagingServiceSid", ""),
                    body,
                    _segments(body),
                    created_at,
                )
            )

        verdict = await self.submit(request, subscriber, text, keep)
        if isinstance(verdict, SubmitRefusal):
            raise APIError(*_SENT_BACK[verdict])
        queued = self._messages[verdict.decode()]
        return web.json_response({**queued.fields(), "status": "queued"}, status=201)

    async def _show(self, request: web.Request) -> web.Response:
        subscriber = self._log_in(request)
        message = self._messages.get(request.match_info["sid"])
        if message is None or message.account != subscriber.name:
            raise APIError(404, 20404, f"The requested resource {request.path} was not found")
        return web.json_response(message.fields())

    async def _list(self, request: web.Request) -> web.Response:
        """The newest first, filtered by To, From and DateSent as the API does."""
        subscriber = self._log_in(request)
        wanted = _filter(request.query)
        size, page = _number(request, "PageSize", PAGE), _number(request, "Page", 0)
        size = min(max(size, 1), MOST_IN_PAGE)
        found = [
            message.fields()
            for message in reversed(self._messages.values())
            if message.account == subscriber.name and wanted(message)
        ]
        shown = found[page * size : (page + 1) * size]
        more = len(found) > (page + 1) * size
        following = urlencode({**request.query, "Page": page + 1, "PageSize": size})
        return web.json_response(
            {
                "messages": shown,
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(len(shown) - 1, 0),
                "uri": request.path_qs,
                "first_page_uri": f"{request.path}?PageSize={size}&Page=0",
                "next_page_uri": f"{request.path}?{following}" if more else None,
                "previous_page_uri": None,
            }
        )

    def _keep(self, message: TwilioMessage) -> None:
        self._messages[message.sid] = message
        if len(self._messages) > MOST_KEPT:
            del self._messages[next(iter(self._messages))]

    def _log_in(self, request: web.Request) -> Subscriber:
        status = self.smsc.faults.login_status
        if status is not None:
            raise APIError(status if 400 <= status <= 599 else 401, 20003, "Authenticate")
        name = request.match_info["account"]
        subscriber = self.smsc.subscribers.get((self.protocol, name))
        if subscriber is None or not hmac.compare_digest(
            request.headers.get("Authorization", "").encode(),
            b"Basic " + base64.b64encode(f"{name}:{subscriber.secret}".encode()),
        ):
            raise APIError(401, 20003, "Authenticate")
        return subscriber

    def _now(self) -> datetime:
        return self.smsc.clock.now().replace(microsecond=0)


def signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    """X-Twilio-Signature: HMAC-SHA1 of the URL and all fields in the order of their names."""
    data = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), data.encode(), hashlib.sha1)).decode()


def listen(smsc: SMSC) -> AbstractAsyncContextManager[int]:
    """Serve the API on the configured port while the block runs; gives the port."""
    return Twilio(smsc).listen()


def _answered(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler with errors in Twilio's shape."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except APIError as error:
            return error.response()

    return answer


def _check_form(form: Mapping[str, str]) -> None:
    if not form.get("To"):
        raise APIError(400, 21604, "A 'To' phone number is required.")
    if not form.get("From") and not form.get("MessagingServiceSid"):
        raise APIError(400, 21603, "A 'From' phone number is required.")
    if not form.get("Body"):
        raise APIError(400, 21602, "Message body is required.")
    callback = form.get("StatusCallback", "")
    if callback and urlsplit(callback).scheme not in {"http", "https"}:
        raise APIError(400, 21609, f"The 'StatusCallback' URL {callback} is not a valid URL.")
    validity = form.get("ValidityPeriod")
    if validity is not None and not (
        re.fullmatch("[0-9]{1,5}", validity) and 1 <= int(validity) <= MOST_VALIDITY_SECONDS
    ):
        raise APIError(400, 21624, "Invalid validity period value")


def _filter(query: Mapping[str, str]) -> Callable[[TwilioMessage], bool]:
    since, until = _instant(query, "DateSent>"), _instant(query, "DateSent<")
    day = _instant(query, "DateSent")

    def wanted(message: TwilioMessage) -> bool:
        created = message.created_at
        return (
            query.get("To", message.to) == message.to
            and query.get("From", message.sender) == message.sender
            and (since is None or created >= since)
            and (until is None or created <= until)
            and (day is None or created.date() == day.date())
        )

    return wanted


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        instant = datetime.fromisoformat(query[name])
    except ValueError as error:
        raise APIError(400, 20001, f"{name} is not a date") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise APIError(400, 20001, f"{name} is not a number")
    return int(text)


def _segments(body: str) -> int:
    return count(body, coding=Coding.UCS2)[1]
