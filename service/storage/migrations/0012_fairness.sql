-- Who gets how much of a channel: weights, virtual times, quotas, hours of maintenance.

-- On one channel, within one class, departments share by weight.
ALTER TABLE departments
    ADD COLUMN weight smallint NOT NULL DEFAULT 10 CHECK (weight BETWEEN 1 AND 100);

ALTER TABLE channels
    -- Parts a day and a month by the calendar in Beijing; NULL: as many as there are.
    ADD COLUMN daily_quota integer CHECK (daily_quota > 0),
    ADD COLUMN monthly_quota integer CHECK (monthly_quota > 0),
    -- [["23:00", "01:00"], …], each day, in Beijing; nothing is handed off inside.
    ADD COLUMN maintenance jsonb NOT NULL DEFAULT '[]',
    -- Whose hold it is: that of the carrier's answer, or of the channel's own quota.
    ADD COLUMN held_by text NOT NULL DEFAULT 'carrier';

-- How much a department has had of a channel in one class: parts divided by weight. `started` is
-- what it was before the last turn: the highest of a class is the present, at which a department
-- that comes anew begins. The parts of the minute and of the one before tell the rate.
CREATE TABLE shares (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    priority smallint NOT NULL,
    department_id uuid NOT NULL REFERENCES departments ON DELETE CASCADE,
    virtual_time double precision NOT NULL,
    started double precision NOT NULL,
    busy_since timestamptz NOT NULL,
    minute timestamptz NOT NULL,
    parts integer NOT NULL,
    parts_before integer NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, priority, department_id)
) WITH (fillfactor = 50);

-- Parts marked as leaving on a channel that has a quota, by day and by month.
CREATE TABLE quota_use (
    channel_id smallint NOT NULL REFERENCES channels ON DELETE CASCADE,
    span text NOT NULL CHECK (span IN ('day', 'month')),
    since date NOT NULL,
    parts bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, span, since)
) WITH (fillfactor = 50);

-- Whether anybody ever worked on it: one that nobody did is counted by its size alone.
ALTER TABLE slices ADD COLUMN touched boolean NOT NULL DEFAULT false;
UPDATE slices SET touched = true WHERE done_at IS NULL;

-- A claim asks each run for its next slices.
DROP INDEX slices_open;
CREATE INDEX slices_open ON slices (channel_id, run_id, no) WHERE done_at IS NULL;
