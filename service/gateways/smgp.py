"""China Telecom over SMGP 3.0: long TCP connections, login by MD5 digest, submits in a window.

Sources and deviations: docs/protocols/smgp.md. Not offered: ordered services (LinkID), pseudonyms.
"""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal, cast

from pydantic import BaseModel, Field, SecretStr

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
from service.coding.data_coding import decode_chinese
from service.coding.parts import Coding, Part, split
from service.ledger.reasons import Reason
from service.protocols.client import Request
from service.protocols.gateway_digest import must_verify, unverified, verification_faults
from service.protocols.number import to_e164, to_national
from service.protocols.session import Timing
from service.protocols.smgp import pdu
from service.protocols.smgp.message_id import message_ids
from service.protocols.smgp.report import parse_report
from service.protocols.smgp.session import SMGPClient
from service.protocols.smgp.status import (
    STATUS_OK,
    TOO_FAST,
    login_meaning,
    report_code,
    report_meaning,
    submit_meaning,
)
from service.protocols.smgp.times import read_minute, write_validity
from service.protocols.smgp.tlv import NO_OPTIONS, Options
from service.protocols.stream import (
    Address,
    Heartbeat,
    LoginAnswer,
    ResponseTimeout,
    Silence,
    StreamGateway,
)
from service.words.phrase import phrase

MSG_FORMAT = {Coding.ASCII: 0, Coding.UCS2: 8, Coding.GB18030: 15}


class SMGPConfig(BaseModel):
    """Settings of a China Telecom account; the values come with the contract."""

    host: str = Field(min_length=1, description=phrase("Address of the carrier's gateway (SMGW)"))
    port: int = Field(
        default=8890, ge=1, le=65535, description=phrase("TCP port of the carrier's gateway")
    )
    account: str = Field(
        pattern=r"^[!-~]{1,8}$", description=phrase("Account (ClientID), e.g. 12345678")
    )
    secret: SecretStr = Field(
        min_length=1, max_length=15, description=phrase("Shared secret of the account")
    )
    verify_gateway: bool = Field(
        default=True,
        description=phrase(
            "Refuse a gateway whose own login digest (AuthenticatorServer) is wrong; off, "
            "with the reason in unverified_because, it is only logged"
        ),
    )
    unverified_because: str = Field(
        default="",
        max_length=200,
        description=phrase(
            "Why verify_gateway is off, e.g. what the carrier said of its digest; blank: it is on"
        ),
    )
    login_mode: Literal[0, 2] = Field(
        default=2,
        description=phrase(
            "LoginMode: 2 one connection for both ways; 0 a pair of connections, one that "
            "sends (mode 0) and one that receives (mode 1)"
        ),
    )
    access_number: str = Field(
        pattern=r"^[0-9]{3,20}$",
        description=phrase(
            "Number the handset shows (SrcTermID), as the contract writes it, "
            "e.g. 106590001234, or 118 and the SP code"
        ),
    )
    service_id: str = Field(
        default="",
        pattern=r"^[!-~]{0,10}$",
        description=phrase("ServiceID, blank if none was given"),
    )
    msg_src: str = Field(
        default="",
        pattern=r"^[!-~]{0,8}$",
        description=phrase("MsgSrc: SP code or enterprise code, blank if none was given"),
    )
    m_service_id: str = Field(
        default="",
        pattern=r"^[!-~]{0,21}$",
        description=phrase("MServiceID: product id in the mobile network, blank if none was given"),
    )
    fee_type: Literal["00", "01", "02", "03"] = Field(
        default="00", description=phrase("FeeType: 00 free, 01 per message, 02 monthly, 03 capped")
    )
    fee_code: str = Field(
        default="0", pattern=r"^[0-9]{1,6}$", description=phrase("FeeCode: price in fen")
    )
    fixed_fee: str = Field(
        default="0",
        pattern=r"^[0-9]{1,6}$",
        description=phrase("FixedFee: monthly fee or cap in fen"),
    )
    charge_number: str = Field(
        default="",
        pattern=r"^[0-9]{0,21}$",
        description=phrase("ChargeTermID: the number that pays, blank for the recipient"),
    )
    charge_user_type: Literal[0, 1, 2, 3] | None = Field(
        default=None,
        description=phrase(
            "ChargeUserType: who pays: 0 the recipient, 1 the sender, 2 the SP, "
            "3 the number in ChargeTermID; blank: not sent"
        ),
    )
    priority: Literal[0, 1, 2, 3] = Field(
        default=1, description=phrase("Priority: 0 low to 3 high")
    )
    coding: Literal["ucs2", "gb18030"] = Field(
        default="ucs2", description=phrase("MsgFormat of texts: ucs2 (8) or gb18030 (15)")
    )
    allow_ascii: bool = Field(
        default=False, description=phrase("Send texts of only ASCII characters as ASCII")
    )
    ascii_part: Literal[134, 153] = Field(
        default=134, description=phrase("ASCII characters in a part of a long text")
    )
    too_fast_codes: tuple[Annotated[int, Field(ge=1, le=0xFFFF_FFFF)], ...] = Field(
        default=TOO_FAST,
        description=phrase("Status codes by which this carrier says too fast: send again, slower"),
    )
    response_timeout_seconds: ResponseTimeout = 60.0
    heartbeat_seconds: Heartbeat = 10.0
    silence_seconds: Silence = 15.0

    @property
    def verifies(self) -> bool:
        """Whether a gateway must know the secret."""
        return must_verify(self.verify_gateway, self.unverified_because)


