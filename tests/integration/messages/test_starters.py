"""The starter library becomes templates once, and what a department made of them stays."""

from datetime import datetime
from pathlib import Path

from service.accounts.departments.department_store import register
from service.accounts.people.model import Role
from service.messages.lint.lint_store import policy_set
from service.messages.starters import Loaded, load_starters
from service.messages.store import (
    NewVersion,
    TemplateInfo,
    template_add_version,
    template_insert,
    template_list,
)
from service.messages.template import load_library
from service.storage.postgres import Connection, Pool
from tests.factories import make_user
from tests.harness.shell import Shell

IDS = [starter.id for starter in load_library()]


async def test_the_county_gets_all_of_them_once_and_keeps_its_own(
    conn: Connection, now: datetime
) -> None:
    await policy_set(conn, {}, "as shipped", None, now)
    author = await make_user(conn, Role.OPERATOR, now=now, kind="county")
    warnings = [starter.id for starter in load_library() if starter.message_class == "warning"]
    first = await load_starters(conn, author, now)
    # The police alone warn; everything else is the county's to send.
    assert first.made == [number for number in IDS if number not in warnings]
    assert first.blocked == {number: ["R23"] for number in warnings}
    templates = await template_list(conn, author.department_id, None, 100)
    assert {t.text for t in templates} == {
        s.text for s in load_library() if s.message_class != "warning"
    }
    assert not [t for t in templates if any(f["level"] != "warn" for f in t.lint)]
    mine = NewVersion(templates[0].text + "请转告家人。", [], author.id)
    await template_add_version(conn, templates[0].id, mine, now)
    again = await load_starters(conn, author, now)
    assert (again.made, len(again.kept), len(again.there)) == ([], 1, len(first.made) - 1)
    assert len(await template_list(conn, author.department_id, None, 100)) == len(first.made)


async def test_a_text_is_known_by_its_id_also_under_the_name_that_it_had_before(
    conn: Connection, now: datetime
) -> None:
    await policy_set(conn, {}, "as shipped", None, now)
    author = await make_user(conn, Role.OPERATOR, now=now, kind="county")
    starter = load_library()[0]
    info = TemplateInfo(
        "S01 全体群众 all residents · 刷单返利 task/rebate", "public_interest", "", "zh"
    )
    version = NewVersion(starter.text, [], author.id)
    await template_insert(conn, author.department_id, info, version, now)
    loaded = await load_starters(conn, author, now)
    assert loaded.there == ["S01"]
    assert "S01" not in loaded.made


async def test_a_department_gets_those_that_it_may_sign(conn: Connection, now: datetime) -> None:
    await policy_set(conn, {}, "as shipped", None, now)
    author = await make_user(conn, Role.OPERATOR, now=now, kind="police")
    await register(conn, "signature", "旌德县公安局", author.department_id, by=None, now=now)
    loaded = await load_starters(conn, author, now)
    signed = [s.id for s in load_library() if s.text.startswith("【旌德县公安局】")]
    assert loaded.made == signed
    assert {"V1", "S05", "E1"} <= set(loaded.made)
    assert set(loaded.blocked) == set(IDS) - set(signed)


async def test_the_command_says_what_it_did(
    pool: Pool, database_url: str, now: datetime, tmp_path: Path
) -> None:
    async with pool.acquire() as conn:
        author = await make_user(conn, Role.OPERATOR, now=now, kind="county")
    shell = Shell(database_url, tmp_path)
    said = await shell.run("templates", "load", "--author", author.login)
    assert said.code == 0, said.err
    loaded = Loaded(**said.json)
    assert len(loaded.made) + len(loaded.blocked) == len(IDS)
    assert await pool.fetchval("SELECT count(*) FROM templates") == len(loaded.made)
    assert await pool.fetchval("SELECT action FROM audit_entries") == "load_starters"
    refused = await shell.run("templates", "load", "--author", "nobody")
    assert refused.code == 1
    assert "there is no user nobody" in refused.err
