from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocols.smpp.pdu import DataSM, DeliverSM, decode, encode
from service.protocols.smpp.report import (
    IdForm,
    Report,
    is_report,
    parse_report,
    read_fields,
    read_time,
    reference,
    same_id,
    write_absolute,
    write_minute,
    write_relative,
    write_report,
)
from service.protocols.smpp.tlv import TLV, Tag
from service.protocols.times import BEIJING
from tests.harness.vectors import load

VECTORS = {vector["id"]: vector for vector in load("smpp", "smpp34")}
PHONE = "8619790001234"
USUAL = (
    "id:5f3c9a10 sub:001 dlvrd:001 submit date:2608091030 done date:2608091031 "
    "stat:DELIVRD err:000 text:Hello SMPP"
)
STATE = (TLV(Tag.RECEIPTED_MESSAGE_ID, "5f3c9a10"), TLV(Tag.MESSAGE_STATE, 2))


def deliver(
    text: str | bytes = USUAL,
    esm_class: int = 4,
    *,
    data_coding: int = 0,
    parameters: tuple[TLV, ...] = (),
) -> DeliverSM:
    content = text if isinstance(text, bytes) else text.encode()
    return DeliverSM(
        PHONE,
        "NOTICE",
        content,
        esm_class=esm_class,
        data_coding=data_coding,
        parameters=parameters,
    )


# What is a receipt


@pytest.mark.parametrize("esm_class", [0x04, 0x07, 0x44, 0x84, 0x20, 0x23])
def test_a_receipt_by_its_type(esm_class: int) -> None:
    assert is_report(deliver("whatever", esm_class))


@pytest.mark.parametrize("esm_class", [0x00, 0x01, 0x40, 0x80, 0x08, 0x10, 0x18])
def test_a_text_is_no_receipt(esm_class: int) -> None:
    assert not is_report(deliver("hello", esm_class))


@pytest.mark.parametrize("text", [USUAL, USUAL.upper(), "id:1 stat:DELIVRD"])
def test_a_receipt_without_its_type_is_known_by_its_text(text: str) -> None:
    assert is_report(deliver(text, 0))


@pytest.mark.parametrize("text", ["id:1", "my id:1 stat:DELIVRD", "ID card", ""])
def test_a_text_that_only_looks_a_bit_like_one_is_none(text: str) -> None:
    assert not is_report(deliver(text, 0))


def test_a_receipt_without_its_type_is_known_by_its_parameter() -> None:
    assert is_report(deliver("", 0, parameters=STATE))


# Reading


def test_the_recorded_receipts_are_read() -> None:
    _, delivered = decode(bytes.fromhex(VECTORS["smpp-deliver-receipt"]["hex"]))
    _, failed = decode(bytes.fromhex(VECTORS["smpp-deliver-receipt-undeliv-textonly"]["hex"]))
    assert isinstance(delivered, DeliverSM)
    assert isinstance(failed, DeliverSM)
    assert parse_report(delivered) == Report("5f3c9a10", "DELIVRD", 2, "000", "2608091031")
    assert parse_report(failed) == Report("5f3c9a11", "UNDELIV", None, "011", "2608101030")


def test_parameters_come_before_the_text() -> None:
    parameters = (TLV(Tag.RECEIPTED_MESSAGE_ID, "other"), TLV(Tag.MESSAGE_STATE, 5))
    report = parse_report(deliver(parameters=parameters))
    assert report is not None
    assert (report.message_id, report.state, report.stat) == ("other", 5, "DELIVRD")


def test_parameters_alone_are_enough() -> None:
    assert parse_report(deliver("", parameters=STATE)) == Report("5f3c9a10", "", 2)


def test_a_receipt_may_come_as_data_sm() -> None:
    payload = (TLV(Tag.MESSAGE_PAYLOAD, USUAL.encode()),)
    message = DataSM("", 1, 1, PHONE, 5, 0, "NOTICE", 4, 0, 0, parameters=payload)
    assert is_report(message)
    assert parse_report(message) == Report("5f3c9a10", "DELIVRD", None, "000", "2608091031")


