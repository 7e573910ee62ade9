"""E15: a wording has the words of its text, in whole sentences, whatever kind it is of."""

import re
from datetime import date
from itertools import pairwise, permutations

import pytest

from service.messages.template import Starter, load_library
from service.messages.wordings.wording import (
    KINDS,
    ROOM,
    WordingFrame,
    WordingKind,
    WordingRefused,
    broken,
    clauses,
    has_same_words,
    letters,
    make,
    sentences,
    spoken,
)

STARTERS = load_library()
DAY = date(2027, 1, 12)
FRAME = WordingFrame("旌德县公安局", DAY)
TEXT = "【旌德县公安局】公检法不会电话办案，更没有“安全账户”。接到来电请先挂断，再拨110核实。"

WITHOUT_SENTENCE = {"S07", "S12", "S17", "L1", "W2", "V2"}
"""Starters of which each sentence has a variable."""

TOO_LONG = {
    "counter": {"L2"},
    "atm": {"L2", "S10", "S25", "S30", "E1"},
}
"""Starters whose first sentence does not fit."""


def frame_of(starter: Starter) -> WordingFrame:
    return WordingFrame("旌德县公安局", DAY, starter.language)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("starter", STARTERS, ids=lambda starter: starter.id)
def test_each_starter_text_as_each_kind(starter: Starter, kind: WordingKind) -> None:
    """What stands between the frame is found again in the text by another way than it was made."""
    frame = frame_of(starter)
    if starter.id in WITHOUT_SENTENCE | TOO_LONG.get(kind, set()):
        with pytest.raises(WordingRefused):
            make(kind, starter.text, frame)
        return
    made = make(kind, starter.text, frame)
    assert has_same_words(made.text, kind, starter.text, frame)
    said = list(made.lines)
    if kind == "loudspeaker":
        assert said[: len(said) // 2] == said[len(said) // 2 + 1 :]
        said = said[: len(said) // 2]
        if starter.language == "zh":
            assert not re.search("[0-9]", made.text)
    elif kind in {"letter", "wechat"}:
        said = [made.lines[1 if kind == "letter" else 0]]
    words = letters("".join(said))
    whole = letters(re.sub("^【[^】]*】", "", starter.text))
    if kind == "loudspeaker":
        whole = letters(spoken(starter.text.partition("】")[2], english=starter.language == "en"))
    assert words
    assert words in whole
    assert len(made.text) <= ROOM.get(kind, 10_000)


@pytest.mark.parametrize("starter", STARTERS, ids=lambda starter: starter.id)
def test_other_words_are_seen(starter: Starter) -> None:
    if starter.id in WITHOUT_SENTENCE:
        return
    frame = frame_of(starter)
    for kind in ("led", "wechat", "letter", "loudspeaker"):
        made = make(kind, starter.text, frame)
        places = [at for at, c in enumerate(made.text) if c.isalnum()]
        for at in places:
            for other in ("", "不", "8"):
                edited = made.text[:at] + other + made.text[at + 1 :]
                if letters(edited) != letters(made.text):
                    assert not has_same_words(edited, kind, starter.text, frame), edited


def test_half_a_sentence_is_not_its_words() -> None:
    assert has_same_words("接到来电请先挂断，再拨110核实", "led", TEXT, FRAME)
    assert has_same_words("公检法不会电话办案\n更没有安全账户", "led", TEXT, FRAME)
    for part in ("再拨110核实", "公检法会电话办案", "更没有“安全账户”。公检法不会电话办案，", ""):
        assert not has_same_words(part, "led", TEXT, FRAME)


def test_the_frame_is_part_of_a_wording() -> None:
    made = make("wechat", TEXT, FRAME)
    assert made.lines[1:] == ("请转告家人。", "—— 旌德县公安局")
    assert not has_same_words(made.lines[0], "wechat", TEXT, FRAME)
    other = WordingFrame("旌德县财政局", DAY)
    assert not has_same_words(made.text, "wechat", TEXT, other)
    letter = make("letter", TEXT, FRAME)
    assert (letter.lines[0], *letter.lines[2:]) == ("各位家长：", "旌德县公安局", "2027年1月12日")


def test_whole_sentences() -> None:
    assert sentences(TEXT) == [
        "公检法不会电话办案，更没有“安全账户”。",
        "接到来电请先挂断，再拨110核实。",
    ]
    assert sentences("【某局】他问“在吗？要钱吗？”就挂断！别信。拒收请回复R") == [
        "他问“在吗？要钱吗？”就挂断！",
        "别信。",
    ]
    assert sentences("【某局】Real police never ask. Call 96110") == [
        "Real police never ask.",
        "Call 96110",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("请拨96110核实", "请拨九六一一零核实"),
        ("12381只发短信", "一二三八一只发短信"),
        ("1月10日至16日", "一月十日至十六日"),
        ("今日16:00前，9:05后", "今日十六点前，九点零五分后"),
        ("损失35.6万元", "损失三五点六万元"),
        ("年化20%、8%", "年化百分之二十、百分之八"),
        ("近30天12起", "近三十天十二起"),
    ],
)
def test_numbers_are_read_aloud(text: str, said: str) -> None:
    assert spoken(text) == said


def test_a_loudspeaker_reads_twice_at_four_letters_a_second() -> None:
    made = make("loudspeaker", TEXT, FRAME)
    once = letters(spoken("公检法不会电话办案更没有安全账户接到来电请先挂断再拨110核实"))
    assert letters(made.text) == once * 2
    assert made.seconds == -(-2 * len(once) // 4)
    assert all(line.isalnum() or not line for line in made.lines)


@pytest.mark.parametrize("width", [6, 9, 16, 40])
@pytest.mark.parametrize("starter", STARTERS, ids=lambda starter: starter.id)
def test_lines_keep_to_their_width(starter: Starter, width: int) -> None:
    body = starter.text.partition("】")[2]
    lines = broken(body, width)
    assert all(0 < len(line) <= width for line in lines)
    assert letters("".join(lines)) == letters(body)
    assert not [line for line in lines[1:] if line[0] in "，。、；：！？”"], lines
    for before, after in pairwise(lines):
        cut = re.search("[0-9]+$", before), re.match("[0-9]+", after)
        assert not all(cut) or len(cut[0][0] + cut[1][0]) > width  # type: ignore[index]  # both are


def test_a_sign_between_digits_ends_no_clause() -> None:
    assert clauses("损失1,280元，16:00前报。") == ["损失1,280元，", "16:00前报。"]


def test_atm_and_counter_take_what_fits_from_the_beginning() -> None:
    text = TEXT + "被骗请立即报警，保留聊天记录。"
    assert make("atm", text, FRAME).text == "".join(sentences(text)[:2])
    assert make("counter", text, FRAME).text == "".join(sentences(text))
    with pytest.raises(WordingRefused):
        make("atm", "【某局】" + "国" * 41 + "。短。", FRAME)


def test_sentences_with_a_variable_are_left_out() -> None:
    text = "【某局】{姓名}您好。先垫付的都是刷单诈骗。拿不准拨96110。请找{社区}网格员。"
    assert make("led", text, FRAME, width=40).text == "先垫付的都是刷单诈骗。拿不准拨96110。"
    with pytest.raises(WordingRefused):
        make("led", "【某局】{姓名}您好。", FRAME)


def test_no_two_frames_are_alike() -> None:
    kinds: list[WordingKind] = ["wechat", "letter", "loudspeaker"]
    for one, other in permutations(kinds, 2):
        assert not has_same_words(make(one, TEXT, FRAME).text, other, TEXT, FRAME)
