import pytest

from service.protocols.sgip.status import login_meaning, report_meaning, submit_meaning


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        (0, "accepted", ""),
        (1, "suspended", "account"),
        (5, "rejected", "format"),
        (6, "rejected", "format"),
        (9, "rejected", "format"),
        (11, "throttled", "frequency_limit"),
        (13, "suspended", "account"),
        (14, "suspended", "account"),
        (18, "rejected", "other"),
        (19, "rejected", "format"),
        (20, "throttled", "frequency_limit"),
        (23, "rejected", "other"),
        (29, "rejected", "empty_number"),
        (30, "rejected", "other"),
        (33, "throttled", "frequency_limit"),
        (50, "rejected", "content_filter"),
        (54, "unanswered", "network"),
        (69, "rejected", "blacklisted"),
        (73, "unanswered", "network"),
        (76, "rejected", "content_filter"),
        *((code, "throttled", "frequency_limit") for code in range(84, 89)),
        (93, "suspended", "account"),
        (101, "suspended", "account"),
        (108, "suspended", "account"),
        (110, "rejected", "blacklisted"),
        (111, "rejected", "network"),
        (182, "daily_limit", "frequency_limit"),
        (199, "rejected", "other"),
        (255, "rejected", "other"),
    ],
)
def test_submit_results(result: int, outcome: str, reason: str) -> None:
    meaning = submit_meaning(result)
    assert (meaning.outcome, meaning.reason) == (outcome, reason)
    assert meaning.text


@pytest.mark.parametrize("result", [5, 6, 18, 19, 22, 23, 29, 66, 69, 110, 114, 199])
def test_what_may_lie_in_one_of_several_recipients_refuses_the_lot(result: int) -> None:
    assert submit_meaning(result, recipients=2).outcome == "refused_lot"
    assert submit_meaning(result, recipients=1).outcome == "rejected"


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        *((code, "rejected") for code in (8, 44, 50, 76, 83, 113)),
        *((code, "throttled") for code in (11, 33, 88)),
        *((code, "unanswered") for code in (54, 55, 73)),
        (0, "accepted"),
        (93, "suspended"),
        (182, "daily_limit"),
    ],
)
def test_what_does_not_means_the_same_for_several(result: int, outcome: str) -> None:
    assert submit_meaning(result, recipients=2).outcome == outcome


def test_a_carriers_own_codes_come_before_the_table() -> None:
    assert submit_meaning(8, too_fast={8}).outcome == "throttled"
    assert submit_meaning(88, too_fast={8}).outcome == "rejected"
    assert submit_meaning(30, daily_limits={30}).outcome == "daily_limit"
    assert submit_meaning(182, daily_limits={30}).outcome == "rejected"


@pytest.mark.parametrize(
    ("state", "error_code", "expected", "reason"),
    [
        (0, 0, "delivered", ""),
        (0, 25, "delivered", ""),
        (1, 0, "buffered", ""),
        (2, 0, "undelivered", "other"),
        (2, 21, "undelivered", "network"),
        (2, 24, "undelivered", "account"),
        (2, 25, "undelivered", "powered_off"),
        (2, 26, "undelivered", "memory_full"),
        (2, 27, "undelivered", "other"),
        (2, 29, "undelivered", "empty_number"),
        (2, 32, "undelivered", "network"),
        (2, 33, "undelivered", "network"),
        (2, 50, "rejected", "content_filter"),
        (2, 55, "unknown", "network"),
        (2, 56, "undelivered", "suspended"),
        (2, 61, "expired", "other"),
        (2, 69, "undelivered", "blacklisted"),
        (2, 77, "undelivered", "frequency_limit"),
        (2, 200, "undelivered", "other"),
        (3, 0, "unknown", "other"),
        (255, 255, "unknown", "other"),
    ],
)
def test_reports(state: int, error_code: int, expected: str, reason: str) -> None:
    meaning = report_meaning(state, error_code)
    assert (meaning.state, meaning.reason) == (expected, reason)


@pytest.mark.parametrize("code", range(256))
def test_every_code_has_a_meaning(code: int) -> None:
    for recipients in (1, 2):
        assert submit_meaning(code, recipients=recipients).text
    assert (report_meaning(2, code).reason == "") is False
    assert login_meaning(code).text


@pytest.mark.parametrize(
    ("result", "retryable"),
    [(code, False) for code in (1, 2, 4, 5, 57, 93, 94)]
    + [(code, True) for code in (3, 11, 20, 32, 33, 34, 88, 222)],
)
def test_refused_logins(result: int, retryable: bool) -> None:
    assert login_meaning(result).retryable is retryable
