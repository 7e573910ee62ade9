"""The carrier's side of an SMPP 3.4 link: transmitters, receivers and transceivers.

What real SMSCs do in different ways is done in all of them, in turn: refusals with and without a
body, "queue full" beside "too fast", receipts with parameters, with text, or with both, replies in
parts by header, by sar parameters, and as message_payload.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar, NamedTuple

from service.coding import udh
from service.coding.parts import SEPTETS, SINGLE_OCTETS, Coding
from service.coding.udh import Concatenation
from service.errors import Misconfigured
from service.protocols.smpp import address, coding, report
from service.protocols.smpp.coding import DefaultAlphabet
from service.protocols.smpp.operations import (
    AlertNotification,
    CancelSM,
    Outbind,
    QuerySM,
    ReplaceSM,
)
from service.protocols.smpp.packet import PDU, RESPONSE, Response
from service.protocols.smpp.pdu import (
    VERSION,
    Bind,
    BindReceiver,
    BindReceiverResp,
    BindResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DataSMResp,
    DeliverSM,
    DeliverSMResp,
    GenericNack,
    SubmitSM,
    SubmitSMResp,
    Unknown,
    encode,
)
from service.protocols.smpp.report import RECEIPT, Report, write_report
from service.protocols.smpp.session import SMPPSession
from service.protocols.smpp.status import (
    DELIVERED,
    ESME_RALYBND,
    ESME_RINVBNDSTS,
    ESME_RINVDSTADR,
    ESME_RINVMSGLEN,
    ESME_RINVPASWD,
    ESME_RINVSRCADR,
    ESME_RINVSYSID,
    ESME_RMSGQFUL,
    ESME_ROK,
    ESME_RTHROTTLED,
    EXPIRED,
    REJECTED,
    STATS,
    UNDELIVERABLE,
)
from service.protocols.smpp.tlv import TLV, Tag
from service.simulator.carrier.receipts import MOPart, Owed
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import (
    LoginRefusal,
    ReceiptRequest,
    SubmitRefusal,
    SubmittedPart,
)
from service.simulator.carrier.times import by_minute
from service.simulator.wire.server import Served, Server, listening, timing
from service.words.phrase import phrase

SYSTEM_ID = "TOCSIN"

DAILY_LIMIT = 0x400
BARRED = 0x401
"""Codes of the vendor's own range (0x400 to 0x4FF), for what the specification has no code for."""

_CODINGS = {0: Coding.GSM7, 1: Coding.ASCII, 3: Coding.LATIN1, 8: Coding.UCS2, 15: Coding.GB18030}
_DATA_CODING = {chosen: value for value, chosen in _CODINGS.items()}
_SEPTETS = frozenset({Coding.GSM7, Coding.ASCII})
_ASKED = {0: ReceiptRequest.NONE, 2: ReceiptRequest.FAILURES}
_ASKED_MASK = 0x03

_BIND_RESPS: dict[type[PDU], type[BindResp]] = {
    BindReceiver: BindReceiverResp,
    BindTransmitter: BindTransmitterResp,
    BindTransceiver: BindTransceiverResp,
}
_NOT_KEPT: dict[type[PDU], int] = {QuerySM: 0x67, CancelSM: 0x11, ReplaceSM: 0x13}

# The state and err of each outcome's receipt; the others are undelivered for no known reason.
_REPORTS = {
    "delivered": (DELIVERED, "000"),
    "powered_off": (EXPIRED, "001"),
    "suspended": (UNDELIVERABLE, "013"),
    "empty_number": (UNDELIVERABLE, "011"),
    "blacklisted": (REJECTED, "069"),
    "memory_full": (UNDELIVERABLE, "020"),
    "content_filter": (REJECTED, "076"),
}
_OTHERWISE = UNDELIVERABLE, "255"

write_submitted = by_minute(report.write_minute)
write_done = by_minute(report.write_minute)


class _Form(NamedTuple):
    """How a receipt is put: what becomes of its text, and whether parameters say it too."""

    write: Callable[[bytes], bytes] = bytes
    parameters: bool = False
    esm_class: int = RECEIPT


_FORMS = (
    _Form(parameters=True),
    _Form(),
    _Form(esm_class=0),
    _Form(lambda text: text + b"\x00"),
    _Form(lambda text: text.replace(b" text:", b"")),
    _Form(lambda _: b"", parameters=True),
)
"""Receipts with parameters and text, or with less, or oddly; the first is the book's."""

