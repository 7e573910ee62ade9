"""Into whose areas a relay may be begun: the own ones, those below, and from the county all."""

from typing import Any
from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.storage.postgres import transaction
from tests.factories import make_team
from tests.harness.chats import OTHER_VILLAGE, TOWN, VILLAGE
from tests.harness.relayed import DUE
from tests.integration.api.conftest import Api

SCHOOL, COUNTY = ("school", "operator"), ("county", "operator")
COUNTY_CODE, OTHER_TOWN = "341825000000", "341825101000"
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def other(api: Api) -> UUID:
    """Another department, whose area is a town."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        team = await make_team(conn, now=api.clock.at)
        await conn.execute(
            "UPDATE departments SET area_code = $2, name = '旌阳镇' WHERE id = $1",
            team.department_id,
            TOWN,
        )
    return team.department_id


async def place(api: Api, area: str | None, above: UUID | None = None) -> None:
    """The school's own area."""
    await api.runtime.pool.execute(
        "UPDATE departments SET area_code = $2 WHERE id = $1",
        api.teams["school"].department_id,
        area,
    )
    if above is not None:
        await api.runtime.pool.execute(
            "UPDATE departments SET parent_id = $2 WHERE id = $1",
            above,
            api.teams["school"].department_id,
        )


async def begin(api: Api, area: str | None, who: tuple[str, str] = SCHOOL) -> Any:
    """What is wrong first: the area, or the text, which there is none of."""
    body = {
        "template_id": NOBODY,
        "version": 1,
        "week": "2027-W02",
        "due_at": DUE.isoformat(),
        "area": area,
    }
    answer = await api.post("/relays", who, body)
    assert answer.status in {403, 422}, answer.body
    return list(answer.json["fields"]) if answer.status == 422 else answer.json["detail"]


@pytest.mark.parametrize("area", [TOWN, VILLAGE, COUNTY_CODE])
async def test_areas_of_another_department_are_refused(api: Api, other: UUID, area: str) -> None:
    assert "旌阳镇" in await begin(api, area)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM relays") == 0


async def test_the_own_groups_areas_of_nobody_and_own_areas_are_taken(
    api: Api, other: UUID
) -> None:
    assert await begin(api, None) == ["template_id"]
    assert await begin(api, OTHER_TOWN) == ["template_id"], "no department has it for its area"
    await place(api, VILLAGE)
    assert await begin(api, VILLAGE) == ["template_id"], "it lies in the town's, and is the own"
    assert "旌阳镇" in await begin(api, OTHER_VILLAGE)
    assert "旌阳镇" in await begin(api, TOWN)
    assert await begin(api, "999999999999") == ["area"]


async def test_whoever_is_above_and_the_county_begin_it_everywhere(api: Api, other: UUID) -> None:
    assert await begin(api, TOWN, COUNTY) == ["template_id"]
    await place(api, None, above=other)
    for area in (TOWN, VILLAGE):
        assert await begin(api, area) == ["template_id"]
    await place(api, None)
    await api.runtime.pool.execute("UPDATE departments SET parent_id = NULL WHERE id = $1", other)
    assert "旌阳镇" in await begin(api, VILLAGE)
