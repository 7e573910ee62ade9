"""Statements move messages and runs along the tables of the ledger, and say so by its words.

A statement is read as it is written, with what the ledger puts into it (`StateMove.sources_sql`,
groups of states, fragments) filled in as it is when the module is imported. What a statement does
to rows is shown by `test_races.test_every_statement_moves_messages_along_the_table_only`.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from service.ledger import fragments, states
from service.ledger.states import (
    MOVES,
    RUN_MOVES,
    IllegalMove,
    MessageState,
    RunState,
    StateMove,
    sql_list,
    state_move,
)
from tests.architecture.tree import ROOT, modules, nodes

pytestmark = pytest.mark.xdist_group("tree")

TABLES = {"messages": MessageState, "runs": RunState}
UPDATE = re.compile(r"\bUPDATE\s+(messages|runs)\b(?:\s+(?:AS\s+)?\w+)?\s+SET\b", re.IGNORECASE)
STATE = re.compile(r"(?<![\w.])state\s*=", re.IGNORECASE)
SOURCES = re.compile(r"(?<![\w])(?:\w+\.)?state IN /\*(\d+)\*/")
_WORD = "|".join(sorted({*MessageState, *RunState}))
LIST = re.compile(rf"\bIN\s*\(\s*'(?:{_WORD})'(?:\s*,\s*'(?:{_WORD})')+", re.IGNORECASE)
LEDGER = ROOT / "service/ledger"


class Update(NamedTuple):
    """An UPDATE of messages or runs: its table, what it sets, and the rest up to RETURNING."""

    where: str
    table: str
    set: str
    rest: str


def texts(path: Path) -> Iterator[tuple[int, ast.expr]]:
    """The strings of a module, each with its line; no parts of an f-string by themselves."""
    inner = {id(v) for node in nodes(path) if isinstance(node, ast.JoinedStr) for v in node.values}
    for node in nodes(path):
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner
        ):
            yield node.lineno, node


def filled(text: ast.expr, module: ModuleType, moves: list[StateMove]) -> str:
    """A string as it is at run time. The earlier states of a move stand as its number in `moves`;
    what only its function knows as `{}`.
    """
    if isinstance(text, ast.Constant):
        return str(text.value)
    assert isinstance(text, ast.JoinedStr)
    parts = []
    for value in text.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        elif isinstance(value, ast.FormattedValue):
            parts.append(_value(value.value, module, moves))
    return "".join(parts)


def _value(expression: ast.expr, module: ModuleType, moves: list[StateMove]) -> str:
    if isinstance(expression, ast.Attribute) and expression.attr == "sources_sql":
        try:
            move = eval(ast.unparse(expression.value), vars(module))
        except NameError:
            return "/*checked when it is made*/"
        assert isinstance(move, StateMove)
        moves.append(move)
        return f"/*{len(moves) - 1}*/"
    try:
        value = str(eval(ast.unparse(expression), vars(module)))
    except NameError:
        return "{}"
    # A whole sub-statement of the ledger is held against the table by itself, below.
    return "{}" if UPDATE.search(value) and _is_fragment(expression) else value


def _is_fragment(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and hasattr(fragments, ast.unparse(expression.func))


def until(text: str, ends: re.Pattern[str]) -> int:
    """Where the first of these words stands outside of all parentheses, or the text ends."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0 or (depth == 0 and ends.match(text, at)):
            return at
    return len(text)


_END_OF_SET = re.compile(r"\b(?:FROM|WHERE|RETURNING)\b")
_END = re.compile(r"\bRETURNING\b")


def updates(sql: str, where: str) -> Iterator[Update]:
    for match in UPDATE.finditer(sql):
        rest = sql[match.end() :]
        middle = until(rest, _END_OF_SET)
        behind = rest[middle:]
        yield Update(where, match[1].lower(), rest[:middle], behind[: until(behind, _END)])


def faults(update: Update, moves: list[StateMove]) -> list[str]:
    """What is wrong with an UPDATE that sets a state."""
    if not STATE.search(update.set):
        return []
    if "state IN /*checked" in update.rest:
        return []
    found = SOURCES.search(update.rest)
    if found is None:
        return [f"{update.where}: the states before are not those of a move (`state_move`)"]
    move = moves[int(found[1])]
    kind = TABLES[update.table]
    at = STATE.search(update.set)
    assert at is not None
    value = update.set[at.end() :]
    value = value[: until(value, re.compile(","))]
    words = {kind(w) for w in re.findall(r"(?:THEN|ELSE|^)\s*'(\w+)'", value.strip())}
    if not all(isinstance(state, kind) for state in move.to | move.sources):
        return [f"{update.where}: its move is none of {update.table}"]
    return [
        f"{update.where}: sets {word}, and its move knows only {', '.join(sorted(move.to))}"
        for word in sorted(words - move.to)
    ]


def loaded(path: Path) -> Iterator[tuple[Path, dict[str, ast.expr]]]:
    """The files of statements that a module loads, each with what the module puts into it."""
    for node in nodes(path):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "load" and ast.unparse(node.func) == "sql.load":
            file = ast.literal_eval(node.args[1])
            yield path.with_name(file), {part.arg or "": part.value for part in node.keywords}


