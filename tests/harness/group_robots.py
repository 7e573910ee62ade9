"""Robots of work groups, for tests that go through all addresses."""

from uuid import UUID

from service.storage.postgres import transaction
from tests.integration.api.conftest import Api


async def add_robot(api: Api, team: str = "county") -> UUID:
    """A robot that the operator of a department has set up; returns its id."""
    whose = api.teams[team]
    address = api.runtime.keyring.encrypt("robot_address", "https://a.cn/webhook/send?key=a")
    async with transaction(api.runtime.pool) as conn:
        robot: UUID = await conn.fetchval(
            """
            INSERT INTO group_robots (department_id, kind, name, address_cipher, language, kinds,
                                      made_by, made_at)
            VALUES ($1, 'wecom', '群', $4, 'zh', '{approval}', $2, $3) RETURNING id
            """,
            whose.department_id,
            whose.operator.id,
            api.clock.at,
            address,
        )
    return robot


async def prepare_robots(api: Api) -> dict[str, list[dict[str, str]]]:
    """What each operation on a robot needs."""
    return {
        f"robot_id of {name}": [{"robot_id": str(await add_robot(api))} for _ in range(3)]
        for name in ("set_robot_kinds", "test_robot", "delete_robot")
    }
