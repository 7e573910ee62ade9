"""A quarter in which texts are kept from being sent, in every way: nobody is left to find out.

Three plans live from January to March over simulated carriers: one is paused over a fire, one
pauses itself, one is never approved; and a channel is shut. Each is told by a webhook over HTTP,
stands in the calendar, in the report of its campaign and in the metrics.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from service.api.system import metrics
from service.api.webhooks.webhooks import Told
from service.delivery.webhooks.webhooks import call_due, hand_out
from service.runtime import Runtime
from tests.harness.clocks import MovedClock
from tests.harness.county import County, at_work
from tests.harness.office import ADMIN, OPERATOR, PROFILE, Plan
from tests.harness.waiting import until
from tests.integration.api.conftest import Api
from workers import scheduler

SHANGHAI = ZoneInfo("Asia/Shanghai")
LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
SECOND, MINUTE, DAY = (timedelta(seconds=n) for n in (1, 60, 86_400))
NO_LOGIN = {"login_status": 5}


@dataclass
class Receiver:
    """The department's own server: what it was told."""

    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.told.append(json.loads(await request.read()))
        return web.Response(status=204)

    def of(self, kind: str) -> list[tuple[str, str]]:
        """When and why it was told of a kind, in days."""
        return [(e["timestamp"][5:10], e["data"]["code"]) for e in self.told if e["type"] == kind]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/hook", found.take)
    async with TestServer(app) as server:
        found.url = str(server.make_url("/hook"))
        yield found


def _at(text: str) -> datetime:
    return datetime.fromisoformat(f"2027-{text}").replace(tzinfo=SHANGHAI)


@dataclass
class Quarter:
    """The county through its days, and whoever is told."""

    county: County
    plan: Plan
    webhook: UUID

    @property
    def clock(self) -> MovedClock:
        return self.county.clock

    async def live(self, until_day: str) -> None:
        """Each day up to one: what is due fires and is sent at 9:30; at 10:00 the rest is looked
        at, and who is to be told is told.
        """
        end = _at(f"{until_day}T10:00")
        while (now := self.clock.now()) < end:
            morning = now.astimezone(SHANGHAI).replace(hour=9, minute=30, second=0, microsecond=0)
            if morning <= now:
                morning += DAY
            self.clock.move(morning)
            if await self.county.tick():
                await self.county.drain()
            await self.look(morning + 30 * MINUTE)

    async def look(self, at: datetime) -> None:
        """The scheduler's turns besides firing; then the calls are made."""
        self.clock.move(at)
        runtime = self.county.runtime
        await self.county.act(scheduler.record_missed, scheduler.cleanup, scheduler.guard)
        for webhook in await hand_out(runtime.pool, self.clock.now()):
            while await call_due(
                runtime.pool, runtime.keyring, self.clock, webhook, LOOPBACK, SHANGHAI
            ):
                pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own
async def test_whatever_keeps_texts_from_being_sent_is_told(
    api: Api,
    runtime: Runtime,
    clock: MovedClock,
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)
    plan = Plan(api)
    async with at_work(runtime, clock, tmp_path, PROFILE) as county:
        for carrier in county.carriers.values():
            await plan.post("/channels", carrier.channel(), ADMIN)
        await plan.people()
        hook = {"url": receiver.url, "events": sorted(get_args(Told))}
        made = await plan.post("/webhooks", hook, ADMIN)
        quarter = Quarter(county, plan, UUID(made["id"]))
        weekly, careful, late = await _plans(plan)
        await _paused_over_a_fire(quarter, weekly)
        await _paused_by_itself(quarter, careful)
        await _never_approved(quarter, late)
        await _shut(quarter)
        await quarter.live("03-31")
    assert receiver.of("campaign.paused") == [("01-18", ""), ("02-10", "guard")]
    assert receiver.of("fire.missed")[:2] == [("01-20", "paused"), ("02-17", "guard")]
    assert receiver.of("fire.held") == [("01-21", "late")]
    assert receiver.of("fire.skipped") == [("02-02", "person"), ("02-18", "person")]
    assert receiver.of("campaign.resumed") == [("01-21", ""), ("02-18", "")]
    assert receiver.of("campaign.returned") == [("02-27", "approval_expired")]
    assert receiver.of("channel.shut") == [("03-08", "down")]
    assert receiver.of("channel.recovered") == [("03-08", "")]
    missed = [e["data"] for e in receiver.told if e["type"] == "fire.missed"]
    expired = [m["planned_at"][:10] for m in missed if m["campaign_id"] == late]
    assert expired == ["2027-03-03", "2027-03-10", "2027-03-17", "2027-03-24"]
    await _check_pages(plan, weekly, careful, late)
    await _check_metrics(api, receiver)


