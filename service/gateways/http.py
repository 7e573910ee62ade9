"""Any provider with an HTTP interface, by settings alone: a request for each text, and callbacks.

Templates say what is sent, paths and tables what the answers and callbacks mean. What the settings
cannot say (login sessions, hashes over several fields, XML) needs a gateway of its own.
Settings and an example: docs/protocols/http.md.

One module: its settings and what they do are read side by side.
"""

import asyncio
import logging
import re
import uuid
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from service.channels.contract.gateway import (
    Callback,
    CallbackAnswer,
    CallbackConfig,
    DeliveryHandler,
    Inbound,
    Receipt,
    Submission,
    SubmitResult,
)
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.errors import Invalid
from service.logs import seldom
from service.protocols.carrier_codes import ReportMeaning, SubmitMeaning
from service.protocols.http.client import (
    CONNECT_SECONDS,
    HttpAnswer,
    HttpRequest,
    NotSent,
    Unanswered,
    knock,
    retry_after,
    trusted,
    why,
)
from service.protocols.http.gateway import RequestGateway, text_of
from service.protocols.http.mapping import (
    code_at,
    find,
    read_document,
    report_meaning,
    status_meaning,
    submit_meaning,
    text_at,
)
from service.protocols.http.signature import PLACES, Algorithm, Encoding, Signature, verify
from service.protocols.http.template import (
    FormTemplate,
    JSONTemplate,
    TemplateError,
    form_template,
    json_template,
    names_of,
    read_headers,
)
from service.protocols.number import to_e164, to_national
from service.words.phrase import phrase

log = logging.getLogger(__name__)

