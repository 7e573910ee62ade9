"""A phrase is an English sentence that knows its Chinese, also inside another one."""

import copy
import pickle

import pytest

from service.ledger.reasons import Reason
from service.words import catalogues
from service.words.catalogues import Catalogue, chosen, of_shell
from service.words.phrase import Phrase, Sentence, listing, phrase, sentence_of, told, translated

CHINESE = {
    (None, "{count:,} rows are wrong: {why}"): "{count:,} 行有误：{why}",
    (None, "%(num)s texts"): "%(num)s 条",
    (None, "held"): "待放行",
    ("a line", "held"): "占线",
    (None, "empty"): "",
}


@pytest.fixture(autouse=True)
def _few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "chinese", lambda: CHINESE)


def _wrong(why: object) -> Phrase:
    return phrase("{count:,} rows are wrong: {why}", count=1200, why=why)


def test_it_is_a_str_in_english_with_its_values() -> None:
    said = _wrong("cut")
    assert said == "1,200 rows are wrong: cut"
    assert isinstance(said, str)
    assert translated(said, "en") == said
    assert translated(said, "zh") == "1,200 行有误：cut"


@pytest.mark.parametrize(
    ("value", "en", "zh"),
    [
        (phrase("held"), "held", "待放行"),
        (Sentence("空号", "no such number"), "no such number", "空号"),
        (Reason.EMPTY_NUMBER.words, Reason.EMPTY_NUMBER.words.en, Reason.EMPTY_NUMBER.words.zh),
        (listing([phrase("held"), 5, "x"]), "held, 5, x", "待放行、5、x"),
        (listing([phrase("held"), "x"], "; or: "), "held; or: x", "待放行；或：x"),
    ],
)
def test_what_fills_it_follows_the_language(value: object, en: str, zh: str) -> None:
    assert _wrong(value) == f"1,200 rows are wrong: {en}"
    assert translated(_wrong(value), "zh") == f"1,200 行有误：{zh}"


def test_an_error_keeps_its_phrase() -> None:
    error = ValueError(_wrong(phrase("held")))
    assert translated(sentence_of(error), "zh") == "1,200 行有误：待放行"
    assert translated(_wrong(error), "zh") == "1,200 行有误：1,200 行有误：待放行"
    assert (sentence_of(ValueError("plain")), sentence_of(ValueError())) == ("plain", "")


def test_what_has_no_chinese_is_said_in_english() -> None:
    assert translated(phrase("nobody has translated this"), "zh") == "nobody has translated this"
    assert translated(phrase("empty"), "zh") == "empty"
    assert translated("plain", "zh") == "plain"
    assert translated(Sentence("空号", "no such number"), "zh") == "空号"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda said: pickle.loads(pickle.dumps(said))])
def test_it_is_the_same_in_another_process(again: object) -> None:
    assert callable(again)
    for said in (_wrong(listing([phrase("held"), "x"])), listing(["a", "b"])):
        other = again(said)
        assert (other, translated(other, "zh")) == (said, translated(said, "zh"))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN", "zh"),
        ("zh-Hans-CN, zh;q=0.9, en;q=0.8", "zh"),
        ("fr;q=0.9, zh;q=0.5", "zh"),
        ("en;q=0.5, zh;q=0.6", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr, de;q=0.5", "en"),
        ("zh;q=0, en;q=0", "en"),
        ("zh;q=0", "en"),
        ("*", "en"),
        ("*;q=0.9, zh;q=0.5", "en"),
        ("ZH;Q=1", "zh"),
        ("zh;q=much, en;q=nan", "en"),
        (";;,,q=1,;q=", "en"),
    ],
)
def test_whose_language_a_request_asks_for(header: str, language: str) -> None:
    assert chosen(header, "en") == language


def test_the_default_is_the_callers() -> None:
    assert chosen("fr", "zh") == "zh"
    assert chosen("*", "zh") == "zh"
    assert chosen("en", "zh") == "en"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, ""),
        ({"LANG": "C.UTF-8"}, ""),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "POSIX", "LANG": "zh_CN.UTF-8"}, ""),
        ({"TOCSIN_LANGUAGE": "zh", "LC_ALL": "C"}, "zh"),
        ({"TOCSIN_LANGUAGE": "en", "LANG": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_whose_language_a_shell_speaks(environment: dict[str, str], language: str) -> None:
    assert of_shell(environment) == language


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh", "待放行"), ("en", "held"), ("", "held / 待放行")],
)
def test_a_command_says_both_where_no_language_is_told(language: str, words: str) -> None:
    assert told(phrase("held"), language) == words
    assert told("plain", language) == "plain"


def test_templates_have_the_names_of_gettext() -> None:
    chinese, english = Catalogue("zh"), Catalogue("en")
    assert chinese.gettext("held") == "待放行"
    assert chinese.pgettext("a line", "held") == "占线"
    assert english.pgettext("a line", "held") == "held"
    for count, said in ((1, "%(num)s text"), (2, "%(num)s texts")):
        assert english.ngettext("%(num)s text", "%(num)s texts", count) == said
        assert english.npgettext("c", "%(num)s text", "%(num)s texts", count) == said
        assert chinese.ngettext("%(num)s text", "%(num)s texts", count) == "%(num)s 条"
