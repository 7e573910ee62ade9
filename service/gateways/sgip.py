"""China Unicom over SGIP 1.2: submits over our connection, reports and texts over the carrier's.

Sources and deviations: docs/protocols/sgip.md.

One module: its settings, each with its sentence, are a third of it, and its gateway is one class.
"""

import asyncio
import logging
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal, Self, cast

from pydantic import (
    BaseModel,
    Field,
    IPvAnyNetwork,
    SecretStr,
    field_validator,
    model_validator,
)

from service.channels.contract.gateway import (
    DeliveryHandler,
    Submission,
    SubmitResult,
)
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.coding import udh
from service.coding.parts import Coding, Part, split
from service.ledger.reasons import Reason
from service.protocols.client import Request
from service.protocols.sgip import pdu, reading
from service.protocols.sgip.listener import Door, Listener
from service.protocols.sgip.packet import NUMBER_OCTETS
from service.protocols.sgip.sequence import SequenceNumbers, reference, write_time
from service.protocols.sgip.session import SGIPClient
from service.protocols.sgip.status import (
    DAILY_LIMITS,
    OK,
    TOO_FAST,
    login_meaning,
    submit_meaning,
)
from service.protocols.stream import Address, LoginAnswer, ResponseTimeout, Silence, StreamGateway
from service.words.phrase import phrase

logger = logging.getLogger(__name__)

ASLEEP = "the idle connection ended; the next submit opens another"

MESSAGE_CODING = {Coding.ASCII: 0, Coding.UCS2: 8, Coding.GBK: 15}
_CODINGS = {value: coding for coding, value in MESSAGE_CODING.items()}

_Code = Annotated[int, Field(ge=1, le=255)]
_PRINTABLE = re.compile("[ -~]*")


class SGIPConfig(BaseModel):
    """Settings of a China Unicom account; the values come with the contract."""

    host: str = Field(min_length=1, description=phrase("Address of the carrier's gateway (SMG)"))
    port: int = Field(
        default=8801, ge=1, le=65535, description=phrase("TCP port of the carrier's gateway")
    )
    login_name: str = Field(
        pattern=r"^[!-~]{1,16}$", description=phrase("LoginName of the account")
    )
    login_password: SecretStr = Field(
        max_length=16, description=phrase("LoginPassword of the account")
    )
    node_number: int = Field(
        ge=1,
        le=0xFFFF_FFFF,
        description=phrase("Node number of the SP: 3, area code, enterprise code, e.g. 3055112345"),
    )
    corp_id: str = Field(
        pattern=r"^[!-~]{1,5}$", description=phrase("Enterprise code (CorpId), 5 digits")
    )
    access_number: str = Field(
        pattern=r"^[0-9]{3,20}$",
        description=phrase("Number the handset shows (SPNumber), e.g. 10655123"),
    )
    service_type: str = Field(
        default="",
        pattern=r"^[ -~]{0,10}$",
        description=phrase("Service code, blank if none was given"),
    )
    charge_number: str = Field(
        default="0" * 21,
        pattern=r"^[0-9]{0,21}$",
        description=phrase(
            "Who pays: 21 zeros the account, blank each recipient, or a number with 86"
        ),
    )
    fee_type: Literal[0, 1, 2, 3, 4] = Field(
        default=1,
        description=phrase(
            "FeeType: 0 and 1 free, 2 per message, 3 monthly, 4 charged by the account"
        ),
    )
    fee_value: str = Field(
        default="0", pattern=r"^[0-9]{1,6}$", description=phrase("FeeValue: price in fen")
    )
    given_value: str = Field(
        default="0",
        pattern=r"^[0-9]{1,6}$",
        description=phrase("GivenValue: credit given to the user"),
    )
    agent_flag: Literal[0, 1] = Field(
        default=0, description=phrase("AgentFlag: 0 fee receivable, 1 fee received")
    )
    morelateto_mt_flag: Literal[0, 1, 2, 3] = Field(
        default=2,
        description=phrase(
            "MorelatetoMTFlag: 2 not asked for by a text; some carriers want 0 or 3"
        ),
    )
    priority: int = Field(default=0, ge=0, le=9, description=phrase("Priority: 9 goes first"))
    message_coding: Literal[8, 15] = Field(
        default=8,
        description=phrase(
            "Coding of Chinese texts: 8 UCS-2, 15 GBK; a text with a character that GBK "
            "lacks leaves as 8"
        ),
    )
    allow_ascii: bool = Field(
        default=False, description=phrase("Send texts of only ASCII characters as ASCII")
    )
    ascii_part: Literal[134, 153] = Field(
        default=134, description=phrase("ASCII characters in a part of a long text")
    )
    response_timeout_seconds: ResponseTimeout = 30.0
    silence_seconds: Silence = 25.0
    idle_seconds: float | None = Field(
        default=40.0,
        gt=0,
        description=phrase(
            "Log out after so long without a submit; the carrier cuts after 60. "
            "Blank: stay connected"
        ),
    )
    too_fast_codes: tuple[_Code, ...] = Field(
        default=tuple(sorted(TOO_FAST)),
        description=phrase("Results by which the carrier says too fast; the text is sent again"),
    )
    daily_limit_codes: tuple[_Code, ...] = Field(
        default=tuple(sorted(DAILY_LIMITS)),
        description=phrase("Results by which the amount of the day is used up"),
    )
    listen_host: str = Field(
        default="0.0.0.0",  # noqa: S104  # the carrier comes from outside
        min_length=1,
        description=phrase("Own address on which the carrier's connections are awaited"),
    )
    listen_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description=phrase(
            "Own port for the carrier's connections, by the book 8801; each channel "
            "needs one of its own. Blank: do not listen"
        ),
    )
    listen_login_name: str = Field(
        default="",
        pattern=r"^[!-~]{0,16}$",
        description=phrase("LoginName the carrier uses with us, blank for that of the account"),
    )
    listen_password: SecretStr = Field(
        default=SecretStr(""),
        max_length=16,
        description=phrase("LoginPassword the carrier uses with us, blank for that of the account"),
    )
    listen_any_login: bool = Field(
        default=False, description=phrase("Let the carrier in with any name and password")
    )
    listen_addresses: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description=phrase(
            "Addresses or networks the carrier comes from; a real channel that listens "
            "needs them. None: any, and on a real channel that of the gateway's host alone"
        ),
    )
    listen_connections: int = Field(
        default=5, ge=1, le=64, description=phrase("Connections the carrier may have to us at once")
    )
    listen_idle_seconds: float = Field(
        default=60.0,
        gt=0,
        description=phrase("Time without a command after which we close its connection"),
    )

    @field_validator("login_password", "listen_password")
    @classmethod
    def _printable(cls, value: SecretStr) -> SecretStr:
        if not _PRINTABLE.fullmatch(value.get_secret_value()):
            raise ValueError(phrase("only printable ASCII characters can travel"))
        return value

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.listen_any_login and not self.listen_addresses:
            raise ValueError(
                phrase("any login is taken only from addresses given in listen_addresses")
            )
        return self

    @property
    def door(self) -> Door:
        """Where we listen, and who may come in."""
        password = self.listen_password.get_secret_value()
        return Door(
            host=self.listen_host,
            port=self.listen_port or 0,
            login_name=self.listen_login_name or self.login_name,
            password=password or self.login_password.get_secret_value(),
            any_login=self.listen_any_login,
            addresses=tuple(self.listen_addresses),
            connections=self.listen_connections,
            idle_seconds=self.listen_idle_seconds,
        )


