"""Idempotency-Key: one effect and one answer, whatever is sent twice, and even at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import FormData
from pydantic import BaseModel

from service.accounts.people.model import Right
from service.api.http import store
from service.api.http.idempotency import REPLAYED
from service.api.http.store import KEPT, delete_old_answers
from service.api.routes import OPS
from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.harness.description import description
from tests.harness.keys import active_key
from tests.integration.api.conftest import Api

OPERATOR, ADMIN = ("county", "operator"), ("county", "admin")
BODY = {"name": "家长", "rule": "身份 = 家长"}


def _key(key: str) -> dict[str, Any]:
    return {"headers": {"Idempotency-Key": key}}


async def test_the_same_request_gets_the_same_answer(api: Api) -> None:
    first = await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    again = await api.post("/segments", OPERATOR, dict(reversed(BODY.items())), **_key("k1"))
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len((await api.get("/segments", OPERATOR)).json["items"]) == 1


async def test_another_request_under_the_key_is_refused(api: Api) -> None:
    await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    body = {**BODY, "name": "别的"}
    for path, sent in (("/segments", body), ("/segments/preview", {"rule": BODY["rule"]})):
        refused = await api.post(path, OPERATOR, sent, **_key("k1"))
        assert refused.status == 422
        assert refused.json["type"] == "/problems/idempotency_key_reused"


async def test_keys_of_different_users_do_not_meet(api: Api) -> None:
    await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    other = await api.post("/segments", ("school", "operator"), BODY, **_key("k1"))
    assert other.status == 201
    assert "Idempotent-Replayed" not in other.headers


async def test_keys_of_one_user_do_not_meet_either(api: Api) -> None:
    """One may be narrower than the other: it must not learn what that was told."""
    first = await api.post("/segments", ADMIN, BODY, **_key("k1"))
    other = await active_key(api, "admin")
    made = await api.post("/segments", other["token"], BODY | {"name": "别的"}, **_key("k1"))
    assert made.status == 201
    assert made.json["id"] != first.json["id"]
    new = await api.post(f"/keys/{other['id']}/rotate", other["token"], {})  # the same grant
    again = await api.post("/segments", new.json["token"], BODY | {"name": "别的"}, **_key("k1"))
    assert (again.body, again.headers["Idempotent-Replayed"]) == (made.body, "true")


async def test_a_failed_request_may_be_tried_again(api: Api) -> None:
    assert (await api.post("/segments", OPERATOR, {"name": "n"}, **_key("k1"))).status == 422
    assert (await api.post("/segments", OPERATOR, BODY, **_key("k1"))).status == 201


@pytest.mark.attack
async def test_many_at_once_have_one_effect(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.post("/segments", OPERATOR, BODY, **_key("k1")) for _ in range(50))
    )
    statuses = sorted(answer.status for answer in answers)
    assert statuses.count(201) >= 1
    assert set(statuses) <= {201, 409}
    refused = [answer for answer in answers if answer.status == 409]
    assert {answer.json["type"] for answer in refused} <= {"/problems/in_progress"}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert len((await api.get("/segments", OPERATOR)).json["items"]) == 1


async def test_an_answer_that_is_committed_while_it_is_looked_for_is_found(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the act itself is refused, for it has been done; that is nobody's answer."""
    first = await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    look: Any = store.take_key
    looks: list[Any] = []

    async def too_early(*arguments: Any) -> Any:
        looks.append(row := await look(*arguments))
        return row if len(looks) > 1 else {**row, "stored": False}

    monkeypatch.setattr(store, "take_key", too_early)
    again = await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    assert (again.status, again.body) == (201, first.body)
    assert again.headers[REPLAYED] == "true"
    monkeypatch.undo()
    refused = await api.post("/segments", OPERATOR, BODY, **_key("k2"))
    assert (refused.status, refused.json["type"]) == (409, "/problems/conflict")


async def test_one_in_progress_is_a_conflict(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        key = await conn.fetchval(
            "SELECT id FROM keys WHERE user_id = $1", api.teams["county"].operator.id
        )
        await conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"idempotency {key} k1"
        )
        refused = await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    assert refused.status == 409
    assert refused.json["type"] == "/problems/in_progress"


