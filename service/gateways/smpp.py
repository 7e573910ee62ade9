"""Any SMSC over SMPP 3.4: login as transceiver, or as transmitter with a receiver beside it.

Sources and deviations: docs/protocols/smpp.md.

One module: its settings and what they do are read side by side.
"""

import logging
import re
import ssl
from contextlib import AbstractAsyncContextManager
from datetime import timedelta, timezone
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator

from service.channels.contract.gateway import (
    DeliveryHandler,
    Inbound,
    Receipt,
    Submission,
    SubmitResult,
    Unreachable,
    UnreadReason,
)
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.coding import udh
from service.coding.parts import Coding, Part, fits, split
from service.ledger.reasons import Reason
from service.protocols import stream
from service.protocols.client import Request
from service.protocols.session import Timing
from service.protocols.smpp import address, coding, pdu, tls
from service.protocols.smpp.address import NumberForm
from service.protocols.smpp.coding import DefaultAlphabet
from service.protocols.smpp.receiver import kept_open
from service.protocols.smpp.report import (
    IdForm,
    is_report,
    parse_report,
    read_time,
    reference,
    same_id,
    write_validity,
)
from service.protocols.smpp.session import SMPPClient
from service.protocols.smpp.status import (
    ESME_ROK,
    OwnCodes,
    login_meaning,
    report_meaning,
    status_word,
    submit_meaning,
)
from service.protocols.smpp.tlv import TLV, Tag
from service.protocols.stream import Address, LoginAnswer, StreamGateway
from service.words.phrase import phrase

logger = logging.getLogger(__name__)

LONG_PASSWORD = "the password has more than the 8 characters of the specification"  # noqa: S105
PASSWORD_CHARACTERS = 8

_Ton = Annotated[int, Field(ge=0, le=6)]
_Npi = Annotated[int, Field(ge=0, le=18)]
_Code = Annotated[int, Field(ge=1, le=0xFFFF_FFFF)]
_Tag = Annotated[str, Field(pattern="^[0-9A-Fa-f]{4}$")]
_Octets = Annotated[str, Field(pattern="^([0-9A-Fa-f]{2}){0,255}$")]


