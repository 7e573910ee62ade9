"""The carrier's side of a CMPP 3.0 link: logins checked, submits answered, receipts delivered."""

import asyncio
import logging
from collections import deque

from service.protocols.cmpp import digest
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import (
    VERSION,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
    encode,
)
from service.protocols.cmpp.report import (
    NUMBER_OCTETS_20,
    NUMBER_OCTETS_30,
    Report,
    write_minute,
)
from service.protocols.cmpp.session import CMPPSession
from service.protocols.cmpp.status import (
    CONNECT_AUTHENTICATION_FAILED,
    CONNECT_BAD_SOURCE,
    CONNECT_OK,
    CONNECT_TOO_MANY_CONNECTIONS,
    CONNECT_VERSION_TOO_HIGH,
    RESULT_BAD_DESTINATION,
    RESULT_FLOW_CONTROL,
    RESULT_OK,
    RESULT_TOO_LONG,
)
from service.protocols.number import to_national
from service.protocols.session import Timing
from service.protocols.window import Window
from service.simulator.receipts import Owed
from service.simulator.smsc import SMSC, Refusal, Subscriber, Text

logger = logging.getLogger(__name__)

LOGIN = "simulated login"

_RESULTS = {
    Refusal.TOO_FAST: RESULT_FLOW_CONTROL,
    Refusal.BAD_NUMBER: RESULT_BAD_DESTINATION,
}
_MAX_OCTETS = {0: 159}
_MAX_OCTETS_OTHERWISE = 140


class CMPPServer(CMPPSession):
    """One connection of an SP, from the carrier's side."""

    def __init__(self, smsc: SMSC) -> None:
        config = smsc.config
        super().__init__(Timing(config.heartbeat_seconds, config.response_timeout_seconds))
        self._smsc = smsc
        self._config = config
        self._subscriber: Subscriber | None = None
        self._reported = Window[Owed]()
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._submits = 0
        smsc.sessions.add(self)

    @property
    def room(self) -> int:
        """How many more receipts may be sent before one is acknowledged."""
        return self._config.deliver_window - len(self._reported) if self.is_open else 0

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a login first, then submits and acknowledgements."""
        if self._subscriber is None:
            self._log_in(sequence, pdu)
        elif isinstance(pdu, Submit):
            self._submitted(self._subscriber, sequence, pdu)
        elif isinstance(pdu, DeliverResp):
            self._acknowledged(self._subscriber, sequence, pdu)

    def send_receipt(self, owed: Owed) -> None:
        """Send one receipt."""
        sequence = self.sequence.take()
        self._reported.add(sequence, owed, self.deadline)
        self.request(encode(sequence, self._report(owed)))

    def flush(self) -> None:
        """Note in the journal what is about to be answered, then answer."""
        self._smsc.journal.flush()
        super().flush()

    def on_tick(self, now: float) -> None:
        """Send again what was not acknowledged in time."""
        late = self._reported.overdue(now)
        if late and self._subscriber:
            self._subscriber.receipts.again(late)

    def on_lost(self) -> None:
        """Give what was not acknowledged to another connection."""
        self._smsc.sessions.discard(self)
        if self._subscriber:
            receipts = self._subscriber.receipts
            receipts.links.remove(self)
            receipts.again(self._reported.clear())

    def _log_in(self, sequence: int, pdu: PDU) -> None:
        if not isinstance(pdu, Connect):
            self.close("not logged in")
            return
        subscriber = self._smsc.subscribers.get(pdu.source_addr)
        status = self._login_status(pdu, subscriber)
        logger.info(LOGIN, extra={"status": status})
        self.send(encode(sequence, self._login_answer(pdu, status, subscriber)))
        if status != CONNECT_OK or subscriber is None:
            self.close("login refused")
            return
        self._subscriber = subscriber
        subscriber.receipts.links.append(self)
        subscriber.receipts.pump()

    def _login_status(self, pdu: Connect, subscriber: Subscriber | None) -> int:
        if pdu.version != VERSION:
            return CONNECT_VERSION_TOO_HIGH
        if subscriber is None:
            return CONNECT_BAD_SOURCE
        if not digest.source_matches(
            pdu.authenticator_source, pdu.source_addr, subscriber.secret, pdu.timestamp
        ):
            return CONNECT_AUTHENTICATION_FAILED
        if len(subscriber.receipts.links) >= self._config.max_connections:
            return CONNECT_TOO_MANY_CONNECTIONS
        return CONNECT_OK

    def _login_answer(
        self, pdu: Connect, status: int, subscriber: Subscriber | None
    ) -> ConnectResp:
        authenticator = bytes(16)
        if status == CONNECT_OK and subscriber:
            octets = status.to_bytes(4, "big")
            authenticator = digest.authenticator_ismg(
                octets, pdu.authenticator_source, subscriber.secret
            )
        return ConnectResp(status, authenticator, VERSION)

    def _submitted(self, subscriber: Subscriber, sequence: int, pdu: Submit) -> None:
        if len(pdu.msg_content) > _MAX_OCTETS.get(pdu.msg_fmt, _MAX_OCTETS_OTHERWISE):
            self._answer(sequence, 0, RESULT_TOO_LONG)
            return
        text = Text(pdu.dest_terminal_id, pdu.src_id, pdu.pk_number, pdu.pk_total)
        verdict = self._smsc.submit(subscriber, text)
        if isinstance(verdict, Refusal):
            self._answer(sequence, 0, _RESULTS[verdict])
            return
        self._submits += 1
        if self._submits == self._config.faults.disconnect_after:
            self._smsc.journal.flush()
            self.abort("fault on demand")
        elif not self._smsc.swallows():
            self._answer(sequence, verdict, RESULT_OK)

    def _answer(self, sequence: int, message_id: int, result: int) -> None:
        frame = encode(sequence, SubmitResp(message_id, result))
        delay = self._config.response_delay_seconds
        if delay == 0:
            self.send(frame)
            return
        if not self._delayed:
            self.loop.call_later(delay, self._send_delayed)
        self._delayed.append((self.loop.time() + delay, frame))

    def _send_delayed(self) -> None:
        now = self.loop.time()
        while self._delayed and self._delayed[0][0] <= now:
            self.send(self._delayed.popleft()[1])
        if self._delayed:
            self.loop.call_at(self._delayed[0][0], self._send_delayed)

    def _acknowledged(self, subscriber: Subscriber, sequence: int, pdu: DeliverResp) -> None:
        owed = self._reported.take(sequence)
        if owed is None:
            return
        if pdu.result == RESULT_OK:
            self._smsc.acknowledged(owed)
        else:
            subscriber.receipts.schedule(owed, self._config.response_timeout_seconds)
        subscriber.receipts.pump()

    def _report(self, owed: Owed) -> Deliver:
        number = to_national(owed.phone)
        width = NUMBER_OCTETS_30 if self._config.report_octets == 71 else NUMBER_OCTETS_20
        report = Report(
            owed.id,
            owed.stat,
            write_minute(owed.submitted_at),
            write_minute(self._smsc.clock.now()),
            number,
        )
        return Deliver(
            self._smsc.next_id(),
            owed.sender,
            number,
            report.encode(number_octets=width),
            registered_delivery=1,
        )


async def listen(smsc: SMSC) -> asyncio.Server:
    """Serve CMPP on the configured port."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: CMPPServer(smsc), smsc.config.host, smsc.config.cmpp_port
    )
