"""An SGIP link from either side: SGIP 1.2 §3. Only the side that opened it sends commands.

`SGIPClient` is the link that an SP opens: login type 1, submits in a window, logout when idle; the
other way round, the carrier opens one to the SP: `listener`. There is no heartbeat: a link is used
or closed.
"""

import logging
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from service.logs import seldom
from service.protocols.client import Client, Request, ResultT
from service.protocols.frame import BrokenFrame, Frames
from service.protocols.session import Session, Timing
from service.protocols.sgip.packet import PDU
from service.protocols.sgip.pdu import (
    HEADER_OCTETS,
    MAX_FRAME_OCTETS,
    Bind,
    BindResp,
    Deliver,
    DeliverResp,
    Report,
    ReportResp,
    Response,
    Submit,
    SubmitResp,
    Unbind,
    UnbindResp,
    UserRpt,
    UserRptResp,
    decode,
    encode,
)
from service.protocols.sgip.sequence import SequenceNumbers
from service.protocols.sgip.status import BAD_LENGTH, BAD_PARAMETER, BOUND_ALREADY, OK

logger = logging.getLogger(__name__)

USER_CHANGED = "the carrier tells of a subscriber's change; acknowledged and ignored"
NOT_SERVED = "a command that an SP does not serve is refused"

LOGIN_TO_SMG = 1
LOGIN_TO_SP = 2

_RESPONSES: dict[int, type[Response]] = {
    Bind.command: BindResp,
    Submit.command: SubmitResp,
    Deliver.command: DeliverResp,
    Report.command: ReportResp,
    UserRpt.command: UserRptResp,
}


class SGIPSession(Session):
    """What both sides of an SGIP link do alike."""

    sequence_at: ClassVar = slice(8, 20)

    def __init__(self, response_timeout_seconds: float, silence_seconds: float = math.inf) -> None:
        timing = Timing(math.inf, response_timeout_seconds, silence_seconds)
        super().__init__(Frames(minimum=HEADER_OCTETS, maximum=MAX_FRAME_OCTETS), timing)

    @abstractmethod
    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a packet that is no logout."""

    def received(self, frame: bytes) -> None:
        """Read one packet, and answer a logout at once."""
        sequence, pdu = decode(frame)
        if isinstance(pdu, Unbind):
            self.send(encode(sequence, UnbindResp()))
            self.close("the other side logged out")
        elif isinstance(pdu, UnbindResp):
            self.close("logged out")
        else:
            self.handle(sequence, pdu)

    def answer(self, sequence: int, command: PDU, result: int = OK) -> None:
        """Answer a command; nothing if the link is gone."""
        if self.is_open:
            self.send(encode(sequence, _RESPONSES[command.command](result)))

    def refuse_broken(self, broken: BrokenFrame) -> None:
        """Answer a command that cannot be read: bad length (8); an answer is dropped."""
        response = _RESPONSES.get(broken.command)
        if response is not None and self.is_open:
            self.send(encode(broken.sequence, response(BAD_LENGTH)))

    def heartbeat(self) -> bytes:
        """Never asked for: SGIP has none, and the interval of its links is endless."""
        return b""


class SPSession(SGIPSession):
    """What an SP does alike on the link it opened and on those that the carrier opens.

    on_deliver: takes each DELIVER and REPORT; who has stored it calls `answer`. on_broken: takes
    each that cannot be read; who has stored its octets calls `refuse_broken`.
    """

    deliveries: ClassVar = frozenset({Deliver.command, Report.command})
    on_broken: Callable[[BrokenFrame], None]
    on_deliver: Callable[[int, Deliver | Report], None]

    def broken(self, broken: BrokenFrame) -> None:
        """Hand on a DELIVER or REPORT that cannot be read; refuse another command."""
        if broken.command in self.deliveries:
            self.on_broken(broken)
        else:
            self.refuse_broken(broken)
            super().broken(broken)

    def serve(self, sequence: int, pdu: PDU) -> None:
        """Take a command of the carrier; answers that nobody waits for are dropped."""
        if isinstance(pdu, Report | Deliver):
            self.on_deliver(sequence, pdu)
        elif isinstance(pdu, UserRpt):
            seldom(logger, logging.INFO, USER_CHANGED, condition=pdu.user_condition)
            self.answer(sequence, pdu)
        elif isinstance(pdu, Bind | Submit):
            seldom(logger, logging.WARNING, NOT_SERVED, command=type(pdu).__name__)
            self.answer(sequence, pdu, BOUND_ALREADY if isinstance(pdu, Bind) else BAD_PARAMETER)


class SGIPClient(SPSession, Client[BindResp, SubmitResp, ResultT]):
    """The link that an SP opens.

    idle_seconds: how long it may be of no use before it logs out, as the specification asks.
    on_gone: called when the link is gone; whether it had been of no use then.
    """

    login_answers: ClassVar = frozenset({BindResp.command})
    submit_answer: ClassVar = SubmitResp.command

    def __init__(
        self,
        numbers: SequenceNumbers,
        *,
        response_timeout_seconds: float,
        silence_seconds: float,
        idle_seconds: float,
        read_answer: Callable[[SubmitResp | None, int, int], ResultT],
        on_deliver: Callable[[int, Deliver | Report], None],
        on_gone: Callable[[bool], None],
    ) -> None:
        super().__init__(response_timeout_seconds, silence_seconds)
        self.read_answer = read_answer
        self.on_deliver = on_deliver
        self._on_gone = on_gone
        self._numbers = numbers
        self._idle_seconds = idle_seconds
        self._bound = self._retired = False

    @property
    def leaving(self) -> bool:
        """Whether it was logged in and takes no more submits."""
        return self._bound and not self.ready

    async def login(self, name: str, password: str) -> BindResp | None:
        """Log in; None if the link went away before there was an answer."""
        bind = Bind(LOGIN_TO_SMG, name, password)
        answer = await self.ask_login(encode(self._numbers.take(), bind))
        if answer is not None and answer.result == OK:
            self._bound = True
            self.logged_in()
        return answer

    def request_of(self, pdu: Submit) -> Request:
        """A SUBMIT with the next sequence number; ValueError if a field is too long."""
        sequence = self._numbers.take()
        return Request(sequence, encode(sequence, pdu), len(pdu.user_number))

    def farewell(self) -> bytes:
        """An UNBIND."""
        return encode(self._numbers.take(), Unbind())

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take answers, and what should have come over the carrier's own connection."""
        if isinstance(pdu, SubmitResp):
            self.answered(sequence, pdu)
        elif isinstance(pdu, BindResp):
            self.login_answered(pdu)
        else:
            self.serve(sequence, pdu)

    def on_tick(self, now: float) -> None:
        """Give up the submits that have waited too long; log out when idle."""
        super().on_tick(now)
        if self.ready and not self._window and now - self._received_at >= self._idle_seconds:
            self._logged_in = False
            self._retired = True
            self.request(self.farewell())

    def on_lost(self) -> None:
        """Give up everything in flight, and say whether there was anything."""
        idle = self._retired or (self._bound and not self._window and self._waiting_since is None)
        super().on_lost()
        self._on_gone(idle and self.fault is None)
