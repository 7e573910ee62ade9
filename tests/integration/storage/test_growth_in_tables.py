"""What tables must not have more of, so that they can be divided one day: by month, and by the hash
of the phone over several machines (docs/architecture.md, "Rules for growth").

What is there today is listed with a word why. A test fails for one more, and for one that is gone.
`tests/architecture/test_growth_in_sql.py` does the same for statements.
"""

import pytest

from service.storage.postgres import Connection, Pool

LEDGER = {
    "attempts", "dead_reports", "deferrals", "direct_sends", "doubts_decided", "exclusions",
    "list_file_lines", "list_file_results", "messages", "parts", "slices", "uncertain",
}  # fmt: skip
"""Tables with rows for each text or slice of a run. They are divided by run."""
FEW_A_RUN = {
    "campaign_fires": "one row a run",
    "coverage_scopes": "one row a run, and as many for campaigns and quarters",
    "circuit_breaker_events": "rows of channels; few",
    "duty_steps": "what persons were told of duties; a run tells a thousand of them at most",
    "expansions": "one row a run, while its ledger is written",
    "followup_steps": "one row a step of a follow-up, three at most; what it sent again",
    "inbound_texts": "texts from handsets, which belong to no run until they are read",
    "joint_places": "a place of a joint plan",
    "notices": "what a person was told",
    "replies_due": "answers that wait, a moment each",
    "relay_nodes": "one row a place of a relay's tree; who got its text by which run",
    "relay_runs": "one row a run of a relay, one or two a level and minute at most",
    "run_changes": "one row a campaign's run and fold of late receipts; of large ones added up",
    "run_facts": "one row a settled run of a campaign",
    "sequence_steps": "one row a step of a plan",
    "test_sends": "one row a test",
    "webhook_events": "calls that wait, deleted when they are made",
}
"""Tables with a run's id that stay whole."""

REFERENCES = {
    "doubts_decided.decision_id -> doubt_decisions": "whose decision it was; few a day",
    "list_file_lines.list_file_id -> list_files": "a line is in one file, which is of one channel",
    "list_file_results.list_file_id -> list_files": "as list_file_lines",
    "list_file_results.given_by -> users": "who gave it in; users are on each machine",
    "slices.channel_id -> channels": "channels are on each machine",
}

TRIGGERS = {
    "tell": "a webhook hears of a text's end in the same transaction, whoever moves it; only rows"
    " with told. It is to become a statement of the stores that move the row",
}
"""On messages."""

ACROSS_DEPARTMENTS = {
    "area_renames_one_waits": "an area has one name",
    "packs_pkey": "a week has one pack of a version, of the county",
    "pack_files_pkey": "as packs_pkey",
    "pack_files_week_version_name_key": "as packs_pkey",
    "pack_pictures_pkey": "a picture is the same whoever hands it in",
    "pack_pieces_pkey": "as packs_pkey",
    "pack_withdrawals_pkey": "as packs_pkey",
    "pack_weeks_pkey": "as packs_pkey",
    "areas_pkey": "the State's code of the area",
    "audit_seals_pkey": "the audit trail is one chain",
    "backups_pkey": "one copy of the database is the last of its kind",
    "block_tables_in_force_key": "one table of number blocks is in force",
    "carrier_overrides_pkey": "a number is of one carrier, whoever writes to it",
    "bulletins_pkey": "a week has one bulletin, of the county",
    "case_weeks_in_force": "what a week was, of the county",
    "channel_codes_pkey": "what a carrier's code means",
    "channels_name_key": "channels are of the installation, and named by people",
    "departments_name_key": "people tell departments apart by their names",
    "extensions_pkey": "an answer to an extension belongs to one department",
    "fraud_types_pkey": "kinds of fraud are the same for all departments",
    "generation_pkey": "one row, of the installation",
    "key_checks_pkey": "the master keys of the installation",
    "keys_token_hash_key": "whoever shows a key is found by it before anything else is known",
    "login_failures_pkey": "attempts are counted by address",
    "migrations_pkey": "the tables of the installation",
    "notice_causes_pkey": "a row a move, by the move's number",
    "notice_leg_causes_pkey": "a row a move, by the move's number",
    "number_blocks_pkey": "a block of numbers is of one carrier",
    "people_counts_pkey": "one row, of the installation",
    "receipts_dismissed_pkey": "the number that the receipt had in receipt_inbox",
    "receipts_unmatched_pkey": "the number that the receipt had in receipt_inbox",
    "recent_texts_pkey": "the caps count what a person got from all departments; led by the hash",
    "suggestions_once": "a week suggests a kind of fraud in a place once, for all departments",
    "releases_once": "what the public was shown of a week or quarter",
    "retention_watch_pkey": "one row, of the installation",
    "retired_pkey": "what was deleted on a day, by kind",
    "sent_text_keys_pkey": "whoever asks does not know whose text it is",
    "sessions_token_hash_key": "as keys_token_hash_key",
    "sign_in_links_one_account": "a person of the provider is one person here",
    "sign_ins_used_pkey": "an answer of the provider is used once",
    "signatures_pkey": "a signature is one department's",
    "stops_one_at_a_time": "a stop of all sending is of the installation",
    "turns_pkey": "an act of the scheduler",
    "users_login_key": "whoever logs in is found by it before anything else is known",
    "webhook_news_pkey": "a row an event, by the event's number",
}

