-- How many people a department's keys may send to in 24 hours without a campaign: what is in force
-- stays in departments.direct_send_limit; one person proposes another number, a second confirms it.
CREATE TABLE direct_limits (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid NOT NULL REFERENCES departments ON DELETE CASCADE,
    people integer NOT NULL CHECK (people >= 0),
    reason text NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another proposal took its place before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT direct_limits_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE INDEX direct_limits_department ON direct_limits (department_id, id);
CREATE UNIQUE INDEX direct_limits_one_waits ON direct_limits (department_id)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;
