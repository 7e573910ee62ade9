"""A type has a name of its own: whoever searches for it finds it, and nothing else."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import ROOT

CARRIERS_PACKETS = ("service/protocols", "service/gateways", "service/simulator/wire")
"""Under these each protocol has a module or a folder of its own, which fulfil one contract, in the
words of its specification: a SUBMIT is called `Submit` in each."""

WORDS = (
    {"public_interest", "service", "warning"},
    {"public_interest", "service"},
    {"urgent", "normal", "bulk"},
    {"china_mobile", "china_unicom", "china_telecom", "china_broadnet"},
)
"""Words of one concept; the module that defines them writes them together, and no other."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the service and the workers, by its path."""
    for package in ("service", "workers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def types_of(tree: ast.Module) -> Iterator[str]:
    """The names of the classes of a module and of its aliases, but for type variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, ast.unparse(node.value)
            words = name.lstrip("_")
            is_type = words[:1].isupper() and not words.isupper() and "_" not in words
            if is_type and not value.startswith("TypeVar("):
                yield name
        elif isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
            yield ast.unparse(node.target)


def protocol_of(path: str) -> str | None:
    """The protocol to which a module belongs; None: to none, or to all of them."""
    for folder in CARRIERS_PACKETS:
        if path.startswith(folder + "/"):
            return Path(path.removeprefix(folder + "/")).parts[0].removesuffix(".py")
    return None


def ambiguous(places: list[str]) -> bool:
    """Whether a name stands for several types: twice anywhere but in different protocols."""
    protocols = [protocol_of(path) for path in places]
    return len(places) > 1 and (None in protocols or len(set(protocols)) < len(places))


def test_no_two_types_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in sources():
        for name in types_of(tree):
            places[name].append(path)
    found = {name: paths for name, paths in places.items() if ambiguous(paths)}
    assert not found, "\n".join(f"{name}: {', '.join(paths)}" for name, paths in found.items())


def literal_sets(tree: ast.Module) -> Iterator[set[str]]:
    """The words of every tuple, list, set and `Literal` that is made of texts alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set) and node.elts:
            texts = [e.value for e in node.elts if isinstance(e, ast.Constant)]
            if len(texts) == len(node.elts) and all(isinstance(text, str) for text in texts):
                yield set(map(str, texts))


def test_the_words_of_a_concept_stand_in_one_module() -> None:
    examples = {"service/api/examples.py", "service/api/http/samples.py"}
    homes: dict[int, set[str]] = defaultdict(set)
    for path, tree in sources():
        for words in literal_sets(tree):
            if words in WORDS and path not in examples:
                homes[WORDS.index(words)].add(path)
    assert list(map(sorted, (homes[n] for n in range(len(WORDS))))) == [
        ["service/ledger/message_class.py"],
        ["service/ledger/message_class.py"],
        ["service/ledger/priority.py"],
        ["service/audience/vocabulary/choices.py"],
    ]


def test_the_time_zone_stands_in_one_module() -> None:
    zones = [
        path
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == "Asia/Shanghai"
    ]
    assert zones == ["service/clock.py"]


def test_two_types_of_one_name_are_seen() -> None:
    assert ambiguous(["service/a.py", "service/b.py"])
    assert ambiguous(["service/a.py", "service/protocols/cmpp/pdu.py"])
    assert ambiguous(["service/protocols/cmpp/pdu.py", "service/protocols/cmpp/query.py"])
    assert not ambiguous(["service/protocols/cmpp/pdu.py", "service/protocols/sgip/pdu.py"])
    assert list(
        types_of(ast.parse("class Aa: ...\nBb = int | str\nCc = TypeVar('Cc')\nD_E = 1"))
    ) == [
        "Aa",
        "Bb",
    ]
