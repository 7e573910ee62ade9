"""Whatever is sent, the answer is a documented status with a documented shape, never a crash."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from yarl import URL

from service.api.http.op import Op
from service.api.routes import OPS, PREFIX
from service.storage.postgres import transaction
from tests.factories import TEXT, make_draft, make_scheduled
from tests.harness.channels import BODY as CHANNEL
from tests.harness.channels import CODE, SETTLED
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
SENDER = {
    "tenant": "局",
    "tenant_type": "police",
    "signatures": ["局"],
    "landlines": ["0563-0600110"],
    "links_enabled": True,
}
BODIES: dict[str, dict[str, Any]] = {
    "/uncertain/decide": {
        "ids": [f"{NOBODY}.1"],
        "run_id": NOBODY,
        "channel_id": 1,
        "decision": "unknown",
        "reason": "r",
    },
    "/uncertain/policies": {"class": "service", "allowed": True, "reason": "r"},
    "/receipts/unmatched/dismiss": {"ids": [1], "reason": "r"},
    "/routes/explain": {"phone": "19790000001", "channels": [1]},
    "/routes/overrides/lookup": {"phone": "19790000001"},
    "/routes/overrides": {"phone": "19790000001", "carrier": "china_unicom"},
    "/departments": {"name": "n", "kind": "school", "signature": "s", "weight": 20},
    "/departments/{department_id}": {
        "weight": 20,
        "name": "n",
        "kind": "county",
        "parent_id": None,
        "area_code": None,
        "carrier": None,
        "leader": "l",
        "classes": ["service"],
        "channels": [],
        "daily_quota": 5,
        "requests_per_minute": None,
    },
    "/departments/{department_id}/signatures": {"signature": "某某局"},
    "/departments/{department_id}/extensions": {"extension": "96110"},
    "/guests": {"phones": ["19790000001"], "note": "n"},
    "/users": {
        "login": "l",
        "name": "n",
        "roles": ["viewer"],
        "rights": ["plan"],
        "department_id": None,
    },
    "/users/{user_id}": {"name": "n", "roles": ["viewer"], "rights": [], "disabled": False},
    "/login": {"login": "l", "password": "p", "code": "123456"},
    "/me/password": {"current": "p", "new": "q"},
    "/me/totp": {"password": "p"},
    "/me/totp/confirm": {"code": "123456"},
    "/keys": {
        "user_id": NOBODY,
        "name": "n",
        "expires_at": "2030-01-01T00:00:00Z",
        "mode": "live",
        "scopes": ["read"],
        "area_codes": ["341825000000"],
        "rosters": ["r"],
        "networks": ["10.0.0.0/8"],
        "requests_per_minute": 60,
    },
    "/keys/{key_id}/rotate": {"overlap_hours": 1},
    "/suppressions": {
        "phone": "19790000001",
        "phones": [],
        "reason": "opted_out",
        "note": "",
        "expires_at": None,
    },
    "/rosters/{name}/members": {
        "members": [{"phone": "19790000001", "name": "n", "roles": ["finance"], "age": 30}],
        "basis": "duty",
        "expires_on": None,
    },
    "/segments": {"name": "n", "rule": "性别 = 女"},
    "/segments/preview": {"rule": "性别 = 女"},
    "/segments/{segment_id}": {"name": "n", "rule": "性别 = 女"},
    "/templates": {"name": "n", "class": "service", "topic": "", "language": "zh", "text": TEXT},
    "/templates/lint": {"text": TEXT, "class": "service", "values": {}, "context": SENDER},
    "/templates/{template_id}/versions": {"text": TEXT},
    "/templates/{template_id}/approve": {"version": 1, "acknowledged": ["R21"]},
    "/templates/{template_id}/filings": {
        "channel_id": 1,
        "version": 1,
        "state": "filed",
        "reference": "",
        "contacts": ["96110"],
        "links": [],
        "note": "",
    },
    "/channels/{channel_id}/filing": {"required": True},
    "/lint/rules": {
        "levels": {"R14": "review"},
        "hotlines": ["110"],
        "protected_names": ["公安"],
        "link_hosts": ["a.gov.cn"],
        "never_words": {"*": ["xx"]},
        "reason": "r",
    },
    "/departments/{department_id}/sender": {"landlines": ["12345"], "links": True, "reason": "r"},
    "/campaigns": {
        "name": "n",
        "template_id": NOBODY,
        "segment_id": NOBODY,
        "channels": "auto",
        "priority": "bulk",
        "schedule": {},
        "max_tps": 5,
    },
    "/campaigns/{campaign_id}": {
        "name": "n",
        "channels": "auto",
        "priority": "bulk",
        "schedule": {},
        "max_tps": 5,
    },
    "/inbound/{inbound_id}/done": {"note": "n", "opt_out": False},
    "/channels": {**CHANNEL, **SETTLED},
    "/channels/{channel_id}": {
        "name": "n",
        "carriers": ["china_mobile"],
        "config": {},
        "tps": 1,
        "held_until": None,
        **SETTLED,
    },
    "/channels/codes": {**CODE, "reason": "other", "note": "n"},
}
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


WITH_BODY = [op for op in OPS if op.body is not None and not op.takes_file]


@pytest.mark.parametrize("op", WITH_BODY, ids=lambda op: f"{op.method} {op.path}")
async def test_no_body_is_a_crash(api: Api, op: Op) -> None:
    document = (await api.get("/openapi.json", None)).json
    documented = document["paths"][PREFIX + op.path][op.method.lower()]["responses"]
    async with transaction(api.runtime.pool) as conn:
        team = api.teams["county"]
        draft = await make_draft(conn, team.operator, now=api.clock.at)
        if op.path.endswith(("pause", "cancel", "release", "resume")):
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


@pytest.mark.parametrize("op", [op for op in OPS if op.query is not None], ids=lambda op: op.path)
async def test_no_query_is_a_crash(api: Api, op: Op) -> None:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    there = {"campaign_id": draft.id, "department_id": api.teams["county"].department_id}
    path = _address(op, there)
    assert op.query is not None
    for name in op.query.model_fields:
        for odd in ("", "%00", "%ff", "%F0%9F%80%84", "-1", "1e9", "9" * 30, "a" * 5_000):
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
