"""Opt-outs of one department's work notices: what they stop, and how a reply enters them."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from service.accounts.departments.department_store import register
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_rule
from service.audience.segments.segment_store import shown
from service.campaigns.audience.follow_up_store import count_missed
from service.campaigns.audience.preview import preview_rule
from service.crypto import Keyring
from service.delivery.inbound.replies import reply_texts
from service.dispatch.direct import direct_store
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.expansion.expand import expand_run
from service.reports.audience_store import count_audience
from service.storage import sql
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.crowd import add_plan, look
from tests.harness.handset import hand_off, set_up
from tests.harness.ledger import TEXT, add_contacts, phone
from tests.harness.replies import LATER, Answering

NUMBER = "1065720001234"  # of the channel in tests.harness.ledger
SIGNATURE = "【旌德县公安局】"
ENDED = SIGNATURE + reply_texts()["notices_confirmed"]
CONFIRMED = SIGNATURE + reply_texts()["opt_out_confirmed"]
CLASSES = ("public_interest", "service", "warning")


@dataclass(frozen=True)
class Kind:
    """What somebody refused, of whose notices, and which of the sender's classes that stops."""

    refused: tuple[str, ...]
    whose: str | None
    stopped: tuple[str, ...]


KINDS = (
    Kind(("public_interest",), None, ("public_interest",)),
    Kind(("service",), None, ("service",)),
    Kind(("public_interest", "service"), None, ("public_interest", "service")),
    Kind(("service",), "sender", ("service",)),
    Kind(("public_interest", "service"), "sender", ("public_interest", "service")),
    Kind(("service",), "another", ()),
    Kind(("public_interest", "service"), "another", ("public_interest",)),
)
NOBODY = len(KINDS)
"""One person more, who refused nothing."""


@pytest.fixture
async def answering(pool: Pool, keyring: Keyring, now: datetime) -> Answering:
    """A person for each kind of opt-out, and one who has none; their run was handed off."""
    made = await set_up(pool, keyring, now, people=len(KINDS) + 1)
    await hand_off(made, *range(len(KINDS) + 1))
    return Answering(made)


async def refuse(answering: Answering) -> None:
    handsets = answering.handsets
    whose = {
        None: None,
        "sender": handsets.stage.scene.department,
        "another": await handsets.department("school"),
    }
    for person, kind in enumerate(KINDS):
        await answering.suppress(person, "opted_out", list(kind.refused), whose[kind.whose])


def refusing(message_class: str) -> set[int]:
    return {person for person, kind in enumerate(KINDS) if message_class in kind.stopped}


async def people(answering: Answering, query: str, *values: object) -> set[int]:
    """The persons whose phone hashes a query gives."""
    index = answering.handsets.keyring.phone_index
    who = {index(phone(n)): n for n in range(len(KINDS) + 1)}
    return {who[row[0]] for row in await answering.handsets.pool.fetch(query, *values)}


async def excluded(answering: Answering, run: uuid.UUID) -> set[int]:
    query = "SELECT phone_hash FROM exclusions WHERE run_id = $1 AND reason = 'opted_out'"
    return await people(answering, query, run)


async def test_whom_an_expansion_leaves_out(answering: Answering) -> None:
    await refuse(answering)
    for message_class in CLASSES:
        run = await answering.campaign_run(message_class)
        assert await excluded(answering, run) == refusing(message_class), message_class


async def test_whom_the_mark_stops(answering: Answering) -> None:
    runs = {message_class: await answering.campaign_run(message_class) for message_class in CLASSES}
    await refuse(answering)
    stopped = "SELECT phone_hash FROM messages WHERE run_id = $1 AND state = 'suppressed'"
    left = "SELECT phone_hash FROM messages WHERE run_id = $1 AND state = 'submitting'"
    everybody = {*range(len(KINDS) + 1)}
    for message_class, run in runs.items():
        await answering.hand_off(run)
        refused = refusing(message_class)
        assert await people(answering, stopped, run) == refused, message_class
        assert await people(answering, left, run) == everybody - refused, message_class


async def test_whom_a_direct_run_leaves_out(answering: Answering) -> None:
    await refuse(answering)
    on, index = answering.handsets.stage, answering.handsets.keyring.phone_index
    named = [
        Recipient(index(phone(n)), b"x", "china_mobile", True, on.channel.id)
        for n in range(len(KINDS) + 1)
    ]
    for message_class in CLASSES:
        new = NewRun(
            kind="direct",
            department_id=on.scene.department,
            message_class=message_class,
            priority="normal",
            text=TEXT,
            channels=[on.channel.id],
            send_hours=[["08:00", "20:00"]],
            timezone="Asia/Shanghai",
            valid_until=answering.now + timedelta(hours=1),
            sent_by=on.scene.operator,
        )
        async with transaction(on.pool) as conn:
            written = await direct_store.write_run(conn, new, named, answering.now)
        assert await excluded(answering, written.run["id"]) == refusing(message_class), (
            message_class
        )


