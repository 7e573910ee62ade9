-- What comes back: receipts, texts from handsets and our replies to them, and what persons decide
-- of hand-offs without an answer.

-- ---------------------------------------------------------------------------------------- receipts

-- Receipts as they came, stored before they are acknowledged, applied to the ledger in batches.
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

-- Receipts that met nothing in the ledger (yet), those that contradict a final state, and those
-- that nobody could read. The octets of the latter may hold a phone number and a text, so they are
-- encrypted, and their keyed hash tells one that comes again after each login.
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
    why text NOT NULL CHECK (
        why IN ('parked', 'unmatched', 'ambiguous', 'conflict', 'unreadable')),
    octets_cipher bytea,
    octets_count integer,
    octets_hash bytea,
    copies integer NOT NULL DEFAULT 1,
    CONSTRAINT receipts_unmatched_octets_check CHECK (
        (why = 'unreadable') = (octets_cipher IS NOT NULL)
        AND num_nulls(octets_cipher, octets_count, octets_hash) IN (0, 3))
);
-- Receipts that fitted several uncertain hand-offs are looked at again, as those that wait are.
CREATE INDEX receipts_unmatched_ref ON receipts_unmatched (channel_id, ref)
    WHERE why IN ('parked', 'ambiguous');
CREATE INDEX receipts_unmatched_phone ON receipts_unmatched (channel_id, phone_hash)
    WHERE why IN ('parked', 'ambiguous');
-- Whether a text that was taken for failed has arrived after all.
CREATE INDEX receipts_unmatched_conflicts ON receipts_unmatched (channel_id, ref)
    WHERE why = 'conflict';
CREATE UNIQUE INDEX receipts_unmatched_unreadable ON receipts_unmatched (channel_id, octets_hash)
    WHERE why = 'unreadable';

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
    why text NOT NULL CHECK (why IN ('unmatched', 'ambiguous', 'conflict', 'unreadable')),
    dismissed_because text NOT NULL CHECK (dismissed_because <> ''),
    dismissed_by uuid NOT NULL REFERENCES users,
    dismissed_at timestamptz NOT NULL,
    octets_cipher bytea,
    octets_count integer,
    copies integer NOT NULL DEFAULT 1
);

-- How many receipts of a channel in a row met no text, up to the last one that was applied: a sign
-- that its ids are written in another form than the channel's setting says.
CREATE TABLE receipt_misses (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    in_a_row integer NOT NULL DEFAULT 0 CHECK (in_a_row >= 0),
    since timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The last change of the setting for the form of ids. `formers`: the forms of before, within 72 h;
-- what waits is read again by `form` and by them. `upto`: the last parked receipt that was looked
-- at for good; `looked_at`: when it was last looked.
CREATE TABLE id_form_changes (
    channel_id smallint PRIMARY KEY REFERENCES channels ON DELETE CASCADE,
    form text NOT NULL,
    formers text[] NOT NULL,
    changed_at timestamptz NOT NULL,
    upto bigint NOT NULL DEFAULT 0,
    looked_at timestamptz
) WITH (fillfactor = 50);

-- ----------------------------------------------------------------------------- uncertain hand-offs

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

-- One row an act: a person's decision on many hand-offs at once, or a carrier's statement.
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
    -- A statement is of one channel and one file, a person's decision of neither.
    CHECK ((decision = 'statement') = (channel_id IS NOT NULL)),
    CHECK ((decision = 'statement') = (file_sha256 IS NOT NULL)),
    CHECK ((decision = 'statement') = (counts IS NOT NULL))
);

-- The hand-offs that were decided, each once: a second decision finds nothing uncertain, and the
-- key enforces it whatever the code above thinks. Late receipts without a match are paired with
-- these.
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

-- ----------------------------------------------------------------------------- texts from handsets

-- Stored before they are acknowledged, and kept as they came; `state` says what became of each, so
-- that nothing is dropped silently.
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
    received_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'new' CHECK (
        state IN ('new', 'waiting', 'joined', 'duplicate', 'unreadable')),
    text_id uuid,
    CONSTRAINT inbound_joined_into_a_text CHECK (state <> 'joined' OR text_id IS NOT NULL)
);
CREATE INDEX inbound_new ON inbound (id) WHERE state = 'new';
CREATE INDEX inbound_waiting ON inbound (received_at) WHERE state = 'waiting';
CREATE INDEX inbound_parts ON inbound (sender_hash, received_at) WHERE part_count > 1;

