"""A large ledger is written in stretches, and is what one transaction would have written.

Decision 0486: nothing leaves before the last stretch is there; a crash costs one stretch; nobody
is lost and nobody stands in it twice.
"""

import asyncio
import os
import signal
import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.campaigns.audience.audience_source import Stretch
from service.campaigns.core import run_store
from service.crypto import Keyring
from service.dispatch.expansion import expand, expand_store
from service.dispatch.expansion.expand import Expansion, expand_run
from service.dispatch.handoff import sweep_store
from service.storage.postgres import Connection, Pool, one, transaction
from tests.harness.ledger import Scene, add_channel, add_run, make_scene
from tests.harness.listed_people import list_people

PEOPLE = 300
STRETCHES = 5
NAMED = "【旌德县公安局】{姓名}：不转账、不刷单，疑问拨96110。"
LISTED = "【旌德县公安局】{姓名}：{单位}财务人员请当面核实付款指令，疑问拨96110。"
PLAIN = "【旌德县公安局】不转账、不刷单，疑问拨96110。"


async def _people(conn: Connection, keyring: Keyring, now: datetime, text: str) -> Scene:
    """People of whom some are left out, each for a reason of its own, on two channels."""
    scene = await make_scene(conn, now, text=text, capped=True)
    await list_people(
        conn, keyring, scene, now, [f"单位{n}" if n % 7 else "" for n in range(PEOPLE)]
    )
    await conn.execute(
        "UPDATE contacts SET carrier = (ARRAY['china_mobile', 'china_unicom', 'china_telecom'])"
        "[1 + get_byte(phone_hash, 5) % 3],"
        " name_cipher = CASE WHEN get_byte(phone_hash, 6) < 240 THEN name_cipher END"
    )
    await conn.execute(
        "INSERT INTO suppressions (phone_hash, reason, created_by, created_at, classes)"
        " SELECT phone_hash, 'opted_out', $1, $2, '{public_interest}' FROM contacts"
        " WHERE get_byte(phone_hash, 7) < 20",
        scene.operator,
        now - timedelta(days=1),
    )
    await conn.execute(
        "INSERT INTO recent_texts (phone_hash, class, at, runs, texts)"
        " SELECT phone_hash, 'public_interest', array_fill($1::timestamptz, ARRAY[40]),"
        " array_fill(gen_random_uuid(), ARRAY[40]), array_fill(1::bigint, ARRAY[40])"
        " FROM contacts WHERE get_byte(phone_hash, 8) < 20",
        now - timedelta(hours=1),
    )
    mobile = await add_channel(conn, keyring, 1, now)
    unicom = await add_channel(conn, keyring, 2, now)
    await conn.execute("UPDATE channels SET carriers = '{china_mobile}' WHERE id = $1", mobile.id)
    await conn.execute("UPDATE channels SET carriers = '{china_unicom}' WHERE id = $1", unicom.id)
    return scene


async def _run(conn: Connection, scene: Scene, now: datetime, text: str, **more: Any) -> uuid.UUID:
    run = await add_run(conn, scene, now, text=text)
    columns = {"baseline": PEOPLE, "over_cap": "stop"} | more
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    await conn.execute(f"UPDATE runs SET {changes} WHERE id = $1", run, *columns.values())
    return run