class SGIPGateway(StreamGateway[SGIPClient[SubmitResult]]):
    """One connection of a China Unicom account.

    A connection that ends while it is of no use is not `lost`: that is the protocol's way. It is
    asleep; the next submit is not sent, and says so, and the caller opens another connection.
    """

    kind = "sgip"
    about = phrase("Settings of a China Unicom account; the values come with the contract.")
    protocol = "SGIP"
    header_octets = pdu.HEADER_OCTETS
    config_model = SGIPConfig
    guarded = frozenset({"host", "port", "listen_addresses", "listen_any_login"}) | {
        "listen_login_name",
        "listen_password",
    }
    number_setting = "access_number"
    number_characters = NUMBER_OCTETS
    most_recipients = 83
    """A packet has at most 2,048 octets: 143, 21 a recipient, and up to 160 of content."""
    own_references = True

    def __init__(
        self,
        config: SGIPConfig,
        deliver: DeliveryHandler,
        clock: Clock,  # noqa: ARG002  # sequence numbers go by the world's own time
    ) -> None:
        link = SGIPClient[SubmitResult](
            SequenceNumbers(config.node_number),
            response_timeout_seconds=config.response_timeout_seconds,
            silence_seconds=config.silence_seconds,
            idle_seconds=config.idle_seconds or math.inf,
            read_answer=self._submit_result,
            on_deliver=self._delivered,
            on_gone=self._gone,
        )
        address = Address(config.host, config.port, config.response_timeout_seconds)
        super().__init__(link, address, deliver)
        self.lost = asyncio.Event()
        self._asleep = False
        self._config = config
        self._too_fast = frozenset(config.too_fast_codes)
        self._daily_limits = frozenset(config.daily_limit_codes)

    @classmethod
    def listener(
        cls,
        config: BaseModel,
        deliver: DeliveryHandler,
        clock: Clock,  # noqa: ARG003  # reports carry no times
        *,
        simulated: bool = False,
    ) -> AbstractAsyncContextManager[Listener] | None:
        """What takes the carrier's connections; None if the channel does not listen.

        A real channel that was set up without `listen_addresses` takes those of the gateway's host.
        Entering it raises OSError if the address or port cannot be had.
        """
        settings = cast(SGIPConfig, config)
        if settings.listen_port is None:
            return None
        return Listener(
            settings.door if simulated else replace(settings.door, carrier=settings.host),
            deliver,
            reading.read,
            response_timeout_seconds=settings.response_timeout_seconds,
        )

    @classmethod
    def settings_faults(cls, config: BaseModel, *, simulated: bool) -> Mapping[str, str]:
        """A real channel's listener takes connections of known addresses only."""
        settings = cast(SGIPConfig, config)
        if simulated or settings.listen_port is None or settings.listen_addresses:
            return {}
        return {
            "listen_addresses": phrase(
                "a real channel that listens (listen_port) needs the addresses or networks"
                " that the carrier connects from, e.g. 192.0.2.0/28; the carrier's access"
                " sheet names them"
            )
        }

    @property
    def rested(self) -> bool:
        """Whether the link ended while it was in no use."""
        return self._asleep

    async def log_in(self) -> LoginAnswer | None:
        """Log in with name and password."""
        config = self._config
        password = config.login_password.get_secret_value()
        answer = await self.link.login(config.login_name, password)
        if answer is None:
            return None
        refusal = None if answer.result == OK else login_meaning(answer.result)
        return LoginAnswer(answer.result, refusal)

    def split(self, text: str) -> tuple[Part, ...]:
        """The parts a text is sent in, as the account's coding or, where allowed, ASCII."""
        config = self._config
        return split(
            text,
            coding=_CODINGS[config.message_coding],
            allow_ascii=config.allow_ascii,
            ascii_part=config.ascii_part,
        )

    def submit(self, batch: Sequence[Submission]) -> list["asyncio.Future[SubmitResult]"]:
        """Write the submissions; asleep, send nothing and ask for another connection."""
        if self.link.leaving:
            self.lost.set()
        return super().submit(batch)

    async def close(self, *, drain_seconds: float) -> None:
        """Wait for open answers and stores, log out, and close."""
        await super().close(drain_seconds=drain_seconds)
        self.lost.set()

    def request(self, submission: Submission) -> Request | SubmitResult:
        """The SUBMIT of a submission."""
        if not self._fits(submission):
            return _MISFIT
        return self.link.request_of(self._packet(submission))

    def _fits(self, submission: Submission) -> bool:
        extension = submission.extension
        length = len(self._config.access_number) + len(extension)
        return length <= NUMBER_OCTETS and _DIGITS.fullmatch(extension) is not None

    def _packet(self, submission: Submission) -> pdu.Submit:
        config, part = self._config, submission.part
        long = part.total > 1
        header = udh.build(submission.reference, part.total, part.number) if long else b""
        until = submission.valid_until
        return pdu.Submit(
            sp_number=config.access_number + submission.extension,
            user_number=tuple(number.removeprefix("+") for number in submission.recipients),
            corp_id=config.corp_id,
            message_content=header + part.body,
            message_coding=MESSAGE_CODING[part.coding],
            charge_number=config.charge_number,
            service_type=config.service_type,
            fee_type=config.fee_type,
            fee_value=config.fee_value,
            given_value=config.given_value,
            agent_flag=config.agent_flag,
            morelateto_mt_flag=config.morelateto_mt_flag,
            priority=config.priority,
            expire_time=write_time(until) if until else "",
            report_flag=_REPORT_ALWAYS if submission.receipt else _REPORT_NEVER,
            tp_udhi=int(long),
        )

    def _submit_result(
        self, answer: pdu.SubmitResp | None, sequence: int, recipients: int
    ) -> SubmitResult:
        refs = (reference(sequence),) * recipients
        if answer is None:
            return SubmitResult(Outcome.UNANSWERED, refs)
        meaning = submit_meaning(
            answer.result,
            recipients=recipients,
            too_fast=self._too_fast,
            daily_limits=self._daily_limits,
        )
        taken = meaning.outcome in _PERHAPS_TAKEN
        return SubmitResult(
            meaning.outcome,
            refs=refs if taken else (),
            code=str(answer.result),
            reason=meaning.reason.value,
        )

    def _delivered(self, sequence: int, deliver: pdu.Deliver | pdu.Report) -> None:
        self.take(reading.read(deliver), partial(self.link.answer, sequence, deliver))

    def _gone(self, idle: bool) -> None:
        self._asleep = idle
        if idle:
            logger.info(ASLEEP)
        else:
            self.lost.set()


_DIGITS = re.compile("[0-9]*")
_MISFIT = SubmitResult(Outcome.REJECTED, code="extension", reason=Reason.FORMAT)
_PERHAPS_TAKEN = frozenset({Outcome.ACCEPTED, Outcome.UNANSWERED})
_REPORT_ALWAYS = 1
_REPORT_NEVER = 2