def test_an_intermediate_notification_says_so() -> None:
    report = parse_report(deliver(esm_class=0x20))
    assert report is not None
    assert report.intermediate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id:1 stat:DELIVRD", {"id": "1", "stat": "DELIVRD"}),
        ("ID:1 Stat:Delivrd ERR:0", {"id": "1", "stat": "Delivrd", "err": "0"}),
        ("id: 1  stat: DELIVRD", {"id": "1", "stat": "DELIVRD"}),
        ("stat:EXPIRED id:1", {"id": "1", "stat": "EXPIRED"}),
        (
            "id:1 submit_date:2608091030 done_date:260809103145 stat:X",
            {"id": "1", "submit date": "2608091030", "done date": "260809103145", "stat": "X"},
        ),
        ("id:1 err: stat:DELIVRD", {"id": "1", "err": "", "stat": "DELIVRD"}),
        ("id:1 stat:DELIVRD err:MK:0001 text:x", {"id": "1", "stat": "DELIVRD", "err": "MK:0001"}),
        ("id:1 stat:DELIVRD text:id:2 stat:UNDELIV", {"id": "1", "stat": "DELIVRD"}),
        ("id:1 stat:DELIVRD Text:", {"id": "1", "stat": "DELIVRD"}),
        ("id:1 stat:DELIVRD stat:EXPIRED", {"id": "1", "stat": "DELIVRD"}),
        ("id:3a-b0:7 stat:DELIVRD", {"id": "3a-b0:7", "stat": "DELIVRD"}),
        ("", {}),
    ],
)
def test_texts_of_all_kinds_are_read(text: str, expected: dict[str, str]) -> None:
    assert read_fields(text) == expected


@pytest.mark.parametrize(
    "message",
    [
        deliver(USUAL + "\x00"),
        deliver(USUAL.replace(" text:Hello SMPP", "\x00")),
        deliver(USUAL.encode("utf-16-be"), data_coding=8),
        deliver(USUAL, data_coding=8),
        deliver(USUAL, data_coding=3),
        deliver(b"\x05\x00\x03\x01\x01\x01" + USUAL.encode(), 0x44),
    ],
)
def test_receipts_in_every_dress_are_read(message: DeliverSM) -> None:
    report = parse_report(message)
    assert report is not None
    assert (report.message_id, report.stat, report.err) == ("5f3c9a10", "DELIVRD", "000")


@pytest.mark.parametrize("text", ["", "hello", "id: stat:DELIVRD", "id:1", "stat:DELIVRD"])
def test_what_names_no_message_or_no_state_is_none(text: str) -> None:
    assert parse_report(deliver(text)) is None


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255))
def test_no_octets_raise(content: bytes, esm_class: int, data_coding: int) -> None:
    message = deliver(content, esm_class, data_coding=data_coding)
    is_report(message)
    report = parse_report(message)
    assert report is None or report.message_id
    assert report is None or "\x00" not in report.stat + report.err + report.done


def test_what_is_written_is_read() -> None:
    report = Report("5f3c9a10", "UNDELIV", None, "011", "2608091031")
    text = write_report(report, "2608091030", "Hello id:7")
    _, message = decode(encode(1, deliver(text)))
    assert isinstance(message, DeliverSM)
    assert parse_report(message) == report


# Ids


@pytest.mark.parametrize(
    ("form", "response", "receipt"),
    [
        (IdForm.SAME, "5f3c9a10", "5f3c9a10"),
        (IdForm.SAME, "0005", "0005"),
        (IdForm.HEX_DECIMAL, "5f3c9a10", "1597807120"),
        (IdForm.HEX_DECIMAL, "5F3C9A10", "1597807120"),
        (IdForm.HEX_DECIMAL, "0000000A", "0000000010"),
        (IdForm.DECIMAL_HEX, "1597807120", "5f3c9a10"),
        (IdForm.DECIMAL_HEX, "1597807120", "5F3C9A10"),
        (IdForm.NUMBER, "17", "0000000017"),
        (IdForm.NUMBER, "a1b2-c3", "a1b2-c3"),
        (IdForm.HEX_DECIMAL, "x-17", "x-17"),
        (IdForm.HEX_DECIMAL, "1_0", "1_0"),
    ],
)
def test_receipts_find_their_submits(form: IdForm, response: str, receipt: str) -> None:
    found = reference(receipt, form, receipt=True)
    assert found == reference(response, form, receipt=False)


