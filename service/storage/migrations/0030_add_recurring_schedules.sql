-- Recurring plans, the record of their fires, and the county's calendar and send hours.

-- What became of each fire of a plan, so that none is silently missed and none comes twice.
CREATE TABLE campaign_fires (
    campaign_id uuid NOT NULL REFERENCES campaigns,
    planned_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('fired', 'skipped')),
    note text NOT NULL DEFAULT '',
    run_id uuid REFERENCES runs,
    at timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, planned_at),
    CHECK ((outcome = 'fired') = (run_id IS NOT NULL))
);

-- Beside the plan's hours: whose hours of the county apply, and what the plan is allowed beyond.
ALTER TABLE runs
    ADD COLUMN audience text,
    ADD COLUMN beyond_hours boolean NOT NULL DEFAULT false,
    ADD COLUMN on_quiet_days boolean NOT NULL DEFAULT false;

-- Settings of the whole county, each version a row: the last of a kind is in force.
CREATE TABLE county_settings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('calendar', 'send_hours')),
    body jsonb NOT NULL,
    reason text NOT NULL,
    set_by uuid REFERENCES users,
    set_at timestamptz NOT NULL
);
CREATE INDEX county_settings_kind ON county_settings (kind, id);