async def _plans(plan: Plan) -> tuple[str, str, str]:
    """Weekly to all mobile numbers; weekly with a canary to unicom's; one that nobody approves."""
    weekly = {
        "kind": "recurring",
        "rrule": "FREQ=WEEKLY;BYDAY=WE",
        "validity_minutes": 600,
        "late": "hold",
    }
    ends = {"until": "2027-03-31T23:59:00+08:00"}
    first = await plan.campaign(
        "weekly",
        "carrier = mobile",
        schedule=weekly | ends | {"start_at": "2027-01-13T09:30:00+08:00"},
    )
    careful = await plan.campaign(
        "returnees",
        "carrier = unicom",
        schedule=weekly | ends | {"start_at": "2027-02-10T09:30:00+08:00"},
        safety={"canary": {"first": 18, "wait_minutes": 1}, "failed_share": 0.001},
    )
    submitted = await plan.post(
        "/campaigns",
        {
            "name": "late",
            "template_id": (await plan.get(f"/campaigns/{first}"))["template_id"],
            "segment_id": (await plan.get(f"/campaigns/{first}"))["segment_id"],
            "schedule": weekly
            | {"start_at": "2027-03-03T09:30:00+08:00", "until": "2027-03-24T23:59:00+08:00"},
        },
    )
    return first, careful, submitted["id"]


async def _paused_over_a_fire(quarter: Quarter, weekly: str) -> None:
    """Paused on Monday the 18th; resumed on Thursday, when a fire was missed; skipped later."""
    plan, path = quarter.plan, f"/campaigns/{weekly}"
    await quarter.live("01-18")
    await plan.post(f"{path}/pause", {"reason": "checking"})
    await quarter.live("01-21")
    refused = await plan.api.post(f"{path}/resume", OPERATOR, {"reason": "checked"})
    assert refused.json["type"] == "/problems/fires_were_missed"
    resumed = await plan.post(f"{path}/resume", {"missed": "hold"})
    assert [fire["outcome"] for fire in resumed["decided_fires"]] == ["held"]
    await quarter.live("02-02")
    assert len(await plan.fires(weekly)) == 2, "the 13th and the 27th: later fires go on"
    await plan.post(f"{path}/release", {"missed": "skip", "reason": "too old"})


async def _paused_by_itself(quarter: Quarter, careful: str) -> None:
    """The first people of 10 February fail, and it pauses; nobody comes until the 18th, and it is
    given up then.
    """
    plan, path = quarter.plan, f"/campaigns/{careful}"
    await quarter.live("02-18")
    assert (await plan.get(path))["state"] == "paused"
    work = {kind["kind"]: kind for kind in (await plan.get("/work"))["items"]}
    assert [item["id"] for item in work["holds"]["items"]] == [careful]
    assert [item["code"] for item in work["missed_fires"]["items"]] == ["guard"]
    await plan.post(f"{path}/resume", {"missed": "skip", "reason": "numbers were old"})
    await plan.post(f"{path}/cancel", {})


async def _never_approved(quarter: Quarter, late: str) -> None:
    """Submitted on the 19th, and nobody approves it within seven days."""
    await quarter.live("02-19")
    await quarter.plan.post(f"/campaigns/{late}/submit", {})
    await quarter.live("02-27")
    assert (await quarter.plan.get(f"/campaigns/{late}"))["state"] == "returned"


