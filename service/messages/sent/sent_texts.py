"""What was sent to the public, kept for half a year, and the answer to whoever asks about a text.

A text is noted as soon as a carrier has taken one of its run, since people ask on the day on which
they get it, and again when the run is settled; a run of which nothing left is noted with no text.
Text and note are one transaction, so a process that dies loses none. What is asked about is neither
logged nor stored.

It is confirmed only if it is the same as one that was sent (`likeness`), all links and numbers in
it are published by the county, and no value in it is one that we would not have sent.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from service.clock import CHINA
from service.errors import Invalid
from service.messages.lint import lint_contacts, lint_store
from service.messages.lint.draft import draft
from service.messages.policy import Policy, TextSender
from service.messages.sent import store
from service.messages.sent.likeness import (
    ALIKE,
    SentWords,
    anchors_of,
    digest_of,
    keys_of,
    pairs_of,
    written,
)
from service.messages.sent.store import SentText
from service.messages.template import planned
from service.storage.postgres import COUNT_SECONDS, Connection, Pool, Record, transaction
from service.words.phrase import phrase

KEPT = timedelta(days=180)
"""How long a text is known after it was last sent."""

BATCH = 200

MOST_CHARACTERS = 1_000
"""The longest text that is looked at; none of ours has more than 500 characters and its values."""

CheckAnswer = Literal["ours", "like_ours", "unknown"]
ForeignPart = Literal["link", "number"]

ValueJudge = Callable[[str, Mapping[str, str], Mapping[str, tuple[str, ...]]], bool]
"""Whether values may stand in a text, told the text, the values, and the never-words by carrier."""

_MARK = re.compile(r"[TＴtｔ]\s*([0-9]{1,9})\s*[-－–—]\s*([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer: whose the text is and on which days it was sent, if it is ours.

    foreign: what is in it that the county does not publish. text: what was sent, for a mark alone.
    has_links: whether texts of this county may have links.
    """

    answer: CheckAnswer
    department: str = ""
    first_on: date | None = None
    last_on: date | None = None
    foreign: tuple[ForeignPart, ...] = ()
    text: str = ""
    has_links: bool = False


async def note_sent(pool: Pool, now: datetime) -> int:
    """Note what was sent since the last time; returns how many runs were looked at."""
    noted = 0
    async with transaction(pool, seconds=COUNT_SECONDS) as conn:
        noted += await _note(conn, await store.unsettled_runs(conn, now, BATCH), now)
    while True:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            runs = await store.settled_runs(conn, now, BATCH)
            noted += await _note(conn, runs, now)
        if len(runs) < BATCH:
            return noted


async def _note(conn: Connection, runs: list[Record], now: datetime) -> int:
    if not runs:
        return 0
    since = _since(now)
    found: dict[tuple[object, ...], SentText] = {}
    for run in runs:
        if not run["was_sent"] or run["last_on"] < since:
            continue
        text = _sent(run)
        key = text.digest, text.department_id, text.version_id
        other = found.get(key)
        found[key] = text if other is None else _together(text, other)
    if found:
        await store.note_texts(conn, list(found.values()))
    await store.note_runs(conn, [run["id"] for run in runs], now)
    return len(runs)


def _sent(run: Record) -> SentText:
    words = SentWords(run["text"])
    # An edit of a campaign that fires again is another version than the one that was sent.
    is_of_version = run["version_id"] and (
        run["version_text"] == run["text"] or bool(planned(run["version_text"]))
    )
    return SentText(
        digest=words.digest,
        department_id=run["department_id"],
        version_id=run["version_id"] if is_of_version else None,
        text=run["text"],
        anchor=words.anchor,
        keys=words.keys,
        first_on=min(run["first_on"], run["last_on"]),
        last_on=run["last_on"],
    )


def _together(one: SentText, other: SentText) -> SentText:
    return SentText(
        digest=one.digest,
        department_id=one.department_id,
        version_id=one.version_id,
        text=one.text,
        anchor=one.anchor,
        keys=one.keys,
        first_on=min(one.first_on, other.first_on),
        last_on=max(one.last_on, other.last_on),
    )


async def forget(conn: Connection, now: datetime) -> int:
    """Delete texts that were last sent half a year ago, some at a time; how many were."""
    return await store.forget_texts(conn, _since(now), 10_000)


async def check_text(conn: Connection, text: str, judge: ValueJudge, now: datetime) -> Checked:
    """Whether a text is one of ours.

    Raises:
        Invalid: it is blank, or too long for a text of ours.
    """
    if not text.strip():
        raise Invalid.at("text", phrase("paste the text that you want to ask about"))
    if len(text) > MOST_CHARACTERS:
        raise Invalid.at(
            "text",
            phrase(
                "the text is longer than {most} characters; paste one text message, from its first"
                " to its last character",
                most=MOST_CHARACTERS,
            ),
        )
    policy = await lint_store.policy_get(conn)
    landlines = await lint_store.landlines(conn)
    foreign = _foreign(text, policy, frozenset().union(*landlines.values()))
    asked = written(text)
    if not foreign:
        words = await lint_store.never_words(conn)
        never = {carrier: tuple(listed) for carrier, listed in words.items()}
        for row in await store.texts_with_words(
            conn, digest_of(asked), anchors_of(asked), _since(now)
        ):
            values = SentWords(row["text"]).values_in(asked)
            if values is not None and (not values or judge(row["text"], values, never)):
                return _ours(row)
    pairs = pairs_of(text)
    for said in await store.texts_with_keys(conn, keys_of(pairs), _since(now)):
        if SentWords(said).alike(pairs) >= ALIKE:
            return Checked("like_ours", foreign=foreign, has_links=bool(policy.link_hosts))
    return Checked("unknown", foreign=foreign)


async def check_mark(conn: Connection, mark: str, now: datetime) -> Checked:
    """What was sent of the version of a template that a mark such as T7-3 names: its text, to hold
    against what bears the mark. Anybody can write a mark below anything.

    Raises:
        Invalid: it is no mark.
    """
    read = read_mark(mark)
    if read is None:
        raise Invalid.at("mark", phrase("a mark is written as T7-3"))
    rows = await store.texts_of_mark(conn, *read, _since(now))
    if not rows:
        return Checked("unknown")
    return _ours(rows[0], text=rows[0]["text"])


def read_mark(mark: str) -> tuple[int, int] | None:
    """The numbers of template and version in a mark; None: it is none."""
    found = _MARK.fullmatch(mark.strip())
    if found is None:
        return None
    template_no, version_no = int(found[1]), int(found[2])
    return (template_no, version_no) if max(template_no, version_no) < 2**31 else None


def _ours(row: Record, text: str = "") -> Checked:
    return Checked("ours", row["department"], row["first_on"], row["last_on"], text=text)


def _foreign(text: str, policy: Policy, landlines: frozenset[str]) -> tuple[ForeignPart, ...]:
    """What of a text the county does not publish: links of other hosts, numbers that are neither
    hotlines nor registered for one of its departments.
    """
    county = TextSender("", "county", landlines=landlines, links=True)
    read = draft(text, None, sender=county, policy=policy)
    found: list[ForeignPart] = []
    if any(lint_contacts.links(read)):
        found.append("link")
    if any(
        not lint_contacts.is_known(read, contact.digits) for contact in lint_contacts.contacts(read)
    ):
        found.append("number")
    return tuple(found)


def _since(now: datetime) -> date:
    return (now - KEPT).astimezone(CHINA).date()
