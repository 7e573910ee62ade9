"""Follow-ups of runs that missed somebody, each in the state that an operation needs."""

import itertools
from typing import Any
from uuid import UUID

from service.audience.areas.area_store import load_areas
from service.storage.postgres import Connection, transaction
from tests.harness.sending import Sending, begin_sending
from tests.integration.api.conftest import Api

VILLAGE = "341825100001"
_hashes = itertools.count(1)


async def add_run(conn: Connection, like: UUID) -> UUID:
    """Another run of the campaign of a run, settled and without a ledger."""
    made: UUID = await conn.fetchval(
        "INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text, rule,"
        " send_hours, timezone, target, created_at, started_at, settled_at, text_no, content)"
        " SELECT campaign_id, department_id, fire_at + $2 * interval '1 second', 'sent', priority,"
        " class, text, rule, send_hours, timezone, 0, created_at, created_at, created_at, text_no,"
        " content FROM runs WHERE id = $1 RETURNING id",
        like,
        next(_hashes),
    )
    return made


async def add_followup(
    api: Api, like: UUID, step: str = "visit", state: str = "under_way", team: str = "county"
) -> tuple[UUID, list[UUID]]:
    """A follow-up of a run like this one, at a step, with three people to be visited in
    `VILLAGE`; returns its id and theirs.
    """
    starter, now = api.teams[team].operator, api.clock.at
    async with transaction(api.runtime.pool) as conn:
        run = await add_run(conn, like)
        followup = await conn.fetchval(
            "INSERT INTO followups (root_run_id, department_id, state, started_by, started_at,"
            " counted_at, look_at, channels) SELECT id, department_id, 'visiting', $2, $3, $3, $3,"
            " '{1}' FROM runs WHERE id = $1 RETURNING id",
            run,
            starter.id,
            now,
        )
        await conn.execute(
            "INSERT INTO followup_steps (followup_id, no, step, state) VALUES ($1, 1, $2, $3)",
            followup,
            step,
            state,
        )
        people = [
            await conn.fetchval(
                "INSERT INTO visits (followup_id, phone_hash, area_code, roles, reason, state)"
                " VALUES ($1, $2, $3, '{}', 'empty_number', 'open') RETURNING id",
                followup,
                next(_hashes).to_bytes(16),
                VILLAGE,
            )
            for _ in range(3)
        ]
    return followup, people


async def add_correction(api: Api, visit: UUID, team: str | None = None) -> UUID:
    """A new number of somebody who is visited, which the viewer learned; the person is on a list of
    the department: that of `team`, or of the run. Returns its id.
    """
    keyring, now = api.runtime.keyring, api.clock.at
    number = f"+861979{next(_hashes):07d}"
    async with transaction(api.runtime.pool) as conn:
        ((department, old),) = await conn.fetch(
            "SELECT f.department_id, v.phone_hash FROM visits v JOIN followups f"
            " ON f.id = v.followup_id WHERE v.id = $1",
            visit,
        )
        if team is not None:
            department = api.teams[team].department_id
        visitor = next(one.viewer for one in api.teams.values() if one.department_id == department)
        await conn.execute(
            "INSERT INTO visit_tries (visit_id, no, key, result, on_day, by_id, written_by, at,"
            " disputed) SELECT $1, coalesce(max(no), 0) + 1, uuidv7(), 'not_home', $2, $3, $3, $4,"
            " false FROM visit_tries WHERE visit_id = $1",
            visit,
            now.date(),
            visitor.id,
            now,
        )
        contact = await conn.fetchval(
            "INSERT INTO contacts (department_id, phone_hash, phone_cipher, synthetic, created_at,"
            " updated_at) VALUES ($1, $2, $3, true, $4, $4)"
            " ON CONFLICT (department_id, phone_hash) DO UPDATE SET updated_at = $4 RETURNING id",
            department,
            old,
            keyring.encrypt("phone", number),
            now,
        )
        roster = await conn.fetchval(
            "INSERT INTO rosters (department_id, name, basis, expires_on, created_at)"
            " VALUES ($1, '走访前', 'duty', '2099-12-31', $2)"
            " ON CONFLICT (department_id, name) DO UPDATE SET basis = 'duty' RETURNING id",
            department,
            now,
        )
        await conn.execute(
            "INSERT INTO links (contact_id, roster_id, row_no, digest, roles, synthetic)"
            " VALUES ($1, $2, 1, $3, '{}', true) ON CONFLICT DO NOTHING",
            contact,
            roster,
            next(_hashes).to_bytes(16),
        )
        made: UUID = await conn.fetchval(
            "INSERT INTO number_corrections (visit_id, try_no, department_id, phone_hash,"
            " phone_cipher) SELECT visit_id, no, $2, $3, $4 FROM visit_tries WHERE visit_id = $1"
            " ORDER BY no DESC LIMIT 1 RETURNING id",
            visit,
            department,
            keyring.phone_index(number),
            keyring.encrypt("phone", number),
        )
    return made


