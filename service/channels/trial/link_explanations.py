"""What people are told of a channel's links, in Chinese and in English (pure).

The words of a loss come from the session or the carrier; those that are ours have Chinese here, and
others are quoted as they are.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from service.channels.config.connection_store import ConnectionHealth
from service.channels.contract.gateway import Refused
from service.channels.links.logins import CALM, Ending, EndingKind
from service.channels.links.refusals_store import ListenerRefusals


class LinkExplanation(NamedTuple):
    """The same said in Chinese and in English."""

    zh: str
    en: str

    def then(self, other: "LinkExplanation") -> "LinkExplanation":
        """This, and the other behind it."""
        return LinkExplanation(self.zh + other.zh, self.en + other.en)


REASONS: Mapping[str, str] = {
    "closed by the other side": "对方关闭了连接",
    "no sign of life from the other side": "对方毫无响应",
    "the other side logged out": "对方主动退出",
    "logged out": "已退出登录",
    "closing took too long": "关闭超时",
    "the other side answers requests that were never made": "对方不断应答本方从未发出的请求",
    "the other side does not read what is sent to it": "对方不读取本方发出的数据",
    "nobody knows why": "原因不明",
    "not logged in": "未登录",
    "the credentials were refused": "账号密码被拒绝",
}
"""Reasons of ours for the end of a link, in Chinese."""

_HOW: Mapping[EndingKind, LinkExplanation] = {
    "closed": LinkExplanation(
        "运营商接受登录，{lived_zh}后即断开（{why_zh}）",
        "The carrier accepts the login and closes after {lived_en} ({why})",
    ),
    "lost": LinkExplanation(
        "连接在 {lived_zh}后中断（{why_zh}）", "The connection was lost after {lived_en} ({why})"
    ),
    "refused": LinkExplanation(
        "运营商拒绝登录（{why_zh}）", "The carrier refuses the login ({why})"
    ),
    "unparseable": LinkExplanation(
        "对方说的不是本协议（{why_zh}）", "What answers is something else ({why})"
    ),
    "unreachable": LinkExplanation(
        "连不上运营商（{why_zh}）", "The carrier cannot be reached ({why})"
    ),
}
_REFUSED: Mapping[Refused, LinkExplanation] = {
    Refused.STRANGER: LinkExplanation(
        "自 {since} 起拒绝了 {times} 次连接：来源地址（最近为 {address}）不在 listen_addresses 中",
        "Connections refused {times} times since {since}: their address, last {address}, is not "
        "in listen_addresses",
    ),
    Refused.DISPLACED: LinkExplanation(
        "自 {since} 起关闭了 {times} 条未登录的连接：同一地址（最近为 {address}）未登录的连接过多",
        "{times} connections without a login closed since {since}: too many of one address, last "
        "{address}",
    ),
    Refused.WRONG_LOGIN: LinkExplanation(
        "自 {since} 起 {times} 次登录的用户名或密码不符，最近来自 {address}",
        "A wrong name or password {times} times since {since}, last from {address}",
    ),
    Refused.LOCKED_OUT: LinkExplanation(
        "自 {since} 起有 {times} 次登录未经核对即被拒绝：该地址（最近为 {address}）"
        "此前错误过多，约十分钟后再核对",
        "Logins refused unread {times} times since {since}: too many wrong ones from their "
        "address, last {address}; it is heard again after ten minutes",
    ),
}
"""What a listener refused; never what would have been right."""

_UP = LinkExplanation("{up}/{all} 条连接在线", "{up} of {all} connections up")
_TIMES = LinkExplanation("，自 {since} 起 {losses} 次", ", {losses} times since {since}")
_ONCE = LinkExplanation("，{since} 1 次", ", once at {since}")
_BACK = LinkExplanation(
    "自 {since} 起断开 {losses} 次，最近一次 {at}（{why_zh}）",
    "Lost {losses} times since {since}, last at {at} ({why})",
)
_NEXT = LinkExplanation("；下次尝试 {next}", "; next try at {next}")
_END = LinkExplanation("。", ".")

_UNITS = ((86_400, "天", "days"), (3_600, "小时", "hours"), (60, "分钟", "minutes"))


def accepted_and_closed(why: str, lived: float) -> LinkExplanation:
    """A login that was accepted, and the end of its link in the next moment."""
    return _filled(_HOW["closed"], why, lived)


def not_logged_in(ending: Ending) -> LinkExplanation:
    """A login that did not come about; in English as the gateway said it."""
    return LinkExplanation(_filled(_HOW[ending.how], ending.why).zh, ending.why)


def losses(
    connections: Sequence[ConnectionHealth], next_at: datetime | None, now: datetime, zone: ZoneInfo
) -> LinkExplanation:
    """How the links of a channel do: how many are up, and what became of those that are not.

    next_at: when one logs in again, if one waits for that. zone: in which times are given.
    """
    up = sum(connection.state == "up" for connection in connections)
    said = _filled(_UP, up=up, all=len(connections))
    gone = recent(connections, now)
    if not gone:
        return said.then(_END)
    last = max(gone, key=lambda c: c.lost_at or now)
    since = _time(min(c.losing_since or now for c in gone), now, zone)
    count = sum(c.losses for c in gone)
    said = said.then(_END).then(LinkExplanation("", " "))
    if all(connection.state == "up" for connection in gone):
        at = _time(last.lost_at or now, now, zone)
        return said.then(_filled(_BACK, last.lost_why, losses=count, since=since, at=at)).then(_END)
    lived = (last.lived_ms or 0) / 1000
    said = said.then(_filled(_HOW[last.lost_how or "lost"], last.lost_why, lived))
    said = said.then(_filled(_ONCE if count == 1 else _TIMES, losses=count, since=since))
    if next_at is not None:
        said = said.then(_filled(_NEXT, next=_time(next_at, now, zone, seconds=True)))
    return said.then(_END)


def refused(refusal: ListenerRefusals, now: datetime, zone: ZoneInfo) -> LinkExplanation:
    """What a listener refused, and how often."""
    since = _time(refusal.since, now, zone)
    said = _REFUSED[refusal.why]
    return _filled(said, times=refusal.times, address=refusal.address, since=since).then(_END)


def recent(connections: Sequence[ConnectionHealth], now: datetime) -> list[ConnectionHealth]:
    """The connections that lost a link or a login of late."""
    return [c for c in connections if c.lost_at is not None and c.lost_at > now - CALM]


def _filled(
    said: LinkExplanation, why: str = "", lived: float = 0.0, **facts: object
) -> LinkExplanation:
    zh, en = _span(lived)
    words = {"why": why, "why_zh": REASONS.get(why, why), "lived_zh": zh, "lived_en": en, **facts}
    return LinkExplanation(said.zh.format(**words), said.en.format(**words))


def _span(seconds: float) -> LinkExplanation:
    if seconds < 120:
        number = f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"
        return LinkExplanation(f"{number} 秒", f"{number} s")
    unit, zh, en = next(u for u in _UNITS if seconds >= 2 * u[0])
    return LinkExplanation(f"{seconds / unit:.0f} {zh}", f"{seconds / unit:.0f} {en}")


def _time(at: datetime, now: datetime, zone: ZoneInfo, *, seconds: bool = False) -> str:
    """An instant for people: the time of day, and the date where it is another day."""
    local = at.astimezone(zone)
    form = "%H:%M:%S" if seconds else "%H:%M"
    same_day = local.date() == now.astimezone(zone).date()
    return local.strftime(form if same_day else f"%Y-%m-%d {form}")
