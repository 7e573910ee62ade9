"""Our answers to texts from handsets: that an opt-out holds, that a clue has arrived, whether what
is asked about is ours; each once.

What is due is noted in the transaction that reads the text (`inbound`). Here it becomes direct
runs, in one transaction with the note that it did: whatever dies in between, nothing is answered
twice, and what was answered has its row in a ledger before it leaves. A run a kind, channel and
sender's name takes all that came together in a minute.

An answer goes out over the channel that the text came in on, from the number that it went to, in
the name under which the sender had been written to, in the class `service`, and within the send
hours: whoever opts out at night is not woken for it. It goes to persons' mobile numbers only and so
many times a day, so that no machine at the other end can keep us talking; and one channel takes
only so many an hour.
"""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from uuid import UUID

from service.audience.numbers.prefix import Prefixes, is_synthetic, national
from service.audience.numbers.prefix_store import current_prefixes
from service.campaigns.calendar.schedule import DEFAULT_HOURS, DEFAULT_TIMEZONE
from service.crypto import Keyring, Undecipherable
from service.delivery.inbound import replies_store as store
from service.delivery.inbound.keywords import asked_about
from service.delivery.inbound.replies_store import DueReply, Room
from service.dispatch.direct import direct
from service.dispatch.direct.direct import Started
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.value_check import would_be_sent
from service.ledger.message_class import NOTICE
from service.ledger.reasons import Reason
from service.messages import signature
from service.messages.sent import sent_texts
from service.messages.sent.sent_texts import Checked
from service.storage.locks import try_lock_answering
from service.storage.postgres import COLLISIONS, Connection, Pool, Record, transaction

log = logging.getLogger(__name__)

BATCH = 500
HOUR = timedelta(hours=1)
TOGETHER = timedelta(minutes=1)
"""How long a reply waits for others that may go out in the same run."""

ANSWERED_WITHIN = timedelta(hours=24)
"""A reply that could not be made by then is not sent any more; nor is it handed off later."""

MOST_A_DAY = 3
"""How many texts of ours may answer one sender in 24 hours."""

MOST_AN_HOUR = 1_000
"""How many replies one channel takes in an hour, unless it is set; those beyond wait."""

TEXTS = Path(__file__).parents[3] / "templates" / "messages" / "replies.json"
"""What is said, by kind; `templates` lies beside `service` in a checkout as in site-packages."""

_MOBILE = re.compile(r"1[0-9]{10}")

CHECKED = "text_checked"
"""The kind of a reply that says whether a text is ours."""

CONFIRMS = {
    "opt_out_confirmed": Reason.OPTED_OUT,
    "notices_confirmed": Reason.OPTED_OUT,
}
"""The reason of the suppressions that a kind of reply confirms."""


class ReplySkip(StrEnum):
    """Why a reply is not sent."""

    TOO_LATE = "too_late"
    LIFTED = "lifted"  # it would confirm an opt-out that holds no more
    UNREADABLE = "unreadable"  # the sender's number is stored under another key
    NOT_A_PERSON = "not_a_person"  # a short code, a landline, a device: nobody who reads it
    OURSELVES = "ourselves"
    TOO_MANY = "too_many"
    NO_SIGNATURE = "no_signature"  # there is no name in which it could be said


@dataclass(frozen=True, slots=True)
class _Voice:
    """What makes replies one run: what is said, over which channel, for whom, in whose name.

    confirms: the reason of the suppressions that it confirms, if it does.
    """

    says: str
    confirms: str | None
    channel_id: int
    department_id: UUID
    signature: str
    extension: str


_RecipientsDue = dict[bytes, tuple[Recipient, list[DueReply]]]
"""By the hash of the phone: who is answered, and what all is owed to them."""


async def waits(conn: Connection, now: datetime) -> bool:
    """Whether there is something to answer, and its companions have had their time."""
    return await store.reply_waits(conn, now - TOGETHER)


