"""Coverage: what is counted from the ledger, when, and who sees it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.audience.areas.area_store import load_areas
from service.dispatch.expansion.expand import expand_run
from service.reports.coverage import counting, fact_store, scope_store
from service.reports.coverage.counting import count_coverage
from service.reports.coverage.outcomes import PersonOutcome
from service.storage.postgres import transaction
from tests.harness.sending import PEOPLE, Sending, begin_sending
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER = (("county", role) for role in ("admin", "operator", "viewer"))
STRANGER = ("school", "viewer")
VILLAGE, TOWN, COUNTY = "341825100001", "341825100000", "341825000000"
IDENTITY = [outcome.value for outcome in PersonOutcome]


@pytest.fixture
async def _areas(api: Api) -> None:
    """The areas that the program knows."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)


@pytest.fixture
async def sending(api: Api, _areas: None) -> Sending:
    """A run of the county to 20 people, all of one village."""
    sending = await begin_sending(api)
    await api.runtime.pool.execute("UPDATE messages SET area_code = $1", VILLAGE)
    return sending


async def count(api: Api) -> None:
    """Count all that is due."""
    while await count_coverage(api.runtime.pool, api.clock):
        pass


async def covered(api: Api, query: str, who: tuple[str, str] = VIEWER) -> Any:
    answer = await api.get(f"/reports/coverage?{query}", who)
    assert answer.status == 200, answer.body
    for row in [answer.json["total"], *answer.json["areas"], *answer.json["by_role"].values()]:
        assert row["on_file"] == sum(row[outcome] for outcome in IDENTITY)
        assert row["target"] == row["on_file"] - row["excluded"]
        if row["denominator"] is not None:
            assert row["denominator"] + row["surplus"] == row["on_file"] + row["no_phone"]
    return answer.json


async def recount(api: Api, sending: Sending) -> None:
    answer = await api.post("/reports/coverage/recount", OPERATOR, {"run": str(sending.run)})
    assert answer.status == 202, answer.body


async def settle(sending: Sending) -> None:
    await sending.api.runtime.pool.execute(
        "UPDATE runs SET state = 'sent', settled_at = $2, finished_at = $2 WHERE id = $1",
        sending.run,
        sending.api.clock.at,
    )


async def enter(api: Api, *items: dict[str, Any]) -> None:
    body = {"items": [{"source": "县统计局", "as_of": "2027-01-01", **item} for item in items]}
    answer = await api.call("PUT", "/denominators", OPERATOR, json=body)
    assert (answer.status, answer.json) == (200, {"entered": len(items)})


async def test_a_village_of_ten_phones_is_covered(api: Api, sending: Sending) -> None:
    """Nine on file: five delivered, one suspended, one empty number, one silent, one opted out."""
    pool = api.runtime.pool
    await pool.execute("DELETE FROM messages WHERE no > 8")
    await pool.execute(
        "INSERT INTO exclusions (run_id, phone_hash, reason, area_code, roles)"
        " VALUES ($1, decode(md5('x'), 'hex'), 'opted_out', $2, '{finance}')",
        sending.run,
        VILLAGE,
    )
    await sending.become("delivered", range(1, 6))
    await sending.become("undelivered", [6], "suspended")
    await sending.become("undelivered", [7], "empty_number")
    await sending.become("unknown", [8], "no_receipt")
    await settle(sending)
    await enter(api, {"area": VILLAGE, "kind": "phones", "people": 10})
    await count(api)
    found = await covered(api, f"run={sending.run}&area={TOWN}&level=village")
    row = next(row for row in found["areas"] if row["area"] == VILLAGE)
    assert (found["denominator"], row["denominator"], row["no_phone"]) == ("phones", 10, 1)
    assert (row["on_file"], row["target"], row["reached"]) == (9, 8, 5)
    assert (row["coverage_pct"], row["of_target_pct"]) == ("50.0", "62.5")
    assert row["reasons"] == {"suspended": 1, "empty_number": 1, "no_receipt": 1, "opted_out": 1}
    assert found["by_role"]["finance"]["excluded"] == 1
    # What is sent again to the one that was suspended arrives: one person, and the better outcome.
    again = await pool.fetchval(
        "INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text, rule,"
        " send_hours, timezone, target, created_at, started_at, settled_at, follows, relation)"
        " SELECT campaign_id, department_id, fire_at, 'sent', priority, class, text, rule,"
        " send_hours, timezone, 1, $2, $2, $2, id, 'resend' FROM runs WHERE id = $1 RETURNING id",
        sending.run,
        api.clock.at + timedelta(hours=1),
    )
    await pool.execute(
        "INSERT INTO messages SELECT $2, 1, phone_hash, phone_cipher, name_cipher, channel_id,"
        " carrier, area_code, roles, 'delivered' FROM messages WHERE run_id = $1 AND no = 6",
        sending.run,
        again,
    )
    api.clock.at += timedelta(hours=1)
    await count(api)
    for run in (sending.run, again):
        total = (await covered(api, f"run={run}&area={VILLAGE}&level=village"))["total"]
        assert (total["on_file"], total["target"], total["reached"]) == (9, 8, 6)
        assert (total["coverage_pct"], total["of_target_pct"]) == ("60.0", "75.0")


