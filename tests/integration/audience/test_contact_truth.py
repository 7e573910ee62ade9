"""An importer is right when its report and its rows equal the truth file's (import rules §16)."""

import importlib.util
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from service.audience.areas.area_store import read_area_tree
from service.audience.imports import merging, staging_store
from service.audience.imports.importing import ContactReading, read_contacts
from service.audience.imports.model import ImportRequest, ListedRow, ReportTable, RowResult
from service.audience.imports.rows import Rules
from service.audience.imports.staging import TABLE_SHIFT
from service.audience.imports.store import get_import, insert_import
from service.audience.numbers.number import to_e164
from service.audience.numbers.prefix import national, packaged_prefixes
from service.audience.suppressions.suppression import add_suppressions, read_optouts
from service.crypto import Keyring
from service.storage.postgres import Connection
from tests.factories import suppression
from tests.integration.audience.truth import Entry, Outcome, entry

DATA = Path(__file__).resolve().parents[2] / "data"
CONTACTS = DATA / "contacts"
FILES = sorted(path.name.removesuffix(".truth.json") for path in CONTACTS.glob("*.truth.json"))
VARIANTS = {
    "utf-16 with tabs": "--profile tiny --rows 60 --encoding utf-16 --delimiter tab",
    "sep line, CR, semicolons": (
        "--profile tiny --rows 60 --sep-line --newline cr --delimiter semicolon"
    ),
    "sep line with BOM": "--profile tiny --rows 60 --sep-line --encoding utf-8-sig --newline crlf",
    "pipes, CRLF, GB18030": (
        "--profile finance --rows 900 --delimiter pipe --newline crlf --encoding gb18030"
    ),
    "parents as CSV": "--profile school --rows 1200",
    "another county": "--profile county --rows 4000 --encoding utf-16 --newline cr",
    "county": f"--profile county --rows {os.environ.get('COUNTY_ROWS', '500')} --encoding gb18030",
    "province": "--profile province --rows 3000",
    "clean": "--profile elderly --rows 500 --dirty 0",
}
ReadFile = Callable[..., Awaitable[tuple[list[Entry], ReportTable]]]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_contacts", DATA / "make_contacts.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Recorded(ContactReading):
    """A reading that remembers its rows."""

    rows: list[RowResult]

    def __iter__(self) -> Any:
        self.rows = []
        for row in super().__iter__():
            self.rows.append(row)
            yield row


