"""The China Telecom gateway against a scripted carrier: every promise of the gateway contract."""

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
    LoginRefused,
    Submission,
    SubmitResult,
    Unparseable,
    Unreachable,
)
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.coding.parts import Coding, decode
from service.gateways.smgp import SMGPConfig, SMGPGateway
from service.protocols import client
from service.protocols.smgp.pdu import (
    ActiveTest,
    ActiveTestResp,
    Deliver,
    DeliverResp,
    Exit,
    ExitResp,
    Submit,
    SubmitResp,
)
from service.protocols.smgp.report import Report
from service.protocols.smgp.tlv import NO_OPTIONS, Options
from tests.harness.session import PATIENCE_SECONDS, carrier
from tests.harness.smgp import SMGPPeer, peer_of
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("smgp", "smgp30")}
SPLITS = load("smgp", "split")["cases"]
TOLERANCE = load("smgp", "tolerance")
CLOCK = Clock(datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC), anchor=0.0, speed=0.0)
PHONE = "+8619790001234"
RECORDED_PHONE = "+86133" + "12345678"
SECRET = "1qaz2wsx"
ID = bytes.fromhex("01006108091030123456")
OWN_ID = bytes.fromhex("01006112312359999999")


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


def settings(port: int, **others: Any) -> SMGPConfig:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "account": "12345678",
        "secret": SECRET,
        "access_number": "106590001234",
    }
    return SMGPConfig(**{**given, **others})


