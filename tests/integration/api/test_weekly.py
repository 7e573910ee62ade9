"""The weekly report of a unit: it builds itself from facts, and freezes when it is handed in."""

import io
import zipfile
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from service.audience.areas.area_store import load_areas
from service.messages.wordings import wordings
from service.reports.coverage.counting import count_coverage
from service.reports.weekly import figures
from service.storage.postgres import CheckViolation, transaction
from tests.harness.chats import add_group, approved_text
from tests.harness.console import browser_at
from tests.harness.logins import with_own_password
from tests.harness.offers import approved
from tests.harness.owed import COUNTY, SCHOOL, made_duty
from tests.harness.plans import watch_plans
from tests.harness.relayed import DUE, add_relay
from tests.harness.sending import begin_sending
from tests.integration.api.conftest import Api

WEEK = "2027-W02"
HOUR = timedelta(hours=1)
INSPECTOR = ("county", "inspector")
TEXT_FROM_A_HANDSET = """
INSERT INTO inbound_texts (id, channel_id, sender_hash, recipient, digest, missing, received_at,
                           kind, answer, department_id, state, taken_by, taken_at)
VALUES ($1, 1, decode(md5(''), 'hex'), '', decode(md5(''), 'hex'), 0, $2, $3, $4, $5, $6, $7, $8)
"""


async def add_text(api: Api, kind: str, *, days: int = 0, taken: bool = False) -> None:
    """A text of a handset to the school, so many days from now."""
    at, by = api.clock.at + timedelta(days=days), api.teams["school"].operator.id
    await api.runtime.pool.execute(
        TEXT_FROM_A_HANDSET,
        *(uuid4(), at, kind, 1 if kind == "answer" else None),
        api.teams["school"].department_id,
        *("taken", by, at) if taken else ("new", None, None),
    )


async def test_a_report_builds_itself_from_the_facts_of_its_week(api: Api) -> None:
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)
    sending = await begin_sending(api, team="school")
    await sending.become("delivered", range(1, 6))
    await sending.become("submitted", range(6, 9))
    for kind, taken in (("answer", False), ("clue", True), ("clue", False), ("opt_out", False)):
        await add_text(api, kind, taken=taken)
    await add_text(api, "clue", days=-7)
    await add_text(api, "clue", days=7)
    api.clock.at += HOUR
    await count_coverage(api.runtime.pool, api.clock)
    await count_coverage(api.runtime.pool, api.clock)
    answer = await api.get(f"/reports/weekly?week={WEEK}", SCHOOL)
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["week"], found["duties"], found["handed_in"]) == (WEEK, [], None)
    sections = found["figures"]["sections"]
    (campaign,) = sections["campaigns"]
    assert (campaign["reached"], campaign["target"]) == (5, 20)
    assert list(campaign["parts"].values()) == [8], "what the carrier took, on its channel"
    own = [one for one in sections["coverage"] if one["of"] == "own"]
    assert [(one["class"], one["quarter"], one["reached"]) for one in own] == [
        ("public_interest", "2027-Q1", 5)
    ]
    assert sum(gap["missing"] for gap in own[0]["gaps"]) >= 15
    assert sections["answers"] == {
        "answers": {"1": 1},
        "opt_outs": 1,
        "clues": 2,
        "clues_acknowledged": 1,
        "others": 0,
    }
    assert sections["visits"]["people"] == {}
    earlier = await api.get("/reports/weekly?week=2027-W01", SCHOOL)
    assert earlier.json["figures"]["sections"]["campaigns"] == []
    assert earlier.json["figures"]["sections"]["answers"]["clues"] == 1


async def test_whose_weekly_report_is_seen_by_whom(api: Api) -> None:
    school = api.teams["school"].department_id
    for who in (SCHOOL, COUNTY, INSPECTOR):
        answer = await api.get(f"/reports/weekly?week={WEEK}&department={school}", who)
        assert (answer.status, answer.json["department"]) == (200, str(school)), who
    other = api.teams["county"].department_id
    for path in ("/reports/weekly", "/reports/weekly/document"):
        answer = await api.get(f"{path}?week={WEEK}&department={other}", SCHOOL)
        assert answer.status == 404, answer.body
    bad = await api.get("/reports/weekly?week=2027-54", SCHOOL)
    assert bad.status == 422
    assert "2027-W03" in bad.body.decode()