class SMGPGateway(StreamGateway[SMGPClient[SubmitResult]]):
    """One connection of a China Telecom account, or a pair that sends and receives apart."""

    kind = "smgp"
    about = phrase("Settings of a China Telecom account; the values come with the contract.")
    protocol = "SMGP"
    header_octets = pdu.HEADER_OCTETS
    config_model = SMGPConfig
    guarded = frozenset({"host", "port", "verify_gateway", "unverified_because"})
    number_setting = "access_number"
    number_characters = pdu.TERMINAL_OCTETS
    most_recipients = pdu.MOST_DESTINATIONS

    def __init__(self, config: SMGPConfig, deliver: DeliveryHandler, clock: Clock) -> None:
        timing = Timing(
            config.heartbeat_seconds, config.response_timeout_seconds, config.silence_seconds
        )
        link = SMGPClient[SubmitResult](
            timing,
            read_answer=partial(_submit_result, frozenset(config.too_fast_codes)),
            on_deliver=self._delivered,
        )
        address = Address(config.host, config.port, config.response_timeout_seconds)
        super().__init__(link, address, deliver)
        self._config = config
        self._clock = clock
        self._coding = Coding(config.coding)
        self._single = _options(config)
        self._receiver: SMGPGateway | None = None
        if config.login_mode == pdu.SEND:
            receiving = config.model_copy(update={"login_mode": pdu.RECEIVE})
            self._receiver = SMGPGateway(receiving, deliver, clock)

    @classmethod
    def settings_faults(cls, config: BaseModel, *, simulated: bool) -> Mapping[str, str]:  # noqa: ARG003
        """A gateway is not verified for a reason only."""
        settings = cast(SMGPConfig, config)
        return verification_faults(settings.verify_gateway, settings.unverified_because)

    async def open(self) -> None:
        """Connect and log in, with both links of a pair.

        Raises:
            GatewayError: nobody answers, a login is refused, or it is another protocol.
        """
        await super().open()
        receiver = self._receiver
        if receiver is None:
            return
        self.link.partner, receiver.link.partner = receiver.link, self.link
        try:
            await receiver.open()
        except BaseException:
            self.link.abort("the receiving link could not be opened")
            raise
        if not self.link.is_open:
            receiver.link.abort("the sending link is gone")
            why = self.link.reason
            raise Unreachable(phrase("the sending link was lost: {why}", why=why), quoted=why)

    async def close(self, *, drain_seconds: float) -> None:
        """Wait for open answers and stores, log out, and close."""
        receiver = self._receiver
        if receiver is None:
            await super().close(drain_seconds=drain_seconds)
            return
        self.link.partner = receiver.link.partner = None
        await asyncio.gather(
            super().close(drain_seconds=drain_seconds),
            receiver.close(drain_seconds=drain_seconds),
        )

    async def log_in(self) -> LoginAnswer | None:
        """Log in with the digest of account, secret and time.

        Raises:
            LoginRefused: by us, since the gateway does not know the secret and is to be verified.
        """
        config = self._config
        answer = await self.link.login(
            config.account,
            config.secret.get_secret_value(),
            self._clock.now(),
            mode=config.login_mode,
            verify=config.verifies,
        )
        if answer is None:
            return None
        if answer.status == STATUS_OK and config.verifies and not self.link.verified:
            self.link.close("the gateway could not be verified")
            raise unverified(config.host, config.port)
        refusal = None if answer.status == STATUS_OK else login_meaning(answer.status)
        return LoginAnswer(answer.status, refusal)

    def split(self, text: str) -> tuple[Part, ...]:
        """The parts a text is sent in, in the account's coding or, where allowed, as ASCII."""
        config = self._config
        return split(
            text,
            coding=self._coding,
            allow_ascii=config.allow_ascii,
            ascii_part=config.ascii_part,
        )

    def request(self, submission: Submission) -> Request | SubmitResult:
        """The Submit of a submission."""
        if not self._fits(submission):
            return _MISFIT
        return self.link.request_of(self._packet(submission))

    def _fits(self, submission: Submission) -> bool:
        extension = submission.extension
        length = len(self._config.access_number) + len(extension)
        return length <= pdu.TERMINAL_OCTETS and _DIGITS.fullmatch(extension) is not None

    def _packet(self, submission: Submission) -> pdu.Submit:
        config, part = self._config, submission.part
        content, options = part.body, self._single
        if part.total > 1:
            content = udh.build(submission.reference, part.total, part.number) + content
            options = _options(config, part)
        until = submission.valid_until
        return pdu.Submit(
            dest_term_id=tuple(map(to_national, submission.recipients)),
            msg_content=content,
            src_term_id=config.access_number + submission.extension,
            msg_format=MSG_FORMAT[part.coding],
            need_report=int(submission.receipt),
            priority=config.priority,
            service_id=config.service_id,
            fee_type=config.fee_type,
            fee_code=config.fee_code,
            fixed_fee=config.fixed_fee,
            valid_time=write_validity(until) if until else "",
            charge_term_id=config.charge_number,
            options=options,
        )

    def _delivered(self, sequence: int, deliver: pdu.Deliver) -> None:
        item = _receipt(deliver) if deliver.is_report else _inbound(deliver)
        self.take(item, partial(self.link.acknowledge, sequence, deliver))


