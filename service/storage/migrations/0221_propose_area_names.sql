-- An area's name stands in texts that others approved: one person proposes another name, a second
-- one confirms it.
CREATE TABLE area_renames (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    code text NOT NULL REFERENCES areas,
    name text NOT NULL,
    proposed_by uuid NOT NULL REFERENCES users,
    proposed_at timestamptz NOT NULL,
    confirmed_by uuid REFERENCES users,
    confirmed_at timestamptz,
    -- Another name, or the old one again, took its place before it was confirmed.
    replaced_at timestamptz,
    CONSTRAINT area_renames_two_persons CHECK (confirmed_by <> proposed_by),
    CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CHECK (confirmed_at IS NULL OR replaced_at IS NULL)
);
CREATE UNIQUE INDEX area_renames_one_waits ON area_renames (code)
    WHERE confirmed_at IS NULL AND replaced_at IS NULL;
CREATE INDEX area_renames_code ON area_renames (code);
