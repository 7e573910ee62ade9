"""What every stream gateway writes for a text, and for whom."""

from datetime import UTC, datetime
from typing import Any

import pytest

from service.channels.contract.gateway import SubmitResult
from service.channels.contract.outcome import Outcome
from service.protocols.cmpp import pdu as cmpp
from service.protocols.sgip import pdu as sgip
from service.protocols.smgp import pdu as smgp
from service.protocols.smgp.tlv import Options
from service.protocols.smpp import pdu as smpp
from tests.harness.protocols import each, rows
from tests.harness.scripted import PHONE, Protocol, answer, submissions

UNTIL = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
WIDE = "您好".encode("utf-16-be")


@rows(
    "options, expected",
    {
        "cmpp": [
            (
                {"service_id": "MSGTEST", "fee_user_type": 0, "fee_code": "5", "fee_type": "02"},
                cmpp.Submit(
                    dest_terminal_id=("19790001234",),
                    msg_content=WIDE,
                    src_id="10690000123408",
                    msg_src="901234",
                    msg_fmt=8,
                    service_id="MSGTEST",
                    fee_user_type=0,
                    fee_type="02",
                    fee_code="5",
                    valid_time="260810103045032+",
                    registered_delivery=1,
                ),
            )
        ],
        "sgip": [
            (
                {
                    "service_type": "MSGTEST",
                    "charge_number": "",
                    "fee_type": 2,
                    "fee_value": "5",
                    "given_value": "1",
                    "agent_flag": 1,
                    "morelateto_mt_flag": 3,
                    "priority": 9,
                },
                sgip.Submit(
                    sp_number="1065512308",
                    user_number=("8619790001234",),
                    corp_id="12345",
                    message_content=WIDE,
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
                ),
            )
        ],
        "smgp": [
            (
                {
                    "service_id": "MSGTEST",
                    "msg_src": "12345",
                    "m_service_id": "P1",
                    "fee_type": "01",
                    "fee_code": "5",
                    "fixed_fee": "10",
                    "charge_number": "19790009999",
                    "charge_user_type": 3,
                    "priority": 3,
                },
                smgp.Submit(
                    dest_term_id=("19790001234",),
                    msg_content=WIDE,
                    src_term_id="10659000123408",
                    msg_format=8,
                    msg_type=6,
                    need_report=1,
                    priority=3,
                    service_id="MSGTEST",
                    fee_type="01",
                    fee_code="5",
                    fixed_fee="10",
                    valid_time="260810103045032+",
                    charge_term_id="19790009999",
                    options=Options(charge_user_type=3, msg_src="12345", m_service_id="P1"),
                ),
            )
        ],
        "smpp": [
            (
                {
                    "sender": "106900001234",
                    "source_ton": 3,
                    "dest_ton": 2,
                    "dest_npi": 8,
                    "number_form": "national",
                    "service_type": "CMT",
                    "protocol_id": 1,
                    "priority": 2,
                    "esm_mode": 3,
                    "registered_delivery": 17,
                },
                smpp.SubmitSM(
                    source_addr="10690000123408",
                    destination_addr="19790001234",
                    short_message=WIDE,
                    service_type="CMT",
                    source_addr_ton=3,
                    source_addr_npi=1,
                    dest_addr_ton=2,
                    dest_addr_npi=8,
                    esm_class=3,
                    protocol_id=1,
                    priority_flag=2,
                    validity_period="260810103045032+",
                    registered_delivery=17,
                    data_coding=8,
                ),
            )
        ],
    },
)
async def test_a_submit_carries_what_the_account_and_the_message_say(
    protocol: Protocol, options: dict[str, Any], expected: Any
) -> None:
    async with protocol.opened(**options) as (gateway, peer, _):
        gateway.submit(submissions(gateway, "您好", valid_until=UNTIL, extension="08"))
        _, submit = await peer.read()
    assert submit == expected


