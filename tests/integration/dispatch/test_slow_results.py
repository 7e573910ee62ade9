"""Results on a slow database: smaller batches of them make progress, and nothing is sent twice."""

import uuid

import pytest

from service.channels.contract.gateway import SubmitResult
from service.channels.contract.outcome import Outcome
from service.storage.postgres import open_pool
from tests.harness.slow import LIMIT, ROWS, losses, slow_down, told
from tests.harness.stage import Scripted, SetUp, done, working
from tests.harness.waiting import until

pytestmark = pytest.mark.slow  # statements that run into their limits


async def test_results_that_take_too_long_are_recorded_in_smaller_batches(
    stage: SetUp, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    on = await stage(ROWS, window=ROWS)
    await slow_down(on.pool, "UPDATE ON messages", "NEW.state = 'submitted'")
    gateway = Scripted(lambda _: None)
    async with (
        open_pool(database_url, size=4, seconds=LIMIT) as slow,
        working(on, gateway, pool=slow) as at_work,
    ):
        await until(lambda: _flying(gateway))
        for answer in gateway.silent:
            answer.set_result(SubmitResult(Outcome.ACCEPTED, refs=(uuid.uuid4().bytes[:8],)))
        await until(lambda: done(on), 60)
        await at_work.end()
    assert await on.states() == {"submitted": ROWS}
    assert len(gateway.written) == ROWS, "nothing is written twice"
    (size, *_), *_ = told(caplog, "fewer results at once", "size")
    assert size == ROWS // 2
    assert losses(caplog) == []


async def _flying(gateway: Scripted) -> bool:
    return len(gateway.silent) == ROWS
