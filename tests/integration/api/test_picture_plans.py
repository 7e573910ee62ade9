"""Beside a year of 100,000 pictures, whether one was seen before is found by indexes."""

import time
from typing import Any
from uuid import UUID

import pytest

from service.pictures import picture_store
from service.pictures.picture_store import hash_parts
from service.storage import sql
from service.storage.postgres import Connection, transaction
from tests.harness.owed import SCHOOL, made_duty
from tests.harness.photos import photo
from tests.integration.api.conftest import Api

PICTURES = 100_000
MOST_ROWS = 8_000
"""Of 100,000 pictures with hashes at random, 200 have a part of nine bits in common with one, seven
times that in all; as they are read for the index and again for the answer.
"""
MOST_SECONDS = 0.5

_HASHES = "SELECT n, ('x' || substr(md5(n::text), 1, 16))::bit(64)::bigint AS h"
_PARTS = ", ".join(
    f"{place} << 10 | ((h >> {at}) & {(1 << bits) - 1})::int"
    for place, at, bits in ((0, 0, 10), *((n, 1 + 9 * n, 9) for n in range(1, 7)))
)
_YEAR = f"""
INSERT INTO pictures (department_id, duty_id, uploaded_by, uploaded_at, reported_at, width, height,
                      octets, sha256, content_hash, difference_hash, hash_parts, large_cipher,
                      medium_cipher, small_cipher)
SELECT $1, $2, $3, $4::timestamptz - n * interval '5 minutes',
       $4::timestamptz - n * interval '5 minutes', 1600, 1200, 1, sha256(n::text::bytea),
       decode(md5(n::text), 'hex'), h, ARRAY[{_PARTS}], 'x', 'x', 'x'
FROM ({_HASHES} FROM generate_series(1, {PICTURES}) n) made
"""


def _read(plan: dict[str, Any]) -> int:
    """How many rows the parts of a plan have read of tables, those left out as well."""
    rows = 0
    if "Relation Name" in plan:
        for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"):
            rows += plan.get(name, 0)
    return int(rows * plan["Actual Loops"]) + sum(map(_read, plan.get("Plans", [])))


def _scans(plan: dict[str, Any]) -> set[str]:
    whole = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return whole.union(*map(_scans, plan.get("Plans", [])))


@pytest.mark.slow
@pytest.mark.fresh
async def test_a_picture_is_compared_with_a_year_by_indexes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty, school = await made_duty(api), api.teams["school"]
    async with api.runtime.pool.acquire(seconds=600) as conn:
        await conn.execute(_YEAR, school.department_id, duty, school.operator.id, api.clock.at)
        await conn.execute("ANALYZE pictures")
        row = await conn.fetchrow("SELECT difference_hash, hash_parts FROM pictures LIMIT 1")
    assert row is not None
    assert row["hash_parts"] == hash_parts(row["difference_hash"]), "as the service writes them"
    pictures = [UUID(await photo(api, SCHOOL, seed)) for seed in range(3)]
    plans: list[dict[str, Any]] = []
    fetch = sql.fetch

    async def explained(conn: Connection, statement: str, **values: Any) -> Any:
        plain = sql.translate(statement)
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {plain.text}"
        found = await conn.fetchval(explain, *plain.arrange(values))
        plans.append(found[0]["Plan"])
        return await fetch(conn, statement, **values)

    async with transaction(api.runtime.pool) as reading:
        began = time.perf_counter()
        await picture_store.list_seen(reading, pictures, api.clock.at)
        took = time.perf_counter() - began
        monkeypatch.setattr(sql, "fetch", explained)
        await picture_store.list_seen(reading, pictures, api.clock.at)
    (plan,) = plans
    assert "pictures" not in _scans(plan)
    assert _read(plan) < MOST_ROWS * len(pictures)
    assert took < MOST_SECONDS
    print(f"three pictures beside {PICTURES:,}: {took * 1000:.1f} ms, {_read(plan):,} rows")
