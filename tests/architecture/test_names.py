"""A type has a name of its own: whoever searches for it finds it, and nothing else."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, parsed

pytestmark = pytest.mark.xdist_group("tree")

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


EARLIER_WORDS = {"lane", "lanes", "doubt", "doubts"}
"""What this code once called a channel and an uncertain hand-off (docs/glossary.md)."""

KEPT_WORDS = {
    # The API document: names of models, of fields and of operations, and descriptions.
    "service/api/campaigns/calendar.py": {"FireLaneOut", "LaneDayOut", "lanes"},
    "service/api/campaigns/campaign_report.py": {"LaneWeekOut", "lanes", "lane"},
    "service/api/campaigns/campaigns.py": {"doubts"},
    "service/api/campaigns/estimates.py": {"LaneEstimateOut", "lanes"},
    "service/api/campaigns/follow_ups.py": {"in_doubt"},
    "service/api/channels/routing.py": {"LaneOut"},
    "service/api/content/templates.py": {"doubts"},
    "service/api/examples.py": {"decide_doubts"},
    "service/api/routes.py": {"list_doubts", "decide_doubts"},
    "service/console/reports/words.py": {"decide_doubts"},
    "service/api/sending/uncertain.py": {
        "DoubtOut",
        "DoubtQuery",
        "list_doubts",
        "decide_doubts",
        "doubt",
    },
    "service/console/today/work_links.py": {"doubt"},
    "service/console/duty/uncertain_texts.py": {
        "DoubtQuery",
        "list_doubts",
        "decide_doubts",
        "not_in_doubt",
        "doubt",
    },
    "service/reports/campaign.py": {"lanes"},
    # Addresses of pages.
    "service/console/duty/queue.py": {"doubt"},
    "service/console/routes.py": {"doubt"},
    # Codes of answers.
    "service/campaigns/audience/follow_up_store.py": {"IN_DOUBT", "in_doubt"},
    "service/delivery/uncertain/reconcile.py": {"in_doubt"},
    "service/delivery/uncertain/uncertain.py": {"NOT_IN_DOUBT", "not_in_doubt", "doubt"},
    "service/ledger/reasons.py": {"IN_DOUBT", "in_doubt"},
    # Tables.
    "service/delivery/receipts/store.py": {"doubts_decided"},
    "service/delivery/uncertain/uncertain_store.py": {"doubts_decided", "doubt_decisions"},
    # The key of an advisory lock, which processes of an earlier version take, too.
    "service/storage/locks.py": {"lanes"},
    # Files and settings of users.
    "service/local/simulated_channels.py": {"lanes"},
    "service/simulator/carrier/config.py": {"lane"},
    "service/simulator/carrier/smsc.py": {"lane"},
    # For one release more.
    "service/cli/up.py": {"lanes"},
    "service/settings.py": {
        "TOCSIN_LANE_FAULT_SHARE",
        "TOCSIN_LANE_SLOW_SECONDS",
        "TOCSIN_LANE_SILENCE_MINUTES",
        "TOCSIN_LANE_DOWN_MINUTES",
        "TOCSIN_LANE_REST_SECONDS",
        "TOCSIN_LANE_SHIFT",
    },
    # Argon2's word for its parallelism, in the library's argument.
    "service/accounts/login/credentials.py": {"lanes"},
}
"""Where an earlier word stands in a name that is stored, sent, or another's, and why."""

NO_NAMES = {"whom", "meant", "clash", "clashes", "bell", "bells"}
"""No parts of an identifier: a name says what it names (house words: audience, conflict, wake)."""

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the service and the workers, by its path."""
    for package in ("service", "workers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), parsed(path)


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
    examples = {"service/api/examples.py", "service/api/description/samples.py"}
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


@cache
def parts_of(name: str) -> set[str]:
    """The words of which a name is made, in lower case: `LaneDayOut` is lane, day, out."""
    return {part.lower() for part in _PARTS.findall(name)}


def with_a_word(text: str, words: set[str]) -> set[str]:
    """The names and words of a text that have one of these words as a part."""
    return {name for name in re.findall(r"\w+", text) if parts_of(name) & words}


def test_earlier_words_stand_only_in_names_that_others_know() -> None:
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for package in ("service", "workers")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".sql", ".lua"} and "migrations" not in path.parts
    }
    found = {path: with_a_word(text, EARLIER_WORDS) for path, text in texts.items()}
    assert {path: names for path, names in found.items() if names} == KEPT_WORDS


def identifiers(text: str) -> Iterator[str]:
    """The identifiers of a module, comments and texts left out."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.string


def test_no_identifier_is_a_riddle() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for package in ("service", "workers", "benchmarks")
        for path in (ROOT / package).rglob("*.py")
        if with_a_word(path.read_text("utf-8"), NO_NAMES)  # a quick look at comments and texts too
        for name in identifiers(path.read_text("utf-8"))
        if parts_of(name) & NO_NAMES
    }
    # The API document names it.
    assert found == {("service/api/campaigns/campaign_preview.py", "ClashOut")}


def test_parts_of_names_are_seen() -> None:
    assert with_a_word("on its second lane", EARLIER_WORDS) == {"lane"}
    assert with_a_word("def list_lanes(self): ...", EARLIER_WORDS) == {"list_lanes"}
    assert with_a_word("LaneBook(LANES_OWN)", EARLIER_WORDS) == {"LaneBook", "LANES_OWN"}
    assert not with_a_word("a plane over the planet, doubtless", EARLIER_WORDS)
    assert {*identifiers("whom = 'meant'  # bell")} >= {"whom"}
    assert not {*identifiers("whom = 'meant'  # bell")} & {"meant", "bell"}
