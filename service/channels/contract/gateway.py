"""The contract a gateway meets, and the only port of the application: it has six implementations.

A gateway is a kind of way out (a class); a channel is a configured one (a row). One Gateway object
is one live connection of one channel: `open` logs in, `submit` writes, `lost` is set when the link
is gone. Reconnecting, pacing, the ledger and the window's permits are the caller's (`dispatch`).

GatewayError
├── Unreachable     nobody answers at that address, or the login went unanswered   retryable
├── LoginRefused    the carrier answered and said no                               retryable or not
└── Unparseable     the other side does not speak the protocol                     retryable
"""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, Field

from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.coding.parts import Part
from service.errors import TocsinError
from service.words.phrase import phrase


class GatewayError(TocsinError):
    """Something between us and the carrier; `retryable` says whether to try again by itself.

    quoted: the words in the message that are not ours, such as those of the other side.
    """

    code = "gateway"

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = True,
        code: str | None = None,
        quoted: str = "",
    ) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable
        self.quoted = quoted


class Unreachable(GatewayError):
    """Nobody answers at the address, or the login got no answer in time."""

    code = "unreachable"


class LoginRefused(GatewayError):
    """The carrier refused the login; `code` carries its status."""

    code = "login_refused"


class Unparseable(GatewayError):
    """What came over the link is not the protocol."""

    code = "unparseable"


@dataclass(slots=True)
class SubmitResult:
    """The answer to one submission.

    refs: the carrier's reference for each recipient, in order, as raw octets; empty unless accepted
        (or, where the reference is our own sequence, whenever it was written).
    code: the carrier's own code as text, kept as it came.
    reason: the normalised reason of a refusal (a word of `Reason`), "" when accepted.
    retry_after: seconds that a throttling carrier asks to wait, where it says so.
    """

    outcome: Outcome
    refs: tuple[bytes, ...] = ()
    code: str = ""
    reason: str = ""
    retry_after: float | None = None


@dataclass(slots=True)
class Submission:
    """One part on its way out, to one recipient or to several at once.

    recipients: E.164 with plus, e.g. +8619790001234; at most `Gateway.most_recipients`.
    reference: the long-message reference shared by all parts of one message, 0 to 65535.
    valid_until: the end of validity, aware; the carrier drops the text after it. None: its default.
    extension: digits appended to the channel's access number, so that replies find their way.
    receipt: whether a state report is asked for.
    """

    recipients: tuple[str, ...]
    part: Part
    reference: int
    valid_until: datetime | None = None
    extension: str = ""
    receipt: bool = True


@dataclass(slots=True)
class Receipt:
    """A state report on one part.

    ref: the carrier's reference, the same octets as in the SubmitResult.
    recipient: E.164 with plus, or "" where the carrier gave none that can be read.
    code: the carrier's status text as it came (DELIVRD, MK:0001, …).
    reason: normalised: empty_number, suspended, powered_off, blacklisted, memory_full, ported,
        content_filter, frequency_limit, rejected, network, other; "" when delivered or buffered.
    done_at: the carrier's own instant, where readable; the trusted one is when we received it.
    """

    ref: bytes
    recipient: str
    state: ReceiptState
    code: str
    reason: str
    done_at: datetime | None


@dataclass(slots=True)
class Inbound:
    """A text (or one part of one) from a handset.

    sender: E.164 with plus. recipient: the number it was sent to (access number and extension).
    reference, number, total: the long-message header, total 1 when there is none.
    """

    sender: str
    recipient: str
    text: str
    reference: int = 0
    number: int = 1
    total: int = 1


class UnreadReason(StrEnum):
    """Why a delivery of the carrier could not be read."""

    BROKEN_LENGTH = "broken_length"  # its fields are longer than its octets
    BROKEN_REPORT = "broken_report"  # it says that it is a receipt, and has none of its fields
    REPORT_ON_TEXT = "report_on_text"  # a receipt of a text that came from a handset: none of ours


@dataclass(slots=True)
class RawDelivery:
    """A receipt or text of the carrier that could not be read, as it came.

    octets: the whole frame. header: how many of them are its header, in which a repeated delivery
        has another sequence number.
    """

    octets: bytes
    header: int
    why: UnreadReason

    @property
    def content(self) -> bytes:
        """What is the same when it comes again: its command, and what follows the header."""
        return self.octets[COMMAND] + self.octets[self.header :]


COMMAND = slice(4, 8)
"""Where a header has its command, in each of the carriers' protocols."""

Delivery = Receipt | Inbound | RawDelivery
"""What a gateway receives."""

DeliveryHandler = Callable[[Delivery], "asyncio.Future[None]"]
"""Takes what a gateway received; the future is done once it is stored, and only then may the
gateway acknowledge it to the carrier. A future with an exception means: do not acknowledge."""


class Refused(StrEnum):
    """What whoever listens for a carrier has refused."""

    STRANGER = "stranger"  # a connection from an address that is not among those allowed
    DISPLACED = "displaced"  # a connection that did not log in, for a newer one of its address
    WRONG_LOGIN = "wrong_login"  # a name or a password
    LOCKED_OUT = "locked_out"  # a login from an address with too many wrong ones, unread


class Listening:
    """What listens for a carrier. note: told of each refusal, and of the address it met."""

    note: Callable[[Refused, str], None]


