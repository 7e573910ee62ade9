"""The figures part of the demo: 66 weeks of cases, the bulletin of one of them, and the goals."""

from importlib.resources import files
from typing import Any

from service.local.demo import screen
from service.local.demo.client import DemoClient

COVER = "2026-W01..2027-W13"
WEEK = "2027-W03"
GOALS = (
    ("G1", "四类高发案件一季度下降10%", ["T01", "T02", "T04", "T05"], "Q1", -10),
    ("G2", "全部电信网络诈骗一季度下降20%", None, "Q1", -20),
    ("G3", "全部电信网络诈骗全年下降30%", None, "YEAR", -30),
)
COLOURS = {
    "green": "达标 / met",
    "grey": "达标，但不能排除偶然 / met, but chance cannot be ruled out",
    "red": "未达标 / not met",
    "unknown": "未知 / unknown",
}


async def show_figures(operator: DemoClient) -> list[str]:
    """Import cases, issue a bulletin, show the goals; what did not come out as it must."""
    content = (files("service.local.demo") / "cases.csv").read_bytes()
    made = await operator.upload("/cases/imports", content, {"weeks": COVER})
    rows, sums = made["report"]["rows"], made["report"]["figures"]
    screen.line(
        f"发案数据：读入 {rows['read']} 行 = 接受 {rows['accepted']} + 拒绝 {rows['rejected']}"
        f" + 跳过 {rows['skipped']}，{sums['cases']} 起 / case figures"
    )
    bulletin = await operator.post(f"/bulletins/{WEEK}/issue", {})
    shown = await operator.get(f"/bulletins/{WEEK}/public")
    screen.line(
        f"警情通报{bulletin['number']}：{bulletin['cases']} 起；公众可见"
        f" {shown['cases']} 起，谨防{'、'.join(shown['kinds'])} / the bulletin of {WEEK} is issued"
    )
    items = [
        {"key": key, "title": title, "fraud_types": types, "period": period, "year": 2027}
        | {"target_change_pct": target}
        for key, title, types, period, target in GOALS
    ]
    await operator.put("/goals", {"items": items, "reason": "演示 / demo"})
    goals = (await operator.get("/goals"))["items"]
    for goal in goals:
        screen.line(_said(goal))
    add_up = rows["read"] == rows["accepted"] + rows["rejected"] + rows["skipped"]
    return [] if add_up and shown["cases"] == bulletin["cases"] else ["case figures do not add up"]


def _said(goal: dict[str, Any]) -> str:
    low, high = goal["cases_interval_pct"] or ("?", "?")
    return (
        f"目标 {goal['key']} {goal['title']}：{goal['cases']} / {goal['cases_last_year']} 起，"
        f"{goal['cases_change_pct']} %（{low} … {high}），损失 {goal['loss_change_pct']} %："
        f"{COLOURS[goal['colour']]}"
    )
