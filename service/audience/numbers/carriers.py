"""The carriers of people already known, judged anew once a table of number blocks says better."""

from collections.abc import Callable
from uuid import UUID

from service.audience.numbers import prefix_store as store
from service.crypto import Keyring
from service.storage.postgres import Connection

BATCH = 2_000


async def judge_anew(
    conn: Connection, keyring: Keyring, told: Callable[[int], None] = lambda _: None
) -> int:
    """Give everybody the carrier that the digits of the number say now; returns how many have
    another one than before.

    Left alone is whoever's carrier a list names or a person has entered. It goes in batches, a
    transaction each, and may be broken off and begun again at any time. Needs a connection outside
    a transaction.
    """
    prefixes = await store.current_prefixes(conn)
    changed, judged, after = 0, 0, UUID(int=0)
    while True:
        async with conn.transaction():
            people = await store.lock_judged(conn, after, BATCH)
            if not people:
                return changed
            others = {
                person["id"]: carrier
                for person in people
                if (
                    carrier := prefixes.carrier_of(keyring.decrypt("phone", person["phone_cipher"]))
                )
                != person["carrier"]
            }
            changed += await store.set_carriers(conn, others)
        after, judged = people[-1]["id"], judged + len(people)
        told(judged)
