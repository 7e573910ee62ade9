"""What lint does with a text that is made to keep it busy: looks are bounded, whatever repeats."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from service.messages.lint import lint_contacts, lint_money, stance
from service.messages.lint.draft import MOST_LOOKS, READ_CHARACTERS, TextSentence
from service.messages.lint.lint import lint

SIGNED = "【某局】"


@pytest.mark.attack
@pytest.mark.parametrize(
    "repeated",
    [
        "转账",
        "缴费",
        "扫码",
        "加微信",
        "点击链接",
        "APP下载",
        "领奖",
        "押金",
        "套餐",
        "您领取的押金",
    ],
)
def test_a_sentence_that_mentions_much_is_looked_at_so_often_only(
    monkeypatch: pytest.MonkeyPatch, repeated: str
) -> None:
    """Each look reads the whole sentence; what is mentioned beyond stands there unexcused."""
    looks: list[TextSentence] = []

    def look(real: Callable[..., Any], sentence: TextSentence, *more: Any) -> Any:
        looks.append(sentence)
        return real(sentence, *more)

    for name in ("forbidden", "condemned", "_cued"):
        monkeypatch.setattr(stance, name, partial(look, getattr(stance, name)))
    found = lint(SIGNED + repeated * (READ_CHARACTERS // len(repeated)))
    assert 0 < len(looks) <= 3 * MOST_LOOKS
    assert {finding["level"] for finding in found} & {"block", "review"}


@pytest.mark.attack
def test_what_is_said_beyond_is_not_excused() -> None:
    """Nobody hides a request behind as many excuses as lint reads."""
    excuses = "不要转账" * MOST_LOOKS
    assert "R08" not in {f["rule"] for f in lint(f"{SIGNED}请不要转账。")}
    assert "R08" in {f["rule"] for f in lint(f"{SIGNED}{excuses}请转账到民警账户")}


@pytest.mark.parametrize("digits", [3, 12, 13, 19, 20, 21, 60])
def test_a_number_of_any_length_is_found_as_before(digits: int) -> None:
    """The pattern that begins at each digit of a run is bounded; what it finds is not."""
    run = "1" * digits
    free = re.compile(lint_money._FEE_NAMED.pattern.replace("{1,20}", "+"))
    for text in (f"手续费{run}元", f"{run}元手续费", f"押金共{run}", f"{run}手续费"):
        assert bool(lint_money._FEE_NAMED.search(text)) == bool(free.search(text)), text
    assert bool(lint_contacts._EXTENSION.search(f"{run}转1")) == (digits >= 3)
