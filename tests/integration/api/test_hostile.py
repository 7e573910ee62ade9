"""Whoever means harm gets a clear refusal: bodies, headers, things of others, fields not theirs."""

import asyncio
import io
import json
import time
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestServer
from pydantic import BaseModel

from service.api.http import reading
from service.api.http.op import Op
from service.api.routes import OPS, PREFIX
from service.logs import JSONFormatter
from service.storage.postgres import transaction
from tests.factories import make_draft
from tests.harness.bodies import BODIES
from tests.harness.logins import PASSWORD, log_in, person
from tests.harness.pauses import delay
from tests.harness.things import make_things
from tests.integration.api.conftest import Answer, Api

ADMIN, OPERATOR, SCHOOL = ("county", "admin"), ("county", "operator"), ("school", "operator")
JSON = {"Content-Type": "application/json"}
AWAY = {"starts_at": "2027-02-01T02:00:00Z", "ends_at": "2027-02-20T02:00:00Z", "reason": "r"}
NOBODY = "00000000-0000-0000-0000-000000000000"
WITH_JSON = [op for op in OPS if op.body is not None and not op.takes_file and not op.is_open]


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("/")[2]


def filled(op: Op) -> str:
    path = op.path
    for name, hint in op.parameters.items():
        path = path.replace(f"{{{name}}}", "7" if hint is int else NOBODY)
    return path


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name": "a", "name": "b", "rule": "r"}',
        b'{"name": "a", "rule": {"x": 1, "x": 2}}',
        b'{"name": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"name": ' + b"9" * 500_000 + b', "rule": "r"}',
        b'{"name": 1e' + b"9" * 500 + b', "rule": "r"}',
        b'{"name": 0.' + b"1" * 500 + b', "rule": "r"}',
        b"\xff\xfe{",
        b"[" * 900_000,
    ],
    ids=["twice", "twice inside", "deep", "deep objects", "huge", "exponent", "fraction", "utf16",
         "open"],
)  # fmt: skip
async def test_a_body_that_is_made_to_hurt_is_malformed(api: Api, raw: bytes) -> None:
    started = time.monotonic()
    answer = await api.call("POST", "/segments", OPERATOR, data=raw, headers=JSON)
    assert kind(answer) == (400, "malformed")
    assert len(answer.body) < 1_000
    assert time.monotonic() - started < 5


MANY = ",".join(f'"{n}": 1' for n in range(80_000))
BOMBS = (
    "[" * 100_000,
    '{"a":' * 100_000,
    "9" * 1_000_000,
    f"{{{MANY}}}",
    f'{{"reason": {{{MANY}}}}}',
    f"[{','.join(['[]'] * 300_000)}]",
    f'{{"reason": "{"长" * 340_000}"}}',
    '"' + "\\ud800" * 150_000,
    f'{{"members": [{",".join(["{}"] * 300_000)}], "to": [{",".join(["{}"] * 30_000)}]}}',
)


@pytest.mark.slow
@pytest.mark.attack
async def test_no_body_of_any_operation_hurts(api: Api) -> None:
    """Each operation meets one of the bombs, and infinity in each field."""
    wrong = []
    for n, op in enumerate(WITH_JSON):
        assert op.body is not None
        names = [field.alias or name for name, field in op.body.model_fields.items()]
        infinite = ",".join(f'"{name}": 1e999999' for name in names)
        for raw in (BOMBS[n % len(BOMBS)], f"{{{infinite}}}"):
            started = time.process_time()  # of the server, too: it runs here
            answer = await api.call(op.method, filled(op), ADMIN, data=raw, headers=JSON)
            took = time.process_time() - started
            if answer.status not in {400, 403, 413, 422} or took > 3 or len(answer.body) > 20_000:
                wrong.append((op.method, op.path, raw[:20], answer.status, took))
    assert wrong == []


