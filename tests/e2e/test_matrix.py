"""A few cells of the fault matrix, small: two of each process, and everybody is accounted for.

`make chaos` runs all of them with 20,000 people.
"""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos.cell import run_cell
from tests.chaos.faults import FAULTS
from tests.chaos.system import System

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("matrix")]

PEOPLE = 1_500
TPS = 150
CELLS = ("expand, delivery, kill -9", "channel, kill -9")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("matrix") / "data", PEOPLE, tps=TPS)
    try:
        asyncio.run(system.start())
        asyncio.run(system.ready())
        yield system
    finally:
        system.stop()


@pytest.mark.parametrize("name", CELLS)
async def test_nobody_is_lost_and_nobody_gets_it_twice(system: System, name: str) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    outcome = await run_cell(system, fault)
    assert not outcome.breaches
    assert outcome.target == outcome.taken == PEOPLE
