"""Our answers on a real PostgreSQL: which are made, to whom, in whose name, each once."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.accounts.departments.department_store import end_registration, register
from service.accounts.people.model import By
from service.channels.contract.gateway import Inbound
from service.crypto import Keyring
from service.delivery.inbound import replies_store
from service.delivery.inbound.replies import (
    ANSWERED_WITHIN,
    MOST_A_DAY,
    TOGETHER,
    reply_texts,
    waits,
)
from service.delivery.receipts import store
from service.delivery.uncertain import uncertain
from service.delivery.uncertain.uncertain import Decision
from service.delivery.uncertain.uncertain_store import UncertainFilter
from service.dispatch.direct import direct, direct_store
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.retries import reroute, reroute_store
from service.reports.progress import run_report
from service.storage.postgres import CheckViolation, Connection, Pool, transaction
from tests.harness.handset import ACCESS, Handsets, hand_off, set_up
from tests.harness.ledger import TEXT, add_channel, add_real_channel, phone
from tests.harness.replies import LATER, Answering

SIGNATURE = "【旌德县公安局】"
CONFIRMED = SIGNATURE + reply_texts()["opt_out_confirmed"]
RECEIVED = SIGNATURE + reply_texts()["clue_received"]
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
ALL = ["public_interest", "service", "warning"]
REFUSED = ["public_interest", "service"]


@pytest.fixture
async def answering(pool: Pool, keyring: Keyring, now: datetime) -> Answering:
    """Four people of one department, of whom the first three got a message."""
    made = await set_up(pool, keyring, now)
    await hand_off(made, 0, 1, 2)
    return Answering(made)


async def wrote(answering: Answering, *texts: tuple[int, str]) -> None:
    """People wrote, and it was read."""
    for person, text in texts:
        await answering.handsets.write(person, text)
    await answering.handsets.read()


async def test_an_opt_out_is_confirmed_once_a_minute_later(answering: Answering) -> None:
    await wrote(answering, (0, "R"))
    pool, now = answering.handsets.pool, answering.now
    async with pool.acquire() as conn:
        assert not await waits(conn, now + TOGETHER - timedelta(seconds=1))
        assert await waits(conn, now + TOGETHER)
    assert await answering.send(now + TOGETHER - timedelta(seconds=1)) == set()
    assert await answering.send() == {answering.handsets.stage.channel.id}
    assert await answering.answered() == [(CONFIRMED, 0)]
    (due,) = await answering.due()
    (run,) = await answering.runs()
    assert (due["run_id"], due["settled_at"]) == (run["id"], now + LATER)
    assert await answering.send(now + 2 * HOUR) == set()
    assert len(await answering.runs()) == 1


@pytest.mark.attack
async def test_what_a_reply_is_sent_as(answering: Answering) -> None:
    await wrote(answering, (0, "R"))
    await answering.send()
    (run,) = await answering.runs()
    on = answering.handsets.stage
    assert (run["class"], run["priority"], run["state"]) == ("service", "normal", "running")
    assert (run["campaign_id"], run["rule"], run["target"]) == (None, None, 1)
    assert (run["channels"], run["department_id"]) == ([on.channel.id], on.scene.department)
    assert (run["send_hours"], run["timezone"]) == ([["08:00", "20:00"]], "Asia/Shanghai")
    assert run["valid_until"] == answering.now + LATER + ANSWERED_WITHIN


async def test_copies_and_second_letters_of_an_opt_out_are_not_confirmed_again(
    answering: Answering,
) -> None:
    await wrote(answering, (0, "R"), (0, "R"), (0, "r"))
    await answering.send()
    await answering.handsets.write(0, "R", at=answering.now + 5 * timedelta(minutes=1))
    await answering.handsets.write(0, "退订", at=answering.now + HOUR)
    await answering.handsets.read()
    await answering.send(answering.now + 2 * HOUR)
    assert await answering.answered() == [(CONFIRMED, 0)]


@pytest.mark.attack
async def test_what_comes_together_goes_out_in_one_run_a_kind_and_a_text_a_person(
    answering: Answering,
) -> None:
    await wrote(answering, (0, "R"), (1, "T"), (2, "我被骗了"), (2, "群里有人被骗"))
    await answering.send()
    assert sorted(await answering.answered()) == sorted(
        [(CONFIRMED, 0), (CONFIRMED, 1), (RECEIVED, 2)]
    )
    by_kind = {run["text"]: run["id"] for run in await answering.runs()}
    assert [(d["kind"], d["run_id"]) for d in await answering.due()] == [
        ("clue_received", by_kind[RECEIVED])
    ] * 2 + [("opt_out_confirmed", by_kind[CONFIRMED])] * 2


async def test_a_reply_leaves_over_the_channel_that_the_text_came_in_on(
    answering: Answering,
) -> None:
    handsets = answering.handsets
    async with handsets.pool.acquire() as conn:
        other = await add_channel(conn, handsets.keyring, 2, answering.now, rank=1)
        await conn.execute("UPDATE departments SET signature = '旌德反诈'")
    await handsets.write(0, "R")
    await handsets.write(1, "R", channel=other.id)
    await handsets.read()
    assert await answering.send() == {handsets.stage.channel.id, other.id}
    rows = await handsets.pool.fetch(
        "SELECT m.channel_id FROM messages m JOIN runs r ON r.id = m.run_id "
        "WHERE r.kind = 'reply' ORDER BY m.channel_id"
    )
    assert [row["channel_id"] for row in rows] == [handsets.stage.channel.id, other.id]


async def test_a_confirmation_passes_the_opt_out_that_it_confirms_and_nothing_else(
    answering: Answering,
) -> None:
    """The first refused everything, the second is protected as well, the third asked for it only
    after the reply was made: at the mark it counts.
    """
    await wrote(answering, (0, "R"), (1, "R"), (2, "R"))
    pool = answering.handsets.pool
    await pool.execute("UPDATE suppressions SET classes = $1", REFUSED)
    await answering.suppress(1, "protected", ALL)
    await answering.send()
    (run,) = await answering.runs()
    assert (run["target"], run["confirms"]) == (2, "opted_out")
    assert await answering.left_out(run["id"]) == {"protected": 1}
    await answering.suppress(2, "complaint", ALL)
    assert len(await answering.hand_off(run["id"])) == 1
    stage = answering.stage_of(run["id"])
    assert await stage.states() == {"submitting": 1, "suppressed": 1}


async def test_an_acknowledgement_of_a_clue_passes_no_suppression(answering: Answering) -> None:
    await wrote(answering, (0, "我被骗了"), (1, "我被骗了"))
    await answering.suppress(0, "opted_out", REFUSED)
    await answering.suppress(1, "opted_out", ["public_interest"])
    await answering.send()
    assert await answering.answered() == [(RECEIVED, 1)]
    (run,) = await answering.runs()
    assert await answering.left_out(run["id"]) == {"opted_out": 1}


@pytest.mark.parametrize("at_the_mark", [False, True])
async def test_an_opt_out_stops_publicity_and_lets_warnings_and_notices_through(
    answering: Answering, at_the_mark: bool
) -> None:
    """At the expansion it leaves people out; at the mark, whoever opted out in between."""
    if not at_the_mark:
        await wrote(answering, (3, "R"))
    runs = {c: await answering.campaign_run(c) for c in ALL}
    if at_the_mark:
        await wrote(answering, (3, "R"))
    no = {c: await _no_of(answering, 3, runs[c]) for c in ALL}
    if at_the_mark:
        for run in runs.values():
            await answering.hand_off(run)
        states = {c: await answering.stage_of(runs[c]).state(no[c] or 0) for c in ALL}
        assert states == {
            "public_interest": "suppressed",
            "service": "submitting",
            "warning": "submitting",
        }
    else:
        assert no["public_interest"] is None
        assert await answering.left_out(runs["public_interest"]) == {"opted_out": 1}
        assert no["service"] is not None
        assert no["warning"] is not None


@pytest.mark.parametrize("reason", ["protected", "dead_number", "complaint"])
async def test_other_suppressions_stop_every_class(answering: Answering, reason: str) -> None:
    await answering.suppress(3, reason, ALL)
    for message_class in ALL:
        run = await answering.campaign_run(message_class)
        assert await answering.left_out(run) == {reason: 1}


async def test_nobody_can_refuse_warnings_whatever_the_code_thinks(answering: Answering) -> None:
    with pytest.raises(CheckViolation, match="warnings_cannot_be_refused"):
        await answering.suppress(3, "opted_out", ALL)


async def test_an_opt_out_adds_to_what_was_refused_but_not_to_what_has_passed(
    answering: Answering,
) -> None:
    pool = answering.handsets.pool
    for person in (0, 1):
        await answering.suppress(person, "opted_out", ["service"])
    await pool.execute(
        "UPDATE suppressions SET expires_at = $1 WHERE phone_hash = $2",
        answering.now - HOUR,
        answering.handsets.keyring.phone_index(phone(1)),
    )
    await wrote(answering, (0, "R"), (1, "R"))
    found = {
        row["phone_hash"]: row["classes"]
        for row in await pool.fetch("SELECT phone_hash, classes FROM suppressions")
    }
    index = answering.handsets.keyring.phone_index
    assert found == {index(phone(0)): REFUSED, index(phone(1)): ["public_interest"]}


async def _no_of(answering: Answering, person: int, run: uuid.UUID) -> int | None:
    no: int | None = await answering.handsets.pool.fetchval(
        "SELECT no FROM messages WHERE run_id = $1 AND phone_hash = $2",
        run,
        answering.handsets.keyring.phone_index(phone(person)),
    )
    return no


async def _arrives(handsets: Handsets, sender: str, text: str, recipient: str = ACCESS) -> None:
    async with transaction(handsets.pool) as conn:
        item = Inbound(sender, recipient, text)
        await store.insert_inbound(
            conn, handsets.keyring, [(handsets.stage.channel.id, item)], handsets.now
        )


@pytest.mark.parametrize(
    ("sender", "recipient", "why"),
    [
        ("10086", ACCESS, "not_a_person"),
        ("+8610086", ACCESS, "not_a_person"),
        ("+86106575550001", ACCESS, "not_a_person"),
        ("+8605638022345", ACCESS, "not_a_person"),
        ("+8614400000001", ACCESS, "not_a_person"),
        ("+442079460000", ACCESS, "not_a_person"),
        ("Bank", ACCESS, "not_a_person"),
        ("", ACCESS, "not_a_person"),
        ("+8619790000003", "19790000003", "ourselves"),
        ("+8619790000003", "+8619790000003", "ourselves"),
    ],
)
async def test_nobody_is_answered_who_is_no_person(
    answering: Answering, sender: str, recipient: str, why: str
) -> None:
    handsets = answering.handsets
    await handsets.department("county")
    await _arrives(handsets, sender, "举报有人被骗了", recipient)
    await handsets.read()
    assert await answering.send() == set()
    assert await answering.skips() == [why]
    assert await answering.runs() == []


@pytest.mark.attack
async def test_a_machine_at_the_other_end_cannot_keep_us_talking(answering: Answering) -> None:
    """It answers each answer of ours with something that looks like a clue."""
    at = answering.now
    for turn in range(MOST_A_DAY + 4):
        at += 11 * timedelta(minutes=1)
        await answering.handsets.write(0, f"我被骗了 {turn}", at=at)
        await answering.handsets.read(at)
        await answering.send(at + LATER)
    assert await answering.skips() == [None] * MOST_A_DAY + ["too_many"] * 4
    assert await answering.answered() == [(RECEIVED, 0)] * MOST_A_DAY

    at += DAY
    await answering.handsets.write(0, "又有人被骗了", at=at)
    await answering.handsets.read(at)
    await answering.send(at + LATER)
    assert len(await answering.answered()) == MOST_A_DAY + 1


async def test_a_reply_that_comes_too_late_is_not_sent(answering: Answering) -> None:
    await wrote(answering, (0, "R"))
    await answering.send(answering.now + ANSWERED_WITHIN)
    assert await answering.skips() == ["too_late"]
    assert await answering.runs() == []


async def test_an_opt_out_that_was_lifted_meanwhile_is_not_confirmed(answering: Answering) -> None:
    await wrote(answering, (0, "R"), (1, "R"))
    await answering.handsets.pool.execute(
        "DELETE FROM suppressions WHERE phone_hash = $1",
        answering.handsets.keyring.phone_index(phone(0)),
    )
    await answering.send()
    assert sorted(map(str, await answering.skips())) == ["None", "lifted"]
    assert await answering.answered() == [(CONFIRMED, 1)]


async def test_a_number_under_another_key_stops_nobody(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    await wrote(answering, (0, "R"), (1, "R"))
    await answering.handsets.pool.execute(
        "UPDATE inbound_texts SET sender_cipher = text_cipher WHERE sender_hash = $1",
        answering.handsets.keyring.phone_index(phone(0)),
    )
    await answering.send()
    assert sorted(map(str, await answering.skips())) == ["None", "unreadable"]
    assert await answering.answered() == [(CONFIRMED, 1)]
    assert "a sender cannot be deciphered" in caplog.text


async def test_the_name_is_that_of_what_was_answered_else_of_whose_text_it_is(
    answering: Answering,
) -> None:
    """The last had got nothing: the text is the county's."""
    handsets = answering.handsets
    county = await handsets.department("county")
    await handsets.pool.execute(
        "UPDATE departments SET signature = '旌德反诈' WHERE id = $1", county
    )
    await wrote(answering, (0, "R"), (3, "R"))
    await answering.send()
    assert sorted(await answering.answered()) == sorted(
        [(CONFIRMED, 0), ("【旌德反诈】" + reply_texts()["opt_out_confirmed"], 3)]
    )
    assert {run["department_id"] for run in await answering.runs()} == {
        handsets.stage.scene.department,
        county,
    }