def test_no_part_of_a_body_takes_a_field_that_is_not_offered() -> None:
    """Not only its top; the next test sends some to each operation."""
    open_, seen = set(), set()

    def walk(kind: Any) -> None:
        for inner in get_args(kind):
            walk(inner)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
            seen.add(kind)
            if kind.model_config.get("extra") != "forbid":
                open_.add(kind)
            for field in kind.model_fields.values():
                walk(field.annotation)

    for op in OPS:
        walk(op.body)
        walk(op.query)
    assert len(seen) > len(OPS) / 2
    assert open_ == set()


@pytest.mark.attack
async def test_a_body_that_is_too_large_is_refused_however_it_comes(api: Api) -> None:
    large = json.dumps({"name": "n", "rule": "x" * 1_100_000}).encode()

    async def dripped() -> Any:
        for at in range(0, len(large), 65_536):
            yield large[at : at + 65_536]

    for data in (io.BytesIO(large), dripped()):
        answer = await api.call("POST", "/segments", OPERATOR, data=data, headers=JSON)
        assert kind(answer) == (413, "too_large")


@pytest.mark.parametrize(
    ("path", "media_type", "limit"),
    [
        ("/segments", "application/json", 1024 * 1024),
        ("/imports", "multipart/form-data; boundary=b", 300_000 + 20 * 64 * 1024),
    ],
)
async def test_a_body_that_is_said_to_be_too_large_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str, media_type: str, limit: int
) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", 0.3)
    for length, status in ((limit, b" 408 "), (limit + 1, b" 413 "), (10**15, b" 413 ")):
        head = _head(api, f"Content-Length: {length}").replace(b"/segments", path.encode())
        given = head.replace(b"application/json", media_type.encode())
        assert status in await _raw(api, given), (path, length)


async def _raw(api: Api, octets: bytes, *, then: bytes = b"", whole: bool = False) -> bytes:
    """What the server says to these octets, and to others a moment later: its first line, or all
    that comes at once.
    """
    server = api.client.server
    assert isinstance(server, TestServer)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(octets)
        await writer.drain()
        if then:
            await delay(0.05)
            writer.write(then)
        first = await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)
        return first + await reader.read(65_536) if whole else first
    finally:
        writer.close()


@pytest.mark.attack
@pytest.mark.parametrize(
    "octets",
    [
        "GET /v1/contacts?phone=19790001234&tag=重点 HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"GET /v1/contacts?phone=19790001234 HTTP/1.1\r\nHost: x\r\n1979000 1234\r\n\r\n",
        b"GET /v1/contacts?phone=19790001234 HTTP/nine\r\nHost: x\r\n\r\n",
    ],
)
async def test_of_a_malformed_request_nothing_is_logged_but_that_it_was(
    api: Api, caplog: pytest.LogCaptureFixture, octets: bytes
) -> None:
    assert b" 400 " in await _raw(api, octets)
    (record,) = [one for one in caplog.records if one.name == "aiohttp.server"]
    line = JSONFormatter().format(record)
    assert '"level": "WARNING"' in line
    assert '"message": "a request was malformed"' in line
    assert not any(said in line for said in ("197", "1234", "Traceback", "contacts", "xe9")), line


