"""What a hostile file may do to a running system: be refused in plain words, and no more."""

import io
import random
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, FormData

from benchmarks.process import peak_megabytes
from service.settings import Settings
from tests.harness.live import Live
from tests.harness.waiting import until
from tests.unit.audience.workbooks import sheet, text_row, workbook

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

MIB = 1024 * 1024
LIMIT = Settings.model_fields["import_max_bytes"].default
SECONDS = 60
MOST_MEGABYTES = 400
HEAD = "手机号,姓名,备注\n"
PERSON = "19790001234,张三,好\n"


def _junk(octets: int, start: bytes = b"") -> bytes:
    return start + random.Random(341825).randbytes(octets)


def _text(rows: str) -> bytes:
    return (HEAD + rows).encode()


def _bomb() -> bytes:
    """A small workbook that unpacks to more than is read, as its directory says."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", b"<workbook/>")
        with package.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(300):
                part.write(bytes(MIB))
    return buffer.getvalue()


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "junk": (lambda: _junk(20 * MIB), "encoding_undecidable"),
    "junk that begins like a workbook": (
        lambda: _junk(20 * MIB, b"PK\x03\x04"),
        "unsupported_format",
    ),
    "junk without a line's end": (lambda: b"1" * (20 * MIB), "unsupported_format"),
    "zip bomb": (_bomb, "file_too_large"),
    "a cell of 10 MB": (
        lambda: _text('19790001234,"' + "长" * (10 * MIB // 3) + '",\n'),
        "unsupported_format",
    ),
    "a workbook's cell of 10 MB": (
        lambda: workbook({"S": sheet(text_row("手机", "姓名"), text_row("1" * 10 * MIB, "张三"))}),
        "unsupported_format",
    ),
    "a quote that is never closed": (
        lambda: _text('19790001234,"' + PERSON * 300_000),
        "unsupported_format",
    ),
    "NUL": (lambda: _text(PERSON + "1979\0" + PERSON), "encoding_undecidable"),
}
"""Files that are taken, and found out by the worker."""


def _peaks(live: Live) -> dict[str, float]:
    """The most memory that the API and the worker have held, in MiB."""
    return {name: peak_megabytes(live.pid(name)) for name in ("api", "work")}


async def _healthy(live: Live) -> bool:
    async with ClientSession() as session, session.get(live.summary["url"] + "/healthz") as answer:
        return answer.status == 200


async def _read(client: Any, content: bytes, **fields: str) -> Any:
    """What has become of a file, once it has been read."""
    made = await client.upload("/imports", content, {"roster": "坏文件", **fields})

    async def is_read() -> Any:
        found = await client.get(f"/imports/{made['id']}")
        return found if found["state"] != "reading" else None

    return await until(is_read, SECONDS)


@pytest.mark.attack
@pytest.mark.parametrize("kind", REFUSED)
async def test_a_file_that_cannot_be_read_is_refused_and_hurts_nobody(
    kind: str, live: Live
) -> None:
    make, code = REFUSED[kind]
    people = await live.query("SELECT count(*) FROM contacts")
    async with live.client("operator") as operator:
        found = await _read(operator, make())
    assert (found["state"], found["report"]["error"]) == ("failed", code)
    assert found["report"]["message"]
    assert await live.query("SELECT count(*) FROM contacts") == people
    assert await live.query("SELECT count(*) FROM import_chunks") == 0
    assert await _healthy(live)
    assert max(_peaks(live).values()) < MOST_MEGABYTES


@pytest.mark.attack
async def test_an_upload_over_the_limit_is_refused_while_it_comes(live: Live) -> None:
    """Junk to just over the real limit; the server says no without keeping any of it."""

    async def pieces() -> AsyncIterator[bytes]:
        piece = _junk(MIB)
        for _ in range(LIMIT // MIB + 2):
            yield piece

    form = FormData({"roster": "坏文件"})
    form.add_field("file", pieces(), filename="junk.csv")
    headers = {"Authorization": f"Bearer {live.summary['keys']['operator']}"}
    url = live.summary["url"] + "/api/v1/imports"
    before = await live.query("SELECT count(*) FROM imports")
    began = time.monotonic()
    async with ClientSession(headers=headers) as session, session.post(url, data=form) as answer:
        refused = await answer.json(content_type=None)
    assert answer.status == 413
    assert f"larger than {LIMIT:,} octets" in refused["detail"]
    assert time.monotonic() - began < SECONDS
    assert await live.query("SELECT count(*) FROM imports") == before
    assert await _healthy(live)
    assert max(_peaks(live).values()) < MOST_MEGABYTES


async def test_formulas_are_told_kept_and_never_come_back_as_formulas(live: Live) -> None:
    link = '"=HYPERLINK(""http://x.example"",""点我"")"'
    rows = f"19790001234,张三,{link}\n{link},李四,\n19790001235,+1+1,-2+3\n@SUM(A1),王五,\n"
    async with live.client("operator") as operator:
        found = await _read(operator, _text(rows))
        assert found["state"] == "done"
        assert found["report"]["warnings"]["csv_injection"] == 2
        assert found["report"]["rows"]["rejected"] == 2
        async with operator._session.get(
            f"{operator._url}/imports/{found['id']}/rejects"
        ) as answer:
            lines = (await answer.text()).splitlines()
    values = [line.split(",")[4].strip('"') for line in lines[1:]]
    assert [value[:2] for value in values] == ["'=", "'@"]
