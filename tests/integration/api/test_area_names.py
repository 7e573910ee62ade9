"""Wherever the code of an area is answered, its name stands beside it."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from service.api.routes import OPS
from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.factories import make_contact
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

ADMIN, OPERATOR = ("county", "admin"), ("county", "operator")
TOWN, VILLAGE = "341825100000", "341825100001"
NAMES = {TOWN: "旌阳镇", VILLAGE: "旌阳镇 南门居委会"}


def _models(hint: Any, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The models of which an answer is made."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        if hint not in seen:
            seen.add(hint)
            yield hint
            for field in hint.model_fields.values():
                yield from _models(field.annotation, seen)
        return
    for part in get_args(hint):
        yield from _models(part, seen)


def test_every_answer_with_the_code_of_an_area_has_its_name() -> None:
    seen: set[type[BaseModel]] = set()
    lacking = []
    for op in OPS:
        for model in _models(op.out, seen):
            fields = model.model_fields
            if "area_code" in fields and "area_name" not in fields:
                lacking.append(f"{model.__name__}.area_code")
            if "area_codes" in fields and "area_names" not in fields:
                lacking.append(f"{model.__name__}.area_codes")
            if "by_area" in fields and "area_names" not in fields:
                groups = _models(fields["by_area"].annotation, set())
                if not any("area_name" in group.model_fields for group in groups):
                    lacking.append(f"{model.__name__}.by_area")
    assert len(seen) > 100
    assert lacking == []


async def test_the_name_of_a_village_stands_after_that_of_its_town(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        keyring, holder, now = api.runtime.keyring, api.teams["county"].department_id, api.clock.at
        await make_contact(conn, keyring, holder, 1, now=now, area_code=VILLAGE)
        await make_contact(conn, keyring, holder, 2, now=now, area_code=TOWN)
        await make_contact(conn, keyring, holder, 3, now=now)
    people = (await api.get("/contacts", OPERATOR)).json["items"]
    named = {one["area_code"]: one["area_name"] for one in people}
    assert named.pop(None) is None
    assert named == NAMES
    one = (await api.get(f"/contacts/{people[-1]['id']}", OPERATOR)).json
    assert one["area_name"] == NAMES[VILLAGE]

    body = {"name": "旌阳镇政府", "kind": "town", "area_code": TOWN}
    made = await api.post("/departments", ADMIN, body)
    assert (made.status, made.json.get("area_name")) == (201, NAMES[TOWN]), made.body
    listed = (await api.get("/departments", ADMIN)).json["items"]
    assert {one["area_code"]: one["area_name"] for one in listed} == {TOWN: "旌阳镇", None: None}

    grant = {"user_id": str(api.teams["county"].operator.id), "name": "k"}
    key = await api.post(
        "/keys", ADMIN, grant | {"area_codes": [VILLAGE, TOWN], "scopes": ["reports"]}
    )
    assert key.status == 201, key.body
    assert key.json["area_names"] == [NAMES[VILLAGE], NAMES[TOWN]]


async def test_the_towns_of_an_import_have_names(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    file = "手机号,乡镇\n19790000001,旌阳镇\n19790000002,不知道\n".encode()
    taken = await api.post("/imports", OPERATOR, data=upload(file))
    assert taken.status == 202, taken.body
    reading = await api.get(f"/imports/{taken.json['id']}", OPERATOR)
    assert reading.json["area_names"] == {}
    async with transaction(api.runtime.pool) as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    done = (await api.get(f"/imports/{taken.json['id']}", OPERATOR)).json
    assert done["report"]["recipients"]["by_town"] == {TOWN: 1, "none": 1}
    assert done["area_names"] == {TOWN: "旌阳镇"}
