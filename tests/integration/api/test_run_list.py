"""Runs over all campaigns and direct sends: whose, in which state, from when to when, in pages."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import transaction
from tests.factories import make_contact, make_scheduled
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

COUNTY, SCHOOL = ("county", "operator"), ("school", "operator")
HOUR = timedelta(hours=1)


async def _sent(api: Api, whose: str, people: int) -> str:
    """A run of a campaign of a department, whose ledger is written."""
    team, pool, now = api.teams[whose], api.runtime.pool, api.clock.at
    async with transaction(pool) as conn:
        for n in range(people):
            await make_contact(conn, api.runtime.keyring, team.department_id, n, now=now)
        await make_scheduled(conn, team, now=now)
    (run,) = await fire_due(pool, now)
    await expand_run(pool, run, now)
    return str(run)


async def _listed(api: Api, who: Any = COUNTY, query: str = "") -> list[Any]:
    answer = await api.get(f"/runs?{query}", who)
    assert answer.status == 200, answer.body
    items: list[Any] = answer.json["items"]
    return items


@pytest.fixture
async def runs(api: Api) -> tuple[str, str, str]:
    """One of the county, one of the school an hour later, one more of the county after that."""
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    first = await _sent(api, "county", 3)
    api.clock.at += HOUR
    second = await _sent(api, "school", 2)
    api.clock.at += HOUR
    return first, second, await _sent(api, "county", 0)


async def test_each_sees_the_runs_of_the_own_department_and_the_county_all(
    api: Api, runs: tuple[str, str, str]
) -> None:
    first, second, third = runs
    assert [run["id"] for run in await _listed(api, ("county", "admin"))] == [third, second, first]
    for query in ("", "state=open"):
        assert [run["id"] for run in await _listed(api, query=query)] == [third, first]
    (own,) = await _listed(api, SCHOOL)
    assert (own["id"], own["campaign"], own["handed_off"], own["target"]) == (
        second, "反诈宣传", 0, 2,
    )  # fmt: skip
    assert own["department"].startswith("部门")
    whole = await api.get(f"/runs/{second}", SCHOOL)
    assert {name: whole.json[name] for name in own if name in whole.json} == {
        name: own[name] for name in own if name in whole.json
    }


async def test_a_department_sees_the_counts_of_those_below_it(
    api: Api, runs: tuple[str, str, str]
) -> None:
    await api.runtime.pool.execute(
        "UPDATE departments SET parent_id = $1 WHERE id = $2",
        api.teams["county"].department_id,
        api.teams["school"].department_id,
    )
    assert [run["id"] for run in await _listed(api)] == [*reversed(runs)]


async def test_runs_are_listed_by_state_and_span(api: Api, runs: tuple[str, str, str]) -> None:
    first, second, third = runs
    admin = ("county", "admin")
    await api.runtime.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", UUID(first))
    await api.runtime.pool.execute("UPDATE slices SET done_at = now() WHERE run_id = $1",
                                   UUID(first))  # fmt: skip
    for query, expected in {
        "state=open": [third, second],
        "state=running": [third, second],
        "state=sent": [first],
        "state=paused": [],
        _span(since=api.clock.at - HOUR): [third, second],
        _span(before=api.clock.at): [second, first],
        _span(since=api.clock.at - HOUR, before=api.clock.at): [second],
        _span(since=api.clock.at - HOUR, before=api.clock.at) + "&state=open": [second],
    }.items():
        assert [run["id"] for run in await _listed(api, admin, query)] == expected, query
    (done,) = await _listed(api, admin, "state=sent")
    assert done["handed_off"] == done["target"] == 3


def _span(**ends: datetime) -> str:
    return "&".join(f"{name}={quote(at.isoformat())}" for name, at in ends.items())


@pytest.mark.parametrize("state", ["", "state=open"])
async def test_pages_go_on_where_the_last_one_ended(
    api: Api, runs: tuple[str, str, str], state: str
) -> None:
    seen, cursor = [], ""
    for _ in runs:
        page = (await api.get(f"/runs?limit=1&{state}{cursor}", ("county", "admin"))).json
        seen += [run["id"] for run in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, page["next_cursor"]) == ([*reversed(runs)], None)


async def test_replies_are_in_no_list(api: Api, runs: tuple[str, str, str]) -> None:
    await api.runtime.pool.execute(
        "UPDATE runs SET kind = 'reply', campaign_id = NULL, rule = NULL WHERE id = $1",
        UUID(runs[0]),
    )
    for query in ("", "state=open"):
        assert runs[0] not in {run["id"] for run in await _listed(api, query=query)}
