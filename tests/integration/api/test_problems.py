"""What a wrong request gets: RFC 9457, a stable type, and never the value that was sent."""

import io
import json
from typing import Any

import pytest

from service import web
from service.api.http.exchange import ATTEMPTS
from service.logs import masked
from service.storage.postgres import COLLISIONS
from tests.integration.api.conftest import Api

OPERATOR, ADMIN = ("county", "operator"), ("county", "admin")
RAW_JSON = {"Content-Type": "application/json"}


def _check(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return problem


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"{", 400, "malformed", None),
        (b"\xff", 400, "malformed", None),
        (b"", 415, "unsupported_media_type", None),
        (b"[]", 422, "invalid", "body"),
        (b'{"name": "n"}', 422, "invalid", "rule"),
        (b'{"name": "n", "rule": "r", "extra": 1}', 422, "invalid", "extra"),
        (b'{"name": 5, "rule": "r"}', 422, "invalid", "name"),
        (b'{"name": " ", "rule": "r"}', 422, "invalid", "name"),
        (b'{"name": "a\\nb", "rule": "r"}', 422, "invalid", "name"),
        (b'{"name": "n", "rule": "a\\u0000"}', 422, "invalid", "rule"),
        ('{"name": "n", "rule": "身份 = "}'.encode(), 422, "segment_rule", "rule"),
    ],
)
async def test_bodies(api: Api, body: bytes, status: int, code: str, field: str | None) -> None:
    headers = RAW_JSON if body else {}
    answer = await api.post("/segments", OPERATOR, data=body, headers=headers)
    problem = _check(answer, status, code)
    if field:
        assert field in problem["fields"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("colour=red", "colour"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=%00", "cursor"),
        ("cursor=Zm9v", "cursor"),
        ("cursor=é", "cursor"),
        ("state=odd", "state"),
    ],
)
async def test_queries(api: Api, query: str, field: str) -> None:
    problem = _check(await api.get(f"/campaigns?{query}", OPERATOR), 422, "invalid")
    assert list(problem["fields"]) == [field]


@pytest.mark.parametrize("number", ["5", True, 5.5, 0, 2**31, "many"])
async def test_whole_numbers_are_neither_texts_nor_booleans(api: Api, number: object) -> None:
    answer = await api.post("/campaigns", OPERATOR, {"max_tps": number})
    assert "max_tps" in _check(answer, 422, "invalid")["fields"]


async def test_an_integral_float_is_a_whole_number(api: Api) -> None:
    answer = await api.post("/campaigns", OPERATOR, data=b'{"max_tps": 5.0}', headers=RAW_JSON)
    assert "max_tps" not in _check(answer, 422, "invalid")["fields"]


async def test_unknown_addresses_methods_and_ids(api: Api) -> None:
    _check(await api.get("/nothing", OPERATOR), 404, "not_found")
    _check(await api.get("/campaigns/not-an-id", OPERATOR), 404, "not_found")
    _check(await api.get("/channels/99999999999999999999", OPERATOR), 404, "not_found")
    _check(await api.get("/channels/-1", OPERATOR), 404, "not_found")
    answer = await api.call("PUT", "/campaigns", OPERATOR)
    _check(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "POST"}


@pytest.mark.parametrize(
    ("asked", "language", "title", "detail"),
    [
        ("zh-CN", "zh", "没有这一项", "这个地址没有内容"),
        ("fr;q=0.9, zh;q=0.5", "zh", "没有这一项", "这个地址没有内容"),
        ("en", "en", "There is no such thing", "there is nothing at this address"),
        (None, "en", "There is no such thing", "there is nothing at this address"),
    ],
)
async def test_a_refusal_is_in_the_language_that_is_asked_for(
    api: Api, asked: str | None, language: str, title: str, detail: str
) -> None:
    headers = {"Accept-Language": asked} if asked else {}
    answer = await api.get("/nothing", OPERATOR, headers=headers)
    problem = _check(answer, 404, "not_found")
    assert (problem["title"], problem["detail"]) == (title, detail)
    assert answer.headers["Content-Language"] == language
    assert answer.headers["Vary"] == "Accept-Language"


