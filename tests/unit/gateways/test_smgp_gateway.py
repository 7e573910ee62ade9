"""What only the China Telecom gateway does; what every gateway does is in `stream`."""

from typing import Any

import pytest

from service.coding.parts import Coding, decode
from service.protocols.smgp.pdu import (
    Submit,
    SubmitResp,
)
from service.protocols.smgp.tlv import NO_OPTIONS, Options
from tests.harness.scripted import answer, submissions
from tests.harness.smgp import RECORDED_PHONE, SMGP, VECTORS
from tests.harness.vectors import load

SPLITS = load("smgp", "split")["cases"]


# Submitting


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
    async with SMGP.opened(access_number="1181234567", **options) as (gateway, peer, _):
        numbers = tuple(f"+86{number}" for number in recorded["fields"]["dest_term_id"])
        gateway.submit(submissions(gateway, recorded["fields"]["text"], recipients=numbers))
        written = await peer.read_frame()
    assert written[12:].hex() == recorded["hex"][24:], "all but length, command and sequence"


async def test_a_long_text_travels_in_the_recorded_packets() -> None:
    recorded = [VECTORS[f"smgp-submit-long-{n}of2"] for n in (1, 2)]
    text = "".join(vector["fields"]["text"] for vector in recorded)
    async with SMGP.opened(access_number="1181234567") as (gateway, peer, _):
        gateway.submit(submissions(gateway, text, recipients=(RECORDED_PHONE,), reference=0x77))
        for vector in recorded:
            written = await peer.read_frame()
            assert written[12:].hex() == vector["hex"][24:]


@pytest.mark.parametrize("case", SPLITS, ids=lambda case: f"{case['coding']}-{case['chars']}")
async def test_parts_are_those_of_an_independent_splitter(case: dict[str, Any]) -> None:
    coding = {"UCS2": Coding.UCS2, "ASCII": Coding.ASCII}[case["coding"]]
    header = 6 if len(case["parts"]) > 1 else 0
    bodies = [bytes.fromhex(part["content_hex"])[header:] for part in case["parts"]]
    text = "".join(decode(body, coding) for body in bodies)
    async with SMGP.opened(allow_ascii=True, ascii_part=153) as (gateway, peer, _):
        gateway.submit(submissions(gateway, text))
        for part in case["parts"]:
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            expected = bytearray.fromhex(part["content_hex"])
            if header:
                expected[3] = 0xA7
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
    async with SMGP.opened(**options) as (gateway, peer, _):
        gateway.submit(submissions(gateway, text))
        for length in lengths:
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert len(submit.msg_content) == length


async def test_several_recipients_have_a_reference_each() -> None:
    phones = tuple(f"+86197900012{n:02d}" for n in range(100))
    async with SMGP.opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway, recipients=phones))
        sequence, submit = await peer.read()
        assert isinstance(submit, Submit)
        assert submit.dest_term_id == tuple(phone[3:] for phone in phones)
        peer.write(sequence, SubmitResp(bytes.fromhex("01006108091030999950"), 0))
        refs = [ref.hex() for ref in (await answer(future)).refs]
    assert refs == [f"01006108091030{(999_950 + n) % 1_000_000:06d}" for n in range(100)]
