"""Statements of follow-ups and rounds with 200,000 rows of others: none reads all of a table."""

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from asyncpg.connection import LoggedQuery

from service.followups import (
    followup_store,
    number_correction_store,
    result_store,
    visit_store,
)
from service.followups.ladder import Moved, PersonState, VisitResult
from service.followups.number_correction_store import CorrectionState, NewCorrection
from service.followups.result_store import Try
from service.followups.rounds import household_store, round_store, rounds
from service.followups.rounds.registering import HouseholdEntry, WrittenEntry, prepare, write
from service.followups.rounds.rounds import RoundSight
from service.followups.visit_store import VisitsWanted
from service.privacy import erasure_store, visit_retention_store
from service.storage.postgres import Connection, transaction
from tests.harness.followed import add_followup, missed_some
from tests.harness.visit_rounds import TOWN, VILLAGE, begin_round
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow

OTHERS = 20
ROWS = 10_000
"""Of each of so many follow-ups and rounds."""
LARGE = {"visits", "visit_tries", "households", "household_tries", "number_corrections"}

_FOLLOWUPS = """
    WITH others AS (
        INSERT INTO followups (root_run_id, department_id, state, started_by, started_at,
                               counted_at, look_at, ended_at)
        SELECT root_run_id, department_id, 'cancelled', started_by, started_at, counted_at,
               look_at, started_at
        FROM followups f, generate_series(1, $2) WHERE f.id = $1 RETURNING id
    ), steps AS (
        INSERT INTO followup_steps (followup_id, no, step, state)
        SELECT id, 1, 'visit', 'done' FROM others
    ), people AS (
        INSERT INTO visits (followup_id, phone_hash, area_code, roles, reason, state)
        SELECT o.id, decode(md5(n::text), 'hex'),
               (3418251000 + n % 60)::text || lpad((n % 12)::text, 2, '0'), '{}', 'empty_number',
               CASE WHEN n % 3 = 0 THEN 'told' ELSE 'open' END
        FROM others o, generate_series(1, $3) n RETURNING id
    ), tries AS (
        INSERT INTO visit_tries (visit_id, no, key, result, on_day, by_id, written_by, at,
                                 disputed)
        SELECT p.id, 1, p.id, 'told', f.started_at::date, f.started_by, f.started_by,
               f.started_at, false
        FROM people p, followups f WHERE f.id = $1 RETURNING visit_id, at
    )
    INSERT INTO number_corrections (visit_id, try_no, department_id, phone_hash, phone_cipher,
                                    state, decided_at)
    SELECT t.visit_id, 1, f.department_id, decode(md5(t.visit_id::text), 'hex'), '\\x00',
           'superseded', t.at
    FROM tries t, followups f WHERE f.id = $1
"""
_ROUNDS = """
    WITH others AS (
        INSERT INTO visit_rounds (department_id, name, area_code, starts_on, due_on, with_towns,
                                  started_by, started_at)
        SELECT department_id, name, area_code, starts_on, due_on, true, started_by, started_at
        FROM visit_rounds r, generate_series(1, $2) WHERE r.id = $1 RETURNING id
    ), villages AS (
        INSERT INTO visit_round_villages (round_id, village)
        SELECT o.id, v.village FROM others o, visit_round_villages v WHERE v.round_id = $1
        RETURNING round_id
    ), homes AS (
        INSERT INTO households (round_id, village, label_hash, label_cipher, state, spoken_to)
        SELECT o.id, v.village, decode(md5(n::text), 'hex'), '\\x00', 'told', 1
        FROM others o, generate_series(1, $3) n, LATERAL (
            SELECT village FROM visit_round_villages
            WHERE round_id = $1 ORDER BY village OFFSET n % 8 LIMIT 1) v
        RETURNING id
    )
    INSERT INTO household_tries (household_id, no, key, result, spoken_to, on_day, by_id,
                                 written_by, at, disputed)
    SELECT h.id, 1, h.id, 'told', 1, r.starts_on, r.started_by, r.started_by, r.started_at, false
    FROM homes h, visit_rounds r WHERE r.id = $1
"""


async def _fill(owner: Connection, statement: str, subject: uuid.UUID) -> None:
    """Rows of others, past the triggers, which ask once a row."""
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute(statement, subject, OTHERS, ROWS, timeout=300)
    await owner.execute("ANALYZE", timeout=120)


@asynccontextmanager
async def looked_at(api: Api) -> AsyncIterator[Connection]:
    """A connection whose statements are explained at the end."""
    said: list[LoggedQuery] = []
    async with transaction(api.runtime.pool, seconds=120) as conn:
        with conn.query_logger(said.append):
            yield conn
        faults = []
        for one in said:
            if not one.query.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "INSERT")):
                continue
            plan = await conn.fetchval(f"EXPLAIN (FORMAT JSON) {one.query}", *one.args)
            faults += [
                (node["Relation Name"], one.query)
                for node in _nodes(json.loads(plan) if isinstance(plan, str) else plan)
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE
            ]
        assert len(said) > 3
        assert faults == []


