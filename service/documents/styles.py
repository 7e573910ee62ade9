"""The shipped styles of Word files: as offices write, after GB/T 9704 where that fits a report.

A county takes the file that `tocsin documents` writes, changes its styles in Word or WPS, adds its
own head, and leaves the names.
"""

import io
from typing import TYPE_CHECKING, Any

from service.documents.archive import same_octets
from service.documents.document import UNDATED

if TYPE_CHECKING:
    from docx.document import Document as WordFile

TITLE, SUBTITLE, HEADING, TEXT = "Title", "Subtitle", "Heading 1", "Body Text"
NOTE, CELL, TABLE = "Tocsin Note", "Tocsin Cell", "Table Grid"
NEEDED = (TITLE, SUBTITLE, HEADING, TEXT, NOTE, CELL, TABLE)
"""The styles that a file must have."""

_SONG, _HEI, _FANG = "宋体", "黑体", "仿宋"
_LATIN = "Times New Roman"
_BLACK = "000000"


def shipped(language: str) -> "WordFile":
    """A file with the shipped styles and the places of what is filled in."""
    import docx  # noqa: PLC0415
    from docx.shared import Mm  # noqa: PLC0415

    made = docx.Document()
    _set_styles(made)
    for section in made.sections:
        section.page_width, section.page_height = Mm(210), Mm(297)
        section.top_margin, section.bottom_margin = Mm(30), Mm(25)
        section.left_margin = section.right_margin = Mm(25)
    made.add_paragraph("{{title}}", TITLE)
    made.add_paragraph("{{subtitle}}", SUBTITLE)
    made.add_paragraph("{{content}}", TEXT)
    _number_pages(made, language)
    return made


def shipped_file(language: str) -> bytes:
    """The same as a file, for whoever begins with it."""
    made = shipped(language)
    core = made.core_properties
    core.title, core.author, core.comments = "", "Tocsin", ""
    core.created = core.modified = UNDATED.replace(tzinfo=None)
    out = io.BytesIO()
    made.save(out)
    return same_octets(out.getvalue())


def _set_styles(made: "WordFile") -> None:
    from docx.enum.style import WD_STYLE_TYPE  # noqa: PLC0415
    from docx.enum.text import WD_ALIGN_PARAGRAPH  # noqa: PLC0415
    from docx.shared import Pt  # noqa: PLC0415

    for name in (NOTE, CELL):
        made.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH).base_style = made.styles["Normal"]
    for name, font, size, before, after in (
        ("Normal", _SONG, 11, 0, 0),
        (TITLE, _HEI, 20, 0, 4),
        (SUBTITLE, _SONG, 12, 0, 10),
        (HEADING, _HEI, 14, 12, 4),
        (TEXT, _FANG, 14, 4, 4),
        (NOTE, _SONG, 9.5, 4, 4),
        (CELL, _SONG, 10, 1, 1),
        ("Footer", _SONG, 9, 0, 0),
    ):
        style: Any = made.styles[name]
        _set_font(style, font, size)
        style.paragraph_format.space_before = Pt(before)
        style.paragraph_format.space_after = Pt(after)
        style.paragraph_format.line_spacing = 1.15 if name == CELL else 1.3
    for name in (TITLE, SUBTITLE):
        centred: Any = made.styles[name]
        centred.paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
        for border in list(centred.element.iter(_tag("pBdr"))):
            border.getparent().remove(border)
    heading: Any = made.styles[HEADING]
    heading.paragraph_format.keep_with_next = True


def _set_font(style: Any, font: str, size: float) -> None:
    """A style's fonts: Latin and Chinese signs have one each, and no theme takes their place."""
    from docx.shared import Pt, RGBColor  # noqa: PLC0415

    style.font.name = _LATIN
    style.font.size = Pt(size)
    style.font.italic = False
    style.font.color.rgb = RGBColor.from_string(_BLACK)
    fonts = style.element.rPr.rFonts
    for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(_tag(theme), None)
    fonts.set(_tag("eastAsia"), font)
    for spacing in list(style.element.rPr.iter(_tag("spacing"))):
        spacing.getparent().remove(spacing)


def _number_pages(made: "WordFile", language: str) -> None:
    """Page x of y at the foot."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH  # noqa: PLC0415

    before, between, after = ("第 ", " 页，共 ", " 页") if language == "zh" else ("", " / ", "")
    foot = made.sections[0].footer.paragraphs[0]
    foot.alignment = WD_ALIGN_PARAGRAPH.CENTER
    foot.add_run(before)
    _add_field(foot, "PAGE")
    foot.add_run(between)
    _add_field(foot, "NUMPAGES")
    foot.add_run(after)


def _add_field(paragraph: Any, name: str) -> None:
    from docx.oxml import OxmlElement  # noqa: PLC0415

    field = OxmlElement("w:fldSimple")
    field.set(_tag("instr"), name)
    run = OxmlElement("w:r")
    shown = OxmlElement("w:t")
    shown.text = "1"
    run.append(shown)
    field.append(run)
    paragraph._p.append(field)  # noqa: SLF001  # the library has no fields


def _tag(name: str) -> str:
    return f"{{http://schemas.openxmlformats.org/wordprocessingml/2006/main}}{name}"
