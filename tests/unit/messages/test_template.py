"""Templates: variables, checks, filling, lengths, and the starter library."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Invalid, Misconfigured
from service.messages import template
from service.messages.starters import title
from service.messages.template import (
    MAX_CHARACTERS,
    SAMPLE_VALUES,
    Measure,
    MissingValue,
    check,
    contact_values,
    load_library,
    measure,
    problems,
    render,
    sample_values,
    variables,
    worst_values,
)
from service.messages.value_sources import CONTACT_VARIABLES

LIBRARY: dict[str, Any] = json.loads(template.LIBRARY.read_text("utf-8"))
TEXTS: list[dict[str, Any]] = LIBRARY["texts"]
SIX = "".join(f"{{变量{number}}}" for number in range(6))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("没有变量", ()),
        ("{姓名}您好", ("姓名",)),
        ("{ 姓名 }，{社区}的{姓名}", ("姓名", "社区")),
        ("{}", ()),
        ("{a{b}c}", ("b",)),
    ],
)
def test_variables(text: str, expected: tuple[str, ...]) -> None:
    assert variables(text) == expected


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("【某局】{姓名}您好", []),
        (f"【某局】{SIX}", []),
        (f"【某局】{SIX}{{变量0}}", []),
        ("姓名}您好", [3]),
        ("您好{姓名", [3]),
        ("{a{b}c}", [1]),
        ("｛姓名｝您好", [1]),
        ("您好{}和{ }", [3, 6]),
        (f"{SIX}{{第七}}", [len(SIX) + 1]),
        ("字" * MAX_CHARACTERS, []),
        ("字" * MAX_CHARACTERS + "字", [MAX_CHARACTERS + 1]),
        ("𬭎" * (MAX_CHARACTERS // 2) + "字", [MAX_CHARACTERS + 1]),
    ],
)
def test_problems_and_their_places(text: str, places: list[int]) -> None:
    assert [problem.at for problem in problems(text)] == places
    if not places:
        check(text)
        return
    with pytest.raises(Invalid) as caught:
        check(text)
    assert f"character {places[0]}" in caught.value.fields["text"]


def test_render_fills_each_variable_once() -> None:
    values = {"姓名": "{社区}", "社区": "霍家桥村"}
    assert render("{姓名}，{ 社区 }，{姓名}", values) == "{社区}，霍家桥村，{社区}"


@pytest.mark.parametrize("values", [{}, {"姓名": ""}, {"姓名": " 　"}, {"name": "王安"}])
def test_render_names_the_missing_value(values: dict[str, str]) -> None:
    with pytest.raises(MissingValue) as caught:
        render("您好{姓名}！", values)
    assert caught.value.variable == "姓名"
    assert "values.姓名" in caught.value.fields


@given(st.text(), st.text())
def test_render_of_a_text_without_braces_is_the_text(text: str, value: str) -> None:
    plain = text.replace("{", "").replace("}", "")
    assert render(plain, {"姓名": value}) == plain


def test_contact_values_leave_out_what_is_unknown() -> None:
    assert contact_values("王安", "旌阳镇", " ") == {
        "姓名": "王安",
        "name": "王安",
        "乡镇": "旌阳镇",
        "town": "旌阳镇",
    }
    assert set(contact_values("a", "b", "c")) == set(CONTACT_VARIABLES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Measure(0, "UCS2", 1)),
        ("字" * 70, Measure(70, "UCS2", 1)),
        ("字" * 71, Measure(71, "UCS2", 2)),
        ("字" * 134, Measure(134, "UCS2", 2)),
        ("字" * 135, Measure(135, "UCS2", 3)),
        ("𬭎" * 35, Measure(70, "UCS2", 1)),
        ("𬭎" * 36, Measure(72, "UCS2", 2)),
        ("【旌德县公安局】" + "a" * 63, Measure(71, "UCS2", 2)),
    ],
)
def test_measure(text: str, expected: Measure) -> None:
    assert measure(text, {}) == expected


@pytest.mark.parametrize("entry", TEXTS, ids=[entry["id"] for entry in TEXTS])
def test_library_lengths(entry: dict[str, Any]) -> None:
    text = entry["text"]
    check(text)
    assert list(variables(text)) == entry["variables"]
    ordinary, worst = entry["expected"], entry["expected_worst"]
    assert measure(text, sample_values(text)) == Measure(
        ordinary["length"], ordinary["encoding"], ordinary["parts"]
    )
    longest = measure(text, worst_values(text))
    assert (longest.characters, longest.parts) == (worst["length"], worst["parts"])


def test_sample_values_are_those_of_the_library() -> None:
    assert {name: SAMPLE_VALUES[name] for name in LIBRARY["sample_values"]} == LIBRARY[
        "sample_values"
    ]
    assert sample_values("{姓名}{未知}") == {"姓名": "欧阳建国", "未知": "国" * 20}


def test_library_is_read_whole() -> None:
    starters = load_library()
    assert len(starters) == len({starter.id for starter in starters}) == 56
    assert {starter.message_class for starter in starters} == {
        "public_interest",
        "service",
        "warning",
    }
    first = asdict(starters[0])
    entry = TEXTS[0]
    assert first.pop("message_class") == entry["class"]
    for label in ("audience_label", "fraud_label"):
        assert first.pop(label)._asdict() == entry[label]
    assert {key: list(v) if isinstance(v, tuple) else v for key, v in first.items()} == {
        key: entry[key] for key in first
    }


ABBREVIATIONS = {"AI", "ETC"}
"""What Chinese texts write in Latin letters."""


def test_every_title_is_chinese_in_chinese_and_english_in_english() -> None:
    for starter in load_library():
        said = title(starter)
        without = said.zh.removeprefix(starter.id)
        assert set(re.findall("[A-Za-z]+", without)) <= ABBREVIATIONS, said
        assert re.search("[一-鿿]", without), said
        assert not re.search("[一-鿿，。、（）]", said.en), said
        assert re.search("[A-Za-z]", said.en.removeprefix(starter.id)), said


def test_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(template, "LIBRARY", tmp_path / "library.json")
    with pytest.raises(Misconfigured, match="templates folder"):
        load_library()
