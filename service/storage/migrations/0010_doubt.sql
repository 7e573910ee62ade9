-- What persons and carriers' statements say of hand-offs without an answer, and of receipts that
-- met nothing.

-- Whether a text of a class may be sent again although it may have left. Append-only: the last row
-- of a class counts, and the rows before it are the record. No row: it may not.
CREATE TABLE resend_policies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class text NOT NULL CHECK (class IN ('public_interest', 'service', 'warning')),
    allowed boolean NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL
);
CREATE INDEX resend_policies_class ON resend_policies (class, id);

-- One row an act: a person's word for many hand-offs at once, or a carrier's statement.
CREATE TABLE doubt_decisions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    decision text NOT NULL CHECK (
        decision IN ('delivered', 'unknown', 'resend', 'not_sent', 'statement')),
    reason text NOT NULL CHECK (reason <> ''),
    decided_by uuid NOT NULL REFERENCES users,
    decided_at timestamptz NOT NULL,
    channel_id smallint REFERENCES channels,
    file_sha256 text,
    counts jsonb,
    -- A statement is of one channel and one file, a person's word of neither.
    CHECK ((decision = 'statement') = (channel_id IS NOT NULL)),
    CHECK ((decision = 'statement') = (file_sha256 IS NOT NULL)),
    CHECK ((decision = 'statement') = (counts IS NOT NULL))
);

-- The hand-offs that were decided, each once: a second decision finds nothing in doubt, and the key
-- says so whatever the code above thinks. Late receipts without a match are paired with these.
CREATE TABLE doubts_decided (
    run_id uuid NOT NULL,
    no integer NOT NULL,
    attempt integer NOT NULL,
    decision_id uuid NOT NULL REFERENCES doubt_decisions,
    state message_state NOT NULL,
    channel_id smallint NOT NULL,
    phone_hash bytea NOT NULL,
    marked_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, no, attempt)
);
CREATE INDEX doubts_decided_phone ON doubts_decided (channel_id, phone_hash);
CREATE INDEX doubts_decided_decision ON doubts_decided (decision_id);

-- Receipts that a person has looked at and laid aside, as they were.
CREATE TABLE receipts_dismissed (
    id bigint PRIMARY KEY,
    channel_id smallint NOT NULL,
    ref bytea NOT NULL,
    phone_hash bytea,
    state text NOT NULL,
    reason text NOT NULL,
    code text NOT NULL,
    done_at timestamptz,
    received_at timestamptz NOT NULL,
    why text NOT NULL CHECK (why IN ('unmatched', 'ambiguous', 'conflict')),
    dismissed_because text NOT NULL CHECK (dismissed_because <> ''),
    dismissed_by uuid NOT NULL REFERENCES users,
    dismissed_at timestamptz NOT NULL
);

-- The parts of one day, for the reconciliation. References are appended as time goes on, so a
-- summary of each stretch of pages finds them; a B-tree would cost each hand-off a write.
CREATE INDEX parts_at ON parts USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