async def say_new_number(api: Api, known: dict[str, list[dict[str, str]]]) -> None:
    """A new number that waits, of somebody who is on a list at this moment."""
    visit = await api.runtime.pool.fetchval(
        "SELECT visit_id FROM number_corrections WHERE state = 'proposed' AND department_id = $1"
        " ORDER BY id LIMIT 1",
        api.teams["county"].department_id,
    )
    made = await add_correction(api, visit, "county")
    known["correction_id of confirm_number_correction"] = [{"correction_id": str(made)}]


async def prepare_followups(
    api: Api, like: UUID, bodies: dict[str, Any]
) -> dict[str, list[dict[str, str]]]:
    """What each operation on follow-ups needs; `bodies` gets a run that nobody follows up."""
    followup, people = await add_followup(api, like)
    asks, _ = await add_followup(api, like, "other_channels", "asks")
    cancelled, _ = await add_followup(api, like)
    signed, told = await add_followup(api, like)
    async with transaction(api.runtime.pool) as conn:
        for visit in told:
            await conn.execute(
                "INSERT INTO visit_tries (visit_id, no, key, result, on_day, by_id, written_by, at,"
                " disputed) VALUES ($1, 1, $1, 'told', $2, $3, $3, $4, false)",
                visit,
                api.clock.at.date(),
                api.teams["county"].viewer.id,
                api.clock.at,
            )
            await conn.execute("UPDATE visits SET state = 'told' WHERE id = $1", visit)
        bodies["start_followup"] = {"run": str(await add_run(conn, like))}
    _, corrected = await add_followup(api, like)
    corrections = [
        {"correction_id": str(await add_correction(api, one, "county"))} for one in corrected
    ]
    _, others = await add_followup(api, like)
    dropped = [{"correction_id": str(await add_correction(api, one, "county"))} for one in others]
    bodies["decide_other_channels"] = {"decision": "skip", "reason": "r"}
    return {
        "followup_id": [{"followup_id": str(followup)}],
        "followup_id of take_visit_list": [{"followup_id": str(followup)}] * 3,
        "followup_id of take_visit_document": [{"followup_id": str(followup)}] * 3,
        "followup_id of decide_other_channels": [{"followup_id": str(asks)}] * 3,
        "followup_id of cancel_followup": [{"followup_id": str(cancelled)}] * 3,
        "followup_id of sign_off_followup": [{"followup_id": str(signed)}] * 3,
        "correction_id": dropped,
        "correction_id of confirm_number_correction": corrections,
        "visit_id": [{"visit_id": str(visit)} for visit in people],
    }


async def missed_some(api: Api, **more: Any) -> Sending:
    """A village of ten phones, nine on file: five delivered, one suspended, one empty number, one
    silent for 72 hours, one opted out.
    """
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    sending = await begin_sending(api, **more)
    pool = api.runtime.pool
    await pool.execute("DELETE FROM messages WHERE no > 9")
    await pool.execute("UPDATE messages SET area_code = $1", VILLAGE)
    await pool.execute(
        "INSERT INTO exclusions (run_id, phone_hash, reason, area_code, roles)"
        " SELECT run_id, phone_hash, 'opted_out', area_code, roles FROM messages WHERE no = 9"
    )
    await pool.execute("DELETE FROM messages WHERE no > 8")
    await sending.become("delivered", range(1, 6))
    await sending.become("undelivered", [6], "suspended")
    await sending.become("undelivered", [7], "empty_number")
    await sending.become("unknown", [8], "no_receipt")
    await settle(api, sending.run)
    entry = {
        "area": VILLAGE,
        "kind": "phones",
        "people": 10,
        "source": "三家",
        "as_of": "2027-01-01",
    }
    answer = await api.call("PUT", "/denominators", ("county", "operator"), json={"items": [entry]})
    assert answer.status == 200
    return sending


async def settle(api: Api, run: UUID) -> None:
    """Nothing of a run is on its way any more."""
    await api.runtime.pool.execute(
        "UPDATE runs SET state = 'sent', settled_at = $2, finished_at = $2 WHERE id = $1",
        run,
        api.clock.at,
    )
