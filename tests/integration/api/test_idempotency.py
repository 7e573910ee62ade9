"""Idempotency-Key: one effect and one answer, whatever is sent twice, and even at once."""

import asyncio
from datetime import timedelta
from typing import Any

from aiohttp import FormData

from service.api.store import KEPT, delete_old_answers
from service.storage.postgres import transaction
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


async def test_a_failed_request_may_be_tried_again(api: Api) -> None:
    assert (await api.post("/segments", OPERATOR, {"name": "n"}, **_key("k1"))).status == 422
    assert (await api.post("/segments", OPERATOR, BODY, **_key("k1"))).status == 201


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


async def test_one_in_progress_is_a_conflict(api: Api) -> None:
    user = api.teams["county"].operator
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"idempotency {user.id} k1"
        )
        refused = await api.post("/segments", OPERATOR, BODY, **_key("k1"))
    assert refused.status == 409
    assert refused.json["type"] == "/problems/in_progress"


async def test_a_token_is_answered_again_but_not_stored_in_clear(api: Api) -> None:
    body = {"user_id": str(api.teams["county"].viewer.id), "name": "k"}
    first = await api.post("/keys", ADMIN, body, **_key("k1"))
    again = await api.post("/keys", ADMIN, body, **_key("k1"))
    token = first.json["token"]
    assert again.json["token"] == token
    async with transaction(api.runtime.pool) as conn:
        stored = await conn.fetchval("SELECT body FROM idempotency")
        hashes = await conn.fetch("SELECT token_hash FROM keys")
    assert token.encode() not in stored
    assert all(token.encode() not in row["token_hash"] for row in hashes)


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