async def test_what_is_counted_before_is_what_an_expansion_leaves_out(
    answering: Answering,
) -> None:
    await refuse(answering)
    on, now = answering.handsets.stage, answering.now
    department, rule = on.scene.department, "carrier != broadnet"
    async with transaction(on.pool) as conn:
        areas = RuleAreas(await read_area_tree(conn))

        condition = compile_rule(
            parse(rule), areas=areas, department_id=department, today=now.date()
        )
        for message_class in CLASSES:
            refused = len(refusing(message_class))
            seen = await preview_rule(
                conn, on.keyring, department, rule, now, message_class=message_class
            )
            counts = seen.counts
            assert counts.excluded.get("opted_out", 0) == refused, message_class
            target = len(KINDS) + 1 - refused
            assert counts.target == target
            audience = await count_audience(conn, department, condition, message_class, now)
            assert audience.target == target
            listed = await sql.fetch(
                conn,
                f"SELECT c.phone_hash {shown(condition)}",
                department_id=department,
                now=now,
                message_class=message_class,
                **condition.values,
            )
            assert len(listed) == target


async def test_what_another_plan_costs_counts_nobody_who_refused(answering: Answering) -> None:
    """Everybody had a text of the class a moment ago, and may have one a day."""
    await refuse(answering)
    on, now = answering.handsets.stage, answering.now
    async with transaction(on.pool) as conn:
        for message_class in CLASSES[:2]:
            await _fill_caps(conn, message_class, now)
            plan = await add_plan(conn, on.scene, now, text="别的")
            await conn.execute("UPDATE templates SET class = $1", message_class)
            capped = (await look(conn, on.scene, plan, now)).capped
            await conn.execute("DELETE FROM campaigns WHERE id = $1", plan)
            assert capped == len(KINDS) + 1 - len(refusing(message_class)), message_class


async def _fill_caps(conn: Connection, message_class: str, now: datetime) -> None:
    await conn.execute(
        "INSERT INTO frequency_caps (class, per_day, same_text, reason, set_at) "
        "VALUES ($1, 1, true, 'test', $2)",
        message_class,
        now,
    )
    await conn.execute(
        "INSERT INTO recent_texts (phone_hash, class, at, runs, texts) "
        "SELECT phone_hash, $1, ARRAY[$2::timestamptz], ARRAY[$3::uuid], ARRAY[1::bigint] "
        "FROM contacts ON CONFLICT DO NOTHING",
        message_class,
        now,
        uuid.uuid4(),
    )


async def test_whom_a_run_is_not_sent_again_to(answering: Answering) -> None:
    run = answering.handsets.stage.run
    await refuse(answering)
    await answering.handsets.pool.execute(
        "UPDATE messages SET state = 'undelivered', reason = 'powered_off' WHERE run_id = $1", run
    )
    for message_class in CLASSES:
        await answering.handsets.run_set(run, {"class": message_class})
        async with transaction(answering.handsets.pool) as conn:
            missed = await count_missed(conn, run, answering.now)
        refused = len(refusing(message_class))
        assert missed.not_again == ({"opted_out": refused} if refused else {})
        assert missed.again == {"powered_off": len(KINDS) + 1 - refused}


async def noticed(answering: Answering, *, ends: bool = True) -> uuid.UUID:
    """What was handed off were work notices, of a department that lets them end by a reply or
    not; returns the department.
    """
    handsets, department = answering.handsets, answering.handsets.stage.scene.department
    await handsets.run_set(handsets.stage.run, {"class": "service"})
    await handsets.pool.execute(
        "UPDATE departments SET notices_end_by_reply = $2 WHERE id = $1", department, ends
    )
    return department


async def refusals(answering: Answering) -> list[tuple[list[str], uuid.UUID | None]]:
    rows = await answering.handsets.pool.fetch(
        "SELECT classes, department_id FROM suppressions ORDER BY department_id NULLS FIRST"
    )
    return [(row["classes"], row["department_id"]) for row in rows]


