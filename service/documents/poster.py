"""A poster of size A3: a head, lines below it, and whose it is; as SVG, and as a page to print.

No font is measured: a Chinese character is as wide as it is high, a Latin one half as wide. So the
letters are as large as the longest line and the height allow, on any machine that draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

from service.documents.document import plain

WIDTH, HEIGHT, MARGIN = 297, 420, 24
"""Millimetres: A3, upright."""

_FONT = "'PingFang SC','Microsoft YaHei','Noto Sans CJK SC','Noto Sans SC',sans-serif"
_HEAD_MOST, _LINE_MOST = 44.0, 24.0
_LEADING = 1.45
_TOP, _FOOT = 62.0, 46.0
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = (
    "@page { size: A3; margin: 0; } html, body { margin: 0; }"
    " svg { display: block; width: 100%; height: auto; max-width: 297mm; margin: 0 auto; }"
)


@dataclass(frozen=True, slots=True)
class Poster:
    """What a poster says. county: above all; foot: the lines below, such as who says it."""

    title: str
    county: str
    head: str
    lines: Sequence[str]
    foot: Sequence[str]
    language: str = "zh"


def svg_of(poster: Poster) -> bytes:
    """The octets of the drawing; the same for the same poster."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + _drawn(poster) + "\n").encode()


def poster_page_of(poster: Poster) -> bytes:
    """The octets of a page with the drawing, which any browser prints on A3."""
    return (
        f'<!doctype html>\n<html lang="{"en" if poster.language == "en" else "zh-CN"}"><head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{_text(poster.title)}</title><style>{_STYLE}</style></head><body>\n"
        f"{_drawn(poster)}\n</body></html>\n"
    ).encode()


def _drawn(poster: Poster) -> str:
    room = WIDTH - 2 * MARGIN
    heads = _folded(poster.head, room / (_HEAD_MOST * 0.6))
    head_size = _size(heads, room, _HEAD_MOST)
    head_height = len(heads) * head_size * _LEADING
    left = HEIGHT - _TOP - _FOOT - head_height - 10
    lines = [line for line in poster.lines if line]
    size = min(_size(lines, room, _LINE_MOST), left / (max(len(lines), 1) * _LEADING))
    size_of_page = f'width="{WIDTH}mm" height="{HEIGHT}mm" viewBox="0 0 {WIDTH} {HEIGHT}"'
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size_of_page}',
        f'font-family="{_FONT}" text-anchor="middle">',
        f"<title>{_text(poster.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<rect width="{WIDTH}" height="40" fill="#b3221b"/>',
        _line(poster.county, 27, min(16.0, _size([poster.county], room, 16.0)), "#fff"),
    ]
    at = _TOP + head_size
    for head in heads:
        drawn.append(_line(head, at, head_size, "#b3221b", bold=True))
        at += head_size * _LEADING
    at += 10 - head_size + size
    for line in lines:
        drawn.append(_line(line, at, size, "#1a2332"))
        at += size * _LEADING
    drawn.append(
        f'<line x1="{MARGIN}" y1="{HEIGHT - 36}" x2="{WIDTH - MARGIN}" y2="{HEIGHT - 36}"'
        ' stroke="#b3221b" stroke-width="1"/>'
    )
    at = HEIGHT - 24.0
    for line in poster.foot:
        drawn.append(_line(line, at, min(9.0, _size([line], room, 9.0)), "#566275"))
        at += 12
    return "\n".join([*drawn, "</svg>"])


def _size(lines: Sequence[str], room: float, most: float) -> float:
    """How large letters may be so that the longest line has room."""
    return min(most, *(room / width for line in lines if (width := _ems(line))), most)


def _ems(line: str) -> float:
    """How wide a line is, in heights of its letters."""
    return sum(1.0 if east_asian_width(c) in "WFA" else 0.56 for c in line)


def _folded(head: str, most: float) -> list[str]:
    """A head in two lines if it is too long for one."""
    if _ems(head) <= most:
        return [head]
    words = head.split(" ")
    if len(words) > 1:
        parts = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
        return list(min(parts, key=lambda part: max(map(_ems, part))))
    half = (len(head) + 1) // 2
    return [head[:half], head[half:]]


def _line(text: str, at: float, size: float, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{WIDTH / 2:g}" y="{at:.2f}" font-size="{size:.2f}" fill="{colour}"{weight}>'
        f"{_text(text)}</text>"
    )


def _text(text: str) -> str:
    return escape(plain(text))
