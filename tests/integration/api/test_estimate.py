"""When a campaign will be finished, before anybody approves it: by the pace of its channels."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.storage.postgres import transaction
from tests.harness.campaigns import planned
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")

SHANGHAI = ZoneInfo("Asia/Shanghai")
RATE = 1 / 1.02  # of a channel of 1 TPS, which keeps a little below it


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


async def _people(api: Api, count: int) -> None:
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at, tps=1)
        await conn.execute(
            """
            INSERT INTO contacts (department_id, phone_hash, phone_cipher, name_cipher, carrier,
                                  synthetic, created_at, updated_at)
            SELECT $1, decode(lpad(to_hex(n), 32, '0'), 'hex'), $2, $3, 'china_mobile', true, $4, $4
            FROM generate_series(1, $5) n
            """,
            api.teams["county"].department_id,
            api.runtime.keyring.encrypt("phone", "+8619790000001"),
            api.runtime.keyring.encrypt("name", "王小明"),
            api.clock.at,
            count,
        )


@pytest.mark.parametrize(
    ("schedule", "sends_from", "seconds", "days", "in_time"),
    [
        ({"kind": "now"}, "2027-01-12T09:30", 0, 1, True),
        ({"kind": "once", "start_at": "2027-01-13T07:00:00+08:00"}, "2027-01-13T08:00", 0, 1, True),
        # Ten minutes of the day are left; the rest goes out on the next, and no night counts.
        (
            {"kind": "once", "start_at": "2027-01-13T19:50:00+08:00"},
            "2027-01-13T19:50",
            12 * 3_600,
            2,
            True,
        ),
        # The eve and the first day of the Spring Festival lie between.
        (
            {"kind": "once", "start_at": "2027-02-04T19:50:00+08:00"},
            "2027-02-04T19:50",
            60 * 3_600,
            2,
            False,
        ),
    ],
)
async def test_the_finish_counts_hours_and_quiet_days(
    api: Api, schedule: dict[str, Any], sends_from: str, seconds: int, days: int, in_time: bool
) -> None:
    await _people(api, 3_000)
    campaign = await planned(api, schedule=schedule)
    shown = (await api.get(f"/campaigns/{campaign}/preview", OPERATOR)).json["estimate"]
    assert datetime.fromisoformat(shown["sends_from"]) == _at(sends_from)
    (channel,) = shown["lanes"]
    assert (channel["messages"], channel["parts"]) == (3_000, 3_000)
    assert channel["rate"] == pytest.approx(RATE, rel=0.01)
    expected = _at(sends_from) + timedelta(seconds=3_000 / channel["rate"] + seconds)
    finishes = datetime.fromisoformat(shown["finishes_at"])
    assert abs(finishes - expected) < timedelta(seconds=2)
    assert (shown["days"], shown["in_time"]) == (days, in_time)


async def test_without_a_channel_nothing_is_foretold(api: Api) -> None:
    campaign = await planned(api)
    shown = (await api.get(f"/campaigns/{campaign}/preview", OPERATOR)).json["estimate"]
    assert (shown["lanes"], shown["finishes_at"], shown["in_time"]) == ([], None, None)
