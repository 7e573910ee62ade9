"""What is done to the database from a shell: bring it up to date, make the first keys, hold all."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.bootstrap import FirstAdministrator, bootstrap
from service.audience.areas.area_store import load_areas
from service.campaigns.stops.stop_all import hold_all
from service.campaigns.stops.stop_store import KnownGap, begin_era
from service.clock import written
from service.crypto import Keyring, read_key_file
from service.runtime import check_key
from service.servers import find_faults, refuse
from service.settings import Settings, describe_environment, read_settings
from service.storage.migrate import migrate
from service.storage.postgres import LONG_SECONDS, Connection, connect
from service.storage.roles import (
    admit,
    admit_backup,
    admit_to_new_tables,
    find_excess,
    login_of,
    warn_of_excess,
)
from service.words.catalogues import of_shell
from service.words.phrase import phrase


def add_migrate(parser: argparse.ArgumentParser) -> None:
    """Say what `tocsin migrate` runs."""
    parser.set_defaults(run=_migrate)


def add_hold_all(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tocsin hold-all`."""
    parser.add_argument(
        "--reason",
        default="held by hand after a restored backup",
        help=phrase("why; every page of the console shows it"),
    )
    parser.set_defaults(run=_hold_all)


def add_bootstrap(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tocsin bootstrap`."""
    for flag, who in (
        ("--admin", phrase("one administrator of the county: a login, and who it is")),
        ("--second-admin", phrase("another administrator, of another person, likewise")),
    ):
        parser.add_argument(
            flag,
            nargs=2,
            metavar=("LOGIN", "NAME"),
            required=True,
            help=who,
        )
    parser.add_argument(
        "--again-because",
        metavar="REASON",
        help=phrase(
            "once fewer than two administrators can log in: why two are made again; every"
            " administrator is shown it"
        ),
    )
    parser.set_defaults(run=_bootstrap)


def add_env(parser: argparse.ArgumentParser) -> None:
    """Say what `tocsin env` runs."""
    parser.set_defaults(run=lambda _: print(describe_environment(of_shell() or "en")))


def _migrate(_: argparse.Namespace) -> None:
    asyncio.run(_migrate_database(read_settings()))


async def _migrate_database(settings: Settings) -> None:
    """Redis is not needed for it, so it only warns of what is wrong there. The owner migrates; the
    service's role is made and granted what it needs.
    """
    owner_url, service = settings.database_owner_url, login_of(settings.database_url)
    faults = await find_faults(owner_url or settings.database_url, settings.redis_url)
    if any(fault.server == "PostgreSQL" for fault in faults):
        refuse([fault.sentence for fault in faults])
    for fault in faults:
        print(
            "tocsin: warning, migrate does not need Redis / 警告，migrate 不需要 Redis: "
            f"{fault.sentence}",
            file=sys.stderr,
        )
    conn = await connect(owner_url or settings.database_url, seconds=LONG_SECONDS)
    try:
        if owner_url:
            await admit_to_new_tables(conn, service)
        for name in await migrate(conn):
            print(f"applied {name}")
        await load_areas(conn)
        if owner_url:
            await admit(conn, service)
        elif why := await find_excess(conn):
            sentence = warn_of_excess(service.user, why)
            print(f"tocsin: warning / 警告: {sentence}", file=sys.stderr)
        if settings.backup_database_url:
            await admit_backup(conn, login_of(settings.backup_database_url))
    finally:
        await conn.close()
    print("the database is up to date / 数据库已是最新")


def _hold_all(options: argparse.Namespace) -> None:
    asyncio.run(_hold_database(options.reason, read_settings()))


async def _hold_database(reason: str, settings: Settings) -> None:
    async with opened(settings) as (conn, keyring):
        stop = await hold_all(conn, reason, settings.clock.now(), KnownGap())
        await begin_era(conn)
        await write_down(conn, keyring, "hold_all", settings, ("stops", str(stop.id)))
    print(f"everything is on hold since {written(stop.stopped_at, settings.zone)}: {stop.reason}")


def _bootstrap(options: argparse.Namespace) -> None:
    people = (FirstAdministrator(*options.admin), FirstAdministrator(*options.second_admin))
    asyncio.run(_bootstrap_database(people, options.again_because, read_settings()))


async def _bootstrap_database(
    people: tuple[FirstAdministrator, FirstAdministrator], because: str | None, settings: Settings
) -> None:
    async with opened(settings) as (conn, keyring):
        now = settings.clock.now()
        keys = await bootstrap(conn, keyring, now, people, because=because)
    print(json.dumps(keys))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Connection, Keyring]]:
    """A transaction of its own, and the key, which must be the database's."""
    keyring = Keyring(read_key_file(settings.key_file))
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await check_key(conn, keyring)
            yield conn, keyring
    finally:
        await conn.close()


async def write_down(
    conn: Connection,
    keyring: Keyring,
    act: str,
    settings: Settings,
    concerns: tuple[str, str | None],
) -> None:
    """Put an act of the command line into the audit trail, in the transaction of its effect."""
    kind, object_id = concerns
    now = settings.clock.now()
    entry = AuditAct(act, now, "cli", object_kind=kind, object_id=object_id)
    await insert_entry(conn, keyring, entry)