async def _shut(quarter: Quarter) -> None:
    """On 8 March the carrier of the mobile numbers takes no login for some minutes."""
    await quarter.live("03-08")
    county, clock = quarter.county, quarter.clock
    smsc = county.carriers["cmpp"].simulator.smsc
    calm = smsc.faults
    smsc.set_faults(calm.model_copy(update=NO_LOGIN))
    smsc.disconnect()
    await until(partial(_connected, county, up=False), 60.0)
    for _ in range(12):
        clock.move(clock.now() + 20 * SECOND)
        await county.act(scheduler.watch)
    work = {kind["kind"]: kind for kind in (await quarter.plan.get("/work"))["items"]}
    assert [item["code"] for item in work["shut_channels"]["items"]] == ["down"]
    smsc.set_faults(calm)
    await until(partial(_connected, county, up=True), 60.0)
    for _ in range(12):
        clock.move(clock.now() + 20 * SECOND)
        await county.act(scheduler.watch)
    await quarter.look(clock.now() + SECOND)


async def _connected(county: County, *, up: bool) -> bool:
    found: bool = await county.runtime.pool.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM connections k JOIN channels c ON c.id = k.channel_id
            WHERE c.name = 'cmpp' AND k.state = 'up' AND k.expires_at > clock_timestamp())
        """
    )
    return found is up


async def _check_pages(plan: Plan, weekly: str, careful: str, late: str) -> None:
    """The calendar and the reports say what the calls have said."""
    items: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await plan.get(f"/calendar?from=2027-01-10&to=2027-03-31&limit=100{cursor}")
        items += page["items"]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    became = {(f["campaign_id"], f["planned_at"][:10]): (f["state"], f["plain"]) for f in items}
    assert became[weekly, "2027-01-20"] == (
        "skipped",
        {"zh": "这一次不发：由人决定。", "en": "This fire was skipped: a person decided so."},
    )
    assert became[weekly, "2027-01-27"] == ("sent", None)
    assert became[careful, "2027-02-17"][0] == "skipped"
    assert became[late, "2027-03-10"] == (
        "missed",
        {
            "zh": "这一次错过了：逾期未签发。",
            "en": "This fire was missed: the approval did not come in time.",
        },
    )
    days = {
        day["date"]: [(i["kind"], i["code"]) for i in day["interruptions"]]
        for day in (await plan.get("/calendar/days?from=2027-01-10&to=2027-03-31"))["items"]
    }
    assert days["2027-01-18"] == [("campaign.paused", "")]
    assert days["2027-02-10"] == [("campaign.paused", "guard")]
    assert days["2027-02-27"] == [("campaign.returned", "approval_expired")]
    assert days["2027-03-08"] == [("channel.shut", "down"), ("channel.recovered", "")]
    report = await plan.get(f"/campaigns/{weekly}/report")
    assert report["fires"] == {"fired": 11, "skipped": 1}
    assert [fire["code"] for fire in report["not_sent"]] == ["person"]
    kinds = Counter(found["kind"] for found in report["interruptions"])
    assert kinds["channel.shut"] == kinds["fire.missed"] == kinds["fire.held"] == 1
    report = await plan.get(f"/campaigns/{careful}/report")
    assert ("campaign.paused", "guard") in [(i["kind"], i["code"]) for i in report["interruptions"]]
    report = await plan.get(f"/campaigns/{late}/report")
    assert report["fires"] == {"missed": 4}
    assert report["total"]["target"] == 0


async def _check_metrics(api: Api, receiver: Receiver) -> None:
    """Counted is what was told."""
    answer = await api.get("//metrics", OPERATOR)
    counted = {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if sample.name == "tocsin_interruptions_total"
    }
    told = Counter(event["type"] for event in receiver.told)
    assert {kind: count for kind, count in counted.items() if count} == {
        kind: told[kind] for kind in counted if told[kind]
    }
    assert counted["fire.missed"] == 6
