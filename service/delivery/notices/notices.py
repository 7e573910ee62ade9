"""Telling persons what waits for them: from a move of a campaign to a text or a mail.

The move writes down in its own transaction that somebody may have to be told (`notice_causes`).
Here it becomes a notice a person, and the notices of one person become one text or one mail, each
in one transaction with the note that they did: whatever dies in between, nobody is told of the same
twice. Notices wait a minute for others, and one person is told once in 15 minutes, so that ten
campaigns that are submitted together make one text. What is decided meanwhile is not told at all.

A text is a direct run in the class `service`: it has its row in a ledger before it leaves, and send
hours, suppressions, caps, quotas, holds and the pace of its channel are those of every such text.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import bare
from service.accounts.departments.department_store import get_department, get_permits
from service.accounts.people import phone_store
from service.accounts.people.model import User
from service.accounts.people.store import get_user
from service.campaigns.approval.approvers import list_approvers, list_takers
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.calendar.schedule import DEFAULT_HOURS, DEFAULT_TIMEZONE
from service.campaigns.core.leg_store import get_leg
from service.campaigns.plans.planning import load
from service.clock import CHINA
from service.crypto import Keyring, Undecipherable
from service.delivery.notices import mail_store, robot_store
from service.delivery.notices import notice_store as store
from service.delivery.notices.notice_choice import (
    NoticeChoice,
    NoticeKind,
    NoticeWay,
    get_choice,
)
from service.delivery.notices.notice_store import NoticePace, OpenNotice
from service.delivery.notices.notice_text import NoticeSkip, sentence
from service.dispatch.direct import direct
from service.dispatch.direct.direct_store import NewRun
from service.dispatch.direct.own_phone import own_recipient
from service.ledger.message_class import NOTICE
from service.settings import Settings
from service.storage.locks import try_lock_noticing
from service.storage.postgres import Connection, Pool, transaction

log = logging.getLogger(__name__)

TOGETHER = timedelta(minutes=1)
"""How long a notice waits for others."""
APART = timedelta(minutes=15)
"""How long after one text or mail the next one comes to the same person, at the earliest."""
MOST_A_DAY = 5
"""How many texts or mails one person gets in 24 hours; what is beyond waits, and comes together."""
TOLD_WITHIN = timedelta(days=3)
"""What could not be told by then is not told any more."""
VALIDITY = timedelta(hours=24)
"""How long a text may wait to be handed off."""
KEPT = timedelta(days=30)
"""How long a notice is kept once it is settled."""
SOME = 100
"""How many causes, or people, are looked at in one turn."""
FORGET = 1_000


class Due(NamedTuple):
    """One person, what they chose, and what they are told of."""

    user: User
    choice: NoticeChoice
    notices: Sequence[OpenNotice]

    @property
    def counts(self) -> Counter[NoticeKind]:
        """How many of each kind."""
        return Counter(NoticeKind(notice.kind) for notice in self.notices)

    @property
    def ids(self) -> list[int]:
        """Which notices they are."""
        return [notice.id for notice in self.notices]


async def waits(conn: Connection, now: datetime) -> bool:
    """Whether somebody may be due to be told of something."""
    return await store.notices_wait(conn, _pace(now))


async def make_notices(pool: Pool, keyring: Keyring, settings: Settings, now: datetime) -> set[int]:
    """Tell everybody of what is due; returns the channels that have work now. Outside of the hours
    of service texts nobody is told by a text yet.

    Each move and each person is one transaction, and the trouble of one holds up no other.
    """
    async with pool.acquire() as conn:
        causes = [(_owe, move) for move in await store.list_causes(conn, SOME)]
        causes += [(_owe_of_leg, move) for move in await store.list_leg_causes(conn, SOME)]
    for owe, move_id in causes:
        try:
            async with transaction(pool) as conn:
                await owe(conn, move_id, now)
        except Exception:
            log.exception("nobody was told of a move", extra={"move_id": move_id})
    async with pool.acquire() as conn:
        county = await load_county(conn)
        is_open = county.is_open(now, HourTerms(DEFAULT_HOURS, CHINA, NOTICE))
        people = await store.people_due(conn, _pace(now), SOME, texts=is_open)
    channels: set[int] = set()
    for user_id in people:
        try:
            async with transaction(pool) as conn:
                if await _is_due(conn, user_id, now, texts=is_open):
                    channels |= await _tell(conn, keyring, settings, user_id, now)
        except Exception:
            log.exception("somebody was not told", extra={"user_id": str(user_id)})
    return channels


async def forget(pool: Pool, now: datetime) -> None:
    """Drop what was settled long ago."""
    async with transaction(pool) as conn:
        await store.forget_notices(conn, now - KEPT, FORGET)


def _pace(now: datetime) -> NoticePace:
    return NoticePace(now - TOGETHER, now - APART, now - timedelta(days=1), MOST_A_DAY)


async def _owe(conn: Connection, move_id: int, now: datetime) -> None:
    """A move becomes a notice to each person whom it concerns and who wants to be told."""
    cause = await store.take_cause(conn, move_id)
    if cause is None:
        return
    people = cause["planners"]
    if cause["kind"] == NoticeKind.APPROVAL:
        campaign = await load(conn, cause["campaign_id"], None)
        people = [approver.id for approver in await list_approvers(conn, campaign, now)]
    await store.insert_notices(conn, move_id, cause, people)
    await robot_store.owe_robots(conn, move_id, cause, cause["department_id"])


async def _owe_of_leg(conn: Connection, move_id: int, now: datetime) -> None:
    """The same for a leg of a joint plan: its department is asked, or has returned it."""
    cause = await store.take_leg_cause(conn, move_id)
    if cause is None:
        return
    people, department_id = cause["planners"], cause["department_id"]
    if cause["kind"] == NoticeKind.LEG:
        plan = await load(conn, cause["campaign_id"], None)
        leg = await get_leg(conn, cause["leg_id"])
        people = [] if leg is None else await list_takers(conn, plan, leg, now)
        department_id = cause["leg_department_id"]
    await store.insert_notices(conn, move_id, cause, people, of_leg=True)
    await robot_store.owe_robots(conn, move_id, cause, department_id, of_leg=True)


async def _is_due(conn: Connection, user_id: UUID, now: datetime, *, texts: bool) -> bool:
    """Whether it is still a person's turn, and no other process is at it until this one ends."""
    if not await try_lock_noticing(conn, user_id):
        return False
    return bool(await store.people_due(conn, _pace(now), 1, texts=texts, user_id=user_id))


