"""`make demo`: one real broadcast through a fresh system, over HTTP, as two different persons.

A dirty county roster is imported, four segments and four campaigns are made from the starter
texts, one person submits and another approves, and the texts go out over TCP to the simulated
carrier under a TPS limit. Then one text of the county goes out over the bases of three carriers
(`joint`). Between the two a county's case figures are imported, a bulletin of them is issued, and
goals are shown (`figures`); then coverage by village, and a follow-up with a visit (`missed`). The
end is reports that add up, or an exit code that is not 0.
"""

import asyncio
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from service.audience.areas.area import packaged_areas
from service.clock import CHINA
from service.local.demo import screen
from service.local.demo.client import DemoClient
from service.local.demo.figures import show_figures
from service.local.demo.joint import broadcast_together
from service.local.demo.missed import show_missed
from service.local.demo.weekly import owe_reports, show_pack
from service.local.up import System, UpOptions, system
from service.messages.template import load_library

RECEIPT_SECONDS = 20.0
LIMIT_SECONDS = 170.0
DAY = datetime(2027, 4, 7, 9, 30, 30, tzinfo=CHINA)
"""A working day after the last week of the case figures; nothing covers a week that is to come.
Half a minute: the weekly reports are due at a full one.
"""


@dataclass(frozen=True, slots=True)
class DemoCampaign:
    """One campaign of the demo: who, by which rule, which starter text."""

    name: str
    rule: str
    starter: str


PLANS = (
    DemoCampaign("财务人员：冒充领导", "身份 = 财务人员", "S10"),
    DemoCampaign("学生家长：冒充老师", "身份 = 家长", "S14"),
    DemoCampaign("六十岁以上：养老金认证", "年龄 >= 60", "S09"),
    DemoCampaign("养老院家属：冒充医保", "身份 = 养老院家属", "S23"),
)
"""The carrier sends a receipt for each text of the last one, so that its run can be followed up."""


def run_demo(*, data: Path | None, file: Path | None, tps: int) -> int:
    """Run the demo; 0 if every run's report adds up and nothing is uncertain."""
    with _folder(data) as folder:
        options = UpOptions(
            data=folder,
            tps=tps,
            clock_start=DAY,
            max_delay=RECEIPT_SECONDS,
        )
        screen.line("启动 PostgreSQL、Valkey、API、工作进程和模拟运营商 / starting everything …")
        with system(options) as running:
            console, given = running.summary["console"], running.summary["logins"]
            screen.line(f"控制台 / the console, while this runs: {console}")
            if "operator" in given:
                screen.line(f"登录 / log in: operator, {given['operator']}")
            return asyncio.run(_broadcast(running, folder, _roster(file)))


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as name:
        yield Path(name) / "data"


async def _broadcast(running: System, folder: Path, roster: bytes) -> int:
    url, keys = running.summary["url"], running.summary["keys"]
    async with (
        DemoClient(url, keys["operator"]) as operator,
        DemoClient(url, keys["approver"]) as approver,
        DemoClient(url, keys["admin"]) as admin,
    ):
        obligation = await owe_reports(admin, operator)
        await _suppress(operator)
        await _import(operator, roster)
        campaigns = [await _plan(operator, plan) for plan in PLANS]
        for campaign in campaigns:
            await operator.post(f"/campaigns/{campaign}/submit", {})
        for campaign in campaigns:
            await approver.post(f"/campaigns/{campaign}/approve", {})
        count = len(campaigns)
        screen.line(
            f"{count} 个活动已由操作员提交、审批员批准 / submitted and approved by two persons"
        )
        runs = await _watch(operator, campaigns)
        reports = await _settle(operator, runs, folder)
        concluded = _conclude(reports, folder)
        figures = await show_figures(operator)
        missed = await show_missed(operator, approver, many=runs[2], few=runs[3])
    together = await broadcast_together(url, keys, folder, receipts_left)
    async with DemoClient(url, keys["operator"]) as operator:
        packed = await show_pack(operator, obligation)
    faults = [*concluded, *figures, *missed, *together, *packed]
    for fault in faults:
        screen.line(f"✗ {fault}")
    return 1 if faults else 0


def _roster(file: Path | None) -> bytes:
    return file.read_bytes() if file else (files("service.local.demo") / "county.csv").read_bytes()


async def _suppress(operator: DemoClient) -> None:
    text = (files("service.local.demo") / "optouts.csv").read_text("utf-8-sig")
    rows = [line.split(",")[0].strip() for line in text.splitlines()]
    phones = [row for row in rows if row.isdigit()]
    await operator.post("/suppressions", {"phones": phones, "reason": "opted_out"})
    screen.line(f"退订名单 {len(phones)} 个号码 / opt-outs")


