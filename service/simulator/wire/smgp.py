"""The carrier's side of an SMGP 3.0 link.

A connection of LoginMode 0 only submits, one of mode 1 only gets receipts and replies, one of mode
2 does both. Reports come in the spellings of three stacks in turn.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from service.coding import udh
from service.coding.parts import Coding
from service.protocols.frame import BrokenFrame
from service.protocols.number import to_national
from service.protocols.smgp import digest, times
from service.protocols.smgp.packet import PDU
from service.protocols.smgp.pdu import (
    MSG_ID_OCTETS,
    RECEIVE,
    SEND,
    SEND_AND_RECEIVE,
    VERSION,
    Deliver,
    DeliverResp,
    Login,
    LoginResp,
    Submit,
    SubmitResp,
    encode,
)
from service.protocols.smgp.report import Report
from service.protocols.smgp.session import SMGPSession
from service.protocols.smgp.status import (
    STATUS_ACCOUNT_EXPIRED,
    STATUS_AUTHENTICATION_FAILED,
    STATUS_BAD_COMMAND,
    STATUS_BAD_DESTINATION,
    STATUS_BAD_LENGTH,
    STATUS_BAD_SOURCE,
    STATUS_BAD_STRUCTURE,
    STATUS_BUSY,
    STATUS_DAILY_AMOUNT,
    STATUS_OK,
    STATUS_TOO_MANY_CONNECTIONS,
    STATUS_VERSION_TOO_HIGH,
)
from service.protocols.smgp.tlv import NO_OPTIONS, Options
from service.simulator.carrier.receipts import MOPart, Owed
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import (
    LoginRefusal,
    ReceiptRequest,
    SubmitRefusal,
    SubmittedPart,
    Subscriber,
)
from service.simulator.carrier.times import by_minute, by_second
from service.simulator.wire.server import Server, listening, timing

_CODINGS = {0: Coding.ASCII, 8: Coding.UCS2, 15: Coding.GB18030}
_MSG_FORMAT = {coding: value for value, coding in _CODINGS.items()}
_MAX_OCTETS = {0: 159}
_MAX_OCTETS_OTHERWISE = 140

# The stat and err of each outcome; those that SMGP has no code for fail in another's network.
_REPORTS = {
    "delivered": ("DELIVRD", "000"),
    "powered_off": ("EXPIRED", "001"),
    "empty_number": ("UNDELIV", "640"),
    "blacklisted": ("UNDELIV", "005"),
    "memory_full": ("EXPIRED", "007"),
    "content_filter": ("KEYWORD", "000"),
    "frequency_limit": ("UNDELIV", "908"),
}
_NO_ERR = "000"

write_submitted = by_minute(times.write_minute)
write_done = by_minute(times.write_minute)
write_second = by_second(times.write_second)

_KEY_WORDS = (b"Submit date:", b"done date:", b"Text:")
_SPELLINGS = (
    _KEY_WORDS,
    (b"submit date:", b"done date:", b"text:"),
    (b"submit_date:", b"done_date:", b"text:"),
)


class SMGPServer(SMGPSession, Server):
    """One connection of an SP, from the carrier's side."""

    protocol = "smgp"
    highest_status = 0xFFFF_FFFF
    login_statuses: ClassVar = {
        LoginRefusal.UNKNOWN_ACCOUNT: STATUS_AUTHENTICATION_FAILED,
        LoginRefusal.WRONG_SECRET: STATUS_AUTHENTICATION_FAILED,
        LoginRefusal.TOO_MANY_CONNECTIONS: STATUS_TOO_MANY_CONNECTIONS,
    }
    refusals: ClassVar = {
        SubmitRefusal.TOO_FAST: STATUS_BUSY,
        SubmitRefusal.BAD_NUMBER: STATUS_BAD_DESTINATION,
        SubmitRefusal.TOO_LONG: STATUS_BAD_LENGTH,
        SubmitRefusal.DAILY_LIMIT: STATUS_DAILY_AMOUNT,
        SubmitRefusal.BARRED: STATUS_ACCOUNT_EXPIRED,
    }

    def __init__(self, smsc: SMSC) -> None:
        super().__init__(timing(smsc.config))
        self._mode = SEND_AND_RECEIVE
        self.join(smsc)

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a login first, then submits and acknowledgements."""
        if self.subscriber is None:
            self._log_in(sequence, pdu)
        elif isinstance(pdu, Submit):
            if self._mode == RECEIVE:
                self.send(self.submit_answer(sequence, (), STATUS_BAD_COMMAND))
            elif not pdu.src_term_id.isascii():  # no report could go there
                self.send(self.submit_answer(sequence, (), STATUS_BAD_SOURCE))
            else:
                self.submitted(sequence, _text(pdu))
        elif isinstance(pdu, DeliverResp):
            self.acknowledged(sequence, taken=pdu.status == STATUS_OK)

    def broken(self, broken: BrokenFrame) -> None:
        """Refuse a login or a Submit that cannot be read; send again what it may acknowledge."""
        if broken.command == Login.command and self.subscriber is None:
            answer = LoginResp(STATUS_BAD_STRUCTURE, bytes(16), VERSION)
            self.send(encode(broken.sequence, answer))
        if self.subscriber is None:
            self.close("not logged in")
        elif broken.command == Submit.command:
            self.send(self.submit_answer(broken.sequence, (), STATUS_BAD_LENGTH))
        elif broken.command == DeliverResp.command:
            self.acknowledged(broken.sequence, taken=False)

    def submit_answer(self, sequence: int, ids: Sequence[bytes], status: int) -> bytes:
        """A Submit_Resp; its MsgID is the first recipient's, the others follow."""
        return encode(sequence, SubmitResp(ids[0] if ids else bytes(MSG_ID_OCTETS), status))

    def next_sequence(self) -> int:
        """The next SequenceID."""
        return self.sequence.take()

    def report(self, sequence: int, owed: Owed) -> bytes:
        """A Deliver with a report."""
        stat, err = _REPORTS.get(owed.fate, (owed.stat, _NO_ERR))
        now = self.smsc.clock.now()
        report = Report(owed.id, stat, err, write_submitted(owed.submitted_at), write_done(now))
        content = _spelled(report.encode(), _SPELLINGS[sequence % len(_SPELLINGS)])
        deliver = Deliver(
            self._own_id(),
            to_national(owed.phone),
            owed.sender,
            content,
            is_report=1,
            recv_time=write_second(now),
        )
        return encode(sequence, deliver)

    def deliver(self, sequence: int, text: MOPart) -> bytes:
        """A Deliver with a part of a text."""
        part, header, options = text.part, b"", NO_OPTIONS
        if part.total > 1:
            header = udh.build(text.reference, part.total, part.number)
            options = Options(tp_udhi=1, pk_total=part.total, pk_number=part.number)
        deliver = Deliver(
            self._own_id(),
            to_national(text.phone),
            text.to,
            header + part.body,
            msg_format=_MSG_FORMAT[part.coding],
            recv_time=write_second(self.smsc.clock.now()),
            options=options,
        )
        return encode(sequence, deliver)

    def _own_id(self) -> bytes:
        assert self.subscriber is not None  # noqa: S101  # nothing goes out before the login
        (octets,) = self.subscriber.ids.take()
        return octets

    def _log_in(self, sequence: int, pdu: PDU) -> None:
        if not isinstance(pdu, Login):
            self.close("not logged in")
            return
        status = self._judge(pdu)
        self.send(encode(sequence, self._login_answer(pdu, status)))
        if status != STATUS_OK:
            self.close("login refused")
            return
        self._mode = pdu.login_mode
        self.enter(pdu.client_id)
        if pdu.login_mode != SEND:
            self.offer(self.smsc.subscribers[self.protocol, pdu.client_id])

    def _judge(self, pdu: Login) -> int:
        if pdu.client_version != VERSION:
            return STATUS_VERSION_TOO_HIGH
        if pdu.login_mode > SEND_AND_RECEIVE:
            return STATUS_BAD_STRUCTURE

        def knows(subscriber: Subscriber) -> bool:
            return digest.client_matches(
                pdu.authenticator_client, pdu.client_id, subscriber.secret, pdu.timestamp
            )

        return self.login_status(pdu.client_id, knows)

    def _login_answer(self, pdu: Login, status: int) -> LoginResp:
        authenticator = bytes(16)
        subscriber = self.account(pdu.client_id)
        if status == STATUS_OK and subscriber:
            secret = self.digest_secret(subscriber)
            authenticator = digest.authenticator_server(status, pdu.authenticator_client, secret)
        return LoginResp(status, authenticator, VERSION)


