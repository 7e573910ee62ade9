import pytest

from service.protocols.smgp.status import (
    login_meaning,
    report_code,
    report_meaning,
    submit_meaning,
)


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (0, "accepted", ""),
        (1, "throttled", "frequency_limit"),
        (2, "throttled", "frequency_limit"),
        (10, "rejected", "format"),
        (20, "suspended", "account"),
        (21, "suspended", "account"),
        (30, "rejected", "format"),
        (37, "rejected", "other"),
        (39, "rejected", "other"),
        (43, "rejected", "account"),
        (46, "rejected", "account"),
        (47, "rejected", "format"),
        (58, "rejected", "other"),
        (69, "rejected", "account"),
        (74, "suspended", "account"),
        (75, "daily_limit", "frequency_limit"),
        (76, "suspended", "account"),
        (128, "rejected", "other"),
        (4_000_000_000, "rejected", "other"),
    ],
)
def test_the_status_of_a_submit(status: int, outcome: str, reason: str) -> None:
    meaning = submit_meaning(status)
    assert (meaning.outcome, meaning.reason) == (outcome, reason)
    assert meaning.text


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (47, "refused_lot"),
        (39, "refused_lot"),
        (58, "refused_lot"),
        (36, "rejected"),
        (0, "accepted"),
        (1, "throttled"),
        (75, "daily_limit"),
        (76, "suspended"),
    ],
)
def test_one_of_several_recipients_may_be_to_blame(status: int, outcome: str) -> None:
    assert submit_meaning(status, recipients=2).outcome == outcome


def test_the_codes_that_say_too_fast_are_a_setting() -> None:
    assert submit_meaning(130, too_fast=(130, 131)).outcome == "throttled"
    assert submit_meaning(1, too_fast=(130, 131)).outcome == "rejected"


@pytest.mark.parametrize(
    ("stat", "err", "state", "reason", "code"),
    [
        ("DELIVRD", "000", "delivered", "", "DELIVRD"),
        ("DELIVRD", "", "delivered", "", "DELIVRD"),
        ("DELIVRD", "999", "delivered", "", "DELIVRD:999"),
        ("ACCEPTD", "000", "buffered", "", "ACCEPTD"),
        ("ENROUTE", "001", "buffered", "", "ENROUTE:001"),
        ("EXPIRED", "000", "expired", "powered_off", "EXPIRED"),
        ("EXPIRED", "001", "expired", "powered_off", "EXPIRED:001"),
        ("EXPIRED", "007", "expired", "memory_full", "EXPIRED:007"),
        ("DELETED", "000", "undelivered", "other", "DELETED"),
        ("UNDELIV", "003", "undelivered", "other", "UNDELIV:003"),
        ("UNDELIV", "005", "undelivered", "blacklisted", "UNDELIV:005"),
        ("UNDELIV", "006", "undelivered", "network", "UNDELIV:006"),
        ("UNDELIV", "601", "undelivered", "blacklisted", "UNDELIV:601"),
        ("UNDELIV", "640", "undelivered", "empty_number", "UNDELIV:640"),
        ("UNDELIV", "777", "undelivered", "other", "UNDELIV:777"),
        ("UNKNOWN", "999", "unknown", "other", "UNKNOWN:999"),
        ("REJECTD", "000", "rejected", "rejected", "REJECTD"),
        ("640", "000", "undelivered", "empty_number", "640"),
        ("UNDELIV", "908", "undelivered", "frequency_limit", "UNDELIV:908"),
        ("MK:0001", "000", "undelivered", "empty_number", "MK:0001"),
        ("NP:1243", "000", "undelivered", "ported", "NP:1243"),
        ("XQ:9999", "000", "undelivered", "other", "XQ:9999"),
        ("XQ:9999", "005", "undelivered", "blacklisted", "XQ:9999:005"),
        ("", "", "undelivered", "other", ""),
        ("é\x01", "ÿÿÿ", "undelivered", "other", "é\x01:ÿÿÿ"),
    ],
)
def test_reports(stat: str, err: str, state: str, reason: str, code: str) -> None:
    meaning = report_meaning(stat, err)
    assert (meaning.state, meaning.reason) == (state, reason)
    assert report_code(stat, err) == code


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(status, False) for status in (10, 11, 12, 20, 21, 22, 49, 69, 76)]
    + [(status, True) for status in (1, 2, 74, 75, 128, 255, 4_000_000_000)],
)
def test_refused_logins(status: int, retryable: bool) -> None:
    meaning = login_meaning(status)
    assert meaning.retryable is retryable
    assert meaning.text
