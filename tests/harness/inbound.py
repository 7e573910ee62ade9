"""A run of the school whose people write back, over the API's database."""

from dataclasses import dataclass
from datetime import timedelta

from service.accounts.people.model import Role
from service.channels.contract.gateway import Inbound
from service.delivery.inbound.inbound import read_inbound
from service.delivery.receipts import store
from service.storage.postgres import transaction
from tests.factories import make_contact, make_draft, make_token, make_user, phone
from tests.integration.api.conftest import Api

POLICE = ("police", "operator")
HOUR = timedelta(hours=1)


@dataclass
class Sent:
    """A campaign of the school whose one run went to four people."""

    campaign: str
    run: str


async def send_to_four(api: Api) -> Sent:
    """A run of the school to people 0 to 3 on channel 1; the county has police."""
    runtime, now = api.runtime, api.clock.at
    async with transaction(runtime.pool) as conn:
        team = api.teams["school"]
        await _add_police(api)
        draft = await make_draft(conn, team.operator, now=now)
        run = await conn.fetchval(
            """
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, send_hours, timezone, created_at)
            VALUES ($1, $2, $3, 'sent', 'normal', 'public_interest', '', '', '[]', '', $3)
            RETURNING id
            """,
            draft.id,
            team.department_id,
            now,
        )
        for n in range(4):
            await make_contact(conn, runtime.keyring, team.department_id, n, now=now)
        await conn.execute(
            """
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles,
                                  state, marked_at)
            SELECT $1, row_number() OVER (), phone_hash, phone_cipher, 1, carrier, '{}',
                   'delivered', $2
            FROM contacts WHERE department_id = $3
            """,
            run,
            now,
            team.department_id,
        )
    return Sent(str(draft.id), str(run))


async def _add_police(api: Api) -> None:
    runtime, now = api.runtime, api.clock.at
    async with transaction(runtime.pool) as conn:
        user = await make_user(conn, Role.OPERATOR, now=now, kind="police")
        api.tokens[POLICE] = await make_token(conn, runtime.keyring, user, now)


async def write(api: Api, *texts: tuple[int, str], channel: int = 1) -> None:
    """People write, an hour apart, and it is read."""
    runtime = api.runtime
    for person, text in texts:
        api.clock.at += HOUR
        item = Inbound(phone(person), "10657001", text)
        async with transaction(runtime.pool) as conn:
            await store.insert_inbound(conn, runtime.keyring, [(channel, item)], api.clock.at)
    await read_inbound(runtime.pool, runtime.keyring, api.clock.at)
