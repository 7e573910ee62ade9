import pytest

from service.protocols.cmpp.status import login_meaning, report_meaning, submit_meaning


@pytest.mark.parametrize(
    ("result", "answer", "reason"),
    [
        (0, "accepted", ""),
        (1, "rejected", "format"),
        (5, "rejected", "account"),
        (8, "throttled", "frequency_limit"),
        (13, "rejected", "format"),
        (53, "rejected", "network"),
        (54, "unanswered", "network"),
        (69, "rejected", "blacklisted"),
        (76, "rejected", "content_filter"),
        (88, "throttled", "frequency_limit"),
        (142, "rejected", "other"),
        (4_000_000_000, "rejected", "other"),
    ],
)
def test_submit_results(result: int, answer: str, reason: str) -> None:
    meaning = submit_meaning(result)
    assert (meaning.outcome, meaning.reason) == (answer, reason)
    assert meaning.text


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
        ("REJECTD", "rejected", "content_filter"),
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
