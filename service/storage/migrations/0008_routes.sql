-- Numbers that another carrier serves than their prefix says, and texts that took a second lane.

-- What is known of one number goes before the prefix table, for all departments: numbers are ported
-- between carriers. `learned` is what a delivery proved, on the channel that delivered.
CREATE TABLE carrier_overrides (
    phone_hash bytea PRIMARY KEY CHECK (octet_length(phone_hash) = 16),
    carrier text NOT NULL CHECK (
        carrier IN ('china_mobile', 'china_unicom', 'china_telecom', 'china_broadnet')),
    source text NOT NULL CHECK (source IN ('operator', 'import', 'learned')),
    channel_id smallint REFERENCES channels,
    set_by uuid REFERENCES users,
    set_at timestamptz NOT NULL,
    CHECK ((source = 'learned') = (channel_id IS NOT NULL)),
    CHECK ((source = 'learned') = (set_by IS NULL))
);

-- A text is given to a second channel at most once, when the first one says that the number is of
-- another network: which one that was, and what it said. Neither has an index, so that updates of
-- the ledger stay on their page.
ALTER TABLE messages
    ADD COLUMN first_channel_id smallint,
    ADD COLUMN first_code text;
