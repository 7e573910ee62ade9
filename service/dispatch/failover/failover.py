"""What waits on a channel that does not work goes to another one, where the route allows it.

Slice by slice, each in a transaction of its own, so that a large run holds up nobody. The other
channel is the one that the route would choose for the number's carrier now, among those that work:
of the same kind (simulated or real), the campaign's own choice, the carrier's own channel or one
that takes all networks. Where there is none the texts wait, and that is recorded. What has moved
stays where it is when the first channel works again.
"""

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from service.audience.vocabulary.choices import CARRIERS
from service.channels.routing.route import RoutableChannel, failover_channels
from service.channels.routing.route_store import list_routable_channels
from service.dispatch.failover import failover_store
from service.dispatch.failover.failover_store import StoppedChannel
from service.storage.locks import lock_run, try_lock_failover
from service.storage.postgres import COLLISIONS, Pool, transaction

log = logging.getLogger(__name__)

OFF_GRACE = timedelta(minutes=1)
"""A channel that is switched off for a shorter while keeps what waits for it."""

LOOK_AGAIN = timedelta(seconds=15)
"""After everything has moved, something may still come back: marked, and not written."""

SLICES = 50
"""How many slices are looked up at a time."""


async def shift_waiting(
    pool: Pool, now: datetime, *, seconds: float = 20.0, speed: float = 1.0
) -> list[int]:
    """Move what waits on channels that do not work, for no longer than about `seconds`.

    `speed`: how many times as fast as the carriers' time the clock runs. Returns the channels that
    have work by it.
    """
    until = time.monotonic() + seconds
    async with pool.acquire() as conn:
        stopped = await failover_store.stopped_channels(conn, now, OFF_GRACE * speed)
        channels = await list_routable_channels(conn, now) if stopped else []
    woken: set[int] = set()
    for one in stopped:
        whole = await _shift_from(pool, one, channels, now, until, woken)
        if whole:
            async with pool.acquire() as conn:
                again = now + LOOK_AGAIN * speed
                await failover_store.looked_through(conn, one.channel_id, again)
    return sorted(woken)


async def _shift_from(
    pool: Pool,
    stopped: StoppedChannel,
    channels: Sequence[RoutableChannel],
    now: datetime,
    until: float,
    woken: set[int],
) -> bool:
    """Move what waits on one channel; whether all of it was looked at."""
    channel = next((channel for channel in channels if channel.id == stopped.channel_id), None)
    if channel is None:
        return False
    carriers = {*CARRIERS, *(carrier for other in channels for carrier in other.carriers)}
    async with pool.acquire() as conn:
        runs = await failover_store.waiting_runs(conn, stopped.channel_id)
        noted = await failover_store.noted_waiting(conn, stopped)
    for run in runs:
        run_id = run["run_id"]
        channel_of = failover_channels(channels, channel, carriers, run["chosen"])
        if channel_of and not await _shift_run(
            pool, stopped, run_id, channel_of, now, until, woken
        ):
            return False
        if run_id not in noted:
            async with transaction(pool) as conn:
                waiting = await failover_store.note_waiting(conn, stopped, run_id, channel_of, now)
            if waiting:
                log.warning(
                    "no other channel may take what waits",
                    extra={"channel": channel.name, "run_id": str(run_id), "messages": waiting},
                )
    return True


async def _shift_run(
    pool: Pool,
    stopped: StoppedChannel,
    run_id: uuid.UUID,
    channel_of: Mapping[str, int],
    now: datetime,
    until: float,
    woken: set[int],
) -> bool:
    """Move what waits of one run; False: there was no time for all, or somebody else does it."""
    after = 0
    while True:
        async with pool.acquire() as conn:
            slices = await failover_store.next_slices(
                conn, stopped.channel_id, run_id, after, SLICES
            )
        if not slices:
            return True
        for slice_no in slices:
            if time.monotonic() > until:
                return False
            try:
                went = await _shift_slice(pool, stopped, run_id, slice_no, channel_of, now)
            except COLLISIONS as error:
                log.info("a slice is shifted later", extra={"why": str(error)})
                return False
            if went is None:
                return False
            woken.update(went)
        after = slices[-1]


async def _shift_slice(
    pool: Pool,
    stopped: StoppedChannel,
    run_id: uuid.UUID,
    slice_no: int,
    channel_of: Mapping[str, int],
    now: datetime,
) -> dict[int, int] | None:
    """Move what waits of one slice; None: another scheduler is at it."""
    async with transaction(pool) as conn:
        if not await try_lock_failover(conn, stopped.channel_id):
            return None
        await lock_run(conn, run_id)
        went = await failover_store.move_queued(conn, stopped, run_id, slice_no, channel_of)
        for channel_id, messages in went.items():
            await failover_store.note_shift(conn, stopped, run_id, channel_id, messages, now)
        await failover_store.close_emptied(conn, run_id, slice_no, now)
    if went:
        log.info("shifted", extra={"run_id": str(run_id), "slice": slice_no, "went": went})
    return went
