"""The console's files: no newer than Chromium 90, small, nothing inline, and readable.

The floor is what browsers of Chinese offices can do; the sizes are those of a first visit.
"""

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import CodeType

import pytest
from jinja2 import Environment

from service.campaigns.core.legs import LegState
from service.campaigns.core.model import State
from service.console import render as page_rendering
from service.ledger.states import MessageState, RunState
from tests.architecture.vendor import listed, sha512
from tests.unit.console.gallery import HOSTILE, STATIC, TEMPLATES, context, environment, render

CSS = (STATIC / "console.css").read_text("utf-8")
JS = (STATIC / "console.js").read_text("utf-8")
PAGES = sorted(TEMPLATES.rglob("*.html"))
GALLERY = [
    (page, language, scheme)
    for page in ("gallery.html", "bare.html")
    for language in ("zh", "en")
    for scheme in ("", "dark")
]

NEWER_CSS = {
    "a relational selector": r":has\(",
    "a container query": r"@container|container-(type|name)\b|\d(cqw|cqh|cqi|cqb)\b",
    "a layer": r"@layer",
    "a scope": r"@scope|@starting-style|@property",
    "nesting": r"&",
    "a dynamic viewport unit": r"\d[dsl]v[hwbi]\b",
    "a mixed colour": r"color-mix\(|light-dark\(|\b(ok)?l(ab|ch)\(",
    "a subgrid": r"subgrid",
    "an individual transform": r"[{;]\s*(translate|rotate|scale)\s*:",
    "a popover": r":popover-open|anchor-name|position-anchor",
    "a range in a media query": r"@media[^{]*[<>]",
    "trigonometry": r"\b(sin|cos|tan|round|mod)\(",
    "balanced text": r"text-wrap",
    "a file of others": r"@import|url\((?!#)",
}
NEWER_JS = {
    "a method after ES2020": r"\.(at|findLast\w*|replaceAll|toSorted|toReversed|with|hasOwn)\(",
    "logical assignment": r"(\?\?|\|\||&&)=",
    "a private member or static block": r"(^|[^\"'`\w])#\w+\s*[=(;]|static\s*\{",
    "a function of newer browsers": r"structuredClone|inert\b|showPopover|scheduler\.",
    "code from text": r"\beval\b|\bFunction\(|setTimeout\(\s*[\"'`]",
    "markup from text": r"(inner|outer)HTML\s*[+]?=|insertAdjacentHTML|document\.write",
    "a box of the browser": r"\b(window\.)?(confirm|alert|prompt)\(",
    "inline style": r"\.style\b|cssText",
    "words for a person": r"[\u4e00-\u9fff]",
}
INLINE = {
    "trusted text": r"\|\s*safe\b|Markup\(|autoescape\s+false",
    "an inline script": r"<script(?![^>]*\ssrc=)",
    "an inline style": r"<style|\sstyle\s*=",
    "a handler": r"\son[a-z]+\s*=|hx-on",
    "code in an address": r"javascript:|[\"']js:",
    "an event filter of htmx": r"hx-trigger\s*=\s*\"[^\"]*\[",
    "an address of another host": r"(href|src|action)\s*=\s*\"(https?:)?//",
}
OUTSIDE_COMMENTS = re.compile(r"/\*.*?\*/|\{#.*?#\}|^\s*//.*?$", re.DOTALL | re.MULTILINE)


def found(patterns: dict[str, str], text: str) -> list[str]:
    """What of the patterns a text has, comments aside."""
    bare = OUTSIDE_COMMENTS.sub("", text)
    return [
        f"{name}: {match[0]!r}"
        for name, pattern in patterns.items()
        for match in re.finditer(pattern, bare, re.MULTILINE)
    ]


def test_styles_need_no_browser_newer_than_the_floor() -> None:
    assert not found(NEWER_CSS, CSS)


def test_the_script_needs_no_browser_newer_than_the_floor() -> None:
    assert not found(NEWER_JS, JS)


@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        (NEWER_CSS, "a:has(b) {}"),
        (NEWER_CSS, "a { height: 100dvh; }"),
        (NEWER_CSS, "a { & b { color: red } }"),
        (NEWER_CSS, "@media (width > 3px) {}"),
        (NEWER_CSS, "a { background: url(https://example.com/x.png) }"),
        (NEWER_JS, "rows.at(-1)"),
        (NEWER_JS, "a ??= 1"),
        (NEWER_JS, "part.innerHTML = text"),
        (NEWER_JS, "if (confirm('sure'))"),
        (INLINE, "{{ name|safe }}"),
        (INLINE, "{{ name | safe }}"),
        (INLINE, '<p style="color: red">'),
        (INLINE, '<a onclick="x()">'),
        (INLINE, "<script>x()</script>"),
        (INLINE, '<script src="//example.com/x.js">'),
        (INLINE, '<p hx-trigger="click[ctrlKey]">'),
    ],
)
def test_the_lint_finds_what_it_is_for(patterns: dict[str, str], text: str) -> None:
    assert found(patterns, text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATES)))
