"""`tocsin suppressions` as a person uses it: a list goes in, hashes come out, with a trace."""

import csv
from pathlib import Path

import pytest

from service.crypto import Keyring
from service.storage.postgres import Pool
from tests.factories import phone
from tests.harness.shell import Shell

LIST = "手机号,姓名\n19790000001,王五\n,李四\n19790000002,\n1234,\n"


async def test_a_list_goes_in_and_hashes_come_out(
    shell: Shell, pool: Pool, keyring: Keyring, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(LIST.encode("gb18030"))
    said = await shell.run(
        "suppressions", "import", file, "--login", "县局", "--reason", "protected", "--note", "来函"
    )
    assert said.code == 0, said.err
    assert "2: added / 新增 2, known / 已有 0; rejected / 拒绝 2" in said.out
    again = await shell.run(
        "suppressions", "import", file, "--login", "县局", "--reason", "protected"
    )
    assert "added / 新增 0, known / 已有 2" in again.out
    rows = await pool.fetch("SELECT owner, source, note, note_cipher FROM suppressions")
    assert [tuple(row[:3]) for row in rows] == [("县局", "list", "")] * 2
    assert {keyring.decrypt("suppression_note", row["note_cipher"]) for row in rows} == {"来函"}

    given = await shell.run("suppressions", "export", "--why", "对账")
    assert given.code == 0, given.err
    lines = list(csv.DictReader(given.out.removeprefix("\ufeff").splitlines()))
    hashes = {keyring.phone_index(phone(n)).hex() for n in (1, 2)}
    assert {line["phone_hash"] for line in lines} == hashes
    assert {line["note"] for line in lines} == {"来函"}
    assert "1979000" not in said.out + again.out + given.out
    trail = await pool.fetch("SELECT action, via FROM audit_entries ORDER BY id")
    assert [tuple(row) for row in trail] == [
        ("import_suppressions", "cli"),
        ("import_suppressions", "cli"),
        ("export_suppressions", "cli"),
    ]
    assert await pool.fetchval("SELECT reason FROM suppression_exports") == "对账"


async def test_a_list_may_be_of_one_departments_notices_alone(
    shell: Shell, pool: Pool, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    said = await shell.run(
        "suppressions", "import", file, "--login", "县局", "--department", "县局"
    )
    assert said.code == 0, said.err
    rows = await pool.fetch(
        "SELECT s.classes, d.name FROM suppressions s JOIN departments d ON d.id = s.department_id"
    )
    assert [tuple(row) for row in rows] == [(["service"], "县局")] * 2


@pytest.mark.slow
async def test_what_cannot_be_done_is_said_and_leaves_nothing(
    shell: Shell, pool: Pool, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    past = "2020-01-01T00:00+08:00"
    for arguments, told in (
        (("import", tmp_path / "none.csv", "--login", "县局"), "cannot be read"),
        (("import", file, "--login", "nobody"), "no user with this login"),
        (("import", file, "--login", "县局", "--expires-at", past), "give a later instant"),
        (("import", file, "--login", "县局", "--department", "无"), "no department of this name"),
        (("export",), "--why"),
    ):
        said = await shell.run("suppressions", *arguments)
        assert said.code != 0
        assert told in said.err
    assert not await pool.fetchval("SELECT EXISTS (SELECT FROM suppressions)")
    assert not await pool.fetchval("SELECT EXISTS (SELECT FROM audit_entries)")