async def _import(operator: DemoClient, content: bytes) -> None:
    began = time.monotonic()
    accepted = await operator.upload("/imports", content, {"roster": "全县通讯录", "basis": "duty"})
    while True:
        found = await operator.get(f"/imports/{accepted['id']}")
        if found["state"] != "reading":
            break
        await asyncio.sleep(0.1)
    screen.imported(found["report"], time.monotonic() - began)
    if found["state"] == "failed":
        raise SystemExit("the import failed: " + json.dumps(found["report"], ensure_ascii=False))


async def _plan(operator: DemoClient, plan: DemoCampaign) -> str:
    """Segment, template and campaign; returns the campaign's id."""
    starter = next(s for s in load_library() if s.id == plan.starter)
    segment = await operator.post("/segments", {"name": plan.name, "rule": plan.rule})
    template = await operator.post(
        "/templates",
        {"name": plan.name, "class": starter.message_class, "text": starter.text},
    )
    preview = await operator.post("/segments/preview", {"rule": plan.rule})
    screen.planned(plan.name, plan.rule, starter.text, preview, template)
    campaign = await operator.post(
        "/campaigns",
        {
            "name": plan.name,
            "template_id": template["id"],
            "segment_id": segment["id"],
            # Short, so that no text waits for hours to be tried again.
            "schedule": {
                "kind": "now",
                "send_hours": [["08:00", "20:00"]],
                "validity_minutes": 30,
            },
        },
    )
    campaign_id: str = campaign["id"]
    return campaign_id


async def _watch(operator: DemoClient, campaigns: list[str]) -> list[str]:
    """Show the progress until everything is handed off; returns the runs."""
    began = time.monotonic()
    runs: list[str] = []
    while True:
        if len(runs) < len(campaigns):
            pages = [await operator.get(f"/campaigns/{c}/runs") for c in campaigns]
            runs = [run["id"] for page in pages for run in page["items"]]
        reports = [await operator.get(f"/runs/{run}/report") for run in runs]
        states: Counter[str] = Counter()
        for report in reports:
            states.update(report["states"])
        screen.progress(states, time.monotonic() - began)
        sent = [report["state"] == "sent" for report in reports]
        if len(sent) == len(campaigns) and all(sent):
            screen.end_progress()
            return runs
        if time.monotonic() - began > LIMIT_SECONDS:
            raise SystemExit("the demo took too long; see the logs in the data folder")
        await asyncio.sleep(0.3)


async def _settle(operator: DemoClient, runs: list[str], folder: Path) -> list[dict[str, Any]]:
    """Wait for the receipts that the carrier owes, then take the reports."""
    screen.line("等待回执 / waiting for the last receipts …")
    deadline = time.monotonic() + RECEIPT_SECONDS + 20
    while True:
        reports = [await operator.get(f"/runs/{run}/report") for run in runs]
        waiting = sum(r["states"].get("submitted", 0) for r in reports)
        silent, owed = receipts_left(folder)
        if (not owed and waiting == silent) or time.monotonic() > deadline:
            return reports
        await asyncio.sleep(0.5)


def receipts_left(folder: Path) -> tuple[int, int]:
    """By the carrier's own journal: parts that never get a receipt, and receipts still to come."""
    open_parts: dict[str, bool] = {}
    for line in (folder / "simulator.journal").read_text().splitlines():
        entry = json.loads(line)
        if entry["event"] == "submit":
            open_parts[entry["id"]] = entry["due"] is None
        else:
            open_parts.pop(entry["id"], None)
    silent = sum(open_parts.values())
    return silent, len(open_parts) - silent


def _conclude(reports: list[dict[str, Any]], folder: Path) -> list[str]:
    """Print the reports; returns what does not add up."""
    names = {area.code: area.name for area in packaged_areas()}
    faults = []
    for plan, report in zip(PLANS, reports, strict=True):
        screen.report(plan.name, report, names)
        if report["target"] != sum(report["states"].values()):
            faults.append(f"{plan.name}: target is not the sum of the states")
        if report["states"].get("uncertain"):
            faults.append(f"{plan.name}: {report['states']['uncertain']} uncertain")
    waiting = sum(r["states"].get("submitted", 0) for r in reports)
    silent, owed = receipts_left(folder)
    screen.line(f"仍无回执 {waiting} 条，运营商不发回执 {silent} 条 / no receipt, none sent")
    if owed or waiting != silent:
        faults.append(f"{waiting} without receipt, but the carrier kept back {silent}, owes {owed}")
    if not faults:
        screen.line("✓ 目标 = 各状态之和；无不确定 / target = Σ states, nothing uncertain")
    return faults
