"""A document as a Word file, in the shipped styles or in those of a county's own file.

Tables are written as elements of their own: the library looks through all rows for each cell.
"""

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from service.documents.archive import same_octets
from service.documents.county_file import CONTENT, filled, placeholders
from service.documents.document import (
    Column,
    Document,
    DocumentBlock,
    Heading,
    Paragraph,
    Picture,
    Pictures,
    Table,
    plain,
    shown,
)
from service.documents.styles import CELL, HEADING, NOTE, TABLE, TEXT, shipped

if TYPE_CHECKING:
    from docx.document import Document as WordFile

WIDE = 8
"""With more columns than this a document is printed on its side."""
MOST_ROWS = 3_000
"""Rows in all that a Word file may have; its reader takes a workbook for more."""
_HEAD_SHADE = "E7ECF3"
_PAGE_TWIPS = {False: 9_070, True: 13_600}
ON_A_PAGE = 6
"""Pictures; two columns of three upright, three of two where the page lies on its side."""
_PICTURE_COLUMNS = {False: 2, True: 3}
_PICTURE_EMU = {False: (2_800_000, 2_300_000), True: (2_750_000, 2_050_000)}
"""The room of a picture, width and height, in English metric units: 360,000 to the centimetre."""
_HIGH_TWIPS = 480
"""The height of a row that is filled in by hand: 8.5 mm."""


def docx_of(document: Document, county_file: bytes | None = None) -> bytes:
    """The octets of the Word file; the same for the same document and the same county's file.

    county_file: one that `county_file.check` has let through; None: the shipped styles.
    """
    import docx  # noqa: PLC0415  # 75 ms that the API does without until somebody asks

    made = (
        shipped(document.language)
        if county_file is None
        else docx.Document(io.BytesIO(county_file))
    )
    facts = _facts(document)
    wide = max((len(table.columns) for table in document.tables), default=0) > WIDE
    if wide and county_file is None:
        _turn(made)
    place = next(p for p in made.element.body.iter(_tag("p")) if CONTENT in placeholders(_said(p)))
    for paragraph in _all_paragraphs(made):
        if paragraph is not place and placeholders(_said(paragraph)):
            _fill(paragraph, facts)
    for element in _elements(made, document.blocks, wide=wide):
        place.addprevious(element)
    place.getparent().remove(place)
    core = made.core_properties
    core.title, core.subject = plain(document.title)[:255], ""
    core.author = core.last_modified_by = "Tocsin"
    core.created = core.modified = document.at.replace(tzinfo=None)
    core.last_printed, core.revision, core.comments = document.at.replace(tzinfo=None), 1, ""
    out = io.BytesIO()
    made.save(out)
    return same_octets(out.getvalue())


def _facts(document: Document) -> dict[str, str]:
    return {**document.facts, "title": document.title, "subtitle": document.subtitle}


def _turn(made: "WordFile") -> None:
    from docx.enum.section import WD_ORIENT  # noqa: PLC0415

    for section in made.sections:
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = section.page_height, section.page_width


def _all_paragraphs(made: "WordFile") -> Iterator[Any]:
    """The paragraphs of the body, its tables and text boxes, and of all headers and footers."""
    yield from list(made.element.body.iter(_tag("p")))
    for section in made.sections:
        for part in (
            *(section.header, section.first_page_header, section.even_page_header),
            *(section.footer, section.first_page_footer, section.even_page_footer),
        ):
            if not part.is_linked_to_previous:
                yield from list(part._element.iter(_tag("p")))  # noqa: SLF001  # it has no public name


def _fill(paragraph: Any, facts: dict[str, str]) -> None:
    """Put facts in place of their names, in the first run: a name may lie across several."""
    texts = list(paragraph.iter(_tag("t")))
    texts[0].text = filled(_said(paragraph), facts)
    texts[0].set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
    for other in texts[1:]:
        other.text = ""


def _said(paragraph: Any) -> str:
    return "".join(text.text or "" for text in paragraph.iter(_tag("t")))


def _elements(made: "WordFile", blocks: Sequence[DocumentBlock], *, wide: bool) -> Iterator[Any]:
    for block in blocks:
        match block:
            case Heading():
                yield _paragraph(made, block.text, HEADING)
            case Paragraph():
                yield _paragraph(made, block.text, NOTE if block.quiet else TEXT)
            case Table():
                yield _paragraph(made, block.title, HEADING)
                yield _table(made, block, wide=wide)
            case Pictures():
                for first in range(0, len(block.pictures), ON_A_PAGE):
                    heading = made.add_paragraph(plain(block.title), HEADING)
                    heading.paragraph_format.page_break_before = True
                    yield heading._p  # noqa: SLF001
                    shown = block.pictures[first : first + ON_A_PAGE]
                    yield _picture_table(made, shown, first, wide=wide)


def _paragraph(made: "WordFile", text: str, style: str) -> Any:
    added = made.add_paragraph(plain(text), style)
    return added._p  # noqa: SLF001  # the element, which is moved to its place


