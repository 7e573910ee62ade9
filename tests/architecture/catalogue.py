"""The sentences of code and templates, and the catalogue that has them in Chinese: `make words`.

In Python a sentence stands in `phrase("…")`, in a template of the console in `_("…")` or
`{% trans %}`. The catalogue is sorted by sentence and has neither places nor dates, an entry on
two lines, so that branches which add some rarely meet.
"""

from collections.abc import Iterator
from typing import NamedTuple

import polib
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir

from tests.architecture.tree import ROOT

CATALOGUE = ROOT / "service" / "words" / "zh.po"
CODE = ("service", "workers")
PAGES = ROOT / "templates" / "console"
_HEAD = {
    "Project-Id-Version": "tocsin",
    "Language": "zh",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
}


class Key(NamedTuple):
    """What an entry is found by: its context, and the sentence in English."""

    context: str | None
    sentence: str


def sentences() -> set[Key]:
    """All sentences of code and templates."""
    return {*_in_code(), *_in_pages()}


def _in_code() -> Iterator[Key]:
    for folder in CODE:
        for _, _, message, _, context in extract_from_dir(
            ROOT / folder, [("**.py", "python")], keywords={"phrase": None}
        ):
            yield Key(context, str(message))


def _in_pages() -> Iterator[Key]:
    if not PAGES.is_dir():
        return
    for _, _, message, _, context in extract_from_dir(
        PAGES,
        [("**.html", "jinja2"), ("**.svg", "jinja2"), ("**.txt", "jinja2")],
        options_map={"**": {"trimmed": "true", "silent": "false"}},
        keywords=DEFAULT_KEYWORDS,
    ):
        yield Key(context, message if isinstance(message, str) else message[-1])  # the plural


def entries() -> list[polib.POEntry]:
    """The entries of the catalogue, in its order."""
    return list(polib.pofile(str(CATALOGUE)))


def renewed() -> str:
    """The catalogue as it should be: all sentences, each with what it had in Chinese."""
    known: dict[Key, str] = {}
    for entry in entries():
        key = Key(entry.msgctxt, entry.msgid)
        known[key] = known.get(key) or entry.msgstr
    made = polib.POFile(wrapwidth=0)
    made.metadata = _HEAD
    for key in sorted(sentences(), key=lambda key: (key.sentence, key.context or "")):
        made.append(
            polib.POEntry(msgctxt=key.context, msgid=key.sentence, msgstr=known.get(key, ""))
        )
    return f"{made}\n".rstrip("\n") + "\n"


def main() -> None:
    """Bring the catalogue up to date; names the sentences that it lacks in Chinese."""
    CATALOGUE.write_text(renewed(), "utf-8")
    lacking = [entry.msgid for entry in entries() if not entry.msgstr]
    for sentence in lacking:
        print(sentence)
    print(f"{len(entries()):,} sentences; {len(lacking):,} without Chinese")


if __name__ == "__main__":
    main()
