"""Every advisory lock has its key in one module, which states the order of them all."""

import re
from pathlib import Path

import pytest

from service.storage import locks
from tests.architecture.tree import ROOT, modules

KEYED = re.compile(r"pg_\w*advisory\w*|hashtextextended\s*\(\s*'", re.IGNORECASE)
HOME = ROOT / "service/storage/locks.py"
MIGRATIONS = ROOT / "service/storage/migrations"


def statements() -> list[Path]:
    """Modules and files of SQL of the application; what was migrated stays as it was."""
    sql = [path for package in ("service", "workers") for path in (ROOT / package).rglob("*.sql")]
    return [path for path in [*modules(), *sql] if path != HOME and MIGRATIONS not in path.parents]


def keyed(text: str) -> list[str]:
    """The lines that take an advisory lock, or make a key from a word."""
    return [line.strip() for line in text.splitlines() if KEYED.search(line)]


def test_no_lock_has_its_key_outside_of_the_module_of_locks() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in statements()
        if (lines := keyed(path.read_text("utf-8")))
    }
    assert not found, f"to be a function of service/storage/locks.py: {found}"


@pytest.mark.parametrize(
    "line",
    [
        "SELECT pg_advisory_xact_lock($1)",
        "SELECT PG_TRY_ADVISORY_XACT_LOCK_SHARED(1)",
        "KEY = \"hashtextextended('areas', 0)\"",
        "hashtextextended ( 'put back ' || {}::text, 0)",
    ],
)
def test_a_key_is_recognised(line: str) -> None:
    assert keyed(f"first\n{line}\nlast") == [line]


def test_a_hash_of_a_column_is_no_key() -> None:
    assert keyed("hashtextextended(r.text, 0) AS text") == []


def test_the_order_names_the_keys_of_triggers_too() -> None:
    assert locks.__doc__ is not None
    text = "".join(path.read_text("utf-8") for path in MIGRATIONS.glob("*.sql"))
    found = set(re.findall(r"hashtextextended\('([^']+)'", text))
    assert found, "the triggers take no lock any more: mend the module's docstring and this test"
    for key in found:
        assert f"`{key}" in locks.__doc__, f"{key!r} is locked in a trigger, and has no place"
