"""A call is taken only if it is the service's, unchanged, and of now."""

from datetime import UTC, datetime

import pytest
from tocsin_client import InvalidSignature, verify

from service.delivery.webhooks import webhook

SECRET, OTHER = webhook.new_secret(), webhook.new_secret()
AT = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
BODY = b'{"type":"run.finished","timestamp":"2027-01-12T01:30:00+00:00","version":7,"data":{}}'


def signed(secret: str = SECRET) -> dict[str, str]:
    return webhook.headers_of(secret, "evt_7", BODY, AT.timestamp())


def test_a_call_of_the_service_is_taken() -> None:
    event = verify(SECRET, signed(), BODY, now=AT.timestamp())
    assert (event["id"], event["type"], event["version"]) == ("evt_7", "run.finished", 7)


def test_an_old_and_a_new_secret_may_both_hold_for_a_while() -> None:
    for secret in (SECRET, OTHER):
        assert verify([OTHER, SECRET], signed(secret), BODY, now=AT.timestamp())["id"] == "evt_7"
    both = signed() | {"webhook-signature": f"v2,AAAA {signed()['webhook-signature']} v1,AAAA"}
    assert verify(SECRET, both, BODY, now=AT.timestamp())["id"] == "evt_7"


def test_the_case_of_headers_does_not_matter() -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert verify(SECRET, headers, BODY, now=AT.timestamp())["id"] == "evt_7"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_are_tolerated(seconds: int) -> None:
    verify(SECRET, signed(), BODY, now=AT.timestamp() + seconds)
    with pytest.raises(InvalidSignature, match="300 seconds"):
        verify(SECRET, signed(), BODY, now=AT.timestamp() + seconds * 301 / 300)


@pytest.mark.parametrize(
    ("change", "body", "secret"),
    [
        ({}, BODY + b" ", SECRET),
        ({}, BODY, OTHER),
        ({"webhook-id": "evt_8"}, BODY, SECRET),
        ({"webhook-timestamp": str(int(AT.timestamp()) + 1)}, BODY, SECRET),
        ({"webhook-timestamp": "soon"}, BODY, SECRET),
        ({"webhook-timestamp": ""}, BODY, SECRET),
        ({"webhook-signature": ""}, BODY, SECRET),
        ({"webhook-signature": "v1,"}, BODY, SECRET),
        ({"webhook-signature": "v1,é"}, BODY, SECRET),
        ({"webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")}, BODY, SECRET),
    ],
    ids=range(10),  # the secrets are new in every process
)
def test_anything_else_is_refused(change: dict[str, str], body: bytes, secret: str) -> None:
    with pytest.raises(InvalidSignature):
        verify(secret, signed() | change, body, now=AT.timestamp())


@pytest.mark.parametrize("name", list(signed()))
def test_a_missing_header_is_named(name: str) -> None:
    headers = signed()
    if not name.startswith("webhook-"):
        return
    del headers[name]
    with pytest.raises(InvalidSignature, match=name):
        verify(SECRET, headers, BODY, now=AT.timestamp())


def test_a_secret_of_another_make_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify("tk_secret", signed(), BODY, now=AT.timestamp())
