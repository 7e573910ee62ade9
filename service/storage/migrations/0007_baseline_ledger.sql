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
    phone_cipher bytea,                 -- NULL: not kept any more; the hash and the counts stay
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
    -- A text is given to a second channel at most once, when the first one says that the number is
    -- of another network: which one that was, and what it said.
    first_channel_id smallint,
    first_code text,
    -- The values of the variables of one recipient, as JSON; NULL: the contact's facts.
    variables_cipher bytea,
    -- Whether the end of this text is told to a webhook; set when its row is written.
    told boolean NOT NULL DEFAULT false,
    -- Of a run to people who are named one by one (a direct send, a reply, a test). There may be
    -- hundreds of these runs a second, so their texts are found by the phone alone; campaigns are
    -- few, and theirs are found run by run.
    direct boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run_id, no)
) WITH (fillfactor = 50);
-- The condition is always true, and lets no statement use this index that does not name a phone:
-- for one that names a run and numbers the planner could take it for as good as the key, while
-- statistics knew nothing of the run, and then read the whole run (decision 0130).
CREATE UNIQUE INDEX messages_run_phone ON messages (run_id, phone_hash)
    WHERE phone_hash IS NOT NULL;
-- `direct` never changes, so updates still stay on their page.
CREATE INDEX messages_direct ON messages (phone_hash) WHERE direct;

-- Left out at expansion, outside the target; one row a person, with the reason.
CREATE TABLE exclusions (
    run_id uuid NOT NULL,
    phone_hash bytea NOT NULL,
    reason text NOT NULL,
    carrier text,
    area_code text,
    direct boolean NOT NULL DEFAULT false, -- as in `messages`
    PRIMARY KEY (run_id, phone_hash)
);
CREATE INDEX exclusions_direct ON exclusions (phone_hash) WHERE direct;

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
    -- Whether anybody ever worked on it: one that nobody did is counted by its size alone.
    touched boolean NOT NULL DEFAULT false,
    canary boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run_id, no)
);
-- A claim asks each run for its next slices.
CREATE INDEX slices_open ON slices (channel_id, run_id, no) WHERE done_at IS NULL;

-- The carrier's reference of each part that it took; append-only except for the state of long
-- texts.
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
-- The parts of one day, for the reconciliation. References are appended as time goes on, so a
-- summary of each stretch of pages finds them; a B-tree would cost each hand-off a write.
CREATE INDEX parts_at ON parts USING brin (at) WITH (pages_per_range = 32, autosummarize = on);

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

-- The hand-offs of a text that were followed, or are to be followed, by another one of the same
-- text: one row a hand-off that may have left and was not the last; the last one is in `messages`.
-- next_at: a passing failure, and when the text may leave again, at most once a text; NULL where it
-- may leave at once: on another channel, or by a person's word. While a message is queued and the
-- row of its present attempt has a next_at to come, it waits. part_count is kept, for another
-- channel may cut the text in another way.
CREATE TABLE attempts (
    run_id uuid NOT NULL,
    no integer NOT NULL,
    attempt integer NOT NULL,
    channel_id smallint NOT NULL,
    part_count smallint,
    state message_state NOT NULL,
    reason text,
    code text,
    marked_at timestamptz,
    submitted_at timestamptz,
    ended_at timestamptz,
    next_at timestamptz,
    PRIMARY KEY (run_id, no, attempt)
);

-- Texts that a frequency cap holds back, queued until their instant. A row counts while it is in
-- the future.
CREATE TABLE deferrals (
    run_id uuid NOT NULL,
    no integer NOT NULL,
    not_before timestamptz NOT NULL,
    PRIMARY KEY (run_id, no)
);

-- --------------------------------------------------------- reading a run, whatever statistics know

-- Plans that do not depend on what statistics know of a run (decision 0130).

-- A run's whole ledger, in stretches of its key: for "all of a run" alone the planner reads all
-- runs, once it knows a few large ones. Bounds that are columns are estimated alike for every run.
CREATE FUNCTION ledger_of(run uuid) RETURNS SETOF messages STABLE LANGUAGE sql AS $$
    SELECT m.*
    FROM generate_series(1, (
            SELECT no FROM messages WHERE run_id = run ORDER BY no DESC LIMIT 1), 1000) AS s(first),
        LATERAL (
            SELECT * FROM messages
            WHERE run_id = run AND no BETWEEN s.first AND s.first + 999 OFFSET 0) m
$$;

-- A run's slices, in the same way.
CREATE FUNCTION slices_of(run uuid) RETURNS SETOF slices STABLE LANGUAGE sql AS $$
    SELECT s.*
    FROM (SELECT 1 AS low, 2147483647 AS high OFFSET 0) b,
        LATERAL (
            SELECT * FROM slices WHERE run_id = run AND no BETWEEN b.low AND b.high OFFSET 0) s
$$;

-- Everybody whom a run left out, in the same way.
CREATE FUNCTION exclusions_of(run uuid) RETURNS SETOF exclusions STABLE LANGUAGE sql AS $$
    SELECT e.*
    FROM (SELECT '\x'::bytea AS low, decode(repeat('ff', 64), 'hex') AS high OFFSET 0) b,
        LATERAL (
            SELECT * FROM exclusions
            WHERE run_id = run AND phone_hash BETWEEN b.low AND b.high OFFSET 0) e
$$;

-- All texts to a phone, of runs that were made since an instant.
CREATE FUNCTION texts_to(phone bytea, since timestamptz) RETURNS SETOF messages
STABLE LANGUAGE sql AS $$
    SELECT m.* FROM messages m, LATERAL (
        SELECT FROM runs WHERE id = m.run_id AND created_at >= since OFFSET 0) r
    WHERE m.phone_hash = phone AND m.direct
    UNION ALL
    SELECT m.*
    FROM campaigns c,
        LATERAL (
            SELECT id FROM runs WHERE campaign_id = c.id AND created_at >= since OFFSET 0) r,
        LATERAL (
            SELECT * FROM messages
            WHERE run_id = r.id AND phone_hash = phone AND NOT direct OFFSET 0) m
$$;
