"""Documents made in a thread, so that whoever asks for one lets nobody else wait."""

import asyncio
from pathlib import Path

from service.documents.county_file import read_county_file
from service.documents.document import Document, DocumentFormat
from service.documents.page import html_of
from service.documents.word import MOST_ROWS, docx_of
from service.documents.workbook import xlsx_of
from service.errors import Invalid
from service.words.phrase import phrase


async def make(document: Document, form: DocumentFormat, folder: Path | None) -> bytes:
    """The octets of a document in a form. folder: where a county's own Word files are.

    Raises:
        Invalid: it has more rows than a Word file may have.
        CountyFileBad: the county's file for it cannot be used.
    """
    return await asyncio.to_thread(_made, document, form, folder)


def _made(document: Document, form: DocumentFormat, folder: Path | None) -> bytes:
    if form == "xlsx":
        return xlsx_of(document)
    if form == "html":
        return html_of(document)
    rows = sum(len(table.rows) for table in document.tables)
    if rows > MOST_ROWS:
        raise Invalid.at(
            "format",
            phrase(
                "it has {rows:,} rows, a Word file at most {most:,}: take xlsx, or a smaller area",
                rows=rows,
                most=MOST_ROWS,
            ),
        )
    return docx_of(document, read_county_file(folder, document.key))
