"""The texts that lists say of a person are the same wherever they are named again."""

import pytest

from service.api.audience.rosters import MemberBody
from service.audience.contacts.contact import Entry
from service.audience.imports.model import Link
from service.audience.imports.staging import StagedNumber, Stager
from service.audience.segments.segment_words import FIELDS
from service.audience.tables.header import COLUMNS
from service.audience.vocabulary.entry_texts import ENTRY_TEXTS, RULE_TEXTS, TEXT_COLUMNS
from service.audience.vocabulary.fields import LONGEST_TAG, MOST_TAGS, split_tags
from service.crypto import Keyring

MANY = tuple(f"标签{n}" for n in range(MOST_TAGS + 1))
STORED = {"group": "household_group", "class": "class_", "note": "note_cipher",
          "guardian_of": "guardian_of_cipher"}  # fmt: skip
OLD = Link(
    *("王小明", "m", "41-59", "341825100000", "china_mobile", ("finance", "owner"), "一组", "甲厂"),
    *("企业", "", "", "", "", "", "财政局", "", "x", "", "", ""),
)


def test_every_text_has_its_place_in_all_that_name_it_again() -> None:
    columns = ["class_" if column == "class" else column for column in TEXT_COLUMNS]
    assert list(Link._fields[-len(columns) :]) == columns
    assert {STORED.get(column, column) for column in TEXT_COLUMNS} <= set(StagedNumber._fields)
    assert set(COLUMNS) - {"synthetic"} == {
        field.alias or name for name, field in MemberBody.model_fields.items()
    }
    assert {name for name in RULE_TEXTS if name != "class"} <= set(Entry.__slots__)
    assert set(RULE_TEXTS) <= set(FIELDS)


def test_no_header_word_means_two_texts() -> None:
    words = [word for text in ENTRY_TEXTS for word in text.headers.split()]
    assert len(words) == len(set(words))


def test_the_row_of_an_older_list_is_the_link_that_it_was() -> None:
    """Else the next list of everybody would add an entry to each."""
    stager = Stager(Keyring(b"\x01" * 32))
    assert stager.digest(OLD).hex() == "c26cd8f0b7a3a636e4c9b3713adf1279"
    others = [OLD._replace(**{name: "x"}) for name in ("college", "office", "tags")]
    assert len({stager.digest(link) for link in [OLD, *others]}) == 4


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
