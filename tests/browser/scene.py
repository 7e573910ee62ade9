"""A county's office on a working morning, as the pictures of the manual show it.

One broadcast is over, one is being sent, one waits for an approver, one is a draft; somebody has
written in. All over the API, with names that a county would give.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import aiohttp

from tests.browser.office import Office
from tests.harness.live import Live
from tests.harness.waiting import until

LIST = "全县群众"
FINANCE = ("财务人员", "身份 = 财务人员")
ELDERLY = ("60岁以上", "年龄 >= 60")
PARENTS = ("旌阳镇家长", "身份 = 家长 且 区域 = 旌阳镇")
GROWN = ("全县成年人", "年龄 >= 18")
BOSS = (
    "【旌德县公安局】财务同志：QQ、微信里“领导”催转账，务必当面或打原号码核实，未核实一分钱不付。"
)
LOAN = "【旌德县公安局】正规贷款放款前不收钱。要您先交保证金、解冻费的网贷一律是骗局。"
PENSION = (
    "【旌德县公安局】老人家：推销“神药”、高息养老项目的，别当场交钱，先和子女商量，被骗请拨110。"
)
SCHOOL = "【旌德县公安局】陌生人让孩子用家长手机免费领皮肤，都是诈骗。请保管好支付密码，常查账单。"
TOMORROW = {"kind": "once", "start_at": "2027-01-13T09:30:00+08:00"}
NOW = {"kind": "now", "validity_minutes": 30}
WEEKLY = {
    "kind": "recurring",
    "start_at": "2027-01-13T09:30:00+08:00",
    "rrule": "FREQ=WEEKLY;BYDAY=WE",
    "until": "2027-03-31T23:59:00+08:00",
}
CLUE = "举报：有人冒充公安局让我转账，号码是19799999999"


@dataclass(frozen=True)
class Scene:
    """The ids of what there is."""

    office: Office
    imported: str
    group: str
    text: str
    over: str
    over_run: str
    going: str
    going_run: str
    waiting: str
    draft: str
    reply: str


async def set_up(office: Office) -> Scene:
    """Make all of it; the broadcast to all goes on for minutes."""
    imported = await _people(office)
    over = await _campaign(office, "财务人员·冒充领导", FINANCE, BOSS, NOW)
    over_run = await _launched(office, over["id"], "sent", "complete")
    going = await _campaign(office, "每周反诈·第2期", GROWN, LOAN, NOW)
    going_run = await _launched(office, going["id"], "running")
    waiting = await _campaign(office, "老年人·养老诈骗", ELDERLY, PENSION, TOMORROW)
    await office.ask("operator", "POST", f"/campaigns/{waiting['id']}/submit", {})
    draft = await _campaign(office, "家长与学校·寒假提醒", PARENTS, SCHOOL, WEEKLY)
    return Scene(
        office,
        imported,
        draft["segment_id"],
        draft["template_id"],
        over["id"],
        over_run,
        going["id"],
        going_run,
        waiting["id"],
        draft["id"],
        await _clue(office),
    )


async def _people(office: Office) -> str:
    content = (files("service.local.demo") / "county.csv").read_bytes()
    async with office.live.client("operator") as operator:
        made = await operator.upload("/imports", content, {"roster": LIST, "basis": "duty"})

    async def done() -> bool:
        found = await office.ask("operator", "GET", f"/imports/{made['id']}")
        return bool(found["state"] == "done")

    await until(done)
    return str(made["id"])


async def _campaign(
    office: Office, name: str, group: tuple[str, str], text: str, schedule: dict[str, Any]
) -> Any:
    body = {"name": name, "class": "public_interest", "text": text}
    template = await office.ask("operator", "POST", "/templates", body)
    rule = {"name": group[0], "rule": group[1]}
    segment = await office.ask("operator", "POST", "/segments", rule)
    plan = {"template_id": template["id"], "segment_id": segment["id"], "schedule": schedule}
    made = await office.ask("operator", "POST", "/campaigns", {"name": name, **plan})
    return made | {"template_id": template["id"], "segment_id": segment["id"]}


async def _launched(office: Office, campaign: str, *states: str) -> str:
    """Submitted and approved; the run, once it is in one of the states and something has left."""
    await office.ask("operator", "POST", f"/campaigns/{campaign}/submit", {})
    read = {"acknowledged": ["R06", "R25"]}  # an approver says that they read what lint found
    await office.ask("approver", "POST", f"/campaigns/{campaign}/approve", read)

    async def run() -> str | None:
        found = await office.ask("operator", "GET", f"/campaigns/{campaign}/runs")
        for one in found["items"]:
            if one["state"] not in states:
                continue
            progress = await office.ask("operator", "GET", f"/runs/{one['id']}/progress")
            if progress["handed_off"] > progress["target"] / 20:
                return str(one["id"])
        return None

    return str(await until(run, 120))


async def _clue(office: Office) -> str:
    live: Live = office.live
    # Somebody who was sent a text over this channel: else it would be nobody's to read.
    reached = next(one["phone"] for one in live.journal() if one["protocol"] == "cmpp")
    message = {"phone": reached, "to": "1065720001234", "text": CLUE}
    body = {"account": "901234", "protocol": "cmpp", "messages": [message]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{live.summary['simulator']}/mo", json=body) as answer,
    ):
        assert answer.status == 202, await answer.text()

    async def come() -> str | None:
        found = await office.ask("operator", "GET", "/inbound?limit=10")
        return next((one["id"] for one in found["items"]), None)

    return str(await until(come))
