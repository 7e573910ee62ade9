"""Whatever is sent, the answer is a documented status with a documented shape, never a crash."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from yarl import URL

from service.api.campaigns import lifecycle
from service.api.http.op import Op
from service.api.routes import OPS, PREFIX
from service.storage.postgres import transaction
from tests.factories import make_draft, make_scheduled
from tests.harness.bodies import BODIES
from tests.harness.channels import BODY as CHANNEL
from tests.harness.description import description
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")
NOBODY = "00000000-0000-0000-0000-000000000000"
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    5.5,
    5.0,
    2**31,
    2**63,
    1e308,
    "",
    " ",
    "\0",
    "\u202e\u200b",
    "国" * 5_000,
    "🀄" * 90,
    "%s{}%",
    "'; DROP TABLE users; --",
    "2027-02-30T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "auto",
    [],
    [[]],
    [None],
    ["x"] * 2_000,
    {},
    {"": ""},
    {"a": {"b": []}},
]
SCHEDULE = {
    "kind": "once",
    "start_at": "2027-02-01T00:00:00Z",
    "rrule": None,
    "until": None,
    "timezone": "Asia/Shanghai",
    "send_hours": [["08:00", "20:00"]],
    "late": "hold",
    "validity_minutes": 60,
}


WITH_BODY = [op for op in OPS if op.body is not None and not op.takes_file]


def _variants(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in body:
        for odd in ODD:
            yield {**body, name: odd}


def _bodies(op: Op) -> Iterator[Any]:
    yield from ODD
    base = BODIES.get(op.path, {"reason": "r"})
    yield from _variants(base)
    if "schedule" in base:
        yield from ({**base, "schedule": schedule} for schedule in _variants(SCHEDULE))


def _address(op: Op, there: Mapping[str, object]) -> str:
    """The operation's path to things that are there, and to nobody's."""
    nothing = {name: 7 if kind is int else NOBODY for name, kind in op.parameters.items()}
    return op.path.format_map(nothing | dict(there))


@pytest.mark.slow
@pytest.mark.parametrize("op", WITH_BODY, ids=lambda op: f"{op.method} {op.path}")
async def test_no_body_is_a_crash(api: Api, op: Op) -> None:
    documented = description()["paths"][PREFIX + op.path][op.method.lower()]["responses"]
    async with transaction(api.runtime.pool) as conn:
        team = api.teams["county"]
        draft = await make_draft(conn, team.operator, now=api.clock.at)
        if op.handler.__module__ == lifecycle.__name__:
            draft = await make_scheduled(conn, team, now=api.clock.at)
    channel = await api.post("/channels", ADMIN, {**CHANNEL, "name": "already"})
    there = {
        "campaign_id": draft.id,
        "segment_id": draft.plan.segment_id,
        "template_id": draft.plan.template_id,
        "channel_id": channel.json["id"],
        "department_id": team.operator.department_id,
        "user_id": team.viewer.id,
        "name": "r",
    }
    path = _address(op, there)
    for body in _bodies(op):
        answer = await api.call(op.method, path, ADMIN, json=body)
        assert answer.status < 500, (body, answer.body)
        assert str(answer.status) in documented, (body, answer.body)
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
        json.loads(answer.body)


WITH_QUERY = [op for op in OPS if op.query is not None]
ODD_TEXTS = ("", "%00", "%ff", "%F0%9F%80%84", "-1", "1e9", "9" * 30, "a" * 5_000)


@pytest.mark.slow
@pytest.mark.parametrize("op", WITH_QUERY, ids=lambda op: op.path)
async def test_no_query_is_a_crash(api: Api, op: Op) -> None:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    there = {"campaign_id": draft.id, "department_id": api.teams["county"].department_id}
    path = _address(op, there)
    assert op.query is not None
    for name in op.query.model_fields:
        for odd in ODD_TEXTS:
            answer = await api.get(f"{path}?{name}={odd}", ADMIN)
            assert answer.status in {200, 404, 422}, (name, odd, answer.body)


@pytest.mark.parametrize("raw", [b"", b"%", b"%zz", b"a%2Fb", b"..", b"\xff", b"x" * 4_000])
async def test_no_id_is_a_crash(api: Api, raw: bytes) -> None:
    for op in OPS:
        if op.method == "GET" and op.parameters:
            path = PREFIX + op.path.split("{")[0] + raw.decode("latin-1") + "/x"
            answer = await api.get("/" + path, ADMIN)
            assert answer.status in {404, 405}, (path, answer.body)


@pytest.mark.parametrize("raw", ["%00", "a%00b", "%ED%A0%80", "%FF", "%EF%BC%91", "%2F", "%0A"])
async def test_no_name_in_an_address_is_a_crash(api: Api, raw: str) -> None:
    for op in OPS:
        texts = [name for name, kind in op.parameters.items() if kind is str]
        if not texts:
            continue
        path = URL(PREFIX + _address(op, dict.fromkeys(texts, raw)), encoded=True)
        body = BODIES.get(op.path, {"reason": "r"}) if op.body else None
        async with api.client.request(
            op.method, path, json=body, headers={"Authorization": f"Bearer {api.tokens[ADMIN]}"}
        ) as answer:
            assert str(answer.status) in {"200", "404", "422"}, (op.path, await answer.text())


async def test_no_number_in_an_address_is_a_crash(api: Api) -> None:
    """As large as the columns are, and a little larger."""
    for op in OPS:
        numbers = [name for name, kind in op.parameters.items() if kind is int]
        for number in (2**15 - 1, 2**15, 2**31 - 1, 2**31, 2**63) if numbers else ():
            body = BODIES.get(op.path, {"reason": "r"}) if op.body else None
            path = _address(op, dict.fromkeys(numbers, number))
            answer = await api.call(op.method, path, ADMIN, json=body)
            assert answer.status in {404, 422}, (op.method, path, answer.body)


async def test_a_number_is_no_day_and_no_instant(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    key = {"user_id": str(api.teams["county"].viewer.id), "name": "n"}
    for where, name, body, good, bad in (
        (f"/campaigns/{draft.id}/milestones", "due_on", {"name": "n"}, "2027-01-31",
         [20_000, "20000", "2027-01-31T00:00:00Z"]),
        ("/keys", "expires_at", key, "2030-01-01T00:00:00Z",
         [1_900_000_000, 1.9e9, "1900000000", "2030-01-01"]),
    ):  # fmt: skip
        assert (await api.post(where, ADMIN, {**body, name: good})).status == 201
        for value in bad:
            answer = await api.post(where, ADMIN, {**body, name: value})
            assert (answer.status, [*answer.json["fields"]]) == (422, [name]), value