_WHOLE = Concatenation(reference=0, total=1, number=1)


class SMPPServer(SMPPSession, Server):
    """One connection of an ESME, from the SMSC's side."""

    protocol = "smpp"
    highest_status = 0xFFFF_FFFF
    login_statuses: ClassVar = {
        LoginRefusal.UNKNOWN_ACCOUNT: ESME_RINVSYSID,
        LoginRefusal.WRONG_SECRET: ESME_RINVPASWD,
        LoginRefusal.TOO_MANY_CONNECTIONS: ESME_RALYBND,
    }
    refusals: ClassVar = {
        SubmitRefusal.TOO_FAST: ESME_RTHROTTLED,
        SubmitRefusal.BAD_NUMBER: ESME_RINVDSTADR,
        SubmitRefusal.TOO_LONG: ESME_RINVMSGLEN,
        SubmitRefusal.DAILY_LIMIT: DAILY_LIMIT,
        SubmitRefusal.BARRED: BARRED,
    }

    def __init__(self, smsc: SMSC) -> None:
        super().__init__(timing(smsc.config))
        self._role: type[PDU] = BindTransceiver
        self._refused = 0
        self._receipts = 0
        self.join(smsc)

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a login first, then submits and acknowledgements."""
        if isinstance(pdu, Bind):
            self._log_in(sequence, pdu)
        elif isinstance(pdu, DeliverSMResp | DataSMResp | GenericNack):
            self.acknowledged(sequence, taken=pdu.command_status == ESME_ROK)
        elif isinstance(pdu, Response | Unknown | AlertNotification | Outbind):
            self.not_offered(sequence, pdu)
        elif self.subscriber is None:
            self._answer_status(sequence, pdu, ESME_RINVBNDSTS)
        elif isinstance(pdu, SubmitSM):
            self._submit(sequence, pdu)
        elif type(pdu) in _NOT_KEPT:
            self._answer_status(sequence, pdu, _NOT_KEPT[type(pdu)])
        else:
            self.not_offered(sequence, pdu)

    def submit_answer(self, sequence: int, ids: Sequence[bytes], status: int) -> bytes:
        """A submit_sm_resp; a refusal has a body every second time."""
        if status == ESME_ROK:
            return encode(sequence, SubmitSMResp(ids[0].decode("ascii")))
        self._refused += 1
        if status == ESME_RTHROTTLED and self._refused % 4 == 0:
            status = ESME_RMSGQFUL
        frame = encode(sequence, SubmitSMResp(command_status=status))
        return _with_empty_body(frame) if self._refused % 2 else frame

    def next_sequence(self) -> int:
        """The next sequence_number."""
        return self.sequence.take()

    def report(self, sequence: int, owed: Owed) -> bytes:
        """A deliver_sm with a receipt, each time in another of the ways that are seen."""
        state, err = _REPORTS.get(owed.fate, _OTHERWISE)
        message_id = owed.id.decode("ascii")
        if self.smsc.config.decimal_receipt_ids:
            message_id = str(int(message_id, 16))
        done = write_done(self.smsc.clock.now())
        found = Report(message_id, STATS[state], state, err, done)
        text = write_report(found, write_submitted(owed.submitted_at), "").encode("latin-1")
        ton, npi = address.sender_type(owed.sender, None, None)
        self._receipts += 1
        by_the_book = self.smsc.config.receipts_by_the_book
        form = _FORMS[0 if by_the_book else self._receipts % len(_FORMS)]
        parameters = TLV(Tag.RECEIPTED_MESSAGE_ID, message_id), TLV(Tag.MESSAGE_STATE, state)
        receipt = DeliverSM(
            source_addr=owed.phone.removeprefix("+"),
            destination_addr=owed.sender,
            short_message=form.write(text),
            source_addr_ton=address.INTERNATIONAL,
            source_addr_npi=1,
            dest_addr_ton=ton,
            dest_addr_npi=npi,
            esm_class=form.esm_class,
            parameters=parameters if form.parameters else (),
        )
        return encode(sequence, receipt)

    def deliver(self, sequence: int, text: MOPart) -> bytes:
        """A deliver_sm with a part of a text."""
        reply = DeliverSM(
            source_addr=text.phone.removeprefix("+"),
            destination_addr=text.to,
            short_message=text.part.body,
            source_addr_ton=address.INTERNATIONAL if text.phone.startswith("+") else 0,
            source_addr_npi=1,
            dest_addr_ton=0,
            data_coding=_DATA_CODING[text.part.coding],
        )
        return encode(sequence, _in_parts(reply, text))

    def _log_in(self, sequence: int, pdu: Bind) -> None:
        resp = _BIND_RESPS[type(pdu)]
        if self.subscriber is not None:
            self.send(encode(sequence, resp(command_status=ESME_RALYBND)))
            return
        status = self.login_status(
            pdu.system_id, lambda subscriber: subscriber.secret == pdu.password
        )
        if status != ESME_ROK:
            self.send(encode(sequence, resp(command_status=status)))
            self.close("login refused")
            return
        version = (TLV(Tag.SC_INTERFACE_VERSION, VERSION),)
        self.send(encode(sequence, resp(SYSTEM_ID, parameters=version)))
        self._role = type(pdu)
        self.enter(pdu.system_id)
        if self._role is not BindTransmitter:
            self.offer(self.smsc.subscribers[self.protocol, pdu.system_id])

    def _submit(self, sequence: int, pdu: SubmitSM) -> None:
        if self._role is BindReceiver:
            self._answer_status(sequence, pdu, ESME_RINVBNDSTS)
        elif len(pdu.source_addr) > address.SOURCE_CHARACTERS:  # its receipt could not be written
            self._answer_status(sequence, pdu, ESME_RINVSRCADR)
        else:
            self.submitted(sequence, _text(pdu))

    def _answer_status(self, sequence: int, pdu: PDU, status: int) -> None:
        """Answer a request with nothing but a status."""
        frame = encode(sequence, GenericNack(command_status=status))
        self.send(frame[:4] + (RESPONSE | pdu.command).to_bytes(4, "big") + frame[8:])


def _with_empty_body(frame: bytes) -> bytes:
    """A refusal as many stacks send it: with an empty message_id that the book does not have."""
    return (len(frame) + 1).to_bytes(4, "big") + frame[4:] + b"\x00"


def _in_parts(reply: DeliverSM, text: MOPart) -> DeliverSM:
    """A part of a longer reply, marked in one of three ways, the same for all its parts."""
    part = text.part
    if part.total == 1:
        return reply
    sar = (
        TLV(Tag.SAR_MSG_REF_NUM, text.reference),
        TLV(Tag.SAR_TOTAL_SEGMENTS, part.total),
        TLV(Tag.SAR_SEGMENT_SEQNUM, part.number),
    )
    way = text.reference % 3
    if way == 1:
        return replace(reply, parameters=sar)
    if way == 2:
        payload = TLV(Tag.MESSAGE_PAYLOAD, part.body)
        return replace(reply, short_message=b"", parameters=(*sar, payload))
    header = udh.build(text.reference, part.total, part.number)
    content = header + part.body
    return replace(reply, esm_class=coding.UDH_INDICATOR, short_message=content)


def _text(pdu: SubmitSM) -> SubmittedPart:
    content = pdu.content
    in_payload = content is not pdu.short_message
    _, body = udh.parse(content) if pdu.esm_class & coding.UDH_INDICATOR else (None, content)
    joined = pdu.parameters or pdu.esm_class & coding.UDH_INDICATOR
    place = coding.read_text(pdu, DefaultAlphabet.GSM7)[1] if joined else _WHOLE
    chosen = _CODINGS.get(pdu.data_coding)
    most = SEPTETS if chosen in _SEPTETS else SINGLE_OCTETS
    return SubmittedPart(
        phones=(pdu.destination_addr,),
        sender=pdu.source_addr,
        number=place.number,
        total=place.total,
        body=body,
        coding=chosen,
        asked=_ASKED.get(pdu.registered_delivery & _ASKED_MASK, ReceiptRequest.ALL),
        fits=in_payload or len(content) <= most,
    )


@asynccontextmanager
async def listen(smsc: SMSC) -> AsyncIterator[int]:
    """Serve SMPP on the configured port while the block runs, under TLS if there is a certificate.

    Raises:
        Misconfigured: the port cannot be had, or the certificate cannot be read.
    """

    def link() -> Served:
        return SMPPServer(smsc)

    async with listening(smsc, "smpp", link, tls=_tls(smsc)) as port:
        yield port


def _tls(smsc: SMSC) -> ssl.SSLContext | None:
    path = smsc.config.tls_certificate
    if path is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(path)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise Misconfigured(
            phrase(
                "{path} is no PEM file with a certificate and its key; give another to"
                " tls_certificate",
                path=path,
            )
        ) from error
    return context
