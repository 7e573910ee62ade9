"""What is kept for how long, and letting go of the rest: in batches, each harmless to repeat.

A batch is one transaction with its count and its audit entry, so a process that dies leaves nothing
half-done, and any number of them may try.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.login.passwords import WAITS
from service.audience.imports.membership_store import retire_left, retire_links
from service.clock import day_in_china
from service.crypto import Keyring
from service.pictures import picture_store
from service.privacy import retention_store as store
from service.privacy import visit_retention_store
from service.settings import Settings
from service.storage.locks import try_lock_contacts
from service.storage.postgres import COUNT_SECONDS, Connection, Pool, transaction

ROWS = 5_000
"""How much one batch lets go of: some tenths of a second."""

RUNS = 500
"""Of how many runs one batch drops numbers at most: a direct run has a text or two."""

BATCHES = 20
"""How many batches of a kind one turn makes; the next turn goes on."""


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """How long things are kept.

    numbers: sent texts keep their number, and texts from handsets their words (record duty: six
        months). rejects: rejected rows of imports. lists: lists after their last day, and entries
        that a newer list took off. guests:
        of trial keys, since they were named last (a year, as a list that says no last day).
        logins: sessions since their end, with address and browser, recovery codes since their
        use, and what failed logins are counted by (Cybersecurity Law art. 21: logs of a network
        for six months). passwords: given ones
        that nobody confirmed. visits: names and notes of follow-ups, labels of households and
        notes of rounds, since their end. pictures: of reports, in full size; the small one stays.
        unreported: pictures that nobody handed in. packs: whole pictures in packs of weekly
        reports, and the Word files that show them, since the pack was built; facts, workbook and
        manifest stay. records:
        audit entries, disclosures, erasures (Network Data Security Regulations art. 12: three
        years).
    """

    numbers: timedelta = timedelta(days=183)
    rejects: timedelta = timedelta(days=90)
    lists: timedelta = timedelta(days=30)
    guests: timedelta = timedelta(days=366)
    logins: timedelta = timedelta(days=183)
    passwords: timedelta = WAITS
    visits: timedelta = timedelta(days=90)
    pictures: timedelta = timedelta(days=366)
    unreported: timedelta = timedelta(days=30)
    packs: timedelta = timedelta(days=366)
    records: timedelta = timedelta(days=1096)


def terms_of(settings: Settings) -> RetentionTerms:
    """The terms that the settings say."""
    return RetentionTerms(
        numbers=timedelta(days=settings.keep_numbers_days),
        rejects=timedelta(days=settings.keep_rejects_days),
        lists=timedelta(days=settings.keep_expired_lists_days),
        guests=timedelta(days=settings.keep_guests_days),
        logins=timedelta(days=settings.keep_logins_days),
        records=timedelta(days=settings.keep_records_days),
    )


Batch = Callable[[Connection], Awaitable[int | None]]


async def let_go(
    pool: Pool, keyring: Keyring, terms: RetentionTerms, now: datetime, rows: int = ROWS
) -> dict[str, int]:
    """Let go of what is past its term, some batches of each kind; returns how much by kind."""

    async def numbers(conn: Connection) -> int | None:
        return await _drop_numbers(conn, now - terms.numbers, rows, now)

    def until_empty(act: Callable[..., Awaitable[int]], term: timedelta) -> Batch:
        async def batch(conn: Connection) -> int | None:
            return await act(conn, now - term, rows) or None

        return batch

    kinds: dict[str, Batch] = {
        "numbers": numbers,
        "texts": until_empty(store.drop_texts, terms.numbers),
        "arrivals": until_empty(store.delete_arrivals, terms.numbers),
        "receipts": until_empty(store.delete_receipts, terms.numbers),
        "rejects": until_empty(store.delete_rejects, terms.rejects),
        "guests": until_empty(store.delete_guests, terms.guests),
        "former_people": until_empty(store.drop_former_people, terms.numbers),
        "logins": until_empty(store.delete_logins, terms.logins),
        "passwords": until_empty(store.drop_given_passwords, terms.passwords),
        "visits": until_empty(
            partial(visit_retention_store.drop_visit_names, now=now), terms.visits
        ),
        "households": until_empty(visit_retention_store.drop_household_labels, terms.visits),
        "pictures": until_empty(picture_store.drop_large, terms.pictures),
        "unreported": until_empty(picture_store.delete_unreported, terms.unreported),
        "packs": until_empty(partial(store.withdraw_from_packs, now=now), terms.packs),
        "records": until_empty(store.delete_records, terms.records),
    }
    done = {
        kind: await _in_batches(pool, keyring, kind, batch, now) for kind, batch in kinds.items()
    }
    done["list_entries"] = await _expired_lists(pool, keyring, now - terms.lists, now, rows)
    done["left_entries"] = await _left_entries(pool, keyring, now - terms.lists, now, rows)
    return {kind: count for kind, count in done.items() if count}


async def _drop_numbers(conn: Connection, before: datetime, rows: int, now: datetime) -> int | None:
    """Drop the numbers of up to so many texts of the oldest runs; returns of how many. None: no run
    from before that instant has any.
    """
    dropped = 0
    for _ in range(RUNS):
        stretch = await store.old_stretch(conn, before, rows - dropped)
        if stretch is None:
            return dropped or None
        dropped += await store.drop_numbers(conn, stretch, now)
        if dropped >= rows:
            break
    return dropped


async def _in_batches(pool: Pool, keyring: Keyring, kind: str, batch: Batch, now: datetime) -> int:
    """Batches one after another, until one says that nothing is left (None)."""
    total = 0
    for _ in range(BATCHES):
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            count = await batch(conn)
            await _note(conn, keyring, kind, count or 0, now)
        if count is None:
            break
        total += count
    return total


async def _note(conn: Connection, keyring: Keyring, kind: str, count: int, now: datetime) -> None:
    """Count what a batch let go of, and write it into the audit trail."""
    if count:
        await store.count_retired(conn, day_in_china(now), kind, count)
        act = AuditAct("let_go", now, "system", object_kind="retention", details={kind: count})
        await insert_entry(conn, keyring, act)


async def _expired_lists(
    pool: Pool, keyring: Keyring, last: datetime, now: datetime, rows: int
) -> int:
    """Lists past their term, one after another; one whose department is importing has to wait."""
    day, total, after = day_in_china(last), 0, UUID(int=0)
    while True:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            roster = await store.expired_roster(conn, day, after)
        if roster is None:
            return total
        after = roster["id"]

        async def batch(
            conn: Connection, roster_id: UUID = after, department: UUID = roster["department_id"]
        ) -> int | None:
            if not await try_lock_contacts(conn, department):
                return None
            if not await store.lock_expired(conn, roster_id, day):
                return None
            return await retire_links(conn, roster_id, rows, now) or None

        total += await _in_batches(pool, keyring, "list_entries", batch, now)


async def _left_entries(
    pool: Pool, keyring: Keyring, before: datetime, now: datetime, rows: int
) -> int:
    """What newer lists took off long ago, by department; one that is importing has to wait."""
    total, seen = 0, list[UUID]()
    while True:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            department = await store.department_with_left(conn, before, seen)
        if department is None:
            return total
        seen.append(department)

        async def batch(conn: Connection, whose: UUID = department) -> int | None:
            if not await try_lock_contacts(conn, whose):
                return None
            return await retire_left(conn, whose, before, rows, now) or None

        total += await _in_batches(pool, keyring, "left_entries", batch, now)