async def _person(api: Api) -> str:
    """The id of a contact of the county."""
    async with transaction(api.runtime.pool) as conn:
        county = api.teams["county"].department_id
        await make_contact(conn, api.runtime.keyring, county, 1, now=api.clock.at)
        return str(await conn.fetchval("SELECT id FROM contacts"))


async def test_what_is_shown_for_once_is_done_once_and_not_kept(api: Api) -> None:
    viewer, contact = str(api.teams["county"].viewer.id), await _person(api)
    hook = {"url": "https://sms.example.gov.cn/tocsin", "events": ["run.finished"]}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/keys", {"user_id": viewer, "name": "k"}),
        (f"/users/{viewer}/password", {}),
        ("/webhooks", hook),
        (f"/contacts/{contact}/unmask", {"reason": "r"}),
        ("/privacy/lookup", {"phone": phone(1), "reason": "r"}),
    ]
    for n, (path, body) in enumerate(asked):
        first = await api.post(path, ADMIN, body, **_key(f"k{n}"))
        assert first.status in {200, 201}, first.body
        again = await api.post(path, ADMIN, body, **_key(f"k{n}"))
        assert (again.status, again.json["type"]) == (409, "/problems/answered_once"), path
    async with transaction(api.runtime.pool) as conn:
        kept = await conn.fetch("SELECT body FROM idempotency")
        assert [row["body"] for row in kept] == [None] * len(asked)
        assert await conn.fetchval("SELECT count(*) FROM webhooks") == 1
        assert await conn.fetchval("SELECT count(*) FROM disclosures") == 2


def test_no_answer_with_a_secret_or_a_person_is_kept() -> None:
    """Told by the names of what is answered, whichever operation may come to answer it."""
    secrets = {"token", "secret", "password", "recovery_codes", "uri"}
    for op in OPS:
        if not op.is_once:
            continue
        fields = set(op.out.model_fields) if op.out and issubclass(op.out, BaseModel) else set()
        reveals = op.right in {Right.UNMASK, Right.PRIVACY} and op.name != "erase_person"
        reveals |= op.name == "take_visit_list"  # names in full
        assert op.replayable == (not fields & secrets and not reveals), op.name


def test_the_document_offers_the_header_where_it_does_something() -> None:
    offered = {
        operation["operationId"]
        for item in description()["paths"].values()
        for operation in item.values()
        if any(given["name"] == "Idempotency-Key" for given in operation.get("parameters", ()))
    }
    assert offered == {op.name for op in OPS if op.is_once}
    assert offered & {"login", "test_channel", "export_suppressions", "list_campaigns"} == set()
    assert {"create_campaign", "create_key", "create_import", "send_messages"} <= offered


def _form(content: bytes) -> FormData:
    form = FormData()
    form.add_field("roster", "名单")
    form.add_field("file", content, filename="f.csv", content_type="text/csv")
    return form


async def test_an_upload_is_told_by_its_fields_and_its_file(api: Api) -> None:
    first = await api.post("/imports", OPERATOR, data=_form(b"phone\n1"), **_key("k1"))
    again = await api.post("/imports", OPERATOR, data=_form(b"phone\n1"), **_key("k1"))
    other = await api.post("/imports", OPERATOR, data=_form(b"phone\n2"), **_key("k1"))
    assert (first.status, again.status, other.status) == (202, 202, 422)
    assert first.body == again.body
    async with transaction(api.runtime.pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM imports") == 1


async def test_an_answer_without_a_body_is_kept_too(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        key = await conn.fetchval(
            "SELECT id FROM keys WHERE user_id = $1", api.teams["county"].viewer.id
        )
    for replayed in (None, "true"):
        answer = await api.post(f"/keys/{key}/revoke", ADMIN, **_key("k1"))
        assert answer.status == 204
        assert answer.headers.get("Idempotent-Replayed") == replayed


async def test_a_malformed_key_is_refused(api: Api) -> None:
    for key in ("", "x" * 256, "é"):
        assert (await api.post("/segments", OPERATOR, BODY, **_key(key))).status == 400


async def test_old_answers_are_forgotten(api: Api) -> None:
    await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    async with transaction(api.runtime.pool) as conn:
        assert await delete_old_answers(conn, api.clock.at + KEPT) == 0
        assert await delete_old_answers(conn, api.clock.at + KEPT + timedelta(seconds=1)) == 1
