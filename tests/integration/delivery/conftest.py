"""What tests of receipts begin with."""

from datetime import datetime

import pytest

from service.crypto import Keyring
from service.storage.postgres import Pool
from tests.harness.ledger import add_channel, add_contacts, make_scene, phone
from tests.harness.receipts import HandedOff, SetUp, begin


@pytest.fixture
def stage(pool: Pool, keyring: Keyring, now: datetime) -> SetUp:
    """Hands off the texts of a run to as many people as the test says."""

    async def set_up(people: int = 3) -> HandedOff:
        async with pool.acquire() as conn:
            scene = await make_scene(conn, now)
            await add_contacts(conn, keyring, scene, [phone(n) for n in range(people)], now)
            channel = await add_channel(conn, keyring, 1, now)
        return await begin(pool, keyring, scene, channel, now, slot=0)

    return set_up
