"""Posts to robots of work groups: set up by a department, each post given to the robot once.

A post is claimed in a transaction of its own before the connection is opened. Whoever dies with it
leaves it `uncertain`: it may have left, and is not posted again (invariant I3). No connection to
the database is held meanwhile. A robot that is silent holds up no other. Nothing of it is in a
ledger: a group is no person, and counts as nobody reached.
"""

import asyncio
import logging
import ssl
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import aiohttp

from service.accounts.people.model import User
from service.channels.contract.address_check import Network
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.notices import robot_store as store
from service.delivery.notices import robot_unit_store as unit_store
from service.delivery.notices.notice_choice import NoticeKind
from service.delivery.notices.robot import (
    A_MINUTE,
    RESTS,
    PostAttempt,
    PostFate,
    RobotKind,
    RobotNotice,
    body_of_post,
    check_address,
    read_answer,
    signed_address,
)
from service.delivery.notices.robot_store import PostResult, RobotCard
from service.delivery.notices.robot_text import UnitNotice, text_of_post
from service.delivery.webhooks.webhooks import AddressForbidden, socket_to
from service.errors import Conflict, NotFound
from service.settings import Settings
from service.storage.postgres import Connection, Pool, Record, transaction
from service.words.phrase import phrase

log = logging.getLogger(__name__)

ADDRESS, SECRET = "robot_address", "robot_secret"  # kinds of fields
TOGETHER = timedelta(minutes=1)
"""How long a notice to a group waits for others."""
TOLD_WITHIN = timedelta(days=3)
AT_ONCE = 8
"""So many robots are posted to at once; of each, one post at a time."""
SECONDS, CONNECT_SECONDS = 10.0, 5.0
CLAIM = timedelta(minutes=1)
"""Longer than a post takes that is answered at the last moment."""
AGAIN = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240))
GIVEN_UP_AFTER = timedelta(hours=24)
KEPT = timedelta(days=30)
FORGET = 1_000
MOST_ROBOTS, MOST_TESTS = 20, 3
"""Of one department; tests of one robot that wait."""
_MOST_ANSWER = 64 * 1024

LOST = "the process that posted it has ended without a word"
GONE = "the robot was taken away"
TEST = phrase("This is a test message of Tocsin: notices come to this group.")


class NewRobot(NamedTuple):
    """A robot as it is set up."""

    kind: RobotKind
    name: str
    address: str
    secret: str | None
    language: str
    kinds: Sequence[RobotNotice]


async def add_robot(
    conn: Connection, keyring: Keyring, actor: User, new: NewRobot, now: datetime
) -> UUID:
    """Set up a robot for the actor's department.

    Raises:
        Invalid: its address is none.
        Conflict: there are as many as there may be.
    """
    check_address(new.kind, new.address, new.secret)
    if len(await store.list_robots(conn, actor.department_id, MOST_ROBOTS)) >= MOST_ROBOTS:
        raise Conflict(
            phrase("your department has {most} robots; delete one first", most=MOST_ROBOTS),
            code="too_many_robots",
        )
    told = RobotCard(new.kind, new.name, new.language, sorted(set(new.kinds)))
    secret = keyring.encrypt(SECRET, new.secret) if new.secret is not None else None
    ciphers = (keyring.encrypt(ADDRESS, new.address), secret)
    return await store.insert_robot(conn, actor.department_id, told, ciphers, (actor.id, now))


async def need_robot(conn: Connection, actor: User, robot_id: UUID) -> Record:
    """A robot of the actor's department.

    Raises:
        NotFound: it has none of this id.
    """
    row = await store.find_robot(conn, actor.department_id, robot_id)
    if row is None:
        raise NotFound(phrase("there is no robot {id}", id=robot_id))
    return row


async def set_kinds(
    conn: Connection, actor: User, robot_id: UUID, kinds: Collection[RobotNotice]
) -> list[str]:
    """Tell the group of a robot of other kinds from now on; returns those before. What it is owed
    of kinds that went is not posted.

    Raises:
        NotFound: as for `need_robot`.
    """
    before = await store.set_kinds(conn, actor.department_id, robot_id, sorted(set(kinds)))
    if before is None:
        raise NotFound(phrase("there is no robot {id}", id=robot_id))
    return before


async def end_robot(conn: Connection, actor: User, robot_id: UUID, now: datetime) -> None:
    """Post nothing more to a robot, and forget its address.

    Raises:
        NotFound: as for `need_robot`.
    """
    if not await store.end_robot(conn, actor.department_id, robot_id, (actor.id, now)):
        raise NotFound(phrase("there is no robot {id}", id=robot_id))


async def test_robot(conn: Connection, actor: User, robot_id: UUID, now: datetime) -> UUID:
    """Make a test message to a group; a worker posts it.

    Raises:
        NotFound: as for `need_robot`.
        Conflict: some wait already.
    """
    await need_robot(conn, actor, robot_id)
    if await store.count_open_tests(conn, robot_id) >= MOST_TESTS:
        raise Conflict(
            phrase("test messages to this group are waiting already; look again in a minute"),
            code="too_many_tests",
        )
    return await store.insert_post(conn, robot_id, now, is_test=True)


async def waits(conn: Connection, now: datetime) -> bool:
    """Whether a group is to be told of something now."""
    return await store.robots_wait(conn, now - TOGETHER, now)


