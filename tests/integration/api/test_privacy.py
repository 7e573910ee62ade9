"""Numbers in full only by right, for a reason, and noted; who has my number; being erased."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from service.audience.imports import staging_store
from service.audience.imports.loading import run_import
from service.privacy.erasure_store import delete_left_behind
from service.storage.postgres import transaction
from tests.factories import make_contact, make_draft, phone
from tests.harness.waiting import until_blocked
from tests.integration.api.conftest import Api

ADMIN, SCHOOL = ("county", "admin"), ("school", "admin")
WHY = {"reason": "王小明来电要求核实"}
NATIONAL = "19790000001"


async def contact_of(api: Api, department: str, number: int = 1) -> str:
    async with transaction(api.runtime.pool) as conn:
        team = api.teams[department]
        await make_contact(conn, api.runtime.keyring, team.department_id, number, now=api.clock.at)
        found = await conn.fetchval(
            "SELECT id FROM contacts WHERE department_id = $1 AND phone_hash = $2",
            team.department_id,
            api.runtime.keyring.phone_index(phone(number)),
        )
        return str(found)


async def run_of(api: Api, department: str, state: str = "delivered", number: int = 1) -> UUID:
    """A run with one message to the number."""
    team = api.teams[department]
    keyring = api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, team.operator, now=api.clock.at)
        run: UUID = await conn.fetchval(
            """
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, send_hours, timezone, created_at)
            VALUES ($1, $2, $3, 'running', 'normal', 'service', '请注意', '', '[]', '', $3)
            RETURNING id
            """,
            draft.id,
            team.department_id,
            api.clock.at,
        )
        await conn.execute(
            """
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, name_cipher, channel_id,
                                  carrier, roles, state, attempt, final_at)
            VALUES ($1, 1, $2, $3, $4, 1, 'china_mobile', '{}', $5, $6, $7)
            """,
            run,
            keyring.phone_index(phone(number)),
            keyring.encrypt("phone", phone(number)),
            keyring.encrypt("name", "王小明"),
            state,
            0 if state == "queued" else 1,
            None if state == "queued" else api.clock.at,
        )
    return run


async def upload(api: Api, *members: str) -> UUID:
    """A file of the county that waits to be read."""
    form = FormData()
    form.add_field("roster", "名单")
    text = "手机,姓名\n" + "".join(f"{member},王小明\n" for member in members)
    form.add_field("file", text.encode(), filename="list.csv")
    answer = await api.call("POST", "/imports", ADMIN, data=form)
    assert answer.status == 202, answer.body
    return UUID(answer.json["id"])


async def read(api: Api, import_id: UUID) -> None:
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, import_id, api.clock.at)


async def people(api: Api) -> int:
    count: int = await api.runtime.pool.fetchval("SELECT count(*) FROM contacts")
    return count


@pytest.mark.attack
async def test_what_was_seen_in_full_is_noted_with_its_reason(api: Api) -> None:
    contact, run = await contact_of(api, "school"), await run_of(api, "school")
    for path in (f"/contacts/{contact}/unmask", f"/runs/{run}/messages/1/unmask"):
        answer = await api.post(path, SCHOOL, WHY)
        assert answer.status == 200
        assert (answer.json["phone"], answer.json["name"]) == (phone(1), "王小明")
        (entry,) = (await api.get("/audit?limit=1", SCHOOL)).json["items"]
        assert entry["details"]["disclosure"] == answer.json["disclosure_id"]
        assert entry["object_id"] in path.replace("/messages/", ".")
    found = (await api.post("/privacy/lookup", SCHOOL, {"phone": NATIONAL, **WHY})).json
    assert [(d["kind"], d["reason"]) for d in found["disclosures"]] == [
        ("contact", WHY["reason"]),
        ("message", WHY["reason"]),
    ]
    stored = await api.runtime.pool.fetch(
        "SELECT d::text FROM disclosures d UNION ALL SELECT e::text FROM audit_entries e"
    )
    for secret in ("王小明", NATIONAL):
        assert not any(secret in row[0] or secret.encode().hex() in row[0] for row in stored)


@pytest.mark.attack
async def test_nobody_of_14_to_17_is_shown_in_full(api: Api) -> None:
    contact, run = await contact_of(api, "school"), await run_of(api, "school")
    other = await run_of(api, "school", number=2)  # of somebody who is on no list any more
    for age_band, status in (("14-17", 409), ("18-25", 200)):
        await api.runtime.pool.execute("UPDATE contacts SET age_band = $1", age_band)
        for path in (f"/contacts/{contact}/unmask", f"/runs/{run}/messages/1/unmask"):
            answer = await api.post(path, SCHOOL, WHY)
            assert answer.status == status, path
            if status == 409:
                assert answer.json["type"] == "/problems/minor_masked"
        assert (await api.post(f"/runs/{other}/messages/1/unmask", SCHOOL, WHY)).status == 200
    noted = await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures")
    assert noted == 4  # what was refused is none


@pytest.mark.attack
@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}])
async def test_without_a_reason_nothing_is_shown(api: Api, body: dict[str, str]) -> None:
    contact = await contact_of(api, "county")
    paths = (f"/contacts/{contact}/unmask", "/privacy/lookup", "/privacy/erase")
    for path in paths:
        answer = await api.post(
            path, ADMIN, body | ({"phone": NATIONAL} if "cont" not in path else {})
        )
        assert answer.status == 422
        assert "reason" in answer.json["fields"]
        assert NATIONAL.encode() not in answer.body
    assert await people(api) == 1


async def test_a_lookup_tells_everything_that_the_caller_sees(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    await read(api, await upload(api, NATIONAL))
    await contact_of(api, "school")
    mine, theirs = await run_of(api, "county"), await run_of(api, "school", "queued")
    await api.post("/suppressions", ADMIN, {"phone": NATIONAL, "reason": "opted_out"})
    whole = (await api.post("/privacy/lookup", ADMIN, {"phone": "+86 197-9000-0001", **WHY})).json
    assert whole["phone"] == "197****0001"
    rosters = {c["department_id"]: [r["roster"] for r in c["rosters"]] for c in whole["contacts"]}
    county, school = (str(api.teams[name].department_id) for name in ("county", "school"))
    assert rosters == {county: ["名单"], school: []}
    assert [(m["run_id"], m["state"], m["text"]) for m in whole["messages"]] == [
        (str(theirs), "queued", "请注意"),
        (str(mine), "delivered", "请注意"),
    ]
    assert [s["reason"] for s in whole["suppressions"]] == ["opted_out"]
    part = (await api.post("/privacy/lookup", SCHOOL, {"phone": NATIONAL, **WHY})).json
    assert {c["department_id"] for c in part["contacts"]} == {school}
    assert [m["run_id"] for m in part["messages"]] == [str(theirs)]
    assert [d["kind"] for d in part["disclosures"]] == ["lookup"]  # over all departments
    nobody = (await api.post("/privacy/lookup", ADMIN, {"phone": "19790000009", **WHY})).json
    assert (nobody["contacts"], nobody["messages"], nobody["suppressions"]) == ([], [], [])


async def erase(api: Api, who: tuple[str, str] = ADMIN) -> Any:
    answer = await api.post("/privacy/erase", who, {"phone": NATIONAL, **WHY})
    assert answer.status == 200, answer.body
    return answer.json


async def test_an_erased_person_is_gone_and_locked_and_still_suppressed(api: Api) -> None:
    contact, sent = await contact_of(api, "county"), await run_of(api, "school")
    waiting = await run_of(api, "county", "queued")
    await contact_of(api, "school")
    await api.post("/suppressions", ADMIN, {"phone": NATIONAL, "reason": "complaint"})
    done = await erase(api)
    assert {k: done[k] for k in ("contacts", "links", "pending", "cancelled", "kept")} == {
        "contacts": 2, "links": 0, "pending": 0, "cancelled": 1, "kept": 1,
    }  # fmt: skip
    assert (await api.post(f"/contacts/{contact}/unmask", ADMIN, WHY)).status == 404
    for run, code in ((sent, "erased"), (waiting, "erased")):
        answer = await api.post(f"/runs/{run}/messages/1/unmask", ADMIN, WHY)
        assert (answer.status, answer.json["type"]) == (409, f"/problems/{code}")
        assert NATIONAL.encode() not in answer.body
    (row,) = (await api.get(f"/runs/{waiting}/messages", ADMIN)).json["items"]
    assert (row["state"], row["reason"], row["phone"]) == ("cancelled", "erased", None)
    report = (await api.get(f"/runs/{waiting}/report", ADMIN)).json
    assert report["states"] == {"cancelled": 1}
    (row,) = (await api.get(f"/runs/{sent}/messages", ADMIN)).json["items"]
    assert (row["state"], row["phone"]) == ("delivered", "197****0001")
    found = (await api.post("/suppressions/lookup", ADMIN, {"phone": NATIONAL})).json["items"]
    assert [s["reason"] for s in found] == ["complaint"]
    looked = (await api.post("/privacy/lookup", ADMIN, {"phone": NATIONAL, **WHY})).json
    assert (looked["contacts"], [e["id"] for e in looked["erasures"]]) == ([], [done["id"]])


async def test_guests_of_trial_keys_are_told_and_erased(api: Api) -> None:
    for who in (("county", "operator"), ("school", "operator")):
        body = {"phones": [NATIONAL, "19790000002"], "note": "局里的人"}
        assert (await api.post("/guests", who, body)).json["added"] == 2
    county, school = (str(api.teams[name].department_id) for name in ("county", "school"))
    for who, seen in ((ADMIN, [county, school]), (SCHOOL, [school])):
        found = (await api.post("/privacy/lookup", who, {"phone": NATIONAL, **WHY})).json["guests"]
        assert [(g["department_id"], g["note"]) for g in found] == [
            (department, "局里的人") for department in seen
        ]
    assert (await erase(api, SCHOOL))["guests"] == 1
    assert (await erase(api))["guests"] == 1
    left = await api.runtime.pool.fetch("SELECT phone_hash FROM guests")
    assert {row["phone_hash"] for row in left} == {api.runtime.keyring.phone_index(phone(2))}
    day = "2027-01-12"
    told = (await api.get(f"/privacy/report?since={day}&until={day}", ADMIN)).json["erased"]
    assert told["guests"] == 2


async def test_a_guest_written_down_during_the_erasure_goes_with_the_next_sweep(api: Api) -> None:
    await erase(api)
    assert (await api.post("/guests", ("county", "operator"), {"phones": [NATIONAL]})).status == 201
    async with api.runtime.pool.acquire() as conn:
        assert await delete_left_behind(conn) == 1  # of the same instant: not anew
    api.clock.at += timedelta(seconds=1)
    assert (await api.post("/guests", ("county", "operator"), {"phones": [NATIONAL]})).status == 201
    async with api.runtime.pool.acquire() as conn:
        assert await delete_left_behind(conn) == 0


async def test_a_department_is_told_who_saw_its_people(api: Api) -> None:
    """Whoever looked: also the county; and nothing of who saw another department's."""
    contact, mine = await contact_of(api, "school"), await contact_of(api, "county")
    run = await run_of(api, "school")
    for path in (f"contacts/{contact}", f"contacts/{mine}", f"runs/{run}/messages/1"):
        assert (await api.post(f"/{path}/unmask", ADMIN, WHY)).status == 200
    await api.post("/privacy/lookup", ADMIN, {"phone": NATIONAL, **WHY})
    await api.post("/privacy/lookup", SCHOOL, {"phone": NATIONAL, **WHY})
    county, school = (str(api.teams[name].department_id) for name in ("county", "school"))
    everything = (await api.post("/privacy/lookup", ADMIN, {"phone": NATIONAL, **WHY})).json
    assert [(d["kind"], d["holder_id"], d["department_id"]) for d in everything["disclosures"]] == [
        ("contact", school, county),
        ("contact", county, county),
        ("message", school, county),
        ("lookup", None, county),
        ("lookup", school, school),
    ]
    theirs = (await api.post("/privacy/lookup", SCHOOL, {"phone": NATIONAL, **WHY})).json
    assert [(d["kind"], d["department_id"]) for d in theirs["disclosures"]] == [
        ("contact", county),
        ("message", county),
        ("lookup", county),
        ("lookup", school),
        ("lookup", county),
    ]