async def _in_stretches(pool: Pool, run: uuid.UUID, now: datetime, keyring: Keyring) -> Expansion:
    made = await expand_run(pool, run, now, keyring, stretch_people=PEOPLE // STRETCHES)
    assert made is not None
    return made


async def _rows(pool: Pool, run: uuid.UUID, keyring: Keyring) -> list[tuple[Any, ...]]:
    """The ledger and who is left out of it, without the numbers of rows."""
    ledger = await pool.fetch(
        "SELECT phone_hash, phone_cipher, name_cipher, channel_id, carrier, area_code, roles,"
        " state::text, reason, told, attempt, variables_cipher FROM messages WHERE run_id = $1",
        run,
    )
    left_out = await pool.fetch(
        "SELECT phone_hash, reason, carrier, area_code FROM exclusions WHERE run_id = $1", run
    )
    found = [
        (*list(row.values())[:-1], row[-1] and keyring.decrypt("variables", row[-1]))
        for row in ledger
    ]
    return sorted([*found, *map(tuple, left_out)], key=repr)


async def _check_slices(pool: Pool, run: uuid.UUID, target: int) -> None:
    """Each row of the ledger is in one slice, which is of its channel; the rows have no gap."""
    nos = [
        row["no"]
        for row in await pool.fetch(
            "SELECT m.no FROM messages m JOIN slices s ON s.run_id = m.run_id"
            " AND m.no BETWEEN s.first_no AND s.last_no AND s.channel_id = m.channel_id"
            " WHERE m.run_id = $1 ORDER BY m.no",
            run,
        )
    ]
    assert nos == list(range(1, target + 1))
    inside = await pool.fetchval(
        "SELECT sum(last_no - first_no + 1) FROM slices WHERE run_id = $1", run
    )
    assert inside == target


@pytest.mark.parametrize("of", [1, 2, 3, 5, 7, 64, 1_024])
def test_everybody_is_in_one_stretch(of: int) -> None:
    bounds = [Stretch(no, of).values for no in range(1, of + 1)]
    for hash_ in [bytes(16), b"\xff" * 16, *(os.urandom(16) for _ in range(50))]:
        assert sum(b["hash_from"] <= hash_ < b["hash_to"] for b in bounds) == 1


@pytest.mark.parametrize("text", [PLAIN, NAMED, LISTED], ids=["plain", "named", "listed"])
async def test_in_stretches_it_is_what_one_transaction_writes(
    pool: Pool, keyring: Keyring, now: datetime, text: str
) -> None:
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, text)
        first, second = [await _run(conn, scene, now, text) for _ in range(2)]
    at_once = await expand_run(pool, first, now, keyring)
    stretched = await _in_stretches(pool, second, now, keyring)
    assert at_once is not None
    assert (stretched.target, stretched.excluded) == (at_once.target, at_once.excluded)
    assert sorted(stretched.channels) == sorted(at_once.channels)
    assert await _rows(pool, second, keyring) == await _rows(pool, first, keyring)
    reasons = "SELECT DISTINCT reason FROM exclusions WHERE run_id = $1"
    left_out = {row["reason"] for row in await pool.fetch(reasons, second)}
    assert left_out >= {"opted_out", "capped", "no_route"}
    for run in (first, second):
        await _check_slices(pool, run, at_once.target)
        states = "SELECT state, target FROM runs WHERE id = $1"
        assert tuple(one(await pool.fetchrow(states, run))) == ("running", at_once.target)
    assert await pool.fetchval("SELECT count(*) FROM expansions") == 0
    transactions = "SELECT count(DISTINCT xmin::text) FROM messages WHERE run_id = $1"
    if text == PLAIN:
        assert await pool.fetchval(transactions, first) == 1
        assert await pool.fetchval(transactions, second) == STRETCHES


async def test_a_text_that_follows_goes_to_the_same_people(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, PLAIN)
        first = await _run(conn, scene, now, PLAIN)
    assert await expand_run(pool, first, now, keyring) is not None
    async with pool.acquire() as conn:
        steps = [
            await _run(conn, scene, now, PLAIN, follows=first, relation="step", text_no=no)
            for no in (2, 3)
        ]
    assert await expand_run(pool, steps[0], now, keyring) is not None
    await _in_stretches(pool, steps[1], now, keyring)
    rows = await _rows(pool, steps[0], keyring)
    assert rows
    assert await _rows(pool, steps[1], keyring) == rows


