-- Runs that follow from another run, and the steps of a sequence that are to come.

-- A `step` sends a later text of a sequence to the people of the run that it follows, a `resend` the same
-- text to those of them whom it did not reach, a `top_up` to those who have joined since, a `correction`
-- another text to those who got it.
ALTER TABLE runs
    ADD COLUMN follows uuid REFERENCES runs,
    ADD COLUMN relation text CHECK (relation IN ('step', 'resend', 'top_up', 'correction')),
    ADD CONSTRAINT what_follows_says_how CHECK ((follows IS NULL) = (relation IS NULL));

-- A fire has one run, and so has a step of what the fire began; both may come at the same instant.
ALTER TABLE runs DROP CONSTRAINT runs_campaign_id_fire_at_key;
CREATE UNIQUE INDEX runs_fire ON runs (campaign_id, fire_at) WHERE follows IS NULL;
CREATE UNIQUE INDEX runs_step ON runs (follows, text_no) WHERE relation = 'step';
CREATE INDEX runs_campaign ON runs (campaign_id, id);
CREATE INDEX runs_following ON runs (follows) WHERE follows IS NOT NULL;

-- What is to follow a run of a sequence, and what became of it. planned_at: by the days of the plan;
-- due_at: as things are, for a late step moves those after it. outcome: null while it is to come.
CREATE TABLE sequence_steps (
    id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    origin_id uuid NOT NULL REFERENCES runs,
    text_no smallint NOT NULL,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    planned_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    outcome text CHECK (outcome IN ('fired', 'skipped')),
    note text NOT NULL DEFAULT '',
    run_id uuid REFERENCES runs,
    at timestamptz,
    PRIMARY KEY (origin_id, text_no),
    CHECK ((run_id IS NOT NULL) = (outcome IS NOT DISTINCT FROM 'fired')),
    CHECK ((at IS NULL) = (outcome IS NULL))
);
CREATE INDEX sequence_steps_due ON sequence_steps (due_at) WHERE outcome IS NULL;
CREATE INDEX sequence_steps_campaign ON sequence_steps (campaign_id, id);
