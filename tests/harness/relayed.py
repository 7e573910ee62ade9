"""A station with staff in two villages and five groups, its relay, and what people answer."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.audience.areas.area_store import load_areas
from service.channels.contract.gateway import Inbound
from service.clock import CHINA
from service.delivery.inbound.inbound import read_inbound
from service.delivery.receipts import store
from service.relays.passing import pass_on
from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.chats import OTHER_VILLAGE, VILLAGE, add_group, add_person, approved_text
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Answer, Api

OPERATOR, VIEWER = ("county", "operator"), ("county", "viewer")
DUE = datetime(2027, 1, 17, 20, tzinfo=CHINA)
"""The Sunday of the week in which tests begin."""
NUMBERS = {name: 8_000 + at for at, name in enumerate(("a", "b", "g1", "g2", "g3", "g4", "g5"))}
AREAS = {"a": VILLAGE, "b": OTHER_VILLAGE} | {
    f"g{n}": VILLAGE if n <= 3 else OTHER_VILLAGE for n in range(1, 6)
}


@dataclass
class Station:
    """The people of the tree by name, an approved text, and the relay that was begun."""

    template: str = ""
    relay: str = ""
    people: dict[str, UUID] = field(default_factory=dict)
    groups: dict[str, UUID] = field(default_factory=dict)


async def build(api: Api) -> Station:
    """a and b of two villages; g1 to g3 below a, g4 and g5 below b; a channel to them."""
    made = Station(await approved_text(api))
    department = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at, tps=100)
        for name, number in NUMBERS.items():
            role = "group_owner" if name.startswith("g") else "village_staff"
            made.people[name] = await add_person(
                api, conn, department, number=number, role=role, area=AREAS[name]
            )
    for name in NUMBERS:
        if name.startswith("g"):
            made.groups[name] = await add_group(
                api, name=f"{name}群", owner=made.people[name], area=AREAS[name]
            )
    return made


async def begin(api: Api, station: Station, **more: Any) -> Answer:
    """Begin the relay of this week."""
    body = {
        "template_id": station.template,
        "version": 1,
        "week": "2027-W02",
        "due_at": DUE.isoformat(),
        **more,
    }
    return await api.post("/relays", OPERATOR, body)


async def begun(api: Api) -> Station:
    """A station whose relay was begun, and whose first level has its text."""
    made = await build(api)
    answer = await begin(api, made)
    assert answer.status == 201, answer.body
    made.relay = answer.json["id"]
    await turn(api)
    return made


async def turn(api: Api, later: timedelta = timedelta()) -> set[int]:
    """What the scheduler does each minute, so much later."""
    api.clock.at += later + timedelta(minutes=1)
    return await pass_on(api.runtime.pool, api.runtime.keyring, api.clock)


async def hand_off(api: Api, state: str = "delivered", *names: str) -> None:
    """The queued texts, or those of these people, are handed off now and end in a state."""
    keyring = api.runtime.keyring
    hashes = [keyring.phone_index(phone(NUMBERS[name])) for name in names or NUMBERS]
    await api.runtime.pool.execute(
        "UPDATE messages SET state = $1::message_state, reason = CASE WHEN $1 = 'undelivered' THEN"
        " 'empty_number' ELSE reason END, marked_at = $2, submitted_at = $2, part_count = 1"
        " WHERE state = 'queued' AND phone_hash = ANY ($3)",
        state,
        api.clock.at,
        hashes,
    )


async def answer(api: Api, name: str, text: str) -> None:
    """Somebody writes back, and it is read."""
    runtime = api.runtime
    api.clock.at += timedelta(seconds=10)
    item = Inbound(phone(NUMBERS[name]), "10657001", text)
    async with transaction(runtime.pool) as conn:
        await store.insert_inbound(conn, runtime.keyring, [(1, item)], api.clock.at)
    await read_inbound(runtime.pool, runtime.keyring, api.clock.at)


async def shown(api: Api, station: Station) -> Any:
    """The relay; its levels and areas add up to its places."""
    answered = await api.get(f"/relays/{station.relay}", VIEWER)
    assert answered.status == 200, answered.body
    found = answered.json
    states = ("waiting", "sent", "done", "unreachable", "silent")
    for row in (*found["by_level"], *found["by_area"]):
        assert row["all"] == sum(row[state] for state in states)
    for level in found["by_level"]:
        areas = [row for row in found["by_area"] if row["level"] == level["level"]]
        assert sum(row["all"] for row in areas) == level["all"]
    return found


async def nodes(api: Api, station: Station) -> dict[str, Any]:
    """The places of the tree by the names of their people."""
    answered = await api.get(f"/relays/{station.relay}/nodes?limit=100", VIEWER)
    assert answered.status == 200, answered.body
    named = {str(one): name for name, one in station.people.items()}
    rows = await api.runtime.pool.fetch(
        "SELECT no, contact_id FROM relay_nodes WHERE relay_id = $1::text::uuid", station.relay
    )
    names = {row["no"]: named.get(str(row["contact_id"]), "?") for row in rows}
    return {names[one["no"]]: one for one in answered.json["items"]}


async def states(api: Api, station: Station) -> dict[str, str]:
    """Where everybody in the tree stands."""
    return {name: one["state"] for name, one in (await nodes(api, station)).items()}


async def texts_of(api: Api) -> dict[str, int]:
    """How many texts of relays each number has in the ledger."""
    rows = await api.runtime.pool.fetch(
        "SELECT m.phone_hash, count(*)::int AS texts FROM messages m JOIN relay_runs x"
        " ON x.run_id = m.run_id GROUP BY 1"
    )
    index = api.runtime.keyring.phone_index
    names = {index(phone(number)): name for name, number in NUMBERS.items()}
    return {names[row["phone_hash"]]: row["texts"] for row in rows if row["phone_hash"] in names}


_KEPT = """
INSERT INTO relays (department_id, template_version_id, week, levels, due_at, groups, state,
                    started_by, started_at, ended_at)
SELECT $1, v.id, $2, '{group_owner}', $3::timestamptz, $4, $5, u.id,
       $3::timestamptz - interval '5 days', CASE WHEN $5 <> 'going' THEN $3::timestamptz END
FROM (SELECT id FROM template_versions LIMIT 1) v, (SELECT id FROM users LIMIT 1) u
RETURNING id
"""
_PLACES = """
INSERT INTO relay_nodes (relay_id, no, level, group_id, contact_id, state, done_at, via)
SELECT $1, n, 1, (SELECT id FROM groups LIMIT 1), uuidv7(),
       CASE WHEN n <= $2::integer + $3::integer THEN 'done' ELSE 'sent' END,
       CASE WHEN n <= $2 THEN $5::timestamptz
            WHEN n <= $2::integer + $3::integer THEN $5::timestamptz + interval '1 second' END,
       CASE WHEN n <= $2::integer + $3::integer THEN 'sms' END
FROM generate_series(1, $4::integer) n
"""


async def add_relay(
    api: Api,
    team: str,
    week: str,
    due_at: datetime,
    groups: int,
    confirmed: int,
    late: int = 0,
    state: str = "over",
) -> UUID:
    """A relay of a department as it came to stand: of its groups so many confirmed by `due_at`
    to the second, and so many a second later. There are a text and a group already.
    """
    made: UUID = await api.runtime.pool.fetchval(
        _KEPT, api.teams[team].department_id, week, due_at, groups, state
    )
    await api.runtime.pool.execute(_PLACES, made, confirmed, late, groups, due_at)
    return made