_LEDGER = """
SELECT DISTINCT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
  AND a.attname = 'run_id'
"""
_REFERENCES = """
SELECT format('%s.%s -> %s', conrelid::regclass,
    (SELECT string_agg(attname, ', ') FROM pg_attribute
     WHERE attrelid = conrelid AND attnum = ANY (conkey)), confrelid::regclass)
FROM pg_constraint
WHERE contype = 'f' AND conrelid::regclass::text = ANY ($1) AND confrelid <> 'runs'::regclass
"""
_TRIGGERS = """
SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'messages'::regclass AND NOT tgisinternal
"""
_ACROSS_DEPARTMENTS = """
SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE indisunique AND c.relnamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
      AND (a.atttypid = 'uuid'::regtype OR a.attname = 'channel_id' OR a.attidentity <> ''))
"""
"""A key is of a department, a run, a person or a plan if the id of one is in it, and of a channel
likewise; the number of a row is of nobody."""


async def _found(conn: Connection | Pool, query: str, *arguments: object) -> set[str]:
    return {row[0] for row in await conn.fetch(query, *arguments)}


async def test_a_table_with_a_runs_id_is_divided_by_run_or_says_why_not(pool: Pool) -> None:
    assert await _found(pool, _LEDGER) == LEDGER | {*FEW_A_RUN}


async def test_the_ledger_refers_to_nothing_but_runs(pool: Pool) -> None:
    assert await _found(pool, _REFERENCES, [*LEDGER]) == {*REFERENCES}


async def test_messages_have_no_further_trigger(pool: Pool) -> None:
    assert await _found(pool, _TRIGGERS) == {*TRIGGERS}


async def test_no_further_key_is_unique_across_departments(pool: Pool) -> None:
    assert await _found(pool, _ACROSS_DEPARTMENTS) == {*ACROSS_DEPARTMENTS}


@pytest.mark.parametrize(
    ("statement", "query", "found"),
    [
        ("CREATE TABLE later (run_id uuid)", _LEDGER, "later"),
        (
            "ALTER TABLE parts ADD COLUMN by uuid REFERENCES users",
            _REFERENCES,
            "parts.by -> users",
        ),
        (
            "CREATE TRIGGER later AFTER UPDATE ON messages EXECUTE FUNCTION tell_of_message()",
            _TRIGGERS,
            "later",
        ),
        ("CREATE UNIQUE INDEX later ON imports (state)", _ACROSS_DEPARTMENTS, "later"),
        ("ALTER TABLE imports ADD CONSTRAINT later UNIQUE (state)", _ACROSS_DEPARTMENTS, "later"),
    ],
)
async def test_what_is_added_is_recognised(
    owner: Connection, statement: str, query: str, found: str
) -> None:
    arguments = [[*LEDGER]] if query is _REFERENCES else []
    transaction = owner.transaction()
    await transaction.start()
    try:
        before = await _found(owner, query, *arguments)
        await owner.execute(statement)
        assert await _found(owner, query, *arguments) - before == {found}
    finally:
        await transaction.rollback()
