"""Tests wait for events: what sleeps are a few functions of tests/harness/, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, parsed, statements

pytestmark = pytest.mark.xdist_group("tree")

TESTS = ROOT / "tests"
MAY_SLEEP = frozenset(
    {
        "tests/harness/pauses.py::delay",
        "tests/harness/pauses.py::elapse",
        "tests/harness/pauses.py::random_moment",
        "tests/harness/pauses.py::repeatedly",
        "tests/harness/pauses.py::stall",
        "tests/harness/waiting.py::turns",
        "tests/harness/waiting.py::until",
        "tests/harness/waiting.py::until_sync",
    }
)
"""Who calls `sleep`; the list only becomes shorter."""

MAY_PAUSE = {
    "tests/chaos/cell.py": "repeatedly",
    "tests/chaos/faults.py": "delay",
    "tests/chaos/random_faults.py": "delay, random_moment",
    "tests/chaos/soak.py": "delay",
    "tests/chaos/writers.py": "repeatedly",
    "tests/e2e/test_crashes.py": "repeatedly",
    "tests/e2e/test_replies.py": "random_moment",
    "tests/e2e/test_thieves.py": "repeatedly",
    "tests/harness/lossy.py": "delay",
    "tests/harness/sick.py": "repeatedly",
    "tests/integration/api/test_documents.py": "repeatedly",
    "tests/integration/api/test_hostile.py": "delay",
    "tests/integration/api/test_long_texts.py": "stall",
    "tests/integration/api/test_slow.py": "delay",
    "tests/integration/audience/test_loading.py": "delay",
    "tests/integration/delivery/test_receipts.py": "repeatedly",
    "tests/integration/dispatch/test_caps.py": "random_moment",
    "tests/integration/dispatch/test_direct_cancel.py": "delay, random_moment",
    "tests/integration/dispatch/test_erasures.py": "random_moment",
    "tests/integration/dispatch/test_failover.py": "delay",
    "tests/integration/dispatch/test_failover_moves.py": "delay, random_moment",
    "tests/integration/dispatch/test_finish_races.py": "delay",
    "tests/integration/dispatch/test_pace.py": "delay",
    "tests/integration/dispatch/test_poisoned_pace.py": "delay, repeatedly",
    "tests/integration/dispatch/test_races.py": "delay, random_moment",
    "tests/integration/dispatch/test_reroute_races.py": "delay, random_moment",
    "tests/integration/dispatch/test_retry_races.py": "delay, random_moment",
    "tests/integration/dispatch/test_scheduler.py": "delay",
    "tests/integration/dispatch/test_stop_all.py": "delay, random_moment",
    "tests/integration/storage/test_cancelled.py": "delay",
    "tests/integration/test_poisoned_queue.py": "delay",
    "tests/integration/wire/test_hostile_providers.py": "delay",
    "tests/unit/gateways/test_hostile_links.py": "delay",
    "tests/unit/simulator/test_simulator_cmpp.py": "elapse",
}
"""In which modules somebody is slow or comes at a random moment, or time is tested; before you add
one, look whether the test can wait for an event.
"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sleeps(node: ast.AST, inside: str = "") -> Iterator[str]:
    """The functions, outermost first, in which somebody sleeps, in whatever form."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            yield from sleeps(child, f"{inside}.{child.name}".lstrip("."))
            continue
        if isinstance(child, ast.Call) and _last_name(child.func) == "sleep":
            yield inside
        if isinstance(child, ast.ImportFrom) and "sleep" in {one.name for one in child.names}:
            yield f"{inside}: import"
        yield from sleeps(child, inside)


def _last_name(function: ast.expr) -> str | None:
    """The name behind the last dot of what is called."""
    match function:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return None


def pauses(path: Path) -> str:
    """What a module takes from tests/harness/pauses.py."""
    names = {
        alias.name if node.module == "tests.harness.pauses" else "all"
        for node in statements(path)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module == "tests.harness.pauses"
        or (node.module, alias.name) == ("tests.harness", "pauses")
    }
    return ", ".join(sorted(names))


def test_only_the_harness_sleeps() -> None:
    found = {
        f"{path.relative_to(ROOT)}::{where}"
        for path in TESTS.rglob("*.py")
        if "sleep" in path.read_text("utf-8")
        for where in sleeps(parsed(path))
    }
    assert found == MAY_SLEEP


def test_time_passes_only_where_somebody_is_slow() -> None:
    found = {str(path.relative_to(ROOT)): pauses(path) for path in TESTS.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == MAY_PAUSE


def test_a_sleep_is_found_in_every_form() -> None:
    source = (
        "import asyncio, time\n"
        "from asyncio import sleep\n"
        "async def a():\n    await asyncio.sleep(1)\n"
        "class B:\n    def c(self):\n        return lambda: time.sleep(1)\n"
        "async def d():\n    async def e():\n        await sleep(0)\n"
    )
    assert list(sleeps(ast.parse(source))) == [": import", "a", "B.c", "d.e"]