class SMPPConfig(BaseModel):
    """Settings of an SMPP account; the values come with the contract."""

    host: str = Field(min_length=1, description=phrase("Address of the SMSC"))
    port: int = Field(default=2775, ge=1, le=65535, description=phrase("TCP port of the SMSC"))
    system_id: str = Field(pattern=r"^[!-~]{1,15}$", description=phrase("Account (system_id)"))
    password: SecretStr = Field(
        max_length=pdu.PASSWORD_OCTETS - 1,
        description=phrase("Password; by the book at most 8 characters"),
    )
    system_type: str = Field(
        default="",
        pattern=r"^[ -~]{0,12}$",
        description=phrase("system_type, blank if none was given"),
    )
    bind: Literal["transceiver", "pair", "transmitter"] = Field(
        default="transceiver",
        description=phrase(
            "Connections: transceiver one for both ways; pair a transmitter, and a "
            "receiver beside it; transmitter: somebody else receives"
        ),
    )
    addr_ton: _Ton = Field(default=0, description=phrase("addr_ton of the login"))
    addr_npi: _Npi = Field(default=0, description=phrase("addr_npi of the login"))
    address_range: str = Field(
        default="", pattern=r"^[ -~]{0,40}$", description=phrase("address_range of the login")
    )
    tls: bool = Field(
        default=False, description=phrase("Connect under TLS (by custom on port 3550)")
    )
    tls_verify: bool = Field(
        default=True,
        description=phrase("Refuse a certificate that is not trusted; off only for tests"),
    )
    tls_ca: str = Field(
        default="", description=phrase("Certificates to trust, in PEM; blank: those of the system")
    )
    tls_server_name: str = Field(
        default="", description=phrase("Name in the certificate, blank if it is the host")
    )
    sender: str = Field(
        pattern=r"^(\+?[0-9]{1,20}|[ -~]{1,11})$",
        description=phrase("Sender (source_addr): a number, or up to 11 characters with letters"),
    )
    source_ton: _Ton | None = Field(
        default=None, description=phrase("source_addr_ton; blank: 5 for letters, else 0")
    )
    source_npi: _Npi | None = Field(
        default=None, description=phrase("source_addr_npi; blank: 0 for letters, else 1")
    )
    dest_ton: _Ton = Field(
        default=1, description=phrase("dest_addr_ton: 1 international, 2 national")
    )
    dest_npi: _Npi = Field(
        default=1, description=phrase("dest_addr_npi: 1 telephone numbers (E.164)")
    )
    number_form: NumberForm = Field(
        default=NumberForm.DIGITS,
        description=phrase("Recipients as 8619790001234, +8619790001234, 19790001234"),
    )
    service_type: str = Field(
        default="",
        pattern=r"^[ -~]{0,5}$",
        description=phrase("service_type, blank if none was given"),
    )
    protocol_id: int = Field(default=0, ge=0, le=255, description=phrase("protocol_id"))
    priority: int = Field(
        default=0, ge=0, le=3, description=phrase("priority_flag: 0 normal, 3 highest")
    )
    esm_mode: Literal[0, 1, 2, 3] = Field(
        default=0, description=phrase("Mode in esm_class: 0 the SMSC's own, 3 store and forward")
    )
    allow_default_alphabet: bool = Field(
        default=False,
        description=phrase("Send texts that fit the default alphabet in it, not as UCS-2"),
    )
    default_alphabet: DefaultAlphabet = Field(
        default=DefaultAlphabet.GSM7,
        description=phrase(
            "What the SMSC takes data_coding 0 for: gsm7, gsm7_packed, ascii or latin1"
        ),
    )
    default_data_coding: int = Field(
        default=coding.DEFAULT,
        ge=0,
        le=255,
        description=phrase("data_coding of texts in that alphabet"),
    )
    septet_part: Literal[134, 153] = Field(
        default=153, description=phrase("GSM or ASCII characters in a part of a long text")
    )
    long_text: Literal["udh", "sar", "payload"] = Field(
        default="udh",
        description=phrase(
            "Long texts: udh and sar in parts (header, or sar parameters), payload whole"
        ),
    )
    registered_delivery: int = Field(
        default=1,
        ge=1,
        le=31,
        description=phrase("Value that asks for a receipt; 17: intermediate ones too"),
    )
    validity: Literal["absolute", "relative"] = Field(
        default="absolute", description=phrase("Form of validity_period")
    )
    id_form: IdForm = Field(
        default=IdForm.SAME,
        description=phrase(
            "Ids in receipts: same as in the response, number (zeros in front), "
            "hex_decimal (response hexadecimal, receipt decimal), decimal_hex"
        ),
    )
    accepted_is_final: bool = Field(
        default=False, description=phrase("Whether a receipt ACCEPTD means delivered")
    )
    receipt_offset_hours: float = Field(
        default=8.0, ge=-12, le=14, description=phrase("Offset from UTC of the times in receipts")
    )
    vendor_parameters: dict[_Tag, _Octets] = Field(
        default={},
        description=phrase(
            "Optional parameters for each submit, in hexadecimal: tag and octets,"
            " e.g. 1400 = 313233"
        ),
    )
    too_fast_codes: tuple[_Code, ...] = Field(
        default=(),
        description=phrase(
            "The SMSC's own codes by which it says too fast; the text is sent again"
        ),
    )
    suspended_codes: tuple[_Code, ...] = Field(
        default=(),
        description=phrase("The SMSC's own codes by which the account may not send for now"),
    )
    daily_limit_codes: tuple[_Code, ...] = Field(
        default=(),
        description=phrase("The SMSC's own codes by which the day's amount is used up"),
    )
    response_timeout_seconds: stream.ResponseTimeout = 60.0
    heartbeat_seconds: stream.Heartbeat = 10.0
    silence_seconds: stream.Silence = 15.0

    @field_validator("password")
    @classmethod
    def _password_can_travel(cls, password: SecretStr) -> SecretStr:
        if not re.fullmatch("[ -~]*", password.get_secret_value()):
            raise ValueError(phrase("only printable ASCII characters can travel"))
        return password

    @field_validator("tls_ca")
    @classmethod
    def _certificates_can_be_read(cls, authorities: str) -> str:
        if authorities:  # the system's are not read for every look at the settings
            tls.context(authorities, verify=True)
        return authorities


