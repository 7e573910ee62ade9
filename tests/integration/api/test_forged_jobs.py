"""Whoever can write to Valkey asks for any job: only what PostgreSQL says is due is done.

Real workers take the jobs from a real queue.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.queue import QUEUES, Job, queue_name
from tests.harness.things import digests, make_things
from tests.harness.waiting import until
from tests.integration.api.conftest import Api
from workers import delivery, expand, imports, webhooks
from workers.context import WorkerKind, make_worker
from workers.supervise import supervise

pytestmark = pytest.mark.attack

KINDS = (expand.KIND, imports.KIND, delivery.KIND, webhooks.KIND)
ABOUT = {
    Job.EXPAND_RUN: ("run_id", "campaign_id", "template_id"),
    Job.READ_IMPORT: ("import_id", "run_id"),
    Job.UNDO_IMPORT: ("import_id", "run_id"),
    Job.CALL_WEBHOOK: ("webhook_id", "run_id"),
}
"""Of what each job may be asked for, and of what it makes no sense; the others name a channel."""


@asynccontextmanager
async def working(api: Api, kind: WorkerKind) -> AsyncIterator[None]:
    stop = asyncio.Event()
    runtime = api.runtime
    task = asyncio.create_task(
        supervise(lambda: make_worker(runtime, kind, {}), stop, runtime.queue.note_loss)
    )
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_forged_job_does_only_what_postgresql_says_is_due(
    api: Api, kind: WorkerKind
) -> None:
    things = await make_things(api, "county")
    pool, queue = api.runtime.pool, api.runtime.queue
    await pool.execute("UPDATE imports SET state = 'done', report = '{}', finished_at = created_at")
    before, asked = await digests(api), 0
    for job in (job for job, where in QUEUES.items() if where == kind.name):
        for name in ABOUT.get(job, ()):
            await queue.enqueue(job, things[name])
        if job not in ABOUT:
            await queue.enqueue(job, *([1] if job is Job.FOLD_RECEIPTS else []))
        asked += 1

    async def all_are_done() -> bool:
        waiting = await api.runtime.redis.zcard(queue_name(kind.name))
        return not waiting and not imports._under_way

    async with working(api, kind):
        await until(all_are_done, 60)
    assert asked
    assert await digests(api) == before
