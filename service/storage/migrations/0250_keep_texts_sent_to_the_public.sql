-- Texts as they were sent to the public, so that a citizen can ask whether one is ours, and answers
-- to whoever asks that by a text of their own (decision 0560).
SET LOCAL lock_timeout = '5s';

-- What a template is called where letters are few: the 7 of the mark T7-3, which is its third
-- version. A template gets its number when it is first asked for.
CREATE TABLE template_numbers (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    template_id uuid NOT NULL UNIQUE REFERENCES templates
);

-- One row for the same words of one department and version, of class public_interest or warning.
-- The values of a plan are in the text, those of each person are not. No row says who got it.
CREATE TABLE sent_texts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Of the words as they are compared, and of what may fill their variables.
    digest bytea NOT NULL CHECK (octet_length(digest) = 16),
    department_id uuid NOT NULL REFERENCES departments,
    version_id uuid REFERENCES template_versions,
    text text NOT NULL,
    -- Six characters that every reader's copy of a text with variables has; NULL: it has none.
    anchor integer,
    first_on date NOT NULL,
    last_on date NOT NULL,
    UNIQUE NULLS NOT DISTINCT (digest, department_id, version_id),
    CONSTRAINT sent_texts_days CHECK (first_on <= last_on)
);
CREATE INDEX sent_texts_anchor ON sent_texts (anchor, last_on) WHERE anchor IS NOT NULL;
CREATE INDEX sent_texts_version ON sent_texts (version_id) WHERE version_id IS NOT NULL;
CREATE INDEX sent_texts_last ON sent_texts (last_on);

-- Some pairs of letters of each text, as numbers: whatever is like a text has one of them.
CREATE TABLE sent_text_keys (
    key integer NOT NULL,
    text_id bigint NOT NULL REFERENCES sent_texts ON DELETE CASCADE,
    PRIMARY KEY (key, text_id)
);
CREATE INDEX sent_text_keys_text ON sent_text_keys (text_id);

-- When the text of a run was noted in `sent_texts`; NULL, or before it was settled: not yet.
ALTER TABLE runs ADD COLUMN text_noted_at timestamptz;

-- Each takes one kind more than before.
-- squawk-ignore ban-drop-constraint
ALTER TABLE inbound_texts DROP CONSTRAINT inbound_texts_kind_check;
ALTER TABLE inbound_texts ADD CONSTRAINT inbound_texts_kind_check
    CHECK (kind IN ('opt_out', 'answer', 'clue', 'check', 'other')) NOT VALID;
-- squawk-ignore ban-drop-constraint
ALTER TABLE replies_due DROP CONSTRAINT replies_due_kind_check;
ALTER TABLE replies_due ADD CONSTRAINT replies_due_kind_check
    CHECK (kind IN ('opt_out_confirmed', 'notices_confirmed', 'clue_received', 'text_checked'))
    NOT VALID;