async def test_a_department_erases_its_own_only(api: Api) -> None:
    for name in ("county", "school"):
        await contact_of(api, name)
    theirs, mine = await run_of(api, "county", "queued"), await run_of(api, "school", "queued")
    assert (await erase(api, SCHOOL))["contacts"] == 1
    left = await api.runtime.pool.fetch("SELECT run_id, state::text FROM messages")
    assert {row["run_id"]: row["state"] for row in left} == {theirs: "queued", mine: "cancelled"}
    assert await people(api) == 1
    assert (await api.post(f"/runs/{theirs}/messages/1/unmask", ADMIN, WHY)).status == 200


async def test_who_comes_anew_is_a_person_anew(api: Api) -> None:
    await contact_of(api, "county")
    await erase(api)
    api.clock.at += timedelta(hours=1)
    contact, run = await contact_of(api, "county"), await run_of(api, "county")
    assert (await api.post(f"/contacts/{contact}/unmask", ADMIN, WHY)).status == 200
    assert (await api.post(f"/runs/{run}/messages/1/unmask", ADMIN, WHY)).status == 200
    async with api.runtime.pool.acquire() as conn:
        assert await delete_left_behind(conn) == 0


async def test_a_file_that_came_before_the_erasure_does_not_bring_the_person_back(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    waiting = await upload(api, NATIONAL, "19790000002")
    api.clock.at += timedelta(seconds=1)
    await erase(api)
    api.clock.at += timedelta(seconds=1)
    await read(api, waiting)
    assert await people(api) == 1
    await read(api, await upload(api, NATIONAL))  # a newer file may
    assert await people(api) == 2


@pytest.mark.parametrize("known", [False, True])
async def test_an_import_under_way_does_not_bring_the_person_back(
    api: Api, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """At whatever step the import stands, the erasure answers, and the person stays out."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    if known:
        await read(api, await upload(api, NATIONAL))
    for step in ("merge_contacts", "merge_links", "drop_staging", "delete_erased"):
        for before in (True, False):
            await _erase_at(api, monkeypatch, step, before=before)
            assert await people(api) == 0, (step, before)
            api.clock.at += timedelta(hours=1)
            if known:
                await read(api, await upload(api, NATIONAL))
            else:
                await api.runtime.pool.execute("DELETE FROM contacts")


async def _erase_at(api: Api, monkeypatch: pytest.MonkeyPatch, step: str, *, before: bool) -> None:
    """Erase while an import stands still at a step; only past its last one may that wait."""
    there, go_on = asyncio.Event(), asyncio.Event()
    real = getattr(staging_store, step)

    async def stop(*arguments: Any) -> Any:
        result = None if before else await real(*arguments)
        there.set()
        await go_on.wait()
        return await real(*arguments) if before else result

    waiting = await upload(api, NATIONAL)
    api.clock.at += timedelta(seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(staging_store, step, stop)
        importing = asyncio.create_task(read(api, waiting))
        await there.wait()
        erasing = asyncio.create_task(erase(api))
        if step == "delete_erased" and not before:  # it is about to commit: the erasure waits
            await until_blocked(api.runtime.pool, erasing)
        else:
            await asyncio.wait_for(erasing, 5)
        go_on.set()
        await importing
        await erasing


async def test_what_somebody_held_goes_with_the_next_sweep(api: Api) -> None:
    contact = await contact_of(api, "county")
    async with api.runtime.pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT FROM contacts WHERE id = $1 FOR UPDATE", UUID(contact))
        done = await asyncio.wait_for(erase(api), 5)
    assert (done["contacts"], done["pending"]) == (0, 1)
    async with api.runtime.pool.acquire() as conn:
        assert await delete_left_behind(conn) == 1
    assert await people(api) == 0


async def test_the_report_counts_what_was_erased_and_what_went_by_itself(api: Api) -> None:
    for name in ("county", "school"):
        await contact_of(api, name)
    await erase(api, SCHOOL)
    await erase(api)
    day = "2027-01-12"
    await api.runtime.pool.execute(
        "INSERT INTO retired VALUES ('2027-01-12', 'numbers', 7), ('2027-01-13', 'numbers', 1)"
    )
    answer = await api.get(f"/privacy/report?since={day}&until={day}", ADMIN)
    assert answer.json["retired"] == {"numbers": 7}
    erased = answer.json["erased"]
    assert (erased["persons"], erased["contacts"], erased["cancelled"]) == (1, 2, 0)
    theirs = (await api.get(f"/privacy/report?since={day}&until={day}", SCHOOL)).json["erased"]
    assert (theirs["persons"], theirs["contacts"]) == (1, 1)
    before = (await api.get("/privacy/report?since=2027-01-01&until=2027-01-11", ADMIN)).json
    assert (before["retired"], before["erased"]["persons"]) == ({}, 0)
    for bad in ("since=2027-01-12&until=2027-01-11", "since=2027-01-12&until=9999-12-31"):
        assert (await api.get(f"/privacy/report?{bad}", ADMIN)).status == 422
