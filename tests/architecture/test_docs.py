"""The documents point at things that exist: files, headings, tests, make targets."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from service.api.routes import OPS
from service.settings import describe_environment
from tests.architecture.tree import ROOT, statements, text_files

pytestmark = pytest.mark.xdist_group("tree")

DOCUMENTS = [
    path for path, _ in text_files() if path.suffix == ".md" and ROOT / "tests" not in path.parents
]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
CITED_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
CITED_NAME = re.compile(r"`(\w+)`(?: and `(\w+)`)? in `((?:service|workers)/[\w/]+\.py)`")
NAMED_PATH = re.compile(r"`((?:service|workers|templates|deploy|tests|docs|benchmarks)/[\w./-]+)`")
TARGET = re.compile(r"`make ([a-z-]+)`|^make ([a-z-]+)(?: +#.*)?$", re.MULTILINE)


MANUALS = {"zh": ROOT / "docs" / "console.md", "en": ROOT / "docs" / "console.en.md"}
PICTURES = ROOT / "docs" / "pictures"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text("utf-8"))
    dead = [link for link in links if not (document.parent / link).exists()]
    assert not dead, dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_paths_that_are_named_exist(document: Path) -> None:
    paths = {path for path in NAMED_PATH.findall(document.read_text("utf-8")) if "…" not in path}
    made_by_hand = {"deploy/env", "deploy/secrets/master_key", "deploy/secrets/database_password"}
    missing = sorted(p for p in paths - made_by_hand if not (ROOT / p).exists())
    assert not missing, missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_tests_that_are_cited_exist(document: Path) -> None:
    missing = [
        f"{path}::{test}" if test else path
        for path, test in CITED_TEST.findall(document.read_text("utf-8"))
        if not (ROOT / path).exists() or (test and test not in functions_in(ROOT / path))
    ]
    assert not missing, missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_names_that_are_said_to_be_in_a_file_are_there(document: Path) -> None:
    missing = [
        f"{word} in {path}"
        for *words, path in CITED_NAME.findall(document.read_text("utf-8"))
        for word in filter(None, words)
        if not re.search(rf"\b{word}\b", (ROOT / path).read_text("utf-8"))
    ]
    assert not missing, missing


@cache
def functions_in(path: Path) -> set[str]:
    return {
        n.name for n in statements(path) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_addresses_that_are_asked_for_are_the_apis(document: Path) -> None:
    """And whoever reads them finds what `api` and `$API` are."""
    text = document.read_text("utf-8")
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    served = [re.compile(re.sub(r"\{\w+\}", "[^/]+", op.path)) for op in OPS]
    asked = re.findall(r"\$API(/[^\s\"?;|)]+)", blocks)
    unknown = [path for path in asked if not any(path_of.fullmatch(path) for path_of in served)]
    assert not unknown, unknown
    raw = re.findall(r"\$API/[^\s\"?]*\?[^\s\"]*[^\x00-\x7F\s\"]", blocks)
    assert not raw, "a query with Chinese in it takes curl -G --data-urlencode"
    assert "call $" not in blocks
    if re.search(r"^(?:\w+=\$\w+ )?api .*\$API", blocks, re.MULTILINE):
        assert "api() {" in blocks or "(api.md#before-the-first-command)" in text


def test_every_setting_is_in_the_table_with_its_default() -> None:
    table = (ROOT / "docs/operating.md").read_text("utf-8")
    told = dict[str, str]()
    for cell, defaults in re.findall(r"^\| (`TOCSIN_[^|]+`) \| ([^|]+) \|", table, re.MULTILINE):
        given = defaults.split(", ")
        names = re.findall(r"TOCSIN_\w+", cell)
        told |= dict(zip(names, given * (len(names) // len(given)), strict=True))
    shipped = dict(re.findall(r"^(?:# )?(TOCSIN_\w+)=(.*)$", describe_environment(), re.MULTILINE))
    assert told.keys() == shipped.keys()
    words = {"": ("needed", "none", "real time"), "0.0": ("real time",), "1.0": ("real time",)}
    wrong = [
        f"{name}: {told[name]}, not {default}"
        for name, default in shipped.items()
        if told[name] not in (default, default.removesuffix(".0"), *words.get(default, ()))
    ]
    assert not wrong, wrong


def test_a_dump_has_its_name_only_once_it_was_read() -> None:
    """A dump that fails must not leave an empty file in place of a good one."""
    dumps = [
        (name(document), line)
        for document in DOCUMENTS
        for line in document.read_text("utf-8").splitlines()
        if re.search(r"pg_dump\b.*>", line)
    ]
    assert {where for where, _ in dumps} >= {"docs/backup.md", "docs/backup.zh.md"}
    assert [one for one in dumps if not re.search(r"> \S+\.part &&$", one[1])] == []


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {
        (name(document), inline or block)
        for document in DOCUMENTS
        for inline, block in TARGET.findall(document.read_text("utf-8"))
    }
    assert ("README.md", "demo") in named
    unknown = sorted((document, target) for document, target in named if target not in targets)
    assert not unknown, unknown


def test_the_list_of_pages_has_each_page() -> None:
    folder = ROOT / "docs"
    listed = set(re.findall(r"\]\(([^)]+)\)", (folder / "README.md").read_text("utf-8")))
    pages = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert pages <= listed, pages - listed


@pytest.mark.parametrize("language", MANUALS)
def test_a_manual_has_every_picture_of_its_language_once(language: str) -> None:
    links = [link for link in LINK.findall(MANUALS[language].read_text("utf-8")) if ".png" in link]
    taken = sorted(f"pictures/{language}/{path.name}" for path in (PICTURES / language).iterdir())
    assert sorted(links) == taken
