"""Beside a year of duties of 3,000 units and five obligations, no statement reads them all."""

from datetime import timedelta

import pytest

from tests.harness.owed import COUNTY, FRIDAY, SCHOOL, set_obligation, turn
from tests.harness.plans import watch_plans
from tests.integration.api.conftest import Api

UNITS, WEEKS, OBLIGATIONS = 3_000, 52, 5
MOST_ROWS = 20_000
"""What a statement may read of a table: all that is owed now, and far less than a year."""

_UNITS = """
INSERT INTO departments (name, kind) SELECT '第' || n || '镇', 'town' FROM generate_series(1, $1) n
"""
_PAST = """
INSERT INTO obligations (setter_id, kinds, kind, title, period, due_weekday, due_time, shift,
                         from_on, remind, rungs, set_by, set_at, calendar_version, ended_at,
                         ended_by)
VALUES ($1, '{town}', 'weekly_report', '旧周报', 'week', 5, '16:00', 'none', '2026-01-01', '{}',
        '{}', $2, '2026-01-01', 0, '2027-01-01', $2) RETURNING id
"""
_HISTORY = """
INSERT INTO duties (obligation_id, department_id, period, setter_id, kind, first_on, last_on,
                    due_at, holiday_week, official, state, submitted_at, decided_by, decided_at)
SELECT $1, u.id, 'past ' || w, $2, 'weekly_report', '2027-01-10'::date - 7 * w,
       '2027-01-16'::date - 7 * w, '2027-01-15'::timestamptz - w * interval '7 days', false, true,
       'accepted', '2027-01-14'::timestamptz - w * interval '7 days', $4, '2027-01-15'
FROM departments u, generate_series(1, $3) w WHERE u.kind = 'town'
"""


@pytest.fixture
async def year(api: Api) -> Api:
    """A county with a year of duties that are accepted, and this week's."""
    county = api.teams["county"]
    async with api.runtime.pool.acquire(seconds=600) as conn:
        await conn.execute(_UNITS, UNITS)
        for _ in range(OBLIGATIONS):
            past = await conn.fetchval(_PAST, county.department_id, county.operator.id)
            await conn.execute(_HISTORY, past, county.department_id, WEEKS, county.operator.id)
        await conn.execute("ANALYZE")
    return api


@pytest.mark.slow
@pytest.mark.fresh
async def test_no_statement_reads_a_year_of_duties(
    year: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = year
    count = await api.runtime.pool.fetchval("SELECT count(*) FROM duties")
    assert count == UNITS * WEEKS * OBLIGATIONS

    tables = {"duties", "duty_steps", "duty_reports"}
    worst = watch_plans(monkeypatch, tables, ["duties", "duty_"])
    await set_obligation(api, departments=[], kinds=["town", "school", "county"])
    needs = {"target": 5}
    towns = ["town"]
    await set_obligation(api, departments=[], kinds=towns, kind="send", title="发一批", needs=needs)
    await turn(api)
    for at in (FRIDAY - timedelta(hours=2), FRIDAY + timedelta(minutes=1)):
        await turn(api, at)
    await turn(api, FRIDAY + timedelta(days=7))
    for who in (COUNTY, SCHOOL, ("county", "admin")):
        for query in ("", "?state=missed", "?state=accepted", "?mine=true", "?period=2027-W02"):
            assert (await api.get(f"/duties{query}", who)).status == 200
        assert (await api.get("/duties/late", who)).status == 200
    own = (await api.get("/duties?mine=true&state=open", COUNTY)).json["items"][0]["id"]
    assert (await api.post(f"/duties/{own}/submit", COUNTY, {"narrative": "n"})).status == 200
    notice = {"year": 2027, "source": "s", "holidays": {"2027-01-29": "某节"}, "workdays": []}
    body = {"notices": [notice], "reason": "r"}
    answer = await api.call("PUT", "/holidays", ("county", "admin"), json=body)
    assert answer.status == 200
    await turn(api)
    too_much = {key: read for key, read in worst.items() if read > MOST_ROWS}
    assert len(worst) > 12, "the statements were seen"
    assert not too_much, "\n".join(f"{read:>9,} {key}" for key, read in too_much.items())
