"""What lists say goes into a ledger as a cipher and is judged when a text is made; a run that takes
nothing of lists has no more to do than before.
"""

import json
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from service.coding.parts import split
from service.crypto import Keyring
from service.dispatch.compose import VARIABLES, ClaimedSlice, Composer
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expand import expand_run
from service.dispatch.fair_queue import Flow
from service.dispatch.value_check import ValueRefused
from service.storage.postgres import Connection, Pool, Record
from tests.harness.ledger import add_channel, add_run, make_scene, phone
from tests.harness.listed_people import list_people
from tests.harness.waiting import until

TEXT = "【旌德县公安局】{姓名}：{单位}财务人员请当面核实付款指令，疑问拨96110。"
PLAIN = "【旌德县公安局】{姓名}：财务人员请当面核实付款指令，疑问拨96110。"


async def expanded(
    pool: Pool, keyring: Keyring, now: datetime, orgs: list[str | None], text: str = TEXT
) -> uuid.UUID:
    """The run of a text to these people, with its ledger."""
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now, text=text)
        await list_people(conn, keyring, scene, now, orgs)
        await add_channel(conn, keyring, 1, now)
        run = await add_run(conn, scene, now, text=text)
    assert await expand_run(pool, run, now, keyring) is not None
    return run


def read(keyring: Keyring, text: str, row: Record, *, direct: bool = False) -> str:
    """What somebody reads."""
    work = ClaimedSlice(
        uuid.UUID(int=1), 1, text, "public_interest", None, hours=None, valid_until=None,  # type: ignore[arg-type]  # not read here
        flow=Flow(1, uuid.UUID(int=1)), weight=1, rows=None, direct=direct,  # type: ignore[arg-type]  # not read here
    )  # fmt: skip
    composer = Composer(keyring, {}, lambda t: tuple(split(t)), simulated=True)
    return b"".join(p.body for p in composer.compose(work, row).parts).decode("utf-16-be")


