"""What is past its term goes, in batches, and nothing goes a moment too early."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.audit.audit import AuditAct, make_mac
from service.accounts.audit.audit_store import insert_entry
from service.accounts.audit.sealing import seal_committed, verify
from service.accounts.login.session_store import give_password
from service.accounts.people.model import Role, User
from service.accounts.sending import guest_store
from service.audience.areas.area_store import load_areas
from service.audience.imports.model import ImportRequest
from service.audience.imports.store import lock_import
from service.audience.rosters.rosters import ask_undo, put_members
from service.crypto import Keyring
from service.errors import Conflict
from service.privacy.retention import BATCHES, RetentionTerms, let_go
from service.storage.locks import lock_contacts
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import make_draft, make_user, phone
from tests.harness.ledger import states

TERMS = RetentionTerms()
MOMENT = timedelta(seconds=1)
A, B, C = ("19790000001", "19790000002", "19790000003")


@dataclass
class System:
    pool: Pool
    keyring: Keyring
    now: datetime
    user: User

    async def value(self, sql: str, *arguments: object) -> Any:
        return await self.pool.fetchval(sql, *arguments)

    async def turn(self, later: timedelta = timedelta(), rows: int = 2) -> dict[str, int]:
        return await let_go(self.pool, self.keyring, TERMS, self.now + later, rows)

    async def run(self, rows: int = 5, *, settled: bool = True) -> UUID:
        async with transaction(self.pool) as conn:
            draft = await make_draft(conn, self.user, now=self.now)
            run: UUID = await conn.fetchval(
                """
                INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                    rule, send_hours, timezone, created_at, settled_at, target)
                VALUES ($1, $2, $3, 'sent', 'normal', 'service', '', '', '[]', '', $3, $4, $5)
                RETURNING id
                """,
                draft.id,
                self.user.department_id,
                self.now,
                self.now if settled else None,
                rows,
            )
            await conn.executemany(
                """
                INSERT INTO messages (run_id, no, phone_hash, phone_cipher, name_cipher,
                                      variables_cipher, channel_id, carrier, roles, state)
                VALUES ($1, $2, $3, $4, $4, $4, 1, 'china_mobile', '{}', 'delivered')
                """,
                [
                    (run, n, self.keyring.phone_index(phone(n)), self.keyring.encrypt("phone", "x"))
                    for n in range(1, rows + 1)
                ],
            )
        return run

    async def roster(self, name: str, *members: str, days: int = 10) -> UUID:
        """A list whose last day is so many days away; returns its import."""
        async with transaction(self.pool) as conn:
            request = ImportRequest(
                department_id=self.user.department_id,
                user_id=self.user.id,
                roster=name,
                file_name="",
                basis="duty",
                expires_on=(self.now + timedelta(days=days)).date(),
                mode="replace",
            )
            rows = [{"phone": member, "name": f"{name}里的人"} for member in members]
            return (await put_members(conn, self.keyring, request, rows, self.now)).import_id

    async def people(self) -> dict[str, str]:
        rows = await self.pool.fetch("SELECT phone_cipher, name_cipher FROM contacts WHERE listed")
        read = self.keyring.decrypt
        return {read("phone", row[0])[3:]: read("name", row[1]) for row in rows}

    async def kept(self, run: UUID) -> int:
        """How many numbers of the run are kept."""
        count: int = await self.value(
            "SELECT count(*) FROM messages WHERE run_id = $1 AND phone_cipher IS NOT NULL", run
        )
        return count


@pytest.fixture
async def system(pool: Pool, keyring: Keyring, now: datetime) -> System:
    async with transaction(pool) as conn:
        await load_areas(conn)
        user = await make_user(conn, Role.OPERATOR, now=now)
    return System(pool, keyring, now, user)


async def test_sent_texts_lose_their_numbers_after_the_record_duty(system: System) -> None:
    run = await system.run(5)
    assert await system.turn(TERMS.numbers) == {}
    assert await system.kept(run) == 5
    assert await system.turn(TERMS.numbers + MOMENT) == {"numbers": 5}
    assert await system.kept(run) == 0
    left = "SELECT sum(num_nonnulls(phone_cipher, name_cipher, variables_cipher)) FROM messages"
    assert await system.value(left) == 0
    assert await system.value("SELECT count(DISTINCT phone_hash) FROM messages") == 5
    async with system.pool.acquire() as conn:
        assert await states(conn, run) == {"delivered": 5}
    assert await system.turn(TERMS.numbers + MOMENT) == {}
    assert await system.value("SELECT items FROM retired WHERE kind = 'numbers'") == 5


async def test_a_batch_takes_many_small_runs(system: System) -> None:
    runs = [await system.run(1) for _ in range(2 * BATCHES + 1)]
    assert await system.turn(TERMS.numbers + MOMENT, rows=len(runs)) == {"numbers": len(runs)}
    assert [run for run in runs if await system.kept(run)] == []
    entries = "SELECT count(*) FROM audit_entries WHERE action = 'let_go'"
    assert await system.value(entries) == 1


async def test_a_run_that_is_not_settled_keeps_its_numbers(system: System) -> None:
    run = await system.run(2, settled=False)
    assert await system.turn(timedelta(days=999)) == {}
    await system.pool.execute("UPDATE runs SET settled_at = created_at")
    assert await system.turn(timedelta(days=999)) == {"numbers": 2}
    assert await system.kept(run) == 0


async def test_whoever_dies_half_way_leaves_whole_batches(system: System) -> None:
    """Each batch, broken off before its commit, changes nothing; the next one goes on there."""
    await system.run(5)
    later = system.now + TERMS.numbers + MOMENT
    for left in (5, 3, 1):
        breaking = asyncio.create_task(_break_off(system, later, left))
        with pytest.raises(ConnectionResetError):
            await breaking
        assert await system.value("SELECT count(phone_cipher) FROM messages") == left
        assert await system.value("SELECT coalesce(sum(items), 0) FROM retired") == 5 - left
        await _one_batch(system, later)
    assert await system.value("SELECT count(phone_cipher) FROM messages") == 0
    assert await system.value("SELECT sum(items) FROM retired") == 5


async def _one_batch(system: System, now: datetime) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.privacy.retention.BATCHES", 1)
        await let_go(system.pool, system.keyring, TERMS, now, 2)


async def _break_off(system: System, now: datetime, left: int) -> None:
    async def die(*_: object) -> None:
        raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.privacy.retention.insert_entry", die)
        await let_go(system.pool, system.keyring, TERMS, now, 2)


async def test_many_at_once_count_everything_once(system: System) -> None:
    for _ in range(4):
        await system.run(5)
    later = TERMS.numbers + MOMENT
    done = await asyncio.gather(*(system.turn(later) for _ in range(4)))
    total = sum(counts.get("numbers", 0) for counts in done)
    while counts := await system.turn(later):
        total += counts["numbers"]
    assert total == 20
    assert await system.value("SELECT items FROM retired") == 20


async def test_a_list_goes_with_its_people_some_time_after_its_last_day(system: System) -> None:
    await system.roster("甲", A, B)
    await system.roster("乙", B, C, days=300)
    last = timedelta(days=10) + TERMS.lists
    assert await system.turn(last) == {}
    assert (await system.people())[B] == "甲里的人"
    assert await system.turn(last + timedelta(days=1), rows=1) == {"list_entries": 2}
    # Who is on another list stays, and shows what that one says.
    assert await system.people() == {B: "乙里的人", C: "乙里的人"}
    assert await system.value("SELECT array_agg(name) FROM rosters") == ["乙"]
    assert await system.turn(timedelta(days=301) + TERMS.lists) == {"list_entries": 2}
    assert await system.value("SELECT count(*) FROM contacts") == 0
    assert await system.value("SELECT count(*) FROM rosters") == 0


async def test_a_list_that_is_renewed_meanwhile_stays(system: System) -> None:
    await system.roster("甲", A)
    late = timedelta(days=11) + TERMS.lists
    async with transaction(system.pool) as conn:
        await lock_contacts(conn, system.user.department_id)  # an import is being written
        assert await asyncio.wait_for(system.turn(late), 5) == {}
    await system.roster("甲", A, days=100)
    assert await system.turn(late) == {}
    assert set(await system.people()) == {A}


async def test_who_left_a_list_goes_though_the_list_is_kept_current(system: System) -> None:
    """A school's list is renewed for years; a family that moved away is not kept for as long."""
    await system.roster("甲", A, B, days=300)
    await system.roster("乙", B, days=300)
    left = await system.roster("甲", C, days=300)
    assert await system.value("SELECT count(*) FROM contacts") == 3
    assert await system.turn(TERMS.lists) == {}
    assert await system.turn(TERMS.lists + MOMENT, rows=1) == {"left_entries": 2}
    assert await system.people() == {B: "乙里的人", C: "甲里的人"}
    assert await system.value("SELECT count(*) FROM contacts") == 2
    assert await system.turn(TERMS.lists + MOMENT) == {}
    # What the new list took off could not come back.
    async with transaction(system.pool) as conn:
        asked = await lock_import(conn, left)
        with pytest.raises(Conflict, match="is not kept any more") as refused:
            await ask_undo(conn, asked, system.user.id, system.now)
    assert refused.value.code == "left_erased"


