"""Fires of a campaign for a person: what became of those that were missed, and what those to come
amount to.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from tocsin_client.ctl.screen import cell, said, say

Facts = Mapping[str, Any]


def decided_lines(campaign: Facts) -> Iterator[str]:
    """What an act has decided of the fires that were missed or held, and which goes out now."""
    decided = campaign["decided_fires"]
    if not decided:
        return
    yield say("Fires of which this has decided:", "本次对错过或待放行的发送作出的决定：")
    for fire in decided:
        yield f"  {minute(fire['planned_at'])}  {cell(said(fire['plain']))}"
        if fire["outcome"] == "held" and fire["released_at"]:
            yield f"  {minute(fire['planned_at'])}  {_now()}"
    following = campaign["next_fire_at"]
    if following and _at(following) <= _at(decided[-1]["at"]):
        yield f"  {minute(following)}  {_now()}"


def _now() -> str:
    return say("It goes out now.", "现在发出。")


def minute(instant: str) -> str:
    """An instant as the answer has it, to the minute, without its zone."""
    return cell(instant)[:16].replace("T", " ")


def _at(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


_LOSS = re.compile(r"Of the \d+ people whom the fire at ")
_FIGURES = ("target", "excluded", "waits", "stopped")


def forecast_lines(forecast: Facts | None) -> Iterator[str]:
    """Each fire that was foretold: when, how many people, who is left out; equal ones together."""
    ahead = (forecast or {}).get("fires", ())
    for _, alike in itertools.groupby(ahead, lambda fire: [fire[name] for name in _FIGURES]):
        same = list(alike)
        when = minute(same[0]["fires_at"])
        if len(same) > 1:
            last = minute(same[-1]["fires_at"])
            when += say(f" … {last} ({len(same)} fires)", f" … {last}（{len(same)} 次）")
        shown = {n: v for n, v in same[0].items() if n in _FIGURES and (v or n == "target")}
        mark = say("  ← reaches nobody", "  ← 无人可收") if not _reached(same[0]) else ""
        yield f"  {when}  {cell(shown)}{mark}"


def loss_lines(forecast: Facts | None) -> Iterator[str]:
    """One line if fires that were foretold reach nobody, or less than a tenth of whom they mean."""
    ahead = (forecast or {}).get("fires", ())
    nobody = [fire for fire in ahead if not _reached(fire)]
    few = [fire for fire in ahead if 0 < _reached(fire) * 10 < _meant(fire)]
    if not (nobody or few):
        return
    worst: dict[str, int] = {}
    words: dict[str, int] = {}
    for fire in ahead:
        for reason, people in fire["excluded"].items():
            worst[reason] = max(worst.get(reason, 0), people)
        for cause in fire["same_text"]:
            whose = f"{cause['name'] or say('another plan', '其他任务')} ({cause['department']})"
            words[whose] = max(words.get(whose, 0), cause["people"])
    told = say(
        f"Note: of {len(ahead)} fires foretold, {len(nobody)} reach nobody and {len(few)} less than"
        f" a tenth; most left out of one: {cell(worst)}",
        f"注意：预测的 {len(ahead)} 次发送中，{len(nobody)} 次无人可收，{len(few)} 次不足一成；"
        f"单次最多排除：{cell(worst)}",
    )
    same = say(f"; the same words: {cell(words)}", f"；同文来自：{cell(words)}") if words else ""
    yield f"{told}{same}"


def note_lines(notes: Iterable[str], forecast: Facts | None) -> Iterator[str]:
    """Notes of a plan, those that differ in figures alone together; what the forecast says in
    figures is left to it.
    """
    alike: dict[str, list[str]] = {}
    for note in notes:
        if not (forecast and _LOSS.match(note)):
            alike.setdefault(re.sub(r"\d+", "0", note), []).append(note)
    for same in alike.values():
        more = len(same) - 1
        yield same[0] + (
            say(f" (and {more} more alike)", f"（另有 {more} 条同类）") if more else ""
        )


def _reached(fire: Facts) -> int:
    return int(fire["target"] - fire["stopped"])


def _meant(fire: Facts) -> int:
    return int(fire["target"] + sum(fire["excluded"].values()))
