"""The second part of the demo: one text of the county over the bases of three carriers.

Each carrier's own operator takes its leg; one returns it first. Some people are in two bases, as
they are where numbers were ported, and get the text once.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from service.local.demo import screen
from service.local.demo.client import DemoClient
from service.messages.template import load_library

PEOPLE, IN_TWO = 300, 40
"""Subscribers of each carrier, and how many of them another base has as well."""
STARTER = "S05"
LIMIT_SECONDS = 90.0


class DemoCarrier(NamedTuple):
    """A carrier of the demo: its word in files, and a block of nobody's numbers."""

    carrier: str
    name: str
    word: str
    block: str


CARRIERS = (
    DemoCarrier("china_mobile", "移动旌德分公司", "移动", "1979777"),
    DemoCarrier("china_unicom", "联通旌德分公司", "联通", "1968777"),
    DemoCarrier("china_telecom", "电信旌德分公司", "电信", "1908333"),
)


ReceiptsLeft = Callable[[Path], tuple[int, int]]
"""By the carrier's journal: parts that never get a receipt, and receipts still to come."""


async def broadcast_together(
    url: str, keys: dict[str, str], folder: Path, receipts_left: ReceiptsLeft
) -> list[str]:
    """Send one text over three bases; returns what does not add up."""
    silent, _ = receipts_left(folder)
    async with (
        DemoClient(url, keys["operator"]) as operator,
        DemoClient(url, keys["approver"]) as approver,
    ):
        carriers = [await _carrier(url, keys, one) for one in CARRIERS]
        plan_id = await _plan(operator, [department for department, _ in carriers])
        await operator.post(f"/campaigns/{plan_id}/submit", {})
        await approver.post(f"/campaigns/{plan_id}/approve", {})
        screen.line("联合任务已签发，等三家运营商各自接受 / approved, asked of three carriers")
        for number, (_, token) in enumerate(carriers):
            await _answer(url, token, operator, returns_first=number == 2)
        report = await _settle(operator, plan_id, lambda: _left(receipts_left(folder), silent))
    return _conclude(report, folder)


async def _carrier(url: str, keys: dict[str, str], of: DemoCarrier) -> tuple[str, str]:
    """A carrier's department with its base; returns its id, and its operator's token."""
    async with (
        DemoClient(url, keys["admin"]) as admin,
        DemoClient(url, keys["second_admin"]) as second,
    ):
        body = {"name": of.name, "kind": "carrier", "carrier": of.carrier}
        department = (await admin.post("/departments", body))["id"]
        who = {"department_id": department, "login": of.carrier, "name": of.name}
        user = await admin.post("/users", {**who, "roles": ["operator"]})
        grant = user["proposed"]["id"]
        await second.post(f"/users/{user['id']}/grants/{grant}/confirm", {})
        key = await admin.post("/keys", {"user_id": user["id"], "name": "demo"})
        await second.post(f"/keys/{key['id']}/activate", {})
    async with DemoClient(url, key["token"]) as own:
        fields = {"roster": "在网用户", "basis": "contract_hr"}
        accepted = await own.upload("/imports", _base(of).encode(), fields)
        while True:
            found = await own.get(f"/imports/{accepted['id']}")
            if found["state"] != "reading":
                break
            await asyncio.sleep(0.1)
    return department, key["token"]


def _base(of: DemoCarrier) -> str:
    """Its subscribers as a file: those of its own block, and some who came from another carrier,
    whose base has them still.
    """
    other = CARRIERS[(CARRIERS.index(of) + 1) % len(CARRIERS)]
    own = [f"{of.block}{number:04d}" for number in range(PEOPLE - IN_TWO)]
    came = [f"{other.block}{number:04d}" for number in range(IN_TWO)]
    return "\n".join(["手机号,运营商", *(f"{phone},{of.word}" for phone in (*own, *came))]) + "\n"


async def _plan(operator: DemoClient, departments: list[str]) -> str:
    starter = next(s for s in load_library() if s.id == STARTER)
    text = {"name": "全县：公检法", "class": starter.message_class, "text": starter.text}
    template = await operator.post("/templates", text)
    plan = await operator.post(
        "/campaigns",
        {
            "name": "全县反诈宣传",
            "template_id": template["id"],
            "legs": [{"department_id": department} for department in departments],
            "schedule": {"kind": "now", "send_hours": [["08:00", "20:00"]], "validity_minutes": 30},
        },
    )
    plan_id: str = plan["id"]
    return plan_id


async def _answer(url: str, token: str, office: DemoClient, *, returns_first: bool) -> None:
    async with DemoClient(url, token) as carrier:
        (leg,) = (await carrier.get("/legs"))["items"]
        if returns_first:
            await carrier.post(f"/legs/{leg['id']}/return", {"reason": "网络割接，请稍后"})
            await office.post(f"/legs/{leg['id']}/ask", {"reason": "割接已完成"})
        taken = await carrier.post(f"/legs/{leg['id']}/take", {})
    back = "（先退回一次）" if returns_first else ""
    screen.line(f"  {taken['department']} 已接受{back} / taken")


def _left(receipts: tuple[int, int], silent_before: int) -> int | None:
    """How many texts of the plan stay without a receipt; None: some are still to come."""
    silent, owed = receipts
    return None if owed else silent - silent_before


async def _settle(
    operator: DemoClient, plan_id: str, left: Callable[[], int | None]
) -> dict[str, Any]:
    """The plan's report, once every receipt that the carrier owes has come."""
    began = time.monotonic()
    while True:
        report = await operator.get(f"/campaigns/{plan_id}/report")
        states = Counter(report["total"]["states"])
        targets = [leg["target"] for leg in report["legs"]]
        sent = len(targets) == len(CARRIERS) and all(targets)
        sent = sent and not (states["queued"] or states["submitting"])
        if (sent and states["submitted"] == left()) or time.monotonic() - began > LIMIT_SECONDS:
            return report
        await asyncio.sleep(0.3)


def _conclude(report: dict[str, Any], folder: Path) -> list[str]:
    """Print the report of all legs, and hold it against the carrier's journal."""
    for leg in report["legs"]:
        elsewhere = leg["states"].get("suppressed", 0) + leg["excluded"].get("other_leg", 0)
        screen.line(
            f"  {leg['department']}：目标 {leg['target']}，到达 {leg['reached']}，"
            f"失败 {leg['failed']}，已由他方发送 {elsewhere}"
        )
    blocks = tuple(f"+86{one.block}" for one in CARRIERS)
    entries = map(json.loads, (folder / "simulator.journal").read_text().splitlines())
    got = Counter(
        entry["phone"]
        for entry in entries
        if entry["event"] == "submit" and entry["phone"].startswith(blocks)
    )
    people = len(CARRIERS) * (PEOPLE - IN_TWO)
    faults = []
    if sum(leg["target"] for leg in report["legs"]) != report["total"]["target"]:
        faults.append("the legs do not add up to the plan")
    if len(got) != people or max(got.values(), default=0) != 1:
        faults.append(f"{people} people, and the carrier has {len(got)}, of whom some twice")
    if not faults:
        screen.line(f"✓ {people} 人各收到一次 / each of {people} people once, over three bases")
    return faults
