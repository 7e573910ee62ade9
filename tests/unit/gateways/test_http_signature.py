"""Signatures of callbacks: known answers, and everything that must not pass."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.channels.contract.gateway import Callback
from service.errors import Forbidden
from service.protocols.http.signature import Algorithm, Encoding, Signature, expected, verify

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
SECRET = "Jefe"
SHA512_REST = "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
BODY = b"what do ya want for nothing?"
PLAIN = Signature("X-Signature", "sha256", "hex", "", "{body}", "", 300)
TIMED = replace(PLAIN, signed="{timestamp}.{body}", timestamp_header="X-Time")


def callback(**headers: str) -> Callback:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Callback("POST", "https://sms.example.com/cb?a=b", given, BODY, NOW)


@pytest.mark.parametrize(
    ("algorithm", "encoding", "known"),
    [  # RFC 2202 §3 and RFC 4231 §4.3, test case 2 of both
        ("sha1", "hex", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha256", "hex", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("sha256", "base64", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="),
        (
            "sha512",
            "hex",
            f"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554{SHA512_REST}",
        ),
        ("none", "hex", SECRET),
    ],
)
def test_known_signatures(algorithm: Algorithm, encoding: Encoding, known: str) -> None:
    signature = replace(PLAIN, algorithm=algorithm, encoding=encoding, prefix="v1=")
    verify(signature, SECRET, callback(x_signature=f"v1={known}"))
    assert expected(signature, SECRET, callback(), "") == known
    for wrong in (known, f"v1={known[:-1]}", f"v1={known}0", "v1=", "é"):
        with pytest.raises(Forbidden, match="wrong"):
            verify(signature, SECRET, callback(x_signature=wrong))


def test_hexadecimal_digits_may_be_of_either_case_and_base64_may_not() -> None:
    known = expected(PLAIN, SECRET, callback(), "")
    verify(PLAIN, SECRET, callback(x_signature=known.upper()))
    base64 = replace(PLAIN, encoding="base64")
    known = expected(base64, SECRET, callback(), "")
    with pytest.raises(Forbidden):
        verify(base64, SECRET, callback(x_signature=known.upper()))


def test_everything_that_is_named_is_signed() -> None:
    signature = replace(PLAIN, signed="{method}\n{url}\n{timestamp}\n{body}")
    base = expected(signature, SECRET, callback(), "1")
    others = [
        expected(signature, SECRET, replace(callback(), method="PUT"), "1"),
        expected(signature, SECRET, replace(callback(), url="https://x/"), "1"),
        expected(signature, SECRET, replace(callback(), body=b""), "1"),
        expected(signature, SECRET, callback(), "2"),
        expected(signature, "other", callback(), "1"),
    ]
    assert len({base, *others}) == 6


@pytest.mark.parametrize(
    ("written", "age"),
    [
        (lambda at: str(int(at.timestamp())), 299),
        (lambda at: str(int(at.timestamp())), -299),
        (lambda at: str(int(at.timestamp() * 1000)), 299),
        (lambda at: at.isoformat(), 299),
        (lambda at: at.isoformat().replace("+00:00", "Z"), 0),
    ],
)
def test_a_recent_signature_passes(written: Callable[[datetime], str], age: int) -> None:
    time = written(NOW - timedelta(seconds=age))
    good = expected(TIMED, SECRET, callback(), time)
    verify(TIMED, SECRET, callback(x_signature=good, x_time=time))


@pytest.mark.attack
@pytest.mark.parametrize(
    ("time", "words"),
    [
        (str(int(NOW.timestamp()) - 301), "too old"),
        (str(int(NOW.timestamp()) + 301), "too old"),
        ("", "no instant"),
        ("yesterday", "no instant"),
        ("2027-01-12T01:30:00", "no instant"),
        ("9" * 40, "no instant"),
    ],
)
def test_an_old_signature_does_not_pass_however_good_it_is(time: str, words: str) -> None:
    good = expected(TIMED, SECRET, callback(), time)
    with pytest.raises(Forbidden, match=words):
        verify(TIMED, SECRET, callback(x_signature=good, x_time=time))


def test_a_timestamp_that_was_changed_breaks_the_signature() -> None:
    time = str(int(NOW.timestamp()))
    good = expected(TIMED, SECRET, callback(), time)
    later = str(int(NOW.timestamp()) + 1)
    with pytest.raises(Forbidden, match="wrong"):
        verify(TIMED, SECRET, callback(x_signature=good, x_time=later))


@pytest.mark.attack
def test_without_a_secret_or_a_signature_nothing_passes() -> None:
    empty = expected(PLAIN, "", callback(), "")
    with pytest.raises(Forbidden, match="callback_secret"):
        verify(PLAIN, "", callback(x_signature=empty))
    with pytest.raises(Forbidden, match="X-Signature"):
        verify(PLAIN, SECRET, callback())
