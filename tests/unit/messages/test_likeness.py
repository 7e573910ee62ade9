"""When a text is one that was sent, and when it is only like it."""

import pytest

from service.messages.sent.likeness import (
    ALIKE,
    SentWords,
    anchors_of,
    digest_of,
    keys_of,
    pairs_of,
    written,
)
from service.messages.template import Starter, load_library, render, sample_values, slots
from tests.harness.asked_texts import changed

STARTERS = load_library()
PLAIN = "【旌德县公安局】正规贷款放款前不收钱。要您先交保证金的网贷一律是骗局，咨询96110。"
NAMED = "【旌德县民政局】{姓名}您好：免费体检领鸡蛋后推销“神药”，别当场交钱，被骗请拨110。"


def read(starter: Starter) -> str:
    """A starter text as somebody may get it."""
    return render(starter.text, samples(starter.text))


def samples(text: str) -> dict[str, str]:
    """Ordinary values, without digits where nothing declares them."""
    return {**sample_values(text), "群名": "新桥小区群"}


def values(words: str, asked: str) -> dict[str, str] | None:
    return SentWords(words).values_in(written(asked))


@pytest.mark.parametrize("starter", STARTERS, ids=lambda starter: starter.id)
def test_a_starter_text_is_confirmed_as_it_is_read(starter: Starter) -> None:
    words, asked = SentWords(starter.text), written(read(starter))
    found = words.values_in(asked)
    letters = {slot.variable for slot in slots(starter.text)}
    assert found is not None
    assert set(found) == letters
    assert (words.anchor is None) == (not letters)
    assert words.anchor is None or words.anchor in anchors_of(asked)
    assert letters or digest_of(asked) == words.digest


@pytest.mark.attack
@pytest.mark.parametrize("starter", STARTERS, ids=lambda starter: starter.id)
def test_no_starter_text_is_confirmed_with_a_character_changed(starter: Starter) -> None:
    """Every character outside the values: another in its place, none, one more, two the other way
    round.
    """
    words = SentWords(starter.text)
    for other in changed(starter.text):
        asked = written(render(other, samples(starter.text)))
        assert words.values_in(asked) is None, asked
        assert slots(starter.text) or digest_of(asked) != words.digest


@pytest.mark.parametrize(
    "asked",
    [
        PLAIN,
        f"  {PLAIN}\n",
        PLAIN.replace("，", ","),
        PLAIN.replace("96110", "９６１１０"),
        PLAIN.replace("骗局", "骗\n局"),
        PLAIN.replace("骗局", "骗\u200b局"),
        PLAIN.removeprefix("【旌德县公安局】") + "【旌德县公安局】",
    ],
)
def test_width_spaces_and_the_place_of_the_signature_do_not_matter(asked: str) -> None:
    assert digest_of(written(asked)) == SentWords(PLAIN).digest


@pytest.mark.attack
@pytest.mark.parametrize(
    "asked",
    [
        PLAIN.replace("贷款", "貸款"),
        PLAIN.replace("96110", "9611О"),
        PLAIN.replace("96110", "9⑥110"),
        PLAIN.replace("96110", "\u202e01169\u202c"),
        PLAIN.replace("旌德县公安局", "旌德公安局"),
        PLAIN.removeprefix("【旌德县公安局】"),
        PLAIN.replace("。要", "，要"),
    ],
)
def test_a_disguise_is_not_the_same_but_alike(asked: str) -> None:
    words = SentWords(PLAIN)
    assert digest_of(written(asked)) != words.digest
    assert words.alike(pairs_of(asked)) >= ALIKE
    assert set(words.keys) & set(keys_of(pairs_of(asked)))


def test_a_link_and_a_number_that_were_added_leave_it_alike() -> None:
    for tail in (" jingde-ga.top/x1", "详询 0563-8601234", "http://t.cn/abcdefg"):
        assert SentWords(PLAIN).alike(pairs_of(PLAIN + tail)) >= ALIKE
    assert SentWords(PLAIN).alike(pairs_of("【某局】明天上午九点开会，请带身份证。")) < 0.3


@pytest.mark.parametrize("value", ["王小明", "欧阳建国", "买买提·艾力", "WangJianguo", "国" * 20])
def test_letters_fill_a_variable_that_says_nothing(value: str) -> None:
    assert values(NAMED, NAMED.replace("{姓名}", value)) == {"姓名": value}


@pytest.mark.attack
@pytest.mark.parametrize(
    "value", ["", "国" * 21, "王1", "王,", "a.cn", "王（二）", "{姓名}", "王/李", "9", "王。请"]
)
def test_nothing_else_does(value: str) -> None:
    assert values(NAMED, NAMED.replace("{姓名}", value)) is None


@pytest.mark.parametrize(
    ("said", "good", "bad"),
    [
        ("{时间:时间}", "9:30", "王小明"),
        ("{事项:低保申请|高龄补贴}", "高龄补贴", "转账申请"),
        ("{起数}", "12", "本月很多"),
        ("{周期}", "1月10日至16日", "十二"),
        ("{社区}", "霍家桥村", "1组"),
    ],
)
def test_a_variable_takes_what_its_text_says(said: str, good: str, bad: str) -> None:
    text = f"【旌德县公安局】请您注意防范电信诈骗：{said}，有疑问请拨打96110。"
    assert values(text, text.replace(said, good)) == {said[1:-1].partition(":")[0]: good}
    assert values(text, text.replace(said, bad)) is None


def test_one_variable_has_one_value() -> None:
    text = "【旌德县公安局】{姓名}您好，请{姓名}注意防范电信诈骗，不转账。"
    assert values(text, text.replace("{姓名}", "王小明")) == {"姓名": "王小明"}
    other = text.replace("{姓名}", "王小明", 1).replace("{姓名}", "李小红")
    assert values(text, other) is None


@pytest.mark.attack
def test_variables_side_by_side_take_no_time() -> None:
    names = ("姓名", "村", "单位", "学校", "年级", "职务")
    text = "【旌德县公安局】请注意防范诈骗" + "".join(f"{{{name}}}" for name in names) + "。"
    assert values(text, "【旌德县公安局】请注意防范诈骗" + "国" * 119 + "！") is None
    assert values(text, "【旌德县公安局】请注意防范诈骗" + "国" * 100 + "。") is not None


def test_a_text_that_is_nearly_all_variables_is_never_confirmed() -> None:
    words = SentWords("【旌德县公安局】{姓名}请{事项}。")
    assert words.anchor is None
    assert words.values_in("【旌德县公安局】王小明请汇款。") is None


def test_texts_that_are_alike_share_a_key() -> None:
    """The prefix filter: with nine tenths of the pairs in common, some key is among them."""
    letters = [chr(0x4E00 + at) for at in range(400)]
    for length in range(2, 80):
        words = SentWords("".join(letters[:length]))
        missing = 0
        while True:
            pairs = frozenset(sorted(words.pairs)[missing:])
            if words.alike(pairs) < ALIKE:
                break
            assert set(words.keys) & set(keys_of(pairs)), (length, missing)
            missing += 1
