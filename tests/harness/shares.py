"""Several departments on one channel, and whose texts it wrote."""

from collections import Counter
from typing import Any

from service.dispatch.expansion.expand import expand_run
from tests.harness.ledger import add_contacts, add_run, make_scene, phone
from tests.harness.stage import Scripted, Stage

FAR = 100_000  # the numbers of one department lie this far from those of the next


async def another(on: Stage, number: int, people: int, weight: int = 10, **run: Any) -> Stage:
    """A run of another department on the stage's channel, to people of its own."""
    async with on.pool.acquire() as conn:
        scene = await make_scene(conn, on.now)
        await conn.execute(
            "UPDATE departments SET weight = $2 WHERE id = $1", scene.department, weight
        )
        phones = [phone(number * FAR + n) for n in range(people)]
        await add_contacts(conn, on.keyring, scene, phones, on.now)
        made = await add_run(conn, scene, on.now, **run)
    assert await expand_run(on.pool, made, on.now) is not None
    return Stage(on.pool, on.keyring, scene, on.channel, made, on.now)


def whose(gateway: Scripted, first: int = 0, last: int | None = None) -> Counter[int]:
    """How many of the texts went to the people of which department, in the order of writing."""
    return Counter(
        (int(number[3:]) - 19790000000) // FAR for number, _ in gateway.written[first:last]
    )
