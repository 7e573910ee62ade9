"""SMPP with foreign code at the other end of the wire, in both directions.

`smpplib` 2.2.4 (PyPI, LGPL; Python) is a client only: it talks to our simulator as it is, and for
the other direction a small SMSC is built here whose every octet it reads and writes. `smpp34` 1.5.0
(PyPI, MIT; Rust) has a client, a server and a codec.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import smpp34
from smpplib import consts, exceptions, gsm
from smpplib import smpp as smpplib_pdus
from smpplib.client import Client as SmpplibClient

from service.channels.contract.gateway import LoginRefused, Submission
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.coding import udh
from service.coding.parts import Coding, split
from service.gateways.smpp import SMPPGateway
from service.protocols.smpp.coding import DefaultAlphabet, read_text
from service.protocols.smpp.pdu import DeliverSM, SubmitSM, decode, encode
from service.protocols.smpp.report import RECEIPT, is_report, parse_report
from service.protocols.smpp.tlv import TLV, Tag
from service.simulator.carrier.receipts import MOPart
from service.simulator.run import Simulator, running
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smpp_simulated import (
    ACCOUNT,
    PASSWORD,
    SENDER,
    Inbox,
    config,
    connected,
    phones,
    send,
    settings,
)
from tests.harness.vectors import load

VECTORS = load("smpp", "smpp34")
ESME_RTHROTTLED, ESME_RMSGQFUL, MESSAGE_STATE = (
    getattr(smpp34, name)  # its types leave them out
    for name in ("ESME_RTHROTTLED", "ESME_RMSGQFUL", "TLV_MESSAGE_STATE")
)
(PHONE,) = phones(1)
DIGITS = PHONE.removeprefix("+")
LONG = "【示例科技】警钟长鸣，请查收🔔" * 12
GSM_TEXT = "price: 5 € [net] {a|b} ~ ^ \\ @ £ ¤ " * 12


def label(vector: dict[str, Any]) -> str:
    return str(vector["id"])


# smpplib as the client of our simulator


@contextmanager
def smpplib_client(port: int) -> Iterator[Any]:
    client = SmpplibClient(
        "127.0.0.1", port, timeout=PATIENCE_SECONDS, allow_unknown_opt_params=True
    )
    client.connect()
    try:
        yield client
    finally:
        if client._socket is not None:
            client._socket.close()
            client._socket = None


async def with_smpplib(carrier: Simulator, work: Callable[[Any], Any]) -> Any:
    """Let smpplib, which blocks, do something in a thread."""

    def run() -> Any:
        with smpplib_client(carrier.ports["smpp"]) as client:
            return work(client)

    return await asyncio.wait_for(asyncio.to_thread(run), PATIENCE_SECONDS)


def bind(client: Any, password: str = PASSWORD) -> None:
    client.bind_transceiver(system_id=ACCOUNT, password=password)


def sms(client: Any, content: bytes, **others: Any) -> Any:
    return client.send_message(
        source_addr_ton=consts.SMPP_TON_UNK,
        source_addr_npi=consts.SMPP_NPI_ISDN,
        source_addr=SENDER,
        dest_addr_ton=consts.SMPP_TON_INTL,
        dest_addr_npi=consts.SMPP_NPI_ISDN,
        destination_addr=DIGITS,
        short_message=content,
        registered_delivery=True,
        **others,
    )


def ignore(pdu: Any) -> None:
    """What smpplib is told to do with a packet that a test does not look at."""


def read_until(client: Any, done: Callable[[], bool]) -> None:
    while not done():
        client.read_once()


async def test_smpplib_sends_to_our_simulator_and_gets_its_receipts() -> None:
    """Six texts, so that each of the simulator's forms of a receipt is read by smpplib."""

    def work(client: Any) -> tuple[list[str], list[tuple[bytes, dict[str, Any]]]]:
        ids: list[str] = []
        receipts: list[tuple[bytes, dict[str, Any]]] = []
        client.set_message_sent_handler(lambda pdu: ids.append(pdu.message_id.decode()))
        client.set_message_received_handler(
            lambda pdu: receipts.append((pdu.short_message or b"", {
                "id": pdu.receipted_message_id, "state": pdu.message_state,
            }))
        )  # fmt: skip
        bind(client)
        for _ in range(6):
            sms(client, "警钟".encode("utf-16-be"), data_coding=consts.SMPP_ENCODING_ISO10646)
        read_until(client, lambda: len(ids) == len(receipts) == 6)
        client.unbind()
        return ids, receipts

    async with running(config()) as carrier:
        ids, receipts = await with_smpplib(carrier, work)
        assert len(carrier.smsc.journal.owed) == 0
        tally = carrier.smsc.subscribers["smpp", ACCOUNT].tally
        assert (tally.accepted, tally.receipts_acknowledged) == (6, 6)
    assert len(set(ids)) == 6
    for text, parameters in receipts:
        named = parameters["id"] or text.removeprefix(b"id:").split()[0]
        assert named.rstrip(b"\x00").decode() in ids
        assert parameters["state"] in {None, 2}


