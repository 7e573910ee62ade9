"""What only the China Telecom gateway makes of reports and texts."""

from typing import Any

import pytest

from service.protocols.smgp.pdu import (
    Deliver,
    SubmitResp,
)
from service.protocols.smgp.report import Report
from service.protocols.smgp.tlv import Options
from tests.harness.scripted import answer, submissions
from tests.harness.smgp import ID, OWN_ID, RECORDED_PHONE, SMGP, report
from tests.harness.vectors import load

TOLERANCE = load("smgp", "tolerance")


@pytest.mark.parametrize("case", TOLERANCE, ids=lambda case: case["id"])
async def test_reports_of_other_stacks_are_read(case: dict[str, Any]) -> None:
    async with SMGP.opened() as (_, peer, store):
        peer.writer.write(bytes.fromhex(case["hex"]))
        receipt = await store.receipt()
        assert (receipt.ref, receipt.recipient) == (ID, RECORDED_PHONE)
        assert receipt.code in {"DELIVRD", "UNDELIV:003"}


async def test_an_id_that_is_no_digits_is_the_same_in_answer_and_report() -> None:
    odd = bytes.fromhex("01e240112413510495f9")
    async with SMGP.opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(odd, 0))
        peer.write(1, report(msg_content=Report(odd, "DELIVRD").encode()))
        receipt = await store.receipt()
        assert (await answer(future)).refs == (receipt.ref,) == (odd,)


@pytest.mark.parametrize(
    ("options", "content", "expected"),
    [
        (Options(pk_total=2, pk_number=2), b"hi", ("hi", 0, 2, 2)),  # the header was taken off
        (Options(pk_total=0, pk_number=0), b"hi", ("hi", 0, 1, 1)),
        (Options(pk_total=2, pk_number=3), b"hi", ("hi", 0, 1, 1)),
        (Options(tp_udhi=1), b"\x06\x08\x04\x12\x34\x02\x01hi", ("hi", 0x1234, 1, 2)),
        (Options(tp_udhi=1), b"\x06\x05\x04\x12\x34\x02\x01hi", ("hi", 0, 1, 1)),
        (Options(tp_udhi=1), b"\x40hi", ("@hi", 0, 1, 1)),  # runs past the content: no header
    ],
)
async def test_a_part_is_placed_by_its_header_or_else_its_parameters(
    options: Options, content: bytes, expected: tuple[str, int, int, int]
) -> None:
    async with SMGP.opened() as (_, peer, store):
        peer.write(1, Deliver(OWN_ID, "19790001234", "1065", content, options=options))
        inbound = await store.inbound()
        assert (inbound.text, inbound.reference, inbound.number, inbound.total) == expected
