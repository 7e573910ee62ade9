"""The people behind counts of coverage: masked, for a purpose, each once, of the own runs alone."""

import json
from typing import Any
from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.reports.coverage import people
from service.reports.coverage.counting import count_coverage
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.people import ListedRuns, WantedPeople
from service.storage.postgres import transaction
from tests.harness.sending import PEOPLE, Sending, begin_sending
from tests.integration.api.conftest import Answer, Api

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")
STRANGER, INSPECTOR = ("school", "viewer"), ("county", "inspector")
VILLAGE, OTHER, TOWN = "341825100001", "341825100002", "341825100000"


@pytest.fixture
async def sending(api: Api) -> Sending:
    """A counted run to 20 people: half of them reached, others failed, silent, and one left out."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    sending = await begin_sending(api)
    pool = api.runtime.pool
    await pool.execute("UPDATE messages SET area_code = $1 WHERE no <= 10", VILLAGE)
    await pool.execute("UPDATE messages SET area_code = $1 WHERE no > 10", OTHER)
    await pool.execute("UPDATE messages SET area_code = NULL WHERE no = 20")
    await sending.become("delivered", range(1, 11))
    await sending.become("undelivered", [11, 12], "empty_number")
    await sending.become("unknown", [13], "no_receipt")
    await pool.execute(
        "INSERT INTO exclusions (run_id, phone_hash, reason, area_code, roles)"
        " VALUES ($1, decode(md5('x'), 'hex'), 'opted_out', $2, '{finance}')",
        sending.run,
        VILLAGE,
    )
    while await count_coverage(pool, api.clock):
        pass
    return sending


async def asked(api: Api, query: str, who: tuple[str, str] = VIEWER) -> Answer:
    return await api.get(f"/reports/coverage/people?{query}", who)


async def listed(api: Api, query: str, who: tuple[str, str] = VIEWER) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await asked(api, f"{query}&purpose=follow_up{cursor}", who)
        assert answer.status == 200, answer.body
        found += answer.json["items"]
        if answer.json["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.json['next_cursor']}"


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_each_person_is_listed_once_with_the_best_outcome(
    api: Api, sending: Sending, limit: int
) -> None:
    found = await listed(api, f"run={sending.run}&limit={limit}")
    counts = dict.fromkeys(PersonOutcome, 0)
    for person in found:
        counts[person["outcome"]] += 1
    report = (await api.get(f"/reports/coverage?run={sending.run}", VIEWER)).json["total"]
    assert counts == {outcome: report[outcome] for outcome in PersonOutcome}
    assert len({person["message_id"] for person in found}) == PEOPLE + 1
    assert all(person["phone"] is None or "****" in person["phone"] for person in found)


async def test_people_are_asked_for_by_outcome_reason_area_and_role(
    api: Api, sending: Sending
) -> None:
    run = f"run={sending.run}"
    failed = await listed(api, f"{run}&outcome=failed")
    assert [person["reason"] for person in failed] == ["empty_number"] * 2
    assert len(await listed(api, f"{run}&reason=no_receipt")) == 1
    assert len(await listed(api, f"{run}&area={VILLAGE}")) == 11
    assert len(await listed(api, f"{run}&area={TOWN}")) == PEOPLE
    assert len(await listed(api, f"{run}&area=none")) == 1
    (left_out,) = await listed(api, f"{run}&role=finance&outcome=excluded")
    assert (left_out["phone"], left_out["reason"]) == (None, "opted_out")
    assert len(await listed(api, f"campaign={sending.campaign}")) == PEOPLE + 1
    assert len(await listed(api, "quarter=2027-Q1")) == PEOPLE + 1
    for wrong in ("area=999", "role=nobody"):
        assert (await asked(api, f"{run}&purpose=visit&{wrong}")).status in {404, 422}


@pytest.mark.attack
async def test_who_looks_says_why_and_it_is_written_down(api: Api, sending: Sending) -> None:
    run = f"run={sending.run}"
    without = await asked(api, run)
    assert (without.status, list(without.json["fields"])) == (422, ["purpose"])
    assert (await asked(api, f"{run}&purpose=visit", STRANGER)).status == 404
    assert (await asked(api, f"{run}&purpose=visit", INSPECTOR)).status == 403
    assert (await asked(api, f"{run}&purpose=visit&cursor=zz")).status == 422
    assert (await asked(api, f"{run}&purpose=visit&limit=101")).status == 422
    await asked(api, f"{run}&purpose=complaint&outcome=failed")
    entry = await api.runtime.pool.fetchrow(
        "SELECT * FROM audit_entries WHERE action = 'list_covered_people' ORDER BY id DESC LIMIT 1"
    )
    assert entry is not None
    told = json.dumps(dict(entry), default=str, ensure_ascii=False)
    assert "complaint" in told
    assert "197" not in told, "no number"


@pytest.mark.attack
async def test_a_carriers_subscribers_are_counted_and_not_listed(api: Api) -> None:
    sending = await begin_sending(api, "school")
    await api.runtime.pool.execute(
        "UPDATE departments SET kind = 'carrier', carrier = 'china_mobile' WHERE id = $1",
        api.teams["school"].department_id,
    )
    while await count_coverage(api.runtime.pool, api.clock):
        pass
    counts = await api.get(f"/reports/coverage?run={sending.run}", ADMIN)
    assert counts.status == 200, counts.body
    assert counts.json["total"]["on_file"] == PEOPLE
    refused = await asked(api, f"run={sending.run}&purpose=visit", ADMIN)
    assert (refused.status, refused.json["type"]) == (403, "/problems/subscriber_base")
    assert await listed(api, f"run={sending.run}", STRANGER), "to the carrier itself they are"


async def test_of_two_runs_each_person_has_the_best(api: Api, sending: Sending) -> None:
    """The second run has reached who the first had not; stretches cut both at different places."""
    pool = api.runtime.pool
    second = UUID("01f00000-0000-7000-8000-000000000000")
    await pool.execute(
        "INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles,"
        " state) SELECT $2, no, phone_hash, phone_cipher, channel_id, carrier, roles, 'delivered'"
        " FROM messages WHERE run_id = $1 AND no IN (2, 3, 11, 12, 19)",
        sending.run,
        second,
    )
    async with transaction(pool) as conn:
        runs = ListedRuns([sending.run, second], PEOPLE)
        found: list[Any] = []
        after: bytes | None = b""
        while after is not None:
            page = await people.list_people(conn, runs, WantedPeople(), after, 3)
            found += page.rows
            after = page.after
    by_no = {(row["run_id"], row["no"]) for row in found}
    assert len(found) == len({row["phone_hash"] for row in found}) == PEOPLE + 1
    assert {(second, 11), (second, 12), (second, 19)} <= by_no
