"""A county's own Word file, whose styles and head a document takes: read from its folder, checked.

A name in double braces is filled in: `{{title}}`, and `{{content}}`, in a paragraph of its own, is
where the document comes. The names exist in Chinese, too.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from service.documents.styles import NEEDED
from service.errors import Conflict
from service.words.phrase import Phrase, listing, phrase

CONTENT = "content"
NAMES: Mapping[str, str] = {
    "title": "标题",
    "subtitle": "副标题",
    "number": "编号",
    "week": "周次",
    "day": "日期",
    CONTENT: "正文",
}
"""The names of what is filled in, and what they are called in Chinese."""
EVERY = "all"
"""The file for documents that have none of their own."""
MOST_OCTETS = 4 * 1024 * 1024
_MOST_UNPACKED = 64 * 1024 * 1024
_MOST_PARTS = 1_000
_PLACE = re.compile(r"\{\{\s*([^{}]{1,20}?)\s*\}\}")
_BY_WORD = {word: name for name, word in NAMES.items()} | {name: name for name in NAMES}
_TARGET = re.compile(rb"<Relationship\b[^>]*>")


class CountyFileBad(Conflict):
    """A county's Word file that cannot be used; says which, what is wrong and how to mend it."""

    code = "document_file_bad"

    def __init__(self, name: str, problem: Phrase) -> None:
        super().__init__(
            phrase(
                "the county's file {name} cannot be used: {problem}; mend it in Word, or begin"
                " with the file that `tocsin documents` writes",
                name=name,
                problem=problem,
            )
        )
        self.problem = problem


def read_county_file(folder: Path | None, key: str) -> bytes | None:
    """The county's file for a document, its own or the one for all; None: there is none.

    Raises:
        CountyFileBad: it is there and cannot be used.
    """
    for name in (f"{key}.docx", f"{EVERY}.docx"):
        path = folder / name if folder is not None else None
        if path is None or not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                octets = file.read(MOST_OCTETS + 1)
        except OSError as error:
            problem = phrase("it cannot be read: {why}", why=error.strerror or "")
            raise CountyFileBad(name, problem) from error
        check(name, octets)
        return octets
    return None


def check(name: str, octets: bytes) -> None:
    """Refuse a file that no document can be made with.

    Raises:
        CountyFileBad: says what is wrong.
    """
    problem = next(_archive_problems(octets), None) or next(_word_problems(octets), None)
    if problem is not None:
        raise CountyFileBad(name, problem)


def placeholders(text: str) -> set[str]:
    """The names that a text has in double braces; those that are unknown as they are written."""
    return {_BY_WORD.get(name, name) for name in _PLACE.findall(text)}


def filled(text: str, facts: Mapping[str, str]) -> str:
    """A text with facts in place of their names; nothing where a document has none of that name."""
    return _PLACE.sub(lambda found: facts.get(_BY_WORD.get(found[1], ""), ""), text)


def _archive_problems(octets: bytes) -> Iterator[Phrase]:
    if len(octets) > MOST_OCTETS:
        yield phrase("it is larger than {most:,} octets", most=MOST_OCTETS)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as parts:
            listed = parts.infolist()
            names = {part.filename for part in listed}
            if len(listed) > _MOST_PARTS or sum(p.file_size for p in listed) > _MOST_UNPACKED:
                yield phrase("unpacked it is too large")
                return
            if "word/document.xml" not in names:
                yield phrase("it is no Word document (.docx)")
                return
            if any(name.endswith("vbaProject.bin") for name in names):
                yield phrase("it holds macros: save it as .docx without them")
            for part in listed:
                if part.filename.endswith(".rels") and _reaches_out(parts.read(part)):
                    yield phrase("it takes a picture or template from another place: insert it")
                    return
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        yield phrase("it is no Word document (.docx)")


def _reaches_out(relationships: bytes) -> bool:
    """Whether a part is taken from elsewhere when the file is opened; links do no harm."""
    return any(
        b'TargetMode="External"' in found and b"/hyperlink" not in found
        for found in _TARGET.findall(relationships)
    )


def _word_problems(octets: bytes) -> Iterator[Phrase]:
    import docx  # noqa: PLC0415  # as everywhere in this folder, only where it is used

    try:
        made = docx.Document(io.BytesIO(octets))
        styles = {style.name for style in made.styles}
        bodies = [paragraph.text for paragraph in made.paragraphs]
        everywhere = "\n".join(
            "".join(text for text in part.itertext())
            for part in (
                made.element.body,
                *(
                    piece._element  # noqa: SLF001  # it has no public name
                    for section in made.sections
                    for piece in (section.header, section.footer)
                    if not piece.is_linked_to_previous
                ),
            )
        )
    except Exception:  # noqa: BLE001  # whatever the library meets in a broken file
        yield phrase("it is no Word document (.docx)")
        return
    missing = [name for name in NEEDED if name not in styles]
    if missing:
        yield phrase("it has no style {names}", names=listing(missing))
    places = [text for text in bodies if CONTENT in placeholders(text)]
    if len(places) != 1 or _PLACE.sub("", places[0]).strip():
        yield phrase("{place} stands once, in a paragraph of its own", place="{{正文}}")
    unknown = sorted(placeholders(everywhere) - NAMES.keys())
    if unknown:
        yield phrase(
            "nothing is called {names}; there are {known}",
            names=listing(f"{{{{{name}}}}}" for name in unknown),
            known=listing(f"{{{{{word}}}}}" for word in NAMES.values()),
        )
