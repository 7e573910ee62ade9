"""How many rows of tables the statements of a test read, by the plans that they were run with."""

import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import pytest

from service.storage import sql
from service.storage.postgres import Connection, Record


def watch_plans(
    monkeypatch: pytest.MonkeyPatch, tables: Collection[str] | None, words: Collection[str]
) -> dict[str, int]:
    """Run each statement that has one of the words a first time under EXPLAIN, and roll that back.

    tables: None: all, and what a statement names by WITH. Returns what is filled from now on: by
    table and statement, the most rows that one part of its plan has read of the table, those that
    it left out as well.
    """
    worst: dict[str, int] = {}

    def watched(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def asked(conn: Connection, statement: str, **values: Any) -> Any:
            if any(word in statement for word in words):
                plain = sql.translate(statement)
                explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {plain.text}"
                trial = conn.transaction()
                await trial.start()
                rows: list[Record] = await conn.fetch(explain, *plain.arrange(values))
                await trial.rollback()
                plan = rows[0][0]
                plan = json.loads(plan) if isinstance(plan, str) else plan
                for table, read in _read(plan[0]["Plan"]):
                    if tables is None or table in tables:
                        key = f"{table}: {' '.join(statement.split())[:120]}"
                        worst[key] = max(worst.get(key, 0), read)
            return await ask(conn, statement, **values)

        return asked

    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        monkeypatch.setattr(sql, name, watched(getattr(sql, name)))
    return worst


def _read(plan: dict[str, Any]) -> list[tuple[str, int]]:
    """How many rows of each table, or CTE, each part of a plan has read."""
    rows = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    rows += plan.get("Rows Removed by Index Recheck", 0)
    name = plan.get("Relation Name", plan.get("CTE Name"))
    found = [(name, int(rows * plan["Actual Loops"]))] if name is not None else []
    for part in plan.get("Plans", []):
        found += _read(part)
    return found
