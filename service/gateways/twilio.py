"""Twilio's Messages API (2010-04-01), through its own library and our own HTTP client.

The library's client ignores its timeout, sends a POST again on 503, and drops Retry-After; ours
sends once, with a limit in time. Twilio cuts long texts itself, so one submission is one text.
Sources and deviations: docs/protocols/twilio.md.

One module: each part stands in for one of the library, and names what of it is left out.
"""

import json
import logging
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import encode_basic_auth
from multidict import MultiDict
from pydantic import Field, SecretStr, model_validator
from twilio.base import values
from twilio.base.exceptions import (
    TwilioException,
    TwilioRestException,
    TwilioServiceException,
)
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import (
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)
from twilio.rest import Client

from service.channels.contract.gateway import (
    Callback,
    CallbackAnswer,
    CallbackConfig,
    DeliveryHandler,
    Inbound,
    LoginRefused,
    Receipt,
    Submission,
    SubmitResult,
    Unparseable,
    Unreachable,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.errors import Forbidden, Invalid
from service.ledger.reasons import Reason
from service.protocols.http.client import (
    HttpAnswer,
    HTTPClient,
    HttpRequest,
    NotSent,
    Unanswered,
    retry_after,
)
from service.protocols.http.gateway import RequestGateway, text_of
from service.words.phrase import phrase

log = logging.getLogger(__name__)

_REFUSED: dict[Reason, frozenset[int]] = {
    Reason.EMPTY_NUMBER: frozenset({21211, 21214, 21217, 21265, 21614, 21635, 30005, 30006}),
    Reason.POWERED_OFF: frozenset({30003}),
    Reason.BLACKLISTED: frozenset({21610, 30004}),
    Reason.CONTENT_FILTER: frozenset({30007, 30450}),
    Reason.FREQUENCY_LIMIT: frozenset({30022, 30023}),
    Reason.NETWORK: frozenset({21612, 30410}),
    Reason.ACCOUNT: frozenset({21608, 30001, 30002, 30032, 30034}),
    Reason.FORMAT: frozenset({21602, 21604, 21605, 21617, 21619, 21624, 30045, 90007, 90014}),
}
"""Error codes about one text or number, in the answer to a submit or in a status callback."""

REASONS = {code: reason for reason, codes in _REFUSED.items() for code in codes}

TOO_FAST = frozenset({14107, 20429, 21611, 30001})
"""Nothing was taken, because of our rate or a full queue of the sender's."""

NOT_SET_UP = frozenset(
    {10001, 20003, 20005, 20403, 20404, 21212, 21408, 21603, 21606, 21609, 21659, 21660}
    | {21701, 21703, 21704, 21705, 30002}
)
"""Nothing was taken, because of the account, the sender or a setting: so for every text."""

REVOKED = frozenset({20003, 20005})
"""The credentials no longer open anything."""

DAILY_LIMIT = 63038
EXPIRED = 30036

STATES = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent"), ReceiptState.BUFFERED),
    **dict.fromkeys(("delivered", "read"), ReceiptState.DELIVERED),
    **dict.fromkeys(("failed", "canceled"), ReceiptState.REJECTED),
    "undelivered": ReceiptState.UNDELIVERED,
}
"""MessageStatus; a word that is not here is `unknown`, which yields to whatever comes later."""

