"""What the SQL of the service must not do more of, so that its tables can be divided one day: by
month, and by the hash of the phone over several machines (docs/architecture.md, "Rules for
growth").

What is there today is listed with a word why. A test fails for one more, and for one that is gone.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.storage import locks
from tests.architecture.tree import ROOT, modules, parsed

BY_PLACE = {
    "service/campaigns/audience/follow_up_store.py::stop_arrived": 1,
    "service/campaigns/core/run_store.py::cancel_messages": 1,
    "service/delivery/list_files/list_file_store.py::lapse": 2,
    "service/delivery/receipts/store.py::take_receipts": 1,
    "service/dispatch/failover/failover_store.py::move_queued": 1,
    "service/dispatch/handoff/claim_slices.sql": 2,
    "service/dispatch/handoff/lease_store.py::recover_slices": 1,
    "service/dispatch/handoff/mark.sql": 1,
    "service/dispatch/handoff/record_store.py::give_back": 1,
    "service/dispatch/handoff/slice_store.py::finish_slices": 2,
    "service/dispatch/limits/caps_store.py::hold": 1,
    "service/dispatch/retries/retry_store.py::queue_again": 1,
    "service/privacy/retention_store.py::delete_rejects": 1,
    "service/privacy/rotation_store.py::rewrite": 1,
}
"""Statements that find rows again by where they lie (ctid), and how often: locked in an order
first, then changed without a second look into the index (decision 0130). A planner that divides a
table refuses them unless the statement goes to one machine. The last two are of a table that would
not be divided, and go through a table page by page.
"""

BY_THE_SERVERS_CLOCK = {
    "service/accounts/long_acts/store.py::take_up": "an act that a person waits for; rare",
    "service/accounts/long_acts/store.py::renew": "the lease of such an act, every few seconds",
    "service/channels/links/logins_store.py::take_turn": "a login at the carrier; rare",
    "service/channels/links/logins_store.py::_put_off": "a login that failed; rare",
    "service/dispatch/handoff/claim_slices.sql": "HOT: is the lease ours, with each claim",
    "service/dispatch/handoff/lease_store.py::claim_connection": "a lease is taken; rare",
    "service/dispatch/handoff/lease_store.py::recover_connection": "a lease ran out; rare",
    "service/dispatch/handoff/lease_store.py::renew_connection": "a connection, every 4 s",
    "service/dispatch/handoff/mark.sql": "HOT: is the lease ours, with each mark",
    "service/dispatch/handoff/sweep_store.py::note_turn": "an act of the scheduler, every seconds",
    "service/liveness/process_store.py::forget_gone": "processes killed a day ago; rare",
    "service/liveness/process_store.py::write_beat": "a process, every 5 s",
    "service/reports/weekly/pack_store.py::claim": "a pack of weekly reports; a few a week",
    "service/reports/weekly/pack_store.py::fail_given_up": "as claim; a table of a few rows a week",
    "service/reports/weekly/pack_store.py::note_progress": "as claim, every few seconds",
    "service/privacy/clock_watch_store.py::write_stand": "the watch of the clock, once a minute",
}
"""Statements that change rows and ask PostgreSQL's clock in that: a volatile function keeps a
statement from being sent on to the machine that has the rows. Those that are HOT run with each
batch of texts; their question belongs into the statement that takes the locks.
"""

SCOPES = {
    "TRY_IDEMPOTENCY": "a caller's key",
    "lock_edit": "an address of the API",
    "try_lock_expansion": "a run",
    "try_lock_failover": "a channel",
    "try_lock_breakers": "the installation: one judges all channels",
    "try_lock_reader": "the installation: parts of a text come over any connection",
    "wait_for_reader": "the installation: as try_lock_reader",
    "try_lock_answering": "the installation: one answers at a time",
    "try_lock_noticing": "a person",
    "try_lock_owing": "the installation: one tells of duties, so that a person gets one text",
    "try_lock_sealing": "the installation: the audit trail is one chain",
    "try_lock_fold": "a channel",
    "lock_folds": "channels, in their order",
    "lock_contacts": "a department",
    "try_lock_contacts": "a department",
    "try_lock_facts": "a department",
    "share_erasures": "the installation: an erasure is of every department",
    "lock_erasures": "the installation: as share_erasures",
    "lock_entries": "the installation: suppressions in bulk, rare",
    "lock_for_mark": "the installation, runs, the installation, a connection; all shared",
    "lock_all_marks": "the installation: a stop of all sending",
    "RUN_ALONE": "a run",
    "lock_run": "a run",
    "lock_each_run": "runs, in their order",
    "share_runs": "runs",
    "share_put_back": "runs",
    "lock_for_finish": "runs",
    "lock_suppressions": "the installation: an opt-out stops every department's texts",
    "lock_connection": "a connection",
    "share_connection": "a connection",
    "lock_follow_up_runs": "a run",
    "lock_areas": "the installation: one tree of areas",
    "lock_segments": "a department",
    "lock_extensions": "the installation: an extension is one department's",
    "lock_signatures": "the installation: a signature is one department's",
    "lock_county": "the installation: a kind of the county's settings",
    "lock_lint_changes": "the installation: the county's levels",
    "share_pack_pictures": "the installation: packs are the county's; alone for a mask, a moment",
    "share_pack_weeks": "the installation: weeks are the county's; alone for a moment, once a week",
    "lock_pack_weeks": "the installation: as share_pack_weeks",
    "lock_cases": "the installation: what the weeks of the county were",
    "lock_lookups": "a person",
    "lock_department_names": "the installation: a name is one department's",
    "lock_administrators": "the installation: two must remain",
    "lock_logins": "the installation: a login is one person's",
    "try_lock_keys": "the installation: its master keys",
    "lock_migration": "the installation: its tables",
    "unlock_migration": "the installation: as lock_migration",
    "direct ": "a sender, by a trigger",
    "pack pictures": "as share_pack_pictures, by a trigger",
    "department tree": "the installation: one tree, by a trigger",
}
"""The functions of service/storage/locks.py, and the keys that triggers take, with what each lock
is of. A lock of the installation stands in one place, wherever the rows are.
"""

MIGRATIONS = ROOT / "service/storage/migrations"
_BY_PLACE = re.compile(r"\bctid\s*(?:=|IN\b)", re.IGNORECASE)
_CHANGE = re.compile(r"(?<!FOR )(?<!KEY )\b(?:UPDATE|DELETE)\b(?! OF)", re.IGNORECASE)
_CLOCK = re.compile(r"\bclock_timestamp\b", re.IGNORECASE)


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """The strings of a module, each with where it stands; of a file of SQL all of it, but its
    comments.
    """
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    if path.suffix == ".sql":
        yield name, re.sub(r"--[^\n]*", "", path.read_text("utf-8"))
    else:
        yield from _strings(parsed(path), name, "")


def _strings(node: ast.AST, module: str, function: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _strings(child, module, child.name)
        elif isinstance(child, ast.JoinedStr):
            parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in child.values)
            yield f"{module}::{function}", "".join(map(str, parts))
        elif isinstance(child, ast.Constant):
            yield f"{module}::{function}", str(child.value)
        else:
            yield from _strings(child, module, function)


def files() -> list[Path]:
    """Modules and files of SQL of the application; migrations stay as they are."""
    sql = [path for package in ("service", "workers") for path in (ROOT / package).rglob("*.sql")]
    return [path for path in [*modules(), *sql] if MIGRATIONS not in path.parents]


def by_place(paths: list[Path]) -> dict[str, int]:
    """How often rows are found again by where they lie."""
    counts = Counter[str]()
    for path in paths:
        for where, text in texts(path):
            counts[where] += len(_BY_PLACE.findall(text))
    return dict(+counts)


def by_the_servers_clock(paths: list[Path]) -> set[str]:
    """Where a statement changes rows and asks PostgreSQL's clock."""
    return {
        where
        for path in paths
        for where, text in texts(path)
        if _CLOCK.search(text) and _CHANGE.search(text)
    }


