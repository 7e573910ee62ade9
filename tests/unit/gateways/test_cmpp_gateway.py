"""The China Mobile gateway against a scripted carrier: every promise of the gateway contract."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from service.channels.contract.gateway import (
    Delivery,
    Inbound,
    LoginRefused,
    RawDelivery,
    Receipt,
    Submission,
    SubmitResult,
    Unparseable,
    Unreachable,
    UnreadReason,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.gateways.cmpp import CMPPConfig, CMPPGateway
from service.protocols import client, stream
from service.protocols.cmpp.pdu import (
    HEADER_OCTETS,
    ActiveTest,
    ActiveTestResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
    Terminate,
    TerminateResp,
    decode,
    encode,
)
from service.protocols.cmpp.report import Report
from service.protocols.cmpp.version import V20
from tests.harness.session import PATIENCE_SECONDS, Peer, carrier
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("cmpp", "cmpp20") + load("cmpp", "cmpp30")}
CLOCK = Clock(datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC), anchor=0.0, speed=0.0)
PHONE = "+8619790001234"
SECRET = "1qaz2wsx"


class Store:
    """Where a gateway's deliveries go; each stays unstored until the test says so."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[Delivery] = asyncio.Queue()
        self.futures: list[asyncio.Future[None]] = []

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.items.put_nowait(item)
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future

    async def next(self) -> Delivery:
        return await asyncio.wait_for(self.items.get(), PATIENCE_SECONDS)


def settings(port: int, **others: Any) -> CMPPConfig:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "account": "901234",
        "secret": SECRET,
        "access_number": "106900001234",
    }
    return CMPPConfig(**{**given, **others})