@pytest.mark.parametrize(
    ("form", "response", "receipt"),
    [
        (IdForm.SAME, "5f3c9a10", "1597807120"),
        (IdForm.SAME, "5f3c9a10", "5F3C9A10"),
        (IdForm.SAME, "17", "0000000017"),
        (IdForm.NUMBER, "17", "11"),
        (IdForm.HEX_DECIMAL, "10", "10"),
    ],
)
def test_other_ids_are_others(form: IdForm, response: str, receipt: str) -> None:
    found = reference(receipt, form, receipt=True)
    assert found != reference(response, form, receipt=False)


@pytest.mark.parametrize("form", IdForm)
@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("0123456789", min_size=1))
def test_every_id_of_a_receipt_becomes_a_reference(form: IdForm, message_id: str) -> None:
    assert reference(message_id + "0" * 5000, form, receipt=True)  # more digits than int() takes


@given(st.integers(0, (1 << 212) - 1))
def test_every_number_is_found_in_both_forms(number: int) -> None:
    hexadecimal = reference(f"{number:x}", IdForm.HEX_DECIMAL, receipt=False)
    assert hexadecimal == reference(f"{number:010d}", IdForm.HEX_DECIMAL, receipt=True)


# Times

AT = datetime(2026, 8, 9, 2, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2608091031", AT),
        ("260809103145", AT.replace(second=45)),
        ("20260809103145", AT.replace(second=45)),
        ("0000000000", None),
        ("2613091031", None),
        ("26080910", None),
        ("yesterday!", None),
        ("٢٦٠٨٠٩١٠٣١", None),
        ("", None),
    ],
)
def test_times_of_receipts(text: str, expected: datetime | None) -> None:
    assert read_time(text, BEIJING) == expected


def test_times_are_those_of_the_smscs_zone() -> None:
    assert read_time("2608091031", timezone(timedelta(hours=-5))) == AT + timedelta(hours=13)
    assert write_minute(AT) == "2608091031"


def test_the_end_of_validity_in_its_two_forms() -> None:
    submit = VECTORS["smpp-submit-timed"]["fields"]
    assert (
        write_absolute(datetime(2026, 8, 9, 11, 30, tzinfo=UTC))
        == (submit["schedule_delivery_time"])
    )
    assert write_relative(timedelta(days=1)) == submit["validity_period"]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(hours=2, minutes=3, seconds=4), "000000020304000R"),
        (timedelta(days=45, hours=1), "000045010000000R"),
        (timedelta(days=400), "000099000000000R"),
        (timedelta(0), "000000000001000R"),
        (timedelta(seconds=-5), "000000000001000R"),
    ],
)
def test_relative_times(span: timedelta, expected: str) -> None:
    assert write_relative(span) == expected


@pytest.mark.parametrize("stored", IdForm)
@pytest.mark.parametrize(
    ("form", "response", "receipt"),
    [
        (IdForm.SAME, "5F3C9A10", "5F3C9A10"),
        (IdForm.HEX_DECIMAL, "5f3c9a1b", "1597807131"),
        (IdForm.DECIMAL_HEX, "1597807131", "5f3c9a1b"),
        (IdForm.NUMBER, "17", "0000000017"),
    ],
)
def test_ids_are_found_again_by_the_right_form_whatever_they_were_stored_by(
    form: IdForm, response: str, receipt: str, stored: IdForm
) -> None:
    answered = reference(response, stored, receipt=False), stored.value
    reported = reference(receipt, stored, receipt=True), stored.value
    assert same_id(answered, reported, form)
    others = [other for other in IdForm if other not in {form, IdForm.SAME}]
    assert form in {IdForm.SAME, IdForm.NUMBER} or not any(
        same_id(answered, reported, other) for other in others
    )
