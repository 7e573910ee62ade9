"""The documents have the fields of a person as the table of fields has them."""

from service.audience.segments.segment_words import FIELDS
from tests.architecture import person_fields

RENEW = "run python -m tests.architecture.person_fields --write"


def test_the_page_of_imports_lists_the_columns_as_they_are() -> None:
    page = person_fields.COLUMNS.read_text("utf-8")
    begin = page.index(person_fields.BEGIN)
    end = page.index(person_fields.END) + len(person_fields.END)
    assert page[begin:end] == person_fields.columns(), RENEW


def test_the_page_of_rules_names_every_field() -> None:
    lines = person_fields.RULES.read_text("utf-8").splitlines()
    assert person_fields.texts() in lines, RENEW
    table = [line for line in lines if line.startswith("| `")]
    for field in FIELDS.values():
        assert any(f"`{field.name}`" in line and field.chinese in line for line in table), field