@asynccontextmanager
async def opened(**others: Any) -> AsyncIterator[tuple[CMPPGateway, Peer, Store]]:
    async with carrier() as scripted:
        store = Store()
        gateway = CMPPGateway(settings(scripted.port, **others), store.deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.accept_login()
        await opening
        yield gateway, peer, store
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


def submissions(gateway: CMPPGateway, text: str = "警钟", **others: Any) -> list[Submission]:
    return [Submission((PHONE,), part, 0xBEA7, **others) for part in gateway.split(text)]


async def answer(future: "asyncio.Future[SubmitResult]") -> SubmitResult:
    return await asyncio.wait_for(future, PATIENCE_SECONDS)


async def acknowledged_before(peer: Peer) -> list[DeliverResp]:
    """What was acknowledged up to now, by means of a heartbeat that must be answered after it."""
    peer.write(999, ActiveTest())
    seen = []
    while True:
        _, pdu = await peer.read()
        if isinstance(pdu, ActiveTestResp):
            return seen
        assert isinstance(pdu, DeliverResp)
        seen.append(pdu)


def report(stat: str = "DELIVRD", **others: Any) -> Deliver:
    block = Report(0x84A9EB4134FD012C, stat, "2608091030", "2608091031", "19790001234")
    values = {"msg_content": block.encode(), "registered_delivery": 1, **others}
    return Deliver(msg_id=77, dest_id="106900001234", src_terminal_id="19790001234", **values)


# Opening


@pytest.mark.parametrize("version", ["2.0", "3.0"])
async def test_opening_logs_in_with_the_recorded_packet(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOGOUT_SECONDS", 0.05)  # nobody answers it here
    recorded = f"cmpp{version.replace('.', '')}-connect"
    async with carrier() as scripted:
        gateway = CMPPGateway(settings(scripted.port, version=version), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        assert (await peer.read_frame()).hex() == VECTORS[recorded]["hex"]
        peer.writer.write(bytes.fromhex(VECTORS[f"{recorded}-resp-ok"]["hex"]))
        await opening
        await gateway.close(drain_seconds=0)


OLD = {"verify_gateway": False}
"""As a channel was stored when nobody had to say why."""


@pytest.mark.attack
@pytest.mark.parametrize("stored", [{}, OLD])
async def test_a_gateway_that_does_not_know_the_secret_is_refused_in_plain_words(
    stored: dict[str, Any],
) -> None:
    async with carrier() as scripted:
        config = settings(scripted.port, **stored)
        gateway = CMPPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.accept_login(secret="another")
        with pytest.raises(LoginRefused, match="turn verify_gateway off") as refused:
            await opening
        assert not refused.value.retryable
        assert SECRET not in str(refused.value)
        assert await peer.read_to_the_end() == b""
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


async def test_with_a_reason_a_gateway_with_another_digest_is_taken() -> None:
    async with carrier() as scripted:
        reason = {"unverified_because": "运营商书面说明其摘要算法不同"}
        config = settings(scripted.port, **OLD, **reason)
        gateway = CMPPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.accept_login(secret="another")
        await opening
        assert CMPPGateway.settings_faults(config, simulated=False) == {}
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


@pytest.mark.parametrize("reason", ["", "  "])
def test_the_check_of_the_gateway_is_turned_off_with_a_reason_only(reason: str) -> None:
    config = settings(1, verify_gateway=False, unverified_because=reason)
    for simulated in (False, True):
        faults = CMPPGateway.settings_faults(config, simulated=simulated)
        assert list(faults) == ["unverified_because"]
    assert CMPPGateway.settings_faults(settings(1), simulated=False) == {}


async def test_a_gateway_that_must_be_verified_and_can_be_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "LOGOUT_SECONDS", 0.05)  # nobody answers it here
    async with carrier() as scripted:
        config = settings(scripted.port, verify_gateway=True)
        gateway = CMPPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.read_frame()
        peer.writer.write(bytes.fromhex(VECTORS["cmpp30-connect-resp-ok"]["hex"]))
        await opening
        await gateway.close(drain_seconds=0)


@pytest.mark.parametrize(
    ("status", "retryable", "words"),
    [
        (2, False, "account is not known"),
        (3, False, "do not match"),
        (4, False, "version"),
        (56, True, "too many connections"),
        (57, False, "IP address"),
        (199, True, "own error"),
    ],
)
async def test_a_refused_login_says_why_and_whether_to_try_again(
    status: int, retryable: bool, words: str
) -> None:
    async with carrier() as scripted:
        gateway = CMPPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        await (await scripted.peer()).accept_login(status)
        with pytest.raises(LoginRefused, match=words) as refused:
            await opening
        assert refused.value.retryable is retryable
        assert refused.value.code == str(status)
        assert SECRET not in str(refused.value)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_nobody_at_the_address_is_unreachable() -> None:
    async with carrier() as scripted:
        port = scripted.port
    gateway = CMPPGateway(settings(port), Store().deliver, CLOCK)
    with pytest.raises(Unreachable, match="check address") as error:
        await gateway.open()
    assert error.value.retryable
    await gateway.close(drain_seconds=0)


async def test_a_login_without_an_answer_is_unreachable() -> None:
    async with carrier() as scripted:
        config = settings(scripted.port, response_timeout_seconds=0.1)
        gateway = CMPPGateway(config, Store().deliver, CLOCK)
        with pytest.raises(Unreachable):
            await asyncio.wait_for(gateway.open(), PATIENCE_SECONDS)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_a_carrier_that_hangs_up_during_the_login_is_unreachable() -> None:
    async with carrier() as scripted:
        gateway = CMPPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        (await scripted.peer()).writer.close()
        with pytest.raises(Unreachable, match="closed the connection"):
            await opening


async def test_something_else_at_the_address_is_unparseable() -> None:
    async with carrier() as scripted:
        gateway = CMPPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        (await scripted.peer()).writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(Unparseable, match="does not speak CMPP"):
            await opening


async def test_a_cancelled_opening_leaves_no_connection() -> None:
    async with carrier() as scripted:
        gateway = CMPPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.read()
        opening.cancel()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        assert opening.cancelled()


# Submitting


async def test_a_submit_carries_what_the_account_and_the_message_say() -> None:
    options = {"service_id": "MSGTEST", "fee_user_type": 0, "fee_code": "5", "fee_type": "02"}
    until = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
    async with opened(**options) as (gateway, peer, _):
        batch = submissions(gateway, "您好", valid_until=until, extension="08")
        gateway.submit(batch)
        _, submit = await peer.read()
    assert submit == Submit(
        dest_terminal_id=("19790001234",),
        msg_content="您好".encode("utf-16-be"),
        src_id="10690000123408",
        msg_src="901234",
        msg_fmt=8,
        service_id="MSGTEST",
        fee_user_type=0,
        fee_type="02",
        fee_code="5",
        valid_time="260810103045032+",
        registered_delivery=1,
    )


async def test_msg_src_may_differ_from_the_account() -> None:
    async with opened(msg_src="JDGA01") as (gateway, peer, _):
        gateway.submit(submissions(gateway))
        _, submit = await peer.read()
    assert isinstance(submit, Submit)
    assert submit.msg_src == "JDGA01"


async def test_a_long_text_travels_in_the_recorded_parts() -> None:
    first, second = (VECTORS[f"cmpp30-submit-long8-{n}of2"]["fields"] for n in (1, 2))
    async with opened() as (gateway, peer, _):
        gateway.submit(submissions(gateway, first["text"] + second["text"]))
        for expected in (first, second):
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert submit.msg_content.hex() == expected["msg_content_hex"]
            for name in ("pk_total", "pk_number", "tp_udhi", "msg_fmt", "valid_time"):
                assert getattr(submit, name) == expected[name]


async def test_ascii_travels_as_ascii_only_where_allowed() -> None:
    for allowed, msg_fmt in ((False, 8), (True, 0)):
        async with opened(allow_ascii=allowed) as (gateway, peer, _):
            gateway.submit(submissions(gateway, "hello"))
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert submit.msg_fmt == msg_fmt


@pytest.mark.parametrize("version", ["cmpp20", "cmpp30"])
async def test_a_text_travels_in_the_accounts_coding(version: str) -> None:
    for coding in ("ucs2", "gb18030"):
        fields = VECTORS[f"{version}-submit-{coding}"]["fields"]
        async with opened(coding=coding) as (gateway, peer, _):
            gateway.submit(submissions(gateway, fields["text"]))
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert submit.msg_fmt == fields["msg_fmt"]
            assert submit.msg_content.hex() == fields["msg_content_hex"]


async def test_another_number_may_pay() -> None:
    async with opened(fee_user_type=3, fee_terminal_id="19790000009") as (gateway, peer, _):
        gateway.submit(submissions(gateway))
        _, submit = await peer.read()
        assert isinstance(submit, Submit)
        assert (submit.fee_user_type, submit.fee_terminal_id) == (3, "19790000009")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (0, SubmitResult(Outcome.ACCEPTED, (bytes.fromhex("84a9eb4134fd012c"),), "0", "")),
        (8, SubmitResult(Outcome.THROTTLED, (), "8", "frequency_limit")),
        (1, SubmitResult(Outcome.REJECTED, (), "1", "format")),
        (69, SubmitResult(Outcome.REJECTED, (), "69", "blacklisted")),
        (54, SubmitResult(Outcome.UNANSWERED, (), "54", "network")),
        (177, SubmitResult(Outcome.REJECTED, (), "177", "other")),
        (11, SubmitResult(Outcome.SUSPENDED, (), "11", "account")),
    ],
)
async def test_each_answer_is_read(result: int, expected: SubmitResult) -> None:
    async with opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(0x84A9EB4134FD012C, result))
        assert await answer(future) == expected


