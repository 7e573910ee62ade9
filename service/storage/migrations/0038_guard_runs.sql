-- A campaign's period, drills, milestones; and runs that stop by themselves when something is wrong.

ALTER TABLE campaigns
    ADD COLUMN period_start timestamptz,
    ADD COLUMN period_end timestamptz,
    ADD COLUMN drill boolean NOT NULL DEFAULT false,
    ADD COLUMN safety jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN cloned_from uuid REFERENCES campaigns,
    ADD CONSTRAINT a_period_ends_after_it_starts CHECK (period_start < period_end);

-- canary: `sending` while only its first people get the text; then `passed`, or `failed` and paused.
-- watched_from: what was marked before is not judged again: a person has looked at it and resumed.
ALTER TABLE runs
    ADD COLUMN safety jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN canary text CHECK (canary IN ('sending', 'passed', 'failed')),
    ADD COLUMN watched_from timestamptz;
ALTER TABLE slices ADD COLUMN canary boolean NOT NULL DEFAULT false;

CREATE TABLE milestones (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    campaign_id uuid NOT NULL REFERENCES campaigns,
    name text NOT NULL CHECK (name <> ''),
    due_on date NOT NULL,
    created_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    done_by uuid REFERENCES users,
    done_at timestamptz,
    note text NOT NULL DEFAULT '',
    CHECK ((done_by IS NULL) = (done_at IS NULL))
);
CREATE INDEX milestones_campaign ON milestones (campaign_id, due_on);