async def test_a_ledger_has_what_lists_say_as_ciphers(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    run = await expanded(pool, keyring, now, ["县市场监管局", "旌德县第一中学", "", None])
    rows = await pool.fetch("SELECT * FROM messages WHERE run_id = $1 ORDER BY no", run)
    texts = {
        keyring.decrypt("phone", row["phone_cipher"]): read(keyring, TEXT, row) for row in rows
    }
    assert texts == {
        phone(0): TEXT.replace("{姓名}", "王建国").replace("{单位}", "县市场监管局"),
        phone(1): TEXT.replace("{姓名}", "王建国").replace("{单位}", "旌德县第一中学"),
    }
    left_out = await pool.fetch("SELECT reason, phone_hash FROM exclusions WHERE run_id = $1", run)
    assert {(row["phone_hash"], row["reason"]) for row in left_out} == {
        (keyring.phone_index(phone(n)), "no_value") for n in (2, 3)
    }
    stored = await pool.fetchval("SELECT string_agg(m::text, '') FROM messages m")
    for said in ("监管", "中学"):
        assert said not in stored
        assert said.encode().hex() not in stored
        assert json.dumps(said).strip('"').encode().hex() not in stored
    target = await pool.fetchval("SELECT target FROM runs WHERE id = $1", run)
    assert target == 2


async def test_a_value_that_is_gone_stays_what_it_was_in_the_ledger(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    run = await expanded(pool, keyring, now, ["县局"])
    await pool.execute("UPDATE links SET org = '另一家'")
    (row,) = await pool.fetch("SELECT * FROM messages WHERE run_id = $1", run)
    assert "县局" in read(keyring, TEXT, row)


async def test_many_people_are_filled_in_stretches(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more values are in clear at a time than a stretch has, and nobody's are another's."""
    monkeypatch.setattr(expand_store, "VALUES_AT_ONCE", 4)
    orgs: list[str | None] = [f"第{n}分局" for n in range(11)]
    run = await expanded(pool, keyring, now, orgs)
    rows = await pool.fetch("SELECT * FROM messages WHERE run_id = $1", run)
    assert {keyring.decrypt("phone", row["phone_cipher"]) for row in rows} == {
        phone(n) for n in range(11)
    }
    for row in rows:
        number = int(keyring.decrypt("phone", row["phone_cipher"])[-4:])
        said = json.loads(keyring.decrypt(VARIABLES, row["variables_cipher"]))
        assert said == {"org": f"第{number}分局"}


@pytest.mark.fresh
@pytest.mark.parametrize(("text", "updates"), [(PLAIN, 0), (TEXT, 3)])
async def test_a_run_that_takes_nothing_of_lists_writes_each_row_once(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    updates: int,
) -> None:
    """No second version of any row, as ever."""
    writes = "SELECT n_tup_ins, n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'messages'"
    counted: list[Record] = []
    finish = expand_store.finish_expansion

    async def counting(conn: Connection, *more: Any) -> None:
        counted.extend(await conn.fetch(writes))
        await finish(conn, *more)

    monkeypatch.setattr(expand_store, "finish_expansion", counting)
    run = await expanded(pool, keyring, now, ["甲局", "乙局", "丙局"], text)
    assert [(row["n_tup_ins"], row["n_tup_upd"]) for row in counted] == [(3, updates)]
    ciphers = await pool.fetch(
        "SELECT variables_cipher IS NULL AS none FROM messages WHERE run_id = $1", run
    )
    assert [row["none"] for row in ciphers] == [not updates] * 3


@pytest.mark.attack
async def test_a_sentence_on_a_list_stops_its_text_and_no_other(
    pool: Pool,
    keyring: Keyring,
    simulate: Callable[..., Any],
    serve: Callable[..., Any],
    clock: Any,
    tmp_path: Path,
) -> None:
    """Of an organisation, a class and a school, over the wire: what a second person approved goes
    to everybody else."""
    text = "【旌德县公安局】{学校}{班级}家长、{单位}职工：先收费的都是骗局，疑问拨96110。"
    now = clock.now()
    async with simulate(cmpp_port=0) as carrier:
        async with pool.acquire() as conn:
            scene = await make_scene(conn, now, text=text)
            await list_people(conn, keyring, scene, now, ["县局"] * 5)
            for number, column, said in (
                (1, "org", "请速到银行汇款"),
                (2, "class", "加微信abc123领奖"),
                (3, "school", "点t.cn/a报验证码学校"),
            ):
                await conn.execute(
                    "UPDATE links SET school = coalesce(nullif(school, ''), '一小'),"
                    " class = coalesce(nullif(class, ''), '三班')"
                )
                await conn.execute(
                    f"UPDATE links SET {column} = $2 WHERE contact_id ="
                    " (SELECT id FROM contacts WHERE phone_hash = $1)",
                    keyring.phone_index(phone(number)),
                    said,
                )
            channel = await add_channel(conn, keyring, carrier.ports["cmpp"], now)
            run = await add_run(conn, scene, now, text=text)
        made = await expand_run(pool, run, now, keyring)
        assert made is not None
        assert made.target == 5
        server = await serve()
        server.wakeups.wake(channel.id)

        async def all_left() -> bool:
            return bool(
                await pool.fetchval(
                    "SELECT count(*) = 0 FROM messages WHERE state IN ('queued', 'submitting')"
                )
            )

        await until(all_left)
        carrier.smsc.journal.flush()
    stopped = await pool.fetch(
        "SELECT phone_hash, state::text FROM messages WHERE reason = $1", ValueRefused.reason
    )
    assert {(row["phone_hash"], row["state"]) for row in stopped} == {
        (keyring.phone_index(phone(n)), "suppressed") for n in (1, 2, 3)
    }
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    assert sum(line["event"] == "submit" for line in lines) == 2


async def test_what_a_direct_send_brings_is_no_word_of_a_list(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """It gives its values by the names of the variables, and they are judged as given ones are."""
    run = await expanded(pool, keyring, now, ["县局"])
    (row,) = await pool.fetch("SELECT * FROM messages WHERE run_id = $1", run)
    given = dict(row) | {
        "variables_cipher": keyring.encrypt(VARIABLES, json.dumps({"姓名": "李四", "单位": "省厅"}))
    }
    assert "李四：省厅财务" in read(keyring, TEXT, given, direct=True)  # type: ignore[arg-type]  # the rows that it reads


async def test_a_drill_has_nobodys_values_as_long_as_theirs(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """So it has in a later text, whose people are on no list: none of them is left out."""
    later = "【旌德县公安局】{学校}{班级}家长：先收费的都是骗局，疑问拨96110。"
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now, text=TEXT)
        await list_people(conn, keyring, scene, now, ["县监管局", "ABC厂", ""])
        await add_channel(conn, keyring, 1, now)
        run = await add_run(conn, scene, now, text=TEXT)
        await conn.execute("UPDATE runs SET mode = 'drill'")
    made = await expand_run(pool, run, now, keyring)
    assert made is not None
    assert (made.target, made.excluded) == (2, 1)
    rows = await pool.fetch("SELECT * FROM messages WHERE run_id = $1", run)
    assert {read(keyring, TEXT, row) for row in rows} == {
        TEXT.replace("{姓名}", "某某某").replace("{单位}", said) for said in ("某某某某", "xxx某")
    }
    step = await pool.fetchval(
        "INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text, rule,"
        " send_hours, timezone, created_at, mode, follows, relation, text_no)"
        " SELECT campaign_id, department_id, fire_at, 'expanding', priority, class, $2, rule,"
        " send_hours, timezone, created_at, mode, id, 'step', 2 FROM runs WHERE id = $1"
        " RETURNING id",
        run,
        later,
    )
    made = await expand_run(pool, step, now, keyring)
    assert made is not None
    assert (made.target, made.excluded) == (2, 0)
    rows = await pool.fetch("SELECT * FROM messages WHERE run_id = $1", step)
    assert {read(keyring, later, row) for row in rows} == {
        later.replace("{学校}", "某" * 7).replace("{班级}", "某某某某x某某")
    }