async def test_who_left_while_the_department_imports_goes_at_the_next_turn(system: System) -> None:
    await system.roster("甲", A, days=300)
    await system.roster("甲", B, days=300)
    late = TERMS.lists + MOMENT
    async with transaction(system.pool) as conn:
        await lock_contacts(conn, system.user.department_id)
        assert await asyncio.wait_for(system.turn(late), 5) == {}
    assert await system.turn(late) == {"left_entries": 1}


async def test_sessions_and_used_codes_go_after_their_term(system: System) -> None:
    user, day = system.user.id, timedelta(days=1)
    for token, since in ((b"a", timedelta()), (b"b", -day), (b"c", day)):
        await system.pool.execute(
            """
            INSERT INTO sessions (user_id, token_hash, created_at, last_used_at, expires_at)
            VALUES ($1, $2, $3, $3, $3)
            """,
            user,
            token,
            system.now + since,
        )
        await system.pool.execute(
            "INSERT INTO recovery_codes (user_id, code_hash, used_at) VALUES ($1, $2, $3)",
            user,
            token,
            None if token == b"c" else system.now + since,
        )
    tokens = "SELECT array_agg(convert_from(token_hash, 'utf8') ORDER BY token_hash) FROM sessions"
    codes = "SELECT array_agg(convert_from(code_hash, 'utf8')) FROM recovery_codes"
    assert await system.turn(TERMS.logins) == {"logins": 2}
    assert await system.value(tokens) == ["a", "c"]
    assert await system.turn(TERMS.logins + MOMENT) == {"logins": 2}
    assert await system.value(tokens) == ["c"]
    assert await system.value(codes) == ["c"]  # one that nobody has used is still good


