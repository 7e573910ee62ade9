"""`tocsin import`: a contact file from this machine's disk onto a roster, read by this process.

It needs the settings of the server, and neither its API nor a worker, and it does not call Redis:
the file is kept, claimed and read exactly as an upload is. A second command or a worker that comes
for the same import leaves it alone.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import date
from pathlib import Path
from typing import TextIO
from uuid import UUID

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.people.model import Right, User
from service.accounts.people.store import find_user
from service.audience.imports import store
from service.audience.imports.loading import CHUNK_OCTETS, abandon_import, create_import, run_import
from service.audience.imports.model import BASES, MODES, Import, ImportRequest, ReportTable
from service.audience.imports.rejects import list_rejects, rejects_csv
from service.audience.numbers.number import REASONS
from service.audience.vocabulary.consent import CONSENT, WAYS, Evidence
from service.crypto import Keyring, read_key_file
from service.errors import Conflict, Invalid, Misconfigured
from service.runtime import check_key
from service.settings import Settings, read_settings
from service.storage.postgres import LONG_SECONDS, Connection, connected
from service.words.phrase import phrase

_REASONS_ZH = {
    "phone_empty": "号码为空",
    "placeholder": "填的不是号码（如“无”）",
    "excel_truncated": "表格软件丢失了尾数，请重新索取",
    "landline": "固定电话或服务号码，收不到短信",
    "length": "手机号应为 11 位",
    "prefix": "没有这个号段",
    "iot": "物联网号码",
    "satellite": "卫星电话号码",
    "letters": "含有数字以外的字符",
    "masked": "部分数字被隐去",
    "foreign": "不是中国大陆手机号",
    "minor": "未成年人，请改填监护人号码",
    "wechat_role": "此人不是联络员、辅导员、班长或群主，不登记微信号，请清空",
    "wechat_invalid": "微信号格式不对，请核对或清空",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tocsin import`."""
    parser.add_argument("file", type=Path, metavar="FILE", help=phrase("a CSV or XLSX file"))
    parser.add_argument("--roster", required=True, help=phrase("the list's name"))
    parser.add_argument(
        "--login",
        required=True,
        help=phrase("login of whoever imports; the list is of their department"),
    )
    _add_list_arguments(parser)
    _add_evidence_arguments(parser)
    parser.add_argument("--encoding", help=phrase("encoding of a text file; default: found out"))
    parser.add_argument(
        "--column",
        action="append",
        type=_column,
        default=[],
        metavar="COLUMN=HEADER",
        help=phrase("a header that is not recognised, e.g. phone=联系人号码; repeatable"),
    )
    parser.add_argument(
        "--dry-run", action="store_true", help=phrase("read and report, store nobody")
    )
    parser.add_argument(
        "--rejects",
        type=Path,
        metavar="OUT.csv",
        help=phrase("write the rejected rows into this file"),
    )
    parser.add_argument(
        "--json", action="store_true", help=phrase("print the whole report as JSON")
    )
    parser.set_defaults(run=_run)


def _add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--basis",
        choices=BASES,
        default="duty",
        help=phrase("why the department may write to them"),
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="add",
        help=phrase("add: everybody stays; replace: who is not in the file leaves the list"),
    )
    parser.add_argument(
        "--expires-on",
        type=_day,
        metavar="YYYY-MM-DD",
        help=phrase("the list's last day; default: a year on"),
    )


