"""Twilio's callbacks: whose they are, and what they say."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from pydantic import ValidationError
from twilio.request_validator import RequestValidator

from service.channels.contract.gateway import Callback, Inbound, Receipt
from service.channels.contract.outcome import ReceiptState
from service.errors import Forbidden, Invalid
from service.gateways.twilio import TwilioConfig, TwilioGateway

SECRET = "t0ken-of-the-account"
URL = "https://sms.example.com/api/v1/callbacks/7"
PHONE = "+8619790001234"
CONFIG = TwilioConfig.model_validate(
    {
        "account_sid": "AC" + "0" * 32,
        "auth_token": SECRET,
        "sender": "+447700900123",
        "public_url": URL,
    }
)
STATUS = {"MessageSid": "SM7", "MessageStatus": "delivered", "To": PHONE, "From": "+447700900123"}
TEXT = {"MessageSid": "SM8", "From": PHONE, "To": "+447700900123", "Body": "退订 T&D +1 🀄"}


def signed(
    form: dict[str, str], *, url: str = URL, secret: str = SECRET, algorithm: str = ""
) -> Callback:
    """A callback as Twilio makes it, by the library's own reference."""
    signature = RequestValidator(secret).compute_signature(url, form, algorithm or None)
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
    if algorithm:
        headers["x-twilio-webhooks-signature-settings"] = f"key=k,algorithm={algorithm}"
    now = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
    return Callback("POST", url, headers, urlencode(form).encode(), now)


def receipt(form: dict[str, str]) -> Receipt:
    answer = TwilioGateway.read_callback(CONFIG, signed({**STATUS, **form}))
    (item,) = answer.items
    assert isinstance(item, Receipt)
    return item


def test_the_documented_example_of_a_signature_is_genuine() -> None:
    """Twilio's documentation, "Validating requests", has this request with its signature."""
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": f"+1{4158675309}",
        "Digits": "1234",
        "From": f"+1{4158675309}",
        "To": f"+1{8005551212}",
    }
    config = CONFIG.model_copy(update={"auth_token": type(CONFIG.auth_token)("12345")})
    headers = {"x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
    now = datetime(2027, 1, 12, tzinfo=UTC)
    callback = Callback("POST", url, headers, urlencode(form).encode(), now)
    with pytest.raises(Invalid):  # genuine, but neither a receipt nor a text
        TwilioGateway.read_callback(config, callback)


@pytest.mark.parametrize(
    ("status", "error", "state", "code", "reason"),
    [
        ("accepted", "", ReceiptState.BUFFERED, "accepted", ""),
        ("queued", "", ReceiptState.BUFFERED, "queued", ""),
        ("sent", "", ReceiptState.BUFFERED, "sent", ""),
        ("delivered", "", ReceiptState.DELIVERED, "delivered", ""),
        ("read", "", ReceiptState.DELIVERED, "read", ""),
        ("undelivered", "30003", ReceiptState.UNDELIVERED, "30003", "powered_off"),
        ("undelivered", "30004", ReceiptState.UNDELIVERED, "30004", "blacklisted"),
        ("undelivered", "30005", ReceiptState.UNDELIVERED, "30005", "empty_number"),
        ("undelivered", "30006", ReceiptState.UNDELIVERED, "30006", "empty_number"),
        ("undelivered", "30007", ReceiptState.UNDELIVERED, "30007", "content_filter"),
        ("undelivered", "30008", ReceiptState.UNDELIVERED, "30008", "other"),
        ("undelivered", "", ReceiptState.UNDELIVERED, "undelivered", "other"),
        ("failed", "21610", ReceiptState.REJECTED, "21610", "blacklisted"),
        ("failed", "30036", ReceiptState.EXPIRED, "30036", ""),
        ("canceled", "", ReceiptState.REJECTED, "canceled", "other"),
        ("teleported", "x\0", ReceiptState.UNKNOWN, "x", "other"),
    ],
)
def test_each_status(status: str, error: str, state: ReceiptState, code: str, reason: str) -> None:
    item = receipt({"MessageStatus": status, "ErrorCode": error})
    assert item == Receipt(b"SM7", PHONE, state, code, reason, None)


@pytest.mark.parametrize("to", ["", "whatsapp:+8619790001234", "12", "x"])
def test_a_recipient_that_cannot_be_read_is_left_out(to: str) -> None:
    assert receipt({"To": to}).recipient == ""


def test_a_text_from_a_handset_gets_an_empty_reply() -> None:
    answer = TwilioGateway.read_callback(CONFIG, signed(TEXT))
    assert answer.items == (Inbound(PHONE, "+447700900123", "退订 T&D +1 🀄"),)
    assert answer.media_type == "text/xml"
    assert answer.body.endswith("<Response/>")


def test_the_newer_signature_is_known_and_an_unknown_one_is_none() -> None:
    assert TwilioGateway.read_callback(CONFIG, signed(STATUS, algorithm="HMAC_SHA256")).items
    callback = signed(STATUS, algorithm="HMAC_SHA256")
    unknown = {"x-twilio-webhooks-signature-settings": "algorithm=HMAC_MD5"}
    callback = replace(callback, headers={**callback.headers, **unknown})
    with pytest.raises(Forbidden):
        TwilioGateway.read_callback(CONFIG, callback)


def _forged(name: str) -> Callback:
    good = signed(STATUS)
    changes: dict[str, Callback] = {
        "another secret": signed(STATUS, secret="guess"),
        "another address": signed(STATUS, url="https://sms.example.com/api/v1/callbacks/8"),
        "no signature": Callback("POST", URL, {}, good.body, good.received_at),
        "another body": Callback("POST", URL, good.headers, good.body + b"&x=y", good.received_at),
        "no UTF-8": Callback(
            "POST", URL, good.headers, good.body + b"&x=%FF\xff", good.received_at
        ),
    }
    if name == "another address":
        return Callback("POST", URL, changes[name].headers, good.body, good.received_at)
    return changes[name]


@pytest.mark.attack
@pytest.mark.parametrize(
    "name", ["another secret", "another address", "no signature", "another body", "no UTF-8"]
)
def test_what_is_not_signed_for_this_address_is_refused(name: str) -> None:
    with pytest.raises(Forbidden, match="public_url") as refused:
        TwilioGateway.read_callback(CONFIG, _forged(name))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "form", [{"a": "b"}, {"MessageSid": "", "MessageStatus": "sent"}, {"MessageSid": "SM1"}, {}]
)
def test_what_says_nothing_is_invalid(form: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="neither"):
        TwilioGateway.read_callback(CONFIG, signed(form))


@pytest.mark.attack
def test_a_form_of_a_thousand_fields_is_not_read() -> None:
    with pytest.raises(Invalid, match="too many"):
        TwilioGateway.read_callback(CONFIG, signed({f"f{n}": "" for n in range(1000)}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": ""},
        {"account_sid": "AC1"},
        {"account_sid": "SK" + "0" * 32},
        {"messaging_service_sid": "MG1"},
        {"public_url": "sms.example.com/x"},
        {"public_url": "https://sms.example.com"},
        {"api_url": "ftp://x"},
        {"timeout_seconds": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    values = {**CONFIG.model_dump(), "auth_token": SECRET, **wrong}
    with pytest.raises(ValidationError) as refused:
        TwilioConfig.model_validate(values)
    assert SECRET not in str(refused.value)
