"""What `make check` says of a migration that would hold up or break a running system, and what its
first line may say of how it is applied.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.storage.migrate import BESIDE, INDEX_ALONE, Migration, migrations

ROOT = Path(__file__).parents[2]
LEDGER = (
    "messages", "exclusions", "slices", "parts", "uncertain", "attempts", "deferrals", "links",
    "contacts", "recent_texts", "direct_sends", "receipt_inbox", "receipts_unmatched", "inbound",
    "doubts_decided",
)  # fmt: skip
"""Tables in which rows are counted in millions, or which every hand-off writes."""


def _squawk(folder: Path, sql: str) -> str:
    file = folder / "0100_change_something.sql"
    file.write_text(sql)
    done = subprocess.run(
        [Path(sys.executable).with_name("squawk"), "--reporter", "gcc", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (done.stdout == "")
    return done.stdout


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE messages ADD COLUMN x text NOT NULL;", "adding-required-field"),
        ("CREATE INDEX x ON messages (code);", "require-concurrent-index-creation"),
        ("ALTER TABLE parts ADD CHECK (no > 0);", "constraint-missing-not-valid"),
        ("ALTER TABLE parts ALTER COLUMN no TYPE bigint;", "changing-column-type"),
        ("ALTER TABLE runs RENAME COLUMN kind TO sort;", "renaming-column"),
        ("ALTER TABLE runs DROP COLUMN barred;", "ban-drop-column"),
    ],
)
def test_what_holds_up_or_breaks_a_running_system_is_refused(
    tmp_path: Path, sql: str, rule: str
) -> None:
    assert rule in _squawk(tmp_path, sql)


def test_a_migration_as_the_page_says_is_taken(tmp_path: Path) -> None:
    sql = (
        "ALTER TABLE messages ADD COLUMN x text NOT NULL DEFAULT '';\n"
        "ALTER TABLE parts ADD CONSTRAINT numbered CHECK (no > 0) NOT VALID;\n"
        "CREATE TABLE marks (id uuid PRIMARY KEY DEFAULT uuidv7(), no integer NOT NULL);\n"
        "CREATE INDEX marks_no ON marks (no);\n"
    )
    assert _squawk(tmp_path, sql) == ""


def test_make_check_looks_at_what_comes_after_the_baseline(tmp_path: Path) -> None:
    folder = tmp_path / "service/storage/migrations"
    folder.mkdir(parents=True)
    for name in ("0001_baseline_accounts.sql", "0100_add_mark.sql"):
        (folder / name).write_text("")
    done = subprocess.run(
        ["make", "-n", "-o", "venv", "-f", ROOT / "Makefile", "check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if "squawk" in line]
    assert line.split() == [".venv/bin/squawk", "service/storage/migrations/0100_add_mark.sql"]


FIRST_LINES = ("-- alone", "-- stop")
_INDEX = re.compile(r"CREATE\s+(?:UNIQUE\s+)?INDEX\b[^;]*?\bON\s+(?:ONLY\s+)?(\w+)", re.IGNORECASE)


def faults(migration: Migration) -> list[str]:
    """What is wrong with how a file is to be applied."""
    first, *others = migration.sql.splitlines()
    statements = [part for part in _without_comments(migration.sql).split(";") if part.strip()]
    found = []
    if any(line.strip() in FIRST_LINES for line in others):
        found.append("what says how it is applied stands in the first line")
    if migration.is_alone:
        if len(statements) != 1 or not INDEX_ALONE.match(statements[0].strip()):
            found.append("it is one CREATE INDEX CONCURRENTLY IF NOT EXISTS name")
    elif "CONCURRENTLY" in _without_comments(migration.sql).upper():
        found.append("CONCURRENTLY takes -- alone")
    else:
        made = re.findall(r"CREATE TABLE (\w+)", migration.sql)
        large = {*_INDEX.findall(_without_comments(migration.sql))} & {*LEDGER} - {*made}
        found += [f"an index of {table} is built CONCURRENTLY" for table in sorted(large)]
    if re.match(r"-- (alone|stop)\b.+", first):
        found.append("the first line says that alone")
    return found


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


@pytest.mark.parametrize(
    "migration",
    [m for m in migrations() if "_baseline_" not in m.name],
    ids=lambda migration: migration.name,
)
def test_every_migration_says_rightly_how_it_is_applied(migration: Migration) -> None:
    assert faults(migration) == []


GOOD = "-- alone\n-- Why.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS later ON messages (code);\n"


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (GOOD, None),
        ("-- stop\n-- Why.\nALTER TABLE runs ADD COLUMN x text;", None),
        ("CREATE TABLE later (id uuid); CREATE INDEX later_id ON later (id);", None),
        ("CREATE INDEX later ON departments (name);", None),
        (GOOD.replace(" IF NOT EXISTS", ""), "it is one CREATE INDEX"),
        (GOOD + "ALTER TABLE runs ADD COLUMN x text;", "it is one CREATE INDEX"),
        (GOOD.removeprefix("-- alone\n"), "CONCURRENTLY takes -- alone"),
        ("-- Why.\n" + GOOD, "stands in the first line"),
        ("-- Why.\n-- stop\nALTER TABLE runs ADD COLUMN x text;", "stands in the first line"),
        ("CREATE UNIQUE INDEX IF NOT EXISTS later ON parts (no);", "parts is built CONCURRENTLY"),
        ("-- stop the world\nALTER TABLE runs ADD COLUMN x text;", "says that alone"),
    ],
)
def test_how_a_file_is_to_be_applied_is_judged(sql: str, fault: str | None) -> None:
    found = faults(Migration("0900_later.sql", sql))
    assert any(fault in one for one in found) if fault else not found


def test_what_is_built_alone_is_taken_by_squawk(tmp_path: Path) -> None:
    assert _squawk(tmp_path, GOOD) == ""


def test_the_version_that_may_work_beside_this_one_is_the_last_release() -> None:
    """The one before this version, or this one itself while what comes next is not released."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(r"^## \[([^]]+)\][^\n]*\n(.*?)(?=^## \[|\Z)", text, re.M | re.S)
    (_, coming), *released = sections
    at_work = released if coming.strip() else released[1:]
    assert at_work[0][0] == BESIDE
