"""A few rows of the silent peers, small: the old connections stay silent for ever, new ones work.

`make silence-test` runs all of them.
"""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos.cell import run_cell
from tests.chaos.faults import SILENT_FAULTS
from tests.chaos.wires import WiredSystem

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("silence")]

PEOPLE = 1_500
TPS = 150
CELLS = ("PostgreSQL, silent for ever", "Redis, silent for ever")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WiredSystem]:
    system = WiredSystem(tmp_path_factory.mktemp("silence") / "data", PEOPLE, tps=TPS)
    try:
        asyncio.run(system.start())
        asyncio.run(system.ready())
        yield system
    finally:
        system.stop()


@pytest.mark.parametrize("name", CELLS)
async def test_nobody_is_lost_and_nobody_gets_it_twice(system: WiredSystem, name: str) -> None:
    fault = next(fault for fault in SILENT_FAULTS if fault.name == name)
    outcome = await run_cell(system, fault)
    assert not outcome.breaches
    assert outcome.target == outcome.taken == PEOPLE
