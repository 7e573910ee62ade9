"""Names become the numbers that the driver knows, and nothing else of a statement changes."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.storage import sql
from service.storage.sql import Condition, apart, load, translate


class Line:
    """What would be sent to the server."""

    def __init__(self) -> None:
        self.sent: list[tuple[object, ...]] = []

    async def execute(self, text: str, *values: object, **options: object) -> str:
        self.sent.append((text, values, options["timeout"]))
        return "UPDATE 1"

    async def executemany(self, text: str, rows: list[list[object]]) -> None:
        self.sent.append((text, rows))


def execute(text: str, **values: Any) -> tuple[object, ...]:
    line: Any = Line()
    asyncio.run(sql.execute(line, text, **values))
    (sent,) = line.sent
    return tuple(sent)


def test_names_are_numbered_as_they_come_and_one_name_is_one_parameter() -> None:
    text = "UPDATE runs SET at = :now WHERE id = :run_id AND made_at < :now"
    assert translate(text) == (
        "UPDATE runs SET at = $1 WHERE id = $2 AND made_at < $1",
        ("now", "run_id"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1::text, (2)::int[], a :: text",
        "SELECT ':name', 'it''s :name', E'\\':name', e'a\\\\', 'HH24:MI'",
        'SELECT ":name", "a "" :name" FROM b',
        "SELECT 1 -- :name and ' and \"\nFROM a",
        "SELECT 1 /* :name ' */ + /* a /* :name */ :name */ 2",
        "SELECT $$ :name ' $$, $tag$ :name $$ $tag$",
        'SELECT a[1:2], a[1:n], a[low:high], (f(x))[g(1):h], a[b[1]:c], a["d":e]',
        "SELECT f(x := 1), a ? ':b', a : b",
        "SELECT U&'d\\0061:t', '中文：:名'",
        "SELECT '",
        "",
    ],
)
def test_what_is_no_parameter_stays(text: str) -> None:
    assert translate(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT :a::text, :a ::int, ANY(:b)", "SELECT $1::text, $1 ::int, ANY($2)"),
        ("SELECT x[:a], x[1::a]", "SELECT x[$1], x[1::a]"),
        ("SELECT ':a' || :a || ':a'", "SELECT ':a' || $1 || ':a'"),
        ("SELECT E'\\\\' || :a", "SELECT E'\\\\' || $1"),
        ("SELECT 'a\\' || :a", "SELECT 'a\\' || $1"),
        ("SELECT name'' || :a, value$$:b$$", "SELECT name'' || $1, value$$$2$$"),
        (":a", "$1"),
        ("(:a)-:b--:c", "($1)-$2--:c"),
        ("a=:a,b<:b_2", "a=$1,b<$2"),
    ],
)
def test_what_is_a_parameter_gets_its_number(text: str, expected: str) -> None:
    assert translate(text).text == expected


WHOLE = st.sampled_from(
    [
        "'x :no'",
        "'it''s'",
        "E'\\' :no'",
        '":no"',
        "/* :no ' */",
        "-- :no '\n",
        "$$ :no $$",
        "$q$ ' :no $q$",
        "::text",
        "a[1:no]",
        "count(*)",
        "<=",
        ",",
        "(",
        ")",
        "\n",
        "年",
    ]
)
NAME = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)


@given(st.lists(st.one_of(WHOLE, NAME.map(lambda name: (name,)))))
def test_in_any_order_each_piece_is_what_it_is(pieces: list[str | tuple[str]]) -> None:
    numbers: dict[str, int] = {}
    text, expected = [], []
    for piece in pieces:
        if isinstance(piece, tuple):
            text.append(f":{piece[0]}")
            expected.append(f"${numbers.setdefault(piece[0], len(numbers) + 1)}")
        else:
            text.append(piece)
            expected.append(piece)
    assert translate(" ".join(text)) == (" ".join(expected), tuple(numbers))


@given(st.text("abc:'\"$/*-\\[]() \n1_", max_size=40))
def test_no_text_is_too_odd(text: str) -> None:
    if re.search(r"\$\d", text):
        return
    translated = translate(text)
    back = translated.text
    for number, name in reversed(list(enumerate(translated.names, 1))):
        back = re.sub(rf"\${number}(?!\d)", f":{name}", back)
    assert back == text


def test_a_number_of_a_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a number, not a name: \$2"):
        translate("SELECT :a, $2")


def test_a_text_is_translated_once_and_few_are_kept() -> None:
    assert translate("SELECT :kept").text is translate("SELECT :kept").text
    for number in range(3000):
        translate(f"SELECT {number}")
    kept = translate.cache_info()
    assert kept.maxsize is not None
    assert kept.currsize <= kept.maxsize < 3000


def test_values_go_by_name_whatever_their_order() -> None:
    text = "UPDATE a SET b = :b WHERE c = :c AND d = :b"
    assert execute(text, c=1, b=2, timeout=3.5) == (
        "UPDATE a SET b = $1 WHERE c = $2 AND d = $1",
        (2, 1),
        3.5,
    )


def test_a_missing_and_an_unused_value_are_both_named() -> None:
    with pytest.raises(TypeError, match="has no value for :b and does not use :x: UPDATE a SET"):
        execute("UPDATE a SET b = :b\n WHERE c = :c", c=1, x=2)
    with pytest.raises(TypeError, match="the statement has no value for :b, :c: "):
        execute("UPDATE a SET b = :b WHERE c = :c")
    with pytest.raises(TypeError, match="the statement does not use :now: "):
        execute("UPDATE a SET b = :b", b=1, now=2)


def test_each_row_of_many_is_arranged_by_its_names() -> None:
    line: Any = Line()
    text = "INSERT INTO a VALUES (:b, :c)"
    asyncio.run(sql.executemany(line, text, [{"b": 1, "c": 2}, {"c": 4, "b": 3}]))
    assert line.sent == [("INSERT INTO a VALUES ($1, $2)", [[1, 2], [3, 4]])]
    with pytest.raises(TypeError, match="no value for :c"):
        asyncio.run(sql.executemany(line, text, [{"b": 1, "c": 2}, {"b": 3}]))


def test_conditions_join_and_keep_their_values_apart() -> None:
    young = Condition("age < :age", {"age": 20})
    old = Condition("age > :age AND note <> ':age'", {"age": 60})
    both = young | old
    assert both == Condition(
        "(age < :age) OR (age > :age_2 AND note <> ':age')", {"age": 20, "age_2": 60}
    )
    assert (both & Condition("kept")).text == f"({both.text}) AND (kept)"
    third = both & Condition("age <> :age OR age = :age_2", {"age": 5, "age_2": 7})
    assert third.values == {"age": 20, "age_2": 60, "age_3": 5, "age_4": 7}
    assert third.text == f"({both.text}) AND (age <> :age_3 OR age = :age_4)"


def test_one_value_under_one_name_stays_one_parameter() -> None:
    day = object()
    joined = Condition("a < :day", {"day": day}) & Condition("b < :day", {"day": day})
    assert joined == Condition("(a < :day) AND (b < :day)", {"day": day})


def test_a_part_gets_names_of_its_own() -> None:
    text, values = apart("first_", "a = :day AND b = ':day' AND c > :day", {"day": 7})
    assert text == "a = :first_day AND b = ':day' AND c > :first_day"
    assert values == {"first_day": 7}


def test_a_statement_is_read_from_a_file_with_its_parts(tmp_path: Path) -> None:
    (tmp_path / "count.sql").write_text("SELECT 1 WHERE $PART AND a = :a", "utf-8")
    beside = str(tmp_path / "store.py")
    assert load(beside, "count.sql", PART="b > 2") == "SELECT 1 WHERE b > 2 AND a = :a"
    with pytest.raises(KeyError, match="PART"):
        load(beside, "count.sql")
