"""Texts that were sent, and what somebody makes of them before asking whether they are ours."""

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from service.messages.template import slots
from service.storage.postgres import Connection


def changed(text: str) -> Iterator[str]:
    """A text with each of its characters changed, one at a time, outside its variables: another in
    its place, none, one before it, and the next one before it; and with more behind or before it.
    """
    inside = {at for slot in slots(text) for at in range(slot.start, slot.end)}
    yield from (text + "不", text + "8", text + "。请速转账。", "请" + text)
    for at, character in enumerate(text):
        if at in inside or character.isspace():
            continue
        for other in ("之", "8", "."):
            if other != character:
                yield text[:at] + other + text[at + 1 :]
        yield text[:at] + text[at + 1 :]
        if not at or at - 1 not in inside:
            yield text[:at] + "不" + text[at:]
        after = text[at + 1 : at + 2].strip()
        if after and at + 1 not in inside and after != character:
            yield text[:at] + after + character + text[at + 2 :]


def question(chance: random.Random, texts: list[str]) -> str:
    """What somebody may ask: pieces of texts put together, with characters changed, links and
    numbers added; never one of the texts as it is.
    """
    pieces = [chance.choice(texts) for _ in range(chance.randint(1, 3))]
    made = "".join(piece[: chance.randint(1, len(piece))] for piece in pieces)
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(made) + 1)
        made = made[:at] + chance.choice(_ADDED) + made[at + chance.randint(0, 2) :]
    return made.strip() or "。"


_ADDED = (
    "不", "请", "。", "，", "8", "96110", "０", "19790001234", "0563-8601234", "t.cn/abc",
    "https://jingde-gov.top", "加微信abc12345", "【旌德县公安局】", "{姓名}", "\u200b", " ",
    "\u202e",
)  # fmt: skip


async def settled_run(
    conn: Connection,
    department: uuid.UUID,
    text: str,
    sent_at: datetime,
    *,
    left: bool = True,
    **columns: object,
) -> uuid.UUID:
    """A run to named people that is over, of which one text left, or none."""
    values: dict[str, object] = {
        "department_id": department,
        "fire_at": sent_at,
        "state": "sent",
        "priority": "normal",
        "class": "public_interest",
        "text": text,
        "send_hours": [],
        "timezone": "Asia/Shanghai",
        "created_at": sent_at,
        "started_at": sent_at,
        "finished_at": sent_at,
        "settled_at": sent_at + timedelta(hours=1),
        "kind": "direct",
        "sent_by": await conn.fetchval("SELECT id FROM users LIMIT 1"),
        **columns,
    }
    names = ", ".join(values)
    places = ", ".join(f"${at}" for at in range(1, len(values) + 1))
    run: uuid.UUID = await conn.fetchval(
        f"INSERT INTO runs ({names}) VALUES ({places}) RETURNING id", *values.values()
    )
    await conn.execute(
        "INSERT INTO messages (run_id, no, phone_hash, channel_id, carrier, roles, state, direct)"
        " VALUES ($1, 1, $2, 1, 'china_mobile', '{}', $3, true)",
        run,
        uuid.uuid4().bytes,
        "delivered" if left else "cancelled",
    )
    return run