async def post_due(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    settings: Settings,
    *,
    tls: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> int:
    """Post what is due, to each robot one message; returns how many robots were posted to.

    tls: else the authorities of the machine are trusted. seconds: for the whole of one post.
    """
    now = clock.now()
    await _make_posts(pool, now)
    async with transaction(pool) as conn:
        window = (now - timedelta(minutes=1), A_MINUTE)
        rows = await store.claim_posts(conn, AT_ONCE, now + CLAIM * clock.speed, window, now)
        told = {row["id"]: await _told(conn, row["id"]) for row in rows}
    posting = _Posting(keyring, settings, tls, seconds)
    attempts = await asyncio.gather(*(posting.post(row, told[row["id"]]) for row in rows))
    for row, attempt in zip(rows, attempts, strict=True):
        await _record(pool, row, attempt, clock.now())
    return len(rows)


async def _make_posts(pool: Pool, now: datetime) -> None:
    """Make a post a robot of what is due; what was lost is noted, what is old forgotten."""
    async with transaction(pool) as conn:
        for post_id in await store.note_lost_posts(conn, LOST, now):
            log.error("a post may or may not have left", extra={"post_id": str(post_id)})
        await unit_store.settle_units_over(conn, now - TOGETHER, now - TOLD_WITHIN, now)
        await store.make_posts(conn, now - TOGETHER, now - TOLD_WITHIN, now)
        await store.forget_posts(conn, now - KEPT, FORGET)


async def _record(pool: Pool, row: Record, attempt: PostAttempt, now: datetime) -> None:
    result = _result(row, attempt, now)
    async with transaction(pool) as conn:
        await store.record_post(conn, row["id"], result, now)
    if result.state != "sent":
        told = {"robot_id": str(row["robot_id"]), "state": result.state, "why": result.error}
        log.warning("a post to a group was not taken", extra=told)


class _ToldInPost(NamedTuple):
    """What a post tells of."""

    counts: dict[NoticeKind, int]
    units: list[UnitNotice]


async def _told(conn: Connection, post_id: UUID) -> _ToldInPost:
    kinds = await store.count_post_kinds(conn, post_id)
    counts = {NoticeKind(name): count for name, count in kinds.items()}
    return _ToldInPost(counts, await unit_store.unit_notices(conn, post_id))


class _Posting:
    """Posts messages, each over a connection of its own."""

    def __init__(
        self, keyring: Keyring, settings: Settings, tls: ssl.SSLContext | None, seconds: float
    ) -> None:
        self._keyring = keyring
        self._console = settings.console_url
        self._allowed: Collection[Network] = settings.allowed_networks
        self._tls: ssl.SSLContext | bool = tls if tls is not None else True
        self._seconds = seconds

    async def post(self, row: Record, told: _ToldInPost) -> PostAttempt:
        """Give one message to its robot."""
        if row["address_cipher"] is None:
            return PostAttempt(PostFate.REFUSED, GONE)
        kind = RobotKind(row["kind"])
        address = self._keyring.decrypt(ADDRESS, row["address_cipher"])
        cipher = row["secret_cipher"]
        secret = self._keyring.decrypt(SECRET, cipher) if cipher is not None else None
        language = row["language"]
        text = text_of_post(told.counts, told.units, self._console, language)
        if row["is_test"]:
            text = TEST.in_language(language)
        return await self._give(kind, address, secret, body_of_post(text))

    async def _give(
        self, kind: RobotKind, address: str, secret: str | None, body: bytes
    ) -> PostAttempt:
        """Errors never quote the address: its key is a secret. A robot checks a signature by the
        time of the world, not by a clock that is moved.
        """
        milliseconds = int(Clock().now().timestamp() * 1000)
        timeout = aiohttp.ClientTimeout(total=self._seconds, connect=CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(socket_factory=partial(socket_to, allowed=self._allowed))
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Tocsin/1"}
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.post(
                    signed_address(address, secret, milliseconds),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    ssl=self._tls,
                ) as answer,
            ):
                return read_answer(kind, answer.status, await answer.content.read(_MOST_ANSWER))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            return _of_error(error, self._seconds)


def _of_error(error: Exception, seconds: float) -> PostAttempt:
    """What an attempt without an answer means: only what was not connected has not left."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return PostAttempt(PostFate.LATER, "no connection in time")
        case aiohttp.ClientConnectorCertificateError():
            return PostAttempt(PostFate.LATER, "the certificate is not trusted")
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, AddressForbidden):
            return PostAttempt(PostFate.REFUSED, str(error.os_error))
        case aiohttp.ClientConnectorError():
            return PostAttempt(PostFate.LATER, "no connection")
    if isinstance(error, TimeoutError):
        return PostAttempt(PostFate.UNCERTAIN, f"no answer within {seconds:g} s")
    return PostAttempt(PostFate.UNCERTAIN, f"no answer: {type(error).__name__}")


def _result(row: Record, attempt: PostAttempt, now: datetime) -> PostResult:
    if attempt.fate is PostFate.SENT:
        return PostResult("sent")
    if attempt.fate is PostFate.UNCERTAIN:
        return PostResult("uncertain", attempt.error)
    if attempt.fate is PostFate.REFUSED or now - row["made_at"] >= GIVEN_UP_AFTER:
        return PostResult("given_up", attempt.error)
    if attempt.fate is PostFate.TOO_FAST:
        rest = now + RESTS[RobotKind(row["kind"])]
        return PostResult("waiting", attempt.error, rest, rest)
    wait = AGAIN[min(row["attempts"], len(AGAIN)) - 1]
    return PostResult("waiting", attempt.error, now + wait)