class Gateway(ABC):
    """One connection to a carrier."""

    kind: ClassVar[str]
    """The name of the module, and of the kind in channel rows."""

    about: ClassVar[str] = ""
    """A sentence on its settings, as a phrase; "": the first line of their model's docstring."""

    config_model: ClassVar[type[BaseModel]]
    """The kind's settings and credentials; secrets are SecretStr. The console's form comes from
    it, so each field has a description."""

    guarded: ClassVar[frozenset[str]] = frozenset({"host", "port"})
    """The settings that say where credentials and numbers go, or who may report: on a real channel
    a change of them takes two persons, and the secrets anew (see `channels.changes`)."""

    most_recipients: ClassVar[int] = 1
    """How many recipients one submission may have."""

    own_references: ClassVar[bool] = False
    """Whether the reference of a part is a number of ours: having it proves nothing."""

    number_setting: ClassVar[str] = ""
    """The setting with the number that an extension is appended to; "": none can be."""

    number_characters: ClassVar[int] = 0
    """The most characters of that number and an extension together."""

    reference_setting: ClassVar[str] = ""
    """The setting for how ids in receipts are written, compared with those in answers; an
    enumeration. "": there is none."""

    logs_in: ClassVar[bool] = True
    """Whether `open` shows our credentials to the carrier; if not, it only sees whether somebody
    answers at the address."""

    keeps_list: ClassVar[bool] = False
    """Whether the provider has a list of what it took, for `find`."""

    lost: asyncio.Event
    """Set when the link is gone, for whatever reason; the object is then of no further use."""

    @classmethod
    def settings_faults(cls, config: BaseModel, *, simulated: bool) -> Mapping[str, str]:  # noqa: ARG003
        """What is wrong with settings that somebody gives now, by name; stored ones go on as ever.

        For what a channel must not be set up with, while one that was must not end for it.
        """
        return {}

    @property
    def ended(self) -> str:
        """Why the link is gone, in plain words; "" while it is there."""
        return ""

    @property
    def rested(self) -> bool:
        """Whether the link ended only because it was in no use, as the protocol wants it."""
        return False

    @property
    def heard_seconds(self) -> float:
        """From the login to the last that was heard of the carrier; infinite: nobody listens."""
        return math.inf

    @classmethod
    def listener(
        cls,
        config: BaseModel,  # noqa: ARG003  # those that listen need it
        deliver: "DeliveryHandler",  # noqa: ARG003
        clock: Clock,  # noqa: ARG003
        *,
        simulated: bool = False,  # noqa: ARG003
    ) -> AbstractAsyncContextManager[object] | None:
        """What listens for the carrier's own connections, while the channel is served.

        Several processes may serve one channel at once, so it shares its port (SO_REUSEPORT).
        None: the carrier sends everything over our connections. One that is a `Listening` tells of
        what it refuses.
        """
        return None

    @staticmethod
    def same_id(answered: tuple[bytes, str], reported: tuple[bytes, str], form: str) -> bool:
        """Whether an answer's reference and a receipt's mean one id, if ids are written by `form`.

        Only for kinds with a `reference_setting`. answered, reported: each with the form by which
        it was stored.
        """
        raise NotImplementedError(f"{answered} and {reported} are written as they are, not {form}")

    @abstractmethod
    async def open(self) -> None:
        """Connect and log in.

        Raises:
            GatewayError: `retryable` says whether trying again by itself makes sense.
        """

    @abstractmethod
    def split(self, text: str) -> tuple[Part, ...]:
        """The parts this channel will send `text` in; pure, so callers may cache by text."""

    @abstractmethod
    def submit(self, batch: Sequence[Submission]) -> list["asyncio.Future[SubmitResult]"]:
        """Write the submissions now, in one write, and return a future for each answer.

        Synchronous on purpose: between the caller's last check and the write nothing else runs.
        The futures never raise: a lost link or a silent carrier is an Outcome. The caller keeps
        the number of unanswered submits within the channel's window.

        Raises:
            ValueError: something in the batch cannot be written as it is; nothing was written.
        """

    async def find(
        self,
        recipient: str,  # those that keep a list need it
        since: datetime,
    ) -> list[Receipt]:
        """What the provider's own list says of the texts to a number created since then.

        Only for kinds with `keeps_list`. An empty list proves nothing.

        Raises:
            GatewayError: the list cannot be had now.
        """
        raise NotImplementedError(f"a {self.kind} gateway keeps no list")

    @abstractmethod
    async def close(self, *, drain_seconds: float) -> None:
        """Wait for open answers up to `drain_seconds`, log out, and close. Never raises."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A request by which a provider calls us.

    url: as the provider called it, and so what it signed: the channel's public URL with the query.
    headers: by their names in lower case.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What a callback said, and what to answer with status 200 once that is stored."""

    items: tuple[Receipt | Inbound, ...] = ()
    body: str = ""
    media_type: str = "text/plain"


class CallbackConfig(BaseModel):
    """What every kind that is called back needs to be told."""

    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^/\s]+/[^\s#]*)?$",
        description=phrase(
            "Address of this channel's callbacks as the provider reaches it, "
            "e.g. https://sms.example.com/api/v1/callbacks/7; blank: no callbacks are asked for"
        ),
    )


ConfigT = TypeVar("ConfigT", bound=CallbackConfig)


class CallbackGateway(Gateway, Generic[ConfigT]):
    """A kind whose provider reports by calling us over HTTP."""

    config_model: ClassVar[type[CallbackConfig]]

    @classmethod
    @abstractmethod
    def read_callback(cls, config: ConfigT, callback: Callback) -> CallbackAnswer:
        """Check who calls, and read what they say; pure, and before anything is stored.

        Raises:
            Forbidden: the signature is missing, wrong or too old.
            Invalid: it is signed but cannot be read.
        """


GatewayFactory = Callable[[BaseModel, DeliveryHandler, Clock], Gateway]
