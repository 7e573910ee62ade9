"""China Mobile over CMPP 3.0: one TCP connection, login by MD5 digest, submits in a window.

Each submit carries one recipient and asks for a report. The gateway cannot tell a lost answer from
a lost submit, so whatever was written and not answered is `unanswered`, never sent again here.
Sources and deviations: docs/protocols/cmpp.md.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr

from service.channels.gateway import (
    Deliver,
    Gateway,
    Inbound,
    LoginRefused,
    Outcome,
    Receipt,
    ReceiptState,
    Submission,
    SubmitResult,
    Unparseable,
    Unreachable,
)
from service.clock import Clock
from service.coding import udh
from service.coding.parts import Coding, Part, decode, split
from service.protocols.cmpp import pdu
from service.protocols.cmpp.report import parse_report, read_minute, write_validity
from service.protocols.cmpp.session import CMPPClient
from service.protocols.cmpp.status import (
    CONNECT_OK,
    login_meaning,
    report_meaning,
    submit_meaning,
)
from service.protocols.meaning import Answer, Reason
from service.protocols.number import to_e164, to_national
from service.protocols.session import Timing, connect

logger = logging.getLogger(__name__)

NOT_STORED = "a deliver could not be stored and is not acknowledged"
UNREADABLE_REPORT = "a report too short to be read is acknowledged and ignored"

OPEN_SECONDS = 15.0
"""How long connecting and logging in may take together."""

MSG_FMT = {Coding.ASCII: 0, Coding.UCS2: 8, Coding.GB18030: 15}
_CODINGS = {value: coding for coding, value in MSG_FMT.items()}


class CMPPConfig(BaseModel):
    """Settings of a China Mobile account; the values come with the contract."""

    host: str = Field(description="Address of the carrier's gateway")
    port: int = Field(default=7890, ge=1, le=65535, description="TCP port of the carrier's gateway")
    account: str = Field(
        min_length=1, max_length=6, description="Account (SP id, Source_Addr), e.g. 901234"
    )
    secret: SecretStr = Field(description="Shared secret of the account")
    access_number: str = Field(
        pattern=r"^[0-9]{3,20}$", description="Number the handset shows, e.g. 106900001234"
    )
    service_id: str = Field(
        default="", max_length=10, description="Service code, blank if none was given"
    )
    msg_src: str = Field(
        default="", max_length=6, description="Msg_src, blank for the account itself"
    )
    fee_type: Literal["01", "02", "03"] = Field(
        default="01", description="FeeType: 01 free, 02 per message, 03 monthly"
    )
    fee_code: str = Field(default="0", pattern=r"^[0-9]{1,6}$", description="FeeCode: price in fen")
    fee_user_type: Literal[0, 1, 2, 3] = Field(
        default=2,
        description="Who pays: 0 the recipient, 1 the source, 2 the sender, 3 another number",
    )
    window: int = Field(
        default=16, ge=1, le=1024, description="Submits without an answer at any moment"
    )
    response_timeout_seconds: float = Field(
        default=60.0, gt=0, description="Longest wait for an answer (timer T)"
    )
    heartbeat_seconds: float = Field(
        default=30.0, gt=0, description="Silence after which a heartbeat is sent (timer C)"
    )
    allow_ascii: bool = Field(
        default=False, description="Send texts of only ASCII characters as ASCII"
    )
    ascii_part: Literal[134, 153] = Field(
        default=153, description="ASCII characters in a part of a long text"
    )


class CMPPGateway(Gateway):
    """One connection of a China Mobile account."""

    kind = "cmpp"
    config_model = CMPPConfig

    def __init__(self, config: CMPPConfig, deliver: Deliver, clock: Clock) -> None:
        self._config = config
        self._deliver = deliver
        self._clock = clock
        self._storing: set[asyncio.Future[None]] = set()
        timing = Timing(config.heartbeat_seconds, config.response_timeout_seconds)
        self._link = CMPPClient[SubmitResult](
            timing, read_answer=_submit_result, on_deliver=self._delivered
        )
        self.lost = self._link.lost

    async def open(self) -> None:
        """Connect and log in.

        Raises:
            GatewayError: nobody answers, the login is refused, or it is not CMPP.
        """
        config = self._config
        seconds = min(OPEN_SECONDS, config.response_timeout_seconds)
        try:
            async with asyncio.timeout(seconds):
                await connect(self._link, config.host, config.port)
                secret = config.secret.get_secret_value()
                answer = await self._link.login(config.account, secret, self._clock.now())
        except OSError as error:  # a TimeoutError is one
            self._link.abort("the login got no answer")
            raise Unreachable(
                f"no login at {config.host}:{config.port} within {seconds:g} s; "
                "check address, port and firewall"
            ) from error
        except asyncio.CancelledError:
            self._link.abort("opening was cancelled")
            raise
        self._check_login(answer)

    def split(self, text: str) -> tuple[Part, ...]:
        """The parts a text is sent in, as UCS-2 or, where allowed, ASCII."""
        config = self._config
        return split(text, allow_ascii=config.allow_ascii, ascii_part=config.ascii_part)

    def submit(self, batch: Sequence[Submission]) -> list["asyncio.Future[SubmitResult]"]:
        """Write the parts in one write and return a future for each answer."""
        if not self._link.ready:
            return [self._settled(SubmitResult(Outcome.NOT_SENT)) for _ in batch]
        fitting = [self._fits(submission) for submission in batch]
        packets = [self._packet(s) for s, fits in zip(batch, fitting, strict=True) if fits]
        answers = iter(self._link.submit(packets))
        return [next(answers) if fits else self._settled(_MISFIT) for fits in fitting]

    async def close(self, *, drain_seconds: float) -> None:
        """Wait for open answers and stores, log out, and close."""
        open_ends: set[asyncio.Future[Any]] = {*self._link.unanswered, *self._storing}
        if open_ends:
            await asyncio.wait(open_ends, timeout=drain_seconds)
        await self._link.logout()

    def _check_login(self, answer: pdu.ConnectResp | None) -> None:
        if answer is not None and answer.status == CONNECT_OK:
            return
        address = f"{self._config.host}:{self._config.port}"
        if answer is not None:
            self._link.close("the login was refused")
            meaning = login_meaning(answer.status)
            raise LoginRefused(
                f"{address} refused the login: {meaning.text} (status {answer.status})",
                retryable=meaning.retryable,
                code=str(answer.status),
            )
        if self._link.fault is not None:
            raise Unparseable(f"{address} does not speak CMPP: {self._link.fault.message}")
        raise Unreachable(f"{address} closed the connection before answering the login")

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
            dest_terminal_id=(to_national(submission.recipient),),
            msg_content=header + part.body,
            src_id=config.access_number + submission.extension,
            msg_src=config.msg_src or config.account,
            msg_fmt=MSG_FMT[part.coding],
            pk_total=part.total,
            pk_number=part.number,
            service_id=config.service_id,
            fee_user_type=config.fee_user_type,
            tp_udhi=int(long),
            fee_type=config.fee_type,
            fee_code=config.fee_code,
            valid_time=write_validity(until) if until else "",
        )

    def _delivered(self, sequence: int, deliver: pdu.Deliver) -> None:
        item = _receipt(deliver) if deliver.registered_delivery else _inbound(deliver)
        if item is None:
            logger.warning(UNREADABLE_REPORT, extra={"octets": len(deliver.msg_content)})
            self._link.acknowledge(sequence, deliver)
            return
        stored = self._deliver(item)
        self._storing.add(stored)
        stored.add_done_callback(partial(self._stored, sequence, deliver))

    def _stored(self, sequence: int, deliver: pdu.Deliver, stored: "asyncio.Future[None]") -> None:
        self._storing.discard(stored)
        if stored.cancelled() or stored.exception() is not None:
            logger.error(NOT_STORED)
        else:
            self._link.acknowledge(sequence, deliver)

    def _settled(self, result: SubmitResult) -> "asyncio.Future[SubmitResult]":
        future: asyncio.Future[SubmitResult] = self._link.loop.create_future()
        future.set_result(result)
        return future


_SRC_ID_DIGITS = 21
_DIGITS = re.compile("[0-9]*")
_MISFIT = SubmitResult(Outcome.REJECTED, code="extension", reason=Reason.FORMAT)


def _submit_result(answer: pdu.SubmitResp | None) -> SubmitResult:
    if answer is None:
        return SubmitResult(Outcome.UNANSWERED)
    meaning = submit_meaning(answer.result)
    accepted = meaning.answer is Answer.ACCEPTED
    return SubmitResult(
        Outcome(meaning.answer.value),
        ref=_ref(answer.msg_id) if accepted else None,
        code=str(answer.result),
        reason=meaning.reason.value,
    )


def _receipt(deliver: pdu.Deliver) -> Receipt | None:
    report = parse_report(deliver.msg_content)
    if report is None:
        return None
    meaning = report_meaning(report.stat)
    return Receipt(
        ref=_ref(report.msg_id),
        recipient=to_e164(report.dest_terminal_id) or to_e164(deliver.src_terminal_id),
        state=ReceiptState(meaning.state.value),
        code=report.stat,
        reason=meaning.reason.value,
        done_at=read_minute(report.done_time),
    )


def _inbound(deliver: pdu.Deliver) -> Inbound:
    joining, body = (
        udh.parse(deliver.msg_content) if deliver.tp_udhi else (None, deliver.msg_content)
    )
    coding = _CODINGS.get(deliver.msg_fmt)
    whole = udh.Concatenation(reference=0, total=1, number=1)
    place = joining or whole
    return Inbound(
        sender=to_e164(deliver.src_terminal_id) or deliver.src_terminal_id,
        recipient=deliver.dest_id,
        text=decode(body, coding) if coding else body.hex(),
        reference=place.reference,
        number=place.number,
        total=place.total,
    )


def _ref(msg_id: int) -> bytes:
    return msg_id.to_bytes(8, "big")