class SMPPGateway(StreamGateway[SMPPClient[SubmitResult]]):
    """One connection of an SMPP account."""

    kind = "smpp"
    about = phrase("Settings of an SMPP account; the values come with the contract.")
    protocol = "SMPP"
    header_octets = pdu.HEADER_OCTETS
    config_model = SMPPConfig
    guarded = frozenset({"host", "port", "tls", "tls_verify", "tls_ca", "tls_server_name"})
    number_setting = "sender"
    number_characters = address.SOURCE_CHARACTERS
    reference_setting = "id_form"
    same_id = staticmethod(same_id)

    def __init__(self, config: SMPPConfig, deliver: DeliveryHandler, clock: Clock) -> None:
        timing = Timing(
            config.heartbeat_seconds, config.response_timeout_seconds, config.silence_seconds
        )
        link = SMPPClient[SubmitResult](
            timing, read_answer=self._submit_result, on_deliver=self._delivered
        )
        trusted = partial(tls.context, config.tls_ca, verify=config.tls_verify)
        where = Address(
            config.host,
            config.port,
            config.response_timeout_seconds,
            tls=trusted if config.tls else None,
            server_name=config.tls_server_name or None,
        )
        super().__init__(link, where, deliver)
        self._config = config
        self._clock = clock
        both_ways = config.bind == "transceiver"
        self._role: type[pdu.Bind] = pdu.BindTransceiver if both_ways else pdu.BindTransmitter
        self._own_codes = OwnCodes(
            frozenset(config.too_fast_codes),
            frozenset(config.suspended_codes),
            frozenset(config.daily_limit_codes),
        )
        self._source = address.sender_type(config.sender, config.source_ton, config.source_npi)
        self._vendor = tuple(
            TLV(int(tag, 16), bytes.fromhex(octets))
            for tag, octets in config.vendor_parameters.items()
        )
        self._zone = timezone(timedelta(hours=config.receipt_offset_hours))

    @classmethod
    def listener(
        cls, config: BaseModel, deliver: DeliveryHandler, clock: Clock, **_: bool
    ) -> AbstractAsyncContextManager[None] | None:
        """The receiver's connection of an account that has one beside its transmitters."""
        if not isinstance(config, SMPPConfig) or config.bind != "pair":
            return None
        return kept_open(partial(cls.receiver, config, deliver, clock))

    @classmethod
    def receiver(cls, config: SMPPConfig, deliver: DeliveryHandler, clock: Clock) -> Self:
        """A connection that only receives."""
        gateway = cls(config, deliver, clock)
        gateway._role = pdu.BindReceiver
        return gateway

    async def open(self) -> None:
        """Connect and log in.

        Raises:
            GatewayError: as for every gateway; an untrusted certificate is not tried again soon.
        """
        try:
            await super().open()
        except Unreachable as error:
            if isinstance(error.__cause__, ssl.SSLError):
                raise tls.failure(str(self._address), error.__cause__) from error
            raise

    async def log_in(self) -> LoginAnswer | None:
        """Log in with system_id and password."""
        config = self._config
        password = config.password.get_secret_value()
        if len(password) > PASSWORD_CHARACTERS:
            logger.warning(LONG_PASSWORD)
        answer = await self.link.login(
            self._role(
                config.system_id,
                password,
                config.system_type,
                addr_ton=config.addr_ton,
                addr_npi=config.addr_npi,
                address_range=config.address_range,
            )
        )
        if answer is None:
            return None
        status = answer.command_status
        return LoginAnswer(status, None if status == ESME_ROK else login_meaning(status))

    def split(self, text: str) -> tuple[Part, ...]:
        """The parts a text is sent in; one, if long texts travel whole."""
        config = self._config
        default = config.default_alphabet.coding
        allowed = config.allow_default_alphabet and fits(text, default)
        chosen = default if allowed else Coding.UCS2
        parts = split(text, coding=chosen, ascii_part=config.septet_part)
        if config.long_text != "payload" or len(parts) == 1:
            return parts
        return (Part(1, 1, chosen, b"".join(part.body for part in parts)),)

    def request(self, submission: Submission) -> Request | SubmitResult:
        """The submit_sm of a submission."""
        if not address.can_extend(self._config.sender, submission.extension):
            return _MISFIT
        return self.link.request_of(self._packet(submission))

    def _packet(self, submission: Submission) -> pdu.SubmitSM:
        config, part = self._config, submission.part
        in_header = part.total > 1 and config.long_text != "sar"
        header = udh.build(submission.reference, part.total, part.number) if in_header else b""
        narrow = part.coding is not Coding.UCS2
        content = coding.write_content(
            part.body, header, config.default_alphabet if narrow else None
        )
        whole = len(part.body) > coding.single_octets(part.coding, config.septet_part)
        ton, npi = self._source
        return pdu.SubmitSM(
            source_addr=config.sender + submission.extension,
            destination_addr=address.write(submission.recipients[0], config.number_form),
            short_message=b"" if whole else content,
            service_type=config.service_type,
            source_addr_ton=ton,
            source_addr_npi=npi,
            dest_addr_ton=config.dest_ton,
            dest_addr_npi=config.dest_npi,
            esm_class=config.esm_mode | (coding.UDH_INDICATOR if in_header else 0),
            protocol_id=config.protocol_id,
            priority_flag=config.priority,
            validity_period=write_validity(
                submission.valid_until,
                self._clock.now(),
                relative=config.validity == "relative",
            ),
            registered_delivery=config.registered_delivery if submission.receipt else 0,
            data_coding=config.default_data_coding if narrow else coding.UCS2,
            parameters=self._parameters(submission, content if whole else b""),
        )

    def _parameters(self, submission: Submission, payload: bytes) -> tuple[TLV, ...]:
        part = submission.part
        if payload:
            return (*self._vendor, TLV(Tag.MESSAGE_PAYLOAD, payload))
        if part.total == 1 or self._config.long_text != "sar":
            return self._vendor
        return (
            *self._vendor,
            TLV(Tag.SAR_MSG_REF_NUM, submission.reference & 0xFFFF),
            TLV(Tag.SAR_TOTAL_SEGMENTS, part.total),
            TLV(Tag.SAR_SEGMENT_SEQNUM, part.number),
        )

    def _submit_result(
        self,
        answer: pdu.SubmitSMResp | None,
        sequence: int,  # noqa: ARG002  # the reference is the SMSC's
        recipients: int,  # noqa: ARG002  # always one
    ) -> SubmitResult:
        if answer is None:
            return SubmitResult(Outcome.UNANSWERED)
        meaning = submit_meaning(answer.command_status, self._own_codes)
        ref = reference(answer.message_id, self._config.id_form, receipt=False)
        return SubmitResult(
            meaning.outcome,
            refs=(ref,) if meaning.outcome is Outcome.ACCEPTED else (),
            code=str(answer.command_status),
            reason=meaning.reason.value,
        )

    def _delivered(self, sequence: int, message: pdu.DeliverSM | pdu.DataSM) -> None:
        item = self._receipt(message) if is_report(message) else self._inbound(message)
        self.take(item, partial(self.link.acknowledge, sequence, message))

    def _receipt(self, message: pdu.DeliverSM | pdu.DataSM) -> Receipt | UnreadReason:
        if (report := parse_report(message)) is None:
            return UnreadReason.BROKEN_REPORT
        meaning = report_meaning(report, accepted_is_final=self._config.accepted_is_final)
        return Receipt(
            ref=reference(report.message_id, self._config.id_form, receipt=True),
            recipient=address.read(message.source_addr, message.source_addr_ton),
            state=meaning.state,
            code=status_word(report),
            reason=meaning.reason.value,
            done_at=read_time(report.done, self._zone),
        )

    def _inbound(self, message: pdu.DeliverSM | pdu.DataSM) -> Inbound:
        text, place = coding.read_text(message, self._config.default_alphabet)
        return Inbound(
            sender=address.read(message.source_addr, message.source_addr_ton)
            or message.source_addr,
            recipient=message.destination_addr,
            text=text,
            reference=place.reference,
            number=place.number,
            total=place.total,
        )


_MISFIT = SubmitResult(Outcome.REJECTED, code="extension", reason=Reason.FORMAT)