def test_no_template_trusts_text_or_has_anything_inline(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not found(INLINE, text)
    posts = re.findall(r"<form\b[^>]*method=\"post\".*?</form>", text, re.DOTALL)
    assert all("csrf()" in form for form in posts)


def test_the_files_are_as_short_as_agreed() -> None:
    assert len(CSS.splitlines()) <= 900
    assert len(JS.splitlines()) <= 200


@pytest.mark.parametrize(
    ("name", "kilobytes"),
    [("console.css", 12), ("console.js", 6), ("vendor/htmx.min.js", 14), ("icon.svg", 1)],
)
def test_the_files_are_as_small_as_agreed(name: str, kilobytes: int) -> None:
    assert len(gzip.compress((STATIC / name).read_bytes(), 5)) <= kilobytes * 1_000


def test_files_of_others_are_what_their_packages_have() -> None:
    files = {file["path"]: file for file in listed()}
    there = {str(path.relative_to(STATIC)) for path in (STATIC / "vendor").iterdir()}
    assert set(files) == there
    for path, file in files.items():
        assert sha512((STATIC / path).read_bytes()) == file["sha512"]
        assert file["package"]
        assert file["version"]
        assert file["licence"]


# ---- Colours ----


def schemes() -> list[dict[str, str]]:
    """The custom properties of the light and of the dark scheme."""
    blocks = [
        dict(re.findall(r"(--[\w-]+):\s*([^;]+);", body))
        for body in re.findall(
            r":root[^{]*\{([^}]*--page[^}]*)\}", CSS.partition("@media print")[0]
        )
    ]
    light, by_wish, by_choice = blocks
    assert by_wish == by_choice
    return [light, {**light, **by_choice}]


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2 of a colour in hexadecimal."""
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2.2 between two colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


TONES = ("done", "bad", "warn", "run", "unsure", "idle")
GROUNDS = ("page", "surface", "sunken", "hover")
WORDS = [
    *((words, on) for words in ("text", "muted", "accent", "accent-strong") for on in GROUNDS),
    *((tone, on) for tone in TONES for on in (f"{tone}-soft", "page", "surface", "hover")),
    *(("text", f"{tone}-soft") for tone in TONES),
    ("accent", "accent-soft"), ("muted", "idle-soft"), ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("on-strong", "bad"), ("on-strong", "bad-strong"), ("bar-text", "bar"), ("bar-muted", "bar"),
    ("bar-text", "bar-field"), ("bar-muted", "bar-field"),
]  # fmt: skip
MARKS = [
    *((f"{tone}-mark", "surface") for tone in TONES if tone != "idle"),
    ("edge", "surface"), ("edge", "page"), ("focus", "page"), ("focus", "surface"),
    ("bar-edge", "bar"),
]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
def test_words_and_marks_stand_out(dark: bool) -> None:
    colours = {name.removeprefix("--"): value for name, value in schemes()[dark].items()}
    weak = [
        f"{one} on {other}: {contrast(colours[one], colours[other]):.2f}"
        for pairs, least in ((WORDS, 4.5), (MARKS, 3.0))
        for one, other in pairs
        if contrast(colours[one], colours[other]) < least
    ]
    assert not weak


def test_a_colour_stands_in_a_custom_property() -> None:
    """Other colours are those of the bars that look the same in both schemes, and of paper."""
    body = CSS.partition("/* ---- Ground")[2].partition("@media print")[0]
    assert set(re.findall(r"#[0-9a-f]{3,6}\b(?=[;,) ])", body)) <= {
        "#fff", "#ffd166", "#a81c15", "#c8281f",
    }  # fmt: skip
    for strong in ("#a81c15", "#c8281f"):
        assert contrast("#fff", strong) >= 4.5


# ---- Pieces ----


def test_each_class_that_a_template_names_has_a_style() -> None:
    styles = CSS + (STATIC / "public.css").read_text("utf-8")
    styled = set(re.findall(r"\.([a-z][\w-]*)", styles))
    bare = {
        f"{page.relative_to(TEMPLATES)}: {name}"
        for page in PAGES
        for names in re.findall(r'\sclass="([^"{]*)', page.read_text("utf-8"))
        for name in names.split()
        if name not in styled and not name.endswith("-")
    }
    assert not bare


def test_each_state_has_one_colour_and_one_shape_of_its_own() -> None:
    kit = environment("en").get_template("_kit.html").make_module({"csrf": None})
    states: dict[str, tuple[str, str]] = kit.STATES  # type: ignore[attr-defined]  # of the template
    for tone, shape in states.values():
        assert f".tag.tone-{tone} " in CSS
        assert f".shape-{shape}::before" in CSS
    for family in (MessageState, RunState, State, LegState):
        looks = [states[state.value] for state in family]
        assert len(set(looks)) == len(looks)


class Page(HTMLParser):
    """What a page has: its ids, what refers to them, and the text outside of tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.named: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if name := given.get("id"):
            self.ids.append(name)
        for attribute in ("for", "aria-describedby", "aria-labelledby"):
            self.named += (given.get(attribute) or "").split()
        if (given.get("href") or "").startswith("#") and len(given["href"] or "") > 2:
            self.named.append((given["href"] or "")[1:])

    def handle_data(self, data: str) -> None:
        self.words += data


def shown() -> Iterator[Page]:
    """All pages of the gallery."""
    for template, language, scheme in GALLERY:
        yield Page(render(template, language, scheme))


def test_every_piece_renders_and_refers_only_to_what_is_there() -> None:
    for page in shown():
        assert len(page.ids) == len(set(page.ids))
        assert set(page.named) - {"a", "b", "c"} <= set(page.ids) | {"f-name", "f-people"}
        labelled = set(page.named)
        for tag, given in page.tags:
            if tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
                assert given.get("id") in labelled, given


def test_what_somebody_typed_is_text_everywhere() -> None:
    for page in shown():
        assert not [given for tag, given in page.tags if tag == "script" and not given.get("src")]
        assert any(given.get("value") == HOSTILE for _, given in page.tags)
    assert HOSTILE in Page(render("gallery.html", "zh")).words


def test_a_page_says_its_language_and_its_scheme() -> None:
    assert '<html lang="zh-CN">' in render("gallery.html", "zh")
    assert '<html lang="en" data-scheme="dark">' in render("gallery.html", "en", "dark")
    assert "全部停发" in render("gallery.html", "zh")
    assert "Stop everything" in render("gallery.html", "en")


def test_a_sum_that_does_not_add_up_says_so() -> None:
    page = Page(render("gallery.html", "en")).words
    assert "adds up" in page
    assert "does not add up: 424 missing" in page


@pytest.mark.parametrize(("language", "heading"), [("zh", "可做的事"), ("en", "What can be done")])
def test_a_column_of_buttons_has_a_heading_that_is_heard(language: str, heading: str) -> None:
    table = (
        '{% import "_kit.html" as k with context %}'
        '{% call k.table("t", [{"label": "a"}, {"label": ""}]) %}<tr></tr>{% endcall %}'
    )
    made = environment(language).from_string(table).render(context(language, ""))
    head = made.partition("<thead>")[2].partition("</thead>")[0]
    assert "<td" not in head, "a cell that is no heading has no ground of its own"
    assert re.findall(r'<th scope="col">(.*?)</th>', head, re.DOTALL)[1].strip() == (
        f'<span class="unseen">{heading}</span>'
    )


def test_on_a_phone_no_tab_is_beyond_the_edge_and_no_arrow_lies_on_words() -> None:
    phone = CSS.partition("/* ---- Phone ---- */")[2].partition("/* ---- Wishes")[0]
    for selector, rules in re.findall(r"([^{}]+){([^{}]*)}", phone):
        if ".tabs" in selector:
            assert "nowrap" not in rules
            assert "overflow" not in rules
        if ".go" in selector:
            assert "absolute" not in rules


def test_a_template_is_compiled_once_for_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = Counter[str]()
    real = Environment.compile

    def counting(self: Environment, source: str, name: str, filename: str) -> CodeType:
        compiled[name] += 1
        return real(self, source, name, filename)

    monkeypatch.setattr(Environment, "compile", counting)
    monkeypatch.setattr(page_rendering, "_COMPILED", page_rendering._CompiledOnce())
    of_language = page_rendering._environment.__wrapped__
    pages = [of_language(code).get_template("refused.html") for code in ("zh", "en")]
    assert len({id(page.environment) for page in pages}) == 2
    assert compiled == {"refused.html": 1}