def _head(api: Api, *more: str) -> bytes:
    token = api.tokens[OPERATOR]
    lines = [
        f"POST {PREFIX}/segments HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.attack
@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_a_body_that_drips_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", 0.3)
    assert b" 408 " in await _raw(api, _head(api, length), then=b'5\r\n{"nam\r\n')
    assert (await api.get("/segments", OPERATOR)).status == 200


async def test_a_file_that_drips_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", 0.3)
    head = _head(api, "Content-Length: 100000").replace(b"/segments", b"/imports")
    form = head.replace(b"application/json", b"multipart/form-data; boundary=b")
    begun = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\nphone\n'
    assert b" 408 " in await _raw(api, form, then=begun)


FORM = "multipart/form-data; boundary=b"
FIELD = b'--b\r\nContent-Disposition: form-data; name="roster"\r\n\r\n'
FORMS = {
    "no parts": (FORM, b""),
    "no boundary": ("multipart/form-data", FIELD + b"r\r\n--b--\r\n"),
    "a boundary too long": (f"{FORM}{'b' * 100}", b""),
    "another boundary": (FORM, FIELD.replace(b"--b", b"--c") + b"r\r\n--c--\r\n"),
    "no end": (FORM, FIELD + b"r"),
    "no disposition": (FORM, b"--b\r\n\r\nr\r\n--b--\r\n"),
    "no header": (FORM, b"--b\r\n[[], {'\xc3\xaa'\r\n\r\nr\r\n--b--\r\n"),
    "a header of NUL": (FORM, b"--b\r\nX: \0\r\n\r\nr\r\n--b--\r\n"),
    "a long header": (FORM, b"--b\r\nX: " + b"x" * 900_000 + b"\r\n\r\nr\r\n--b--\r\n"),
    "many headers": (FORM, b"--b\r\n" + b"X: x\r\n" * 50_000 + b"\r\nr\r\n--b--\r\n"),
    "octets that are no text": (FORM, FIELD + b"\xff\xfe\r\n--b--\r\n"),
    "a length that is none": (
        FORM, FIELD[:-2] + b"Content-Length: x\r\n\r\nr\r\n--b--\r\n",
    ),
    "a length that is too long": (
        FORM, FIELD[:-2] + b"Content-Length: 99\r\n\r\nr\r\n--b--\r\n",
    ),
    "a form in a form": (
        FORM, b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n",
    ),
    "a charset for all": (
        FORM,
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 99
        + b"\r\n--b--\r\n",
    ),
    "very many parts": (FORM, (FIELD + b"r\r\n") * 2_000 + b"--b--\r\n"),
}  # fmt: skip


async def test_a_form_that_is_none_is_malformed(api: Api) -> None:
    wrong = {}
    for what, (media_type, octets) in FORMS.items():
        answer = await api.call(
            "POST", "/imports", OPERATOR, data=octets, headers={"Content-Type": media_type}
        )
        if kind(answer) not in {(400, "malformed"), (422, "invalid")}:
            wrong[what] = kind(answer)
    assert wrong == {}


@pytest.mark.attack
@pytest.mark.parametrize(
    "more",
    [
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("X-Bad: a\x00b", "Content-Length: 0"),
        ("X Bad: a", "Content-Length: 0"),
        ("X-Long: " + "a" * 20_000, "Content-Length: 0"),
        ("Content-Length: -1",),
    ],
    ids=["two lengths", "length and chunks", "NUL", "space", "long", "negative"],
)
async def test_a_head_that_two_could_read_differently_is_refused(
    api: Api, more: tuple[str, ...]
) -> None:
    assert b" 400 " in await _raw(api, _head(api, *more))


async def test_no_answer_is_kept_on_its_way_nor_taken_for_what_it_is_not(api: Api) -> None:
    answers = [
        await api.get("/segments", OPERATOR),
        await api.get("/segments", None),
        await api.get("/nothing", OPERATOR),
        await api.get(f"/segments/{NOBODY}", OPERATOR),
        await api.get("/receipts/unmatched/export", OPERATOR),
        await api.post("/segments", OPERATOR, {}),
        await api.post("/login", None, {"login": "l", "password": "p"}),
        await api.get("//metrics", OPERATOR),
        await api.get("//healthz", None),
    ]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "tocsin"
    page = await api.get("//api/docs", None)
    assert page.headers.getall("Cache-Control") == ["no-cache"]


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Request-Id", "If-Match", "User-Agent"])
async def test_a_header_cannot_put_another_one_into_the_answer(api: Api, name: str) -> None:
    evil = "a%0d%0aSet-Cookie: x=1"
    body = {"name": "n", "rule": "性别 = 女"}
    answer = await api.post("/segments", OPERATOR, body, headers={name: evil})
    assert answer.status in {201, 400}
    assert "Set-Cookie" not in answer.headers
    assert all(evil not in value for value in answer.headers.values())


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/segments", "Authorization: Bearer tk_é", 401),
        ("/segments", "Authorization: Bearer ts_\udce9", 401),
        ("/segments", "Authorization: Bearer \udcff\udcfe", 401),
        ("/login", "User-Agent: \udce9\udcff \udc80", 201),
        ("/login", "X-Forwarded-For: \udce9", 201),
        ("/login", "If-Match: \udce9", 201),
    ],
)
async def test_a_header_of_any_octets_is_no_crash(
    api: Api, path: str, header: str, status: int
) -> None:
    body = json.dumps({"login": await person(api), "password": PASSWORD})
    head = f"POST {PREFIX}{path} HTTP/1.1\r\nHost: x\r\n{header}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    said = await _raw(api, head.encode("utf-8", "surrogateescape"))
    assert f" {status} " in said.decode(), said