MOST_CHARACTERS = 1600
MOST_VALIDITY_SECONDS = 36_000
LISTED = 50
_FORM_FIELDS = 100
_GARBLED = (ValueError, AttributeError, TypeError, KeyError)
"""What the library raises where an answer has another shape than Twilio's."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EMPTY_REPLY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
_MISFIT = SubmitResult(Outcome.REJECTED, code="extension", reason=Reason.FORMAT)


class TwilioConfig(CallbackConfig):
    """Settings of a Twilio account; SIDs and token are on the first page of its console."""

    account_sid: str = Field(pattern=r"^AC[0-9a-f]{32}$", description=phrase("Account SID, AC…"))
    auth_token: SecretStr = Field(min_length=1, description=phrase("Auth token of the account"))
    sender: str = Field(
        default="",
        pattern=r"^(\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11})?$",
        description=phrase(
            "Sender: a number of the account in E.164, a short code or a registered name"
        ),
    )
    messaging_service_sid: str = Field(
        default="",
        pattern=r"^(MG[0-9a-f]{32})?$",
        description=phrase(
            "Messaging Service SID, MG…: Twilio then chooses the sender from its pool"
        ),
    )
    api_url: str = Field(
        default="https://api.twilio.com",
        pattern=r"^https?://[^/\s?#]+/?$",
        description=phrase("Address of the API; only a simulator's is another one"),
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=300, description=phrase("Longest wait for the answer to a submit")
    )

    @model_validator(mode="after")
    def _has_a_sender(self) -> "TwilioConfig":
        if not (self.sender or self.messaging_service_sid):
            raise ValueError(phrase("give a sender, a messaging_service_sid, or both"))
        return self


class TooFast(Exception):
    """Status 429, with what its answer asks for, which the library would lose."""

    def __init__(self, result: SubmitResult) -> None:
        super().__init__(result.code)
        self.result = result


class _Door(AsyncHttpClient):  # type: ignore[misc]  # the library has no types
    """What the library sends its requests through."""

    def __init__(self, client: HTTPClient) -> None:
        super().__init__(log, is_async=True)
        self._client = client

    async def request(  # the library's own signature
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002  # the client has its own
        allow_redirects: bool = False,  # noqa: ARG002  # never followed
    ) -> Response:
        body = urlencode(data).encode() if data else None
        known = {"Authorization": encode_basic_auth(*auth)} if auth else {}
        answer = await self._client.send(
            HttpRequest(method, uri, {**(headers or {}), **known}, body, urlencode(params or {}))
        )
        if answer.status == 429:
            code = _code_of(answer)
            outcome = Outcome.DAILY_LIMIT if code == DAILY_LIMIT else Outcome.THROTTLED
            limit, after = Reason.FREQUENCY_LIMIT, retry_after(answer.headers)
            raise TooFast(SubmitResult(outcome, code=str(code), reason=limit, retry_after=after))
        return Response(answer.status, answer.text, answer.headers)


class TwilioGateway(RequestGateway[TwilioConfig]):
    """One pool of connections to a Twilio account."""

    kind = "twilio"
    about = phrase(
        "Settings of a Twilio account; SIDs and token are on the first page of its console."
    )
    keeps_list = True
    config_model = TwilioConfig

    def __init__(
        self,
        config: TwilioConfig,
        deliver: DeliveryHandler,  # noqa: ARG002  # reports come as callbacks, which the API stores
        clock: Clock,
    ) -> None:
        super().__init__(timeout_seconds=config.timeout_seconds, most_characters=MOST_CHARACTERS)
        self._config = config
        self._clock = clock
        self._messages: Any = None

    async def sign_in(self) -> None:
        """Fetch the account.

        Raises:
            LoginRefused: the credentials are wrong, or the account may not send.
            Unreachable: Twilio has trouble of its own. Unparseable: it is not Twilio.
        """
        config = self._config
        library = Client(
            config.account_sid,
            config.auth_token.get_secret_value(),
            http_client=_Door(self.client),
            environment={"": ""},  # settings come from the channel, never from the process
        )
        library.api.base_url = config.api_url
        context = library.api.v2010.accounts(config.account_sid)
        self._messages = context.messages
        try:
            account = await context.fetch_async()
            status = str(account.status)
        except TooFast as error:
            raise LoginRefused(
                phrase("Twilio says: too many requests"), code=error.result.code
            ) from error
        except TwilioException as error:
            raise _refusal(error) from error
        except _GARBLED as error:
            raise Unparseable(
                phrase("what answers at {api_url} is not Twilio's API", api_url=config.api_url)
            ) from error
        if status != "active":
            raise LoginRefused(
                phrase("the Twilio account is {status}", status=status),
                retryable=False,
                code=status,
            )

    async def exchange(self, submission: Submission) -> SubmitResult:
        """Create a Message, which sends the text."""
        if submission.extension:  # the numbers of an account cannot be lengthened
            return _MISFIT
        validity = self._validity(submission.valid_until)
        if validity is not None and validity < 1:
            return SubmitResult(Outcome.NOT_SENT)
        config = self._config
        wants_receipt = submission.receipt and config.public_url
        try:
            message = await self._messages.create_async(
                to=submission.recipients[0],
                body=text_of(submission.part),
                from_=config.sender or values.unset,
                messaging_service_sid=config.messaging_service_sid or values.unset,
                validity_period=values.unset if validity is None else validity,
                status_callback=config.public_url if wants_receipt else values.unset,
            )
            sid = message.sid
        except TooFast as error:
            return error.result
        except TwilioException as error:
            return self._refused(error)
        except _GARBLED as error:
            raise Unanswered("the answer is not Twilio's") from error
        if not isinstance(sid, str) or not sid:
            raise Unanswered("the answer has no SID")
        return SubmitResult(Outcome.ACCEPTED, refs=(sid.encode(),))

    async def find(self, recipient: str, since: datetime) -> list[Receipt]:
        """What Twilio's own list says of the latest texts to a number, as receipts.

        A hand-off without an answer is settled by them as by any receipt. An empty list proves
        nothing: Twilio lists a text a little after it was created.

        recipient: E.164 with plus. since: the earliest creation that counts.

        Raises:
            Unreachable: the list cannot be had now.
        """
        try:
            found = await self._messages.list_async(to=recipient, limit=LISTED)
        except (TooFast, TwilioException, NotSent, Unanswered, *_GARBLED) as error:
            raise Unreachable(phrase("Twilio's list of messages cannot be had now")) from error
        earliest = since.replace(microsecond=0)  # Twilio's instants are whole seconds
        return [
            _receipt(m.sid, m.to or "", str(m.status), m.error_code)
            for m in found
            if m.sid and m.direction != "inbound" and m.date_created and m.date_created >= earliest
        ]

    @classmethod
    def read_callback(cls, config: TwilioConfig, callback: Callback) -> CallbackAnswer:
        """A status callback or a text from a handset; repeats of either look the same."""
        form = _form(callback.body)
        headers = callback.headers
        genuine = RequestValidator(config.auth_token.get_secret_value()).validate(
            callback.url,
            form,
            headers.get(SIGNATURE_HEADER.lower(), ""),
            get_signature_algorithm(headers.get(SIGNATURE_SETTINGS_HEADER.lower(), "")),
        )
        if not genuine:
            raise Forbidden(
                phrase(
                    "the signature is not that of this account for this address; compare"
                    " the channel's public_url with the address in Twilio's console"
                )
            )
        sid = form.get("MessageSid", "")
        if sid and "MessageStatus" in form:
            code = form.get("ErrorCode", "")
            item = _receipt(sid, form.get("To", ""), form["MessageStatus"], code)
            return CallbackAnswer((item,))
        if sid and {"From", "To", "Body"} <= form.keys():
            text = Inbound(sender=form["From"], recipient=form["To"], text=form["Body"])
            return CallbackAnswer((text,), _EMPTY_REPLY, "text/xml")
        raise Invalid(phrase("this is neither a status callback nor a text from a handset"))

    def _validity(self, until: datetime | None) -> int | None:
        if until is None:
            return None
        left = int((until - self._clock.now()).total_seconds())
        return min(left, MOST_VALIDITY_SECONDS)

    def _refused(self, error: TwilioException) -> SubmitResult:
        status, code = _status_and_code(error)
        if code in REVOKED or status == 401:
            log.error("the credentials were refused in the middle of work", extra={"code": code})
            self.retire("the credentials were refused")
        return _submit_result(status, code)


def _submit_result(status: int, code: int) -> SubmitResult:
    """What an error in the answer to a submit means; status 429 never comes here."""
    if not 400 <= status < 500 or status == 408:
        return SubmitResult(Outcome.UNANSWERED, code=str(code))
    if code == DAILY_LIMIT:
        return SubmitResult(Outcome.DAILY_LIMIT, code=str(code), reason=Reason.FREQUENCY_LIMIT)
    if code in TOO_FAST:
        return SubmitResult(Outcome.THROTTLED, code=str(code), reason=Reason.FREQUENCY_LIMIT)
    unknown = code not in REASONS
    if code in NOT_SET_UP or (unknown and status in (401, 402, 403, 404)):
        return SubmitResult(Outcome.SUSPENDED, code=str(code), reason=Reason.ACCOUNT)
    return SubmitResult(Outcome.REJECTED, code=str(code), reason=REASONS.get(code, Reason.OTHER))


def _receipt(sid: str, recipient: str, status: str, error: object) -> Receipt:
    code = str(error or "").replace("\0", "")
    number = int(code) if code.isascii() and code.isdecimal() else 0
    state = STATES.get(status, ReceiptState.UNKNOWN)
    if number == EXPIRED and state in (ReceiptState.UNDELIVERED, ReceiptState.REJECTED):
        state = ReceiptState.EXPIRED
    known = state in (ReceiptState.BUFFERED, ReceiptState.DELIVERED, ReceiptState.EXPIRED)
    return Receipt(
        ref=sid.encode("utf-8", "replace"),
        recipient=recipient if _E164.fullmatch(recipient) else "",
        state=state,
        code=code or status.replace("\0", ""),
        reason=Reason.NONE if known else REASONS.get(number, Reason.OTHER),
        done_at=None,  # a status callback has no instant
    )


def _refusal(error: TwilioException) -> LoginRefused | Unreachable | Unparseable:
    """What a refused fetch of the account means for whoever opens the channel."""
    status, code = _status_and_code(error)
    if status >= 500:
        return Unreachable(
            phrase(
                "Twilio has trouble of its own (HTTP {status}); it is tried again", status=status
            )
        )
    if status in (401, 403):
        return LoginRefused(
            phrase(
                "Twilio refused the account SID and auth token (code {code}); copy both"
                " again from the first page of its console",
                code=code,
            ),
            retryable=False,
            code=str(code),
        )
    if status == 404:
        return LoginRefused(
            phrase("Twilio knows no such account (code {code})", code=code),
            retryable=False,
            code=str(code),
        )
    return Unparseable(
        phrase(
            "the account could not be read (HTTP {status}, code {code})", status=status, code=code
        )
    )


def _status_and_code(error: TwilioException) -> tuple[int, int]:
    """HTTP status and Twilio's code; the status again where there is no code, 0 if neither."""
    if not isinstance(error, TwilioRestException | TwilioServiceException):
        return 0, 0
    return error.status, error.code if isinstance(error.code, int) else error.status


def _code_of(answer: HttpAnswer) -> int:
    try:
        code = json.loads(answer.text)["code"]
    except (ValueError, TypeError, KeyError):
        return answer.status
    return code if isinstance(code, int) else answer.status


def _form(body: bytes) -> MultiDict[str]:
    """The fields of a form; what is not UTF-8 becomes U+FFFD, and then no signature fits.

    Raises:
        Invalid: there are more fields than Twilio has names for.
    """
    text = body.decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_FORM_FIELDS)
    except ValueError as error:
        raise Invalid(phrase("the form has too many fields")) from error
    return MultiDict(pairs)
