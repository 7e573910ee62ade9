"""What a text means: opt-outs and answers as the whole message only, clues inside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.inbound.keywords import OPT_OUTS, InboundKind, TextMeaning, normal, read

OPT_OUT = TextMeaning(InboundKind.OPT_OUT)
OTHER = TextMeaning(InboundKind.OTHER)
CLUE = TextMeaning(InboundKind.CLUE)


@pytest.mark.parametrize("word", sorted(OPT_OUTS))
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        " {} ",
        "{}。",
        "“{}”",
        "【{}】",
        "{}！！！",
        "\n{}\r\n",
        "\u200b{}\ufeff",
        "　{}　",
        "…{}…",
    ],
)
def test_an_opt_out_word_alone_is_one_however_it_is_dressed(word: str, form: str) -> None:
    assert read(form.format(word)) == OPT_OUT
    assert read(form.format(word.lower())) == OPT_OUT


@pytest.mark.parametrize(
    "text",
    [
        "Ｒ",
        "ｔｄ",
        "ＴＤ．",
        "００００",
        "０００００",
        "0 0 0 0",
        "退 订",
        "T.D.",
        "ｓｔｏｐ",
        "Unsubscribe!",
    ],
)
def test_full_width_case_and_spaces_do_not_matter(text: str) -> None:
    assert read(text) == OPT_OUT


@pytest.mark.parametrize(
    "text",
    [
        "收到退订短信怎么办",
        "怎么退订",
        "不退订",
        "TD退订",
        "拒收请回复R",
        "回复R",
        "取消预约",
        "别再发了",
        "不要再发了",
        "你们烦不烦",
        "000",
        "000000",
        "RR",
        "RT",
        "NO",
        "R2",
        "T2",
        "退订1",
        "STOP IT",
        "恢复",
        "",
        " ",
        "。",
        "👍",
    ],
)
def test_anything_more_or_less_than_the_word_is_for_a_person(text: str) -> None:
    assert read(text) == OTHER


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1", TextMeaning(InboundKind.ANSWER, 1)),
        ("１。", TextMeaning(InboundKind.ANSWER, 1)),
        (" 2 ", TextMeaning(InboundKind.ANSWER, 2)),
        ("①", TextMeaning(InboundKind.ANSWER, 1)),
        ("9", TextMeaning(InboundKind.CLUE, 9)),
        ("３", OTHER),
        ("12", OTHER),
        ("1已报", OTHER),
        ("一", OTHER),
        ("1，2", OTHER),
    ],
)
def test_answers_are_the_digits_that_are_asked_for(text: str, meaning: TextMeaning) -> None:
    assert read(text) == meaning


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("我被骗了5000元", CLUE),
        ("我妈刚才被人骗走三万，怎么办", CLUE),
        ("群里有人上当了", CLUE),
        ("昨天没被骗，今天被骗了", CLUE),
        ("举报 19790001234 冒充客服", CLUE),
        ("我要举报", CLUE),
        ("我想提供一条线索", CLUE),
        ("19790001234*冒充客服退款", CLUE),
        ("19790001234：自称公安", CLUE),
        ("ljdxjb#19790001234#贷款", CLUE),
        ("退订，我被骗了", CLUE),
        ("恐怕被骗了", CLUE),
        ("我会不会被骗了", CLUE),
        ("我有没有被骗", CLUE),
        ("没想到被骗了", CLUE),
        ("没有被骗", OTHER),
        ("我家人都没被骗过", OTHER),
        ("怎样才能不被骗", OTHER),
        ("谨防上当", OTHER),
        ("你们是骗子吧", OTHER),
        ("12:30开会吗", OTHER),
        ("收到，谢谢", OTHER),
    ],
)
def test_clues_are_found_inside_a_text(text: str, meaning: TextMeaning) -> None:
    assert read(text) == meaning


@pytest.mark.parametrize("text", ["R", "退订", "1", "9"])
def test_a_text_with_parts_missing_is_no_opt_out_and_no_answer(text: str) -> None:
    assert read(text, whole=False) == OTHER


def test_a_text_with_parts_missing_can_be_a_clue() -> None:
    assert read("我被骗了，［…］", whole=False) == CLUE


@given(st.text())
def test_any_text_has_a_meaning_and_stops_only_by_a_word_of_the_list(text: str) -> None:
    assert (read(text) == OPT_OUT) is (normal(text) in OPT_OUTS)