async def test_without_a_name_nothing_is_said(answering: Answering) -> None:
    await wrote(answering, (3, "R"))
    await answering.send()
    assert await answering.skips() == ["no_signature"]


async def test_a_simulated_channel_answers_no_real_number(answering: Answering) -> None:
    """I12, for direct runs; the other way round by the channel's own flag."""
    handsets = answering.handsets
    real = Recipient(b"r" * 16, b"x", "china_mobile", False, handsets.stage.channel.id)
    nowhere = Recipient(b"n" * 16, b"x", "china_mobile", True, 99)
    good = Recipient(b"g" * 16, b"x", "china_mobile", True, handsets.stage.channel.id)
    async with transaction(handsets.pool) as conn:
        made = await direct.start(
            conn, _new_run(answering), [real, nowhere, good, good], answering.now
        )
    assert (made.target, made.excluded) == (1, 2)
    assert await answering.left_out(made.run_id) == {"not_synthetic": 1, "no_route": 1}


async def test_a_real_channel_answers_no_synthetic_number(answering: Answering) -> None:
    handsets = answering.handsets
    async with transaction(handsets.pool) as conn:
        channel = await add_real_channel(conn, handsets.keyring, answering.now)
        good = Recipient(b"g" * 16, b"x", "china_mobile", True, channel)
        made = await direct.start(conn, _new_run(answering), [good], answering.now)
    assert await answering.left_out(made.run_id) == {"synthetic_range": 1}


