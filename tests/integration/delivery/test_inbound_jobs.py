"""From the job to the effect: the scheduler hears that something arrived, a worker reads it."""

from datetime import datetime, timedelta

from service.delivery.inbound.replies import TOGETHER
from service.queue import QUEUES, Job, queue_name
from service.runtime import Runtime
from tests.harness.clocks import HandClock
from tests.harness.handset import hand_off, set_up
from workers import delivery, scheduler


async def _work(runtime: Runtime) -> int:
    """Do what waits in the queue of the delivery workers; returns how many jobs that were."""
    queue = queue_name(QUEUES[Job.READ_INBOUND])
    jobs = await runtime.queue.arq.queued_jobs(queue_name=queue)
    for job in jobs:
        assert (job.function, [*job.args]) == (delivery.read_inbound.__name__, [])
        await delivery.read_inbound({"runtime": runtime})
    await runtime.redis.flushall()
    return len(jobs)


async def test_an_opt_out_that_arrives_takes_effect_by_the_next_second(
    runtime: Runtime, now: datetime
) -> None:
    handsets = await set_up(runtime.pool, runtime.keyring, now)
    ctx = {"runtime": runtime}
    await scheduler.enqueue_inbound(ctx)
    assert await _work(runtime) == 0  # nothing arrived, so nobody was woken
    await handsets.write(0, "R")
    await scheduler.enqueue_inbound(ctx)
    assert await _work(runtime) == 1
    assert await handsets.suppressed(0)


async def test_a_text_whose_rest_never_comes_is_given_out_after_a_day(
    runtime: Runtime, clock: HandClock, now: datetime
) -> None:
    handsets = await set_up(runtime.pool, runtime.keyring, now)
    ctx = {"runtime": runtime}
    await handsets.write(0, "半条", header=(7, 1, 2))
    await scheduler.enqueue_inbound(ctx)
    await _work(runtime)
    assert await handsets.texts() == []
    await scheduler.enqueue_inbound(ctx)
    assert await _work(runtime) == 0
    clock.at = now + timedelta(hours=24)
    await scheduler.enqueue_inbound(ctx)
    await _work(runtime)
    assert (await handsets.only_text())["missing"] == 1


async def test_a_reply_is_made_a_minute_after_and_its_channel_is_woken(
    runtime: Runtime, clock: HandClock, now: datetime
) -> None:
    handsets = await set_up(runtime.pool, runtime.keyring, now)
    await hand_off(handsets, 0)
    ctx = {"runtime": runtime}
    await handsets.write(0, "R")
    await handsets.read()
    clock.at = now + TOGETHER - timedelta(seconds=1)
    await scheduler.enqueue_inbound(ctx)
    assert await _rung(runtime, Job.SEND_REPLIES) == []
    clock.at = now + TOGETHER
    await scheduler.enqueue_inbound(ctx)
    assert await _rung(runtime, Job.SEND_REPLIES) == [("send_replies", [])]
    await delivery.send_replies(ctx)
    channel = handsets.stage.channel.id
    assert await _rung(runtime, Job.DRAIN_CHANNEL) == [("drain_channel", [str(channel)])]
    await runtime.redis.flushall()
    await scheduler.enqueue_inbound(ctx)
    assert await _rung(runtime, Job.SEND_REPLIES) == []


async def _rung(runtime: Runtime, job: Job) -> list[tuple[str, list[str]]]:
    """What waits in the queue of a job: function and arguments."""
    queued = await runtime.queue.arq.queued_jobs(queue_name=queue_name(QUEUES[job]))
    return [(found.function, [*found.args]) for found in queued]
