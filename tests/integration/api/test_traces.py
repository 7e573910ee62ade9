"""A span a request: its route and how it ended, and nothing that the caller wrote."""

import pytest

from service.tracing import tracing
from tests.harness.collector import collecting
from tests.integration.api.conftest import Api

PHONE = "19790080001"
OPERATOR = ("school", "operator")


@pytest.mark.attack
async def test_a_request_is_a_span_without_a_word_of_the_caller(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"traceparent": f"00-{PHONE}{'a' * 21}-{'b' * 16}-01", "X-Request-Id": "of-a-caller"}
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with tracing():
            await api.call("POST", "/contacts/lookup", OPERATOR, json={"phone": PHONE})
            await api.get(f"/contacts/{PHONE}?name=欧阳", OPERATOR)
            await api.get(f"/{PHONE}", OPERATOR)
            await api.client.request("PROPFIND", f"/{PHONE}", headers=headers)
            await api.client.get("/api/v1/channels", headers=headers)
            await api.get("//metrics", OPERATOR)
    found = [
        (name, values["http.route"], values["http.response.status_code"])
        for name, values in collector.spans
    ]
    assert found == [
        ("POST /api/v1/contacts/lookup", "/api/v1/contacts/lookup", 200),
        ("GET /api/v1/contacts/{contact_id}", "/api/v1/contacts/{contact_id}", 404),
        ("no such address", "", 404),
        ("no such address", "", 404),
        ("GET /api/v1/channels", "/api/v1/channels", 401),
    ]
    whole = b"".join(collector.requests)
    assert [w for w in (PHONE, "欧阳", "of-a-caller", PHONE[:10]) if w.encode() in whole] == []
    assert bytes.fromhex("b" * 16) not in whole, "the caller's trace is not ours"
