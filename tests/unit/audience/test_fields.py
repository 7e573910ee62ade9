"""One table has the fields of a person, and all that name them follow it."""

import pytest

from service.api.audience.rosters import MemberBody
from service.audience.imports.model import RosterLink
from service.audience.imports.rows import read_texts
from service.audience.imports.staging import LINK_COLUMNS, STAGED_COLUMNS, StagedLink, Stager
from service.audience.segments.segment import parse
from service.audience.segments.segment_explain import explain
from service.audience.segments.segment_words import FIELDS
from service.audience.tables.header import COLUMNS, Vocabulary
from service.audience.vocabulary import fields
from service.audience.vocabulary.fields import PERSON_FIELDS, RULES_OF_FIELDS, TEXT_FIELDS
from service.audience.vocabulary.texts import LONGEST_TAG, MOST_TAGS, split_tags
from service.crypto import Keyring

MANY = tuple(f"标签{n}" for n in range(MOST_TAGS + 1))


def link(**said: str) -> RosterLink:
    texts = tuple(said.get(field.code, "") for field in TEXT_FIELDS)
    assert set(said) <= {field.code for field in TEXT_FIELDS}
    return RosterLink(
        *("王小明", "m", "41-59", "341825100000", "china_mobile", ("finance", "owner")), texts
    )


OLD = {"group": "一组", "org": "甲厂", "org_type": "企业", "source_dept": "财政局", "note": "x"}


def test_every_header_word_means_its_field_and_no_other() -> None:
    words = [
        (word, field.code)
        for field in PERSON_FIELDS
        for headers in field.headers
        for word in headers.split()
    ]
    assert len({word for word, _ in words}) == len(words)
    known = Vocabulary()
    for word, code in words:
        meaning = known.meaning(word)
        assert meaning is not None
        assert (meaning.column, meaning.refused) == (code, False)


def test_whatever_names_the_fields_names_those_of_the_table() -> None:
    assert list(COLUMNS) == [field.code for field in PERSON_FIELDS]
    assert {field.alias or name for name, field in MemberBody.model_fields.items()} == {
        field.code for field in PERSON_FIELDS if field.is_member
    }
    columns = [field.column for field in PERSON_FIELDS if field.column]
    assert len(columns) == len(set(columns))
    assert set(columns) == set(LINK_COLUMNS) - {"row_no", "digest", "last_day"}
    assert set(StagedLink._fields).isdisjoint(field.column for field in TEXT_FIELDS)
    assert len(STAGED_COLUMNS) == len(set(STAGED_COLUMNS))
    assert set(RULES_OF_FIELDS) <= set(FIELDS)


def test_every_text_that_rules_ask_for_is_explained() -> None:
    for name, words in fields.RULE_TEXTS.items():
        explained = explain(parse(f"{words.chinese} != 甲"), str)
        assert f"{words.chinese}不是“甲”" in explained.chinese
        assert "甲" in explained.english
        assert name in FIELDS


def test_the_row_of_an_older_list_is_the_link_that_it_was() -> None:
    """Else the next list of everybody would add an entry to each."""
    stager = Stager(Keyring(b"\x01" * 32))
    assert stager.digest(link(**OLD)).hex() == "c26cd8f0b7a3a636e4c9b3713adf1279"
    later = {"college": "x", "office": "x", "tags": "x"}
    assert stager.digest(link(**OLD, **later)).hex() == "3d7f70819e90ccc175a2724f7f881a64"


def test_every_text_makes_another_link() -> None:
    stager = Stager(Keyring(b"\x01" * 32))
    links = [link(), *(link(**{field.code: "x"}) for field in TEXT_FIELDS)]
    assert len({stager.digest(one) for one in links}) == len(TEXT_FIELDS) + 1


def test_a_text_that_is_too_long_is_left_out_and_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = (" 高中 ", "高中生", *[""] * (len(TEXT_FIELDS) - 2))
    assert read_texts(cells).values[:2] == ("高中", "高中生")
    monkeypatch.setattr("service.audience.imports.rows._LIMITED", ((0, 2), (1, 2)))
    read = read_texts.__wrapped__(cells)
    assert (read.values[:2], read.warnings) == (("高中", ""), ("text_too_long",))


@pytest.mark.parametrize(
    ("cell", "tags", "refused"),
    [
        ("重点、返乡", ("重点", "返乡"), False),
        ("重点, 返乡 ;重点", ("重点", "返乡"), False),
        ("", (), False),
        ("无", (), False),
        ("长" * LONGEST_TAG, ("长" * LONGEST_TAG,), False),
        ("短、" + "长" * (LONGEST_TAG + 1), ("短",), True),
        (
            "、".join(map(str, range(1, MOST_TAGS + 2))),
            tuple(map(str, range(1, MOST_TAGS + 1))),
            True,
        ),
    ],
)
def test_tags_are_separated_as_people_do(cell: str, tags: tuple[str, ...], refused: bool) -> None:
    assert split_tags(cell) == (tags, refused)
