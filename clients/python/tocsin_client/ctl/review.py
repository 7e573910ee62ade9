"""What an approval binds, before it is given: all texts, the rule in words, when, over what.

An approver answers for every word that leaves. Everything is read once more before the question,
and the approval is refused here if another content waits by the time it is answered.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tocsin_client import Tocsin, TocsinError
from tocsin_client.ctl import fires
from tocsin_client.ctl.parser import Options
from tocsin_client.ctl.screen import Screen, cell, member, say

Facts = Mapping[str, Any]


class Unread(TocsinError):
    """What would be approved is not what a person has read."""


async def read(tocsin: Tocsin, campaign_id: str) -> tuple[Facts, list[str]]:
    """A campaign, and what its approval binds, as lines for a person."""
    campaign: Facts = await tocsin.campaigns.get(campaign_id)
    preview: Facts = await tocsin.campaigns.preview(campaign_id)
    rule = campaign["frozen_rule"]
    words = await tocsin.segments.explain(rule) if rule else None
    people = {user["id"]: user["name"] async for user in tocsin.each("/users")}
    names = {channel["id"]: channel["name"] async for channel in tocsin.channels.list()}
    lines = [
        *_head(campaign, people),
        *_texts(campaign, preview),
        *_audience(campaign, preview, words),
        *_time(campaign, preview),
        *_ways(campaign, names),
    ]
    return campaign, lines


async def ask(tocsin: Tocsin, o: Options, screen: Screen) -> bool:
    """Show what is to be approved, and ask; with `--yes` it is shown, and nobody is asked.

    Raises:
        Unread: nobody can be asked, for there is no terminal or a program reads the answer, and
            `--yes` is not given; or the campaign was changed while it was read.
    """
    if not o.yes and (screen.as_json or not sys.stdin.isatty()):
        raise Unread(say(
            "nobody can be asked here: read it with `campaigns review`, then add --yes",
            "此处无法询问：请先用 campaigns review 审阅，或加 --yes",
        ))  # fmt: skip
    if screen.as_json:
        return True
    campaign, lines = await read(tocsin, o.id)
    screen.text(lines)
    if o.yes:
        return True
    question = say("Approve this? Write yes: ", "批准以上内容吗？请输入 yes：")
    try:
        answer = await asyncio.to_thread(input, question)
    except EOFError:
        return False
    agreed = answer.strip().lower() in {"yes", "y", "是", "批准"}
    now = await tocsin.campaigns.get(o.id)
    if agreed and now.get("content_hash") != campaign["content_hash"]:
        raise Unread(say(
            "it was changed while you read it; read it again", "审阅期间内容已被修改，请重新审阅"
        ))  # fmt: skip
    return agreed


def _head(campaign: Facts, people: Mapping[str, str]) -> Iterator[str]:
    yield say(f"Campaign {campaign['name']}", f"任务 {campaign['name']}") + f"  {campaign['id']}"
    yield _line("state", "状态", member("state", campaign["state"]))
    yield _line("class", "类别", member("class", campaign["class"]))
    yield _line("priority", "优先级", member("priority", campaign["priority"]))
    by = people.get(campaign["submitted_by"] or "", campaign["submitted_by"])
    yield _line("submitted by", "提交人", f"{cell(by)}  {cell(campaign['submitted_at'])}")
    if campaign["pending_until"]:
        yield _line("to be approved until", "签发截止", campaign["pending_until"])
    if campaign["drill"]:
        yield _line("drill", "演练", say("yes: no real number", "是：不发真实号码"))
    if campaign["corrects"]:
        yield _line("corrects the run", "更正批次", campaign["corrects"])


def _texts(campaign: Facts, preview: Facts) -> Iterator[str]:
    judged = [preview, *preview["more_texts"]]
    texts = [campaign, *campaign["more_texts"]]
    for number, (text, found) in enumerate(zip(texts, judged, strict=True), 1):
        after = text.get("after_days")
        later = say(f", {after} days later", f"，{after} 天后") if after else ""
        size = say(
            f"{found['characters']} characters, {found['parts']} parts, {found['encoding']}",
            f"{found['characters']} 字，{found['parts']} 条，{found['encoding']}",
        )
        yield say(f"── Text {number}{later} ({size})", f"── 短信 {number}{later}（{size}）")
        for line in str(text["text"]).splitlines():
            yield cell(line)
        if text["values"]:
            given = "  ".join(f"{name}={value}" for name, value in text["values"].items())
            yield _line("values of the plan, in the text", "任务填入正文的内容", given)
        if found["variables"]:
            yield _line("variables", "变量", found["variables"])
        if not found["lint"]:
            yield _line("lint", "审查", say("nothing found", "未发现问题"))
        for finding in found["lint"]:
            where = say(f"character {finding['at']}", f"第 {finding['at']} 字")
            level = member("level", finding["level"])
            told = f"{finding['rule']} {level}  {where}  {finding['message']}"
            yield _line("lint", "审查", told)


def _audience(campaign: Facts, preview: Facts, words: Any) -> Iterator[str]:
    yield say("── To whom", "── 发给谁")
    yield _line("rule", "规则", campaign["frozen_rule"])
    if words:
        yield _line("in words", "含义", words[say("english", "chinese")])
    yield _line("people at submission", "提交时人数", campaign["baseline"])
    yield _line("people at the next fire", "下次发送人数", preview["target"])
    yield _line("left out of it", "下次排除", preview["excluded"])
    towns = {preview["area_names"].get(code, code): n for code, n in preview["by_area"].items()}
    yield _line("by town", "按乡镇", towns)
    yield _line("by carrier", "按运营商", preview["by_carrier"])
    if preview["caps"]["capped"]:
        yield _line("have had enough then", "届时达接收上限", preview["caps"]["capped"])


_KINDS = {
    "now": ("at once, when approved", "批准后立即"),
    "once": ("once", "一次"),
    "recurring": ("again and again", "周期"),
    "joining": ("to whoever newly has a role", "向新增人员"),
}
_OVER_CAP = {
    "defer": ("wait", "顺延"),
    "stop": ("are left out", "不发"),
    "send": ("are sent to all the same", "照发"),
}
_LATE = {
    "run": ("it fires late", "照发"),
    "hold": ("it waits for a release", "等待放行"),
    "skip": ("it is left out", "不发"),
}


def schedule_lines(schedule: Facts) -> Iterator[str]:
    """When a plan is sent, by its schedule."""
    yield say("── When", "── 何时")
    yield _line("kind", "方式", say(*_KINDS.get(schedule["kind"], (schedule["kind"],) * 2)))
    for name, chinese in (
        ("start_at", "开始"), ("rrule", "重复规则"), ("dates", "日期"), ("until", "截止"),
        ("roles", "身份"),
    ):  # fmt: skip
        if schedule.get(name):
            yield _line(name, chinese, schedule[name])
    hours = "  ".join(f"{start}–{end}" for start, end in schedule["send_hours"])
    yield _line("hours", "时段", f"{hours}  {schedule['timezone']}")
    if schedule["beyond_hours"]:
        yield _line("beyond the county's hours", "超出县定时段", True)
    if schedule["kind"] == "recurring":
        yield _line("days", "适用日", member("days", schedule["days"]))
        yield _line("on a holiday", "遇节假日", member("holidays", schedule["holidays"]))
    yield _line("on quiet days", "静默日", member("quiet_days", schedule["quiet_days"]))
    yield _line("if late", "错过时", say(*_LATE.get(schedule["late"], (schedule["late"],) * 2)))
    minutes = schedule["validity_minutes"]
    yield _line("of use for", "有效期", say(f"{minutes} minutes", f"{minutes} 分钟"))


def _time(campaign: Facts, preview: Facts) -> Iterator[str]:
    yield from schedule_lines(campaign["schedule"])
    if any(campaign["period"].values()):
        yield _line("period", "期间", campaign["period"])
    for fire in campaign["next_fires"]:
        yield _line("fires", "触发", {name: fire[name] for name in ("at", "note") if fire[name]})
    if estimate := preview["estimate"]:
        shown = {name: estimate[name] for name in ("sends_from", "finishes_at", "in_time")}
        yield _line("foreseen", "预计", shown)
    forecast = campaign.get("forecast")
    if forecast and forecast["fires"]:
        yield _line("foretold at submission", "提交时预测", "")
        yield from (f"  {line}" for line in fires.forecast_lines(forecast))
        yield from (f"  {line}" for line in fires.loss_lines(forecast))
    for note in fires.note_lines(campaign["schedule_notes"], forecast):
        yield _line("note", "提示", note)


def _ways(campaign: Facts, names: Mapping[int, str]) -> Iterator[str]:
    yield say("── Over what", "── 怎样发")
    chosen = campaign["channels"]
    ways = say("all that may", "自动") if chosen == "auto" else [
        f"{one} {names.get(one, '')}".strip() for one in chosen
    ]  # fmt: skip
    yield _line("channels", "通道", ways)
    if campaign["max_tps"]:
        yield _line("at most a second", "每秒上限", campaign["max_tps"])
    over = campaign["over_cap"]
    yield _line("who had enough texts", "达接收上限者", say(*_OVER_CAP.get(over, (over,) * 2)))
    own = {name: value for name, value in campaign["safety"].items() if value is not None}
    if own:
        yield _line("safety", "自动暂停条件", own)
    yield _line("content", "内容指纹", campaign["content_hash"])


def _line(english: str, chinese: str, value: object) -> str:
    return f"  {say(f'{english}: ', f'{chinese}：')}{cell(value)}"
