"""The operator's word on a code counts, and makes nothing of what is settled."""

import pytest

from service.channels.config.codes import NO_CODES, CarrierCode, by_kind, checked
from service.channels.contract.gateway import Receipt, SubmitResult
from service.channels.contract.outcome import Outcome, ReceiptState
from service.errors import Invalid
from service.ledger.reasons import Reason


def submit_code(outcome: str, code: str = "108", **others: str) -> CarrierCode:
    return CarrierCode("cmpp", "submit", code, outcome, **others)


def receipt_code(outcome: str, code: str = "MK:0099", **others: str) -> CarrierCode:
    return CarrierCode("cmpp", "receipt", code, outcome, **others)


def receipt(code: str, state: ReceiptState = ReceiptState.UNDELIVERED) -> Receipt:
    return Receipt(b"ref", "+8619790000001", state, code, "other", None)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in ("accepted", "not_sent")])
def test_an_answers_outcome_and_reason_are_the_operators(outcome: Outcome) -> None:
    codes = by_kind([submit_code(outcome, reason="account")])["cmpp"]
    read = codes.submit(SubmitResult(Outcome.REJECTED, code="108", reason="other", retry_after=3.0))
    assert read == SubmitResult(outcome, code="108", reason="account", retry_after=3.0)


@pytest.mark.parametrize("outcome", ["accepted", "not_sent"])
def test_what_is_settled_stays(outcome: str) -> None:
    codes = by_kind([submit_code("throttled")])["cmpp"]
    result = SubmitResult(Outcome(outcome), (b"ref",), code="108")
    assert codes.submit(result) is result


@pytest.mark.parametrize("outcome", ["accepted", "not_sent", "delivered", "lost", ""])
def test_no_word_makes_an_answer_accepted_or_unsent(outcome: str) -> None:
    with pytest.raises(Invalid) as refused:
        by_kind([submit_code(outcome)])
    assert "rejected" in refused.value.fields["outcome"]
    assert "accepted" not in refused.value.fields["outcome"]


def test_a_silence_has_no_code_and_keeps_its_meaning() -> None:
    codes = by_kind([submit_code("throttled")])["cmpp"]
    silence = SubmitResult(Outcome.UNANSWERED)
    assert codes.submit(silence) is silence
    with pytest.raises(Invalid) as refused:
        checked(submit_code("throttled", code=""))
    assert "code" in refused.value.fields


def test_other_codes_and_other_kinds_keep_their_meaning() -> None:
    codes = by_kind([submit_code("throttled"), receipt_code("delivered")])
    result = SubmitResult(Outcome.REJECTED, code="109", reason="other")
    assert codes["cmpp"].submit(result) is result
    assert "smgp" not in codes
    unknown = receipt("MK:0001")
    assert codes["cmpp"].receipt(unknown) is unknown
    same_code = SubmitResult(Outcome.REJECTED, code="MK:0099", reason="other")
    assert codes["cmpp"].submit(same_code) is same_code  # said of a receipt, not of a submit
    assert NO_CODES.receipt(unknown) is unknown
    assert NO_CODES.submit(result) is result


@pytest.mark.parametrize("state", list(ReceiptState))
def test_a_receipts_state_and_reason_are_the_operators(state: ReceiptState) -> None:
    read = by_kind([receipt_code(state)])["cmpp"].receipt(receipt("MK:0099"))
    quiet = state in (ReceiptState.DELIVERED, ReceiptState.BUFFERED)
    assert (read.state, read.reason) == (state, "" if quiet else "other")
    assert (read.code, read.ref, read.recipient) == ("MK:0099", b"ref", "+8619790000001")


@pytest.mark.attack
@pytest.mark.parametrize("state", ["undelivered", "expired", "rejected"])
def test_what_has_arrived_has_not_failed_whatever_its_code_is_said_to_mean(state: str) -> None:
    arrived = receipt("DELIVRD", ReceiptState.DELIVERED)
    code = receipt_code(state, "DELIVRD")
    assert by_kind([code])["cmpp"].receipt(arrived) is arrived


def test_a_reason_is_one_of_ours_and_is_there_where_one_is_due() -> None:
    assert checked(submit_code("rejected")).reason == "other"
    assert checked(receipt_code("expired", reason="powered_off")).reason == "powered_off"
    for wrong in (
        submit_code("rejected", reason="rain"),
        receipt_code("delivered", reason="other"),
    ):
        with pytest.raises(Invalid) as refused:
            checked(wrong)
        assert list(refused.value.fields) == ["reason"]
    assert (
        Reason.CONTENT_FILTER in checked(receipt_code("rejected", reason="content_filter")).reason
    )


@pytest.mark.parametrize("code", [" MK:0099", "MK:0099 ", "\t"])
def test_a_code_is_written_as_the_carrier_writes_it(code: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(receipt_code("expired", code=code))
    assert list(refused.value.fields) == ["code"]
