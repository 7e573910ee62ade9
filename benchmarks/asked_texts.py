"""How fast it is answered whether a text is one that was sent to the public.

    python -m benchmarks.asked_texts

10,000 texts that were sent in 180 days by 40 departments: the starter library under their
signatures with other words here and there, a third of them with variables. PostgreSQL is the
embedded one, in a temporary folder, with fsync on. Asked are texts as they were sent, with a
character changed, with a link added, and others. Bound: 50 ms for 95 of 100 questions.
"""

import argparse
import asyncio
import random
import re
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

from service.dispatch.value_check import would_be_sent
from service.local.embedded import Postgres
from service.messages.sent import store
from service.messages.sent.likeness import SentWords
from service.messages.sent.sent_texts import check_text
from service.messages.sent.store import SentText
from service.messages.template import load_library, render, sample_values
from service.storage.migrate import migrate
from service.storage.postgres import Connection, connect

TEXTS = 10_000
DEPARTMENTS = 40
QUESTIONS = 2_000
NOW = datetime(2027, 6, 30, 1, 30, tzinfo=UTC)
_SIGNATURE = re.compile("^【[^】]*】")
_WORDS = (
    "请您",
    "本周",
    "近期",
    "我县",
    "特别提醒",
    "再次提醒",
    "转告家人",
    "乡亲们",
    "各位居民",
    "大家",
)


def made(chance: random.Random) -> list[str]:
    """As many texts as are sent, no two alike to the letter."""
    starters = [starter.text for starter in load_library() if starter.message_class != "service"]
    texts: dict[str, None] = {}
    while len(texts) < TEXTS:
        words = _SIGNATURE.sub("", chance.choice(starters))
        for _ in range(chance.randint(0, 4)):
            clauses = words.split("，")
            clauses.insert(chance.randrange(len(clauses)), chance.choice(_WORDS))
            words = "，".join(clauses)
        named = "{姓名}您好：" if chance.random() < 0.3 and "{" not in words else ""
        texts[f"【旌德县第{chance.randrange(DEPARTMENTS)}局】{named}{words}"] = None
    return list(texts)


async def fill(conn: Connection, texts: list[str], chance: random.Random) -> None:
    """Note them as sent on days of the last half year."""
    departments = [
        await conn.fetchval(
            "INSERT INTO departments (name, kind) VALUES ($1, 'department') RETURNING id", f"局{no}"
        )
        for no in range(DEPARTMENTS)
    ]
    for at in range(0, len(texts), 500):
        sent = []
        for text in texts[at : at + 500]:
            words, day = SentWords(text), (NOW - timedelta(days=chance.randrange(179))).date()
            whose = chance.choice(departments)
            sent.append(
                SentText(words.digest, whose, None, text, words.anchor, words.keys, day, day)
            )
        await store.note_texts(conn, sent)
    await conn.execute("ANALYZE")


async def measure(conn: Connection) -> None:
    """Fill the tables, ask, and print how long the answers took."""
    chance = random.Random(341825)  # noqa: S311  # no secret
    texts = made(chance)
    began = time.perf_counter()
    await fill(conn, texts, chance)
    print(f"{len(texts):,} texts noted in {time.perf_counter() - began:.1f} s")
    asked: dict[str, Callable[[str], str]] = {
        "as they were sent": lambda text: text,
        "with a character changed": lambda text: text[:30] + "之" + text[31:],
        "with a link added": lambda text: text + "详见jingde-gov.top/a1",
        "others": lambda text: text[::-1],
    }
    for name, change in asked.items():
        taken, answers = [], {"ours": 0, "like_ours": 0, "unknown": 0}
        for _ in range(QUESTIONS // len(asked)):
            text = chance.choice(texts)
            question = change(render(text, sample_values(text)))
            began = time.perf_counter()
            found = await check_text(conn, question, would_be_sent, NOW)
            taken.append(1000 * (time.perf_counter() - began))
            answers[found.answer] += 1
        cuts = quantiles(taken, n=100)
        print(f"{name}: p50 {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms; "
              + ", ".join(f"{count} {answer}" for answer, count in answers.items()))  # fmt: skip


async def run(url: str) -> None:
    """Measure on a new database."""
    conn = await connect(url)
    try:
        await migrate(conn)
        await measure(conn)
    finally:
        await conn.close()


def main() -> None:
    """Start a PostgreSQL, measure, and stop it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        server = Postgres(Path(folder))
        server.start()
        try:
            server.create_database()
            asyncio.run(run(server.url))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
