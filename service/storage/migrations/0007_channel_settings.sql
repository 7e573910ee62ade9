-- What a contract with a carrier settles beyond address, account and pace.

ALTER TABLE channels
    ADD COLUMN destinations smallint NOT NULL DEFAULT 1 CHECK (destinations BETWEEN 1 AND 100),
    ADD COLUMN on_net_only boolean NOT NULL DEFAULT true,
    ADD COLUMN rank smallint NOT NULL DEFAULT 100,
    ADD COLUMN signature text NOT NULL DEFAULT 'ours_head' CHECK (
        signature IN ('ours_head', 'ours_tail', 'carrier_head', 'carrier_tail')),
    ADD COLUMN signature_counts boolean NOT NULL DEFAULT true,
    ADD COLUMN receipts text NOT NULL DEFAULT 'all' CHECK (receipts IN ('all', 'last')),
    ADD COLUMN send_validity boolean NOT NULL DEFAULT true,
    -- The carrier said that the account may not send for now; until then nothing is handed off.
    ADD COLUMN held_until timestamptz,
    ADD COLUMN held_why text NOT NULL DEFAULT '';

-- Codes that the tables of a gateway do not know, or know otherwise; the operator's word counts.
CREATE TABLE channel_codes (
    kind text NOT NULL,
    applies_to text NOT NULL CHECK (applies_to IN ('submit', 'receipt')),
    code text NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    PRIMARY KEY (kind, applies_to, code)
);