async def send_replies(
    pool: Pool, keyring: Keyring, now: datetime, *, most: int = MOST_AN_HOUR
) -> set[int]:
    """Answer what is due, until nothing is or another process is at it; returns the channels that
    have work now.

    most: how many replies a channel takes in an hour. Whoever writes into a carrier's gateway could
    else have us text a whole county.
    """
    channels: set[int] = set()
    while True:
        try:
            async with transaction(pool) as conn:
                if not await try_lock_answering(conn) or not await waits(conn, now):
                    return channels
                room = Room(most, now - HOUR, now - ANSWERED_WITHIN)
                rows = await store.replies_due(conn, now, BATCH, room)
                if not rows:
                    return channels
                channels |= await _answer(conn, keyring, rows, now)
        except COLLISIONS as error:
            log.info("replies are made again", extra={"why": str(error)})


async def _answer(
    conn: Connection, keyring: Keyring, rows: Sequence[Record], now: datetime
) -> set[int]:
    """Settle these, each by a run or by the reason why not; returns the channels that have work.

    Raises:
        RuntimeError: one was not settled, and so would be answered again; nothing is done.
    """
    runs, skipped = await _sorted_out(conn, keyring, rows, now)
    settled = await store.settle_by_reason(conn, skipped, now)
    channels: set[int] = set()
    for voice, people in runs.items():
        started = await _start(conn, voice, [recipient for recipient, _ in people.values()], now)
        owed = [due for _, dues in people.values() for due in dues]
        settled += await store.settle_by_run(conn, owed, started.run_id, now)
        channels.update(started.channels)
    if settled != len(rows):
        raise RuntimeError(f"of {len(rows)} replies that were due, {settled} were settled")
    log.info("replies made", extra={"due": len(rows), "skipped": len(skipped)})
    return channels


async def _sorted_out(
    conn: Connection, keyring: Keyring, rows: Sequence[Record], now: datetime
) -> tuple[dict[_Voice, _RecipientsDue], dict[DueReply, str]]:
    """What is answered in which run, and what is not, with the reason."""
    senders = [row["sender_hash"] for row in rows]
    sent = await store.count_replies(conn, senders, now - timedelta(hours=24))
    prefixes = await current_prefixes(conn)
    runs: dict[_Voice, _RecipientsDue] = {}
    skipped: dict[DueReply, str] = {}
    for row in rows:
        due, sender = (row["kind"], row["cause"]), row["sender_hash"]
        judged = _judge(row, keyring, prefixes, now)
        if isinstance(judged, tuple) and row["kind"] == CHECKED:
            judged = await _answered(conn, row, keyring, judged, now)
        if isinstance(judged, ReplySkip):
            skipped[due] = judged.value
            continue
        voice, recipient = judged
        if sender in runs.get(voice, {}):  # one text answers all of a kind that came together
            runs[voice][sender][1].append(due)
        elif sent.get(sender, 0) >= MOST_A_DAY:
            skipped[due] = ReplySkip.TOO_MANY.value
        else:
            sent[sender] = sent.get(sender, 0) + 1
            runs.setdefault(voice, {})[sender] = recipient, [due]
    return runs, skipped


def _judge(
    row: Record, keyring: Keyring, prefixes: Prefixes, now: datetime
) -> tuple[_Voice, Recipient] | ReplySkip:
    """What is answered to whom, or why nothing is."""
    try:
        phone = keyring.decrypt("phone", row["sender_cipher"])
    except Undecipherable:
        log.error("a sender cannot be deciphered", extra={"text_id": str(row["text_id"])})  # noqa: TRY400
        return ReplySkip.UNREADABLE
    obstacle = _obstacle(row, phone, prefixes, now)
    if obstacle is not None:
        return obstacle
    name = signature.head(row["answered_text"] or "") or _signed(row["signature"])
    if not name:
        return ReplySkip.NO_SIGNATURE
    return (
        _Voice(
            reply_texts().get(row["kind"], ""),
            CONFIRMS.get(row["kind"]),
            row["channel_id"],
            row["department_id"],
            name,
            row["extension"],
        ),
        Recipient(
            row["sender_hash"],
            row["sender_cipher"],
            prefixes.carrier_of(phone) or "",
            is_synthetic(phone),
            row["channel_id"],
        ),
    )


