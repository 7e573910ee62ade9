-- What is sent when: campaigns, the record of their moves, and one run a fire.

CREATE TABLE campaigns (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments,
    name text NOT NULL,
    template_version_id uuid NOT NULL REFERENCES template_versions,
    segment_id uuid NOT NULL REFERENCES segments,
    channels smallint[],                -- NULL: chosen by the router
    priority text NOT NULL CHECK (priority IN ('urgent', 'normal', 'bulk')),
    schedule jsonb NOT NULL,
    max_tps integer CHECK (max_tps > 0),
    state text NOT NULL CHECK (state IN (
        'draft', 'pending_approval', 'returned', 'rejected', 'scheduled',
        'running', 'paused', 'held', 'done', 'cancelled')),
    next_fire_at timestamptz,
    created_by uuid NOT NULL REFERENCES users,
    created_at timestamptz NOT NULL,
    edited_by uuid NOT NULL REFERENCES users,
    -- Frozen at submission, bound by the approval:
    frozen_rule text,
    text_edited_by uuid REFERENCES users,
    rule_edited_by uuid REFERENCES users,
    submitted_by uuid REFERENCES users,
    submitted_at timestamptz,
    pending_until timestamptz,
    baseline integer,
    content_hash bytea,
    approved_by uuid REFERENCES users,
    approved_at timestamptz,
    approved_hash bytea,
    -- Two persons, whatever the code above thinks.
    CONSTRAINT approved_by_a_second_person CHECK (
        approved_by IS NULL OR (
            approved_by <> submitted_by AND approved_by <> edited_by
            AND approved_by <> text_edited_by AND approved_by <> rule_edited_by
            AND submitted_by IS NOT NULL AND text_edited_by IS NOT NULL AND rule_edited_by IS NOT NULL
            AND approved_at IS NOT NULL AND approved_hash IS NOT NULL AND content_hash IS NOT NULL
            AND approved_hash = content_hash)),
    CONSTRAINT nothing_runs_unapproved CHECK (
        state NOT IN ('scheduled', 'running', 'paused', 'held', 'done') OR approved_by IS NOT NULL)
);
CREATE INDEX campaigns_due ON campaigns (next_fire_at) WHERE state IN ('scheduled', 'running');

CREATE TABLE campaign_moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id uuid NOT NULL REFERENCES campaigns,
    from_state text NOT NULL,
    to_state text NOT NULL,
    user_id uuid REFERENCES users,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL
);

-- One fire of one campaign. What it sends is copied in, so that later edits change nothing.
CREATE TABLE runs (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    campaign_id uuid NOT NULL REFERENCES campaigns,
    department_id uuid NOT NULL REFERENCES departments,
    fire_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('expanding', 'running', 'paused', 'sent', 'cancelled')),
    priority text NOT NULL CHECK (priority IN ('urgent', 'normal', 'bulk')),
    class text NOT NULL,
    text text NOT NULL,
    rule text NOT NULL,
    channels smallint[],
    send_hours jsonb NOT NULL,
    timezone text NOT NULL,
    valid_until timestamptz,
    max_tps integer,
    target integer,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    UNIQUE (campaign_id, fire_at)
);
CREATE INDEX runs_open ON runs (id) WHERE state IN ('expanding', 'running', 'paused');
