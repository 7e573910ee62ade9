"""The rule language: what it reads, what it refuses and where, and its normal form."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.audience.areas.area import Area, AreaTree, packaged_areas
from service.audience.segments.segment import (
    MAX_CHARACTERS,
    MAX_COMPARISONS,
    MAX_DEPTH,
    And,
    Comparison,
    Not,
    Or,
    Rule,
    canonical,
    depth,
    parse,
)
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import AGE_BANDS, compile_rule, satisfied_bands
from service.audience.segments.segment_words import (
    CARRIER_WORDS,
    FIELDS,
    GENDER_WORDS,
    ROLE_WORDS,
    SegmentError,
    fold,
)
from service.audience.vocabulary.ages import BANDS
from service.audience.vocabulary.cells import WHITE
from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.fields import Kind
from service.audience.vocabulary.roles import ROLES
from service.errors import Invalid

RUN = "0199b3c0-1111-7222-8333-444444444444"
DEPARTMENT = UUID(int=5)
TODAY = date(2026, 11, 25)
AREAS = RuleAreas(AreaTree(packaged_areas()))

MEANINGS = [
    ("area = 旌阳镇", 'area = "旌阳镇"'),
    ('区域 = "旌阳镇"', 'area = "旌阳镇"'),
    ("区域 ＝ “旌阳镇”", 'area = "旌阳镇"'),
    ("身份 = 财务人员 且 年龄 >= 60", 'role = "finance" and age >= 60'),
    ("身份=财务人员且年龄>=60", 'role = "finance" and age >= 60'),
    ("ＲＯＬＥ＝ｆｉｎａｎｃｅ　ＡＮＤ　ＡＧＥ＞＝６０", 'role = "finance" and age >= 60'),
    ("年龄≥60岁或年龄≤25周岁", "age >= 60 or age <= 25"),
    ("年龄<>60", "age != 60"),
    ("age == 60", "age = 60"),
    ("role in (finance, owner)", 'role in ("finance", "owner")'),
    ("身份 in（法人、会计，出纳）", 'role in ("finance", "owner")'),
    ("身份属于(会计,出纳)", 'role = "finance"'),
    ("role not in (finance)", 'not role = "finance"'),
    ("身份不属于(财务)", 'not role = "finance"'),
    ("age in (70, 60)", "age in (60, 70)"),
    ("非 性别=女", 'not gender = "f"'),
    ("非性别=女且非非性别=男", 'not gender = "f" and not not gender = "m"'),
    ("非(性别=女)", 'not gender = "f"'),
    ("非(性别=女 或 年龄<18)", 'not (gender = "f" or age < 18)'),
    ("学校 = 非凡学校", 'school = "非凡学校"'),
    ("学校 in (非凡学校, 一中)", 'school in ("一中", "非凡学校")'),
    ("学校 = '张或小学'", 'school = "张或小学"'),
    ("org = Bureau_7", 'org = "bureau_7"'),
    ('org = "Jingde  Finance"', 'org = "jingdefinance"'),
    ('org = "and"', 'org = "and"'),
    ('org = "a ""b"""', 'org = "a""b"""'),
    ("班级=1班 and grade=‘三年级’", 'class = "1班" and grade = "三年级"'),
    ("carrier = mobile or carrier=移动", 'carrier = "china_mobile" or carrier = "china_mobile"'),
    ("运营商 != 联通", 'carrier != "china_unicom"'),
    ("名单=春季 且 部门=县公安局", 'roster = "春季" and department = "县公安局"'),
    (f"收到 = {RUN.upper()}", f'received = "{RUN}"'),
    ("age=1 or age=2 and age=3", "age = 1 or age = 2 and age = 3"),
    ("(age=1 or age=2) and age=3", "(age = 1 or age = 2) and age = 3"),
    ("((age=1 and (age=2 and age=3)))", "age = 1 and age = 2 and age = 3"),
    ("最近发送>30天 且 last_sent <= 90", "last_sent > 30 and last_sent <= 90"),
    ("标签=重点 或 tag in (vip, 重点)", 'tag = "重点" or tag in ("vip", "重点")'),
    ("名单规则 = 旌阳财务 且 segment != B", 'segment = "旌阳财务" and segment != "b"'),
    ("\ufeffage\n=\t1", "age = 1"),
    ("area = 旌\u200b阳镇", 'area = "旌阳镇"'),
]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS, ids=[text for text, _ in MEANINGS])
def test_rule_means(text: str, meaning: str) -> None:
    assert canonical(parse(text)) == meaning


