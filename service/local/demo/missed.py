"""The part of the demo on whom texts have missed: coverage by village, and a follow-up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from service.errors import TocsinError
from service.local.demo import screen
from service.local.demo.client import DemoClient

TOWN, TOWN_CODE = "白地镇", "341825104000"
COUNT_SECONDS = 90.0
"""An open run is counted each minute."""
SETTLE_SECONDS = 30.0


async def show_missed(operator: DemoClient, approver: DemoClient, many: str, few: str) -> list[str]:
    """Show a run's coverage by village; try those whom another one missed, and sign for them.

    many: a run to a large audience; few: one whose texts all have their receipts. Returns what did
    not come out as it must.
    """
    return [*await _cover(operator, many), *await _follow_up(operator, approver, few)]


async def _cover(operator: DemoClient, run: str) -> list[str]:
    url = f"/reports/coverage?run={run}&level=village&area={TOWN_CODE}&denominator=residents"
    found = await _until(lambda: _if_there(operator, url), COUNT_SECONDS)
    if found is None:
        return ["coverage was not counted"]
    screen.line(f"{TOWN}各村覆盖率 / coverage by village: 到达 ÷ 居民 reached ÷ residents")
    for row in found["areas"]:
        screen.line(
            f"  {row['name'] or row['area']:　<6} 应覆盖 {row['denominator'] or '?':>6}"
            f"  在册 {row['on_file']:>4}  到达 {row['reached']:>4}  覆盖率 {row['coverage_pct']} %"
        )
    total = found["total"]
    ends = ("reached", "told", "open", "unknown", "failed", "stopped", "excluded")
    add_up = total["on_file"] == sum(total[end] for end in ends)
    return [] if add_up else ["coverage: on_file is not the sum of its outcomes"]


async def _follow_up(operator: DemoClient, approver: DemoClient, run: str) -> list[str]:
    made = await _until(lambda: _if_begun(operator, run), SETTLE_SECONDS)
    if made is None:
        return ["no follow-up could be begun: the run is not settled"]
    path = f"/followups/{made['id']}"
    found = await _until(lambda: _if_visiting(operator, path), SETTLE_SECONDS)
    if found is None:
        return ["the follow-up made no list of visits"]
    screen.line(f"补漏 / follow-up: {found['missed']} 人未到达 missed, {found['states']}")
    village = min(found["villages"], key=lambda row: (row["people"], row["area"]))
    area = {"area": village["area"]}
    taken = await operator.post(f"{path}/visits/list", area | {"reason": "演示 / demo"})
    screen.line(f"入户名单 / visit list: {village['name'] or village['area']}")
    for visit in taken["items"]:
        screen.line(f"  □ {visit['name']}  {visit['phone']}  {visit['reason']}")
        told = {"key": str(uuid4()), "result": "told"}
        await operator.post(f"/visits/{visit['id']}/result", told)
    await approver.post(f"{path}/sign-off", area)
    found = await operator.get(path)
    told_now = found["states"].get("told", 0)
    screen.line(f"已当面告知 {told_now}，由另一人签字 / told face to face, signed by another")
    faults = []
    if found["missed"] != sum(found["states"].values()):
        faults.append("follow-up: missed is not the sum of the states")
    if told_now != len(taken["items"]):
        faults.append("follow-up: not everybody on the list was told")
    return faults


async def _until(
    ask: Callable[[], Awaitable[dict[str, Any] | None]], seconds: float
) -> dict[str, Any] | None:
    """What `ask` finds, asked until it finds something; None: not in time."""
    deadline = time.monotonic() + seconds
    while (found := await ask()) is None:
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(0.5)
    return found


async def _if_there(operator: DemoClient, url: str) -> dict[str, Any] | None:
    try:
        return await operator.get(url)
    except TocsinError:  # it was not counted yet
        return None


async def _if_begun(operator: DemoClient, run: str) -> dict[str, Any] | None:
    try:
        return await operator.post("/followups", {"run": run, "steps": ["visit"]})
    except TocsinError:  # not every receipt is counted yet
        return None


async def _if_visiting(operator: DemoClient, path: str) -> dict[str, Any] | None:
    found = await operator.get(path)
    visits = found["states"].get("open", 0)
    return found if visits and visits == found["missed"] else None
