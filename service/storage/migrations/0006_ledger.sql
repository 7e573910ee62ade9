-- The ledger: who gets what in one run, and what became of it.

CREATE TYPE message_state AS ENUM (
    'queued', 'submitting', 'submitted', 'delivered', 'undelivered', 'expired',
    'rejected', 'unknown', 'uncertain', 'suppressed', 'cancelled');

-- One row a recipient, all written before the first submit. No index on what changes (state, …):
-- updates then stay on their page (HOT). Slices find the work instead.
CREATE TABLE messages (
    run_id uuid NOT NULL,
    no integer NOT NULL,
    phone_hash bytea NOT NULL,
    phone_cipher bytea NOT NULL,
    name_cipher bytea,
    channel_id smallint NOT NULL,
    carrier text NOT NULL,
    area_code text,
    roles text[] NOT NULL,
    state message_state NOT NULL DEFAULT 'queued',
    reason text,
    code text,
    attempt integer NOT NULL DEFAULT 0,
    part_count smallint,
    marked_at timestamptz,
    submitted_at timestamptz,
    final_at timestamptz,
    PRIMARY KEY (run_id, no),
    UNIQUE (run_id, phone_hash)
) WITH (fillfactor = 50);

-- When no row of the run's ledger is open any more.
ALTER TABLE runs ADD COLUMN settled_at timestamptz;

-- Left out at expansion, outside the target; one row a person, with the reason.
CREATE TABLE exclusions (
    run_id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    reason text NOT NULL,
    carrier text,
    area_code text,
    PRIMARY KEY (run_id, phone_hash)
);

-- A stretch of one run's ledger on one channel: the unit in which connections take work.
CREATE TABLE slices (
    run_id uuid NOT NULL REFERENCES runs,
    no integer NOT NULL,
    channel_id smallint NOT NULL REFERENCES channels,
    first_no integer NOT NULL,
    last_no integer NOT NULL,
    priority smallint NOT NULL,
    not_before timestamptz,
    slot smallint,
    epoch bigint,
    done_at timestamptz,
    PRIMARY KEY (run_id, no)
);
CREATE INDEX slices_open ON slices (channel_id, priority, no, run_id) WHERE done_at IS NULL;

-- The carrier's reference of each part that it took; append-only but for the state of long texts.
CREATE TABLE parts (
    channel_id smallint NOT NULL,
    ref bytea NOT NULL,
    phone_hash bytea NOT NULL,
    run_id uuid NOT NULL,
    no integer NOT NULL,
    part smallint NOT NULL,
    attempt integer NOT NULL,
    state message_state,
    reason text,
    code text,
    at timestamptz NOT NULL
);
CREATE INDEX parts_ref ON parts (channel_id, ref);
CREATE INDEX parts_message ON parts (run_id, no);

-- Hand-offs that may have left and have no answer, by phone: no other text goes to that phone on
-- that channel until one is settled.
CREATE TABLE uncertain (
    channel_id smallint NOT NULL,
    phone_hash bytea NOT NULL,
    run_id uuid NOT NULL,
    no integer NOT NULL,
    attempt integer NOT NULL,
    marked_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (run_id, no)
);
CREATE INDEX uncertain_phone ON uncertain (channel_id, phone_hash);

-- Receipts as they came, stored before they are acknowledged, folded into the ledger in batches.
CREATE TABLE receipt_inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id smallint NOT NULL,
    ref bytea NOT NULL,
    phone_hash bytea,
    state text NOT NULL,
    reason text NOT NULL,
    code text NOT NULL,
    done_at timestamptz,
    received_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

CREATE INDEX receipt_inbox_channel ON receipt_inbox (channel_id, id);

-- Receipts that met nothing in the ledger (yet), and those that contradict a final state.
CREATE TABLE receipts_unmatched (
    id bigint PRIMARY KEY,
    channel_id smallint NOT NULL,
    ref bytea NOT NULL,
    phone_hash bytea,
    state text NOT NULL,
    reason text NOT NULL,
    code text NOT NULL,
    done_at timestamptz,
    received_at timestamptz NOT NULL,
    why text NOT NULL CHECK (why IN ('parked', 'unmatched', 'ambiguous', 'conflict'))
);
CREATE INDEX receipts_unmatched_ref ON receipts_unmatched (channel_id, ref)
    WHERE why IN ('parked', 'ambiguous');
CREATE INDEX receipts_unmatched_phone ON receipts_unmatched (channel_id, phone_hash) WHERE why = 'parked';

-- Texts from handsets, stored before they are acknowledged.
CREATE TABLE inbound (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id smallint NOT NULL,
    sender_hash bytea NOT NULL,
    sender_cipher bytea NOT NULL,
    recipient text NOT NULL,
    text_cipher bytea NOT NULL,
    reference integer NOT NULL,
    part smallint NOT NULL,
    part_count smallint NOT NULL,
    received_at timestamptz NOT NULL
);