async def test_a_name_in_an_address_cannot_either(api: Api) -> None:
    path = "/rosters/a%0d%0aSet-Cookie:%20x=1/members"
    answer = await api.call("PUT", path, OPERATOR, json={"members": []})
    assert answer.status in {200, 400, 422}
    assert "Set-Cookie" not in answer.headers


FIELDS = ("id", "state", "department_id", "created_by", "approved_by", "activated_at", "key_mode",
          "roles", "rights", "password_hash", "token", "bootstrap", "held_until")  # fmt: skip


async def test_no_form_and_no_query_takes_a_field_that_is_not_offered(api: Api) -> None:
    taken = []
    for op in OPS:
        field = "created_by"
        if op.query is not None:
            path = f"{filled(op)}?{field}=x"
            answer = await api.call(op.method, path, ADMIN, json={} if op.body else None)
        elif op.takes_file:
            form = FormData({field: "x", "roster": "r", "source": "s", "channel_id": "1"})
            form.add_field("file", b"phone\n19790000001\n", filename="f.csv")
            answer = await api.call(op.method, filled(op), ADMIN, data=form)
        else:
            continue
        if answer.status != 422 or field not in answer.json.get("fields", {}):
            taken.append((op.method, op.path, answer.status, answer.body))
    assert taken == []


ODD_HEADERS = {
    "Idempotency-Key: ": {400},
    "Idempotency-Key: " + "k" * 255: {201},
    "Idempotency-Key: " + "k" * 256: {400},
    "Idempotency-Key: \udce9\udcff": {400},
    "Idempotency-Key: a\x00b": {400},
    "Idempotency-Key: a\x01b": {400},
    "Idempotency-Key: a\r\n b": {400},
    "Idempotency-Key: a\nSet-Cookie: x=1": {400},
    "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher": {201},
    "X-Forwarded-For: evil.example, ::1, 127.0.0.1:99999": {201},
    "Forwarded: host=evil.example;for=_x": {201},
    "X-HTTP-Method-Override: DELETE": {201},
    "X-Original-URL: /evil.example": {201},
    "Host: evil.example": {400},
    "X-Request-Id: evil.example\x0bx": {400},
    "Content-Type: application/json; charset=evil.example": {400},
    "X-Many: x\r\n" * 3_000 + "X-Last: x": {400},
}


async def test_a_header_changes_nothing_but_what_it_is_for(api: Api) -> None:
    wrong = {}
    for n, (header, statuses) in enumerate(ODD_HEADERS.items()):
        body = json.dumps({"name": f"n{n}", "rule": "性别 = 女"}).encode()
        head = _head(api, f"Content-Length: {len(body)}").decode()[:-2] + header + "\r\n\r\n"
        said = await _raw(api, head.encode("utf-8", "surrogateescape") + body, whole=True)
        status = int(said.split()[1])
        shown = said.partition(b"\r\n\r\n")[0]
        if status not in statuses or b"evil" in shown or b"Set-Cookie" in shown:
            wrong[header[:60]] = said[:300]
    assert wrong == {}


