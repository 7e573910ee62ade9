"""The form of a list: to be printed, signed on both sides, and filed (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from service.audience.vocabulary.choices import CARRIERS
from service.clock import written
from service.delivery.list_files.list_file_store import ListFile

_CLASSES = {
    "public_interest": "公益宣传 public interest",
    "service": "工作通知 service",
    "warning": "预警 warning",
}


ListHours = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HandedText:
    """A text of a list. plan: its campaign or joint plan. lines: to how many people.

    hours: by day in Beijing, when it may be sent. sha256: of the text in UTF-8. approved_sha256:
    what the approvals of its campaign bind.
    """

    plan: str
    text: str
    sha256: str
    approved_sha256: str | None
    message_class: str
    rule_zh: str
    rule_en: str
    hours: Mapping[str, ListHours]
    valid_until: datetime | None
    lines: int

    def as_json(self, zone: ZoneInfo) -> dict[str, Any]:
        """As texts.json has it."""
        return {
            "plan": self.plan,
            "text": self.text,
            "text_sha256": self.sha256,
            "approved_sha256": self.approved_sha256,
            "class": self.message_class,
            "rule": {"zh": self.rule_zh, "en": self.rule_en},
            "hours": {day: [list(span) for span in spans] for day, spans in self.hours.items()},
            "valid_until": written(self.valid_until, zone) if self.valid_until else None,
            "lines": self.lines,
        }


def form(list_file: ListFile, texts: Sequence[HandedText], zone: ZoneInfo) -> str:
    """The form in Chinese and English, as a page of HTML without anything from elsewhere."""
    carrier = CARRIERS.get(list_file.carrier, list_file.carrier).split()[0]
    blocks = "\n".join(_block(number, text, zone) for number, text in enumerate(texts, 1))
    return f"""<!DOCTYPE html>
<html lang="zh-CN"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>短信名单移交单</title>
<style>body{{font-family:sans-serif;max-width:46em;margin:2em auto;padding:0 1em;line-height:1.5}}
table{{border-collapse:collapse;width:100%;margin:1em 0}}
th,td{{border:1px solid #444;padding:.4em .6em;text-align:left;vertical-align:top}}
th{{width:9em;font-weight:normal;background:#f2f2f2}}td{{overflow-wrap:anywhere;white-space:pre-line}}</style></head><body>
<h1>短信名单移交单 <small>Hand-over of a list</small></h1>
<table>
{_row("名单编号 List", str(list_file.id))}
{_row("运营商 Carrier", carrier)}
{_row("通道 Channel", list_file.channel)}
{_row("生成时间 Drawn at", _minute(list_file.drawn_at, zone))}
{_row("人数 People", f"{sum(text.lines for text in texts):,}")}
</table>
{blocks}
<p>同一编号的名单只发送一次；时段之外、有效期之后不发送；
发送后在 list.csv 填写状态、原因、时间并交回。<br>
A list of one number is sent once. Nothing is sent outside the hours or after the validity. After
sending, fill in 状态, 原因 and 时间 in list.csv and give it back.</p>
<table><tr><th>移交人 Handed over by</th><td>&nbsp;</td><th>日期 Date</th><td>&nbsp;</td></tr>
<tr><th>接收人 Received by</th><td>&nbsp;</td><th>日期 Date</th><td>&nbsp;</td></tr></table>
</body></html>
"""


def _block(number: int, text: HandedText, zone: ZoneInfo) -> str:
    hours = "\n".join(f"{day} {_spans(spans)}" for day, spans in text.hours.items())
    until = _minute(text.valid_until, zone) if text.valid_until else "—"
    rows = (
        ("任务 Plan", text.plan),
        ("类别 Class", _CLASSES.get(text.message_class, text.message_class)),
        ("短信内容 Text", text.text),
        ("内容 SHA-256", text.sha256),
        ("审批 SHA-256 Approved", text.approved_sha256 or "—"),
        ("发送对象 To whom", f"{text.rule_zh}\n{text.rule_en}".strip() or "—"),
        ("发送时段 Hours", hours or "—"),
        ("有效期至 Valid until", until),
        ("人数 People", f"{text.lines:,}"),
    )
    cells = "\n".join(_row(name, value) for name, value in rows)
    return f"<h2>短信 Text {number}</h2>\n<table>\n{cells}\n</table>"


def _minute(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _spans(spans: ListHours) -> str:
    return ", ".join(f"{start}–{end}" for start, end in spans) or "不发送 none"


def _row(name: str, value: str) -> str:
    return f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
