"""Case figures over the API: files made and sent, the county's truth imported, more people."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aiohttp import FormData

from service.clock import CHINA
from service.storage.postgres import transaction
from tests.factories import make_team, make_token
from tests.harness.case_data import COVER, WEEKLY
from tests.integration.api.conftest import Answer, Api

OFFICER = ("county", "operator")
AFTER = datetime(2027, 4, 5, 9, tzinfo=CHINA)
"""The Monday after the last week of the file."""
HEAD = "周次,乡镇,村,诈骗类型,起数,损失金额（万元）"


def case_form(content: bytes, weeks: str, **fields: str) -> FormData:
    """The form of a file of figures."""
    form = FormData(quote_fields=False)
    form.add_field("file", content, filename="发案.csv", content_type="text/csv")
    for name, value in {"weeks": weeks, **fields}.items():
        form.add_field(name, value)
    return form


def lines(*rows: str, head: str = HEAD) -> bytes:
    """A file in UTF-8."""
    return "\n".join([head, *rows]).encode()


async def send(
    api: Api, content: bytes, weeks: str, *, language: str = "en", **fields: str
) -> Answer:
    """Import a file."""
    form = case_form(content, weeks, **fields)
    spoken = {"Accept-Language": language}
    return await api.call("POST", "/cases/imports", OFFICER, data=form, headers=spoken)


async def import_truth(api: Api) -> str:
    """All figures of the county, on the Monday after; returns the import's id."""
    api.clock.at = AFTER
    answer = await send(api, WEEKLY.read_bytes(), COVER)
    assert answer.status == 201, answer.body
    made: str = answer.json["id"]
    return made


def rows_until(last: str) -> bytes:
    """The county's file up to a week."""
    head, *rows = WEEKLY.read_text("utf-8").splitlines()
    at = head.split(",").index("week")
    return "\n".join([head, *(row for row in rows if row.split(",")[at] <= last)]).encode()


async def figures_of(
    api: Api, who: tuple[str, str] = OFFICER, **query: str
) -> dict[str, tuple[int, int | None]]:
    """What GET /cases says to somebody, by week, area or kind."""
    answer = await api.get("/cases", who, params={"from": "2026-W01", "to": "2027-W13", **query})
    assert answer.status == 200, answer.body
    return by_key(answer.json["items"])


def by_key(items: Iterable[dict[str, Any]]) -> dict[str, tuple[int, int | None]]:
    """The items of an answer by what they are of."""
    return {
        item["week"] or item["area"] or item["type"]: (item["cases"], item["loss_yuan"])
        for item in items
    }


async def hire(
    api: Api, kind: str, role: str = "operator", area: str | None = None
) -> tuple[str, str]:
    """A user of a department of this kind; returns the key of their token."""
    async with transaction(api.runtime.pool) as conn:
        team = await make_team(conn, now=api.clock.at, kind=kind)
        if area is not None:
            await conn.execute(
                "UPDATE departments SET area_code = $2 WHERE id = $1", team.department_id, area
            )
        who = (kind, role)
        api.teams[kind] = team
        api.tokens[who] = await make_token(
            conn, api.runtime.keyring, getattr(team, role), api.clock.at
        )
    return who