@asynccontextmanager
async def opened(**others: Any) -> AsyncIterator[tuple[SMGPGateway, SMGPPeer, Store]]:
    async with carrier() as scripted:
        store = Store()
        gateway = SMGPGateway(settings(scripted.port, **others), store.deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await peer_of(scripted)
        await peer.accept_login()
        await opening
        yield gateway, peer, store
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


def submissions(gateway: SMGPGateway, text: str = "警钟", **others: Any) -> list[Submission]:
    given = {"recipients": (PHONE,), **others}
    return [Submission(part=part, reference=0xBE77, **given) for part in gateway.split(text)]


async def answer(future: "asyncio.Future[SubmitResult]") -> SubmitResult:
    return await asyncio.wait_for(future, PATIENCE_SECONDS)


async def acknowledged_before(peer: SMGPPeer) -> list[DeliverResp]:
    """What was acknowledged up to now, by means of a heartbeat that must be answered after it."""
    peer.write(999, ActiveTest())
    seen: list[DeliverResp] = []
    while True:
        _, pdu = await peer.read()
        if isinstance(pdu, ActiveTestResp):
            return seen
        assert isinstance(pdu, DeliverResp)
        seen.append(pdu)


def report(stat: str = "DELIVRD", err: str = "000", **others: Any) -> Deliver:
    content = Report(ID, stat, err, "2608091030", "2608091031").encode()
    values = {"msg_content": content, "is_report": 1, **others}
    return Deliver(OWN_ID, src_term_id="19790001234", dest_term_id="106590001234", **values)


# Opening


async def test_opening_logs_in_with_the_recorded_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LOGOUT_SECONDS", 0.05)  # nobody answers it here
    async with carrier() as scripted:
        gateway = SMGPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await peer_of(scripted)
        assert (await peer.read_frame()).hex() == VECTORS["smgp-login"]["hex"]
        peer.writer.write(bytes.fromhex(VECTORS["smgp-login-resp-ok"]["hex"]))
        await opening
        await gateway.close(drain_seconds=0)


OFF = {"verify_gateway": False}


@pytest.mark.attack
@pytest.mark.parametrize("stored", [{}, OFF])
async def test_a_gateway_that_does_not_know_the_secret_gets_no_text(
    stored: dict[str, Any],
) -> None:
    async with carrier() as scripted:
        config = settings(scripted.port, **stored)
        gateway = SMGPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await peer_of(scripted)
        await peer.accept_login(secret="another")
        with pytest.raises(LoginRefused, match="turn verify_gateway off") as refused:
            await opening
        assert (refused.value.code, refused.value.retryable) == ("unverified", False)
        assert SECRET not in str(refused.value)
        assert await peer.read_to_the_end() == b""
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


async def test_with_a_reason_a_gateway_with_another_digest_is_taken() -> None:
    async with carrier() as scripted:
        config = settings(scripted.port, **OFF, unverified_because="运营商书面说明其摘要算法不同")
        gateway = SMGPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await peer_of(scripted)
        await peer.accept_login(secret="another")
        await opening
        assert SMGPGateway.settings_faults(config, simulated=False) == {}
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


@pytest.mark.parametrize("reason", ["", "  "])
def test_the_check_of_the_gateway_is_turned_off_with_a_reason_only(reason: str) -> None:
    config = settings(1, **OFF, unverified_because=reason)
    for simulated in (False, True):
        faults = SMGPGateway.settings_faults(config, simulated=simulated)
        assert list(faults) == ["unverified_because"]
    assert SMGPGateway.settings_faults(settings(1), simulated=False) == {}


@pytest.mark.parametrize(
    ("status", "retryable", "words"),
    [
        (1, True, "busy"),
        (2, True, "too many connections"),
        (20, False, "IP address"),
        (21, False, "do not match"),
        (22, False, "version"),
        (76, False, "expired"),
        (199, True, "own code"),
    ],
)
async def test_a_refused_login_says_why_and_whether_to_try_again(
    status: int, retryable: bool, words: str
) -> None:
    async with carrier() as scripted:
        gateway = SMGPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        await (await peer_of(scripted)).accept_login(status)
        with pytest.raises(LoginRefused, match=words) as refused:
            await opening
        assert refused.value.retryable is retryable
        assert refused.value.code == str(status)
        assert SECRET not in str(refused.value)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_nobody_at_the_address_is_unreachable() -> None:
    async with carrier() as scripted:
        port = scripted.port
    gateway = SMGPGateway(settings(port), Store().deliver, CLOCK)
    with pytest.raises(Unreachable, match="check address") as error:
        await gateway.open()
    assert error.value.retryable
    await gateway.close(drain_seconds=0)


async def test_a_login_without_an_answer_is_unreachable() -> None:
    async with carrier() as scripted:
        config = settings(scripted.port, response_timeout_seconds=0.1)
        gateway = SMGPGateway(config, Store().deliver, CLOCK)
        with pytest.raises(Unreachable):
            await asyncio.wait_for(gateway.open(), PATIENCE_SECONDS)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_a_carrier_that_hangs_up_during_the_login_is_unreachable() -> None:
    async with carrier() as scripted:
        gateway = SMGPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        (await scripted.peer()).writer.close()
        with pytest.raises(Unreachable, match="closed the connection"):
            await opening


async def test_something_else_at_the_address_is_unparseable() -> None:
    async with carrier() as scripted:
        gateway = SMGPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        (await scripted.peer()).writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(Unparseable, match="does not speak SMGP"):
            await opening


# Submitting


async def test_a_submit_carries_what_the_account_and_the_message_say() -> None:
    options = {
        "service_id": "MSGTEST",
        "msg_src": "12345",
        "m_service_id": "P1",
        "fee_type": "01",
        "fee_code": "5",
        "fixed_fee": "10",
        "charge_number": "19790009999",
        "charge_user_type": 3,
        "priority": 3,
    }
    until = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
    async with opened(**options) as (gateway, peer, _):
        batch = submissions(gateway, "您好", valid_until=until, extension="08", receipt=False)
        gateway.submit(batch)
        _, submit = await peer.read()
    assert submit == Submit(
        dest_term_id=("19790001234",),
        msg_content="您好".encode("utf-16-be"),
        src_term_id="10659000123408",
        msg_format=8,
        msg_type=6,
        need_report=0,
        priority=3,
        service_id="MSGTEST",
        fee_type="01",
        fee_code="5",
        fixed_fee="10",
        valid_time="260810103045032+",
        charge_term_id="19790009999",
        options=Options(charge_user_type=3, msg_src="12345", m_service_id="P1"),
    )


@pytest.mark.parametrize(
    ("vector", "options"),
    [
        ("smgp-submit-ascii", {"allow_ascii": True, "service_id": "MSGTEST"}),
        ("smgp-submit-gb18030", {"coding": "gb18030"}),
        ("smgp-submit-ucs2", {}),
        ("smgp-submit-multi2", {}),
    ],
)
async def test_the_submit_of_a_text_is_the_recorded_packet(
    vector: str, options: dict[str, Any]
) -> None:
    recorded = VECTORS[vector]
    async with opened(access_number="1181234567", **options) as (gateway, peer, _):
        numbers = tuple(f"+86{number}" for number in recorded["fields"]["dest_term_id"])
        gateway.submit(submissions(gateway, recorded["fields"]["text"], recipients=numbers))
        written = await peer.read_frame()
    assert written[12:].hex() == recorded["hex"][24:], "all but length, command and sequence"


async def test_a_long_text_travels_in_the_recorded_packets() -> None:
    recorded = [VECTORS[f"smgp-submit-long-{n}of2"] for n in (1, 2)]
    text = "".join(vector["fields"]["text"] for vector in recorded)
    async with opened(access_number="1181234567") as (gateway, peer, _):
        gateway.submit(submissions(gateway, text, recipients=(RECORDED_PHONE,)))
        for vector in recorded:
            written = await peer.read_frame()
            assert written[12:].hex() == vector["hex"][24:]


@pytest.mark.parametrize("case", SPLITS, ids=lambda case: f"{case['coding']}-{case['chars']}")
async def test_parts_are_those_of_an_independent_splitter(case: dict[str, Any]) -> None:
    coding = {"UCS2": Coding.UCS2, "ASCII": Coding.ASCII}[case["coding"]]
    header = 6 if len(case["parts"]) > 1 else 0
    bodies = [bytes.fromhex(part["content_hex"])[header:] for part in case["parts"]]
    text = "".join(decode(body, coding) for body in bodies)
    async with opened(allow_ascii=True, ascii_part=153) as (gateway, peer, _):
        gateway.submit(submissions(gateway, text))
        for part in case["parts"]:
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            expected = bytearray.fromhex(part["content_hex"])
            if header:
                expected[3] = 0x77
                number, total = part["pk_number"], part["pk_total"]
                assert submit.options == Options(tp_udhi=1, pk_total=total, pk_number=number)
            else:
                assert submit.options is NO_OPTIONS
            assert submit.msg_content == bytes(expected)
            assert submit.msg_format == part["msg_fmt"]


@pytest.mark.parametrize(
    ("options", "text", "lengths"),
    [
        ({}, "a" * 70, [140]),
        ({"allow_ascii": True}, "a" * 140, [140]),
        ({"allow_ascii": True}, "a" * 141, [140, 13]),
        ({"allow_ascii": True, "ascii_part": 153}, "a" * 159, [159]),
        ({"coding": "gb18030"}, "警" * 70, [140]),
        ({"coding": "gb18030"}, "警" * 71, [140, 14]),
    ],
)
async def test_parts_are_as_long_as_the_account_allows(
    options: dict[str, Any], text: str, lengths: list[int]
) -> None:
    async with opened(**options) as (gateway, peer, _):
        gateway.submit(submissions(gateway, text))
        for length in lengths:
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert len(submit.msg_content) == length


def refused(outcome: Outcome, code: int, reason: str) -> SubmitResult:
    return SubmitResult(outcome, (), str(code), reason)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, SubmitResult(Outcome.ACCEPTED, (ID,), "0", "")),
        (1, refused(Outcome.THROTTLED, 1, "frequency_limit")),
        (2, refused(Outcome.THROTTLED, 2, "frequency_limit")),
        (36, refused(Outcome.REJECTED, 36, "format")),
        (47, refused(Outcome.REJECTED, 47, "format")),
        (74, refused(Outcome.SUSPENDED, 74, "account")),
        (75, refused(Outcome.DAILY_LIMIT, 75, "frequency_limit")),
        (76, refused(Outcome.SUSPENDED, 76, "account")),
        (177, refused(Outcome.REJECTED, 177, "other")),
    ],
)
async def test_each_answer_is_read(status: int, expected: SubmitResult) -> None:
    async with opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(ID, status))
        assert await answer(future) == expected