SEVERAL = tuple(f"+861979000{n:04d}" for n in range(3))


async def submitted_to_several(result: int) -> tuple[Submit, SubmitResult]:
    async with opened() as (gateway, peer, _):
        (part,) = gateway.split("警钟")
        (future,) = gateway.submit([Submission(SEVERAL, part, 0)])
        sequence, submit = await peer.read()
        assert isinstance(submit, Submit)
        peer.write(sequence, SubmitResp(0x84A9EB4134FDFFFE, result))
        return submit, await answer(future)


async def test_several_recipients_travel_in_one_submit_and_get_consecutive_ids() -> None:
    submit, result = await submitted_to_several(0)
    assert submit.dest_terminal_id == ("19790000000", "19790000001", "19790000002")
    ids = ("84a9eb4134fdfffe", "84a9eb4134fdffff", "84a9eb4134fd0000")
    assert result == SubmitResult(Outcome.ACCEPTED, tuple(map(bytes.fromhex, ids)), "0", "")


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (13, Outcome.REFUSED_LOT),
        (6, Outcome.REJECTED),
        (8, Outcome.THROTTLED),
        (10, Outcome.SUSPENDED),
    ],
)
async def test_a_refusal_of_several_says_whether_to_send_each_alone(
    result: int, outcome: Outcome
) -> None:
    _, got = await submitted_to_several(result)
    assert (got.outcome, got.refs, got.code) == (outcome, (), str(result))


