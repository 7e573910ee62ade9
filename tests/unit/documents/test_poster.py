"""A poster: all of it inside an A3 page, whatever it says, and nothing but text in it."""

from datetime import date
from itertools import pairwise
from unicodedata import east_asian_width
from xml.etree import ElementTree

import pytest

from service.documents.poster import HEIGHT, MARGIN, WIDTH, Poster, poster_page_of, svg_of
from service.messages.template import Starter, load_library
from service.messages.wordings.wording import WordingFrame, WordingRefused, make

SVG = "{http://www.w3.org/2000/svg}"
DAY = date(2027, 1, 12)


def poster(head: str, *lines: str, county: str = "旌德县") -> Poster:
    return Poster("海报", county, head, lines, ("旌德县公安局　T7-3",))


def texts(octets: bytes) -> list[tuple[str, float, float]]:
    """Each line with its place and the size of its letters."""
    root = ElementTree.fromstring(octets)  # our own
    return [
        (line.text or "", float(line.attrib["y"]), float(line.attrib["font-size"]))
        for line in root.iter(f"{SVG}text")
    ]


def _all_inside(octets: bytes) -> None:
    found = texts(octets)
    for text, at, size in found:
        ems = sum(1.0 if east_asian_width(c) in "WFA" else 0.56 for c in text)
        assert ems * size <= WIDTH - 2 * MARGIN + 0.5, text
        assert size <= at <= HEIGHT - 5
    heights = [at for _, at, _ in found]
    assert heights == sorted(heights)
    for (_, above, _), (_, below, size) in pairwise(found):
        assert below - above >= size


@pytest.mark.parametrize("starter", load_library(), ids=lambda starter: starter.id)
def test_every_starter_text_has_room(starter: Starter) -> None:
    try:
        made = make("poster", starter.text, WordingFrame("旌德县公安局", DAY, starter.language))
    except WordingRefused:
        return
    head, *lines = made.lines
    drawn = svg_of(poster(head, *lines))
    _all_inside(drawn)
    said = [text for text, _, _ in texts(drawn)]
    assert said[0] == "旌德县"
    assert said[-1] == "旌德县公安局　T7-3"
    assert "".join(said[1:-1]).replace(" ", "") == "".join(made.lines).replace(" ", "")


def test_long_heads_many_lines_and_long_names_have_room() -> None:
    _all_inside(svg_of(poster("国" * 60, *["民" * 14] * 30, county="很长的名字" * 6)))
    _all_inside(svg_of(poster("一", "二")))
    _all_inside(svg_of(poster("Real police never ask for codes or transfers at all.", "Ask 96110")))


@pytest.mark.attack
def test_what_it_says_is_text_and_nothing_else() -> None:
    evil = poster("<script>x()</script>", '"><image href="//a.example/x"/>', county="&lt;\x00b")
    root = ElementTree.fromstring(svg_of(evil))  # our own
    assert {child.tag for child in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "rect", "line", "text")
    }
    page = poster_page_of(evil).decode()
    assert "<script>" not in page
    assert "<image" not in page
    assert "@page { size: A3; margin: 0; }" in page
    assert "default-src 'none'" in page


def test_the_same_poster_is_the_same_octets() -> None:
    assert svg_of(poster("一", "二")) == svg_of(poster("一", "二"))
