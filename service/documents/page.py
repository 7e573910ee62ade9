"""A document as a page of its own, which any browser shows, prints, and saves as PDF."""

from html import escape

from service.documents.document import (
    Column,
    Document,
    DocumentBlock,
    Heading,
    Paragraph,
    Pictures,
    Table,
    plain,
    shown,
)

_STYLE = """
@page { size: A4; margin: 20mm 18mm; }
body { font: 16px/1.6 "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
  max-width: 60em; margin: 2em auto; padding: 0 1em; color: #111; background: #fff; }
h1 { font-size: 1.6em; text-align: center; margin-bottom: .2em; }
h2 { font-size: 1.2em; margin: 1.4em 0 .4em; break-after: avoid; }
.sub { text-align: center; margin-top: 0; } .quiet { color: #555; font-size: .9em; }
table { border-collapse: collapse; width: 100%; margin: .4em 0 1.2em; }
caption { text-align: left; font-weight: bold; padding: .3em 0; }
th, td { border: 1px solid #888; padding: .2em .5em; text-align: left; vertical-align: top; }
thead { display: table-header-group; } thead th { background: #e7ecf3; }
tr { break-inside: avoid; } .num { text-align: right; font-variant-numeric: tabular-nums; }
.total th, .total td { font-weight: bold; } .by-hand tbody tr { height: 2.4em; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 11pt; } }
@media (max-width: 600px) { .wide { overflow-x: auto; } }
"""
_LANGUAGES = {"zh": "zh-CN", "en": "en"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_of(document: Document) -> bytes:
    """The octets of the page; the same for the same document."""
    parts = [
        "<!doctype html>",
        f'<html lang="{_LANGUAGES.get(document.language, "en")}"><head>',
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{_text(document.title)}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{_text(document.title)}</h1><p class="sub">{_text(document.subtitle)}</p>',
        *map(_block, document.blocks),
        "</body></html>\n",
    ]
    return "\n".join(parts).encode()


def _block(block: DocumentBlock) -> str:
    match block:
        case Heading():
            return f"<h2>{_text(block.text)}</h2>"
        case Paragraph():
            quiet = ' class="quiet"' if block.quiet else ""
            return f"<p{quiet}>{_text(block.text)}</p>"
        case Table():
            return _table(block)
        case Pictures():
            names = "".join(f"<li>{_text(one.label)}</li>" for one in block.pictures)
            return f"<h2>{_text(block.title)}</h2><ul>{names}</ul>"


def _table(table: Table) -> str:
    kinds = [' class="num"' if column.is_number else "" for column in table.columns]
    heads = "".join(
        f'<th scope="col"{kind}{_room(column)}>{_text(column.label)}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    rows = []
    for no, row in enumerate(table.rows, 1):
        cells = [
            _text(shown(cell, column)) for cell, column in zip(row, table.columns, strict=True)
        ]
        first = f'<th scope="row"{kinds[0]}>{cells[0]}</th>'
        others = "".join(
            f"<td{kind}>{cell}</td>" for cell, kind in zip(cells[1:], kinds[1:], strict=True)
        )
        total = ' class="total"' if table.has_total and no == len(table.rows) else ""
        rows.append(f"<tr{total}>{first}{others}</tr>")
    by_hand = ' class="by-hand"' if table.is_filled_in_by_hand else ""
    return (
        f'<div class="wide"><table{by_hand}><caption>{_text(table.title)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def _room(column: Column) -> str:
    """As wide as so many letters, of which Chinese ones take two places, if there is room."""
    return f' style="width: {column.places / 2:g}em"' if column.places else ""


def _text(text: str) -> str:
    return escape(plain(text))