@pytest.fixture
def read_file(
    conn: Connection,
    keyring: Keyring,
    department: Any,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> ReadFile:
    """Imports a file; the entries of its rows that are not plainly clean, and its report."""
    monkeypatch.setattr("service.audience.imports.importing.ContactReading", _Recorded)
    monkeypatch.setattr(staging_store, "drop_staging", _keep)

    async def read(
        data: bytes | str, *, optouts: Iterable[str] = (), size: int = 65_536, **asked: Any
    ) -> tuple[list[Entry], ReportTable]:
        octets = data.encode() if isinstance(data, str) else data
        await add_suppressions(conn, keyring, optouts, suppression("opted_out"), now)
        request = ImportRequest(
            department.id, department.user_id, "名单", "f", expires_on=now.date(), **asked
        )
        claimed = await get_import(conn, await insert_import(conn, request, now))
        rules = Rules(await read_area_tree(conn), packaged_prefixes())
        pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
        with read_contacts(lambda: pieces, rules=rules) as reading:
            report = await merging.load(conn, keyring, claimed, reading, now)
            assert isinstance(reading, _Recorded)
            outcomes = await _outcomes(conn, keyring, reading.rows, set(map(to_e164, optouts)))
            found = [
                entry(row, outcomes.get(_no(row), Outcome()), reading.sheets)
                for row in reading.rows
            ]
        await conn.execute("DROP TABLE staged_numbers, staged_rows, occurrences, outcomes")
        return [row for row in found if row], report

    return read


async def _keep(_: Connection) -> None:
    """Leave the temporary tables, to look into them."""


def _no(row: RowResult) -> int | None:
    return (row.table << TABLE_SHIFT) + row.row if isinstance(row, ListedRow) else None


async def _outcomes(
    conn: Connection, keyring: Keyring, rows: list[RowResult], optouts: set[str]
) -> dict[int | None, Outcome]:
    found: dict[int | None, Outcome] = {
        row["no"]: Outcome(row["outcome"], row["first_no"])
        for row in await conn.fetch("SELECT no, outcome, first_no FROM outcomes")
    }
    known = {
        (row["no"], row["part"])
        for row in await conn.fetch("SELECT no, part FROM occurrences WHERE nth > 1")
    }
    for row in rows:
        if isinstance(row, ListedRow):
            stopped = [
                number
                for part, number in enumerate(row.numbers)
                if to_e164(number) in optouts and (_no(row), part) not in known
            ]
            if stopped:
                found.setdefault(_no(row), Outcome()).suppressed = stopped
    return found


async def _check(data: bytes, truth: dict[str, Any], optouts: bytes, read_file: ReadFile) -> None:
    listed = read_optouts(lambda: [optouts], packaged_prefixes()).phones if optouts else ()
    rows, report = await read_file(data, optouts=list(map(national, listed)))
    expected = [{k: v for k, v in row.items() if k != "defect"} for row in truth["rows"]]
    assert {key: report[key] for key in truth["report"]} == truth["report"]
    assert rows == expected


@pytest.mark.parametrize("name", FILES)
async def test_file_gives_its_truth(name: str, read_file: ReadFile) -> None:
    truth = json.loads((CONTACTS / f"{name}.truth.json").read_text())
    optouts = CONTACTS / f"{name}.optouts.csv"
    await _check(
        (CONTACTS / truth["file"]["name"]).read_bytes(),
        truth,
        optouts.read_bytes() if optouts.exists() else b"",
        read_file,
    )


@pytest.mark.parametrize("variant", VARIANTS)
async def test_generated_file_gives_its_truth(
    variant: str, generator: ModuleType, tmp_path: Path, read_file: ReadFile
) -> None:
    paths = {kind: tmp_path / kind for kind in ("out", "truth", "optouts")}
    arguments = [f"--{kind}={path}" for kind, path in paths.items()]
    generator.main([*VARIANTS[variant].split(), "--seed", "7", *arguments])
    truth = json.loads(paths["truth"].read_text())
    await _check(paths["out"].read_bytes(), truth, paths["optouts"].read_bytes(), read_file)


@pytest.mark.slow
async def test_lists_that_overlap_keep_a_recipient_each(
    conn: Connection, upload: Any, new_department: Any
) -> None:
    """A person in four departments' lists is four contacts, known by one hash."""
    overlap = json.loads((CONTACTS / "overlap.json").read_text())
    hashes: dict[str, set[bytes]] = {}
    for name in overlap["recipients"]:
        its = await new_department(conn, name)
        await upload(CONTACTS / name, department_id=its.id, user_id=its.user_id)
        found = await conn.fetch("SELECT phone_hash FROM contacts WHERE department_id = $1", its.id)
        assert len(found) == overlap["recipients"][name]
        hashes[name] = {row[0] for row in found}
    times = Counter(Counter(hash_ for its in hashes.values() for hash_ in its).values())
    assert {str(lists): count for lists, count in times.items()} == overlap["all_four"][
        "numbers_in_n_lists"
    ]
    for pair in overlap["pairs"]:
        one, other = pair["files"]
        assert len(hashes[one] & hashes[other]) == pair["common_numbers"]


def test_every_fixture_is_read_here_or_in_the_unit_tests() -> None:
    read = {f"{name}{end}" for name in FILES for end in (".truth.json", ".csv", ".xlsx")}
    read |= {f"{name}.optouts.csv" for name in FILES} | {"overlap.json", "phone-cases.json"}
    assert {path.name for path in CONTACTS.iterdir() if path.is_file()} <= read
    bad = json.loads((CONTACTS / "bad" / "expected.json").read_text())["cases"]
    assert {case["file"] for case in bad} | {"expected.json"} == {
        path.name for path in (CONTACTS / "bad").iterdir()
    }


HEAD = "phone,name,role,org,age\n"


async def test_one_recipient_has_the_links_of_all_its_rows(read_file: ReadFile) -> None:
    rows, report = await read_file(
        HEAD
        + "19790001234,张三,,甲,30\n"
        + "19790001234,李四,会计,甲,70\n"
        + "19790001234,张三,司机,乙,30\n"
        + "197-9000-1234,李四,会计,甲,70\n"
        + "19790001234/19790001235,张三,,甲,30\n"
        + "19790001234/19790001235,张三,,甲,30\n"
    )
    said = [(row["row"], row["result"], row.get("merged"), row.get("of_row")) for row in rows]
    assert said == [
        (3, "accepted", "two_names", 2),
        (4, "accepted", "same_name", 2),
        (5, "duplicate", None, 2),
        (6, "accepted", None, None),
        (7, "duplicate", None, 2),
    ]
    assert report["accepted"] == {"new": 2, "merged": 2, "fixed": 1, "warned": 0}
    assert report["recipients"]["by_role"] == {"driver": 1, "finance": 1, "none": 1}
    assert report["recipients"]["by_age_band"] == {"26-40": 2}


async def test_remarks_of_a_duplicate_do_not_count(read_file: ReadFile) -> None:
    _, report = await read_file(HEAD + "19790001234,张三\n197-9000-1234,张 三\n")
    assert report["rows"]["duplicate"] == 1
    assert report["fixed"] == {}
    assert report["recipients"]["total"] == 1


async def test_suppressed_recipients_are_marked_and_counted_once(read_file: ReadFile) -> None:
    rows, report = await read_file(
        "phone,org\n19790001234/19790001235,甲\n19790001235,乙\n", optouts=["19790001235"]
    )
    assert [row.get("suppressed") for row in rows] == [["19790001235"], None]
    assert report["recipients"]["suppressed"] == 1
