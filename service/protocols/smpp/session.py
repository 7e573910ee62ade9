"""An SMPP link from either side: SMPP 3.4 §2 and §4.3. Heartbeats and logouts are answered here.

`SMPPClient` is the side of an ESME: login in one of three roles, submits in a window, delivers
handed on. What cannot be understood is refused with a generic_nack and costs nothing else.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

from service.logs import seldom
from service.protocols.client import Client, Request, ResultT
from service.protocols.frame import BadLength, BrokenFrame, Frames
from service.protocols.session import Session, Timing
from service.protocols.smpp.operations import AlertNotification, Outbind
from service.protocols.smpp.packet import PDU, RESPONSE, Response
from service.protocols.smpp.pdu import (
    HEADER_OCTETS,
    MAX_FRAME_OCTETS,
    Bind,
    BindReceiverResp,
    BindResp,
    BindTransceiverResp,
    BindTransmitterResp,
    DataSM,
    DataSMResp,
    DeliverSM,
    DeliverSMResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSM,
    SubmitSMResp,
    Unbind,
    UnbindResp,
    Unknown,
    decode,
    encode,
)
from service.protocols.smpp.status import (
    ESME_RINVCMDID,
    ESME_RINVCMDLEN,
    ESME_ROK,
    ESME_RUNKNOWNERR,
)
from service.protocols.window import Sequence as SequenceNumbers

logger = logging.getLogger(__name__)

NOT_OFFERED = "a request that is not offered here is refused"
NACKED = "the other side could not understand a packet"

LAST_SEQUENCE = 0x7FFF_FFFF
NO_SEQUENCE = 0
"""The sequence number of a generic_nack for what could not be read."""


class SMPPSession(Session):
    """What both sides of an SMPP link do alike."""

    sequence_at: ClassVar = slice(12, 16)
    deliveries: ClassVar[frozenset[int]] = frozenset()

    def __init__(self, timing: Timing) -> None:
        super().__init__(_RefusingFrames(self._refuse_length), timing)
        self.sequence = SequenceNumbers(last=LAST_SEQUENCE)

    @abstractmethod
    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a packet that is neither heartbeat nor logout."""

    def received(self, frame: bytes) -> None:
        """Read one packet, and answer heartbeats and logouts at once."""
        sequence, pdu = decode(frame)
        if isinstance(pdu, EnquireLink):
            self.send(encode(sequence, EnquireLinkResp()))
        elif isinstance(pdu, Unbind):
            self.send(encode(sequence, UnbindResp()))
            self.close("the other side logged out")
        elif isinstance(pdu, UnbindResp):
            self.close("logged out")
        else:
            self.handle(sequence, pdu)

    def heartbeat(self) -> bytes:
        """An enquire_link."""
        return encode(self.sequence.take(), EnquireLink())

    def not_offered(self, sequence: int, pdu: PDU) -> None:
        """Answer a request that nobody here takes; other responses and notices are skipped."""
        command = pdu.command_id if isinstance(pdu, Unknown) else pdu.command
        if command & RESPONSE or isinstance(pdu, Response | AlertNotification | Outbind):
            return
        seldom(logger, logging.WARNING, NOT_OFFERED, command=f"{command:#x}")
        self.send(encode(sequence, GenericNack(command_status=ESME_RINVCMDID)))

    def broken(self, broken: BrokenFrame) -> None:
        """Refuse a request at once, unless it is a delivery: that is stored first."""
        if broken.command not in self.deliveries:
            self.refuse_broken(broken)
        super().broken(broken)

    def refuse_broken(self, broken: BrokenFrame) -> None:
        """Answer a request that cannot be read with a generic_nack; a response is dropped."""
        if not broken.command & RESPONSE:
            nack = GenericNack(command_status=ESME_RINVCMDLEN)
            self.send(encode(broken.sequence, nack))

    def _refuse_length(self) -> None:
        """Say why the link is about to be closed."""
        self.send(encode(NO_SEQUENCE, GenericNack(command_status=ESME_RINVCMDLEN)))


class SMPPClient(SMPPSession, Client[BindResp, SubmitSMResp, ResultT]):
    """The side of an ESME.

    on_deliver: takes each deliver_sm and data_sm; who has stored it calls `acknowledge`.
    """

    login_answers: ClassVar = frozenset(
        {BindReceiverResp.command, BindTransmitterResp.command, BindTransceiverResp.command}
    )
    submit_answer: ClassVar = SubmitSMResp.command
    deliveries: ClassVar = frozenset({DeliverSM.command, DataSM.command})

    def __init__(
        self,
        timing: Timing,
        *,
        read_answer: Callable[[SubmitSMResp | None, int, int], ResultT],
        on_deliver: Callable[[int, DeliverSM | DataSM], None],
    ) -> None:
        super().__init__(timing)
        self.read_answer = read_answer
        self._on_deliver = on_deliver
        self._login_sequence = NO_SEQUENCE

    async def login(self, bind: Bind) -> BindResp | None:
        """Log in; None if the link went away before there was an answer.

        Raises:
            ValueError: a field is too long.
        """
        self._login_sequence = self.sequence.take()
        answer = await self.ask_login(encode(self._login_sequence, bind))
        if answer is not None and answer.command_status == ESME_ROK:
            self.logged_in()
        return answer

    def request_of(self, pdu: SubmitSM) -> Request:
        """A submit_sm with the next sequence number; ValueError if a field is too long."""
        sequence = self.sequence.take()
        return Request(sequence, encode(sequence, pdu), 1)

    def acknowledge(self, sequence: int, message: DeliverSM | DataSM) -> None:
        """Tell the SMSC that a message is stored; nothing if the link is gone."""
        answer = DeliverSMResp() if isinstance(message, DeliverSM) else DataSMResp()
        self.send(encode(sequence, answer))

    def farewell(self) -> bytes:
        """An unbind."""
        return encode(self.sequence.take(), Unbind())

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take answers and delivers; other requests are refused."""
        if isinstance(pdu, SubmitSMResp):
            self.answered(sequence, pdu)
        elif isinstance(pdu, DeliverSM | DataSM):
            self._on_deliver(sequence, pdu)
        elif isinstance(pdu, BindResp):
            self.login_answered(pdu)
        elif isinstance(pdu, GenericNack):
            self._nacked(sequence, pdu)
        else:
            self.not_offered(sequence, pdu)

    def _nacked(self, sequence: int, nack: GenericNack) -> None:
        """A generic_nack with a number of ours answers that request."""
        status = nack.command_status or ESME_RUNKNOWNERR
        seldom(logger, logging.WARNING, NACKED, sequence=sequence, status=status)
        if sequence == self._login_sequence:
            self.login_answered(BindResp(command_status=status))
        elif sequence in self._window:
            self.answered(sequence, SubmitSMResp(command_status=status))


class _RefusingFrames(Frames):
    """Frames that tell somebody of a bad length before the link is closed for it."""

    def __init__(self, refuse: Callable[[], None]) -> None:
        super().__init__(minimum=HEADER_OCTETS, maximum=MAX_FRAME_OCTETS)
        self._refuse = refuse

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from super().__iter__()
        except BadLength:
            self._refuse()
            raise
