-- What is not kept any more, and how much of it there was.

-- A run's numbers go in stretches of its ledger: up to here; all of them, at.
ALTER TABLE runs
    ADD COLUMN numbers_dropped_to integer NOT NULL DEFAULT 0,
    ADD COLUMN numbers_dropped_at timestamptz;
CREATE INDEX runs_with_numbers ON runs (created_at) WHERE numbers_dropped_at IS NULL;

-- Of a text from a handset its kind and answer stay, for the counts.
ALTER TABLE inbound_texts
    ALTER COLUMN sender_cipher DROP NOT NULL,
    ALTER COLUMN text_cipher DROP NOT NULL,
    ADD CONSTRAINT kept_whole_or_not CHECK ((sender_cipher IS NULL) = (text_cipher IS NULL));
CREATE INDEX inbound_texts_kept ON inbound_texts (received_at) WHERE sender_cipher IS NOT NULL;

-- The count of each day by kind, for the report.
CREATE TABLE retired (
    day date NOT NULL,
    kind text NOT NULL,
    items bigint NOT NULL,
    PRIMARY KEY (day, kind)
);