async def test_the_codes_that_say_too_fast_are_the_accounts() -> None:
    async with opened(too_fast_codes=[177]) as (gateway, peer, _):
        for status, outcome in ((177, Outcome.THROTTLED), (1, Outcome.REJECTED)):
            (future,) = gateway.submit(submissions(gateway))
            sequence, _ = await peer.read()
            peer.write(sequence, SubmitResp(bytes(10), status))
            assert await answer(future) == SubmitResult(
                outcome, (), str(status), "frequency_limit" if status == 177 else "other"
            )


async def test_several_recipients_have_a_reference_each() -> None:
    phones = tuple(f"+86197900012{n:02d}" for n in range(100))
    async with opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway, recipients=phones))
        sequence, submit = await peer.read()
        assert isinstance(submit, Submit)
        assert submit.dest_term_id == tuple(phone[3:] for phone in phones)
        peer.write(sequence, SubmitResp(bytes.fromhex("01006108091030999950"), 0))
        refs = [ref.hex() for ref in (await answer(future)).refs]
    assert refs == [f"01006108091030{(999_950 + n) % 1_000_000:06d}" for n in range(100)]


async def test_one_bad_recipient_of_several_refuses_the_lot() -> None:
    async with opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway, recipients=(PHONE, "+8619790001235")))
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(bytes(10), 47))
        assert await answer(future) == refused(Outcome.REFUSED_LOT, 47, "format")


