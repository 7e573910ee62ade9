"""Something of each kind that pages show, made over the API: so that links lead to every page."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from tests.browser.office import Office
from tests.browser.partners import join
from tests.harness.live import TEXT, write_in
from tests.harness.photos import scene, written
from tests.harness.waiting import until

FEW = "身份 = 财务人员"
SOME = "年龄 >= 60"
HANDSET = "19790000001"
WAITS = "冬季防诈·待签发"
"""The name of the plan that waits; other pages need that it does."""
NOBODYS = "19799999999"
"""A number on no list."""


async def furnish(office: Office) -> None:
    """A run that is over and one that is paused, a draft, a plan that waits, a text that changed,
    a text from a handset, what is shared with other departments, and what administrators set up.
    """
    live = office.live
    over = await live.launch(FEW)
    await over.handed_off()
    paused = await live.launch(SOME)
    await until(paused.target)
    await office.ask("operator", "POST", f"/campaigns/{paused.campaign}/pause", {})
    await plan(office, "冬季防诈·草稿")
    waiting = await plan(office, WAITS)
    await office.ask("operator", "POST", f"/campaigns/{waiting['id']}/submit", {})
    await write_in(live, HANDSET, "群众")
    await share(office)
    await set_up(office)
    await figures(office)
    await obligation(office)
    await chats(office)
    run = "SELECT id::text FROM runs WHERE campaign_id = $1::text::uuid"
    await follow_up(office, await live.query(run, over.campaign))
    await visit_round(office)
    await put_up(office)


async def put_up(office: Office) -> None:
    """A board in a village, of which nobody has ticked anything."""
    body = {"kind": "poster", "name": "村委会公告栏", "area": "341825100001"}
    await office.ask("operator", "POST", "/places", body)


SETTLE = """
    WITH missed AS (
        UPDATE messages SET state = 'undelivered', reason = 'empty_number', part_count = 1,
            submitted_at = now(), final_at = now()
        WHERE run_id = $1::text::uuid AND no <= 40 RETURNING 1
    ), over AS (
        UPDATE runs SET state = 'sent', settled_at = now() WHERE id = $1::text::uuid RETURNING 1
    ) SELECT (SELECT count(*) FROM missed) + (SELECT count(*) FROM over)
