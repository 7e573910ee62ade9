"""What is due, and the sweep that rings again for everything still open in PostgreSQL."""

from typing import Any

from arq.cron import cron

from service.api.store import delete_old_answers
from service.audience.store import waiting_imports
from service.campaigns.lifecycle import expire_pending, finish_campaigns, fire_due
from service.delivery.doubt import sweep_decided
from service.delivery.inbound import waits
from service.delivery.receipts import sweep_parked
from service.delivery.store import channels_with_receipts, expire_parked, settle_runs
from service.dispatch import lease_store, sweep_store
from service.queue import Job
from service.runtime import Runtime
from service.storage.postgres import transaction
from workers.context import Kind, runtime_of

EVERY_SECOND = set(range(60))
EVERY_FIFTH = set(range(0, 60, 5))


async def fire(ctx: dict[str, Any]) -> None:
    """Start the runs that are due; close those of which nothing is left to hand off."""
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    for run_id in await fire_due(runtime.pool, now):
        await runtime.queue.ring(Job.EXPAND_RUN, run_id)
    async with transaction(runtime.pool) as conn:
        await finish_campaigns(conn, await sweep_store.close_finished_runs(conn, now), now)


async def listen(ctx: dict[str, Any]) -> None:
    """Ring for texts from handsets each second: an opt-out should not wait for the sweep."""
    runtime = runtime_of(ctx)
    async with runtime.pool.acquire() as conn:
        waiting = await waits(conn, runtime.clock.now())
    if waiting:
        await runtime.queue.ring(Job.READ_INBOUND)


async def sweep(ctx: dict[str, Any]) -> None:
    """Ring for what is open, free what dead processes held, settle what time has settled."""
    runtime = runtime_of(ctx)
    await _ring_again(runtime)
    await _recover(runtime)
    await _settle(runtime)
    await expire_pending(runtime.pool, runtime.clock.now())


async def _ring_again(runtime: Runtime) -> None:
    async with transaction(runtime.pool) as conn:
        runs = await sweep_store.expanding_runs(conn)
        channels = await sweep_store.channels_with_work(conn, runtime.clock.now())
        inbox, _ = await channels_with_receipts(conn)
        imports = await waiting_imports(conn)
    for run_id in runs:
        await runtime.queue.ring(Job.EXPAND_RUN, run_id)
    for channel_id in channels:
        await runtime.queue.ring(Job.DRAIN_CHANNEL, channel_id)
    for channel_id in inbox:
        await runtime.queue.ring(Job.FOLD_RECEIPTS, channel_id)
    for import_id in imports:
        await runtime.queue.ring(Job.READ_IMPORT, import_id)


async def _recover(runtime: Runtime) -> None:
    async with runtime.pool.acquire() as conn:
        expired = await lease_store.expired_connections(conn)
    for channel_id, slot in expired:
        async with transaction(runtime.pool) as conn:
            await lease_store.recover_connection(conn, channel_id, slot, runtime.clock.now())


async def _settle(runtime: Runtime) -> None:
    now = runtime.clock.now()
    async with runtime.pool.acquire() as conn:
        _, parked = await channels_with_receipts(conn)
    for channel_id in parked:
        async with transaction(runtime.pool) as conn:
            await sweep_decided(conn, channel_id, now)
        async with transaction(runtime.pool) as conn:
            await sweep_parked(conn, channel_id, now)
    async with transaction(runtime.pool) as conn:
        await expire_parked(conn, now)
        await settle_runs(conn, now)
    async with transaction(runtime.pool) as conn:
        await delete_old_answers(conn, now)


KIND = Kind(
    "scheduler",
    [],
    [
        cron(fire, second=EVERY_SECOND, keep_result=0, timeout=60),
        cron(listen, second=EVERY_SECOND, keep_result=0, timeout=60),
        cron(sweep, second=EVERY_FIFTH, keep_result=0, timeout=60, run_at_startup=True),
    ],
)
