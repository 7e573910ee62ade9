-- Texts from handsets, read: joined from their parts, matched, understood, and worked off by people.

-- What came is kept as it came; its state says what became of it, so that nothing is dropped silently.
ALTER TABLE inbound
    ADD COLUMN state text NOT NULL DEFAULT 'new' CHECK (
        state IN ('new', 'waiting', 'joined', 'duplicate', 'unreadable')),
    ADD COLUMN text_id uuid,
    ADD CONSTRAINT inbound_joined_into_a_text CHECK (state <> 'joined' OR text_id IS NOT NULL);
CREATE INDEX inbound_new ON inbound (id) WHERE state = 'new';
CREATE INDEX inbound_waiting ON inbound (received_at) WHERE state = 'waiting';
CREATE INDEX inbound_parts ON inbound (sender_hash, received_at) WHERE part_count > 1;

-- One row a whole text. `digest` is a keyed hash of sender, recipient and text together: it says that
-- the same came again, and nothing else.
CREATE TABLE inbound_texts (
    id uuid PRIMARY KEY,
    channel_id smallint NOT NULL,
    sender_hash bytea NOT NULL CHECK (octet_length(sender_hash) = 16),
    sender_cipher bytea NOT NULL,
    recipient text NOT NULL,
    text_cipher bytea NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 16),
    missing smallint NOT NULL CHECK (missing >= 0),
    copies integer NOT NULL DEFAULT 1,
    received_at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opt_out', 'answer', 'clue', 'other')),
    answer smallint CHECK (answer BETWEEN 1 AND 9),
    -- What it answers: the last text that this sender got on this channel; NULL: none that we know.
    run_id uuid REFERENCES runs,
    message_no integer,
    campaign_id uuid REFERENCES campaigns,
    -- Whose it is to read; NULL: the county's.
    department_id uuid REFERENCES departments,
    state text NOT NULL CHECK (state IN ('new', 'taken', 'done')),
    taken_by uuid REFERENCES users,
    taken_at timestamptz,
    done_by uuid REFERENCES users,
    done_at timestamptz,
    note_cipher bytea,
    CHECK ((kind = 'answer') <= (answer IS NOT NULL)),
    CHECK ((run_id IS NULL) = (campaign_id IS NULL) AND (run_id IS NULL) = (message_no IS NULL)),
    CHECK ((taken_by IS NULL) = (taken_at IS NULL)),
    CHECK ((state = 'done') = (done_at IS NOT NULL)),
    CHECK (state <> 'taken' OR taken_by IS NOT NULL)
);
CREATE INDEX inbound_texts_digest ON inbound_texts (digest, received_at);
CREATE INDEX inbound_texts_department ON inbound_texts (department_id, id);
CREATE INDEX inbound_texts_open ON inbound_texts (department_id, id) WHERE state <> 'done';
CREATE INDEX inbound_texts_campaign ON inbound_texts (campaign_id, id) WHERE campaign_id IS NOT NULL;
CREATE INDEX inbound_texts_run ON inbound_texts (run_id) WHERE run_id IS NOT NULL;

-- Answers that we owe to a sender. The cause is the suppression that is confirmed, or the text that is
-- acknowledged: the key lets each be answered once, whoever comes to it however often.
CREATE TABLE replies_due (
    kind text NOT NULL CHECK (kind IN ('opt_out_confirmed', 'clue_received')),
    cause uuid NOT NULL,
    text_id uuid NOT NULL REFERENCES inbound_texts,
    due_at timestamptz NOT NULL,
    sent_at timestamptz,
    PRIMARY KEY (kind, cause)
);
CREATE INDEX replies_due_open ON replies_due (due_at) WHERE sent_at IS NULL;
