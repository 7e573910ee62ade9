"""A plan that fires every day, the scheduler's look at it, and what waits for a person."""

from datetime import datetime, timedelta
from typing import Any

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.plans.missed import record_missed
from service.campaigns.runs.firing import fire_due
from service.storage.postgres import transaction
from tests.factories import make_scheduled
from tests.integration.api.conftest import Api

SCHOOL = ("school", "operator")
HOUR = timedelta(hours=1)


async def daily_campaign(api: Api, department: str = "school", **more: Any) -> str:
    """An approved campaign whose first fire is in an hour."""
    schedule = Schedule("recurring", api.clock.at + HOUR, rrule="FREQ=DAILY", **more)
    async with transaction(api.runtime.pool) as conn:
        team = api.teams[department]
        return str((await make_scheduled(conn, team, now=api.clock.at, schedule=schedule)).id)


async def work_of(api: Api, who: tuple[str, str] | str = SCHOOL) -> dict[str, Any]:
    """What waits for somebody, by its kind."""
    answer = await api.get("/work", who)
    assert answer.status == 200, answer.body
    return {kind["kind"]: kind for kind in answer.json["items"]}


async def tick(api: Api, at: datetime) -> None:
    """Let the scheduler look at this instant."""
    api.clock.at = at
    await fire_due(api.runtime.pool, at)
    await record_missed(api.runtime.pool, at)
