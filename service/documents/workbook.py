"""A document as a workbook: each table a sheet, with a chart where it asks for one.

Text is text: what begins with = + - @ is no formula, and no address becomes a link.
"""

import io
import re
from decimal import Decimal
from typing import Any

from service.documents.archive import same_octets
from service.documents.document import (
    Column,
    Document,
    DocumentCell,
    Paragraph,
    Table,
    plain,
    shown,
)

MOST_OF_A_CELL = 32_767
MOST_ROWS_DRAWN = 40
_LONG = 25
"""Beside a table of more rows than this its chart stands to the right, and is not printed."""
_A4 = 9
_LONGEST_NAME = 31
_WIDEST = 40
_NARROWEST = 7
_WIDE = 8
"""With more columns than this a sheet is printed on its side."""
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\]")
_HEAD = 2
"""The row of the headings: the title stands above, and a blank row."""


def xlsx_of(document: Document) -> bytes:
    """The octets of the workbook; the same for the same document."""
    import xlsxwriter  # noqa: PLC0415  # 48 ms that the API does without until somebody asks

    made = io.BytesIO()
    book = xlsxwriter.Workbook(
        made, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"title": plain(document.title), "created": document.at})
    sheets = _Sheets(book, document)
    for table in document.tables:
        sheets.add(table)
    sheets.add_notes()
    book.close()
    return same_octets(made.getvalue())


class _Sheets:
    """The sheets of a workbook, and the formats of their cells."""

    def __init__(self, book: Any, document: Document) -> None:
        self._book, self._document = book, document
        font = {"font_name": "宋体" if document.language == "zh" else "Calibri", "font_size": 11}
        self._font = font
        self._formats: dict[tuple[object, ...], Any] = {}
        self._title = book.add_format({**font, "bold": True, "font_size": 14})
        self._head = book.add_format(
            {**font, "bold": True, "border": 1, "bg_color": "#E7ECF3", "text_wrap": True}
            | {"valign": "vcenter", "align": "center"}
        )
        self._text = book.add_format({**font, "text_wrap": True, "valign": "top"})

    def add(self, table: Table) -> None:
        """A sheet for a table."""
        sheet = self._sheet(table.title)
        sheet.write_string(0, 0, _cut(f"{self._document.title} · {table.title}"), self._title)
        for no, column in enumerate(table.columns):
            sheet.write_string(_HEAD, no, _cut(column.label), self._head)
            sheet.set_column(no, no, _width(table, no))
        for at, row in enumerate(table.rows, 1):
            total = table.has_total and at == len(table.rows)
            for no, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
                self._write(sheet, (_HEAD + at, no), cell, column, total=total)
        sheet.freeze_panes(_HEAD + 1, 1)
        sheet.repeat_rows(_HEAD)
        if len(table.columns) > _WIDE:
            sheet.set_landscape()
        if table.chart is not None and table.rows:
            self._draw(sheet, table, table.chart)

    def add_notes(self) -> None:
        """A sheet with what stands between the tables."""
        notes = [block.text for block in self._document.blocks if isinstance(block, Paragraph)]
        sheet = self._sheet("说明" if self._document.language == "zh" else "Notes")
        sheet.set_column(0, 0, 90)
        for at, text in enumerate([self._document.title, self._document.subtitle, *notes]):
            sheet.write_string(at, 0, _cut(text), self._title if at == 0 else self._text)

    def _sheet(self, title: str) -> Any:
        taken = {sheet.get_name().lower() for sheet in self._book.worksheets()}
        base = _NOT_IN_NAMES.sub(" ", plain(title)).strip(" '")[:_LONGEST_NAME] or "-"
        name, no = base, 1
        while name.lower() in taken:
            no += 1
            name = f"{base[: _LONGEST_NAME - 4]} ({no})"
        sheet = self._book.add_worksheet(name)
        sheet.set_paper(_A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&C&P / &N")
        return sheet

    def _write(
        self, sheet: Any, at: tuple[int, int], cell: DocumentCell, column: Column, *, total: bool
    ) -> None:
        if cell is None:
            sheet.write_string(*at, "–" if column.is_number else "", self._format(None, total))
        elif isinstance(cell, str):
            quoted = cell[:1] in _FORMULA
            sheet.write_string(*at, _cut(cell), self._format(None, total, quoted))
        else:
            sheet.write_number(*at, _number(cell), self._format(column.decimals or 0, total))

    def _format(self, decimals: int | None, total: bool, quoted: bool = False) -> Any:
        """The format of a cell. quoted: it stays text also when somebody edits it."""
        key = (decimals, total, quoted)
        if key not in self._formats:
            form: dict[str, object] = {**self._font, "border": 1, "bold": total, "valign": "top"}
            if decimals is None:
                form |= {"num_format": "@", "quote_prefix": quoted, "text_wrap": True}
            else:
                form["num_format"] = "#,##0" + ("." + "0" * decimals if decimals else "")
            self._formats[key] = self._book.add_format(form)
        return self._formats[key]

    def _draw(self, sheet: Any, table: Table, column: int) -> None:
        """Bars of one column, beside the table."""
        rows = len(table.rows) - table.has_total
        drawn = min(rows, MOST_ROWS_DRAWN)
        if not drawn:
            return
        name, last = sheet.get_name(), _HEAD + drawn
        chart = self._book.add_chart({"type": "bar"})
        label = plain(table.columns[column].label)
        chart.add_series({
            "name": label,
            "categories": [name, _HEAD + 1, 0, last, 0],
            "values": [name, _HEAD + 1, column, last, column],
            "fill": {"color": "#2F6DB5"},
            "data_labels": {"value": True},
            "gap": 60,
        })  # fmt: skip
        chart.set_title({"name": label, "name_font": {"size": 12}})
        chart.set_legend({"none": True})
        chart.set_y_axis({"reverse": True})
        chart.set_x_axis({"major_gridlines": {"visible": False}, "visible": False})
        chart.set_size({"width": 520, "height": 120 + 24 * drawn})
        if rows <= _LONG:
            sheet.insert_chart(_HEAD + len(table.rows) + 2, 0, chart)
        else:
            sheet.insert_chart(_HEAD, len(table.columns) + 1, chart)
            sheet.print_area(0, 0, _HEAD + len(table.rows), len(table.columns) - 1)


_FORMULA = tuple("=+-@＝＋－＠\t\r\n")


def _cut(text: str) -> str:
    """A text as a cell can hold it."""
    text = plain(text)
    return text if len(text) <= MOST_OF_A_CELL else text[: MOST_OF_A_CELL - 1] + "…"


def _number(cell: int | float | Decimal) -> float | int:
    return float(cell) if isinstance(cell, Decimal) else cell


def _width(table: Table, no: int) -> float:
    """How wide a column is for its longest cell, as Chinese characters take two places."""
    column = table.columns[no]
    texts = [column.label, *(shown(row[no], column) for row in table.rows[:500])]
    longest = max(sum(2 if sign > "\u2e80" else 1 for sign in text) for text in texts)
    return min(max(longest + 2, column.places, _NARROWEST), _WIDEST)
