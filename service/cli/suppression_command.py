"""`tocsin suppressions import` and `export`: the same as over the API, from this machine's shell.

It needs the database and the key, as the server has them. A list is entered in the name of a user;
what was done stands in the audit trail as done from the command line.
"""

import argparse
import asyncio
import sys
from datetime import datetime
from pathlib import Path
from uuid import UUID

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.departments.department_store import find_department
from service.accounts.people.model import Right, User
from service.accounts.people.store import find_user
from service.audience.numbers.prefix import packaged_prefixes
from service.audience.suppressions import suppression_store as store
from service.audience.suppressions.suppression import (
    OptOuts,
    add_suppressions,
    encrypted_note,
    read_optouts,
    stopped_classes,
    suppressions_csv,
    whose_notices,
)
from service.audience.suppressions.suppression_store import NewSuppression, SuppressionFilter
from service.clock import parse_instant
from service.crypto import Keyring, read_key_file
from service.errors import Invalid, Misconfigured
from service.ledger.reasons import SUPPRESSIONS
from service.runtime import check_key
from service.settings import Settings, read_settings
from service.storage.postgres import Connection, connected
from service.words.phrase import phrase

MAX_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tocsin suppressions`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    reasons = [reason.value for reason in SUPPRESSIONS]
    take = commands.add_parser("import", help=phrase("stop texts to the numbers of a file"))
    take.add_argument(
        "file", type=Path, metavar="FILE", help=phrase("CSV or XLSX with a column 手机号")
    )
    take.add_argument("--login", required=True, help=phrase("login of whoever does it"))
    take.add_argument(
        "--reason",
        choices=reasons,
        default="opted_out",
        help=phrase("why these numbers get no texts"),
    )
    take.add_argument(
        "--department",
        help=phrase(
            "the department whose work notices alone are stopped; default: that of the login"
        ),
    )
    take.add_argument("--owner", default="", help=phrase("who answers for protected numbers"))
    take.add_argument("--note", default="", help=phrase("where the list comes from"))
    take.add_argument("--expires-at", type=_instant, help=phrase("until when; default: for good"))
    take.add_argument("--encoding", help=phrase("encoding of a text file; default: found out"))
    take.set_defaults(run=lambda options: asyncio.run(_import(options, read_settings())))
    give = commands.add_parser("export", help=phrase("print the list as CSV, keyed hashes only"))
    give.add_argument("--why", required=True, help=phrase("what it is for; it is recorded"))
    give.add_argument("--reason", choices=reasons, help=phrase("only those for this reason"))
    give.set_defaults(run=lambda options: asyncio.run(_export(options, read_settings())))


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(phrase("write 2027-01-31T00:00+08:00")) from error


async def _import(options: argparse.Namespace, settings: Settings) -> int:
    keyring, now = Keyring(read_key_file(settings.key_file)), settings.clock.now()
    try:
        octets = options.file.read_bytes()
    except OSError as error:
        problem = phrase(
            "{file} cannot be read ({strerror})",
            file=options.file,
            strerror=error.strerror,
        )
        raise Misconfigured(problem) from error
    found = read_optouts(lambda: [octets], packaged_prefixes(), encoding=options.encoding)
    async with connected(settings.database_url) as conn:
        await check_key(conn, keyring)
        async with conn.transaction():
            user = await _user(conn, options.login)
            owner = options.owner
            if options.reason == "protected" and not owner:
                owner = await store.department_name(conn, user.department_id)
            named = await _department(conn, options.department)
            classes = stopped_classes(options.reason, named)
            new = NewSuppression(
                reason=options.reason,
                classes=classes,
                note_cipher=encrypted_note(keyring, options.note),
                created_by=user.id,
                expires_at=options.expires_at,
                owner=owner,
                source="list",
                department_id=whose_notices(user, options.reason, classes, named),
            )
            entered = await add_suppressions(conn, keyring, found.phones, new, now)
            details = {"in_name_of": str(user.id), "numbers": entered.numbers}
            act = AuditAct("import_suppressions", now, "cli", details=details)
            await insert_entry(conn, keyring, act)
    print(
        f"numbers / 号码 {entered.numbers:,}: added / 新增 {entered.added:,}, "
        f"known / 已有 {entered.numbers - entered.added:,}; rejected / 拒绝 {len(found.rejected):,}"
    )
    _print_rejected(found)
    return 0


def _print_rejected(found: OptOuts) -> None:
    for one in found.rejected[:MAX_SHOWN]:
        print(f"  row / 行 {one.row}: {one.code} {one.masked}")
    if len(found.rejected) > MAX_SHOWN:
        print(f"  … {len(found.rejected) - MAX_SHOWN:,} more / 更多")


async def _user(conn: Connection, login: str) -> User:
    user = await find_user(conn, login)
    if user is None or user.disabled_at is not None:
        raise Invalid.at("login", phrase("there is no user with this login, or it is disabled"))
    user.need(Right.SUPPRESS)
    return user


async def _department(conn: Connection, name: str | None) -> UUID | None:
    if name is None:
        return None
    found = await find_department(conn, name)
    if found is None:
        raise Invalid.at("department", phrase("there is no department of this name"))
    return found.id


async def _export(options: argparse.Namespace, settings: Settings) -> int:
    keyring, now = Keyring(read_key_file(settings.key_file)), settings.clock.now()
    which = SuppressionFilter(reason=options.reason, in_force_at=now)
    async with connected(settings.database_url) as conn:
        await check_key(conn, keyring)
        async with conn.transaction():
            count = await store.count_suppressions(conn, which)
            export = await store.insert_export(conn, None, options.why, count, now)
            act = AuditAct(
                "export_suppressions",
                now,
                "cli",
                object_kind="suppression_exports",
                object_id=str(export),
                details={"suppressions": count},
            )
            await insert_entry(conn, keyring, act)
        async with conn.transaction():
            async for line in suppressions_csv(conn, keyring, which, settings.zone):
                sys.stdout.write(line)
    return 0
