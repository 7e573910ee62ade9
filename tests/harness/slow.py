"""A database in which each changed row costs a tenth of a second, and what the log says of it."""

from typing import Any

import pytest

from service.storage.postgres import Pool
from tests.harness.owner import as_owner

ROWS = 40
LIMIT = 1.5

SLOW = """
    CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(0.1);
        RETURN NEW;
    END $$;
    CREATE TRIGGER be_slow BEFORE {} FOR EACH ROW {} EXECUTE FUNCTION be_slow();
"""


async def slow_down(pool: Pool, what: str, when: str = "") -> None:
    """Let each row of a change cost a tenth of a second."""
    await as_owner(pool, SLOW.format(what, f"WHEN ({when})" if when else ""))


def told(caplog: pytest.LogCaptureFixture, message: str, *names: str) -> list[tuple[Any, ...]]:
    """What the log's lines of this message say beside it."""
    found = [record for record in caplog.records if record.getMessage() == message]
    return [tuple(getattr(record, name) for name in names) for record in found]


def losses(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "service.peer_timeouts"]