def _nodes(found: Any) -> Iterator[dict[str, Any]]:
    """The nodes of a plan."""
    if isinstance(found, list):
        for one in found:
            yield from _nodes(one.get("Plan", one))
    else:
        yield found
        yield from _nodes(found.get("Plans", []))


async def test_no_statement_of_a_follow_up_reads_the_people_of_all(
    api: Api, owner: Connection
) -> None:
    sending = await missed_some(api)
    followup_id, people = await add_followup(api, sending.run)
    await _fill(owner, _FOLLOWUPS, followup_id)
    now, me = api.clock.at, api.teams["county"].operator
    async with looked_at(api) as conn:
        found = await followup_store.lock_followup(conn, followup_id)
        assert found is not None
        runs = await followup_store.runs_of(conn, found.root_run_id)
        assert await followup_store.lock_due(conn, now) is not None
        await followup_store.list_followups(
            conn, None, (me.department_id, TOWN), run_id=None, state=None, before=None, limit=50
        )
        await visit_store.let_reached_go(conn, found, runs, now)
        await visit_store.open_visits(conn, followup_id, [])
        await visit_store.count_people(conn, followup_id, TOWN, bounded=True)
        await visit_store.count_people(conn, followup_id, None, bounded=False)
        for wanted in (VisitsWanted(False, None), VisitsWanted(True, TOWN, VILLAGE, "open")):
            await visit_store.list_visits(conn, found, runs, wanted, (people[0], 50), now)
        await visit_store.is_over(conn, followup_id)
        await result_store.find_visit(conn, people[0], TOWN)
        key = uuid.uuid4()
        await result_store.find_try(conn, people[0], key)
        new = Try(key, VisitResult.TOLD, now.date(), me.id, me.id, None, now)
        moved = Moved(PersonState.TOLD, 0, disputed=False)
        await result_store.add_try(conn, people[0], new, moved)
        await result_store.list_tries(conn, people[0])
        await result_store.visitors_of(conn, followup_id, VILLAGE)
        phone_hash = await number_correction_store.phone_of_visit(conn, people[0])
        said = NewCorrection(people[0], 1, me.department_id, phone_hash, b"0")
        made = await number_correction_store.insert_correction(conn, said)
        for state in (CorrectionState.PROPOSED, None):
            await number_correction_store.list_corrections(
                conn, me.department_id, state, (None, 50), now
            )
        await number_correction_store.find_correction(conn, None, made, now)
        await number_correction_store.find_of_try(conn, people[0], 1)
        locked = await number_correction_store.lock_correction(conn, made)
        assert locked is not None
        await number_correction_store.supersede(conn, locked, now)
        await erasure_store.forget_corrections(conn, phone_hash, me.department_id, now)
        await result_store.list_sign_offs(conn, followup_id)
        await visit_store.leave_rest(conn, followup_id)
    async with looked_at(api) as conn:
        await conn.execute("UPDATE followups SET names_dropped = id <> $1", followup_id)
        await conn.execute(
            "UPDATE followups SET state = 'closed', ended_at = $2 WHERE id = $1", followup_id, now
        )
        later = now + timedelta(days=1)
        assert await visit_retention_store.drop_visit_names(conn, later, 5_000, now) == 1


async def test_no_statement_of_a_round_reads_the_households_of_all(
    api: Api, owner: Connection
) -> None:
    round_id = uuid.UUID(await begin_round(api, TOWN))
    await _fill(owner, _ROUNDS, round_id)
    now, me, keyring = api.clock.at, api.teams["county"].operator, api.runtime.keyring
    async with looked_at(api) as conn:
        sight: RoundSight = await rounds.find(conn, me, round_id, "share")
        entries = [
            HouseholdEntry(
                VILLAGE, f"{n}号", uuid.uuid4(), VisitResult.TOLD, 1, None, now.date(), me.id, "n"
            )
            for n in (1, 2, 2)
        ]
        done = await write(
            conn, keyring, me, await prepare(conn, keyring, sight, entries, now), now
        )
        assert isinstance(done[0], WrittenEntry)
        household = done[0].household_id
        await household_store.count_households(conn, round_id, None)
        await household_store.count_households(conn, round_id, [VILLAGE])
        await household_store.list_households(conn, round_id, VILLAGE, None, (None, 50))
        await household_store.list_households(conn, round_id, VILLAGE, "open", (household, 50))
        await household_store.find_household(conn, household)
        await household_store.list_tries(conn, household)
        await round_store.visitors_of(conn, round_id, VILLAGE)
        await round_store.is_signed(conn, round_id)
        near = (api.teams["school"].department_id, TOWN)
        await round_store.list_rounds(
            conn, api.teams["school"].department_id, near, state=None, before=None, limit=50
        )
    async with looked_at(api) as conn:
        await conn.execute("UPDATE visit_rounds SET labels_dropped = id <> $1", round_id)
        later = now + timedelta(days=366)
        assert await visit_retention_store.drop_household_labels(conn, later, 5_000) == 3
