"""Texts from handsets on a real PostgreSQL: joined, told apart, matched, understood, acted upon."""

import asyncio
import logging
import random
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.accounts.departments.department_store import end_registration, register
from service.channels.contract.gateway import Inbound
from service.crypto import Keyring
from service.delivery.inbound import inbound, inbound_store
from service.delivery.inbound.reassembly import GAP, REPEATED_WITHIN
from service.delivery.receipts.inbox import Inbox
from service.logs import JSONFormatter
from service.storage.postgres import Pool
from tests.harness.clocks import HandClock
from tests.harness.handset import ACCESS, Handsets, hand_off, set_up
from tests.harness.ledger import add_channel, phone

SECOND = timedelta(seconds=1)
DAY = timedelta(hours=24)


@pytest.fixture
async def handsets(pool: Pool, keyring: Keyring, now: datetime) -> Handsets:
    """Four people of one department, of whom the first two got a message."""
    made = await set_up(pool, keyring, now)
    await hand_off(made, 0, 1)
    return made


async def test_parts_over_two_processes_in_any_order_make_each_text(handsets: Handsets) -> None:
    """Two channel processes store 12 texts of three parts, mixed, while readers read."""
    expected = {f"{n}甲{n}乙{n}丙" for n in range(12)}
    parts = [
        Inbound(phone(n % 4), ACCESS, f"{n}{'甲乙丙'[k]}", 100 + n, k + 1, 3)
        for n in range(12)
        for k in range(3)
    ]
    random.Random(7).shuffle(parts)

    async def no_wake(_channel: int) -> None:
        return None

    clock = HandClock(handsets.now)
    inboxes = [Inbox(handsets.pool, handsets.keyring, clock, no_wake) for _ in range(2)]
    tasks = [asyncio.create_task(inbox.run()) for inbox in inboxes]
    try:
        for at, text in enumerate(parts):
            deliver = inboxes[at % 2].deliver_for(handsets.stage.channel.id)
            await deliver(text)
            if at % 5 == 0:
                await asyncio.gather(handsets.read(), handsets.read())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await handsets.read()
    assert sorted(text["text"] for text in await handsets.texts()) == sorted(expected)
    assert set(await handsets.arrivals()) == {"joined"}


async def test_what_is_read_is_not_read_again(handsets: Handsets) -> None:
    await handsets.write(0, "你好")
    async with handsets.pool.acquire() as conn:
        assert await inbound.waits(conn, handsets.now)
    assert await handsets.read() == 1
    assert await handsets.read() == 0
    async with handsets.pool.acquire() as conn:
        assert not await inbound.waits(conn, handsets.now)
    assert (await handsets.only_text())["copies"] == 1


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("later", "texts", "fate"),
    [
        (REPEATED_WITHIN, 1, "duplicate"),
        (REPEATED_WITHIN + SECOND, 2, "joined"),
    ],
)
async def test_the_same_within_ten_minutes_is_a_copy(
    handsets: Handsets, together: bool, later: timedelta, texts: int, fate: str
) -> None:
    await handsets.write(0, "在吗")
    if not together:
        await handsets.read()
    await handsets.write(0, "在吗", at=handsets.now + later)
    await handsets.read(handsets.now + later)
    assert [t["copies"] for t in await handsets.texts()] == [3 - texts] * texts
    assert await handsets.arrivals() == ["joined", fate]


@pytest.mark.parametrize(
    "other", [{"person": 1}, {"text": "在么"}, {"recipient": ACCESS + "01"}], ids=str
)
async def test_another_sender_text_or_number_is_no_copy(
    handsets: Handsets, other: dict[str, Any]
) -> None:
    await handsets.write(0, "在吗")
    await handsets.write(**{"person": 0, "text": "在吗", **other})
    await handsets.read()
    assert [t["copies"] for t in await handsets.texts()] == [1, 1]


@pytest.mark.parametrize("after", ["before", "after"])
async def test_a_part_that_comes_again_makes_no_second_text(handsets: Handsets, after: str) -> None:
    await handsets.write(0, "甲", header=(7, 1, 2))
    if after == "before":
        await handsets.write(0, "甲", header=(7, 1, 2))
    await handsets.read()
    await handsets.write(0, "乙", header=(7, 2, 2))
    await handsets.read()
    if after == "after":
        await handsets.write(0, "甲", header=(7, 1, 2), at=handsets.now + SECOND)
        await handsets.read()
    await handsets.read(handsets.now + DAY + SECOND)
    assert (await handsets.only_text())["text"] == "甲乙"
    assert sorted(await handsets.arrivals()) == ["duplicate", "joined", "joined"]