@rows(
    "name, asked",
    {
        "cmpp": [("registered_delivery", (0, 1))],
        "sgip": [("report_flag", (2, 1))],
        "smgp": [("need_report", (0, 1))],
        "smpp": [("registered_delivery", (0, 1))],
    },
)
async def test_a_receipt_is_asked_for_only_where_it_is_wanted(
    protocol: Protocol, name: str, asked: tuple[int, int]
) -> None:
    async with protocol.opened() as (gateway, peer, _):
        gateway.submit([*submissions(gateway, receipt=False), *submissions(gateway)])
        assert tuple([getattr((await peer.read())[1], name) for _ in asked]) == asked


@rows(
    "recipients, refused",
    {
        "cmpp": [(("1" * 33,), "33 characters")],
        "sgip": [((PHONE,) * 85, "2048")],
        "smgp": [((PHONE,) * 101, "101 destinations")],
        "smpp": [(("1" * 33,), "33 characters")],
    },
)
async def test_what_cannot_be_encoded_is_an_error_and_writes_nothing_of_its_batch(
    protocol: Protocol, recipients: tuple[str, ...], refused: str
) -> None:
    async with protocol.opened() as (gateway, peer, _):
        unfit = submissions(gateway, "警" * 70, recipients=recipients)
        with pytest.raises(ValueError, match=refused):
            gateway.submit([*submissions(gateway), *unfit])
        assert gateway.link.unanswered == []
        assert await protocol.acknowledged_before(peer) == []


@rows(
    "name, most",
    {
        "cmpp": [("dest_terminal_id", 99)],
        "sgip": [("user_number", 83)],
        "smgp": [("dest_term_id", 100)],
    },
    but={"smpp": "a submit_sm has one destination"},
)
async def test_as_many_recipients_as_the_specification_allows_share_a_submit(
    protocol: Protocol, name: str, most: int
) -> None:
    assert protocol.gateway.most_recipients == most
    phones = tuple(f"+861979000{n:04d}" for n in range(most))
    async with protocol.opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway, "警" * 70, recipients=phones))
        sequence, submit = await peer.read()
        digits = [number.lstrip("+").removeprefix("86") for number in getattr(submit, name)]
        assert digits == [phone.removeprefix("+86") for phone in phones]
        peer.write(sequence, protocol.answer(sequence, 0))
        result = await answer(future)
        assert (result.outcome, len(result.refs)) == (Outcome.ACCEPTED, most)


@each()
async def test_a_batch_is_one_write(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    async with protocol.opened() as (gateway, _, _):
        written: list[bytes] = []
        monkeypatch.setattr(gateway.link._transport, "write", written.append)
        gateway.submit(submissions(gateway) * 7)
        assert len(written) == 1


@rows(
    "extension, options",
    {
        "cmpp": [(digits, {}) for digits in ("0123456789", "12a", "１２")],
        "sgip": [(digits, {}) for digits in ("01234567890123", "12a", "１２")],
        "smgp": [(digits, {}) for digits in ("0123456789", "12a", "１２")],
        "smpp": [
            ("012345678", {"sender": "106900001234"}),
            ("12a", {"sender": "106900001234"}),
            ("01", {"sender": "NOTICE"}),
        ],
    },
)
async def test_an_extension_that_cannot_travel_is_refused_alone(
    protocol: Protocol, extension: str, options: dict[str, Any]
) -> None:
    async with protocol.opened(**options) as (gateway, peer, _):
        good, bad = submissions(gateway), submissions(gateway, extension=extension)
        first, refused, last = gateway.submit([*good, *bad, *good])
        assert await answer(refused) == SubmitResult(Outcome.REJECTED, (), "extension", "format")
        for future in (first, last):
            sequence, _ = await peer.read()
            peer.write(sequence, protocol.answer(sequence, 0))
            assert (await answer(future)).refs == (protocol.ref(sequence),)
