"""China Mobile over CMPP 2.0 or 3.0: one TCP connection, login by MD5 digest, submits in a window.

Sources and deviations: docs/protocols/cmpp.md.
"""

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
    UnreadReason,
)
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.coding import udh
from service.coding.data_coding import decode_chinese
from service.coding.parts import Coding, Part, split
from service.ledger.reasons import Reason
from service.protocols.client import Request
from service.protocols.cmpp import pdu
from service.protocols.cmpp.digest import message_ids
from service.protocols.cmpp.report import parse_report, read_minute, write_validity
from service.protocols.cmpp.session import CMPPClient
from service.protocols.cmpp.status import (
    CONNECT_OK,
    SUSPENDED,
    TOO_FAST,
    login_meaning,
    not_now,
    report_meaning,
    submit_meaning,
)
from service.protocols.cmpp.version import BY_NAME
from service.protocols.gateway_digest import must_verify, unverified, verification_faults
from service.protocols.number import to_e164, to_national
from service.protocols.session import Timing
from service.protocols.stream import (
    Address,
    Heartbeat,
    LoginAnswer,
    ResponseTimeout,
    Silence,
    StreamGateway,
)
from service.words.phrase import phrase

MSG_FMT = {Coding.ASCII: 0, Coding.UCS2: 8, Coding.GB18030: 15, Coding.GBK: 15}
_Code = Annotated[int, Field(ge=1, le=0xFFFF_FFFF)]
_SRC_ID_DIGITS = 21


