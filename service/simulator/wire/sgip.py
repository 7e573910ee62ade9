"""The carrier's side of SGIP 1.2: it takes logins for submits, and dials the SP to report.

An account whose listener is known gets receipts and replies there, over connections that are
opened when something waits and closed when idle. One without a listener gets them over its own
connection, as some carriers do.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import ClassVar

from service.coding import udh
from service.coding.parts import Coding
from service.protocols.frame import BrokenFrame
from service.protocols.session import connect
from service.protocols.sgip import status
from service.protocols.sgip.packet import PDU
from service.protocols.sgip.pdu import (
    Bind,
    BindResp,
    Deliver,
    DeliverResp,
    Report,
    ReportResp,
    Submit,
    SubmitResp,
    Unbind,
    encode,
)
from service.protocols.sgip.sequence import SequenceNumbers, reference
from service.protocols.sgip.session import LOGIN_TO_SMG, LOGIN_TO_SP, SGIPSession
from service.simulator.carrier.config import ListenerConfig
from service.simulator.carrier.receipts import CarrierItem, MOPart, Owed
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import (
    LoginRefusal,
    ReceiptRequest,
    SubmitRefusal,
    SubmittedPart,
    Subscriber,
)
from service.simulator.wire.server import Reports, Server, listening

logger = logging.getLogger(__name__)

DIALLED = "the SP's listener took the login"
NOT_DIALLED = "the SP's listener cannot be used; its receipts wait"

IDLE_SECONDS = 60.0
"""After so long without use the carrier closes an SP's connection, and logs out of its own."""

CONNECTIONS = 2
"""Connections to an SP's listener; the second is opened if the listener allows it."""

RETRY_FIRST, RETRY_MOST = 0.5, 10.0
"""Seconds until a listener that could not be used is tried again; doubled each time."""

KEPT_SEQUENCES = 4096
"""How many sequence numbers of an account are kept to know a duplicate by."""

_CODINGS = {0: Coding.ASCII, 8: Coding.UCS2, 15: Coding.GB18030}
_MESSAGE_CODING = {coding: value for value, coding in _CODINGS.items()}
_MAX_OCTETS = {0: 160}
_MAX_OCTETS_OTHERWISE = 140
_ASKED = {0: ReceiptRequest.FAILURES, 2: ReceiptRequest.NONE}

_SERVICE_SUSPENDED = 108

_ERROR_CODES = {
    "powered_off": 25,
    "suspended": 56,
    "empty_number": 29,
    "blacklisted": 69,
    "memory_full": 26,
    "ported": 22,
    "content_filter": 50,
    "frequency_limit": 77,
}


_ACKNOWLEDGEMENTS = frozenset({ReportResp.command, DeliverResp.command})


