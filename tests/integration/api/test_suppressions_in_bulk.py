"""Many numbers on lists that count for all departments: they wait for a second person, and what a
department has entered is seen and taken back by the county.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import FormData

from service.audience.suppressions.suppression_entries import EntryBounds
from service.storage.postgres import CheckViolation, transaction
from tests.factories import make_contact, make_token, make_user, phone
from tests.harness.keys import second_admin
from tests.harness.owner import as_owner
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")
OPERATOR = ("school", "operator")
EVERYBODY = range(1, 61)
WHY = {"reason": "已核对"}
Who = tuple[str, str] | str


async def enter(api: Api, numbers: Iterable[int], who: Who = OPERATOR, **more: Any) -> Answer:
    body = {"phones": [phone(n) for n in numbers], "reason": "protected", **more}
    made = await api.post("/suppressions", who, body)
    assert made.status == 201, made.body
    return made


async def upload(api: Api, numbers: Iterable[int], who: Who = OPERATOR, **more: str) -> Answer:
    form = FormData({"reason": "protected", **more})
    lines = "\n".join(["手机号", *(phone(n) for n in numbers)])
    form.add_field("file", lines.encode(), filename="list.csv", content_type="text/csv")
    made = await api.call("POST", "/suppressions/imports", who, data=form)
    assert made.status == 200, made.body
    return made


async def stopped(api: Api) -> int:
    """How many numbers are sent nothing."""
    query = "SELECT count(DISTINCT phone_hash) FROM suppressions"
    count: int = await api.runtime.pool.fetchval(query)
    return count


async def decide(api: Api, entry: str, act: str, who: Who) -> Answer:
    return await api.post(f"/suppressions/entries/{entry}/{act}", who, WHY)


@pytest.mark.attack
@pytest.mark.parametrize("reason", ["protected", "complaint", "dead_number"])
async def test_one_person_of_a_department_silences_nobody_in_bulk(api: Api, reason: str) -> None:
    """Neither in one request nor by a file; and nobody of the department lets it count."""
    by_json = await enter(api, EVERYBODY, reason=reason)
    by_file = await upload(api, EVERYBODY, reason=reason)
    assert await stopped(api) == 0
    looked = await api.post("/suppressions/lookup", ADMIN, {"phone": phone(1)})
    assert looked.json["items"] == []
    waiting = by_json.json["waiting"]
    assert (waiting["state"], waiting["numbers"], by_json.json["added"]) == ("waits", 60, 0)
    counts = [by_file.json[name] for name in ("numbers", "added", "known")]
    assert (counts, by_file.json["waiting"]["numbers"]) == ([60, 0, 0], 60)
    for who, status in ((OPERATOR, 403), (("school", "admin"), 403), (("county", "operator"), 404)):
        assert (await decide(api, waiting["id"], "count", who)).status == status
    work = {kind["kind"]: kind for kind in (await api.get("/work", ADMIN)).json["items"]}
    assert work["held_suppressions"]["count"] == 2
    listed = (await api.get("/suppressions/entries?waiting=true", ADMIN)).json["items"]
    assert [entry["id"] for entry in listed] == [by_file.json["waiting"]["id"], waiting["id"]]
    assert {entry["entered_by"] for entry in listed} == {str(api.teams["school"].operator.id)}
    assert phone(1)[-8:] not in str(listed)
    counted = await decide(api, waiting["id"], "count", ADMIN)
    assert (counted.status, counted.json["state"]) == (200, "counts")
    assert await stopped(api) == 60
    (item,) = (await api.post("/suppressions/lookup", ADMIN, {"phone": phone(1)})).json["items"]
    assert (item["reason"], "warning" in item["classes"]) == (reason, True)
    assert (await decide(api, waiting["id"], "count", ADMIN)).status == 409
    dropped = await decide(api, by_file.json["waiting"]["id"], "drop", ADMIN)
    assert (dropped.json["state"], await stopped(api)) == ("dropped", 60)


@pytest.mark.attack
async def test_an_administrator_of_the_county_does_not_let_their_own_count(api: Api) -> None:
    """Nor does whoever counts as them, nor the database."""
    entry = (await enter(api, EVERYBODY, ADMIN)).json["waiting"]["id"]
    refused = await decide(api, entry, "count", ADMIN)
    assert (refused.status, refused.json["type"]) == (403, "/problems/second_person_needed")
    admin = api.teams["county"].admin
    async with transaction(api.runtime.pool) as conn:
        twin = await make_user(
            conn, *admin.roles, now=api.clock.at, department_id=admin.department_id
        )
        token = await make_token(conn, api.runtime.keyring, twin, api.clock.at)
        await conn.execute(
            "INSERT INTO given_passwords (user_id, given_by, counted_at) VALUES ($1, $2, $3)",
            twin.id,
            admin.id,
            api.clock.at,
        )
    assert (await decide(api, entry, "count", token)).status == 403
    by = "UPDATE suppression_entries SET decision = 'count', decision_reason = 'r',"
    for person in (admin, twin):
        with pytest.raises(CheckViolation):
            await api.runtime.pool.execute(
                f"{by} decided_by = $1, decided_at = $2", person.id, api.clock.at
            )
    with pytest.raises(CheckViolation, match="second person"):
        await api.runtime.pool.execute(
            """
            INSERT INTO suppressions (phone_hash, reason, created_at, entry_id)
            SELECT phone_hash, 'protected', $1, entry_id FROM held_suppressions
            """,
            api.clock.at,
        )
    assert await stopped(api) == 0
    assert (await decide(api, entry, "count", await second_admin(api))).status == 200
    assert await stopped(api) == 60


@pytest.mark.attack
async def test_many_small_requests_of_several_persons_are_many_numbers(api: Api) -> None:
    """By all ways and for all reasons together; a number that is stopped already is none more."""
    reasons = ["protected", "complaint", "dead_number", "protected", "complaint"]
    for n, reason in enumerate(reasons):
        who = ("school", "admin") if n % 2 else OPERATOR
        by = enter if n % 3 else upload
        made = await by(api, range(n * 10 + 1, n * 10 + 11), who, reason=reason)
        assert (made.json["added"], made.json["waiting"]) == (10, None)
    again = await upload(api, range(1, 11))
    assert (again.json["known"], again.json["waiting"]) == (10, None)
    for who in (OPERATOR, ("school", "admin")):
        assert (await enter(api, [99], who)).json["waiting"]["numbers"] == 1
    assert (await enter(api, [98], ("county", "operator"))).json["added"] == 1, "its own bounds"
    longer = await enter(api, [11], reason="complaint", expires_at="2028-01-01T00:00:00Z")
    assert longer.json["waiting"] is None, "it is stopped for good"
    assert await stopped(api) == 51
    await api.runtime.pool.execute("UPDATE suppressions SET expires_at = $1", api.clock.at)
    renewed = await enter(api, [11], reason="complaint")
    assert renewed.json["waiting"]["numbers"] == 1, "what has passed is new"


@pytest.mark.attack
async def test_of_requests_at_once_no_more_pass_than_there_is_room_for(api: Api) -> None:
    made = await asyncio.gather(*(enter(api, range(n, n + 20)) for n in range(1, 101, 20)))
    assert sorted(answer.json["added"] for answer in made) == [0, 0, 0, 20, 20]
    assert await stopped(api) == 40


@pytest.mark.attack
async def test_day_by_day_no_more_than_a_share_of_the_people(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "service.api.audience.suppressions.bounds_of", lambda _: EntryBounds(2, 0.5)
    )
    department = api.teams["school"].department_id
    async with transaction(api.runtime.pool) as conn:
        for n in range(10):
            await make_contact(conn, api.runtime.keyring, department, n, now=api.clock.at)
    for n in (1, 3):
        assert (await enter(api, [n, n + 1])).json["added"] == 2
        api.clock.at += timedelta(hours=24, seconds=1)
    assert (await enter(api, [5, 6])).json["waiting"]["numbers"] == 2, "more than half of them"
    assert (await enter(api, [5])).json["added"] == 1
    api.clock.at += timedelta(days=30)
    assert (await enter(api, [7, 8])).json["added"] == 2


@pytest.mark.attack
async def test_the_county_takes_back_what_a_department_entered_and_nothing_else(api: Api) -> None:
    """Whom another department protects rightly stays protected, whoever entered it first."""
    theirs = await enter(api, range(1, 41), note="测试")
    ours = await enter(api, [2, 3], ("county", "operator"), owner="信访局")
    assert ours.json["waiting"] is None
    (last, first) = (await api.get("/suppressions/entries", ADMIN)).json["items"]
    assert (first["numbers"], first["note"], first["state"]) == (40, "测试", "counts")
    assert first["entered_by"] == str(api.teams["school"].operator.id)
    mine = (await api.get("/suppressions/entries", OPERATOR)).json["items"]
    assert [entry["id"] for entry in mine] == [first["id"]]
    assert (await decide(api, last["id"], "drop", OPERATOR)).status == 404
    assert (await decide(api, first["id"], "drop", ADMIN)).status == 200
    left = (await api.get("/suppressions", ADMIN)).json["items"]
    assert {(item["owner"], item["created_by"]) for item in left} == {
        ("信访局", str(api.teams["county"].operator.id))
    }
    assert len(left) == 2
    assert (await decide(api, first["id"], "drop", ADMIN)).status == 409
    assert theirs.json["added"] == 40
    (entry,) = (await api.get("/audit?action=drop_suppression_entry", ADMIN)).json["items"]
    assert (entry["object_id"], entry["details"]["numbers"]) == (first["id"], 40)


async def test_refusals_count_at_once_and_are_seen(api: Api) -> None:
    """They stop no warning; the county takes back a list that nobody sent in."""
    made = await upload(api, EVERYBODY, reason="opted_out")
    assert (made.json["added"], made.json["waiting"]) == (60, None)
    (entry,) = (await api.get("/suppressions/entries", ADMIN)).json["items"]
    assert (entry["reason"], entry["numbers"], entry["state"]) == ("opted_out", 60, "counts")
    assert (await decide(api, entry["id"], "count", ADMIN)).status == 409
    assert (await decide(api, entry["id"], "drop", OPERATOR)).status == 200
    assert await stopped(api) == 0


async def test_what_waits_past_its_end_is_dropped(api: Api) -> None:
    soon = (api.clock.at + timedelta(hours=1)).isoformat()
    entry = (await enter(api, EVERYBODY, expires_at=soon)).json["waiting"]["id"]
    api.clock.at += timedelta(hours=2)
    assert (await decide(api, entry, "count", ADMIN)).status == 409
    assert (await decide(api, entry, "drop", ADMIN)).status == 200
    kept = "SELECT count(*) FROM held_suppressions"
    assert await api.runtime.pool.fetchval(kept) == 0


WATCHED = """
    CREATE TABLE under_lock (tables text, held boolean);
    GRANT SELECT, INSERT ON under_lock TO PUBLIC;
    CREATE FUNCTION note_lock() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO under_lock SELECT TG_TABLE_NAME, EXISTS (
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND mode = 'ExclusiveLock'
              AND (classid::bigint << 32 | objid::bigint) = hashtextextended('suppressions', 0));
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_lock AFTER INSERT OR UPDATE OR DELETE ON suppressions
        FOR EACH STATEMENT EXECUTE FUNCTION note_lock();
    CREATE TRIGGER note_lock AFTER INSERT OR UPDATE OR DELETE ON suppression_entries
        FOR EACH STATEMENT EXECUTE FUNCTION note_lock();
    CREATE TRIGGER note_lock AFTER INSERT OR UPDATE OR DELETE ON held_suppressions
        FOR EACH STATEMENT EXECUTE FUNCTION note_lock();
    CREATE TRIGGER note_lock AFTER INSERT ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION note_lock();
"""
"""Notes of each statement that writes one of these tables whether marks wait for it."""


async def test_marks_wait_for_none_of_the_rows_however_many(api: Api) -> None:
    """Neither for a request, nor a list, nor one that a second person lets count: only for what is
    written down at the end of each.
    """
    await as_owner(api.runtime.pool, WATCHED)
    refused = {"reason": "opted_out"}
    await enter(api, range(1, 1_001), **refused)
    await upload(api, range(500, 3_000), **refused)
    waiting = (await enter(api, EVERYBODY)).json["waiting"]
    assert (await decide(api, waiting["id"], "count", ADMIN)).status == 200
    assert await stopped(api) == 2_999
    rows = await api.runtime.pool.fetch("SELECT tables, held FROM under_lock")
    seen = {(row["tables"], row["held"]) for row in rows}
    assert seen == {
        ("suppressions", False),
        ("suppression_entries", False),
        ("held_suppressions", False),
        ("audit_entries", False),  # of the request that waits
        ("audit_entries", True),
    }
    assert sum(row["held"] for row in rows) == 3
