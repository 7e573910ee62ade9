"""The generic HTTP gateway's settings and callbacks: what is refused, and what is read."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.channels.contract.gateway import Callback, CallbackAnswer, Inbound, Receipt
from service.channels.contract.model import merged, parse_config, revealed, shown
from service.channels.contract.outcome import ReceiptState
from service.errors import Forbidden, Invalid
from service.gateways.http import HTTPConfig, HTTPGateway
from service.ledger.reasons import Reason

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
SECRET = "k3y-of-callbacks"
PHONE = "19790001234"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
VALUES: dict[str, Any] = {
    "url": "https://sms.example.com/send",
    "headers": "Authorization: Bearer s3cr3t",
    "body": '{"to": "{recipient}", "text": "{text}"}',
    "answer_id": "id",
    "callback_items": "reports",
    "callback_id": "id",
    "callback_recipient": "to.number",
    "callback_status": "status",
    "callback_states": {
        "DELIVRD": "delivered",
        "0": "delivered",
        "EMPTY": "undelivered:empty_number",
        "LATE": "expired",
        "FAIL": "undelivered",
        "SENT": "buffered",
    },
    "callback_answer": '{"code": 0}',
    "callback_secret": SECRET,
    "inbound_sender": "from",
    "inbound_recipient": "port",
    "inbound_text": "content",
}


def config(**others: Any) -> HTTPConfig:
    return HTTPConfig.model_validate({**VALUES, **others})


def read(body: bytes, content_type: str = JSON, **others: Any) -> CallbackAnswer:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-signature": signature, "content-type": content_type}
    callback = Callback("POST", "https://sms.example.com/cb", headers, body, NOW)
    return HTTPGateway.read_callback(config(**others), callback)


def reports(*items: object) -> bytes:
    return json.dumps({"reports": items}).encode()


@pytest.mark.parametrize(
    ("status", "state", "code", "reason"),
    [
        ("DELIVRD", ReceiptState.DELIVERED, "DELIVRD", ""),
        (0, ReceiptState.DELIVERED, "0", ""),
        ("EMPTY", ReceiptState.UNDELIVERED, "EMPTY", Reason.EMPTY_NUMBER),
        ("FAIL", ReceiptState.UNDELIVERED, "FAIL", Reason.OTHER),
        ("LATE", ReceiptState.EXPIRED, "LATE", ""),
        ("SENT", ReceiptState.BUFFERED, "SENT", ""),
        ("NEW\0", ReceiptState.UNKNOWN, "NEW", Reason.OTHER),
    ],
)
def test_each_status(status: object, state: ReceiptState, code: str, reason: str) -> None:
    answer = read(reports({"id": "m1", "to": {"number": PHONE}, "status": status}))
    assert answer.items == (Receipt(b"m1", f"+86{PHONE}", state, code, reason, None),)
    assert (answer.body, answer.media_type) == ('{"code": 0}', JSON)


def test_ids_are_kept_to_the_digit() -> None:
    body = b'{"reports": [{"id": 92233720368547758070, "status": 0}, {"id": 1.50, "status": 0}]}'
    assert [item.ref for item in read(body).items if isinstance(item, Receipt)] == [
        b"92233720368547758070",
        b"1.50",
    ]


def test_a_form_is_one_receipt() -> None:
    body = urlencode({"id": "m1", "to": PHONE, "status": "DELIVRD"}).encode()
    answer = read(body, FORM, callback_items="", callback_recipient="to", callback_answer="0")
    assert answer.items == (
        Receipt(b"m1", f"+86{PHONE}", ReceiptState.DELIVERED, "DELIVRD", "", None),
    )
    assert (answer.body, answer.media_type) == ("0", "text/plain")


def test_receipts_and_texts_come_together_and_what_is_neither_is_ignored() -> None:
    text = {"from": f"86{PHONE}", "port": "1069", "content": "退订\ud800\0"}
    answer = read(reports({"id": "m1", "status": "LATE"}, text, {"odd": 1}, 5, None))
    assert answer.items == (
        Receipt(b"m1", "", ReceiptState.EXPIRED, "LATE", "", None),
        Inbound(f"+86{PHONE}", "1069", "退订?"),
    )


def test_an_empty_list_is_answered() -> None:
    assert read(reports()).items == ()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", JSON),
        (b"{", JSON),
        (b"\xff", JSON),
        (b"[" * 100_000, JSON),
        (b"{}", JSON),
        (b"[]", JSON),
        (b'{"reports": 5}', JSON),
        (b'{"reports": [{"id": "m1"}]}', JSON),
        (b'{"reports": [{"id": {"x": 1}, "status": []}]}', JSON),
        (b"a=b", FORM),
        (b"&".join(b"a=b" for _ in range(6_000)), FORM),
    ],
)
def test_what_cannot_be_read_is_invalid(body: bytes, content_type: str) -> None:
    with pytest.raises(Invalid):
        read(body, content_type)


@pytest.mark.attack
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["reports", "id", "status", "to", "number", "from", "content"])
                | st.text(),
                inner,
            )
        ),
    )
)
def test_no_document_is_a_crash(document: object) -> None:
    try:
        read(json.dumps(document).encode())
        read(json.dumps(document).encode(), callback_items="")
    except Invalid:
        pass


@pytest.mark.attack
def test_nothing_is_read_before_the_signature_is_checked() -> None:
    callback = Callback("POST", "https://x/", {"x-signature": "0"}, b"{", NOW)
    with pytest.raises(Forbidden):
        HTTPGateway.read_callback(config(), callback)
    with pytest.raises(Forbidden, match="callback_secret"):
        HTTPGateway.read_callback(config(callback_secret=""), callback)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "sms.example.com"}, "pattern"),
        ({"url": "https://me:pass@sms.example.com/"}, "credentials"),
        ({"body": "{"}, "write JSON like"),
        ({"body": '{"to": "{recipient}"}'}, "needs {text}"),
        ({"body": '{"text": "{text}"}'}, "{recipient_national}"),
        ({"body": '{"text": "{text}", "to": "{phone}"}'}, "{phone} is no placeholder"),
        ({"content": "form"}, "write a form like"),
        ({"method": "GET"}, "content must be form"),
        ({"method": "DELETE"}, "GET"),
        ({"answer_id": ""}, "receipts need an id"),
        ({"headers": "what"}, "line 1"),
        ({"codes": {"1": "fine"}}, "'fine' is none of accepted"),
        ({"codes": {"1": "not_sent"}}, "'not_sent' is none of"),
        ({"codes": {"1": "rejected:bad"}}, "'bad' is none of empty_number"),
        ({"statuses": {"500": "refused_lot"}}, "'refused_lot' is none of"),
        ({"callback_states": {"1": "accepted"}}, "'accepted' is none of buffered"),
        ({"signed": "{everything}"}, "{body}"),
        ({"signed": "{timestamp}"}, "{body}"),
        ({"signed": "{timestamp}{body}"}, "timestamp_header"),
        ({"signature_algorithm": "md5"}, "sha256"),
        ({"public_url": "https://sms.example.com"}, "pattern"),
    ],
)
def test_settings_that_cannot_work_say_what_to_change(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        config(**wrong)
    assert words in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_secrets_are_shown_as_set_and_survive_an_echo() -> None:
    settings = parse_config(HTTPConfig, VALUES)
    seen = shown(settings)
    assert (seen["headers"], seen["callback_secret"], seen["secret"]) == ("set", "set", "unset")
    again = parse_config(HTTPConfig, merged(settings, seen))
    assert revealed(again) == revealed(settings)
    assert SECRET not in json.dumps(seen)
