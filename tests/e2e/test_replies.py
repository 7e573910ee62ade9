"""Kill -9 between an opt-out and its confirmation: everybody is confirmed once, and nobody twice.

A system of its own, whose clock is fast: a reply waits a minute for its companions.
"""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from service.dispatch.limits.in_flight import permits_for
from tests.harness.live import MORNING, Live
from tests.harness.pauses import random_moment
from tests.harness.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

SPEED = 30
WINDOW = 8
MOST_UNCERTAIN = 3 * permits_for(WINDOW)
"""The most that one kill may leave uncertain: what is on its way on each connection."""

PEOPLE = 60
PROCESSES = ("work", "channel-0", "scheduler")
ACCESS = "1065720001234"


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Live]:
    system = Live(
        tmp_path / "data",
        *("--clock", MORNING, "--speed", str(SPEED), "--window", str(WINDOW)),
        *("--max-delay", "1", "--profile", "carrier"),
    )
    system.start()
    try:
        yield system
    finally:
        system.stop()


async def write(live: Live, phones: list[str], text: str) -> None:
    """These people write to the mobile channel."""
    messages = [{"phone": phone, "to": ACCESS, "text": text} for phone in phones]
    body = {"account": "901234", "protocol": "cmpp", "messages": messages}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{live.summary['simulator']}/mo", json=body) as answer,
    ):
        assert answer.status == 202, await answer.text()


async def test_opt_outs_are_confirmed_once_whatever_is_killed(quick: Live) -> None:
    live, seed = quick, random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    phones = [f"+86{19790010001 + n}" for n in range(PEOPLE)]
    rows = "".join(f"{phone[3:]}\n" for phone in phones)
    await live.people(f"手机号\n{rows}".encode())
    sent = await live.launch("carrier = mobile")
    await sent.handed_off()
    assert set(sent.submits().values()) == {1}
    began = time.time()

    await write(live, phones[:30], "R")
    await random_moment(0.5, dice)
    for _ in range(4):
        with contextlib.suppress(ProcessLookupError):  # not yet started again
            live.kill(dice.choice(PROCESSES))
        await random_moment(2.0, dice, least=0.5)
    await write(live, phones, "退订")  # the first half again, in another word

    async def all_settled() -> bool:
        settled = await live.query(
            "SELECT count(*) FROM replies_due WHERE run_id IS NOT NULL AND settled_at IS NOT NULL"
        )
        open_rows = await live.query(
            "SELECT count(*) FROM messages WHERE state IN ('queued', 'submitting')"
        )
        return bool(settled == PEOPLE and open_rows == 0)

    await until(all_settled, 90)
    taken = Counter(entry["phone"] for entry in live.journal(began))
    uncertain = await live.query("SELECT count(*) FROM messages WHERE state = 'uncertain'")
    assert uncertain <= MOST_UNCERTAIN
    assert set(taken.values()) == {1}, "somebody was confirmed twice"
    assert PEOPLE - len(taken) <= uncertain, "somebody was not confirmed"
    assert await live.query("SELECT count(*) FROM suppressions") == PEOPLE
    assert await live.query(
        "SELECT count(DISTINCT m.phone_hash) FROM messages m JOIN runs r ON r.id = m.run_id "
        "WHERE r.kind = 'reply'"
    ) == await live.query(
        "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id WHERE r.kind = 'reply'"
    )


async def test_questions_are_answered_once_whatever_is_killed(quick: Live) -> None:
    """Kill -9 between 查证 and its answer. What was sent is known as sent meanwhile."""
    live, seed = quick, random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    phones = [f"+86{19790010001 + n}" for n in range(PEOPLE)]
    rows = "".join(f"{phone[3:]}\n" for phone in phones)
    await live.people(f"手机号\n{rows}".encode())
    sent = await live.launch("carrier = mobile")
    await sent.handed_off()

    async def noted() -> bool:
        return bool(await live.query("SELECT count(*) FROM sent_texts"))

    await until(noted, 30)
    text = await live.query("SELECT text FROM sent_texts LIMIT 1")
    began = time.time()
    await write(live, phones[:30], f"查证{text}")
    await write(live, phones[30:], "查证 请点链接领奖")
    for _ in range(4):
        with contextlib.suppress(ProcessLookupError):  # not yet started again
            live.kill(dice.choice(PROCESSES))
        await random_moment(2.0, dice, least=0.5)

    async def all_settled() -> bool:
        settled = await live.query(
            "SELECT count(*) FROM replies_due WHERE kind = 'text_checked' AND run_id IS NOT NULL"
        )
        open_rows = await live.query(
            "SELECT count(*) FROM messages WHERE state IN ('queued', 'submitting')"
        )
        return bool(settled == PEOPLE and open_rows == 0)

    await until(all_settled, 90)
    taken = Counter(entry["phone"] for entry in live.journal(began))
    uncertain = await live.query("SELECT count(*) FROM messages WHERE state = 'uncertain'")
    assert set(taken.values()) == {1}, "somebody was answered twice"
    assert PEOPLE - len(taken) <= uncertain <= MOST_UNCERTAIN
    texts = await live.query(
        "SELECT string_agg(DISTINCT text, ' ' ORDER BY text) FROM runs WHERE kind = 'reply'"
    )
    assert "您查的短信是" in texts
    assert "查不到，不等于诈骗" in texts