async def test_a_drills_people_are_nobodys_each_a_number(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, LISTED)
        # Others than the numbers of nobody's that they are to get.
        await conn.execute("UPDATE contacts SET phone_hash = decode(md5(phone_hash::text), 'hex')")
        runs = [await _run(conn, scene, now, LISTED, mode="drill") for _ in range(2)]
    assert await expand_run(pool, runs[0], now, keyring) is not None
    await _in_stretches(pool, runs[1], now, keyring)
    counts = (
        "SELECT channel_id, carrier, area_code, roles, count(*), count(variables_cipher)"
        " FROM messages WHERE run_id = $1 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    hashes = "SELECT array_agg(phone_hash ORDER BY no) FROM messages WHERE run_id = $1"
    at_once, stretched = [
        (await pool.fetch(counts, run), await pool.fetchval(hashes, run)) for run in runs
    ]
    assert at_once == stretched


async def test_the_canary_is_as_large(pool: Pool, keyring: Keyring, now: datetime) -> None:
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, PLAIN)
        some, share = [
            await _run(conn, scene, now, PLAIN, safety=safety)
            for safety in ({"canary_first": 12}, {"canary_share": 0.1})
        ]
    for run in (some, share):
        made = await _in_stretches(pool, run, now, keyring)
        first = await pool.fetchval(
            "SELECT sum(last_no - first_no + 1) FROM slices WHERE run_id = $1 AND canary", run
        )
        wanted = 12 if run == some else made.target / 10
        assert wanted <= first <= wanted + 2 * STRETCHES, "rounded up, a channel and a stretch"
        assert await pool.fetchval("SELECT canary FROM runs WHERE id = $1", run) == "sending"


class _Struck(Exception):
    pass


def _strike_at(monkeypatch: pytest.MonkeyPatch, stretch: int) -> None:
    """Let the transaction of a stretch break off at its end."""
    write, calls = expand_store.write_slices, 0

    async def struck(*args: Any, **more: Any) -> list[int]:
        nonlocal calls
        calls += 1
        found = await write(*args, **more)
        if calls == stretch:
            raise _Struck
        return found

    monkeypatch.setattr(expand_store, "write_slices", struck)


async def _broken_off(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> tuple[Scene, uuid.UUID]:
    """A run whose expansion broke off in this stretch."""
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, PLAIN)
        run = await _run(conn, scene, now, PLAIN)
    with monkeypatch.context() as patch:
        _strike_at(patch, stretch)
        with pytest.raises(_Struck):
            await _in_stretches(pool, run, now, keyring)
    return scene, run