def found_in(path: Path) -> list[str]:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    problems: list[str] = []
    for file, parts in loaded(path):
        put_in: list[StateMove] = []
        sql = file.read_text("utf-8")
        for word, expression in parts.items():
            sql = sql.replace(f"${word}", _value(expression, importlib.import_module(name), put_in))
        for update in updates(sql, str(file.relative_to(ROOT))):
            problems += faults(update, put_in)
    lines = path.read_text("utf-8").splitlines()
    for line, text in texts(path):
        if not any("UPDATE" in written for written in lines[line - 1 : text.end_lineno]):
            continue
        moves: list[StateMove] = []
        sql = filled(text, importlib.import_module(name), moves)
        for update in updates(sql, f"{path.relative_to(ROOT)}:{line}"):
            problems += faults(update, moves)
    return problems


OURS = [path for path in modules() if path.relative_to(ROOT).parts[0] in ("service", "workers")]


def test_every_update_of_a_state_is_a_move_of_the_table() -> None:
    problems = [p for path in OURS if LEDGER not in path.parents for p in found_in(path)]
    assert not problems, "\n".join(problems)


def test_the_updates_are_found() -> None:
    """Of messages alone there are more than these."""
    written = [path for path in OURS if re.search(r"UPDATE messages\b", path.read_text("utf-8"))]
    assert len(written) > 10
    files = [file.name for path in OURS for file, _ in loaded(path)]
    assert "mark.sql" in files


def test_no_list_of_states_is_typed_outside_of_the_ledger() -> None:
    files = [file for path in OURS for file, _ in loaded(path)]
    found = [
        f"{path.relative_to(ROOT)}: {' '.join(match[0].split())}"
        for path in (*OURS, *files)
        if LEDGER not in path.parents
        for match in LIST.finditer(path.read_text("utf-8"))
    ]
    assert not found, f"to be the `sql_list` of a group of service/ledger/states.py: {found}"


def judged(sql: str, *moves: StateMove) -> list[str]:
    return [fault for update in updates(sql, "here") for fault in faults(update, list(moves))]


CANCEL = state_move(MessageState.CANCELLED, only=[MessageState.QUEUED])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE messages SET state = 'cancelled' WHERE run_id = $1",
        "UPDATE messages SET state = 'cancelled' WHERE state = 'queued'",
        "UPDATE messages m SET reason = $1, state = $2 FROM x WHERE m.state IN ('queued')",
        "WITH a AS (UPDATE messages m SET state = 'delivered' WHERE m.state IN /*0*/ RETURNING 1)",
        """UPDATE messages m SET state = CASE WHEN $1 THEN 'cancelled' ELSE 'expired' END
        WHERE m.state IN /*0*/""",
        "UPDATE runs SET state = 'cancelled' WHERE state IN /*0*/",
        """WITH a AS (UPDATE messages SET state = 'cancelled' WHERE no = 1)
        SELECT FROM messages WHERE state IN /*0*/""",
    ],
)
def test_an_update_that_is_no_move_is_found(sql: str) -> None:
    assert judged(sql, CANCEL)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE messages SET state = 'cancelled', reason = 'expired' WHERE state IN /*0*/",
        "UPDATE messages SET phone_hash = $1 WHERE no = 1",
        """UPDATE messages m SET state = CASE WHEN x.state = 'expired' THEN 'cancelled' END FROM x
        WHERE m.no = x.no AND m.state IN /*0*/""",
    ],
)
def test_a_move_is_no_fault(sql: str) -> None:
    assert not judged(sql, CANCEL)


def test_a_move_that_the_table_does_not_know_is_refused() -> None:
    with pytest.raises(IllegalMove, match="delivered → queued"):
        state_move(MessageState.QUEUED, only=[MessageState.UNCERTAIN, MessageState.DELIVERED])
    with pytest.raises(IllegalMove, match="delivered or queued"):
        state_move(MessageState.DELIVERED, MessageState.QUEUED, MessageState.SUPPRESSED)
    with pytest.raises(IllegalMove, match="cancelled → running"):
        state_move(RunState.RUNNING, only=[RunState.CANCELLED])


def test_a_move_takes_its_earlier_states_out_of_the_table() -> None:
    assert state_move(MessageState.SUBMITTED).sources_sql == "('submitting', 'uncertain')"
    assert state_move(MessageState.QUEUED, MessageState.CANCELLED).sources_sql == (
        "('submitting', 'uncertain')"
    )
    assert state_move(RunState.SENT).sources_sql == "('running')"


def test_the_tables_speak_of_every_state() -> None:
    assert MOVES.keys() == set(MessageState)
    assert RUN_MOVES.keys() == set(RunState)
    assert set(MessageState) == states.OPEN | states.FINAL
    assert set(RunState) == states.OPEN_RUNS | states.ENDED_RUNS
    assert sql_list(states.OPEN) == "('queued', 'submitting', 'submitted', 'uncertain')"


def test_the_ledger_reopens_runs_along_the_table() -> None:
    assert not judged(
        fragments.reopen_runs("moved").replace(fragments.REOPEN_RUN.sources_sql, "/*0*/"),
        fragments.REOPEN_RUN,
    )