async def test_after_24_hours_what_there_is_goes_to_a_person_with_a_mark(
    handsets: Handsets,
) -> None:
    await handsets.write(0, "退订", header=(7, 2, 2))
    assert await handsets.read() == 1
    just_before = handsets.now + DAY - SECOND
    async with handsets.pool.acquire() as conn:
        assert not await inbound.waits(conn, just_before)
        assert await inbound.waits(conn, handsets.now + DAY)
    assert await handsets.read(just_before) == 0
    assert await handsets.texts() == []
    assert await handsets.arrivals() == ["waiting"]

    assert await handsets.read(handsets.now + DAY) == 1
    text = await handsets.only_text()
    assert (text["text"], text["missing"]) == (GAP + "退订", 1)
    assert (text["kind"], text["state"]) == ("other", "new")
    assert not await handsets.suppressed(0)
    assert await handsets.read(handsets.now + 2 * DAY) == 0


@pytest.mark.parametrize("batch", [1, 500])
async def test_parts_that_came_in_time_are_joined_however_late_they_are_read(
    handsets: Handsets, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "BATCH", batch)
    await handsets.write(0, "甲", header=(7, 1, 2))
    await handsets.write(1, "别的")
    await handsets.write(0, "乙", header=(7, 2, 2), at=handsets.now + SECOND)
    await handsets.read(handsets.now + 3 * DAY)
    assert [(t["text"], t["missing"]) for t in await handsets.texts()] == [("别的", 0), ("甲乙", 0)]


async def test_a_text_belongs_to_the_last_message_to_its_sender_on_its_channel(
    handsets: Handsets,
) -> None:
    first = handsets.stage
    second = await first.another_run()
    await handsets.pool.execute(
        "UPDATE messages SET state = 'submitted', marked_at = $2 WHERE run_id = $1 AND no = $3",
        second.run,
        handsets.now + timedelta(hours=1),
        await handsets.no_of(0, second.run),
    )
    for person, at in ((0, 30), (0, 90), (1, 90), (2, 90)):
        await handsets.write(person, f"{person} {at}", at=handsets.now + timedelta(minutes=at))
    await handsets.read()
    runs = [(t["run_id"], t["message_no"]) for t in await handsets.texts()]
    assert runs == [
        (first.run, await handsets.no_of(0)),
        (second.run, await handsets.no_of(0, second.run)),
        (first.run, await handsets.no_of(1)),
        (None, None),
    ]
    text = (await handsets.texts())[0]
    assert text["department_id"] == first.scene.department
    assert text["campaign_id"] == await handsets.pool.fetchval(
        "SELECT campaign_id FROM runs WHERE id = $1", first.run
    )


async def test_another_channel_a_refused_message_and_an_old_one_match_nothing(
    handsets: Handsets,
) -> None:
    async with handsets.pool.acquire() as conn:
        other = await add_channel(conn, handsets.keyring, 2, handsets.now)
    await handsets.pool.execute(
        "UPDATE messages SET state = 'rejected' WHERE no = $1", await handsets.no_of(1)
    )
    within = handsets.now + inbound.ANSWERS_WITHIN
    await handsets.write(0, "通道", channel=other.id)
    await handsets.write(1, "拒绝")
    await handsets.write(0, "过期", at=within + SECOND)
    await handsets.write(0, "及时", at=within)
    await handsets.read(within + SECOND)
    found = {t["text"]: t["run_id"] for t in await handsets.texts()}
    assert found == {"通道": None, "拒绝": None, "过期": None, "及时": handsets.stage.run}