async def test_which_codes_hold_the_account_is_a_setting() -> None:
    own = {"too_fast_codes": (171,), "suspended_codes": (172,), "daily_limit_codes": (173,)}
    async with opened(**own) as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * 4)
        for result in (171, 172, 173, 8):
            sequence, _ = await peer.read()
            peer.write(sequence, SubmitResp(0, result))
        assert [(await answer(future)).outcome for future in futures] == [
            Outcome.THROTTLED,
            Outcome.SUSPENDED,
            Outcome.DAILY_LIMIT,
            Outcome.REJECTED,
        ]


async def test_as_many_recipients_as_the_specification_allows_fit_one_submit() -> None:
    async with opened() as (gateway, peer, _):
        recipients = tuple(f"+861979000{n:04d}" for n in range(CMPPGateway.most_recipients))
        (part,) = gateway.split("警" * 70)
        gateway.submit([Submission(recipients, part, 0)])
        _, submit = await peer.read()
        assert isinstance(submit, Submit)
        assert len(submit.dest_terminal_id) == 99


async def test_a_report_is_asked_for_only_where_it_is_wanted() -> None:
    async with opened() as (gateway, peer, _):
        gateway.submit([*submissions(gateway, receipt=False), *submissions(gateway)])
        asked = [(await peer.read())[1] for _ in range(2)]
        assert [submit.registered_delivery for submit in asked if isinstance(submit, Submit)] == [
            0,
            1,
        ]


async def test_a_channel_of_20_submits_and_receives_in_its_layouts() -> None:
    async with carrier() as scripted:
        store = Store()
        gateway = CMPPGateway(settings(scripted.port, version="2.0"), store.deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.read_frame()
        peer.writer.write(bytes.fromhex(VECTORS["cmpp20-connect-resp-ok"]["hex"]))
        await opening
        fields = VECTORS["cmpp20-submit-ucs2"]["fields"]
        (future,) = gateway.submit(submissions(gateway, fields["text"]))
        sequence, submit = decode(await peer.read_frame(), V20)
        assert isinstance(submit, Submit)
        assert submit.msg_content.hex() == fields["msg_content_hex"]
        peer.writer.write(encode(sequence, SubmitResp(0x84A9EB4134FD012C, 0), V20))
        peer.writer.write(bytes.fromhex(VECTORS["cmpp20-deliver-report-mk0005"]["hex"]))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.code, receipt.reason) == ("MK:0005", "suspended")
        assert (await answer(future)).refs == (receipt.ref,)
        store.futures[0].set_result(None)
        _, acknowledged = decode(await peer.read_frame(), V20)
        assert isinstance(acknowledged, DeliverResp)
        peer.writer.write(bytes.fromhex(VECTORS["cmpp20-deliver-mo-ucs2"]["hex"]))
        inbound = await store.next()
        assert isinstance(inbound, Inbound)
        assert inbound.text == "退订"
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_a_batch_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (gateway, _, _):
        written: list[bytes] = []
        monkeypatch.setattr(gateway.link._transport, "write", written.append)
        gateway.submit(submissions(gateway) * 7)
        assert len(written) == 1


@pytest.mark.attack
async def test_a_lost_link_leaves_written_submits_unanswered_and_takes_no_more() -> None:
    async with opened() as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * 3)
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(5, 0))
        assert (await answer(futures[0])).outcome is Outcome.ACCEPTED
        peer.writer.transport.abort()
        assert [(await answer(f)).outcome for f in futures[1:]] == [Outcome.UNANSWERED] * 2
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


