-- How many texts a person may get from all departments together, and what a plan does beyond that.

-- The caps of a class. Append-only: the last row of a class counts, the rows before it are the record.
-- NULL: no such cap. A warning has none. At most 16, for so many hand-offs are remembered.
CREATE TABLE frequency_caps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class text NOT NULL CHECK (class IN ('public_interest', 'service')),
    per_day smallint CHECK (per_day BETWEEN 1 AND 16),
    per_week smallint CHECK (per_week BETWEEN 1 AND 16),
    per_month smallint CHECK (per_month BETWEEN 1 AND 16),
    same_text boolean NOT NULL, -- whether the same text may come again within 30 days
    reason text NOT NULL CHECK (reason <> ''),
    set_by uuid REFERENCES users, -- NULL: as delivered
    set_at timestamptz NOT NULL,
    CHECK (per_day <= per_week),
    CHECK (per_week <= per_month),
    CHECK (per_day <= per_month)
);
CREATE INDEX frequency_caps_class ON frequency_caps (class, id);

INSERT INTO frequency_caps (class, per_day, per_week, per_month, same_text, reason, set_at) VALUES
    ('public_interest', 1, 2, 6, false, 'as delivered', now()),
    ('service', 5, NULL, NULL, true, 'as delivered', now());

-- One row a person and class: the latest hand-offs, whoever's they were, from new to old. It is written
-- by each mark, so there is no index on what changes, and each page has room for a next version of all
-- its rows: a ledger goes through people in the order of their hash, so one mark changes whole pages.
CREATE TABLE recent_texts (
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    class text NOT NULL,
    at timestamptz[] NOT NULL,
    runs uuid[] NOT NULL,
    texts bigint[] NOT NULL,
    PRIMARY KEY (phone_hash, class)
) WITH (fillfactor = 45);

-- Texts that a cap holds back, queued until their instant. A row counts while it is in the future.
CREATE TABLE deferrals (
    run_id uuid NOT NULL,
    no integer NOT NULL,
    not_before timestamptz NOT NULL,
    PRIMARY KEY (run_id, no)
);

-- What becomes of a text that a cap stops: `defer` (it waits while its validity allows), `stop`, and
-- for runs that are no broadcast `send` (no cap, and it counts for none).
ALTER TABLE campaigns ADD COLUMN over_cap text NOT NULL DEFAULT 'defer'
    CHECK (over_cap IN ('defer', 'stop'));
ALTER TABLE runs ADD COLUMN over_cap text NOT NULL DEFAULT 'defer'
    CHECK (over_cap IN ('defer', 'stop', 'send'));
UPDATE runs SET over_cap = 'send' WHERE kind = 'reply';
