"""The China Unicom gateway against a scripted carrier: every promise of the gateway contract."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from service.channels.contract.gateway import (
    Inbound,
    LoginRefused,
    Receipt,
    Submission,
    SubmitResult,
    Unparseable,
    Unreachable,
)
from service.channels.contract.model import parse_config, revealed, shown
from service.channels.contract.outcome import Outcome, ReceiptState
from service.gateways.sgip import SGIPConfig, SGIPGateway
from service.protocols import stream
from service.protocols.sgip.pdu import (
    Bind,
    BindResp,
    Deliver,
    DeliverResp,
    Report,
    ReportResp,
    Submit,
    SubmitResp,
    Trace,
    Unbind,
    UnbindResp,
    UserRpt,
    UserRptResp,
    encode,
)
from service.protocols.sgip.sequence import read, reference, time_field
from service.protocols.sgip.session import NOT_SERVED, USER_CHANGED
from service.protocols.times import BEIJING
from tests.harness.session import PATIENCE_SECONDS, carrier
from tests.harness.sgip import (
    CLOCK,
    NODE,
    PASSWORD,
    PHONE,
    SMG,
    Store,
    answer,
    number,
    opened,
    settings,
    soon,
)
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("sgip", "sgip12")}
SPLITS = [case for case in load("cmpp", "split")["cases"] if case["coding"] == "UCS2"]
SUBMIT_SEQUENCE = number(2, node=NODE)


def submissions(gateway: SGIPGateway, text: str = "警钟", **others: Any) -> list[Submission]:
    return [Submission((PHONE,), part, 0xBEA7, **others) for part in gateway.split(text)]


async def read_submit(smg: SMG) -> tuple[int, Submit]:
    sequence, submit = await smg.read()
    assert isinstance(submit, Submit)
    return sequence, submit


async def nothing_was_acknowledged(smg: SMG) -> bool:
    """Asks for something that is answered at once, after whatever was to be answered before."""
    sequence = number(999)
    return await smg.ask(sequence, UserRpt("10655123", PHONE[1:], 2)) == (sequence, UserRptResp())


def later(gateway: SGIPGateway, seconds: float) -> None:
    """Let the link look at its deadlines as if that much time had passed."""
    gateway.link.on_tick(gateway.link.loop.time() + seconds)


def report(state: int = 0, error_code: int = 0, **others: Any) -> Report:
    return Report(SUBMIT_SEQUENCE, PHONE[1:], state, error_code, **others)


# Opening


async def test_opening_logs_in_as_an_sp() -> None:
    async with carrier() as scripted:
        gateway = SGIPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        smg = SMG(await scripted.peer())
        before = datetime.now(BEIJING)
        recorded = bytes.fromhex(VECTORS["sgip-bind-sp"]["hex"])
        frame = await smg.read_frame()
        assert frame[:12] == recorded[:12]
        assert frame[20:] == recorded[20:]
        assert time_field(before) <= read_time(frame) <= time_field(datetime.now(BEIJING))
        smg.writer.write(frame[:4] + bytes.fromhex("80000001") + frame[8:20] + bytes(41))
        await opening
        assert not gateway.lost.is_set()
        smg.cut()
        await soon(gateway.link.lost.wait())


def read_time(frame: bytes) -> int:
    return read(int.from_bytes(frame[8:20], "big")).time


@pytest.mark.parametrize(
    ("result", "retryable", "words"),
    [(1, False, "wrong login name or password"), (3, True, "too many"), (199, True, "own code")],
)
async def test_a_refused_login_says_why(result: int, retryable: bool, words: str) -> None:
    async with carrier() as scripted:
        gateway = SGIPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        await SMG(await scripted.peer()).accept_login(result)
        with pytest.raises(LoginRefused, match=words) as refusal:
            await opening
        assert (refusal.value.retryable, refusal.value.code) == (retryable, str(result))
        await soon(gateway.lost.wait())


async def test_nobody_at_the_address_is_unreachable() -> None:
    async with carrier() as scripted:
        port = scripted.port
    gateway = SGIPGateway(settings(port), Store().deliver, CLOCK)
    with pytest.raises(Unreachable, match=str(port)):
        await gateway.open()


async def test_a_carrier_that_does_not_answer_the_login_is_unreachable() -> None:
    async with carrier() as scripted:
        config = settings(scripted.port, response_timeout_seconds=0.2)
        gateway = SGIPGateway(config, Store().deliver, CLOCK)
        with pytest.raises(Unreachable, match="no login"):
            await gateway.open()
        await soon(gateway.lost.wait())


async def test_another_protocol_is_told_apart() -> None:
    async with carrier() as scripted:
        gateway = SGIPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        smg = SMG(await scripted.peer())
        smg.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(Unparseable, match="SGIP"):
            await opening


# Submitting


async def test_a_submit_carries_what_the_account_and_the_message_say() -> None:
    options = {
        "service_type": "MSGTEST",
        "charge_number": "",
        "fee_type": 2,
        "fee_value": "5",
        "given_value": "1",
        "agent_flag": 1,
        "morelateto_mt_flag": 3,
        "priority": 9,
    }
    until = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
    async with opened(**options) as (gateway, smg, _):
        gateway.submit(submissions(gateway, "您好", valid_until=until, extension="08"))
        sequence, submit = await read_submit(smg)
    assert read(sequence).node == NODE
    assert submit == Submit(
        sp_number="1065512308",
        user_number=("8619790001234",),
        corp_id="12345",
        message_content="您好".encode("utf-16-be"),
        message_coding=8,
        charge_number="",
        service_type="MSGTEST",
        fee_type=2,
        fee_value="5",
        given_value="1",
        agent_flag=1,
        morelateto_mt_flag=3,
        priority=9,
        expire_time="260810103045032+",
        report_flag=1,
    )


@pytest.mark.parametrize("vector", ["sgip-submit-ucs2", "sgip-submit-ascii", "sgip-submit-gbk"])
async def test_a_submit_is_the_recorded_packet_but_for_its_sequence_and_number(vector: str) -> None:
    fields = VECTORS[vector]["fields"]
    options = {
        "service_type": fields["service_type"],
        "message_coding": fields["message_coding"] or 8,
        "allow_ascii": True,
    }
    async with opened(**options) as (gateway, smg, _):
        recipient = "+" + fields["user_number"][0]
        (part,) = gateway.split(fields["text"])
        gateway.submit([Submission((recipient,), part, 0)])
        frame = await smg.read_frame()
    recorded = bytes.fromhex(VECTORS[vector]["hex"])
    assert (frame[:8] + frame[20:]).hex() == (recorded[:8] + recorded[20:]).hex()


@pytest.mark.parametrize("case", SPLITS, ids=lambda case: str(case["chars"]))
async def test_a_text_travels_in_the_recorded_parts(case: dict[str, Any]) -> None:
    contents = [bytes.fromhex(part["content_hex"]) for part in case["parts"]]
    long = len(contents) > 1
    text = "".join(c[6 if long else 0 :].decode("utf-16-be") for c in contents)
    async with opened() as (gateway, smg, _):
        gateway.submit(submissions(gateway, text))
        for expected in case["parts"]:
            _, submit = await read_submit(smg)
            content = bytes.fromhex(expected["content_hex"])
            if long:
                content = content[:3] + b"\xa7" + content[4:]  # the low octet of our reference
            assert submit.message_content == content
            assert submit.tp_udhi == expected["tp_udhi"]
            assert submit.message_coding == expected["msg_fmt"]


async def test_a_text_without_a_receipt_asks_for_no_report() -> None:
    async with opened() as (gateway, smg, _):
        gateway.submit(submissions(gateway, receipt=False))
        _, submit = await read_submit(smg)
        assert submit.report_flag == 2


@pytest.mark.parametrize(
    ("result", "outcome", "reason", "referred"),
    [
        (0, Outcome.ACCEPTED, "", True),
        (88, Outcome.THROTTLED, "frequency_limit", False),
        (11, Outcome.THROTTLED, "frequency_limit", False),
        (182, Outcome.DAILY_LIMIT, "frequency_limit", False),
        (6, Outcome.REJECTED, "format", False),
        (93, Outcome.SUSPENDED, "account", False),
        (54, Outcome.UNANSWERED, "network", True),
        (177, Outcome.REJECTED, "other", False),
    ],
)
async def test_each_answer_is_read(
    result: int, outcome: Outcome, reason: str, referred: bool
) -> None:
    async with opened() as (gateway, smg, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await smg.read()
        smg.write(sequence, SubmitResp(result))
        refs = (reference(sequence),) if referred else ()
        assert await answer(future) == SubmitResult(outcome, refs, str(result), reason)


async def test_a_carriers_own_codes_are_settings() -> None:
    async with opened(too_fast_codes=(8,), daily_limit_codes=(30,)) as (gateway, smg, _):
        for result, outcome in ((8, "throttled"), (88, "rejected"), (30, "daily_limit")):
            (future,) = gateway.submit(submissions(gateway))
            sequence, _ = await smg.read()
            smg.write(sequence, SubmitResp(result))
            assert (await answer(future)).outcome == outcome


async def test_answers_may_come_in_any_order() -> None:
    async with opened() as (gateway, smg, _):
        futures = gateway.submit(submissions(gateway) * 32)
        sequences = [(await smg.read())[0] for _ in futures]
        assert len(set(sequences)) == 32
        for sequence in reversed(sequences):
            smg.write(sequence, SubmitResp(0))
        refs = [(await answer(future)).refs for future in futures]
        assert refs == [(reference(sequence),) for sequence in sequences]
        assert gateway.link.unanswered == []


async def test_several_recipients_share_a_packet_and_its_reference() -> None:
    phones = tuple(f"+861979000{n:04d}" for n in range(SGIPGateway.most_recipients))
    async with opened(allow_ascii=True, ascii_part=153) as (gateway, smg, _):
        (part, _) = gateway.split("x" * 200)
        (future,) = gateway.submit([Submission(phones, part, 1)])
        sequence, submit = await read_submit(smg)
        assert submit.user_number == tuple(phone[1:] for phone in phones)
        smg.write(sequence, SubmitResp(0))
        assert await answer(future) == SubmitResult(
            Outcome.ACCEPTED, (reference(sequence),) * len(phones), "0", ""
        )


@pytest.mark.parametrize(("recipients", "outcome"), [(1, "rejected"), (2, "refused_lot")])
@pytest.mark.parametrize("result", [6, 19, 114])
async def test_a_lot_refused_for_one_is_told_apart(
    recipients: int, outcome: str, result: int
) -> None:
    async with opened() as (gateway, smg, _):
        (part,) = gateway.split("警钟")
        (future,) = gateway.submit([Submission((PHONE,) * recipients, part, 1)])
        sequence, _ = await smg.read()
        smg.write(sequence, SubmitResp(result))
        assert await answer(future) == SubmitResult(Outcome(outcome), (), str(result), "format")


async def test_a_batch_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (gateway, _, _):
        written: list[bytes] = []
        monkeypatch.setattr(gateway.link._transport, "write", written.append)
        gateway.submit(submissions(gateway) * 7)
        assert len(written) == 1


@pytest.mark.attack
async def test_a_lost_link_leaves_written_submits_unanswered_but_referred_to() -> None:
    async with opened() as (gateway, smg, _):
        futures = gateway.submit(submissions(gateway) * 3)
        sequences = [(await smg.read())[0] for _ in futures]
        smg.write(sequences[0], SubmitResp(0))
        assert (await answer(futures[0])).outcome is Outcome.ACCEPTED
        smg.cut()
        assert [await answer(future) for future in futures[1:]] == [
            SubmitResult(Outcome.UNANSWERED, (reference(sequence),)) for sequence in sequences[1:]
        ]
        await soon(gateway.lost.wait())
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


async def test_before_opening_nothing_is_sent() -> None:
    gateway = SGIPGateway(settings(1), Store().deliver, CLOCK)
    (future,) = gateway.submit(submissions(gateway))
    assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
    assert not gateway.lost.is_set()


async def test_a_carrier_that_falls_silent_leaves_submits_unanswered_and_the_link_dead() -> None:
    async with opened(response_timeout_seconds=0.2) as (gateway, smg, _):
        futures = gateway.submit(submissions(gateway) * 2)
        sequences = [(await smg.read())[0] for _ in futures]
        assert [await answer(future) for future in futures] == [
            SubmitResult(Outcome.UNANSWERED, (reference(sequence),)) for sequence in sequences
        ]
        await soon(gateway.lost.wait())
        assert gateway.link.reason == "no sign of life from the other side"


async def test_one_answer_that_does_not_come_leaves_the_link_alive() -> None:
    async with opened() as (gateway, smg, _):
        unlucky, other = gateway.submit(submissions(gateway) * 2)
        first, second = [(await smg.read())[0] for _ in range(2)]
        smg.write(second, SubmitResp(0))
        assert (await answer(other)).outcome is Outcome.ACCEPTED
        later(gateway, 31)
        assert await answer(unlucky) == SubmitResult(Outcome.UNANSWERED, (reference(first),))
        assert gateway.link.ready
        smg.write(first, SubmitResp(0))
        assert await nothing_was_acknowledged(smg)
        assert not gateway.lost.is_set()


@pytest.mark.parametrize("extension", ["01234567890123", "12a", "１２"])
async def test_an_extension_that_cannot_travel_is_refused_alone(extension: str) -> None:
    async with opened() as (gateway, smg, _):
        good = submissions(gateway)
        bad = submissions(gateway, extension=extension)
        first, refused, last = gateway.submit([*good, *bad, *good])
        assert await answer(refused) == SubmitResult(Outcome.REJECTED, (), "extension", "format")
        for future in (first, last):
            sequence, _ = await smg.read()
            smg.write(sequence, SubmitResp(0))
            assert (await answer(future)).refs == (reference(sequence),)


async def test_too_many_recipients_are_refused_before_anything_is_written() -> None:
    async with opened() as (gateway, _, _):
        (part,) = gateway.split("警" * 70)
        with pytest.raises(ValueError, match="2048"):
            gateway.submit([Submission((PHONE,), part, 1), Submission((PHONE,) * 85, part, 1)])
        assert gateway.link.unanswered == []


# Idle links


async def test_an_idle_link_logs_out_and_asks_for_another_when_there_is_something_to_send() -> None:
    async with opened() as (gateway, smg, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await smg.read()
        smg.write(sequence, SubmitResp(0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        later(gateway, 39)
        assert gateway.link.ready
        later(gateway, 41)
        sequence, pdu = await smg.read()
        assert isinstance(pdu, Unbind)
        smg.write(sequence, UnbindResp())
        await soon(gateway.link.lost.wait())
        assert not gateway.lost.is_set(), "nobody needs a connection now"
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
        assert gateway.lost.is_set()


async def test_a_submit_while_logging_out_for_idleness_is_not_sent() -> None:
    async with opened(idle_seconds=0.1) as (gateway, smg, _):
        _, pdu = await smg.read()
        assert isinstance(pdu, Unbind)
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
        assert gateway.lost.is_set()


async def test_a_logout_for_idleness_that_is_not_answered_is_no_alarm() -> None:
    async with opened(idle_seconds=0.1, response_timeout_seconds=0.2) as (gateway, smg, _):
        _, pdu = await smg.read()
        assert isinstance(pdu, Unbind)
        await soon(gateway.link.lost.wait())
        assert not gateway.lost.is_set()


async def test_a_link_with_a_submit_in_flight_is_not_idle() -> None:
    async with opened(response_timeout_seconds=60) as (gateway, smg, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await smg.read()
        later(gateway, 50)
        smg.write(sequence, SubmitResp(0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        assert await nothing_was_acknowledged(smg)
        assert gateway.link.ready


async def test_a_link_is_kept_where_the_account_says_so() -> None:
    async with opened(idle_seconds=None) as (gateway, smg, _):
        later(gateway, 1e9)
        assert gateway.link.ready
        assert await nothing_was_acknowledged(smg)


@pytest.mark.parametrize("unbind", [True, False], ids=["unbind", "plain close"])
async def test_a_carrier_that_closes_an_idle_link_is_no_alarm(unbind: bool) -> None:
    async with opened() as (gateway, smg, _):
        if unbind:
            assert await smg.ask(number(5), Unbind()) == (number(5), UnbindResp())
        else:
            smg.writer.close()
        await soon(gateway.link.lost.wait())
        assert not gateway.lost.is_set()
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
        assert gateway.lost.is_set()


# What the carrier sends over our connection, though it should open its own


async def test_a_report_on_our_connection_is_acknowledged_after_it_is_stored() -> None:
    async with opened() as (_, smg, store):
        smg.write(number(20), report())
        assert await store.next() == Receipt(
            ref=reference(SUBMIT_SEQUENCE),
            recipient=PHONE,
            state=ReceiptState.DELIVERED,
            code="0:0",
            reason="",
            done_at=None,
        )
        assert await nothing_was_acknowledged(smg)
        store.futures[0].set_result(None)
        assert await smg.read() == (number(20), ReportResp(0))


async def test_what_could_not_be_stored_is_not_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened() as (_, smg, store):
        for counter in (1, 2, 3):
            smg.write(number(counter), report())
            await store.next()
        store.futures[0].set_exception(RuntimeError("the store is away"))
        store.futures[1].cancel()
        store.futures[2].set_result(None)
        assert await smg.read() == (number(3), ReportResp(0))
        assert await nothing_was_acknowledged(smg)
    assert caplog.messages.count(stream.NOT_STORED) == 1


async def test_a_report_may_come_before_the_answer_to_its_submit() -> None:
    async with opened() as (gateway, smg, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await smg.read()
        smg.write(number(1), Report(sequence, PHONE[1:], 0))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert not future.done()
        smg.write(sequence, SubmitResp(0))
        assert (await answer(future)).refs == (receipt.ref,)


@pytest.mark.parametrize(
    ("state", "error_code", "expected", "code", "reason"),
    [
        (1, 0, ReceiptState.BUFFERED, "1:0", ""),
        (2, 29, ReceiptState.UNDELIVERED, "2:29", "empty_number"),
        (2, 25, ReceiptState.UNDELIVERED, "2:25", "powered_off"),
        (2, 211, ReceiptState.UNDELIVERED, "2:211", "other"),
        (9, 1, ReceiptState.UNKNOWN, "9:1", "other"),
    ],
)
async def test_state_and_error_code_are_kept_as_they_came(
    state: int, error_code: int, expected: ReceiptState, code: str, reason: str
) -> None:
    async with opened() as (_, smg, store):
        smg.write(number(1), report(state, error_code))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.state, receipt.code, receipt.reason) == (expected, code, reason)


@pytest.mark.parametrize("written", ["19790001234", "+8619790001234", "008619790001234"])
async def test_a_recipient_is_read_in_every_usual_form(written: str) -> None:
    async with opened() as (_, smg, store):
        smg.write(number(1), Report(SUBMIT_SEQUENCE, written, 0))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert receipt.recipient == PHONE


@pytest.mark.parametrize(
    ("vector", "place"),
    [
        ("sgip-deliver-mo-ascii", (0, 1, 1)),
        ("sgip-deliver-mo-ucs2", (0, 1, 1)),
        ("sgip-deliver-mo-gbk", (0, 1, 1)),
        ("sgip-deliver-mo-long-1of2", (0x33, 1, 2)),
        ("sgip-deliver-mo-long-2of2", (0x33, 2, 2)),
    ],
)
async def test_a_text_from_a_handset_is_read(vector: str, place: tuple[int, int, int]) -> None:
    async with opened() as (_, smg, store):
        smg.writer.write(bytes.fromhex(VECTORS[vector]["hex"]))
        fields = VECTORS[vector]["fields"]
        sender = "+" + fields["user_number"]
        assert await store.next() == Inbound(sender, "10655123", fields["text"], *place)
        store.futures[0].set_result(None)
        _, acknowledged = await smg.read()
        assert acknowledged == DeliverResp(0)


@pytest.mark.parametrize(
    ("coding", "udhi", "content", "text"),
    [
        (4, 0, b"\x01\xff", "01ff"),
        (8, 0, b"\x90\x00\x8b", "退�"),
        (8, 1, b"\x90\x00\x8b\xa2", "退订"),  # no header, whatever the flag says
    ],
)
async def test_every_content_gives_something(
    coding: int, udhi: int, content: bytes, text: str
) -> None:
    async with opened() as (_, smg, store):
        smg.write(
            number(1), Deliver("10010", "10655123", content, message_coding=coding, tp_udhi=udhi)
        )
        inbound = await store.next()
        assert isinstance(inbound, Inbound)
        assert (inbound.sender, inbound.text) == ("10010", text)


async def test_news_of_a_subscriber_are_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="service")
    async with opened() as (_, smg, store):
        news = UserRpt("10655123", PHONE[1:], 1)
        assert await smg.ask(number(8), news) == (number(8), UserRptResp(0))
        assert store.items.empty()
    assert USER_CHANGED in caplog.messages


async def test_commands_that_an_sp_does_not_serve_are_answered_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened() as (_, smg, _):
        submit = Submit("10655123", (PHONE[1:],), "12345", b"x", 0)
        assert await smg.ask(number(1), submit) == (number(1), SubmitResp(5))
        bind = Bind(2, "smg0371", "smgpass")
        assert await smg.ask(number(2), bind) == (number(2), BindResp(2))
    assert caplog.messages.count(NOT_SERVED) == 1


async def test_unknown_commands_and_answers_to_nothing_are_dropped() -> None:
    async with opened() as (gateway, smg, _):
        smg.writer.write(bytes.fromhex("0000001400000077") + bytes(12))
        smg.write(number(1), Trace(SUBMIT_SEQUENCE, PHONE[1:]))
        smg.write(number(2), SubmitResp(0))
        smg.write(number(3), ReportResp(0))
        assert await nothing_was_acknowledged(smg)
        assert gateway.link.ready


@pytest.mark.attack
@pytest.mark.parametrize(
    "octets",
    [
        "00000003",
        "7fffffff00000005",
        b"HTTP/1.1 400 Bad Request\r\n\r\n".hex(),
    ],
)
async def test_malformed_octets_close_the_link_with_a_logged_reason(
    octets: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as (gateway, smg, _):
        (future,) = gateway.submit(submissions(gateway))
        smg.writer.write(bytes.fromhex(octets))
        await soon(gateway.lost.wait())
        assert "octets" in gateway.link.reason
        assert (await answer(future)).outcome is Outcome.UNANSWERED
    levels = [record.levelno for record in caplog.records if record.name.startswith("service")]
    assert logging.WARNING in levels
    assert not any(record.exc_info for record in caplog.records)


async def test_malformed_octets_on_an_idle_link_are_an_alarm() -> None:
    async with opened() as (gateway, smg, _):
        smg.writer.write(bytes(20))
        await soon(gateway.lost.wait())


@pytest.mark.parametrize("vector", VECTORS.values(), ids=list(VECTORS))
async def test_no_truncated_packet_raises_out_of_the_reader(vector: dict[str, str]) -> None:
    """Every truncation, its length field mended: the link lives, nothing escapes."""
    frame = bytes.fromhex(vector["hex"])
    async with opened() as (gateway, _, store):
        for length in range(20, len(frame)):
            gateway.link.data_received(length.to_bytes(4, "big") + frame[4:length])
            assert gateway.link.fault is None
        for future in store.futures:
            future.set_result(None)


# Closing


async def test_closing_waits_for_open_answers_and_stores_then_logs_out() -> None:
    async with opened() as (gateway, smg, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await smg.read()
        smg.write(number(1), report())
        await store.next()
        closing = asyncio.create_task(gateway.close(drain_seconds=PATIENCE_SECONDS))
        await turns()
        smg.write(sequence, SubmitResp(0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        store.futures[0].set_result(None)
        assert await smg.read() == (number(1), ReportResp(0))
        sequence, pdu = await smg.read()
        assert isinstance(pdu, Unbind)
        smg.write(sequence, UnbindResp())
        await soon(closing)
        assert gateway.lost.is_set()


async def test_an_answer_to_the_logout_with_a_body_ends_it_too() -> None:
    (deviant,) = load("sgip", "tolerance")
    async with opened() as (gateway, smg, _):
        closing = asyncio.create_task(gateway.close(drain_seconds=0))
        await smg.read()
        smg.writer.write(bytes.fromhex(deviant["hex"]))
        await soon(closing)
        assert gateway.link.reason == "logged out"


async def test_closing_a_gateway_that_is_asleep_ends_it() -> None:
    async with opened() as (gateway, smg, _):
        smg.writer.close()
        await soon(gateway.link.lost.wait())
        await soon(gateway.close(drain_seconds=0))
        assert gateway.lost.is_set()


@pytest.mark.attack
async def test_no_phone_text_or_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="service")
    async with opened() as (gateway, smg, store):
        gateway.submit(submissions(gateway, "警钟长鸣"))
        smg.write(number(1), report())
        smg.write(number(2), UserRpt("10655123", PHONE[1:], 1))
        smg.writer.write(encode(number(3), Submit("1", (PHONE[1:],), "1", b"x", 0)))
        await store.next()
        smg.writer.write(bytes(20))
        await soon(gateway.lost.wait())
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert caplog.records
    for private in ("19790001234", "警钟长鸣", PASSWORD):
        assert private not in logged


@pytest.mark.parametrize(
    "wrong",
    [
        {"login_name": ""},
        {"login_name": "12345678901234567"},
        {"login_name": "名"},
        {"login_password": "12345678901234567"},
        {"login_password": "密"},
        {"listen_password": "密"},
        {"access_number": "106551230000000000000"},
        {"access_number": "1065x"},
        {"node_number": 0},
        {"node_number": 2**32},
        {"corp_id": "123456"},
        {"fee_type": 9},
        {"message_coding": 4},
        {"too_fast_codes": (0,)},
        {"listen_addresses": ("10.0.0.300",)},
        {"listen_any_login": True},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(8801, **wrong)


def test_settings_survive_their_storage() -> None:
    config = settings(8801, listen_port=8801, listen_addresses=("192.0.2.0/24", "2001:db8::7"))
    assert parse_config(SGIPConfig, revealed(config)) == config
    assert PASSWORD not in str(shown(config))