"""
"""Nobody waits three days for the receipts of a run; so many of its people it has missed."""


async def follow_up(office: Office, run: str) -> None:
    """A follow-up with visits, of which those in one village are over and wait to be signed."""
    await office.live.query(SETTLE, run)
    body = {"run": run, "steps": ["visit"], "with_towns": True}
    made = await office.ask("operator", "POST", "/followups", body)

    async def visited() -> Any:
        found = await office.ask("operator", "GET", f"/followups/{made['id']}")
        return found if found["state"] == "visiting" else None

    found = await until(visited, 300, what="the people are to be visited")
    village = min(found["villages"], key=lambda one: (one["people"], one["area"]))
    path = f"/followups/{made['id']}/visits?area={village['area']}&state=open"
    for person in (await office.ask("operator", "GET", path))["items"]:
        told = {"key": str(uuid4()), "result": "told", "phone": "197 9001 0042"}
        await office.ask("operator", "POST", f"/visits/{person['id']}/result", told)


async def visit_round(office: Office) -> None:
    """A round through the households of a village that wait to be signed, and of another one in
    which nobody was at home once.
    """
    village, other = "341825100001", "341825100002"
    body = {"name": "元旦前入户", "area": "341825100000", "with_towns": True}
    made = await office.ask("operator", "POST", "/visit-rounds", body | {"due_on": "2027-12-31"})
    path = f"/visit-rounds/{made['id']}/visits"
    for area, label, result in (
        (village, "一组1号", "told"),
        (other, "一组2号", "not_home"),
        (other, "一组3号", "told"),
    ):
        entry = {"key": str(uuid4()), "area": area, "household": label, "result": result}
        heads = {"spoken_to": 2} if result == "told" else {}
        await office.ask("operator", "POST", path, entry | heads)


async def chats(office: Office) -> None:
    """A chat group that was handed over once."""
    for name, number in (("王小明", "19790008801"), ("李小红", "19790008802")):
        body = {
            "phone": number,
            "name": name,
            "roster": "群主",
            "roles": ["group_owner"],
            "area_code": "341825100001",
        }
        await office.ask("operator", "POST", "/contacts", body)
    group = {
        "name": "新桥小区3幢群",
        "unit_kind": "building",
        "area": "341825100001",
        "members": 186,
        "owner_phone": "19790008801",
    }
    made = await office.ask("operator", "POST", "/groups", group)
    to = {"phone": "19790008802", "reason": "原群主调离"}
    await office.ask("operator", "POST", f"/groups/{made['id']}/hand-over", to)
    await relay(office)


async def relay(office: Office) -> None:
    """A relay of an approved text to the owner of that group."""
    text = "【旌德县反诈中心】{姓名}：本周反诈短文已下发，请转发到{群名}，转发后回复1。"
    body = {"name": "逐级推送", "class": "service", "text": text}
    made = await office.ask("operator", "POST", "/templates", body)
    read = [one["rule"] for one in made["lint"] if one["level"] == "review"]
    approval = {"version": 1, "acknowledged": read}
    await office.ask("approver", "POST", f"/templates/{made['id']}/approve", approval)
    this_week = await office.ask("operator", "GET", "/relays/alarms")
    monday = datetime.fromisoformat(this_week["due_at"]) + timedelta(days=1)
    asked = {
        "template_id": made["id"],
        "version": 1,
        "week": this_week["week"],
        "due_at": monday.isoformat(),
    }
    await office.ask("operator", "POST", "/relays", asked)


async def obligation(office: Office) -> None:
    """A report that the county asks of itself, and its duty, which the scheduler makes."""
    county = (await office.ask("operator", "GET", "/me"))["department_id"]
    body = {
        "departments": [county],
        "kind": "weekly_report",
        "title": "每周工作情况",
        "period": "week",
        "due": {"weekday": "SU", "time": "16:00"},
        "shift": "none",
    }
    await office.ask("operator", "POST", "/obligations", body)

    async def made() -> Any:
        return (await office.ask("operator", "GET", "/duties?mine=true"))["items"]

    await until(made, 300, what="the duty of this week is made")
    async with office.live.client("operator") as operator:
        for seed in range(2):
            fields = {"duty_id": (await made())[0]["id"]}
            await operator.upload("/evidence", written(scene(seed=seed)), fields)


async def set_up(office: Office) -> None:
    """An address that is called back, a work group's robot, an extension number, a number that is
    sent nothing, and a plan that is paused before its first fire.
    """
    hook = {"url": "https://police.example.gov.cn/told", "events": ["run.finished"]}
    await office.ask("operator", "POST", "/webhooks", hook)
    group = {
        "kind": "wecom",
        "name": "值班群",
        "address": "https://police.example.gov.cn/webhook/send?key=synthetic",
        "kinds": ["late_list"],
    }
    await office.ask("operator", "POST", "/robots", group)
    county = (await office.ask("operator", "GET", "/me"))["department_id"]
    extension = {"extension": "96110"}
    await office.ask("admin", "POST", f"/departments/{county}/extensions", extension)
    never = {"phones": [NOBODYS], "reason": "opted_out", "note": "来电要求"}
    await office.ask("operator", "POST", "/suppressions", never)
    paused = await plan(office, "冬季防诈·已暂停")
    for who, act in (("operator", "submit"), ("approver", "approve"), ("operator", "pause")):
        await office.ask(who, "POST", f"/campaigns/{paused['id']}/{act}", {})


CASES = """周次,乡镇,村,诈骗类型,起数,损失
2026-W53,旌阳镇,,T01,6,88000
2026-W53,三溪镇,霍家桥村,T04,1,26300
"""


async def figures(office: Office) -> None:
    """A quarter of case figures with one week that has some, its bulletin, and a goal."""
    async with office.live.client("operator") as operator:
        await operator.upload("/cases/imports", CASES.encode(), {"weeks": "2026-W40..2026-W53"})
    await office.ask("operator", "POST", "/bulletins/2026-W53/issue", {})
    goal = {"key": "G2", "title": "全部电信网络诈骗下降20%", "target_change_pct": -20}
    body = {"items": [{**goal, "period": "Q1", "year": 2027}], "reason": "年度目标"}
    await office.ask("operator", "PUT", "/goals", body)


class Carrier(NamedTuple):
    """A carrier's own department. login: of its operator; block: of nobody's numbers."""

    login: str
    carrier: str
    name: str
    block: str


CARRIERS = (
    Carrier("mobile", "china_mobile", "移动分公司", "1979666"),
    Carrier("unicom", "china_unicom", "联通分公司", "1968666"),
    Carrier("telecom", "china_telecom", "电信分公司", "1908444"),
)
ASKED, RETURNS, TAKES = (one.login for one in CARRIERS)
BASE = 30
"""Subscribers of each."""
OFFERED = "凡是要求转账到安全账户的都是诈骗，请勿相信，有疑问请拨打96110。"


async def share(office: Office) -> None:
    """A plan that is asked of three carriers, of which one has taken its part and one has returned
    it, and two texts that are offered to them, one of them taken over and one withdrawn.
    """
    ids = {}
    for one in CARRIERS:
        people = ["手机号", *(f"{one.block}{number:04d}" for number in range(BASE))]
        ids[one.login] = await join(
            office, one.login, one.name, one.name, people, kind="carrier", carrier=one.carrier
        )
    await _joint_plan(office, list(ids.values()))
    reason = {"reason": "那天网络割接"}
    await office.ask(RETURNS, "POST", f"/legs/{await _leg(office, RETURNS)}/return", reason)
    await office.ask(TAKES, "POST", f"/legs/{await _leg(office, TAKES)}/take", {})
    withdrawn, stays = [await _offer(office, name) for name in ("安全账户·旧", "安全账户")]
    why = {"reason": "电话改了", "stop": False}
    await office.ask("approver", "POST", f"/offers/{withdrawn}/withdraw", why)
    signature = {"signature": CARRIERS[-1].name}
    await office.ask(TAKES, "POST", f"/offers/{stays}/take", signature)


async def _leg(office: Office, login: str) -> str:
    """The id of what a carrier is asked."""
    (leg,) = (await office.ask(login, "GET", "/legs"))["items"]
    return str(leg["id"])


async def _joint_plan(office: Office, departments: list[str]) -> None:
    text = {"name": "全县联合", "class": "public_interest", "text": TEXT}
    template = await office.ask("operator", "POST", "/templates", text)
    body = {
        "name": "全县联合反诈",
        "template_id": template["id"],
        "legs": [{"department_id": one} for one in departments],
        # In a month of its own: other pages count on what meets in January.
        "schedule": {"kind": "once", "start_at": "2027-03-17T14:00:00+08:00"},
    }
    made = await office.ask("operator", "POST", "/campaigns", body)
    await office.ask("operator", "POST", f"/campaigns/{made['id']}/submit", {})
    await office.ask("approver", "POST", f"/campaigns/{made['id']}/approve", {})


async def _offer(office: Office, name: str) -> str:
    """A text of the county that its approver offers to carriers; the offer's id."""
    body = {"name": name, "class": "public_interest", "text": f"【旌德县公安局】{OFFERED}"}
    template = await office.ask("operator", "POST", "/templates", body)
    path = f"/templates/{template['id']}"
    await office.ask("approver", "POST", f"{path}/approve", {"version": 1})
    offer = {"version": 1, "kinds": ["carrier"], "note": "可直接使用"}
    made = await office.ask("approver", "POST", f"{path}/offers", offer)
    return str(made["id"])


async def plan(
    office: Office, name: str, rule: str = FEW, text: str = TEXT.replace("拿不准", "拿不准的")
) -> Any:
    """A draft for some people, for tomorrow morning, with a text in its second version."""
    first = {"name": name, "class": "public_interest", "text": TEXT}
    template = await office.ask("operator", "POST", "/templates", first)
    await office.ask("operator", "POST", f"/templates/{template['id']}/versions", {"text": text})
    segment = await office.ask("operator", "POST", "/segments", {"name": name, "rule": rule})
    body = {
        "name": name,
        "template_id": template["id"],
        "segment_id": segment["id"],
        "schedule": {"kind": "once", "start_at": "2027-01-13T09:30:00+08:00"},
    }
    return await office.ask("operator", "POST", "/campaigns", body)