-- Opt-outs in bulk of people who had no text over the channel (strays): held, until a person lets
-- them count or drops them. One open hold a channel. counted_at: when its strays were counted last
-- and were too many.
CREATE TABLE opt_out_holds (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    channel_id smallint NOT NULL,
    began_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    decision text CHECK (decision IN ('count', 'drop')),
    reason text,
    decided_by uuid REFERENCES users,
    decided_at timestamptz,
    counted_at timestamptz,
    CHECK (num_nonnulls(decision, reason, decided_by, decided_at) IN (0, 4))
);
CREATE UNIQUE INDEX opt_out_holds_open ON opt_out_holds (channel_id) WHERE decided_at IS NULL;

-- One row a whole text: joined from its parts, matched, understood, and worked off by people.
-- `digest` is a keyed hash of sender, recipient and text together: it says that the same came
-- again, and nothing else.
CREATE TABLE inbound_texts (
    id uuid PRIMARY KEY,
    channel_id smallint NOT NULL,
    sender_hash bytea NOT NULL CHECK (octet_length(sender_hash) = 16),
    sender_cipher bytea,                -- NULL: not kept any more; kind and answer stay, for the counts
    recipient text NOT NULL,
    text_cipher bytea,
    digest bytea NOT NULL CHECK (octet_length(digest) = 16),
    missing smallint NOT NULL CHECK (missing >= 0),
    copies integer NOT NULL DEFAULT 1,
    received_at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opt_out', 'answer', 'clue', 'other')),
    answer smallint CHECK (answer BETWEEN 1 AND 9),
    -- What it answers: the last text that this sender got on this channel; NULL: none that we know.
    -- That text may be of a run without a campaign.
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
    -- The registered extension number that it was sent to; NULL: none.
    extension text,
    -- When an opt-out was read whose sender had no text over the channel.
    stray_at timestamptz,
    hold_id uuid REFERENCES opt_out_holds,
    CONSTRAINT inbound_texts_check CHECK ((kind = 'answer') <= (answer IS NOT NULL)),
    CONSTRAINT inbound_texts_check2 CHECK ((taken_by IS NULL) = (taken_at IS NULL)),
    CONSTRAINT inbound_texts_check3 CHECK ((state = 'done') = (done_at IS NOT NULL)),
    CONSTRAINT inbound_texts_check4 CHECK (state <> 'taken' OR taken_by IS NOT NULL),
    CONSTRAINT answers_a_message_of_a_run CHECK (
        (run_id IS NULL) = (message_no IS NULL) AND (campaign_id IS NULL OR run_id IS NOT NULL)),
    CONSTRAINT kept_whole_or_not CHECK ((sender_cipher IS NULL) = (text_cipher IS NULL))
);
CREATE INDEX inbound_texts_digest ON inbound_texts (digest, received_at);
CREATE INDEX inbound_texts_department ON inbound_texts (department_id, id);
CREATE INDEX inbound_texts_open ON inbound_texts (department_id, id) WHERE state <> 'done';
CREATE INDEX inbound_texts_campaign ON inbound_texts (campaign_id, id) WHERE campaign_id IS NOT NULL;
CREATE INDEX inbound_texts_run ON inbound_texts (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX inbound_texts_kept ON inbound_texts (received_at) WHERE sender_cipher IS NOT NULL;
CREATE INDEX inbound_texts_stray ON inbound_texts (channel_id, stray_at) WHERE stray_at IS NOT NULL;
CREATE INDEX inbound_texts_held ON inbound_texts (hold_id) WHERE hold_id IS NOT NULL;

-- Answers that we owe to a sender. The cause is the suppression that is confirmed, or the text that
-- is acknowledged: the key lets each be answered once, whoever comes to it however often. One text
-- confirms that publicity and a department's notices have ended. A reply is settled once: by the
-- run whose ledger it is in, or by why it is not sent.
CREATE TABLE replies_due (
    kind text NOT NULL CHECK (
        kind IN ('opt_out_confirmed', 'notices_confirmed', 'clue_received')),
    cause uuid NOT NULL,
    text_id uuid NOT NULL REFERENCES inbound_texts,
    due_at timestamptz NOT NULL,
    settled_at timestamptz,
    run_id uuid REFERENCES runs,
    skipped text,
    PRIMARY KEY (kind, cause),
    CONSTRAINT settled_by_a_run_or_a_reason CHECK (
        (settled_at IS NOT NULL) = (run_id IS NOT NULL OR skipped IS NOT NULL)
        AND (run_id IS NULL OR skipped IS NULL))
);
CREATE INDEX replies_due_open ON replies_due (due_at) WHERE settled_at IS NULL;
CREATE INDEX replies_due_text ON replies_due (text_id);
CREATE INDEX replies_due_settled ON replies_due (settled_at) WHERE run_id IS NOT NULL;