def test_precedence_builds_the_tree() -> None:
    first, second, third = (Comparison("age", "=", (age,)) for age in (1, 2, 3))
    assert parse("age=1 or age=2 and not age=3") == Or((first, And((second, Not(third)))))


def test_example_of_the_design_page() -> None:
    rule = parse('area = "旌阳镇" and role in (finance, owner) and not carrier = unicom')
    assert rule == And(
        (
            Comparison("area", "=", ("旌阳镇",)),
            Comparison("role", "in", ("finance", "owner")),
            Not(Comparison("carrier", "=", ("china_unicom",))),
        )
    )


# rule, position, found, a piece of what was expected, suggestions
MISTAKES: list[tuple[str, int, str, str, tuple[str, ...]]] = [
    ("", 1, "", "a condition", ()),
    ("   ", 4, "", "a condition", ()),
    ("身份=财物", 4, "财物", "finance", ("财务", "物业")),
    ("role = finanse", 8, "finanse", "a role (身份)", ("finance",)),
    ("carrier = 移不动", 11, "移不动", "china_mobile", ("移动", "中国移动")),
    ("gender = x", 10, "x", "f, m", ()),
    ("年令 > 60", 1, "年令", "area (区域)", ("年龄", "年级")),
    ("rolle = finance", 1, "rolle", "a field", ("role", "college", "roster")),
    ("age >=", 7, "", "a value for age", ()),
    ("age >= 很大", 8, "很大", "whole years from 0 to 120", ()),
    ("age = 121", 7, "121", "0 to 120", ()),
    ("age = -1", 7, "-1", "0 to 120", ()),
    ("role > finance", 6, ">", "no order", ()),
    ("role finance", 6, "finance", "one of = != in", ()),
    ("role = and", 8, "and", "quote it", ()),
    ("role in finance", 9, "finance", "an opening parenthesis", ()),
    ("role in ()", 10, ")", "a value for role", ()),
    ("role in (finance owner)", 18, "owner", "a comma", ()),
    ("(age = 1", 9, "", "a closing parenthesis", ()),
    ("age = 1)", 8, ")", "the end", ()),
    ("age = 1 age = 2", 9, "age", "and / 且", ()),
    ("org = Jingde Finance", 14, "Finance", "quotes", ()),
    ("school = 张或小学", 12, "小学", "needs quotes", ("学院", "学校")),
    ("role = “财务", 8, "“", "never closed", ()),
    ('org = ""', 7, '""', "not empty", ()),
    ("! age = 1", 1, "!", "!=", ()),
    ("age ！ 1", 5, "！", "!=", ()),
    ('"age" = 1', 1, '"age"', "a condition", ()),
    ("tag > vip", 5, ">", "no order", ()),
    ("最近发送 > 上周", 8, "上周", "whole days from 0 to 3650", ()),
    ("last_sent > 3651", 13, "3651", "0 to 3650", ()),
    ("received = yesterday", 12, "yesterday", "the id of a run", ()),
    ("age = 1 and", 12, "", "a condition", ()),
]


@pytest.mark.parametrize(
    ("text", "position", "found", "expected", "suggestions"),
    MISTAKES,
    ids=[mistake[0] or "empty" for mistake in MISTAKES],
)
def test_mistake_is_explained(
    text: str, position: int, found: str, expected: str, suggestions: tuple[str, ...]
) -> None:
    with pytest.raises(SegmentError) as caught:
        parse(text)
    error = caught.value
    assert isinstance(error, Invalid)
    assert (error.position, error.suggestions) == (position, suggestions)
    assert error.found.strip("\"'") == found.strip("\"'")
    assert expected in error.expected
    assert error.fields == {"rule": error.message}
    assert f"character {position}" in error.message


def test_limit_of_characters() -> None:
    fits = "age = 1".ljust(MAX_CHARACTERS)
    assert parse(fits) == Comparison("age", "=", (1,))
    with pytest.raises(SegmentError, match="at most 4000 characters"):
        parse(fits + " ")
    assert parse(fits + " ", max_characters=MAX_CHARACTERS + 1) == parse(fits)


def test_limit_of_comparisons() -> None:
    fits = "或".join(["年龄=1"] * MAX_COMPARISONS)
    assert isinstance(parse(fits), Or)
    with pytest.raises(SegmentError, match="at most 250 comparisons") as caught:
        parse(fits + "或年龄=1")
    assert caught.value.position == len(fits) + 2


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("非", ""), ("not ", "")])
def test_limit_of_depth(opening: str, closing: str) -> None:
    parse(opening * MAX_DEPTH + "age = 1" + closing * MAX_DEPTH)
    with pytest.raises(SegmentError, match="less nesting") as caught:
        parse(opening * (MAX_DEPTH + 1) + "age = 1" + closing * (MAX_DEPTH + 1))
    assert caught.value.position == len(opening) * MAX_DEPTH + 1


