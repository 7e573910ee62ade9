"""The carrier's side of a CMPP link: 2.0, 2.1 and 3.0, as each login asks."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from service.coding import udh
from service.coding.parts import Coding
from service.protocols.cmpp import digest, report
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import (
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
)
from service.protocols.cmpp.query import Cancel, CancelResp, Query, QueryResp
from service.protocols.cmpp.report import NUMBER_OCTETS_20, Report
from service.protocols.cmpp.session import CMPPSession
from service.protocols.cmpp.status import (
    CONNECT_AUTHENTICATION_FAILED,
    CONNECT_BAD_SOURCE,
    CONNECT_BAD_STRUCTURE,
    CONNECT_OK,
    CONNECT_TOO_MANY_CONNECTIONS,
    CONNECT_VERSION_TOO_HIGH,
    RESULT_BAD_DESTINATION,
    RESULT_BAD_LENGTH,
    RESULT_BAD_SOURCE,
    RESULT_FLOW_CONTROL,
    RESULT_OK,
    RESULT_TOO_LONG,
)
from service.protocols.cmpp.version import BY_OCTET
from service.protocols.frame import BrokenFrame
from service.protocols.number import to_national
from service.protocols.times import BEIJING
from service.simulator.carrier.receipts import MOPart, Owed
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import (
    LoginRefusal,
    ReceiptRequest,
    SubmitRefusal,
    SubmittedPart,
    Subscriber,
)
from service.simulator.carrier.times import by_minute
from service.simulator.wire.server import Server, listening, timing

_CODINGS = {0: Coding.ASCII, 8: Coding.UCS2, 15: Coding.GB18030}
_MSG_FMT = {coding: value for value, coding in _CODINGS.items()}
_MAX_OCTETS = {0: 159}
_MAX_OCTETS_OTHERWISE = 140

_RESULT_DAILY_LIMIT = 77
_RESULT_NO_BALANCE = 208

_NOTHING_TO_CANCEL = 1

write_submitted = by_minute(report.write_minute)
write_done = by_minute(report.write_minute)


class CMPPServer(CMPPSession, Server):
    """One connection of an SP, from the carrier's side."""

    protocol = "cmpp"
    login_statuses: ClassVar = {
        LoginRefusal.UNKNOWN_ACCOUNT: CONNECT_BAD_SOURCE,
        LoginRefusal.WRONG_SECRET: CONNECT_AUTHENTICATION_FAILED,
        LoginRefusal.TOO_MANY_CONNECTIONS: CONNECT_TOO_MANY_CONNECTIONS,
    }
    refusals: ClassVar = {
        SubmitRefusal.TOO_FAST: RESULT_FLOW_CONTROL,
        SubmitRefusal.BAD_NUMBER: RESULT_BAD_DESTINATION,
        SubmitRefusal.TOO_LONG: RESULT_TOO_LONG,
        SubmitRefusal.DAILY_LIMIT: _RESULT_DAILY_LIMIT,
        SubmitRefusal.BARRED: _RESULT_NO_BALANCE,
    }

    def __init__(self, smsc: SMSC) -> None:
        super().__init__(timing(smsc.config))
        self.join(smsc)

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a login first, then submits and acknowledgements."""
        if self.subscriber is None:
            self._log_in(sequence, pdu)
        elif isinstance(pdu, Submit):
            self._submit(sequence, pdu)
        elif isinstance(pdu, DeliverResp):
            self.acknowledged(sequence, taken=pdu.result == RESULT_OK)
        elif isinstance(pdu, Query):
            self._query(sequence, self.subscriber, pdu)
        elif isinstance(pdu, Cancel):
            self.send(self.packet(sequence, CancelResp(_NOTHING_TO_CANCEL)))

    def broken(self, broken: BrokenFrame) -> None:
        """Refuse a login or a SUBMIT that cannot be read; send again what it may acknowledge."""
        if broken.command == Connect.command and self.subscriber is None:
            answer = ConnectResp(CONNECT_BAD_STRUCTURE, bytes(16), self.version.octet)
            self.send(self.packet(broken.sequence, answer))
        if self.subscriber is None:
            self.close("not logged in")
        elif broken.command == Submit.command:
            self.send(self.submit_answer(broken.sequence, (), RESULT_BAD_LENGTH))
        elif broken.command == DeliverResp.command:
            self.acknowledged(broken.sequence, taken=False)

    def submit_answer(self, sequence: int, ids: Sequence[bytes], status: int) -> bytes:
        """A SUBMIT_RESP; its Msg_Id is the first recipient's, the others follow."""
        first = int.from_bytes(ids[0], "big") if ids else 0
        return self.packet(sequence, SubmitResp(first, status))

    def next_sequence(self) -> int:
        """The next Sequence_Id."""
        return self.sequence.take()

    def report(self, sequence: int, owed: Owed) -> bytes:
        """A DELIVER with a report block."""
        number = to_national(owed.phone)
        by_the_book = self.smsc.config.report_octets == 71
        width = self.version.terminal_octets if by_the_book else NUMBER_OCTETS_20
        block = Report(
            int.from_bytes(owed.id, "big"),
            owed.stat,
            write_submitted(owed.submitted_at),
            write_done(self.smsc.clock.now()),
            number,
        )
        content = block.encode(number_octets=width)
        deliver = Deliver(self._own_id(), owed.sender, number, content, registered_delivery=1)
        return self.packet(sequence, deliver)

    def deliver(self, sequence: int, text: MOPart) -> bytes:
        """A DELIVER with a part of a text."""
        part = text.part
        long = part.total > 1
        header = udh.build(text.reference, part.total, part.number) if long else b""
        deliver = Deliver(
            self._own_id(),
            text.to,
            to_national(text.phone),
            header + part.body,
            msg_fmt=_MSG_FMT[part.coding],
            tp_udhi=int(long),
        )
        return self.packet(sequence, deliver)

    def _own_id(self) -> int:
        assert self.subscriber is not None  # noqa: S101  # nothing goes out before the login
        (octets,) = self.subscriber.ids.take()
        return int.from_bytes(octets, "big")

    def _log_in(self, sequence: int, pdu: PDU) -> None:
        if not isinstance(pdu, Connect):
            self.close("not logged in")
            return

        def knows(subscriber: Subscriber) -> bool:
            return digest.source_matches(
                pdu.authenticator_source, pdu.source_addr, subscriber.secret, pdu.timestamp
            )

        version = BY_OCTET.get(pdu.version)
        if version is None:
            status = CONNECT_VERSION_TOO_HIGH
        else:
            self.version = version
            status = self.login_status(pdu.source_addr, knows)
        self.send(self.packet(sequence, self._login_answer(pdu, status)))
        if status != CONNECT_OK:
            self.close("login refused")
            return
        self.enter(pdu.source_addr)
        self.offer(self.smsc.subscribers[self.protocol, pdu.source_addr])

    def _submit(self, sequence: int, pdu: Submit) -> None:
        if pdu.src_id.isascii():
            self.submitted(sequence, _text(pdu))
        else:  # no report could go there
            self.send(self.submit_answer(sequence, (), RESULT_BAD_SOURCE))

    def _query(self, sequence: int, subscriber: Subscriber, pdu: Query) -> None:
        """The account's day if it is this one; other days and single services are not kept.

        A day or a service that is not ASCII cannot be repeated in the answer, and is left out.
        """
        now = self.smsc.clock.now()
        today = f"{now.astimezone(BEIJING):%Y%m%d}"
        count = subscriber.used_today(now) if (pdu.time, pdu.query_type) == (today, 0) else 0
        counts = dict.fromkeys(("mt_tlmsg", "mt_tlusr", "mt_scs"), count)
        others = dict.fromkeys(("mt_wt", "mt_fl", "mo_scs", "mo_wt", "mo_fl"), 0)
        day, code = (text if text.isascii() else "" for text in (pdu.time, pdu.query_code))
        answer = QueryResp(day, pdu.query_type, code, **counts, **others)
        self.send(self.packet(sequence, answer))

    def _login_answer(self, pdu: Connect, status: int) -> ConnectResp:
        authenticator = bytes(16)
        subscriber = self.account(pdu.source_addr)
        if status == CONNECT_OK and subscriber:
            secret = self.digest_secret(subscriber)
            authenticator = digest.authenticator_ismg(
                status, pdu.authenticator_source, secret, self.version
            )
        return ConnectResp(status, authenticator, self.version.octet)


def _text(pdu: Submit) -> SubmittedPart:
    content = pdu.msg_content
    _, body = udh.parse(content) if pdu.tp_udhi else (None, content)
    return SubmittedPart(
        phones=pdu.dest_terminal_id,
        sender=pdu.src_id,
        number=pdu.pk_number,
        total=pdu.pk_total,
        body=body,
        coding=_CODINGS.get(pdu.msg_fmt),
        asked=ReceiptRequest.ALL if pdu.registered_delivery else ReceiptRequest.NONE,
        fits=len(content) <= _MAX_OCTETS.get(pdu.msg_fmt, _MAX_OCTETS_OTHERWISE),
    )


def listen(smsc: SMSC) -> AbstractAsyncContextManager[int]:
    """Serve CMPP on the configured port while the block runs; gives the port."""
    return listening(smsc, "cmpp", lambda: CMPPServer(smsc))
