"""No statement writes a reason that is not in the registry, or one where it cannot arise.

The proof is in all tests with a database, for each has these constraints. Here they bite.
"""

import pytest

from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.ledger.reasons import Reason
from service.storage.postgres import CheckViolation, Pool
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.reasons import COLUMNS

WRITES = {
    "exclusions.reason": "INSERT INTO exclusions (run_id, phone_hash, reason, carrier)"
    " SELECT run_id, phone_hash, $1, carrier FROM messages",
    "messages.reason": "UPDATE messages SET state = 'suppressed', reason = $1",
    "attempts.reason": "INSERT INTO attempts (run_id, no, attempt, channel_id, part_count, state,"
    " reason) SELECT run_id, no, 1, channel_id, 1, 'undelivered', $1 FROM messages",
    "runs.cancel_reason": "UPDATE runs SET cancel_reason = $1",
    "runs.barred": "UPDATE runs SET barred = $1",
}


@pytest.mark.parametrize("column", list(WRITES))
async def test_a_column_takes_the_reasons_that_can_arise_there_and_no_other(
    column: str, pool: Pool, keyring: Keyring, clock: Clock
) -> None:
    now = clock.now()
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(1)], now)
        await add_channel(conn, keyring, 1, now)
        await expand_run(pool, await add_run(conn, scene, now), now)
        for code in ("of_nobody", *Reason):
            trial = conn.transaction()
            await trial.start()
            try:
                if code in COLUMNS[column]:
                    assert await conn.execute(WRITES[column], code) in {"INSERT 0 1", "UPDATE 1"}
                else:
                    with pytest.raises(CheckViolation, match="registered_"):
                        await conn.execute(WRITES[column], code)
            finally:
                await trial.rollback()


def test_what_is_left_out_is_outside_the_target_and_what_failed_inside() -> None:
    assert Reason.NO_NAME in COLUMNS["exclusions.reason"]
    assert Reason.NO_NAME not in COLUMNS["messages.reason"]
    assert Reason.EMPTY_NUMBER not in COLUMNS["exclusions.reason"]
    assert Reason.EMPTY_NUMBER in COLUMNS["messages.reason"]
