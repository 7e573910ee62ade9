"""No text keeps the process busy: long ones are refused at the door, lint works beside the rest."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from service.api.http import admission, reading
from service.api.http.reading import check_plain
from service.api.http.schema import LONGEST_TEXT
from service.api.routes import PREFIX
from service.dispatch.direct import direct_people, direct_values
from service.messages.lint import verdict
from service.messages.lint.lint import Finding, lint
from tests.factories import phone
from tests.harness.channels import channel
from tests.harness.description import description
from tests.harness.direct_texts import GREETING, send, template
from tests.harness.pauses import stall
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")

pytestmark = pytest.mark.attack

PATIENCE = 30
TEXT = "【旌德县教体局】家长会改在周五下午三点，地点不变。"
MOST_OF_ANY = 20_000
"""The State Council's notice, the longest text that is taken."""


def strings(schemas: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[Any]:
    """Each schema of a text in another, with where it is."""
    if "$ref" in schema:
        yield from strings(schemas, schemas[schema["$ref"].rpartition("/")[2]], path)
    if schema.get("type") == "string" and not {"enum", "const", "format"} & schema.keys():
        yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from strings(schemas, part, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(part := schema.get(word), dict):
            yield from strings(schemas, part, path)
    for word in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(word, ()):
            yield from strings(schemas, part, path)


def test_every_text_of_every_operation_has_a_limit() -> None:
    made = description()
    schemas, found = made["components"]["schemas"], []
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).values()
            given = [one["schema"] for one in content] + [
                one["schema"] for one in operation["parameters"] if one["in"] == "query"
            ]
            for schema in given:
                found += [(f"{method} {path}{at}", s) for at, s in strings(schemas, schema)]
    assert len(found) > 200
    limits = {at: s.get("maxLength", 0 if "pattern" in s else None) for at, s in found}
    limits = {at: most for at, most in limits.items() if "contentMediaType" not in at}
    loose = [at for at, most in limits.items() if most is None or most > MOST_OF_ANY]
    assert loose == []
    ids = {at for at, s in found if s.get("pattern", "").startswith("^[0-9a-fA-F]{8}(")}
    longer = sorted(at for at, most in limits.items() if most > LONGEST_TEXT and at not in ids)
    assert {at.rpartition(".")[2] for at in longer} == {"narrative", "rule", "text"}
    assert [at for at in longer if at.endswith(".text")] == [f"post {PREFIX}/holidays/notice.text"]


async def test_a_long_text_is_refused_and_not_looked_at(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def look(text: str, *_: object, **__: object) -> list[Finding]:
        looked.append(text)
        return []

    monkeypatch.setattr(verdict, "lint", look)
    words = "字" * (LONGEST_TEXT + 1)
    asked = [
        ("/templates/lint", {"text": words}),
        ("/templates/lint", {"text": TEXT, "values": {"姓名": words}}),
        ("/templates/lint", {"text": TEXT, "values": {f"v{n}": "x" for n in range(1_000)}}),
        ("/templates", {"name": "n", "text": words}),
        ("/messages", {"to": [phone(1)], "text": words}),
    ]
    for path, body in asked:
        answer = await api.post(path, OPERATOR, body)
        assert answer.status == 422, path
        assert "should have at most" in str(answer.json["fields"]), path
    assert looked == []


class Stuck:
    """A lint that goes on until it is let go, for as long as a test is patient."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def lint(self, *arguments: Any, **options: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(PATIENCE), "nobody was served meanwhile"
        return lint(*arguments, **options)


async def test_others_are_served_while_a_text_is_looked_at(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck()
    monkeypatch.setattr(verdict, "lint", stuck.lint)
    asked = asyncio.create_task(api.post("/templates/lint", OPERATOR, {"text": TEXT}))
    await until(stuck.begun.is_set)
    async with asyncio.timeout(PATIENCE):
        assert (await api.get("/me", ("county", "viewer"))).status == 200
    stuck.go_on.set()
    await asked  # on a busy machine PostgreSQL may have ended it: its transaction stood still


async def test_texts_are_looked_at_one_after_the_other(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several threads that compute would keep the interpreter from all other requests."""
    inside: list[int] = []
    together = threading.Event()

    def counted(*arguments: Any, **options: Any) -> Any:
        inside.append(1)
        if len(inside) > 1:
            together.set()
        together.wait(0.05)  # for another one, if it may begin
        inside.pop()
        return lint(*arguments, **options)

    monkeypatch.setattr(verdict, "lint", counted)
    people = [("county", "operator"), ("school", "operator")] * 2
    asked = [api.post("/templates/lint", who, {"text": TEXT}) for who in people]
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
    assert not together.is_set()


async def test_large_bodies_are_read_beside_the_rest_and_two_of_a_caller_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    go_on = threading.Event()

    def slow(raw: bytes) -> None:
        if len(raw) > reading.LARGE_OCTETS:
            read.append(len(raw))
            assert go_on.wait(PATIENCE)
        check_plain(raw)

    monkeypatch.setattr(reading, "check_plain", slow)
    large = {"name": "n", "rule": "性别 = 女" + " " * 100_000}
    asked = [asyncio.create_task(api.post("/segments", OPERATOR, large)) for _ in range(6)]
    try:
        await until(lambda: len(read) >= admission.LARGE_AT_ONCE)
        async with asyncio.timeout(PATIENCE):
            assert (await api.get("/me", ("county", "viewer"))).status == 200
            small = {"name": "n", "rule": "性别 = 女"}
            assert (await api.post("/segments", OPERATOR, small)).status == 201
            assert len(read) == admission.LARGE_AT_ONCE
            login = {"login": "l", "password": "p" * 100_000}
            assert (await api.post("/login", None, login)).status == 413
    finally:
        go_on.set()
    assert {answer.status for answer in await asyncio.gather(*asked)} == {422}
    assert len(read) == len(asked)


async def test_others_are_served_while_the_values_of_a_direct_send_are_looked_at(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    chosen = await template(api, GREETING)
    stuck = Stuck()
    monkeypatch.setattr(direct_values, "lint", stuck.lint)
    to = [{"phone": phone(1), "variables": {"姓名": "家长"}}]
    sending = asyncio.create_task(send(api, to, template_id=chosen))
    await until(stuck.begun.is_set)
    async with asyncio.timeout(PATIENCE):
        assert (await api.get("/me", ("county", "viewer"))).status == 200
    stuck.go_on.set()
    await sending


async def test_the_values_of_a_direct_send_are_looked_at_for_a_while_only(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    chosen = await template(api, GREETING)
    monkeypatch.setattr(direct_people, "LINT_SECONDS", -1.0)
    to = [{"phone": phone(1), "variables": {"姓名": "家长"}}]
    answer = await send(api, to, template_id=chosen)
    assert answer.status == 422
    assert answer.json["type"].endswith("/takes_too_long")
    assert "at once" in answer.json["fields"]["to"]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 0


async def test_a_busy_machine_refuses_no_values(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    chosen = await template(api, GREETING)

    def interrupted(*arguments: Any, **options: Any) -> list[Finding]:
        stall(0.2)  # the processor is somebody else's
        return lint(*arguments, **options)

    monkeypatch.setattr(direct_values, "lint", interrupted)
    monkeypatch.setattr(direct_people, "LINT_SECONDS", 1.0)
    to = [{"phone": phone(n), "variables": {"姓名": f"第{n}位"}} for n in range(1, 9)]
    answer = await send(api, to, template_id=chosen)
    assert (answer.status, answer.json["accepted"]) == (202, 8)
