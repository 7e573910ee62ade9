"""Campaigns of the county in the console: what a planner types, and what it has become."""

from typing import Any

import pytest

from service.storage.postgres import transaction
from tests.factories import make_contact, make_segment, make_template
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
PEOPLE = 3
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def county(api: Api) -> dict[str, str]:
    """Three people whom a group means, and a text for them."""
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, now)
        for n in range(PEOPLE):
            await make_contact(conn, api.runtime.keyring, team.department_id, n, now=now)
        segment = await make_segment(conn, team.operator, now=now)
        template = await make_template(conn, team.operator, now=now)
    return {"segment_id": str(segment.id), "template_id": str(template.id)}


def typed(county: dict[str, str], api: Api, **more: Any) -> dict[str, Any]:
    """A plan for tomorrow as somebody types it."""
    day = api.clock.at.astimezone(api.runtime.settings.zone).date()
    tomorrow = day.replace(day=day.day + 1) if day.day < 28 else day.replace(month=day.month + 1)
    return {
        "name": "每周反诈", **county, "when": "once", "schedule.start_at": tomorrow.isoformat(),
        "time": "10:00", "act": "save", **more,
    }  # fmt: skip


async def planned(browser: Browser, fields: dict[str, Any]) -> Seen:
    """What comes of the planner filled in so."""
    return await browser.submit(await browser.get("/plans/new"), "/plans/new", fields)


async def drafted(api: Api, county: dict[str, str], **more: Any) -> tuple[Browser, str]:
    """A draft that was planned in the console: its planner's browser, and its address."""
    browser = await browser_of(api, "operator")
    seen = await planned(browser, typed(county, api, **more))
    assert seen.status == 200, seen.text
    return browser, seen.path.removesuffix("/edit")


async def stored(api: Api, address: str) -> dict[str, Any]:
    """The campaign of a page, as the API has it."""
    found: dict[str, Any] = (
        await api.get("/campaigns/" + address.rpartition("/")[2], OPERATOR)
    ).json
    return found
