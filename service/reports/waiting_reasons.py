"""Why a text waits, in a sentence: the first thing that keeps it, as the hand-off would meet it.

`explanations` says what became of a text; of one that is queued this says what it waits for, and
until when, if anybody knows.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import BEIJING, County, HourTerms
from service.channels.contract.maintenance import maintenance_end
from service.dispatch.failover.circuit_breaker import BreakerLimits
from service.dispatch.failover.health import ChannelCounts, total
from service.dispatch.failover.health_store import recent_reports
from service.reports.explanations import Sentence
from service.reports.waiting_reasons_store import Key, queued_texts
from service.storage.postgres import Connection, Record

WAITS: Mapping[str, Sentence] = {
    "stopped": Sentence("全部停发中", "all sending is stopped"),
    "expanding": Sentence("名单还在生成", "its broadcast is still being written"),
    "cancelled": Sentence(
        "这次发送已取消，不会发出", "its broadcast was cancelled, and it does not leave"
    ),
    "paused": Sentence("这次发送已暂停", "its broadcast is paused"),
    "department": Sentence(
        "本单位额度用完，{until} 起再发",
        "the department's quota is used up until {until}",
    ),
    "capped": Sentence(
        "本人收信次数已满，{until} 起可发", "the person has had enough texts until {until}"
    ),
    "retry": Sentence(
        "上次没有成功，{until} 再试", "the last try failed; it is tried again at {until}"
    ),
    "canary": Sentence(
        "先看头一批人的结果", "it waits for what becomes of the texts to the first people"
    ),
    "hours": Sentence("发送时段 {until} 才开始", "the send hours begin at {until}"),
    "disabled": Sentence("通道停用", "its channel is switched off"),
    "down": Sentence("通道中断，连接不上", "its channel is shut: there is no connection"),
    "faults": Sentence("通道中断，提交大量失败", "its channel is shut: too many submits go wrong"),
    "slow": Sentence(
        "通道中断，运营商应答太慢", "its channel is shut: the carrier answers too slowly"
    ),
    "silent": Sentence("通道中断，收不到回执", "its channel is shut: no receipts come"),
    "no_connection": Sentence("通道没有连接", "its channel has no connection"),
    "carrier": Sentence(
        "运营商要求暂停，{until} 再试", "the carrier has the channel wait until {until}"
    ),
    "quota": Sentence(
        "通道额度用完，{until} 起再发", "the channel's quota is used up until {until}"
    ),
    "maintenance": Sentence("通道维护至 {until}", "its channel is in maintenance until {until}"),
    "carrier_slow": Sentence(
        "运营商现在接收得慢，按次序等候",
        "the carrier takes texts slowly now; it waits for its turn",
    ),
    "turn": Sentence("按次序等候", "it waits for its turn"),
}
"""What a text waits for; {until} is an instant in China."""


async def why_they_wait(
    conn: Connection, keys: Sequence[Key], limits: BreakerLimits, now: datetime
) -> dict[Key, Sentence]:
    """Why each of these texts waits that is queued, in words.

    limits: from when on a channel counts as slow.
    """
    rows = await queued_texts(conn, keys, now)
    if not rows:
        return {}
    county = await load_county(conn)
    reports = await recent_reports(conn, now - limits.window)

    @cache
    def is_slow(channel_id: int) -> bool:
        counts = total(report.counts for report in reports.get(channel_id, []))
        return takes_slowly(counts, limits)

    return {
        (row["run_id"], row["no"]): _worded(*_why(row, county, is_slow(row["channel_id"]), now))
        for row in rows
    }


def takes_slowly(counts: ChannelCounts, limits: BreakerLimits) -> bool:
    """Whether a carrier asked for a lower pace, or answered half of the submits too late."""
    half = counts.percentile(0.5)
    return counts.throttled > 0 or (half is not None and half > limits.slow)


def _why(row: Record, county: County, slow: bool, now: datetime) -> tuple[str, datetime | None]:
    """What keeps a text, a word of WAITS, and until when; the first that the hand-off meets."""
    opening = county.next_opening(now, HourTerms.of_run(row))
    rests = maintenance_end(now, row["maintenance"])
    run_state, breaker = row["run_state"], row["breaker"]
    met: tuple[tuple[str, bool, datetime | None], ...] = (
        ("stopped", row["stopped"], None),
        (run_state, run_state in {"paused", "expanding", "cancelled"}, None),
        ("department", row["department_until"] is not None, row["department_until"]),
        ("capped", row["deferred_until"] is not None, row["deferred_until"]),
        ("retry", row["retry_at"] is not None, row["retry_at"]),
        ("canary", row["behind_canary"], None),
        ("hours", opening > now, opening),
        ("disabled", not row["enabled"], None),
        ("maintenance", rests is not None, rests),
        (row["held_by"], row["held_until"] is not None, row["held_until"]),
        (breaker, breaker is not None, None),
        ("no_connection", not row["up"], None),
        ("carrier_slow", slow, None),
    )
    return next(((why, until) for why, holds, until in met if holds), ("turn", None))


def _worded(why: str, until: datetime | None) -> Sentence:
    words = WAITS[why]
    if until is None:
        return words
    at = until.astimezone(BEIJING)
    zh = words.zh.format(until=f"{at.month}月{at.day}日 {at:%H:%M}")
    return Sentence(zh, words.en.format(until=f"{at:%Y-%m-%d %H:%M}"))
