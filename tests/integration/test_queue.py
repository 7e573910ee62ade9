"""The job queue of a process that asks for the same work again and again."""

from typing import Any

import pytest

from service.local.embedded import Valkey
from service.queue import Job, open_queue
from tests.harness.waiting import turns


async def test_whoever_asks_together_enqueues_once_more_after_the_last(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many asks are two rings, the first at once; nothing asked for is lost, at the end either."""
    enqueued: list[tuple[str, str, int]] = []
    asked = 0
    async with open_queue(valkey.url) as queue:
        real = queue.arq.enqueue_job

        async def enqueue(job: str, channel: str, **options: Any) -> None:
            enqueued.append((job, channel, asked))
            await real(job, channel, **options)

        monkeypatch.setattr(queue.arq, "enqueue_job", enqueue)
        while asked < 20:
            asked += 1
            await queue.enqueue_once(Job.DRAIN_CHANNEL, 1)
            await turns()
        await queue.enqueue_once(Job.DRAIN_CHANNEL, 2)
        await queue.rested()
        asked = 99
        await queue.enqueue_once(Job.DRAIN_CHANNEL, 1)
        await queue.enqueue_once(Job.DRAIN_CHANNEL, 1)
    assert [job for job in enqueued if job[1] == "1"] == [
        ("drain_channel", "1", 1),
        ("drain_channel", "1", 20),
        ("drain_channel", "1", 99),
        ("drain_channel", "1", 99),
    ]
    assert [job for job in enqueued if job[1] == "2"] == [("drain_channel", "2", 20)]