async def _answered(
    conn: Connection,
    row: Record,
    keyring: Keyring,
    judged: tuple[_Voice, Recipient],
    now: datetime,
) -> tuple[_Voice, Recipient] | ReplySkip:
    """The same with the answer to whether a text is ours."""
    try:
        asked = asked_about(keyring.decrypt("inbound", row["question_cipher"]))
    except Undecipherable:
        return ReplySkip.UNREADABLE
    voice, recipient = judged
    return replace(voice, says=await _answer_to(conn, asked or "", now)), recipient


async def _answer_to(conn: Connection, asked: str, now: datetime) -> str:
    texts = reply_texts()
    if not asked:
        return texts["checked_nothing"]
    if sent_texts.read_mark(asked):
        found = await sent_texts.check_mark(conn, asked, now)
    elif len(asked) > sent_texts.MOST_CHARACTERS:
        return texts["checked_unknown"]
    else:
        found = await sent_texts.check_text(conn, asked, would_be_sent, now)
    if found.answer == "ours":
        return texts["checked_ours"].format(department=found.department, days=_days(found))
    if found.answer == "like_ours":
        return texts["checked_like" if found.has_links else "checked_like_no_links"]
    return texts["checked_unknown"]


def _days(found: Checked) -> str:
    """The days on which a text was sent, in Chinese."""
    days = [f"{day.month}月{day.day}日" for day in (found.first_on, found.last_on) if day]
    return "至".join(dict.fromkeys(days))


def _obstacle(row: Record, phone: str, prefixes: Prefixes, now: datetime) -> ReplySkip | None:
    """Why this sender is not answered; None: nothing speaks against it."""
    if row["due_at"] <= now - ANSWERED_WITHIN:
        return ReplySkip.TOO_LATE
    if row["lifted"]:
        return ReplySkip.LIFTED
    if _digits(phone) == _digits(row["recipient"]):
        return ReplySkip.OURSELVES
    return None if _is_a_persons(phone, prefixes) else ReplySkip.NOT_A_PERSON


def _is_a_persons(phone: str, prefixes: Prefixes) -> bool:
    """Whether it is a mobile number that persons have: no device's, no satellite phone's."""
    number = national(phone)
    if phone != f"+86{number}" or not _MOBILE.fullmatch(number):
        return False
    prefix = prefixes.find(number)
    return prefix is not None and prefix.kind in {"mno", "mvno"} and bool(prefix.carrier)


def _digits(number: str) -> str:
    return national(number).lstrip("+")


def _signed(name: str | None) -> str:
    """A department's signature as a text begins with it, "" if it has none."""
    bare = (name or "").strip().strip("【】")
    return f"【{bare}】" if bare else ""


async def _start(
    conn: Connection, voice: _Voice, people: Sequence[Recipient], now: datetime
) -> Started:
    new = NewRun(
        kind="reply",
        department_id=voice.department_id,
        message_class=NOTICE,
        priority="normal",
        text=voice.signature + voice.says,
        channels=[voice.channel_id],
        send_hours=DEFAULT_HOURS,
        timezone=DEFAULT_TIMEZONE,
        valid_until=now + ANSWERED_WITHIN,
        confirms=voice.confirms,
        over_cap="send",
        extension=voice.extension,
    )
    return await direct.start(conn, new, people, now)


@cache
def reply_texts() -> dict[str, str]:
    """What is said, by kind of reply, without the signature; of `text_checked` by its answer."""
    texts: dict[str, str] = json.loads(TEXTS.read_text("utf-8"))["texts"]
    return texts