async def test_before_opening_nothing_is_sent() -> None:
    gateway = CMPPGateway(settings(1), Store().deliver, CLOCK)
    (future,) = gateway.submit(submissions(gateway))
    assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


async def test_a_silent_carrier_leaves_submits_unanswered_and_the_link_dead() -> None:
    quick = {"response_timeout_seconds": 0.2, "heartbeat_seconds": 0.1}
    async with opened(**quick) as (gateway, _, _):
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.UNANSWERED)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


@pytest.mark.parametrize("extension", ["0123456789", "12a", "１２"])
async def test_an_extension_that_cannot_travel_is_refused_alone(extension: str) -> None:
    async with opened() as (gateway, peer, _):
        good = submissions(gateway)
        bad = submissions(gateway, extension=extension)
        first, refused, last = gateway.submit([*good, *bad, *good])
        assert await answer(refused) == SubmitResult(Outcome.REJECTED, (), "extension", "format")
        for future in (first, last):
            sequence, _ = await peer.read()
            peer.write(sequence, SubmitResp(sequence, 0))
            assert (await answer(future)).refs == (sequence.to_bytes(8, "big"),)


# Delivering


async def test_a_report_becomes_a_receipt_and_is_acknowledged_after_it_is_stored() -> None:
    async with opened() as (_, peer, store):
        peer.write(31, report())
        assert await store.next() == Receipt(
            ref=bytes.fromhex("84a9eb4134fd012c"),
            recipient=PHONE,
            state=ReceiptState.DELIVERED,
            code="DELIVRD",
            reason="",
            done_at=datetime(2026, 8, 9, 2, 31, tzinfo=UTC),
        )
        assert await acknowledged_before(peer) == []
        store.futures[0].set_result(None)
        assert await peer.read() == (31, DeliverResp(77, 0))


async def test_what_could_not_be_stored_is_not_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened() as (_, peer, store):
        for sequence in (1, 2, 3):
            peer.write(sequence, report())
            await store.next()
        store.futures[0].set_exception(RuntimeError("the store is away"))
        store.futures[1].cancel()
        store.futures[2].set_result(None)
        assert await peer.read() == (3, DeliverResp(77, 0))
        assert await acknowledged_before(peer) == []
    assert caplog.messages.count(stream.NOT_STORED) == 1


async def test_a_repeated_deliver_is_handed_on_and_acknowledged_again() -> None:
    async with opened() as (_, peer, store):
        for sequence in (1, 2):
            peer.write(sequence, report())
            await store.next()
            store.futures[-1].set_result(None)
            assert await peer.read() == (sequence, DeliverResp(77, 0))


async def test_a_receipt_may_come_before_the_answer_to_its_submit() -> None:
    async with opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(1, report())
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert not future.done()
        peer.write(sequence, SubmitResp(0x84A9EB4134FD012C, 0))
        assert (await answer(future)).refs == (receipt.ref,)


async def test_a_link_lost_before_storing_acknowledges_nothing_and_raises_nothing() -> None:
    async with opened() as (gateway, peer, store):
        peer.write(1, report())
        await store.next()
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        store.futures[0].set_result(None)
        await turns()


@pytest.mark.parametrize(
    ("stat", "state", "reason"),
    [
        ("MK:0001", ReceiptState.UNDELIVERED, "empty_number"),
        ("ACCEPTD", ReceiptState.BUFFERED, ""),
        ("WHAT?", ReceiptState.UNDELIVERED, "other"),
    ],
)
async def test_the_status_is_kept_as_it_came(stat: str, state: ReceiptState, reason: str) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, report(stat))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.code, receipt.state, receipt.reason) == (stat, state, reason)


async def test_a_report_of_60_octets_is_read() -> None:
    (deviant,) = (
        v for v in load("cmpp", "tolerance") if v["id"] == "cmpp30-deliver-report-60octet"
    )
    async with opened() as (_, peer, store):
        peer.writer.write(bytes.fromhex(deviant["hex"]))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.recipient, receipt.code) == ("+86138" + "00138000", "DELIVRD")


async def test_a_report_without_its_number_takes_the_packets() -> None:
    block = Report(7, "DELIVRD", "", "", "").encode()
    async with opened() as (_, peer, store):
        peer.write(1, report(msg_content=block[:35]))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.recipient, receipt.done_at) == (PHONE, None)


