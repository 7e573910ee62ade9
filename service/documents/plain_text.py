"""A document as plain text, for whoever copies it elsewhere."""

from service.documents.document import (
    Document,
    DocumentBlock,
    Heading,
    Paragraph,
    Pictures,
    Table,
    plain,
    shown,
)


def txt_of(document: Document) -> bytes:
    """The octets of the file, in UTF-8 with a mark and line ends that Windows knows; the same for
    the same document.
    """
    lines = [document.title, document.subtitle]
    for block in document.blocks:
        lines += ["", *_lines(block)]
    text = plain("\n".join(lines)) + "\n"
    return text.replace("\n", "\r\n").encode("utf-8-sig")


def _lines(block: DocumentBlock) -> list[str]:
    match block:
        case Heading():
            return [f"【{block.text}】"]
        case Paragraph():
            return block.text.split("\n")
        case Table():
            labels = "\t".join(column.label for column in block.columns)
            rows = (
                "\t".join(
                    shown(cell, column) for cell, column in zip(row, block.columns, strict=True)
                )
                for row in block.rows
            )
            return [block.title, labels, *rows]
        case Pictures():
            return [f"【{block.title}】", *(one.label for one in block.pictures)]
