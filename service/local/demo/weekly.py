"""The last part of the demo: units owe a weekly report, one hands it in, and the county's pack of
all of them is built, taken and verified.
"""

import asyncio
import io
import time
import zipfile
from datetime import datetime, timedelta
from typing import Any

from service.local.demo import screen
from service.local.demo.client import DemoClient
from service.reports.verify_evidence import faults

UNITS = (("旌阳镇", "town"), ("三溪镇", "town"), ("县教育局", "education"))
"""Beside the county's own office; they hand nothing in."""
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
SOONEST = timedelta(seconds=3)
PACK_SECONDS = 170.0
LOOK_SECONDS = 0.5


async def owe_reports(admin: DemoClient, operator: DemoClient) -> str:
    """Let units owe a report by the next full minute; returns the id of the obligation."""
    for name, kind in UNITS:
        await admin.post("/departments", {"name": name, "kind": kind})
    now = datetime.fromisoformat((await operator.get("/duties/late"))["as_of"])
    due = (now + SOONEST).replace(second=0, microsecond=0) + timedelta(minutes=1)
    asked = {
        "kinds": sorted({"county", *(kind for _, kind in UNITS)}),
        "kind": "weekly_report",
        "title": "反诈周报",
        "period": "week",
        "due": {"weekday": WEEKDAYS[due.weekday()], "time": f"{due:%H:%M}"},
        "shift": "none",
    }
    made = await operator.post("/obligations", asked)
    screen.line(
        f"周报任务：{len(UNITS) + 1} 家单位，{due:%H:%M} 截止，一分钟后生成汇总包"
        " / units owe a weekly report; the pack follows a minute after the deadline"
    )
    return str(made["id"])


async def show_pack(operator: DemoClient, obligation: str) -> list[str]:
    """Hand in the county office's report, wait for the pack, verify it; what is not as it must."""
    deadline = time.monotonic() + PACK_SECONDS
    mine = f"/duties?mine=true&obligation={obligation}"
    while not (owed := (await operator.get(mine))["items"]):
        if time.monotonic() > deadline:
            return ["weekly report: nobody made the duty"]
        await asyncio.sleep(LOOK_SECONDS)
    (duty,) = owed
    handed = await operator.post(
        f"/duties/{duty['id']}/submit", {"narrative": "四类人群宣传短信已发送，漏发的人已走访。"}
    )
    while (pack := await _built(operator, duty["period"])) is None:
        if time.monotonic() > deadline:
            return ["weekly report: the pack was not built"]
        await asyncio.sleep(LOOK_SECONDS)
    archive = await operator.download(f"/reports/weekly/pack?week={duty['period']}")
    key = bytes.fromhex((await operator.get("/evidence-key"))["public_key"])
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        found, names = faults(opened, key), opened.namelist()
    late = (
        "按时 / in time"
        if not handed["late_minutes"]
        else f"迟 {handed['late_minutes']} 分钟 / late"
    )
    missing = pack["units"] - pack["handed_in"]
    screen.line(
        f"周报汇总包 {pack['week']} 第{pack['version']}版：{pack['units']} 家单位，"
        f"已报送 {pack['handed_in']} 家（{late}），未报送 {missing} 家仅列自动汇总数据；"
        f"{'、'.join(names)}；{'签名核验通过' if not found else '核验不通过'}"
        " / the county's pack, verified by the script that is in it"
    )
    return [f"weekly report: {fault}" for fault in found]


async def _built(operator: DemoClient, week: str) -> dict[str, Any] | None:
    """The pack that has the report, once it is built."""
    listed = (await operator.get(f"/reports/weekly/packs?week={week}"))["items"]
    return next((one for one in listed if one["state"] == "built" and one["handed_in"]), None)