async def test_a_given_password_that_nobody_confirms_is_forgotten(system: System) -> None:
    async with transaction(system.pool) as conn:
        await give_password(conn, system.user.id, "x", system.user.id, system.now)
    assert await system.turn(TERMS.passwords) == {}
    assert await system.turn(TERMS.passwords + MOMENT) == {"passwords": 1}
    assert await system.value("SELECT count(given_hash) FROM users") == 0


async def test_rejected_rows_go_after_their_term_and_the_report_stays(system: System) -> None:
    await system.roster("甲", A, "1979", "abc", days=300)
    assert await system.value("SELECT count(*) FROM import_rejects") == 2
    assert await system.turn(TERMS.rejects) == {}
    assert await system.turn(TERMS.rejects + MOMENT) == {"rejects": 2}
    report = await system.value("SELECT report FROM imports")
    assert sum(report["rejected"].values()) == 2


async def test_texts_from_handsets_lose_sender_and_words(system: System) -> None:
    cipher = system.keyring.encrypt("inbound", "我要退订")
    for state in ("done", "new"):
        await system.pool.execute(
            """
            INSERT INTO inbound_texts (id, channel_id, sender_hash, sender_cipher, recipient,
                text_cipher, digest, missing, received_at, kind, answer, state, done_at)
            VALUES (uuidv7(), 1, $1, $2, '', $2, $1, 0, $3, 'answer', 3, $4,
                    CASE WHEN $4 = 'done' THEN $3::timestamptz END)
            """,
            bytes(16),
            cipher,
            system.now,
            state,
        )
        await system.pool.execute(
            """
            INSERT INTO inbound (channel_id, sender_hash, sender_cipher, recipient, text_cipher,
                                 reference, part, part_count, received_at, state)
            VALUES (1, $1, $2, '', $2, 0, 1, 1, $3, $4)
            """,
            bytes(16),
            cipher,
            system.now,
            "duplicate" if state == "done" else "new",
        )
    assert await system.turn(TERMS.numbers) == {}
    assert await system.turn(TERMS.numbers + MOMENT) == {"texts": 1, "arrivals": 1}
    rows = await system.pool.fetch("SELECT state, answer, text_cipher FROM inbound_texts")
    assert {row["state"]: row["text_cipher"] is None for row in rows} == {
        "done": True, "new": False,
    }  # fmt: skip  # what nobody has worked off yet waits for somebody
    assert {row["answer"] for row in rows} == {3}
    assert await system.value("SELECT array_agg(state) FROM inbound") == ["new"]


