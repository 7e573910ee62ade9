"""`tocsin prefixes`: a table of seven digits, what follows from it, and what goes before it."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from service.audience.numbers import prefix_store
from service.audience.numbers.blocks import Block
from service.channels.routing.route_store import set_override
from service.crypto import Keyring
from service.storage.postgres import Pool, transaction
from tests.factories import phone
from tests.harness.shell import Shell

TABLE = "号段,运营商,省份,城市\n1979000,联通,安徽,宣城\n1979001,电信,安徽,宣城\n1440000,移动,,\n"
PEOPLE = (
    "手机号,姓名,运营商\n19790000001,甲,\n19790000002,乙,移动\n19790010001,丙,\n19790020001,丁,\n"
)


async def _carriers(pool: Pool, keyring: Keyring) -> dict[str, str]:
    """What is said of each number: the carrier as rules, counts and routes take it."""
    rows = await pool.fetch(
        "SELECT phone_cipher, coalesce(v.carrier, c.carrier) AS carrier"
        " FROM contacts c LEFT JOIN carrier_overrides v USING (phone_hash)"
    )
    return {keyring.decrypt("phone", row["phone_cipher"])[3:]: row["carrier"] for row in rows}


@pytest.fixture
async def files(shell: Shell, tmp_path: Path) -> Path:
    """A folder with a table of blocks and a contact file."""
    (tmp_path / "blocks.csv").write_bytes(TABLE.encode("gb18030"))
    (tmp_path / "people.csv").write_text(PEOPLE)
    return tmp_path


async def _import(shell: Shell, files: Path) -> None:
    said = await shell.run("import", files / "people.csv", "--login", "县局", "--roster", "名单")
    assert said.code == 0, said.err


LISTED = {
    "19790000001": "china_unicom",  # by its block
    "19790000002": "china_mobile",  # as the list says
    "19790010001": "china_telecom",
    "19790020001": "china_mobile",  # by its first three digits
}


@pytest.mark.parametrize("known_before", [False, True])
async def test_seven_digits_go_before_three_and_what_is_known_of_a_number_before_both(
    shell: Shell, files: Path, pool: Pool, keyring: Keyring, now: datetime, *, known_before: bool
) -> None:
    """Whether people came before the table or after it makes no difference."""
    user_id = await pool.fetchval("SELECT id FROM users WHERE login = '县局'")
    ported = keyring.phone_index(phone(10001))
    async with transaction(pool) as conn:
        await set_override(conn, ported, "china_broadnet", user_id, now)
    if known_before:
        await _import(shell, files)
    said = await shell.run("prefixes", "import", files / "blocks.csv", "--source", "2026-10")
    assert said.code == 0, said.err
    assert "2026-10: blocks / 号段 2\n  left out / 未收 1: it is a number for devices" in said.out
    assert f"another carrier / 运营商有变的人员 {2 * known_before}" in said.out
    if not known_before:
        await _import(shell, files)
    assert await _carriers(pool, keyring) == LISTED | {"19790010001": "china_broadnet"}
    act = await pool.fetchrow("SELECT action, via, details FROM audit_entries ORDER BY id LIMIT 1")
    assert act is not None
    if not known_before:
        assert (act["action"], act["via"], act["details"]["blocks"]) == (
            "import_prefixes",
            "cli",
            2,
        )


@pytest.mark.slow
async def test_a_new_table_takes_the_place_of_the_old_one_and_a_bad_one_does_not(
    shell: Shell, files: Path, pool: Pool, keyring: Keyring
) -> None:
    await _import(shell, files)
    await shell.run("prefixes", "import", files / "blocks.csv")
    bad = files / "bad.csv"
    bad.write_text("号段,运营商\n1979002,联通\n1979003,铁通\n")
    for arguments, told in (
        ((bad,), "row 3: the carrier is not known"),
        ((files / "none.csv",), "cannot be read"),
        ((files / "people.csv",), "name it 号段 or segment"),
    ):
        said = await shell.run("prefixes", "import", *arguments)
        assert said.code == 1
        assert told in said.err
    shown = await shell.run("prefixes", "show")
    assert "blocks.csv: blocks / 号段 2" in shown.out
    assert await _carriers(pool, keyring) == LISTED

    new = files / "new.csv"
    new.write_text("号段,运营商\n1979002,广电\n")
    said = await shell.run("prefixes", "import", new)
    assert "运营商有变的人员 3" in said.out
    assert await _carriers(pool, keyring) == {
        "19790000001": "china_mobile",
        "19790000002": "china_mobile",
        "19790010001": "china_mobile",
        "19790020001": "china_broadnet",
    }
    assert await pool.fetchval("SELECT count(*) FROM number_blocks") == 1
    assert "运营商有变的人员 0" in (await shell.run("prefixes", "apply")).out


async def test_what_a_person_has_corrected_stays(
    shell: Shell, files: Path, pool: Pool, keyring: Keyring, now: datetime
) -> None:
    await _import(shell, files)
    await pool.execute(
        "UPDATE contacts SET edited_at = $1, carrier = 'china_telecom', edited_by = u.id"
        " FROM users u WHERE u.login = '县局'",
        now,
    )
    await shell.run("prefixes", "import", files / "blocks.csv")
    assert set((await _carriers(pool, keyring)).values()) == {"china_telecom"}


async def test_two_tables_at_once_are_one_after_the_other(
    pool: Pool, now: datetime, database_url: str
) -> None:
    """The table that is in force is whole, whoever came last, and a reader never sees a mixture."""

    async def take(name: str, carrier: str, first: int) -> None:
        new = prefix_store.NewTable(name, "", None, now)
        blocks = [Block(1_979_000 + n, carrier, False, "", "") for n in range(first, first + 50)]
        async with transaction(pool) as conn:
            await prefix_store.replace_table(conn, new, blocks)

    await take("0", "china_mobile", 0)
    for turn in range(10):
        await asyncio.gather(take("a", "china_unicom", turn), take("b", "china_telecom", 25 + turn))
        async with transaction(pool) as conn:
            table = await prefix_store.table_in_force(conn)
            assert table is not None
            counts = await prefix_store.count_blocks(conn)
            assert counts == {{"a": "china_unicom", "b": "china_telecom"}[table.source]: 50}
            prefixes = await prefix_store.current_prefixes(conn)
        found = {prefixes.carrier_of(f"1979{n:03}0001") for n in range(turn, 75 + turn)}
        assert found == {*counts, "china_mobile"}
