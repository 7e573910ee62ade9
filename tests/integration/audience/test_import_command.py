"""`tocsin import` as a person uses it: a process of its own, over the database."""

import csv
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from service.storage.postgres import Pool
from tests.harness.shell import Said, Shell
from tests.harness.waiting import until

CONTACTS = Path(__file__).resolve().parents[2] / "data" / "contacts"


Tocsin = Callable[..., Awaitable[Said]]


@pytest.fixture
def tocsin(shell: Shell) -> Tocsin:
    """Runs `tocsin import …` to its end."""

    async def run(*arguments: object) -> Said:
        return await shell.run("import", *arguments, "--roster", "名单")

    return run


async def test_a_file_is_read_reported_and_its_rejects_written(
    tocsin: Tocsin, pool: Pool, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.csv"
    name = "school-120-office"
    truth = json.loads((CONTACTS / f"{name}.truth.json").read_text())
    said = await tocsin(
        CONTACTS / f"{name}.xlsx", "--login", "县局", "--json", "--rejects", rejects
    )
    assert said.code == 0, said.err
    told = json.loads(said.out)
    report = told["report"]
    entries = await pool.fetch("SELECT action, via, object_id FROM audit_entries")
    assert [tuple(entry) for entry in entries] == [("create_import", "cli", told["id"])]
    expected = truth["report"] | {"recipients": {**truth["report"]["recipients"], "suppressed": 0}}
    assert {key: report[key] for key in expected} == expected
    assert await pool.fetchval("SELECT count(*) FROM contacts") == report["recipients"]["total"]
    with rejects.open(encoding="utf-8-sig", newline="") as file:
        listed = [(row["sheet"], int(row["row"]), row["code"]) for row in csv.DictReader(file)]
    refused = [row for row in truth["rows"] if row["result"] == "rejected"]
    assert refused
    assert listed == [(row["sheet"], row["row"], row["code"]) for row in refused]


async def test_the_report_for_a_person_is_in_both_languages(
    tocsin: Tocsin, pool: Pool, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "号,姓名,身份证号\n19790001234,张三,1\n197-9000-1235,李四,\n0563-0601234,王五,2\n"
    )
    said = await tocsin(path, "--login", "县局", "--column", "phone=号", "--dry-run")
    assert said.code == 0, said.err
    assert "rows read / 读取 3 = accepted / 接受 2 + rejected / 拒绝 1 +" in said.out
    assert "landline  固定电话或服务号码，收不到短信 / it is a landline" in said.out
    assert "未导入的列 身份证号: id_number, 2" in said.out
    assert "dry run / 试读" in said.out
    assert "9790001234" not in said.out + said.err
    assert await pool.fetchval("SELECT count(*) FROM contacts") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([CONTACTS / "bad" / "no-phone-column.csv", "--login", "县局"], "no_phone_column: none of"),
        ([CONTACTS / "tiny.csv", "--login", "nobody"], "no user with this login"),
        ([CONTACTS / "tiny.csv", "--login", "看客"], "you may not import"),
        ([CONTACTS / "no-such.csv", "--login", "县局"], "cannot be read (No such file"),
        ([CONTACTS / "tiny.csv", "--login", "县局", "--expires-on", "2020-01-01"], "has passed"),
        (
            [CONTACTS / "tiny.csv", "--login", "县局", "--rejects", "/no/such/r.csv"],
            "be written (No",
        ),
    ],
)
async def test_what_is_wrong_is_one_plain_sentence(
    arguments: list[object], says: str, tocsin: Tocsin, pool: Pool
) -> None:
    await pool.execute(
        "INSERT INTO users (department_id, login, name, roles, bootstrap)"
        " SELECT department_id, '看客', '看客', '{viewer}', true FROM users WHERE login = '县局'"
    )
    said = await tocsin(*arguments)
    assert said.code == 1
    assert says in said.err
    assert "Traceback" not in said.err
    assert await pool.fetchval("SELECT count(*) FROM contacts") == 0
    assert await pool.fetchval("SELECT count(*) FROM imports WHERE state = 'reading'") == 0


async def test_what_shows_a_consent_is_kept_or_said_to_be_missing(
    tocsin: Tocsin, pool: Pool, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text("手机\n19790000001\n")
    consent = (file, "--login", "县局", "--basis", "consent")
    said = await tocsin(*consent)
    assert (said.code, "未说明同意凭据" in said.out) == (0, True), said.err
    said = await tocsin(
        *consent, "--evidence", "档案 7", "--evidence-on", "2026-01-04", "--evidence-how", "paper"
    )
    assert (said.code, "未说明同意凭据" in said.out) == (0, False), said.err
    rows = await pool.fetch("SELECT evidence, evidence_how FROM imports ORDER BY id")
    assert [tuple(row) for row in rows] == [("", None), ("档案 7", "paper")]


async def test_breaking_it_off_leaves_nothing(shell: Shell, pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone\n" + "".join(f"1979{number:07}\n" for number in range(1, 600_000)))
    process = await shell.start("import", path, "--login", "县局", "--roster", "名单")
    await until(lambda: pool.fetchval("SELECT max(rows_read) FROM import_progress"), 120)
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
    row = await pool.fetchrow("SELECT state, report ->> 'error' FROM imports")
    assert row is not None
    assert tuple(row) == ("failed", "interrupted")
    for table in ("contacts", "links", "rosters", "import_chunks", "import_progress"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