async def test_a_reply_to_a_notice_ends_the_notices_of_that_department_alone(
    answering: Answering,
) -> None:
    department = await noticed(answering)
    handsets = answering.handsets
    await handsets.write(0, "R")
    await handsets.read()
    assert await refusals(answering) == [
        (["public_interest"], None),
        (["service"], department),
    ]
    assert (await handsets.only_text())["state"] == "done"
    await answering.send()
    assert await answering.answered() == [(ENDED, 0)]
    (run,) = await answering.runs()
    assert len(await answering.hand_off(run["id"])) == 1
    own = await answering.campaign_run("service")
    assert await answering.left_out(own) == {"opted_out": 1}
    theirs = await answering.campaign_run("service", expand=False)
    await _give_away(answering, theirs)
    assert await answering.left_out(theirs) == {}


async def _give_away(answering: Answering, run: uuid.UUID) -> None:
    """Let the run be another department's, which has the same people, and expand it."""
    handsets = answering.handsets
    other = await handsets.department("school")
    scene = handsets.stage.scene
    async with transaction(handsets.pool) as conn:
        numbers = [phone(n) for n in range(len(KINDS) + 1)]
        await add_contacts(
            conn, handsets.keyring, replace(scene, department=other), numbers, answering.now
        )
        await conn.execute("UPDATE runs SET department_id = $2 WHERE id = $1", run, other)
    made = await expand_run(handsets.pool, run, answering.now)
    assert made is not None
    assert made.target == len(KINDS) + 1


@pytest.mark.parametrize(("message_class", "ends"), [("service", False), ("public_interest", True)])
async def test_a_reply_ends_no_notices_that_it_does_not_answer_or_that_a_person_decides_on(
    answering: Answering, message_class: str, ends: bool
) -> None:
    await noticed(answering, ends=ends)
    handsets = answering.handsets
    await handsets.run_set(handsets.stage.run, {"class": message_class})
    await handsets.write(0, "R")
    await handsets.read()
    assert await refusals(answering) == [(["public_interest"], None)]
    text = await handsets.only_text()
    assert text["state"] == ("new" if message_class == "service" else "done")
    await answering.send()
    assert await answering.answered() == [(CONFIRMED, 0)]


async def test_to_an_extension_the_notices_of_its_department_end_and_not_those_of_the_last_text(
    answering: Answering,
) -> None:
    """The police wrote last; the reply went to the number of the school, which wrote before."""
    department = await noticed(answering)
    handsets = answering.handsets
    school = await handsets.department("school")
    later = await handsets.stage.another_run()
    await handsets.run_set(later.run, {"department_id": school, "class": "service"})
    await handsets.pool.execute("UPDATE departments SET notices_end_by_reply = true")
    await handsets.pool.execute(
        "UPDATE messages SET state = 'submitted', marked_at = $2 WHERE run_id = $1",
        later.run,
        answering.now + timedelta(seconds=1),
    )
    async with transaction(handsets.pool) as conn:
        await register(conn, "extension", "77", department, by=None, now=answering.now)
    await handsets.write(0, "R", recipient=NUMBER + "77", at=answering.now + timedelta(minutes=1))
    await handsets.write(1, "R", at=answering.now + timedelta(minutes=1))
    await handsets.read()
    rows = await handsets.pool.fetch(
        "SELECT phone_hash, department_id FROM suppressions WHERE department_id IS NOT NULL"
    )
    index = handsets.keyring.phone_index
    assert {row["phone_hash"]: row["department_id"] for row in rows} == {
        index(phone(0)): department,
        index(phone(1)): school,
    }


async def test_what_is_refused_again_is_confirmed_again_only_if_it_had_been_lifted(
    answering: Answering,
) -> None:
    """First both; the same again; publicity alone was lifted; then the notices alone."""
    await noticed(answering)
    handsets, pool = answering.handsets, answering.handsets.pool
    at = answering.now
    for lifted in ("", "department_id IS NULL", "department_id IS NOT NULL"):
        if lifted:
            await pool.execute(f"DELETE FROM suppressions WHERE {lifted}")
        for word in ("R", "退订"):
            at += timedelta(hours=1)
            await handsets.write(0, word, at=at)
            await handsets.read(at)
            await answering.send(at + LATER)
    assert await answering.answered() == [(ENDED, 0), (CONFIRMED, 0), (ENDED, 0)]


async def test_a_copy_of_an_opt_out_ends_the_notices_again(answering: Answering) -> None:
    department = await noticed(answering)
    handsets = answering.handsets
    await handsets.write(0, "R")
    await handsets.read()
    await handsets.pool.execute("DELETE FROM suppressions")
    await handsets.write(0, "R", at=answering.now + timedelta(minutes=1))
    await handsets.read()
    assert (await handsets.only_text())["copies"] == 2
    assert await refusals(answering) == [
        (["public_interest"], None),
        (["service"], department),
    ]