async def _tell(
    conn: Connection, keyring: Keyring, settings: Settings, user_id: UUID, now: datetime
) -> set[int]:
    """Tell one person; returns the channels that have work now."""
    user = await get_user(conn, user_id, None)
    choice = await get_choice(conn, keyring, user)
    due = Due(user, choice, await _still_due(conn, user, choice, now))
    if not due.notices:
        return set()
    if choice.way is NoticeWay.MAIL:
        await _mail(conn, settings, due, now)
        return set()
    return await _text(conn, keyring, settings, due, now)


async def _still_due(
    conn: Connection, user: User, choice: NoticeChoice, now: datetime
) -> list[OpenNotice]:
    """What a person is still to be told of; all else is settled with its reason."""
    due: list[OpenNotice] = []
    for notice in await store.open_notices(conn, user.id):
        skip = _obstacle(notice, user, choice, now)
        if skip is None:
            due.append(notice)
        else:
            await store.settle(conn, [notice.id], now, skipped=skip)
    return due


def _obstacle(
    notice: OpenNotice, user: User, choice: NoticeChoice, now: datetime
) -> NoticeSkip | None:
    if user.disabled_at is not None:
        return NoticeSkip.OUT_OF_SERVICE
    if not notice.waits:
        return NoticeSkip.OVER
    if notice.kind not in choice.kinds:
        return NoticeSkip.OFF
    return NoticeSkip.TOO_LATE if notice.due_at <= now - TOLD_WITHIN else None


async def _mail(conn: Connection, settings: Settings, due: Due, now: datetime) -> None:
    if settings.smtp_url is None:
        await store.settle(conn, due.ids, now, skipped=NoticeSkip.NO_MAIL_SERVER)
        return
    if due.choice.mail_proved_at is None:
        await store.settle(conn, due.ids, now, skipped=NoticeSkip.NO_PROVED_MAIL)
        return
    mail_id = await mail_store.insert_mail(conn, due.user.id, now)
    await _settle_all(conn, due, now, mail_id=mail_id)


async def _text(
    conn: Connection, keyring: Keyring, settings: Settings, due: Due, now: datetime
) -> set[int]:
    """Write the run of a text."""
    own = await phone_store.get_phone(conn, due.user.id)
    permits = await get_permits(conn, due.user.department_id)
    skip = None if NOTICE in permits.classes else NoticeSkip.NO_SUCH_CLASS
    phone = _phone(keyring, own.cipher) if own.proved_at is not None else None
    if phone is None:
        skip = NoticeSkip.NO_PHONE
    if phone is None or skip is not None:
        await store.settle(conn, due.ids, now, skipped=skip)
        return set()
    recipient = await own_recipient(conn, keyring, due.user.department_id, phone, now)
    channels = [recipient.channel_id] if recipient.channel_id is not None else []
    new = await _run(conn, settings, due, channels, now)
    started = await direct.start(conn, new, [recipient], now)
    if started.target:
        await _settle_all(conn, due, now, run_id=started.run_id)
    else:
        await store.settle(conn, due.ids, now, skipped=next(iter(started.left_out.values())))
    return set(started.channels)


def _phone(keyring: Keyring, cipher: bytes | None) -> str | None:
    try:
        return keyring.decrypt("phone", cipher) if cipher is not None else None
    except Undecipherable:
        return None


async def _run(
    conn: Connection, settings: Settings, due: Due, channels: Sequence[int], now: datetime
) -> NewRun:
    department = await get_department(conn, due.user.department_id, None)
    words = sentence(due.counts, settings.console_url).in_language(due.choice.language)
    return NewRun(
        kind="reply",
        department_id=department.id,
        message_class=NOTICE,
        priority="normal",
        text=f"【{bare(department.settings.signature or department.name)}】{words}",
        channels=channels,
        send_hours=DEFAULT_HOURS,
        timezone=DEFAULT_TIMEZONE,
        valid_until=now + VALIDITY,
    )


async def _settle_all(
    conn: Connection,
    due: Due,
    now: datetime,
    *,
    run_id: UUID | None = None,
    mail_id: UUID | None = None,
) -> None:
    """These are told.

    Raises:
        RuntimeError: one was not open any more, and would be told twice; nothing is done.
    """
    settled = await store.settle(conn, due.ids, now, run_id=run_id, mail_id=mail_id)
    if settled != len(due.ids):
        raise RuntimeError(f"of {len(due.ids)} notices that were due, {settled} were settled")
