"""What the demo shows: plain lines, a progress bar, and the report as tables."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from service.ledger.states import NOT_HANDED_OFF

WIDTH = 40
_CARRIERS = {
    "china_mobile": "中国移动",
    "china_unicom": "中国联通",
    "china_telecom": "中国电信",
    "china_broadnet": "中国广电",
}


def line(text: str) -> None:
    """One line."""
    print(text, flush=True)  # noqa: T201


def imported(report: Mapping[str, Any], seconds: float) -> None:
    """What the import found."""
    if "rows" not in report:
        return
    rows, recipients = report["rows"], report["recipients"]
    line(
        f"导入 {rows['read']} 行，{seconds:.1f} 秒：接受 {rows['accepted']}，"
        f"拒绝 {rows['rejected']}，重复 {rows['duplicate']}，跳过 {rows['skipped']}；"
        f"人数 {recipients['total']}，"
        f"其中退订 {recipients['suppressed']}"
    )


def planned(
    name: str, rule: str, text: str, preview: Mapping[str, Any], template: Mapping[str, Any]
) -> None:
    """One campaign before it is approved."""
    line(f"\n活动 {name}\n  规则 {rule}\n  文本 {text}")
    line(
        f"  每条 {template['parts']} 段；目标 {preview['target']} 人，排除 {preview['excluded']}，"
        f"例 {preview['sample'][0]['phone'] if preview['sample'] else '-'}"
    )


def progress(states: Counter[str], seconds: float) -> None:
    """The bar: sent, left, rate, estimated time."""
    total = states.total()
    left = sum(states[state] for state in NOT_HANDED_OFF)
    sent = total - left
    rate = sent / seconds if seconds else 0.0
    eta = left / rate if rate else 0.0
    filled = WIDTH * sent // total if total else 0
    bar = "█" * filled + "·" * (WIDTH - filled)
    text = f"[{bar}] 已发 {sent} 剩余 {left} 速率 {rate:.0f}/s 预计 {eta:.0f}s"
    if sys.stdout.isatty():
        print(f"\r{text}\x1b[K", end="", flush=True)  # noqa: T201
    elif total and int(seconds * 10 / 3) % 10 == 0:
        line(text)


def end_progress() -> None:
    """Leave the bar."""
    if sys.stdout.isatty():
        line("")


def report(name: str, figures: Mapping[str, Any], areas: Mapping[str, str]) -> None:
    """One run's report by state, carrier, town and reason."""
    line(f"\n══ {name} ══")
    line(
        f"目标 {figures['target']}  到达 {figures['reached']}  "
        f"({_share(figures['reached'], figures['target'])})  段数 {figures['parts']}  "
        f"排除 {figures['excluded']}"
    )
    line("状态   " + "  ".join(f"{s} {n}" for s, n in sorted(figures["states"].items())))
    line("原因   " + "  ".join(f"{r} {n}" for r, n in sorted(figures["by_reason"].items())))
    _groups("运营商", figures["by_carrier"], _CARRIERS)
    _groups("乡镇", figures["by_area"], areas)


def _groups(title: str, groups: Mapping[str, Any], names: Mapping[str, str]) -> None:
    line(f"{title}")
    for key, group in groups.items():
        label = names.get(key, "未知" if key == "none" else key)
        padding = "　" * max(0, 6 - len(label))
        line(
            f"  {label}{padding} 目标 {group['target']:>6}  到达 {group['reached']:>6}  "
            f"{_share(group['reached'], group['target'])}"
        )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:5.1f} %" if whole else "  –  "