async def test_bodies_of_the_wrong_type_or_size(api: Api) -> None:
    answer = await api.post("/segments", OPERATOR, data=b"a=b", headers={"Content-Type": "a/b"})
    _check(answer, 415, "unsupported_media_type")
    latin = {"Content-Type": "application/json; charset=latin-1"}
    answer = await api.post("/segments", OPERATOR, data=b"{}", headers=latin)
    _check(answer, 415, "unsupported_media_type")
    answer = await api.post(
        "/segments", OPERATOR, data=io.BytesIO(b" " * 1_100_000), headers=RAW_JSON
    )
    _check(answer, 413, "too_large")
    _check(await api.post("/imports", OPERATOR, {"roster": "r"}), 415, "unsupported_media_type")


async def test_instants_need_an_offset_and_a_sane_year(api: Api) -> None:
    for instant in (
        "2027-01-20T10:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-10:00",
    ):
        body = {"schedule": {"kind": "once", "start_at": instant}}
        problem = _check(await api.post("/campaigns", OPERATOR, body), 422, "invalid")
        assert "schedule.start_at" in problem["fields"]


@pytest.mark.attack
async def test_a_phone_number_never_comes_back(api: Api) -> None:
    for body in ({"phone": "1979000123x"}, {"phones": ["19790001234", "19790001234x"]}):
        answer = await api.post("/suppressions", OPERATOR, body)
        _check(answer, 422, "invalid")
        assert b"9790001" not in answer.body
    answer = await api.post("/segments", OPERATOR, {"19790001234": 1})
    assert b"19790001234" not in answer.body


async def test_a_callers_request_id_is_kept_if_it_is_harmless(api: Api) -> None:
    answer = await api.get("/campaigns", OPERATOR, headers={"X-Request-Id": "abc-1"})
    assert answer.headers["X-Request-Id"] == "abc-1"
    answer = await api.get("/campaigns", OPERATOR, headers={"X-Request-Id": "a b\t<c>"})
    assert len(answer.headers["X-Request-Id"]) == 35


async def test_a_request_id_reads_the_same_in_the_header_and_in_the_masked_body(api: Api) -> None:
    phone = "19790000001"
    answer = await api.get("/nothing", OPERATOR, headers={"X-Request-Id": f"job-{phone}"})
    assert phone not in answer.headers["X-Request-Id"]
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_a_new_request_id_never_looks_like_a_mobile_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.web.secrets.token_hex", lambda octets: "1" * 2 * octets)
    assert masked(web._request_id("")) == web._request_id("")


async def test_an_unexpected_error_is_logged_not_shown(api: Api, monkeypatch: Any) -> None:
    async def explode(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.accounts.departments.department_store.list_departments", explode)
    answer = await api.get("/departments", OPERATOR)
    _check(answer, 500, "error")
    assert b"secret" not in answer.body


async def test_a_collision_is_tried_again_and_then_admitted(api: Api, monkeypatch: Any) -> None:
    tries = 0

    async def collide(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise COLLISIONS[0]

    monkeypatch.setattr("service.accounts.departments.department_store.list_departments", collide)
    answer = await api.get("/departments", OPERATOR)
    _check(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert tries == ATTEMPTS


async def test_a_database_that_is_gone_is_a_503(api: Api, monkeypatch: Any) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("service.accounts.departments.department_store.list_departments", gone)
    _check(await api.get("/departments", OPERATOR), 503, "unavailable")


async def test_the_error_of_a_rule_tells_where_and_what_else(api: Api) -> None:
    answer = await api.post("/segments/preview", OPERATOR, {"rule": "身分 = 财务人员"})
    problem = _check(answer, 422, "segment_rule")
    assert problem["position"] == 1
    assert "身份" in json.dumps(problem["suggestions"], ensure_ascii=False)


async def test_the_type_of_a_problem_is_the_address_of_its_page(api: Api) -> None:
    refused = await api.get("/segments", None)
    where = refused.json["type"]
    assert where == "/problems/unauthorized"
    page = await api.get("/" + where, None)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/markdown; charset=utf-8")
    assert page.body.decode().startswith("# unauthorized\n\nThere is no key")
    assert b"`unauthorized`" in (await api.get("//problems", None)).body
    assert (await api.get("//problems/%0d%0ax", None)).status == 404
