"""Segments that use other segments, written out or refused; and a rule in plain words."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.audience.areas.area import AreaTree, packaged_areas
from service.audience.segments.segment import MAX_COMPARISONS, canonical, parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_explain import explain
from service.audience.segments.segment_uses import (
    MAX_CHAIN,
    SavedRule,
    WrittenOut,
    refers_to,
    write_out,
)
from service.audience.segments.segment_words import FIELDS, SegmentError
from service.audience.vocabulary.fields import Kind

AREAS = RuleAreas(AreaTree(packaged_areas()))


def saved(**rules: str) -> list[SavedRule]:
    return [SavedRule(name, rule, UUID(int=n)) for n, (name, rule) in enumerate(rules.items(), 1)]


def written(rule: str, *, name: str | None = None, **rules: str) -> WrittenOut:
    return write_out(parse(rule), saved(**rules), name=name)


INNER = {
    "finance": "role = finance or role = owner",
    "old": "age >= 60",
    "both": "segment = finance and segment = old",
    "Town People": "area = 旌阳镇",
}

MEANINGS = [
    ("segment = old", "age >= 60"),
    ("segment != old", "not age >= 60"),
    ("名单规则 = 'town people'", 'area = "旌阳镇"'),
    ("segment = finance and gender = f", '(role = "finance" or role = "owner") and gender = "f"'),
    ("segment in (finance, old)", 'role = "finance" or role = "owner" or age >= 60'),
    ("segment not in (old)", "not age >= 60"),
    ("not segment = both", 'not ((role = "finance" or role = "owner") and age >= 60)'),
    ("segment = both and segment = old",
     '(role = "finance" or role = "owner") and age >= 60 and age >= 60'),
    ("age < 18", "age < 18"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "meaning"), MEANINGS)
def test_a_rule_is_written_out(rule: str, meaning: str) -> None:
    whole = canonical(written(rule, **INNER).rule)
    assert whole == meaning
    assert canonical(parse(whole)) == whole


def test_who_wrote_what_it_uses_is_known() -> None:
    found = written("segment = both", **INNER)
    assert found.uses == ("both", "finance", "old")
    assert found.editors == {UUID(int=1), UUID(int=2), UUID(int=3)}
    assert written("age > 17", **INNER) == WrittenOut(parse("age > 17"))


# rule, name, saved rules, position, a piece of the message
MISTAKES: list[tuple[str, str | None, dict[str, str], int, str]] = [
    ("segment = finanse", None, INNER, 11, "did you mean finance?"),
    ("age > 17 and segment in (old, nobody)", None, INNER, 31, "the name of a saved segment"),
    ("segment = a", "a", {}, 11, "a → a"),
    ("segment = a", "A", {"A": "age > 17"}, 11, "A → A"),
    ("segment = b", "a", {"b": "segment = c", "c": "not segment = a"}, 11, "a → b → c → a"),
    ("segment = b", None, {"b": "segment = c", "c": "segment = b"}, 11, "b → c → b"),
    ("segment = ab", None, {"a b": "age = 1", "AB": "age = 2"}, 11, "several are called so"),
]


@pytest.mark.parametrize(("rule", "name", "rules", "position", "message"), MISTAKES)
def test_a_mistake_is_explained_where_it_stands(
    rule: str, name: str | None, rules: dict[str, str], position: int, message: str
) -> None:
    with pytest.raises(SegmentError) as caught:
        write_out(parse(rule), saved(**rules), name=name)
    assert caught.value.position == position
    assert message in caught.value.message


def test_limits_count_what_is_written_out() -> None:
    half = " or ".join(["age = 20"] * (MAX_COMPARISONS // 2))
    assert written("segment in (x, y)", x=half, y=half)
    with pytest.raises(SegmentError, match="at most 250 comparisons with all segments") as caught:
        written("segment = x or segment = y or age = 3", x=half, y=half)
    assert caught.value.position == 11
    around = "not (age = 2 or {})"
    deep = "age = 1"
    for _ in range(10):
        deep = around.format(deep)
    assert written(around.format("segment = x"), x=deep)
    with pytest.raises(SegmentError, match="parentheses and negations deep with all"):
        written("segment = x", x=deep.replace("age = 1", "segment = y"), y=deep)


def test_each_doubling_of_a_segment_is_refused_before_it_grows() -> None:
    rules = {"s0": "age = 1"} | {
        f"s{n}": f"segment = s{n - 1} or segment = s{n - 1}" for n in range(1, MAX_CHAIN)
    }
    assert written("segment = s7", **rules)
    with pytest.raises(SegmentError, match="at most 250 comparisons"):
        written("segment = s8", **rules)


def test_a_chain_has_an_end() -> None:
    rules = {"s0": "age = 1"} | {f"s{n}": f"segment = s{n - 1}" for n in range(1, 2_000)}
    assert written(f"segment = s{MAX_CHAIN - 1}", **rules)
    with pytest.raises(SegmentError, match="in a chain"):
        written("segment = s1999", **rules)


def test_references_are_found_by_what_they_mean() -> None:
    assert refers_to("age = 1 or not segment in (a, 'Ｔｏｗｎ People')", "town people")
    assert not refers_to("role = finance and org = 'town people'", "town people")


NAMES = ("a", "b", "c", "d")


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3)))
@settings(max_examples=200)
def test_any_web_of_segments_is_written_out_or_refused(web: dict[str, list[str]]) -> None:
    rules = {
        name: " or ".join(["age = 30", *(f"segment = {used}" for used in uses)])
        for name, uses in web.items()
    }

    def sound(name: str, path: tuple[str, ...] = ()) -> bool:
        path = (*path, name)
        return name in web and all(used not in path and sound(used, path) for used in web[name])

    for name in NAMES:
        refused = False
        try:
            whole = canonical(written(f"segment = {name}", **rules).rule)
        except SegmentError:
            refused = True
        assert refused != sound(name)
        assert refused or "segment" not in whole


WORDS = [
    (
        "area = 旌阳 and role in (finance, owner) and not carrier = unicom",
        (
            "Everybody who lives in 旌德县旌阳镇 or within it, and is listed as finance staff or"
            " heads of firms, and is not a customer of China Unicom."
        ),
        (
            "满足以下条件的人：区域属于旌德县旌阳镇（含下辖），并且身份是财务人员或企业负责人，"
            "并且运营商不是中国联通。"
        ),
    ),
    (
        "(gender = f or school = 一中) and not (age >= 60 and last_sent > 30)",
        (
            "Everybody who (is female, or has an entry of the school “一中”), and does not fit"
            " this: (is 60 years old or older, and got the last text of this department more than"
            " 30 days ago, or never one). Of whom the age band cannot tell is left out and"
            " counted."
        ),
        (
            "满足以下条件的人：（性别为女，或者学校是“一中”），并且不满足（年龄不小于60岁，"
            "并且本部门最近一次发送超过30天，或从未发送）。年龄段无法判断的人不发送，单独计数。"
        ),
    ),
    ("not tag != vip", "Everybody who has the tag “vip”.", "满足以下条件的人：有标签“vip”。"),
]


@pytest.mark.parametrize(("rule", "english", "chinese"), WORDS)
def test_a_rule_in_plain_words(rule: str, english: str, chinese: str) -> None:
    words = explain(parse(rule), AREAS.name)
    assert (words.english, words.chinese) == (english, chinese)


def test_every_field_and_sign_has_words() -> None:
    values = {Kind.AGE: "60", Kind.DAYS: "60", Kind.RUN: str(UUID(int=7)), Kind.TEXT: "某某"}
    for field in FIELDS.values():
        words = values.get(field.kind) or next(iter(field.codes))
        for sign in ("=", "!=", *(("<", "<=", ">", ">=") if field.ordered else ())):
            said = explain(parse(f"{field.name} {sign} {words}"), AREAS.name)
            denied = explain(parse(f"not {field.name} {sign} {words}"), AREAS.name)
            assert said.english != denied.english
            assert said.chinese != denied.chinese