def _new_run(answering: Answering, **more: Any) -> NewRun:
    on = answering.handsets.stage
    values: dict[str, Any] = {
        "kind": "reply",
        "department_id": on.scene.department,
        "message_class": "service",
        "priority": "normal",
        "text": TEXT,
        "channels": [on.channel.id],
        "send_hours": [["08:00", "20:00"]],
        "timezone": "Asia/Shanghai",
        "valid_until": answering.now + DAY,
    }
    return NewRun(**values | more)


async def test_a_run_without_a_campaign_is_closed_reported_and_counted(
    answering: Answering,
) -> None:
    await wrote(answering, (0, "R"), (1, "R"))
    await answering.send()
    (run,) = await answering.runs()
    await answering.close_runs()
    assert (await answering.runs())[0]["state"] == "running"
    stage = answering.stage_of(run["id"])
    marked = await answering.hand_off(run["id"])
    await stage.record(*[await stage.result(no, a) for no, a in marked.items()])
    await answering.handsets.pool.execute(
        "UPDATE slices SET done_at = $2, slot = NULL, epoch = NULL WHERE run_id = $1",
        run["id"],
        answering.now,
    )
    await answering.close_runs()
    (closed,) = await answering.runs()
    assert (closed["state"], closed["finished_at"]) == ("sent", answering.now)
    async with answering.handsets.pool.acquire() as conn:
        report = await run_report(conn, run["id"])
    assert report["campaign_id"] is None
    assert report["target"] == 2 == sum(report["states"].values())


