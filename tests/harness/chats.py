"""People on lists, and chat groups that are theirs, for tests of everything that reads them."""

import itertools
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from service.cases.week import week_of
from service.clock import day_in_china
from service.relays.groups import group_store
from service.relays.groups.group import NewGroup, UnitKind
from service.relays.groups.groups import REGISTERED
from service.storage.postgres import Connection, transaction
from tests.factories import make_template, phone
from tests.integration.api.conftest import Api

VILLAGE, OTHER_VILLAGE, TOWN = "341825100001", "341825100002", "341825100000"
TEXT = (
    "【旌德县反诈中心】{姓名}：本周反诈短文已下发，请今日转发到{群名}，转发后回复1；"
    "群内有人被骗请回复9。"
)
OWNERLESS = "【旌德县反诈中心】贵单位有群没有群主，请登录系统指定新群主。"
_numbers = itertools.count(5_000)


async def add_person(
    api: Api,
    conn: Connection,
    department_id: UUID,
    name: str = "王小明",
    *,
    number: int | None = None,
    role: str = "group_owner",
    area: str | None = None,
    until: date = date(2028, 12, 31),
    **said: str,
) -> UUID:
    """Somebody on a list of a department; said: what it says of college, grade and so on."""
    keyring, now = api.runtime.keyring, api.clock.at
    at = phone(next(_numbers) if number is None else number)
    roster = await conn.fetchval(
        "INSERT INTO rosters (department_id, name, basis, expires_on) VALUES ($1, $2, 'duty', $3)"
        " ON CONFLICT (department_id, name) DO UPDATE SET expires_on = $3 RETURNING id",
        department_id,
        f"名单至{until}",
        until,
    )
    contact: UUID = await conn.fetchval(
        "INSERT INTO contacts (department_id, phone_hash, phone_cipher, name_cipher, carrier,"
        " area_code, synthetic, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, 'china_mobile', $5, true, $6, $6) RETURNING id",
        department_id,
        keyring.phone_index(at),
        keyring.encrypt("phone", at),
        keyring.encrypt("name", name),
        area,
        now,
    )
    columns = {"college": "", "school": "", "org": "", "grade": "", "class": ""} | said
    await conn.execute(
        "INSERT INTO links (contact_id, roster_id, digest, roles, college, school, org, grade,"
        " class) VALUES ($1, $2, '\\x00', $3, $4, $5, $6, $7, $8)",
        contact,
        roster,
        [role],
        *columns.values(),
    )
    return contact


async def add_group(
    api: Api,
    team: str = "county",
    *,
    name: str | None = None,
    owner: UUID | None = None,
    area: str | None = None,
    unit: str = "",
) -> UUID:
    """A registered group of a department, with an owner of its own unless one is named."""
    whose = api.teams[team]
    async with transaction(api.runtime.pool) as conn:
        owner = owner or await add_person(api, conn, whose.department_id)
        new = NewGroup(name or f"群{next(_numbers)}", UnitKind.VILLAGERS, area, unit, 100)
        made = await group_store.insert_groups(
            conn,
            whose.department_id,
            [(new, owner)],
            REGISTERED,
            api.clock.at.date(),
            (whose.operator.id, api.clock.at),
        )
    return made[0]


async def drop_person(api: Api, contact: UUID) -> None:
    """Somebody is on no list any more, as after a newer file."""
    await api.runtime.pool.execute("UPDATE contacts SET listed = false WHERE id = $1", contact)


async def prepare_groups(api: Api, bodies: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What each operation on groups needs."""
    department = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        owner = await add_person(api, conn, department)
        other = await add_person(api, conn, department)
    bodies["register_group"] = {
        "name": "三组群",
        "unit_kind": "villagers",
        "owner_contact_id": str(owner),
    }
    bodies["hand_over_group"] = {"contact_id": str(other), "reason": "r"}
    bodies["choose_group_text"] = {"template_id": None}
    found = {"contact_id of hand_over_group": [{"contact_id": str(other)}]}
    for act in ("edit_group", "hand_over_group"):
        made = [await add_group(api) for _ in range(3)]
        found[f"group_id of {act}"] = [{"group_id": str(one)} for one in made]
    handed = await add_group(api)
    answer = await api.post(
        f"/groups/{handed}/hand-over",
        ("county", "operator"),
        {"contact_id": str(other), "reason": "r"},
    )
    assert answer.status == 200, answer.body
    found["no of take_hand_over_form"] = [{"group_id": str(handed), "no": "2"}]
    found["template_id of choose_group_text"] = [
        {"template_id": await approved_text(api, OWNERLESS)}
    ]
    return found


async def add_relay(api: Api, team: str = "county") -> UUID:
    """A relay of a department to the owner of one group, whose text waits for the next turn."""
    whose, now = api.teams[team], api.clock.at
    group = await add_group(api, team)
    async with transaction(api.runtime.pool) as conn:
        template = await make_template(conn, whose.operator, now=now)
        relay: UUID = await conn.fetchval(
            "INSERT INTO relays (department_id, template_version_id, week, levels, due_at, groups,"
            " started_by, started_at, look_at) VALUES ($1, $2, '2027-W02', '{group_owner}', $3, 1,"
            " $4, $5, $5) RETURNING id",
            whose.department_id,
            template.version_id,
            now + timedelta(days=5),
            whose.operator.id,
            now,
        )
        await conn.execute(
            "INSERT INTO relay_nodes (relay_id, no, level, group_id, contact_id)"
            " SELECT $1, 1, 1, group_id, contact_id FROM group_owners WHERE group_id = $2",
            relay,
            group,
        )
    return relay


async def prepare_relays(api: Api, bodies: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What each operation on relays needs."""
    template = await approved_text(api)
    bodies["start_relay"] = {
        "template_id": template,
        "version": 1,
        "week": str(week_of(day_in_china(api.clock.at))),
        "due_at": (api.clock.at + timedelta(days=5)).isoformat(),
    }
    bodies["preview_relay"] = bodies["start_relay"]
    found = {
        f"template_id of {act}": [{"template_id": template}]
        for act in ("start_relay", "preview_relay")
    }
    for act in ("set_node_done", "cancel_relay"):
        made = [await add_relay(api) for _ in range(3)]
        more = {"no": "1"} if act == "set_node_done" else {}
        last = "no" if more else "relay_id"
        found[f"{last} of {act}"] = [{"relay_id": str(one), **more} for one in made]
    return found


async def approved_text(api: Api, text: str = TEXT) -> str:
    """A service text of the county that a second person approved."""
    department = api.teams["county"].department_id
    named = {"signature": "旌德县反诈中心"}
    admin, operator, approver = (("county", role) for role in ("admin", "operator", "approver"))
    assert (await api.patch(f"/departments/{department}", admin, named)).status == 200
    number = await api.runtime.pool.fetchval("SELECT count(*) FROM templates")
    body = {"name": f"逐级推送{number}", "class": "service", "text": text}
    made = await api.post("/templates", operator, body)
    assert made.status == 201, made.body
    read = [one["rule"] for one in made.json["lint"] if one["level"] == "review"]
    approval = {"version": 1, "acknowledged": read}
    answer = await api.post(f"/templates/{made.json['id']}/approve", approver, approval)
    assert answer.status == 200, answer.body
    found: str = made.json["id"]
    return found
