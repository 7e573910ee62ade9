"""Beside many old relays and many people, no statement on relays or groups reads them all."""

from datetime import timedelta

import pytest

from service.relays.groups.ownerless import find_ownerless
from service.reports.weekly.relay_figures import relays_of
from tests.harness.plans import watch_plans
from tests.harness.relayed import OPERATOR, VIEWER, answer, begun, hand_off, nodes, shown, turn
from tests.integration.api.conftest import Api

STATIONS, WEEKS, NODES = 400, 50, 10
PEOPLE = 60_000
PLACES = 2_000
"""Of a big tree, that wait for the text."""
MOST_ROWS = 5_000
"""What a statement may read of a table: what is of now, and far less than what was."""

_DEPARTMENTS = """
INSERT INTO departments (name, kind)
SELECT '第' || n || '所', 'police' FROM generate_series(1, $1) n
"""
_RELAYS = """
INSERT INTO relays (department_id, template_version_id, week, levels, due_at, groups, state,
                    started_by, started_at, ended_at)
SELECT d.id, v.id, '2026-W' || lpad(w::text, 2, '0'), '{group_owner}', '2026-12-01', 5, 'over',
       u.id, '2026-11-01', '2026-12-01'
FROM departments d, generate_series(1, $1) w, (SELECT id FROM template_versions LIMIT 1) v,
     (SELECT id FROM users LIMIT 1) u
WHERE d.kind = 'police'
"""
_NODES = """
INSERT INTO relay_nodes (relay_id, no, level, contact_id, state, done_at, via)
SELECT r.id, n, 1, uuidv7(), 'done', '2026-11-15', 'sms'
FROM relays r, generate_series(1, $1) n WHERE r.state = 'over'
"""
_PEOPLE = """
INSERT INTO contacts (department_id, phone_hash, phone_cipher, synthetic, created_at, updated_at)
SELECT (SELECT id FROM departments WHERE kind = 'police' LIMIT 1), decode(md5(n::text), 'hex'), '',
       true, '2026-11-01', '2026-11-01'
FROM generate_series(1, $1) n
"""
_PLACES = """
INSERT INTO relay_nodes (relay_id, no, level, contact_id)
SELECT id, 100 + n, 1, uuidv7() FROM relays, generate_series(1, $1) n WHERE state = 'going'
"""
_HISTORY = {_DEPARTMENTS: STATIONS, _RELAYS: WEEKS, _NODES: NODES, _PEOPLE: PEOPLE}


@pytest.mark.slow
@pytest.mark.fresh
async def test_no_statement_reads_old_relays_or_all_people(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = await begun(api)
    async with api.runtime.pool.acquire(seconds=600) as conn:
        for statement, rows in _HISTORY.items():
            await conn.execute(statement, rows)
        await conn.execute("ANALYZE")
        assert await conn.fetchval("SELECT count(*) FROM relay_nodes") > STATIONS * WEEKS * NODES
    worst = watch_plans(monkeypatch, None, {"relay", "group"})
    await hand_off(api)
    await answer(api, "a", "1")
    await answer(api, "b", "2")
    await turn(api)
    await turn(api, timedelta(hours=24))
    await find_ownerless(api.runtime.pool, api.runtime.keyring, api.clock)
    tree = await nodes(api, station)
    path = f"/relays/{station.relay}/nodes/{tree['g1']['no']}/done"
    assert (await api.post(path, OPERATOR, {})).status == 200
    await shown(api, station)
    for address in (
        "/relays",
        "/relays?week=2027-W02",
        "/relays?from=2027-W01&to=2027-W13",
        "/relays/alarms",
        "/groups",
    ):
        for who in (OPERATOR, VIEWER, ("county", "admin")):
            assert (await api.get(address, who)).status == 200
    async with api.runtime.pool.acquire() as conn:
        await relays_of(conn, [api.teams["county"].department_id], ["2027-W02"])
    too_much = {key: read for key, read in worst.items() if read > MOST_ROWS}
    assert len(worst) > 20, "the statements were seen"
    assert not too_much, "\n".join(f"{read:>9,} {key}" for key, read in too_much.items())


@pytest.mark.slow
async def test_a_big_tree_is_not_read_for_each_place(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = await begun(api)
    async with api.runtime.pool.acquire() as conn:
        await conn.execute(_PLACES, PLACES)
    worst = watch_plans(monkeypatch, {"relay_nodes"}, {"relay_nodes"})
    await turn(api)
    assert (await shown(api, station))["by_level"][0]["waiting"] == 0
    assert worst, "no statement was looked at"
    assert {key: read for key, read in worst.items() if read > 5 * PLACES} == {}