async def test_a_run_with_nobody_in_it_is_closed(answering: Answering) -> None:
    await wrote(answering, (0, "R"))
    await answering.suppress(0, "complaint", ALL)
    assert await answering.send() == set()
    await answering.close_runs()
    (run,) = await answering.runs()
    assert (run["target"], run["state"]) == (0, "sent")


async def test_a_reply_is_not_routed_again_to_another_channel(answering: Answering) -> None:
    """It answers over the channel it came in on; elsewhere its sender is not known."""
    handsets = answering.handsets
    async with handsets.pool.acquire() as conn:
        await add_channel(conn, handsets.keyring, 2, answering.now, on_net_only=False)
    await wrote(answering, (0, "R"))
    await answering.send()
    (run,) = await answering.runs()
    await handsets.pool.execute(
        "UPDATE messages SET state = 'rejected', reason = 'ported' WHERE run_id = $1", run["id"]
    )
    async with transaction(handsets.pool) as conn:
        await reroute.lock(conn, [run["id"]])
        strays = await reroute_store.find_strays(conn, [(run["id"], 1)], answering.now)
        assert [row["no"] for row in strays] == [1]
        assert await reroute.reroute(conn, [(run["id"], 1)], answering.now) == []


async def test_a_text_of_a_direct_run_may_take_a_second_channel_and_opens_its_run_again(
    answering: Answering,
) -> None:
    handsets = answering.handsets
    async with transaction(handsets.pool) as conn:
        channel = await add_channel(conn, handsets.keyring, 2, answering.now, on_net_only=False)
        on = handsets.stage.channel.id
        to = Recipient(b"g" * 16, b"x", "china_mobile", True, on)
        new = _new_run(answering, channels=[on, channel.id])
        made = await direct.start(conn, new, [to], answering.now)
        await conn.execute(
            "UPDATE messages SET state = 'rejected', reason = 'ported' WHERE run_id = $1",
            made.run_id,
        )
        await conn.execute("UPDATE slices SET done_at = $1", answering.now)
    await answering.close_runs()
    async with transaction(handsets.pool) as conn:
        await reroute.lock(conn, [made.run_id])
        channels = await reroute.reroute(conn, [(made.run_id, 1)], answering.now)
    assert channels == [channel.id]
    assert [run["state"] for run in await answering.runs()] == ["running"]


