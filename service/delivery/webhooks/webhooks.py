"""Telling departments: new events to the webhooks that want them, and the calls themselves.

A webhook has its calls in a job of its own, so that one that hangs or is away delays no other. An
event is told at least once; its id says whether it was told before. No call holds a database
connection.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import aiohttp

from service.channels.contract.address_check import Network
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.webhooks import webhook_calls_store as store
from service.delivery.webhooks.webhook import (
    GIVEN_UP_AFTER,
    GONE,
    CallOutcome,
    body_of,
    headers_of,
    may_call,
    next_call,
    rest_after,
)
from service.delivery.webhooks.webhook_store import disable
from service.storage.postgres import Pool, Record, transaction

log = logging.getLogger(__name__)

SECRET = "webhook_secret"  # noqa: S105  # a kind of field
"""The kind of field that secrets are encrypted as."""

HAND_OUT = 1_000
BATCH = 40
AT_ONCE = 8
"""How many calls of one webhook are made at once."""

CALL_SECONDS, CONNECT_SECONDS = 10.0, 5.0
CLAIM_SECONDS = 60.0
"""Longer than a batch of calls takes that are all answered at the last moment."""
KEPT = timedelta(days=30)
"""How long what was told can be replayed."""


class AddressForbidden(OSError):
    """The address is one of a network that we do not call."""


async def hand_out(pool: Pool, now: datetime) -> list[UUID]:
    """Give new events to the webhooks that want them; returns the webhooks with calls due."""
    while True:
        async with transaction(pool) as conn:
            count = await store.hand_out(conn, HAND_OUT, now)
        if count < HAND_OUT:
            break
    async with pool.acquire() as conn:
        return await store.due_webhooks(conn, now)


async def forget(pool: Pool, now: datetime) -> int:
    """Drop the oldest events that nobody can replay any more; returns how many."""
    total = 0
    while True:
        async with transaction(pool) as conn:
            count = await store.forget_events(conn, now - KEPT, HAND_OUT)
        total += count
        if count < HAND_OUT:
            return total


async def call_due(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    webhook_id: UUID,
    allowed: Collection[Network],
    zone: ZoneInfo,
) -> int:
    """Make the calls of one webhook that are due; returns how many were taken by the receiver.

    zone: with whose offset instants are written.
    """
    now = clock.now()
    until = now + timedelta(seconds=CLAIM_SECONDS * clock.speed)
    async with transaction(pool) as conn:
        rows = await store.claim(conn, webhook_id, BATCH, until, now)
    if not rows:
        return 0
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=AT_ONCE, socket_factory=partial(socket_to, allowed=allowed)
        ),
        timeout=aiohttp.ClientTimeout(total=CALL_SECONDS, connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    async with session:
        return await _Calls(pool, keyring, clock, webhook_id, session, zone).make(rows)


class _Calls:
    """The calls of one webhook that were taken together; the first failure ends them."""

    def __init__(
        self,
        pool: Pool,
        keyring: Keyring,
        clock: Clock,
        webhook_id: UUID,
        session: aiohttp.ClientSession,
        zone: ZoneInfo,
    ) -> None:
        self._zone = zone
        self._pool = pool
        self._keyring = keyring
        self._clock = clock
        self._webhook_id = webhook_id
        self._session = session

    async def make(self, rows: Sequence[Record]) -> int:
        """Make them, some at a time; what is left after a failure is given back."""
        taken = 0
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            outcomes = await asyncio.gather(*[self._call(row) for row in some])
            failed = await self._record(some, outcomes, rows[start + AT_ONCE :])
            taken += sum(outcome.success for outcome in outcomes)
            if failed:
                break
        return taken

    async def _call(self, row: Record) -> CallOutcome:
        body = body_of(row["type"], row["at"], row["event_id"], row["data"], self._zone)
        secret = self._keyring.decrypt(SECRET, row["secret_cipher"])
        headers = headers_of(secret, f"evt_{row['event_id']}", body, time.time())
        try:
            async with self._session.post(
                row["url"], data=body, headers=headers, allow_redirects=False
            ) as answer:
                return CallOutcome(answer.status)
        except (TimeoutError, aiohttp.ServerTimeoutError):
            return CallOutcome(None, f"no answer within {CALL_SECONDS:.0f} s")
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressForbidden):
                return CallOutcome(None, str(error.os_error))
            return CallOutcome(None, f"no connection: {error.os_error.strerror or 'unknown host'}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return CallOutcome(None, f"no answer: {type(error).__name__}")

    async def _record(
        self, rows: Sequence[Record], outcomes: Sequence[CallOutcome], rest: Sequence[Record]
    ) -> bool:
        """Note what these came to; whether one failed. `rest` were not made if so."""
        now = self._clock.now()
        failed = [outcome for outcome in outcomes if not outcome.success]
        async with transaction(self._pool) as conn:
            for row, outcome in zip(rows, outcomes, strict=True):
                again = None
                if not outcome.success:
                    again = next_call(row["attempt"], row["first_at"], now)
                state = "delivered" if outcome.success else "waiting" if again else "given_up"
                error = outcome.error or (f"answered {outcome.status}" if outcome in failed else "")
                await store.record(
                    conn,
                    self._webhook_id,
                    row["event_id"],
                    state,
                    again,
                    outcome.status,
                    error,
                    now,
                )
            if not failed:
                await store.note_success(conn, self._webhook_id)
                return False
            failures, since = await store.note_failure(conn, self._webhook_id, now)
            until = now + rest_after(failures)
            await store.rest(conn, self._webhook_id, until)
            await store.release(conn, self._webhook_id, [row["event_id"] for row in rest], until)
            why = _end(failed, since, now)
            if why and await disable(conn, self._webhook_id, why, now):
                log.warning(
                    "webhook disabled", extra={"webhook_id": str(self._webhook_id), "why": why}
                )
        return True


def _end(failed: Sequence[CallOutcome], since: datetime, now: datetime) -> str | None:
    """Why a webhook is called no more; None: it still is."""
    if any(outcome.status == GONE for outcome in failed):
        return "the receiver answered 410: it wants no more calls"
    if now - since >= GIVEN_UP_AFTER:
        return (
            f"no call was taken for 24 hours; the last one: {failed[-1].error or failed[-1].status}"
        )
    return None


def socket_to(address: aiohttp.AddrInfoType, *, allowed: Collection[Network]) -> socket.socket:
    """The socket to an address that is resolved: no name can mean one thing now and another later.

    Raises:
        AddressForbidden: it is in a network that we do not call.
    """
    family, kind, protocol, _, target = address
    if not may_call(str(target[0]), allowed):
        raise AddressForbidden("the address is in a private network, which is not called")
    return socket.socket(family, kind, protocol)
