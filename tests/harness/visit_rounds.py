"""Household rounds, and what is written down in them, over the API and past it."""

import itertools
import uuid
from typing import Any
from uuid import UUID

from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from service.storage.postgres import Connection, transaction
from tests.integration.api.conftest import Answer, Api

OPERATOR = ("county", "operator")
TOWN, VILLAGE, OTHER = "341825100000", "341825100001", "341825100002"
HEAD = "村编码,户号,结果,人数"
_numbers = itertools.count(1)


async def begin_round(
    api: Api, area: str = VILLAGE, who: tuple[str, str] = OPERATOR, **more: Any
) -> str:
    """A round through the households of an area; returns its id."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    body = {"name": "入户", "area": area, "due_on": "2027-01-31", **more}
    made = await api.post("/visit-rounds", who, body)
    assert made.status == 201, made.body
    found: str = made.json["id"]
    return found


async def went(
    api: Api,
    round_id: str,
    household: str,
    result: str,
    who: tuple[str, str] = OPERATOR,
    **more: Any,
) -> Answer:
    """Write down what came of going to a household."""
    told = {"spoken_to": 1} if result == "told" else {}
    body = {
        "key": str(uuid.uuid4()),
        "area": VILLAGE,
        "household": household,
        "result": result,
        **told,
        **more,
    }
    return await api.post(f"/visit-rounds/{round_id}/visits", who, body)


async def send_households(
    api: Api, round_id: str, content: bytes, *, language: str = "en", **fields: str
) -> Answer:
    """Send a file of households."""
    form = FormData(quote_fields=False)
    form.add_field("file", content, filename="登记.csv", content_type="text/csv")
    for name, value in fields.items():
        form.add_field(name, value)
    path = f"/visit-rounds/{round_id}/visits/imports"
    spoken = {"Accept-Language": language}
    return await api.call("POST", path, OPERATOR, data=form, headers=spoken)


async def progress(
    api: Api, round_id: str, level: str = "village", who: tuple[str, str] = OPERATOR
) -> Any:
    """How far a round is; in each row the visited are the sum of what came of it."""
    answer = await api.get(f"/visit-rounds/{round_id}/progress?level={level}", who)
    assert answer.status == 200, answer.body
    found = answer.json
    for row in (*found["areas"], found["total"]):
        kinds = ("told", "not_home", "refused", "moved", "excused")
        assert row["visited"] == sum(row[kind] for kind in kinds)
    for name in ("visited", "told", "not_home", "spoken_to", "signed", "villages"):
        assert found["total"][name] == sum(row[name] for row in found["areas"])
    return found


async def say_households(api: Api, households: dict[str, int]) -> None:
    """Say how many households there are in areas."""
    entries = [
        {"area": area, "kind": "households", "people": n, "source": "s", "as_of": "2027-01-01"}
        for area, n in households.items()
    ]
    answer = await api.call("PUT", "/denominators", OPERATOR, json={"items": entries})
    assert answer.status == 200, answer.body


async def add_round(api: Api, team: str = "county", state: str = "told") -> tuple[UUID, UUID]:
    """A round in `VILLAGE` with one household, to which the viewer went; returns both ids."""
    started, viewer = api.teams[team].operator, api.teams[team].viewer
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        made: UUID = await conn.fetchval(
            "INSERT INTO visit_rounds (department_id, name, area_code, starts_on, due_on,"
            " with_towns, started_by, started_at) VALUES ($1, '入户', $2, $3, $4, false, $5, $6)"
            " RETURNING id",
            api.teams[team].department_id,
            VILLAGE,
            api.clock.at.date(),
            api.clock.at.date().replace(month=2),
            started.id,
            api.clock.at,
        )
        await conn.execute(
            "INSERT INTO visit_round_villages (round_id, village) VALUES ($1, $2)", made, VILLAGE
        )
        return made, await add_household(api, conn, made, state, viewer.id)


async def add_household(
    api: Api, conn: Connection, round_id: UUID, state: str, by: UUID, label: str = "三组12号"
) -> UUID:
    """A household to which somebody went once."""
    keyring, told = api.runtime.keyring, int(state == "told")
    made: UUID = await conn.fetchval(
        "INSERT INTO households (round_id, village, label_hash, label_cipher, state, not_home,"
        " spoken_to) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        round_id,
        VILLAGE,
        keyring.index("test", f"{label}{next(_numbers)}"),
        keyring.encrypt("household", label),
        state,
        int(state == "open"),
        told,
    )
    await conn.execute(
        "INSERT INTO household_tries (household_id, no, key, result, spoken_to, on_day, by_id,"
        " written_by, at, disputed) VALUES ($1, 1, $1, $2, $3, $4, $5, $5, $6, false)",
        made,
        "not_home" if state == "open" else state,
        told,
        api.clock.at.date(),
        by,
        api.clock.at,
    )
    return made


async def prepare_rounds(api: Api) -> dict[str, list[dict[str, str]]]:
    """What each operation on rounds needs."""
    found: dict[str, list[dict[str, str]]] = {}
    acts = ("sign_off_round", "cancel_round", "write_household", "import_households")
    for act in acts:
        for _ in range(3):
            made, _household = await add_round(api)
            found.setdefault(f"round_id of {act}", []).append({"round_id": str(made)})
    made, household = await add_round(api)
    found["round_id"] = [{"round_id": str(made)}]
    found["household_id"] = [{"household_id": str(household)}]
    return found