_DIGITS = re.compile("[0-9]*")
_MISFIT = SubmitResult(Outcome.REJECTED, code="extension", reason=Reason.FORMAT)


def _options(config: SMGPConfig, part: Part | None = None) -> Options:
    """The optional parameters of an account's submits, with those of a part of a long text."""
    options = Options(
        tp_udhi=1 if part else None,
        charge_user_type=config.charge_user_type,
        pk_total=part.total if part else None,
        pk_number=part.number if part else None,
        msg_src=config.msg_src or None,
        m_service_id=config.m_service_id or None,
    )
    return NO_OPTIONS if options == NO_OPTIONS else options


def _submit_result(
    too_fast: frozenset[int],
    answer: pdu.SubmitResp | None,
    sequence: int,  # noqa: ARG001  # the reference is the carrier's
    recipients: int,
) -> SubmitResult:
    if answer is None:
        return SubmitResult(Outcome.UNANSWERED)
    meaning = submit_meaning(answer.status, recipients=recipients, too_fast=too_fast)
    accepted = meaning.outcome is Outcome.ACCEPTED
    return SubmitResult(
        meaning.outcome,
        refs=message_ids(answer.msg_id, recipients) if accepted else (),
        code=str(answer.status),
        reason=meaning.reason.value,
    )


def _receipt(deliver: pdu.Deliver) -> Receipt | UnreadReason:
    report = parse_report(deliver.msg_content)
    if report is None:
        return UnreadReason.BROKEN_REPORT
    meaning = report_meaning(report.stat, report.err)
    return Receipt(
        ref=report.msg_id,
        recipient=to_e164(deliver.src_term_id),
        state=meaning.state,
        code=report_code(report.stat, report.err),
        reason=meaning.reason.value,
        done_at=read_minute(report.done_date),
    )


def _inbound(deliver: pdu.Deliver) -> Inbound:
    place, body = _place(deliver)
    return Inbound(
        sender=to_e164(deliver.src_term_id) or deliver.src_term_id,
        recipient=deliver.dest_term_id,
        text=decode_chinese(body, deliver.msg_format),
        reference=place.reference,
        number=place.number,
        total=place.total,
    )


def _place(deliver: pdu.Deliver) -> tuple[udh.Concatenation, bytes]:
    """Where in which long text a content belongs, and the content without its header.

    Some gateways take the header off and leave only PkTotal and PkNumber, without a reference.
    """
    options, body = deliver.options, deliver.msg_content
    if options.tp_udhi:
        joining, body = udh.parse(body)
        if joining:
            return joining, body
    number, total = options.pk_number or 1, options.pk_total or 1
    if not 1 <= number <= total:
        number = total = 1
    return udh.Concatenation(reference=0, total=total, number=number), body
