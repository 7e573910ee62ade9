-- Where a suppression comes from and who wants it, numbers that carriers call empty, and lists given out.

ALTER TABLE suppressions
    -- Who answers for a protected number.
    ADD COLUMN owner text NOT NULL DEFAULT '',
    ADD COLUMN source text NOT NULL DEFAULT 'person' CHECK (
        source IN ('person', 'list', 'reply', 'receipts'));
UPDATE suppressions SET source = 'reply' WHERE reason = 'opted_out' AND created_by IS NULL;

-- Carriers' word that there is no such number, once a hand-off's run. Two of different days, with no
-- delivery since the first, suppress the number.
CREATE TABLE dead_reports (
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    run_id uuid NOT NULL,
    day date NOT NULL,
    channel_id smallint NOT NULL,
    code text,
    at timestamptz NOT NULL,
    PRIMARY KEY (phone_hash, run_id)
);

-- Who took the list of suppressions out of the system, and why.
CREATE TABLE suppression_exports (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    exported_by uuid REFERENCES users, -- NULL: whoever holds the command line
    reason text NOT NULL CHECK (reason <> ''),
    suppressions integer NOT NULL,
    exported_at timestamptz NOT NULL
);
