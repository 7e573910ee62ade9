"""What was sent to the public is kept for half a year, and nothing else is confirmed."""

import asyncio
import random
import re
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.crypto import Keyring
from service.dispatch.value_check import would_be_sent
from service.errors import Invalid
from service.messages.lint import lint_store
from service.messages.sent import store
from service.messages.sent.likeness import keys_of, pairs_of
from service.messages.sent.sent_texts import Checked, check_mark, check_text, forget, note_sent
from service.messages.template import load_library, render, sample_values
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.asked_texts import changed, question, settled_run
from tests.harness.handset import hand_off, set_up
from tests.harness.ledger import TEXT, make_scene

DAY = timedelta(days=1)
NAMED = "【旌德县公安局】{姓名}您好：免费体检领鸡蛋后推销“神药”，别当场交钱，被骗请拨110。"


@pytest.fixture
async def conn(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as conn:
        yield conn


@pytest.fixture
async def department(conn: Connection, now: datetime) -> uuid.UUID:
    """A department, called 公安局."""
    made = (await make_scene(conn, now)).department
    await conn.execute("UPDATE departments SET name = '公安局' WHERE id = $1", made)
    return made


async def ask(conn: Connection, text: str, now: datetime) -> Checked:
    return await check_text(conn, text, would_be_sent, now)


async def test_a_text_is_ours_from_the_first_of_it_that_left(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """Before that it is not, and when the run is settled its last day stands."""
    made = await set_up(pool, keyring, now)
    async with pool.acquire() as conn:
        assert await note_sent(pool, now) == 0
        assert (await ask(conn, TEXT, now)).answer == "unknown"
        await hand_off(made, 0, state="uncertain")
        assert await note_sent(pool, now) == 0
        no = await made.no_of(0)
        await made.stage.record(await made.stage.result(no, 1, ref=b"r"))
        assert await note_sent(pool, now) == 1
        found = await ask(conn, TEXT, now)
        assert (found.answer, found.first_on, found.last_on) == ("ours", now.date(), now.date())
        assert await note_sent(pool, now) == 0
        assert await note_sent(pool, now + DAY) == 1
        assert (await ask(conn, TEXT, now)).last_on == (now + DAY).date()
        await made.run_set(
            made.stage.run,
            {"state": "sent", "finished_at": now + 2 * DAY, "settled_at": now + 4 * DAY},
        )
        assert await note_sent(pool, now + 5 * DAY) == 1
        found = await ask(conn, TEXT, now + 5 * DAY)
        assert (found.first_on, found.last_on) == (now.date(), (now + 2 * DAY).date())
        assert await note_sent(pool, now + 6 * DAY) == 0


@pytest.mark.attack
@pytest.mark.parametrize(
    "columns",
    [
        {"class": "service"},
        {"mode": "test"},
        {"mode": "drill"},
        {"kind": "reply", "sent_by": None},
        {"left": False},
    ],
)
async def test_what_the_public_was_not_sent_is_not_ours(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime, columns: dict[str, object]
) -> None:
    left = bool(columns.pop("left", True))
    await settled_run(conn, department, TEXT, now - DAY, left=left, **columns)
    await note_sent(pool, now)
    assert (await ask(conn, TEXT, now)).answer == "unknown"
    assert await conn.fetchval("SELECT count(*) FROM sent_texts") == 0


@pytest.mark.parametrize("message_class", ["public_interest", "warning"])
async def test_publicity_and_warnings_are_ours_for_half_a_year(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime, message_class: str
) -> None:
    """Also those of runs that were settled before anybody noted texts."""
    columns: dict[str, Any] = {"class": message_class}
    await settled_run(conn, department, TEXT, now - 3 * DAY, **columns)
    await settled_run(conn, department, TEXT, now - DAY, **columns)
    await settled_run(conn, department, "很久以前" + TEXT, now - 200 * DAY, **columns)
    assert await note_sent(pool, now) == 3
    found = await ask(conn, TEXT, now)
    assert (found.answer, found.department) == ("ours", "公安局")
    assert (found.first_on, found.last_on) == ((now - 3 * DAY).date(), (now - DAY).date())
    assert await conn.fetchval("SELECT count(*) FROM sent_texts") == 1
    assert (await ask(conn, TEXT, now + 179 * DAY)).answer == "ours"
    assert (await ask(conn, TEXT, now + 180 * DAY)).answer == "unknown"
    assert await forget(conn, now + 179 * DAY) == 0
    assert await forget(conn, now + 180 * DAY) == 1
    assert await conn.fetchval("SELECT count(*) FROM sent_text_keys") == 0


@pytest.mark.attack
async def test_a_process_that_dies_loses_no_text(
    pool: Pool,
    conn: Connection,
    department: uuid.UUID,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Text and note are one transaction; whoever comes next does it again, and once."""
    await settled_run(conn, department, TEXT, now - DAY)
    monkeypatch.setattr(store, "note_runs", _dies)
    with pytest.raises(KeyboardInterrupt):
        await note_sent(pool, now)
    assert await conn.fetchval("SELECT count(*) FROM sent_texts") == 0
    monkeypatch.undo()
    await asyncio.gather(note_sent(pool, now), note_sent(pool, now), note_sent(pool, now))
    assert await conn.fetchval("SELECT count(*) FROM sent_texts") == 1
    assert (await ask(conn, TEXT, now)).answer == "ours"


async def _dies(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.attack
@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("王小明", "ours"),
        ("付强", "ours"),
        ("加微信", "like_ours"),
        ("一三九七七六二", "like_ours"),
        ("点开链接领奖", "like_ours"),
        ("王9", "like_ours"),
        ("t.cn/x", "like_ours"),
    ],
)
async def test_a_value_that_we_would_not_have_sent_is_not_ours(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime, value: str, answer: str
) -> None:
    await settled_run(conn, department, NAMED, now - DAY)
    await note_sent(pool, now)
    assert (await ask(conn, NAMED.replace("{姓名}", value), now)).answer == answer


@pytest.mark.attack
@pytest.mark.parametrize(
    ("added", "foreign"),
    [
        ("详见 jingde-gov.top/x1", ("link",)),
        ("详见 https://jdga.gov.cn", ("link",)),
        ("咨询19790001234", ("number",)),
        ("咨询0563-8601234", ("number",)),
        ("点t.cn/a1或拨4001234567", ("link", "number")),
    ],
)
async def test_a_foreign_link_or_number_is_never_ours(
    pool: Pool,
    conn: Connection,
    department: uuid.UUID,
    now: datetime,
    added: str,
    foreign: tuple[str, ...],
) -> None:
    """Not even where the text was sent with it, since the county has taken it off its lists."""
    await settled_run(conn, department, TEXT, now - DAY)
    await settled_run(conn, department, TEXT + added, now - DAY)
    await note_sent(pool, now)
    found = await ask(conn, TEXT + added, now)
    assert (found.answer, found.foreign) == ("like_ours", foreign)
    assert (await ask(conn, TEXT, now)).answer == "ours"


async def test_a_number_that_the_county_has_registered_is_not_foreign(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime
) -> None:
    text = TEXT + "咨询0563-8601234"
    await settled_run(conn, department, text, now - DAY)
    await note_sent(pool, now)
    assert (await ask(conn, text, now)).answer == "like_ours"
    await lint_store.sender_set(conn, department, (["05638601234"], False), "座机", None, now)
    assert (await ask(conn, text, now)).answer == "ours"
    assert (await ask(conn, text.replace("8601234", "8601235"), now)).answer == "like_ours"


async def test_a_mark_names_what_was_sent_of_a_version(
    pool: Pool, conn: Connection, now: datetime
) -> None:
    scene = await make_scene(conn, now)
    version = scene.template_version
    await conn.execute(
        "INSERT INTO template_numbers (template_id) SELECT template_id FROM template_versions"
        " WHERE id = $1",
        version,
    )
    no = await conn.fetchval("SELECT no FROM template_numbers")
    mark = f"T{no}-1"
    assert (await check_mark(conn, mark, now)).answer == "unknown"
    await settled_run(conn, scene.department, TEXT, now - DAY, template_version_id=version)
    await note_sent(pool, now)
    found = await check_mark(conn, f" t {no}－1", now)
    assert (found.answer, found.text, found.last_on) == ("ours", TEXT, (now - DAY).date())
    assert (await check_mark(conn, f"T{no}-2", now)).answer == "unknown"
    for wrong in ("7-3", "T7", "T7-3-1", "T99999999999-1", ""):
        with pytest.raises(Invalid):
            await check_mark(conn, wrong, now)


async def test_a_question_has_bounds(conn: Connection, now: datetime) -> None:
    for wrong in ("", "  \n", "国" * 1_001):
        with pytest.raises(Invalid):
            await ask(conn, wrong, now)
    assert (await ask(conn, "国" * 1_000, now)).answer == "unknown"


async def _library(pool: Pool, department: uuid.UUID, now: datetime) -> list[str]:
    """All starter texts were sent; as they were read."""
    starters = [starter.text for starter in load_library() if starter.message_class != "service"]
    async with transaction(pool) as conn:
        for text in starters:
            await settled_run(conn, department, text, now - DAY)
    await note_sent(pool, now)
    return [render(text, sample_values(text)) for text in starters]


@pytest.mark.attack
async def test_sent_texts_with_a_character_changed_are_never_ours(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime
) -> None:
    """E16, of three texts; all of them are in the slow test."""
    texts = await _library(pool, department, now)
    for text in texts[:3]:
        assert (await ask(conn, text, now)).answer == "ours", text
        for other in list(changed(text))[::5]:
            assert (await ask(conn, other, now)).answer == "like_ours", other


@pytest.mark.slow
@pytest.mark.attack
async def test_no_sent_text_with_any_character_changed_is_ours(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime
) -> None:
    """E16: each starter text that was sent, each of its characters changed in six ways. One that
    stands inside a value makes another name, which we could have sent.
    """
    await _library(pool, department, now)
    for starter in load_library():
        if starter.message_class == "service":
            continue
        for other in changed(starter.text):
            asked = render(other, sample_values(starter.text))
            assert (await ask(conn, asked, now)).answer != "ours", asked


@pytest.mark.slow
@pytest.mark.attack
async def test_of_100_000_questions_none_is_ours_that_was_not_sent(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime
) -> None:
    """E16: pieces of what was sent with changes, links and numbers. What is confirmed must be, with
    spaces and widths put aside, one of the texts as they were read.
    """
    texts = await _library(pool, department, now)
    sent = {_bare(text) for text in texts}
    chance = random.Random(341825)
    confirmed = 0
    for _ in range(100_000):
        asked = question(chance, texts)
        if (await ask(conn, asked, now)).answer == "ours":
            assert _bare(asked) in sent or _has_another_name(asked, texts), asked
            confirmed += 1
    assert confirmed


def _bare(text: str) -> str:
    return "".join(c for c in text.translate(_WIDE) if not c.isspace() and c != "\u200b")


_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def _has_another_name(asked: str, texts: list[str]) -> bool:
    """Whether it is a text with other letters for the value of one variable."""
    for starter in load_library():
        for name, value in sample_values(starter.text).items():
            before, _, after = _bare(starter.text).partition(f"{{{name}}}")
            bare = _bare(asked)
            if not bare.startswith(before) or not bare.endswith(after) or "{" in before + after:
                continue
            given = bare[len(before) : len(bare) - len(after)]
            if given != value and given.replace("·", "").isalpha() and len(given) <= 20:
                return True
    return False


@pytest.mark.fresh
async def test_no_question_reads_all_texts(
    pool: Pool, conn: Connection, department: uuid.UUID, now: datetime
) -> None:
    """20,000 texts of a few templates: every statement of a question goes through an index."""
    rows = await conn.fetch(
        "INSERT INTO sent_texts (digest, department_id, text, anchor, first_on, last_on)"
        " SELECT decode(md5(n::text), 'hex'), $1, 'text ' || n, n % 50, $2, $2"
        " FROM generate_series(1, 20000) n RETURNING id",
        department,
        now.date(),
    )
    await conn.execute(
        "INSERT INTO sent_text_keys (key, text_id)"
        " SELECT (t * k) % 997, t FROM unnest($1::bigint[]) t, generate_series(1, 11) k"
        " ON CONFLICT DO NOTHING",
        [row["id"] for row in rows],
    )
    await conn.execute(
        "INSERT INTO runs (department_id, fire_at, state, priority, class, text, send_hours,"
        " timezone, created_at, settled_at, text_noted_at, kind, sent_by)"
        " SELECT $1, $2, 'sent', 'normal', 'public_interest', 't', '[]', 'Asia/Shanghai', $2, $2,"
        " $2, 'direct', (SELECT id FROM users LIMIT 1) FROM generate_series(1, 20000)",
        department,
        now,
    )
    await conn.execute("ANALYZE")
    plans = await _plans(conn, now)
    for name, plan in plans.items():
        assert not re.search(r"Seq Scan on (sent_text|runs)", plan), f"{name}\n{plan}"
    assert sum("runs_to_note" in plan for plan in plans.values()) == 2


async def _plans(conn: Connection, now: datetime) -> dict[str, str]:
    """How the statements of a question and of the notes are carried out."""
    seen: dict[str, str] = {}
    spy = _Explaining(conn, seen)
    keys = keys_of(pairs_of(TEXT))
    await store.texts_with_words(spy, b"d" * 16, list(range(60)), now.date())  # type: ignore[arg-type]  # the same methods
    await store.texts_with_keys(spy, keys, now.date())  # type: ignore[arg-type]  # as above
    await store.texts_of_mark(spy, 1, 1, now.date())  # type: ignore[arg-type]  # as above
    await store.settled_runs(spy, now, 200)  # type: ignore[arg-type]  # as above
    await store.unsettled_runs(spy, now, 200)  # type: ignore[arg-type]  # as above
    assert len(seen) == 5
    return seen


class _Explaining:
    """A connection that says how it would carry out each statement."""

    def __init__(self, conn: Connection, seen: dict[str, str]) -> None:
        self._conn = conn
        self._seen = seen

    async def fetch(self, query: str, *args: object, **_: object) -> list[object]:
        plan = await self._conn.fetch(f"EXPLAIN {query}", *args)
        self._seen[query] = "\n".join(row[0] for row in plan)
        return []
