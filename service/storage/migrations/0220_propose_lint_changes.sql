-- What makes lint less strict is proposed by one person and confirmed by another: a county's levels
-- and lists (department_id is null), and what a department may write.
CREATE TABLE lint_proposals (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    department_id uuid REFERENCES departments ON DELETE CASCADE,
    content jsonb NOT NULL,
    reason text NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another change took its place before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT lint_proposals_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE UNIQUE INDEX lint_proposals_one_waits ON lint_proposals (department_id) NULLS NOT DISTINCT
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;

-- The second person of a change that was proposed; null: it made lint stricter, or changed nothing.
ALTER TABLE lint_policies ADD COLUMN confirmed_by uuid REFERENCES users,
    ADD CONSTRAINT lint_policies_two_persons CHECK (confirmed_by <> changed_by);
ALTER TABLE lint_senders ADD COLUMN confirmed_by uuid REFERENCES users,
    ADD CONSTRAINT lint_senders_two_persons CHECK (confirmed_by <> changed_by);