async def test_more_recipients_than_the_protocol_allows_write_nothing() -> None:
    async with opened() as (gateway, peer, _):
        batch = submissions(gateway, recipients=(PHONE,) * (SMGPGateway.most_recipients + 1))
        with pytest.raises(ValueError, match="101 destinations"):
            gateway.submit([*submissions(gateway), *batch])
        assert await acknowledged_before(peer) == []


async def test_answers_may_come_in_any_order() -> None:
    async with opened() as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * 5)
        sequences = [(await peer.read())[0] for _ in futures]
        for sequence in reversed(sequences):
            peer.write(sequence, SubmitResp(bytes(9) + bytes((sequence,)), 0))
        refs = [(await answer(future)).refs[0][-1] for future in futures]
        assert refs == sequences


@pytest.mark.attack
async def test_a_lost_link_leaves_written_submits_unanswered_and_takes_no_more() -> None:
    async with opened() as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * 3)
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(ID, 0))
        assert (await answer(futures[0])).outcome is Outcome.ACCEPTED
        peer.writer.transport.abort()
        assert [(await answer(f)).outcome for f in futures[1:]] == [Outcome.UNANSWERED] * 2
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


async def test_garbage_leaves_written_submits_unanswered_and_the_link_closed() -> None:
    async with opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        await peer.read()
        peer.writer.write(b"\xff" * 16)
        assert await answer(future) == SubmitResult(Outcome.UNANSWERED)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_a_half_open_link_leaves_submits_unanswered_and_is_given_up() -> None:
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
        first, misfit, last = gateway.submit([*good, *bad, *good])
        assert await answer(misfit) == SubmitResult(Outcome.REJECTED, (), "extension", "format")
        for future in (first, last):
            sequence, _ = await peer.read()
            peer.write(sequence, SubmitResp(ID, 0))
            assert (await answer(future)).refs == (ID,)


# Closing


async def test_closing_waits_for_open_answers_and_stores_then_logs_out() -> None:
    async with opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(1, report())
        await store.next()
        closing = asyncio.create_task(gateway.close(drain_seconds=PATIENCE_SECONDS))
        await turns()
        peer.write(sequence, SubmitResp(ID, 0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        store.futures[0].set_result(None)
        assert await peer.read() == (1, DeliverResp(OWN_ID, 0))
        number, pdu = await peer.read()
        assert isinstance(pdu, Exit)
        peer.write(number, ExitResp())
        await asyncio.wait_for(closing, PATIENCE_SECONDS)
        assert gateway.lost.is_set()


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


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"account": "123456789"},
        {"account": ""},
        {"account": "警钟"},
        {"secret": "1234567890123456"},
        {"secret": ""},
        {"login_mode": 1},
        {"access_number": "10690000123400000000000"},
        {"access_number": "1069x"},
        {"fee_type": "09"},
        {"msg_src": "123456789"},
        {"m_service_id": "1" * 22},
        {"priority": 4},
        {"coding": "utf-8"},
        {"too_fast_codes": [0]},
        {"ascii_part": 160},
        {"heartbeat_seconds": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(8890, **wrong)
