"""What `tocsin ctl` tells a person of the fires of a plan, from the answer of the API."""

from collections.abc import Iterator
from typing import Any

import pytest
from tocsin_client.ctl.fires import forecast_lines, loss_lines, note_lines
from tocsin_client.ctl.screen import LANGUAGE


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    before = LANGUAGE.set("zh")
    yield
    LANGUAGE.reset(before)


def _fire(day: int, target: int, **excluded: int) -> dict[str, Any]:
    same = [{"campaign_id": None, "name": None, "department": "公安局", "people": n}
            for reason, n in excluded.items() if reason == "same_text"]  # fmt: skip
    return {
        "fires_at": f"2027-01-{day:02}T09:30:00+08:00",
        "target": target,
        "excluded": excluded,
        "waits": 0,
        "stopped": 0,
        "same_text": same,
        "exact": True,
    }


PLAN: dict[str, Any] = {
    "fires": [
        _fire(6, 541),
        _fire(13, 0, same_text=541),
        _fire(20, 0, same_text=541),
        _fire(27, 40, same_text=501),
    ],
    "plans_left_out": 0,
}


def test_fires_alike_are_one_line_and_those_that_reach_nobody_are_marked() -> None:
    assert list(forecast_lines(PLAN)) == [
        "  2027-01-06 09:30  目标 541",
        "  2027-01-13 09:30 … 2027-01-20 09:30（2 次）  目标 0  排除 近期收过同文 541  ← 无人可收",
        "  2027-01-27 09:30  目标 40  排除 近期收过同文 501",
    ]
    assert list(forecast_lines(None)) == []


def test_one_line_says_how_many_fires_reach_nobody_or_few() -> None:
    (line,) = loss_lines(PLAN)
    assert line.split("；") == [
        "注意：预测的 4 次发送中，2 次无人可收，1 次不足一成",
        "单次最多排除：近期收过同文 541",
        "同文来自：其他任务 (公安局) 541",
    ]
    assert list(loss_lines({"fires": PLAN["fires"][:1]})) == []
    assert list(loss_lines(None)) == []


def test_whom_the_caps_stop_is_not_reached() -> None:
    stopped = {**_fire(6, 12), "stopped": 12}
    (line,) = forecast_lines({"fires": [stopped]})
    assert line.endswith("← 无人可收")


def test_notes_alike_are_one_and_what_the_forecast_has_is_left_to_it() -> None:
    loss = "Of the 541 people whom the fire at 2027-01-13 09:30 means, 0 are in its run: …"
    notes = [loss, loss.replace("13", "20"), "The hours end at 17:30.", "Something of its own."]
    assert list(note_lines(notes, PLAN)) == notes[2:]
    assert list(note_lines(notes, None)) == [f"{loss}（另有 1 条同类）", *notes[2:]]
