"""Who waits for an answer goes before the workers (decision 0100)."""

import os

import pytest

from tests.e2e.conftest import STANDS_BACK
from tests.harness.live import Live

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]


def test_workers_stand_back_and_the_api_does_not(live: Live) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)

    def back(name: str) -> int:
        return os.getpriority(os.PRIO_PROCESS, live.pid(name)) - own

    workers = {name: back(name) for name in ("channel-0", "scheduler", "work")}
    assert workers == dict.fromkeys(workers, min(STANDS_BACK, 19 - own))
    policies = {name: os.sched_getscheduler(live.pid(name)) for name in (*workers, "api")}
    assert policies == {**dict.fromkeys(workers, os.SCHED_BATCH), "api": os.SCHED_OTHER}
    assert {name: back(name) for name in ("api", "valkey", "postgres")} == {
        "api": 0,
        "valkey": 0,
        "postgres": 0,
    }
