"""Every operation that changes or gives something out leaves its entry; who may read them.

That the operations as they are do so is asserted for each call of every test of the API
(`Api.call` in conftest.py).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestClient, TestServer

from service import app
from service.accounts.audit.audit import COPIED, INVALID
from service.accounts.audit.audit_store import insert_entry
from service.accounts.audit.sealing import seal_committed
from service.accounts.keys.keys import new_token, token_hash
from service.accounts.login.login import PREFIX as SESSION
from service.accounts.login.session_store import insert_session
from service.accounts.people.model import Right
from service.api.http import reading
from service.api.http.call import Call, Download
from service.api.http.op import Op
from service.api.routes import OPS, PREFIX
from service.errors import Conflict
from service.storage.postgres import transaction
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")


def doing(op: Op, act: Any) -> Op:
    """The operation with a handler that does nothing but `act`."""

    @wraps(op.handler)
    async def handler(call: Call, **_: object) -> object:
        await act(call)
        return Download("text/csv", "f.csv", _no_lines()) if op.out is Download else None

    return replace(op, handler=handler, read_file=None)


async def _no_lines() -> AsyncIterator[str]:
    for line in list[str]():
        yield line


@asynccontextmanager
async def _path_only(op: Op, request: Any, *_: object) -> AsyncIterator[dict[str, Any]]:
    yield reading._path(op, request)


def address(op: Op) -> str:
    values = {name: "7" if kind is int else UUID(int=7) for name, kind in op.parameters.items()}
    return PREFIX + op.path.format(**values)


async def _session(api: Api) -> str:
    """The token of the administrator, who has logged in."""
    token, admin = new_token(SESSION), api.teams["county"].admin.id
    async with transaction(api.runtime.pool) as conn:
        stored = token_hash(api.runtime.keyring, token)
        await insert_session(conn, admin, stored, address="", agent="", now=api.clock.at)
    return token


@pytest.mark.attack
@pytest.mark.parametrize("fails", [False, True])
async def test_no_handler_can_forget_its_entry(
    api: Api, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    async def act(_: Call) -> None:
        if fails:
            raise Conflict("not now")

    monkeypatch.setattr(app, "OPS", tuple(doing(op, act) for op in OPS))
    monkeypatch.setattr(app, "_resources", app._resources.__wrapped__)  # not those made before
    monkeypatch.setattr(reading, "arguments", _path_only)
    session = await _session(api)
    wrong = []
    async with TestClient(TestServer(app.create_app(api.runtime))) as client:
        for op in OPS:
            token = session if op.logged_in else api.tokens[ADMIN]
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.request(op.method, address(op), headers=headers)
            assert answer.status == (409 if fails else 200 if op.out is Download else op.status), op
            rows = await api.runtime.pool.fetch(
                "SELECT * FROM audit_entries WHERE request_id = $1", answer.headers["X-Request-Id"]
            )
            due = not fails and op.audited
            if [row["action"] for row in rows] != ([op.name] if due else []):
                wrong.append(op.path)
            for row in rows:
                assert row["actor_id"] == api.teams["county"].admin.id
                assert row["object_kind"] == op.path.split("/")[1]
                assert (row["object_id"] is not None) == any(
                    kind is not str for kind in op.parameters.values()
                )
    assert wrong == []


def test_only_what_merely_asks_may_leave_none() -> None:
    asking = {op.right for op in OPS if op.changes is False}
    # A leg is previewed by whoever plans it, a relay by whoever may begin it; whether a text is
    # ours is asked without a key; a small picture stands in the list of its report, as figures do.
    assert asking == {Right.READ, Right.PLAN, Right.SEND, Right.REPORTS, None}
    sending = [op.path for op in OPS if op.changes is False and op.right is Right.SEND]
    assert sending == ["/relays/preview"]
    pictures = [op.path for op in OPS if op.changes is False and op.right is Right.REPORTS]
    assert pictures == ["/evidence/{picture_id}/thumbnail"]


@pytest.mark.attack
async def test_an_export_that_breaks_off_has_its_entry(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lines(*_given: object) -> AsyncIterator[str]:
        for _ in range(200):
            yield "x" * 100_000

    monkeypatch.setattr("service.delivery.receipts.unmatched.kept_csv", lines)
    headers = {"Authorization": f"Bearer {api.tokens[ADMIN]}"}
    address = f"{PREFIX}/receipts/unmatched/export"
    async with api.client.get(address, headers=headers) as answer:
        assert answer.status == 200
        assert answer.connection is not None
        assert answer.connection.transport is not None
        answer.connection.transport.abort()
    actions = await api.runtime.pool.fetch("SELECT action FROM audit_entries")
    assert [row["action"] for row in actions] == ["export_unmatched"]


async def test_a_repeated_request_is_one_act(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    for _ in range(3):
        body = {"phone": "19790000001", "reason": "opted_out"}
        answer = await api.post("/suppressions", ADMIN, body, headers=headers)
        assert answer.status == 201
    (item,) = (await api.get("/audit", ADMIN)).json["items"]
    assert (item["action"], item["object_kind"]) == ("create_suppressions", "suppressions")


async def test_entries_are_found_by_who_what_which_and_when(api: Api) -> None:
    for role in ("admin", "operator"):
        body = {"name": role, "rule": "性别 = 女"}
        made = (await api.post("/segments", ("county", role), body)).json
        api.clock.at += timedelta(hours=1)
    await api.patch(f"/segments/{made['id']}", ("county", "operator"), {"name": "新"})
    await seal_committed(api.runtime.pool, api.runtime.keyring)
    await api.post("/segments", ("school", "operator"), {"name": "n", "rule": "性别 = 男"})
    whole = (await api.get("/audit", ADMIN)).json["items"]
    said = [(item["action"], item["seal"]) for item in whole]
    assert said == [
        ("create_segment", None),
        ("edit_segment", 3),
        ("create_segment", 2),
        ("create_segment", 1),
    ]
    operator = str(api.teams["county"].operator.id)
    cases: list[tuple[dict[str, str], list[int]]] = [
        ({"actor_id": operator}, [1, 2]),
        ({"action": "edit_segment"}, [1]),
        ({"object_id": made["id"]}, [1, 2]),
        ({"object_kind": "campaigns"}, []),
        ({"since": whole[1]["at"]}, [0, 1]),
        ({"until": whole[1]["at"]}, [2, 3]),
        ({"limit": "2"}, [0, 1]),
    ]
    for query, wanted in cases:
        page = (await api.get("/audit", ADMIN, params=query)).json
        assert [whole.index(item) for item in page["items"]] == wanted, query
    rest = (
        await api.get("/audit", ADMIN, params={"limit": "2", "cursor": page["next_cursor"]})
    ).json
    assert rest == {"items": whole[2:], "next_cursor": None}
    theirs = (await api.get("/audit", ("school", "admin"))).json["items"]
    assert theirs == whole[:1]


async def test_entries_hold_no_personal_data(api: Api) -> None:
    body = {"phone": "19790001234", "reason": "complaint", "note": "王小明来电"}
    await api.post("/suppressions", ADMIN, body)
    await api.call(
        "PUT",
        "/rosters/r/members",
        ADMIN,
        json={"members": [{"phone": "19790004321", "name": "李四"}]},
    )
    rows = await api.runtime.pool.fetch("SELECT audit_entries::text FROM audit_entries")
    assert len(rows) == 2
    for word in ("19790001234", "0001234", "王小明", "19790004321", "李四"):
        assert not any(word in row[0] for row in rows)


@pytest.mark.attack
async def test_the_entry_is_in_the_transaction_of_the_effect(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def insert_then_break(conn: Any, keyring: Any, act: Any) -> None:
        await insert_entry(conn, keyring, act)
        raise RuntimeError

    monkeypatch.setattr("service.api.http.exchange.insert_entry", insert_then_break)
    answer = await api.post("/segments", ADMIN, {"name": "n", "rule": "性别 = 男"})
    assert answer.status == 500
    async with transaction(api.runtime.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM segments") == 0
        assert await conn.fetchval("SELECT count(*) FROM audit_entries") == 0


@pytest.mark.attack
async def test_what_somebody_else_wrote_into_the_table_is_shown_as_foreign(api: Api) -> None:
    await api.post("/segments", ADMIN, {"name": "n", "rule": "性别 = 女"})
    for actor in ("actor_id", f"'{api.teams['county'].operator.id}'"):
        await api.runtime.pool.execute(
            "INSERT INTO audit_entries (at, via, actor_id, department_id, action, object_kind,"
            " object_id, request_id, request_hash, details, mac)"
            f" SELECT at, via, {actor}, department_id, action, object_kind, object_id, request_id,"
            " request_hash, details, mac FROM audit_entries ORDER BY id LIMIT 1"
        )
    items = (await api.get("/audit", ADMIN)).json["items"]
    assert [item["foreign"] and item["foreign"]["en"] for item in items] == [
        INVALID,
        COPIED,
        None,
    ]


@pytest.mark.attack
async def test_an_edit_says_what_it_changed_and_of_persons_only_that(api: Api) -> None:
    """Old and new, where it is no personal datum; of a long value its hash."""
    school, county = str(api.teams["school"].department_id), ("county", "admin")
    shown = (await api.get(f"/departments/{school}", county)).json
    wanted = {"daily_quota": 500, "leader": "某主任"}
    assert (await api.patch(f"/departments/{school}", county, wanted)).status == 200
    details = await details_of(api, "edit_department")
    assert details["changes"]["daily_quota"] == [shown["daily_quota"], 500]
    assert details["changed"] == ["leader"]
    assert "某主任" not in str(details)

    operator = ("school", "operator")
    segment = (await api.post("/segments", operator, {"name": "r", "rule": "age >= 60"})).json
    rule = {"rule": "age >= 70"}
    assert (await api.patch(f"/segments/{segment['id']}", operator, rule)).status == 200
    details = await details_of(api, "edit_segment")
    assert details["changes"]["rule"] == ["age >= 60", "age >= 70"]
    long = {"rule": " or ".join(f"age = {n % 90 + 10}" for n in range(200))}
    answer = await api.patch(f"/segments/{segment['id']}", operator, long)
    assert answer.status == 200, answer.body
    details = await details_of(api, "edit_segment")
    assert details["changes"]["rule"][0] == "age >= 70"
    assert len(details["changes"]["rule"][1]["sha256"]) == 64


async def details_of(api: Api, action: str) -> dict[str, Any]:
    """What the latest entry of an action says."""
    found: dict[str, Any] = await api.runtime.pool.fetchval(
        "SELECT details FROM audit_entries WHERE action = $1 ORDER BY id DESC LIMIT 1", action
    )
    return found