async def test_what_was_handed_in_stays_and_what_came_later_stands_beside(api: Api) -> None:
    sending = await begin_sending(api, team="school")
    await sending.become("delivered", range(1, 6))
    api.clock.at += HOUR
    await count_coverage(api.runtime.pool, api.clock)
    duty = await made_duty(api)
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, {"narrative": "集市宣讲两场。"})
    assert handed.status == 200, handed.body
    await sending.become("delivered", range(6, 10))
    api.clock.at += 7 * HOUR
    await count_coverage(api.runtime.pool, api.clock)
    found = (await api.get(f"/reports/weekly?week={WEEK}", SCHOOL)).json
    frozen = found["handed_in"]["figures"]["sections"]["campaigns"][0]
    now = found["figures"]["sections"]["campaigns"][0]
    assert (frozen["reached"], now["reached"]) == (5, 9)
    assert [one["id"] for one in found["duties"]] == [str(duty)]
    for change in ("UPDATE duty_reports SET figures = ''", "DELETE FROM duty_reports"):
        with pytest.raises(CheckViolation, match="does not change"):
            await api.runtime.pool.execute(change)
    page = await api.get(f"/reports/weekly/document?week={WEEK}&format=html", SCHOOL)
    assert page.status == 200, page.body
    text = page.body.decode()
    assert "此后" in text
    assert "集市宣讲两场。" in text
    assert found["handed_in"]["sha256"] in text


async def _relay(api: Api) -> str:
    """The school's relay of this week, and one of the week before: 1 of 8 groups is confirmed."""
    await approved_text(api)
    await add_group(api)
    await add_relay(api, "school", "2027-W01", DUE - timedelta(days=7), 3, 3)
    return str(await add_relay(api, "school", WEEK, DUE, 8, 1, late=1, state="going"))


async def _confirm(api: Api, relay: str) -> None:
    """Further two owners answer in time."""
    await api.runtime.pool.execute(
        "UPDATE relay_nodes SET state = 'done', via = 'sms', done_at = $2 WHERE relay_id = $1"
        " AND no IN (3, 4)",
        relay,
        api.clock.at,
    )


async def test_places_where_words_stand_are_in_the_report_of_each_week(api: Api) -> None:
    county = api.teams["county"]
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        text = await approved(conn, county, api.clock.at)
        await wordings.add(conn, county.operator, text.id, text.no, "poster", api.clock.at)
        no = await conn.fetchval("SELECT no FROM template_numbers WHERE template_id = $1", text.id)
    board = {"kind": "poster", "area": "341825100001"}
    first, _ = [
        (await api.post("/places", SCHOOL, board | {"name": name})).json["id"]
        for name in ("公告栏", "另一块")
    ]
    ticked = await api.post(f"/places/{first}/tick", SCHOOL, {"mark": f"T{no}-{text.no}"})
    assert ticked.status == 200, ticked.body

    async def of_week(week: str) -> list[dict[str, Any]]:
        answer = await api.get(f"/reports/weekly?week={week}", SCHOOL)
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["figures"]["sections"]["places"]
        return found

    both = {"kind": "poster", "places": 2}
    assert await of_week(WEEK) == [both | {"put_up": 1, "shown": 1}]
    assert await of_week("2027-W01") == [], "they were no places yet"
    api.clock.at += timedelta(days=7)
    assert await of_week("2027-W03") == [both | {"put_up": 0, "shown": 1}]
    assert (await api.post(f"/places/{first}/tick", SCHOOL, {"mark": None})).status == 200
    assert await of_week("2027-W03") == [both | {"put_up": 0, "shown": 0}]
    assert await of_week(WEEK) == [both | {"put_up": 1, "shown": 1}]
    page = await api.get(f"/reports/weekly/document?week={WEEK}&format=html", SCHOOL)
    assert "同文异形展示情况" in page.body.decode()
    school = await browser_at(api, await with_own_password(api, api.teams["school"].operator))
    assert "同文异形展示情况" in (await school.get(f"/reports/weekly?week={WEEK}")).text


async def test_relays_of_the_week_are_in_the_report_and_later_answers_beside(api: Api) -> None:
    relay = await _relay(api)
    duty = await made_duty(api)
    handed = await api.post(f"/duties/{duty}/submit", SCHOOL, {"narrative": "已转发。"})
    assert handed.status == 200, handed.body
    await _confirm(api, relay)
    found = (await api.get(f"/reports/weekly?week={WEEK}", SCHOOL)).json
    (then,) = found["handed_in"]["figures"]["sections"]["relays"]
    (now,) = found["figures"]["sections"]["relays"]
    assert (then["relay"], then["week"]) == (relay, WEEK)
    assert (then["groups"], then["confirmed"], then["confirmed_pct"]) == (8, 1, "12.5")
    assert (now["groups"], now["confirmed"], now["confirmed_pct"]) == (8, 3, "37.5")
    page = await api.get(f"/reports/weekly/document?week={WEEK}&format=html", SCHOOL)
    assert "本周逐级推送" in page.body.decode()
    assert "此后的逐级推送" in page.body.decode()
    school = await browser_at(api, await with_own_password(api, api.teams["school"].operator))
    shown = await school.get(f"/reports/weekly?week={WEEK}")
    assert shown.status == 200, shown.text
    assert f"/relays/{relay}" in shown.links
    assert "本周逐级推送" in shown.text
    assert "此后的逐级推送" in shown.text


