"""What a document says, apart from its form: headings, paragraphs and tables (pure).

Texts are in the reader's language already. A cell is text or a number; what is unknown is None.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

DocumentCell = str | int | float | Decimal | None

DocumentFormat = Literal["docx", "xlsx", "html"]

MEDIA_TYPES: Mapping[str, str] = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "csv": "text/csv",
    "txt": "text/plain",
    "svg": "image/svg+xml",
}

UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands in a file where its facts have no instant: a file never holds the time of its making, so
that the same facts make the same octets.
"""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. decimals: of its numbers; None: its cells are text. places: how many
    letters it has room for at least; Chinese characters take two.
    """

    label: str
    decimals: int | None = None
    places: int = 0

    @property
    def is_number(self) -> bool:
        """Whether its cells are numbers."""
        return self.decimals is not None


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph. quiet: a remark, such as where figures are from."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title. has_total: the last row is the sum of the others. chart: the column that
    a workbook draws beside the first one; None: none. is_filled_in_by_hand: its rows are as high as
    handwriting needs.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[DocumentCell]]
    has_total: bool = False
    chart: int | None = None
    is_filled_in_by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG, and what stands below it."""

    jpeg: bytes
    label: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures under a title, six on a page; a Word file shows them, a page names them."""

    title: str
    pictures: Sequence[Picture]


DocumentBlock = Heading | Paragraph | Table | Pictures


@dataclass(frozen=True, slots=True)
class Document:
    """A document. key: which one it is; a county's own file for it is called so.

    at: when its facts were made. facts: what stands in a county's file by name, as the number.
    """

    key: str
    title: str
    subtitle: str
    language: str
    blocks: Sequence[DocumentBlock]
    at: datetime = UNDATED
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """Its tables in their order."""
        return [block for block in self.blocks if isinstance(block, Table)]


def plain(text: str) -> str:
    """A text without the signs that no office file can hold."""
    return _NOT_XML.sub("", text)


def shown(cell: DocumentCell, column: Column) -> str:
    """A cell as it is read on paper: 1,509,500; –27.5 as -27.5; a dash where nothing is known."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return plain(cell)
    return f"{cell:,.{column.decimals or 0}f}"
