"""What `make check` says of a migration that would hold up or break a running system."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = "SET LOCAL lock_timeout = '5s';\n"


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
        ("ALTER TABLE runs ADD COLUMN x text DEFAULT '';", "require-lock-timeout"),
        (LIMIT + "ALTER TABLE messages ADD COLUMN x text NOT NULL;", "adding-required-field"),
        (LIMIT + "CREATE INDEX x ON messages (code);", "require-concurrent-index-creation"),
        (LIMIT + "ALTER TABLE parts ADD CHECK (no > 0);", "constraint-missing-not-valid"),
        (LIMIT + "ALTER TABLE parts ALTER COLUMN no TYPE bigint;", "changing-column-type"),
        (LIMIT + "ALTER TABLE runs RENAME COLUMN kind TO sort;", "renaming-column"),
        (LIMIT + "ALTER TABLE runs DROP COLUMN barred;", "ban-drop-column"),
    ],
)
def test_what_holds_up_or_breaks_a_running_system_is_refused(
    tmp_path: Path, sql: str, rule: str
) -> None:
    assert rule in _squawk(tmp_path, sql)


def test_a_migration_as_the_page_says_is_taken(tmp_path: Path) -> None:
    sql = LIMIT + (
        "ALTER TABLE messages ADD COLUMN x text NOT NULL DEFAULT '';\n"
        "ALTER TABLE parts ADD CONSTRAINT numbered CHECK (no > 0) NOT VALID;\n"
        "CREATE TABLE marks (id uuid PRIMARY KEY DEFAULT uuidv7(), no integer NOT NULL);\n"
        "CREATE INDEX marks_no ON marks (no);\n"
        "-- It was built beforehand with CONCURRENTLY. squawk-ignore is of the next line alone.\n"
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE INDEX IF NOT EXISTS messages_code ON messages (code);\n"
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