PLACEHOLDERS = frozenset(
    {"recipient", "recipient_national", "text", "reference", "message_id", "sender", "secret"}
    | {"valid_until", "validity_seconds", "callback_url"}
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SIGNED_PLACE = re.compile(r"\{(\w+)\}")
_UNKNOWN_STATUS = report_meaning("unknown")
_UNKNOWN_CODE = submit_meaning("rejected")
_UNREADABLE = submit_meaning("unanswered")


class HTTPConfig(CallbackConfig):
    """Settings of a provider's HTTP interface; its manual has the words for them."""

    url: str = Field(pattern=r"^https?://[^\s#]+$", description=phrase("Address that takes a text"))
    method: Literal["POST", "PUT", "GET"] = Field(
        default="POST",
        description=phrase("HTTP method; with GET the body template becomes the query"),
    )
    headers: SecretStr = Field(
        default=SecretStr(""),
        description=phrase("Headers of each request, one a line, e.g. Authorization: Bearer …"),
    )
    content: Literal["json", "form"] = Field(default="json", description=phrase("Form of the body"))
    body: str = Field(
        description=phrase(
            'Body template, e.g. {{"to": "{{recipient}}", "text": "{{text}}"}} or '
            "to={{recipient}}&text={{text}}; placeholders: {{recipient}}, {{recipient_national}}, "
            "{{text}}, {{reference}}, {{message_id}}, {{sender}}, {{secret}}, {{valid_until}}, "
            "{{validity_seconds}}, {{callback_url}}"
        )
    )
    secret: SecretStr = Field(
        default=SecretStr(""),
        description=phrase("What {{secret}} in the body stands for, e.g. a password"),
    )
    sender: str = Field(
        default="",
        max_length=40,
        description=phrase("What {{sender}} stands for: access number or name"),
    )
    most_characters: int = Field(
        default=1000, ge=70, le=10_000, description=phrase("Longest text that the provider takes")
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=300, description=phrase("Longest wait for an answer")
    )
    answer_id: str = Field(
        default="",
        description=phrase(
            "Path of the message id in the answer, e.g. data.0.msgid; "
            "blank: the provider keeps our {{message_id}}"
        ),
    )
    answer_code: str = Field(
        default="",
        description=phrase("Path of the provider's code in the answer; blank: HTTP status only"),
    )
    codes: dict[str, str] = Field(
        default={},
        description=phrase(
            "What each code means: accepted, throttled, suspended, daily_limit, "
            "unanswered, rejected or rejected:blacklisted and the like"
        ),
    )
    statuses: dict[str, str] = Field(
        default={},
        description=phrase("The same for HTTP statuses, where they mean something unusual"),
    )
    callback_items: str = Field(
        default="",
        description=phrase("Path of the list of receipts in a callback; blank: the whole body"),
    )
    callback_id: str = Field(
        default="", description=phrase("Path or field of the message id in a receipt")
    )
    callback_recipient: str = Field(
        default="", description=phrase("Path or field of the recipient")
    )
    callback_status: str = Field(default="", description=phrase("Path or field of the status"))
    callback_states: dict[str, str] = Field(
        default={},
        description=phrase(
            "What each status means: buffered, delivered, expired, rejected, unknown, "
            "undelivered or undelivered:empty_number and the like"
        ),
    )
    callback_answer: str = Field(
        default="",
        max_length=1000,
        description=phrase("What the provider wants to read as our answer"),
    )
    inbound_sender: str = Field(
        default="", description=phrase("Path or field of the handset in a text from one")
    )
    inbound_recipient: str = Field(
        default="", description=phrase("Path or field of the number it wrote to")
    )
    inbound_text: str = Field(default="", description=phrase("Path or field of what it wrote"))
    callback_secret: SecretStr = Field(
        default=SecretStr(""),
        description=phrase("Key of the callbacks' signature; blank: none are taken"),
    )
    signature_header: str = Field(
        default="X-Signature", min_length=1, description=phrase("Header that holds the signature")
    )
    signature_algorithm: Algorithm = Field(
        default="sha256",
        description=phrase("Hash of the HMAC; none: the header holds the key itself"),
    )
    signature_encoding: Encoding = Field(
        default="hex", description=phrase("How the HMAC is written")
    )
    signature_prefix: str = Field(
        default="", description=phrase('What stands before it, e.g. "sha256="')
    )
    signed: str = Field(
        default="{body}",
        description=phrase(
            "What is signed, e.g. {{timestamp}}.{{body}}; also {{url}} and {{method}}"
        ),
    )
    timestamp_header: str = Field(
        default="", description=phrase("Header with the instant of signing; blank: there is none")
    )
    timestamp_tolerance_seconds: float = Field(
        default=300.0, gt=0, description=phrase("How far that instant may be from our clock")
    )

    @field_validator("url")
    @classmethod
    def _without_credentials(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc:
            raise ValueError(phrase("put the credentials into headers, as Authorization: Basic …"))
        return url

    @field_validator("headers")
    @classmethod
    def _readable(cls, headers: SecretStr) -> SecretStr:
        read_headers(headers.get_secret_value())
        return headers

    @field_validator("codes", "statuses")
    @classmethod
    def _of_submits(cls, meanings: dict[str, str]) -> dict[str, str]:
        for words in meanings.values():
            submit_meaning(words)
        return meanings

    @field_validator("callback_states")
    @classmethod
    def _of_receipts(cls, meanings: dict[str, str]) -> dict[str, str]:
        for words in meanings.values():
            report_meaning(words)
        return meanings

    @field_validator("signed")
    @classmethod
    def _with_the_body(cls, signed: str) -> str:
        places = set(_SIGNED_PLACE.findall(signed))
        if not places <= PLACES or "body" not in places:
            raise ValueError(
                phrase(
                    "it is made of {{body}}, {{timestamp}}, {{url}} and {{method}}, with {{body}}"
                )
            )
        return signed

    @model_validator(mode="after")
    def _consistent(self) -> "HTTPConfig":
        names = names_of(_template(self))
        if "text" not in names or not names & {"recipient", "recipient_national"}:
            raise ValueError(
                phrase("the body needs {{text}}, and {{recipient}} or {{recipient_national}}")
            )
        if self.method == "GET" and self.content != "form":
            raise ValueError(phrase("with GET the body becomes the query, so content must be form"))
        if self.callback_id and not self.answer_id and "message_id" not in names:
            raise ValueError(
                phrase("receipts need an id: give answer_id, or {{message_id}} in the body")
            )
        if "{timestamp}" in self.signed and not self.timestamp_header:
            raise ValueError(phrase("signed has {{timestamp}}, so give timestamp_header"))
        return self


class HTTPGateway(RequestGateway[HTTPConfig]):
    """One pool of connections to a provider."""

    kind = "http"
    about = phrase("Settings of a provider's HTTP interface; its manual has the words for them.")
    logs_in = False
    config_model = HTTPConfig
    number_setting = "sender"
    number_characters = 20

    def __init__(
        self,
        config: HTTPConfig,
        deliver: DeliveryHandler,  # noqa: ARG002  # reports come as callbacks, which the API stores
        clock: Clock,
    ) -> None:
        super().__init__(
            timeout_seconds=config.timeout_seconds, most_characters=config.most_characters
        )
        self._config = config
        self._clock = clock
        self._template = _template(config)
        self._codes = _meanings(config.codes)
        self._statuses = _meanings(config.statuses)
        self._headers = {
            "Content-Type": f"{self._template.media_type}; charset=utf-8",
            **read_headers(config.headers.get_secret_value()),
        }
        if config.method == "GET":
            del self._headers["Content-Type"]

    async def sign_in(self) -> None:
        """See whether somebody answers; there is no login, so the first text is the first test."""
        address = urlsplit(self._config.url)
        tls = await asyncio.to_thread(trusted) if address.scheme == "https" else None
        port = address.port or (443 if tls else 80)
        try:
            async with asyncio.timeout(min(CONNECT_SECONDS, self._config.timeout_seconds)):
                await knock(address.hostname or "", port, tls)
        except OSError as error:
            raise NotSent(f"{address.hostname}:{port}: {why(error)}") from error

    async def exchange(self, submission: Submission) -> SubmitResult:
        """Send one text and read what the answer means."""
        until = submission.valid_until
        left = int((until - self._clock.now()).total_seconds()) if until else None
        if left is not None and left < 1:
            return SubmitResult(Outcome.NOT_SENT)
        message_id = uuid.uuid4().hex
        own = () if self._config.answer_id else (message_id.encode(),)
        outgoing = self._outgoing(self._values(submission, message_id, left))
        try:
            answer = await self.client.send(outgoing)
        except Unanswered as error:
            seldom(log, logging.WARNING, "a request has no answer", why=str(error))
            return SubmitResult(Outcome.UNANSWERED, refs=own)
        return self._submit_result(answer, own)

    @classmethod
    def read_callback(cls, config: HTTPConfig, callback: Callback) -> CallbackAnswer:
        """The receipts and texts of a callback, one or many."""
        verify(_signature(config), config.callback_secret.get_secret_value(), callback)
        document = read_document(callback.body, callback.headers.get("content-type", ""))
        found = find(document, config.callback_items)
        entries = found if isinstance(found, list) else [found]
        items = tuple(item for entry in entries if (item := _item(config, entry)) is not None)
        if entries and not items:
            raise Invalid(
                phrase(
                    "there is neither a receipt nor a text in it; compare callback_items,"
                    " callback_id, callback_status and inbound_text with the provider's manual"
                )
            )
        if len(items) < len(entries):
            log.warning("parts of a callback are ignored", extra={"n": len(entries) - len(items)})
        body = config.callback_answer
        media_type = "application/json" if body.startswith("{") else "text/plain"
        return CallbackAnswer(items, body, media_type)

    def _values(self, submission: Submission, message_id: str, left: int | None) -> dict[str, str]:
        config, recipient = self._config, submission.recipients[0]
        until = submission.valid_until
        return {
            "recipient": recipient,
            "recipient_national": to_national(recipient),
            "text": text_of(submission.part),
            "reference": str(submission.reference),
            "message_id": message_id,
            "sender": config.sender + submission.extension,
            "secret": config.secret.get_secret_value(),
            "valid_until": until.isoformat(timespec="seconds") if until else "",
            "validity_seconds": "" if left is None else str(left),
            "callback_url": config.public_url if submission.receipt else "",
        }

    def _outgoing(self, values: Mapping[str, str]) -> HttpRequest:
        config, body = self._config, self._template.render(values)
        if config.method != "GET":
            return HttpRequest(config.method, config.url, self._headers, body)
        return HttpRequest("GET", config.url, self._headers, query=body.decode("ascii"))

    def _submit_result(self, answer: HttpAnswer, own: tuple[bytes, ...]) -> SubmitResult:
        config = self._config
        try:
            document = read_document(answer.body, answer.headers.get("Content-Type", ""))
        except Invalid:
            document = None
        code = code_at(document, config.answer_code) if config.answer_code else ""
        meaning = self._meaning(answer.status, code)
        refs = own
        if meaning.outcome is Outcome.ACCEPTED and config.answer_id:
            given = text_at(document, config.answer_id)
            refs = (given.encode(),)
            if not given:  # taken or not, its receipts could not be told from others
                meaning, refs = _UNREADABLE, ()
        return SubmitResult(
            meaning.outcome,
            refs=refs if meaning.outcome in (Outcome.ACCEPTED, Outcome.UNANSWERED) else (),
            code=code or f"http {answer.status}",
            reason=meaning.reason,
            retry_after=retry_after(answer.headers),
        )

    def _meaning(self, status: int, code: str) -> SubmitMeaning:
        known = self._codes.get(code) or self._statuses.get(str(status))
        if known is not None:
            return known
        if self._config.answer_code and 200 <= status < 300:
            return _UNKNOWN_CODE if code else _UNREADABLE
        return status_meaning(status)


def _template(config: HTTPConfig) -> FormTemplate | JSONTemplate:
    read = json_template if config.content == "json" else form_template
    try:
        return read(config.body, PLACEHOLDERS)
    except TemplateError as error:
        raise ValueError(phrase("body: {error}", error=error)) from error


def _meanings(table: Mapping[str, str]) -> dict[str, SubmitMeaning]:
    return {code: submit_meaning(words) for code, words in table.items()}


def _signature(config: HTTPConfig) -> Signature:
    return Signature(
        header=config.signature_header,
        algorithm=config.signature_algorithm,
        encoding=config.signature_encoding,
        prefix=config.signature_prefix,
        signed=config.signed,
        timestamp_header=config.timestamp_header,
        tolerance_seconds=config.timestamp_tolerance_seconds,
    )


def _item(config: HTTPConfig, entry: object) -> Receipt | Inbound | None:
    ident = text_at(entry, config.callback_id) if config.callback_id else ""
    status = code_at(entry, config.callback_status) if config.callback_status else ""
    if ident and status:
        meaning = _report_meaning(config, status)
        recipient = text_at(entry, config.callback_recipient) if config.callback_recipient else ""
        return Receipt(
            ref=ident.encode(),
            recipient=_number(recipient),
            state=meaning.state,
            code=status,
            reason=meaning.reason,
            done_at=None,  # the instant of receipt is the trusted one
        )
    if not (config.inbound_text and config.inbound_sender):
        return None
    sender, text = text_at(entry, config.inbound_sender), text_at(entry, config.inbound_text)
    recipient = text_at(entry, config.inbound_recipient) if config.inbound_recipient else ""
    return Inbound(_number(sender) or sender, recipient, text) if sender else None


def _report_meaning(config: HTTPConfig, status: str) -> ReportMeaning:
    words = config.callback_states.get(status)
    return report_meaning(words) if words else _UNKNOWN_STATUS


def _number(text: str) -> str:
    """A number in E.164, or "" if it cannot be read as one."""
    return to_e164(text) or (text if _E164.fullmatch(text) else "")