def locked() -> set[str]:
    """The functions and parts of statements that take a lock, and the keys that triggers take."""
    home = parsed(Path(str(locks.__file__)))
    functions = {n.name for n in home.body if isinstance(n, ast.AsyncFunctionDef)}
    assigned = [n for n in home.body if isinstance(n, ast.Assign)]
    names = {t.id for n in assigned for t in n.targets if isinstance(t, ast.Name)}
    keys = {
        key
        for path in MIGRATIONS.glob("*.sql")
        for key in re.findall(r"hashtextextended\('([^']+)'", path.read_text("utf-8"))
    }
    return {name for name in functions | names if not name.startswith("_")} | keys


def test_no_further_statement_finds_rows_by_where_they_lie() -> None:
    assert by_place(files()) == BY_PLACE


def test_no_further_statement_that_changes_rows_asks_the_servers_clock() -> None:
    assert by_the_servers_clock(files()) == {*BY_THE_SERVERS_CLOCK}


def test_each_advisory_lock_is_listed_with_what_it_is_of() -> None:
    assert locked() == {*SCOPES}


@pytest.mark.parametrize(
    ("name", "text", "places", "asks"),
    [
        ("a.sql", "UPDATE m SET x = 1 FROM q WHERE m.ctid = q.row", 1, False),
        ("a.sql", "-- m.ctid = q.row at clock_timestamp()\nUPDATE m SET x = 1", 0, False),
        ("a.sql", "SELECT ctid AS row FROM m WHERE ctid IN (SELECT 1)", 1, False),
        ("a.sql", "SELECT 1 FROM m WHERE at < clock_timestamp() FOR UPDATE OF m", 0, False),
        ("a.sql", "SELECT 1 FROM m WHERE at < clock_timestamp() FOR NO KEY UPDATE", 0, False),
        ("a.py", "async def f():\n    q(f'''UPDATE {t} SET at = clock_timestamp()''')", 0, True),
        ("a.py", "def f():\n    q('INSERT … DO UPDATE SET at = clock_timestamp()')", 0, True),
        ("a.py", "Q = 'DELETE FROM m WHERE ctid IN (…) AND at < clock_timestamp()'", 1, True),
    ],
)
def test_a_statement_is_recognised(
    tmp_path: Path, name: str, text: str, places: int, *, asks: bool
) -> None:
    (path := tmp_path / name).write_text(text, "utf-8")
    assert sum(by_place([path]).values()) == places
    assert bool(by_the_servers_clock([path])) is asks
