-- What the case figures suggest to write of, and what departments made of it. A suggestion sends
-- nothing: whoever takes it up makes a draft by the usual way.
CREATE TABLE suggestion_rules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Of each kind of fraud, its audiences in their order; the last row is in force.
    audiences jsonb NOT NULL,
    reason text NOT NULL,
    set_by uuid NOT NULL REFERENCES users,
    set_at timestamptz NOT NULL
);

CREATE TABLE suggestions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    week text NOT NULL CHECK (week ~ '^20[0-9]{2}-W[0-5][0-9]$'),
    kind text NOT NULL CHECK (kind IN ('rise', 'usual')),
    -- A town; '': the whole county.
    area_code text NOT NULL,
    fraud_type text NOT NULL REFERENCES fraud_types,
    -- The place in the list of its week.
    place smallint NOT NULL,
    -- The figures that it rests on; for those who may see them.
    because jsonb NOT NULL,
    audiences text[] NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- The figures do not say it any more: the week was corrected, or taken back.
    withdrawn_at timestamptz,
    CONSTRAINT suggestions_once UNIQUE (week, kind, area_code, fraud_type)
);
CREATE INDEX suggestions_fraud_type ON suggestions (fraud_type);

-- What a department made of a suggestion: once, for all its people.
CREATE TABLE suggestion_acts (
    suggestion_id uuid NOT NULL REFERENCES suggestions,
    department_id uuid NOT NULL REFERENCES departments,
    act text NOT NULL CHECK (act IN ('draft', 'dismiss')),
    campaign_id uuid REFERENCES campaigns,
    reason text NOT NULL,
    -- What it rested on then.
    because jsonb NOT NULL,
    acted_by uuid NOT NULL REFERENCES users,
    acted_at timestamptz NOT NULL,
    PRIMARY KEY (suggestion_id, department_id),
    CONSTRAINT suggestion_acts_what_came_of_it CHECK (
        CASE act WHEN 'draft' THEN campaign_id IS NOT NULL ELSE reason <> '' END)
);
CREATE INDEX suggestion_acts_department ON suggestion_acts (department_id);
CREATE INDEX suggestion_acts_campaign ON suggestion_acts (campaign_id);
CREATE INDEX suggestion_acts_by ON suggestion_acts (acted_by);
CREATE INDEX suggestion_rules_by ON suggestion_rules (set_by);
