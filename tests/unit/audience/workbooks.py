"""Workbooks made by hand, to hold what no spreadsheet program would write."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

SHEET_XML = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    "<sheetData>{rows}</sheetData>{after}</worksheet>"
)
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REFERENCE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"


def text_row(*cells: str) -> str:
    """A row of text cells."""
    inner = "".join(f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>' for cell in cells)
    return f"<row>{inner}</row>"


def sheet(*rows: str, after: str = "") -> str:
    """The XML of a worksheet."""
    return SHEET_XML.format(rows="".join(rows), after=after)


def workbook(
    sheets: Mapping[str, str],
    *,
    hidden: Sequence[str] = (),
    more: Mapping[str, bytes] | None = None,
    without: Sequence[str] = (),
) -> bytes:
    """A workbook of these worksheets by name, perhaps with more parts or without some."""
    entries, relationships = "", ""
    parts: dict[str, bytes] = {}
    for number, (name, xml) in enumerate(sheets.items(), 1):
        state = ' state="hidden"' if name in hidden else ""
        entries += f'<sheet name="{name}" sheetId="{number}"{state} r:id="rId{number}"/>'
        relationships += (
            f'<Relationship Id="rId{number}" Type="{_REFERENCE}/worksheet"'
            f' Target="worksheets/sheet{number}.xml"/>'
        )
        parts[f"xl/worksheets/sheet{number}.xml"] = xml.encode()
    parts |= {
        "[Content_Types].xml": _TYPES.encode(),
        "_rels/.rels": (
            f'<Relationships xmlns="{_RELATIONSHIPS}"><Relationship Id="rId1"'
            f' Type="{_REFERENCE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ).encode(),
        "xl/workbook.xml": (
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_REFERENCE}">'
            f"<sheets>{entries}</sheets></workbook>"
        ).encode(),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{_RELATIONSHIPS}">{relationships}</Relationships>'
        ).encode(),
        **(more or {}),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for path, content in parts.items():
            if path not in without:
                package.writestr(path, content)
    return buffer.getvalue()