@pytest.mark.parametrize("udhi", [True, False])
async def test_long_texts_of_smpplib_are_read_whole(udhi: bool, tmp_path: Path) -> None:
    """smpplib's own splitter: with a header, and as sar parameters."""
    parts, data_coding, esm_class = gsm.make_parts(
        LONG.replace("🔔", ""), consts.SMPP_ENCODING_ISO10646, use_udhi=udhi
    )

    def work(client: Any) -> None:
        answers: list[Any] = []
        client.set_message_sent_handler(lambda pdu: answers.append(pdu.sequence))
        client.set_message_received_handler(ignore)
        bind(client)
        for number, part in enumerate(parts, start=1):
            sar = {} if udhi else {
                "sar_msg_ref_num": 7,
                "sar_total_segments": len(parts),
                "sar_segment_seqnum": number,
            }  # fmt: skip
            sms(client, part, data_coding=data_coding, esm_class=esm_class, **sar)
        read_until(client, lambda: len(answers) == len(parts))

    journal = tmp_path / "journal"
    async with running(config(journal=journal, journal_texts=True)) as carrier:
        await with_smpplib(carrier, work)
    accepted = [
        line for line in map(json.loads, journal.read_text().splitlines()) if "text" in line
    ]
    assert "".join(line["text"] for line in accepted) == LONG.replace("🔔", "")
    assert [line["number"] for line in accepted] == list(range(1, len(parts) + 1))


async def test_smpplib_is_refused_and_throttled_in_words_it_knows() -> None:
    def wrong_password(client: Any) -> int:
        with pytest.raises(exceptions.PDUError) as error:
            bind(client, "wrong")
        return int(error.value.args[1])

    def too_fast(client: Any) -> list[int]:
        statuses: list[int] = []
        client.set_error_pdu_handler(lambda pdu: statuses.append(int(pdu.status)))
        client.set_message_sent_handler(ignore)
        bind(client)
        for _ in range(4):
            sms(client, b"x")
        read_until(client, lambda: len(statuses) == 4)
        return statuses

    async with running(config(faults={"too_fast": 1})) as carrier:
        assert await with_smpplib(carrier, wrong_password) == consts.SMPP_ESME_RINVPASWD
        assert set(await with_smpplib(carrier, too_fast)) == {
            consts.SMPP_ESME_RTHROTTLED,
            consts.SMPP_ESME_RMSGQFUL,
        }


async def test_heartbeats_between_smpplib_and_our_simulator_go_both_ways() -> None:
    def work(client: Any) -> str:
        bind(client)
        asked = client.read_pdu()
        client._enquire_link_received(asked)
        client.send_pdu(smpplib_pdus.make_pdu("enquire_link", client=client))
        return str(client.read_pdu().command)

    async with running(config(heartbeat_seconds=0.1, response_timeout_seconds=5)) as carrier:
        assert await with_smpplib(carrier, work) == "enquire_link_resp"


async def test_replies_from_our_simulator_are_read_by_smpplib() -> None:
    async with running(config()) as carrier:

        def reply() -> None:
            receipts = carrier.smsc.subscribers["smpp", ACCOUNT].receipts
            receipts.spread([MOPart(PHONE, SENDER, part, 0) for part in split("退订")])

        loop = asyncio.get_running_loop()

        def work(client: Any) -> Any:
            bind(client)
            loop.call_soon_threadsafe(reply)
            return client.read_pdu()

        pdu = await with_smpplib(carrier, work)
    assert pdu.command == "deliver_sm"
    assert (pdu.source_addr, pdu.destination_addr) == (DIGITS.encode(), SENDER.encode())
    assert (pdu.short_message.decode("utf-16-be"), pdu.data_coding) == ("退订", 8)


