"""What lint does with a text that is made to keep it busy: looks are bounded, whatever repeats."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from service.messages.lint import draft, lint_contacts, lint_money, obfuscation, stance
from service.messages.lint.draft import MOST_LOOKS, READ_CHARACTERS, TextSentence
from service.messages.lint.lint import MOST_HITS, lint

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


@pytest.mark.attack
@pytest.mark.parametrize(
    ("repeated", "rule"), [("领奖", "R11"), ("扫码", "R06"), ("56234、", "R03")]
)
def test_what_one_rule_finds_is_listed_so_often_only(repeated: str, rule: str) -> None:
    """Nobody reads the five hundredth, and each costs an answer its time."""
    found = [f for f in lint(SIGNED + repeated * 300) if f["rule"] == rule]
    assert 0 < len(found) <= MOST_HITS
    assert found[-1]["level"] == "block"


@pytest.mark.attack
def test_behind_what_is_for_a_person_nothing_blocked_is_hidden() -> None:
    """A code to scan for work is for a person; behind many of them may stand an account to add."""
    milder = "请扫工作码。" * (MOST_HITS - 1)
    levels = [f["level"] for f in lint(SIGNED + milder) if f["rule"] == "R06"]
    assert levels == ["review"] * (MOST_HITS - 1)
    found = lint(SIGNED + milder + "请扫工作码。" + "请加微信abc12345。")
    assert "block" in {f["level"] for f in found if f["rule"] == "R06"}


@pytest.mark.attack
def test_a_text_is_cut_and_searched_once_for_all_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Counter[str] = Counter()

    class Clauses:
        def finditer(self, text: str) -> Iterator[re.Match[str]]:
            counted["clauses"] += 1
            return clause_end.finditer(text)

    def links(text: str) -> Iterator[obfuscation.Obfuscation]:
        counted["links"] += 1
        return found(text)

    def is_no_number(*arguments: Any) -> bool:
        counted["numbers"] += 1
        return judged(*arguments)

    clause_end, found, judged = draft._CLAUSE_END, obfuscation.links, lint_contacts._is_no_number
    monkeypatch.setattr(draft, "_CLAUSE_END", Clauses())
    monkeypatch.setattr(obfuscation, "links", links)
    monkeypatch.setattr(lint_contacts, "_is_no_number", is_no_number)
    lint(SIGNED + "领奖，下载96110，" * 20)
    assert counted == {"clauses": 1, "links": 1, "numbers": 20}


def test_a_clause_ends_where_its_signs_are() -> None:
    text = "甲乙，，丙：12:30丁——戊…"
    sentence = TextSentence(text.replace("，", ",").replace("：", ":"), tuple(range(len(text))))
    clauses = {sentence.text[slice(*sentence.clause(at))] for at in range(len(text))}
    assert clauses >= {"甲乙", "丙:12:30丁", "戊"}
    assert [sentence.clause(at) for at in (0, 1, 4, 5)] == [(0, 2), (0, 2), (4, 12), (4, 12)]


@pytest.mark.parametrize("digits", [3, 12, 13, 19, 20, 21, 60])
def test_a_number_of_any_length_is_found_as_before(digits: int) -> None:
    """The pattern that begins at each digit of a run is bounded; what it finds is not."""
    run = "1" * digits
    free = re.compile(lint_money._FEE_NAMED.pattern.replace("{1,20}", "+"))
    for text in (f"手续费{run}元", f"{run}元手续费", f"押金共{run}", f"{run}手续费"):
        assert bool(lint_money._FEE_NAMED.search(text)) == bool(free.search(text)), text
    assert bool(lint_contacts._EXTENSION.search(f"{run}转1")) == (digits >= 3)
