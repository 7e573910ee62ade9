import pytest

from service.protocols.cmpp.status import (
    login_meaning,
    not_now,
    report_meaning,
    submit_meaning,
)


@pytest.mark.parametrize(
    ("result", "alone", "of_several", "reason"),
    [
        (0, "accepted", "accepted", ""),
        (8, "throttled", "throttled", "frequency_limit"),
        (88, "throttled", "throttled", "frequency_limit"),
        (54, "unanswered", "unanswered", "network"),
        # The account's set-up: nothing more may leave.
        (5, "suspended", "suspended", "account"),
        (7, "suspended", "suspended", "account"),
        (10, "suspended", "suspended", "account"),
        (11, "suspended", "suspended", "account"),
        (63, "suspended", "suspended", "account"),
        (68, "suspended", "suspended", "account"),
        (78, "suspended", "suspended", "account"),
        (208, "suspended", "suspended", "account"),
        # The packet or the text, whoever it is for.
        (1, "rejected", "rejected", "format"),
        (6, "rejected", "rejected", "format"),
        (76, "rejected", "rejected", "content_filter"),
        # One number, perhaps: of several, each is tried alone.
        (9, "rejected", "refused_lot", "account"),
        (12, "rejected", "refused_lot", "account"),
        (13, "rejected", "refused_lot", "format"),
        (67, "rejected", "refused_lot", "format"),
        (69, "rejected", "refused_lot", "blacklisted"),
        (53, "rejected", "refused_lot", "network"),
        (142, "rejected", "refused_lot", "other"),
        (4_000_000_000, "rejected", "refused_lot", "other"),
    ],
)
def test_submit_results(result: int, alone: str, of_several: str, reason: str) -> None:
    for recipients, outcome in ((1, alone), (2, of_several), (99, of_several)):
        meaning = submit_meaning(result, recipients)
        assert (meaning.outcome, meaning.reason) == (outcome, reason)
        assert meaning.text


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        (8, "rejected", "other"),
        (144, "throttled", "frequency_limit"),
        (10, "rejected", "account"),
        (13, "suspended", "account"),
        (77, "daily_limit", "frequency_limit"),
    ],
)
def test_a_carriers_own_codes_come_before_the_table(result: int, outcome: str, reason: str) -> None:
    own = not_now(too_fast=(144,), suspended=(13,), daily_limits=(77,))
    meaning = submit_meaning(result, not_now=own)
    assert (meaning.outcome, meaning.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("stat", "state", "reason"),
    [
        ("DELIVRD", "delivered", ""),
        ("ACCEPTD", "buffered", ""),
        ("ENROUTE", "buffered", ""),
        ("ML:0000", "buffered", ""),
        ("EXPIRED", "expired", "powered_off"),
        ("MI:0024", "expired", "powered_off"),
        ("MK:0010", "undelivered", "powered_off"),
        ("MK:0005", "undelivered", "suspended"),
        ("MK0005", "undelivered", "suspended"),
        ("MK00005", "undelivered", "suspended"),
        ("MK:0001", "undelivered", "empty_number"),
        ("DB:0144", "undelivered", "blacklisted"),
        ("MBBLACK", "undelivered", "blacklisted"),
        ("MI:0208", "expired", "memory_full"),
        ("NP:1243", "undelivered", "ported"),
        ("MK:0115", "undelivered", "content_filter"),
        ("REJECTD", "rejected", "rejected"),
        ("DB:0142", "undelivered", "frequency_limit"),
        ("MN:0001", "rejected", "other"),
        ("MA:0054", "unknown", "network"),
        ("IC:0154", "unknown", "network"),
        ("UNKNOWN", "unknown", "other"),
        ("UNDELIV", "undelivered", "other"),
        ("XQ:9999", "undelivered", "other"),
        ("NOSEND", "undelivered", "other"),
        ("", "undelivered", "other"),
        ("é\x01", "undelivered", "other"),
    ],
)
def test_report_stats(stat: str, state: str, reason: str) -> None:
    meaning = report_meaning(stat)
    assert (meaning.state, meaning.reason) == (state, reason)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(1, False), (2, False), (3, False), (4, False), (57, False)]
    + [(status, True) for status in (5, 6, 55, 56, 58, 60, 200)],
)
def test_refused_logins(status: int, retryable: bool) -> None:
    assert login_meaning(status).retryable is retryable
    assert login_meaning(status).text