async def test_what_is_written_after_a_confirmation_still_answers_the_campaign(
    answering: Answering,
) -> None:
    handsets = answering.handsets
    await wrote(answering, (0, "R"))
    await answering.send()
    (run,) = await answering.runs()
    marked = await answering.hand_off(run["id"])
    assert len(marked) == 1
    await handsets.write(0, "怎么又发", at=answering.now + HOUR)
    await handsets.read()
    last = (await handsets.texts())[-1]
    assert (last["text"], last["run_id"]) == ("怎么又发", handsets.stage.run)


async def test_several_processes_at_once_answer_each_once(answering: Answering) -> None:
    await wrote(
        answering, *[(n % 4, t) for n, t in enumerate(["R", "T", "我被骗了", "有人被骗了"])]
    )
    await answering.handsets.department("county")
    await answering.handsets.pool.execute("UPDATE departments SET signature = '旌德反诈'")
    await asyncio.gather(*[answering.send() for _ in range(6)])
    await answering.send()
    answered = await answering.answered()
    assert sorted(person for _, person in answered) == [0, 1, 2, 3]
    assert await answering.skips() == [None] * 4


STEPS = [
    (replies_store, "replies_due"),
    (replies_store, "settle_by_reason"),
    (direct_store, "write_run"),
    (replies_store, "settle_by_run"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
async def test_a_death_at_any_step_leaves_nothing_and_the_next_answers_once(
    answering: Answering, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str]
) -> None:
    """The step is done, then the server ends the connection before the commit."""
    await wrote(answering, (0, "R"), (1, "我被骗了"))
    pool = answering.handsets.pool
    real = getattr(*step)

    async def then_die(conn: Connection, *args: Any, **options: Any) -> Any:
        result = await real(conn, *args, **options)
        backend = await conn.fetchval("SELECT pg_backend_pid()")
        await pool.fetchval("SELECT pg_terminate_backend($1, 5000)", backend)
        return result

    with monkeypatch.context() as patched:
        patched.setattr(*step, then_die)
        with pytest.raises(Exception, match="connection|terminat"):
            await answering.send()
    assert await answering.runs() == []
    assert [row["settled_at"] for row in await answering.due()] == [None, None]
    for _ in range(3):
        await answering.send()
    assert sorted(await answering.answered()) == sorted([(CONFIRMED, 0), (RECEIVED, 1)])


async def test_an_uncertain_reply_is_not_sent_again_by_itself_but_a_person_may_decide(
    answering: Answering,
) -> None:
    await wrote(answering, (0, "R"))
    await answering.send()
    (run,) = await answering.runs()
    stage, pool, now = answering.stage_of(run["id"]), answering.handsets.pool, answering.now
    (no,) = await answering.hand_off(run["id"])
    await stage.take_over()
    assert await stage.states() == {"uncertain": 1}
    await pool.execute("UPDATE slices SET done_at = $1", now)
    await answering.close_runs()
    assert [found["state"] for found in await answering.runs()] == ["sent"]
    async with transaction(pool) as conn:
        by = By(stage.scene.operator, "没有发出", now + HOUR)
        await uncertain.set_policy(conn, "service", allowed=True, by=by)
        verdict = await uncertain.decide(
            conn, UncertainFilter(keys=[(run["id"], no)]), Decision.NOT_SENT, by
        )
    assert (verdict.decided, verdict.channels) == (1, {stage.channel.id})
    assert await stage.states() == {"queued": 1}
    assert [found["state"] for found in await answering.runs()] == ["running"]


async def test_closing_and_opening_a_run_again_at_once_loses_no_message(
    answering: Answering,
) -> None:
    """Whoever gives a message of a direct run to another channel is waited for, or waits."""
    handsets, now = answering.handsets, answering.now
    on = handsets.stage.channel.id
    async with transaction(handsets.pool) as conn:
        channel = await add_channel(conn, handsets.keyring, 2, now, on_net_only=False)
        people = [
            Recipient(bytes([n]) * 16, b"x", "china_mobile", synthetic=True, channel_id=on)
            for n in range(30)
        ]
        made = await direct.start(conn, _new_run(answering, channels=[on, channel.id]), people, now)
        await conn.execute(
            "UPDATE messages SET state = 'rejected', reason = 'ported' WHERE run_id = $1",
            made.run_id,
        )
        await conn.execute("UPDATE slices SET done_at = $1", now)

    async def again(no: int) -> None:
        async with transaction(handsets.pool) as conn:
            await reroute.lock(conn, [made.run_id])
            await reroute.reroute(conn, [(made.run_id, no)], now)

    acts = [again(no) for no in range(1, 31)] + [answering.close_runs() for _ in range(10)]
    await asyncio.gather(*acts)
    await answering.close_runs()
    stage = answering.stage_of(made.run_id)
    assert await stage.states() == {"queued": 30}
    assert [run["state"] for run in await answering.runs()] == ["running"]
    slices = await handsets.pool.fetchval(
        "SELECT count(*) FROM slices WHERE run_id = $1 AND done_at IS NULL", made.run_id
    )
    assert slices == 30


async def test_what_would_stay_due_is_not_answered_at_all(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next turn would answer it again, each second."""

    async def forget(*_args: Any) -> int:
        return 0

    await wrote(answering, (0, "R"))
    with monkeypatch.context() as patched:
        patched.setattr(replies_store, "settle_by_run", forget)
        with pytest.raises(RuntimeError, match="0 were settled"):
            await answering.send()
    assert await answering.runs() == []
    await answering.send()
    assert await answering.answered() == [(CONFIRMED, 0)]


@pytest.mark.parametrize(
    ("written_to", "ended", "leaves_from"), [("08", False, "08"), ("08", True, ""), ("", False, "")]
)
async def test_an_answer_leaves_from_the_number_that_was_written_to(
    answering: Answering, written_to: str, ended: bool, leaves_from: str
) -> None:
    """Whatever the department's own extension is by now; from no number that nobody has."""
    handsets = answering.handsets
    mine = handsets.stage.scene.department
    async with handsets.pool.acquire() as conn:
        for minutes, digits in enumerate(("08", "96110")):
            at = answering.now + timedelta(minutes=minutes)
            await register(conn, "extension", digits, mine, by=None, now=at)
    await handsets.write(0, "R", recipient="1065720001234" + written_to)
    await handsets.read()
    if ended:
        async with handsets.pool.acquire() as conn:
            await end_registration(conn, "extension", "08", mine, answering.now)
    await answering.send()
    (run,) = await answering.runs()
    assert run["extension"] == leaves_from
