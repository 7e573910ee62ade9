"""The roles that the plans name: read from lists, asked for in rules, held by whom they may be."""

from typing import Any

from service.audience.imports.loading import run_import
from service.audience.vocabulary.roles import KNOWN_ROLES, may_hold
from service.storage.postgres import transaction
from tests.harness.case_api import hire
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")


def _list() -> bytes:
    """A list with a person of each role, called as people call them, one under each header word."""
    titles = [role.title for role in KNOWN_ROLES]
    rows = [f"张三,1979{n:07},{title}" for n, title in enumerate(titles, 1)]
    return "\n".join(["姓名,手机号,人员类别", *rows]).encode()


async def test_a_list_with_every_role_is_read_and_each_is_found_by_a_rule(api: Api) -> None:
    report = await _taken(api, OPERATOR)
    assert report["warnings"] == {}
    assert report["recipients"]["by_role"] == {role.key: 1 for role in KNOWN_ROLES}
    for role in KNOWN_ROLES:
        answer = await api.post("/segments/preview", OPERATOR, {"rule": f"身份 = {role.title}"})
        assert (answer.status, answer.json["target"]) == (200, 1), role.key


async def test_a_school_keeps_no_role_that_is_not_for_schools(api: Api) -> None:
    report = await _taken(api, ("school", "operator"))
    held = {role.key for role in KNOWN_ROLES if may_hold("school", role.key)}
    assert report["warnings"] == {"role_refused": len(KNOWN_ROLES) - len(held)}
    by_role = report["recipients"]["by_role"]
    assert by_role.pop("none") == len(KNOWN_ROLES) - len(held), "the people stay, without the role"
    assert by_role.keys() == held


async def test_the_police_hold_whom_they_supervise_and_a_single_person_too(api: Api) -> None:
    police = await hire(api, "police")
    person = {"phone": "19790000001", "name": "张三", "roles": ["managed_person"], "roster": "重点"}
    for who, roles in ((police, ["managed_person"]), (("school", "operator"), [])):
        made = await api.post("/contacts", who, person)
        assert made.status == 201, made.body
        assert made.json["roles"] == roles


async def _taken(api: Api, who: tuple[str, str]) -> dict[str, Any]:
    taken = await api.post("/imports", who, data=upload(_list(), roster="各类人员"))
    assert taken.status == 202, taken.body
    async with transaction(api.runtime.pool) as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)
    report: dict[str, Any] = (await api.get(f"/imports/{taken.json['id']}", who)).json["report"]
    return report