def test_values_are_the_keys_that_imports_store() -> None:
    assert set(ROLE_WORDS.values()) == set(ROLES)
    assert set(CARRIER_WORDS.values()) == set(CARRIERS)
    assert tuple(AGE_BANDS) == BANDS
    assert (ROLE_WORDS["群主"], CARRIER_WORDS["unicom"]) == ("group_owner", "china_unicom")


@pytest.mark.parametrize(
    "word", [*ROLE_WORDS, *CARRIER_WORDS, *GENDER_WORDS, *(f.chinese for f in FIELDS.values())]
)
def test_every_word_is_in_its_folded_form(word: str) -> None:
    assert fold(word) == word


@given(st.text())
def test_folding_is_done_after_once(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert not set(folded) & set(WHITE)


# Rules as trees, and as texts in any spelling.

TEXT_FIELDS = [name for name, field in FIELDS.items() if field.kind is Kind.TEXT]
TEXTS = st.text(min_size=1).map(fold).filter(bool)


def comparisons_of(
    names: st.SearchStrategy[str],
    values: st.SearchStrategy[str] | st.SearchStrategy[int],
    signs: list[str],
) -> st.SearchStrategy[Comparison]:
    single = st.builds(
        lambda name, sign, value: Comparison(name, sign, (value,)),
        names,
        st.sampled_from(signs),
        values,
    )
    several = st.builds(
        lambda name, chosen: Comparison(name, "in", tuple(sorted(chosen, key=str))),
        names,
        st.sets(values, min_size=2, max_size=4),
    )
    return single | several


COMPARISONS = st.one_of(
    comparisons_of(st.sampled_from(TEXT_FIELDS), TEXTS, ["=", "!="]),
    comparisons_of(st.just("role"), st.sampled_from(sorted(ROLES)), ["=", "!="]),
    comparisons_of(st.just("received"), st.uuids().map(str), ["=", "!="]),
    comparisons_of(st.just("age"), st.integers(0, 120), ["=", "!=", "<", "<=", ">", ">="]),
    comparisons_of(st.just("last_sent"), st.integers(0, 3650), ["=", "!=", "<", "<=", ">", ">="]),
)


def flat(kind: type[And | Or], operands: list[Rule]) -> Rule:
    parts: list[Rule] = []
    for operand in operands:
        parts.extend(operand.operands if isinstance(operand, kind) else [operand])
    return kind(tuple(parts))


RULES: st.SearchStrategy[Rule] = st.recursive(
    COMPARISONS,
    lambda rules: st.one_of(
        rules.map(Not),
        st.lists(rules, min_size=2, max_size=3).map(lambda rs: flat(And, rs)),
        st.lists(rules, min_size=2, max_size=3).map(lambda rs: flat(Or, rs)),
    ),
    max_leaves=12,
)


@given(RULES)
@settings(max_examples=200)
def test_normal_form_reads_back(rule: Rule) -> None:
    text = canonical(rule)
    again = parse(text, max_characters=len(text))
    assert again == rule
    assert hash(again) == hash(rule)
    with_depth(text, depth(rule))


def with_depth(text: str, levels: int) -> None:
    """A rule of so many levels is read inside the rest of what is allowed, and no deeper."""
    around = MAX_DEPTH - levels
    parse("(" * around + text + ")" * around, max_characters=10_000)
    with pytest.raises(SegmentError, match="less nesting"):
        parse("(" * (around + 1) + text + ")" * (around + 1), max_characters=10_000)


@pytest.mark.parametrize("text", ["＃", "＃a = 1", "身份＝＃", "身份＝“＃”", "年龄 >= ６x"])
def test_a_mistake_names_what_was_typed(text: str) -> None:
    with pytest.raises(SegmentError) as mistake:
        parse(text)
    assert mistake.value.found in text
    assert not mistake.value.found.isascii()


PIECES = [
    *["身份=财务", "性别 = 女", "age>=60", "年龄 in (60,61)", "学校=非凡学校", "区域=‘旌阳镇’"],
    *["且", "或", "非", " and ", " or ", " not ", "(", ")", "（", "）", "属于", "不属于", "=", ","],
    *["“", '"', "！", "\u200b", "　", "财务", "role", "标签"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text())
@settings(max_examples=500)
def test_any_text_is_a_rule_or_a_named_mistake(text: str) -> None:
    mistake = None
    try:
        normal = canonical(parse(text))
    except SegmentError as error:
        mistake = error
    if mistake:
        assert 1 <= mistake.position <= len(text) + 1
        assert mistake.found in text
    else:
        assert parse(normal, max_characters=len(normal)) == parse(text)


# Compiling; what the SQL does is tested on PostgreSQL.


def test_user_input_is_in_the_parameters_only() -> None:
    rule = parse("""org = "x'); DROP TABLE contacts; --" and age >= 60 and area = 旌阳镇""")
    compiled = compile_rule(rule, areas=AREAS, department_id=DEPARTMENT, today=TODAY)
    assert "DROP" not in compiled.sql.upper()
    assert list(compiled.values.values())[:3] == [TODAY, DEPARTMENT, ["x');droptablecontacts;--"]]
    assert "DROP" not in compiled.source.upper()
    for number in (1, 2, 3):
        assert f":rule_{number}::" in compiled.source
    for number in (4, 5, 6):
        assert f":rule_{number}::" in compiled.sql
    assert ":rule_7" not in compiled.sql + compiled.source
    assert list(compiled.values.values())[3:5] == [
        ["60-69", "70+"],
        ["14-17", "18-25", "26-40", "41-59"],
    ]


def comparison(text: str) -> Comparison:
    rule = parse(text)
    assert isinstance(rule, Comparison)
    return rule


@pytest.mark.parametrize(
    ("text", "whole", "none"),
    [
        ("age >= 60", ["60-69", "70+"], ["14-17", "18-25", "26-40", "41-59"]),
        ("age > 60", ["70+"], ["14-17", "18-25", "26-40", "41-59"]),
        ("age < 18", ["14-17"], ["18-25", "26-40", "41-59", "60-69", "70+"]),
        ("age = 50", [], ["14-17", "18-25", "26-40", "60-69", "70+"]),
        ("age != 50", ["14-17", "18-25", "26-40", "60-69", "70+"], []),
        ("age in (14, 15, 16, 17, 30)", ["14-17"], ["18-25", "41-59", "60-69", "70+"]),
        ("age <= 120", ["14-17", "18-25", "26-40", "41-59", "60-69", "70+"], []),
    ],
)
def test_bands_of_an_age(text: str, whole: list[str], none: list[str]) -> None:
    assert satisfied_bands(comparison(text)) == (whole, none)


@pytest.mark.parametrize(
    ("band", "first", "last"),
    [
        ("14-17", 14, 17),
        ("18-25", 18, 25),
        ("26-40", 26, 40),
        ("41-59", 41, 59),
        ("60-69", 60, 69),
        ("70+", 70, 120),
    ],
)
def test_both_ends_of_a_band(band: str, first: int, last: int) -> None:
    for inside, outside in ((f"age >= {first}", f"age < {first}"), (f"age <= {last}", "age > 120")):
        assert band in satisfied_bands(comparison(inside))[0]
        assert band in satisfied_bands(comparison(outside))[1]
    for straddling in (f"age > {first}", f"age < {last}", f"age = {first}", f"age = {last}"):
        whole, none = satisfied_bands(comparison(straddling))
        assert band not in {*whole, *none}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("旌阳镇", 15),
        ("旌阳", 15),
        ("３４１８２５１００", 15),
        ("341825100000", 15),
        ("旌德县", 79),
        ("霍家桥村", 1),
        ("三溪镇霍家桥村", 1),
    ],
)
def test_area_means_its_subtree(name: str, count: int) -> None:
    _, _, codes = compile_rule(
        parse(f"区域={name}"), areas=AREAS, department_id=DEPARTMENT, today=TODAY
    ).values.values()
    assert isinstance(codes, list)
    assert len(codes) == count


def test_unknown_area_is_explained() -> None:
    with pytest.raises(SegmentError) as caught:
        compile_rule(
            parse("age > 60 and area in (旌德县, 旌阳真)"),
            areas=AREAS,
            department_id=DEPARTMENT,
            today=TODAY,
        )
    assert (caught.value.position, caught.value.suggestions) == (28, ("旌阳镇",))


def test_area_of_several_places_lists_their_codes() -> None:
    tree = AreaTree(
        [
            Area("341825100000", "甲镇", "town", "341825000000"),
            Area("341825101000", "乙镇", "town", "341825000000"),
            Area("341825100201", "新村村委会", "village", "341825100000"),
            Area("341825101201", "新村村委会", "village", "341825101000"),
        ]
    )
    with pytest.raises(SegmentError) as caught:
        compile_rule(
            parse("区域=新村村委会"), areas=RuleAreas(tree), department_id=DEPARTMENT, today=TODAY
        )
    assert caught.value.suggestions == (
        "341825100201 (甲镇新村村委会)",
        "341825101201 (乙镇新村村委会)",
    )
