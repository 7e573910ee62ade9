"""查证 by text: whoever asks whether a text is ours is answered once, in the usual hours."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.crypto import Keyring
from service.delivery.inbound import replies_store
from service.delivery.inbound.replies import MOST_A_DAY, reply_texts
from service.dispatch.direct import direct_store
from service.messages.sent.sent_texts import note_sent
from service.storage.postgres import Connection, Pool
from tests.harness.handset import hand_off, set_up
from tests.harness.ledger import TEXT
from tests.harness.replies import LATER, Answering

SIGNATURE = "【旌德县公安局】"
OURS = f"{SIGNATURE}您查的短信是旌德公安1月12日发出的。"
LIKE = SIGNATURE + reply_texts()["checked_like_no_links"]
UNKNOWN = SIGNATURE + reply_texts()["checked_unknown"]
NOTHING = SIGNATURE + reply_texts()["checked_nothing"]


@pytest.fixture
async def answering(pool: Pool, keyring: Keyring, now: datetime) -> Answering:
    """A text was sent to three people, and it is known as sent."""
    made = await set_up(pool, keyring, now)
    await hand_off(made, 0, 1, 2)
    await made.stage.record(await made.stage.result(await made.no_of(0), 1, ref=b"r"))
    await pool.execute("UPDATE departments SET name = '旌德公安'")
    await pool.execute(
        "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)"
        " SELECT channel_id, 'r', phone_hash, run_id, no, 1, 1, $1 FROM messages LIMIT 1",
        now,
    )
    assert await note_sent(pool, now) == 1
    return Answering(made)


async def wrote(answering: Answering, *texts: tuple[int, str]) -> None:
    for person, text in texts:
        await answering.handsets.write(person, text)
    await answering.handsets.read()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"查证{TEXT}", OURS),
        (f"查证：{TEXT}", OURS),
        (f" 【查证】\n{TEXT}", OURS),
        (f"查 证 {TEXT.replace('96110', '９６１１０')}", OURS),
        (f"查证 {TEXT}详见t.cn/ab1", LIKE),
        (f"查证 {TEXT.replace('垫付', '垫资')}", LIKE),
        ("查证 您的快递丢失，请加客服理赔", UNKNOWN),
        ("查证 我被骗了", UNKNOWN),
        ("查证T99-1", UNKNOWN),
        ("查证", NOTHING),
        ("查证：", NOTHING),
    ],
)
async def test_what_is_answered(answering: Answering, text: str, answer: str) -> None:
    await wrote(answering, (0, text))
    only = await answering.handsets.only_text()
    assert (only["kind"], only["state"]) == ("check", "done")
    await answering.send()
    assert await answering.answered() == [(answer, 0)]
    (run,) = await answering.runs()
    assert (run["class"], run["confirms"]) == ("service", None)
    assert run["send_hours"] == [["08:00", "20:00"]]


async def test_whoever_does_not_begin_so_asks_nothing(answering: Answering) -> None:
    await wrote(answering, (0, "请帮我查证一下"), (1, "R"), (2, "我被骗了"))
    kinds = [text["kind"] for text in await answering.handsets.texts()]
    assert kinds == ["other", "opt_out", "clue"]


async def test_each_text_is_answered_by_itself_and_its_copies_are_not(
    answering: Answering,
) -> None:
    await wrote(answering, (0, f"查证{TEXT}"), (0, f"查证{TEXT}"), (0, "查证 别的"), (1, "查证"))
    await answering.send()
    await answering.send(answering.now + timedelta(hours=2))
    assert sorted(await answering.answered()) == sorted([(OURS, 0), (UNKNOWN, 0), (NOTHING, 1)])


@pytest.mark.attack
async def test_nobody_is_answered_more_often_than_others(answering: Answering) -> None:
    """The bound of a day is one for questions, opt-outs and clues together."""
    at = answering.now
    for turn in range(MOST_A_DAY + 2):
        at += timedelta(minutes=11)
        await answering.handsets.write(0, f"查证 第{turn}条", at=at)
        await answering.handsets.read(at)
        await answering.send(at + LATER)
    assert len(await answering.answered()) == MOST_A_DAY
    assert await answering.skips() == [None] * MOST_A_DAY + ["too_many"] * 2


async def test_whoever_wants_no_publicity_is_still_answered(answering: Answering) -> None:
    await wrote(answering, (0, "R"))
    await answering.send()
    await answering.handsets.write(0, f"查证{TEXT}", at=answering.now + timedelta(hours=1))
    await answering.handsets.read()
    await answering.send(answering.now + timedelta(hours=1) + LATER)
    assert (OURS, 0) in await answering.answered()


async def test_a_question_that_cannot_be_deciphered_stops_nobody(answering: Answering) -> None:
    await wrote(answering, (0, f"查证{TEXT}"), (1, "查证"))
    await answering.handsets.pool.execute(
        "UPDATE inbound_texts SET text_cipher = sender_cipher"
        " WHERE id = (SELECT id FROM inbound_texts ORDER BY id LIMIT 1)"
    )
    await answering.send()
    assert sorted(map(str, await answering.skips())) == ["None", "unreadable"]
    assert await answering.answered() == [(NOTHING, 1)]


STEPS = [
    (replies_store, "replies_due"),
    (replies_store, "settle_by_reason"),
    (direct_store, "write_run"),
    (replies_store, "settle_by_run"),
]


@pytest.mark.attack
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
async def test_a_death_at_any_step_leaves_nothing_and_the_next_answers_once(
    answering: Answering, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str]
) -> None:
    """The step is done, then the server ends the connection before the commit."""
    await wrote(answering, (0, f"查证{TEXT}"), (1, "查证 别的"))
    pool, real = answering.handsets.pool, getattr(*step)

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
    await asyncio.gather(*[answering.send() for _ in range(4)])
    assert sorted(await answering.answered()) == sorted([(OURS, 0), (UNKNOWN, 1)])
