"""A text that waits says why, and until when if anybody knows, in Chinese and in English."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from service.dispatch.handoff.lease_store import Lease
from tests.factories import phone
from tests.harness.channels import channel
from tests.harness.direct_texts import send
from tests.harness.sick import seen, serve_channel, tell
from tests.integration.api.conftest import Api

OPERATOR = ("school", "operator")

COUNTY = ("county", "operator")


@dataclass
class Text:
    """One queued text of a direct run, on a channel that somebody serves."""

    api: Api
    channel: int
    id: str
    lease: Lease

    async def change(self, query: str, *values: object) -> None:
        await self.api.runtime.pool.execute(query, *values)

    async def said(self) -> tuple[str, str]:
        """What is said of it, by its id and by its number alike."""
        shown = await self.api.get(f"/messages/{self.id}", OPERATOR)
        assert shown.status == 200, shown.body
        found = await self.api.post("/messages/lookup", OPERATOR, {"phone": phone(1)})
        (item,) = found.json["items"]
        assert item["plain"] == shown.json["plain"]
        return shown.json["plain"]["zh"], shown.json["plain"]["en"]


@pytest.fixture
async def channel_id(api: Api) -> int:
    return await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")


@pytest.fixture
async def text(api: Api, channel_id: int) -> Text:
    api.clock.at = datetime(2027, 1, 13, 2, tzinfo=UTC)  # 10:00 in China
    sent = await send(api, [phone(1)])
    lease = await serve_channel(api.runtime.pool, channel_id, api.clock.at)
    return Text(api, channel_id, sent.json["ids"][0], lease)


TOMORROW = datetime(2027, 1, 14, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "values", "zh", "en"),
    [
        (None, (), "按次序等候", "it waits for its turn"),
        (
            "UPDATE channels SET held_until = $1, held_by = 'carrier', held_why = 'x'",
            (TOMORROW,),
            "运营商要求暂停，1月14日 09:30 再试",
            "the carrier has the channel wait until 2027-01-14 09:30",
        ),
        (
            "UPDATE channels SET held_until = $1, held_by = 'quota', held_why = 'x'",
            (TOMORROW,),
            "通道额度用完，1月14日 09:30 起再发",
            "the channel's quota is used up until 2027-01-14 09:30",
        ),
        (
            "UPDATE departments SET held_until = $1, held_why = 'x'",
            (TOMORROW,),
            "本单位额度用完，1月14日 09:30 起再发",
            "the department's quota is used up until 2027-01-14 09:30",
        ),
        (
            "INSERT INTO deferrals SELECT run_id, no, $1 FROM messages",
            (TOMORROW,),
            "本人收信次数已满，1月14日 09:30 起可发",
            "the person has had enough texts until 2027-01-14 09:30",
        ),
        (
            'UPDATE channels SET maintenance = \'[["09:00", "11:00"]]\'',
            (),
            "通道维护至 1月13日 11:00",
            "its channel is in maintenance until 2027-01-13 11:00",
        ),
        ("UPDATE channels SET enabled = false", (), "通道停用", "its channel is switched off"),
        (
            (
                "INSERT INTO circuit_breakers (channel_id, state, cause, why, changed_at,"
                " looked_at, connected_at)"
                " SELECT id, 'open', 'silent', 'w', $1, $1, $1 FROM channels"
            ),
            (TOMORROW,),
            "通道中断，收不到回执",
            "its channel is shut: no receipts come",
        ),
        (
            "UPDATE connections SET state = 'down'",
            (),
            "通道没有连接",
            "its channel has no connection",
        ),
        ("UPDATE runs SET state = 'paused'", (), "这次发送已暂停", "its broadcast is paused"),
        (
            "UPDATE runs SET canary = 'sending'",
            (),
            "先看头一批人的结果",
            "it waits for what becomes of the texts to the first people",
        ),
    ],
)
async def test_a_text_says_what_it_waits_for(
    text: Text, query: str | None, values: tuple[datetime, ...], zh: str, en: str
) -> None:
    if query is not None:
        await text.change(query, *values)
    assert await text.said() == (
        f"还在排队，尚未发出：{zh}。",
        f"It waits and has not left yet: {en}.",
    )


@pytest.mark.attack
async def test_at_night_it_waits_for_the_send_hours(text: Text) -> None:
    text.api.clock.at = datetime(2027, 1, 13, 15, tzinfo=UTC)  # 23:00 in China
    zh, en = await text.said()
    assert zh == "还在排队，尚未发出：发送时段 1月14日 08:00 才开始。"
    assert en.endswith("the send hours begin at 2027-01-14 08:00.")


async def test_a_stop_of_everything_goes_before_all_else(text: Text) -> None:
    await text.change("UPDATE channels SET enabled = false")
    await text.api.post("/stop-all", COUNTY, {"reason": "r"})
    assert (await text.said())[0] == "还在排队，尚未发出：全部停发中。"
    await text.api.post("/stop-all/lift", COUNTY, {"reason": "r"})
    assert (await text.said())[0] == "还在排队，尚未发出：通道停用。"


async def test_a_carrier_that_asks_for_a_lower_pace_is_slow(text: Text) -> None:
    now = text.api.clock.at
    await tell(
        text.api.runtime.pool, text.lease.owner, text.channel, now, seen(accepted=5, throttled=9)
    )
    assert (await text.said())[0] == "还在排队，尚未发出：运营商现在接收得慢，按次序等候。"
    text.api.clock.at = now + timedelta(minutes=2)
    assert (await text.said())[0] == "还在排队，尚未发出：按次序等候。"


async def test_after_a_failure_it_says_when_it_is_tried_again(text: Text) -> None:
    await text.change(
        "INSERT INTO attempts (run_id, no, attempt, channel_id, part_count, state, reason,"
        " marked_at, ended_at, next_at)"
        " SELECT run_id, no, attempt, channel_id, 1, 'undelivered', 'network', $1, $1, $1"
        " FROM messages",
        TOMORROW,
    )
    assert (await text.said())[0] == "还在排队，尚未发出：上次没有成功，1月14日 09:30 再试。"


async def test_what_has_left_waits_for_nothing(text: Text) -> None:
    await text.change("UPDATE messages SET state = 'delivered', final_at = $1", TOMORROW)
    assert (await text.said())[0] == "已送达手机。"
