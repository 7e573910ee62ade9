"""Documents: the same facts make the same octets, no text is a formula, styles are a county's."""

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docx
import pytest
from docx.shared import Pt

from service.documents.county_file import CountyFileBad, read_county_file
from service.documents.document import (
    Column,
    Document,
    DocumentCell,
    Heading,
    Paragraph,
    Table,
    shown,
)
from service.documents.page import html_of
from service.documents.styles import NEEDED, shipped_file
from service.documents.word import docx_of
from service.documents.workbook import xlsx_of
from service.words.phrase import translated

FORMULAS = ["=1+1", "+86", "-27", "@SUM(A1)", "＝1", "\t=1", "https://a.example/b", "＋1"]
ROWS: list[list[DocumentCell]] = [["旌阳镇", 14, Decimal("60.5")]]
ROWS += [[formula, None, 1.25] for formula in FORMULAS]
ROWS += [["合计", 21, Decimal("100.0")]]
TABLE = Table(
    "乡镇[1]：按区域/的/一个/名字/很长/的/表/格/还要/再/长",
    [Column("乡镇"), Column("起数", 0), Column("覆盖率", 1)],
    ROWS,
    has_total=True,
    chart=1,
)
DOCUMENT = Document(
    "bulletin",
    "警情通报〔2027〕3号",
    "2027年1月18日–24日",
    "zh",
    [Heading("总数"), Paragraph("两起\x00\ud800"), TABLE, Paragraph("注<b>", quiet=True), TABLE],
    datetime(2027, 1, 25, 1, tzinfo=UTC),
    {"number": "〔2027〕3号", "week": "2027-W03"},
)
MADE: dict[str, Callable[[Document], bytes]] = {"docx": docx_of, "xlsx": xlsx_of, "html": html_of}
_HASHES = """
import hashlib
from tests.unit.documents.test_documents import DOCUMENT, MADE
print({form: hashlib.sha256(make(DOCUMENT)).hexdigest() for form, make in MADE.items()})
"""


def _said_by_another(seed: str, zone: str) -> str:
    """The hashes of the documents as another process makes them, at another time."""
    given = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
    done = subprocess.run(
        [sys.executable, "-c", _HASHES], capture_output=True, check=True, text=True, env=given
    )
    return done.stdout


def test_the_same_facts_make_the_same_octets() -> None:
    assert _said_by_another("1", "Asia/Shanghai") == _said_by_another("2", "America/Lima")


@pytest.mark.parametrize("form", ["docx", "xlsx"])
def test_nothing_in_a_file_says_when_it_was_made(form: str) -> None:
    assert MADE[form](DOCUMENT) == MADE[form](DOCUMENT)
    with zipfile.ZipFile(io.BytesIO(MADE[form](DOCUMENT))) as parts:
        assert {part.date_time for part in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = parts.read("docProps/core.xml").decode()
        assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+Z", core)) == {"2027-01-25T01:00:00Z"}


def _sheets(octets: bytes) -> list[dict[str, Any]]:
    """Of each sheet of a workbook, its cells with type and value, and its formulas and links."""
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    found = []
    with zipfile.ZipFile(io.BytesIO(octets)) as parts:
        strings = [
            "".join(item.itertext())
            for item in ElementTree.fromstring(parts.read("xl/sharedStrings.xml"))
        ]
        for name in sorted(n for n in parts.namelist() if n.startswith("xl/worksheets/sheet")):
            sheet = ElementTree.fromstring(parts.read(name))
            cells = {}
            for cell in sheet.iterfind(".//x:c", space):
                value = cell.findtext("x:v", "", space)
                is_text = cell.get("t") == "s"
                cells[cell.get("r")] = strings[int(value)] if is_text else float(value)
            found.append({
                "cells": cells,
                "formulas": sheet.findall(".//x:f", space),
                "links": sheet.findall(".//x:hyperlink", space),
            })  # fmt: skip
    return found


def test_no_text_of_a_workbook_is_a_formula_or_a_link() -> None:
    first, *_ = _sheets(xlsx_of(DOCUMENT))
    cells = first["cells"]
    assert [cells[f"A{no}"] for no in range(5, 5 + len(FORMULAS))] == FORMULAS
    assert not first["formulas"]
    assert not first["links"]
    assert (cells["B4"], cells["C4"], cells["B5"]) == (14.0, 60.5, "–")


def test_a_formula_stays_text_when_somebody_edits_its_cell() -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx_of(DOCUMENT))) as parts:
        assert 'quotePrefix="1"' in parts.read("xl/styles.xml").decode()


def test_sheets_have_names_that_excel_takes() -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx_of(DOCUMENT))) as parts:
        names = re.findall(r'<sheet name="([^"]*)"', parts.read("xl/workbook.xml").decode())
        assert any(name.startswith("xl/charts/") for name in parts.namelist())
    assert len(names) == len({name.lower() for name in names}) == 3
    assert all(len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in names)


def _words(octets: bytes) -> list[str]:
    made = docx.Document(io.BytesIO(octets))
    cells = [cell.text for table in made.tables for row in table.rows for cell in row.cells]
    return [*(paragraph.text for paragraph in made.paragraphs), *cells]


def test_a_word_file_has_each_word_and_its_tables_have_a_head_on_each_page() -> None:
    octets = docx_of(DOCUMENT)
    words = _words(octets)
    assert words[0] == DOCUMENT.title
    assert {"两起", "旌阳镇", "60.5", "–", "=1+1", "注<b>"} <= set(words)
    assert not any("{{" in word for word in words)
    with zipfile.ZipFile(io.BytesIO(octets)) as parts:
        assert parts.read("word/document.xml").decode().count("<w:tblHeader/>") == 2