def _add_evidence_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--evidence",
        default="",
        help=phrase("where the consent is kept, such as a file number"),
    )
    parser.add_argument(
        "--evidence-on",
        type=_day,
        metavar="YYYY-MM-DD",
        help=phrase("the day of the consent; of several persons the last one"),
    )
    parser.add_argument("--evidence-by", default="", help=phrase("who asked for the consent"))
    parser.add_argument(
        "--evidence-how",
        choices=WAYS,
        help=phrase("in which way the consent was given"),
    )
    parser.add_argument(
        "--evidence-form", default="", help=phrase("the wording of the consent and its version")
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(phrase("write YYYY-MM-DD")) from error


def _column(text: str) -> tuple[str, str]:
    column, equals, header = text.partition("=")
    if not (column and equals and header):
        raise argparse.ArgumentTypeError(phrase("write COLUMN=HEADER"))
    return column, header


def _run(options: argparse.Namespace) -> int:
    return asyncio.run(_import(options, read_settings()))


async def _import(options: argparse.Namespace, settings: Settings) -> int:
    """0 if the file has been read to its end."""
    keyring = Keyring(read_key_file(settings.key_file))
    if options.rejects:
        _check_writable(options.rejects)
    url = settings.database_url
    async with connected(url, seconds=LONG_SECONDS) as conn, connected(url) as beside:
        await check_key(conn, keyring)
        made = await _keep(options, conn, keyring, settings)
        bar = _Bar(beside, made.id, sys.stderr)
        try:
            mine = await run_import(conn, keyring, made.id, settings.clock.now(), bar.show)
        except asyncio.CancelledError:  # Ctrl-C: no worker is to read it after all
            # A statement that is cancelled closes its connection, and it may have been either's.
            async with connected(url) as anew:
                await abandon_import(anew, made.id, settings.clock.now())
            raise
        finally:
            bar.clear()
        done = await store.get_import(conn, made.id)
        if not mine and done.state == "reading":
            raise Conflict(
                phrase(
                    "an earlier file for this roster is still being read, or a worker has come"
                    " first; a worker reads this one as import {made_id}",
                    made_id=made.id,
                )
            )
        if options.rejects and done.state == "done":
            await _write_rejects(conn, keyring, done, options.rejects)
    _print_report(done, as_json=options.json)
    return 0 if done.state == "done" else 1


async def _keep(
    options: argparse.Namespace, conn: Connection, keyring: Keyring, settings: Settings
) -> Import:
    user = await _user(conn, options.login)
    request = ImportRequest(
        department_id=user.department_id,
        user_id=user.id,
        roster=options.roster,
        file_name=options.file.name,
        basis=options.basis,
        expires_on=options.expires_on,
        encoding=options.encoding,
        columns=dict(options.column) or None,
        dry_run=options.dry_run,
        mode=options.mode,
        evidence=_evidence(options),
    )
    now = settings.clock.now()
    async with conn.transaction():
        made = await create_import(
            conn,
            keyring,
            request,
            _octets(options.file),
            limit=settings.import_max_bytes,
            now=now,
        )
        # Whoever holds the command line, not the user in whose name the list comes, has done it.
        act = AuditAct(
            "create_import",
            now,
            "cli",
            department_id=user.department_id,
            object_kind="imports",
            object_id=str(made.id),
            details={"in_name_of": str(user.id)},
        )
        await insert_entry(conn, keyring, act)
    return made


def _evidence(options: argparse.Namespace) -> Evidence:
    return Evidence(
        options.evidence,
        options.evidence_on,
        options.evidence_by,
        options.evidence_how,
        options.evidence_form,
    )


async def _user(conn: Connection, login: str) -> User:
    user = await find_user(conn, login)
    if user is None or user.disabled_at is not None:
        raise Invalid.at("login", phrase("there is no user with this login, or it is disabled"))
    user.need(Right.IMPORT)
    return user


async def _octets(path: Path) -> AsyncIterator[bytes]:
    """The file in pieces; nobody else waits in this process, so that it may block."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise Misconfigured(
            phrase(
                "{path} cannot be read ({strerror})",
                path=path,
                strerror=error.strerror,
            )
        ) from error
    with file:
        while chunk := file.read(CHUNK_OCTETS):
            yield chunk


class _Bar:
    """Says how many rows have been read: to the database, and to a person at a terminal."""

    def __init__(self, conn: Connection, import_id: UUID, out: TextIO) -> None:
        self._conn, self._import_id, self._out = conn, import_id, out
        self._shown = False

    async def show(self, rows: int) -> None:
        """Show it."""
        await store.note_progress(self._conn, self._import_id, rows)
        if self._out.isatty():
            self._out.write(f"\r{rows:,} rows read / 已读 {rows:,} 行\x1b[K")
            self._out.flush()
            self._shown = True

    def clear(self) -> None:
        """Clear the line."""
        if self._shown:
            self._out.write("\r\x1b[K")


def _check_writable(path: Path) -> None:
    """Refuse a file that could not be written once the import is done: it cannot be run again."""
    try:
        was_there = path.exists()
        path.open("ab").close()
    except OSError as error:
        problem = phrase(
            "{path} cannot be written ({strerror})",
            path=path,
            strerror=error.strerror,
        )
        raise Misconfigured(problem) from error
    if not was_there:
        path.unlink()


async def _write_rejects(conn: Connection, keyring: Keyring, done: Import, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        async for line in rejects_csv(list_rejects(conn, keyring, done.id)):
            out.write(line)


def _print_report(done: Import, *, as_json: bool) -> None:
    report = done.report or {}
    if as_json:
        told = {"id": str(done.id), "state": done.state, "report": report}
        print(json.dumps(told, ensure_ascii=False, indent=2))
    elif done.state == "failed":
        print(f"tocsin: {report['error']}: {report['message']}", file=sys.stderr)
    else:
        print("\n".join(report_lines(done, report)))


def report_lines(done: Import, report: ReportTable) -> list[str]:
    """The report for a person, in both languages: the buckets add up to the rows read."""
    rows, people = report["rows"], report["recipients"]
    words = {"accepted": "接受", "rejected": "拒绝", "duplicate": "重复", "skipped": "跳过"}
    buckets = " + ".join(f"{name} / {word} {rows[name]:,}" for name, word in words.items())
    lines = [
        f"import {done.id}" + (" (dry run / 试读，未入库)" if done.dry_run else ""),
        f"rows read / 读取 {rows['read']:,} = {buckets}",
        f"people / 人数 {people['total']:,}, opted out / 其中退订 {people['suppressed']:,}",
    ]
    if "stored" in report:
        members = report["stored"]["members"]
        lines.append(
            f"roster / 名单 {done.roster}: added / 新增 {members['added']:,},"
            f" changed / 变更 {members['changed']:,}, left / 移出 {members['left']:,}"
        )
    for title, codes in (("rejected / 拒绝", "rejected"), ("fixed / 自动修正", "fixed")):
        lines += _listed(title, report[codes])
    if done.basis == CONSENT and not done.evidence:
        lines.append("nothing shows the consent: give --evidence / 未说明同意凭据")
    lines += _listed("warnings / 提示", report["warnings"])
    refused = [column for table in report["tables"] for column in table["refused"]]
    lines += [
        f"column not imported / 未导入的列 {column['header']}: {column['kind']},"
        f" {column['non_empty']:,}"
        for column in refused
    ]
    return lines


def _listed(title: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    return [f"{title}:"] + [
        f"  {count:>9,}  {code}{_reason(code)}"
        for code, count in sorted(counts.items(), key=lambda item: -item[1])
    ]


def _reason(code: str) -> str:
    return f"  {_REASONS_ZH[code]} / {REASONS[code]}" if code in REASONS else ""
