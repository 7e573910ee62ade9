"""Direct runs below the API, on the channel of a stage."""

from datetime import timedelta

from service.dispatch.direct import direct
from service.dispatch.direct.direct import Cancelled
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.storage.postgres import transaction
from tests.harness.ledger import ALWAYS, TEXT, phone
from tests.harness.stage import Stage


async def direct_run(on: Stage, people: int, first: int = 1_000) -> Stage:
    """A direct run on the stage's channel to as many people."""
    new = NewRun(
        kind="direct",
        department_id=on.scene.department,
        message_class="service",
        priority="normal",
        text=TEXT,
        channels=[on.channel.id],
        send_hours=ALWAYS,
        timezone="Asia/Shanghai",
        valid_until=on.now + timedelta(days=1),
        sent_by=on.scene.operator,
    )
    numbers = [phone(first + n) for n in range(people)]
    named = [
        Recipient(
            on.keyring.phone_index(number),
            on.keyring.encrypt("phone", number),
            "china_mobile",
            synthetic=True,
            channel_id=on.channel.id,
        )
        for number in numbers
    ]
    async with transaction(on.pool) as conn:
        made = await direct.start(conn, new, named, on.now)
    return Stage(on.pool, on.keyring, on.scene, on.channel, made.run_id, on.now)


async def cancel(on: Stage) -> Cancelled:
    """Call the run back as a whole."""
    async with transaction(on.pool) as conn:
        return await direct.cancel(conn, on.run, on.now)


async def run_state(on: Stage) -> str:
    value: str = await on.pool.fetchval("SELECT state FROM runs WHERE id = $1", on.run)
    return value