async def test_an_open_run_is_counted_each_minute_and_a_settled_one_at_once(
    api: Api, sending: Sending
) -> None:
    query = f"run={sending.run}"
    missing = await api.get(f"/reports/coverage?{query}", VIEWER)
    assert (missing.status, missing.json["type"].rpartition("/")[2]) == (404, "not_counted")
    await count(api)
    assert (await covered(api, query))["total"]["open"] == PEOPLE
    await sending.become("delivered", range(1, 11))
    await count(api)
    assert (await covered(api, query))["total"]["reached"] == 0, "a minute has not passed"
    api.clock.at += timedelta(minutes=1, seconds=1)
    await count(api)
    found = await covered(api, query)
    assert (found["total"]["reached"], found["final"]) == (10, False)
    await sending.become("unknown", range(11, 21), "no_receipt")
    api.clock.at += timedelta(seconds=1)
    await settle(sending)
    await count(api)
    assert (await covered(api, query))["total"]["unknown"] == 10
    api.clock.at += timedelta(hours=7)
    await sending.become("delivered", [11])  # a late receipt
    await count(api)
    total = (await covered(api, query))["total"]
    assert (total["reached"], total["unknown"]) == (11, 9)
    api.clock.at += timedelta(days=8)
    await count(api)
    assert (await covered(api, query))["final"]
    assert await count_coverage(api.runtime.pool, api.clock) == 0


async def test_a_run_from_before_there_was_coverage_is_counted_when_asked(
    api: Api, sending: Sending
) -> None:
    await settle(sending)
    api.clock.at += timedelta(days=30)
    await count(api)
    query = f"run={sending.run}"
    assert (await api.get(f"/reports/coverage?{query}", VIEWER)).status == 404
    await recount(api, sending)
    await count(api)
    found = await covered(api, query)
    assert (found["total"]["on_file"], found["final"]) == (PEOPLE, True)


async def test_a_count_that_waited_for_a_process_is_not_put_off_for_days(
    api: Api, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope_store, "ROWS", 10)
    monkeypatch.setattr(counting, "AT_ONCE_SECONDS", 0.0)
    await count(api)
    await recount(api, sending)
    await count_coverage(api.runtime.pool, api.clock)  # one of two stretches
    api.clock.at += timedelta(hours=9)
    await count(api)
    await sending.become("delivered", range(1, PEOPLE + 1))
    api.clock.at += timedelta(hours=6, seconds=1)
    await count(api)
    assert (await covered(api, f"run={sending.run}"))["total"]["reached"] == PEOPLE