# Our gateway as the client of an SMSC made of smpplib


class SmpplibSMSC:
    """An SMSC whose every octet is read and written by smpplib."""

    def __init__(self) -> None:
        self.port = 0
        self.logins: list[Any] = []
        self.submits: list[Any] = []
        self.acknowledged: list[int] = []
        self.arrived = asyncio.Event()
        self._ids = count(1)
        self._client = SmpplibClient("127.0.0.1", 1, allow_unknown_opt_params=True)
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            while True:
                head = await reader.readexactly(4)
                frame = head + await reader.readexactly(int.from_bytes(head, "big") - 4)
                self._take(self._parsed(frame))
        except asyncio.IncompleteReadError:
            writer.close()

    def _parsed(self, frame: bytes) -> Any:
        return smpplib_pdus.parse_pdu(frame, client=self._client, allow_unknown_opt_params=True)

    def _take(self, pdu: Any) -> None:
        if pdu.command.startswith("bind_"):
            self.logins.append(pdu)
            good = pdu.password == PASSWORD.encode()
            status = consts.SMPP_ESME_ROK if good else consts.SMPP_ESME_RINVPASWD
            self._write(f"{pdu.command}_resp", pdu.sequence, status=status, system_id="PEER")
        elif pdu.command == "submit_sm":
            self.submits.append(pdu)
            message_id = f"{next(self._ids):x}"
            self._write("submit_sm_resp", pdu.sequence, message_id=message_id)
            self.receipt(pdu, message_id)
        elif pdu.command == "deliver_sm_resp":
            self.acknowledged.append(pdu.sequence)
        elif pdu.command in {"enquire_link", "unbind"}:
            self._write(f"{pdu.command}_resp", pdu.sequence)
        self.arrived.set()

    def receipt(self, submit: Any, message_id: str) -> None:
        self._write(
            "deliver_sm",
            1000 + len(self.submits),
            source_addr=submit.destination_addr.decode(),
            destination_addr=submit.source_addr.decode(),
            esm_class=RECEIPT,
            short_message=f"id:{message_id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:".encode(),
            receipted_message_id=message_id,
            message_state=2,
        )

    def _write(self, command: str, sequence: int, **values: Any) -> None:
        pdu = smpplib_pdus.make_pdu(command, client=self._client, **values)
        pdu.sequence = sequence
        assert self._writer is not None
        self._writer.write(pdu.generate())

    async def wait_for(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not done():
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def smpplib_smsc() -> AsyncIterator[SmpplibSMSC]:
    smsc = SmpplibSMSC()
    server = await asyncio.start_server(smsc.serve, "127.0.0.1", 0)
    smsc.port = server.sockets[0].getsockname()[1]
    try:
        yield smsc
    finally:
        server.close()


async def test_our_gateway_sends_to_an_smsc_made_of_smpplib() -> None:
    inbox = Inbox()
    async with smpplib_smsc() as smsc, connected(smsc.port, inbox) as link:
        (login,) = smsc.logins
        assert (login.command, login.system_id) == ("bind_transceiver", ACCOUNT.encode())
        assert login.interface_version == 0x34
        results = await send(link, phones(3), "警钟")
        await inbox.wait_for(3)
        await smsc.wait_for(lambda: len(smsc.acknowledged) == 3)
    assert [result.refs for result in results] == [(b"1",), (b"2",), (b"3",)]
    assert {receipt.ref for receipt in inbox.receipts} == {b"1", b"2", b"3"}
    assert {receipt.state for receipt in inbox.receipts} == {ReceiptState.DELIVERED}
    submit = smsc.submits[0]
    assert submit.short_message.decode("utf-16-be") == "警钟"
    assert (submit.destination_addr, submit.data_coding) == (DIGITS.encode(), 8)
    assert (submit.dest_addr_ton, submit.dest_addr_npi) == (1, 1)
    assert submit.registered_delivery == 1


async def test_long_texts_of_our_gateway_are_read_by_smpplib() -> None:
    async with smpplib_smsc() as smsc:
        async with connected(smsc.port, Inbox()) as link:
            await send(link, [PHONE], LONG)
        headed = [pdu.short_message for pdu in smsc.submits]
        assert {pdu.esm_class for pdu in smsc.submits} == {0x40}
        assert b"".join(content[6:] for content in headed).decode("utf-16-be") == LONG
        smsc.submits.clear()
        async with connected(smsc.port, Inbox(), long_text="sar") as link:
            await send(link, [PHONE], LONG)
        segments = [(pdu.sar_msg_ref_num, pdu.sar_segment_seqnum) for pdu in smsc.submits]
        assert segments == [(7, number) for number in range(1, len(headed) + 1)]
        smsc.submits.clear()
        async with connected(smsc.port, Inbox(), long_text="payload") as link:
            await send(link, [PHONE], LONG)
        (whole,) = smsc.submits
        assert whole.message_payload.decode("utf-16-be") == LONG


async def test_gsm_texts_of_our_gateway_are_those_of_smpplib() -> None:
    options = {"allow_default_alphabet": True}
    async with smpplib_smsc() as smsc, connected(smsc.port, Inbox(), **options) as link:
        await send(link, [PHONE], GSM_TEXT)
    contents = b"".join(pdu.short_message[6:] for pdu in smsc.submits)
    assert contents == gsm.gsm_encode(GSM_TEXT)


async def test_a_refusal_of_an_smsc_made_of_smpplib_is_understood() -> None:
    async with smpplib_smsc() as smsc:
        with pytest.raises(LoginRefused) as refused:
            async with connected(smsc.port, Inbox(), password="wrong"):
                pass
    assert (refused.value.code, refused.value.retryable) == ("14", False)


# smpp34: client, server and codec


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


def free_port() -> int:
    """smpp34 does not say which port it took, so one is chosen for it."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def smpp34_client(carrier: Simulator, password: str = PASSWORD) -> AsyncIterator[Any]:
    client = smpp34.Client(
        *("127.0.0.1", carrier.ports["smpp"], ACCOUNT, password), connect_timeout_ms=2000
    )
    try:
        yield await soon(client.connect())
    finally:
        await soon(client.stop())


async def test_the_client_of_smpp34_sends_to_our_simulator_and_gets_its_receipts() -> None:
    async with running(config()) as carrier, smpp34_client(carrier) as session:
        ids, receipts = [], []
        for _ in range(6):  # each of the simulator's forms of a receipt
            answer = await soon(
                session.submit_sm(
                    DIGITS,
                    "警钟".encode("utf-16-be"),
                    source_addr=SENDER,
                    data_coding=8,
                    registered_delivery=1,
                )
            )
            assert answer.is_success
            ids.append(answer.message_id)
            receipts.append(await soon(session.next()))
        await soon(session.unbind())
        assert carrier.smsc.subscribers["smpp", ACCOUNT].tally.receipts_acknowledged == 6
    for message_id, receipt in zip(ids, receipts, strict=True):
        named = {tlv.tag: tlv.as_string() for tlv in receipt.tlvs}.get(Tag.RECEIPTED_MESSAGE_ID)
        text = receipt.short_message.decode()
        assert message_id in {named, text.removeprefix("id:").split(" ")[0]}
        assert receipt.source_addr == DIGITS


async def test_the_client_of_smpp34_is_refused_and_throttled_in_words_it_knows() -> None:
    async with running(config(faults={"too_fast": 1})) as carrier:
        with pytest.raises(smpp34.SmppError, match="bind timed out"):  # all that it says
            async with smpp34_client(carrier, "wrong"):
                pass
        assert carrier.smsc.subscribers["smpp", ACCOUNT].tally.logins_refused == 1
        async with smpp34_client(carrier) as session:
            statuses = set()
            for _ in range(4):
                answer = await soon(session.submit_sm(DIGITS, b"x", source_addr=SENDER))
                statuses.add(answer.command_status)
    assert statuses == {ESME_RTHROTTLED, ESME_RMSGQFUL}


async def test_replies_from_our_simulator_are_read_by_smpp34() -> None:
    async with running(config()) as carrier, smpp34_client(carrier) as session:
        receipts = carrier.smsc.subscribers["smpp", ACCOUNT].receipts
        receipts.spread([MOPart(PHONE, SENDER, part, 1) for part in split(LONG)])
        parts = [await soon(session.next()) for _ in split(LONG)]
    found = {}
    for part in parts:  # in any order
        segment = {tlv.tag: tlv.as_int() for tlv in part.tlvs}
        found[segment[Tag.SAR_SEGMENT_SEQNUM]] = part.short_message.decode("utf-16-be")
    assert "".join(found[number] for number in range(1, len(parts) + 1)) == LONG


@asynccontextmanager
async def smpp34_server() -> AsyncIterator[tuple[Any, int]]:
    port = free_port()
    server = smpp34.Server("127.0.0.1", port, system_id="PEER")
    await soon(server.start())
    try:
        yield server, port
    finally:
        await soon(server.stop())


def part_number(submit: Any) -> int:
    joining, _ = udh.parse(submit.short_message)
    assert joining is not None
    return joining.number


async def test_our_gateway_sends_to_the_server_of_smpp34() -> None:
    inbox = Inbox()
    async with smpp34_server() as (server, port), connected(port, inbox) as link:
        esme = await soon(server.next())
        assert (esme.system_id, esme.can_receive) == (ACCOUNT, True)
        futures = link.submit([Submission((PHONE,), part, 7) for part in link.split(LONG)])
        submits = [await soon(server.next()) for _ in futures]
        submits.sort(key=part_number)  # its server hands them out in any order
        for number, submit in enumerate(submits):
            assert (submit.destination_addr, submit.data_coding) == (DIGITS, 8)
            if number == 0:
                submit.reject(ESME_RTHROTTLED)
            else:
                submit.accept(f"peer-{number}")
        results = [await soon(future) for future in futures]
        answer = await soon(
            esme.deliver_sm(
                SENDER,
                b"id:peer-1 sub:001 dlvrd:000 stat:UNDELIV err:011 text:",
                source_addr=DIGITS,
                esm_class=4,
                tlvs=[smpp34.Tlv(MESSAGE_STATE, b"\x05")],
            )
        )
    assert b"".join(s.short_message[6:] for s in submits).decode("utf-16-be") == LONG
    assert results[0].outcome is Outcome.THROTTLED
    assert [r.refs for r in results[1:]] == [
        (f"peer-{n}".encode(),) for n in range(1, len(results))
    ]
    assert answer.is_success
    (receipt,) = inbox.receipts
    assert (receipt.ref, receipt.state) == (b"peer-1", ReceiptState.UNDELIVERED)
    assert receipt.code == "UNDELIV:011"


async def test_the_server_of_smpp34_sees_a_transmitter_and_a_receiver() -> None:
    """Its answer to the deliver is not waited for: smpp34 1.5.0 sends deliver_sm to a receiver, but
    takes deliver_sm_resp from transceivers only, and waits for ever (with a bare socket as well).
    """
    inbox = Inbox()
    async with smpp34_server() as (server, port):
        pair = settings(port, bind="pair")
        listener = SMPPGateway.listener(pair, inbox.deliver, Clock())
        assert listener is not None
        async with listener:
            receiver = await soon(server.next())
            assert receiver.can_receive
            delivering = asyncio.ensure_future(
                receiver.deliver_sm(
                    SENDER, "退订".encode("utf-16-be"), source_addr=DIGITS, data_coding=8
                )
            )
            await inbox.wait_for(1)
            delivering.cancel()
            async with connected(port, Inbox(), bind="pair") as link:
                transmitter = await soon(server.next())
                assert not transmitter.can_receive
                (future,) = link.submit([Submission((PHONE,), link.split("x")[0], 7)])
                (await soon(server.next())).accept("peer-1")
                assert (await soon(future)).refs == (b"peer-1",)
    assert [(text.sender, text.text) for text in inbox.texts] == [(PHONE, "退订")]


BODIES = [v for v in VECTORS if v["pdu"] in {"submit_sm", "deliver_sm"}]
NAMES = (
    *("service_type", "source_addr_ton", "source_addr_npi", "source_addr", "dest_addr_ton"),
    *("dest_addr_npi", "destination_addr", "esm_class", "protocol_id", "priority_flag"),
    *("schedule_delivery_time", "validity_period", "registered_delivery"),
    *("replace_if_present_flag", "data_coding", "sm_default_msg_id", "short_message"),
)


def ours(vector: dict[str, Any]) -> SubmitSM | DeliverSM:
    _, packet = decode(bytes.fromhex(vector["hex"]))
    assert isinstance(packet, SubmitSM | DeliverSM)
    return packet


@pytest.mark.parametrize("vector", BODIES, ids=label)
def test_the_codec_of_smpp34_reads_what_ours_writes(vector: dict[str, Any]) -> None:
    packet = ours(vector)
    theirs = smpp34.decode(encode(vector["sequence"], packet))
    assert {name: getattr(theirs, name) for name in NAMES} == {
        name: getattr(packet, name) for name in NAMES
    }
    assert not isinstance(theirs, smpp34.RawPdu)
    assert [tlv.tag for tlv in theirs.tlvs] == [parameter.tag for parameter in packet.parameters]


@pytest.mark.parametrize("vector", BODIES, ids=label)
def test_ours_reads_what_the_codec_of_smpp34_writes(vector: dict[str, Any]) -> None:
    packet = ours(vector)
    values = {name: getattr(packet, name) for name in NAMES}
    kind = smpp34.SubmitSm if isinstance(packet, SubmitSM) else smpp34.DeliverSm
    tlvs = [smpp34.Tlv(p.tag, _raw(p)) for p in packet.parameters]
    frame = kind(**values, tlvs=tlvs, sequence_number=vector["sequence"]).encode()
    assert decode(frame) == (vector["sequence"], packet)


def _raw(parameter: TLV) -> bytes:
    """A parameter's octets, from its own frame."""
    frame = encode(1, DeliverSM("1", "1", b"", parameters=(parameter,)))
    return frame[len(encode(1, DeliverSM("1", "1", b""))) + 4 :]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_codec_of_smpp34_agrees_on_every_header(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    sequence, packet = decode(frame)
    theirs = smpp34.decode(encode(sequence, packet))
    assert (theirs.command_id, theirs.sequence_number) == (packet.command, sequence)
    if isinstance(theirs, smpp34.RawPdu):
        assert theirs.command_status == packet.command_status
        assert theirs.body == frame[16:]


@pytest.mark.parametrize("coding", [Coding.UCS2, Coding.GSM7])
def test_ours_reads_texts_that_smpplib_writes(coding: Coding) -> None:
    text = GSM_TEXT[:140] if coding is Coding.GSM7 else LONG[:70]
    content = gsm.gsm_encode(text) if coding is Coding.GSM7 else text.encode("utf-16-be")
    client = SmpplibClient("127.0.0.1", 1, allow_unknown_opt_params=True)
    pdu = smpplib_pdus.make_pdu(
        "submit_sm",
        client=client,
        source_addr=SENDER,
        destination_addr=DIGITS,
        short_message=content,
        data_coding=0 if coding is Coding.GSM7 else 8,
        user_message_reference=513,
    )
    _, packet = decode(pdu.generate())
    assert isinstance(packet, SubmitSM)
    assert read_text(packet, DefaultAlphabet.GSM7)[0] == text
    assert packet.parameters == (TLV(Tag.USER_MESSAGE_REFERENCE, 513),)


def test_ours_reads_receipts_that_smpplib_writes() -> None:
    client = SmpplibClient("127.0.0.1", 1, allow_unknown_opt_params=True)
    pdu = smpplib_pdus.make_pdu(
        "deliver_sm",
        client=client,
        source_addr=DIGITS,
        destination_addr=SENDER,
        short_message=b"id:5f3c9a10 stat:EXPIRED err:001 text:",
        esm_class=RECEIPT,
        receipted_message_id="5f3c9a10",
        message_state=3,
    )
    _, packet = decode(pdu.generate())
    assert isinstance(packet, DeliverSM)
    report = parse_report(packet)
    assert report is not None
    assert (report.message_id, report.state, report.stat) == ("5f3c9a10", 3, "EXPIRED")
    assert is_report(packet)
