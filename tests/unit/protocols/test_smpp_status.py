import pytest

from service.channels.contract.outcome import Outcome, ReceiptState
from service.ledger.reasons import Reason
from service.protocols.smpp.report import Report
from service.protocols.smpp.status import (
    OwnCodes,
    login_meaning,
    report_meaning,
    status_word,
    submit_meaning,
)

PERMANENT = [
    *(0x01, 0x02, 0x03, 0x06, 0x07, 0x0A, 0x0B, 0x0C, 0x15, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44),
    *(0x48, 0x49, 0x50, 0x51, 0x53, 0x54, 0x55, 0x61, 0x62, 0x63, 0x65, 0x66),
    *(0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x45, 0xFE, 0xFF, 0x100, 0x3FF, 0x400, 0x4FF, 0xFFFFFFFF),
]


@pytest.mark.parametrize("status", PERMANENT)
def test_permanent_refusals(status: int) -> None:
    meaning = submit_meaning(status)
    assert meaning.outcome is Outcome.REJECTED
    assert meaning.reason is not Reason.NONE


@pytest.mark.parametrize("status", [0x58, 0x14, 0x08, 0x64])
def test_what_is_sent_again_more_slowly(status: int) -> None:
    assert submit_meaning(status).outcome is Outcome.THROTTLED


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0x0A, Reason.ACCOUNT),
        (0x0B, Reason.FORMAT),
        (0x01, Reason.FORMAT),
        (0xC4, Reason.FORMAT),
        (0x45, Reason.NETWORK),
        (0x66, Reason.OTHER),
        (0x404, Reason.OTHER),
    ],
)
def test_reasons(status: int, reason: Reason) -> None:
    assert submit_meaning(status).reason is reason


def test_accepted_and_the_wrong_kind_of_login() -> None:
    assert submit_meaning(0).outcome is Outcome.ACCEPTED
    assert submit_meaning(0).reason is Reason.NONE
    assert submit_meaning(0x04).outcome is Outcome.SUSPENDED


def test_an_accounts_own_codes_come_before_the_tables() -> None:
    own = OwnCodes(too_fast={0x401}, suspended={0x402, 0x08}, daily_limit={0x403, 0x58})
    found = {s: submit_meaning(s, own).outcome for s in (0x401, 0x402, 0x403, 0x404, 0x58, 0x08)}
    assert found == {
        0x401: Outcome.THROTTLED,
        0x402: Outcome.SUSPENDED,
        0x403: Outcome.DAILY_LIMIT,
        0x404: Outcome.REJECTED,
        0x58: Outcome.DAILY_LIMIT,
        0x08: Outcome.SUSPENDED,
    }


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(0x0E, False), (0x0F, False), (0x53, False), (0x02, False), (0x03, False)]
    + [(status, True) for status in (0x04, 0x05, 0x08, 0x0D, 0x58, 0xFF, 0x401)],
)
def test_refused_logins(status: int, retryable: bool) -> None:
    assert login_meaning(status).retryable is retryable
    assert login_meaning(status).text


STATES = [
    (0, "SCHEDLD", ReceiptState.BUFFERED, ""),
    (1, "ENROUTE", ReceiptState.BUFFERED, ""),
    (2, "DELIVRD", ReceiptState.DELIVERED, ""),
    (3, "EXPIRED", ReceiptState.EXPIRED, "powered_off"),
    (4, "DELETED", ReceiptState.UNDELIVERED, "other"),
    (5, "UNDELIV", ReceiptState.UNDELIVERED, "other"),
    (6, "ACCEPTD", ReceiptState.BUFFERED, ""),
    (7, "UNKNOWN", ReceiptState.UNKNOWN, "other"),
    (8, "REJECTD", ReceiptState.REJECTED, "rejected"),
    (9, "SKIPPED", ReceiptState.UNDELIVERED, "other"),
]


@pytest.mark.parametrize(("number", "word", "state", "reason"), STATES)
def test_states_by_number_and_by_word(
    number: int, word: str, state: ReceiptState, reason: str
) -> None:
    for report in (Report("1", "", number), Report("1", word), Report("1", word, 77)):
        meaning = report_meaning(report)
        assert (meaning.state, meaning.reason) == (state, reason)
    assert status_word(Report("1", "", number)) == word


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DELIVERED", ReceiptState.DELIVERED),
        ("UNDELIVERABLE", ReceiptState.UNDELIVERED),
        ("UNDELIVERED", ReceiptState.UNDELIVERED),
        ("ACCEPTED", ReceiptState.BUFFERED),
        ("REJECTED", ReceiptState.REJECTED),
        ("WHAT?", ReceiptState.UNDELIVERED),
    ],
)
def test_full_words_and_unknown_ones(word: str, state: ReceiptState) -> None:
    assert report_meaning(Report("1", word)).state is state


def test_the_number_comes_before_the_word() -> None:
    assert report_meaning(Report("1", "DELIVRD", 5)).state is ReceiptState.UNDELIVERED


def test_accepted_is_the_last_word_only_where_the_account_says_so() -> None:
    for report in (Report("1", "ACCEPTD"), Report("1", "", 6)):
        assert report_meaning(report).state is ReceiptState.BUFFERED
        final = report_meaning(report, accepted_is_final=True)
        assert final.state is ReceiptState.DELIVERED


def test_an_intermediate_notification_is_never_the_last_word() -> None:
    for number, word, *_ in STATES:
        report = Report("1", word, number, intermediate=True)
        assert report_meaning(report).state is ReceiptState.BUFFERED


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (Report("1", "UNDELIV", None, "011"), "UNDELIV:011"),
        (Report("1", "DELIVRD", 2, "000"), "DELIVRD"),
        (Report("1", "", 5, "MK:0001"), "UNDELIV:MK:0001"),
        (Report("1", "", 42), "state 42"),
    ],
)
def test_the_carriers_words_are_kept(report: Report, word: str) -> None:
    assert status_word(report) == word