async def test_nothing_leaves_before_the_last_is_there(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = await _broken_off(pool, keyring, now, monkeypatch, STRETCHES)
    assert await pool.fetchval("SELECT written FROM expansions") == STRETCHES - 1
    assert await pool.fetchval("SELECT count(*) FROM slices WHERE run_id = $1", run)
    state = await pool.fetchrow("SELECT state, target FROM runs WHERE id = $1", run)
    assert tuple(one(state)) == ("expanding", None)
    async with pool.acquire() as conn:
        assert await sweep_store.channels_with_work(conn, now) == []
        assert await sweep_store.expanding_runs(conn) == [run], "the sweep goes on with it"
    await _in_stretches(pool, run, now, keyring)
    async with pool.acquire() as conn:
        assert await sweep_store.channels_with_work(conn, now)


async def test_who_goes_on_judges_by_the_first_instant_and_leaves_what_is_written(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, run = await _broken_off(pool, keyring, now, monkeypatch, 3)
    before = "SELECT no, xmin::text FROM messages WHERE run_id = $1 ORDER BY no"
    written = await pool.fetch(before, run)
    assert written
    # In an hour the caps would let them through again; and other stretches would be cut now.
    made = await expand_run(pool, run, now + timedelta(days=60), keyring, stretch_people=7)
    assert made is not None
    assert (await pool.fetch(before, run))[: len(written)] == written
    async with pool.acquire() as conn:
        other = await _run(conn, scene, now, PLAIN)
    assert await expand_run(pool, other, now, keyring) is not None
    assert await _rows(pool, run, keyring) == await _rows(pool, other, keyring)
    await _check_slices(pool, run, made.target)


async def test_a_cancel_between_stretches_ends_who_is_in_it_by_then(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = await _broken_off(pool, keyring, now, monkeypatch, 3)
    campaign = await pool.fetchval("SELECT campaign_id FROM runs WHERE id = $1", run)
    async with transaction(pool) as conn:
        runs = await run_store.lock_open_runs(conn, campaign)
        await run_store.set_runs(conn, runs, run_store.OPEN, "cancelled", now)
        await run_store.cancel_messages(conn, runs, now)
    assert await expand_run(pool, run, now, keyring) is None
    target = await pool.fetchval("SELECT target FROM runs WHERE id = $1", run)
    states = await pool.fetch("SELECT state::text, count(*) FROM messages GROUP BY 1")
    assert target
    assert [tuple(row) for row in states] == [("cancelled", target)]
    assert await pool.fetchval("SELECT count(*) FROM expansions") == 0


async def test_a_pause_between_stretches_is_kept_to(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = await _broken_off(pool, keyring, now, monkeypatch, 2)
    await pool.execute("UPDATE campaigns SET state = 'paused'")
    await _in_stretches(pool, run, now, keyring)
    assert await pool.fetchval("SELECT state FROM runs WHERE id = $1", run) == "paused"


async def test_several_at_once_write_nobody_twice(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, PLAIN)
        run, other = [await _run(conn, scene, now, PLAIN) for _ in range(2)]
    people = PEOPLE // STRETCHES
    made = await asyncio.gather(
        *(expand_run(pool, run, now, keyring, stretch_people=people) for _ in range(4))
    )
    assert sum(found is not None for found in made) == 1
    assert await expand_run(pool, other, now, keyring) is not None
    assert await _rows(pool, run, keyring) == await _rows(pool, other, keyring)


_CHILD = """
import asyncio, sys, uuid
from datetime import datetime
from service.crypto import Keyring
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import open_pool

url, run, now, people, inside = sys.argv[1:]
write, calls = expand_store.write_slices, 0

async def slow(*args, **more):
    global calls
    calls += 1
    found = await write(*args, **more)
    if calls == 3 and inside == "inside":
        print("here", flush=True)
        await asyncio.Event().wait()
    return found

begin, begun = expand_store.begin_or_go_on, 0

async def between(*args, **more):
    global begun
    begun += 1
    if begun == 3 and inside == "between":
        print("here", flush=True)
        await asyncio.Event().wait()
    return await begin(*args, **more)

expand_store.write_slices, expand_store.begin_or_go_on = slow, between

async def main():
    async with open_pool(url, size=2) as pool:
        at = datetime.fromisoformat(now)
        await expand_run(pool, uuid.UUID(run), at, Keyring(b"\\x01" * 32),
                         stretch_people=int(people))

asyncio.run(main())
"""


@pytest.mark.parametrize("where", ["inside", "between"])
async def test_kill_9_costs_one_stretch(
    pool: Pool, keyring: Keyring, now: datetime, database_url: str, where: str
) -> None:
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, PLAIN)
        run, other = [await _run(conn, scene, now, PLAIN) for _ in range(2)]
    people = str(PEOPLE // STRETCHES)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _CHILD, database_url, str(run), now.isoformat(), people, where),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(expand.__file__).parents[3],
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 60) == b"here\n"
    child.send_signal(signal.SIGKILL)
    await child.wait()
    assert await pool.fetchval("SELECT written FROM expansions") == 2
    written = await pool.fetchval("SELECT count(*) FROM messages")
    assert 0 < written < PEOPLE / 2

    async def gone_on() -> Expansion | None:
        return await expand_run(pool, run, now, keyring)

    made = None
    async with asyncio.timeout(30):  # the dead one's session holds the lock until it is noticed
        while made is None:
            made = await gone_on()
    assert await expand_run(pool, other, now, keyring) is not None
    assert await _rows(pool, run, keyring) == await _rows(pool, other, keyring)
    await _check_slices(pool, run, made.target)


async def test_few_are_written_at_once_whatever_was_approved(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with pool.acquire() as conn:
        scene = await _people(conn, keyring, now, PLAIN)
        run = await _run(conn, scene, now, PLAIN, baseline=expand.STRETCH_PEOPLE)
        more = await _run(conn, scene, now, PLAIN, baseline=expand.STRETCH_PEOPLE + 1)
    for each in (run, more):
        assert await expand_run(pool, each, now, keyring) is not None
    transactions = "SELECT count(DISTINCT xmin::text) FROM messages WHERE run_id = $1"
    assert await pool.fetchval(transactions, run) == 1
    assert await pool.fetchval(transactions, more) == 2
