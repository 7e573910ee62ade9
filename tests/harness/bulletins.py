"""Bulletins for texts: issued, as far as what they release to the public."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service.cases import bulletin_store
from service.cases.bulletin_store import Bulletin
from service.storage.postgres import Connection

WEEK = "2027-W01"
RELEASED = {"周期": "1月4日至10日", "起数": "12", "金额": "35.6", "类型": "刷单返利"}
"""What a text has of it."""


async def give_bulletin(
    conn: Connection,
    user_id: UUID,
    now: datetime,
    *,
    week: str = WEEK,
    version: int = 1,
    cases: int = 12,
    loss_wan: float | None = 35.6,
) -> None:
    """Issue a bulletin with these figures."""
    cells: dict[str, Any] = {
        "cases": cases,
        "loss_wan": loss_wan,
        "towns": None,
        "corrected_by": 0,
        "kinds": ["T01"],
        "quarter": None,
    }
    release_id = await bulletin_store.insert_release(conn, week, version, cells, now)
    reason = "" if version == 1 else "更正"
    number = f"〔{week[:4]}〕{int(week[-2:])}号"
    figures: dict[str, Any] = {
        "cases": cases,
        "loss_yuan": 0,
        **dict.fromkeys(("cases_last_year", "loss_last_year", "cases_change_pct")),
        "loss_change_pct": None,
        **{part: {} for part in ("towns", "villages", "types")},
    }
    made = Bulletin(week, version, number, figures, "0" * 64, reason, user_id, now, cells)
    await bulletin_store.insert_bulletin(conn, made, release_id)