def _text(pdu: Submit) -> SubmittedPart:
    content, options = pdu.msg_content, pdu.options
    place, body = udh.parse(content) if options.tp_udhi else (None, content)
    return SubmittedPart(
        phones=pdu.dest_term_id,
        sender=pdu.src_term_id,
        number=options.pk_number or (place.number if place else 1),
        total=options.pk_total or (place.total if place else 1),
        body=body,
        coding=_CODINGS.get(pdu.msg_format),
        asked=ReceiptRequest.ALL if pdu.need_report else ReceiptRequest.NONE,
        fits=len(content) <= _MAX_OCTETS.get(pdu.msg_format, _MAX_OCTETS_OTHERWISE),
    )


def _spelled(content: bytes, spelling: Sequence[bytes]) -> bytes:
    """A report with the key words that some stack writes; the id before them may be any octets."""
    head, tail = content[: len(b"id:") + MSG_ID_OCTETS], content[len(b"id:") + MSG_ID_OCTETS :]
    for ours, theirs in zip(_KEY_WORDS, spelling, strict=True):
        tail = tail.replace(ours, theirs)
    return head + tail


def listen(smsc: SMSC) -> AbstractAsyncContextManager[int]:
    """Serve SMGP on the configured port while the block runs; gives the port."""
    return listening(smsc, "smgp", lambda: SMGPServer(smsc))