async def test_an_unreadable_report_is_kept_as_it_came_and_then_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = encode(4, report(msg_content=b"too short"))
    async with opened() as (_, peer, store):
        peer.writer.write(frame)
        assert await store.next() == RawDelivery(frame, HEADER_OCTETS, UnreadReason.BROKEN_REPORT)
        assert await acknowledged_before(peer) == []
        store.futures[0].set_result(None)
        assert await peer.read() == (4, DeliverResp(77, 0))
    assert stream.UNREAD in caplog.messages


@pytest.mark.parametrize(
    ("vector", "place"),
    [
        ("cmpp30-deliver-mo-ascii", (0, 1, 1)),
        ("cmpp30-deliver-mo-ucs2", (0, 1, 1)),
        ("cmpp30-deliver-mo-long-1of2", (0x21, 1, 2)),
        ("cmpp30-deliver-mo-long-2of2", (0x21, 2, 2)),
    ],
)
async def test_a_text_from_a_handset_is_read(vector: str, place: tuple[int, int, int]) -> None:
    async with opened() as (_, peer, store):
        peer.writer.write(bytes.fromhex(VECTORS[vector]["hex"]))
        text = VECTORS[vector]["fields"]["text"]
        assert await store.next() == Inbound("+86138" + "00138000", "106900001234", text, *place)


@pytest.mark.parametrize(
    ("msg_fmt", "content", "text"),
    [(15, "退订".encode("gb18030"), "退订"), (4, b"\x01\xff", "01ff"), (8, b"\x90\x00\x8b", "退�")],
)
async def test_every_coding_of_a_text_gives_something(
    msg_fmt: int, content: bytes, text: str
) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, Deliver(1, "106900001234", "10086", content, msg_fmt=msg_fmt))
        inbound = await store.next()
        assert isinstance(inbound, Inbound)
        assert (inbound.sender, inbound.text) == ("10086", text)


# Closing


async def test_closing_waits_for_open_answers_and_stores_then_logs_out() -> None:
    async with opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(1, report())
        await store.next()
        closing = asyncio.create_task(gateway.close(drain_seconds=PATIENCE_SECONDS))
        await turns()
        peer.write(sequence, SubmitResp(5, 0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        store.futures[0].set_result(None)
        assert await peer.read() == (1, DeliverResp(77, 0))
        number, pdu = await peer.read()
        assert isinstance(pdu, Terminate)
        peer.write(number, TerminateResp())
        await asyncio.wait_for(closing, PATIENCE_SECONDS)
        assert gateway.lost.is_set()


async def test_closing_does_not_wait_longer_than_told() -> None:
    async with opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        closing = asyncio.create_task(gateway.close(drain_seconds=0.05))
        await peer.read()
        number, _ = await peer.read()
        (late,) = gateway.submit(submissions(gateway))
        assert (await answer(late)).outcome is Outcome.NOT_SENT
        peer.write(number, TerminateResp())
        await asyncio.wait_for(closing, PATIENCE_SECONDS)
        assert (await answer(future)).outcome is Outcome.UNANSWERED


@pytest.mark.attack
async def test_no_phone_text_or_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="service")
    async with opened() as (gateway, peer, store):
        gateway.submit(submissions(gateway, "警钟长鸣"))
        peer.write(1, report())
        await store.next()
        peer.writer.write(bytes(12))
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert caplog.records
    for private in ("19790001234", "警钟长鸣", SECRET):
        assert private not in logged


@pytest.mark.parametrize(
    "wrong",
    [
        {"account": "1234567"},
        {"account": ""},
        {"access_number": "10690000123400000000000"},
        {"access_number": "1069x"},
        {"fee_type": "09"},
        {"account": "9012４"},
        {"account": "90 234"},
        {"account": "90\n234"},
        {"service_id": "短信"},
        {"service_id": "MSG\x00"},
        {"msg_src": "９０１２３４"},
        {"version": "4.0"},
        {"too_fast_codes": [0]},
        {"ascii_part": 160},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(7890, **wrong)
