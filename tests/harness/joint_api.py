"""A joint plan over HTTP: its county, and how it comes to be asked of three carriers."""

from datetime import timedelta
from typing import Any

from service.crypto import Keyring
from service.storage.postgres import Pool, transaction
from tests.factories import TEXT, make_token
from tests.harness.joint import CARRIERS, JointCounty, make_joint_county
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")


async def joint_county(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    """The county of `empty_county`, with three people in each base."""
    county = await empty_county(api, pool, keyring)
    for number, carrier in enumerate(CARRIERS):
        await county.give(carrier, range(number * 10, number * 10 + 3))
    return county


async def empty_county(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    """The county's office as the author, and nobody in the bases; tokens of each carrier's two
    people are in the API's.
    """
    now = api.clock.now()
    county = await make_joint_county(pool, keyring, now, api.teams["county"])
    async with transaction(pool) as conn:
        for carrier, side in county.sides.items():
            for role in ("operator", "approver"):
                token = await make_token(conn, keyring, getattr(side, role), now)
                api.tokens[carrier, role] = token
    return county


def plan(county: JointCounty, template: str, **more: Any) -> dict[str, Any]:
    start = (county.now + timedelta(hours=1)).isoformat()
    legs = [{"department_id": str(side.department_id)} for side in county.sides.values()]
    return {
        "name": "全县宣传",
        "template_id": template,
        "schedule": {"kind": "once", "start_at": start},
        "legs": legs,
        **more,
    }


async def a_template(api: Api, text: str = TEXT) -> str:
    body = {"name": f"安全账户 {text[9:20]}", "class": "public_interest", "text": text}
    made = await api.post("/templates", OPERATOR, body)
    assert made.status == 201, made.json
    return str(made.json["id"])


async def approved(
    api: Api, county: JointCounty, *, text: str = TEXT, **more: Any
) -> dict[str, Any]:
    made = await api.post("/campaigns", OPERATOR, plan(county, await a_template(api, text), **more))
    assert made.status == 201, made.json
    at = f"/campaigns/{made.json['id']}"
    assert (await api.post(f"{at}/submit", OPERATOR)).status == 200
    answer = await api.post(f"{at}/approve", APPROVER, {})
    assert answer.status == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


async def leg_of(api: Api, carrier: str) -> dict[str, Any]:
    (leg,) = (await api.get("/legs", (carrier, "operator"))).json["items"]
    found: dict[str, Any] = leg
    return found