class Sending(SGIPSession, Reports):
    """A link on which the carrier sends its commands; numbers: those of its own node."""

    numbers: SequenceNumbers

    def next_sequence(self) -> int:
        """The next sequence number of the carrier's node."""
        return self.numbers.take()

    def report(self, sequence: int, owed: Owed) -> bytes:
        """A REPORT."""
        delivered = owed.fate == "delivered"
        state = status.STATE_DELIVERED if delivered else status.STATE_FAILED
        error = 0 if delivered else _ERROR_CODES.get(owed.fate, status.SYSTEM_FAILURE)
        submit = int.from_bytes(owed.id, "big")
        return encode(sequence, Report(submit, owed.phone.removeprefix("+"), state, error))

    def deliver(self, sequence: int, text: MOPart) -> bytes:
        """A DELIVER with a part of a text."""
        part = text.part
        long = part.total > 1
        header = udh.build(text.reference, part.total, part.number) if long else b""
        deliver = Deliver(
            text.phone.removeprefix("+"),
            text.to,
            header + part.body,
            message_coding=_MESSAGE_CODING[part.coding],
            tp_udhi=int(long),
        )
        return encode(sequence, deliver)

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take acknowledgements; anything else is dropped."""
        if isinstance(pdu, ReportResp | DeliverResp):
            self.acknowledged(sequence, taken=pdu.result == status.OK)

    def broken(self, broken: BrokenFrame) -> None:
        """Send again what it may acknowledge, refuse a command."""
        if broken.command in _ACKNOWLEDGEMENTS:
            self.acknowledged(broken.sequence, taken=False)
        else:
            self.refuse_broken(broken)


class Seen:
    """The latest sequence numbers of an account, to know a duplicate by."""

    def __init__(self) -> None:
        self._submits: dict[int, Submit] = {}

    def before(self, sequence: int, submit: Submit) -> Submit | None:
        """What came with this number before; kept if nothing did."""
        known = self._submits.setdefault(sequence, submit)
        if known is not submit:
            return known
        if len(self._submits) > KEPT_SEQUENCES:
            del self._submits[next(iter(self._submits))]
        return None


class SGIPServer(Sending, Server):
    """One connection of an SP, from the carrier's side."""

    protocol = "sgip"
    login_statuses: ClassVar = {
        LoginRefusal.UNKNOWN_ACCOUNT: status.LOGIN_REFUSED,
        LoginRefusal.WRONG_SECRET: status.LOGIN_REFUSED,
        LoginRefusal.TOO_MANY_CONNECTIONS: status.TOO_MANY_CONNECTIONS,
    }
    refusals: ClassVar = {
        SubmitRefusal.TOO_FAST: status.FLOW_CONTROL,
        SubmitRefusal.BAD_NUMBER: status.BAD_NUMBER,
        SubmitRefusal.TOO_LONG: status.BAD_LENGTH,
        SubmitRefusal.DAILY_LIMIT: status.DAILY_AMOUNT,
        SubmitRefusal.BARRED: _SERVICE_SUSPENDED,
    }

    def __init__(self, smsc: SMSC, numbers: SequenceNumbers, seen: dict[str, Seen]) -> None:
        super().__init__(smsc.config.response_timeout_seconds)
        self.numbers = numbers
        self._seen = seen
        self.join(smsc)

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a login first, then submits and acknowledgements."""
        if isinstance(pdu, Bind):
            self._log_in(sequence, pdu)
        elif self.subscriber is None:
            self.close("not logged in")
        elif isinstance(pdu, Submit):
            self._submit(self.subscriber, sequence, pdu)
        else:
            super().handle(sequence, pdu)

    def broken(self, broken: BrokenFrame) -> None:
        """Refuse a login that cannot be read, and close; go on after it."""
        super().broken(broken)
        if self.subscriber is None:
            self.close("not logged in")

    def submit_answer(self, sequence: int, ids: Sequence[bytes], status: int) -> bytes:  # noqa: ARG002  # the ids are the SP's own
        """A SUBMIT_RESP."""
        return encode(sequence, SubmitResp(status))

    def on_tick(self, now: float) -> None:
        """Close a connection that is of no use."""
        super().on_tick(now)
        if now - self._received_at >= IDLE_SECONDS and not self._frozen:
            self.close("idle")

    def _log_in(self, sequence: int, bind: Bind) -> None:
        result = self._login_result(bind)
        self.answer(sequence, bind, result)
        if result == status.BOUND_ALREADY:
            return
        if result != status.OK:
            self.close("login refused")
            return
        self.enter(bind.login_name)
        subscriber = self.smsc.subscribers[self.protocol, bind.login_name]
        if subscriber.account.listener is None:
            self.offer(subscriber)

    def _login_result(self, bind: Bind) -> int:
        if self.subscriber is not None:
            return status.BOUND_ALREADY
        if bind.login_type != LOGIN_TO_SMG:
            return status.WRONG_LOGIN_TYPE
        return self.login_status(
            bind.login_name, lambda subscriber: subscriber.secret == bind.login_password
        )

    def _submit(self, subscriber: Subscriber, sequence: int, pdu: Submit) -> None:
        """SGIP 1.2 §4.1.2: what comes twice is dropped; under a used number, refused."""
        before = self._seen.setdefault(subscriber.name, Seen()).before(sequence, pdu)
        if before is None:
            self.submitted(sequence, _text(sequence, pdu))
        elif before != pdu:
            self.answer(sequence, pdu, status.BAD_SEQUENCE)


class DialledLink(Sending):
    """A connection that the carrier has opened to an SP's listener."""

    protocol = "sgip"

    def __init__(self, smsc: SMSC, numbers: SequenceNumbers) -> None:
        super().__init__(smsc.config.response_timeout_seconds)
        self.numbers = numbers
        self._login: asyncio.Future[int | None] = self.loop.create_future()
        self.join(smsc)

    async def log_in(self, name: str, password: str) -> int | None:
        """The result of a login; None if the link went away before there was one."""
        self.request(encode(self.next_sequence(), Bind(LOGIN_TO_SP, name, password)))
        return await self._login

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take the answer to the login, then acknowledgements."""
        if isinstance(pdu, BindResp) and not self._login.done():
            self._login.set_result(pdu.result)
        else:
            super().handle(sequence, pdu)

    def on_tick(self, now: float) -> None:
        """Log out when idle; nothing is sent from there on."""
        super().on_tick(now)
        idle = not self._reported and now - self._received_at >= IDLE_SECONDS
        if idle and self.subscriber and self in self.subscriber.receipts.links:
            self.subscriber.receipts.links.remove(self)
            self.request(encode(self.next_sequence(), Unbind()))

    def on_lost(self) -> None:
        """Say that there will be no answer to the login."""
        super().on_lost()
        if not self._login.done():
            self._login.set_result(None)


class Dialler:
    """Opens connections to one SP's listener when something waits for it.

    It stands among the links of the account while there is no connection: asked for room, it has
    none, but knows that a connection is wanted.
    """

    def __init__(
        self, smsc: SMSC, subscriber: Subscriber, door: ListenerConfig, numbers: SequenceNumbers
    ) -> None:
        self._smsc = smsc
        self._subscriber = subscriber
        self._door = door
        self._numbers = numbers
        self._wanted = asyncio.Event()

    @property
    def room(self) -> int:
        """None; something waits."""
        self._wanted.set()
        return 0

    def convey(self, item: CarrierItem) -> None:
        """Never asked for: there is no room."""
        raise ValueError(f"no connection for {type(item).__name__}")

    async def run(self) -> None:
        """Dial whenever something waits, until cancelled."""
        delay = RETRY_FIRST
        while True:
            await self._something_waits()
            links = await self._open_all()
            if not links:
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MOST)
                continue
            delay = RETRY_FIRST
            for link in links:
                await link.lost.wait()

    async def _something_waits(self) -> None:
        receipts = self._subscriber.receipts
        receipts.links.append(self)
        try:
            self._wanted.clear()
            receipts.pump()
            await self._wanted.wait()
        finally:
            if self in receipts.links:
                receipts.links.remove(self)

    async def _open_all(self) -> list[DialledLink]:
        links: list[DialledLink] = []
        while len(links) < CONNECTIONS:
            link = DialledLink(self._smsc, self._numbers)
            result = await self._open(link)
            if result != status.OK:
                link.close("the login was refused")
                if not links:
                    logger.warning(NOT_DIALLED, extra={"result": result})
                break
            logger.info(DIALLED)
            link.offer(self._subscriber)
            links.append(link)
        return links

    async def _open(self, link: DialledLink) -> int | None:
        door, subscriber = self._door, self._subscriber
        name = door.login or subscriber.name
        password = door.password.get_secret_value() or subscriber.secret
        with suppress(OSError):  # a TimeoutError is one
            async with asyncio.timeout(self._smsc.config.response_timeout_seconds):
                await connect(link, door.host, door.port)
                return await link.log_in(name, password)
        link.abort("the listener cannot be reached")
        self._smsc.sessions.discard(link)
        return None


def _text(sequence: int, pdu: Submit) -> SubmittedPart:
    content = pdu.message_content
    joining, body = udh.parse(content) if pdu.tp_udhi else (None, content)
    place = joining or udh.Concatenation(reference=0, total=1, number=1)
    return SubmittedPart(
        # By the book a number without 86 is a bad one.
        phones=[number if number.startswith("86") else "" for number in pdu.user_number],
        sender=pdu.sp_number,
        number=place.number,
        total=place.total,
        body=body,
        coding=_CODINGS.get(pdu.message_coding),
        asked=_ASKED.get(pdu.report_flag, ReceiptRequest.ALL),
        reference=reference(sequence),
        fits=len(content) <= _MAX_OCTETS.get(pdu.message_coding, _MAX_OCTETS_OTHERWISE),
    )


@asynccontextmanager
async def listen(smsc: SMSC) -> AsyncIterator[int]:
    """Serve SGIP on the configured port, and dial, while the block runs; gives the port."""
    numbers = SequenceNumbers(smsc.config.gateway_code)
    seen: dict[str, Seen] = {}
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            listening(smsc, "sgip", lambda: SGIPServer(smsc, numbers, seen))
        )
        diallers = [
            asyncio.create_task(Dialler(smsc, subscriber, door, numbers).run())
            for (protocol, _), subscriber in smsc.subscribers.items()
            if protocol == "sgip" and (door := subscriber.account.listener)
        ]
        stack.push_async_callback(_stop, diallers)
        yield port


async def _stop(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError) and outcome is not None:
            raise outcome
