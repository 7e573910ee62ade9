"""Judging the channels: what was reported, the breakers, and what the change of one brings with it.

Every scheduler looks each few seconds; one of them at a time judges, in one transaction, so that
several make one decision. Shifting what waits (`failover`) comes after it, by itself.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.channels.contract.maintenance import maintenance_end
from service.channels.routing.route import RoutableChannel, covers
from service.channels.routing.route_store import list_routable_channels
from service.dispatch.failover import health_store
from service.dispatch.failover.circuit_breaker import (
    Breaker,
    BreakerLimits,
    ChannelFigures,
    step,
    trouble,
)
from service.dispatch.failover.health import ChannelCounts, total
from service.dispatch.failover.health_store import HealthReport
from service.dispatch.limits.pace import Pace, channel_limit
from service.errors import Unavailable
from service.settings import Settings
from service.storage.locks import try_lock_breakers
from service.storage.postgres import Connection, Pool, Record, transaction

log = logging.getLogger(__name__)

GAP = timedelta(seconds=30)
"""Nobody has judged for so long: what happened meanwhile says nothing of the channels."""


def limits_of(settings: Settings) -> BreakerLimits:
    """The limits of a deployment."""
    return BreakerLimits(
        share=settings.channel_fault_share,
        slow=settings.channel_slow_seconds,
        silence=timedelta(minutes=settings.channel_silence_minutes),
        down=timedelta(minutes=settings.channel_down_minutes),
        rest=timedelta(seconds=settings.channel_rest_seconds),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A channel that is judged: its row, its breaker as it was, and its figures."""

    row: Record
    breaker: Breaker
    figures: ChannelFigures


async def judge(
    pool: Pool, pace: Pace, limits: BreakerLimits, now: datetime, speed: float = 1.0
) -> None:
    """Look at every channel and move its breaker; nothing if another scheduler does it just now.

    `speed`: how many times as fast as the carriers' time the clock runs.
    """
    limits = limits.at_speed(speed)
    async with transaction(pool) as conn:
        if not await try_lock_breakers(conn):
            return
        closed = await _judge(conn, limits, now, GAP * speed)
        await health_store.delete_old_reports(conn, now, health_store.KEEP * speed)
        await health_store.add_up_ends(conn)
    for channel_id, tps in closed:
        if tps is not None:
            await _ease(pace, channel_id, tps)


async def _judge(
    conn: Connection, limits: BreakerLimits, now: datetime, gap: timedelta
) -> list[tuple[int, int | None]]:
    """Move the breakers; returns the channels that are closed again, with their TPS."""
    hours = await health_store.maintenance_hours(conn)
    resting = [id_ for id_, own in hours.items() if maintenance_end(now, own) is not None]
    rows = await health_store.channels_to_judge(conn, resting, now, gap)
    reports = await health_store.recent_reports(conn, now - limits.window)
    channels = {channel.id: channel for channel in await list_routable_channels(conn, now)}
    judged = [_judged(row, reports.get(row["id"], []), now) for row in rows]
    well = [
        channels[one.row["id"]]
        for one in judged
        if one.figures.up
        and one.breaker.state == "closed"
        and not _has_trouble(one.figures, limits)
    ]
    closed = []
    for one in judged:
        if not one.row["enabled"] or channels[one.row["id"]].by_list:
            continue  # a list is drawn by a person, and its results come when the carrier has them
        channel = channels[one.row["id"]]
        figures = _with_cover(one.figures, channel, well)
        breaker, change = step(one.breaker, figures, limits, now)
        if breaker != one.breaker:
            await health_store.write_breaker(conn, channel.id, breaker)
        if change is None:
            continue
        await health_store.write_event(conn, channel.id, change.kind, change.why, figures, now)
        await health_store.look_again(conn)
        level = logging.ERROR if change.kind == "opened" else logging.INFO
        log.log(
            level, "channel %s", change.kind, extra={"channel": channel.name, "why": change.why}
        )
        if change.kind == "closed":
            closed.append((channel.id, one.row["tps"]))
    return closed


async def look_at(
    conn: Connection, channel_id: int, limits: BreakerLimits, now: datetime
) -> tuple[Breaker | None, ChannelFigures]:
    """A channel's breaker and its figures, to be shown; None: nobody has judged it yet."""
    row = await health_store.channel_to_show(conn, channel_id)
    if row is None:
        return None, ChannelFigures(
            ChannelCounts(), 0, timedelta(0), 0, None, 0, 0, None, covered=False
        )
    reports = await health_store.recent_reports(conn, now - limits.window, channel_id)
    found = _judged(row, reports.get(channel_id, []), now)
    return found.breaker, found.figures


def _judged(row: Record, reports: Sequence[HealthReport], now: datetime) -> _Judged:
    """What is known of a channel; whether another covers it is not."""
    breaker = Breaker(
        row["state"], row["changed_at"], row["cause"], row["why"], row["trips"], row["climbing"]
    )
    fresh = [report for report in reports if report.at > breaker.changed_at]
    faulty = [report.at for report in fresh if report.counts.faults]
    last = {report.owner: report.counts.in_a_row for report in fresh if report.counts.judged}
    nobody = not row["held"] or row["up"]
    figures = ChannelFigures(
        counts=total(report.counts for report in fresh),
        in_a_row=sum(last.values()) if all(last.values()) else 0,
        span=faulty[-1] - faulty[0] if faulty else timedelta(0),
        unreported=row["unreported"],
        silent_for=now - row["first_at"] if row["first_at"] else None,
        connections=row["connections"],
        up=row["up"],
        down_for=None if nobody else now - row["connected_at"],
        covered=False,
    )
    return _Judged(row, breaker, figures)


def _has_trouble(figures: ChannelFigures, limits: BreakerLimits) -> bool:
    """Whether a channel is no help to others: it has trouble of its own, opened or not."""
    return trouble(replace(figures, covered=True), limits) is not None


def _with_cover(
    figures: ChannelFigures, channel: RoutableChannel, well: Sequence[RoutableChannel]
) -> ChannelFigures:
    return replace(figures, covered=any(covers(other, channel) for other in well))


async def _ease(pace: Pace, channel_id: int, tps: int) -> None:
    """Let a channel's pace come back from the bottom; without Redis nothing is sent anyway."""
    try:
        await pace.ease(channel_limit(channel_id, tps))
    except Unavailable as error:
        log.warning("the pace was not lowered", extra={"why": str(error)})
