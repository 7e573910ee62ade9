"""What a message to a work group says: units, no person's number, and never more than it takes."""

from datetime import datetime, timedelta

import pytest

from service.clock import CHINA
from service.delivery.notices.notice_choice import NoticeKind
from service.delivery.notices.robot import MOST_OCTETS, RobotNotice
from service.delivery.notices.robot_text import UnitNotice, text_of_post

DUE = datetime(2027, 1, 15, 16, tzinfo=CHINA)
CONSOLE = "https://tocsin.example.gov.cn"


def owed(kind: str, unit: str = "版书镇", title: str = "周报", groups: int = 0) -> UnitNotice:
    return UnitNotice(RobotNotice(kind), unit, title, DUE, groups)


@pytest.mark.parametrize(
    ("kind", "zh", "en"),
    [
        (
            "reminder",
            "请于1月15日16:00前报送周报：云乐镇、版书镇",
            "周报, due 2027-01-15 16:00: 云乐镇, 版书镇",
        ),
        (
            "late",
            "逾期未报：周报（应于1月15日16:00前报送）：云乐镇、版书镇",
            "late: 周报, was due 2027-01-15 16:00: 云乐镇, 版书镇",
        ),
        (
            "late_list",
            "催报名单：周报（应于1月15日16:00前报送）：云乐镇、版书镇",
            "late list: 周报, was due 2027-01-15 16:00: 云乐镇, 版书镇",
        ),
    ],
)
def test_units_are_named_in_both_languages(kind: str, zh: str, en: str) -> None:
    units = [owed(kind), owed(kind, "云乐镇"), owed(kind)]
    assert text_of_post({}, units, CONSOLE, "zh") == f"{zh}\n登录查看：{CONSOLE}"
    assert text_of_post({}, units, None, "en") == f"{en}\nLog in to the console to see."


def test_a_relay_says_how_many_groups_it_is_for() -> None:
    text = text_of_post({}, [owed("relay", title="2027-W02", groups=1200)], CONSOLE, "zh")
    said = "逐级推送已开始（2027-W02）：版书镇，共1,200个群，请于1月15日16:00前答复"
    assert text == f"{said}\n登录查看：{CONSOLE}"


def test_what_waits_of_campaigns_stands_below_what_units_owe() -> None:
    text = text_of_post({NoticeKind.APPROVAL: 2}, [owed("late")], CONSOLE, "zh")
    assert text.splitlines()[1:] == [f"待您签发的任务：2。登录查看：{CONSOLE}"]
    assert text_of_post({NoticeKind.LEG: 1}, [], CONSOLE, "zh").count("\n") == 0


@pytest.mark.parametrize("typed", ["报送19790000101", "报送 197-9000-0101", "报送+86 19790000101"])
def test_a_number_in_a_title_is_masked(typed: str) -> None:
    text = text_of_post({}, [owed("late", title=typed)], CONSOLE, "zh")
    assert "0101" in text
    assert not {"9000", "19790000101"} & set(text.replace("-", " ").split())
    assert "90000" not in text


def test_a_text_is_never_longer_than_a_robot_takes_and_says_what_is_left_out() -> None:
    units = [
        owed("late_list", f"{n}号单位" + "长" * 40, f"{title}" + "题" * 190)
        for n in range(60)
        for title in range(30)
    ]
    text = text_of_post({}, units, CONSOLE, "zh")
    assert len(text.encode()) <= MOST_OCTETS
    *lines, more, end = text.splitlines()
    assert all("等60家单位" in line for line in lines)
    assert lines
    assert more == f"另有 {30 - len(lines)} 项"
    assert end == f"登录查看：{CONSOLE}"


def test_what_is_due_first_stands_first_and_reminders_before_what_is_late() -> None:
    later = owed("reminder", title="台账")._replace(due_at=DUE + timedelta(days=1))
    text = text_of_post({}, [owed("late"), later, owed("reminder")], None, "en")
    assert [line[:4] for line in text.splitlines()] == ["周报, ", "台账, ", "late", "Log "]
