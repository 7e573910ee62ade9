"""Lists with posts on them, imported as a department's own system does it."""

from typing import Any
from uuid import UUID

from service.relays.posts import post_store
from service.relays.posts.post import Post
from service.relays.posts.post_store import NewHolder
from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.chats import add_person
from tests.integration.api.conftest import Answer, Api

OPERATOR = ("county", "operator")
ROSTER = "各单位联络员"
UNIT = "旌德县财政局"
POST = {"role": "liaison", "unit": UNIT}


def member(number: int, name: str, unit: str = UNIT, **said: Any) -> dict[str, Any]:
    """Somebody on a list: the liaison of a unit."""
    return {"phone": phone(number), "name": name, "org": unit, "roles": ["liaison"], **said}


async def import_list(
    api: Api, *members: dict[str, Any], roster: str = ROSTER, who: tuple[str, str] = OPERATOR
) -> str:
    """A whole new list; its import."""
    body = {"members": list(members)}
    answer = await api.call("PUT", f"/rosters/{roster}/members", who, json=body)
    assert answer.status == 200, answer.body
    made: str = answer.json["import_id"]
    return made


async def add_post(api: Api, team: str = "county") -> UUID:
    """A post that was handed over once, of a department's list."""
    whose = api.teams[team]
    async with transaction(api.runtime.pool) as conn:
        old, new = [
            await add_person(api, conn, whose.department_id, role="liaison", org=UNIT)
            for _ in range(2)
        ]
        post = Post(
            None, whose.department_id, ROSTER, "liaison", UNIT, UNIT, (UNIT,), None, None,
            stands=False, anew=False, listed=(),
        )  # fmt: skip
        made = await post_store.lock_post(conn, post)
        for contact in (old, new):
            at = api.clock.at
            holder = NewHolder(contact, at, at.date(), "轮岗", "", (), whose.operator.id)
            await post_store.append_holder(conn, made, holder)
    return made


async def prepare_posts(api: Api, bodies: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What each operation on posts needs."""
    await import_list(api, member(4_501, "王小明"), member(4_502, "李小红", "旌德县民政局"))
    handed = await give(api, 4_502)
    assert handed.status == 200, handed.body
    other = await contact_of(api, 4_501)
    bodies["hand_over_post"] = {**POST, "contact_id": other, "reason": "r"}
    name, post = ROSTER, handed.json["id"]
    return {
        "name of list_posts": [{"name": name}],
        "name of hand_over_post": [{"name": name}],
        "contact_id of hand_over_post": [{"contact_id": other}],
        "post_id of list_post_history": [{"name": name, "post_id": post}],
        "no of take_post_form": [{"name": name, "post_id": post, "no": "2"}],
    }


async def contact_of(api: Api, number: int) -> str:
    """The id of whoever has this number."""
    digest = api.runtime.keyring.phone_index(phone(number))
    found = await api.runtime.pool.fetchval("SELECT id FROM contacts WHERE phone_hash = $1", digest)
    return str(found)


async def give(api: Api, number: int, roster: str = ROSTER, **more: Any) -> Answer:
    """Hand the post of the unit's liaison over to whoever has this number."""
    body = {**POST, "phone": phone(number), "reason": "轮岗", **more}
    return await api.post(f"/rosters/{roster}/hand-over", OPERATOR, body)
