"""The API at a time that a test moves, beside workers and carriers on the same clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.harness.clocks import MovedClock
from tests.integration.api.conftest import api as api
from tests.integration.api.conftest import hired as hired
from tests.integration.api.conftest import staff as staff
from tests.integration.api.conftest import template as template

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def now() -> datetime:
    """The Friday before the plan begins."""
    return datetime(2027, 1, 8, 10, tzinfo=SHANGHAI)


@pytest.fixture
def clock(now: datetime) -> MovedClock:
    moved = MovedClock()
    moved.move(now)
    return moved