def test_a_page_shows_text_as_text() -> None:
    page = html_of(DOCUMENT).decode()
    assert "注&lt;b&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_a_wide_document_lies_on_its_side() -> None:
    wide = Table("表", [Column(f"列{no}") for no in range(10)], [["甲"] * 10])
    made = docx.Document(io.BytesIO(docx_of(Document("coverage", "表", "", "zh", [wide]))))
    section = made.sections[0]
    assert (section.page_width or 0) > (section.page_height or 0)


@pytest.mark.parametrize(
    ("cell", "decimals", "read"),
    [(None, 0, "–"), (1509500, 0, "1,509,500"), (-27.5, 1, "-27.5"), ("甲", None, "甲")],
)
def test_a_cell_is_read_as_it_is_written(cell: Any, decimals: int | None, read: str) -> None:
    assert shown(cell, Column("列", decimals)) == read


def _saved(change: Callable[[Any], None]) -> bytes:
    """The shipped file, changed as in Word."""
    made = docx.Document(io.BytesIO(shipped_file("zh")))
    change(made)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def _with_head(made: Any) -> None:
    """A head of the county, whose placeholder lies across two runs, and a style of its own."""
    first = made.paragraphs[0].insert_paragraph_before("旌德县反诈办公室 {{编")
    first.add_run("号}}").bold = True
    made.sections[0].header.paragraphs[0].text = "周次 {{week}}"
    made.styles["Heading 1"].font.size = Pt(31)


def test_a_document_takes_the_styles_and_the_head_of_the_county(tmp_path: Path) -> None:
    (tmp_path / "all.docx").write_bytes(_saved(_with_head))
    county = read_county_file(tmp_path, "bulletin")
    made = docx.Document(io.BytesIO(docx_of(DOCUMENT, county)))
    assert made.paragraphs[0].text == "旌德县反诈办公室 〔2027〕3号"
    assert made.sections[0].header.paragraphs[0].text == "周次 2027-W03"
    heading: Any = next(p for p in made.paragraphs if p.text == "总数")
    assert heading.style.font.size == Pt(31)
    assert docx_of(DOCUMENT, county) == docx_of(DOCUMENT, county)


def test_a_documents_own_file_comes_before_the_one_for_all(tmp_path: Path) -> None:
    assert read_county_file(None, "goals") is None
    assert read_county_file(tmp_path, "goals") is None
    (tmp_path / "all.docx").write_bytes(shipped_file("zh"))
    (tmp_path / "goals.docx").write_bytes(shipped_file("en"))
    assert read_county_file(tmp_path, "goals") == shipped_file("en")
    assert read_county_file(tmp_path, "bulletin") == shipped_file("zh")


def _rewritten(**parts: bytes) -> bytes:
    """The shipped file with parts of its archive added."""
    out = io.BytesIO(shipped_file("zh"))
    with zipfile.ZipFile(out, "a") as archive:
        for name, octets in parts.items():
            archive.writestr(name, octets)
    return out.getvalue()


def _without_style(made: Any) -> None:
    made.styles["Tocsin Cell"].delete()


def _without_place(made: Any) -> None:
    made.paragraphs[2].text = "无"


def _with_unknown(made: Any) -> None:
    made.add_paragraph("{{作者}}")


def _place_beside(made: Any) -> None:
    made.paragraphs[2].text = "以下 {{content}}"


def _bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * (65 * 1024 * 1024))
    return out.getvalue()


OUTSIDE = (
    b'<Relationships><Relationship Id="r1" Type="http://x/attachedTemplate"'
    b' Target="http://192.0.2.1/a.dotm" TargetMode="External"/></Relationships>'
)
BAD = {
    "no archive": (b"PK but no", "不是 Word 文件"),
    "empty": (b"", "不是 Word 文件"),
    "broken": (shipped_file("zh")[:9_000], "不是 Word 文件"),
    "no document": (_rewritten()[:0] + xlsx_of(DOCUMENT), "不是 Word 文件"),
    "macros": (_rewritten(**{"word/vbaProject.bin": b"x"}), "宏"),
    "reaches out": (_rewritten(**{"word/_rels/settings.xml.rels": OUTSIDE}), "别处"),
    "bomb": (_bomb(), "解压后太大"),
    "large": (shipped_file("zh") + b" " * (4 * 1024 * 1024), "4,194,304"),
    "no style": (_saved(_without_style), "Tocsin Cell"),
    "no place": (_saved(_without_place), "{{正文}}"),
    "place in a sentence": (_saved(_place_beside), "{{正文}}"),
    "unknown name": (_saved(_with_unknown), "{{作者}}"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_of_a_county_is_refused_and_says_why(name: str, tmp_path: Path) -> None:
    octets, told = BAD[name]
    (tmp_path / "bulletin.docx").write_bytes(octets)
    with pytest.raises(CountyFileBad) as refused:
        read_county_file(tmp_path, "bulletin")
    chinese = translated(refused.value.message, "zh")
    assert told in chinese
    assert "bulletin.docx" in chinese
    assert "tocsin documents" in chinese


def test_the_shipped_file_has_all_that_is_needed() -> None:
    made = docx.Document(io.BytesIO(shipped_file("zh")))
    assert {style.name for style in made.styles} >= set(NEEDED)


def test_the_api_starts_without_the_libraries() -> None:
    """They take a tenth of a second and 17 MB, which a process that makes no document saves."""
    told = (
        "import service.app, workers.scheduler, sys;"
        "print({'docx', 'xlsxwriter', 'lxml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "set()"