def _table(made: "WordFile", table: Table, *, wide: bool) -> Any:
    """A table whose head stands on each page, and whose rows are not cut by its end."""
    added = made.add_table(rows=0, cols=len(table.columns), style=TABLE)
    element = added._tbl  # noqa: SLF001
    cell_style = made.styles[CELL].style_id
    widths = _widths(table, _PAGE_TWIPS[wide])
    grid = element.find(_tag("tblGrid"))
    for column, width in zip(grid.iter(_tag("gridCol")), widths, strict=True):
        column.set(_tag("w"), str(width))
    labels = [column.label for column in table.columns]
    rows = _Rows(cell_style, widths, _HIGH_TWIPS if table.is_filled_in_by_hand else None)
    element.append(rows.row(labels, table.columns, bold=True, head=True))
    for no, row in enumerate(table.rows, 1):
        total = table.has_total and no == len(table.rows)
        texts = [shown(cell, column) for cell, column in zip(row, table.columns, strict=True)]
        element.append(rows.row(texts, table.columns, bold=total))
    return element


def _picture_table(made: "WordFile", pictures: Sequence[Picture], first: int, *, wide: bool) -> Any:
    """The pictures of a page in a table without lines, each over its label. first: how many came
    before.
    """
    columns = _PICTURE_COLUMNS[wide]
    added = made.add_table(rows=0, cols=columns)
    for at in range(0, len(pictures), columns):
        cells = added.add_row().cells
        for cell, picture, no in zip(
            cells,
            pictures[at : at + columns],
            range(first + at, first + len(pictures)),
            strict=False,
        ):
            _draw(made, cell.paragraphs[0], picture, no, _PICTURE_EMU[wide])
            cell.add_paragraph(plain(picture.label), NOTE)
    return added._tbl  # noqa: SLF001


def _draw(
    made: "WordFile", paragraph: Any, picture: Picture, no: int, room: tuple[int, int]
) -> None:
    """Put a picture into a paragraph, as large as the room in EMU lets it. The library would
    compare it with each picture before.
    """
    from docx.image.image import Image  # noqa: PLC0415
    from docx.opc.constants import RELATIONSHIP_TYPE  # noqa: PLC0415
    from docx.opc.packuri import PackURI  # noqa: PLC0415
    from docx.oxml.shape import CT_Inline  # noqa: PLC0415
    from docx.parts.image import ImagePart  # noqa: PLC0415
    from docx.shared import Emu  # noqa: PLC0415

    image = Image.from_blob(picture.jpeg)
    scale = min(room[0] / image.px_width, room[1] / image.px_height)
    size = (Emu(int(image.px_width * scale)), Emu(int(image.px_height * scale)))
    name = f"picture{no + 1}.jpg"
    part = ImagePart.from_image(image, PackURI(f"/word/media/{name}"))
    relation = made.part.relate_to(part, RELATIONSHIP_TYPE.IMAGE)
    inline = CT_Inline.new_pic_inline(no + 1, relation, name, *size)
    paragraph.add_run()._r.add_drawing(inline)  # noqa: SLF001


class _Rows:
    """Rows of a table as elements."""

    def __init__(self, style: str, widths: Sequence[int], height: int | None) -> None:
        """height: of a row below the head at least, in twips; None: as its text needs."""
        self._style, self._widths, self._height = style, widths, height

    def row(
        self, texts: Sequence[str], columns: Sequence[Column], *, bold: bool, head: bool = False
    ) -> Any:
        """One row. head: it stands again on each page."""
        row = _element("tr")
        about = _added(row, "trPr")
        _added(about, "cantSplit")
        if self._height is not None and not head:
            _added(about, "trHeight", val=str(self._height), hRule="atLeast")
        if head:
            _added(about, "tblHeader")
        for text, column, width in zip(texts, columns, self._widths, strict=True):
            cell = _added(row, "tc")
            about = _added(cell, "tcPr")
            _added(about, "tcW", w=str(width), type="dxa")
            if head:
                _added(about, "shd", val="clear", color="auto", fill=_HEAD_SHADE)
            paragraph = _added(cell, "p")
            form = _added(paragraph, "pPr")
            _added(form, "pStyle", val=self._style)
            if column.is_number:
                _added(form, "jc", val="right")
            run = _added(paragraph, "r")
            if bold:
                _added(_added(run, "rPr"), "b")
            written = _added(run, "t")
            written.text = plain(text)
            written.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
        return row


def _element(name: str) -> Any:
    from docx.oxml import OxmlElement  # noqa: PLC0415

    return OxmlElement(f"w:{name}")


def _added(parent: Any, name: str, **attributes: str) -> Any:
    child = _element(name)
    for key, value in attributes.items():
        child.set(_tag(key), value)
    parent.append(child)
    return child


def _tag(name: str) -> str:
    return f"{{http://schemas.openxmlformats.org/wordprocessingml/2006/main}}{name}"


def _widths(table: Table, page: int) -> list[int]:
    """How wide the columns are: by their longest cells, Chinese characters taking two places."""
    wanted = []
    for no, column in enumerate(table.columns):
        texts = [column.label[:12], *(shown(row[no], column) for row in table.rows[:500])]
        longest = max(sum(2 if sign > "\u2e80" else 1 for sign in text) for text in texts)
        wanted.append(min(max(longest, column.places, 5), 36) + 3)
    return [page * one // sum(wanted) for one in wanted]
