"""How long a channel waits for its next login, and what people are told of it."""

import inspect
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.channels.config.connection_store import ConnectionHealth
from service.channels.contract.gateway import LoginRefused, Unparseable, Unreachable
from service.channels.links.logins import Ending, delay, ended, failed, has_worked, jittered
from service.channels.trial.link_explanations import REASONS, losses
from service.protocols import session
from tests.harness.stage import Scripted

NOW = datetime(2027, 1, 12, 1, 41, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


def test_each_turn_waits_twice_as_long_up_to_half_a_minute() -> None:
    assert [delay(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert delay(100_000) == 30
    assert delay(1, retryable=False) == delay(9, retryable=False) == 60


def test_no_two_systems_come_at_one_moment() -> None:
    waits = [jittered(30.0) for _ in range(200)]
    assert len(set(waits)) > 100
    assert all(21 <= wait <= 30 for wait in waits)


class Link(Scripted):
    """A link of which a test says what was heard."""

    def __init__(self, heard: float = math.inf, *, rested: bool = False, ended: str = "") -> None:
        super().__init__(lambda _: None)
        self.of_it = heard, rested, ended

    @property
    def heard_seconds(self) -> float:
        return self.of_it[0]

    @property
    def rested(self) -> bool:
        return self.of_it[1]

    @property
    def ended(self) -> str:
        return self.of_it[2]


@pytest.mark.parametrize(
    ("lived", "link", "worked"),
    [
        (0.1, Link(0.1), False),
        (9.9, Link(9.9), False),
        (10.0, Link(10.0), True),
        (3_600.0, Link(0.0), False),  # it was silent all the time
        (3_600.0, Link(), True),  # nobody listens
        (60.0, Link(0.0, rested=True), True),  # in no use, as the protocol wants it
        (0.1, Link(0.0, rested=True), False),
    ],
)
async def test_a_link_has_worked_when_the_carrier_was_heard_for_a_while(
    lived: float, link: Link, worked: bool
) -> None:
    assert has_worked(link, lived) is worked
    assert ended(link, lived).how == ("lost" if worked else "closed")


def test_a_login_that_fails_is_told_by_its_kind() -> None:
    refused = failed(LoginRefused("no", retryable=False))
    assert (refused.how, refused.retryable) == ("refused", False)
    assert failed(Unparseable("x")).how == "unparseable"
    assert failed(Unreachable("y")) == Ending("unreachable", "y")


def test_what_a_session_says_of_its_end_has_chinese() -> None:
    said = {"closed by the other side", "no sign of life from the other side"}
    source = inspect.getsource(session)
    assert said <= REASONS.keys()
    assert all(reason in source for reason in said)


def connection(slot: int = 0, **facts: Any) -> ConnectionHealth:
    given: dict[str, Any] = {"state": "down", "note": "", "changed_at": None, **facts}
    return ConnectionHealth(slot, **given)


def closed(losses: int, since: datetime, at: datetime = NOW, **facts: Any) -> ConnectionHealth:
    given: dict[str, Any] = {
        "lost_how": "closed",
        "lost_why": "closed by the other side",
        "lived_ms": 100,
        **facts,
    }
    return connection(lost_at=at, losses=losses, losing_since=since, **given)


HALF_PAST = NOW - timedelta(minutes=11)
CLOSES_ZH = "运营商接受登录，0.1 秒后即断开（对方关闭了连接）"
CLOSES_EN = "The carrier accepts the login and closes after 0.1 s (closed by the other side)"
NO = "x:1 refused the login (status 3)"


@pytest.mark.parametrize(
    ("connections", "next_at", "zh", "en"),
    [
        (
            [closed(14, HALF_PAST)],
            NOW + timedelta(seconds=20),
            f"0/1 条连接在线。{CLOSES_ZH}，自 09:30 起 14 次；下次尝试 09:41:20。",
            f"0 of 1 connections up. {CLOSES_EN}, 14 times since 09:30; next try at 09:41:20.",
        ),
        (
            [closed(3, HALF_PAST), closed(2, NOW, slot=1), connection(2, state="up")],
            None,
            f"1/3 条连接在线。{CLOSES_ZH}，自 09:30 起 5 次。",
            f"1 of 3 connections up. {CLOSES_EN}, 5 times since 09:30.",
        ),
        (
            [closed(1, NOW, lost_how="refused", lost_why=NO)],
            NOW + timedelta(days=1),
            f"0/1 条连接在线。运营商拒绝登录（{NO}），09:41 1 次；下次尝试 2027-01-13 09:41:00。",
            (
                f"0 of 1 connections up. The carrier refuses the login ({NO}), once at 09:41;"
                " next try at 2027-01-13 09:41:00."
            ),
        ),
        (
            [closed(2, HALF_PAST, lost_how="lost", lived_ms=8 * 86_400_000, state="up")],
            None,
            "1/1 条连接在线。自 09:30 起断开 2 次，最近一次 09:41（对方关闭了连接）。",
            (
                "1 of 1 connections up. Lost 2 times since 09:30, last at 09:41"
                " (closed by the other side)."
            ),
        ),
        (
            [closed(1, HALF_PAST, lost_how="lost", lived_ms=8 * 86_400_000)],
            None,
            "0/1 条连接在线。连接在 8 天后中断（对方关闭了连接），09:30 1 次。",
            (
                "0 of 1 connections up. The connection was lost after 8 days"
                " (closed by the other side), once at 09:30."
            ),
        ),
        (
            [closed(9, HALF_PAST, NOW - timedelta(hours=2), state="up")],
            None,
            "1/1 条连接在线。",
            "1 of 1 connections up.",
        ),
    ],
)
def test_people_are_told_in_two_languages(
    connections: Sequence[ConnectionHealth], next_at: datetime | None, zh: str, en: str
) -> None:
    assert losses(connections, next_at, NOW, ZONE) == (zh, en)
