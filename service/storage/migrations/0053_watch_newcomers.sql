-- Plans that write to whoever newly has a role: whom each has met, so that nobody is met twice.

-- Which roles a plan looks for, since its first approval.
CREATE TABLE newcomer_watches (
    campaign_id uuid PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    roles text[] NOT NULL,
    since timestamptz NOT NULL
);

-- roles: those that the person had when the watch for them began. met_by: the run that had the person
-- in its ledger or among its exclusions; all roles count as known then. again_at: from then on the
-- person counts as new once more, for what kept the text from them passes.
CREATE TABLE acquaintances (
    campaign_id uuid NOT NULL REFERENCES newcomer_watches ON DELETE CASCADE,
    phone_hash bytea NOT NULL CHECK (octet_length(phone_hash) = 16),
    roles text[] NOT NULL DEFAULT '{}',
    met_by uuid REFERENCES runs,
    again_at timestamptz,
    PRIMARY KEY (campaign_id, phone_hash)
);

-- The roles of whose newcomers a run is; null: it is for everybody whom its rule means.
ALTER TABLE runs ADD COLUMN newcomers text[];
