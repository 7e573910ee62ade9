"""One running system for all tests of this folder; each sends a broadcast of its own."""

import asyncio
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from service.dispatch.limits.in_flight import permits_for
from tests.harness.live import MORNING, Live

TPS = 700
WINDOW = 64
CHANNELS = 3
STANDS_BACK = 1
MOST_UNCERTAIN = CHANNELS * permits_for(WINDOW)
"""The most that a crash may leave uncertain: what is on its way on each connection."""


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A system with the people of the 20,000-row county file."""
    folder = tmp_path_factory.mktemp("live") / "data"
    system = Live(
        folder,
        *("--clock", MORNING, "--tps", str(TPS), "--window", str(WINDOW), "--max-delay", "3"),
        *("--profile", "carrier"),
        TOCSIN_WEBHOOK_NETWORKS="127.0.0.1",
        TOCSIN_WORKER_NICENESS=str(STANDS_BACK),
    )
    system.start()
    try:
        content = (files("service.local.demo") / "county.csv").read_bytes()
        asyncio.run(system.people(content))
        yield system
    finally:
        system.stop()


@pytest.fixture(scope="session")
def roster() -> Path:
    return Path(str(files("service.local.demo") / "county.csv"))
