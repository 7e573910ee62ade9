"""People of whom a list says something, for texts that take their values of lists."""

from datetime import datetime, timedelta

from service.clock import day_in_china
from service.crypto import Keyring
from service.storage.postgres import Connection
from tests.harness.ledger import Scene, add_contacts, phone


async def list_people(
    conn: Connection, keyring: Keyring, scene: Scene, now: datetime, orgs: list[str | None]
) -> None:
    """People with a name each, on a list that says this of them; None: on no list."""
    await add_contacts(conn, keyring, scene, [phone(n) for n in range(len(orgs))], now)
    await conn.execute("UPDATE contacts SET name_cipher = $1", keyring.encrypt("name", "王建国"))
    roster = await conn.fetchval(
        "INSERT INTO rosters (department_id, name, basis, expires_on)"
        " VALUES ($1, '财务', 'duty', $2) RETURNING id",
        scene.department,
        day_in_china(now) + timedelta(days=30),
    )
    await conn.executemany(
        "INSERT INTO links (contact_id, roster_id, digest, roles, org)"
        " SELECT id, $1, 'x', '{finance}', $3 FROM contacts WHERE phone_hash = $2",
        [
            (roster, keyring.phone_index(phone(n)), org)
            for n, org in enumerate(orgs)
            if org is not None
        ],
    )
