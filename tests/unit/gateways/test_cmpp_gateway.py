"""What only the China Mobile gateway does; what every gateway does is in `stream`."""

import pytest

from service.channels.contract.gateway import (
    SubmitResult,
)
from service.channels.contract.outcome import Outcome
from service.protocols.cmpp.pdu import (
    DeliverResp,
    Submit,
    SubmitResp,
    decode,
    encode,
)
from service.protocols.cmpp.report import Report
from service.protocols.cmpp.version import V20
from tests.harness.cmpp import CMPP, VECTORS, report
from tests.harness.scripted import PHONE, Store, answer, submissions
from tests.harness.vectors import load

# Submitting


async def test_msg_src_may_differ_from_the_account() -> None:
    async with CMPP.opened(msg_src="JDGA01") as (gateway, peer, _):
        gateway.submit(submissions(gateway))
        _, submit = await peer.read()
    assert isinstance(submit, Submit)
    assert submit.msg_src == "JDGA01"


async def test_a_long_text_travels_in_the_recorded_parts() -> None:
    first, second = (VECTORS[f"cmpp30-submit-long8-{n}of2"]["fields"] for n in (1, 2))
    async with CMPP.opened() as (gateway, peer, _):
        gateway.submit(submissions(gateway, first["text"] + second["text"]))
        for expected in (first, second):
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert submit.msg_content.hex() == expected["msg_content_hex"]
            for name in ("pk_total", "pk_number", "tp_udhi", "msg_fmt", "valid_time"):
                assert getattr(submit, name) == expected[name]


async def test_ascii_travels_as_ascii_only_where_allowed() -> None:
    for allowed, msg_fmt in ((False, 8), (True, 0)):
        async with CMPP.opened(allow_ascii=allowed) as (gateway, peer, _):
            gateway.submit(submissions(gateway, "hello"))
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert submit.msg_fmt == msg_fmt


@pytest.mark.parametrize("version", ["cmpp20", "cmpp30"])
async def test_a_text_travels_in_the_accounts_coding(version: str) -> None:
    for coding in ("ucs2", "gb18030"):
        fields = VECTORS[f"{version}-submit-{coding}"]["fields"]
        async with CMPP.opened(coding=coding) as (gateway, peer, _):
            gateway.submit(submissions(gateway, fields["text"]))
            _, submit = await peer.read()
            assert isinstance(submit, Submit)
            assert submit.msg_fmt == fields["msg_fmt"]
            assert submit.msg_content.hex() == fields["msg_content_hex"]


async def test_another_number_may_pay() -> None:
    async with CMPP.opened(fee_user_type=3, fee_terminal_id="19790000009") as (gateway, peer, _):
        gateway.submit(submissions(gateway))
        _, submit = await peer.read()
        assert isinstance(submit, Submit)
        assert (submit.fee_user_type, submit.fee_terminal_id) == (3, "19790000009")


SEVERAL = tuple(f"+861979000{n:04d}" for n in range(3))


async def test_several_recipients_travel_in_one_submit_and_get_consecutive_ids() -> None:
    async with CMPP.opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway, recipients=SEVERAL))
        sequence, submit = await peer.read()
        peer.write(sequence, SubmitResp(0x84A9EB4134FDFFFE, 0))
        result = await answer(future)
    assert submit.dest_terminal_id == ("19790000000", "19790000001", "19790000002")
    ids = ("84a9eb4134fdfffe", "84a9eb4134fdffff", "84a9eb4134fd0000")
    assert result == SubmitResult(Outcome.ACCEPTED, tuple(map(bytes.fromhex, ids)), "0", "")


async def test_a_channel_of_20_submits_and_receives_in_its_layouts() -> None:
    store = Store()
    async with CMPP.opening(store, version="2.0") as (gateway, opening, peer):
        await peer.read_frame()
        peer.writer.write(CMPP.recorded("cmpp20-connect-resp-ok"))
        await opening
        fields = VECTORS["cmpp20-submit-ucs2"]["fields"]
        (future,) = gateway.submit(submissions(gateway, fields["text"]))
        sequence, submit = decode(await peer.read_frame(), V20)
        assert isinstance(submit, Submit)
        assert submit.msg_content.hex() == fields["msg_content_hex"]
        peer.writer.write(encode(sequence, SubmitResp(0x84A9EB4134FD012C, 0), V20))
        peer.writer.write(CMPP.recorded("cmpp20-deliver-report-mk0005"))
        receipt = await store.receipt()
        assert (receipt.code, receipt.reason) == ("MK:0005", "suspended")
        assert (await answer(future)).refs == (receipt.ref,)
        store.futures[0].set_result(None)
        _, acknowledged = decode(await peer.read_frame(), V20)
        assert isinstance(acknowledged, DeliverResp)
        peer.writer.write(CMPP.recorded("cmpp20-deliver-mo-ucs2"))
        assert (await store.inbound()).text == "退订"


# Delivering


async def test_a_report_of_60_octets_is_read() -> None:
    (deviant,) = (
        v for v in load("cmpp", "tolerance") if v["id"] == "cmpp30-deliver-report-60octet"
    )
    async with CMPP.opened() as (_, peer, store):
        peer.writer.write(bytes.fromhex(deviant["hex"]))
        receipt = await store.receipt()
        assert (receipt.recipient, receipt.code) == ("+86138" + "00138000", "DELIVRD")


async def test_a_report_without_its_number_takes_the_packets() -> None:
    block = Report(7, "DELIVRD", "", "", "").encode()
    async with CMPP.opened() as (_, peer, store):
        peer.write(1, report(msg_content=block[:35]))
        receipt = await store.receipt()
        assert (receipt.recipient, receipt.done_at) == (PHONE, None)