async def test_each_person_counts_once_in_a_campaign_and_a_quarter(
    api: Api, sending: Sending
) -> None:
    await sending.become("delivered", range(1, 11))
    await count(api)
    campaign = await covered(api, f"campaign={sending.campaign}")
    assert (campaign["total"]["on_file"], campaign["total"]["reached"]) == (PEOPLE, 10)
    day = api.clock.at
    quarter = f"{day.year}-Q{(day.month + 2) // 3}"
    run_class = await api.runtime.pool.fetchval("SELECT class FROM runs")
    found = await covered(api, f"quarter={quarter}&class={run_class}")
    assert found["total"]["on_file"] == PEOPLE
    assert found["scope"]["quarter"] == quarter
    other = await api.get(f"/reports/coverage?quarter={quarter}&class={run_class}", STRANGER)
    assert other.status == 404, "the school has sent nothing"


async def test_stretches_add_up_whoever_dies_between_them(
    api: Api, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E6: a process dies in each stretch; the next one goes on, and nobody is counted twice."""
    await sending.become("delivered", range(1, 8))
    await count(api)
    whole = (await covered(api, f"run={sending.run}"))["total"]
    monkeypatch.setattr(scope_store, "ROWS", 3)
    monkeypatch.setattr(counting, "AT_ONCE_SECONDS", 0.0)
    scope = await api.runtime.pool.fetchval("SELECT id FROM coverage_scopes WHERE kind = 'run'")
    await recount(api, sending)
    stretches = await api.runtime.pool.fetchval("SELECT max(stretches) FROM coverage_scopes")
    assert stretches == 8
    counted = fact_store.count_stretch
    died = 0

    async def dies(conn: Any, under_way: Any) -> None:
        nonlocal died
        await counted(conn, under_way)
        if died <= under_way.done:
            died += 1
            raise ConnectionResetError

    monkeypatch.setattr(fact_store, "count_stretch", dies)
    for _ in range(3 * stretches):
        try:
            await count_coverage(api.runtime.pool, api.clock)
        except ConnectionResetError:
            shown = (await covered(api, f"run={sending.run}"))["total"]
            assert shown == whole, "the count before is shown until the new one is whole"
    assert died == stretches
    assert (
        await api.runtime.pool.fetchval("SELECT shown FROM coverage_scopes WHERE id = $1", scope)
        == 2
    )
    assert (await covered(api, f"run={sending.run}"))["total"] == whole


STATES = st.lists(
    st.tuples(
        st.integers(1, PEOPLE),
        st.sampled_from(
            ["queued", "submitted", "delivered", "undelivered", "unknown", "uncertain"]
        ),
    ),
    max_size=30,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STATES, st.integers(1, 9))
async def test_facts_are_what_the_ledger_says(
    api: Api, sending: Sending, states: list[tuple[int, str]], rows: int
) -> None:
    """Whatever became of whom, and into how many stretches the count is cut."""
    for no, state in states:
        await sending.become(state, [no])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scope_store, "ROWS", rows)
        await count(api)
        await recount(api, sending)
        await count(api)
    found = (await covered(api, f"run={sending.run}"))["total"]
    counted = await api.runtime.pool.fetch("SELECT state::text, count(*) FROM messages GROUP BY 1")
    ledger = {row["state"]: row["count"] for row in counted}
    assert found["reached"] == ledger.get("delivered", 0)
    assert found["open"] == ledger.get("queued", 0) + ledger.get("submitted", 0)
    assert found["unknown"] == ledger.get("unknown", 0) + ledger.get("uncertain", 0)
    assert found["failed"] == ledger.get("undelivered", 0)
    assert found["on_file"] == found["target"] == PEOPLE


async def test_the_sums_hold_at_any_moment(api: Api, sending: Sending) -> None:
    """E5: read again and again while states change and counts go on beside."""
    stop = asyncio.Event()

    async def change() -> None:
        for no in range(1, PEOPLE + 1):
            await sending.become("delivered", [no])
            api.clock.at += timedelta(minutes=2)
            await count_coverage(api.runtime.pool, api.clock)
        stop.set()

    await count(api)
    task = asyncio.create_task(change())
    reads = 0
    while not stop.is_set():
        found = await covered(api, f"run={sending.run}")
        assert found["total"]["on_file"] == PEOPLE
        reads += 1
    await task
    assert reads


async def test_numbers_are_kept_and_the_latest_counts(api: Api, sending: Sending) -> None:
    await count(api)
    await enter(
        api,
        {"area": COUNTY, "kind": "phones", "people": 90, "as_of": "2026-01-01"},
        {"area": COUNTY, "kind": "phones", "people": 100, "as_of": "2027-01-01"},
    )
    await enter(api, {"area": COUNTY, "kind": "phones", "people": 40, "source": "更正"})
    total = (await covered(api, f"run={sending.run}&level=county"))["areas"][0]
    assert (total["denominator"], total["source"], total["as_of"]) == (40, "更正", "2027-01-01")
    assert total["flags"] == ["denominator_jump"]
    listed = (await api.get("/denominators?kind=phones", VIEWER)).json["items"]
    assert [item["people"] for item in listed] == [40, 100, 90]
    residents = await covered(api, f"run={sending.run}&denominator=residents&level=county")
    assert residents["areas"][0]["source"] == "packaged estimate"


@pytest.mark.usefixtures("_areas")
async def test_one_wrong_number_keeps_all_out(api: Api) -> None:
    good = {"area": COUNTY, "kind": "phones", "people": 1, "source": "x", "as_of": "2027-01-01"}
    bad = {"area": "1", "kind": "cats", "people": 1, "source": "x", "as_of": "2199-01-01"}
    answer = await api.call("PUT", "/denominators", OPERATOR, json={"items": [good, bad]})
    assert answer.status == 422
    assert set(answer.json["fields"]) == {"items.1.area", "items.1.kind", "items.1.as_of"}
    assert not await api.runtime.pool.fetchval("SELECT count(*) FROM denominators")


async def test_who_sees_what(api: Api, sending: Sending) -> None:
    await count(api)
    run = f"/reports/coverage?run={sending.run}"
    assert (await api.get(run, STRANGER)).status == 404
    assert (await api.get(f"{run}&role=cats", VIEWER)).status == 422
    assert (await api.get(f"{run}&denominator=cats", VIEWER)).status == 422
    assert (await api.get(f"{run}&area=1", VIEWER)).status == 404
    assert (await api.get("/reports/coverage", VIEWER)).status == 422
    assert (await api.get(f"{run}&quarter=2027-Q1", VIEWER)).status == 422


async def test_the_file_has_the_rows_of_the_page(api: Api, sending: Sending) -> None:
    await sending.become("delivered", range(1, 11))
    await sending.become("undelivered", [11], "empty_number")
    await count(api)
    path = f"/reports/coverage/export?run={sending.run}&level=village&area={TOWN}"
    head, *rows = (await api.get(path, VIEWER)).rows
    south = next(row for row in rows if row[1] == VILLAGE)
    assert south[head.index("已送达")] == "10"
    assert south[head.index("发送对象")] == str(PEOPLE), "whom the run was addressed to"
    assert "在册" not in head
    campaign = await api.runtime.pool.fetchval(
        "SELECT campaign_id FROM runs WHERE id = $1::uuid", sending.run
    )
    every = f"/reports/coverage/export?campaign={campaign}&level=village&area={TOWN}"
    assert "在册" in (await api.get(every, VIEWER)).rows[0]
    assert "空号 1" in south[-1]
    assert rows[-1][0] == "全部"
    english = (await api.get(f"{path}&language=en", VIEWER)).rows
    assert english[0][0] == "Area"


async def test_a_recount_changes_nothing_and_an_erasure_leaves_the_facts(
    api: Api, sending: Sending
) -> None:
    await sending.become("delivered", range(1, PEOPLE + 1))
    await settle(sending)
    await count(api)
    before = (await covered(api, f"run={sending.run}"))["total"]
    await recount(api, sending)
    await count(api)
    assert (await covered(api, f"run={sending.run}"))["total"] == before
    phone = api.runtime.keyring.decrypt(
        "phone", await api.runtime.pool.fetchval("SELECT phone_cipher FROM messages WHERE no = 1")
    )
    erased = await api.post("/privacy/erase", ADMIN, {"phone": phone, "reason": "本人要求"})
    assert erased.status == 200, erased.body
    api.clock.at += timedelta(days=9)
    await count(api)
    assert (await covered(api, f"run={sending.run}"))["total"] == before


async def test_a_run_whose_ledger_is_being_written_is_not_counted(api: Api) -> None:
    sending = await begin_sending(api)
    assert await expand_run(api.runtime.pool, sending.run, api.clock.at) is None
    await api.runtime.pool.execute("UPDATE runs SET state = 'expanding', started_at = NULL")
    assert await count_coverage(api.runtime.pool, api.clock) == 0


async def test_a_list_has_a_denominator_of_its_own(api: Api, sending: Sending) -> None:
    await sending.become("delivered", range(1, 11))
    await settle(sending)
    await count(api)
    county = api.teams["county"].department_id
    await api.runtime.pool.execute(
        "INSERT INTO rosters (department_id, name, basis, expires_on)"
        " VALUES ($1, '教职工', 'duty', '2028-01-01')",
        county,
    )
    await enter(api, {"area": COUNTY, "kind": "list:教职工", "people": 40})
    total = (await covered(api, f"run={sending.run}&level=county&denominator=list:教职工"))["total"]
    assert (total["denominator"], total["coverage_pct"]) == (40, "25.0")
    for kind in ("list:没有", "list:", "villagers"):
        item = {"area": COUNTY, "kind": kind, "people": 1, "source": "x", "as_of": "2027-01-01"}
        wrong = await api.call("PUT", "/denominators", OPERATOR, json={"items": [item]})
        assert (wrong.status, list(wrong.json["fields"])) == (422, ["items.0.kind"])
        asked = await api.get(f"/reports/coverage?run={sending.run}&denominator={kind}", VIEWER)
        assert (asked.status, list(asked.json["fields"])) == (422, ["denominator"])


async def test_the_pages_of_towns_and_counties_say_what_the_villages_add_up_to(
    api: Api, sending: Sending
) -> None:
    """They read the facts by towns; a count that an earlier version made has none."""
    pool = api.runtime.pool
    places = [VILLAGE, "341825100001001", TOWN, "341825102200", COUNTY, None, "990000000000"]
    await pool.execute(
        "INSERT INTO areas (code, name, level, parent_code)"
        " VALUES ('341825100001001', '一组', 'group', $1)",
        VILLAGE,
    )
    for at, place in enumerate(places):
        await pool.execute(
            "UPDATE messages SET area_code = $1 WHERE no % $3 = $2", place, at, len(places)
        )
    await sending.become("delivered", range(1, 12))
    await sending.become("undelivered", range(12, 16), "empty_number")
    await settle(sending)
    await count(api)
    pages = [
        f"run={sending.run}&level={level}{more}"
        for level in ("county", "town")
        for more in ("", "&role=finance", "&area=340000000000")
    ]
    by_towns = [await covered(api, page) for page in pages]
    whole = await covered(api, f"run={sending.run}&level=group")
    assert by_towns[0]["total"]["on_file"] == whole["total"]["on_file"] == PEOPLE
    assert by_towns[0]["by_role"] == whole["by_role"]
    assert await pool.fetchval("SELECT count(DISTINCT area_code) FROM coverage_town_facts") == 5
    await pool.execute("DELETE FROM coverage_town_facts")
    assert [await covered(api, page) for page in pages] == by_towns
    await recount(api, sending)
    await count(api)
    assert [{**page, "as_of": None} for page in [await covered(api, page) for page in pages]] == [
        {**page, "as_of": None} for page in by_towns
    ]
    kept = await pool.fetch("SELECT DISTINCT scope_id, count_no FROM coverage_town_facts")
    assert len(kept) == len({row["scope_id"] for row in kept}), (
        "of the count before nothing is left"
    )