class CMPPConfig(BaseModel):
    """Settings of a China Mobile account; the values come with the contract."""

    host: str = Field(min_length=1, description=phrase("Address of the carrier's gateway"))
    port: int = Field(
        default=7890, ge=1, le=65535, description=phrase("TCP port of the carrier's gateway")
    )
    version: Literal["2.0", "2.1", "3.0"] = Field(
        default="3.0", description=phrase("Version of CMPP that the account sheet names")
    )
    account: str = Field(
        pattern=r"^[!-~]{1,6}$", description=phrase("Account (SP id, Source_Addr), e.g. 901234")
    )
    secret: SecretStr = Field(description=phrase("Shared secret of the account"))
    verify_gateway: bool = Field(
        default=True,
        description=phrase(
            "Refuse a gateway whose own login digest (AuthenticatorISMG) is wrong; off, "
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
    access_number: str = Field(
        pattern=r"^[0-9]{3,20}$", description=phrase("Number the handset shows, e.g. 106900001234")
    )
    service_id: str = Field(
        default="",
        pattern=r"^[!-~]{0,10}$",
        description=phrase("Service code, blank if none was given"),
    )
    msg_src: str = Field(
        default="",
        pattern=r"^[!-~]{0,6}$",
        description=phrase("Msg_src, blank for the account itself"),
    )
    fee_type: Literal["01", "02", "03"] = Field(
        default="01", description=phrase("FeeType: 01 free, 02 per message, 03 monthly")
    )
    fee_code: str = Field(
        default="0", pattern=r"^[0-9]{1,6}$", description=phrase("FeeCode: price in fen")
    )
    fee_user_type: Literal[0, 1, 2, 3] = Field(
        default=2,
        description=phrase(
            "Who pays: 0 the recipient, 1 the source, 2 the sender, 3 another number"
        ),
    )
    fee_terminal_id: str = Field(
        default="",
        pattern=r"^[0-9]{0,21}$",
        description=phrase("Fee_terminal_Id: the number that pays where that is another number"),
    )
    coding: Literal["ucs2", "gb18030", "gbk"] = Field(
        default="ucs2",
        description=phrase(
            "Msg_Fmt of texts: ucs2 (8), gb18030 or gbk (both 15); gbk where the carrier "
            "takes 15 for GBK: a text with a character that GBK lacks leaves as ucs2"
        ),
    )
    response_timeout_seconds: ResponseTimeout = 60.0
    heartbeat_seconds: Heartbeat = 10.0
    silence_seconds: Silence = 15.0
    allow_ascii: bool = Field(
        default=False, description=phrase("Send texts of only ASCII characters as ASCII")
    )
    ascii_part: Literal[134, 153] = Field(
        default=153, description=phrase("ASCII characters in a part of a long text")
    )
    too_fast_codes: tuple[_Code, ...] = Field(
        default=TOO_FAST,
        description=phrase("Results by which the carrier says too fast; the text is sent again"),
    )
    suspended_codes: tuple[_Code, ...] = Field(
        default=SUSPENDED, description=phrase("Results by which the account may not send for now")
    )
    daily_limit_codes: tuple[_Code, ...] = Field(
        default=(), description=phrase("Results by which the amount of the day is used up")
    )

    @property
    def verifies(self) -> bool:
        """Whether a gateway must know the secret."""
        return must_verify(self.verify_gateway, self.unverified_because)


class CMPPGateway(StreamGateway[CMPPClient[SubmitResult]]):
    """One connection of a China Mobile account."""

    kind = "cmpp"
    about = phrase("Settings of a China Mobile account; the values come with the contract.")
    protocol = "CMPP"
    header_octets = pdu.HEADER_OCTETS
    config_model = CMPPConfig
    guarded = frozenset({"host", "port", "verify_gateway", "unverified_because"})
    number_setting = "access_number"
    number_characters = _SRC_ID_DIGITS
    most_recipients = 99  # the specification's "less than 100"

    def __init__(self, config: CMPPConfig, deliver: DeliveryHandler, clock: Clock) -> None:
        timing = Timing(
            config.heartbeat_seconds, config.response_timeout_seconds, config.silence_seconds
        )
        codes = not_now(
            too_fast=config.too_fast_codes,
            suspended=config.suspended_codes,
            daily_limits=config.daily_limit_codes,
        )
        link = CMPPClient[SubmitResult](
            timing,
            BY_NAME[config.version],
            read_answer=partial(_submit_result, codes),
            on_deliver=self._delivered,
        )
        address = Address(config.host, config.port, config.response_timeout_seconds)
        super().__init__(link, address, deliver)
        self._config = config
        self._clock = clock

    @classmethod
    def settings_faults(cls, config: BaseModel, *, simulated: bool) -> Mapping[str, str]:  # noqa: ARG003
        """A gateway is not verified for a reason only."""
        settings = cast(CMPPConfig, config)
        return verification_faults(settings.verify_gateway, settings.unverified_because)

    async def log_in(self) -> LoginAnswer | None:
        """Log in with the digest of account, secret and time.

        Raises:
            LoginRefused: by us, since the gateway does not know the secret and is to be verified.
        """
        config = self._config
        secret, now = config.secret.get_secret_value(), self._clock.now()
        verify = config.verifies
        answer = await self.link.login(config.account, secret, now, verify=verify)
        if answer is None:
            return None
        if answer.status == CONNECT_OK and verify and not self.link.verified:
            self.link.close("the gateway could not be verified")
            raise unverified(config.host, config.port)
        refusal = None if answer.status == CONNECT_OK else login_meaning(answer.status)
        return LoginAnswer(answer.status, refusal)

    def split(self, text: str) -> tuple[Part, ...]:
        """The parts a text is sent in, in the account's coding or, where allowed, as ASCII."""
        config = self._config
        return split(
            text,
            coding=Coding(config.coding),
            allow_ascii=config.allow_ascii,
            ascii_part=config.ascii_part,
        )

    def request(self, submission: Submission) -> Request | SubmitResult:
        """The SUBMIT of a submission."""
        if not self._fits(submission):
            return _MISFIT
        return self.link.request_of(self._packet(submission))

    def _fits(self, submission: Submission) -> bool:
        extension = submission.extension
        length = len(self._config.access_number) + len(extension)
        return length <= _SRC_ID_DIGITS and _DIGITS.fullmatch(extension) is not None

    def _packet(self, submission: Submission) -> pdu.Submit:
        config, part = self._config, submission.part
        long = part.total > 1
        header = udh.build(submission.reference, part.total, part.number) if long else b""
        until = submission.valid_until
        return pdu.Submit(
            dest_terminal_id=tuple(map(to_national, submission.recipients)),
            msg_content=header + part.body,
            src_id=config.access_number + submission.extension,
            msg_src=config.msg_src or config.account,
            msg_fmt=MSG_FMT[part.coding],
            pk_total=part.total,
            pk_number=part.number,
            registered_delivery=int(submission.receipt),
            service_id=config.service_id,
            fee_user_type=config.fee_user_type,
            fee_terminal_id=config.fee_terminal_id,
            tp_udhi=int(long),
            fee_type=config.fee_type,
            fee_code=config.fee_code,
            valid_time=write_validity(until) if until else "",
        )

    def _delivered(self, sequence: int, deliver: pdu.Deliver) -> None:
        item = _receipt(deliver) if deliver.registered_delivery else _inbound(deliver)
        self.take(item, partial(self.link.acknowledge, sequence, deliver))


_DIGITS = re.compile("[0-9]*")
_MISFIT = SubmitResult(Outcome.REJECTED, code="extension", reason=Reason.FORMAT)


def _submit_result(
    codes: Mapping[int, Outcome],
    answer: pdu.SubmitResp | None,
    sequence: int,  # noqa: ARG001  # the reference is the carrier's
    recipients: int,
) -> SubmitResult:
    if answer is None:
        return SubmitResult(Outcome.UNANSWERED)
    meaning = submit_meaning(answer.result, recipients, not_now=codes)
    accepted = meaning.outcome is Outcome.ACCEPTED
    return SubmitResult(
        meaning.outcome,
        refs=tuple(map(_ref, message_ids(answer.msg_id, recipients))) if accepted else (),
        code=str(answer.result),
        reason=meaning.reason.value,
    )


def _receipt(deliver: pdu.Deliver) -> Receipt | UnreadReason:
    report = parse_report(deliver.msg_content)
    if report is None:
        return UnreadReason.BROKEN_REPORT
    meaning = report_meaning(report.stat)
    return Receipt(
        ref=_ref(report.msg_id),
        recipient=to_e164(report.dest_terminal_id) or to_e164(deliver.src_terminal_id),
        state=meaning.state,
        code=report.stat,
        reason=meaning.reason.value,
        done_at=read_minute(report.done_time),
    )


def _inbound(deliver: pdu.Deliver) -> Inbound:
    joining, body = (
        udh.parse(deliver.msg_content) if deliver.tp_udhi else (None, deliver.msg_content)
    )
    whole = udh.Concatenation(reference=0, total=1, number=1)
    place = joining or whole
    return Inbound(
        sender=to_e164(deliver.src_terminal_id) or deliver.src_terminal_id,
        recipient=deliver.dest_id,
        text=decode_chinese(body, deliver.msg_fmt),
        reference=place.reference,
        number=place.number,
        total=place.total,
    )


def _ref(msg_id: int) -> bytes:
    return msg_id.to_bytes(8, "big")
