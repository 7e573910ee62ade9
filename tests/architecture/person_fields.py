"""What the documents say of the fields of a person, made from the table of fields.

`python -m tests.architecture.person_fields --write` brings docs/importing.md and docs/segments.md
up to date; `test_person_fields` compares them.
"""

import re
import sys

from service.audience.vocabulary.fields import PERSON_FIELDS, RULE_TEXTS, PersonField
from tests.architecture.tree import ROOT

BEGIN, END = "<!-- columns: made from the table of fields -->", "<!-- end of columns -->"
COLUMNS = ROOT / "docs" / "importing.md"
RULES = ROOT / "docs" / "segments.md"
_TEXTS = "the text of the imported list · 与名单所填一致 |"
_TEXTS_LINE = re.compile(rf"^\| .* \| {re.escape(_TEXTS)}$", re.MULTILINE)


def columns() -> str:
    """The list of columns as docs/importing.md has it."""
    lines = [
        BEGIN,
        "",
        "| column | headers | | kept | in rules |",
        "|---|---|---|---|---|",
        *map(_line, PERSON_FIELDS),
        "",
        END,
    ]
    return "\n".join(lines)


def _line(field: PersonField) -> str:
    headers = " · ".join(" ".join(words.split()) for words in field.headers)
    means = field.means
    if field.longest:
        means += f"; at most {field.longest} characters, a longer one warns `text_too_long`"
    kept = "encrypted" if field.encrypted else "yes" if field.column else ""
    rule = f"`{field.rule.name}` {field.rule.chinese}" if field.rule else ""
    cells = (f"`{field.code}`", headers, means, kept, rule)
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def texts() -> str:
    """The line of docs/segments.md with the free texts that rules ask for."""
    names = " ".join(f"`{name}`" for name in RULE_TEXTS)
    chinese = " ".join(words.chinese for words in RULE_TEXTS.values())
    return f"| {names} | {chinese} | {_TEXTS}"


def write() -> None:
    """Bring the pages up to date."""
    page = COLUMNS.read_text("utf-8")
    begin, end = page.index(BEGIN), page.index(END) + len(END)
    COLUMNS.write_text(page[:begin] + columns() + page[end:], "utf-8")
    RULES.write_text(_TEXTS_LINE.sub(texts(), RULES.read_text("utf-8")), "utf-8")


if __name__ == "__main__" and "--write" in sys.argv[1:]:
    write()
