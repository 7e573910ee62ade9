"""What only the China Unicom gateway does; what every gateway does is in `stream`."""

import asyncio
import logging
from datetime import datetime
from typing import Any

import pytest

from service.channels.contract.gateway import (
    Receipt,
    Submission,
    SubmitResult,
)
from service.channels.contract.model import parse_config, revealed, shown
from service.channels.contract.outcome import Outcome
from service.gateways.sgip import SGIPConfig, SGIPGateway
from service.protocols.sgip.pdu import (
    Bind,
    BindResp,
    Report,
    ReportResp,
    Submit,
    SubmitResp,
    Unbind,
    UnbindResp,
    UserRpt,
    UserRptResp,
)
from service.protocols.sgip.sequence import read, reference, time_field
from service.protocols.sgip.session import NOT_SERVED, USER_CHANGED
from service.protocols.sgip.trace import Trace
from service.protocols.times import BEIJING
from tests.harness.scripted import PHONE, answer, later, submissions
from tests.harness.session import soon
from tests.harness.sgip import NODE, PASSWORD, SGIP, SMG, SUBMIT_SEQUENCE, VECTORS, number, settings
from tests.harness.vectors import load

SPLITS = [case for case in load("cmpp", "split")["cases"] if case["coding"] == "UCS2"]


async def read_submit(smg: SMG) -> tuple[int, Submit]:
    sequence, submit = await smg.read()
    assert isinstance(submit, Submit)
    return sequence, submit


# Opening


async def test_the_login_says_who_asks_and_when() -> None:
    async with SGIP.opening() as (_, _, smg):
        before = datetime.now(BEIJING)
        sequence = read((await smg.read())[0])
        assert sequence.node == NODE
        assert time_field(before) <= sequence.time <= time_field(datetime.now(BEIJING))


# Submitting


@pytest.mark.parametrize("vector", ["sgip-submit-ucs2", "sgip-submit-ascii", "sgip-submit-gbk"])
async def test_a_submit_is_the_recorded_packet_but_for_its_sequence_and_number(vector: str) -> None:
    fields = VECTORS[vector]["fields"]
    options = {
        "service_type": fields["service_type"],
        "message_coding": fields["message_coding"] or 8,
        "allow_ascii": True,
    }
    async with SGIP.opened(**options) as (gateway, smg, _):
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
    async with SGIP.opened() as (gateway, smg, _):
        gateway.submit(submissions(gateway, text))
        for expected in case["parts"]:
            _, submit = await read_submit(smg)
            content = bytes.fromhex(expected["content_hex"])
            if long:
                content = content[:3] + b"\xa7" + content[4:]  # the low octet of our reference
            assert submit.message_content == content
            assert submit.tp_udhi == expected["tp_udhi"]
            assert submit.message_coding == expected["msg_fmt"]


async def test_several_recipients_share_a_packet_and_its_reference() -> None:
    phones = tuple(f"+861979000{n:04d}" for n in range(SGIPGateway.most_recipients))
    async with SGIP.opened(allow_ascii=True, ascii_part=153) as (gateway, smg, _):
        (part, _) = gateway.split("x" * 200)
        (future,) = gateway.submit([Submission(phones, part, 1)])
        sequence, submit = await read_submit(smg)
        assert submit.user_number == tuple(phone[1:] for phone in phones)
        smg.write(sequence, SubmitResp(0))
        assert await answer(future) == SubmitResult(
            Outcome.ACCEPTED, (reference(sequence),) * len(phones), "0", ""
        )


# Idle links