async def test_a_report_of_before_relays_were_in_it_stays_and_is_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = await _relay(api)
    duty = await made_duty(api)
    earlier = {name: take for name, take in figures.SECTIONS.items() if name != "relays"}
    with monkeypatch.context() as before:
        before.setattr(figures, "SECTIONS", earlier)
        await api.post(f"/duties/{duty}/submit", SCHOOL, {"narrative": "已转发。"})
    kept = await api.runtime.pool.fetchval("SELECT figures FROM duty_reports")
    found = (await api.get(f"/reports/weekly?week={WEEK}", SCHOOL)).json
    assert found["handed_in"]["figures"]["sections"]["relays"] is None
    assert found["figures"]["sections"]["relays"][0]["relay"] == relay
    page = await api.get(f"/reports/weekly/document?week={WEEK}&format=html", SCHOOL)
    assert "本周逐级推送" not in page.body.decode()
    assert "此后的逐级推送" in page.body.decode()
    school = await browser_at(api, await with_own_password(api, api.teams["school"].operator))
    shown = await school.get(f"/reports/weekly?week={WEEK}")
    assert (shown.status, "此后的逐级推送" in shown.text) == (200, True), shown.text
    assert await api.runtime.pool.fetchval("SELECT figures FROM duty_reports") == kept
    assert "relays" not in kept


@pytest.mark.parametrize("form", ["docx", "xlsx"])
async def test_a_report_is_a_file_as_well_with_the_same_octets_each_time(
    api: Api, form: str
) -> None:
    await begin_sending(api, team="school")
    first, second = [
        await api.get(f"/reports/weekly/document?week={WEEK}&format={form}", SCHOOL)
        for _ in range(2)
    ]
    assert first.status == 200, first.body
    with zipfile.ZipFile(io.BytesIO(first.body)) as parts:
        assert parts.testzip() is None
    assert first.body == second.body


_OF_A_YEAR = """
INSERT INTO inbound_texts (id, channel_id, sender_hash, recipient, digest, missing, received_at,
                           kind, department_id, state)
SELECT uuidv7(), 1, decode(md5(n::text), 'hex'), '', decode(md5(n::text), 'hex'), 0,
       $1::timestamptz - n * interval '5 minutes', 'other', $2, 'new'
FROM generate_series(1, 100000) n
"""
_RUNS = """
INSERT INTO runs (department_id, fire_at, state, priority, class, text, send_hours, timezone,
                  created_at, kind, sent_by, target)
SELECT $2, $1::timestamptz - n * interval '20 minutes', 'sent', 'normal', 'service', 't', '[]',
       'Asia/Shanghai', $1::timestamptz - n * interval '20 minutes', 'direct', $3, 0
FROM generate_series(1, 25000) n
"""
_HOUSEHOLDS = """
WITH round AS (
    INSERT INTO visit_rounds (department_id, name, area_code, starts_on, due_on, with_towns,
                              started_by, started_at)
    VALUES ($2, 'r', '341825100000', '2026-01-01', '2027-12-31', false, $3, $1) RETURNING id
), village AS (
    INSERT INTO visit_round_villages (round_id, village) SELECT id, '341825100001' FROM round
), homes AS (
    INSERT INTO households (round_id, village, state, spoken_to)
    SELECT id, '341825100001', 'told', 1 FROM round, generate_series(1, 20000) RETURNING id
)
INSERT INTO household_tries (household_id, no, key, result, spoken_to, on_day, by_id, written_by,
                             at, disputed)
SELECT id, 1, uuidv7(), 'told', 1, $1::timestamptz::date - (row_number() OVER ())::int % 365, $3,
       $3, $1, false FROM homes
"""
MOST_ROWS = 3_000
"""A week of 100,000 texts in 347 days is 2,016 of them."""


@pytest.mark.slow
@pytest.mark.fresh
async def test_a_report_reads_the_rows_of_its_week_beside_those_of_a_year(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = api.teams["school"]
    async with api.runtime.pool.acquire(seconds=600) as conn:
        await load_areas(conn)
    await begin_sending(api, team="school")
    async with api.runtime.pool.acquire(seconds=600) as conn:
        await conn.execute(_OF_A_YEAR, api.clock.at, school.department_id)
        for statement in (_RUNS, _HOUSEHOLDS):
            await conn.execute(statement, api.clock.at, school.department_id, school.operator.id)
        await conn.execute("ANALYZE")
    tables = {"inbound_texts", "runs", "household_tries", "visit_tries", "messages", "households"}
    worst = watch_plans(monkeypatch, tables, tables)
    answer = await api.get(f"/reports/weekly?week={WEEK}", SCHOOL)
    assert answer.status == 200, answer.body
    assert {key.partition(":")[0] for key in worst} >= {"inbound_texts", "runs", "household_tries"}
    too_much = {key: read for key, read in worst.items() if read > MOST_ROWS}
    assert not too_much, "\n".join(f"{read:>9,} {key}" for key, read in too_much.items())
