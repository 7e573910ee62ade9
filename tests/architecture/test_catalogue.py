"""Each sentence for a person exists in English and in Chinese, and the catalogue has no other."""

import ast
import re
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jinja2
import polib
import pytest

from service.words import catalogues
from service.words.phrase import BETWEEN
from tests.architecture import catalogue
from tests.architecture.tree import ROOT, modules, nodes

pytestmark = pytest.mark.xdist_group("tree")

_PERCENT = re.compile(r"%\((\w+)\)")
_CHINESE = re.compile(r"[一-鿿]")
_CODES = re.compile(r"(?:\w+: )?\W*[{]\w+[}](?:\W*[{]\w+[}])*\W*")
_IDLE = re.compile("请您|抱歉|系统")
"""Words that say nothing; a sentence says what is wrong, where, and what to do."""


def _places(sentence: str) -> set[tuple[str, str | None, str | None]]:
    """The places for values, as `str.format` or as Jinja's extension fills them, each with its
    format and conversion: one that is lost or wrong would break the refusal.
    """
    if _PERCENT.search(sentence):
        return {(name, None, None) for name in _PERCENT.findall(sentence)}
    found = string.Formatter().parse(sentence)
    return {(name, form, made) for _, name, form, made in found if name is not None}


def _named(sentence: str) -> set[str]:
    return {name for name, _, _ in _places(sentence)}


def _phrases() -> Iterator[tuple[str, ast.Call]]:
    for path in modules():
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id
                if name in {"phrase", "listing"}:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_the_catalogue_has_all_sentences_and_no_other() -> None:
    found = Counter(catalogue.Key(one.msgctxt, one.msgid) for one in catalogue.entries())
    assert not (twice := [key for key, count in found.items() if count > 1]), twice
    wanted = catalogue.sentences()
    assert not (missing := wanted - found.keys()), f"run make words: {missing}"
    assert not (idle := found.keys() - wanted), f"run make words: {idle}"


def test_the_catalogue_is_as_make_words_writes_it() -> None:
    assert catalogue.CATALOGUE.read_text("utf-8") == catalogue.renewed(), "run make words"


def test_each_sentence_has_its_chinese() -> None:
    lacking = [entry.msgid for entry in catalogue.entries() if not entry.msgstr]
    assert not lacking, f"{len(lacking)} without Chinese: {lacking[:10]}"


def test_both_languages_have_the_same_places_for_values() -> None:
    unlike = {
        entry.msgid: entry.msgstr
        for entry in catalogue.entries()
        if entry.msgstr and _places(entry.msgid) != _places(entry.msgstr)
    }
    assert not unlike, unlike


def test_the_chinese_is_chinese_and_to_the_point() -> None:
    def fault(entry: polib.POEntry) -> bool:
        text = entry.msgstr
        wordless = _CODES.fullmatch(entry.msgid)  # such as "columns: {problem}"
        return (bool(text) and not (wordless or _CHINESE.search(text))) or bool(_IDLE.search(text))

    assert not (found := {one.msgid: one.msgstr for one in catalogue.entries() if fault(one)}), (
        found
    )


def test_a_template_is_a_literal_and_its_values_are_those_it_names() -> None:
    faults = []
    for where, call in _phrases():
        if not isinstance(call.func, ast.Name) or call.func.id != "phrase":
            continue
        first = call.args[0] if call.args else None
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            faults.append(f"{where} is made of something else than a literal")
        elif _named(first.value) != {word.arg for word in call.keywords}:
            faults.append(f"{where} names other values than it is given")
    assert not faults, "\n".join(faults)


def _errors() -> set[str]:
    """The classes of errors that people read, by name: `TocsinError` and all below it."""
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for path in modules()
        for node in nodes(path)
        if isinstance(node, ast.ClassDef) and path.is_relative_to(ROOT / "service")
    }
    found = {"TocsinError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def _plain(node: ast.expr | None) -> bool:
    """Whether an expression is a sentence without its Chinese: a text with a blank in it."""
    if isinstance(node, ast.BinOp):
        return _plain(node.left) or _plain(node.right)
    if isinstance(node, ast.IfExp):
        return _plain(node.body) or _plain(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return any(map(_plain, node.values))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "join" and isinstance(node.func.value, ast.Constant)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value


_READ_BY_NOBODY = ("service/protocols/", "service/storage/sql.py")
"""What is wrong with packets and statements: it stands in logs."""


def test_a_refusal_is_a_phrase() -> None:
    errors, faults = _errors(), []
    for path in modules():
        where = str(path.relative_to(ROOT))
        if where.startswith((*_READ_BY_NOBODY, "clients/")):
            continue
        for node in nodes(path):
            if not isinstance(node, ast.Call):
                continue
            name, at = ast.unparse(node.func).rpartition(".")[2], 0
            if name == "at" and ast.unparse(node.func).partition(".")[0] in errors:
                name, at = "TocsinError", 1
            if name not in errors or len(node.args) <= at:
                continue
            fields = next((word.value for word in node.keywords if word.arg == "fields"), None)
            said = fields.values if isinstance(fields, ast.Dict) else []
            if _plain(node.args[at]) or any(map(_plain, said)):
                faults.append(f"{where}:{node.lineno}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ('"the list is empty"', True),
        ('f"there is no run {id}"', True),
        ('"the list: " + x', True),
        ('"nothing" if x else "no such thing"', True),
        ('phrase("the list is empty")', False),
        ('"; ".join(problems)', True),
        ("error.message", False),
    ],
)
def test_what_a_plain_sentence_is(source: str, plain: bool) -> None:
    assert _plain(ast.parse(source, mode="eval").body) is plain


def test_what_joins_a_list_is_known_in_chinese() -> None:
    faults = []
    for where, call in _phrases():
        if isinstance(call.func, ast.Name) and call.func.id == "listing":
            given = [*call.args[1:], *(word.value for word in call.keywords)]
            if not all(isinstance(one, ast.Constant) and one.value in BETWEEN for one in given):
                faults.append(where)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("a {name} of {count:,}", {"name", "count"}),
        ("%(count)s of %(whole)s", {"count", "whole"}),
        ("write {{name}}", set()),
        ("100 %", set()),
    ],
)
def test_which_places_a_sentence_has(sentence: str, names: set[str]) -> None:
    assert _named(sentence) == names


def test_pages_are_read_as_they_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = """{{ _("Pause") }} {% trans count=n %}
        {{ count }} text
    {% pluralize %}
        {{ count }} texts
    {% endtrans %} {{ pgettext("a line", "held") }}"""
    (tmp_path / "today").mkdir()
    (tmp_path / "today" / "page.html").write_text(page, "utf-8")
    monkeypatch.setattr(catalogue, "PAGES", tmp_path)
    found = set(catalogue._in_pages())
    assert found == {(None, "Pause"), (None, "%(count)s texts"), ("a line", "held")}

    chinese = {key: f"〔{key[1]}〕" for key in found}
    monkeypatch.setattr(catalogues, "chinese", lambda: chinese)
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(catalogues.Catalogue("zh"), newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
    assert environment.from_string(page).render(n=3) == "〔Pause〕 〔3 texts〕 〔held〕"