async def test_receipts_that_met_nothing_go_and_those_that_wait_do_not(system: System) -> None:
    for n, why in enumerate(("parked", "unmatched", "conflict")):
        await system.pool.execute(
            """
            INSERT INTO receipts_unmatched (id, channel_id, ref, state, reason, code, received_at,
                                            why) VALUES ($1, 1, '', '', '', '', $2, $3)
            """,
            n,
            system.now,
            why,
        )
    assert await system.turn(TERMS.numbers) == {}
    assert await system.turn(TERMS.numbers + MOMENT) == {"receipts": 2}
    assert await system.value("SELECT array_agg(why) FROM receipts_unmatched") == ["parked"]


async def test_a_guest_goes_a_year_after_being_named_last(system: System) -> None:
    async def name(at: datetime, *numbers: int) -> list[bool]:
        ciphers = {
            system.keyring.phone_index(phone(n)): system.keyring.encrypt("phone", phone(n))
            for n in numbers
        }
        async with transaction(system.pool) as conn:
            made = await guest_store.insert_guests(conn, system.user, ciphers, "", at)
        return sorted(is_new for _, is_new in made)

    assert await name(system.now, 1, 2, 3) == [True] * 3
    assert await name(system.now + timedelta(days=30), 3, 4) == [False, True]
    assert await system.turn(TERMS.guests) == {}
    assert await system.turn(TERMS.guests + MOMENT) == {"guests": 2}
    assert await system.turn(TERMS.guests + timedelta(days=30) + MOMENT) == {"guests": 2}


async def test_the_trail_loses_what_is_older_than_three_years_and_still_holds(
    system: System, owner: Connection
) -> None:
    """By the database's clock: the instants are of the world's own time."""
    present = datetime.now(UTC)
    for days in (0, 1, 2):
        age = TERMS.records + timedelta(days=1) + MOMENT - timedelta(days=days)
        act = AuditAct("do", present - age, "cli")
        await owner.execute(
            "INSERT INTO audit_entries (id, at, via, action, mac)"
            " VALUES (uuidv7(-$1::interval), $2, 'cli', 'do', $3)",
            age,
            act.at,
            make_mac(system.keyring, act),
        )
    async with transaction(system.pool) as conn:
        await insert_entry(conn, system.keyring, AuditAct("now", present, "cli"))
    await seal_committed(system.pool, system.keyring)
    assert await let_go(system.pool, system.keyring, TERMS, present, 2) == {"records": 2}
    await seal_committed(system.pool, system.keyring)
    async with system.pool.acquire() as conn:
        verdict = await verify(conn, system.keyring, present)
    assert (verdict.broken, verdict.gone) == (None, 2)
    entries = await system.pool.fetch("SELECT action, details FROM audit_entries ORDER BY id")
    assert [row["action"] for row in entries] == ["do", "now", "let_go"]
    assert entries[-1]["details"] == {"records": 2}