async def test_an_idle_link_logs_out_and_asks_for_another_when_there_is_something_to_send() -> None:
    async with SGIP.opened() as (gateway, smg, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await smg.read()
        smg.write(sequence, SubmitResp(0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        later(gateway.link, 39)
        assert gateway.link.ready
        later(gateway.link, 41)
        sequence, pdu = await smg.read()
        assert isinstance(pdu, Unbind)
        smg.write(sequence, UnbindResp())
        await soon(gateway.link.lost.wait())
        assert not gateway.lost.is_set(), "nobody needs a connection now"
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
        assert gateway.lost.is_set()


async def test_a_submit_while_logging_out_for_idleness_is_not_sent() -> None:
    async with SGIP.opened(idle_seconds=0.1) as (gateway, smg, _):
        _, pdu = await smg.read()
        assert isinstance(pdu, Unbind)
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
        assert gateway.lost.is_set()


async def test_a_logout_for_idleness_that_is_not_answered_is_no_alarm() -> None:
    async with SGIP.opened(idle_seconds=0.1, response_timeout_seconds=0.2) as (gateway, smg, _):
        _, pdu = await smg.read()
        assert isinstance(pdu, Unbind)
        await soon(gateway.link.lost.wait())
        assert not gateway.lost.is_set()


async def test_a_link_with_a_submit_in_flight_is_not_idle() -> None:
    async with SGIP.opened(response_timeout_seconds=60) as (gateway, smg, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await smg.read()
        later(gateway.link, 50)
        smg.write(sequence, SubmitResp(0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        assert await SGIP.acknowledged_before(smg) == []
        assert gateway.link.ready


async def test_a_link_is_kept_where_the_account_says_so() -> None:
    async with SGIP.opened(idle_seconds=None) as (gateway, smg, _):
        later(gateway.link, 1e9)
        assert gateway.link.ready
        assert await SGIP.acknowledged_before(smg) == []


@pytest.mark.parametrize("unbind", [True, False], ids=["unbind", "plain close"])
async def test_a_carrier_that_closes_an_idle_link_is_no_alarm(unbind: bool) -> None:
    async with SGIP.opened() as (gateway, smg, _):
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


@pytest.mark.parametrize("written", ["19790001234", "+8619790001234", "008619790001234"])
async def test_a_recipient_is_read_in_every_usual_form(written: str) -> None:
    async with SGIP.opened() as (_, smg, store):
        smg.write(number(1), Report(SUBMIT_SEQUENCE, written, 0))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert receipt.recipient == PHONE


async def test_news_of_a_subscriber_are_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="service")
    async with SGIP.opened() as (_, smg, store):
        news = UserRpt("10655123", PHONE[1:], 1)
        assert await smg.ask(number(8), news) == (number(8), UserRptResp(0))
        assert store.items.empty()
    assert USER_CHANGED in caplog.messages


async def test_commands_that_an_sp_does_not_serve_are_answered_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with SGIP.opened() as (_, smg, _):
        submit = Submit("10655123", (PHONE[1:],), "12345", b"x", 0)
        assert await smg.ask(number(1), submit) == (number(1), SubmitResp(5))
        bind = Bind(2, "smg0371", "smgpass")
        assert await smg.ask(number(2), bind) == (number(2), BindResp(2))
    assert caplog.messages.count(NOT_SERVED) == 1


async def test_unknown_commands_and_answers_to_nothing_are_dropped() -> None:
    async with SGIP.opened() as (gateway, smg, _):
        smg.writer.write(bytes.fromhex("0000001400000077") + bytes(12))
        smg.write(number(1), Trace(SUBMIT_SEQUENCE, PHONE[1:]))
        smg.write(number(2), SubmitResp(0))
        smg.write(number(3), ReportResp(0))
        assert await SGIP.acknowledged_before(smg) == []
        assert gateway.link.ready


# Closing


async def test_an_answer_to_the_logout_with_a_body_ends_it_too() -> None:
    (deviant,) = load("sgip", "tolerance")
    async with SGIP.opened() as (gateway, smg, _):
        closing = asyncio.create_task(gateway.close(drain_seconds=0))
        await smg.read()
        smg.writer.write(bytes.fromhex(deviant["hex"]))
        await soon(closing)
        assert gateway.link.reason == "logged out"


async def test_closing_a_gateway_that_is_asleep_ends_it() -> None:
    async with SGIP.opened() as (gateway, smg, _):
        smg.writer.close()
        await soon(gateway.link.lost.wait())
        await soon(gateway.close(drain_seconds=0))
        assert gateway.lost.is_set()


def test_settings_survive_their_storage() -> None:
    config = settings(8801, listen_port=8801, listen_addresses=("192.0.2.0/24", "2001:db8::7"))
    assert parse_config(SGIPConfig, revealed(config)) == config
    assert PASSWORD not in str(shown(config))
