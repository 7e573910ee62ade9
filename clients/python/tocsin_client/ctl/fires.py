"""Fires of a campaign for a person: what became of those that were missed."""

from collections.abc import Iterator, Mapping
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
