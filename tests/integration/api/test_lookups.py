"""Look-ups of a number: each leaves an entry and a disclosure; one person has so many an hour."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from service.storage.postgres import transaction
from tests.factories import make_token, phone
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER = ("county", "admin"), ("school", "operator"), ("school", "viewer")
MOST = 60
LOOKUPS = {
    "/contacts/lookup": "look_up_contacts",
    "/messages/lookup": "look_up_messages",
    "/suppressions/lookup": "look_up_suppressions",
    "/routes/explain": "explain_route",
    "/routes/overrides/lookup": "look_up_override",
}
pytestmark = pytest.mark.attack


@pytest.mark.parametrize(("path", "action"), LOOKUPS.items())
async def test_each_leaves_an_entry_and_counts_as_a_disclosure_to_the_person(
    api: Api, path: str, action: str
) -> None:
    answer = await api.post(path, OPERATOR, {"phone": phone(1)})
    assert answer.status == 200, answer.body
    who = {"phone": phone(1), "reason": "asked by phone"}
    (seen,) = (await api.post("/privacy/lookup", ADMIN, who)).json["disclosures"]
    assert (seen["kind"], seen["user_id"]) == ("lookup", str(api.teams["school"].operator.id))
    assert " / " in seen["reason"]
    entry = await api.runtime.pool.fetchrow(
        "SELECT * FROM audit_entries WHERE action = $1 AND actor_id = $2",
        action,
        api.teams["school"].operator.id,
    )
    assert entry is not None
    assert (entry["object_kind"], entry["object_id"]) == ("disclosures", seen["id"])
    assert phone(1)[-8:] not in str(dict(entry))


async def test_a_mask_of_four_digits_is_not_answered_by_trying(api: Api) -> None:
    """By one person through two keys and all operations: 60 different numbers an hour."""
    async with transaction(api.runtime.pool) as conn:
        other = await make_token(
            conn, api.runtime.keyring, api.teams["school"].operator, api.clock.at
        )
    api.tokens["school", "other key"] = other
    asked = [
        (path, ("school", "operator" if n % 2 else "other key"), {"phone": phone(n)})
        for n in range(1, MOST // 4 + 1)
        for path in LOOKUPS
    ]
    for path, who, body in asked:  # 15 numbers, four times each: the same one again is free
        assert (await api.post(path, who, body)).status == 200
    for n in range(MOST // 4 + 1, MOST + 1):
        api.clock.at += timedelta(seconds=1)
        assert (await api.post("/messages/lookup", OPERATOR, {"phone": phone(n)})).status == 200
    for path in LOOKUPS:
        for who in (OPERATOR, ("school", "other key")):
            refused = await api.post(path, who, {"phone": phone(MOST + 1)})
            assert (refused.status, refused.json["type"]) == (429, "/problems/too_many_lookups")
            left = 3600 - (MOST - MOST // 4)
            assert refused.headers["Retry-After"] == str(left)
    assert (await api.post("/messages/lookup", OPERATOR, {"phone": phone(3)})).status == 200
    assert (await api.post("/messages/lookup", VIEWER, {"phone": phone(MOST + 1)})).status == 200
    api.clock.at += timedelta(seconds=3600)
    assert (await api.post("/messages/lookup", OPERATOR, {"phone": phone(MOST + 1)})).status == 200


async def test_many_at_once_are_counted_one_after_another(api: Api) -> None:
    asked = [
        api.post("/suppressions/lookup", OPERATOR, {"phone": phone(n)}) for n in range(1, MOST + 9)
    ]
    statuses = Counter(answer.status for answer in await asyncio.gather(*asked))
    assert statuses == {200: MOST, 429: 8}