async def test_a_message_that_is_leaving_can_be_answered_before_its_answer_is_recorded(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    made = await set_up(pool, keyring, now)
    lease = await made.stage.must_lease()
    await made.stage.claim(lease)
    assert await made.stage.mark(lease, [await made.no_of(0)])
    await made.write(0, "1")
    await made.read()
    assert (await made.only_text())["run_id"] == made.stage.run


async def test_an_opt_out_stops_and_is_confirmed_once(handsets: Handsets) -> None:
    second = await handsets.stage.another_run()
    await handsets.write(0, "ｔｄ。")
    await handsets.write(1, "收到退订短信怎么办")
    await handsets.read()
    assert await handsets.suppressed(0)
    assert not await handsets.suppressed(1)
    assert await handsets.due() == ["opt_out_confirmed"]
    text, other = await handsets.texts()
    assert (text["kind"], text["state"], text["done_by"]) == ("opt_out", "done", None)
    assert (other["kind"], other["state"]) == ("other", "new")

    await handsets.write(0, "退订", at=handsets.now + timedelta(hours=1))
    await handsets.read()
    assert await handsets.due() == ["opt_out_confirmed"]

    await handsets.stage.expire()
    lease = await handsets.stage.must_lease()
    async with handsets.pool.acquire() as conn:
        await conn.execute(
            "UPDATE slices SET slot = $2, epoch = $3 WHERE run_id = $1",
            second.run,
            lease.slot,
            lease.epoch,
        )
    nos = [await handsets.no_of(person, second.run) for person in (0, 1)]
    assert list(await second.mark(lease, nos)) == [nos[1]]
    assert await second.state(nos[0]) == "suppressed"


async def test_what_the_person_says_belongs_to_no_department(handsets: Handsets) -> None:
    """A department had entered it, until tomorrow; whoever wrote back has said so for good."""
    await handsets.pool.execute(
        "INSERT INTO suppressions (phone_hash, reason, created_at, expires_at, created_by, classes)"
        " VALUES ($1, 'opted_out', $2, $3, $4, '{public_interest}')",
        handsets.keyring.phone_index(phone(0)),
        handsets.now,
        handsets.now + DAY,
        handsets.stage.scene.operator,
    )
    await handsets.write(0, "R")
    await handsets.read()
    row = await handsets.pool.fetchrow("SELECT * FROM suppressions")
    assert row is not None
    assert (row["source"], row["created_by"], row["expires_at"]) == ("reply", None, None)


async def test_an_opt_out_makes_a_passing_suppression_last(handsets: Handsets) -> None:
    await handsets.pool.execute(
        "INSERT INTO suppressions (phone_hash, reason, created_at, expires_at) "
        "VALUES ($1, 'opted_out', $2, $2)",
        handsets.keyring.phone_index(phone(0)),
        handsets.now,
    )
    await handsets.write(0, "R")
    await handsets.read()
    assert await handsets.suppressed(0)


async def test_after_a_suppression_is_lifted_an_opt_out_stops_again_and_is_confirmed_again(
    handsets: Handsets,
) -> None:
    await handsets.write(0, "R")
    await handsets.read()
    await handsets.pool.execute("DELETE FROM suppressions")
    await handsets.write(0, "R", at=handsets.now + SECOND)  # a copy, by its looks
    await handsets.read()
    assert await handsets.suppressed(0)
    assert await handsets.due() == ["opt_out_confirmed"] * 2
    assert await handsets.arrivals() == ["joined", "duplicate"]


async def test_an_opt_out_in_answer_to_a_work_notice_is_also_shown_to_a_person(
    handsets: Handsets,
) -> None:
    await handsets.run_set(handsets.stage.run, {"class": "service"})
    await handsets.write(0, "T")
    await handsets.read()
    text = await handsets.only_text()
    assert (text["kind"], text["state"]) == ("opt_out", "new")
    assert await handsets.suppressed(0)


async def test_a_clue_goes_to_the_police_and_is_acknowledged_once(handsets: Handsets) -> None:
    police = await handsets.department("police")
    await handsets.department("police")  # a newer one
    await handsets.write(0, "我被骗了5000元")
    await handsets.write(0, "我被骗了5000元")
    await handsets.write(3, "举报 106551234 冒充客服")
    await handsets.write(1, "请问几点开会")
    await handsets.read()
    texts = {t["text"][:2]: t for t in await handsets.texts()}
    for clue in ("我被", "举报"):
        assert texts[clue]["kind"] == "clue"
        assert texts[clue]["state"] == "new"
        assert texts[clue]["department_id"] == police
    assert texts["我被"]["run_id"] == handsets.stage.run
    assert texts["请问"]["department_id"] == handsets.stage.scene.department
    assert await handsets.due() == ["clue_received"] * 2
    assert not await handsets.suppressed(0)


async def test_a_clue_stays_with_the_police_department_that_wrote(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    made = await set_up(pool, keyring, now, kind="police")
    await pool.execute("UPDATE departments SET created_at = created_at + interval '1 hour'")
    await made.department("police")
    await hand_off(made, 0)
    await made.write(0, "9")
    await made.read()
    text = await made.only_text()
    assert (text["kind"], text["answer"]) == ("clue", 9)
    assert text["department_id"] == made.stage.scene.department


async def test_without_police_a_clue_goes_to_the_department_or_the_county(
    handsets: Handsets,
) -> None:
    await handsets.write(0, "9")
    await handsets.write(2, "9")
    await handsets.read()
    departments = [t["department_id"] for t in await handsets.texts()]
    assert departments == [handsets.stage.scene.department, None]


async def test_answers_are_counted_by_run_each_person_with_the_last(handsets: Handsets) -> None:
    minute = timedelta(minutes=1)
    for at, (person, text) in enumerate(
        [(0, "1"), (1, "2"), (0, "２"), (1, "9"), (0, "1。"), (2, "1")]
    ):
        await handsets.write(person, text, at=handsets.now + 11 * at * minute)
    await handsets.read()
    async with handsets.pool.acquire() as conn:
        kinds, answers = await inbound_store.count_by_run(conn, handsets.stage.run)
    assert answers == {1: 1, 9: 1}
    assert kinds == {"answer": 4, "clue": 1}
    states = [(t["kind"], t["state"]) for t in await handsets.texts()]
    assert states[0] == ("answer", "done")
    assert states[5] == ("answer", "new")  # to nothing that we sent


async def test_what_cannot_be_deciphered_is_set_aside_and_stops_nobody(
    handsets: Handsets, caplog: pytest.LogCaptureFixture
) -> None:
    await handsets.write(0, "坏")
    await handsets.pool.execute("UPDATE inbound SET text_cipher = sender_cipher")
    await handsets.write(1, "R")
    await handsets.read()
    assert await handsets.arrivals() == ["unreadable", "joined"]
    assert await handsets.suppressed(1)
    assert "texts cannot be deciphered" in caplog.text
    assert await handsets.read() == 0


@pytest.mark.attack
async def test_texts_and_numbers_are_encrypted_at_rest_and_not_logged(
    handsets: Handsets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = f"群里有人被骗了 {phone(3)[3:]}"
    await handsets.write(0, secret[:6], header=(7, 1, 2))
    await handsets.write(0, secret[6:], header=(7, 2, 2))
    await handsets.write(1, "UNSUBSCRIBE")
    await handsets.read()
    assert {t["text"] for t in await handsets.texts()} == {secret, "UNSUBSCRIBE"}
    forbidden = [part for n in (0, 1, 3) for part in (phone(n), phone(n)[3:])]
    forbidden += [secret, secret[:6], secret[6:], "UNSUBSCRIBE"]
    tables = ("inbound", "inbound_texts", "replies_due", "suppressions")
    stored = [
        str(dict(row))
        + "".join(
            value.decode("latin-1") + value.decode("utf-8", "replace")
            for value in row.values()
            if isinstance(value, bytes)
        )
        for table in tables
        for row in await handsets.pool.fetch(f"SELECT * FROM {table}")
    ]
    assert len(stored) == 3 + 2 + 2 + 1
    logged = [JSONFormatter().format(record) + str(vars(record)) for record in caplog.records]
    assert any("texts read" in line for line in logged)
    assert not [word for word in forbidden for line in stored + logged if word in line]


async def test_ids_are_in_the_order_of_arrival(handsets: Handsets) -> None:
    for n in range(20):
        await handsets.write(n % 4, f"第{n}条")
    await handsets.read()
    assert [t["text"] for t in await handsets.texts()] == [f"第{n}条" for n in range(20)]
    assert all(isinstance(t["id"], uuid.UUID) for t in await handsets.texts())


NUMBER = "1065720001234"  # of the channel in tests.harness.ledger


@pytest.mark.attack
async def test_a_text_to_an_extension_is_its_departments_and_answers_its_last_message(
    handsets: Handsets,
) -> None:
    """Also if another department wrote to the person later; a clue goes to the police all the same,
    and one to an extension of the police stays there.
    """
    mine = handsets.stage.scene.department
    county, police = await handsets.department("county"), await handsets.department("police")
    other_police = await handsets.department("police")
    theirs = await handsets.department("education")
    for digits, department in (("08", mine), ("96110", other_police), ("77", theirs)):
        async with handsets.pool.acquire() as conn:
            await register(conn, "extension", digits, department, by=None, now=handsets.now)
    async with handsets.pool.acquire() as conn:
        await end_registration(conn, "extension", "77", theirs, handsets.now)
    later = handsets.now + SECOND
    second = await handsets.stage.another_run()
    await handsets.run_set(second.run, {"department_id": theirs})
    await handsets.pool.execute(
        "UPDATE messages SET state = 'submitted', marked_at = $2 WHERE run_id = $1",
        second.run,
        later,
    )
    run, at = handsets.stage.run, later + SECOND
    cases = [
        ("", "在吗", None, theirs, second.run),  # the last message on the channel
        ("08", "在", "08", mine, run),
        ("77", "好", "77", theirs, second.run),  # given up, and still theirs
        ("96110", "请问", "96110", other_police, None),  # it has sent nothing
        ("123", "喂", None, theirs, second.run),  # nobody's
        ("08", "举报", "08", police, run),
        ("96110", "报案", "96110", other_police, None),
    ]
    for digits, text, *_ in cases:
        await handsets.write(0, text, recipient=NUMBER + digits, at=at)
    await handsets.read(at)
    found = {
        text["text"]: (text["extension"], text["department_id"], text["run_id"])
        for text in await handsets.texts()
    }
    assert found == {text: expected for _, text, *rest in cases for expected in [tuple(rest)]}
    assert county not in {department for _, department, _ in found.values()}