@pytest.mark.slow
async def test_no_field_is_taken_that_is_not_offered(api: Api) -> None:
    taken = []
    session = (await log_in(api, await person(api, "admin"), PASSWORD)).json["token"]
    for op in WITH_JSON:
        assert op.body is not None
        offered = {field.alias or name for name, field in op.body.model_fields.items()}
        for field in {*FIELDS} - offered:
            body = {**BODIES.get(op.path, {"reason": "r"}), field: "x"}
            answer = await api.call(
                op.method, filled(op), session if op.logged_in else ADMIN, json=body
            )
            if answer.status != 422 or field not in answer.json.get("fields", {}):
                taken.append((op.method, op.path, field, answer.status))
    assert taken == []


@pytest.mark.attack
async def test_nothing_of_another_department_can_be_named_in_a_body(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        ours = await make_draft(conn, api.teams["school"].operator, now=api.clock.at)
        theirs = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    plan = {
        "name": "n",
        "template_id": str(ours.plan.template_id),
        "segment_id": str(ours.plan.segment_id),
    }
    assert (await api.post("/campaigns", SCHOOL, plan)).status == 201
    for field in ("template_id", "segment_id"):
        body = plan | {field: str(getattr(theirs.plan, field))}
        for answer in (
            await api.post("/campaigns", SCHOOL, body),
            await api.patch(f"/campaigns/{ours.id}", SCHOOL, {field: body[field]}),
        ):
            assert (answer.status, list(answer.json["fields"])) == (422, [field])
    sent = {"to": ["19790000001"], "template_id": str(theirs.plan.template_id)}
    assert (await api.post("/messages", SCHOOL, sent)).status == 404
    asked = await api.post("/messages/status", SCHOOL, {"ids": [f"{UUID(int=1)}.1"]})
    assert asked.json["items"] == []


NAMED: dict[str, dict[str, Any]] = {
    "POST /keys": {"user_id": "{user_id}", "name": "k"},
    "POST /users": {"department_id": "{department_id}", "login": "x", "name": "n"},
    "POST /deputies": {"absent_id": "{user_id}", "deputy_id": "{user_id}", **AWAY},
    "PATCH /campaigns/{own campaign_id}": {"more_texts": [{"template_id": "{template_id}"}]},
    "POST /runs/{own run_id}/correction": {"name": "n", "template_id": "{template_id}"},
    "POST /messages": {"to": ["19790000001"], "template_id": "{template_id}"},
    "POST /messages/status": {"ids": ["{message_id}"]},
    "POST /uncertain/decide": {"ids": ["{message_id}"], "decision": "delivered", "reason": "r"},
    "GET /sessions?user_id={user_id}": {},
    "GET /audit?actor_id={user_id}": {},
    "GET /templates/{own template_id}/preview?segment_id={segment_id}": {},
    "GET /inbound?campaign={campaign_id}": {},
    "GET /uncertain?run={run_id}": {},
    "GET /uncertain?department={department_id}": {},
}
"""Where an id of something may stand, but in the address."""


@pytest.mark.attack
async def test_what_is_named_beside_the_address_is_ones_own_too(api: Api) -> None:
    """The answer is word for word that to what nobody has."""
    theirs, own = await make_things(api, "county"), await make_things(api, "school")
    nobodys = {name: str(uuid4()) for name in theirs} | {"message_id": f"{uuid4()}.1"}
    mine = {f"own {name}": value for name, value in own.items()}

    async def answered(things: dict[str, str], route: str) -> tuple[int, str]:
        def named(text: str) -> str:
            for name, value in (things | mine).items():
                text = text.replace(f"{{{name}}}", value)
            return text

        method, path = named(route).split(" ")
        body = json.loads(named(json.dumps(NAMED[route])))
        answer = await api.call(method, path, ("school", "admin"), json=body or None)
        told = {**answer.json, "request_id": ""}
        said = json.dumps(told)
        for name in sorted(things, key=lambda name: -len(things[name])):
            said = said.replace(things[name], name) if len(things[name]) > 9 else said
        return answer.status, said

    for route in NAMED:
        one = await answered(theirs, route)
        assert one == await answered(nobodys, route), route
        assert one[0] in {200, 403, 404, 409, 422}, route
